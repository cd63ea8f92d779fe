// Chooses the call that runs next on the event loop: of the accounts with waiting calls, the one whose calls have used least
// time (start-time fair queueing, Goyal, Vin and Cheng 1996). Time is measured, since one call may cost a thousand times
// another. An account that has asked for less than its share has some credit (as in borrowed virtual time, Duda and Cheriton
// 1999): a person's calls run at once, beside hundreds of accounts that call all the time over however many connections.
// Between slices the event loop does its I/O.
import { MiniTorrentError } from "../../api/errors.ts";
import { Heap } from "./heap.ts";

/** Length of a slice; then the event loop does its I/O. */
const SLICE_MS = 5;
/** Length of a slice for callers within their share: what others send must not take all the time between slices. */
const LONGEST_SLICE_MS = 15;
/** Most calls of one slice, however cheap. */
const CALLS_PER_SLICE = 64;
/** Most time by which an account that asks for little is ahead: a client's calls at its start, or some pages of a list. */
const MOST_CREDIT_MS = 50;
/** Most waiting calls, of one key and in total. Their memory is bounded by byte-budget.ts. */
const MOST_WAITING_OF_KEY = 4_000;
const MOST_WAITING = 100_000;
const RETRY_AFTER_MS = 1_000;
/** Idle callers remembered before those with all their credit are forgotten. */
const IDLE_CALLERS_KEPT = 1_000;

export interface CallTurnsOptions {
  /** The thread's processor time, so that time in which it does not run is charged to nobody. */
  readonly nowMs: () => number;
  /** Runs it in the next turn of the event loop. Several run one after the other, with only promise callbacks in between. */
  readonly nextTurn: (run: () => void) => void;
}

interface Caller {
  /** Virtual time: event-loop time used, in ms, from a common start. */
  usedMs: number;
  /** Virtual time when it was enqueued. */
  queuedAtMs: number;
  /** Breaks ties: later is larger. */
  order: number;
  readonly waiting: (() => void)[];
}

export class CallTurns {
  readonly #options: CallTurnsOptions;
  /** Callers with waiting calls, or that have used some of their credit or more while others wait. */
  readonly #callers = new Map<string, Caller>();
  /** Callers with waiting calls, least used time first. */
  readonly #queue = new Heap(isBefore);
  /** Virtual time: that of the served callers. A new caller starts MOST_CREDIT_MS before it. */
  #servedAtMs = 0;
  #waitingCount = 0;
  #enqueued = 0;
  #isSliceAsked = false;
  #sliceBeganMs = 0;
  #mostCallers = IDLE_CALLERS_KEPT;
  readonly #onSliceEnd: (() => void)[] = [];
  #running: { readonly caller: Caller; readonly sinceMs: number } | undefined;

  constructor(options: CallTurnsOptions) {
    this.#options = options;
  }

  /** Calls that wait for their turn. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Callers remembered, for a test of their bound. */
  get callerCount(): number {
    return this.#callers.size;
  }

  /**
   * Resolves when it is the call's turn; the time until it next yields to the event loop is charged to its key.
   *
   * @param key the account or network that the call belongs to
   * @throws MiniTorrentError TRACKER_BUSY
   */
  take(key: string): Promise<void> {
    const caller = this.#callerOf(key);
    if (caller.waiting.length >= MOST_WAITING_OF_KEY || this.#waitingCount >= MOST_WAITING) {
      const sentence = "The tracker has too many calls waiting; try again in 1 s.";
      return Promise.reject(new MiniTorrentError("TRACKER_BUSY", sentence, { retryAfterMs: RETRY_AFTER_MS }));
    }
    return new Promise((resolve) => {
      this.#waitingCount++;
      if (caller.waiting.push(resolve) === 1) this.#enqueue(caller);
      this.#askForSlice();
    });
  }

  /** Calls the listener after each slice, in the same turn of the event loop. */
  onSliceEnd(listener: () => void): void {
    this.#onSliceEnd.push(listener);
  }

