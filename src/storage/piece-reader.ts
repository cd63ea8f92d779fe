// Reads parts of one torrent's verified pieces in wire form, to be sent, through the cache of the process. A file that was
// changed or removed is detected before any of it is sent; from then on nothing of it is read. A part file changes with every
// written piece, so each of its pieces is verified before it is read.

import type { Stats } from "node:fs";
import { MiniTorrentError } from "../api/errors.ts";
import { type Metainfo, pieceHash } from "../metainfo/metainfo.ts";
import type { FramesCallback, PieceRange } from "../metainfo/piece-types.ts";
import { changedOnDisk, fileChanged, readError } from "./disk-errors.ts";
import type { DiskPool } from "./disk-pool.ts";
import { type FileFacts, factsOf, isSameFacts } from "./file-facts.ts";
import type { FrameCache } from "./frame-cache.ts";
import { framesLengthBytes, readFrames } from "./piece-frames.ts";
import type { RefCountedFile } from "./ref-counted-file.ts";

/**
 * A piece is not verified again for this long after it was verified or written: most pieces are sent on right after they arrive,
 * and each part of a long piece is read separately.
 */
const TRUSTED_MS = 5_000;

export interface PieceReaderOptions {
  readonly file: RefCountedFile;
  readonly metainfo: Metainfo;
  readonly disk: DiskPool;
  readonly cache: FrameCache;
  /** It is verified and written. */
  hasPiece(pieceIndex: number): boolean;
  /** True once it is no longer the verified file. */
  onLost(pieceIndex: number): void;
  /** How the file must be; undefined while it is still being written. */
  expected(): FileFacts | undefined;
}

export class PieceReader {
  readonly #options: PieceReaderOptions;
  /** Why the file is not read any more. */
  #broken: MiniTorrentError | undefined;
  /** Recently verified pieces of a part file → expiry on performance.now()'s clock, earliest first. */
  readonly #trustedUntilMs = new Map<number, number>();

  constructor(options: PieceReaderOptions) {
    this.#options = options;
  }

  /** See `PieceStore.read`. */
  read(range: PieceRange, done: FramesCallback): void {
    const { file, cache, metainfo } = this.#options;
    const { geometry } = metainfo;
    const { pieceIndex, offsetBytes, lengthBytes } = range;
    const refusal = this.#whyNotReadable(pieceIndex);
    if (refusal !== undefined) {
      queueMicrotask(() => done(refusal));
      return;
    }
    file.begin();
    const positionBytes = geometry.pieceOffsetBytes(pieceIndex) + offsetBytes;
    const request = {
      owner: this,
      positionBytes,
      framesLengthBytes: framesLengthBytes(lengthBytes),
      // A shorter one at the end of a file fits in it, and the buffer is used again.
      bufferLengthBytes: framesLengthBytes(roundedUp(lengthBytes)),
      load: (bytes: Uint8Array, loaded: (error: MiniTorrentError | undefined) => void) => {
        const isRead = file.whileOpen(async ({ fd }) => {
          if (!this.#isTrusted(pieceIndex)) await this.#compare(pieceIndex, fd);
          await readFrames(fd, positionBytes, bytes, range);
        });
        isRead.then(
          () => loaded(undefined),
          (error: unknown) => loaded(readError(error, file.path)),
        );
      },
    };
    cache.read(request, (frames) => {
      if (frames instanceof MiniTorrentError) {
        file.end(() => done(frames));
        return;
      }
      // After the read, so that no byte of a change that came during it gets out; also for what was cached, so that the
      // user hears of the change.
      this.#look().then((broken) => {
        if (broken !== undefined) {
          frames.release();
          cache.forget(this, broken);
        }
        file.end(() => done(broken ?? frames));
      });
    });
  }

  /** The piece has just been verified and written. */
  written(pieceIndex: number): void {
    const nowMs = performance.now();
    this.#trustedUntilMs.delete(pieceIndex);
    this.#trustedUntilMs.set(pieceIndex, nowMs + TRUSTED_MS);
    for (const [oldest, untilMs] of this.#trustedUntilMs) {
      if (untilMs > nowMs) break;
      this.#trustedUntilMs.delete(oldest);
    }
  }

  #isTrusted(pieceIndex: number): boolean {
    if (this.#options.expected() !== undefined) return true;
    return (this.#trustedUntilMs.get(pieceIndex) ?? 0) > performance.now();
  }

  /** Looks whether it is still the file that it was. @returns why it is not read any more */
  async #look(): Promise<MiniTorrentError | undefined> {
    const { file } = this.#options;
    try {
      const stats = await file.whileOpen((handle) => handle.stat());
      this.#broken ??= this.#whatChanged(stats);
    } catch (error) {
      this.#broken ??= readError(error, file.path);
    }
    return this.#broken;
  }

  /** @throws MiniTorrentError FILE_CHANGED if the piece on disk has changed; DISK_FAILED */
  async #compare(pieceIndex: number, fd: number): Promise<void> {
    const { file, metainfo, disk, onLost } = this.#options;
    const { geometry } = metainfo;
    const sha1 = await disk.hashRange({
      fd,
      path: file.path,
      positionBytes: geometry.pieceOffsetBytes(pieceIndex),
      lengthBytes: geometry.lengthOfPieceBytes(pieceIndex),
    });
    if (Buffer.compare(sha1, pieceHash(metainfo, pieceIndex)) === 0) return this.written(pieceIndex);
    onLost(pieceIndex);
    throw new MiniTorrentError("FILE_CHANGED", changedOnDisk(file.path, 1));
  }

  /** The file is about to be closed: drops its cached parts, and rejects reads that wait for a buffer. */
  close(): void {
    const { file, cache } = this.#options;
    if (file.refusal !== undefined) cache.forget(this, file.refusal);
  }

  #whyNotReadable(pieceIndex: number): MiniTorrentError | undefined {
    const { file, hasPiece } = this.#options;
    const refusal = file.refusal ?? this.#broken;
    if (refusal !== undefined) return refusal;
    if (hasPiece(pieceIndex)) return undefined;
    return new MiniTorrentError("INTERNAL", `Piece ${pieceIndex} of ${file.path} is not there to be read.`);
  }

  #whatChanged(stats: Stats): MiniTorrentError | undefined {
    const { file, expected } = this.#options;
    if (stats.nlink === 0) {
      return new MiniTorrentError(
        "FILE_NOT_FOUND",
        `${file.path} was removed: share it again if it is back.`,
      );
    }
    const facts = expected();
    return facts === undefined || isSameFacts(factsOf(stats), facts) ? undefined : fileChanged(file.path);
  }
}

/** To a power of two. */
function roundedUp(lengthBytes: number): number {
  return 2 ** Math.ceil(Math.log2(lengthBytes));
}
