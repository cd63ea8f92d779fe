// Reads parts of one torrent's verified pieces in wire form, to be sent, through the cache of the process. A file that was
// changed or removed is detected before any of it is sent; from then on nothing of it is read. A part file changes with every
// written piece, so each of its pieces is verified before it is read.

import { MiniTorrentError } from "../api/errors.ts";
import { type Metainfo, pieceHash } from "../metainfo/metainfo.ts";
import type { FramesCallback, PieceRange } from "../metainfo/piece-types.ts";
import type { Content } from "./content.ts";
import { changedOnDisk, readError } from "./disk-errors.ts";
import type { FrameCache } from "./frame-cache.ts";
import { framesLengthBytes } from "./piece-frames.ts";

/**
 * A piece is not verified again for this long after it was verified or written: most pieces are sent on right after they arrive,
 * and each part of a long piece is read separately.
 */
const TRUSTED_MS = 5_000;

export interface PieceReaderOptions {
  readonly content: Content;
  readonly metainfo: Metainfo;
  readonly cache: FrameCache;
  /** It is verified and written. */
  hasPiece(pieceIndex: number): boolean;
  /** What is on disk is no longer the piece that was verified. */
  onLost(pieceIndex: number): void;
}

export class PieceReader {
  readonly #options: PieceReaderOptions;
  /** Recently verified pieces of a part file → expiry on performance.now()'s clock, earliest first. */
  readonly #trustedUntilMs = new Map<number, number>();

  constructor(options: PieceReaderOptions) {
    this.#options = options;
  }

  /** See `PieceStore.read`. */
  read(range: PieceRange, done: FramesCallback): void {
    const { content, cache, metainfo } = this.#options;
    const { root } = content;
    const { pieceIndex, offsetBytes, lengthBytes } = range;
    const refusal = this.#whyNotReadable(pieceIndex);
    if (refusal !== undefined) {
      queueMicrotask(() => done(refusal));
      return;
    }
    root.begin();
    const request = {
      owner: this,
      positionBytes: metainfo.geometry.pieceOffsetBytes(pieceIndex) + offsetBytes,
      framesLengthBytes: framesLengthBytes(lengthBytes),
      // A shorter one at the end of a file fits in it, and the buffer is used again.
      bufferLengthBytes: framesLengthBytes(roundedUp(lengthBytes)),
      load: (bytes: Uint8Array, loaded: (error: MiniTorrentError | undefined) => void) => {
        const verify = this.#isTrusted(pieceIndex)
          ? undefined
          : (sha1: Uint8Array) => this.#compare(pieceIndex, sha1);
        content.readFrames(range, bytes, verify).then(
          () => loaded(undefined),
          (error: unknown) => loaded(readError(error, root.path)),
        );
      },
    };
    cache.read(request, (frames) => {
      if (frames instanceof MiniTorrentError) {
        root.end(() => done(frames));
        return;
      }
      // After the read, so that no byte of a change that came during it gets out; also for what was cached, so that the
      // user hears of the change.
      content.look(range).then((broken) => {
        if (broken !== undefined) {
          frames.release();
          cache.forget(this, broken);
        }
        root.end(() => done(broken ?? frames));
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

  /** The file is about to be closed: drops its cached parts, and rejects reads that wait for a buffer. */
  close(): void {
    const { content, cache } = this.#options;
    const { refusal } = content.root;
    if (refusal !== undefined) cache.forget(this, refusal);
  }

  #isTrusted(pieceIndex: number): boolean {
    if (this.#options.content.isOnlyRead) return true;
    return (this.#trustedUntilMs.get(pieceIndex) ?? 0) > performance.now();
  }

  /** @throws MiniTorrentError FILE_CHANGED if the piece on disk has changed */
  #compare(pieceIndex: number, sha1: Uint8Array): void {
    const { content, metainfo, onLost } = this.#options;
    if (Buffer.compare(sha1, pieceHash(metainfo, pieceIndex)) === 0) {
      this.written(pieceIndex);
      return;
    }
    onLost(pieceIndex);
    throw new MiniTorrentError("FILE_CHANGED", changedOnDisk(content.root.path, 1));
  }

  #whyNotReadable(pieceIndex: number): MiniTorrentError | undefined {
    const { content, hasPiece } = this.#options;
    const refusal = content.root.refusal ?? content.whyBroken(pieceIndex);
    if (refusal !== undefined) return refusal;
    if (hasPiece(pieceIndex)) return undefined;
    return new MiniTorrentError(
      "INTERNAL",
      `Piece ${pieceIndex} of ${content.root.path} is not there to be read.`,
    );
  }
}

/** To a power of two. */
function roundedUp(lengthBytes: number): number {
  return 2 ** Math.ceil(Math.log2(lengthBytes));
}
