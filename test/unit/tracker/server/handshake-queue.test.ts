import assert from "node:assert/strict";
import { test } from "node:test";
import { HandshakeQueue } from "../../../../src/tracker/server/handshake-queue.ts";

const MOST = 6;

function queue() {
  const begun: string[] = [];
  const gone: string[] = [];
  const clock = { nowMs: 0 };
  const turns: (() => void)[] = [];
  const handshakes = new HandshakeQueue<string>({
    most: MOST,
    mostOfNetwork: 3,
    longestWaitMs: 1000,
    beginsPerTurn: 2,
    nowMs: () => clock.nowMs,
    nextTurn: (run) => turns.push(run),
    begin: (connection) => begun.push(connection),
    drop: (connection) => gone.push(connection),
  });
  const comeFrom = (host: string, ...connections: string[]) => {
    for (const connection of connections) handshakes.enter(connection, host);
  };
  const turn = (): string[] => {
    begun.length = 0;
    assert.ok(turns.length <= 1, "asked for more than one turn");
    turns.shift()?.();
    return [...begun];
  };
  /** Those of this turn have begun; whoever comes now waits. */
  const fill = () => comeFrom("198.51.100.1", "first", "second");
  return { handshakes, begun, gone, clock, turns, comeFrom, turn, fill };
}

test("without waiting connections a handshake begins at once, some in a turn", () => {
  const { handshakes, begun, comeFrom, turn, turns } = queue();
  comeFrom("192.0.2.1", "a", "b", "c");
  assert.deepEqual(begun, ["a", "b"]);
  assert.equal(handshakes.size, 1);
  assert.deepEqual(turn(), ["c"]);
  assert.deepEqual(turn(), []);
  assert.equal(turns.length, 0);
  comeFrom("192.0.2.1", "d");
  assert.deepEqual(begun, ["d"]);
});

