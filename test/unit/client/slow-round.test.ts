// A round that takes the longer the more there is, and costs no more.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SlowRound } from "../../../src/client/slow-round.ts";
import { onTimerFault } from "../../../src/net/timers.ts";

/** One look a second; a round takes five at least. */
function roundOf(
  t: TestContext,
  all: Set<string>,
  calmPauseMs = 1_000,
): {
  looked: string[];
  round: SlowRound<string>;
  pass: (ms: number) => Promise<void>;
  hold: () => () => void;
} {
  t.mock.timers.reset();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  let gate: Promise<void> | undefined;
  const looked: string[] = [];
  const look = async (one: string): Promise<void> => {
    looked.push(one);
    if (one === "bad") throw new Error("a bug");
    await gate;
  };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  const round = new SlowRound({ all: () => all, look, pauseMs: 1_000, calmPauseMs, leastRoundMs: 5_000 });
  t.after(() => round.close());
  const pass = async (ms: number): Promise<void> => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 500) {
      t.mock.timers.tick(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { looked, round, pass, hold };
}

test("a few are each looked at once a round; many, one after the other at the same pace", async (t) => {
  const all = new Set(["a", "b"]);
  const { looked, pass } = roundOf(t, all);
  await pass(30_000);
  assert.ok(looked.length >= 8 && looked.length <= 14, `${looked.length}`);
  for (let i = 0; i < 100; i++) all.add(`${i}`);
  const before = looked.length;
  await pass(100_000);
  assert.ok(looked.length - before <= 101);
  assert.ok(new Set(looked.slice(before)).size >= 90);
});

test("after two rounds the looks are rarer", async (t) => {
  const all = new Set(Array.from({ length: 10 }, (_, index) => `${index}`));
  const { looked, pass } = roundOf(t, all, 4_000);
  await pass(22_000);
  assert.equal(looked.length, 20, "two rounds, and a pause at the end of each");
  await pass(1_000 + 9 * 4_000 - 500);
  assert.equal(looked.length, 29);
  await pass(500);
  assert.equal(looked.length, 30);
});

test("a removed entry is not looked at, an added one is", async (t) => {
  const all = new Set(["a", "b", "c"]);
  const { looked, pass } = roundOf(t, all);
  await pass(1_500);
  assert.deepEqual(looked, ["a"]);
  all.delete("b");
  all.add("d");
  await pass(3_000);
  assert.deepEqual(looked, ["a", "c", "d"]);
});

test("a look that fails is reported, and the round goes on", async (t) => {
  const faults: unknown[] = [];
  t.after(onTimerFault((error) => void faults.push(error)));
  const { looked, pass } = roundOf(t, new Set(["bad", "b"]));
  await pass(4_000);
  assert.deepEqual(looked.slice(0, 2), ["bad", "b"]);
  assert.equal(faults.length, looked.filter((one) => one === "bad").length);
});

test("in a round that takes longer than it must, the pause between its last look and the next is as any other", async (t) => {
  const all = new Set(Array.from({ length: 8 }, (_, i) => `${i}`));
  const { looked, pass } = roundOf(t, all);
  await pass(8_000);
  assert.equal(looked.length, 8);
  await pass(1_500);
  assert.equal(looked.length, 8, "its end is found after a pause");
  await pass(500);
  assert.equal(looked.length, 9);
});

test("closed, it looks at nothing any more, also if it was closed during a look", async (t) => {
  const { looked, round, pass } = roundOf(t, new Set(["a", "b"]));
  await pass(1_000);
  round.close();
  await pass(20_000);
  assert.deepEqual(looked, ["a"]);
  const other = roundOf(t, new Set(["a", "b"]));
  const end = other.hold();
  await other.pass(1_000);
  other.round.close();
  end();
  await other.pass(20_000);
  assert.deepEqual(other.looked, ["a"]);
});

test("a look that lasts is waited for", async (t) => {
  const { looked, pass, hold } = roundOf(t, new Set(["a", "b"]));
  const end = hold();
  await pass(10_000);
  assert.deepEqual(looked, ["a"]);
  end();
  await pass(1_500);
  assert.deepEqual(looked, ["a", "b"]);
});

test("a round keeps no process from its end", (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const before = timers();
  const round = new SlowRound({
    all: () => [],
    look: async () => undefined,
    pauseMs: 60_000,
    calmPauseMs: 60_000,
    leastRoundMs: 0,
  });
  t.after(() => round.close());
  assert.equal(timers(), before);
});
