// Members' names in a sentence of the daemon.

/** A word between spaces or punctuation; a part of a path is none. */
const WORD = /(?<=^|[\s(])([\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*)(?=[.,;:)]*(?:\s|$))/u;

/** The sentence in parts: at even places what is no name, at odd ones a name. */
export function withNames(text: string, names: { has(word: string): boolean }): string[] {
  const parts = [""];
  for (const part of text.split(WORD)) {
    if (names.has(part)) parts.push(part, "");
    else parts[parts.length - 1] += part;
  }
  return parts;
}
