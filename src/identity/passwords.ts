// Password hashes: argon2id (RFC 9106) in the PHC string format. The cost is OWASP's first recommendation for
// argon2id (Password Storage Cheat Sheet: "m=19456 (19 MiB), t=2, p=1"). Each function blocks the calling thread, so a tracker
// calls them in a worker thread (tracker/server/password-worker.ts).
import { argon2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import { MiniTorrentError } from "../api/errors.ts";

const MEMORY_KIB = 19456;
const PASSES = 2;
const PARALLELISM = 1;
const SALT_BYTES = 16;
const TAG_BYTES = 32;
/** Bounds for a stored hash: a registry row must not be able to exhaust the machine. */
const MAX_MEMORY_KIB = 1024 * 1024;
const MAX_PASSES = 16;
const MAX_PARALLELISM = 16;
const MAX_TAG_BYTES = 64;

const PHC =
  /^\$argon2id\$v=19\$m=(?<memory>\d{1,7}),t=(?<passes>\d{1,2}),p=(?<lanes>\d{1,2})\$(?<salt>[A-Za-z0-9+/]+)\$(?<tag>[A-Za-z0-9+/]+)$/;

/** @returns the hash with salt and cost, as a PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$tag` */
export function hashPassword(password: string): string {
  const nonce = randomBytes(SALT_BYTES);
  const tag = argon2Sync("argon2id", {
    message: canonical(password),
    nonce,
    memory: MEMORY_KIB,
    passes: PASSES,
    parallelism: PARALLELISM,
    tagLength: TAG_BYTES,
  });
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${PARALLELISM}$${base64(nonce)}$${base64(tag)}`;
}

/**
 * True if the password is the one that was hashed; the comparison takes the same time wherever they differ.
 *
 * @throws MiniTorrentError INTERNAL for a hash that is not of the form that `hashPassword` makes
 */
export function verifyPassword(hash: string, password: string): boolean {
  const parts = PHC.exec(hash)?.groups;
  const memory = Number(parts?.memory);
  const passes = Number(parts?.passes);
  const parallelism = Number(parts?.lanes);
  const nonce = Buffer.from(parts?.salt ?? "", "base64");
  const expected = Buffer.from(parts?.tag ?? "", "base64");
  const isUsable =
    memory >= 8 * parallelism &&
    memory <= MAX_MEMORY_KIB &&
    passes >= 1 &&
    passes <= MAX_PASSES &&
    parallelism >= 1 &&
    parallelism <= MAX_PARALLELISM &&
    nonce.length >= 8 &&
    expected.length >= TAG_BYTES &&
    expected.length <= MAX_TAG_BYTES;
  if (!isUsable) throw new MiniTorrentError("INTERNAL", "A stored password hash cannot be read.");
  const message = canonical(password);
  const tagLength = expected.length;
  const tag = argon2Sync("argon2id", { message, nonce, memory, passes, parallelism, tagLength });
  return timingSafeEqual(tag, expected);
}

/** Takes as long as `verifyPassword`, so that a login's time does not reveal whether the user exists. */
export function verifyNoOne(password: string): false {
  hashPassword(password);
  return false;
}

/** The same password may arrive as other code points from another system. */
function canonical(password: string): Buffer {
  return Buffer.from(password.normalize("NFC"));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}
