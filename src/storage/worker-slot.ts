// A place for one thread of the disk, and the jobs that the thread in it has: it starts with the first job, and again with
// the first after its death. Which of the jobs that wait goes next is decided here; which seat a job is for, in disk-pool.ts.
import { Worker } from "node:worker_threads";
import { MiniTorrentError } from "../api/errors.ts";
import {
  type DiskAnswer,
  type DiskJob,
  type DiskRequest,
  type DiskResult,
  type DiskWorkerData,
  READY,
} from "./disk-jobs.ts";

/** Jobs that a worker has at once, so that it need not wait for the next: two are 20 % slower with pieces of 256 KiB. */
const JOBS_PER_WORKER = 4;
/** Of those, jobs that are not a digest's, in a worker where digests live: they wait behind these. A download's digest
 * that falls behind has to read the file again. */
const SHARED_JOBS_BESIDE_DIGESTS = 2;

export interface PendingJob {
  readonly job: DiskJob;
  resolve(result: DiskResult): void;
  reject(error: MiniTorrentError): void;
  /** From what the worker said to what a person is told. */
  explain(error: unknown): MiniTorrentError;
}

/** What a seat needs of a thread. */
export interface DiskThread {
  postMessage(request: DiskRequest): void;
  terminate(): Promise<unknown>;
  on(event: "message", listener: (answer: DiskAnswer | typeof READY) => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
  on(event: "exit", listener: (exitCode: number) => void): unknown;
}

/** @param ioModule URL of the module whose `readSync` and `writeSync` are used */
export function startDiskThread(ioModule: string): DiskThread {
  // After a build, this file and the worker are JavaScript.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const workerData: DiskWorkerData = { ioModule };
  return new Worker(new URL(`./disk-worker.${extension}`, import.meta.url), { workerData });
}

export interface WorkerSlotOptions {
  readonly startThread: () => DiskThread;
  /** What waits for any worker, the first first: a seat takes from the front. */
  readonly shared: Pick<PendingJob[], "length" | "shift">;
  /** A job has ended, and its caller was told. */
  readonly onSettled: () => void;
  /** The thread is gone, and with it the jobs that it had. @param wasReady it had taken jobs, or could have */
  readonly onDied: (wasReady: boolean, reason: () => MiniTorrentError) => void;
}

export class WorkerSlot {
  readonly #options: WorkerSlotOptions;
  /** What the worker has, by job id. */
  readonly #running = new Map<number, PendingJob>();
  /** What waits for this very worker. */
  #bound: PendingJob[] = [];
  #worker: DiskThread | undefined;
  /** The worker has said that it takes jobs: a thread needs 50 ms to start, and the other one need not wait for it. */
  #isReady = false;
  #digestCount = 0;
  /** The job it got last read back a part of a file for a digest. */
  #hasJustReadBack = false;
  #nextJobId = 1;

  constructor(options: WorkerSlotOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** The thread has nothing to do, and nothing waits for it. */
  get isIdle(): boolean {
    return this.#running.size === 0 && this.#bound.length === 0;
  }

  /** The less, the sooner a job for any worker is done here. */
  get load(): number {
    const ofDigests = this.#digestCount > 0 ? JOBS_PER_WORKER : 0;
    return this.#running.size + ofDigests + (this.#isReady ? 0 : 2 * JOBS_PER_WORKER);
  }

  /** Digests that live here. */
  get digestCount(): number {
    return this.#digestCount;
  }

  /** Which thread sits here now: another one after a death. */
  get thread(): object | undefined {
    return this.#worker;
  }

  digestBegins(): void {
    this.#digestCount++;
  }

  /** A digest that lived in the thread that is here now has ended. */
  digestEnds(): void {
    this.#digestCount--;
  }

  /** Starts the thread, if none is here. */
  start(): void {
    this.#worker ??= this.#startWorker();
  }

  /** For this very worker. */
  add(pending: PendingJob): void {
    this.#bound.push(pending);
  }

  /** Gives the worker what it can take, of what waits for it and for any. */
  dispatch(): void {
    while (this.#worker !== undefined && this.#isReady && this.#running.size < JOBS_PER_WORKER) {
      const pending = this.#next();
      if (pending === undefined) return;
      const request: DiskRequest = { jobId: this.#nextJobId++, job: pending.job };
      this.#running.set(request.jobId, pending);
      this.#worker.postMessage(request);
    }
  }

  /** Ends the thread. Nothing runs any more. */
  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  /**
   * A digest is what a download's end waits for, and cannot be shared out: its jobs go first. But reading back what may
   * be a large file takes turns with the pieces that wait to be written.
   */
  #next(): PendingJob | undefined {
    const { shared } = this.#options;
    const isReadBack = this.#bound[0]?.job.kind === "digest-file";
    const mayShare = this.#digestCount === 0 || this.#running.size < SHARED_JOBS_BESIDE_DIGESTS;
    const isSharedTurn = isReadBack && this.#hasJustReadBack && shared.length > 0;
    const bound = isSharedTurn ? undefined : this.#bound.shift();
    const next = bound ?? (mayShare || isSharedTurn ? shared.shift() : undefined);
    if (next !== undefined) this.#hasJustReadBack = next.job.kind === "digest-file";
    return next;
  }

  #startWorker(): DiskThread {
    const worker = this.#options.startThread();
    let cause: unknown;
    worker.on("message", (answer) => {
      if (answer !== READY) {
        this.#settle(answer);
        return;
      }
      this.#isReady = true;
      this.dispatch();
    });
    worker.on("error", (error) => {
      cause = error;
    });
    // "exit" always follows "error". The thread is gone then: nothing touches the memory of its jobs any more.
    worker.on("exit", (exitCode) => this.#died(cause ?? new Error(`it ended with exit code ${exitCode}`)));
    return worker;
  }

  #settle(answer: DiskAnswer): void {
    const pending = this.#running.get(answer.jobId);
    if (pending === undefined) return;
    this.#running.delete(answer.jobId);
    this.dispatch();
    if ("failure" in answer) {
      const { code, message } = answer.failure;
      pending.reject(pending.explain(Object.assign(new Error(message), { code })));
    } else {
      pending.resolve(answer.result);
    }
    this.#options.onSettled();
  }

  #died(cause: unknown): void {
    const lost = [...this.#running.values(), ...this.#bound];
    const wasReady = this.#isReady;
    this.#running.clear();
    this.#bound = [];
    this.#digestCount = 0;
    this.#worker = undefined;
    this.#isReady = false;
    const sentence = "A thread that writes to the disk died: try again.";
    const reason = () => new MiniTorrentError("DISK_FAILED", sentence, { cause });
    for (const job of lost) job.reject(reason());
    this.#options.onDied(wasReady, reason);
  }
}
