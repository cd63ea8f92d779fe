// The week of the speed schedule as runs of hours, and the daemon's rules made from it and read into it. Each day is cut into runs
// without gaps; a rule of other minutes than full hours keeps its own. Pure.

export const DAY_MINUTES = 24 * 60;
const DAYS = [0, 1, 2, 3, 4, 5, 6] as const;

/** A rule of the daemon: limits in bytes a second, null for none. */
export interface ScheduleRule {
  /** 0 is Monday. */
  readonly days: readonly number[];
  /** `HH:MM`, local time. A rule whose end is not after its start lasts into the next day: `00:00` ends a day. */
  readonly from: string;
  readonly to: string;
  readonly up: number | null;
  readonly down: number | null;
  readonly isPaused?: boolean | undefined;
}

export type Speed =
  | { readonly kind: "full" }
  | { readonly kind: "slow"; readonly up: number | null; readonly down: number | null }
  | { readonly kind: "nothing" };

export interface Run {
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly speed: Speed;
}

/** Seven days from Monday, each cut into runs from 0 to 1,440. */
export type Week = readonly (readonly Run[])[];

export const FULL: Speed = { kind: "full" };
export const NOTHING: Speed = { kind: "nothing" };

export function isSameSpeed(a: Speed, b: Speed): boolean {
  if (a.kind !== "slow" || b.kind !== "slow") return a.kind === b.kind;
  return a.up === b.up && a.down === b.down;
}

export function emptyWeek(): Week {
  return DAYS.map(() => [{ fromMinute: 0, toMinute: DAY_MINUTES, speed: FULL }]);
}

/** The rules as a week; where rules overlap, the first one applies. */
export function weekOf(rules: readonly ScheduleRule[]): Week {
  let week = emptyWeek();
  for (const rule of rules.toReversed()) {
    const [from, to] = [minuteOf(rule.from), minuteOf(rule.to)];
    const speed = speedOf(rule);
    for (const day of rule.days) {
      if (from < to) week = painted(week, day, from, to, speed);
      else {
        week = painted(week, day, from, DAY_MINUTES, speed);
        week = painted(week, (day + 1) % 7, 0, to, speed);
      }
    }
  }
  return week;
}

function speedOf({ up, down, isPaused }: ScheduleRule): Speed {
  if (isPaused === true) return NOTHING;
  return up === null && down === null ? FULL : { kind: "slow", up, down };
}

/** The fewest rules: the same run on several days is one. */
export function rulesOf(week: Week): ScheduleRule[] {
  const rules = new Map<string, ScheduleRule & { days: number[] }>();
  for (const [day, runs] of week.entries()) {
    for (const { fromMinute, toMinute, speed } of runs) {
      if (speed.kind === "full") continue;
      const limits =
        speed.kind === "nothing"
          ? ({ up: null, down: null, isPaused: true } as const)
          : { up: speed.up, down: speed.down };
      const rule = { from: timeOf(fromMinute), to: timeOf(toMinute % DAY_MINUTES), ...limits };
      const name = JSON.stringify(rule);
      const known = rules.get(name);
      if (known === undefined) rules.set(name, { days: [day], ...rule });
      else known.days.push(day);
    }
  }
  return [...rules.values()];
}

/** The week with that speed on one day from one minute to another. */
export function painted(week: Week, day: number, fromMinute: number, toMinute: number, speed: Speed): Week {
  if (fromMinute >= toMinute) return week;
  return week.map((runs, index) => (index === day ? paintedDay(runs, fromMinute, toMinute, speed) : runs));
}

