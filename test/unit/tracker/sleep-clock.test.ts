import assert from "node:assert/strict";
import { test } from "node:test";
import { SleepClock } from "../../../src/tracker/sleep-clock.ts";
import { Standstill } from "../../../src/tracker/standstill.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

class Machine {
  wallMs = 1_800_000_000_000;
  monotonicMs = 5_000;
  bootMs = 70_000;
  readonly clock = new SleepClock({
    wallMs: () => this.wallMs,
    monotonicMs: () => this.monotonicMs,
    bootMs: () => this.bootMs,
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

test("a clock that is set, ahead or back, is no standstill, and hides none", () => {
  const machine = new Machine();
  const standstill = new Standstill(2_500, () => machine.clock.nowMs());
  for (const setMs of [DAY_MS, -DAY_MS]) {
    machine.wallMs += setMs;
    assert.equal(standstill.mayHaveHeldUp(0), false);
    machine.pass(500);
    assert.equal(standstill.beat(), undefined);
  }
  machine.wallMs -= DAY_MS;
  machine.sleep(3_000);
  assert.equal(standstill.mayHaveHeldUp(0), true, "read before the beat");
  assert.equal(standstill.beat(), 3_000);
  machine.pass(500);
  assert.equal(standstill.beat(), undefined);
  machine.pass(3_000);
  assert.equal(standstill.beat(), 3_000, "stopped without a sleep");
});
