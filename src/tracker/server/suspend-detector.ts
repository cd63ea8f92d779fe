// Whether this process stood still until a moment ago: stopped, swapped out, suspended with its machine, or busy for
// seconds. What it reads then has waited for so long that whoever sent it may have asked another tracker instead.

export class SuspendDetector {
  readonly #limitMs: number;
  readonly #nowMs: () => number;
  #lastTickMs: number;
  #lastGapMs = 0;

  /**
   * @param limitMs between two beats; `beat` is to be called several times in it
   * @param nowMs of a clock that goes on while the machine sleeps
   */
  constructor(limitMs: number, nowMs: () => number) {
    this.#limitMs = limitMs;
    this.#nowMs = nowMs;
    this.#lastTickMs = nowMs();
  }

  /** Returns for how long the process stood still, if this is the beat that ends it. */
  tick(): number | undefined {
    const nowMs = this.#nowMs();
    this.#lastGapMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    return this.#lastGapMs >= this.#limitMs ? this.#lastGapMs : undefined;
  }

  /**
   * Whether what is read now may have waited through a standstill: until the beat after the one that ends it, as what came
   * meanwhile may be read on either side of that one.
   *
   * @param openedMs when the connection that it comes on was opened, on the same clock
   */
  mayBeStale(openedMs: number): boolean {
    if (this.#nowMs() - this.#lastTickMs >= this.#limitMs) return true;
    return this.#lastGapMs >= this.#limitMs && openedMs < this.#lastTickMs;
  }
}
