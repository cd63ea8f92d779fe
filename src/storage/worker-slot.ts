// A slot for one disk thread, with the thread's jobs and the digests that live in it. The thread starts with the first job,
// and again with the first job after its death. The slot decides which waiting job is next; disk-pool.ts decides which slot
// a job is for.
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { MiniTorrentError } from "../api/errors.ts";
import { errorInFolder, readError } from "./disk-errors.ts";
import {
  type DigestJob,
  type DiskAnswer,
  type DiskJob,
  type DiskRequest,
  type DiskResult,
  type DiskWorkerData,
  type NamedFileRange,
  READY,
  type SharedBytes,
} from "./disk-jobs.ts";
import type { FolderFileRange } from "./folder-jobs.ts";
import type { FilesToHash } from "./scan-jobs.ts";

/** Jobs that a worker has at once, so that it never waits for the next one: two are 20 % slower with pieces of 256 KiB. */
const JOBS_PER_WORKER = 4;
/**
 * Of those, jobs of no digest in a worker where digests live, since a digest's next job waits behind them. A download's
 * digest that falls behind has to read the file again.
 */
const SHARED_JOBS_BESIDE_DIGESTS = 2;

export interface PendingJob {
  readonly job: DiskJob;
  resolve(result: DiskResult): void;
  reject(error: MiniTorrentError): void;
  /** Turns the worker's error into one for people. */
  explain(error: unknown): MiniTorrentError;
}

/** What a slot needs of a thread. */
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
  /** Jobs for any worker, oldest first: a slot takes them from the front. */
  readonly shared: Pick<PendingJob[], "length" | "shift">;
  /** A job has ended, and its caller has the result. */
  readonly onSettled: () => void;
  /** The thread has died, and its jobs are lost. @param wasReady it accepted jobs before */
  readonly onDied: (wasReady: boolean, reason: () => MiniTorrentError) => void;
}

export class WorkerSlot {
  readonly #options: WorkerSlotOptions;
  /** Jobs that the worker has, by job id. */
  readonly #running = new Map<number, PendingJob>();
  /** Waiting jobs that only this worker can do. */
  #bound: PendingJob[] = [];
  #worker: DiskThread | undefined;
  /** The worker accepts jobs. A thread needs 50 ms to start; until then the other one takes all jobs. */
  #isReady = false;
  #digestCount = 0;
  /** The last job it was given reads part of a file back for a digest. */
  #hasJustReadBack = false;
  #nextJobId = 1;

