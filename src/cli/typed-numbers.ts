// Numbers and durations as people type them: `3`, `12h`, `7d`. Sizes and rates are in byte-amounts.ts.
import { MiniTorrentError } from "../api/errors.ts";

const DAY_MS = 86_400_000;
const UNITS_MS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: DAY_MS,
  w: 7 * DAY_MS,
};

/** A whole number from 1 to `most`. @throws MiniTorrentError INVALID_ARGUMENT */
export function parseCount(text: string, most: number): number {
  if (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= most) return Number(text);
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `'${text}' is not a number from 1 to ${most.toLocaleString("en")}.`,
  );
}

/** Milliseconds, at most so many. @throws MiniTorrentError INVALID_ARGUMENT */
export function parseDuration(text: string, mostMs: number): number {
  const [, count = "", unit = ""] = /^([1-9]\d{0,4})([mhdw])$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (unitMs !== undefined && Number(count) * unitMs <= mostMs) return Number(count) * unitMs;
  const mostDays = Math.floor(mostMs / DAY_MS);
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    `'${text}' is not a time: a number with m (minutes), h (hours), d (days) or w (weeks) is expected, such as 7d, of at most ${mostDays} days.`,
  );
}
