// Failures by key: an attempt that could be one too many waits for the results of the others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FailureLimit, tooManyAttempts } from "../../../../src/tracker/server/failure-limit.ts";
import { WindowCounter } from "../../../../src/tracker/server/window-counter.ts";

const TOO_MANY = { code: "TOO_MANY_ATTEMPTS" };

function stage(most: number) {
  const limit = new FailureLimit(most, new WindowCounter({ windowMs: 10_000, nowMs: () => 0 }));
  /** What became of the attempts, by their number; nothing for one that waits. */
  const outcomes: string[] = [];
  const enter = (key = "a") => {
    const at = outcomes.push("") - 1;
    return limit.enter(key).then(
      () => {
        outcomes[at] = "runs";
      },
      (error: { code: string }) => {
        outcomes[at] = error.code;
      },
    );
  };
  return { limit, outcomes, enter };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("as many run as may fail; the next one runs when one has succeeded, and all are refused when they have failed", async () => {
  const { limit, outcomes, enter } = stage(2);
  for (let at = 0; at < 5; at++) void enter();
  await settled();
  assert.deepEqual(outcomes, ["runs", "runs", "", "", ""]);
  limit.leave("a", false);
  await settled();
  assert.deepEqual(outcomes, ["runs", "runs", "runs", "", ""]);
  limit.leave("a", true);
  await settled();
  assert.deepEqual(outcomes, ["runs", "runs", "runs", "", ""], "one has failed, and one runs");
  limit.leave("a", true);
  await settled();
  assert.deepEqual(outcomes.slice(3), ["TOO_MANY_ATTEMPTS", "TOO_MANY_ATTEMPTS"]);
  await assert.rejects(limit.enter("a"), TOO_MANY);
  await limit.enter("b");
  limit.forgive("a");
  await limit.enter("a");
});

test("a key is forgotten when its last attempt has ended, also after refusals", async () => {
  const { limit, enter } = stage(1);
  void enter();
  void enter();
  await settled();
  assert.equal(limit.keyCount, 1);
  limit.leave("a", false);
  await settled();
  assert.equal(limit.keyCount, 1, "the second one runs");
  limit.leave("a", true);
  assert.equal(limit.keyCount, 0);
  await assert.rejects(limit.enter("a"), TOO_MANY);
  assert.equal(limit.keyCount, 0);
  limit.leave("nobody", true);
});

test("five hundred attempts of a key wait at a time, more are told to try again", async () => {
  const { limit, outcomes, enter } = stage(1);
  for (let at = 0; at <= 500; at++) void enter();
  await settled();
  assert.deepEqual(
    outcomes.filter((outcome) => outcome !== ""),
    ["runs"],
  );
  await assert.rejects(limit.enter("a"), { code: "TRACKER_BUSY", retryAfterMs: 1_000 });
  await limit.enter("b");
});

test("how long to wait is said in whole seconds, at least one", () => {
  const said = (waitMs: number) => {
    const { message, retryAfterMs } = tooManyAttempts(waitMs);
    return [message, retryAfterMs];
  };
  assert.deepEqual(said(0), ["Too many attempts; try again in 1 s.", 1_000]);
  assert.deepEqual(said(1_001), ["Too many attempts; try again in 2 s.", 2_000]);
});
