// Worker threads that hash and touch the disk, so that the thread of the network does neither. Whichever worker is free
// takes the next job, one without digests first; a digest's jobs stay with the worker that it lives in, and come first
// there. A worker that dies is replaced; what it was doing fails, and never hangs.
import { Worker } from "node:worker_threads";
import { MiniTorrentError } from "../api/errors.ts";
import { readError, writeError } from "./disk-errors.ts";
import {
  type DigestJob,
  type DiskAnswer,
  type DiskJob,
  type DiskRequest,
  type DiskResult,
  type DiskWorkerData,
  type FileRange,
  READY,
  type SharedBytes,
} from "./disk-jobs.ts";

/** Writing 1 GiB with both hashes on two cores and a tmpfs: one worker 450 MiB/s, two 850 MiB/s. */
const DEFAULT_WORKER_COUNT = 2;
/** Jobs that a worker has at once, so that it need not wait for the next: two are 20 % slower with pieces of 256 KiB. */
const JOBS_PER_WORKER = 4;
/** Of those, jobs that are not a digest's, in a worker where digests live: they wait behind these. A download's digest
 * that falls behind has to read the file again. */
const SHARED_JOBS_BESIDE_DIGESTS = 2;

/** What a hash of a file passes at once: threads seldom wait for each other, and it fits a core's cache. */
export const CHUNK_BYTES = 1024 * 1024;

export interface DiskPoolOptions {
  /** @default 2 */
  readonly workerCount?: number;
  /** URL of the module whose `readSync` and `writeSync` are used. @default "node:fs" */
  readonly ioModule?: string;
}

/** Where in a file: `path` is for the sentences of errors. */
export interface FilePlace {
  readonly fd: number;
  readonly path: string;
  readonly positionBytes: number;
}

export type NamedFileRange = FileRange & FilePlace;

interface PendingJob {
  readonly job: DiskJob;
  resolve(result: DiskResult): void;
  reject(error: MiniTorrentError): void;
  /** From what the worker said to what a person is told. */
  explain(error: unknown): MiniTorrentError;
}

/** A place for a worker: the thread in it starts with the first job, and again with the first after its death. */
interface Seat {
  worker: Worker | undefined;
  /** The worker has said that it takes jobs: a thread needs 50 ms to start, and the other one need not wait for it. */
  isReady: boolean;
  /** What the worker has, by job id. */
  readonly running: Map<number, PendingJob>;
  /** What waits for this very worker. */
  bound: PendingJob[];
  digestCount: number;
  /** The job it got last read back a part of a file for a digest. */
  hasJustReadBack: boolean;
}

export class DiskPool {
  readonly #ioModule: string;
  readonly #seats: Seat[] = [];
  /** What waits for any worker. */
  readonly #shared: PendingJob[] = [];
  readonly #chunks: SharedBytes[] = [];
  #state: "open" | "closing" | "closed" = "open";
  #closed: Promise<void> | undefined;
  #nextId = 1;
  #whenIdle: (() => void) | undefined;

