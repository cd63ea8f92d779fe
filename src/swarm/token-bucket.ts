// A limit on bytes per second, for all torrents or for one of them: a token bucket (RFC 2697 has its form) that may have
// a parent, whose tokens are spent with its own. A peer that finds none waits for a turn; turns go round the torrents, and
// within a torrent round the peers, so that each gets the same however much it wants. The owner has the clock.
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";

/** What may be saved up while nothing is spent: more than the owner's pause between two ticks, and little enough for
 * an average over 10 s that is right to 3 %. */
const BURST_SECONDS = 0.25;
/** Each turn is good for what comes in in this time, within bounds, whatever is left at that moment: of turns that end
 * where the tokens do, some torrents would always get the short ones. */
const TURN_SECONDS = 0.1;
const MAX_TURN_BYTES = 64 * 1024;

/** One direction of one peer, which may have to wait for tokens. */
export interface TokenWaiter {
  /** It is this one's turn: `allowance` may be asked now, and what is not spent before this returns is lost. */
  resume(): void;
}

export class TokenBucket {
  readonly #nowMs: () => number;
  readonly #parent: TokenBucket | undefined;
  #bytesPerSecond: number | undefined;
  /** Below zero after a block that was larger than what was left. */
  #tokens = 0;
  #filledAtMs: number;
  /** Those of this torrent that wait, the next one first. */
  readonly #waiters = new Set<TokenWaiter>();
  /** Of the outermost bucket: the torrents in which some peer waits, the next one first. */
  readonly #waitingIn = new Set<TokenBucket>();
  #turn: TokenWaiter | undefined;

  /**
   * @param nowMs milliseconds on a clock that never goes back
   * @param parent a bucket that has no parent itself
   */
  constructor(nowMs: () => number, parent?: TokenBucket) {
    this.#nowMs = nowMs;
    this.#parent = parent;
    this.#filledAtMs = nowMs();
  }

  /** undefined: no limit of its own. */
  get bytesPerSecond(): number | undefined {
    return this.#bytesPerSecond;
  }

  /** Neither this nor the parent has a limit. */
  get isUnlimited(): boolean {
    return this.#bytesPerSecond === undefined && (this.#parent?.isUnlimited ?? true);
  }

  get #outermost(): TokenBucket {
    return this.#parent ?? this;
  }

  /** Takes effect at once, also for waiting peers. */
  limitTo(bytesPerSecond: number | undefined): void {
    this.#fill();
    this.#bytesPerSecond = bytesPerSecond;
    // What was saved up at another rate, or was owed, is forgotten.
    this.#tokens = 0;
    this.#outermost.#serve();
  }

  /**
   * How many bytes may be spent now, a block at least; none: `waiter` is given a turn when there are some. They may be
   * more than there are tokens: what follows waits so much longer.
   */
  allowance(waiter: TokenWaiter): number {
    if (this.isUnlimited) return Number.POSITIVE_INFINITY;
    const outermost = this.#outermost;
    const isItsTurn = outermost.#turn === waiter;
    const isFree = isItsTurn || outermost.#waitingIn.size === 0;
    if (isFree && this.#filled > 0 && outermost.#filled > 0) {
      return Math.min(this.#turnBytes, outermost.#turnBytes);
    }
    this.#waiters.add(waiter);
    outermost.#waitingIn.add(this);
    return 0;
  }

  spend(bytes: number): void {
    this.#outermost.#turn = undefined;
    if (this.#bytesPerSecond !== undefined) this.#tokens -= bytes;
    this.#parent?.spend(bytes);
  }

  /** What was spent was not used. */
  giveBack(bytes: number): void {
    if (this.#bytesPerSecond !== undefined) this.#tokens = Math.min(this.#tokens + bytes, this.#burstBytes);
    this.#parent?.giveBack(bytes);
  }

  /** Waits no longer. */
  forget(waiter: TokenWaiter): void {
    this.#waiters.delete(waiter);
    if (this.#waiters.size === 0) this.#outermost.#waitingIn.delete(this);
  }

  /** Of the outermost bucket, called by the owner about every 100 ms: gives turns to waiting peers. */
  tick(): void {
    if (this.#waitingIn.size > 0) this.#serve();
  }

  get #burstBytes(): number {
    return Math.max((this.#bytesPerSecond ?? 0) * BURST_SECONDS, BLOCK_LENGTH_BYTES);
  }

  get #turnBytes(): number {
    const bytes = (this.#bytesPerSecond ?? Number.POSITIVE_INFINITY) * TURN_SECONDS;
    return Math.min(MAX_TURN_BYTES, Math.max(BLOCK_LENGTH_BYTES, bytes));
  }

  get #filled(): number {
    if (this.#bytesPerSecond === undefined) return Number.POSITIVE_INFINITY;
    this.#fill();
    return this.#tokens;
  }

  #fill(): void {
    const nowMs = this.#nowMs();
    const gained = ((this.#bytesPerSecond ?? 0) * (nowMs - this.#filledAtMs)) / 1000;
    this.#filledAtMs = nowMs;
    this.#tokens = Math.min(this.#tokens + gained, this.#burstBytes);
  }

  #serve(): void {
    let hasSpent = true;
    while (hasSpent) {
      hasSpent = false;
      for (const bucket of [...this.#waitingIn]) {
        if (this.#filled <= 0) return;
        if (bucket.#filled > 0 && this.#giveTurn(bucket)) hasSpent = true;
      }
    }
  }

  /** True if the turn was used. */
  #giveTurn(bucket: TokenBucket): boolean {
    const [waiter] = bucket.#waiters;
    // Both go to the end of their rows; a peer that wants more asks again.
    this.#waitingIn.delete(bucket);
    if (waiter === undefined) return false;
    bucket.#waiters.delete(waiter);
    if (bucket.#waiters.size > 0) this.#waitingIn.add(bucket);
    this.#turn = waiter;
    waiter.resume();
    const isUsed = this.#turn === undefined;
    this.#turn = undefined;
    return isUsed;
  }
}
