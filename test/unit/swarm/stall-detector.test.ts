// Whether a peer answers: since when it owes an answer, and what is said of that.
import assert from "node:assert/strict";
import { test } from "node:test";
import { StallDetector } from "../../../src/swarm/stall-detector.ts";

function open() {
  const time = { nowMs: 1000 };
  return { time, answering: new StallDetector(() => time.nowMs) };
}

test("a peer owes an answer since the first request that nothing has been heard after", () => {
  const { time, answering } = open();
  assert.equal(answering.unansweredMs, 0);
  answering.asked();
  time.nowMs += 500;
  answering.asked();
  time.nowMs += 500;
  assert.equal(answering.unansweredMs, 1000);
  answering.heard(true);
  assert.equal(answering.unansweredMs, 0);
  time.nowMs += 700;
  assert.equal(answering.unansweredMs, 700);
  answering.heard(false);
  time.nowMs += 700;
  assert.equal(answering.unansweredMs, 0);
  answering.asked();
  time.nowMs += 10;
  assert.equal(answering.unansweredMs, 10);
  answering.nothingIsAsked();
  assert.equal(answering.unansweredMs, 0);
});

test("a peer is said to be silent from three seconds on, in whole seconds", () => {
  const { time, answering } = open();
  answering.asked();
  time.nowMs += 2999;
  assert.deepEqual([answering.remark, answering.stall], [undefined, undefined]);
  time.nowMs += 1;
  assert.deepEqual([answering.remark, answering.stall], ["silent for 3 s", "does not answer"]);
  time.nowMs += 4999;
  assert.equal(answering.remark, "silent for 7 s");
});

test("how a peer keeps from giving is remembered until it gives; silence goes before it in the remark", () => {
  const { time, answering } = open();
  answering.stalled("rejects what it says it has");
  assert.deepEqual(
    [answering.remark, answering.stall],
    ["rejects what it says it has", "rejects what it says it has"],
  );
  answering.asked();
  time.nowMs += 4000;
  assert.deepEqual([answering.remark, answering.stall], ["silent for 4 s", "rejects what it says it has"]);
  answering.heard(false);
  answering.gave();
  assert.deepEqual([answering.remark, answering.stall], [undefined, undefined]);
});

test("rejections are counted in a row: a block that comes begins the count anew", () => {
  const { answering } = open();
  assert.equal(answering.hasRefused, false);
  assert.deepEqual([answering.refused(), answering.refused()], [1, 2]);
  assert.equal(answering.hasRefused, true);
  answering.gave();
  assert.equal(answering.hasRefused, false);
  assert.equal(answering.refused(), 1);
});
