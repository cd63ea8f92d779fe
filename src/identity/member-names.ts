// What a member's certificate says of him, sealed: a TLS server shows its certificate to whoever asks, before it knows who
// that is. The key comes from the group's CA certificate, which only members and trackers have (it never goes over a
// connection between peers). It hides names from outsiders; what makes them true is the CA's signature around them.
import { createCipheriv, createDecipheriv, createHash, randomBytes, X509Certificate } from "node:crypto";
import { MiniTorrentError } from "../api/errors.ts";

export interface MemberNames {
  readonly userId: string;
  readonly membershipId: string;
}

const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** All names are padded to this, so that the length says nothing: 64 characters of 4 bytes, and a membership id of 32. */
const PADDED_BYTES = 320;
const PURPOSE = "miniTorrent names of members\0";

/** @throws MiniTorrentError INVALID_ARGUMENT for names that are too long, or have a line break */
export function sealNames({ userId, membershipId }: MemberNames, authorityPem: string): string {
  const text = Buffer.from(`${membershipId}\n${userId}`);
  if (text.length > PADDED_BYTES || /[\n\0]/.test(userId + membershipId)) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "That user id cannot stand in a certificate.");
  }
  const padded = Buffer.alloc(PADDED_BYTES);
  text.copy(padded);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyOf(authorityPem), nonce);
  return Buffer.concat([nonce, cipher.update(padded), cipher.final(), cipher.getAuthTag()]).toString(
    "base64",
  );
}

/** @throws Error for what was not sealed for that group */
export function openNames(sealed: string, authorityPem: string): MemberNames {
  const bytes = Buffer.from(sealed, "base64");
  if (bytes.length !== NONCE_BYTES + PADDED_BYTES + TAG_BYTES)
    throw new Error("not of the length of sealed names");
  const decipher = createDecipheriv(CIPHER, keyOf(authorityPem), bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const padded = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  const [membershipId = "", userId = ""] = padded.toString("utf8").replace(/\0+$/, "").split("\n");
  return { userId, membershipId };
}

function keyOf(authorityPem: string): Buffer {
  return createHash("sha256").update(PURPOSE).update(new X509Certificate(authorityPem).raw).digest();
}