  /** Charges time that a call of that key has taken outside its turn. */
  charge(key: string, ms: number): void {
    if (this.#waitingCount > 0) this.#callerOf(key).usedMs += ms;
  }

  #callerOf(key: string): Caller {
    let caller = this.#callers.get(key);
    if (caller === undefined) {
      caller = { usedMs: this.#earliestMs(), queuedAtMs: 0, order: 0, waiting: [] };
      this.#callers.set(key, caller);
    }
    return caller;
  }

  /** The virtual time that a caller starts at, or waits from, at the earliest. */
  #earliestMs(): number {
    return this.#servedAtMs - MOST_CREDIT_MS;
  }

  #askForSlice(): void {
    if (this.#isSliceAsked) return;
    this.#isSliceAsked = true;
    const { nextTurn, nowMs } = this.#options;
    const calls = Math.min(this.#waitingCount, CALLS_PER_SLICE);
    for (let call = 0; call < calls; call++) {
      nextTurn(() => {
        this.#settle();
        if (call === 0) this.#sliceBeganMs = nowMs();
        this.#serve(nowMs() - this.#sliceBeganMs);
      });
    }
    nextTurn(() => {
      this.#settle();
      this.#isSliceAsked = false;
      if (this.#waitingCount > 0) this.#askForSlice();
      else this.#callers.clear(); // nobody waits, so no caller has used more than its share
      if (this.#callers.size > this.#mostCallers) this.#forgetIdle();
      for (const listener of this.#onSliceEnd) listener();
    });
  }

  /** Runs the next call, if the slice has time for it. */
  #serve(spentMs: number): void {
    if (spentMs >= LONGEST_SLICE_MS) return;
    const caller = this.#dequeue();
    if (caller === undefined) return;
    if (spentMs >= SLICE_MS && caller.usedMs >= this.#servedAtMs) {
      this.#enqueue(caller);
      this.#sliceBeganMs = Number.NEGATIVE_INFINITY;
      return;
    }
    const run = caller.waiting.shift();
    if (run === undefined) return;
    this.#waitingCount--;
    this.#servedAtMs = Math.max(this.#servedAtMs, caller.usedMs);
    this.#running = { caller, sinceMs: this.#options.nowMs() };
    run();
  }

  /** The running call has yielded or ended. */
  #settle(): void {
    const { caller, sinceMs } = this.#running ?? {};
    this.#running = undefined;
    if (caller === undefined || sinceMs === undefined) return;
    caller.usedMs += this.#options.nowMs() - sinceMs;
    if (caller.waiting.length > 0) this.#enqueue(caller);
  }

  #enqueue(caller: Caller): void {
    // Its running call is not charged yet; it is enqueued again then.
    if (this.#running?.caller === caller) return;
    caller.usedMs = Math.max(caller.usedMs, this.#earliestMs());
    caller.queuedAtMs = caller.usedMs;
    caller.order = ++this.#enqueued;
    this.#queue.add(caller);
  }

  /** The caller with the least used time. */
  #dequeue(): Caller | undefined {
    for (;;) {
      const first = this.#queue.takeFirst();
      if (first === undefined || first.usedMs <= first.queuedAtMs) return first;
      this.#enqueue(first); // charged while it waited
    }
  }

  #forgetIdle(): void {
    for (const [key, { waiting, usedMs }] of this.#callers) {
      if (waiting.length === 0 && usedMs <= this.#earliestMs()) this.#callers.delete(key);
    }
    // Twice as many before the next look, so that looking costs no more as callers grow.
    this.#mostCallers = 2 * this.#callers.size + IDLE_CALLERS_KEPT;
  }
}

function isBefore(caller: Caller, other: Caller): boolean {
  return (
    caller.queuedAtMs < other.queuedAtMs ||
    (caller.queuedAtMs === other.queuedAtMs && caller.order < other.order)
  );
}
