// Writes files atomically and durably, readable by their owner alone. A name is on disk only after its folder was synced
// (fsync(2)), so durable renames go through here.
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";

export const PRIVATE_FILE_MODE = 0o600;
/** Errors of file systems that cannot sync a folder: some network and user-space ones. */
const NO_FOLDER_SYNC: ReadonlySet<unknown> = new Set(["EINVAL", "ENOTSUP", "EPERM", "EISDIR"]);

/** Writes the text atomically: after a crash the file has the new text or the old one. */
export function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: PRIVATE_FILE_MODE, flush: true });
  renameDurably(`${path}.new`, path);
}

/** Renames the file; returns once the new name is on disk and the old one is gone. */
export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
  if (dirname(from) !== dirname(to)) syncFolder(dirname(from));
}

/** Syncs the folder; returns once its current names are on disk. */
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

/**
 * Makes a data directory, with its parents, that only this user can read; one that is there becomes private.
 *
 * @throws MiniTorrentError DISK_FAILED
 */
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
