// Writes a backup of a data directory while the tracker serves: copies of the registry and of the tracker's key.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { renameDurably, syncFolder, writePrivate } from "../identity/private-files.ts";
import { CERTIFICATE_FILE, KEY_FILE } from "../identity/stored-identity.ts";
import { REGISTRY_FILE } from "./data-directory.ts";
import type { SqliteRegistry } from "./registry/sqlite-registry.ts";

/**
 * The folder appears only once it is complete.
 *
 * @throws MiniTorrentError DESTINATION_UNUSABLE if there is such a folder or file, or it cannot be made
 * @throws MiniTorrentError DISK_FAILED, DISK_FULL
 */
export async function backUp(
  dataDir: string,
  registry: Pick<SqliteRegistry, "backUp">,
  folder: string,
): Promise<void> {
  const unfinished = `${folder}.unfinished`;
  try {
    if (existsSync(folder)) throw new Error("it exists already");
    mkdirSync(unfinished, { mode: 0o700 });
  } catch (error) {
    const sentence = `The backup cannot be made at ${folder}: ${error instanceof Error ? error.message : String(error)}.`;
    throw new MiniTorrentError("DESTINATION_UNUSABLE", sentence, { cause: error });
  }
  try {
    for (const name of [KEY_FILE, CERTIFICATE_FILE]) {
      writePrivate(join(unfinished, name), readFileSync(join(dataDir, name), "utf8"));
    }
    await registry.backUp(join(unfinished, REGISTRY_FILE));
    syncFolder(unfinished);
    renameDurably(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
}
