// The schedule of limits as a person types and reads it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRule, type RuleText, renderSchedule } from "../../../src/cli/schedule-text.ts";

const typed = (changes: Partial<RuleText> = {}): RuleText => ({
  ...{ days: "all", times: "08:00-18:00", up: "1MB/s", down: undefined, isPaused: false },
  ...changes,
});

test("days are all, single ones and spans, which may go over the end of the week", () => {
  const days = (text: string) => parseRule(typed({ days: text })).days;
  assert.deepEqual(days("all"), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(days("mon-fri"), [0, 1, 2, 3, 4]);
  assert.deepEqual(days("SUN,sat"), [5, 6]);
  assert.deepEqual(days("fri-mon,wed"), [0, 2, 4, 5, 6]);
  assert.deepEqual(days("tue-tue,tue"), [1]);
  for (const wrong of ["", "monday", "mon-", "mon-tue-wed", "mon;tue", "mon, tue"]) {
    assert.throws(
      () => days(wrong),
      { code: "INVALID_ARGUMENT", message: /write all, or days like mon-fri/ },
      wrong,
    );
  }
});

test("a rule has a span of time, and limits or a pause", () => {
  assert.deepEqual(parseRule(typed({ down: "off" })), {
    ...{ days: [0, 1, 2, 3, 4, 5, 6], from: "08:00", to: "18:00", up: 1_000_000, down: null },
  });
  assert.deepEqual(parseRule(typed({ up: undefined, isPaused: true })).isPaused, true);
  assert.throws(() => parseRule(typed({ times: "8-18" })), { message: /write it like 08:00-18:00/ });
  assert.throws(() => parseRule(typed({ up: undefined })), { message: /--up or --down, or --pause/ });
  assert.throws(() => parseRule(typed({ up: "fast" })), { code: "INVALID_ARGUMENT" });
});

test("rules are shown as they are typed, with their number and which one holds now", () => {
  const office = { days: [0, 1, 2, 3, 5], from: "08:00", to: "18:00", up: 500_000, down: null };
  const night = {
    days: [0, 1, 2, 3, 4, 5, 6],
    from: "22:00",
    to: "06:00",
    up: null,
    down: null,
    isPaused: true,
  };
  assert.deepEqual(renderSchedule([office, night], night), [
    "1. mon-thu,sat  08:00-18:00  up at most 500 kB/s, down no limit",
    "2. all days  22:00-06:00  up no limit, down paused  (now)",
  ]);
  assert.deepEqual(renderSchedule([], undefined), [
    "There is no schedule: the limits of minitorrent limit always apply.",
  ]);
});
