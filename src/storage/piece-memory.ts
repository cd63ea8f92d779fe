// The memory that pieces are assembled in: bounded in bytes for all torrents of a process together. It is cut by halves (the
// buddy system: Knowlton 1965) into the powers of two that piece lengths are, and used again and again: touching fresh memory
// costs a page fault for each 4 KiB, and memory that a worker has seen is freed late. Refuses rather than waits.
import { MAX_PIECE_LENGTH_BYTES } from "../api/file-limits.ts";
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";

/** What 800 MB/s need to cover 80 ms between a piece's first block and its being on disk. */
const DEFAULT_LIMIT_BYTES = 64 * 1024 * 1024;
/** Small pieces take no more than this: more only waits longer for the disk, and stays resident once touched... */
const SMALL_PIECES_BYTES = 32 * 1024 * 1024;
/** ...but room for so many pieces is needed: several are being received, others written. */
const ENOUGH_PIECES = 8;
/** After a refusal nothing is given until use has fallen to this part: sockets stop and start in strides, not per piece. */
const LOW_WATER_PART = 0.75;

/** Memory for one piece; shared with the workers of a disk pool. What it holds at first is what the last user left. */
export interface PieceSlot {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

export class PieceMemory {
  /** Most bytes that pieces take up at once, and all that the process ever holds for them. */
  readonly limitBytes: number;
  /** Places of the largest piece's length, one after the other; undefined for one that is not needed now. */
  readonly #regions: (SharedArrayBuffer | undefined)[];
  /** Where free parts begin, by their length; the one freed last is given first: it may still be in a cache. */
  readonly #free = new Map<number, number[]>();
  /** Where each begins. */
  readonly #inUse = new Map<PieceSlot, number>();
  readonly #reclaimers = new Set<() => void>();
  readonly #roomListeners = new Set<() => void>();
  #usedBytes = 0;
  #takenCount = 0;
  #isScarce = false;
  /** How far use must have fallen after the last refusal. */
  #lowWaterBytes = 0;

