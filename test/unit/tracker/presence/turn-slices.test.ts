import assert from "node:assert/strict";
import { test } from "node:test";
import { onTimerFault } from "../../../../src/net/timers.ts";
import { TurnSlices } from "../../../../src/tracker/presence/turn-slices.ts";

/** Slices whose turns the test takes, and jobs that note each of their steps. */
function stage() {
  let due: (() => void) | undefined;
  const slices = new TurnSlices((_delayMs, callback) => {
    due = callback;
    return () => {
      due = undefined;
    };
  });
  const taken = new Map<string, number>();
  const steps = function* (key: string, count: number) {
    for (let step = 0; step < count; step++) {
      taken.set(key, (taken.get(key) ?? 0) + 1);
      yield;
    }
  };
  const turn = () => {
    const run = due;
    due = undefined;
    run?.();
  };
  return { slices, steps, taken, turn };
}

test("keys take turns with a bounded number of steps, and jobs of one key run in order", async () => {
  const { slices, steps, taken, turn } = stage();
  const first = slices.run("a", steps("a", 5_000));
  assert.equal(taken.get("a"), 1_000);
  const second = slices.run("a", steps("a", 10));
  void slices.run("b", steps("b", 5_000));
  turn();
  const [a = 0, b = 0] = [taken.get("a"), taken.get("b")];
  assert.equal(a + b, 2_000);
  assert.ok(b >= 250 && b <= 750, `${b} steps of the second key`);
  for (let turns = 0; turns < 20; turns++) turn();
  await Promise.all([first, second]);
  assert.deepEqual([taken.get("a"), taken.get("b")], [5_010, 5_000]);
});

test("a short job of a call that has had its turn does not wait for long ones", async () => {
  const { slices, steps, taken } = stage();
  for (let key = 0; key < 100; key++) void slices.run(`long ${key}`, steps(`long ${key}`, 100_000));
  void slices.run("later", steps("later", 10));
  assert.equal(taken.get("later"), undefined, "the budget of this turn is spent");
  await slices.run("short", steps("short", 200), 250);
  assert.equal(taken.get("short"), 200);
  void slices.run("long", steps("long", 1_000), 250);
  assert.ok((taken.get("long") ?? 0) <= 251, "no more than that at once");
});

test("a step that fails fails its job, and the next of that key runs", async () => {
  const { slices, steps, taken, turn } = stage();
  const failing = slices.run(
    "a",
    (function* () {
      yield;
      throw new Error("gone");
    })(),
  );
  await assert.rejects(failing, /gone/);
  const next = slices.run("a", steps("a", 3));
  turn();
  await next;
  assert.equal(taken.get("a"), 3);
});

test("work that nobody waits for and that fails is reported, and the others go on", async (t) => {
  const faults: string[] = [];
  t.after(onTimerFault((error, where) => void faults.push(`${where}: ${String(error)}`)));
  const { slices, steps, taken, turn } = stage();
  const failing = function* () {
    yield* steps("failing", 2_000);
    throw new Error("a bug");
  };
  slices.runBehind("failing", failing());
  slices.runBehind("other", steps("other", 3_000));
  for (let turns = 0; turns < 20; turns++) turn();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(faults, ["failing: Error: a bug"]);
  assert.equal(taken.get("other"), 3_000);
});

test("what a call may do at once is taken from its own turn: the turn's budget does not grow by it", async () => {
  const { slices, steps, taken } = stage();
  void slices.run("long", steps("long", 10_000));
  for (let at = 0; at < 5; at++) await slices.run(`short ${at}`, steps(`short ${at}`, 100), 250);
  void slices.run("another", steps("another", 10));
  assert.equal(taken.get("another"), undefined, "the budget of this turn is spent");
});

test("a job that fails in a later turn ends, and the next of its key runs once", async () => {
  const { slices, steps, taken, turn } = stage();
  let calls = 0;
  const failing = {
    next: () => {
      if (++calls > 1_500) throw new Error("gone");
      return { done: false, value: undefined } as const;
    },
  };
  const failed = assert.rejects(slices.run("a", failing), /gone/);
  const next = slices.run("a", steps("a", 3));
  for (let turns = 0; turns < 10; turns++) turn();
  await Promise.all([failed, next]);
  assert.deepEqual([calls, taken.get("a"), slices.countOf("a")], [1_501, 3, 0]);
});

test("after its end no turn is asked for, and nothing waits", () => {
  let timers = 0;
  const slices = new TurnSlices(() => {
    timers++;
    return () => timers--;
  });
  const endless = { next: () => ({ done: false, value: undefined }) as const };
  for (const key of ["a", "b"]) void slices.run(key, endless);
  assert.deepEqual([timers, slices.countOf("a")], [1, 1]);
  slices.close();
  assert.deepEqual([timers, slices.countOf("a"), slices.countOf("b")], [0, 0, 0]);
});
