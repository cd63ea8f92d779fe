// A round that takes the longer the more there is, and costs no more.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SlowRound } from "../../../src/client/slow-round.ts";
import { onTimerFault } from "../../../src/net/timers.ts";

/** One look a second; a round takes five at least. */
function roundOf(
  t: TestContext,
  all: Set<string>,
): { looked: string[]; pass: (ms: number) => Promise<void> } {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const looked: string[] = [];
  const look = async (one: string): Promise<void> => {
    looked.push(one);
    if (one === "bad") throw new Error("a bug");
  };
  const round = new SlowRound({ all: () => all, look, pauseMs: 1_000, leastRoundMs: 5_000 });
  t.after(() => round.close());
  const pass = async (ms: number): Promise<void> => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 500) {
      t.mock.timers.tick(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { looked, pass };
}

test("of a few, each is looked at once a round; of many, one after the other at the same pace", async (t) => {
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

test("what is removed is not looked at, what is added is", async (t) => {
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
