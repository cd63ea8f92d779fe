// The pieces of one torrent on their way to the disk: memory while they are assembled, then the verify and the write in a
// worker. Does not know which pieces are there, nor whether any are wanted.
import { MiniTorrentError } from "../api/errors.ts";
import { type Metainfo, pieceHash } from "../metainfo/metainfo.ts";
import type { DiskPool } from "./disk-pool.ts";
import type { PieceMemory, PieceSlot } from "./piece-memory.ts";
import type { RefCountedFile } from "./ref-counted-file.ts";

export type CommitOutcome = "verified" | "mismatch" | MiniTorrentError;

export interface IncomingPiecesOptions {
  readonly metainfo: Metainfo;
  readonly file: RefCountedFile;
  readonly disk: DiskPool;
  readonly memory: PieceMemory;
  /** A piece is verified and written. Returns true if its memory is kept: whoever keeps it gives it back. */
  onWritten(pieceIndex: number, slot: PieceSlot): boolean;
}

export class IncomingPieces {
  readonly #options: IncomingPiecesOptions;
  readonly #assembling = new Map<number, PieceSlot>();
  #runningCommits = 0;

  constructor(options: IncomingPiecesOptions) {
    this.#options = options;
  }

  /** None is being assembled, or written. */
  get isEmpty(): boolean {
    return this.#assembling.size + this.#runningCommits === 0;
  }

  /** See `PieceStore.reserve`. */
  reserve(pieceIndex: number): Uint8Array | undefined {
    const { metainfo, memory } = this.#options;
    const lengthBytes = metainfo.geometry.lengthOfPieceBytes(pieceIndex);
    if (lengthBytes === 0) return undefined;
    const slot = this.#assembling.get(pieceIndex) ?? memory.take(metainfo.geometry.pieceLengthBytes);
    if (slot === undefined) return undefined;
    this.#assembling.set(pieceIndex, slot);
    return slot.bytes.subarray(0, lengthBytes);
  }

  /** See `PieceStore.commit`. */
  commit(pieceIndex: number, done: (outcome: CommitOutcome) => void): void {
    const { metainfo, file, disk } = this.#options;
    const slot = this.#assembling.get(pieceIndex);
    if (slot === undefined) {
      queueMicrotask(() => done(new MiniTorrentError("INTERNAL", `Piece ${pieceIndex} was not reserved.`)));
      return;
    }
    this.#assembling.delete(pieceIndex);
    file.begin();
    this.#runningCommits++;
    const { geometry } = metainfo;
    const bytes = slot.bytes.subarray(0, geometry.lengthOfPieceBytes(pieceIndex));
    const sha1 = pieceHash(metainfo, pieceIndex);
    const written = file.inRange(geometry.pieceOffsetBytes(pieceIndex), (place) =>
      disk.writePiece(place, bytes, sha1),
    );
    written.then(
      (isRight) => this.#committed(pieceIndex, slot, isRight ? "verified" : "mismatch", done),
      (error: MiniTorrentError) => this.#committed(pieceIndex, slot, error, done),
    );
  }

  /** Gives up a reserved piece that will not be committed. Nothing happens if it is not reserved. */
  release(pieceIndex: number): void {
    const slot = this.#assembling.get(pieceIndex);
    if (slot === undefined) return;
    this.#assembling.delete(pieceIndex);
    this.#options.memory.give(slot);
  }

  releaseAll(): void {
    for (const pieceIndex of [...this.#assembling.keys()]) this.release(pieceIndex);
  }

  #committed(
    pieceIndex: number,
    slot: PieceSlot,
    outcome: CommitOutcome,
    done: (outcome: CommitOutcome) => void,
  ): void {
    this.#runningCommits--;
    const isKept = outcome === "verified" && this.#options.onWritten(pieceIndex, slot);
    if (!isKept) this.#options.memory.give(slot);
    this.#options.file.end(() => done(outcome));
  }
}
