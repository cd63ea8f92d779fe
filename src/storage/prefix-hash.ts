// The SHA-1 of the whole file, kept up while its pieces come: a running hash over the verified prefix. A piece that is
// next is hashed from memory; what came out of order is read back when the prefix reaches it, at once and in the
// background. So the end of a download needs no second pass, except over what was still out of order.
import { MiniTorrentError } from "../api/errors.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import type { DiskPool } from "./disk-pool.ts";
import type { PieceSlot } from "./piece-memory.ts";
import type { RefCountedFile } from "./ref-counted-file.ts";
import type { Digest } from "./worker-slot.ts";

/** Most bytes of one job: 3 ms, so that a piece that waits to be written behind it hardly notices. */
const STEP_BYTES = 4 * 1024 * 1024;
/** A piece this far ahead of the prefix stays in memory until its turn; what is further is read back. That is all
 * that such pieces may take up: a hash that falls behind then slows the download down, rather than read again and fall behind the more. */
const HOLD_AHEAD_BYTES = 32 * 1024 * 1024;
/** Steps that the worker has at once: it need not wait for the network's thread between them. */
const STEPS_AT_ONCE = 3;
/** How often a lost worker is made good by beginning again, before that is taken for more than bad luck. */
const MAX_RESTARTS = 3;

export interface PrefixHashOptions {
  readonly disk: DiskPool;
  readonly file: Pick<RefCountedFile, "inRange">;
  readonly geometry: Geometry;
  hasPiece(pieceIndex: number): boolean;
  /** Takes back memory that `offer` had taken. */
  giveBack(slot: PieceSlot): void;
}

export class PrefixHash {
  readonly #options: PrefixHashOptions;
  readonly #held = new Map<number, PieceSlot>();
  #digest: Digest | undefined;
  /** The first piece that the worker has not been given to hash. */
  #nextPiece = 0;
  #restarts = 0;
  #isPaused = false;
  #isClosed = false;
  #stepCount = 0;
  /** A step waits for the file to be open; what is hashed after it must not get ahead of it. */
  #awaitsFile = false;
  /** Why a step failed; what is known of the rest once all that are under way have ended. */
  #failure: { readonly error: unknown } | undefined;
  #outcome: string | MiniTorrentError | undefined;
  #whenIdle: (() => void)[] = [];

  constructor(options: PrefixHashOptions) {
    this.#options = options;
  }

