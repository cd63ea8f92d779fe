// A piece that is being put together: which of its blocks are free, asked for, arriving or here, and who gave them.
// Its memory is reserved as long as it is open, so that every block that is asked for has a place to go to.
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";

const FREE = 0;
const REQUESTED = 1;
/** The connection's decoder holds a view of the block's place: nobody else may write there, and it must not be freed. */
const ARRIVING = 2;
const ARRIVED = 3;

/** filling -> committing -> gone, or filling -> abandoned -> gone. */
export type OpenPieceStatus = "filling" | "committing" | "abandoned";

/** Peers are known by their slot (see peer.ts), users by their source index (see contributors.ts). */
export class OpenPiece {
  readonly pieceIndex: number;
  readonly blockCount: number;
  /** The piece belongs to this peer as long as it is fast enough; -1: to nobody. */
  ownerSlot: number;
  #isExclusive: boolean;
  /** The pieces with free blocks, this one as long as it has some. */
  readonly #withFree: Set<OpenPiece>;
  readonly #lengthBytes: number;
  readonly #bytes: Uint8Array;
  readonly #blocks: Uint8Array;
  /** Slot + 1 of who is asked for the block, or gives it now; 0: nobody. Never two at once. */
  readonly #asked: Uint16Array;
  /** The how-many-eth of all requests it was. */
  readonly #orders: Float64Array;
  /** Source index + 1 of who gave it. */
  readonly #givers: Uint16Array;
  #status: OpenPieceStatus = "filling";
  #freeCount: number;
  #arrivingCount = 0;
  #arrivedCount = 0;
  #lowestFree = 0;
  #lastGiver = -1;

  constructor(
    geometry: Geometry,
    pieceIndex: number,
    bytes: Uint8Array,
    ownerSlot: number,
    isExclusive: boolean,
    withFree = new Set<OpenPiece>(),
  ) {
    this.#withFree = withFree;
    withFree.add(this);
    this.pieceIndex = pieceIndex;
    this.ownerSlot = ownerSlot;
    this.#isExclusive = isExclusive;
    this.#bytes = bytes;
    this.#lengthBytes = geometry.lengthOfPieceBytes(pieceIndex);
    this.blockCount = geometry.blockCount(pieceIndex);
    this.#freeCount = this.blockCount;
    this.#blocks = new Uint8Array(this.blockCount);
    this.#asked = new Uint16Array(this.blockCount);
    this.#orders = new Float64Array(this.blockCount);
    this.#givers = new Uint16Array(this.blockCount);
  }

  get status(): OpenPieceStatus {
    return this.#status;
  }

  /** Fetched from the owner alone, because the owner is on parole. */
  get isExclusive(): boolean {
    return this.#isExclusive;
  }

  /** Blocks that nobody is asked for; none once the piece is not being filled. */
  get freeCount(): number {
    return this.#status === "filling" ? this.#freeCount : 0;
  }

  get arrivedCount(): number {
    return this.#arrivedCount;
  }

  /** A decoder is writing into the piece's memory. */
  get isBeingWritten(): boolean {
    return this.#arrivingCount > 0;
  }

  get isWhole(): boolean {
    return this.#arrivedCount === this.blockCount;
  }

