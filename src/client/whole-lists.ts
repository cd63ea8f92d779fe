// Lists that trackers answer page by page, put together again. A tracker's pages may be empty, and need not come to an end.
import type { ZodType } from "zod";
import { MiniTorrentError } from "../api/errors.ts";
import { type ListPage, pageSchema } from "../api/schemas.ts";
import type { TrackerApi } from "./api-channel.ts";

/** A list that has more pages than that has no end: at the 1,000 entries that a page looks at, two millions. */
const MAX_PAGES = 2_000;
const MAX_ITEMS = 1_000_000;

/** Asks for one page: the one that begins after that place, or the first. */
export type AskForPage = (api: TrackerApi, from: { after?: string | undefined }) => Promise<unknown>;

/** Asks trackers for all of a list. */
export type AskForAll = <T>(item: ZodType<T>, askForPage: AskForPage) => Promise<T[]>;

/**
 * All of a list.
 *
 * @param ask asks a tracker, which may be another one for each page
 * @throws MiniTorrentError MALFORMED_MESSAGE for a list without an end; whatever `ask` throws
 */
export async function wholeList<T>(
  item: ZodType<T>,
  ask: (
    answer: ZodType<ListPage<T>>,
    question: (api: TrackerApi) => Promise<unknown>,
  ) => Promise<ListPage<T>>,
  askForPage: AskForPage,
): Promise<T[]> {
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
  throw new MiniTorrentError(
    "MALFORMED_MESSAGE",
    "The tracker's list is longer than any real list; use another tracker.",
  );
}
