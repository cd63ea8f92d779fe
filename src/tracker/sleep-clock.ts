// A clock that nobody sets and that goes on while the machine sleeps. Node has none that is cheap: performance.now() stands
// still in a sleep (CLOCK_MONOTONIC), Date.now() is set, and os.uptime() reads a file. So what was slept is looked up, by
// os.uptime(), only when the first two say that different times have passed.
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
/** What the two clocks may differ by for reasons other than a sleep or a set clock, such as NTP's small corrections. */
const DIFFERENCE_MS = 250;

export class SleepClock {
  readonly #clocks: MachineClocks;
  /** Of the wall clock and of the boot clock, how far they were ahead of the monotonic one when they were compared last. */
  #wallAheadMs: number;
  #bootAheadMs: number;
  #sleptMs = 0;

  constructor(clocks: MachineClocks = MACHINE) {
    this.#clocks = clocks;
    const monotonicMs = clocks.monotonicMs();
    this.#wallAheadMs = clocks.wallMs() - monotonicMs;
    this.#bootAheadMs = clocks.bootMs() - monotonicMs;
  }

  /** Milliseconds; from when they count is not said. */
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
