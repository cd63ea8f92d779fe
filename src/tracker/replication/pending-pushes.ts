// Writes that were sent over one link and wait for its answer. Each is let go exactly once: answered, or the link gone.
import type { OriginId } from "../registry/registry.ts";
import type { Clock } from "./replica-channel.ts";

/** A tracker that has not stored a write in that time counts as disconnected, and the write goes on without it. */
const ANSWER_TIMEOUT_MS = 2000;

export interface PendingPush {
  readonly origin: OriginId;
  /** The highest seq that was pushed. */
  readonly upTo: number;
  /** Resolves the push. @param isStored true if the other tracker has it on disk */
  readonly letGo: (isStored: boolean) => void;
}

export class PendingPushes {
  readonly #clock: Clock;
  readonly #timedOut: (reason: string) => void;
  readonly #pushes = new Map<number, PendingPush>();
  #nextId = 0;

  constructor(clock: Clock, timedOut: (reason: string) => void) {
    this.#clock = clock;
    this.#timedOut = timedOut;
  }

  /** @returns the push's number, and a promise that resolves to true if the other tracker has stored it */
  add(origin: OriginId, upTo: number): { id: number; letGo: Promise<boolean> } {
    const id = this.#nextId++;
    const cancelTimer = this.#clock.setTimer(ANSWER_TIMEOUT_MS, () =>
      this.#timedOut(`no answer to a write within ${ANSWER_TIMEOUT_MS} ms`),
    );
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#pushes.set(id, {
      origin,
      upTo,
      letGo: (isStored) => {
        cancelTimer();
        resolve(isStored);
      },
    });
    return { id, letGo: promise };
  }

  /** The push with that number, which is pending no more; undefined if it was not. */
  take(id: number): PendingPush | undefined {
    const push = this.#pushes.get(id);
    this.#pushes.delete(id);
    return push;
  }

  letAllGo(): void {
    for (const { letGo } of this.#pushes.values()) letGo(false);
    this.#pushes.clear();
  }
}
