// The file system's side of a download: NAME.part, sparse at its full length from the start, and how it takes its name.
// Never follows a symbolic link, never overwrites a file that it did not make.
import { constants, type Stats } from "node:fs";
import { type FileHandle, link, lstat, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { errnoOf, partLost, writeError } from "./disk-errors.ts";
import { noRoom, roomBytes } from "./disk-room.ts";
import { type FileFacts, factsOf, factsOfExact, fileIdOf } from "./file-facts.ts";

/** What a file system without hard links (exFAT, some network shares) says to `link`. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);
/** What a file system says that cannot sync a folder: its names are as safe as it makes them. */
const NO_FOLDER_SYNC = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "EPERM", "EACCES", "EISDIR", "EBADF"]);
/** `st_blocks` counts in units of 512 bytes (POSIX), whatever the file system's block is. */
const STAT_BLOCK_BYTES = 512;

export interface OpenPart {
  readonly handle: FileHandle;
  /** How the file was found, before anything was done to it; undefined if it was not there. */
  readonly found: FileFacts | undefined;
  /** How it is now. */
  readonly facts: FileFacts;
  /** See `fileIdOf`. */
  readonly fileId: string;
}

/**
 * Opens the part file, or makes it.
 *
 * @param mayExist the profile knows the file; otherwise one that is there is somebody else's
 * @param missingBytes most bytes that are still to be written
 * @param promisedBytes what others are still to write to that disk
 * @throws MiniTorrentError FILE_EXISTS, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function openPart(
  path: string,
  lengthBytes: number,
  mayExist: boolean,
  missingBytes: number,
  promisedBytes = 0,
): Promise<OpenPart> {
  const { handle, isNew } = await openOrCreate(path, mayExist, lengthBytes);
  try {
    // A file that was just made is a regular one, and empty.
    const before = isNew ? undefined : await handle.stat();
    if (before?.isFile() === false) {
      throw new MiniTorrentError("DESTINATION_UNUSABLE", `${path} is not a regular file: remove it.`);
    }
    const unallocatedBytes = Math.max(0, lengthBytes - (before?.blocks ?? 0) * STAT_BLOCK_BYTES);
    const neededBytes = Math.min(missingBytes, unallocatedBytes);
    const room = await roomBytes(path);
    if (neededBytes > 0 && room < neededBytes + promisedBytes) {
      throw noRoom(path, room, neededBytes, promisedBytes);
    }
    if (before?.size !== lengthBytes) await handle.truncate(lengthBytes);
    const stats = await handle.stat({ bigint: true });
    const found = before && factsOf(before);
    return { handle, found, facts: factsOfExact(stats), fileId: fileIdOf(stats) };
  } catch (error) {
    await handle.close();
    if (isNew) await unlink(path);
    throw writeError(error, path);
  }
}

/**
 * Gives the part file the name, if no other file has it, and makes both data and name durable.
 *
 * @throws MiniTorrentError FILE_EXISTS; FILE_CHANGED if the part file is no longer the one that is open;
 * DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function takeName(
  handle: FileHandle,
  partPath: string,
  destinationPath: string,
): Promise<FileFacts> {
  try {
    await handle.sync();
    // Taken once: names come and go, but it stays the same file; and whatever changes its bytes after this is a change.
    const own = await handle.stat();
    await checkSameFile(own, partPath, destinationPath);
    await linkWithoutOverwriting(own, partPath, destinationPath);
    await syncFolder(dirname(destinationPath));
    return factsOf(own);
  } catch (error) {
    throw writeError(error, destinationPath);
  }
}

/** Removes the part file, if the name is still that file's. */
export async function removePart(path: string, own: Stats): Promise<void> {
  try {
    const named = await lstatIfThere(path);
    if (named !== undefined && isSameFile(named, own)) await unlink(path);
  } catch (error) {
    throw writeError(error, path);
  }
}

async function openOrCreate(
  path: string,
  mayExist: boolean,
  lengthBytes: number,
): Promise<{ handle: FileHandle; isNew: boolean }> {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  try {
    return { handle: await open(path, O_RDWR | O_CREAT | O_EXCL), isNew: true };
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw writeError(error, path);
    if (!mayExist && !(await isLeftEmpty(path, lengthBytes))) {
      throw new MiniTorrentError(
        "FILE_EXISTS",
        `${path} is there already, and not of a download that is known: remove it or choose another place.`,
        { cause: error },
      );
    }
  }
  try {
    return { handle: await open(path, O_RDWR | O_NOFOLLOW), isNew: false };
  } catch (error) {
    throw writeError(error, path);
  }
}

/** What a crash between making the part file and noting it leaves: a file of that length, or none, without any data. */
async function isLeftEmpty(path: string, lengthBytes: number): Promise<boolean> {
  const left = await lstatIfThere(path);
  return left?.isFile() === true && left.blocks === 0 && (left.size === 0 || left.size === lengthBytes);
}

async function checkSameFile(own: Stats, partPath: string, destinationPath: string): Promise<void> {
  let named = await lstatIfThere(partPath);
  // A crash between the new name and the end of the old one, or after both.
  named ??= await lstatIfThere(destinationPath);
  if (named === undefined || !isSameFile(own, named)) throw partLost(partPath);
}

async function linkWithoutOverwriting(own: Stats, partPath: string, destinationPath: string): Promise<void> {
  try {
    await link(partPath, destinationPath);
  } catch (error) {
    const code = errnoOf(error) ?? "";
    if (NO_LINKS.has(code)) return renameOntoClaim(partPath, destinationPath);
    const there = code === "EEXIST" || code === "ENOENT" ? await lstatIfThere(destinationPath) : undefined;
    if (there === undefined) throw error;
    if (!isSameFile(own, there)) throw taken(destinationPath, error);
  }
  const old = await lstatIfThere(partPath);
  if (old !== undefined && isSameFile(own, old)) await unlink(partPath);
}

/** Claims the name with an empty file, which the part file then replaces. */
async function renameOntoClaim(partPath: string, destinationPath: string): Promise<void> {
  let claim: Stats;
  try {
    const handle = await open(destinationPath, "wx");
    try {
      claim = await handle.stat();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw errnoOf(error) === "EEXIST" ? taken(destinationPath, error) : error;
  }
  try {
    await rename(partPath, destinationPath);
  } catch (error) {
    // The claim would be in the way of the next finish.
    const there = await lstatIfThere(destinationPath);
    if (there?.size === 0 && isSameFile(claim, there)) await unlink(destinationPath);
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(errnoOf(error) ?? "")) throw error;
  }
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function isSameFile(a: Stats, b: Stats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

function taken(path: string, cause: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "FILE_EXISTS",
    `${path} is there already: remove it or choose another name, then resume.`,
    { cause },
  );
}
