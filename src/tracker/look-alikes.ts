// Which user and group ids people could take for each other: those with the same skeleton (Unicode TS 39, 4), and those
// that differ in case. The table of characters that look alike is Unicode's, from the package unhomoglyph.

import confusables from "unhomoglyph/data.json" with { type: "json" };
import type { AlikeOf } from "./registry/registry.ts";

const prototypes = new Map(Object.entries(confusables));

/**
 * The same for ids that look alike or differ in case: `Bob` and `b0b`, `modern` and `modem`.
 *
 * A capital I looks like l, and its small letter is i: so the three of them count as one, with 1. Beyond Latin some letters
 * keep their case: there the capital looks like a Latin letter, and the small one does not.
 */
export function lookAlikeKey(id: string): string {
  return skeleton(skeleton(id).toLowerCase()).replaceAll("i", "l");
}

/** A claim on a user or group id is one on all that look like it. */
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
