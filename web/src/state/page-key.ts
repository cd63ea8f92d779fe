// The key that calls of this page carry, beside the cookie of the browser's session. The daemon gives it in exchange for a link.
// A cookie goes to every port of a host, localStorage does not: so a page on another port cannot use the session.
import { keep, kept, nameOfKept } from "./kept.ts";

const NAME = "page-key";
/** Its name in localStorage. */
export const PAGE_KEY = nameOfKept(NAME);

export function pageKey(): string | undefined {
  return kept(NAME);
}

export function keepPageKey(key: string | undefined): void {
  keep(NAME, key);
}

/** `#link=SECRET` → SECRET */
export function linkIn(hash: string): string | undefined {
  return /^#link=([\w-]{1,200})$/.exec(hash)?.[1];
}
