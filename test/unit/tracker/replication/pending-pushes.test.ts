import assert from "node:assert/strict";
import { test } from "node:test";
import { PendingPushes } from "../../../../src/tracker/replication/pending-pushes.ts";

function pending() {
  const timers: { delayMs: number; callback: () => void; isCancelled: boolean }[] = [];
  const setTimer = (delayMs: number, callback: () => void) => {
    const timer = { delayMs, callback, isCancelled: false };
    timers.push(timer);
    return () => {
      timer.isCancelled = true;
    };
  };
  const timedOut: string[] = [];
  const pushes = new PendingPushes({ nowMs: () => 0, setTimer }, (reason) => timedOut.push(reason));
  return { timers, timedOut, pushes };
}

test("a push that is answered is taken once, and its time is over", async () => {
  const { timers, pushes } = pending();
  const [one, other] = [pushes.add("aa", 5), pushes.add("aa", 7)];
  assert.notEqual(one.id, other.id);
  const taken = pushes.take(one.id);
  assert.deepEqual([taken?.origin, taken?.upTo], ["aa", 5]);
  assert.equal(pushes.take(one.id), undefined);
  taken?.letGo(true);
  assert.equal(await one.letGo, true);
  assert.deepEqual(
    timers.map(({ delayMs, isCancelled }) => [delayMs, isCancelled]),
    [
      [2_000, true],
      [2_000, false],
    ],
  );
  pushes.take(other.id)?.letGo(false);
  assert.equal(await other.letGo, false);
});

test("a push that is not answered in time is reported", () => {
  const { timers, timedOut, pushes } = pending();
  pushes.add("aa", 1);
  timers[0]?.callback();
  assert.deepEqual(timedOut, ["no answer to a write within 2000 ms"]);
});

test("when the link is gone none is stored, and none is pending any more", async () => {
  const { timers, pushes } = pending();
  const added = [pushes.add("aa", 1), pushes.add("bb", 1)];
  pushes.letAllGo();
  assert.deepEqual(await Promise.all(added.map(({ letGo }) => letGo)), [false, false]);
  assert.ok(timers.every(({ isCancelled }) => isCancelled));
  for (const { id } of added) assert.equal(pushes.take(id), undefined);
});
