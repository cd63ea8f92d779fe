// Cuts long work into slices, so that one client's 100,000 torrents, or another tracker's 10,000 clients, delay no other work: a
// turn of the event loop runs a bounded number of steps. Jobs of one key run in order, and keys take turns.

import { type Clock, reportFault } from "../../net/timers.ts";

/** About 3 µs each, so some milliseconds a turn. */
const STEPS_PER_TURN = 1_000;
/** Steps of one key before the next key's turn. */
export const STEPS_AT_A_TIME = 250;

interface Job {
  readonly steps: Iterator<unknown>;
  readonly done: PromiseWithResolvers<void>;
}

export class TurnSlices {
  readonly #setTimer: Clock["setTimer"];
  readonly #queues = new Map<string, Job[]>();
  #stepsLeft = STEPS_PER_TURN;
  #cancelTurn: (() => void) | undefined;

  constructor(setTimer: Clock["setTimer"]) {
    this.#setTimer = setTimer;
  }

  /**
   * Runs the steps in order; it starts at once if the turn's budget allows and no job of that key waits.
   *
   * @param stepsAtOnce steps that run at once whatever the budget says, since the caller has waited for a turn already
   * @throws what a step throws
   */
  run(key: string, steps: Iterator<unknown>, stepsAtOnce = 0): Promise<void> {
    const job: Job = { steps, done: Promise.withResolvers() };
    const queue = this.#queues.get(key);
    if (queue !== undefined) queue.push(job);
    else if (!this.#begin(job, stepsAtOnce)) this.#queues.set(key, [job]);
    this.#cancelTurn ??= this.#setTimer(0, () => this.#turn());
    return job.done.promise;
  }

  /** As `run`, for work that nobody awaits: a failure is reported. */
  runBehind(key: string, steps: Iterator<unknown>): void {
    this.run(key, steps).catch((error: unknown) => reportFault(error, key));
  }

  /** Number of waiting and running jobs of that key. */
  countOf(key: string): number {
    return this.#queues.get(key)?.length ?? 0;
  }

  /** Charges additional steps to the running one. */
  spend(steps: number): void {
    this.#stepsLeft -= steps;
  }

  close(): void {
    this.#cancelTurn?.();
    this.#queues.clear();
  }

  #turn(): void {
    this.#cancelTurn = undefined;
    this.#stepsLeft = STEPS_PER_TURN;
    for (const [key, queue] of this.#queues) {
      if (this.#stepsLeft <= 0) break;
      const [job] = queue;
      if (job === undefined || this.#advance(job, STEPS_AT_A_TIME)) queue.shift();
      this.#queues.delete(key);
      // To the end of the queue; the loop comes back to it if the turn has steps left.
      if (queue.length > 0) this.#queues.set(key, queue);
    }
    if (this.#queues.size > 0) this.#cancelTurn = this.#setTimer(0, () => this.#turn());
  }

  /** True if the job has ended. */
  #begin(job: Job, stepsAtOnce: number): boolean {
    const overdrawn = Math.max(0, stepsAtOnce - this.#stepsLeft);
    this.#stepsLeft += overdrawn;
    const hasEnded = this.#advance(job, STEPS_PER_TURN);
    this.#stepsLeft -= overdrawn;
    return hasEnded;
  }

  /** True if the job has ended. */
  #advance({ steps, done }: Job, most: number): boolean {
    try {
      const lastStepsLeft = this.#stepsLeft - most;
      while (this.#stepsLeft > 0 && this.#stepsLeft > lastStepsLeft) {
        this.#stepsLeft--;
        if (steps.next().done !== true) continue;
        done.resolve();
        return true;
      }
      return false;
    } catch (error) {
      done.reject(error);
      return true;
    }
  }
}