  lengthOfBlockBytes(blockIndex: number): number {
    return Math.min(BLOCK_LENGTH_BYTES, this.#lengthBytes - blockIndex * BLOCK_LENGTH_BYTES);
  }

  /** Asks that peer for the first free block. Returns -1 if none is free. Free -> requested. */
  takeFree(slot: number, order = 0): number {
    if (this.freeCount === 0) return -1;
    while (this.#blocks[this.#lowestFree] !== FREE) this.#lowestFree++;
    const blockIndex = this.#lowestFree;
    this.#blocks[blockIndex] = REQUESTED;
    if (--this.#freeCount === 0) this.#withFree.delete(this);
    this.#ask(blockIndex, slot, order);
    return blockIndex;
  }

  /** True if the block is asked of somebody and has not begun to arrive. */
  isMovable(blockIndex: number): boolean {
    return this.#status === "filling" && this.#blocks[blockIndex] === REQUESTED;
  }

  /** Asks that peer instead of the one that was asked. The caller has looked that it is movable. */
  move(blockIndex: number, slot: number, order: number): void {
    this.#ask(blockIndex, slot, order);
  }

  /** The peer that is asked for the block; -1: nobody. */
  askedSlot(blockIndex: number): number {
    return (this.#asked[blockIndex] ?? 0) - 1;
  }

  /** Requests are counted; the higher, the later. */
  askedOrder(blockIndex: number): number {
    return this.#orders[blockIndex] ?? 0;
  }

  isAskedOf(blockIndex: number, slot: number): boolean {
    return this.#asked[blockIndex] === slot + 1;
  }

  isArrived(blockIndex: number): boolean {
    return this.#blocks[blockIndex] === ARRIVED;
  }

  /** Nothing is asked of anybody now. */
  get isQuiet(): boolean {
    return this.#status === "filling" && this.#freeCount + this.#arrivedCount === this.blockCount;
  }

  /** Requested -> arriving. */
  begins(blockIndex: number): void {
    this.#blocks[blockIndex] = ARRIVING;
    this.#arrivingCount++;
  }

  /** Where the block's bytes go. */
  place(blockIndex: number): Uint8Array {
    const offset = blockIndex * BLOCK_LENGTH_BYTES;
    return this.#bytes.subarray(offset, offset + this.lengthOfBlockBytes(blockIndex));
  }

  /** Arriving -> arrived. */
  ends(blockIndex: number, sourceIndex: number): void {
    this.#blocks[blockIndex] = ARRIVED;
    this.#asked[blockIndex] = 0;
    this.#givers[blockIndex] = sourceIndex + 1;
    this.#lastGiver = sourceIndex;
    this.#arrivingCount--;
    this.#arrivedCount++;
  }

  /** Nobody is asked for the block any longer. Requested or arriving -> free. */
  forget(blockIndex: number): void {
    if (this.#blocks[blockIndex] === ARRIVING) this.#arrivingCount--;
    this.#asked[blockIndex] = 0;
    this.#blocks[blockIndex] = FREE;
    this.#freeCount++;
    if (this.#status === "filling") this.#withFree.add(this);
    if (blockIndex < this.#lowestFree) this.#lowestFree = blockIndex;
  }

  /** Source index of who gave the block that came last; -1: none came. */
  get lastGiver(): number {
    return this.#lastGiver;
  }

  /** Source indexes of those who gave blocks, each once. */
  contributors(): number[] {
    const sourceIndexes = new Set<number>();
    for (const giver of this.#givers) {
      if (giver !== 0) sourceIndexes.add(giver - 1);
    }
    return [...sourceIndexes];
  }

  /**
   * Begins anew for a peer on parole, with what had come thrown away; only while nothing is asked of anybody.
   *
   * @returns how many bytes were thrown away
   */
  restart(ownerSlot: number): number {
    let discardedBytes = 0;
    for (let blockIndex = 0; blockIndex < this.blockCount; blockIndex++) {
      if (this.isArrived(blockIndex)) discardedBytes += this.lengthOfBlockBytes(blockIndex);
    }
    this.#blocks.fill(FREE);
    this.#givers.fill(0);
    this.#freeCount = this.blockCount;
    this.#withFree.add(this);
    this.#arrivedCount = 0;
    this.#lowestFree = 0;
    this.ownerSlot = ownerSlot;
    this.#isExclusive = true;
    return discardedBytes;
  }

  /** Filling -> committing. */
  commits(): void {
    this.#status = "committing";
  }

  /** Filling -> abandoned: its memory goes back as soon as no decoder writes into it. */
  abandon(): void {
    this.#status = "abandoned";
    this.#withFree.delete(this);
  }

  #ask(blockIndex: number, slot: number, order: number): void {
    this.#asked[blockIndex] = slot + 1;
    this.#orders[blockIndex] = order;
  }
}
