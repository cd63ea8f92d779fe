// Both hashes of a file that is to be shared, the whole file's and each piece's, in one read: one worker reads and hashes
// the pieces, another hashes the whole from the same memory. So both hashes are of the same bytes whatever happens to
// the file meanwhile; and a file that changes meanwhile is refused.
import type { FileHandle } from "node:fs/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FILE_LENGTH_BYTES } from "../api/file-limits.ts";
import { choosePieceLengthBytes, Geometry } from "../metainfo/geometry.ts";
import { fileChanged, readError, sizeUntrue } from "./disk-errors.ts";
import type { SharedBytes } from "./disk-jobs.ts";
import { CHUNK_BYTES } from "./disk-pool.ts";
import { type FileFacts, factsOf, isSameFacts, openRegularFile } from "./file-facts.ts";
import type { StorageResources } from "./storage-resources.ts";
import type { Digest } from "./worker-slot.ts";

/** One that is read into, one that is hashed, and two so that neither thread waits for the other. */
const CHUNKS_AT_ONCE = 4;

export interface HashFileOptions extends Pick<StorageResources, "disk" | "files"> {
  /** @default choosePieceLengthBytes(length of the file) */
  readonly pieceLengthBytes?: number;
  readonly onProgress?: (progress: { hashedBytes: number; lengthBytes: number }) => void;
  readonly signal?: AbortSignal;
}

export interface HashedFile {
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly pieceLengthBytes: number;
  /** 20 bytes for each piece. */
  readonly pieceHashes: Uint8Array;
  /** Of the whole file, 40 hex digits. */
  readonly sha1: string;
}

/**
 * @throws MiniTorrentError FILE_NOT_FOUND, FILE_UNREADABLE, NOT_A_FILE, FILE_CHANGED, DISK_FAILED; LIMIT_REACHED if it is too large, before any of it is hashed; the signal's reason when it is aborted
 */
export function hashFile(path: string, options: HashFileOptions): Promise<HashedFile> {
  return options.files.whileLong(() => hashOpened(path, options));
}

async function hashOpened(path: string, options: HashFileOptions): Promise<HashedFile> {
  const { signal, files } = options;
  signal?.throwIfAborted();
  const { handle, facts } = await files.open(() => openRegularFile(path));
  try {
    if (facts.lengthBytes > MAX_FILE_LENGTH_BYTES) throw tooLarge(path, facts.lengthBytes);
    // Files generated on reading report a size of 0 or one page.
    const { bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, facts.lengthBytes);
    if (bytesRead > 0) throw await whyNotAsLong(path, handle, facts);
    const pieceLengthBytes = options.pieceLengthBytes ?? choosePieceLengthBytes(facts.lengthBytes);
    const geometry = new Geometry(facts.lengthBytes, pieceLengthBytes);
    const file = { fd: handle.fd, path };
    const isOneJob = geometry.pieceCount === 1 && facts.lengthBytes <= CHUNK_BYTES;
    const hashes = await (isOneJob ? hashAtOnce(file, geometry, options) : hashBoth(file, geometry, options));
    if (!isSameFacts(facts, factsOf(await handle.stat()))) throw fileChanged(path);
    return { ...facts, pieceLengthBytes, ...hashes };
  } catch (error) {
    if (error === signal?.reason && signal?.aborted) throw error;
    const failure = readError(error, path);
    throw failure.code === "FILE_CHANGED" ? await whyNotAsLong(path, handle, facts) : failure;
  } finally {
    await handle.close();
  }
}

/** The file yielded more or fewer bytes than its size: it changed meanwhile, or its reported size is never right. */
async function whyNotAsLong(path: string, handle: FileHandle, facts: FileFacts): Promise<MiniTorrentError> {
  return isSameFacts(facts, factsOf(await handle.stat())) ? sizeUntrue(path) : fileChanged(path);
}

function tooLarge(path: string, lengthBytes: number): MiniTorrentError {
  return new MiniTorrentError(
    "LIMIT_REACHED",
    `${path} has ${lengthBytes} bytes, and a shared file at most ${MAX_FILE_LENGTH_BYTES} (2 TiB): split it, and share the parts.`,
  );
}

type Hashes = Pick<HashedFile, "pieceHashes" | "sha1">;

/** The only piece is the whole file: one hash, and one message to a worker instead of six. */
async function hashAtOnce(
  file: { fd: number; path: string },
  { lengthBytes }: Geometry,
  { disk, onProgress, signal }: HashFileOptions,
): Promise<Hashes> {
  const pieceHashes = await disk.hashRange({ ...file, positionBytes: 0, lengthBytes });
  signal?.throwIfAborted();
  onProgress?.({ hashedBytes: lengthBytes, lengthBytes });
  return { pieceHashes, sha1: Buffer.from(pieceHashes).toString("hex") };
}

async function hashBoth(
  file: { fd: number; path: string },
  geometry: Geometry,
  options: HashFileOptions,
): Promise<Hashes> {
  const pieces = options.disk.openDigest(geometry.pieceLengthBytes);
  const whole = options.disk.openDigest(0, pieces);
  try {
    return await feedBoth(pieces, whole, file, geometry, options);
  } catch (error) {
    // Only so that the workers forget them; what went wrong is known.
    await Promise.allSettled([pieces.finish(), whole.finish()]);
    throw error;
  }
}

async function feedBoth(
  pieces: Digest,
  whole: Digest,
  file: { fd: number; path: string },
  { lengthBytes, pieceCount }: Geometry,
  { disk, onProgress, signal }: HashFileOptions,
): Promise<Hashes> {
  const pieceHashes = new Uint8Array(pieceCount * 20);
  let hashesEnd = 0;
  const keep = (hashes: Uint8Array): void => {
    pieceHashes.set(hashes, hashesEnd);
    hashesEnd += hashes.length;
  };
  let hashedBytes = 0;
  const hashChunk = async (positionBytes: number, chunk: SharedBytes): Promise<void> => {
    const chunkBytes = Math.min(CHUNK_BYTES, lengthBytes - positionBytes);
    const bytes = chunk.subarray(0, chunkBytes);
    // Reads end in the order they were asked for: so the whole file's hash gets its chunks in order too.
    keep(await pieces.updateFromFile({ ...file, positionBytes, lengthBytes: chunkBytes }, bytes));
    await whole.update(bytes);
    hashedBytes += chunkBytes;
    onProgress?.({ hashedBytes, lengthBytes });
  };

  const chunkCount = Math.ceil(lengthBytes / CHUNK_BYTES);
  const chunks = Array.from({ length: Math.min(chunkCount, CHUNKS_AT_ONCE) }, () => disk.takeChunk());
  const turns: Promise<void>[] = [];
  try {
    for (let positionBytes = 0; positionBytes < lengthBytes; positionBytes += CHUNK_BYTES) {
      const lane = (positionBytes / CHUNK_BYTES) % CHUNKS_AT_ONCE;
      await turns[lane];
      signal?.throwIfAborted();
      const chunk = chunks[lane];
      if (chunk === undefined) break;
      const turn = hashChunk(positionBytes, chunk);
      // It is awaited when its lane comes round; until then a failure is not an unhandled one.
      turn.catch(() => undefined);
      turns[lane] = turn;
    }
    await Promise.all(turns);
  } finally {
    // The file is closed and the memory let go only when no worker uses them.
    await Promise.allSettled(turns);
    for (const chunk of chunks) disk.giveChunk(chunk);
  }
  keep(await pieces.finish());
  return { pieceHashes, sha1: Buffer.from(await whole.finish()).toString("hex") };
}
