import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  copiedDay,
  DAY_MINUTES,
  emptyWeek,
  FULL,
  NOTHING,
  nextChange,
  painted,
  paintedSelection,
  rulesOf,
  type ScheduleRule,
  type Speed,
  selectionBetween,
  slowSpeedOf,
  timeOf,
  type Week,
  weekOf,
  withSlowSpeed,
} from "../../../web/src/state/week-runs.ts";

const SLOW: Speed = { kind: "slow", up: 1e6, down: 2e6 };
const WORKDAYS = [0, 1, 2, 3, 4];

const words = (week: Week, day: number) =>
  (week[day] ?? []).map(
    ({ fromMinute, toMinute, speed }) => `${timeOf(fromMinute)}-${timeOf(toMinute)} ${speed.kind}`,
  );

test("a rule for several days is read into each, and written as one rule again", () => {
  const rule: ScheduleRule = { days: WORKDAYS, from: "08:00", to: "18:00", up: 1e6, down: 2e6 };
  const week = weekOf([rule]);
  assert.deepEqual(words(week, 0), ["00:00-08:00 full", "08:00-18:00 slow", "18:00-24:00 full"]);
  assert.deepEqual(words(week, 6), ["00:00-24:00 full"]);
  assert.deepEqual(rulesOf(week), [rule]);
});

test("a rule over midnight lasts into the next day, from Sunday into Monday", () => {
  const week = weekOf([{ days: [6], from: "22:30", to: "06:00", up: null, down: null, isPaused: true }]);
  assert.deepEqual(words(week, 6), ["00:00-22:30 full", "22:30-24:00 nothing"]);
  assert.deepEqual(words(week, 0), ["00:00-06:00 nothing", "06:00-24:00 full"]);
});

test("of rules that overlap the first one holds", () => {
  const rule = { days: [2], up: null, down: null };
  const week = weekOf([
    { ...rule, from: "08:00", to: "10:00", isPaused: true },
    { ...rule, from: "09:00", to: "12:00", down: 5e6 },
  ]);
  assert.deepEqual(words(week, 2).slice(1, 3), ["08:00-10:00 nothing", "10:00-12:00 slow"]);
});

test("a rule up to midnight ends at 00:00, as the daemon takes it", () => {
  const [rule] = rulesOf(painted(emptyWeek(), 5, 18 * 60, DAY_MINUTES, SLOW));
  assert.deepEqual([rule?.from, rule?.to], ["18:00", "00:00"]);
  const [whole] = rulesOf(painted(emptyWeek(), 5, 0, DAY_MINUTES, SLOW));
  assert.deepEqual([whole?.from, whole?.to], ["00:00", "00:00"]);
});

test("hours painted in the middle of a run cut it, and the same speed joins it again", () => {
  let week = painted(emptyWeek(), 3, 8 * 60, 18 * 60, SLOW);
  week = painted(week, 3, 12 * 60, 16 * 60, NOTHING);
  assert.deepEqual(words(week, 3), [
    ...["00:00-08:00 full", "08:00-12:00 slow", "12:00-16:00 nothing"],
    ...["16:00-18:00 slow", "18:00-24:00 full"],
  ]);
  assert.deepEqual(words(painted(week, 3, 0, DAY_MINUTES, FULL), 3), ["00:00-24:00 full"]);
});

test("a drag paints a block of hours on all days between, in whatever direction it went", () => {
  const selection = selectionBetween({ day: 4, hour: 17 }, { day: 2, hour: 9 });
  const week = paintedSelection(emptyWeek(), selection, SLOW);
  assert.deepEqual(rulesOf(week), [{ days: [2, 3, 4], from: "09:00", to: "18:00", up: 1e6, down: 2e6 }]);
});

test("another slow speed replaces the one that was, and leaves others", () => {
  const other: Speed = { kind: "slow", up: null, down: 5e6 };
  let week = painted(emptyWeek(), 0, 0, 600, SLOW);
  week = painted(week, 1, 0, 60, other);
  assert.deepEqual(slowSpeedOf(week), SLOW);
  const faster: Speed = { kind: "slow", up: 3e6, down: 3e6 };
  assert.deepEqual(
    rulesOf(withSlowSpeed(week, SLOW, faster)).map(({ down }) => down),
    [3e6, 5e6],
  );
});

test("a day is copied to others", () => {
  const week = copiedDay(painted(emptyWeek(), 0, 60, 120, NOTHING), 0, WORKDAYS);
  assert.deepEqual(
    rulesOf(week).map(({ days }) => days),
    [WORKDAYS],
  );
});

test("the next change is told across midnight and the week's end; a week of one speed has none", () => {
  const week = painted(emptyWeek(), 0, 8 * 60, 18 * 60, SLOW);
  assert.deepEqual(nextChange(week, 0, 17 * 60 + 30), { now: SLOW, next: { inMinutes: 30, speed: FULL } });
  assert.deepEqual(nextChange(week, 0, 1_200).next, { inMinutes: 240 + 6 * 1_440 + 480, speed: SLOW });
  assert.deepEqual(nextChange(emptyWeek(), 2, 5), { now: FULL });
});

test("whatever is painted, the days have no gap, and rules say the same week", () => {
  const stroke = fc.record({
    day: fc.integer({ min: 0, max: 6 }),
    from: fc.integer({ min: 0, max: 23 }),
    length: fc.integer({ min: 1, max: 24 }),
    speed: fc.constantFrom<Speed>(FULL, SLOW, NOTHING),
  });
  fc.assert(
    fc.property(fc.array(stroke, { maxLength: 20 }), (strokes) => {
      let week = emptyWeek();
      for (const { day, from, length, speed } of strokes)
        week = painted(week, day, from * 60, Math.min(24, from + length) * 60, speed);
      for (const runs of week) {
        assert.deepEqual([runs[0]?.fromMinute, runs.at(-1)?.toMinute], [0, DAY_MINUTES]);
        for (const [index, run] of runs.entries())
          if (index > 0) assert.equal(run.fromMinute, runs[index - 1]?.toMinute);
      }
      assert.deepEqual(weekOf(rulesOf(week)), week);
    }),
    { numRuns: 200 },
  );
});
