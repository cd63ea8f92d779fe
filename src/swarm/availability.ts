// How rare each piece is, and which pieces are still to be opened, in buckets by rarity. Every change is O(1) in pieces
// and peers: seeds are one counter, a bucket is an unordered array, and a piece knows its place in it.
import { PieceSet } from "./piece-set.ts";

export class Availability {
  readonly #random: () => number;
  /** How many peers that are no seeds have the piece. */
  readonly #counts: Uint16Array;
  /** Place of a free piece in its bucket; -1 for one that is not free. */
  readonly #places: Int32Array;
  /** Free pieces by how many peers (seeds aside) have them; the order inside is random. */
  readonly #buckets: number[][] = [[]];
  readonly #free: PieceSet;
  #seedCount = 0;
  #lowestFree = 0;
  /** No piece before this one is nowhere else. */
  #lowestNowhere = 0;

  /** @param free the pieces that may be opened; copied */
  constructor(pieceCount: number, free: PieceSet, random: () => number) {
    this.#random = random;
    this.#counts = new Uint16Array(pieceCount);
    this.#places = new Int32Array(pieceCount).fill(-1);
    this.#free = new PieceSet(pieceCount);
    for (let piece = free.next(0); piece !== -1; piece = free.next(piece + 1)) this.free(piece);
  }

  get freeCount(): number {
    return this.#free.count;
  }

  /** Not to be changed. */
  get freePieces(): PieceSet {
    return this.#free;
  }

  get seedCount(): number {
    return this.#seedCount;
  }

  /** Buckets from the rarest; not to be changed. */
  get buckets(): readonly (readonly number[])[] {
    return this.#buckets;
  }

  isFree(pieceIndex: number): boolean {
    return this.#free.has(pieceIndex);
  }

  /** How many peers have the piece, seeds aside. */
  rarity(pieceIndex: number): number {
    return this.#counts[pieceIndex] ?? 0;
  }

  /** How many peers have the piece. */
  copies(pieceIndex: number): number {
    return this.rarity(pieceIndex) + this.#seedCount;
  }

  /** The first piece in file order that is free; undefined if none is. */
  lowestFree(): number | undefined {
    if (this.#free.count === 0) return undefined;
    while (!this.isFree(this.#lowestFree)) this.#lowestFree++;
    return this.#lowestFree;
  }

  /** True when the peers together have every piece. */
  isWholeElsewhere(): boolean {
    if (this.#seedCount > 0) return true;
    while (this.rarity(this.#lowestNowhere) > 0) this.#lowestNowhere++;
    return this.#lowestNowhere === this.#counts.length;
  }

  seedCame(): void {
    this.#seedCount++;
  }

  seedLeft(): void {
    this.#seedCount--;
  }

  /** One more peer that is no seed has it. */
  gained(pieceIndex: number): void {
    this.#change(pieceIndex, 1);
  }

  lost(pieceIndex: number): void {
    this.#change(pieceIndex, -1);
    if (pieceIndex < this.#lowestNowhere && this.rarity(pieceIndex) === 0) this.#lowestNowhere = pieceIndex;
  }

  /** The piece may be opened (again). */
  free(pieceIndex: number): void {
    if (!this.#free.add(pieceIndex)) return;
    if (pieceIndex < this.#lowestFree) this.#lowestFree = pieceIndex;
    this.#enter(pieceIndex);
  }

  /** The piece is being fetched, or is here. */
  take(pieceIndex: number): void {
    if (!this.#free.remove(pieceIndex)) return;
    this.#leave(pieceIndex);
  }

  #change(pieceIndex: number, by: 1 | -1): void {
    const isFree = this.isFree(pieceIndex);
    if (isFree) this.#leave(pieceIndex);
    this.#counts[pieceIndex] = this.rarity(pieceIndex) + by;
    if (isFree) this.#enter(pieceIndex);
  }

  #enter(pieceIndex: number): void {
    const rarity = this.rarity(pieceIndex);
    while (this.#buckets.length <= rarity) this.#buckets.push([]);
    const bucket = this.#buckets[rarity];
    if (bucket === undefined) return;
    // Into a random place, whose holder goes to the end: the order stays random however the pieces came in.
    const place = Math.floor(this.#random() * (bucket.length + 1));
    const displaced = bucket[place];
    if (displaced !== undefined) {
      this.#places[displaced] = bucket.length;
      bucket.push(displaced);
    }
    bucket[place] = pieceIndex;
    this.#places[pieceIndex] = place;
  }

  #leave(pieceIndex: number): void {
    const bucket = this.#buckets[this.rarity(pieceIndex)];
    const last = bucket?.pop();
    const place = this.#places[pieceIndex] ?? -1;
    if (bucket !== undefined && last !== undefined && last !== pieceIndex) {
      bucket[place] = last;
      this.#places[last] = place;
    }
    this.#places[pieceIndex] = -1;
  }
}
