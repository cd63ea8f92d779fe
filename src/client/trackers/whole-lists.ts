// Reads lists, which trackers answer page by page, whole or by their first page. Pages may be empty, and a malicious tracker's
// need not end.
import type { ZodType } from "zod";
import { MiniTorrentError } from "../../api/errors.ts";
import { type ListPage, pageSchema } from "../../api/schemas.ts";
import type { TrackerApi } from "./api-channel.ts";

/** Most pages of a list: two million entries at 1,000 examined per page. */
const MAX_PAGES = 2_000;
const MAX_ITEMS = 1_000_000;

/** Asks for the page after that place, or for the first one. */
export type AskForPage = (api: TrackerApi, from: { after?: string | undefined }) => Promise<unknown>;

/** Asks a tracker for a page. */
type Ask<T> = (
  answer: ZodType<ListPage<T>>,
  question: (api: TrackerApi) => Promise<unknown>,
) => Promise<ListPage<T>>;

/** Reads the first page of a list, for what is not worth more. */
export async function firstPage<T>(
  item: ZodType<T>,
  ask: Ask<T>,
  question: (api: TrackerApi) => Promise<unknown>,
): Promise<readonly T[]> {
  return (await ask(pageSchema(item), question)).items;
}

/**
 * Reads the page after that place, or the first one, going past empty pages.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE for empty pages without an end; whatever `ask` throws
 */
export async function nextPage<T>(
  item: ZodType<T>,
  ask: Ask<T>,
  askForPage: AskForPage,
  after: string | undefined,
): Promise<ListPage<T>> {
  let from: { after?: string } = after === undefined ? {} : { after };
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await ask(pageSchema(item), (api) => askForPage(api, from));
    if (answer.items.length > 0 || answer.next === undefined) return answer;
    if (answer.next === from.after) break;
    from = { after: answer.next };
  }
  throw withoutEnd();
}

/**
 * Reads a whole list.
 *
 * @param ask asks a tracker; each page may come from another one
 * @throws MiniTorrentError MALFORMED_MESSAGE for a list without an end; whatever `ask` throws
 */
export async function wholeList<T>(item: ZodType<T>, ask: Ask<T>, askForPage: AskForPage): Promise<T[]> {
  const all: T[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const from = after === undefined ? {} : { after };
    const { items, next } = await ask(pageSchema(item), (api) => askForPage(api, from));
    for (const one of items) all.push(one);
    if (next === undefined) return all;
    if (next === after || all.length > MAX_ITEMS) break;
    after = next;
  }
  throw withoutEnd();
}

function withoutEnd(): MiniTorrentError {
  return new MiniTorrentError(
    "MALFORMED_MESSAGE",
    "The tracker's list is longer than any real list; use another tracker.",
  );
}
