// A tracker's data directory: for its owner alone, with the key that the tracker is known by. What is in the registry is
// registry/sqlite-registry.ts's.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { MiniTorrentError } from "../api/errors.ts";
import {
  createDeviceIdentity,
  type DeviceIdentity,
  restoreDeviceIdentity,
} from "../identity/certificates.ts";

/** Mode bits of group and others. */
const OTHERS_MAY = 0o077;
const PRIVATE_FILE_MODE = 0o600;
export const KEY_FILE = "identity-key.pem";
export const CERTIFICATE_FILE = "identity-certificate.pem";
export const REGISTRY_FILE = "registry.sqlite";
export const PINS_FILE = "pins.sqlite";
export const ATTEMPTS_FILE = "attempts.sqlite";

/** The registry has passwords' hashes and groups' keys: the folder is for this user alone. */
export function makePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
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

/** Files that others may read, as a copy brought from elsewhere may be, are closed to them, and whoever runs it is told. */
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

/** The tracker's key and certificate; made, and kept, at the first start. */
export async function openIdentity(dataDir: string): Promise<DeviceIdentity> {
  const keyPath = join(dataDir, KEY_FILE);
  const certificatePath = join(dataDir, CERTIFICATE_FILE);
  // The certificate is written last: where it is, both are whole.
  if (existsSync(certificatePath)) {
    return restoreDeviceIdentity(readFileSync(keyPath, "utf8"), readFileSync(certificatePath, "utf8"));
  }
  const identity = await createDeviceIdentity();
  writePrivate(keyPath, identity.privateKeyPem);
  writePrivate(certificatePath, identity.certificatePem);
  return identity;
}

export function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: PRIVATE_FILE_MODE, flush: true });
  renameSync(`${path}.new`, path);
}
