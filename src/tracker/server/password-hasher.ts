// Hashes passwords in dedicated worker threads behind a bounded queue that is fair between network addresses, and between
// accounts of one address. A flood delays only passwords from the same address. A thread that dies is replaced.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { networkOf } from "../../api/addresses.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import { later } from "../../net/timers.ts";
import type { Passwords } from "../rules/accounts.ts";
import { FairQueue } from "./fair-queue.ts";
import type { PasswordAnswer, PasswordJob, PasswordWorkerReady } from "./password-worker.ts";

/** Each thread uses 19 MiB and a core while it hashes; one core is left to the event loop. */
const MOST_WORKERS = 2;
/** Most waiting passwords: some 1 KB each. At 25 ms a hash the last one starts after 50 s. */
const MOST_WAITING = 2_000;
/** A client that has waited longer has most likely given up. */
const LONGEST_WAIT_MS = 60_000;
/** Bounds of the retry time in a refusal, which is the estimated time for the current queue. */
const SHORTEST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** Assumed cost of a hash before the first measurement. */
const FIRST_HASH_MS = 25;
/** Weight of the newest hash in the moving average. */
const NEWEST_SHARE = 0.1;

/**
 * Why a password is hashed. Each purpose has a share of the threads, so that a flood of one does not starve the others.
 * `known-login` is a login to an account that has been used from the same network before.
 */
export type PasswordPurpose = "known-login" | "login" | "new-account";

export interface PasswordCaller {
  readonly purpose: PasswordPurpose;
  /** Where the call comes from, an IP address. */
  readonly address: string;
  readonly userId: string;
  /** Aborted when nobody waits for the answer any more; a job that has not started is then skipped. */
  readonly isGone?: () => boolean;
}

export interface PasswordHasherOptions {
  /** @default one fewer than the cores, at least 1 and at most 2 */
  readonly workerCount?: number;
  /** @default 2,000 */
  readonly mostWaiting?: number;
  /** @default 60,000 */
  readonly longestWaitMs?: number;
  /** @default a thread that runs password-worker.ts */
  readonly startWorker?: () => Worker;
}

interface PendingPassword {
  readonly job: PasswordJob;
  readonly path: readonly string[];
  readonly isGone: () => boolean;
  resolve(result: string | boolean): void;
  reject(error: MiniTorrentError): void;
  /** Expires a job that waits too long. */
  readonly deadline: NodeJS.Timeout;
}

interface HashingThread {
  worker: Worker | undefined;
  isReady: boolean;
  running: PendingPassword | undefined;
  startedMs: number;
}

export class PasswordHasher {
  readonly #longestWaitMs: number;
  readonly #startWorker: () => Worker;
  readonly #waiting: FairQueue<PendingPassword>;
  readonly #threads: HashingThread[];
  #averageMs = FIRST_HASH_MS;
  #isClosed = false;

  constructor(options: PasswordHasherOptions = {}) {
    const { workerCount = defaultWorkerCount(), mostWaiting = MOST_WAITING } = options;
    this.#longestWaitMs = options.longestWaitMs ?? LONGEST_WAIT_MS;
    this.#startWorker = options.startWorker ?? startWorker;
    this.#waiting = new FairQueue(mostWaiting);
    this.#threads = Array.from({ length: workerCount }, () => ({
      worker: undefined,
      isReady: false,
      running: undefined,
      startedMs: 0,
    }));
  }

  /** Passwords that wait for a thread. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  passwordsFor(caller: PasswordCaller): Passwords {
    return {
      hash: async (password) => String(await this.#submit(caller, { kind: "hash", password })),
      verify: async (hash, password) =>
        (await this.#submit(caller, { kind: "verify", hash, password })) === true,
      verifyNoOne: async (password) =>
        (await this.#submit(caller, { kind: "verify-no-one", password })) === true,
    };
  }

  /** Refuses waiting and running jobs, and ends the threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pending of this.#waiting.takeAll()) this.#refuse(pending);
    await Promise.all(this.#threads.map(({ worker }) => worker?.terminate()));
  }

  #submit(caller: PasswordCaller, job: PasswordJob): Promise<string | boolean> {
    const { purpose, address, userId, isGone = () => false } = caller;
    return new Promise((resolve, reject) => {
      const path = [purpose, networkOf(address), userId];
      const deadline = later("refusing a password that waited", this.#longestWaitMs, () => {
        if (this.#waiting.remove(path, pending)) this.#refuse(pending);
      });
      const pending: PendingPassword = { job, path, isGone, resolve, reject, deadline };
      if (this.#isClosed) {
        this.#refuse(pending);
        return;
      }
      const refused = this.#waiting.push(path, pending);
      if (refused !== undefined) this.#refuse(refused);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    for (const thread of this.#threads) {
      if (this.#waiting.size === 0) return;
      if (thread.worker === undefined) this.#start(thread);
      if (!thread.isReady || thread.running !== undefined) continue;
      const next = this.#nextWanted();
      if (next === undefined) return;
      clearTimeout(next.deadline);
      thread.running = next;
      thread.startedMs = performance.now();
      thread.worker?.postMessage(next.job);
    }
  }

  #nextWanted(): PendingPassword | undefined {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined || !next.isGone()) return next;
      this.#refuse(next);
    }
  }

  #start(thread: HashingThread): void {
    const worker = this.#startWorker();
    let cause: unknown;
    thread.worker = worker;
    worker.on("message", (said: PasswordAnswer | PasswordWorkerReady) => {
      if ("isReady" in said) thread.isReady = true;
      else this.#settle(thread, said);
      this.#dispatch();
    });
    worker.on("error", (error) => {
      cause = error;
    });
    // "exit" always follows "error".
    worker.on("exit", (exitCode) =>
      this.#died(thread, cause ?? new Error(`the thread ended with exit code ${exitCode}`)),
    );
  }

  #settle(thread: HashingThread, answer: PasswordAnswer): void {
    const { running, startedMs } = thread;
    thread.running = undefined;
    this.#averageMs += NEWEST_SHARE * (performance.now() - startedMs - this.#averageMs);
    if ("fault" in answer) running?.reject(new MiniTorrentError("INTERNAL", answer.fault));
    else running?.resolve(answer.result);
  }

  #died(thread: HashingThread, cause: unknown): void {
    const { running, isReady } = thread;
    thread.worker = undefined;
    thread.isReady = false;
    thread.running = undefined;
    if (running !== undefined) this.#refuse(running, cause);
    // If no thread can start, the waiting jobs fail, so that starting is not retried for ever.
    if (!isReady && !this.#threads.some((other) => other.isReady)) {
      for (const pending of this.#waiting.takeAll()) this.#refuse(pending, cause);
    }
    if (!this.#isClosed) this.#dispatch();
  }

  #refuse({ reject, deadline }: PendingPassword, cause?: unknown): void {
    clearTimeout(deadline);
    const drainMs = (this.#waiting.size * this.#averageMs) / this.#threads.length;
    const retryAfterMs = Math.ceil(Math.min(LONGEST_RETRY_MS, Math.max(SHORTEST_RETRY_MS, drainMs)));
    const sentence = `The tracker has too many passwords to check; try again in ${Math.ceil(retryAfterMs / 1000)} s.`;
    reject(new MiniTorrentError("TRACKER_BUSY", sentence, { cause, retryAfterMs }));
  }
}

function startWorker(): Worker {
  // After a build, this file and the worker are JavaScript.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new Worker(new URL(`./password-worker.${extension}`, import.meta.url));
}

function defaultWorkerCount(): number {
  return Math.max(1, Math.min(MOST_WORKERS, availableParallelism() - 1));
}
