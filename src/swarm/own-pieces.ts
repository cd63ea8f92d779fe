// Which pieces are here, which are wanted, and which are missing: wanted and not here. What is wanted may change at any time;
// what is here stays, and is offered to others whether it is wanted or not.
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import { PieceSet } from "./piece-set.ts";

export interface OwnPiecesOptions {
  readonly geometry: Geometry;
  /** Verified so far; it grows. */
  readonly have: Bitfield;
  /** All pieces if it is left out; copied. */
  readonly wanted?: Bitfield | undefined;
}

/** What a new choice changes. */
export interface WantedChange {
  /** Pieces that were not missing and are now. */
  readonly added: PieceSet;
  /** Pieces that were missing and are not wanted any longer. */
  readonly dropped: PieceSet;
}

export class OwnPieces {
  /** The verified pieces. */
  readonly have: Bitfield;
  readonly #geometry: Geometry;
  /** undefined: all. */
  #wanted: PieceSet | undefined;
  #missing: PieceSet;
  /** Length of the wanted pieces, and of the missing ones among them; undefined until it is asked for. */
  #wantedBytes: number | undefined;
  #missingBytes: number | undefined;

  constructor({ geometry, have, wanted }: OwnPiecesOptions) {
    this.#geometry = geometry;
    this.have = have;
    this.#wanted = wanted && PieceSet.of(wanted);
    this.#missing = this.#findMissing();
  }

  /** Wanted, and not here. Not to be changed. */
  get missing(): PieceSet {
    return this.#missing;
  }

  /** Every wanted piece is here. */
  get isSatisfied(): boolean {
    return this.#missing.count === 0;
  }

  isMissing(pieceIndex: number): boolean {
    return this.#missing.has(pieceIndex);
  }

  get wantedCount(): number {
    return this.#wanted?.count ?? this.have.pieceCount;
  }

  /** Length of the wanted pieces, without padding. */
  get wantedBytes(): number {
    this.#wantedBytes ??=
      this.#wanted === undefined ? this.#geometry.contentBytes : this.#bytesOf(this.#wanted);
    return this.#wantedBytes;
  }

  /** Length of the wanted pieces that are here, without padding. */
  get verifiedBytes(): number {
    this.#missingBytes ??= this.#bytesOf(this.#missing);
    return this.wantedBytes - this.#missingBytes;
  }

  /** The piece is here. Returns whether it was missing. */
  verified(pieceIndex: number): boolean {
    this.have.set(pieceIndex);
    const wasMissing = this.#missing.remove(pieceIndex);
    if (wasMissing && this.#missingBytes !== undefined)
      this.#missingBytes -= this.#geometry.neededLengthOfPieceBytes(pieceIndex);
    return wasMissing;
  }

  /** From now on these pieces are wanted, and no others. */
  want(wanted: Bitfield): WantedChange {
    const before = this.#missing;
    this.#wanted = wanted.isComplete ? undefined : PieceSet.of(wanted);
    this.#missing = this.#findMissing();
    this.#wantedBytes = undefined;
    this.#missingBytes = undefined;
    return { added: this.#missing.without(before), dropped: before.without(this.#missing) };
  }

  #findMissing(): PieceSet {
    const { have } = this;
    if (have.isComplete) return new PieceSet(have.pieceCount);
    return (this.#wanted ?? PieceSet.full(have.pieceCount)).without(PieceSet.of(have));
  }

  #bytesOf(pieces: PieceSet): number {
    let bytes = 0;
    for (let pieceIndex = pieces.next(0); pieceIndex !== -1; pieceIndex = pieces.next(pieceIndex + 1)) {
      bytes += this.#geometry.neededLengthOfPieceBytes(pieceIndex);
    }
    return bytes;
  }
}
