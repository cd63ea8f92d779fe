// Limits failures by key, also with concurrent attempts. An attempt starts only if it and all running ones may fail without
// exceeding the limit; otherwise it waits for their results. So a success never counts, and nobody gets more attempts than
// allowed failures.
import { MiniTorrentError } from "../../api/errors.ts";
import type { WindowCounter } from "./window-counter.ts";

/** Most waiting attempts of one key; each is a call that waits for its answer. */
const MOST_WAITING_OF_KEY = 500;
const RETRY_AFTER_MS = 1_000;

interface Waiting {
  admit(): void;
  refuse(error: MiniTorrentError): void;
}

interface Tries {
  running: number;
  waiting: Waiting[];
}

export class FailureLimit {
  readonly #most: number;
  readonly #failures: WindowCounter;
  /** Keys with running attempts. */
  readonly #tries = new Map<string, Tries>();

  /** @param most failures of a key within the counter's window */
  constructor(most: number, failures: WindowCounter) {
    this.#most = most;
    this.#failures = failures;
  }

  /** Number of keys with running attempts, for a test of its bound. */
  get keyCount(): number {
    return this.#tries.size;
  }

  /**
   * Resolves when the attempt may start; `leave` must follow.
   *
   * @throws MiniTorrentError TOO_MANY_ATTEMPTS after that many failures; TRACKER_BUSY if too many attempts wait
   */
  async enter(key: string): Promise<void> {
    const tries = this.#tries.get(key) ?? { running: 0, waiting: [] };
    if (this.#failures.countOf(key) >= this.#most) throw tooManyAttempts(this.#failures.remainingMsOf(key));
    if (tries.waiting.length >= MOST_WAITING_OF_KEY) {
      const sentence =
        "Too many attempts with this account or from this address are in progress; try again in 1 s.";
      throw new MiniTorrentError("TRACKER_BUSY", sentence, { retryAfterMs: RETRY_AFTER_MS });
    }
    this.#tries.set(key, tries);
    await new Promise<void>((resolve, reject) => {
      tries.waiting.push({ admit: resolve, refuse: reject });
      this.#admit(key, tries);
    });
  }

  leave(key: string, hasFailed: boolean): void {
    const tries = this.#tries.get(key);
    if (tries === undefined) return;
    tries.running--;
    if (hasFailed) this.#failures.add(key);
    this.#admit(key, tries);
    if (tries.running === 0 && tries.waiting.length === 0) this.#tries.delete(key);
  }

  /** Resets the failures of the key. */
  forgive(key: string): void {
    this.#failures.forget(key);
  }

  #admit(key: string, tries: Tries): void {
    const failures = this.#failures.countOf(key);
    if (failures >= this.#most) {
      const error = tooManyAttempts(this.#failures.remainingMsOf(key));
      for (const { refuse } of tries.waiting.splice(0)) refuse(error);
    }
    while (failures + tries.running < this.#most) {
      const next = tries.waiting.shift();
      if (next === undefined) return;
      tries.running++;
      next.admit();
    }
  }
}

/** @param waitMs how long another attempt is useless */
export function tooManyAttempts(waitMs: number): MiniTorrentError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  const sentence = `Too many attempts; try again in ${seconds} s.`;
  return new MiniTorrentError("TOO_MANY_ATTEMPTS", sentence, { retryAfterMs: seconds * 1000 });
}
