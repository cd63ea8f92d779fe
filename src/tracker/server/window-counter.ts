// Counts events by key within a time window that begins with the key's first event. Bounded in memory, since strangers choose
// the keys; kept over a restart if it has a store.
import { createHash } from "node:crypto";

/**
 * Most keys, some 10 MB. There cannot be more failed logins within five minutes: at 25 ms each, two threads hash 24,000
 * passwords in that time. Past the bound the key whose window ends next is forgotten.
 */
const MOST_KEYS = 50_000;
/** Length of the digest stored in place of a key, since strangers choose how long keys are. */
const KEY_BYTES = 16;

/** Store that keeps counts over a restart (attempt-store.ts). */
export interface CountStore {
  load(counter: string): Iterable<KeptCount>;
  put(counter: string, kept: KeptCount): void;
  remove(counter: string, key: string): void;
}

export interface KeptCount {
  readonly key: string;
  readonly count: number;
  /** Remaining time of its window. */
  readonly remainingMs: number;
}

export interface WindowCounterOptions {
  readonly windowMs: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly mostKeys?: number;
  readonly kept?: {
    readonly store: CountStore;
    /** The counter's name in the store. */
    readonly name: string;
    /** A count is stored after this many events; a crash loses fewer. */
    readonly every: number;
  };
}

interface Count {
  count: number;
  endsMs: number;
}

export class WindowCounter {
  readonly #options: WindowCounterOptions;
  readonly #mostKeys: number;
  /** In the order in which the windows end. */
  readonly #counts = new Map<string, Count>();

  constructor(options: WindowCounterOptions) {
    this.#options = options;
    this.#mostKeys = options.mostKeys ?? MOST_KEYS;
    const { kept, windowMs, nowMs } = options;
    const loaded = [...(kept?.store.load(kept.name) ?? [])].sort((a, b) => a.remainingMs - b.remainingMs);
    for (const { key, count, remainingMs } of loaded.slice(-this.#mostKeys)) {
      // A clock that was set back must not prolong the window.
      this.#counts.set(key, { count, endsMs: nowMs() + Math.min(remainingMs, windowMs) });
    }
  }

  get keyCount(): number {
    return this.#counts.size;
  }

  /** Number of the key's events in its window. */
  countOf(...parts: readonly string[]): number {
    return this.#live(keyOf(parts))?.count ?? 0;
  }

  /** Remaining time of the key's window; 0 if it has no events. */
  remainingMsOf(...parts: readonly string[]): number {
    return Math.max(0, (this.#live(keyOf(parts))?.endsMs ?? 0) - this.#options.nowMs());
  }

  add(...parts: readonly string[]): void {
    const { windowMs, nowMs } = this.#options;
    const key = keyOf(parts);
    let live = this.#live(key);
    if (live === undefined) {
      this.#makeRoom();
      live = { count: 0, endsMs: nowMs() + windowMs };
      this.#counts.set(key, live);
    }
    live.count++;
    this.#store(key, live);
  }

  /** Uncounts one event of the key. */
  takeBack(...parts: readonly string[]): void {
    const key = keyOf(parts);
    const live = this.#live(key);
    if (live === undefined) return;
    if (--live.count === 0) this.#forget(key);
    else this.#store(key, live);
  }

  forget(...parts: readonly string[]): void {
    this.#forget(keyOf(parts));
  }

  /** Stores counts that are not stored at every change. */
  store(): void {
    const { kept } = this.#options;
    if (kept === undefined || kept.every === 1) return;
    for (const [key, { count, endsMs }] of this.#counts) this.#put(key, count, endsMs);
  }

  #live(key: string): Count | undefined {
    const found = this.#counts.get(key);
    if (found === undefined || found.endsMs > this.#options.nowMs()) return found;
    this.#counts.delete(key); // the store ignores expired windows
    return undefined;
  }

  #makeRoom(): void {
    const nowMs = this.#options.nowMs();
    for (const [key, { endsMs }] of this.#counts) {
      const hasEnded = endsMs <= nowMs;
      if (!hasEnded && this.#counts.size < this.#mostKeys) return;
      if (hasEnded) this.#counts.delete(key);
      else this.#forget(key);
    }
  }

  #forget(key: string): void {
    const { kept } = this.#options;
    if (this.#counts.delete(key)) kept?.store.remove(kept.name, key);
  }

  #store(key: string, { count, endsMs }: Count): void {
    if (count % (this.#options.kept?.every ?? 1) === 0) this.#put(key, count, endsMs);
  }

  #put(key: string, count: number, endsMs: number): void {
    const { kept, nowMs } = this.#options;
    kept?.store.put(kept.name, { key, count, remainingMs: endsMs - nowMs() });
  }
}

function keyOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest().toString("base64url", 0, KEY_BYTES);
}
