// Reads pages of long lists without delaying other clients: a page is assembled from slices, and before each slice the reader
// waits for its turn on the event loop again (call-turns.ts). The callers decide what is read, and who may.
import type { ListPage } from "../api/schemas.ts";
import type { KeyPage } from "./registry/registry.ts";

/** Entries that a page looks at, and so the most that it can have; it has fewer where many of them are over. */
export const PAGE_ENTRIES = 1_000;
/** Entries of a slice: some 2 ms where each needs half a dozen look-ups. */
const SLICE_ENTRIES = 50;

/** Reads some of a list, from after a place in it, or from its beginning. */
export type ReadSlice<T> = (slice: KeyPage) => ListPage<T>;

/**
 * One page of a list, from after that place. It begins in the turn that the caller has.
 *
 * @param takeTurn resolves when the reader may go on
 * @throws whatever `readSlice` throws: who may read is asked again for each slice; whatever `takeTurn` throws
 */
export async function readPage<T>(
  takeTurn: () => Promise<void>,
  after: string | undefined,
  readSlice: ReadSlice<T>,
): Promise<ListPage<T>> {
  const items: T[] = [];
  let next = after;
  for (let looked = 0; looked < PAGE_ENTRIES; looked += SLICE_ENTRIES) {
    if (looked > 0) await takeTurn();
    const slice = readSlice({ after: next, limit: SLICE_ENTRIES });
    items.push(...slice.items);
    if (slice.next === undefined) return { items };
    next = slice.next;
  }
  return { items, ...(next === undefined ? {} : { next }) };
}
