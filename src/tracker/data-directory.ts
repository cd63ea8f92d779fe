// A tracker's data directory, private to its user. registry/sqlite-registry.ts owns the registry's file,
// identity/stored-identity.ts the tracker's key.
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { PRIVATE_FILE_MODE } from "../identity/private-files.ts";
import { CERTIFICATE_FILE, KEY_FILE } from "../identity/stored-identity.ts";

/** Mode bits of group and others. */
const OTHERS_MAY = 0o077;
export const REGISTRY_FILE = "registry.sqlite";
export const PINS_FILE = "pins.sqlite";
export const ATTEMPTS_FILE = "attempts.sqlite";

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
