// A tracker's data directory, private to its user, and the tracker's key in it. registry/sqlite-registry.ts owns the registry's
// file.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Logger } from "pino";
import { MiniTorrentError } from "../api/errors.ts";
import {
  createDeviceIdentity,
  type DeviceIdentity,
  restoreDeviceIdentity,
} from "../identity/certificates.ts";
import { PRIVATE_FILE_MODE, syncFolder, writePrivate } from "../identity/private-files.ts";

/** Mode bits of group and others. */
const OTHERS_MAY = 0o077;
export const KEY_FILE = "identity-key.pem";
export const CERTIFICATE_FILE = "identity-certificate.pem";
export const REGISTRY_FILE = "registry.sqlite";
export const PINS_FILE = "pins.sqlite";
export const ATTEMPTS_FILE = "attempts.sqlite";

/** The folder is private to this user, since the registry contains password hashes and the groups' keys. */
export function makePrivateFolder(path: string): void {
  try {
    const made = mkdirSync(path, { recursive: true, mode: 0o700 });
    if (made !== undefined) syncFolder(dirname(resolve(made)));
    chmodSync(path, 0o700);
  } catch (error) {
    throw new MiniTorrentError(
      "DISK_FAILED",
      `The data directory ${path} cannot be used: ${String(error)}.`,
      {
        cause: error,
      },
    );
  }
}

/** Makes files private that other users may read, such as copies, and logs it. */
export function makePrivateFiles(dataDir: string, log: Logger): void {
  if (process.platform === "win32") return;
  for (const name of [KEY_FILE, CERTIFICATE_FILE, REGISTRY_FILE, PINS_FILE, ATTEMPTS_FILE]) {
    const path = join(dataDir, name);
    const mode = statSync(path, { throwIfNoEntry: false })?.mode;
    if (mode === undefined || (mode & OTHERS_MAY) === 0) continue;
    chmodSync(path, PRIVATE_FILE_MODE);
    log.warn(
      { path, mode: (mode & 0o777).toString(8) },
      "a file of the tracker was open to other users of this machine; it is private now",
    );
  }
}

/**
 * The tracker's key and certificate; created and stored at the first start.
 *
 * @throws MiniTorrentError DISK_FAILED if they cannot be read, are damaged, or do not belong together
 */
export async function openIdentity(dataDir: string): Promise<DeviceIdentity> {
  const keyPath = join(dataDir, KEY_FILE);
  const certificatePath = join(dataDir, CERTIFICATE_FILE);
  // The certificate is written last: where it is, both are whole.
  if (hasIdentity(dataDir)) {
    const certificatePem = readIdentityFile(certificatePath);
    const privateKeyPem = readIdentityFile(keyPath);
    const certificate = orDamaged(certificatePath, () => new X509Certificate(certificatePem));
    const key = orDamaged(keyPath, () => createPrivateKey(privateKeyPem));
    if (!certificate.checkPrivateKey(key)) throw damagedIdentity(keyPath, "it is not the certificate's key");
    return restoreDeviceIdentity(privateKeyPem, certificatePem);
  }
  const identity = createDeviceIdentity();
  try {
    writePrivate(keyPath, identity.privateKeyPem);
    writePrivate(certificatePath, identity.certificatePem);
  } catch (error) {
    const sentence = `This tracker's key cannot be written to ${dataDir}: ${reasonOf(error)}.`;
    throw new MiniTorrentError("DISK_FAILED", sentence, { cause: error });
  }
  return identity;
}

/** A tracker has run with this data directory before. */
export function hasIdentity(dataDir: string): boolean {
  return existsSync(join(dataDir, CERTIFICATE_FILE));
}

function readIdentityFile(path: string): string {
  const text = orDamaged(path, () => readFileSync(path, "utf8"));
  if (text.trim() === "") throw damagedIdentity(path, "it is empty");
  return text;
}

function orDamaged<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw damagedIdentity(path, reasonOf(error), error);
  }
}

function damagedIdentity(path: string, reason: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "DISK_FAILED",
    `${path} cannot be used (${reason}); restore ${KEY_FILE} and ${CERTIFICATE_FILE} from a backup, or remove both to ` +
      "start with a new key, and give everybody a tracker_info.txt with its fingerprint.",
    { cause },
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
