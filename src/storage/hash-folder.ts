// All hashes of a folder that is to be shared: each piece's and each file's, in one read. One worker reads and hashes the
// pieces, another hashes the files from the same memory. Small files are read a hundred at a time, a large one in chunks.
// Every file must be as it was found, when it is read and when all are: nothing half-hashed is returned.

import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { type FileLayout, FileLayoutBuilder } from "../metainfo/file-layout.ts";
import { choosePieceLengthBytes } from "../metainfo/geometry.ts";
import { fileChanged, readError } from "./disk-errors.ts";
import type { SharedBytes } from "./disk-jobs.ts";
import { CHUNK_BYTES } from "./disk-pool.ts";
import { isSameFacts, READ_NO_FOLLOW } from "./file-facts.ts";
import { changedFiles } from "./folder-changes.ts";
import { FolderFacts, timeOf } from "./folder-facts.ts";
import type { StorageResources } from "./storage-resources.ts";
import { type LeftOut, REMEDY, walkFolder } from "./walk-folder.ts";
import type { Digest } from "./worker-slot.ts";

const SHA1_BYTES = 20;
/** One that is read into, one that is hashed, and two so that neither thread waits for the other. */
const CHUNKS_AT_ONCE = 4;
/** A file is read whole if it fits into a chunk, with a byte more that it must not have. */
const MAX_SMALL_BYTES = CHUNK_BYTES - 1;
/** Files of one job: at most some milliseconds. */
const FILES_AT_ONCE = 128;
/** SHA-1 of nothing: an empty file needs no read. */
const EMPTY_SHA1 = Buffer.from("da39a3ee5e6b4b0d3255bfef95601890afd80709", "hex");
const PLACEHOLDER_SHA1 = new Uint8Array(SHA1_BYTES);
const ZERO_BYTES = 64 * 1024;
const zeros: SharedBytes = new Uint8Array(new SharedArrayBuffer(ZERO_BYTES));

export interface HashFolderOptions extends Pick<StorageResources, "disk" | "files"> {
  /** @default choosePieceLengthBytes(bytes of all files) */
  readonly pieceLengthBytes?: number;
  /** See `WalkOptions`. */
  readonly leavesOutHidden?: boolean;
  /** Of all files. Called from the moment that all are found. */
  readonly onProgress?: (progress: { hashedBytes: number; lengthBytes: number }) => void;
  readonly signal?: AbortSignal;
}

export interface HashedFolder {
  /** With the SHA-1 of every file. */
  readonly layout: FileLayout;
  /** 20 bytes for each piece. */
  readonly pieceHashes: Uint8Array;
  /** How every file and link was. */
  readonly facts: FolderFacts;
  readonly leftOut: LeftOut;
}

/**
 * @throws MiniTorrentError FILE_NOT_FOUND, FILE_UNREADABLE, FILE_CHANGED, DISK_FAILED, each with the path; INVALID_ARGUMENT for a
 * path that cannot be shared, or no file at all; LIMIT_REACHED for too many files or bytes; the signal's reason when it is aborted
 */
export async function hashFolder(folderPath: string, options: HashFolderOptions): Promise<HashedFolder> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { layout, facts, leftOut } = await findFiles(folderPath, options);
  // At most one large file is open at once, apart from moments.
  const hashes = await options.files.whileLong(() =>
    new FolderHasher(folderPath, layout, facts, options).run(),
  );
  const [changed] = await changedFiles(options.disk, folderPath, { layout, facts }, { signal });
  if (changed !== undefined) throw fileChanged(join(folderPath, layout.pathOf(changed)));
  return { layout: layout.withSha1s(hashes.sha1s), pieceHashes: hashes.pieceHashes, facts, leftOut };
}

/** The files as they are now; their hashes are not known yet. */
async function findFiles(
  folderPath: string,
  { disk, signal, pieceLengthBytes, leavesOutHidden }: HashFolderOptions,
): Promise<{ layout: FileLayout; facts: FolderFacts; leftOut: LeftOut }> {
  const builder = new FileLayoutBuilder();
  const mtimesMs: number[] = [];
  let contentBytes = 0;
  const leftOut = await walkFolder(
    folderPath,
    { disk, signal, leavesOutHidden, yieldTurn: setImmediate },
    (file) => {
      const { mtimeMs, ...entry } = file;
      const isLink = file.linkTarget !== undefined;
      const sha1 = file.lengthBytes === 0 ? EMPTY_SHA1 : PLACEHOLDER_SHA1;
      withRemedy(() => builder.add({ ...entry, sha1: isLink ? undefined : sha1 }));
      mtimesMs.push(mtimeMs);
      contentBytes += file.lengthBytes;
    },
  );
  if (mtimesMs.length === 0) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `${folderPath} has no file that can be shared: put one in.`,
    );
  }
  const layout = builder.finish(pieceLengthBytes ?? choosePieceLengthBytes(contentBytes));
  return { layout, facts: new FolderFacts(Float64Array.from(mtimesMs)), leftOut };
}

