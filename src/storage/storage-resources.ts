// What all torrents of a process share to keep their files: the threads of the disk, places for open files, and memory for
// pieces on their way in and out, which is divided here.
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_PIECE_LENGTH_BYTES } from "../api/file-limits.ts";
import { DiskPool } from "./disk-pool.ts";
import { FrameCache } from "./frame-cache.ts";
import { OpenFiles } from "./open-files.ts";
import { PieceMemory } from "./piece-memory.ts";

/** Pieces that are being put together need most; see PieceMemory for how much is of use. */
const DEFAULT_MEMORY_BYTES = 96 * 1024 * 1024;
const LEAST_MEMORY_BYTES = 2 * MAX_PIECE_LENGTH_BYTES;

export interface StorageResources {
  readonly disk: DiskPool;
  readonly memory: PieceMemory;
  readonly cache: FrameCache;
  readonly files: OpenFiles;
}

/**
 * The threads of the disk are to be closed by the caller; they start with the first work.
 *
 * @param memoryBytes most memory for pieces, in and out together; two thirds, in whole pieces of the largest kind, are
 * for those on their way in
 * @param openFiles most files that are open at once
 * @throws MiniTorrentError INVALID_ARGUMENT for less than two of the largest pieces need
 */
export function createStorageResources(
  memoryBytes: number = DEFAULT_MEMORY_BYTES,
  openFiles?: number,
): StorageResources {
  if (memoryBytes < LEAST_MEMORY_BYTES) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      "Less than 32 MiB of memory holds no two of the largest pieces.",
    );
  }
  const piecesBytes = Math.floor((memoryBytes * 2) / 3 / MAX_PIECE_LENGTH_BYTES) * MAX_PIECE_LENGTH_BYTES;
  return {
    disk: new DiskPool(),
    memory: new PieceMemory(piecesBytes),
    cache: new FrameCache(memoryBytes - piecesBytes),
    files: new OpenFiles(openFiles),
  };
}
