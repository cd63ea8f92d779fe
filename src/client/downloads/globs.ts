// Patterns of paths: `*` and `?` within a name, `**` over any depth, `[a-z]`, `{a,b}`; `docs/` stands for all below docs. As in
// .gitignore, a pattern without a slash fits names at any depth, and `./` in front keeps it to the top. Matching takes at most the product of both lengths, since the paths are a stranger's: `path.matchesGlob` tries
// every way to cut a path, which takes minutes for `**/**/**/*a*a*a*b` and a path made for it, and it skips names that begin with a dot.
import { MiniTorrentError } from "../../api/errors.ts";

/** Longest pattern, and most alternatives that its braces may stand for. */
const MAX_PATTERN_LENGTH = 1_024;
const MAX_ALTERNATIVES = 64;
/** `*`: any number of characters; `**`: any number of names. */
const WILDCARD = Symbol("any number");

type CharacterTest = (character: string) => boolean;
type NamePattern = readonly (CharacterTest | typeof WILDCARD)[];
type PathPattern = readonly (NamePattern | typeof WILDCARD)[];

/** Says of a path, its components joined by "/", whether it fits. */
export type Glob = (path: string) => boolean;

/** @throws MiniTorrentError INVALID_ARGUMENT for a pattern that fits nothing by its form */
export function parseGlob(text: string): Glob {
  const refuse = (reason: string): never => {
    throw new MiniTorrentError("INVALID_ARGUMENT", `The pattern '${text.slice(0, 100)}' ${reason}.`);
  };
  if (text === "") refuse("is empty: name a path, or a pattern such as *.jpg");
  if (text.length > MAX_PATTERN_LENGTH) refuse(`is longer than ${MAX_PATTERN_LENGTH} characters`);
  if (text.startsWith("/")) refuse("begins with a slash: paths are relative to the shared folder");
  const alternatives = expandBraces(text.normalize(), () =>
    refuse(`stands for more than ${MAX_ALTERNATIVES} patterns`),
  );
  const patterns = alternatives.map(parsePath);
  return (path) => {
    const names = path.split("/").map((name) => [...name]);
    return patterns.some((pattern) => fits<NamePattern, readonly string[]>(pattern, names, fitsName));
  };
}

function fitsName(pattern: NamePattern, characters: readonly string[]): boolean {
  return fits<CharacterTest, string>(pattern, characters, (isMeant, character) => isMeant(character));
}

/** Goes back to the last wildcard alone: what an earlier one could take, that one can take too. */
function fits<P, T>(
  pattern: readonly (P | typeof WILDCARD)[],
  text: readonly T[],
  fitsOne: (one: P, item: T) => boolean,
): boolean {
  let at = 0;
  let lastWildcard = -1;
  let retryFrom = 0;
  let index = 0;
  while (index < text.length) {
    const one = pattern[at];
    const item = text[index];
    if (one === WILDCARD) {
      lastWildcard = at++;
      retryFrom = index;
    } else if (one !== undefined && item !== undefined && fitsOne(one, item)) {
      at++;
      index++;
    } else if (lastWildcard >= 0) {
      at = lastWildcard + 1;
      index = ++retryFrom;
    } else return false;
  }
  while (pattern[at] === WILDCARD) at++;
  return at === pattern.length;
}

function parsePath(text: string): PathPattern {
  const isAtAnyDepth = !text.includes("/") && text !== "**";
  const names = text.replace(/^(\.\/)+/, "").split("/");
  // `docs/` is all that is below docs.
  if (names.at(-1) === "") names[names.length - 1] = "**";
  // At the end it stands for one name at least: docs itself is not below docs.
  if (names.at(-1) === "**") names.push("*");
  const pattern = names.map((name) => (name === "**" ? WILDCARD : parseName(name)));
  return isAtAnyDepth ? [WILDCARD, ...pattern] : pattern;
}

function parseName(text: string): NamePattern {
  const pattern: (CharacterTest | typeof WILDCARD)[] = [];
  const characters = [...text];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at];
    if (character === "*") {
      if (pattern.at(-1) !== WILDCARD) pattern.push(WILDCARD);
    } else if (character === "?") pattern.push(() => true);
    else if (character === "[") {
      const end = characters.indexOf("]", at + (/[!^]/.test(characters[at + 1] ?? "") ? 3 : 2));
      if (end === -1) pattern.push((other) => other === "[");
      else {
        pattern.push(characterClass(characters.slice(at + 1, end)));
        at = end;
      }
    } else {
      const literal = character === "\\" && at + 1 < characters.length ? characters[++at] : character;
      pattern.push((other) => other === literal);
    }
  }
  return pattern;
}

/** `abc`, `a-z`; with `!` or `^` in front, all others. */
function characterClass(members: readonly string[]): CharacterTest {
  const isNegated = members[0] === "!" || members[0] === "^";
  const rest = isNegated ? members.slice(1) : members;
  const ranges: (readonly [string, string])[] = [];
  for (let at = 0; at < rest.length; at++) {
    const first = rest[at] ?? "";
    const last = rest[at + 1] === "-" ? rest[at + 2] : undefined;
    ranges.push([first, last ?? first]);
    if (last !== undefined) at += 2;
  }
  return (other) => ranges.some(([first, last]) => first <= other && other <= last) !== isNegated;
}

/** `a{b,c}d` → `abd`, `acd`; braces without a comma are characters as any other. */
function expandBraces(text: string, tooMany: () => never): string[] {
  const done: string[] = [];
  const waiting = [text];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const group = firstGroup(next);
    if (group === undefined) done.push(next);
    else {
      const [before, after] = [next.slice(0, group.begin), next.slice(group.end + 1)];
      for (const alternative of group.alternatives) waiting.push(before + alternative + after);
    }
    if (done.length + waiting.length > MAX_ALTERNATIVES) return tooMany();
  }
  return done;
}

/** The first innermost pair of braces that has a comma. */
function firstGroup(text: string): { begin: number; end: number; alternatives: string[] } | undefined {
  let begin = -1;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === "{") begin = at;
    else if (character === "}" && begin >= 0) {
      const alternatives = text.slice(begin + 1, at).split(",");
      if (alternatives.length > 1) return { begin, end: at, alternatives };
      begin = -1;
    }
  }
  return undefined;
}
