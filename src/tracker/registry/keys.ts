// Keys of rows as databases order them: by code points, which is the order of their UTF-8.
import { MiniTorrentError } from "../../api/errors.ts";
import { type RecordKind, recordKinds, type Stamp } from "./registry.ts";

/** The first text that comes after all texts with that prefix; undefined if nothing does. */
export function endOfPrefix(prefix: string): string | undefined {
  const lastUnit = prefix.charCodeAt(prefix.length - 1);
  // Nearly all end so; what follows is for the rest of Unicode.
  if (lastUnit < 0xd7ff) return prefix.slice(0, -1) + String.fromCharCode(lastUnit + 1);
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const next = last === 0xd7ff ? 0xe000 : last + 1; // what lies between are surrogates
    if (next <= 0x10ffff) return String.fromCodePoint(...points, next);
  }
  return undefined;
}

/**
 * Checks the place of a row that is to be written.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT for text that a database or UTF-8 would not give back as it was, so that copies would
 * differ; INTERNAL for the wrong shape of a kind
 */
export function checkPlace(kind: RecordKind, key: string, claimId: Stamp | ""): void {
  if ((recordKinds[kind] === "claim") !== (claimId !== "")) {
    throw misuse(`a ${kind} is kept as ${recordKinds[kind]}`);
  }
  if (!key.isWellFormed() || key.includes("\0")) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "A name must be well-formed text.");
  }
}

export function misuse(what: string): MiniTorrentError {
  return new MiniTorrentError("INTERNAL", `The registry was misused: ${what}.`);
}