function withRemedy(add: () => void): void {
  try {
    add();
  } catch (error) {
    if (!(error instanceof MiniTorrentError) || error.code !== "INVALID_ARGUMENT") throw error;
    throw new MiniTorrentError("INVALID_ARGUMENT", `${error.message} ${REMEDY}`, { cause: error });
  }
}

interface LargeFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly whole: Digest;
}

class FolderHasher {
  readonly #folderPath: string;
  readonly #layout: FileLayout;
  readonly #facts: FolderFacts;
  readonly #options: HashFolderOptions;
  readonly #pieces: Digest;
  readonly #sha1s: Uint8Array;
  readonly #pieceHashes: Uint8Array;
  readonly #chunks: SharedBytes[];
  /** What each chunk is used for. */
  readonly #turns: Promise<void>[] = [];
  readonly #openFiles = new Set<LargeFile>();
  #nextLane = 0;
  #hashesEnd = 0;
  #hashedBytes = 0;

  constructor(folderPath: string, layout: FileLayout, facts: FolderFacts, options: HashFolderOptions) {
    this.#folderPath = folderPath;
    this.#layout = layout;
    this.#facts = facts;
    this.#options = options;
    this.#pieces = options.disk.openDigest(layout.pieceLengthBytes);
    this.#sha1s = new Uint8Array(layout.fileCount * SHA1_BYTES);
    this.#pieceHashes = new Uint8Array(Math.ceil(layout.lengthBytes / layout.pieceLengthBytes) * SHA1_BYTES);
    this.#chunks = Array.from({ length: CHUNKS_AT_ONCE }, () => options.disk.takeChunk());
  }

