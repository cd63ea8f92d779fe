// Worker threads that hash and touch the disk, so that the network's thread does neither. The next free worker takes the
// next job, preferably one without digests; a digest's jobs go to the worker it lives in. A worker that dies is replaced,
// and its jobs fail rather than hang.
import { MiniTorrentError } from "../api/errors.ts";
import { errorInFolder, readError, writeError } from "./disk-errors.ts";
import type { DiskJob, DiskResult, FilePlace, NamedFileRange, SharedBytes } from "./disk-jobs.ts";
import type { FolderJob } from "./folder-jobs.ts";
import {
  bytesOf,
  Digest,
  type DiskThread,
  type PendingJob,
  startDiskThread,
  WorkerSlot,
} from "./worker-slot.ts";

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
  readonly #slots: WorkerSlot[] = [];
  /** Waiting jobs that any worker can do. */
  readonly #shared: PendingJob[] = [];
  readonly #chunks: SharedBytes[] = [];
  #state: "open" | "closing" | "closed" = "open";
  #closed: Promise<void> | undefined;
  #nextDigestId = 1;
  #jobCount = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: DiskPoolOptions = {}) {
    const workerCount = options.workerCount ?? DEFAULT_WORKER_COUNT;
    if (!Number.isSafeInteger(workerCount) || workerCount < 1) {
      throw new RangeError(`A disk pool needs at least one worker, not ${workerCount}.`);
    }
    const { ioModule = "node:fs", startThread = () => startDiskThread(ioModule) } = options;
    const slotOptions = {
      startThread,
      shared: this.#shared,
      onSettled: () => this.#tellIdle(),
      onDied: (wasReady: boolean, reason: () => MiniTorrentError) => this.#threadDied(wasReady, reason),
    };
    for (let i = 0; i < workerCount; i++) this.#slots.push(new WorkerSlot(slotOptions));
  }

  /** How many jobs it was given so far. */
  get jobCount(): number {
    return this.#jobCount;
  }

  /** Starts the threads unless they run, so that a download's first piece does not wait for them. */
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
    // A copy: a view is cloned with its whole buffer, here all hashes of the file.
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

  /** SHA-1 of each part of that memory, 20 bytes each. */
  async hashParts(bytes: SharedBytes, lengths: Uint32Array): Promise<Uint8Array> {
    const job: DiskJob = { kind: "hash-parts", bytes, lengths };
    return bytesOf(await this.#submit(undefined, job, (error) => readError(error, "memory")));
  }

  /**
   * @returns the names in a folder with their kinds; see `ListFolderJob`
   * @throws MiniTorrentError FILE_NOT_FOUND, FILE_UNREADABLE, DISK_FAILED
   */
  async listFolder(path: string): Promise<Uint8Array> {
    const job: DiskJob = { kind: "list-folder", path };
    return bytesOf(await this.#submit(undefined, job, (error) => readError(error, path)));
  }

  /**
   * @returns what each file of a folder is; see `StatFilesJob`
   * @throws MiniTorrentError FILE_UNREADABLE, DISK_FAILED
   */
  async statFiles(folderPath: string, paths: readonly string[]): Promise<Float64Array> {
    const job: DiskJob = { kind: "stat-files", folderPath, paths };
    const stats = await this.#submit(undefined, job, (error) => errorInFolder(error, { folderPath, paths }));
    if (stats instanceof Float64Array) return stats;
    throw new MiniTorrentError("INTERNAL", "Numbers were expected of the disk.");
  }

  /**
   * A job on the files of a folder; see folder-jobs.ts for what each gives.
   *
   * @param explain turns the worker's error into one for people; `at` says which of the job's files it is about
   */
  inFolder(job: FolderJob, explain: (error: unknown) => MiniTorrentError): Promise<DiskResult> {
    return this.#submit(undefined, job, explain);
  }

  /**
   * Opens a running SHA-1 in one worker; with `awayFrom`, in another worker than that digest's, so that both run at once.
   *
   * @param cutBytes starts a new hash after this many bytes, as for pieces; 0 for one hash of everything
   */
  openDigest(cutBytes: number, awayFrom?: Digest): Digest {
    const isElsewhere = (slot: WorkerSlot) => this.#slots.length === 1 || awayFrom?.livesIn(slot) !== true;
    const slot = this.#slots
      .filter(isElsewhere)
      .reduce((best, other) => (other.digestCount < best.digestCount ? other : best));
    return new Digest(slot, this.#nextDigestId++, cutBytes, (job, explain) =>
      this.#submit(slot, job, explain),
    );
  }

  /**
   * Memory of CHUNK_BYTES to pass bytes from one digest to another. Give it back: memory that a worker has seen is freed
   * only by that worker's garbage collection, which does not count shared memory and may never run.
   */
  takeChunk(): SharedBytes {
    return this.#chunks.pop() ?? new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES));
  }

  /** No job uses it any more. */
  giveChunk(chunk: SharedBytes): void {
    this.#chunks.push(chunk);
  }

  /** Ends the threads that have no job and no digest, and lets go of free chunks. The next job starts the threads again. */
  async rest(): Promise<void> {
    this.#chunks.length = 0;
    await Promise.all(this.#slots.map((slot) => slot.rest()));
  }

  /** Waits for running jobs, then ends the workers. Later jobs are rejected with DISK_FAILED. */
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
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  /** @param slot undefined: any worker can do the job */
  #submit(slot: WorkerSlot | undefined, job: DiskJob, explain: PendingJob["explain"]): Promise<DiskResult> {
    if (this.#state !== "open") {
      return Promise.reject(
        new MiniTorrentError("DISK_FAILED", "The disk is no longer used: it was closed."),
      );
    }
    this.#jobCount++;
    return new Promise<DiskResult>((resolve, reject) => {
      const pending: PendingJob = { job, resolve, reject, explain };
      if (slot === undefined) this.#shared.push(pending);
      else slot.add(pending);
      this.#startAll();
      if (slot !== undefined) {
        slot.dispatch();
        return;
      }
      for (const next of [...this.#slots].sort((a, b) => a.load - b.load)) {
        next.dispatch();
        if (this.#shared.length === 0) return;
      }
    });
  }

  /** All of them: jobs soon come faster than one thread does them. */
  #startAll(): void {
    for (const slot of this.#slots) slot.start();
  }

  get #isIdle(): boolean {
    return this.#shared.length === 0 && this.#slots.every((slot) => slot.isIdle);
  }

  #threadDied(wasReady: boolean, reason: () => MiniTorrentError): void {
    // If no thread can start, nothing would ever do the waiting jobs.
    if (!wasReady && !this.#slots.some((slot) => slot.isReady)) {
      for (const job of this.#shared.splice(0)) job.reject(reason());
    }
    if (this.#shared.length > 0) this.#startAll();
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#isIdle) this.#whenIdle?.();
  }
}