test("the newest begins first, of all networks and within one", () => {
  const { comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a1", "a2");
  comeFrom("192.0.2.2", "b");
  comeFrom("192.0.2.3", "c");
  assert.deepEqual(turn(), ["c", "b"]);
  comeFrom("192.0.2.4", "d");
  assert.deepEqual(turn(), ["d", "a2"]);
  assert.deepEqual(turn(), ["a1"]);
});

test("a network that keeps connecting is served once in a round, and does not keep another out", () => {
  const { comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "member");
  comeFrom("192.0.2.66", "x1", "x2", "x3");
  assert.deepEqual(turn(), ["x3", "member"]);
  comeFrom("192.0.2.66", "x4");
  comeFrom("192.0.2.1", "other member");
  assert.deepEqual(turn(), ["x4", "other member"]);
  assert.deepEqual(turn(), ["x2", "x1"]);
});

test("addresses of one IPv6 network are served as one", () => {
  const { comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "member");
  comeFrom("2001:db8:0:1::1", "x1");
  comeFrom("2001:db8:0:1:ffff::2", "x2");
  assert.deepEqual(turn(), ["x2", "member"]);
});

test("when a network has too many connections, its longest-waiting one goes, and no other network's", () => {
  const { gone, comeFrom, fill, turn } = queue();
  fill();
  comeFrom("192.0.2.1", "member");
  comeFrom("192.0.2.66", "x1", "x2", "x3", "x4");
  assert.deepEqual(gone, ["x1"]);
  assert.deepEqual(turn(), ["x4", "member"]);
});

test("when all places are taken, the one that has waited longest of the largest network goes", () => {
  const { handshakes, gone, comeFrom, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a");
  comeFrom("192.0.2.66", "x1", "x2", "x3");
  comeFrom("192.0.2.2", "b1", "b2");
  comeFrom("192.0.2.3", "c");
  assert.deepEqual(gone, ["x1"]);
  assert.equal(handshakes.size, MOST);
});

test("a connection that has left never begins, and takes no place", () => {
  const { handshakes, gone, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a", "b", "c");
  handshakes.leave("c");
  handshakes.leave("c");
  comeFrom("192.0.2.1", "d");
  assert.deepEqual(turn(), ["d", "b"]);
  assert.deepEqual([gone, handshakes.size], [[], 1]);
});

test("a connection that has waited longer than any client does is dropped", () => {
  const { gone, clock, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "old");
  clock.nowMs = 600;
  comeFrom("192.0.2.1", "a", "b");
  clock.nowMs = 1000;
  assert.deepEqual(turn(), ["b", "a"]);
  assert.deepEqual(gone, ["old"]);
});

test("thousands that come and go leave the others in their order", () => {
  const { handshakes, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a");
  comeFrom("192.0.2.2", "b");
  for (let index = 0; index < 1000; index++) {
    comeFrom(`203.0.113.${index % 250}`, `x${index}`);
    handshakes.leave(`x${index}`);
  }
  comeFrom("192.0.2.3", "c");
  assert.deepEqual(turn(), ["c", "b"]);
  assert.deepEqual(turn(), ["a"]);
});

test("handshakes that begin at once count for the turn, and a new connection does not overtake a waiting one", () => {
  const { begun, comeFrom, turn } = queue();
  comeFrom("192.0.2.1", "a", "b", "c", "d", "e");
  assert.deepEqual(begun, ["a", "b"]);
  assert.deepEqual(turn(), ["e", "d"]);
  comeFrom("192.0.2.1", "f");
  assert.deepEqual(begun, ["e", "d"], "c waits");
  assert.deepEqual(turn(), ["f", "c"]);
});

test("a network has as many places as it may have, and all together as there are", () => {
  const { handshakes, gone, comeFrom, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a1", "a2", "a3");
  comeFrom("192.0.2.2", "b1", "b2");
  comeFrom("192.0.2.3", "c1");
  assert.deepEqual([gone, handshakes.size], [[], MOST]);
  comeFrom("192.0.2.4", "d1");
  assert.deepEqual([gone, handshakes.size], [["a1"], MOST], "the largest network's goes");
  comeFrom("192.0.2.2", "b3", "b4");
  assert.deepEqual(gone, ["a1", "a2", "b1"], "of two that are as large the first; at its own bound, its own");
});

test("one that leaves from the middle leaves the order of the others", () => {
  const { handshakes, gone, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a", "b", "c");
  handshakes.leave("b");
  assert.deepEqual(turn(), ["c", "a"]);
  assert.deepEqual([turn(), gone, handshakes.size], [[], [], 0]);
});

test("nobody is turned away before the longest wait is over", () => {
  const { gone, clock, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a", "b", "c");
  clock.nowMs = 999;
  assert.deepEqual(turn(), ["c", "b"]);
  assert.deepEqual(gone, []);
  clock.nowMs = 1000;
  assert.deepEqual(turn(), []);
  assert.deepEqual(gone, ["a"]);
});

test("rounds begin with the network that came last, and serve each in the same order again", () => {
  const { comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a1", "a2");
  comeFrom("192.0.2.2", "b1", "b2");
  comeFrom("192.0.2.3", "c1", "c2");
  assert.deepEqual(turn(), ["c2", "b2"]);
  assert.deepEqual(turn(), ["a2", "c1"]);
  assert.deepEqual(turn(), ["b1", "a1"]);
});

test("a network that was served in this round has its turn in the next one, however many came and went meanwhile", () => {
  const { handshakes, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a1", "a2");
  comeFrom("192.0.2.2", "b1", "b2");
  assert.deepEqual(turn(), ["b2", "a2"]);
  for (let index = 0; index < 100; index++) {
    comeFrom(`203.0.113.${index}`, `x${index}`);
    handshakes.leave(`x${index}`);
  }
  comeFrom("192.0.2.3", "c");
  assert.deepEqual(turn(), ["c", "b1"]);
  assert.deepEqual(turn(), ["a1"]);
});

test("an empty queue starts a new round with the next connection", () => {
  const { comeFrom, turn, fill, begun } = queue();
  fill();
  comeFrom("192.0.2.1", "a1");
  assert.deepEqual(turn(), ["a1"]);
  comeFrom("192.0.2.1", "a2");
  assert.deepEqual(begun, ["a1", "a2"], "one place of this turn was left");
  comeFrom("192.0.2.2", "b1");
  comeFrom("192.0.2.1", "a3");
  assert.deepEqual(turn(), ["a3", "b1"], "the newest, though its network was the last to be served");
});
