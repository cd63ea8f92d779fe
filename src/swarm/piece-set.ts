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

  /** A peer may send a bitfield of a million pieces in one message: it is read 32 pieces at a time. */
  static of(bitfield: Bitfield): PieceSet {
    const set = new PieceSet(bitfield.pieceCount);
    const bytes = bitfield.toBytes();
    for (let word = 0; word < set.#words.length; word++) {
      const at = word * 4;
      const highFirst =
        ((bytes[at] ?? 0) << 24) |
        ((bytes[at + 1] ?? 0) << 16) |
        ((bytes[at + 2] ?? 0) << 8) |
        (bytes[at + 3] ?? 0);
      set.#setWord(word, reversed(highFirst));
    }
    set.#count = bitfield.count;
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
    const word = pieceIndex >>> 5;
    this.#setWord(word, (this.#words[word] ?? 0) & ~(1 << (pieceIndex & 31)));
    this.#count--;
    return true;
  }

  /** The first piece from that index on; -1: none. */
  next(from: number): number {
    return this.nextInBoth(this, from);
  }

  /** The pieces that this set has and the other lacks. */
  without(other: PieceSet): PieceSet {
    const rest = new PieceSet(this.pieceCount);
    for (let word = 0; word < this.#words.length; word++) {
      const bits = (this.#words[word] ?? 0) & ~(other.#words[word] ?? 0);
      rest.#setWord(word, bits);
      rest.#count += bitCount(bits);
    }
    return rest;
  }

  /** How many pieces both sets have. */
  countInBoth(other: PieceSet): number {
    let count = 0;
    for (let word = 0; word < this.#words.length; word++) count += bitCount(this.#wordInBoth(other, word));
    return count;
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

  #setWord(word: number, bits: number): void {
    this.#words[word] = bits;
    const bit = 1 << (word & 31);
    const summary = this.#summary[word >>> 5] ?? 0;
    this.#summary[word >>> 5] = bits === 0 ? summary & ~bit : summary | bit;
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

function bitCount(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The lowest bit becomes the highest. */
function reversed(bits: number): number {
  const ones = ((bits >>> 1) & 0x55555555) | ((bits & 0x55555555) << 1);
  const pairs = ((ones >>> 2) & 0x33333333) | ((ones & 0x33333333) << 2);
  const fours = ((pairs >>> 4) & 0x0f0f0f0f) | ((pairs & 0x0f0f0f0f) << 4);
  const bytes = ((fours >>> 8) & 0x00ff00ff) | ((fours & 0x00ff00ff) << 8);
  return (bytes >>> 16) | (bytes << 16);
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
