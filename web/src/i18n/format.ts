// Sizes, rates, times and counts as people read them in the page's language. Units and digits are those of the terminal.
import { formatBytes, formatRate } from "../../../src/api/byte-units.ts";
import { durationParts } from "../state/durations.ts";
import { nearTime, relativeTime, fullTime as wholeTime } from "../state/near-time.ts";
import { language, locale, t } from "./t.ts";

/** No line break between a number and its unit. */
const NARROW_SPACE = "\u202f";

/** Making a format takes as long as formatting a hundred numbers, and a list has hundreds. */
const numberFormats = new Map<string, Intl.NumberFormat>();

function numberFormat(most: number): Intl.NumberFormat {
  const name = `${locale()} ${most}`;
  let format = numberFormats.get(name);
  if (format === undefined) {
    format = new Intl.NumberFormat(locale(), { maximumFractionDigits: most });
    numberFormats.set(name, format);
  }
  return format;
}

export function number(value: number): string {
  return numberFormat(3).format(value);
}

/** `1.07 GB` */
export function bytes(value: number): string {
  return localised(formatBytes(value));
}

/** `9.6 MB/s` */
export function rate(bytesPerSecond: number): string {
  return localised(formatRate(bytesPerSecond));
}

function localised(amount: string): string {
  const [digits = "", unit = ""] = amount.split(" ");
  return `${numberFormat(2).format(Number(digits))}${NARROW_SPACE}${unit}`;
}

/** Rounded down, so that 100 % is only what is complete. @param share 0 to 1 */
export function percent(share: number): string {
  const whole = share >= 1 ? 100 : Math.min(99, Math.floor(share * 100));
  return `${number(whole)}${NARROW_SPACE}%`;
}

/** `1 h 44 min`, `19 s` */
export function duration(seconds: number): string {
  return durationParts(seconds)
    .map(({ value, unit }) => `${number(value)}${NARROW_SPACE}${t(`shell.unit.${unit}`)}`)
    .join(" ");
}

/** As near as the reader needs it: `14:02`, `Tue 24`, `12 Nov`, `12 Nov 2025`. */
export function time(atMs: number, nowMs: number = Date.now()): string {
  return nearTime(atMs, nowMs, locale());
}

/** `2 min ago`, `now`, `in 5 days` */
export function ago(atMs: number, nowMs: number = Date.now()): string {
  return relativeTime(atMs, nowMs, locale());
}

/** For `title` and screen readers: the whole date. */
export function fullTime(atMs: number): string {
  return wholeTime(atMs, locale());
}

/** `alice, bob and dave` */
export function list(names: readonly string[]): string {
  return new Intl.ListFormat(language(), { type: "conjunction" }).format(names);
}
