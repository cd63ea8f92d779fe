// Our requests to one peer: what is counted, how busy the peer is, and whether it answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { PeerRequests } from "../../../src/swarm/peer-requests.ts";
import { RequestWindow } from "../../../src/swarm/request-window.ts";

const MOST_KEPT = 4096;

function open({ supportsFast = true } = {}) {
  const time = { nowMs: 0 };
  const clock = () => time.nowMs;
  const window = new RequestWindow(1000, 0);
  return { time, window, requests: new PeerRequests({ window, supportsFast, clock }) };
}

test("a cancelled request is answered once, and is no longer outstanding before that", () => {
  const { requests } = open();
  requests.requested();
  requests.cancelled(3, 1);
  assert.equal(requests.outstanding, 0);
  assert.deepEqual(
    [requests.answeredCancelled(3, 1), requests.answeredCancelled(3, 1), requests.outstanding],
    [true, false, 0],
  );
});

test("two cancelled requests for one block are answered twice", () => {
  const { requests } = open();
  for (let round = 0; round < 2; round++) {
    requests.requested();
    requests.cancelled(3, 1);
  }
  const answers = [1, 2, 3].map(() => requests.answeredCancelled(3, 1));
  assert.deepEqual(answers, [true, true, false]);
});

test("a cancelled request that is answered by its block all the same is open again", () => {
  const { requests } = open();
  requests.requested();
  requests.cancelled(3, 1);
  assert.equal(requests.answeredCancelled(3, 1), true);
  requests.reopened();
  assert.equal(requests.outstanding, 1);
});

test("a peer that cannot reject need not answer a cancelled request; one that can is silent until it does", () => {
  for (const supportsFast of [false, true]) {
    const { requests, time } = open({ supportsFast });
    requests.requested();
    requests.cancelled(3, 1);
    time.nowMs = 5000;
    assert.equal(requests.remark, supportsFast ? "silent for 5 s" : undefined);
    requests.answeredCancelled(3, 1);
    assert.equal(requests.remark, undefined);
  }
});

test("one probe for a block is open at a time, and its answer is told once", () => {
  const { requests } = open();
  assert.deepEqual([requests.probe(7, 2), requests.probe(7, 2)], [true, false]);
  assert.equal(requests.answeredCancelled(7, 2), true);
  requests.probeBegins(BLOCK_LENGTH_BYTES);
  assert.deepEqual([requests.probeEnds(), requests.probeEnds()], [BLOCK_LENGTH_BYTES, 0]);
});

test("the queue of a peer is as long as its rate says; endless for one that delivered nothing, or is snubbed", () => {
  const { requests, window, time } = open();
  assert.deepEqual([requests.queueMs, requests.isHungry], [0, true]);
  for (let i = 0; i < 100; i++) requests.requested();
  assert.deepEqual([requests.queueMs, requests.isHungry], [Number.POSITIVE_INFINITY, false]);
  for (let i = 0; i < 100; i++) {
    requests.received(10 * BLOCK_LENGTH_BYTES);
    requests.advance(100);
  }
  const expectedMs = (100 * BLOCK_LENGTH_BYTES * 1000) / requests.bytesPerSecond;
  assert.ok(Math.abs(requests.bytesPerSecond / (100 * BLOCK_LENGTH_BYTES) - 1) < 0.01);
  assert.equal(requests.queueMs, expectedMs);
  window.snub(time.nowMs);
  assert.equal(requests.queueMs, Number.POSITIVE_INFINITY);
});

test("the rate of a peer stands while no request is open", () => {
  const { requests } = open();
  requests.requested();
  requests.received(BLOCK_LENGTH_BYTES);
  requests.advance(100);
  const rate = requests.bytesPerSecond;
  requests.answered();
  requests.advance(10_000);
  assert.ok(rate > 0);
  assert.equal(requests.bytesPerSecond, rate);
});

