// The watch over a tracker's clock: it looks every second and before writes, tells what changed, and leaves the future.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import pino from "pino";
import { ClockGuard } from "../../../../src/tracker/registry/clock-guard.ts";
import { ClockWatch } from "../../../../src/tracker/registry/clock-watch.ts";
import { testStamp } from "./compliance.ts";

const START_MS = 1_800_000_000_000;
const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

function watch(t: TestContext, latestStamp = testStamp(0, "a")) {
  const time = { wallMs: START_MS, monotonicMs: 0 };
  const guard = new ClockGuard({
    wallMs: () => time.wallMs,
    monotonicMs: () => time.monotonicMs,
    bootMs: () => time.monotonicMs,
  });
  const renewed: unknown[] = [];
  const registry = {
    latestStamp,
    renewOrigin: (clock: unknown) => {
      renewed.push(clock);
      registry.latestStamp = testStamp(time.wallMs - START_MS, "b");
      return "b";
    },
  };
  const timers = new Set<{ delayMs: number; callback: () => void }>();
  const setTimer = (delayMs: number, callback: () => void) => {
    const timer = { delayMs, callback };
    timers.add(timer);
    return () => timers.delete(timer);
  };
  const told: (string | undefined)[] = [];
  const logged: string[] = [];
  const clockWatch = new ClockWatch({
    ...{ guard, registry: registry as never, clock: { nowMs: () => time.monotonicMs, setTimer } },
    log: pino({ level: "warn" }, { write: (line: string) => void logged.push(JSON.parse(line).msg) }),
    onChanged: (doubt) => told.push(doubt?.why),
  });
  t.after(() => clockWatch.close());
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      time.wallMs += 1_000;
      time.monotonicMs += 1_000;
      const [timer] = timers;
      assert.equal(timers.size, 1, "one timer at a time");
      assert.equal(timer?.delayMs, 1_000);
      if (timer !== undefined) timers.delete(timer);
      timer?.callback();
    }
  };
  return { time, guard, registry, renewed, timers, told, logged, clockWatch, pass };
}

test("a look at the clock that fails is not the last one", (t) => {
  const { guard, timers } = watch(t);
  const look = t.mock.method(guard, "look", () => {
    throw new Error("a bug");
  });
  for (let times = 1; times <= 3; times++) {
    const [next] = timers;
    if (next !== undefined) timers.delete(next);
    assert.throws(() => next?.callback(), /a bug/);
    assert.equal(look.mock.callCount(), times);
  }
});

test("a change is told once, by the next look or by who asks before it", (t) => {
  const { time, told, clockWatch, pass } = watch(t);
  pass(2_000);
  assert.deepEqual(told, []);
  time.wallMs += DAY_MS;
  pass(3_000);
  assert.deepEqual(told, ["jumped"], "by a look");
  time.wallMs -= DAY_MS;
  clockWatch.check();
  assert.deepEqual(told, ["jumped", undefined], "before a write");
  clockWatch.check();
  time.wallMs += DAY_MS;
  assert.equal(clockWatch.doubt?.why, "jumped");
  assert.deepEqual(told, ["jumped", undefined, "jumped"], "by who asks for the doubt");
  clockWatch.accept();
  assert.deepEqual(told, ["jumped", undefined, "jumped", undefined]);
  assert.equal(clockWatch.doubt, undefined);
});

test("a check looks at the registry only when something has changed", (t) => {
  const { guard, clockWatch } = watch(t);
  const look = t.mock.method(guard, "look");
  for (let times = 0; times < 5; times++) clockWatch.check();
  assert.equal(look.mock.callCount(), 0);
});

test("a clock that is far behind the newest stamp is in doubt from the start", (t) => {
  const { told, clockWatch, renewed } = watch(t, testStamp(DAY_MS, "a"));
  assert.deepEqual([told, clockWatch.doubt?.why, renewed], [["behind its past"], "behind its past", []]);
});

test("a clock that was ahead and is right again goes on under a new origin, once", (t) => {
  const { registry, renewed, logged, clockWatch, pass } = watch(t, testStamp(DAY_MS, "a"));
  clockWatch.accept();
  assert.deepEqual(renewed, ["is set back"]);
  assert.match(logged[0] ?? "", /^the clock was ahead when rows were written/);
  pass(2_000);
  registry.latestStamp = testStamp(HOUR_MS + 2_000, "b");
  pass(1_000);
  assert.equal(renewed.length, 1, "an hour ahead is no other time");
  registry.latestStamp = testStamp(HOUR_MS + 6_000, "b");
  pass(1_000);
  assert.equal(renewed.length, 2);
});

test("while the clock is in doubt nothing goes on under a new origin", (t) => {
  const { time, registry, renewed, pass } = watch(t);
  time.wallMs += DAY_MS;
  registry.latestStamp = testStamp(DAY_MS, "a");
  pass(2_000);
  assert.deepEqual(renewed, []);
});

test("a new origin that cannot be noted is tried again with the next look, and breaks nothing", (t) => {
  const { registry, logged, pass, renewed } = watch(t);
  const { renewOrigin } = registry;
  registry.renewOrigin = () => {
    throw new Error("the disk is full");
  };
  registry.latestStamp = testStamp(DAY_MS, "a");
  pass(2_000);
  assert.deepEqual(
    logged.map((line) => line.split(";")[0]),
    ["no new origin could be noted", "no new origin could be noted"],
  );
  registry.renewOrigin = renewOrigin;
  pass(2_000);
  assert.equal(renewed.length, 1);
});

test("a watch that is closed looks no more", (t) => {
  const { clockWatch, timers, pass } = watch(t);
  pass(2_000);
  clockWatch.close();
  assert.equal(timers.size, 0);
});
