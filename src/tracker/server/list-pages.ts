// Reads pages of long lists without delaying other clients: a page is assembled from slices, each in a turn of its reader on the
// event loop (call-turns.ts). While others wait for theirs a page ends with its slice: what has been read of a thousand
// unfinished pages must not fill the memory. The callers decide what is read, and who may.
import type { ListPage } from "../../api/schemas.ts";
import type { KeyPage } from "../registry/registry.ts";

/** Entries that a page looks at, and so the most that it can have; it has fewer where many of them are over. */
const PAGE_ENTRIES = 1_000;
/** Entries of a slice: some 2 ms where each needs half a dozen look-ups. */
const SLICE_ENTRIES = 50;

/** Reads some of a list, from after a place in it, or from its beginning. */
export type ReadSlice<T> = (slice: KeyPage) => ListPage<T>;

/**
 * One page of a list, from after that place. It begins in the turn that the caller has.
 *
 * @param hasTurnAgain resolves in the reader's next turn, or to false if the page shall end
 * @throws whatever `readSlice` throws: who may read is asked again for each slice; whatever `hasTurnAgain` throws
 */
export async function readPage<T>(
  hasTurnAgain: () => Promise<boolean>,
  after: string | undefined,
  readSlice: ReadSlice<T>,
): Promise<ListPage<T>> {
  const items: T[] = [];
  let next = after;
  for (let looked = 0; looked < PAGE_ENTRIES; looked += SLICE_ENTRIES) {
    if (looked > 0 && !(await hasTurnAgain())) break;
    const slice = readSlice({ after: next, limit: SLICE_ENTRIES });
    items.push(...slice.items);
    if (slice.next === undefined) return { items };
    next = slice.next;
  }
  return { items, ...(next === undefined ? {} : { next }) };
}
