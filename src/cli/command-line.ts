// A typed line as words: quotes and backslashes as in a shell, ~ for the home folder. Nothing is ever expanded that a
// path does not need: no variables, no wildcards. Knows what each word looked like, which tab completion needs.
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";

export type Quote = '"' | "'";

export interface Word {
  /** What the word means: quotes and backslashes taken away. */
  readonly value: string;
  /** Where it begins in the line, in UTF-16 units. */
  readonly start: number;
}

export interface SplitLine {
  readonly words: readonly Word[];
  /** The quote that is still open at the end of the line. */
  readonly openQuote: Quote | undefined;
  /** True if the line ends inside its last word: what is typed next belongs to it. */
  readonly endsInWord: boolean;
}

/** The characters that a backslash escapes; before any other it is literal, so that C:\x and p\w survive. */
const ESCAPABLE = /[\s\\'"#]/;

/** Splits a line at its spaces. Never fails: an open quote is reported in the result. */
export function splitLine(line: string): SplitLine {
  const words: Word[] = [];
  let word: { value: string; start: number } | undefined;
  let quote: Quote | undefined;
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    const next = line.charAt(at + 1);
    if (quote === undefined && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= { value: "", start: at };
    if (character === quote) {
      quote = undefined;
    } else if (quote === undefined && (character === '"' || character === "'")) {
      quote = character;
    } else if (character === "\\" && isEscaped(next, quote)) {
      word.value += next;
      at++;
    } else {
      word.value += character;
    }
  }
  if (word !== undefined) words.push(word);
  return { words, openQuote: quote, endsInWord: word !== undefined };
}

function isEscaped(next: string, quote: Quote | undefined): boolean {
  if (next === "" || quote === "'") return false;
  return quote === '"' ? next === '"' || next === "\\" : ESCAPABLE.test(next);
}

/**
 * The words of a complete line.
 *
 * @throws MiniTorrentError USAGE for an open quote or a line that is not UTF-8; the message never quotes the line, which may contain a password
 */
export function parseWords(line: string): readonly string[] {
  const { words, openQuote } = splitLine(line);
  // The terminal does not use UTF-8, so the line is not what was typed.
  if (line.includes("\ufffd")) {
    throw new MiniTorrentError(
      "USAGE",
      "The line has bytes that are not UTF-8, so it was not run; set the terminal to UTF-8.",
    );
  }
  if (openQuote !== undefined) {
    throw new MiniTorrentError(
      "USAGE",
      `A quote ${openQuote} is opened and not closed: close it, or write \\${openQuote} for the character itself.`,
    );
  }
  return words.map((word) => word.value);
}

/** How `text` is typed so that it reads as that text, inside `quote` or outside of quotes. */
export function quoteText(text: string, quote: Quote | undefined): string {
  if (quote === "'") return text.replaceAll("'", "'\\''");
  return text.replace(quote === '"' ? /["\\]/g : /[\s\\'"]/g, "\\$&");
}

/** True for an empty line and for a comment. */
export function saysNothing(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}

/** The home folder; empty if there is none, as with HOME="" or for a user who is in no list of users. */
export function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "";
  }
}

/**
 * Puts the home folder for a leading `~`, quoted or not; `./~` is a file of that name.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT if there is no home folder
 */
export function expandHome(path: string, home: string = homeFolder()): string {
  if (path !== "~" && !path.startsWith("~/")) return path;
  if (!isAbsolute(home)) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `'${path}' cannot be used, since there is no home folder; set HOME, or give the whole path.`,
    );
  }
  return path === "~" ? home : join(home, path.slice(2));
}

/**
 * The absolute path. A trailing slash is kept, since it denotes a folder.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT if it is empty
 */
export function absolutePath(path: string, home: string = homeFolder()): string {
  if (path === "")
    throw new MiniTorrentError("INVALID_ARGUMENT", "The path is empty; write ./ for the current folder.");
  const absolute = resolve(expandHome(path, home));
  return /[^/]\/+$/.test(path) ? `${absolute}/` : absolute;
}
