// The jobs of a disk thread on the files of a folder: each opens the files that it needs, and closes them before it ends. A piece
// is written to all of its files, or to none if it, or a whole file in it, has another hash than it must have.
import { createHash, randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  type Stats,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { dirname, posix } from "node:path";
import { errnoOf } from "../net/errno.ts";
import { FILE_DIFFERS, NO_FOLDER_SYNC, NO_LINKS, SHORT_READ } from "./disk-errors.ts";
import type { DiskIo, DiskResult } from "./disk-jobs.ts";
import { NO_FOLLOW, READ_NO_FOLLOW } from "./file-facts.ts";
import { timeOf } from "./folder-facts.ts";
import {
  type FileToSync,
  type FolderFileRange,
  type FolderFinishJob,
  type FolderJob,
  type FolderLinkJob,
  type FolderMoveJob,
  type FolderPair,
  type FolderReadJob,
  type FolderStatJob,
  type FolderSyncJob,
  type FolderWriteJob,
  type SpanToRead,
  type SpanToWrite,
  WRONG_FILE_SHA1,
} from "./folder-jobs.ts";
import { OpenFolder } from "./open-folder.ts";

const SHA1_BYTES = 20;
const STEP_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);
const WRITE_FLAGS = constants.O_RDWR | constants.O_CREAT | NO_FOLLOW;
/** Everyone who may read the file may execute it. */
const EXECUTABLE_BITS = 0o111;
/** A longer file is copied piece by piece, so that no job takes long. */
const MAX_COPY_BYTES = 4 * 1024 * 1024;
/** What is said of a file that is not there, or not a file of ours. */
const MISSING = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ENXIO", "ENODEV", SHORT_READ]);

const stepBuffer = new Uint8Array(STEP_BYTES);

export function performInFolder(job: FolderJob, io: DiskIo): DiskResult {
  switch (job.kind) {
    case "folder-write":
      return write(job, io);
    case "folder-hash":
      return hash(job, io);
    case "folder-read":
      return read(job, io);
    case "folder-stat":
      return stat(job);
    case "folder-sync":
      return sync(job, io);
    case "folder-finish":
      return finish(job);
    case "folder-move":
      return move(job);
    case "folder-link":
      return linkFiles(job, io);
  }
}

/** Reads a part of a file, a step at a time. */
export function readFolderFile(
  { place, path, positionBytes, lengthBytes }: FolderFileRange,
  io: DiskIo,
  use: (step: Uint8Array) => void,
): void {
  using folder = new OpenFolder(place);
  using file = openFile(folder.at(path), READ_NO_FOLLOW);
  readSteps(io, file.fd, positionBytes, lengthBytes, undefined, use);
}

/** The tree of a torrent and the rest beside it; the rest is only opened when it is needed. */
class OpenPair implements Disposable {
  readonly #pair: FolderPair;
  readonly #isToBeMade: boolean;
  #tree: OpenFolder | undefined;
  #rest: OpenFolder | undefined;

  constructor(pair: FolderPair, isToBeMade: boolean) {
    this.#pair = pair;
    this.#isToBeMade = isToBeMade;
  }

  at({ path, isInRest }: { readonly path: string; readonly isInRest: boolean }): string {
    return this.#folder(isInRest).at(path, this.#isToBeMade);
  }

  [Symbol.dispose](): void {
    this.#tree?.[Symbol.dispose]();
    this.#rest?.[Symbol.dispose]();
  }

  #folder(isInRest: boolean): OpenFolder {
    if (isInRest) {
      this.#rest ??= new OpenFolder(this.#pair.rest, this.#isToBeMade);
      return this.#rest;
    }
    this.#tree ??= new OpenFolder(this.#pair.tree);
    return this.#tree;
  }
}

interface OpenFile extends Disposable {
  readonly fd: number;
  readonly stats: Stats;
}

/** @throws FILE_DIFFERS for what is no regular file */
function openFile(path: string, flags: number): OpenFile {
  const fd = openSync(path, flags);
  const file = { fd, stats: fstatSync(fd), [Symbol.dispose]: () => closeSync(fd) };
  if (file.stats.isFile()) return file;
  closeSync(fd);
  throw failure(FILE_DIFFERS, "it is no regular file");
}

function write(job: FolderWriteJob, io: DiskIo): DiskResult {
  const { bytes, spans, fileSha1s } = job;
  if (!createHash("sha1").update(bytes).digest().equals(job.sha1)) return false;
  for (const [index, span] of spans.entries()) {
    if (span.lengthBytes !== span.fileBytes) continue;
    const sha1 = createHash("sha1").update(bytesOf(span, bytes)).digest();
    if (!sha1.equals(fileSha1s.subarray(index * SHA1_BYTES, (index + 1) * SHA1_BYTES))) {
      throw Object.assign(failure(WRONG_FILE_SHA1, sha1.toString("hex")), { at: index });
    }
  }
  using pair = new OpenPair(job, true);
  return eachOf(spans, (span) => writeSpan(span, bytesOf(span, bytes), pair, io));
}

