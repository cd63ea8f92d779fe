// How fast something flows now: an exponential moving average, corrected for its start (as Adam does, arXiv:1412.6980
// section 3), so that the first second already tells the truth. Fed with bytes, advanced by whoever has the clock.

/** Long enough that a burst of blocks does not show, short enough that a stall does. */
const DEFAULT_TIME_CONSTANT_MS = 2000;
/** Below this nothing flows any more: the tail of the average is no news. */
const NOTHING_BYTES_PER_SECOND = 16;

export class Rate {
  readonly #timeConstantMs: number;
  #pendingBytes = 0;
  #average = 0;
  #weight = 0;
  #totalBytes = 0;

  constructor(timeConstantMs = DEFAULT_TIME_CONSTANT_MS) {
    this.#timeConstantMs = timeConstantMs;
  }

  /** All bytes that were ever added. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  get bytesPerSecond(): number {
    if (this.#weight === 0) return 0;
    const rate = this.#average / this.#weight;
    return rate < NOTHING_BYTES_PER_SECOND ? 0 : rate;
  }

  add(bytes: number): void {
    this.#pendingBytes += bytes;
    this.#totalBytes += bytes;
  }

  /** `elapsedMs` have gone by since the last call; what was added since then flowed in that time. */
  advance(elapsedMs: number): void {
    if (elapsedMs <= 0 || (this.#weight === 0 && this.#pendingBytes === 0)) return;
    const share = 1 - Math.exp(-elapsedMs / this.#timeConstantMs);
    this.#average += (this.#pendingBytes * (1000 / elapsedMs) - this.#average) * share;
    this.#weight += (1 - this.#weight) * share;
    this.#pendingBytes = 0;
  }
}
