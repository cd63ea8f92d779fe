// Points in time as people say them: `14:02` today, `yesterday, 14:02`, `Tue 24` within a week, `12 Nov` this year, `12 Nov 2025`
// before; and spans: `4 min ago`, `in 5 days`. Words come from Intl, so every language has them.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Days within which the weekday says enough. */
const WEEK_DAYS = 6;

interface Formats {
  readonly clock: Intl.DateTimeFormat;
  readonly weekday: Intl.DateTimeFormat;
  readonly day: Intl.DateTimeFormat;
  readonly dayAndYear: Intl.DateTimeFormat;
  readonly full: Intl.DateTimeFormat;
  readonly relative: Intl.RelativeTimeFormat;
}

const formatsByLocale = new Map<string, Formats>();

/** Making one takes a tenth of a millisecond; a list formats thousands of times. */
function formatsOf(locale: string): Formats {
  let formats = formatsByLocale.get(locale);
  if (formats === undefined) {
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    const dayOfMonth = { day: "numeric", month: "short" } as const;
    formats = {
      clock: new Intl.DateTimeFormat(locale, clock),
      weekday: new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric" }),
      day: new Intl.DateTimeFormat(locale, dayOfMonth),
      dayAndYear: new Intl.DateTimeFormat(locale, { ...dayOfMonth, year: "numeric" }),
      full: new Intl.DateTimeFormat(locale, {
        ...{ weekday: "long", day: "numeric", month: "long", year: "numeric" },
        ...clock,
      }),
      relative: new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" }),
    };
    formatsByLocale.set(locale, formats);
  }
  return formats;
}

/** The nearest short form: `14:02`, `Tue 24`, `12 Nov`, `12 Nov 2025`. */
export function nearTime(atMs: number, nowMs: number, locale: string): string {
  const formats = formatsOf(locale);
  const days = daysBetween(atMs, nowMs);
  if (days === 0) return formats.clock.format(atMs);
  if (days > 0 && days <= WEEK_DAYS) return formats.weekday.format(atMs);
  const isThisYear = new Date(atMs).getFullYear() === new Date(nowMs).getFullYear();
  return (isThisYear ? formats.day : formats.dayAndYear).format(atMs);
}

/** With weekday, date and time, for a tip: `Tuesday, 24 November 2026 at 14:02`. */
export function fullTime(atMs: number, locale: string): string {
  return formatsOf(locale).full.format(atMs);
}

/** How long ago, or how far ahead: `now`, `4 min ago`, `in 5 days`; yesterday with the time of day. */
export function relativeTime(atMs: number, nowMs: number, locale: string): string {
  const { relative, clock } = formatsOf(locale);
  const spanMs = atMs - nowMs;
  const farMs = Math.abs(spanMs);
  if (farMs < MINUTE_MS) return relative.format(0, "second");
  if (farMs < HOUR_MS) return relative.format(Math.trunc(spanMs / MINUTE_MS), "minute");
  const days = daysBetween(atMs, nowMs);
  if (farMs < DAY_MS && days === 0) return relative.format(Math.trunc(spanMs / HOUR_MS), "hour");
  if (days === 1) return `${relative.format(-1, "day")}, ${clock.format(atMs)}`;
  if (spanMs > 0) return farMs < 2 * DAY_MS ? hoursAhead(relative, spanMs) : inDays(relative, spanMs);
  return days <= WEEK_DAYS ? relative.format(-days, "day") : nearTime(atMs, nowMs, locale);
}

function hoursAhead(relative: Intl.RelativeTimeFormat, spanMs: number): string {
  return relative.format(Math.round(spanMs / HOUR_MS), "hour");
}

function inDays(relative: Intl.RelativeTimeFormat, spanMs: number): string {
  return relative.format(Math.floor(spanMs / DAY_MS), "day");
}

/** Midnights between them, in local time; negative if the first is later. */
function daysBetween(atMs: number, nowMs: number): number {
  return Math.round((midnightOf(nowMs) - midnightOf(atMs)) / DAY_MS);
}

function midnightOf(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}
