// The file system's side of a download: NAME.part, sparse at its full length from the start, and how it takes its name.
// Never follows a symbolic link, and never writes to a file that it did not create: a part file is recognised by its id, which
// is recorded before the file gets its visible name, and never by its appearance.
import { randomUUID } from "node:crypto";
import { type BigIntStats, constants, type Stats } from "node:fs";
import { copyFile, type FileHandle, link, lstat, open, rename, rm, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { errnoOf } from "../net/errno.ts";
import { freeBytes } from "../net/free-space.ts";
import { NO_FOLDER_SYNC, NO_LINKS, noRoom, partLost, writeError, writtenTo } from "./disk-errors.ts";
import { changeIn, type FileFacts, factsOf, factsOfExact, fileIdOf, isSameFacts } from "./file-facts.ts";

/** What the system says to the opening of a name that is nobody's, or something else's than a file's. */
const NOT_THAT_FILE = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ENXIO", "ENODEV"]);
/** To read and write what has that very name; without waiting, should that be a named pipe by now. */
const OWN_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** `st_blocks` counts in units of 512 bytes (POSIX), whatever the file system's block is. */
const STAT_BLOCK_BYTES = 512;
/** Suffix of a part file during creation. It identifies leftovers of a power cut to a person who finds one. */
const UNNAMED_SUFFIX = ".minitorrent-new";

export interface OpenPart {
  readonly handle: FileHandle;
  /** How the file was found, before anything was done to it; undefined if it was not there. */
  readonly found: FileFacts | undefined;
  /** How it is now. */
  readonly facts: FileFacts;
  /** See `fileIdOf`. */
  readonly fileId: string;
}

export interface PartFileOptions {
  /** NAME.part. */
  readonly path: string;
  readonly lengthBytes: number;
  /** True if the download owns the file of that name; otherwise an existing one belongs to another program. */
  readonly isOwn: boolean;
  /** Which file it is then (see `OpenPart`): another one is not touched. @default any */
  readonly ownFileId?: string;
  /** Temporary name for creation, which nobody else uses. @default a random one beside it */
  readonly unnamedPath?: string;
  /** Upper bound of the bytes still to be written. */
  readonly missingBytes: number;
  /** Bytes that other downloads still have to write to that disk. @default 0 */
  readonly promisedBytes?: number;
  /**
   * Records the file before it gets its name, so that no crash leaves an unknown part file.
   *
   * @param part `facts` and `fileId` of the created file
   */
  readonly onMade?: (part: Pick<OpenPart, "facts" | "fileId">) => void;
}

/**
 * Opens the part file, or makes it.
 *
 * @throws MiniTorrentError FILE_EXISTS, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function openPart(options: PartFileOptions): Promise<OpenPart> {
  const own = options.isOwn ? await openOwn(options.path) : undefined;
  return own === undefined ? await makePart(options) : await continuePart(own, options);
}

/**
 * Opens the part file again that has been open before, by the name that it has now.
 *
 * @param fileId see `OpenPart`
 * @throws MiniTorrentError FILE_CHANGED if another file has that name, or none; DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function openPartAgain(path: string, fileId: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(path, OWN_FLAGS);
  } catch (error) {
    throw NOT_THAT_FILE.has(errnoOf(error) ?? "") ? partLost(path) : writeError(error, path);
  }
  if (fileIdOf(await handle.stat({ bigint: true })) === fileId) return handle;
  await handle.close();
  throw partLost(path);
}

/** A random temporary name beside the part file. */
export function unnamedPathOf(partPath: string, token: string): string {
  return join(dirname(partPath), `.${token}${UNNAMED_SUFFIX}`);
}

/** Removes the file, or the folder, that a crash during creation left. @throws MiniTorrentError DESTINATION_UNUSABLE, DISK_FAILED */
export async function removeUnnamed(unnamedPath: string): Promise<void> {
  try {
    await rm(unnamedPath, { recursive: true, force: true });
  } catch (error) {
    throw writeError(error, unnamedPath);
  }
}

async function continuePart(handle: FileHandle, options: PartFileOptions): Promise<OpenPart> {
  const { path, ownFileId } = options;
  try {
    if (ownFileId !== undefined && fileIdOf(await handle.stat({ bigint: true })) !== ownFileId) {
      throw partLost(path);
    }
    const before = await handle.stat();
    if (!before.isFile()) {
      throw new MiniTorrentError("DESTINATION_UNUSABLE", `${path} is not a regular file: remove it.`);
    }
    await stretch(handle, before, options);
    const stats = await handle.stat({ bigint: true });
    return { handle, found: factsOf(before), facts: factsOfExact(stats), fileId: fileIdOf(stats) };
  } catch (error) {
    await handle.close();
    throw writeError(error, path);
  }
}

async function makePart(options: PartFileOptions): Promise<OpenPart> {
  const { path } = options;
  const unnamedPath = options.unnamedPath ?? unnamedPathOf(path, randomUUID());
  let handle: FileHandle | undefined;
  try {
    if ((await lstatIfThere(path)) !== undefined) throw notOurs(path);
    handle = await open(unnamedPath, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
    // A freshly created file is a regular file, and empty.
    await stretch(handle, { size: 0, blocks: 0 }, options);
    const stats = await handle.stat({ bigint: true });
    const made = { facts: factsOfExact(stats), fileId: fileIdOf(stats) };
    options.onMade?.(made);
    await takePartName(unnamedPath, path);
    return { handle, found: undefined, ...made };
  } catch (error) {
    await handle?.close();
    if (handle !== undefined) await rm(unnamedPath, { force: true });
    throw writeError(error, path);
  }
}

/** Extends the file to its full length, if the disk has room for the missing bytes. */
async function stretch(
  handle: FileHandle,
  before: { readonly size: number; readonly blocks: number },
  { path, lengthBytes, missingBytes, promisedBytes = 0 }: PartFileOptions,
): Promise<void> {
  const unallocatedBytes = Math.max(0, lengthBytes - before.blocks * STAT_BLOCK_BYTES);
  const neededBytes = Math.min(missingBytes, unallocatedBytes);
  const room = await freeBytes(dirname(path));
  if (neededBytes > 0 && room < neededBytes + promisedBytes) {
    throw noRoom(path, room, neededBytes, promisedBytes);
  }
  if (before.size !== lengthBytes) await handle.truncate(lengthBytes);
}

export interface Naming {
  readonly partPath: string;
  readonly destinationPath: string;
  /** The file's `changeOf` when it was verified. */
  readonly change: string;
}

/**
 * Gives the part file the name, if no other file has it, and makes both data and name durable.
 *
 * @throws MiniTorrentError FILE_EXISTS; FILE_CHANGED if the part file is no longer the one that is open, or was written to
 * after it was verified; DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function takeName(
  handle: FileHandle,
  { partPath, destinationPath, change }: Naming,
): Promise<FileFacts> {
  try {
    await handle.sync();
    // Taken once: names come and go, but it stays the same file; and whatever changes its bytes after this is a change.
    const own = await handle.stat({ bigint: true });
    if (changeIn(own) !== change) throw writtenTo(partPath);
    await checkSameFile(own, partPath, destinationPath);
    await linkWithoutOverwriting(own, partPath, destinationPath);
    await syncFolder(dirname(destinationPath));
    const facts = factsOfExact(own);
    // A write between the look at the file and its new name.
    if (!isSameFacts(factsOf(await handle.stat()), facts)) throw writtenTo(destinationPath);
    return facts;
  } catch (error) {
    throw writeError(error, destinationPath);
  }
}

/**
 * Renames a part file, by copying if the target is on another file system. Never overwrites.
 *
 * @throws MiniTorrentError FILE_EXISTS, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function movePart(oldPath: string, newPath: string): Promise<void> {
  try {
    await takePartName(oldPath, newPath);
  } catch (error) {
    if (errnoOf(error) !== "EXDEV") throw writeError(error, newPath);
    await copyPart(oldPath, newPath);
  }
}

async function copyPart(oldPath: string, newPath: string): Promise<void> {
  const unnamedPath = unnamedPathOf(newPath, randomUUID());
  try {
    await copyFile(oldPath, unnamedPath, constants.COPYFILE_EXCL);
    await takePartName(unnamedPath, newPath);
  } catch (error) {
    await rm(unnamedPath, { force: true });
    throw writeError(error, newPath);
  }
  try {
    await unlink(oldPath);
  } catch (error) {
    throw writeError(error, oldPath);
  }
}

/** Opens the file of that name, if there is one. */
async function openOwn(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, OWN_FLAGS);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw writeError(error, path);
  }
}

