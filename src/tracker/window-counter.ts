// How many of something each key has had within a window of time, which begins with a key's first. Bounded in memory,
// since keys are made by strangers; kept over a restart if there is a place to keep it.
import { createHash } from "node:crypto";

/**
 * Keys at once, some 10 MB. Of failed logins there cannot be more within five minutes: at 25 ms each, two threads hash 24,000
 * passwords in that time. Past it the key whose window ends next is forgotten.
 */
const MOST_KEYS = 50_000;
/** Of the digest that stands for a key: strangers choose how long a key is, not how much is kept of it. */
const KEY_BYTES = 16;

/** Where counts are kept over a restart (attempt-store.ts). */
export interface CountStore {
  load(counter: string): Iterable<KeptCount>;
  put(counter: string, kept: KeptCount): void;
  remove(counter: string, key: string): void;
}

export interface KeptCount {
  readonly key: string;
  readonly count: number;
  /** For how long it counts from now on. */
  readonly remainingMs: number;
}

export interface WindowCounterOptions {
  readonly windowMs: number;
  /** A clock that nobody sets. */
  readonly nowMs: () => number;
  readonly mostKeys?: number;
  readonly kept?: {
    readonly store: CountStore;
    /** The counter's name in the store. */
    readonly name: string;
    /** After how many a count is stored anew; what a crash forgets is less than that. */
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
      // A clock that was set back must not prolong it.
      this.#counts.set(key, { count, endsMs: nowMs() + Math.min(remainingMs, windowMs) });
    }
  }

  get keyCount(): number {
    return this.#counts.size;
  }

  /** What the key has had in its window. */
  countOf(...parts: readonly string[]): number {
    return this.#live(keyOf(parts))?.count ?? 0;
  }

  /** For how long that counts; 0 if it has had nothing. */
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

  /** One of what the key has had does not count. */
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

  /** Stores what is not stored at every change. */
  store(): void {
    const { kept } = this.#options;
    if (kept === undefined || kept.every === 1) return;
    for (const [key, { count, endsMs }] of this.#counts) this.#put(key, count, endsMs);
  }

  #live(key: string): Count | undefined {
    const found = this.#counts.get(key);
    if (found === undefined || found.endsMs > this.#options.nowMs()) return found;
    this.#counts.delete(key); // the store leaves out what has ended
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
