// Time that stands still until the next event: a swarm of minutes runs in a second, and the same way every time.

interface ClockEvent {
  readonly atMs: number;
  readonly order: number;
  readonly work: () => void;
}

/** Events are kept in bins of a millisecond; only the bin whose turn it is is in order. */
const BIN_COUNT = 4096;

export class VirtualClock {
  /** A ring of bins for the events of the next `BIN_COUNT` milliseconds... */
  readonly #bins: ClockEvent[][] = Array.from({ length: BIN_COUNT }, () => []);
  #binnedCount = 0;
  /** ...and a heap for those of the bin that has begun... */
  readonly #heap = new EventHeap();
  /** ...and another for those that are further away. */
  readonly #later = new EventHeap();
  /** The millisecond whose events are in `#heap`. */
  #bin = 0;
  #nowMs = 0;
  #order = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, work: () => void): void {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, work };
    const bin = Math.floor(event.atMs);
    if (bin <= this.#bin) this.#heap.push(event);
    else if (bin < this.#bin + BIN_COUNT) this.#putInBin(bin, event);
    else this.#later.push(event);
  }

  /** Runs events until the condition holds or the time is reached. Returns whether the condition holds. */
  runUntil(isDone: () => boolean, latestMs: number): boolean {
    while (!isDone()) {
      const next = this.#next();
      if (next === undefined || next.atMs > latestMs) {
        this.#nowMs = latestMs;
        return isDone();
      }
      this.#heap.removeFirst();
      this.#nowMs = next.atMs;
      next.work();
    }
    return true;
  }

  runFor(durationMs: number): void {
    this.runUntil(() => false, this.#nowMs + durationMs);
  }

  #putInBin(bin: number, event: ClockEvent): void {
    this.#bins[bin % BIN_COUNT]?.push(event);
    this.#binnedCount++;
  }

  /** The earliest event; among equals the one that was scheduled first. */
  #next(): ClockEvent | undefined {
    while (this.#heap.first === undefined) {
      if (this.#binnedCount === 0) {
        const { first } = this.#later;
        if (first === undefined) return undefined;
        this.#bin = Math.floor(first.atMs) - 1;
      }
      this.#bin++;
      for (let { first } = this.#later; first !== undefined; first = this.#later.first) {
        const bin = Math.floor(first.atMs);
        if (bin >= this.#bin + BIN_COUNT) break;
        this.#later.removeFirst();
        this.#putInBin(bin, first);
      }
      const events = this.#bins[this.#bin % BIN_COUNT] ?? [];
      this.#binnedCount -= events.length;
      for (const event of events) this.#heap.push(event);
      events.length = 0;
    }
    return this.#heap.first;
  }
}

/** The earliest first; among equals the one with the lower order. */
class EventHeap {
  readonly #events: ClockEvent[] = [];

  get first(): ClockEvent | undefined {
    return this.#events[0];
  }

  push(event: ClockEvent): void {
    const events = this.#events;
    let at = events.push(event) - 1;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = events[parentAt];
      if (parent === undefined || isBefore(parent, event)) break;
      events[at] = parent;
      at = parentAt;
    }
    events[at] = event;
  }

  removeFirst(): void {
    const events = this.#events;
    const last = events.pop();
    if (last === undefined || events.length === 0) return;
    let at = 0;
    for (;;) {
      const leftAt = 2 * at + 1;
      const left = events[leftAt];
      if (left === undefined) break;
      const right = events[leftAt + 1];
      const isRightEarlier = right !== undefined && isBefore(right, left);
      const child = isRightEarlier ? right : left;
      if (isBefore(last, child)) break;
      events[at] = child;
      at = isRightEarlier ? leftAt + 1 : leftAt;
    }
    events[at] = last;
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
