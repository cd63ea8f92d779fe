// Which user and group ids are allowed (Unicode TS 39): no invisible characters, only characters and scripts recommended for
// identifiers, and one script per id ("highly restrictive": Latin may be mixed with Japanese, Chinese or Korean).
// tracker/rules/look-alikes.ts decides which ids look alike.

const MAX_ID_CHARACTERS = 64;
/** Ids of this form need no other check; the others take a tenth of a millisecond. */
const PLAIN_ID = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
/** UTS 39, 5.4: more marks on one letter than any language writes run over the lines above and below. */
const MAX_MARKS_ON_A_LETTER = 4;
/** Scripts in everyday use (UAX 31, table 5), apart from those of every script. */
const SCRIPTS = [
  ...["Latin", "Arabic", "Armenian", "Bengali", "Bopomofo", "Cyrillic", "Devanagari", "Ethiopic", "Georgian"],
  ...["Greek", "Gujarati", "Gurmukhi", "Han", "Hangul", "Hebrew", "Hiragana", "Kannada", "Katakana", "Khmer"],
  ...["Lao", "Malayalam", "Myanmar", "Oriya", "Sinhala", "Tamil", "Telugu", "Thaana", "Thai", "Tibetan"],
] as const;
/** UTS 39, 5.2, "highly restrictive": what Japanese, Chinese and Korean mix. */
const WRITTEN_TOGETHER = [
  ["Latin", "Han", "Hiragana", "Katakana"],
  ["Latin", "Han", "Bopomofo"],
  ["Latin", "Han", "Hangul"],
];
const mixes = [...SCRIPTS.map((script) => [script]), ...WRITTEN_TOGETHER].map(
  (scripts) =>
    new RegExp(`^[${scripts.map(inScript).join("")}${inScript("Common")}${inScript("Inherited")}]*$`, "u"),
);
const scriptPatterns = SCRIPTS.map((script) => ({ script, pattern: new RegExp(inScript(script), "u") }));
/**
 * Of scripts in everyday use, but not recommended for identifiers (UTS 39, table 1): the Arabic stretcher, which changes no
 * word, modifier letters that look like punctuation, clicks, repeat marks, tone dots, and marks of phonetics and symbols.
 */
const NOT_RECOMMENDED = [
  [0x01c0, 0x01c3],
  [0x02b0, 0x02ba],
  [0x02bd, 0x02eb],
  [0x02ed, 0x02ff],
  [0x0640, 0x0640],
  [0x1ab0, 0x1aff],
  [0x1dc0, 0x1dff],
  [0x20d0, 0x20ff],
  [0x302a, 0x302f],
  [0x3031, 0x3035],
  [0xa717, 0xa721],
  [0xa788, 0xa78a],
  [0xa78f, 0xa78f],
  [0xfe20, 0xfe2f],
] as const;
const OF_EVERY_SCRIPT = /[\p{scx=Common}\p{scx=Inherited}]/u;

function inScript(script: string): string {
  return `\\p{scx=${script}}`;
}

/**
 * What is wrong with an id in normal form C, and what to do; undefined if nothing is.
 *
 * @param what "user id" or "group id"
 */
export function idProblem(what: string, id: string): string | undefined {
  if (PLAIN_ID.test(id)) return undefined;
  const rule = `a ${what} has 1 to ${MAX_ID_CHARACTERS} letters, digits, '.', '_', '-' or '@', beginning with a letter or digit`;
  // The id may be a megabyte long, so only the start is examined.
  const characters = [...id.slice(0, 2 * MAX_ID_CHARACTERS + 1)];
  if (characters.length > MAX_ID_CHARACTERS) return rule;
  for (const character of characters) {
    const name = nameOf(character);
    if (/\p{Default_Ignorable_Code_Point}/u.test(character)) {
      return `${name} is invisible; leave it out: ${rule}`;
    }
    if (!/[\p{L}\p{N}\p{Mn}\p{Mc}._@-]/u.test(character)) return `${name} is not allowed: ${rule}`;
    if (character.normalize("NFKC") !== character || !/[\p{XID_Continue}.@-]/u.test(character)) {
      return `${name} is another form of a character; use the usual form: ${rule}`;
    }
    if (isNotRecommended(character))
      return `${name} is hard to see or to tell from another; leave it out: ${rule}`;
    if (!OF_EVERY_SCRIPT.test(character) && scriptOf(character) === undefined) {
      return `${name} belongs to a script that is not in everyday use; write the ${what} in another script`;
    }
  }
  if (!/^[\p{L}\p{N}]/u.test(id)) return rule;
  return mixedScripts(what, id, characters) ?? mixedDigits(what, characters) ?? tooManyMarks(what, id);
}

function mixedScripts(what: string, id: string, characters: readonly string[]): string | undefined {
  if (mixes.some((pattern) => pattern.test(id))) return undefined;
  // A letter of the id's first script and one that does not go with it.
  const first = characters.find((character) => !OF_EVERY_SCRIPT.test(character)) ?? "";
  const other =
    characters.find((character) => !mixes.some((pattern) => pattern.test(first + character))) ?? "";
  if (other === "") return `the ${what} mixes scripts that are not written together; use one script`;
  return (
    `the ${what} mixes ${scriptOf(first)} and ${scriptOf(other)}, whose letters look alike: ${nameOf(other)} beside ` +
    `${nameOf(first)}; write all of it in one script`
  );
}

/** UTS 39, 5.3: digits of two systems, some of which look alike and count differently. */
function mixedDigits(what: string, characters: readonly string[]): string | undefined {
  const digits = characters.filter((character) => /\p{Nd}/u.test(character));
  // The ten digits of every system in these scripts lie within sixteen code points.
  const system = (digit: string) => (digit.codePointAt(0) ?? 0) >> 4;
  const [first = ""] = digits;
  const other = digits.find((digit) => system(digit) !== system(first));
  if (other === undefined) return undefined;
  return `the ${what} mixes the digits of two scripts: ${nameOf(other)} beside ${nameOf(first)}; use the digits of one script`;
}

function tooManyMarks(what: string, id: string): string | undefined {
  for (const [marks] of id.normalize("NFD").matchAll(/\p{Mn}{2,}/gu)) {
    const each = [...marks];
    const twice = each.find((mark, index) => mark === each[index + 1]);
    if (twice !== undefined) return `${nameOf(twice)} occurs twice on one letter of the ${what}; remove one`;
    if (each.length > MAX_MARKS_ON_A_LETTER) {
      return `a letter of the ${what} has ${each.length} marks; at most ${MAX_MARKS_ON_A_LETTER} can be read`;
    }
  }
  return undefined;
}

function isNotRecommended(character: string): boolean {
  const number = character.codePointAt(0) ?? 0;
  return NOT_RECOMMENDED.some(([first, last]) => number >= first && number <= last);
}

/** The script that a character is written in; undefined if it is none of those in everyday use. */
function scriptOf(character: string): string | undefined {
  return scriptPatterns.find(({ pattern }) => pattern.test(character))?.script;
}

/** `'о' (U+043E)`; the number alone for characters that are invisible or would alter the line around them. */
function nameOf(character: string): string {
  const number = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) && !/\p{Default_Ignorable_Code_Point}/u.test(character)
    ? `'${character}' (${number})`
    : number;
}
