// A device's key and certificate in a folder: made at the first start, the same at every later one.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { createDeviceIdentity, type DeviceIdentity, restoreDeviceIdentity } from "./certificates.ts";
import { writePrivate } from "./private-files.ts";

export const KEY_FILE = "identity-key.pem";
export const CERTIFICATE_FILE = "identity-certificate.pem";

/** Whose key it is, for error messages. */
export interface IdentityOwner {
  /** Such as "This tracker". */
  readonly name: string;
  /** What follows from a new key, as the end of a sentence that begins with "remove both to start with a new key". */
  readonly newKey: string;
}

/**
 * The stored key and certificate; created and stored at the first start.
 *
 * @throws MiniTorrentError DISK_FAILED if they cannot be read, are damaged, or do not belong together
 */
export function openIdentity(dataDir: string, owner: IdentityOwner): DeviceIdentity {
  const keyPath = join(dataDir, KEY_FILE);
  const certificatePath = join(dataDir, CERTIFICATE_FILE);
  // The certificate is written last: where it is, both are whole.
  if (hasIdentity(dataDir)) {
    const certificatePem = readIdentityFile(certificatePath, owner);
    const privateKeyPem = readIdentityFile(keyPath, owner);
    const certificate = orDamaged(certificatePath, owner, () => new X509Certificate(certificatePem));
    const key = orDamaged(keyPath, owner, () => createPrivateKey(privateKeyPem));
    if (!certificate.checkPrivateKey(key))
      throw damagedIdentity(keyPath, owner, "it is not the certificate's key");
    return restoreDeviceIdentity(privateKeyPem, certificatePem);
  }
  const identity = createDeviceIdentity();
  try {
    writePrivate(keyPath, identity.privateKeyPem);
    writePrivate(certificatePath, identity.certificatePem);
  } catch (error) {
    const sentence = `${owner.name}'s key cannot be written to ${dataDir}: ${reasonOf(error)}.`;
    throw new MiniTorrentError("DISK_FAILED", sentence, { cause: error });
  }
  return identity;
}

/** A program has run with this folder before. */
export function hasIdentity(dataDir: string): boolean {
  return existsSync(join(dataDir, CERTIFICATE_FILE));
}

function readIdentityFile(path: string, owner: IdentityOwner): string {
  const text = orDamaged(path, owner, () => readFileSync(path, "utf8"));
  if (text.trim() === "") throw damagedIdentity(path, owner, "it is empty");
  return text;
}

function orDamaged<T>(path: string, owner: IdentityOwner, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw damagedIdentity(path, owner, reasonOf(error), error);
  }
}

function damagedIdentity(
  path: string,
  owner: IdentityOwner,
  reason: string,
  cause?: unknown,
): MiniTorrentError {
  return new MiniTorrentError(
    "DISK_FAILED",
    `${path} cannot be used (${reason}); restore ${KEY_FILE} and ${CERTIFICATE_FILE} from a backup, or remove both to ` +
      `start with a new key${owner.newKey}`,
    { cause },
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
