// The time that a transfer still needs, as a person wants to read it: it counts down and does not jump. Estimates are smoothed,
// rounded by their magnitude, and go up only when they are clearly longer. Pure; the clock comes in.

/** Until then an estimate follows the rate closely: the first seconds say little. */
const SETTLING_MS = 4_000;
/** Without an estimate for that long, the last one says nothing any more. */
const FORGOTTEN_AFTER_MS = 6_000;
const LEAST_SMOOTHING_MS = 1_500;
const MOST_SMOOTHING_MS = 20_000;
/** Steps of what is shown, by how much is left: seconds below which a step applies, and the step. */
const STEPS: readonly (readonly [belowSeconds: number, stepSeconds: number])[] = [
  [20, 1],
  [60, 5],
  [600, 10],
  [3_600, 60],
  [6 * 3_600, 300],
  [24 * 3_600, 1_800],
  [10 * 86_400, 3_600],
  [Number.POSITIVE_INFINITY, 86_400],
];

/** The step that a time of that length is shown in. */
export function stepOf(seconds: number): number {
  return STEPS.find(([below]) => seconds < below)?.[1] ?? 86_400;
}

/** Of one transfer. */
export class TimeLeft {
  #endAtMs: number | undefined;
  #beganAtMs = 0;
  #lastMs = 0;
  #shownSeconds: number | undefined;

  /**
   * @param secondsLeft the estimate of now; undefined while nothing moves
   * @returns whole seconds to show; undefined if nothing is known
   */
  update(secondsLeft: number | undefined, nowMs: number): number | undefined {
    if (secondsLeft === undefined || !Number.isFinite(secondsLeft)) {
      if (nowMs - this.#lastMs > FORGOTTEN_AFTER_MS) this.#forget();
      return this.#shownSeconds;
    }
    const estimateAtMs = nowMs + secondsLeft * 1_000;
    if (this.#endAtMs === undefined) {
      this.#endAtMs = estimateAtMs;
      this.#beganAtMs = nowMs;
    } else {
      const share = this.#trust(nowMs);
      this.#endAtMs += (estimateAtMs - this.#endAtMs) * share;
    }
    this.#lastMs = nowMs;
    this.#shownSeconds = shownAfter(this.#shownSeconds, Math.max(0, this.#endAtMs - nowMs) / 1_000);
    return this.#shownSeconds;
  }

  /** How much of the difference is taken over: an exponential average whose memory grows with what is left. */
  #trust(nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.#lastMs);
    if (nowMs - this.#beganAtMs < SETTLING_MS) return 0.5;
    const leftMs = Math.max(1, (this.#endAtMs ?? nowMs) - nowMs);
    const memoryMs = Math.min(MOST_SMOOTHING_MS, Math.max(LEAST_SMOOTHING_MS, leftMs / 6));
    return 1 - Math.exp(-elapsedMs / memoryMs);
  }

  #forget(): void {
    this.#endAtMs = undefined;
    this.#shownSeconds = undefined;
  }
}

/** Rounded up to its step. It goes up only by more than one step, so that it does not flicker between two. */
function shownAfter(shown: number | undefined, seconds: number): number {
  const step = stepOf(Math.max(shown ?? 0, seconds));
  const rounded = Math.ceil(seconds / step) * step;
  if (shown === undefined || rounded < shown) return rounded;
  return seconds < shown + step ? shown : rounded;
}