function paintedDay(runs: readonly Run[], fromMinute: number, toMinute: number, speed: Speed): Run[] {
  const cut = [
    ...runs.map((run) => ({ ...run, toMinute: Math.min(run.toMinute, fromMinute) })),
    { fromMinute, toMinute, speed },
    ...runs.map((run) => ({ ...run, fromMinute: Math.max(run.fromMinute, toMinute) })),
  ].filter((run) => run.fromMinute < run.toMinute);
  const joined: Run[] = [];
  for (const run of cut) {
    const last = joined.at(-1);
    if (last !== undefined && isSameSpeed(last.speed, run.speed))
      joined[joined.length - 1] = { ...last, toMinute: run.toMinute };
    else joined.push(run);
  }
  return joined;
}

/** The week with another slow speed everywhere that the old one was. */
export function withSlowSpeed(week: Week, old: Speed, speed: Speed): Week {
  return week.map((runs) => runs.map((run) => (isSameSpeed(run.speed, old) ? { ...run, speed } : run)));
}

/** The week with one day's runs on others, too. */
export function copiedDay(week: Week, from: number, to: readonly number[]): Week {
  return week.map((runs, day) => (to.includes(day) ? (week[from] ?? runs) : runs));
}

/** The slow speed that most hours of the week have; undefined if none has one. */
export function slowSpeedOf(week: Week): Extract<Speed, { kind: "slow" }> | undefined {
  const minutes = new Map<string, { speed: Extract<Speed, { kind: "slow" }>; minutes: number }>();
  for (const { fromMinute, toMinute, speed } of week.flat()) {
    if (speed.kind !== "slow") continue;
    const name = `${speed.up} ${speed.down}`;
    const known = minutes.get(name) ?? { speed, minutes: 0 };
    known.minutes += toMinute - fromMinute;
    minutes.set(name, known);
  }
  return [...minutes.values()].toSorted((a, b) => b.minutes - a.minutes)[0]?.speed;
}

/** The run that holds a minute of a day. */
export function runAt(week: Week, day: number, minute: number): Run {
  const runs = week[day] ?? [];
  return (
    runs.find((run) => minute < run.toMinute) ??
    runs.at(-1) ?? { fromMinute: 0, toMinute: DAY_MINUTES, speed: FULL }
  );
}

/** What applies now, and when it changes: in minutes from now; undefined if it never does. */
export function nextChange(
  week: Week,
  day: number,
  minute: number,
): { readonly now: Speed; readonly next?: { readonly inMinutes: number; readonly speed: Speed } } {
  const now = runAt(week, day, minute).speed;
  for (let ahead = 0; ahead <= 7; ahead++) {
    const runs = week[(day + ahead) % 7] ?? [];
    for (const run of runs) {
      const inMinutes = ahead * DAY_MINUTES + run.fromMinute - minute;
      if (inMinutes > 0 && !isSameSpeed(run.speed, now))
        return { now, next: { inMinutes, speed: run.speed } };
    }
  }
  return { now };
}

/** A range of hours on some days: what a person selects. */
export interface WeekSelection {
  readonly fromDay: number;
  readonly toDay: number;
  readonly fromHour: number;
  /** The last hour that is part of it. */
  readonly toHour: number;
}

/** From where a drag, or a range by keys, began to where it is. */
export function selectionBetween(
  start: { readonly day: number; readonly hour: number },
  end: { readonly day: number; readonly hour: number },
): WeekSelection {
  return {
    fromDay: Math.min(start.day, end.day),
    toDay: Math.max(start.day, end.day),
    fromHour: Math.min(start.hour, end.hour),
    toHour: Math.max(start.hour, end.hour),
  };
}

/** The week with that speed in all hours of a selection. */
export function paintedSelection(
  week: Week,
  { fromDay, toDay, fromHour, toHour }: WeekSelection,
  speed: Speed,
): Week {
  let result = week;
  for (let day = fromDay; day <= toDay; day++)
    result = painted(result, day, fromHour * 60, (toHour + 1) * 60, speed);
  return result;
}

/** `08:30`; the end of a day is `24:00`. */
export function timeOf(minute: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}

function minuteOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return Math.min(DAY_MINUTES, Math.max(0, hours * 60 + minutes));
}
