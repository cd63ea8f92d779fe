// Worker threads that hash and touch the disk, so that the thread of the network does neither. Whichever worker is free
// takes the next job, one without digests first; a digest's jobs stay with the worker that it lives in. A worker that dies
// is replaced; what it was doing fails, and never hangs.
import { MiniTorrentError } from "../api/errors.ts";
import { bytesOf, Digest } from "./digest.ts";
import { readError, writeError } from "./disk-errors.ts";
import type { DiskJob, DiskResult, FilePlace, NamedFileRange, SharedBytes } from "./disk-jobs.ts";
import { type DiskThread, type PendingJob, startDiskThread, WorkerSlot } from "./worker-slot.ts";

/** Writing 1 GiB with both hashes on two cores and a tmpfs: one worker 450 MiB/s, two 850 MiB/s. */
const DEFAULT_WORKER_COUNT = 2;

/** What a hash of a file passes at once: threads seldom wait for each other, and it fits a core's cache. */
export const CHUNK_BYTES = 1024 * 1024;

export interface DiskPoolOptions {
  /** @default 2 */
  readonly workerCount?: number;
  /** URL of the module whose `readSync` and `writeSync` are used. @default "node:fs" */
  readonly ioModule?: string;
  /** @default startDiskThread(ioModule) */
  readonly startThread?: () => DiskThread;
}

export class DiskPool {
  readonly #seats: WorkerSlot[] = [];
  /** What waits for any worker. */
  readonly #shared: PendingJob[] = [];
  readonly #chunks: SharedBytes[] = [];
  #state: "open" | "closing" | "closed" = "open";
  #closed: Promise<void> | undefined;
  #nextDigestId = 1;
  #whenIdle: (() => void) | undefined;

  constructor(options: DiskPoolOptions = {}) {
    const workerCount = options.workerCount ?? DEFAULT_WORKER_COUNT;
    if (!Number.isSafeInteger(workerCount) || workerCount < 1) {
      throw new RangeError(`A disk pool needs at least one worker, not ${workerCount}.`);
    }
    const { ioModule = "node:fs", startThread = () => startDiskThread(ioModule) } = options;
    const seatOptions = {
      startThread,
      shared: this.#shared,
      onSettled: () => this.#tellIdle(),
      onDied: (wasReady: boolean, reason: () => MiniTorrentError) => this.#threadDied(wasReady, reason),
    };
    for (let i = 0; i < workerCount; i++) this.#seats.push(new WorkerSlot(seatOptions));
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
    const isElsewhere = (seat: WorkerSlot) => this.#seats.length === 1 || awayFrom?.livesIn(seat) !== true;
    const seat = this.#seats
      .filter(isElsewhere)
      .reduce((best, other) => (other.digestCount < best.digestCount ? other : best));
    return new Digest(seat, this.#nextDigestId++, cutBytes, (job, explain) =>
      this.#submit(seat, job, explain),
    );
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
    await Promise.all(this.#seats.map((seat) => seat.close()));
  }

  /** @param seat the worker that the job is bound to; undefined for any */
  #submit(seat: WorkerSlot | undefined, job: DiskJob, explain: PendingJob["explain"]): Promise<DiskResult> {
    if (this.#state !== "open") {
      return Promise.reject(
        new MiniTorrentError("DISK_FAILED", "The disk is no longer used: it was closed."),
      );
    }
    return new Promise<DiskResult>((resolve, reject) => {
      const pending: PendingJob = { job, resolve, reject, explain };
      if (seat === undefined) this.#shared.push(pending);
      else seat.add(pending);
      this.#startAll();
      if (seat !== undefined) {
        seat.dispatch();
        return;
      }
      for (const next of [...this.#seats].sort((a, b) => a.load - b.load)) {
        next.dispatch();
        if (this.#shared.length === 0) return;
      }
    });
  }

  /** All at once: what comes first is soon too much for one. */
  #startAll(): void {
    for (const seat of this.#seats) seat.start();
  }

  get #isIdle(): boolean {
    return this.#shared.length === 0 && this.#seats.every((seat) => seat.isIdle);
  }

  #threadDied(wasReady: boolean, reason: () => MiniTorrentError): void {
    // One that cannot even start takes what waits for anybody with it, unless there is somebody else.
    if (!wasReady && !this.#seats.some((seat) => seat.isReady)) {
      for (const job of this.#shared.splice(0)) job.reject(reason());
    }
    if (this.#shared.length > 0) this.#startAll();
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#isIdle) this.#whenIdle?.();
  }
}
