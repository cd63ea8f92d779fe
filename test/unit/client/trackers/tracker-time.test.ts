import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import {
  aheadOfTrackerMs,
  clockTrouble,
  clockWarning,
  readTrackerTime,
} from "../../../../src/client/trackers/tracker-time.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Sets this machine's clock that far ahead for the rest of the test. */
function setAhead(context: TestContext, aheadMs: number): void {
  const right = Date.now;
  context.mock.method(Date, "now", () => right() + aheadMs);
}

describe("a tracker's time", () => {
  it("is compared with this machine's clock as it is when asked, also if it is set afterwards", (context) => {
    const time = readTrackerTime(new Date().toUTCString());
    assert.ok(time);
    assert.ok(Math.abs(aheadOfTrackerMs(time)) < 5_000);
    setAhead(context, -3 * HOUR_MS);
    assert.ok(Math.abs(aheadOfTrackerMs(time) + 3 * HOUR_MS) < 5_000);
  });

  it("goes on after it was read", (context) => {
    const nowMs = performance.now();
    const wallMs = Date.now();
    const time = readTrackerTime(new Date(wallMs - HOUR_MS).toUTCString());
    assert.ok(time);
    context.mock.method(performance, "now", () => nowMs + HOUR_MS);
    context.mock.method(Date, "now", () => wallMs + HOUR_MS);
    assert.ok(Math.abs(aheadOfTrackerMs(time) - HOUR_MS) < 5_000, `${aheadOfTrackerMs(time)} ms`);
  });

  it("is unknown if the tracker says none, or nonsense", () => {
    for (const date of [undefined, "", "tomorrow"]) assert.equal(readTrackerTime(date), undefined);
  });
});

describe("a clock that is wrong", () => {
  it("is warned of when it is more than ten minutes off", () => {
    for (const aheadMs of [0, 10 * MINUTE_MS, -10 * MINUTE_MS])
      assert.equal(clockWarning(aheadMs), undefined);
    assert.match(clockWarning(-3 * HOUR_MS) ?? "", /clock is 3 h behind the tracker's; set it/);
    assert.match(clockWarning(11 * MINUTE_MS) ?? "", /clock is 11 min ahead of the tracker's; set it/);
  });

  it("makes certificates useless when a new one would not be valid yet, or have run out", () => {
    for (const aheadMs of [0, -10 * MINUTE_MS, 59 * MINUTE_MS])
      assert.equal(clockTrouble(aheadMs), undefined);
    for (const aheadMs of [-11 * MINUTE_MS, HOUR_MS, 24 * HOUR_MS]) {
      assert.equal(clockTrouble(aheadMs)?.code, "CLOCK_WRONG");
    }
  });
});