  constructor(options: WorkerSlotOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** The thread has no jobs, and none waits for it. */
  get isIdle(): boolean {
    return this.#running.size === 0 && this.#bound.length === 0;
  }

  /** The lower, the sooner a job for any worker is done here. */
  get load(): number {
    const ofDigests = this.#digestCount > 0 ? JOBS_PER_WORKER : 0;
    return this.#running.size + ofDigests + (this.#isReady ? 0 : 2 * JOBS_PER_WORKER);
  }

  /** Digests that live here. */
  get digestCount(): number {
    return this.#digestCount;
  }

  /** The current thread; a different one after a death. */
  get thread(): object | undefined {
    return this.#worker;
  }

  digestOpened(): void {
    this.#digestCount++;
  }

  /** A digest of the current thread was closed. */
  digestClosed(): void {
    this.#digestCount--;
  }

  /** Starts the thread if there is none. */
  start(): void {
    this.#worker ??= this.#startWorker();
  }

  /** Queues a job that only this worker can do. */
  add(pending: PendingJob): void {
    this.#bound.push(pending);
  }

  /** Gives the worker as many waiting jobs as it may have. */
  dispatch(): void {
    while (this.#worker !== undefined && this.#isReady && this.#running.size < JOBS_PER_WORKER) {
      const pending = this.#next();
      if (pending === undefined) return;
      const request: DiskRequest = { jobId: this.#nextJobId++, job: pending.job };
      this.#running.set(request.jobId, pending);
      this.#worker.postMessage(request);
    }
  }

  /** Ends the thread unless a job or a digest is in it; `start` starts another one. */
  async rest(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined || !this.isIdle || this.#digestCount > 0) return;
    this.#worker = undefined;
    this.#isReady = false;
    await worker.terminate();
  }

  /** Ends the thread; no job is running. */
  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  /**
   * A digest's jobs go first: the end of a download waits for the digest, and no other worker can do them. But reading
   * back, perhaps a large file, takes turns with pieces that wait to be written.
   */
  #next(): PendingJob | undefined {
    const { shared } = this.#options;
    const isReadBack = isReadingBack(this.#bound[0]);
    const mayShare = this.#digestCount === 0 || this.#running.size < SHARED_JOBS_BESIDE_DIGESTS;
    const isSharedTurn = isReadBack && this.#hasJustReadBack && shared.length > 0;
    const bound = isSharedTurn ? undefined : this.#bound.shift();
    const next = bound ?? (mayShare || isSharedTurn ? shared.shift() : undefined);
    if (next !== undefined) this.#hasJustReadBack = isReadingBack(next);
    return next;
  }

  #startWorker(): DiskThread {
    const worker = this.#options.startThread();
    let cause: unknown;
    worker.on("message", (answer) => {
      if (answer !== READY) {
        this.#settle(answer);
      } else if (this.#worker === worker) {
        this.#isReady = true;
        this.dispatch();
      }
    });
    worker.on("error", (error) => {
      cause = error;
    });
    // "exit" always follows "error". Only then is it sure that nothing touches the memory of the jobs any more.
    worker.on("exit", (exitCode) => {
      // One that rests has nothing to lose, and may have a successor.
      if (this.#worker === worker) this.#died(cause ?? new Error(`it ended with exit code ${exitCode}`));
    });
    return worker;
  }

  #settle(answer: DiskAnswer): void {
    const pending = this.#running.get(answer.jobId);
    if (pending === undefined) return;
    this.#running.delete(answer.jobId);
    this.dispatch();
    if ("failure" in answer) {
      const { message, ...details } = answer.failure;
      pending.reject(pending.explain(Object.assign(new Error(message), details)));
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

function isReadingBack(pending: PendingJob | undefined): boolean {
  return pending?.job.kind === "digest-file" || pending?.job.kind === "digest-folder-file";
}

/** Submits a job to a digest's worker. @param explain turns the worker's error into one for people */
type Submit = (job: DigestJob, explain: PendingJob["explain"]) => Promise<DiskResult>;

/**
 * A running SHA-1 that lives in one thread. Its jobs are done in the order of the calls. It is lost when the thread dies,
 * and its user begins again with a new one.
 */
export class Digest {
  readonly #slot: WorkerSlot;
  readonly #thread: object | undefined;
  readonly #digestId: number;
  readonly #submit: Submit;
  readonly #opened: Promise<DiskResult>;
  #isOpen = true;

  constructor(slot: WorkerSlot, digestId: number, cutBytes: number, submit: Submit) {
    this.#slot = slot;
    this.#digestId = digestId;
    this.#submit = submit;
    slot.digestOpened();
    this.#opened = submit({ kind: "digest-open", digestId, cutBytes }, explainInside);
    this.#thread = slot.thread;
    // A failure to open it fails the next call too: the worker is lost, or the pool is closed.
    this.#opened.catch(() => undefined);
  }

  livesIn(slot: WorkerSlot): boolean {
    return this.#slot === slot;
  }

  /** Its thread has died, and the hash so far is lost: begin again with a new digest. */
  get isLost(): boolean {
    return this.#slot.thread !== this.#thread;
  }

  /**
   * Hashes the parts one after the other. They must not change until the promise settles.
   *
   * @returns the hashes that were completed, 20 bytes each
   * @throws MiniTorrentError DISK_FAILED
   */
  async update(...parts: SharedBytes[]): Promise<Uint8Array> {
    return this.#feed({ kind: "digest-memory", digestId: this.#digestId, parts }, explainInside);
  }

  /**
   * @param into receives the bytes that were read; at least as long as the range
   * @returns the hashes that were completed, 20 bytes each
   * @throws MiniTorrentError FILE_CHANGED if the file is shorter; DISK_FAILED
   */
  async updateFromFile(range: NamedFileRange, into?: SharedBytes): Promise<Uint8Array> {
    const { fd, positionBytes, lengthBytes, path } = range;
    return this.#feed(
      { kind: "digest-file", digestId: this.#digestId, fd, positionBytes, lengthBytes, into },
      (error) => readError(error, path),
    );
  }

  /** As `updateFromFile`, of a file in a folder. */
  async updateFromFolder(range: FolderFileRange): Promise<Uint8Array> {
    return this.#feed({ kind: "digest-folder-file", digestId: this.#digestId, ...range }, (error) =>
      readError(error, join(range.place.path, range.path)),
    );
  }

  /**
   * Hashes whole small files one after the other.
   *
   * @param into receives their bytes; at least as long as all of them and one byte
   * @returns the hashes that were completed, 20 bytes each
   * @throws MiniTorrentError FILE_CHANGED for a file that is not as expected; FILE_NOT_FOUND, FILE_UNREADABLE, DISK_FAILED
   */
  async updateFromFiles(files: FilesToHash, into: SharedBytes): Promise<Uint8Array> {
    return this.#feed({ kind: "digest-files", digestId: this.#digestId, ...files, into }, (error) =>
      errorInFolder(error, files),
    );
  }

  /** Ends it. @returns the hash of the bytes since the last cut, 20 bytes; empty if there are none and it has cuts */
  async finish(): Promise<Uint8Array> {
    const result = this.#feed({ kind: "digest-close", digestId: this.#digestId }, explainInside);
    if (this.#isOpen && !this.isLost) this.#slot.digestClosed();
    this.#isOpen = false;
    return result;
  }

  async #feed(job: DigestJob, explain: Parameters<Submit>[1]): Promise<Uint8Array> {
    if (this.isLost) {
      throw new MiniTorrentError("DISK_FAILED", "A thread that hashed a file died: try again.");
    }
    return bytesOf(await this.#submit(job, explain));
  }
}

function explainInside(error: unknown): MiniTorrentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new MiniTorrentError("INTERNAL", `Hashing failed inside: ${reason}`, { cause: error });
}

/** @throws MiniTorrentError INTERNAL if the job gave no hashes */
export function bytesOf(result: DiskResult): Uint8Array {
  if (result instanceof Uint8Array) return result;
  throw new MiniTorrentError("INTERNAL", "A hash was expected of the disk.");
}
