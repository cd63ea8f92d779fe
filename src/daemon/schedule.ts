// Limits by hour and weekday. A rule holds from one time of day to another, by the clock on the wall: so a day on which the clock is
// changed needs no care. Of rules that overlap, the first in the list holds.
import { z } from "zod";
import { LEAST_LIMIT_BYTES_PER_SECOND } from "../api/byte-units.ts";
import type { BandwidthLimits } from "../engine/bandwidth.ts";

const MOST_RULES = 50;
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time is like 08:30");
const rate = z
  .number()
  .int()
  .min(LEAST_LIMIT_BYTES_PER_SECOND, "a limit is at least 16 KiB/s; null: none")
  .nullable();

export const scheduleRuleSchema = z.object({
  /** 0: Monday. */
  days: z.array(z.number().int().min(0).max(6)).min(1).max(7),
  from: timeOfDay,
  /** Up to `from` it is of the day after: 22:00 to 06:00 ends in the morning, 00:00 to 00:00 is a whole day. */
  to: timeOfDay,
  up: rate,
  down: rate,
  isPaused: z.boolean().optional(),
});
export const scheduleSchema = z.object({ rules: z.array(scheduleRuleSchema).max(MOST_RULES) });
export type ScheduleRule = z.output<typeof scheduleRuleSchema>;

/** The rule that holds at that time, by the local clock; undefined: none. */
export function ruleAt(rules: readonly ScheduleRule[], time: Date): ScheduleRule | undefined {
  const today = (time.getDay() + 6) % 7;
  const yesterday = (today + 6) % 7;
  const minute = time.getHours() * 60 + time.getMinutes();
  return rules.find(({ days, from, to }) => {
    const [begin, end] = [minuteOf(from), minuteOf(to)];
    if (begin < end) return days.includes(today) && begin <= minute && minute < end;
    return (days.includes(today) && begin <= minute) || (days.includes(yesterday) && minute < end);
  });
}

export function limitsOf({ up, down }: ScheduleRule): BandwidthLimits {
  return { up: up ?? undefined, down: down ?? undefined };
}

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}
