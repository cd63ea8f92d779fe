// Divides the process's limited number of connections. Incoming and dialled connections each get a part that the other cannot
// take. Files take turns at the places for dialled connections.

/** Largest part of the places for one direction. */
const MOST_OF_DIRECTION = 3 / 4;
/** Part of the places for dialled connections that is reserved for files without a connection. */
const SHARE_FOR_FIRST = 1 / 4;
/** A file that has not asked for this long no longer waits. A running file asks ten times a second. */
const WAITS_FOR_MS = 3_000;

export type Direction = "in" | "out";

export class ConnectionPlaces {
  readonly #most: number;
  readonly #mostOfDirection: number;
  readonly #nowMs: () => number;
  readonly #taken = { in: 0, out: 0 };
  /** Files that wait for a place, longest wait first. */
  readonly #waiting = new Map<string, { readonly askedMs: number; readonly isOfUse: boolean }>();

  constructor(most: number, nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#most = most;
    this.#mostOfDirection = Math.max(1, Math.floor(most * MOST_OF_DIRECTION));
  }

  /** Most connections of one direction. */
  get mostOfDirection(): number {
    return this.#mostOfDirection;
  }

  /** Files without a connection that wait for a place to dial. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Whether a file that has a connection may dial one more. */
  get hasForMore(): boolean {
    return this.#free("out") > Math.ceil(this.#mostOfDirection * SHARE_FOR_FIRST) + this.#waiting.size;
  }

  /**
   * Whether a file without a connection may dial. If not, it waits; the file that has waited longest is next.
   *
   * @param isOfUse it would dial a seed; such files go first
   */
  hasForFirst(file: string, isOfUse: boolean): boolean {
    const nowMs = this.#nowMs();
    let ahead = 0;
    let isBehind = false;
    for (const [other, { askedMs, isOfUse: isOtherOfUse }] of this.#waiting) {
      if (other === file) isBehind = true;
      else if (nowMs - askedMs > WAITS_FOR_MS) this.#waiting.delete(other);
      else if (isOtherOfUse === isOfUse ? !isBehind : isOtherOfUse) ahead++;
    }
    if (this.#free("out") > ahead) {
      this.#waiting.delete(file);
      return true;
    }
    this.#waiting.set(file, { askedMs: nowMs, isOfUse });
    return false;
  }

  /** Whether that file waits for a place for its first connection. */
  isWaiting(file: string): boolean {
    return this.#waiting.has(file);
  }

  /** The file no longer waits: it has a connection, or is gone. */
  forget(file: string): void {
    this.#waiting.delete(file);
  }

  /** Takes a place; `give` returns it. Returns false if none is free. */
  take(direction: Direction): boolean {
    if (this.#free(direction) <= 0) return false;
    this.#taken[direction]++;
    return true;
  }

  give(direction: Direction): void {
    this.#taken[direction]--;
  }

  #free(direction: Direction): number {
    const free = this.#most - this.#taken.in - this.#taken.out;
    return Math.min(free, this.#mostOfDirection - this.#taken[direction]);
  }
}