  constructor(options: DiskPoolOptions = {}) {
    const workerCount = options.workerCount ?? DEFAULT_WORKER_COUNT;
    if (!Number.isSafeInteger(workerCount) || workerCount < 1) {
      throw new RangeError(`A disk pool needs at least one worker, not ${workerCount}.`);
    }
    this.#ioModule = options.ioModule ?? "node:fs";
    for (let i = 0; i < workerCount; i++) {
      this.#seats.push({
        worker: undefined,
        isReady: false,
        running: new Map(),
        bound: [],
        digestCount: 0,
        hasJustReadBack: false,
      });
    }
  }

  /** Starts the threads, if they do not run: a download's first piece need not wait for them, nor be told of late. */
  prepare(): void {
    if (this.#state === "open") this.#startAll();
  }

  /**
   * Hashes the bytes, and writes them only if their SHA-1 is `sha1`. They must not change until the promise settles.
   *
   * @returns false for another hash: nothing was written
   * @throws MiniTorrentError DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
   */
  async writePiece(place: FilePlace, bytes: SharedBytes, sha1: Uint8Array): Promise<boolean> {
    const { fd, positionBytes, path } = place;
    // A copy: a view is cloned with everything that lies behind it, here all hashes of the file.
    const job: DiskJob = { kind: "write", fd, positionBytes, bytes, sha1: new Uint8Array(sha1) };
    return (await this.#submit(undefined, job, (error) => writeError(error, path))) === true;
  }

  /**
   * @returns the SHA-1 of that part of the file, 20 bytes
   * @throws MiniTorrentError FILE_CHANGED if the file is shorter; DISK_FAILED
   */
  async hashRange(range: NamedFileRange): Promise<Uint8Array> {
    const { fd, positionBytes, lengthBytes, path } = range;
    const job: DiskJob = { kind: "hash-range", fd, positionBytes, lengthBytes };
    return bytesOf(await this.#submit(undefined, job, (error) => readError(error, path)));
  }

  /**
   * A running SHA-1. It lives in one worker; with `awayFrom`, in another one than that digest, so that both run at once.
   *
   * @param cutBytes begins anew after every so many bytes, as the hashes of pieces do; 0 for one hash over everything
   */
  openDigest(cutBytes: number, awayFrom?: Digest): Digest {
    const isElsewhere = (seat: Seat) => this.#seats.length === 1 || seat !== awayFrom?.[seatOf];
    const seat = this.#seats
      .filter(isElsewhere)
      .reduce((best, other) => (other.digestCount < best.digestCount ? other : best));
    return new Digest(seat, this.#nextId++, cutBytes, (...job) => this.#submit(...job));
  }

  /**
   * Memory of CHUNK_BYTES to pass bytes from one digest to another. Give it back: memory that a worker has seen is freed
   * only when that worker's garbage is collected, which does not count shared memory and may be never.
   */
  takeChunk(): SharedBytes {
    return this.#chunks.pop() ?? new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES));
  }

  /** No job uses it any more. */
  giveChunk(chunk: SharedBytes): void {
    this.#chunks.push(chunk);
  }

  /** Waits for the jobs that run, then ends the workers. Jobs that come later are refused with DISK_FAILED. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#state = "closing";
    if (!this.#isIdle) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    this.#state = "closed";
    await Promise.all(this.#seats.map(({ worker }) => worker?.terminate()));
  }

  /** @param seat the worker that the job is bound to; undefined for any */
  #submit(seat: Seat | undefined, job: DiskJob, explain: PendingJob["explain"]): Promise<DiskResult> {
    if (this.#state !== "open") {
      return Promise.reject(
        new MiniTorrentError("DISK_FAILED", "The disk is no longer used: it was closed."),
      );
    }
    return new Promise<DiskResult>((resolve, reject) => {
      (seat?.bound ?? this.#shared).push({ job, resolve, reject, explain });
      this.#startAll();
      if (seat !== undefined) {
        this.#dispatch(seat);
        return;
      }
      const load = ({ isReady, digestCount, running }: Seat): number =>
        running.size + (digestCount > 0 ? JOBS_PER_WORKER : 0) + (isReady ? 0 : 2 * JOBS_PER_WORKER);
      for (const next of [...this.#seats].sort((a, b) => load(a) - load(b))) {
        this.#dispatch(next);
        if (this.#shared.length === 0) return;
      }
    });
  }

  /** All at once: what comes first is soon too much for one. */
  #startAll(): void {
    for (const seat of this.#seats) seat.worker ??= this.#startWorker(seat);
  }

  #dispatch(seat: Seat): void {
    while (seat.worker !== undefined && seat.isReady && seat.running.size < JOBS_PER_WORKER) {
      const pending = this.#nextFor(seat);
      if (pending === undefined) return;
      const request: DiskRequest = { jobId: this.#nextId++, job: pending.job };
      seat.running.set(request.jobId, pending);
      seat.worker.postMessage(request);
    }
  }

  /**
   * A digest is what a download's end waits for, and cannot be shared out: its jobs go first. But reading back what may
   * be a large file takes turns with the pieces that wait to be written.
   */
  #nextFor(seat: Seat): PendingJob | undefined {
    const isReadBack = seat.bound[0]?.job.kind === "digest-file";
    const mayShare = seat.digestCount === 0 || seat.running.size < SHARED_JOBS_BESIDE_DIGESTS;
    const isSharedTurn = isReadBack && seat.hasJustReadBack && this.#shared.length > 0;
    const bound = isSharedTurn ? undefined : seat.bound.shift();
    const next = bound ?? (mayShare || isSharedTurn ? this.#shared.shift() : undefined);
    if (next !== undefined) seat.hasJustReadBack = next.job.kind === "digest-file";
    return next;
  }

  get #isIdle(): boolean {
    return (
      this.#shared.length === 0 &&
      this.#seats.every(({ running, bound }) => running.size === 0 && bound.length === 0)
    );
  }

  #startWorker(seat: Seat): Worker {
    // After a build this file and the worker's are JavaScript.
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const workerData: DiskWorkerData = { ioModule: this.#ioModule };
    const worker = new Worker(new URL(`./disk-worker.${extension}`, import.meta.url), { workerData });
    let cause: unknown;
    worker.on("message", (answer: DiskAnswer | typeof READY) => {
      if (answer !== READY) {
        this.#settle(seat, answer);
        return;
      }
      seat.isReady = true;
      this.#dispatch(seat);
    });
    worker.on("error", (error) => {
      cause = error;
    });
    // "exit" always follows "error". The thread is gone then: nothing touches the memory of its jobs any more.
    worker.on("exit", (exitCode) => {
      const lost = [...seat.running.values(), ...seat.bound];
      // One that cannot even start takes what waits for anybody with it, unless there is somebody else.
      if (!seat.isReady && !this.#seats.some(({ isReady }) => isReady)) lost.push(...this.#shared.splice(0));
      seat.running.clear();
      seat.bound = [];
      seat.digestCount = 0;
      seat.worker = undefined;
      seat.isReady = false;
      const sentence = "A thread that writes to the disk died: try again.";
      cause ??= new Error(`it ended with exit code ${exitCode}`);
      for (const job of lost) job.reject(new MiniTorrentError("DISK_FAILED", sentence, { cause }));
      if (this.#shared.length > 0) this.#startAll();
      this.#tellIdle();
    });
    return worker;
  }

  #settle(seat: Seat, answer: DiskAnswer): void {
    const pending = seat.running.get(answer.jobId);
    if (pending === undefined) return;
    seat.running.delete(answer.jobId);
    this.#dispatch(seat);
    if ("failure" in answer) {
      const { code, message } = answer.failure;
      pending.reject(pending.explain(Object.assign(new Error(message), { code })));
    } else {
      pending.resolve(answer.result);
    }
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#isIdle) this.#whenIdle?.();
  }
}

const seatOf = Symbol("seat");
type Submit = (seat: Seat, job: DigestJob, explain: PendingJob["explain"]) => Promise<DiskResult>;

/** A running SHA-1 in a worker. What is fed to it is hashed in the order of the calls. */
export class Digest {
  readonly #seat: Seat;
  readonly #worker: Worker | undefined;
  readonly #digestId: number;
  readonly #submit: Submit;
  readonly #opened: Promise<DiskResult>;
  #isOpen = true;

  constructor(seat: Seat, digestId: number, cutBytes: number, submit: Submit) {
    this.#seat = seat;
    this.#digestId = digestId;
    this.#submit = submit;
    seat.digestCount++;
    this.#opened = submit(seat, { kind: "digest-open", digestId, cutBytes }, explainInside);
    this.#worker = seat.worker;
    // Whoever uses the digest hears of it: its worker is lost, or the pool is closed.
    this.#opened.catch(() => undefined);
  }

  get [seatOf](): Seat {
    return this.#seat;
  }

  /** The thread it lived in has died, and with it what was hashed so far: begin again with a new one. */
  get isLost(): boolean {
    return this.#seat.worker !== this.#worker;
  }

  /**
   * Hashes the parts one after the other. They must not change until the promise settles.
   *
   * @returns the hashes that became whole, 20 bytes each
   * @throws MiniTorrentError DISK_FAILED
   */
  async update(...parts: SharedBytes[]): Promise<Uint8Array> {
    return this.#feed({ kind: "digest-memory", digestId: this.#digestId, parts }, explainInside);
  }

  /**
   * @param into where the bytes are left for somebody else to use; at least as long as the range
   * @returns the hashes that became whole, 20 bytes each
   * @throws MiniTorrentError FILE_CHANGED if the file is shorter; DISK_FAILED
   */
  async updateFromFile(range: NamedFileRange, into?: SharedBytes): Promise<Uint8Array> {
    const { fd, positionBytes, lengthBytes, path } = range;
    return this.#feed(
      { kind: "digest-file", digestId: this.#digestId, fd, positionBytes, lengthBytes, into },
      (error) => readError(error, path),
    );
  }

  /** Ends it. @returns the hash of what came since the last cut: 20 bytes, or none if nothing did and it is cut */
  async finish(): Promise<Uint8Array> {
    const result = this.#feed({ kind: "digest-close", digestId: this.#digestId }, explainInside);
    if (this.#isOpen && !this.isLost) this.#seat.digestCount--;
    this.#isOpen = false;
    return result;
  }

  async #feed(job: DigestJob, explain: PendingJob["explain"]): Promise<Uint8Array> {
    if (this.isLost) {
      throw new MiniTorrentError("DISK_FAILED", "A thread that hashed a file died: try again.");
    }
    return bytesOf(await this.#submit(this.#seat, job, explain));
  }
}

function explainInside(error: unknown): MiniTorrentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new MiniTorrentError("INTERNAL", `Hashing failed inside: ${reason}`, { cause: error });
}

function bytesOf(result: DiskResult): Uint8Array {
  if (typeof result === "boolean") throw new MiniTorrentError("INTERNAL", "A hash was expected of the disk.");
  return result;
}
