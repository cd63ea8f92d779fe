// Which user and group ids people could confuse: those with the same skeleton (Unicode TS 39, 4), and those that differ only
// in case. The table of confusable characters is Unicode's, from the package unhomoglyph.

import confusables from "unhomoglyph/data.json" with { type: "json" };
import type { AlikeOf } from "../registry/registry.ts";

const prototypes = new Map(Object.entries(confusables));

/**
 * A key that is equal for ids that look alike or differ only in case: `Bob` and `b0b`, `modern` and `modem`.
 *
 * A capital I looks like l and lower-cases to i, so I, l, i and 1 all count as equal. Outside Latin some letters
 * keep their case, where only the capital looks like a Latin letter.
 */
export function lookAlikeKey(id: string): string {
  return skeleton(skeleton(id).toLowerCase()).replaceAll("i", "l");
}

/** A claim on a user or group id also claims all ids that look like it. */
export const alikeOf: AlikeOf = (kind, name) =>
  kind === "user" || kind === "group" ? lookAlikeKey(name) : "";

/** @param what "user id" or "group id" */
export function takenSentence(what: string, id: string, holder: string): string {
  if (id === holder) return `The ${what} '${id}' is taken; choose another one.`;
  return `The ${what} '${id}' looks like '${holder}', which is taken; choose another one.`;
}

/** UTS 39, 4, for text without bidirectional controls. */
function skeleton(text: string): string {
  let mapped = "";
  for (const character of text.normalize("NFD")) mapped += prototypes.get(character) ?? character;
  return mapped.normalize("NFD");
}
