// Text for a terminal: names that came from others made harmless, widths in columns, sizes and times for people. Pure.
import { styleText } from "node:util";

/** Width of a terminal that does not say its own (VT100), and the widest that is read with ease. */
export const DEFAULT_COLUMNS = 80;

/** The terminal that text is made for. */
export interface View {
  /** Width of the terminal; undefined: nothing is cut. */
  readonly columns: number | undefined;
  readonly isColored: boolean;
  /** IANA name; undefined: the machine's own. */
  readonly timeZone?: string;
}

export type Tone = "plain" | "dim" | "bold" | "good" | "bad" | "warn" | "accent";

const STYLES = {
  dim: "dim",
  bold: "bold",
  good: "green",
  bad: "red",
  warn: "yellow",
  accent: "cyan",
} as const;

/**
 * Characters that could move the cursor, colour the screen, reorder the line or hide in it: controls, line and paragraph
 * separators, bidirectional controls, lone surrogates, and all that Unicode renders as nothing. Joiners and
 * variation selectors are kept where they have an effect: after symbols and emoji, after letters of joining scripts, and (for
 * variants) after Han characters. Tags are kept in the flags that they spell.
 */
const HARMFUL = new RegExp(
  [
    String.raw`[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u2800\uFFF9-\uFFFB]`,
    String.raw`(?<![[\p{Emoji}--\p{ASCII}]\uFE0F[\p{M}--\p{sc=Zinh}]\p{scx=Arab}\p{scx=Syrc}\p{scx=Mong}\p{scx=Nkoo}])[\u200C\u200D]`,
    String.raw`(?<![[\p{Emoji}\p{S}\p{P}]--\p{ASCII}])[\uFE00-\uFE0F](?!\u20E3)`,
    String.raw`(?<!\p{scx=Han})[\u{E0100}-\u{E01EF}]`,
    String.raw`(?<!\u{1F3F4}[\u{E0020}-\u{E007F}]*)[\u{E0020}-\u{E007F}]`,
    String.raw`[\p{Default_Ignorable_Code_Point}--[\u200C\u200D\uFE00-\uFE0F\u{E0020}-\u{E007F}\u{E0100}-\u{E01EF}]]`,
  ].join("|"),
  "gv",
);
/** Scripts and signs that take two columns (Unicode TR 11, wide and full width, roughly). */
const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6\u{20000}-\u{3FFFD}]|\p{Emoji_Presentation}|\uFE0F/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The text with harmful characters written as `\u{…}`. */
export function harmless(text: string): string {
  return text.replace(HARMFUL, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ""}}`);
}

export function paint(text: string, tone: Tone, view: View): string {
  return tone === "plain" || !view.isColored
    ? text
    : styleText(STYLES[tone], text, { validateStream: false });
}

/** Columns that the text takes in a terminal; it holds no escape sequences. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

function graphemeWidth(grapheme: string): number {
  if (WIDE.test(grapheme)) return 2;
  return /^[\p{M}\p{Cf}]+$/u.test(grapheme) ? 0 : 1;
}

/** At most `columns` wide, with `…` for what is cut. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    width += graphemeWidth(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return columns < 1 ? "" : `${kept}…`;
}

/**
 * Wraps at words; only a word longer than a line exceeds the width.
 *
 * @param columns width of the terminal, whose last column stays empty
 * @param first what the first line begins with, `next` what the others do
 */
export function wrapWords(text: string, columns: number, first = "", next = first): string[] {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(" ")) {
    if (!isEmpty && displayWidth(line) + 1 + displayWidth(word) >= columns) {
      lines.push(line);
      line = next;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** `0:12`, `59:59`, `1:02:03`, and `2 d 3 h` for what takes days. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const hours = Math.floor(whole / 3600);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  const minutesAndSeconds = `${Math.floor(whole / 60) % 60}:${two(whole % 60)}`;
  return hours === 0 ? minutesAndSeconds : `${hours}:${minutesAndSeconds.padStart(5, "0")}`;
}

/** `2026-01-31 18:05`, in the view's time zone. */
export function formatTime(timeMs: number, view: View): string {
  if (!(Math.abs(timeMs) <= 8.64e15)) return "?";
  // Swedish writes dates as ISO 8601 does.
  return new Date(timeMs).toLocaleString("sv-SE", {
    dateStyle: "short",
    timeStyle: "short",
    timeZone: view.timeZone,
  });
}

/** `1 peer`, `3 peers`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
