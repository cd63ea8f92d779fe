// Looks at one thing after the other, forever: each look some time after the one before, so that many things cost no more than
// few, and a whole round takes the longer. The first rounds are quick, since what changed while nobody looked is found in them.

import { later } from "../net/timers.ts";

export interface SlowRoundOptions<T> {
  /** What there is, in an order that lasts while some are added and removed. */
  readonly all: () => Iterable<T>;
  /** The next look waits for this one; a failure is reported, and ends nothing. */
  readonly look: (one: T) => Promise<void>;
  readonly pauseMs: number;
  /** Between two looks after the first rounds. */
  readonly calmPauseMs: number;
  /** The same one is not looked at again sooner. */
  readonly leastRoundMs: number;
}

/** In the second one, what the first found has settled. */
const QUICK_ROUNDS = 2;

export class SlowRound<T> {
  readonly #options: SlowRoundOptions<T>;
  #rounds = 0;
  #round: Iterator<T>;
  #begunMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** Begins at once. */
  constructor(options: SlowRoundOptions<T>) {
    this.#options = options;
    this.#round = options.all()[Symbol.iterator]();
    this.#lookIn(options.pauseMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookIn(ms: number): void {
    this.#timer = later("a look in a slow round", ms, () => this.#look()).unref();
  }

  async #look(): Promise<void> {
    const { all, look, leastRoundMs } = this.#options;
    const pauseMs = this.#rounds < QUICK_ROUNDS ? this.#options.pauseMs : this.#options.calmPauseMs;
    const timer = this.#timer;
    let nextInMs = pauseMs;
    try {
      const next = this.#round.next();
      if (next.done) {
        this.#rounds++;
        const leftMs = this.#begunMs + leastRoundMs - performance.now();
        this.#begunMs = performance.now() + Math.max(0, leftMs);
        nextInMs = Math.max(pauseMs, leftMs);
        this.#round = all()[Symbol.iterator]();
      } else await look(next.value);
    } finally {
      // Unless it was closed meanwhile.
      if (this.#timer === timer) this.#lookIn(nextInMs);
    }
  }
}
