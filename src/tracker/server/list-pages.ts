// Reads pages of long lists without delaying other clients: a page is assembled from slices, each in a turn of its reader on the
// event loop (call-turns.ts). If other calls wait, the page ends early, so that a thousand unfinished pages do not fill the
// memory. The callers decide what is read and check permissions.
import type { ListPage } from "../../api/schemas.ts";
import type { KeyPage } from "../registry/registry.ts";

/** Entries that a page examines, and so the most that it can have; entries that have ended are left out. */
const PAGE_ENTRIES = 1_000;
/** Entries of a slice: some 2 ms where each needs half a dozen look-ups. */
const SLICE_ENTRIES = 50;

/** Reads a slice of a list, after a cursor or from the beginning. */
export type ReadSlice<T> = (slice: KeyPage) => ListPage<T>;

/**
 * Reads one page of a list, after that cursor. Begins in the current turn.
 *
 * @param hasTurnAgain resolves in the reader's next turn, to false if the page is to end
 * @throws what `readSlice` throws (it checks permissions for each slice), or `hasTurnAgain`
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
