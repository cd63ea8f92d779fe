// Checks every second whether this tracker's wall clock can be trusted (clock-guard.ts), and reports changes to its owner. When
// a clock that was far ahead is right again, the registry continues under a new origin.
import type pino from "pino";
import { formatClockDifference } from "../../api/clock-difference.ts";
import type { Clock } from "../../net/timers.ts";
import type { ClockDoubt, ClockGuard } from "./clock-guard.ts";
import type { Registry } from "./registry.ts";
import { MAX_AHEAD_MS, stampMs } from "./stamp.ts";

const LOOK_INTERVAL_MS = 1_000;

export interface ClockWatchOptions {
  readonly guard: ClockGuard;
  readonly registry: Pick<Registry, "latestStamp" | "renewOrigin">;
  readonly clock: Clock;
  readonly log: pino.Logger;
  /** The reason for distrust has changed; undefined: the clock is trusted again. */
  readonly onChanged: (doubt: ClockDoubt | undefined) => void;
}

export class ClockWatch {
  readonly #options: ClockWatchOptions;
  #told: ClockDoubt["why"] | undefined;
  #cancelLook: () => void = () => {};

  constructor(options: ClockWatchOptions) {
    this.#options = options;
    this.#lookAgain();
  }

  /** Why nothing may be written at this moment. */
  get doubt(): ClockDoubt | undefined {
    this.check();
    return this.#options.guard.doubt;
  }

  /** Reports a change since the last check at once. Call it before every write. */
  check(): void {
    if (this.#options.guard.doubt?.why !== this.#told) this.#look();
  }

  /** The operator confirms that the clock is right. */
  accept(): void {
    this.#options.guard.accept();
    this.#look();
  }

  close(): void {
    this.#cancelLook();
  }

  #lookAgain(): void {
    this.#cancelLook = this.#options.clock.setTimer(LOOK_INTERVAL_MS, () => this.#lookAgain());
    this.#look();
  }

  #look(): void {
    const { guard, registry, onChanged } = this.#options;
    guard.look(stampMs(registry.latestStamp));
    const { doubt } = guard;
    if (doubt === undefined) this.#leaveFuture();
    if (doubt?.why === this.#told) return;
    this.#told = doubt?.why;
    onChanged(doubt);
  }

  /** Existing rows keep their stamps and can still be replaced (see Transaction); new ones get the right time. */
  #leaveFuture(): void {
    const { guard, registry, log } = this.#options;
    const aheadMs = stampMs(registry.latestStamp) - guard.nowMs();
    if (aheadMs <= MAX_AHEAD_MS) return;
    try {
      const origin = registry.renewOrigin("is set back");
      const ahead = formatClockDifference(aheadMs);
      log.warn({ origin, ahead }, "the clock was ahead when rows were written; going on under a new origin");
    } catch (error) {
      log.error({ err: error }, "no new origin could be noted; it is tried again"); // a disk error, which is reported elsewhere
    }
  }
}
