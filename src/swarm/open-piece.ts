// A piece that is being assembled: which of its blocks are free, requested, arriving or arrived, and which users sent them. Its
// memory is reserved as long as it is open, so that every requested block has a place.
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";

const FREE = 0;
const REQUESTED = 1;
/** The connection's decoder holds a view of the block's place: nothing else may write there, and it must not be freed. */
const ARRIVING = 2;
const ARRIVED = 3;

/** filling -> committing -> gone, or filling -> abandoned -> gone. */
export type OpenPieceStatus = "filling" | "committing" | "abandoned";

/** Peers are known by their slot (see peer.ts), users by their source index (see contributors.ts). */
export class OpenPiece {
  readonly pieceIndex: number;
  readonly blockCount: number;
  /** The peer that the piece belongs to, as long as it is fast enough; -1: none. */
  ownerSlot: number;
  #isExclusive: boolean;
  /** The pieces with free blocks, this one as long as it has some. */
  readonly #withFree: Set<OpenPiece>;
  /** Without padding. */
  readonly #lengthBytes: number;
  readonly #bytes: Uint8Array;
  readonly #blocks: Uint8Array;
  /** Slot + 1 of the peer that the block is requested from, or that sends it now; 0: none. Never two at once. */
  readonly #asked: Uint16Array;
  /** Sequence number of the block's request; higher is later. */
  readonly #orders: Float64Array;
  /** When the block is expected from the peer that it is requested from. */
  readonly #expectedAtMs: Float64Array;
  /** Source index + 1 of the user who sent the block. */
  readonly #senders: Uint16Array;
  #status: OpenPieceStatus = "filling";
  #freeCount: number;
  #arrivingCount = 0;
  #arrivedCount = 0;
  #lowestFree = 0;
  #lastSender = -1;

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
    this.#lengthBytes = geometry.neededLengthOfPieceBytes(pieceIndex);
    // Padding is hashed but never requested: it is zeros (BEP 47), and the memory is not.
    bytes.fill(0, this.#lengthBytes);
    this.blockCount = geometry.blockCount(pieceIndex);
    this.#freeCount = this.blockCount;
    this.#blocks = new Uint8Array(this.blockCount);
    this.#asked = new Uint16Array(this.blockCount);
    this.#orders = new Float64Array(this.blockCount);
    this.#expectedAtMs = new Float64Array(this.blockCount);
    this.#senders = new Uint16Array(this.blockCount);
  }

  get status(): OpenPieceStatus {
    return this.#status;
  }

  /** Fetched from the owner alone, because the owner is on parole. */
  get isExclusive(): boolean {
    return this.#isExclusive;
  }

  /** Blocks that are not requested; none once the piece is no longer being filled. */
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

  /** Marks the first free block as requested from that peer. Returns -1 if none is free. Free -> requested. */
  takeFree(slot: number, order = 0, expectedAtMs = Number.POSITIVE_INFINITY): number {
    if (this.freeCount === 0) return -1;
    while (this.#blocks[this.#lowestFree] !== FREE) this.#lowestFree++;
    const blockIndex = this.#lowestFree;
    this.takeBlock(blockIndex, slot, order, expectedAtMs);
    return blockIndex;
  }

  /** The same for that block, which must be free. */
  takeBlock(blockIndex: number, slot: number, order: number, expectedAtMs: number): void {
    this.#blocks[blockIndex] = REQUESTED;
    if (--this.#freeCount === 0) this.#withFree.delete(this);
    this.#ask(blockIndex, slot, order, expectedAtMs);
  }

  isFree(blockIndex: number): boolean {
    return this.#status === "filling" && this.#blocks[blockIndex] === FREE;
  }

  /** The block is requested and has not begun to arrive. */
  isMovable(blockIndex: number): boolean {
    return this.#status === "filling" && this.#blocks[blockIndex] === REQUESTED;
  }

  /** The block is requested from that peer instead. It must be movable. */
  move(blockIndex: number, slot: number, order: number, expectedAtMs = Number.POSITIVE_INFINITY): void {
    this.#ask(blockIndex, slot, order, expectedAtMs);
  }

  /** The peer that the block is requested from; -1: none. */
  askedSlot(blockIndex: number): number {
    return (this.#asked[blockIndex] ?? 0) - 1;
  }

  /** Sequence number of the block's request; higher is later. */
  askedOrder(blockIndex: number): number {
    return this.#orders[blockIndex] ?? 0;
  }

  /** When the requested block is expected; Infinity if that is not known. */
  expectedAtMs(blockIndex: number): number {
    return this.#expectedAtMs[blockIndex] ?? Number.POSITIVE_INFINITY;
  }

  isAskedOf(blockIndex: number, slot: number): boolean {
    return this.#asked[blockIndex] === slot + 1;
  }

  isArrived(blockIndex: number): boolean {
    return this.#blocks[blockIndex] === ARRIVED;
  }

  /** No block is requested or arriving. */
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
    this.#senders[blockIndex] = sourceIndex + 1;
    this.#lastSender = sourceIndex;
    this.#arrivingCount--;
    this.#arrivedCount++;
  }

  /** The block is no longer requested. Requested or arriving -> free. */
  forget(blockIndex: number): void {
    if (this.#blocks[blockIndex] === ARRIVING) this.#arrivingCount--;
    this.#asked[blockIndex] = 0;
    this.#blocks[blockIndex] = FREE;
    this.#freeCount++;
    if (this.#status === "filling") this.#withFree.add(this);
    if (blockIndex < this.#lowestFree) this.#lowestFree = blockIndex;
  }

  /** Source index of the user who sent the block that arrived last; -1: none has. */
  get lastSender(): number {
    return this.#lastSender;
  }

  /** Source indexes of the users who sent blocks, each once. */
  contributors(): number[] {
    const sourceIndexes = new Set<number>();
    for (const sender of this.#senders) {
      if (sender !== 0) sourceIndexes.add(sender - 1);
    }
    return [...sourceIndexes];
  }

  /**
   * Starts over for a peer on parole: arrived blocks are thrown away. Only while no block is requested or arriving.
   *
   * @returns how many bytes were thrown away
   */
  restart(ownerSlot: number): number {
    let discardedBytes = 0;
    for (let blockIndex = 0; blockIndex < this.blockCount; blockIndex++) {
      if (this.isArrived(blockIndex)) discardedBytes += this.lengthOfBlockBytes(blockIndex);
    }
    this.#blocks.fill(FREE);
    this.#senders.fill(0);
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

  /** Filling -> abandoned: its memory is freed as soon as no decoder writes into it. */
  abandon(): void {
    this.#status = "abandoned";
    this.#withFree.delete(this);
  }

  #ask(blockIndex: number, slot: number, order: number, expectedAtMs: number): void {
    this.#asked[blockIndex] = slot + 1;
    this.#orders[blockIndex] = order;
    this.#expectedAtMs[blockIndex] = expectedAtMs;
  }
}
