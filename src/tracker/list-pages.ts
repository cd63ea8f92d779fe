// Long lists, read so that nobody else waits for them: a page is put together from slices, and of all slices that are
// wanted, whoever wants them, a turn of the event loop reads no more than fit into a few milliseconds. What is read, and
// who may read it, is the rules' affair.
import type { ListPage } from "../api/schemas.ts";
import type { KeyPage } from "./registry/registry.ts";

/** Entries that a page looks at, and so the most that it can have; it has fewer where many of them are over. */
export const PAGE_ENTRIES = 1_000;
/** Entries of a slice: some 2 ms where each needs half a dozen look-ups. */
const SLICE_ENTRIES = 50;
/** Slices go on in a turn for as long as this: calls that came meanwhile are answered before the next. */
const TURN_MS = 5;

/** Reads some of a list, from after a place in it, or from its beginning. */
export type ReadSlice<T> = (slice: KeyPage) => ListPage<T>;

export class ListPages {
  readonly #nowMs: () => number;
  readonly #nextTurn: (callback: () => void) => void;
  /** What waits to be read, each for one slice; who got one goes to the end. */
  readonly #waiting: (() => void)[] = [];
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
   * @throws whatever `readSlice` throws: who may read is asked again for each slice
   */
  async read<T>(after: string | undefined, readSlice: ReadSlice<T>): Promise<ListPage<T>> {
    const items: T[] = [];
    let next = after;
    for (let looked = 0; looked < PAGE_ENTRIES; looked += SLICE_ENTRIES) {
      const slice = await this.#inTurn(() => readSlice({ after: next, limit: SLICE_ENTRIES }));
      items.push(...slice.items);
      if (slice.next === undefined) return { items };
      next = slice.next;
    }
    return { items, ...(next === undefined ? {} : { next }) };
  }

  #inTurn<T>(read: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
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
    do this.#waiting.shift()?.();
    while (this.#waiting.length > 0 && this.#nowMs() - startedMs < TURN_MS);
    if (this.#waiting.length > 0) this.#nextTurn(() => this.#readSome());
    else this.#isReading = false;
  }
}
