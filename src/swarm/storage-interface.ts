// What the swarm needs of storage, as an interface; `storage/piece-store.ts` has its shape, and simulations bring their own.
// Memory for pieces that are being put together, verified writing, and whole pieces to serve from.
import type { CommitOutcome, FramesCallback, PieceRange } from "../metainfo/piece-types.ts";

export interface PieceStorage {
  /** Somebody, maybe another torrent, was refused memory and waits for it. */
  readonly isMemoryScarce?: boolean;
  /** Memory to put that piece together in, of the piece's length; undefined when the memory bound is reached for now. */
  reserve(pieceIndex: number): Uint8Array | undefined;
  /** Hashes, compares and writes the piece, frees its memory whatever the outcome, then calls `done`. */
  commit(pieceIndex: number, done: (outcome: CommitOutcome) => void): void;
  /** Gives the memory of an unfinished piece back. */
  release(pieceIndex: number): void;
  /** Reads of a verified piece; may answer at once from a cache. */
  read(range: PieceRange, done: FramesCallback): void;
}