test("a peer is hungry while its open requests last for less than 20 ms and a round trip", () => {
  const { requests, window } = open();
  const askUpTo = (count: number): void => {
    while (requests.outstanding < count) requests.requested();
  };
  askUpTo(3);
  assert.equal(requests.isHungry, true);
  askUpTo(4);
  assert.equal(requests.isHungry, false);
  // 1,000 blocks a second.
  for (let tick = 0; tick < 300; tick++) {
    requests.received(100 * BLOCK_LENGTH_BYTES);
    requests.advance(100);
  }
  askUpTo(19);
  assert.equal(requests.isHungry, true);
  askUpTo(21);
  assert.equal(requests.isHungry, false);
  window.lostCount();
  window.asked(1, 0);
  window.arrived(BLOCK_LENGTH_BYTES, 100);
  assert.equal(window.roundTripMs, 100);
  askUpTo(119);
  assert.equal(requests.isHungry, true);
  askUpTo(121);
  assert.equal(requests.isHungry, false);
});

test("an answer to nothing does not count as one", () => {
  const { requests, time } = open();
  requests.requested();
  time.nowMs = 5000;
  assert.equal(requests.answeredCancelled(9, 9), false);
  assert.equal(requests.unansweredMs, 5000);
});

test("a cancelled request is known by piece and block", () => {
  const { requests } = open();
  requests.requested();
  requests.cancelled(3, 1);
  assert.deepEqual(
    [requests.probe(3, 1), requests.answeredCancelled(1, 3), requests.answeredCancelled(3, 2)],
    [false, false, false],
  );
  assert.equal(requests.answeredCancelled(3, 1), true);
  assert.deepEqual([requests.answeredCancelled(3, 1), requests.probe(3, 1)], [false, true]);
});

test("the last block of a piece and the first of the next are two", () => {
  const { requests } = open();
  // 16 MiB have 1,024 blocks.
  requests.probe(0, 1023);
  requests.probe(1, 1022);
  assert.equal(requests.answeredCancelled(1, 1023), false);
  assert.equal(requests.answeredCancelled(0, 1022), false);
});

test("no more than 4,096 cancelled requests are kept: the oldest is forgotten first", () => {
  const { requests } = open();
  for (let block = 0; block < MOST_KEPT; block++) requests.probe(7, block);
  assert.equal(requests.probe(7, 0), false);
  requests.probe(8, 0);
  assert.deepEqual(
    [requests.answeredCancelled(7, 0), requests.answeredCancelled(7, 1), requests.answeredCancelled(8, 0)],
    [false, true, true],
  );
});

test("a peer owes an answer since the first request that nothing has been heard after", () => {
  const { time, requests } = open();
  assert.equal(requests.unansweredMs, 0);
  requests.requested();
  time.nowMs += 500;
  requests.requested();
  time.nowMs += 500;
  assert.equal(requests.unansweredMs, 1000);
  requests.answered();
  assert.equal(requests.unansweredMs, 0);
  time.nowMs += 700;
  assert.equal(requests.unansweredMs, 700);
  requests.answered();
  time.nowMs += 700;
  assert.equal(requests.unansweredMs, 0);
  requests.requested();
  time.nowMs += 10;
  assert.equal(requests.unansweredMs, 10);
  requests.choked();
  assert.equal(requests.unansweredMs, 0);
});

test("a peer is said to be silent from three seconds on, in whole seconds", () => {
  const { time, requests } = open();
  requests.requested();
  time.nowMs += 2999;
  assert.deepEqual([requests.remark, requests.stall], [undefined, undefined]);
  time.nowMs += 1;
  assert.deepEqual([requests.remark, requests.stall], ["silent for 3 s", "does not answer"]);
  time.nowMs += 4999;
  assert.equal(requests.remark, "silent for 7 s");
});

test("how a peer fails to deliver is remembered until it delivers; silence goes before it in the remark", () => {
  const { time, requests } = open();
  requests.stalled("rejects what it says it has");
  assert.deepEqual(
    [requests.remark, requests.stall],
    ["rejects what it says it has", "rejects what it says it has"],
  );
  requests.requested();
  time.nowMs += 4000;
  assert.deepEqual([requests.remark, requests.stall], ["silent for 4 s", "rejects what it says it has"]);
  requests.answered();
  requests.delivered();
  assert.deepEqual([requests.remark, requests.stall], [undefined, undefined]);
});

test("rejections are counted in a row: a block that arrives begins the count anew", () => {
  const { requests } = open();
  assert.equal(requests.hasRejected, false);
  assert.deepEqual([requests.rejected(), requests.rejected()], [1, 2]);
  assert.equal(requests.hasRejected, true);
  requests.delivered();
  assert.equal(requests.hasRejected, false);
  assert.equal(requests.rejected(), 1);
});
