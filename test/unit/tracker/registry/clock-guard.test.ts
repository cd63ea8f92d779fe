import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClockGuard } from "../../../../src/tracker/registry/clock-guard.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const START_MS = 1_800_000_000_000;

/** A machine whose clocks pass together, unless its wall clock is set or it sleeps; and its tracker, which looks every second. */
class Machine {
  wallMs = START_MS;
  monotonicMs = 5_000;
  bootMs = 70_000;
  latestMs = START_MS;
  readonly guard: ClockGuard;

  constructor(wallMs = START_MS, latestMs = wallMs) {
    this.wallMs = wallMs;
    this.latestMs = latestMs;
    this.guard = new ClockGuard({
      wallMs: () => this.wallMs,
      monotonicMs: () => this.monotonicMs,
      bootMs: () => this.bootMs,
    });
    this.guard.look(latestMs);
  }

  get why(): string | undefined {
    return this.guard.doubt?.why;
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1_000) {
      const step = Math.min(left, 1_000);
      this.wallMs += step;
      this.monotonicMs += step;
      this.bootMs += step;
      this.guard.look(this.latestMs);
    }
  }

  sleep(ms: number): void {
    this.wallMs += ms;
    this.bootMs += ms;
  }

  hears(other: Machine, name = "other"): void {
    this.guard.heard(name, other.guard.reading());
  }

  /** Some seconds in which both hear each other. */
  static meet(...machines: Machine[]): void {
    for (let second = 0; second < 3; second++) {
      for (const one of machines)
        for (const other of machines) if (one !== other) one.hears(other, `t${machines.indexOf(other)}`);
      for (const machine of machines) machine.pass(1_000);
    }
  }
}

