// A set of pieces as bits in words, for what has to be fast: what two sets have in common is found 32 pieces at a time.
import { Bitfield } from "../metainfo/bitfield.ts";

export class PieceSet {
  readonly pieceCount: number;
  /** Piece 0 is the lowest bit of word 0. */
  readonly #words: Uint32Array;
  /** A bit for each word that is not 0, so that empty stretches are passed over 1,024 pieces at a time. */
  readonly #summary: Uint32Array;
  #count = 0;

  constructor(pieceCount: number) {
    this.pieceCount = pieceCount;
    this.#words = new Uint32Array(Math.ceil(pieceCount / 32));
    this.#summary = new Uint32Array(Math.ceil(this.#words.length / 32));
  }

  static of(bitfield: Bitfield): PieceSet {
    const set = new PieceSet(bitfield.pieceCount);
    for (let pieceIndex = 0; pieceIndex < bitfield.pieceCount; pieceIndex++) {
      if (bitfield.has(pieceIndex)) set.add(pieceIndex);
    }
    return set;
  }

  static full(pieceCount: number): PieceSet {
    return PieceSet.of(Bitfield.full(pieceCount));
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.pieceCount;
  }

  has(pieceIndex: number): boolean {
    return ((this.#words[pieceIndex >>> 5] ?? 0) & (1 << (pieceIndex & 31))) !== 0;
  }

  /** Returns false if it was there. The piece exists. */
  add(pieceIndex: number): boolean {
    if (this.has(pieceIndex)) return false;
    this.#words[pieceIndex >>> 5] = (this.#words[pieceIndex >>> 5] ?? 0) | (1 << (pieceIndex & 31));
    this.#summary[pieceIndex >>> 10] =
      (this.#summary[pieceIndex >>> 10] ?? 0) | (1 << ((pieceIndex >>> 5) & 31));
    this.#count++;
    return true;
  }

  /** Returns false if it was not there. */
  remove(pieceIndex: number): boolean {
    if (!this.has(pieceIndex)) return false;
    const word = (this.#words[pieceIndex >>> 5] ?? 0) & ~(1 << (pieceIndex & 31));
    this.#words[pieceIndex >>> 5] = word;
    if (word === 0) {
      this.#summary[pieceIndex >>> 10] =
        (this.#summary[pieceIndex >>> 10] ?? 0) & ~(1 << ((pieceIndex >>> 5) & 31));
    }
    this.#count--;
    return true;
  }

  /** The first piece from that index on that both sets have; -1: none. */
  nextInBoth(other: PieceSet, from: number): number {
    let word = from >>> 5;
    let common = this.#wordInBoth(other, word) & (-1 << (from & 31));
    while (common === 0) {
      word = this.#nextWordInBoth(other, word + 1);
      if (word === -1) return -1;
      common = this.#wordInBoth(other, word);
    }
    return (word << 5) + lowestBit(common);
  }

  /** How many pieces this set has that the other lacks. */
  countMissingIn(other: { has(pieceIndex: number): boolean }): number {
    let missing = 0;
    for (let pieceIndex = 0; pieceIndex < this.pieceCount; pieceIndex++) {
      if (this.has(pieceIndex) && !other.has(pieceIndex)) missing++;
    }
    return missing;
  }

  #wordInBoth(other: PieceSet, word: number): number {
    return (this.#words[word] ?? 0) & (other.#words[word] ?? 0);
  }

  /** The first word from that one on that is 0 in neither set; -1: none. */
  #nextWordInBoth(other: PieceSet, from: number): number {
    let at = from >>> 5;
    let common = this.#summaryInBoth(other, at) & (-1 << (from & 31));
    while (common === 0) {
      if (++at >= this.#summary.length) return -1;
      common = this.#summaryInBoth(other, at);
    }
    return (at << 5) + lowestBit(common);
  }

  #summaryInBoth(other: PieceSet, at: number): number {
    return (this.#summary[at] ?? 0) & (other.#summary[at] ?? 0);
  }
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
