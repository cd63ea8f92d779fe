// The jobs of a disk thread on a folder that is looked through (scan-jobs.ts). No link is followed.
import { createHash } from "node:crypto";
import { closeSync, type Dirent, fstatSync, lstatSync, openSync, readdirSync, type Stats } from "node:fs";
import { errnoOf } from "../net/errno.ts";
import { SHORT_READ } from "./disk-errors.ts";
import type { DiskIo, HashPartsJob, SharedBytes } from "./disk-jobs.ts";
import { READ_NO_FOLLOW } from "./file-facts.ts";
import { timeOf } from "./folder-facts.ts";
import { OpenFolder } from "./open-folder.ts";
import {
  type FilesToHash,
  type ListFolderJob,
  PathKind,
  STAT_NUMBERS,
  type StatFilesJob,
  sortKey,
} from "./scan-jobs.ts";

const SHA1_BYTES = 20;
/** A path that has gone, with a part of it perhaps. */
const GONE = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);

export function listFolder({ path }: ListFolderJob): Uint8Array {
  // In Latin-1 a name has a character for each byte: so the order of strings is that of bytes, and any bytes are kept.
  const listed = readdirSync(path, { withFileTypes: true, encoding: "latin1" }).map((entry) => {
    const kind =
      kindOf(entry) ??
      kindOf(lstatSync(Buffer.from(`${Buffer.from(path).toString("latin1")}/${entry.name}`, "latin1")));
    return { name: entry.name, kind: kind ?? PathKind.DEVICE };
  });
  listed.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  return new Uint8Array(
    Buffer.from(listed.map(({ name, kind }) => `${String.fromCharCode(kind)}${name}\0`).join(""), "latin1"),
  );
}

/** undefined for an entry whose kind the file system does not tell. */
function kindOf(entry: Dirent | Stats): number | undefined {
  if (entry.isFile()) return PathKind.FILE;
  if (entry.isDirectory()) return PathKind.FOLDER;
  if (entry.isSymbolicLink()) return PathKind.LINK;
  if (entry.isFIFO()) return PathKind.FIFO;
  if (entry.isSocket()) return PathKind.SOCKET;
  return entry.isBlockDevice() || entry.isCharacterDevice() ? PathKind.DEVICE : undefined;
}

export function statFiles({ folderPath, paths }: StatFilesJob): Float64Array {
  const numbers = new Float64Array(paths.length * STAT_NUMBERS);
  using folder = new OpenFolder({ path: folderPath, folderId: undefined });
  for (const [index, path] of paths.entries()) {
    const stats = statIfThere(folder, path, index);
    if (stats === undefined) continue;
    const { size, mode } = stats;
    numbers.set([kindOf(stats) ?? PathKind.DEVICE, size, timeOf(stats), mode], index * STAT_NUMBERS);
  }
  return numbers;
}

function statIfThere(folder: OpenFolder, path: string, index: number): Stats | undefined {
  try {
    return lstatSync(folder.at(path), { throwIfNoEntry: false });
  } catch (error) {
    if (GONE.has(errnoOf(error) ?? "")) return undefined;
    throw about(index, error);
  }
}

/** @returns the bytes of all files */
export function readFiles(
  { folderPath, paths, lengths, mtimesMs, into }: FilesToHash & { readonly into: SharedBytes },
  io: DiskIo,
): Uint8Array {
  using folder = new OpenFolder({ path: folderPath, folderId: undefined });
  let end = 0;
  for (const [index, path] of paths.entries()) {
    const lengthBytes = lengths[index] ?? 0;
    try {
      readFile(folder.at(path), into.subarray(end, end + lengthBytes + 1), mtimesMs[index], io);
    } catch (error) {
      throw about(index, error);
    }
    end += lengthBytes;
  }
  return into.subarray(0, end);
}

/** @param into one byte longer than the file must be, so that a file with more than it says is noticed */
function readFile(path: string, into: Uint8Array, mtimeMs: number | undefined, io: DiskIo): void {
  const lengthBytes = into.length - 1;
  const isAsExpected = (stats: Stats) =>
    stats.isFile() && stats.size === lengthBytes && timeOf(stats) === mtimeMs;
  const fd = openSync(path, READ_NO_FOLLOW);
  try {
    if (!isAsExpected(fstatSync(fd))) throw changed();
    let done = 0;
    for (let count = -1; count !== 0 && done < into.length; done += count) {
      count = io.readSync(fd, into, done, into.length - done, done);
    }
    if (done !== lengthBytes || !isAsExpected(fstatSync(fd))) throw changed();
  } finally {
    closeSync(fd);
  }
}

export function hashParts({ bytes, lengths }: HashPartsJob): Uint8Array {
  const hashes = new Uint8Array(lengths.length * SHA1_BYTES);
  let end = 0;
  for (const [index, lengthBytes] of lengths.entries()) {
    const sha1 = createHash("sha1").update(bytes.subarray(end, end + lengthBytes));
    hashes.set(sha1.digest(), index * SHA1_BYTES);
    end += lengthBytes;
  }
  return hashes;
}

function changed(): Error {
  return Object.assign(new Error("the file is not as it was"), { code: SHORT_READ });
}

/** The same error, which says which of the job's files it is about. */
function about(index: number, error: unknown): unknown {
  return error instanceof Error ? Object.assign(error, { at: index }) : error;
}
