// A boot clock: nobody sets it, and it runs while the machine sleeps. Node has no cheap one: performance.now() stops during
// sleep (CLOCK_MONOTONIC), Date.now() can be set, and os.uptime() reads a file. So os.uptime() is read only when the first
// two disagree about the time that has passed.
import { uptime } from "node:os";

/** The clocks of a machine, in milliseconds; tests have their own. */
export interface MachineClocks {
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  readonly bootMs: () => number;
}

const MACHINE: MachineClocks = {
  monotonicMs: () => performance.now(),
  wallMs: Date.now,
  bootMs: () => uptime() * 1000,
};
/** Difference of the two clocks without a sleep or a set clock, such as from NTP's small corrections. */
const DIFFERENCE_MS = 250;

export class SleepClock {
  readonly #clocks: MachineClocks;
  /** Offsets of the wall clock and the boot clock from the monotonic one at the last comparison. */
  #wallAheadMs: number;
  #bootAheadMs: number;
  #sleptMs = 0;

  constructor(clocks: MachineClocks = MACHINE) {
    this.#clocks = clocks;
    const monotonicMs = clocks.monotonicMs();
    this.#wallAheadMs = clocks.wallMs() - monotonicMs;
    this.#bootAheadMs = clocks.bootMs() - monotonicMs;
  }

  /** Milliseconds since an unspecified start. */
  nowMs(): number {
    const monotonicMs = this.#clocks.monotonicMs();
    const wallAheadMs = this.#clocks.wallMs() - monotonicMs;
    if (Math.abs(wallAheadMs - this.#wallAheadMs) > DIFFERENCE_MS) {
      this.#wallAheadMs = wallAheadMs;
      const bootAheadMs = this.#clocks.bootMs() - monotonicMs;
      this.#sleptMs += Math.max(0, bootAheadMs - this.#bootAheadMs);
      this.#bootAheadMs = bootAheadMs;
    }
    return monotonicMs + this.#sleptMs;
  }
}
