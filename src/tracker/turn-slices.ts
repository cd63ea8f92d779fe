// Long work cut into slices, so that one client's 100,000 torrents, or another tracker's 10,000 clients, hold up nobody: a
// bounded number of steps in a turn of the event loop. Work under one key is done in its order, keys take turns.

/** About 3 µs each, so some milliseconds a turn. */
const STEPS_PER_TURN = 1_000;
/** Of one key, before the next one's turn. */
const STEPS_AT_A_TIME = 250;

interface Job {
  readonly steps: Iterator<unknown>;
  readonly done: PromiseWithResolvers<void>;
}

export class TurnSlices {
  readonly #setTimer: (delayMs: number, callback: () => void) => () => void;
  readonly #queues = new Map<string, Job[]>();
  #stepsLeft = STEPS_PER_TURN;
  #cancelTurn: (() => void) | undefined;

  constructor(setTimer: (delayMs: number, callback: () => void) => () => void) {
    this.#setTimer = setTimer;
  }

  /**
   * Takes the steps one after the other: at once, as far as this turn allows and nothing waits under that key.
   *
   * @throws what a step throws
   */
  run(key: string, steps: Iterator<unknown>): Promise<void> {
    const job: Job = { steps, done: Promise.withResolvers() };
    const queue = this.#queues.get(key);
    if (queue !== undefined) queue.push(job);
    else if (!this.#advance(job, STEPS_PER_TURN)) this.#queues.set(key, [job]);
    this.#cancelTurn ??= this.#setTimer(0, () => this.#turn());
    return job.done.promise;
  }

  /** Jobs that wait under that key, or are under way. */
  countOf(key: string): number {
    return this.#queues.get(key)?.length ?? 0;
  }

  /** The step under way cost that many more. */
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
      // Behind the others: who has had a turn waits for theirs. The loop comes to it again if there are steps left.
      if (queue.length > 0) this.#queues.set(key, queue);
    }
    if (this.#queues.size > 0) this.#cancelTurn = this.#setTimer(0, () => this.#turn());
  }

  /** True if the job is over. */
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
