import assert from "node:assert/strict";
import { test } from "node:test";
import { SuspendDetector } from "../../../../src/tracker/server/suspend-detector.ts";

test("a suspension is noticed before and after the first tick that follows, and forgotten at the second", () => {
  let nowMs = 1_000;
  const suspendDetector = new SuspendDetector(2_500, () => nowMs);
  const after = (ms: number): boolean => {
    nowMs += ms;
    return suspendDetector.mayBeStale(0);
  };
  for (let beats = 0; beats < 10; beats++) {
    assert.equal(after(500), false);
    suspendDetector.tick();
  }
  assert.equal(after(2_499), false, "slow, and no slower than clients bear");
  assert.equal(after(1), true, "read before the late beat");
  assert.equal(suspendDetector.tick(), 2_500);
  assert.equal(after(0), true, "read after it");
  assert.equal(suspendDetector.mayBeStale(nowMs - 1), true, "on a connection that was there");
  assert.equal(suspendDetector.mayBeStale(nowMs), false, "on a connection that was not there before");
  assert.equal(after(499), true);
  suspendDetector.tick();
  assert.equal(after(0), false);
});

test("a clock that is set back is no suspension", () => {
  let nowMs = 1_000_000;
  const suspendDetector = new SuspendDetector(2_500, () => nowMs);
  nowMs -= 600_000;
  assert.equal(suspendDetector.mayBeStale(0), false);
  suspendDetector.tick();
  assert.equal(suspendDetector.mayBeStale(0), false);
});