  /** @param limitBytes a multiple of the 16 MiB of the largest piece */
  constructor(limitBytes: number = DEFAULT_LIMIT_BYTES) {
    if (!Number.isSafeInteger(limitBytes) || limitBytes <= 0 || limitBytes % MAX_PIECE_LENGTH_BYTES !== 0) {
      throw new RangeError(
        `Piece memory is a multiple of ${MAX_PIECE_LENGTH_BYTES} bytes, which ${limitBytes} is not.`,
      );
    }
    this.limitBytes = limitBytes;
    this.#regions = Array.from({ length: limitBytes / MAX_PIECE_LENGTH_BYTES }, () => undefined);
    for (let length = BLOCK_LENGTH_BYTES; length <= MAX_PIECE_LENGTH_BYTES; length *= 2) {
      this.#free.set(length, []);
    }
    for (let start = 0; start < limitBytes; start += MAX_PIECE_LENGTH_BYTES) {
      this.#free.get(MAX_PIECE_LENGTH_BYTES)?.push(start);
    }
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** How many slots were taken so far. */
  get takenCount(): number {
    return this.#takenCount;
  }

  /** What the process holds now, in use or not. */
  get heldBytes(): number {
    return this.#regions.filter((region) => region !== undefined).length * MAX_PIECE_LENGTH_BYTES;
  }

  /** True between a refusal and the next `onRoom`. */
  get isScarce(): boolean {
    return this.#isScarce;
  }

  /**
   * A slot of that length, or undefined: wait for `onRoom`.
   *
   * @param lengthBytes a piece length: a power of two from 16 KiB to 16 MiB
   */
  take(lengthBytes: number): PieceSlot | undefined {
    if (!this.#free.has(lengthBytes)) throw new RangeError(`No piece has a length of ${lengthBytes} bytes.`);
    if (this.#isScarce) return undefined;
    const boundBytes = this.#boundBytes(lengthBytes);
    let start = this.#cutWithin(boundBytes, lengthBytes);
    if (start === undefined) {
      for (const reclaim of [...this.#reclaimers]) reclaim();
      start = this.#cutWithin(boundBytes, lengthBytes);
    }
    if (start === undefined) {
      this.#isScarce = true;
      this.#lowWaterBytes = boundBytes * LOW_WATER_PART;
      return undefined;
    }
    const slot: PieceSlot = { bytes: this.#bytesAt(start, lengthBytes) };
    this.#inUse.set(slot, start);
    this.#usedBytes += lengthBytes;
    this.#takenCount++;
    return slot;
  }

  /** Returns a slot. The caller must not touch its bytes any more. */
  give(slot: PieceSlot): void {
    const start = this.#inUse.get(slot);
    if (start === undefined) throw new RangeError("This piece memory is free already.");
    this.#inUse.delete(slot);
    this.#usedBytes -= slot.bytes.length;
    this.#join(start, slot.bytes.length);
    if (this.#isScarce && this.#usedBytes <= this.#lowWaterBytes) {
      this.#isScarce = false;
      for (const listener of [...this.#roomListeners]) listener();
    }
  }

  /** Calls `listener` whenever there is room again after a refusal. @returns what ends that */
  onRoom(listener: () => void): () => void {
    this.#roomListeners.add(listener);
    return () => this.#roomListeners.delete(listener);
  }

  /** Calls `reclaim` before a refusal: it returns memory that is only kept for speed. @returns unsubscribes */
  onScarcity(reclaim: () => void): () => void {
    this.#reclaimers.add(reclaim);
    return () => this.#reclaimers.delete(reclaim);
  }

  /** Lets go of what is wholly free; fresh memory is obtained when a slot needs it. */
  release(): void {
    for (const start of this.#free.get(MAX_PIECE_LENGTH_BYTES) ?? []) {
      this.#regions[start / MAX_PIECE_LENGTH_BYTES] = undefined;
    }
  }

  #bytesAt(start: number, lengthBytes: number): PieceSlot["bytes"] {
    const offset = start % MAX_PIECE_LENGTH_BYTES;
    const index = (start - offset) / MAX_PIECE_LENGTH_BYTES;
    const region = this.#regions[index] ?? new SharedArrayBuffer(MAX_PIECE_LENGTH_BYTES);
    this.#regions[index] = region;
    return new Uint8Array(region, offset, lengthBytes);
  }

  /** Most bytes in use when a piece of that length is given. */
  #boundBytes(lengthBytes: number): number {
    return Math.min(this.limitBytes, Math.max(SMALL_PIECES_BYTES, lengthBytes * ENOUGH_PIECES));
  }

  #cutWithin(boundBytes: number, lengthBytes: number): number | undefined {
    return this.#usedBytes + lengthBytes > boundBytes ? undefined : this.#cut(lengthBytes);
  }

  /** Takes a free part of that length, cutting a larger one in two if there is none. */
  #cut(lengthBytes: number): number | undefined {
    const free = this.#free.get(lengthBytes);
    if (free === undefined) return undefined;
    const start = free.pop();
    if (start !== undefined) return start;
    const larger = this.#cut(lengthBytes * 2);
    if (larger !== undefined) free.push(larger + lengthBytes);
    return larger;
  }

  /** Frees a part, and makes one of it and its other half if that is free too. */
  #join(start: number, lengthBytes: number): void {
    const free = this.#free.get(lengthBytes) ?? [];
    // Every part begins at a multiple of its length: the other half of the part it was cut from lies on either side.
    const isFirstHalf = (start / lengthBytes) % 2 === 0;
    const other = isFirstHalf ? start + lengthBytes : start - lengthBytes;
    const place = lengthBytes < MAX_PIECE_LENGTH_BYTES ? free.lastIndexOf(other) : -1;
    if (place === -1) {
      free.push(start);
    } else {
      free.splice(place, 1);
      this.#join(Math.min(start, other), lengthBytes * 2);
    }
  }
}
