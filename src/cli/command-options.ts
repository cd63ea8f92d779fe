// Options of commands: words such as --only "*.jpg", which may stand anywhere behind the command's name. Only commands that
// have options read them, and only by their exact names, so that everything else stays an argument. Pure.
import { MiniTorrentError } from "../api/errors.ts";

export interface CommandOption {
  /** With its dashes. */
  readonly name: string;
  /** What its value is called in help; undefined: it has none. */
  readonly value?: string;
  readonly isRepeatable?: true;
}

/** Option → the values given for it, in order; an empty one for an option without a value. */
export type GivenOptions = ReadonlyMap<string, readonly string[]>;

export interface SplitWords {
  readonly values: readonly string[];
  readonly options: GivenOptions;
}

/** What follows it is no option, whatever it looks like. */
const END_OF_OPTIONS = "--";

/**
 * Takes the options out of the words behind a command's name: `--only x` and `--only=x`.
 *
 * @throws MiniTorrentError USAGE for an option without its value, with one that it does not take, or given twice
 */
export function splitOptions(known: readonly CommandOption[], words: readonly string[]): SplitWords {
  if (known.length === 0) return { values: words, options: new Map() };
  const values: string[] = [];
  const options = new Map<string, string[]>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === END_OF_OPTIONS) {
      values.push(...words.slice(at + 1));
      break;
    }
    const option = known.find(({ name }) => word === name || word.startsWith(`${name}=`));
    if (option === undefined) {
      values.push(word);
      continue;
    }
    const given = options.get(option.name);
    if (given !== undefined && option.isRepeatable !== true) throw usage(`${option.name} is given twice.`);
    const isJoined = word !== option.name;
    const value = isJoined ? word.slice(option.name.length + 1) : words[at + 1];
    if (option.value === undefined) {
      if (isJoined) throw usage(`${option.name} takes no value: write it alone.`);
      options.set(option.name, [""]);
      continue;
    }
    if (value === undefined || value === "")
      throw usage(`${option.name} needs a <${option.value}>: write it behind ${option.name}.`);
    options.set(option.name, [...(given ?? []), value]);
    if (!isJoined) at++;
  }
  return { values, options };
}

/** How the options are typed, as in `splitOptions`. */
export function optionWords(options: GivenOptions): readonly string[] {
  return [...options].flatMap(([name, values]) =>
    values.flatMap((value) => (value === "" ? [name] : [name, value])),
  );
}

/** `[--only <glob>]...` */
export function optionUsage({ name, value, isRepeatable }: CommandOption): string {
  return `[${name}${value === undefined ? "" : ` <${value}>`}]${isRepeatable === true ? "..." : ""}`;
}

/** A word that looks like an option, of a command that has options, and is none of them. */
export function unknownOption(
  known: readonly CommandOption[],
  values: readonly string[],
): string | undefined {
  return known.length === 0 ? undefined : values.find((value) => /^--./.test(value));
}

function usage(sentence: string): MiniTorrentError {
  return new MiniTorrentError("USAGE", sentence);
}