describe("ClockGuard", () => {
  it("does not believe a clock that jumps ahead or back, goes on with the time it was, and believes it when it is back", () => {
    for (const jumpMs of [DAY_MS, -DAY_MS, 11 * MINUTE_MS, -11 * MINUTE_MS]) {
      const machine = new Machine();
      machine.pass(5_000);
      machine.wallMs += jumpMs;
      assert.equal(machine.why, "jumped", "at once, before any look");
      assert.equal(machine.guard.nowMs(), START_MS + 5_000);
      machine.pass(30_000);
      assert.equal(machine.why, "jumped");
      assert.equal(machine.guard.nowMs(), START_MS + 35_000);
      machine.wallMs -= jumpMs;
      assert.equal(machine.why, undefined);
      assert.equal(machine.guard.nowMs(), machine.wallMs);
    }
  });

  it("believes a clock that is corrected by minutes, and one after a sleep of a day", () => {
    const machine = new Machine();
    machine.wallMs += 9 * MINUTE_MS;
    assert.equal(machine.why, undefined);
    machine.pass(2_000);
    machine.wallMs -= 9 * MINUTE_MS;
    machine.pass(2_000);
    assert.equal(machine.why, undefined);
    machine.sleep(DAY_MS);
    assert.equal(machine.why, undefined);
    assert.equal(machine.guard.nowMs(), machine.wallMs);
    machine.pass(2_000);
    assert.equal(machine.why, undefined);
  });

  it("believes a clock that was set by hours as soon as another tracker has the same time", () => {
    const [machine, other] = [new Machine(START_MS - 5 * HOUR_MS), new Machine()];
    machine.pass(2 * MINUTE_MS);
    other.pass(2 * MINUTE_MS);
    machine.wallMs += 5 * HOUR_MS;
    machine.pass(1_000);
    assert.equal(machine.why, "jumped");
    Machine.meet(machine, other);
    assert.equal(machine.why, undefined);
  });

  it("alone, believes a clock that was set ahead after ten minutes; one behind what it wrote only when told to", () => {
    const ahead = new Machine();
    ahead.wallMs += 5 * HOUR_MS;
    ahead.pass(9 * MINUTE_MS);
    assert.equal(ahead.why, "jumped");
    ahead.pass(2 * MINUTE_MS);
    assert.equal(ahead.why, undefined);
    ahead.latestMs = ahead.wallMs;
    ahead.wallMs -= 5 * HOUR_MS;
    ahead.pass(1_000);
    assert.equal(ahead.why, undefined, "what it was before");

    const behind = new Machine();
    behind.wallMs -= 5 * HOUR_MS;
    behind.pass(30 * MINUTE_MS);
    assert.equal(behind.why, "jumped");
    behind.guard.accept();
    assert.equal(behind.why, undefined);
    behind.latestMs = behind.wallMs;
    behind.pass(1_000);
    assert.equal(behind.why, undefined);
  });

  it("does not believe a clock far behind what was written at an earlier start, unless another tracker has the same time", () => {
    const machine = new Machine(START_MS, START_MS + DAY_MS);
    assert.equal(machine.why, "behind its past");
    machine.pass(HOUR_MS);
    assert.equal(machine.why, "behind its past");
    const other = new Machine(START_MS + HOUR_MS);
    Machine.meet(machine, other);
    assert.equal(machine.why, undefined);
    assert.equal(new Machine(START_MS, START_MS + HOUR_MS).why, undefined, "within what stamps may be ahead");
  });

  it("two that are both behind what they wrote do not vouch for each other; one that is told to does for the other", () => {
    const two = [new Machine(START_MS, START_MS + DAY_MS), new Machine(START_MS, START_MS + DAY_MS)] as const;
    for (let minute = 0; minute < 30; minute++) {
      Machine.meet(...two);
      for (const machine of two) machine.pass(MINUTE_MS);
    }
    assert.deepEqual(
      two.map(({ why }) => why),
      ["behind its past", "behind its past"],
    );
    two[0].guard.accept();
    two[0].latestMs = two[0].wallMs;
    Machine.meet(...two);
    assert.deepEqual(
      two.map(({ why }) => why),
      [undefined, undefined],
    );
  });

  it("of three, the one with another time than the other two is in doubt, whichever way it is off", () => {
    for (const offMs of [DAY_MS, -DAY_MS, 2 * HOUR_MS]) {
      const three = [new Machine(), new Machine(START_MS + offMs), new Machine()] as const;
      Machine.meet(...three);
      assert.deepEqual(
        three.map(({ why }) => why),
        [undefined, "unlike other trackers", undefined],
      );
      assert.ok(Math.abs(three[1].guard.nowMs() - three[0].wallMs) < 3_000, "the others' time is taken");
      three[1].wallMs -= offMs;
      Machine.meet(...three);
      assert.equal(three[1].why, undefined);
    }
  });

  it("of two, exactly one is in doubt: the one that has run for less time, or the one ahead", () => {
    const [old, young] = [new Machine(), new Machine(START_MS - 3 * HOUR_MS)];
    old.pass(HOUR_MS);
    Machine.meet(old, young);
    assert.deepEqual([old.why, young.why], [undefined, "unlike other trackers"]);

    const [right, ahead] = [new Machine(), new Machine(START_MS + DAY_MS)];
    Machine.meet(right, ahead);
    assert.deepEqual([right.why, ahead.why], [undefined, "unlike other trackers"]);

    ahead.guard.accept();
    Machine.meet(right, ahead);
    assert.deepEqual(
      [right.why, ahead.why],
      ["unlike other trackers", undefined],
      "unless it is said to be right",
    );
  });

  it("of three with three times, one goes on", () => {
    const three = [new Machine(), new Machine(START_MS + DAY_MS), new Machine(START_MS + 3 * DAY_MS)];
    Machine.meet(...three);
    assert.deepEqual(
      three.map(({ why }) => why),
      [undefined, "unlike other trackers", "unlike other trackers"],
    );
  });

  it("a clock that jumps is no evidence against another tracker's", () => {
    const [one, other] = [new Machine(), new Machine()];
    Machine.meet(one, other);
    one.wallMs -= DAY_MS;
    Machine.meet(one, other);
    assert.deepEqual([one.why, other.why], ["jumped", undefined]);
    other.pass(HOUR_MS);
    assert.equal(other.why, undefined);
  });

  it("all that are set together are believed after a minute, and at once when they are set back", () => {
    const two = [new Machine(), new Machine()] as const;
    Machine.meet(...two);
    for (const machine of two) machine.wallMs += DAY_MS;
    Machine.meet(...two);
    assert.deepEqual(
      two.map(({ why }) => why),
      ["jumped", "jumped"],
    );
    for (const machine of two) machine.pass(MINUTE_MS);
    Machine.meet(...two);
    Machine.meet(...two);
    assert.deepEqual(
      two.map(({ why }) => why),
      [undefined, undefined],
    );
    for (const machine of two) machine.latestMs = machine.wallMs;
    for (const machine of two) {
      machine.wallMs -= DAY_MS;
      Machine.meet(...two);
    }
    assert.deepEqual(
      two.map(({ why }) => why),
      [undefined, undefined],
    );
  });

  it("says how far it is off, and what to do", () => {
    const machine = new Machine();
    machine.wallMs += DAY_MS + 2 * HOUR_MS;
    assert.match(machine.guard.doubt?.sentence ?? "", /set 1 d 2 h ahead .* accept_clock/);
    machine.wallMs -= DAY_MS + 2 * HOUR_MS + 45 * MINUTE_MS;
    assert.match(machine.guard.doubt?.sentence ?? "", /set 45 min back/);
  });
});
