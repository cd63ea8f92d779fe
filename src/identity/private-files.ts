// Files for their owner alone that must be there after a power cut: written whole, under their name in one step. A name is
// on disk only once its folder is (fsync(2)), so a rename that matters goes through here.
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export const PRIVATE_FILE_MODE = 0o600;
/** Where a folder cannot be synced: some network and user-space file systems. */
const NO_FOLDER_SYNC: ReadonlySet<unknown> = new Set(["EINVAL", "ENOTSUP", "EPERM", "EISDIR"]);

/** The file has that text, or what it had before, whatever happens meanwhile. */
export function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: PRIVATE_FILE_MODE, flush: true });
  renameDurably(`${path}.new`, path);
}

/** Returns once the new name is on disk, and the old one is not. */
export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
  if (dirname(from) !== dirname(to)) syncFolder(dirname(from));
}

/** Returns once the names in that folder are on disk as they are now. */
export function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && NO_FOLDER_SYNC.has(error.code))) throw error;
  } finally {
    closeSync(folder);
  }
}
