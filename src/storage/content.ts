// What a piece store does to the disk, as an interface: to one file (file-content.ts), or to the files of a folder
// (folder-content.ts). A content knows which bytes a piece has on disk, and no peers, requests or memory bounds.
import type { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { PieceRange } from "../metainfo/piece-types.ts";
import type { SharedBytes } from "./disk-jobs.ts";
import type { FileFacts } from "./file-facts.ts";
import type { HeldPath } from "./held-path.ts";
import type { OpenPart } from "./part-file.ts";
import type { PieceSlot } from "./piece-memory.ts";

/** The end of a download: it has its name, or some pieces on disk are not what was verified. */
export type FinishOutcome =
  | { readonly kind: "finished"; readonly facts: FileFacts }
  | { readonly kind: "corrupt"; readonly pieces: readonly number[]; readonly error: MiniTorrentError };

export interface Content {
  /** The file, or the folder that holds the files. Every call below is made within a job of it. */
  readonly root: HeldPath;
  /** How it was found when it was opened; undefined if it was made then. */
  readonly found: FileFacts | undefined;
  /** The part file when it had been opened; undefined for a content that is only read. */
  readonly opened: Pick<OpenPart, "facts" | "fileId"> | undefined;
  /** It is as it was shared, or as it was finished: a read need not verify the piece. */
  readonly isOnlyRead: boolean;
  /** Pieces that are needed for the chosen files; of a single file all. */
  readonly wanted: Bitfield;
  /** All of those are there. */
  readonly isComplete: boolean;

  /**
   * Hashes the piece, and writes it if its hash is right.
   *
   * @returns false for another hash: nothing was written
   */
  writePiece(pieceIndex: number, bytes: SharedBytes): Promise<boolean>;
  /**
   * The store counts the piece, which was just written, as there.
   *
   * @returns true if the memory is kept for a while, to hash whole files
   */
  pieceWritten(pieceIndex: number, slot: PieceSlot): boolean;
  /** The store counts the piece no longer as there: what is on disk is not what was verified. */
  pieceLost(pieceIndex: number): void;
  /** The SHA-1 of the piece as it is on disk: 20 bytes, or none if it is not all there. */
  hashPiece(pieceIndex: number): Promise<Uint8Array>;

  /** Why that piece is not read any more. */
  whyBroken(pieceIndex: number): MiniTorrentError | undefined;
  /**
   * Reads a part of a piece in wire form.
   *
   * @param verify called before the read with the piece's SHA-1 on disk; what it throws, the read throws
   */
  readFrames(
    range: PieceRange,
    frames: Uint8Array,
    verify: ((sha1: Uint8Array) => void) | undefined,
  ): Promise<void>;
  /** Looks whether what that range was read from is still what it was. @returns why it is not read any more */
  look(range: PieceRange): Promise<MiniTorrentError | undefined>;

  /** How it is now, for the profile. */
  facts(): Promise<FileFacts>;
  /**
   * Verifies what is on disk, makes it durable, and gives it its name.
   *
   * @param beforeNaming called when all is verified: it may make the name free
   */
  finish(destinationPath: string, beforeNaming: () => Promise<void>): Promise<FinishOutcome>;
  /** Forgets running hashes of whole files: what is on disk may not be what was written. Ends with `resumeHashing`. */
  pauseHashing(): Promise<void>;
  resumeHashing(): void;
  /** Waits for what runs, and closes. Called once. */
  close(): Promise<void>;
}
