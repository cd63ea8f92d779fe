// What the swarm needs of storage, declared by the one who needs it; `storage/piece-store.ts` fits it structurally.
// Memory for pieces that are being put together, verified writing, and whole pieces to serve from.
import type { MiniTorrentError } from "../api/errors.ts";

/** A part of a piece, from the beginning of a block to the end of one. */
export interface PieceRange {
  readonly pieceIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A range in wire form: each block as a 13-byte piece-message header and its payload, one block after the other. */
export interface PieceFrames {
  readonly bytes: Uint8Array;
  /** Called once, when no part of `bytes` is needed any longer. */
  release(): void;
}

export type CommitOutcome = "verified" | "mismatch" | MiniTorrentError;

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
  read(range: PieceRange, done: (frames: PieceFrames | MiniTorrentError) => void): void;
}
