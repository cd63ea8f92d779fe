// A file that is only read: opening it safely, and what tells whether it is still as it was.
import { type BigIntStats, constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { fileChanged, readError } from "./disk-errors.ts";

const NS_PER_S = 1_000_000_000n;

/**
 * To open what has that very name, and no link's target; without O_NONBLOCK the opening of a named pipe would wait for a writer.
 * Windows has neither flag.
 */
export const NO_FOLLOW = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
export const READ_NO_FOLLOW = constants.O_RDONLY | NO_FOLLOW;

/** What tells whether a file is as it was: kept in the profile, compared when it is opened again. */
export interface FileFacts {
  readonly lengthBytes: number;
  readonly mtimeMs: number;
}

export function factsOf(stats: Stats): FileFacts {
  return { lengthBytes: stats.size, mtimeMs: stats.mtimeMs };
}

/** The same from the stats that also tell which file it is; as Node counts milliseconds, to the last bit. */
export function factsOfExact({ size, mtimeNs }: BigIntStats): FileFacts {
  const mtimeMs = Number(mtimeNs / NS_PER_S) * 1000 + Number(mtimeNs % NS_PER_S) / 1e6;
  return { lengthBytes: Number(size), mtimeMs };
}

/** Which file it is: device, inode, and when it was made, since the inode of a file that is gone is given to the next one. */
export function fileIdOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** A value that differs after every change of the file: its length and its times, of which ctime cannot be set. */
export async function changeOf(handle: FileHandle): Promise<string> {
  return changeIn(await handle.stat({ bigint: true }));
}

/** As `changeOf`. */
export function changeIn({ size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${size}:${mtimeNs}:${ctimeNs}`;
}

export function isSameFacts(a: FileFacts, b: FileFacts): boolean {
  return a.lengthBytes === b.lengthBytes && a.mtimeMs === b.mtimeMs;
}

export interface OpenedFile {
  readonly handle: FileHandle;
  readonly facts: FileFacts;
  /** See `fileIdOf`. */
  readonly fileId: string;
}

/** @throws MiniTorrentError FILE_NOT_FOUND, NOT_A_FILE, DISK_FAILED */
export async function openRegularFile(path: string): Promise<OpenedFile> {
  try {
    // Without O_NONBLOCK the opening of a named pipe would wait for a writer.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat({ bigint: true });
    if (stats.isFile()) return { handle, facts: factsOfExact(stats), fileId: fileIdOf(stats) };
    await handle.close();
  } catch (error) {
    throw readError(error, path);
  }
  throw new MiniTorrentError(
    "NOT_A_FILE",
    `${path} is neither a regular file nor a folder: name one of these.`,
  );
}

/**
 * Opens a file again that is only read, and has been open before.
 *
 * @throws MiniTorrentError FILE_CHANGED if another file has that name, or it is not as it was; see `openRegularFile`
 */
export async function openSharedAgain(
  path: string,
  expected: Pick<OpenedFile, "facts" | "fileId">,
): Promise<FileHandle> {
  const { handle, facts, fileId } = await openRegularFile(path);
  if (fileId === expected.fileId && isSameFacts(facts, expected.facts)) return handle;
  await handle.close();
  throw fileChanged(path);
}
