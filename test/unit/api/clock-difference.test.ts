import assert from "node:assert/strict";
import { test } from "node:test";
import { formatClockDifference } from "../../../src/api/clock-difference.ts";

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;

test("a difference of clocks is told to the minute below a day and to the hour above, whichever is ahead", () => {
  for (const [minutes, words] of [
    [0, "less than a minute"],
    [0.49, "less than a minute"],
    [0.5, "1 min"],
    [1, "1 min"],
    [59.6, "1 h"],
    [121, "2 h 1 min"],
    [DAY_MINUTES - 1, "23 h 59 min"],
    [DAY_MINUTES, "1 d"],
    [DAY_MINUTES + 61, "1 d 1 h"],
    [10 * DAY_MINUTES + 59, "10 d"],
  ] as const) {
    assert.equal(formatClockDifference(minutes * MINUTE_MS), words);
    assert.equal(formatClockDifference(-minutes * MINUTE_MS), words);
  }
});
