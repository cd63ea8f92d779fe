// The schedule of limits as a person types and reads it: days, times and rates. Pure.
import { formatRate } from "../api/byte-units.ts";
import { MiniTorrentError } from "../api/errors.ts";
import type { ScheduleRule } from "../daemon/schedule.ts";
import { parseRate } from "./byte-amounts.ts";

const DAY_NAMES: readonly string[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEK = DAY_NAMES.map((_, day) => day);

/** What was typed of a rule. */
export interface RuleText {
  /** `all`, or `mon-fri`, `sat,sun`. */
  readonly days: string;
  /** `08:00-18:00` */
  readonly times: string;
  readonly up: string | undefined;
  readonly down: string | undefined;
  readonly isPaused: boolean;
}

/** @throws MiniTorrentError INVALID_ARGUMENT, which says what is expected */
export function parseRule({ days, times, up, down, isPaused }: RuleText): ScheduleRule {
  const [, from, to] = /^(\d\d:\d\d)-(\d\d:\d\d)$/.exec(times) ?? [];
  if (from === undefined || to === undefined) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `'${times}' is no span of time: write it like 08:00-18:00; 22:00-06:00 ends the next day.`,
    );
  }
  if (up === undefined && down === undefined && !isPaused) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "A rule has a limit, --up or --down, or --pause.");
  }
  const rateOf = (text: string | undefined) => (text === undefined ? null : (parseRate(text) ?? null));
  return {
    ...{ days: parseDays(days), from, to, up: rateOf(up), down: rateOf(down) },
    ...(isPaused && { isPaused }),
  };
}

function parseDays(text: string): number[] {
  if (text === "all") return WEEK;
  const days = text
    .toLowerCase()
    .split(",")
    .flatMap((part) => {
      const [first = -1, last = first, ...others] = part.split("-").map((name) => DAY_NAMES.indexOf(name));
      if (first === -1 || last === -1 || others.length > 0) throw noDays(text);
      // fri-mon goes over the end of the week.
      return WEEK.slice(0, ((last - first + 7) % 7) + 1).map((ahead) => (first + ahead) % 7);
    });
  return [...new Set(days)].sort((a, b) => a - b);
}

function noDays(text: string): MiniTorrentError {
  return new MiniTorrentError(
    "INVALID_ARGUMENT",
    `'${text}' are no days: write all, or days like mon-fri or sat,sun.`,
  );
}

/** A line for each rule, with its number. @param applied the one that holds now */
export function renderSchedule(
  rules: readonly ScheduleRule[],
  applied: ScheduleRule | undefined,
): readonly string[] {
  if (rules.length === 0) return ["There is no schedule: the limits of minitorrent limit always apply."];
  const now = rules.findIndex((rule) => JSON.stringify(rule) === JSON.stringify(applied));
  return rules.map((rule, index) => `${index + 1}. ${ruleText(rule)}${index === now ? "  (now)" : ""}`);
}

function ruleText({ days, from, to, up, down, isPaused }: ScheduleRule): string {
  const rate = (limit: number | null) => (limit === null ? "no limit" : `at most ${formatRate(limit)}`);
  const what = `up ${rate(up)}, down ${isPaused === true ? "paused" : rate(down)}`;
  return `${daysText(days)}  ${from}-${to}  ${what}`;
}

/** Days in a row as a span. */
function daysText(days: readonly number[]): string {
  if (days.length === WEEK.length) return "all days";
  const spans: { first: number; last: number }[] = [];
  for (const day of [...days].sort((a, b) => a - b)) {
    const span = spans.at(-1);
    if (span?.last === day - 1) span.last = day;
    else spans.push({ first: day, last: day });
  }
  return spans
    .map(({ first, last }) => (first === last ? DAY_NAMES[first] : `${DAY_NAMES[first]}-${DAY_NAMES[last]}`))
    .join(",");
}
