// Detects that this process did not run for some seconds: stopped, swapped out, suspended with its machine, or busy. The
// messages that it reads then have waited so long that their senders may have asked another tracker instead.

export class SuspendDetector {
  readonly #limitMs: number;
  readonly #nowMs: () => number;
  #lastTickMs: number;
  #lastGapMs = 0;

  /**
   * @param limitMs a longer time between two ticks counts as a suspension; call `tick` several times in it
   * @param nowMs a clock that runs while the machine sleeps
   */
  constructor(limitMs: number, nowMs: () => number) {
    this.#limitMs = limitMs;
    this.#nowMs = nowMs;
    this.#lastTickMs = nowMs();
  }

  /** Returns how long the process was suspended, if this is the first tick afterwards. */
  tick(): number | undefined {
    const nowMs = this.#nowMs();
    this.#lastGapMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    return this.#lastGapMs >= this.#limitMs ? this.#lastGapMs : undefined;
  }

  /**
   * True if a message read now may have waited through a suspension. That holds until the second tick afterwards, since such
   * messages may be read before or after the first.
   *
   * @param openedMs when its connection was opened, on the same clock
   */
  mayBeStale(openedMs: number): boolean {
    if (this.#nowMs() - this.#lastTickMs >= this.#limitMs) return true;
    return this.#lastGapMs >= this.#limitMs && openedMs < this.#lastTickMs;
  }
}
