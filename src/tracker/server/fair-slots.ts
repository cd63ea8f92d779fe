// Limits concurrent work, such as long messages, which take memory until they are answered; further work waits. The key that has
// had the fewest jobs is next (as in call-turns.ts, which counts time instead). A key that asks rarely is one job ahead, so it does
// not wait for a hundred keys that ask all the time.
import { MiniTorrentError } from "../../api/errors.ts";

/** Most waiting jobs; each is a call that waits for its answer. */
const MOST_WAITING = 10_000;
const RETRY_AFTER_MS = 1_000;
/** Jobs by which a key that arrives is ahead of those that wait. */
const JOBS_AHEAD = 1;

interface Caller {
  /** Jobs that it has had, counted from a start that all keys share. */
  had: number;
  readonly waiting: (() => void)[];
}

export class FairSlots {
  readonly #mostWaiting: number;
  #free: number;
  #waitingCount = 0;
  /** Keys with jobs waiting, and keys that have had more than their share while others wait. */
  readonly #callers = new Map<string, Caller>();
  /** The count of the key that was served last. */
  #servedAt = 0;

  /** @param count how many jobs run at once */
  constructor(count: number, mostWaiting = MOST_WAITING) {
    this.#free = count;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * @param key the account that the job is for
   * @throws MiniTorrentError TRACKER_BUSY, or what `work` throws
   */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(key);
    try {
      return await work();
    } finally {
      const next = this.#next();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  #wait(key: string): Promise<void> {
    const caller = this.#callers.get(key) ?? { had: this.#servedAt - JOBS_AHEAD, waiting: [] };
    // No key fills the queue alone: once it is half full, a key with at least the average number of jobs waiting is refused.
    const isFull = this.#waitingCount >= this.#mostWaiting;
    const isLarge =
      caller.waiting.length > 0 && caller.waiting.length * this.#callers.size >= this.#waitingCount;
    if (isFull || (this.#waitingCount * 2 >= this.#mostWaiting && isLarge)) {
      const sentence = "The tracker has too many long messages waiting; try again in 1 s.";
      return Promise.reject(new MiniTorrentError("TRACKER_BUSY", sentence, { retryAfterMs: RETRY_AFTER_MS }));
    }
    if (caller.waiting.length === 0) caller.had = Math.max(caller.had, this.#servedAt - JOBS_AHEAD);
    this.#callers.set(key, caller);
    this.#waitingCount++;
    return new Promise((resolve) => caller.waiting.push(resolve));
  }

  /** Looks at every key: microseconds, beside the milliseconds that a job takes. */
  #next(): (() => void) | undefined {
    let least: Caller | undefined;
    for (const [key, caller] of this.#callers) {
      if (caller.waiting.length > 0) {
        if (least === undefined || caller.had < least.had) least = caller;
      } else if (caller.had <= this.#servedAt - JOBS_AHEAD) this.#callers.delete(key);
    }
    if (least === undefined) {
      this.#callers.clear(); // nothing waits, so no key has had more than its share
      return undefined;
    }
    this.#servedAt = Math.max(this.#servedAt, least.had);
    least.had++;
    this.#waitingCount--;
    return least.waiting.shift();
  }
}
