import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission } from "../../../src/tracker/admission.ts";

const MOST = 6;

function queue() {
  const begun: string[] = [];
  const gone: string[] = [];
  const clock = { nowMs: 0 };
  const turns: (() => void)[] = [];
  const admission = new Admission<string>({
    most: MOST,
    mostOfNetwork: 3,
    longestWaitMs: 1000,
    beginsPerTurn: 2,
    nowMs: () => clock.nowMs,
    nextTurn: (run) => turns.push(run),
    begin: (visitor) => begun.push(visitor),
    turnAway: (visitor) => gone.push(visitor),
  });
  const comeFrom = (host: string, ...visitors: string[]) => {
    for (const visitor of visitors) admission.enter(visitor, host);
  };
  const turn = (): string[] => {
    begun.length = 0;
    assert.ok(turns.length <= 1, "asked for more than one turn");
    turns.shift()?.();
    return [...begun];
  };
  /** Those of this turn have begun; whoever comes now waits. */
  const fill = () => comeFrom("198.51.100.1", "first", "second");
  return { admission, begun, gone, clock, turns, comeFrom, turn, fill };
}

test("where nobody waits a visitor begins at once, some in a turn", () => {
  const { admission, begun, comeFrom, turn, turns } = queue();
  comeFrom("192.0.2.1", "a", "b", "c");
  assert.deepEqual(begun, ["a", "b"]);
  assert.equal(admission.size, 1);
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

test("a network that goes on coming is served once in a round, and does not keep another out", () => {
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

test("of a network that has too many the one that has waited longest goes, and nobody else's", () => {
  const { gone, comeFrom, fill, turn } = queue();
  fill();
  comeFrom("192.0.2.1", "member");
  comeFrom("192.0.2.66", "x1", "x2", "x3", "x4");
  assert.deepEqual(gone, ["x1"]);
  assert.deepEqual(turn(), ["x4", "member"]);
});

test("when all places are taken, the one that has waited longest of the largest network goes", () => {
  const { admission, gone, comeFrom, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a");
  comeFrom("192.0.2.66", "x1", "x2", "x3");
  comeFrom("192.0.2.2", "b1", "b2");
  comeFrom("192.0.2.3", "c");
  assert.deepEqual(gone, ["x1"]);
  assert.equal(admission.size, MOST);
});

test("who has left begins no more, and takes no place", () => {
  const { admission, gone, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a", "b", "c");
  admission.leave("c");
  admission.leave("c");
  comeFrom("192.0.2.1", "d");
  assert.deepEqual(turn(), ["d", "b"]);
  assert.deepEqual([gone, admission.size], [[], 1]);
});

test("who has waited longer than anybody has patience goes", () => {
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
  const { admission, comeFrom, turn, fill } = queue();
  fill();
  comeFrom("192.0.2.1", "a");
  comeFrom("192.0.2.2", "b");
  for (let index = 0; index < 1000; index++) {
    comeFrom(`203.0.113.${index % 250}`, `x${index}`);
    admission.leave(`x${index}`);
  }
  comeFrom("192.0.2.3", "c");
  assert.deepEqual(turn(), ["c", "b"]);
  assert.deepEqual(turn(), ["a"]);
});
