import assert from "node:assert/strict";
import { test } from "node:test";
import { nearTime, relativeTime } from "../../../web/src/state/near-time.ts";

const now = new Date(2026, 10, 28, 16, 30).getTime();
const at = (day: number, hour: number, minute = 0, month = 10, year = 2026) =>
  new Date(year, month, day, hour, minute).getTime();

test("a time is said in its nearest short form", () => {
  assert.equal(nearTime(at(28, 14, 2), now, "en-GB"), "14:02");
  assert.equal(nearTime(at(24, 9), now, "en-GB"), "Tue 24");
  assert.equal(nearTime(at(12, 9), now, "en-GB"), "12 Nov");
  assert.equal(nearTime(at(12, 9, 0, 10, 2025), now, "en-GB"), "12 Nov 2025");
  assert.equal(nearTime(at(12, 9), now, "de"), "12. Nov.");
});

test("a span is said in the largest unit that fits", () => {
  assert.equal(relativeTime(now - 30_000, now, "en-GB"), "now");
  assert.equal(relativeTime(now - 4 * 60_000, now, "en-GB"), "4 min ago");
  assert.equal(relativeTime(at(28, 13), now, "en-GB"), "3 hr ago");
  assert.equal(relativeTime(at(27, 18, 30), now, "en-GB"), "yesterday, 18:30");
  assert.equal(relativeTime(at(25, 18), now, "en-GB"), "3 days ago");
  assert.equal(relativeTime(at(2, 18), now, "en-GB"), "2 Nov");
});

test("a time ahead is said in hours up to two days, then in days", () => {
  assert.equal(relativeTime(now + 24 * 3_600_000, now, "en-GB"), "in 24 hr");
  assert.equal(relativeTime(now + 7 * 24 * 3_600_000, now, "en-GB"), "in 7 days");
  assert.equal(relativeTime(now + 5 * 60_000, now, "de"), "in 5 Min.");
});
