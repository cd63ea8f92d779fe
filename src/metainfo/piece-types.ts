// What the swarm and storage say to each other about a piece: which part to read, the part as it is sent, and what became of
// a piece that was to be written.
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

export type FramesCallback = (frames: PieceFrames | MiniTorrentError) => void;

export type CommitOutcome = "verified" | "mismatch" | MiniTorrentError;
