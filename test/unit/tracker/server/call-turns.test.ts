import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { CallTurns } from "../../../../src/tracker/server/call-turns.ts";

/** Turns on a clock that only calls move. */
function stage() {
  let nowMs = 0;
  const due: (() => void)[] = [];
  const turns = new CallTurns({ nowMs: () => nowMs, nextTurn: (run) => due.push(run) });
  const served: string[] = [];
  const call = (key: string, costMs: number) =>
    turns.take(key).then(() => {
      served.push(key);
      nowMs += costMs;
    });
  /** What is due now, as an event loop runs it: promises in between. @returns for how long it did not read or write */
  const turn = async () => {
    const startMs = nowMs;
    for (const run of due.splice(0)) {
      run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return nowMs - startMs;
  };
  return { turns, served, call, turn, isIdle: () => due.length === 0 };
}

test("an account whose calls are expensive gets as much time as one whose calls are cheap", async () => {
  const { served, call, turn } = stage();
  for (let at = 0; at < 50; at++) call("expensive", 20);
  for (let at = 0; at < 500; at++) call("cheap", 1);
  while (served.length < 210) await turn();
  const expensive = served.filter((key) => key === "expensive").length;
  assert.ok(expensive >= 9 && expensive <= 11, `${expensive} expensive ones beside 200 cheap ones`);
});

test("a call waits for the one that runs, however many accounts have expensive ones waiting", async () => {
  const { served, call, turn } = stage();
  for (let at = 0; at < 20; at++) for (let account = 0; account < 20; account++) call(`flood${account}`, 50);
  for (let turns = 0; turns < 60; turns++) await turn();
  const before = served.length;
  call("member", 1);
  await turn();
  await turn();
  assert.ok(served.indexOf("member", before) - before <= 1, `served ${served.indexOf("member") - before}th`);
});

test("a caller that asks for little has some credit, and no more than that, however long it asked for nothing", async () => {
  const { served, call, turn } = stage();
  for (let at = 0; at < 2_000; at++) call("early", 1);
  while (served.length < 1_000) await turn();
  const before = served.length;
  for (let at = 0; at < 400; at++) call("late", 1);
  while (served.length < before + 300) await turn();
  const late = served.slice(before).filter((key) => key === "late").length;
  assert.ok(late >= 165 && late <= 185, `${late} of 300: 50 in advance, and half of the others`);
});

test("a modest caller's calls run at once, beside accounts that call all the time", async () => {
  const { served, call, turn } = stage();
  for (let at = 0; at < 200; at++) for (let account = 0; account < 20; account++) call(`flood${account}`, 4);
  while (served.length < 600) await turn();
  for (let asked = 0; asked < 10; asked++) {
    const before = served.length;
    for (let at = 0; at < 3; at++) call("member", 4);
    await turn();
    await turn();
    const own = served.slice(before).filter((key) => key === "member").length;
    assert.equal(own, 3, `served ${served.slice(before).join()}`);
    // As much time for each of the others as it has had.
    while (served.length < before + 3 + 20 * 3) await turn();
  }
});

test("time that a call takes outside of its turn is its account's as well", async () => {
  const { turns, served, call, turn } = stage();
  for (let at = 0; at < 300; at++) {
    call("writes", 1);
    call("reads", 1);
  }
  while (served.length < 250) await turn();
  turns.charge("writes", 60);
  const before = served.length;
  while (served.length < before + 50) await turn();
  assert.ok(!served.slice(before + 2, before + 50).includes("writes"));
});

test("the event loop continues between slices of some milliseconds", async () => {
  const { served, call, turn, isIdle } = stage();
  for (let at = 0; at < 3_000; at++) call(`account${at % 7}`, 0.5);
  while (served.length < 1_500) assert.ok((await turn()) <= 16, "longer for those within their share");
  while (!isIdle()) assert.ok((await turn()) <= 6);
});

test("an account whose calls pile up is told to wait; others are not", async () => {
  const { turns } = stage();
  for (let at = 0; at < 4_000; at++) void turns.take("flood");
  await assert.rejects(turns.take("flood"), { code: "TRACKER_BUSY", retryAfterMs: 1_000 });
  void turns.take("member");
  assert.equal(turns.waitingCount, 4_001);
});

test("every call has its turn once, in the order of its account, whatever they cost", async () => {
  const calls = fc.array(
    fc.record({
      key: fc.constantFrom("a", "b", "c", "d"),
      costMs: fc.integer({ min: 0, max: 30 }),
      chargeMs: fc.integer({ min: 0, max: 30 }),
      turnsAfter: fc.integer({ min: 0, max: 2 }),
    }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(calls, async (all) => {
      const { turns, call, turn, isIdle } = stage();
      const done: number[] = [];
      for (const [at, { key, costMs, chargeMs, turnsAfter }] of all.entries()) {
        void call(key, costMs).then(() => done.push(at));
        turns.charge(key, chargeMs);
        for (let turned = 0; turned < turnsAfter; turned++) await turn();
      }
      while (!isIdle()) await turn();
      assert.deepEqual(
        [...done].sort((a, b) => a - b),
        [...all.keys()],
      );
      for (const key of ["a", "b", "c", "d"]) {
        const own = done.filter((at) => all[at]?.key === key);
        assert.deepEqual(
          own,
          own.toSorted((a, b) => a - b),
        );
      }
    }),
    { numRuns: 50 },
  );
});

test("work after a slice is done in the same turn of the event loop, after the slice's calls", async () => {
  const { turns, served, call, turn } = stage();
  const servedThen: number[] = [];
  turns.onSliceEnd(() => servedThen.push(served.length));
  for (let at = 0; at < 5; at++) call(`account${at}`, 1);
  await turn();
  assert.deepEqual(servedThen, [1]);
  await turn();
  assert.deepEqual(servedThen, [1, 5]);
});

test("a hundred thousand calls of all accounts wait at a time", async () => {
  const { turns } = stage();
  for (let at = 0; at < 100_000; at++) void turns.take(`account ${at % 50}`);
  await assert.rejects(turns.take("one more"), { code: "TRACKER_BUSY", retryAfterMs: 1_000 });
});

test("an idle caller is remembered, while others wait, only as long as it has used more than its share", async () => {
  const { turns, served, call, turn, isIdle } = stage();
  turns.charge("idle", 10);
  assert.equal(turns.callerCount, 0);
  for (let at = 0; at < 500; at++) call("flood", 5);
  call("greedy", 10_000);
  let most = 0;
  for (let guest = 0; guest < 3_000; guest++) {
    call(`guest ${guest}`, 0);
    if (guest % 60 !== 0) continue;
    await turn();
    most = Math.max(most, turns.callerCount);
  }
  assert.ok(most <= 1_500, `${most} are remembered`);
  const before = served.length;
  call("greedy", 1);
  for (let turned = 0; turned < 20; turned++) await turn();
  assert.ok(served.includes("greedy") && !served.slice(before).includes("greedy"), "its debt is forgotten");
  while (!isIdle()) await turn();
  assert.equal(turns.callerCount, 0);
});

test("some calls of a caller within its share run in one slice, though that gets longer", async () => {
  const { served, call, turn } = stage();
  for (let at = 0; at < 300; at++) call("flood", 4);
  while (served.length < 50) await turn();
  const before = served.length;
  for (let at = 0; at < 3; at++) call("member", 4);
  await turn();
  assert.deepEqual(served.slice(before, before + 3), ["member", "member", "member"]);
});

test("a caller that is served late does not set the clock of all others back", async () => {
  const { served, call, turn } = stage();
  for (let at = 0; at < 400; at++) call("flood", 5);
  while (served.length < 100) await turn();
  call("late", 0);
  await turn();
  const before = served.length;
  // New callers start where the others are, not where the late one was.
  for (let at = 0; at < 40; at++) call("new", 5);
  while (served.length < before + 40) await turn();
  const own = served.slice(before, before + 40).filter((key) => key === "new").length;
  assert.ok(own <= 27, `${own} of 40: ten in advance, and half of the others`);
});
