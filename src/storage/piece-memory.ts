// The memory that pieces are assembled in: bounded in bytes for all torrents of a process together, and used again and
// again, because touching fresh memory costs a page fault for each 4 KiB. Refuses rather than waits.
import { MAX_PIECE_LENGTH_BYTES } from "../metainfo/geometry.ts";

/** What 800 MB/s need to cover 80 ms between a piece's first block and its being on disk. */
const DEFAULT_LIMIT_BYTES = 64 * 1024 * 1024;
/** After a refusal nothing is given until use has fallen to this part: sockets stop and start in strides, not per piece. */
const LOW_WATER_PART = 0.75;

/** Memory for one piece; shared with the workers of a disk pool. What it holds at first is what the last user left. */
export interface PieceSlot {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Uint8Array;
}

export class PieceMemory {
  readonly limitBytes: number;
  readonly #lowWaterBytes: number;
  /** Slots nobody uses, by their length. The one used last is given first: it may still be in a cache. */
  readonly #free = new Map<number, PieceSlot[]>();
  readonly #inUse = new Set<PieceSlot>();
  readonly #reclaimers = new Set<() => void>();
  readonly #roomListeners = new Set<() => void>();
  #usedBytes = 0;
  #freeBytes = 0;
  #isScarce = false;

  /** @param limitBytes most bytes that pieces take up at once; at least the 16 MiB of the largest piece */
  constructor(limitBytes: number = DEFAULT_LIMIT_BYTES) {
    if (!Number.isSafeInteger(limitBytes) || limitBytes < MAX_PIECE_LENGTH_BYTES) {
      throw new RangeError(
        `Piece memory needs ${MAX_PIECE_LENGTH_BYTES} bytes or more, ${limitBytes} were given.`,
      );
    }
    this.limitBytes = limitBytes;
    this.#lowWaterBytes = limitBytes * LOW_WATER_PART;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Used or kept for the next user: what the process really holds. Never more than the limit. */
  get heldBytes(): number {
    return this.#usedBytes + this.#freeBytes;
  }

  /** True between a refusal and the next `onRoom`. */
  get isScarce(): boolean {
    return this.#isScarce;
  }

  /** A slot of that length, or undefined: wait for `onRoom`. */
  take(lengthBytes: number): PieceSlot | undefined {
    if (this.#isScarce) return undefined;
    if (this.#usedBytes + lengthBytes > this.limitBytes) {
      for (const reclaim of [...this.#reclaimers]) reclaim();
    }
    if (this.#usedBytes + lengthBytes > this.limitBytes) {
      this.#isScarce = true;
      return undefined;
    }
    let slot = this.#free.get(lengthBytes)?.pop();
    if (slot === undefined) slot = this.#make(lengthBytes);
    else this.#freeBytes -= lengthBytes;
    this.#inUse.add(slot);
    this.#usedBytes += lengthBytes;
    return slot;
  }

  /** Returns a slot. Whoever does must not touch its bytes any more. */
  give(slot: PieceSlot): void {
    if (!this.#inUse.delete(slot)) throw new RangeError("This piece memory is free already.");
    const lengthBytes = slot.memory.byteLength;
    this.#usedBytes -= lengthBytes;
    this.#freeBytes += lengthBytes;
    const free = this.#free.get(lengthBytes);
    if (free === undefined) this.#free.set(lengthBytes, [slot]);
    else free.push(slot);
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

  /** Calls `reclaim` before anybody is refused: it gives what it only keeps for speed. @returns what ends that */
  onScarcity(reclaim: () => void): () => void {
    this.#reclaimers.add(reclaim);
    return () => this.#reclaimers.delete(reclaim);
  }

  #make(lengthBytes: number): PieceSlot {
    for (const [otherLengthBytes, slots] of this.#free) {
      while (this.heldBytes + lengthBytes > this.limitBytes && slots.pop() !== undefined) {
        this.#freeBytes -= otherLengthBytes;
      }
    }
    const memory = new SharedArrayBuffer(lengthBytes);
    return { memory, bytes: new Uint8Array(memory) };
  }
}
