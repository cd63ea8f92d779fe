// Time that stands still until the next event: a swarm of minutes runs in a second, and the same way every time.

interface ClockEvent {
  readonly atMs: number;
  readonly order: number;
  readonly work: () => void;
}

export class VirtualClock {
  /** A binary heap, the earliest first; among equals the one scheduled first. */
  readonly #heap: ClockEvent[] = [];
  #nowMs = 0;
  #order = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, work: () => void): void {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, work };
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || isBefore(parent, event)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
  }

  /** Runs events until the condition holds or the time is reached. Returns whether the condition holds. */
  runUntil(isDone: () => boolean, latestMs: number): boolean {
    while (!isDone()) {
      const [next] = this.#heap;
      if (next === undefined || next.atMs > latestMs) {
        this.#nowMs = latestMs;
        return isDone();
      }
      this.#removeFirst();
      this.#nowMs = next.atMs;
      next.work();
    }
    return true;
  }

  runFor(durationMs: number): void {
    this.runUntil(() => false, this.#nowMs + durationMs);
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const leftAt = 2 * at + 1;
      const left = heap[leftAt];
      if (left === undefined) break;
      const right = heap[leftAt + 1];
      const isRightEarlier = right !== undefined && isBefore(right, left);
      const child = isRightEarlier ? right : left;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = isRightEarlier ? leftAt + 1 : leftAt;
    }
    heap[at] = last;
  }
}

function isBefore(a: ClockEvent, b: ClockEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Random numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