function bytesOf({ positionBytes, lengthBytes }: SpanToWrite, bytes: Uint8Array): Uint8Array {
  return bytes.subarray(positionBytes, positionBytes + lengthBytes);
}

/** @returns the file's time then */
function writeSpan(span: SpanToWrite, bytes: Uint8Array, pair: OpenPair, io: DiskIo): number {
  const path = pair.at(span);
  const flags = span.isNew ? WRITE_FLAGS | constants.O_EXCL : WRITE_FLAGS;
  using file = openOwn(path, flags);
  const { fileBytes, offsetBytes } = span;
  // A file that comes in one write need not be stretched before.
  const isStretched =
    file.stats.size !== fileBytes && (span.lengthBytes < fileBytes || file.stats.size > fileBytes);
  if (isStretched) ftruncateSync(file.fd, fileBytes);
  for (let done = 0; done < bytes.length; ) {
    const count = io.writeSync(file.fd, bytes, done, bytes.length - done, offsetBytes + done);
    if (count === 0) throw new Error("the disk took no more bytes");
    done += count;
  }
  return timeOf(fstatSync(file.fd));
}

/** Opens a file to write to it. What has another name too may be somebody else's under that name: it is left to them. */
function openOwn(path: string, flags: number): OpenFile {
  const file = openFile(path, flags);
  if (file.stats.nlink === 1) return file;
  closeSync(file.fd);
  const copyPath = `${dirname(path)}/.${randomUUID()}.minitorrent-new`;
  try {
    copyFileSync(path, copyPath, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    renameSync(copyPath, path);
  } catch (error) {
    removeIfThere(copyPath);
    throw error;
  }
  return openFile(path, flags);
}

function hash(job: FolderPair & { readonly spans: readonly SpanToRead[] }, io: DiskIo): Uint8Array {
  const sha1 = createHash("sha1");
  using pair = new OpenPair(job, false);
  try {
    for (const span of job.spans) readSpan(span, pair, undefined, io, (step) => sha1.update(step));
  } catch (error) {
    if (MISSING.has(errnoOf(error) ?? "")) return NOTHING;
    throw error;
  }
  return new Uint8Array(sha1.digest());
}

function read(job: FolderReadJob, io: DiskIo): DiskResult {
  using pair = new OpenPair(job, false);
  eachOf(job.spans, (span) => {
    readSpan(span, pair, job.into, io, () => undefined);
    return 0;
  });
  return true;
}

function readSpan(
  span: SpanToRead,
  pair: OpenPair,
  into: Uint8Array | undefined,
  io: DiskIo,
  use: (step: Uint8Array) => void,
): void {
  const { path, offsetBytes, lengthBytes, positionBytes } = span;
  const place = into?.subarray(positionBytes, positionBytes + lengthBytes);
  if (path === "" && place !== undefined) {
    place.fill(0);
    return;
  }
  if (path === "") {
    for (let done = 0; done < lengthBytes; done += STEP_BYTES) {
      use(stepBuffer.subarray(0, Math.min(STEP_BYTES, lengthBytes - done)).fill(0));
    }
    return;
  }
  using file = openFile(pair.at(span), READ_NO_FOLLOW);
  readSteps(io, file.fd, offsetBytes, lengthBytes, place, use);
  // After the read, so that no byte of a change that came during it gets out.
  if (span.mtimeMs !== undefined) requireAsExpected(fstatSync(file.fd), span);
}

function requireAsExpected(stats: Stats, expected: Pick<SpanToRead, "fileBytes" | "mtimeMs">): void {
  if (expected.mtimeMs === undefined) return;
  if (stats.size === expected.fileBytes && timeOf(stats) === expected.mtimeMs) return;
  throw failure(FILE_DIFFERS, "it changed");
}

function readSteps(
  io: DiskIo,
  fd: number,
  positionBytes: number,
  lengthBytes: number,
  place: Uint8Array | undefined,
  use: (step: Uint8Array) => void,
): void {
  for (let done = 0; done < lengthBytes; ) {
    const wanted = Math.min(STEP_BYTES, lengthBytes - done);
    const buffer = place === undefined ? stepBuffer : place.subarray(done, done + wanted);
    const count = io.readSync(fd, buffer, 0, wanted, positionBytes + done);
    if (count === 0) throw failure(SHORT_READ, "the file ended too early");
    use(buffer.subarray(0, count));
    done += count;
  }
}

function stat({ place, paths }: FolderStatJob): Float64Array {
  using folder = new OpenFolder(place);
  const result = new Float64Array(paths.length * 2).fill(-1);
  for (const [index, path] of paths.entries()) {
    const stats = statIfThere(folder, path);
    if (stats?.isFile() !== true) continue;
    result[2 * index] = timeOf(stats);
    result[2 * index + 1] = stats.size;
  }
  return result;
}

function statIfThere(folder: OpenFolder, path: string): Stats | undefined {
  try {
    return lstatSync(folder.at(path), { throwIfNoEntry: false });
  } catch (error) {
    if (MISSING.has(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

function sync({ place, files, fileSha1s }: FolderSyncJob, io: DiskIo): DiskResult {
  using folder = new OpenFolder(place);
  return eachOf(files, (file, index) => {
    const sha1 = fileSha1s?.subarray(index * SHA1_BYTES, (index + 1) * SHA1_BYTES);
    try {
      return syncFile(folder, file, sha1, io);
    } catch (error) {
      if (MISSING.has(errnoOf(error) ?? "")) return Number.NaN;
      throw error;
    }
  });
}

function syncFile(
  folder: OpenFolder,
  { path, fileBytes, isExecutable }: FileToSync,
  sha1: Uint8Array | undefined,
  io: DiskIo,
): number {
  const isEmpty = fileBytes === 0;
  using file = openFile(folder.at(path, isEmpty), isEmpty ? WRITE_FLAGS : READ_NO_FOLLOW);
  const { size, mode } = file.stats;
  const mtimeMs = timeOf(file.stats);
  if (size !== fileBytes) return Number.NaN;
  if (sha1 !== undefined) {
    const hash = createHash("sha1");
    readSteps(io, file.fd, 0, fileBytes, undefined, (step) => hash.update(step));
    if (!hash.digest().equals(sha1)) return Number.NaN;
  }
  // As the umask let it be read when it was made.
  const executable = (mode & 0o444) >> 2;
  if (isExecutable && (mode & EXECUTABLE_BITS) !== executable) fchmodSync(file.fd, mode | executable);
  fsyncSync(file.fd);
  const after = fstatSync(file.fd);
  return timeOf(after) === mtimeMs && after.size === fileBytes ? mtimeMs : Number.NaN;
}

function finish({ place, links, folders }: FolderFinishJob): DiskResult {
  using folder = new OpenFolder(place);
  eachOf(links, ({ path, target }) => {
    const at = folder.at(path, true);
    // A link's target is read from the folder that the link is in.
    makeLink(posix.relative(posix.dirname(path), target), at);
    return 0;
  });
  for (const path of folders) syncFolder(folder.folderAt(path === "" ? [] : path.split("/")).fd);
  return true;
}

function makeLink(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    const isThere = errnoOf(error) === "EEXIST" && lstatSync(path).isSymbolicLink();
    if (!isThere || readlinkSync(path) !== target) throw error;
  }
}

function syncFolder(fd: number): void {
  try {
    fsyncSync(fd);
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(errnoOf(error) ?? "")) throw error;
  }
}

function move({ from, to, paths }: FolderMoveJob): Uint8Array {
  using source = new OpenFolder(from);
  using target = new OpenFolder(to, true);
  const moved = new Uint8Array(paths.length);
  eachOf(paths, (path, index) => {
    if (statIfThere(source, path)?.isFile() !== true) return 0;
    const newPath = target.at(path, true);
    // `rename` would replace a file that is there.
    if (lstatSync(newPath, { throwIfNoEntry: false }) !== undefined) throw failure("EEXIST", "it is there");
    renameSync(source.at(path), newPath);
    moved[index] = 1;
    return 0;
  });
  return moved;
}

function linkFiles({ from, to, files }: FolderLinkJob, io: DiskIo): DiskResult {
  using source = new OpenFolder(from);
  using target = new OpenFolder(to);
  return eachOf(files, ({ oldPath, path, fileBytes, mtimeMs }) => {
    const isAsItWas = (stats: Stats | undefined): boolean =>
      stats?.isFile() === true && stats.size === fileBytes && timeOf(stats) === mtimeMs;
    if (!isAsItWas(statIfThere(source, oldPath))) return Number.NaN;
    const name = target.at(path, true);
    const made = linkOrCopy(source.at(oldPath), name, fileBytes, io);
    // The file may have been replaced, or changed, meanwhile.
    const isRight = made === "link" ? isAsItWas(lstatSync(name)) : isAsItWas(statIfThere(source, oldPath));
    if (made !== undefined && isRight) return timeOf(lstatSync(name));
    if (made !== undefined) unlinkSync(name);
    return Number.NaN;
  });
}

function linkOrCopy(
  oldPath: string,
  path: string,
  fileBytes: number,
  io: DiskIo,
): "link" | "copy" | undefined {
  try {
    io.linkSync(oldPath, path);
    return "link";
  } catch (error) {
    const code = errnoOf(error) ?? "";
    if (code === "EEXIST") return undefined;
    if (!NO_LINKS.has(code) && code !== "EXDEV") throw error;
  }
  if (fileBytes > MAX_COPY_BYTES) return undefined;
  copyFileSync(oldPath, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  using copy = openFile(path, READ_NO_FOLLOW);
  fsyncSync(copy.fd);
  return "copy";
}

/** An error says which of them it is about. */
function eachOf<T>(items: readonly T[], use: (item: T, index: number) => number): Float64Array {
  const results = new Float64Array(items.length);
  for (const [index, item] of items.entries()) {
    try {
      results[index] = use(item, index);
    } catch (error) {
      throw error instanceof Error ? Object.assign(error, { at: index }) : error;
    }
  }
  return results;
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
