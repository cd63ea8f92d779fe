// Reads pages of long lists without delaying other clients: a page is assembled from slices, and one turn of the event loop
// reads only as many slices, of all callers, as fit into a few milliseconds. The callers decide what is read, and who may.
import type { ListPage } from "../api/schemas.ts";
import type { KeyPage } from "./registry/registry.ts";

/** Entries examined for a page, and so its largest size; it has fewer where many of them have ended. */
export const PAGE_ENTRIES = 1_000;
/** Entries of a slice: some 2 ms where each needs half a dozen look-ups. */
const SLICE_ENTRIES = 50;
/** Time for slices in one turn; then waiting calls are answered. */
const TURN_MS = 5;

/** Reads a slice of a list, after a place in it or from its beginning. */
export type ReadSlice<T> = (slice: KeyPage) => ListPage<T>;

export class ListPages {
  readonly #nowMs: () => number;
  readonly #nextTurn: (callback: () => void) => void;
  /** Pending reads by caller: callers take turns with one slice each, however many lists one of them asks for. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #isReading = false;

  /** @param nowMs and `nextTurn`: a clock for durations, and what calls back in another turn of the event loop */
  constructor(
    nowMs: () => number = () => performance.now(),
    nextTurn: (callback: () => void) => void = (callback) => void setImmediate(callback),
  ) {
    this.#nowMs = nowMs;
    this.#nextTurn = nextTurn;
  }

  /**
   * One page of a list, from after that place.
   *
   * @param caller the account that asks
   * @throws whatever `readSlice` throws; permission is checked again for each slice
   */
  async read<T>(caller: string, after: string | undefined, readSlice: ReadSlice<T>): Promise<ListPage<T>> {
    const items: T[] = [];
    let next = after;
    for (let looked = 0; looked < PAGE_ENTRIES; looked += SLICE_ENTRIES) {
      const slice = await this.#inTurn(caller, () => readSlice({ after: next, limit: SLICE_ENTRIES }));
      items.push(...slice.items);
      if (slice.next === undefined) return { items };
      next = slice.next;
    }
    return { items, ...(next === undefined ? {} : { next }) };
  }

  #inTurn<T>(caller: string, read: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const reads = this.#waiting.get(caller) ?? [];
      this.#waiting.set(caller, reads);
      reads.push(() => {
        try {
          resolve(read());
        } catch (error) {
          reject(error);
        }
      });
      if (this.#isReading) return;
      this.#isReading = true;
      this.#nextTurn(() => this.#readSome());
    });
  }

  #readSome(): void {
    const startedMs = this.#nowMs();
    do this.#readNext();
    while (this.#waiting.size > 0 && this.#nowMs() - startedMs < TURN_MS);
    if (this.#waiting.size > 0) this.#nextTurn(() => this.#readSome());
    else this.#isReading = false;
  }

  /** A slice for the caller that has waited longest; then it waits behind the others. */
  #readNext(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [caller, reads] = next;
    this.#waiting.delete(caller);
    const read = reads.shift();
    if (reads.length > 0) this.#waiting.set(caller, reads);
    read?.();
  }
}
