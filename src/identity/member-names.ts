// Seals the names in members' certificates, since a TLS server presents its certificate before it has authenticated the
// client. Trackers derive the key from the private key of the group's CA and give it to members with their certificates; no
// torrent contains it. Sealing hides names from outsiders; the CA's signature authenticates them.
import { createCipheriv, createDecipheriv, createPrivateKey, hkdfSync, randomBytes } from "node:crypto";
import { MiniTorrentError } from "../api/errors.ts";

export interface MemberNames {
  readonly userId: string;
  readonly membershipId: string;
}

const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Names are padded to this length, so that it reveals nothing: 64 characters of 4 bytes, and a membership id of 32. */
const PADDED_BYTES = 320;
const KEY_BYTES = 32;
const PURPOSE = "miniTorrent names of members";

/**
 * The key of a group's names, 64 hex digits (HKDF with SHA-256).
 *
 * @param authorityKeyPem the private key of the group's CA, PKCS #8
 */
export function namesKeyOf(authorityKeyPem: string): string {
  const der = createPrivateKey(authorityKeyPem).export({ type: "pkcs8", format: "der" });
  return Buffer.from(hkdfSync("sha256", der, "", PURPOSE, KEY_BYTES)).toString("hex");
}

/** @throws MiniTorrentError INVALID_ARGUMENT for names that are too long, or have a line break */
export function sealNames({ userId, membershipId }: MemberNames, namesKey: string): string {
  const text = Buffer.from(`${membershipId}\n${userId}`);
  if (text.length > PADDED_BYTES || /[\n\0]/.test(userId + membershipId)) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "That user id cannot stand in a certificate.");
  }
  const padded = Buffer.alloc(PADDED_BYTES);
  text.copy(padded);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, Buffer.from(namesKey, "hex"), nonce);
  return Buffer.concat([nonce, cipher.update(padded), cipher.final(), cipher.getAuthTag()]).toString(
    "base64",
  );
}

/** @throws Error for what was not sealed for that group */
export function openNames(sealed: string, namesKey: string): MemberNames {
  const bytes = Buffer.from(sealed, "base64");
  if (bytes.length !== NONCE_BYTES + PADDED_BYTES + TAG_BYTES)
    throw new Error("not of the length of sealed names");
  const decipher = createDecipheriv(CIPHER, Buffer.from(namesKey, "hex"), bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const padded = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  const [membershipId = "", userId = ""] = padded.toString("utf8").replace(/\0+$/, "").split("\n");
  return { userId, membershipId };
}
