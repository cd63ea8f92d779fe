// What is asked of one peer: what is counted, and what that says of how busy the peer is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { PeerRequests } from "../../../src/swarm/peer-requests.ts";
import { RequestWindow } from "../../../src/swarm/request-window.ts";
import { StallDetector } from "../../../src/swarm/stall-detector.ts";

function open({ supportsFast = true } = {}) {
  const time = { nowMs: 0 };
  const clock = () => time.nowMs;
  const window = new RequestWindow(1000, 0);
  const answering = new StallDetector(clock);
  return { time, window, answering, demand: new PeerRequests({ window, answering, supportsFast, clock }) };
}

test("a request that was taken back is answered once, and is no longer outstanding before that", () => {
  const { demand } = open();
  demand.asked();
  demand.tookBack(3, 1);
  assert.equal(demand.outstanding, 0);
  assert.deepEqual(
    [demand.answeredWhatWasTakenBack(3, 1), demand.answeredWhatWasTakenBack(3, 1), demand.outstanding],
    [true, false, 0],
  );
});

test("who cannot reject need not answer what was taken back; who can is silent until it does", () => {
  for (const supportsFast of [false, true]) {
    const { demand, answering, time } = open({ supportsFast });
    demand.asked();
    demand.tookBack(3, 1);
    time.nowMs = 5000;
    assert.equal(answering.remark, supportsFast ? "silent for 5 s" : undefined);
    demand.answeredWhatWasTakenBack(3, 1);
    assert.equal(answering.remark, undefined);
  }
});

test("one try for a block is open at a time, and its answer is told once", () => {
  const { demand } = open();
  assert.deepEqual([demand.tries(7, 2), demand.tries(7, 2)], [true, false]);
  assert.equal(demand.answeredWhatWasTakenBack(7, 2), true);
  demand.trialBegins(BLOCK_LENGTH_BYTES);
  assert.deepEqual([demand.trialEnds(), demand.trialEnds()], [BLOCK_LENGTH_BYTES, 0]);
});

test("the queue of a peer is as long as its pace says; endless for one that gave nothing, or is snubbed", () => {
  const { demand, window, time } = open();
  assert.deepEqual([demand.queueMs, demand.isHungry], [0, true]);
  for (let i = 0; i < 100; i++) demand.asked();
  assert.deepEqual([demand.queueMs, demand.isHungry], [Number.POSITIVE_INFINITY, false]);
  for (let i = 0; i < 100; i++) {
    demand.gave(10 * BLOCK_LENGTH_BYTES);
    demand.advance(100);
  }
  const expectedMs = (100 * BLOCK_LENGTH_BYTES * 1000) / demand.paceBytesPerSecond;
  assert.ok(Math.abs(demand.paceBytesPerSecond / (100 * BLOCK_LENGTH_BYTES) - 1) < 0.01);
  assert.equal(demand.queueMs, expectedMs);
  window.snub(time.nowMs);
  assert.equal(demand.queueMs, Number.POSITIVE_INFINITY);
});

test("the pace of a peer stands while nothing is asked of it", () => {
  const { demand } = open();
  demand.asked();
  demand.gave(BLOCK_LENGTH_BYTES);
  demand.advance(100);
  const pace = demand.paceBytesPerSecond;
  demand.answered();
  demand.advance(10_000);
  assert.ok(pace > 0);
  assert.equal(demand.paceBytesPerSecond, pace);
});

test("a peer is hungry while less is asked of it than it gives in 20 ms and a round trip", () => {
  const { demand, window } = open();
  const askUpTo = (count: number): void => {
    while (demand.outstanding < count) demand.asked();
  };
  askUpTo(3);
  assert.equal(demand.isHungry, true);
  askUpTo(4);
  assert.equal(demand.isHungry, false);
  // 1,000 blocks a second.
  for (let tick = 0; tick < 300; tick++) {
    demand.gave(100 * BLOCK_LENGTH_BYTES);
    demand.advance(100);
  }
  askUpTo(19);
  assert.equal(demand.isHungry, true);
  askUpTo(21);
  assert.equal(demand.isHungry, false);
  window.lostCount();
  window.asked(1, 0);
  window.arrived(BLOCK_LENGTH_BYTES, 100);
  assert.equal(window.roundTripMs, 100);
  askUpTo(119);
  assert.equal(demand.isHungry, true);
  askUpTo(121);
  assert.equal(demand.isHungry, false);
});

test("an answer to nothing does not count as one", () => {
  const { demand, answering, time } = open();
  demand.asked();
  time.nowMs = 5000;
  assert.equal(demand.answeredWhatWasTakenBack(9, 9), false);
  assert.equal(answering.unansweredMs, 5000);
});