/** Uses `link` and `unlink`, since `rename` would replace a file that has appeared meanwhile. */
async function takePartName(unnamedPath: string, path: string): Promise<void> {
  try {
    await link(unnamedPath, path);
  } catch (error) {
    const code = errnoOf(error) ?? "";
    if (code === "EEXIST") throw notOurs(path, error);
    if (!NO_LINKS.has(code)) throw error;
    return renameOntoClaim(unnamedPath, path, notOurs);
  }
  await unlink(unnamedPath);
}

async function checkSameFile(own: FileNumbers, partPath: string, destinationPath: string): Promise<void> {
  let named = await lstatIfThere(partPath);
  // A crash between the new name and the end of the old one, or after both.
  named ??= await lstatIfThere(destinationPath);
  if (named === undefined || !isSameFile(own, named)) throw partLost(partPath);
}

async function linkWithoutOverwriting(
  own: FileNumbers,
  partPath: string,
  destinationPath: string,
): Promise<void> {
  try {
    await link(partPath, destinationPath);
  } catch (error) {
    const code = errnoOf(error) ?? "";
    if (NO_LINKS.has(code)) return renameOntoClaim(partPath, destinationPath, taken);
    const there = code === "EEXIST" || code === "ENOENT" ? await lstatIfThere(destinationPath) : undefined;
    if (there === undefined) throw error;
    if (!isSameFile(own, there)) throw taken(destinationPath, error);
  }
  const old = await lstatIfThere(partPath);
  if (old !== undefined && isSameFile(own, old)) await unlink(partPath);
}

