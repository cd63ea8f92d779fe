import assert from "node:assert/strict";
import { test } from "node:test";
import { PendingConnectionLimiter } from "../../../src/net/pending-connection-limiter.ts";

function room(leastWaitMs = 0) {
  const gone: string[] = [];
  const clock = { nowMs: 0 };
  const waiting = new PendingConnectionLimiter<string>({
    most: 4,
    mostOfNetwork: 2,
    leastWaitMs,
    nowMs: () => clock.nowMs,
    drop: (connection) => gone.push(connection),
  });
  return { gone, clock, waiting };
}

test("when a network has too many connections, its longest-waiting one goes, and no other network's", () => {
  const { gone, waiting } = room();
  assert.ok(waiting.enter("member", "192.0.2.1"));
  for (const name of ["a", "b", "c"]) assert.ok(waiting.enter(name, "192.0.2.66"));
  assert.deepEqual(gone, ["a"]);
  assert.equal(waiting.size, 3);
});

test("addresses of one IPv6 network count as one", () => {
  const { gone, waiting } = room();
  for (const end of ["1", "2", "ffff:1"]) waiting.enter(end, `2001:db8:0:1::${end}`);
  assert.deepEqual(gone, ["1"]);
});

test("when all places are taken, one of the network with most of them goes", () => {
  const { gone, waiting } = room();
  waiting.enter("member", "192.0.2.1");
  waiting.enter("other", "192.0.2.2");
  waiting.enter("a", "192.0.2.66");
  waiting.enter("b", "192.0.2.66");
  assert.ok(waiting.enter("late member", "192.0.2.3"));
  assert.deepEqual(gone, ["a"]);
});

test("a connection that has left takes no place, and is not dropped", () => {
  const { gone, waiting } = room();
  for (const name of ["a", "b", "c"]) {
    waiting.enter(name, "192.0.2.1");
    waiting.leave(name);
  }
  assert.deepEqual([gone, waiting.size], [[], 0]);
  assert.equal(waiting.networkCount, 0, "nothing is kept of a network whose connections have left");
  waiting.leave("never entered");
});

test("a connection that has waited less than the least is not dropped: the new one is", () => {
  const { gone, clock, waiting } = room(1000);
  clock.nowMs = 5000;
  waiting.enter("a", "192.0.2.1");
  waiting.enter("b", "192.0.2.1");
  assert.equal(waiting.enter("c", "192.0.2.1"), false);
  clock.nowMs = 5999;
  assert.equal(waiting.enter("c", "192.0.2.1"), false);
  clock.nowMs = 6000;
  assert.ok(waiting.enter("d", "192.0.2.1"));
  assert.deepEqual(gone, ["c", "c", "a"]);
});

test("a connection of a smaller network takes a place of the largest one, however short the wait there", () => {
  const { gone, waiting } = room(1000);
  for (const [name, host] of [
    ["a", "192.0.2.66"],
    ["b", "192.0.2.66"],
    ["c", "192.0.2.67"],
    ["d", "192.0.2.67"],
  ] as const) {
    waiting.enter(name, host);
  }
  assert.ok(waiting.enter("member", "192.0.2.1"));
  assert.ok(waiting.enter("e", "192.0.2.68"));
  assert.equal(waiting.enter("f", "192.0.2.69"), false);
  assert.deepEqual(gone, ["a", "c", "f"]);
});

test("a connection is dropped once, and one that leaves after that changes nothing", () => {
  const { gone, waiting } = room();
  for (const name of ["a", "b", "c"]) waiting.enter(name, "192.0.2.1");
  assert.deepEqual([gone, waiting.size], [["a"], 2]);
  waiting.leave("a");
  waiting.leave("a");
  assert.deepEqual([gone, waiting.size], [["a"], 2]);
  waiting.leave("b");
  waiting.leave("c");
  assert.equal(waiting.size, 0);
  for (const name of ["d", "e"]) assert.ok(waiting.enter(name, "192.0.2.1"));
  assert.deepEqual(gone, ["a"]);
});

test("a connection that has left leaves its network's place to the next, while others of it stay", () => {
  const { gone, waiting } = room();
  waiting.enter("a", "192.0.2.1");
  waiting.enter("b", "192.0.2.1");
  waiting.leave("a");
  waiting.enter("c", "192.0.2.1");
  assert.deepEqual(gone, []);
  waiting.enter("d", "192.0.2.1");
  assert.deepEqual(gone, ["b"]);
});

test("a network of as many is not robbed for the next of its size before the least wait is over", () => {
  const { gone, clock, waiting } = room(1_000);
  for (const [name, host] of [
    ["a", "192.0.2.1"],
    ["b", "192.0.2.1"],
    ["c", "192.0.2.2"],
    ["d", "192.0.2.3"],
  ] as const) {
    waiting.enter(name, host);
  }
  // With one more, 192.0.2.2 would have as many as the largest.
  assert.equal(waiting.enter("e", "192.0.2.2"), false);
  clock.nowMs = 999;
  assert.equal(waiting.enter("f", "192.0.2.2"), false);
  clock.nowMs = 1_000;
  assert.equal(waiting.enter("g", "192.0.2.2"), true);
  assert.deepEqual(gone, ["e", "f", "a"]);
});
