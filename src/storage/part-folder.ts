// The folder of a download: NAME.part, how it is made, and how it takes its name. As with part files, a folder is recognised by
// its id, which is recorded before the folder gets its visible name, and a name that is taken is never replaced: a rename
// replaces at most an empty folder. Files that are not chosen but share pieces with chosen ones are kept beside it, in
// `.NAME.ID.minitorrent-rest`, whose name holds a hash of the folder's id: so it can only be this download's.
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { cp, lstat, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { errnoOf } from "../net/errno.ts";
import { freeBytes } from "../net/free-space.ts";
import { noRoom, partLost, writeError } from "./disk-errors.ts";
import { type FileFacts, fileIdOf } from "./file-facts.ts";
import {
  lstatIfThere,
  notOurs,
  type PartFileOptions,
  syncFolder,
  taken,
  unnamedPathOf,
} from "./part-file.ts";

const REST_SUFFIX = ".minitorrent-rest";
const MAX_NAME_BYTES = 255;
/** What a rename says when its target is there, and is not an empty folder. */
const IS_TAKEN = new Set(["ENOTEMPTY", "EEXIST", "ENOTDIR", "EISDIR", "EPERM"]);

export interface OpenedFolder {
  /** It was there, and is continued. */
  readonly isFound: boolean;
  readonly facts: FileFacts;
  /** See `fileIdOf`. */
  readonly folderId: string;
}

/**
 * Finds the folder of a download, or makes it.
 *
 * @throws MiniTorrentError FILE_EXISTS, FILE_CHANGED, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function openPartFolder(options: Omit<PartFileOptions, "lengthBytes">): Promise<OpenedFolder> {
  const { path, isOwn, ownFileId, missingBytes, promisedBytes = 0 } = options;
  try {
    const room = await freeBytes(dirname(path));
    if (missingBytes > 0 && room < missingBytes + promisedBytes) {
      throw noRoom(path, room, missingBytes, promisedBytes);
    }
    const found = await folderAt(path);
    if (found === undefined) return await makePartFolder(options);
    if (!isOwn) throw notOurs(path);
    if (ownFileId !== undefined && found.folderId !== ownFileId) throw partLost(path);
    return found;
  } catch (error) {
    throw writeError(error, path);
  }
}

/** The folder of that name, not through a link; undefined if there is none. @throws FILE_EXISTS; errors of the system */
export async function folderAt(path: string): Promise<OpenedFolder | undefined> {
  let stats: Awaited<ReturnType<typeof lstatExact>>;
  try {
    stats = await lstatExact(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
  if (!stats.isDirectory()) {
    throw new MiniTorrentError("FILE_EXISTS", `${path} is there already, and is no folder: remove it.`);
  }
  const facts = { lengthBytes: 0, mtimeMs: Number(stats.mtimeMs) };
  return { isFound: true, facts, folderId: fileIdOf(stats) };
}

function lstatExact(path: string) {
  return lstat(path, { bigint: true });
}

async function makePartFolder(options: Omit<PartFileOptions, "lengthBytes">): Promise<OpenedFolder> {
  const { path, onMade } = options;
  const unnamedPath = options.unnamedPath ?? unnamedPathOf(path, randomUUID());
  await mkdir(unnamedPath);
  try {
    const made = await folderAt(unnamedPath);
    if (made === undefined) throw partLost(unnamedPath);
    onMade?.({ facts: made.facts, fileId: made.folderId });
    await renameWithoutReplacing(unnamedPath, path, notOurs);
    return { ...made, isFound: false };
  } catch (error) {
    await rm(unnamedPath, { recursive: true, force: true });
    throw error;
  }
}

export interface FolderNaming {
  readonly folderId: string;
  readonly partPath: string;
  readonly destinationPath: string;
}

/**
 * Gives the folder its name, if nothing else has it. The name is durable once `syncName` is over.
 *
 * @throws MiniTorrentError FILE_EXISTS; FILE_CHANGED if the folder is no longer the one that was written to;
 * DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function takeFolderName({ folderId, partPath, destinationPath }: FolderNaming): Promise<void> {
  try {
    const isNamed = (await folderAt(destinationPath).catch(() => undefined))?.folderId === folderId;
    if (isNamed) return;
    if ((await folderAt(partPath))?.folderId !== folderId) throw partLost(partPath);
    await renameWithoutReplacing(partPath, destinationPath, taken);
  } catch (error) {
    throw writeError(error, destinationPath);
  }
}

/** @throws MiniTorrentError DISK_FAILED */
export async function syncName(path: string): Promise<void> {
  try {
    await syncFolder(dirname(path));
  } catch (error) {
    throw writeError(error, path);
  }
}

/**
 * Moves the folder of a download, by copying if the target is on another file system, where it is another folder then.
 *
 * @throws MiniTorrentError FILE_EXISTS, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function movePartFolder(oldPath: string, newPath: string, fileName: string): Promise<void> {
  const restOf = async (path: string) => restPathOf(path, fileName, (await folderAt(path))?.folderId ?? "");
  try {
    const oldRest = await restOf(oldPath);
    await moveFolder(oldPath, newPath);
    const newRest = await restOf(newPath);
    if ((await folderAt(oldRest)) !== undefined) await moveFolder(oldRest, newRest);
  } catch (error) {
    throw writeError(error, newPath);
  }
}

async function moveFolder(oldPath: string, newPath: string): Promise<void> {
  try {
    await renameWithoutReplacing(oldPath, newPath, notOurs);
    return;
  } catch (error) {
    if (errnoOf(error) !== "EXDEV") throw error;
  }
  const unnamedPath = unnamedPathOf(newPath, randomUUID());
  try {
    const mode = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;
    const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, mode };
    await cp(oldPath, unnamedPath, options);
    await renameWithoutReplacing(unnamedPath, newPath, notOurs);
  } catch (error) {
    await rm(unnamedPath, { recursive: true, force: true });
    throw error;
  }
  await rm(oldPath, { recursive: true, force: true });
}

/** Where the files are that are not chosen and share pieces with chosen ones. */
export function restPathOf(folderPath: string, fileName: string, folderId: string): string {
  const end = `.${createHash("sha256").update(folderId).digest("hex").slice(0, 16)}${REST_SUFFIX}`;
  const name = Buffer.from(fileName).subarray(0, MAX_NAME_BYTES - 1 - end.length);
  // A character that is cut in the middle is left out.
  return join(dirname(folderPath), `.${new TextDecoder().decode(name).replace(/\ufffd+$/, "")}${end}`);
}

/** Removes the rest beside a folder. */
export async function removeRest(restPath: string): Promise<void> {
  try {
    await rm(restPath, { recursive: true, force: true });
  } catch (error) {
    throw writeError(error, restPath);
  }
}

/**
 * Removes the folder of a download with all that is in it; another folder of that name stays.
 *
 * @throws MiniTorrentError DESTINATION_UNUSABLE, DISK_FAILED
 */
export async function removePartFolder(path: string, fileName: string, folderId: string): Promise<void> {
  try {
    await removeRest(restPathOf(path, fileName, folderId));
    if ((await folderAt(path).catch(() => undefined))?.folderId === folderId) {
      await rm(path, { recursive: true, force: true });
    }
  } catch (error) {
    throw writeError(error, path);
  }
}

/** A rename of a folder replaces at most an empty folder. @throws what `refuse` makes if the name is taken; errors of the system */
export async function renameWithoutReplacing(
  oldPath: string,
  newPath: string,
  refuse: (path: string, cause?: unknown) => MiniTorrentError,
): Promise<void> {
  if ((await lstatIfThere(newPath)) !== undefined) throw refuse(newPath);
  try {
    await rename(oldPath, newPath);
  } catch (error) {
    const isTaken = IS_TAKEN.has(errnoOf(error) ?? "") && (await lstatIfThere(newPath)) !== undefined;
    throw isTaken ? refuse(newPath, error) : error;
  }
}
