// Limits concurrent work, such as signatures, which occupies the event loop whenever a part of it completes. Further work
// waits, and keys take turns.
import { MiniTorrentError } from "../api/errors.ts";
import { FairQueue } from "./fair-queue.ts";

/** Most waiting jobs; each is a call that waits for its answer. */
const MOST_WAITING = 10_000;
const RETRY_AFTER_MS = 1_000;

interface Waiting {
  begin(): void;
  refuse(error: MiniTorrentError): void;
}

export class FairSlots {
  #free: number;
  readonly #waiting: FairQueue<Waiting>;

  /** @param count how many jobs run at once */
  constructor(count: number, mostWaiting = MOST_WAITING) {
    this.#free = count;
    this.#waiting = new FairQueue(mostWaiting);
  }

  /**
   * @param key whom the work is for
   * @throws MiniTorrentError TRACKER_BUSY, or what `work` throws
   */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(key);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next.begin();
    }
  }

  #wait(key: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const refused = this.#waiting.push([key], { begin: resolve, refuse: reject });
      const sentence = "The tracker has too many certificates to sign; try again in 1 s.";
      refused?.refuse(new MiniTorrentError("TRACKER_BUSY", sentence, { retryAfterMs: RETRY_AFTER_MS }));
    });
  }
}
