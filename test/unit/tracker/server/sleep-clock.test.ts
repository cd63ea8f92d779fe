import assert from "node:assert/strict";
import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import { test } from "node:test";
import { SleepClock } from "../../../../src/tracker/server/sleep-clock.ts";
import { SuspendDetector } from "../../../../src/tracker/server/suspend-detector.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

class Machine {
  wallMs = 1_800_000_000_000;
  monotonicMs = 5_000;
  bootMs = 70_000;
  /** How often the boot clock was read, which costs a file. */
  looks = 0;
  readonly clock = new SleepClock({
    wallMs: () => this.wallMs,
    monotonicMs: () => this.monotonicMs,
    bootMs: () => {
      this.looks++;
      return this.bootMs;
    },
  });

  pass(ms: number): void {
    this.monotonicMs += ms;
    this.sleep(ms);
  }

  sleep(ms: number): void {
    this.wallMs += ms;
    this.bootMs += ms;
  }
}

test("counts what passes and what is slept, and not what the clock is set by", () => {
  const machine = new Machine();
  const startMs = machine.clock.nowMs();
  machine.pass(1_000);
  assert.equal(machine.clock.nowMs() - startMs, 1_000);
  machine.sleep(DAY_MS);
  assert.equal(machine.clock.nowMs() - startMs, DAY_MS + 1_000);
  for (const setMs of [DAY_MS, -3 * DAY_MS]) {
    machine.wallMs += setMs;
    machine.pass(10);
    machine.clock.nowMs();
  }
  machine.sleep(500);
  assert.equal(machine.clock.nowMs() - startMs, DAY_MS + 1_520);
});

test("a clock that is set, ahead or back, is no suspension, and hides none", () => {
  const machine = new Machine();
  const suspendDetector = new SuspendDetector(2_500, () => machine.clock.nowMs());
  for (const setMs of [DAY_MS, -DAY_MS]) {
    machine.wallMs += setMs;
    assert.equal(suspendDetector.mayBeStale(0), false);
    machine.pass(500);
    assert.equal(suspendDetector.tick(), undefined);
  }
  machine.wallMs -= DAY_MS;
  machine.sleep(3_000);
  assert.equal(suspendDetector.mayBeStale(0), true, "read before the beat");
  assert.equal(suspendDetector.tick(), 3_000);
  machine.pass(500);
  assert.equal(suspendDetector.tick(), undefined);
  machine.pass(3_000);
  assert.equal(suspendDetector.tick(), 3_000, "stopped without a sleep");
});

test("the boot clock is read only when the others disagree, and once for each time", () => {
  const machine = new Machine();
  machine.looks = 0;
  machine.wallMs += 250;
  for (let times = 0; times < 3; times++) machine.clock.nowMs();
  assert.equal(machine.looks, 0, "small corrections");
  machine.wallMs += DAY_MS;
  for (let times = 0; times < 3; times++) machine.clock.nowMs();
  assert.equal(machine.looks, 1);
});

test("never goes back, though the boot clock is coarse", () => {
  const machine = new Machine();
  const startMs = machine.clock.nowMs();
  machine.wallMs += DAY_MS;
  machine.bootMs -= 10;
  assert.equal(machine.clock.nowMs(), startMs);
});

test("the machine's own boot clock counts in seconds, this one in milliseconds", (t) => {
  let [uptimeSeconds, monotonicMs] = [1_000, 100_000];
  t.mock.method(os, "uptime", () => uptimeSeconds);
  t.mock.method(performance, "now", () => monotonicMs);
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const clock = new SleepClock();
  const startMs = clock.nowMs();
  // It disagrees with the wall clock.
  monotonicMs -= 60_000;
  uptimeSeconds += 90;
  assert.equal(clock.nowMs() - startMs, 90_000);
});
