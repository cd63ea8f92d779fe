// Gives back what storage keeps for speed alone, once nothing has moved for a minute: free piece memory, parts that were read to
// be sent, threads without work. The next piece obtains it again.
import { every } from "../net/timers.ts";
import type { StorageResources } from "./storage-resources.ts";

const REST_AFTER_MS = 60_000;
const LOOK_PERIOD_MS = 15_000;
/** A process at rest that has grown by this much, such as by answering calls, collects its garbage again. */
const GROWTH_BYTES = 16 * 1024 * 1024;

export interface IdleMemoryOptions {
  readonly storage: Pick<StorageResources, "disk" | "memory" | "cache">;
  /** Collects the process's garbage: it holds what was released until then. */
  readonly collectGarbage: () => void;
  readonly nowMs?: () => number;
  /** Resident memory of the process. */
  readonly residentBytes?: () => number;
}

export class IdleMemory {
  readonly #options: Required<IdleMemoryOptions>;
  readonly #timer: NodeJS.Timeout;
  #workCount: number;
  #idleSinceMs: number;
  /** What was resident at the first look after the last collection. */
  #restingBytes: number | undefined;
  #isResting = false;

  constructor(options: IdleMemoryOptions) {
    this.#options = {
      nowMs: () => performance.now(),
      residentBytes: () => process.memoryUsage.rss(),
      ...options,
    };
    this.#workCount = this.#countWork();
    this.#idleSinceMs = this.#options.nowMs();
    this.#timer = every("releasing idle memory", LOOK_PERIOD_MS, () => this.look()).unref();
  }

  /** Releases what has been idle for a minute; called by itself. */
  async look(): Promise<void> {
    const { storage, collectGarbage, nowMs, residentBytes } = this.#options;
    const workCount = this.#countWork();
    if (workCount !== this.#workCount) {
      this.#workCount = workCount;
      this.#idleSinceMs = nowMs();
      this.#isResting = false;
      return;
    }
    if (nowMs() - this.#idleSinceMs < REST_AFTER_MS) return;
    if (this.#isResting) {
      this.#restingBytes ??= residentBytes();
      if (residentBytes() < this.#restingBytes + GROWTH_BYTES) return;
    }
    this.#isResting = true;
    this.#restingBytes = undefined;
    await storage.disk.rest();
    storage.memory.release();
    storage.cache.release();
    collectGarbage();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #countWork(): number {
    const { disk, memory, cache } = this.#options.storage;
    return disk.jobCount + memory.takenCount + cache.readCount;
  }
}