/** Claims the name with an empty file, which a rename then replaces. */
async function renameOntoClaim(
  oldPath: string,
  newPath: string,
  refuse: (path: string, cause: unknown) => MiniTorrentError,
): Promise<void> {
  let claim: Stats;
  try {
    const handle = await open(newPath, "wx");
    try {
      claim = await handle.stat();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw errnoOf(error) === "EEXIST" ? refuse(newPath, error) : error;
  }
  try {
    await rename(oldPath, newPath);
  } catch (error) {
    // The claim would be in the way of the next finish.
    const there = await lstatIfThere(newPath);
    if (there?.size === 0 && isSameFile(claim, there)) await unlink(newPath);
    throw error;
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
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

export async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Which file it is, among those that exist at one time. */
type FileNumbers = Pick<Stats | BigIntStats, "dev" | "ino">;

function isSameFile(a: FileNumbers, b: FileNumbers): boolean {
  return BigInt(a.dev) === BigInt(b.dev) && BigInt(a.ino) === BigInt(b.ino);
}

/** FILE_EXISTS, for the final name. */
export function taken(path: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "FILE_EXISTS",
    `${path} is there already: remove it or choose another name, then resume.`,
    { cause },
  );
}

/** FILE_EXISTS, for the name of a part file. */
export function notOurs(path: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "FILE_EXISTS",
    `${path} exists already and belongs to no known download; remove it or choose another destination.`,
    { cause },
  );
}