  async run(): Promise<{ sha1s: Uint8Array; pieceHashes: Uint8Array }> {
    try {
      await this.#hashAll();
      await Promise.all(this.#turns);
      this.#keep(await this.#pieces.finish());
    } catch (error) {
      await Promise.allSettled(this.#turns);
      // Only so that the worker forgets it; what went wrong is known.
      await this.#pieces.finish().catch(() => undefined);
      throw error;
    } finally {
      // Files are closed and the memory let go only when no worker uses them.
      await Promise.allSettled(this.#turns);
      for (const file of this.#openFiles) {
        await file.whole.finish().catch(() => undefined);
        await file.handle.close();
      }
      for (const chunk of this.#chunks) this.#options.disk.giveChunk(chunk);
    }
    return { sha1s: this.#sha1s, pieceHashes: this.#pieceHashes };
  }

  async #hashAll(): Promise<void> {
    const { fileCount } = this.#layout;
    for (let fileIndex = 0; fileIndex < fileCount; ) {
      const paddingBytes = fileIndex === 0 ? 0 : this.#layout.paddingBefore(fileIndex);
      if (paddingBytes > 0) await this.#inTurn(() => this.#hashPadding(paddingBytes));
      if (this.#layout.lengthOf(fileIndex) > MAX_SMALL_BYTES) await this.#hashLarge(fileIndex++);
      else fileIndex = await this.#hashSmall(fileIndex);
    }
  }

  /** Starts the work once a chunk of memory is free. Turns are started in the order of the torrent, and a worker keeps that. */
  async #inTurn(work: (chunk: SharedBytes) => Promise<void>): Promise<void> {
    const lane = this.#nextLane;
    this.#nextLane = (lane + 1) % CHUNKS_AT_ONCE;
    await this.#turns[lane];
    this.#options.signal?.throwIfAborted();
    const chunk = this.#chunks[lane];
    if (chunk === undefined) return;
    const turn = work(chunk);
    // It is awaited when its lane comes round; until then a failure is not an unhandled one.
    turn.catch(() => undefined);
    this.#turns[lane] = turn;
  }

  async #hashPadding(paddingBytes: number): Promise<void> {
    const parts: SharedBytes[] = [];
    for (let left = paddingBytes; left > 0; left -= ZERO_BYTES) parts.push(zeros.subarray(0, left));
    this.#keep(await this.#pieces.update(...parts));
  }

  /** @returns the first file that is not in the batch */
  async #hashSmall(firstFile: number): Promise<number> {
    const layout = this.#layout;
    const fileIndexes: number[] = [];
    let batchBytes = 0;
    let fileIndex = firstFile;
    for (; fileIndex < layout.fileCount && fileIndexes.length < FILES_AT_ONCE; fileIndex++) {
      const lengthBytes = layout.lengthOf(fileIndex);
      const hasPadding = fileIndex > firstFile && layout.paddingBefore(fileIndex) > 0;
      if (batchBytes + lengthBytes > MAX_SMALL_BYTES || hasPadding) break;
      batchBytes += lengthBytes;
      if (layout.linkTargetOf(fileIndex) === undefined) fileIndexes.push(fileIndex);
    }
    if (fileIndexes.length > 0)
      await this.#inTurn((chunk) => this.#hashBatch(fileIndexes, batchBytes, chunk));
    return fileIndex;
  }

  async #hashBatch(fileIndexes: readonly number[], batchBytes: number, chunk: SharedBytes): Promise<void> {
    const lengths = Uint32Array.from(fileIndexes, (fileIndex) => this.#layout.lengthOf(fileIndex));
    const files = {
      folderPath: this.#folderPath,
      paths: fileIndexes.map((fileIndex) => this.#layout.pathOf(fileIndex)),
      lengths,
      mtimesMs: Float64Array.from(fileIndexes, (fileIndex) => this.#facts.mtimesMs[fileIndex] ?? 0),
    };
    this.#keep(await this.#pieces.updateFromFiles(files, chunk));
    const sha1s = await this.#options.disk.hashParts(chunk.subarray(0, batchBytes), lengths);
    for (const [index, fileIndex] of fileIndexes.entries()) {
      this.#sha1s.set(sha1s.subarray(index * SHA1_BYTES, (index + 1) * SHA1_BYTES), fileIndex * SHA1_BYTES);
    }
    this.#advance(batchBytes);
  }

  async #hashLarge(fileIndex: number): Promise<void> {
    const file = await this.#open(fileIndex);
    const lengthBytes = this.#layout.lengthOf(fileIndex);
    for (let positionBytes = 0; positionBytes < lengthBytes; positionBytes += CHUNK_BYTES) {
      const chunkBytes = Math.min(CHUNK_BYTES, lengthBytes - positionBytes);
      const isLast = positionBytes + chunkBytes === lengthBytes;
      await this.#inTurn(async (chunk) => {
        await this.#hashChunk(file, positionBytes, chunk.subarray(0, chunkBytes));
        if (isLast) await this.#finishLarge(file, fileIndex);
        this.#advance(chunkBytes);
      });
    }
  }

  async #open(fileIndex: number): Promise<LargeFile> {
    const path = join(this.#folderPath, this.#layout.pathOf(fileIndex));
    try {
      const handle = await this.#options.files.open(() => open(path, READ_NO_FOLLOW));
      const file = { handle, path, whole: this.#options.disk.openDigest(0, this.#pieces) };
      this.#openFiles.add(file);
      await this.#requireAsFound(file, fileIndex);
      return file;
    } catch (error) {
      throw readError(error, path);
    }
  }

  async #hashChunk(file: LargeFile, positionBytes: number, bytes: SharedBytes): Promise<void> {
    const range = { fd: file.handle.fd, path: file.path, positionBytes, lengthBytes: bytes.length };
    // Reads end in the order they were asked for: so the file's hash gets its chunks in order too.
    this.#keep(await this.#pieces.updateFromFile(range, bytes));
    await file.whole.update(bytes);
  }

  async #finishLarge(file: LargeFile, fileIndex: number): Promise<void> {
    this.#sha1s.set(await file.whole.finish(), fileIndex * SHA1_BYTES);
    await this.#requireAsFound(file, fileIndex);
    this.#openFiles.delete(file);
    await file.handle.close();
  }

  async #requireAsFound({ handle, path }: LargeFile, fileIndex: number): Promise<void> {
    const stats = await handle.stat();
    const expected = {
      lengthBytes: this.#layout.lengthOf(fileIndex),
      mtimeMs: this.#facts.mtimesMs[fileIndex] ?? 0,
    };
    const facts = { lengthBytes: stats.size, mtimeMs: timeOf(stats) };
    if (!stats.isFile() || !isSameFacts(facts, expected)) throw fileChanged(path);
  }

  #keep(hashes: Uint8Array): void {
    this.#pieceHashes.set(hashes, this.#hashesEnd);
    this.#hashesEnd += hashes.length;
  }

  #advance(bytes: number): void {
    this.#hashedBytes += bytes;
    this.#options.onProgress?.({ hashedBytes: this.#hashedBytes, lengthBytes: this.#layout.contentBytes });
  }
}
