import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCount, parseDuration } from "../../../src/cli/typed-numbers.ts";

const HOUR_MS = 3_600_000;

test("a count is a whole number within its bounds", () => {
  assert.deepEqual([parseCount("1", 5), parseCount("5", 5)], [1, 5]);
  for (const text of ["0", "6", "-1", "01", "1.0", "1e0", "", "one", "9999999999"])
    assert.throws(() => parseCount(text, 5), {
      code: "INVALID_ARGUMENT",
      message: `'${text}' is not a number from 1 to 5.`,
    });
  assert.throws(() => parseCount("x", 10_000), { message: /1 to 10,000/ });
});

test("a duration is a number with a unit, within its bound", () => {
  for (const [text, hours] of [
    ["30m", 0.5],
    ["12h", 12],
    ["7d", 168],
    ["2w", 336],
    ["14d", 336],
  ] as const)
    assert.equal(parseDuration(text, 336 * HOUR_MS), hours * HOUR_MS, text);
  for (const text of ["15d", "3w", "7", "d", "0d", "07d", "1.5d", "7 d", "7D", "7y", "-7d", "999999m"])
    assert.throws(() => parseDuration(text, 336 * HOUR_MS), {
      code: "INVALID_ARGUMENT",
      message: `'${text}' is not a time: a number with m (minutes), h (hours), d (days) or w (weeks) is expected, such as 7d, of at most 14 days.`,
    });
});
