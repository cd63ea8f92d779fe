// A clock for tests of code that takes its time from outside (`Clock` of net/timers.ts): it stands still until the test lets
// time pass. Timers run in the order in which they are due, each at its moment.
import type { Clock } from "../src/net/timers.ts";

export interface PendingTimer {
  readonly delayMs: number;
  readonly dueMs: number;
}

interface Timer extends PendingTimer {
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #nowMs: number;
  /** In the order in which they were set. */
  readonly #timers = new Set<Timer>();

  constructor(startMs = 50_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { delayMs, dueMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that are set and have not run. */
  get timers(): readonly PendingTimer[] {
    return [...this.#timers];
  }

  /** Lets time pass, with the timers that are due in it, also those that they set. */
  pass(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) this.#run(next);
    this.#nowMs = endMs;
  }

  /** The same; after all timers of one moment it waits until what they led to is over. */
  async passSettled(durationMs: number, settle: () => Promise<void>): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      const momentMs = next.dueMs;
      for (let due = this.#next(momentMs); due !== undefined; due = this.#next(momentMs)) this.#run(due);
      await settle();
    }
    this.#nowMs = endMs;
  }

  #run(timer: Timer): void {
    this.#timers.delete(timer);
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
    timer.callback();
  }

  /** The first that is due by then; of several the one that was set first. */
  #next(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && (first === undefined || timer.dueMs < first.dueMs)) first = timer;
    }
    return first;
  }
}