  /**
   * A piece is verified and written.
   *
   * @param isMemoryScarce others wait for memory: only what can be hashed without any more of it is kept
   * @returns true if the slot is kept: it comes back through `giveBack`
   */
  offer(pieceIndex: number, slot: PieceSlot, isMemoryScarce: boolean): boolean {
    const aheadBytes = (pieceIndex - this.#nextPiece) * this.#options.geometry.pieceLengthBytes;
    const isNear = aheadBytes >= 0 && aheadBytes <= HOLD_AHEAD_BYTES;
    const isKept = isNear && !this.#isPaused && (!isMemoryScarce || pieceIndex < this.#reachableEnd());
    if (isKept) this.#held.set(pieceIndex, slot);
    this.advance();
    return isKept;
  }

  /** Gives back the memory that is only kept for speed: of pieces that wait for one that is not there. */
  reclaim(): void {
    const end = this.#reachableEnd();
    for (const [pieceIndex, slot] of this.#held) {
      if (pieceIndex < end) continue;
      this.#held.delete(pieceIndex);
      this.#options.giveBack(slot);
    }
  }

  /** Hashes on, if anything can be hashed. */
  advance(): void {
    while (this.#stepCount < STEPS_AT_ONCE && this.#startStep());
  }

  /**
   * The SHA-1 of the whole file, hex. All pieces are verified when this is called.
   *
   * @throws MiniTorrentError DISK_FAILED, FILE_CHANGED; another call tries again
   */
  async whole(): Promise<string> {
    if (this.#outcome instanceof MiniTorrentError) this.#reset();
    this.advance();
    await this.#idle();
    if (typeof this.#outcome === "string") return this.#outcome;
    throw this.#outcome ?? new MiniTorrentError("INTERNAL", "The file was closed before it was all hashed.");
  }

  /** Stops, and forgets what was hashed: the file may not be what it was thought to be. Ends with `resume`. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    for (const slot of this.#held.values()) this.#options.giveBack(slot);
    this.#held.clear();
    await this.#idle();
    await this.#digest?.finish().catch(() => undefined);
    this.#reset();
  }

  resume(): void {
    this.#isPaused = this.#isClosed;
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
    this.#failure = undefined;
    this.#outcome = undefined;
  }

  #idle(): Promise<void> {
    if (this.#stepCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Returns false if there is nothing to hash now. */
  #startStep(): boolean {
    if (this.#isPaused || this.#outcome !== undefined || this.#failure !== undefined) return false;
    if (this.#awaitsFile) return false;
    const { geometry } = this.#options;
    const pieceIndex = this.#nextPiece;
    if (pieceIndex > geometry.pieceCount) return false;
    if (pieceIndex === geometry.pieceCount) {
      // One further: the end is asked for once.
      this.#nextPiece++;
      const ended = this.#openDigest()
        .finish()
        .then((sha1) => {
          if (this.#failure === undefined) this.#outcome = Buffer.from(sha1).toString("hex");
        });
      this.#follow(ended, []);
      return true;
    }
    return this.#hashHeld() || this.#readBack();
  }

  #openDigest(): Digest {
    this.#digest ??= this.#options.disk.openDigest(0);
    return this.#digest;
  }

  #follow(step: Promise<unknown>, slots: readonly PieceSlot[]): void {
    this.#stepCount++;
    const ended = (): void => {
      for (const slot of slots) this.#options.giveBack(slot);
      this.#stepCount--;
      if (this.#stepCount === 0 && this.#failure !== undefined) this.#failed(this.#failure.error);
      this.advance();
      if (this.#stepCount > 0) return;
      for (const resolve of this.#whenIdle.splice(0)) resolve();
    };
    step.then(ended, (error) => {
      this.#awaitsFile = false;
      this.#failure ??= { error };
      ended();
    });
  }

  #failed(error: unknown): void {
    this.#failure = undefined;
    if (this.#digest?.isLost && this.#restarts < MAX_RESTARTS) {
      this.#restarts++;
      this.#digest = undefined;
      this.#nextPiece = 0;
    } else {
      // Only so that the worker forgets it.
      this.#digest?.finish().catch(() => undefined);
      this.#digest = undefined;
      this.#outcome =
        error instanceof MiniTorrentError
          ? error
          : new MiniTorrentError("INTERNAL", "Hashing the file failed inside.", { cause: error });
    }
  }

  /** Pieces that are held, from the next one on: one job for all of them. */
  #hashHeld(): boolean {
    const { geometry } = this.#options;
    const slots: PieceSlot[] = [];
    const parts: PieceSlot["bytes"][] = [];
    for (let lengthBytes = 0; lengthBytes < STEP_BYTES; this.#nextPiece++) {
      const slot = this.#held.get(this.#nextPiece);
      if (slot === undefined) break;
      this.#held.delete(this.#nextPiece);
      slots.push(slot);
      parts.push(slot.bytes.subarray(0, geometry.lengthOfPieceBytes(this.#nextPiece)));
      lengthBytes += slot.bytes.length;
    }
    if (slots.length === 0) return false;
    this.#follow(this.#openDigest().update(...parts), slots);
    return true;
  }

  /** Pieces that are on disk and no longer in memory. */
  #readBack(): boolean {
    const { geometry, hasPiece, file } = this.#options;
    const firstPiece = this.#nextPiece;
    let lengthBytes = 0;
    while (
      lengthBytes < STEP_BYTES &&
      this.#nextPiece < geometry.pieceCount &&
      hasPiece(this.#nextPiece) &&
      !this.#held.has(this.#nextPiece)
    ) {
      lengthBytes += geometry.lengthOfPieceBytes(this.#nextPiece);
      this.#nextPiece++;
    }
    if (lengthBytes === 0) return false;
    const digest = this.#openDigest();
    this.#awaitsFile = true;
    const step = file.inRange(geometry.pieceOffsetBytes(firstPiece), (place) => {
      this.#awaitsFile = false;
      const updated = digest.updateFromFile({ ...place, lengthBytes });
      this.advance();
      return updated;
    });
    this.#follow(step, []);
    return true;
  }

  /** The first piece, as far as pieces are held, that is not there: what is before it is hashed without more memory. */
  #reachableEnd(): number {
    const { geometry, hasPiece } = this.#options;
    const farthest = this.#nextPiece + HOLD_AHEAD_BYTES / geometry.pieceLengthBytes;
    let end = this.#nextPiece;
    while (end <= farthest && end < geometry.pieceCount && hasPiece(end)) end++;
    return end;
  }
}
