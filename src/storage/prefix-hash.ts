// The SHA-1 of the whole file, kept up while its pieces come: a running hash over the verified prefix. A piece that is
// next is hashed from memory; what came out of order is read back when the prefix reaches it, at once and in the
// background. So the end of a download needs no second pass, except over what was still out of order.
import { MiniTorrentError } from "../api/errors.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import type { Digest, DiskPool } from "./disk-pool.ts";
import type { PieceSlot } from "./piece-memory.ts";

/** Most bytes of one job that reads back: 3 ms, so that a piece that waits to be written behind it hardly notices. */
const READ_BACK_BYTES = 4 * 1024 * 1024;
/** As many of what is held go to the worker at once. */
const MEMORY_JOB_BYTES = 4 * 1024 * 1024;
/** A piece this far ahead of the prefix stays in memory until its turn; what is further is read back. */
const HOLD_AHEAD_BYTES = 16 * 1024 * 1024;
/** How often a lost worker is made good by beginning again, before that is taken for more than bad luck. */
const MAX_RESTARTS = 3;

export interface PrefixHashOptions {
  readonly disk: DiskPool;
  readonly fd: number;
  readonly path: string;
  readonly geometry: Geometry;
  hasPiece(pieceIndex: number): boolean;
  /** Takes back memory that `offer` had taken. */
  giveBack(slot: PieceSlot): void;
}

export class PrefixHash {
  readonly #options: PrefixHashOptions;
  readonly #held = new Map<number, PieceSlot>();
  #digest: Digest | undefined;
  /** The first piece that is not hashed. */
  #nextPiece = 0;
  #restarts = 0;
  #isPaused = false;
  #isClosed = false;
  #running: Promise<void> | undefined;
  #outcome: string | MiniTorrentError | undefined;

  constructor(options: PrefixHashOptions) {
    this.#options = options;
  }

  /** A piece is verified and written. @returns true if its memory is kept: it comes back through `giveBack` */
  offer(pieceIndex: number, slot: PieceSlot | undefined): boolean {
    const aheadBytes = (pieceIndex - this.#nextPiece) * this.#options.geometry.pieceLengthBytes;
    const isNear = aheadBytes >= 0 && aheadBytes <= HOLD_AHEAD_BYTES;
    const isKept = slot !== undefined && isNear && !this.#isPaused;
    if (isKept) this.#held.set(pieceIndex, slot);
    this.advance();
    return isKept;
  }

  /** Gives back the memory that is only kept for speed. */
  reclaim(): void {
    for (const slot of this.#held.values()) this.#options.giveBack(slot);
    this.#held.clear();
  }

  /** Hashes on, if anything can be hashed. */
  advance(): void {
    if (this.#isPaused || this.#running !== undefined || this.#outcome !== undefined) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /**
   * The SHA-1 of the whole file, hex. All pieces are verified when this is called.
   *
   * @throws MiniTorrentError DISK_FAILED, FILE_CHANGED; another call tries again
   */
  async whole(): Promise<string> {
    if (this.#outcome instanceof MiniTorrentError) this.#reset();
    while (this.#outcome === undefined && !this.#isClosed) {
      this.advance();
      if (this.#running === undefined) break;
      await this.#running;
    }
    if (typeof this.#outcome === "string") return this.#outcome;
    throw this.#outcome ?? new MiniTorrentError("INTERNAL", "The file was closed before it was all hashed.");
  }

  /** Stops, and forgets what was hashed: the file may not be what it was thought to be. Ends with `resume`. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    this.reclaim();
    await this.#running;
    await this.#digest?.finish().catch(() => undefined);
    this.#reset();
  }

  resume(): void {
    this.#isPaused = false;
    this.advance();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.pause();
  }

  #reset(): void {
    this.#digest = undefined;
    this.#nextPiece = 0;
    this.#restarts = 0;
    this.#outcome = undefined;
  }

  async #run(): Promise<void> {
    while (!this.#isPaused && this.#outcome === undefined) {
      this.#digest ??= this.#options.disk.openDigest(0);
      try {
        if (!(await this.#step(this.#digest))) return;
      } catch (error) {
        if (this.#digest.isLost && this.#restarts < MAX_RESTARTS) {
          this.#restarts++;
          this.#digest = undefined;
          this.#nextPiece = 0;
        } else {
          this.#outcome =
            error instanceof MiniTorrentError
              ? error
              : new MiniTorrentError("INTERNAL", "Hashing the file failed inside.", { cause: error });
        }
      }
    }
  }

  /** Returns false if there is nothing to hash now. */
  async #step(digest: Digest): Promise<boolean> {
    const { geometry, hasPiece, giveBack, fd, path } = this.#options;
    const pieceIndex = this.#nextPiece;
    if (pieceIndex === geometry.pieceCount) {
      this.#outcome = Buffer.from(await digest.finish()).toString("hex");
      return true;
    }
    const slots = this.#takeHeld(pieceIndex);
    if (slots.length > 0) {
      try {
        await digest.update(
          ...slots.map(({ bytes }, at) => bytes.subarray(0, geometry.lengthOfPieceBytes(pieceIndex + at))),
        );
      } finally {
        for (const slot of slots) giveBack(slot);
      }
      this.#nextPiece = pieceIndex + slots.length;
      return true;
    }
    let lengthBytes = 0;
    let end = pieceIndex;
    while (
      lengthBytes < READ_BACK_BYTES &&
      end < geometry.pieceCount &&
      hasPiece(end) &&
      !this.#held.has(end)
    ) {
      lengthBytes += geometry.lengthOfPieceBytes(end);
      end++;
    }
    if (end === pieceIndex) return false;
    await digest.updateFromFile({
      fd,
      path,
      positionBytes: geometry.pieceOffsetBytes(pieceIndex),
      lengthBytes,
    });
    this.#nextPiece = end;
    return true;
  }

  /** Pieces that are held, from that one on: one job for all of them, or the network's thread would set the pace. */
  #takeHeld(firstPiece: number): PieceSlot[] {
    const slots: PieceSlot[] = [];
    let lengthBytes = 0;
    for (let pieceIndex = firstPiece; lengthBytes < MEMORY_JOB_BYTES; pieceIndex++) {
      const slot = this.#held.get(pieceIndex);
      if (slot === undefined) break;
      this.#held.delete(pieceIndex);
      slots.push(slot);
      lengthBytes += slot.bytes.length;
    }
    return slots;
  }
}
