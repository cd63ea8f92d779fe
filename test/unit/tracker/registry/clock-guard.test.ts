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

  it("of three trackers, the one with another time than the other two is in doubt, whichever way it is off", () => {
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

  it("of two trackers, exactly one is in doubt: the one that has run for less time, or the one ahead", () => {
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

  it("of three trackers with three times, one goes on", () => {
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

  it("takes ten minutes for a correction, and a millisecond more for a jump", () => {
    for (const sign of [1, -1]) {
      const machine = new Machine();
      machine.pass(5_000);
      machine.wallMs += sign * 10 * MINUTE_MS;
      assert.equal(machine.why, undefined);
      assert.equal(machine.guard.nowMs(), machine.wallMs);
      const other = new Machine();
      other.pass(5_000);
      other.wallMs += sign * (10 * MINUTE_MS + 1);
      assert.equal(other.why, "jumped");
    }
  });

  it("goes on with the time without the jump between two looks, and notices a jump without one", () => {
    const machine = new Machine();
    machine.wallMs += DAY_MS;
    machine.pass(2_000);
    machine.wallMs += 700;
    machine.monotonicMs += 700;
    machine.bootMs += 700;
    assert.equal(machine.guard.nowMs(), START_MS + 2_700);
    assert.equal(machine.guard.doubt?.aheadMs, DAY_MS);
    const back = new Machine();
    back.wallMs -= DAY_MS;
    assert.equal(back.guard.nowMs(), START_MS, "nowMs looks by itself");
  });

  it("a clock that is set ahead twice is as new as the second time, and one is believed after ten minutes, not before", () => {
    const machine = new Machine();
    machine.wallMs += DAY_MS;
    machine.pass(6 * MINUTE_MS);
    machine.wallMs += DAY_MS;
    machine.pass(6 * MINUTE_MS);
    assert.equal(machine.why, "jumped");
    machine.pass(4 * MINUTE_MS - 2_000);
    assert.equal(machine.why, "jumped");
    machine.pass(3_000);
    assert.equal(machine.why, undefined);
    machine.pass(1_000);
    machine.wallMs += DAY_MS;
    machine.pass(9 * MINUTE_MS);
    assert.equal(machine.why, "jumped", "an older setting is forgotten once it was believed");
  });

  it("is steady since it was last set, or accepted, and says so to the others", () => {
    const machine = new Machine();
    machine.pass(5 * MINUTE_MS);
    assert.deepEqual(machine.guard.reading(), {
      ...{ nowMs: machine.wallMs, isDoubted: false, steadyForMs: 5 * MINUTE_MS },
    });
    machine.wallMs += DAY_MS;
    assert.equal(machine.guard.reading().isDoubted, true);
    machine.pass(10 * MINUTE_MS + 1_000);
    const { isDoubted, steadyForMs } = machine.guard.reading();
    assert.equal(isDoubted, false);
    assert.ok(steadyForMs <= 2_000, `${steadyForMs}`);
    machine.guard.accept();
    assert.ok(machine.guard.reading().steadyForMs > 50 * 365 * DAY_MS);
    machine.bootMs = 0; // as some virtual machines do
    machine.guard.accept();
    assert.ok(machine.guard.reading().steadyForMs >= 0);
    const odd = new Machine();
    odd.bootMs -= 60_000;
    assert.equal(odd.guard.reading().steadyForMs, 0);
  });

  it("another tracker's clock counts for fifteen seconds, at the time that it would be now", () => {
    const [machine, other] = [new Machine(START_MS - 2 * HOUR_MS), new Machine()];
    other.pass(HOUR_MS);
    machine.hears(other);
    assert.equal(machine.why, "unlike other trackers", "as soon as it is heard");
    assert.equal(machine.guard.doubt?.aheadMs, -3 * HOUR_MS);
    machine.pass(15_000);
    assert.equal(machine.guard.doubt?.aheadMs, -3 * HOUR_MS, "both clocks went on");
    machine.pass(1_000);
    assert.equal(machine.why, undefined);
  });

  it("clocks within an hour of each other are alike, and beyond it are not", () => {
    for (const [offMs, why] of [
      [HOUR_MS, undefined],
      [HOUR_MS + 1, "unlike other trackers"],
    ] as const) {
      const [machine, other] = [new Machine(START_MS + offMs), new Machine()];
      machine.hears(other);
      assert.equal(machine.why, why);
    }
  });

  it("does not believe a clock that was set to what one of the others has, while another has another time", () => {
    const [machine, one, other] = [new Machine(), new Machine(START_MS + DAY_MS), new Machine()];
    machine.wallMs += DAY_MS;
    machine.hears(other, "other");
    machine.hears(one, "one");
    assert.equal(machine.why, "jumped");
    machine.pass(16_000);
    for (let times = 0; times < 70; times++) {
      other.wallMs = machine.wallMs - DAY_MS;
      machine.hears(other, "other");
      machine.pass(MINUTE_MS / 6);
    }
    assert.equal(machine.why, "jumped", "nor by itself while somebody has the time that it was");
    machine.wallMs -= DAY_MS;
    assert.equal(machine.why, undefined);
  });

  it("of two trackers steady for about as long, the one ahead yields; with a minute's difference, the one steady for less", () => {
    for (const [longerMs, whys] of [
      [59_000, [undefined, "unlike other trackers"]],
      [61_000, ["unlike other trackers", undefined]],
    ] as const) {
      const [behind, ahead] = [new Machine(START_MS), new Machine(START_MS + DAY_MS)];
      ahead.pass(longerMs);
      behind.hears(ahead);
      ahead.hears(behind);
      assert.deepEqual([behind.why, ahead.why], whys, `${longerMs} ms`);
    }
  });

  it("yields to more trackers that agree, however long it was steady, and not to more that do not", () => {
    const [old, one, two] = [
      new Machine(),
      new Machine(START_MS + 4 * HOUR_MS),
      new Machine(START_MS + 4 * HOUR_MS),
    ];
    old.pass(10 * HOUR_MS);
    for (const other of [one, two]) other.wallMs = old.wallMs - 4 * HOUR_MS;
    const [first, second] = [new Machine(one.wallMs), new Machine(two.wallMs)];
    old.hears(first, "first");
    assert.equal(old.why, undefined, "one that is younger is no reason");
    old.hears(second, "second");
    assert.equal(old.why, "unlike other trackers");
    const lonely = new Machine();
    lonely.pass(10 * HOUR_MS);
    lonely.hears(new Machine(lonely.wallMs - 4 * HOUR_MS), "first");
    lonely.hears(new Machine(lonely.wallMs - 8 * HOUR_MS), "second");
    assert.equal(lonely.why, undefined, "two that differ from each other have a vote each");
    const supported = new Machine();
    supported.pass(10 * HOUR_MS);
    for (const [name, offMs] of [
      ["friend", 0],
      ["first", -4 * HOUR_MS],
      ["second", -4 * HOUR_MS],
    ] as const)
      supported.hears(new Machine(supported.wallMs + offMs), name);
    assert.equal(supported.why, undefined, "two against two, and it is the steadier");
  });

  it("an accepted clock is believed against the others, until it is set again", () => {
    const [machine, one, two] = [new Machine(START_MS + DAY_MS), new Machine(), new Machine()];
    const hear = () => {
      for (const [name, other] of [
        ["one", one],
        ["two", two],
      ] as const) {
        other.wallMs = START_MS + (machine.monotonicMs - 5_000);
        machine.hears(other, name);
      }
    };
    hear();
    assert.equal(machine.why, "unlike other trackers");
    machine.guard.accept();
    assert.equal(machine.why, undefined);
    hear();
    assert.equal(machine.why, undefined);
    machine.wallMs -= 20 * HOUR_MS;
    machine.guard.accept();
    machine.wallMs += 20 * HOUR_MS;
    hear();
    assert.equal(machine.why, "jumped", "what was accepted was the other time");
  });

  it("an accepted clock that was corrected by more than ten minutes since is one as any other", () => {
    const machine = new Machine(START_MS + DAY_MS);
    machine.guard.accept();
    const hear = () => {
      for (const name of ["one", "two"]) machine.hears(new Machine(START_MS), name);
    };
    hear();
    assert.equal(machine.why, undefined);
    for (let times = 0; times < 2; times++) {
      machine.wallMs += 9 * MINUTE_MS;
      machine.pass(1_000);
    }
    hear();
    assert.equal(machine.why, "unlike other trackers");
    machine.wallMs -= 9 * MINUTE_MS;
    hear();
    assert.equal(machine.why, "unlike other trackers", "also when it comes near that time again");
  });

  it("two that are set together are believed when both have had that time for a minute, and not before", () => {
    const two = [new Machine(), new Machine()] as const;
    Machine.meet(...two);
    for (const machine of two) machine.wallMs += DAY_MS;
    const whys = (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        two[0].hears(two[1], "t1");
        two[1].hears(two[0], "t0");
        for (const machine of two) machine.pass(1_000);
      }
      return two.map(({ why }) => why);
    };
    assert.deepEqual(whys(58), ["jumped", "jumped"]);
    assert.deepEqual(whys(4), [undefined, undefined]);
  });

  it("a time that was set, and set back, before it was believed is a new one when it is set again", () => {
    const machine = new Machine();
    machine.wallMs += DAY_MS;
    machine.pass(5 * MINUTE_MS);
    machine.wallMs -= DAY_MS;
    machine.pass(20 * MINUTE_MS);
    machine.wallMs += DAY_MS;
    machine.pass(9 * MINUTE_MS);
    assert.equal(machine.why, "jumped");
  });

  it("accepted, a clock that is behind what was written at an earlier start is believed at once, and stays so", () => {
    const machine = new Machine(START_MS, START_MS + DAY_MS);
    machine.guard.accept();
    assert.equal(machine.why, undefined);
    machine.pass(2_000);
    assert.equal(machine.why, undefined);
  });

  it("remembers the newest stamp between looks, and a clock that was believed may be behind a later one", () => {
    const machine = new Machine(START_MS, START_MS + DAY_MS);
    machine.guard.look();
    assert.equal(machine.why, "behind its past");
    assert.equal(machine.guard.doubt?.aheadMs, -DAY_MS);
    assert.equal(machine.guard.nowMs(), START_MS + DAY_MS, "it goes on with the time of what it wrote");
    const believed = new Machine();
    believed.pass(1_000);
    believed.latestMs = START_MS + DAY_MS; // merged rows do not count as its own past, its own do
    believed.pass(1_000);
    assert.equal(believed.why, undefined);
  });

  it("says what is wrong in the right direction", () => {
    const behind = new Machine(START_MS, START_MS + 3 * HOUR_MS);
    assert.match(behind.guard.doubt?.sentence ?? "", /is 3 h behind the tracker's last write: /);
    const [fast, slow] = [new Machine(START_MS + 2 * HOUR_MS), new Machine()];
    fast.hears(slow, "192.0.2.1:9000");
    assert.match(fast.guard.doubt?.sentence ?? "", /is 2 h ahead of that of tracker 192\.0\.2\.1:9000: /);
    slow.hears(new Machine(START_MS + 2 * HOUR_MS), "one");
    slow.hears(new Machine(START_MS + 2 * HOUR_MS), "two");
    assert.match(slow.guard.doubt?.sentence ?? "", /is 2 h behind that of tracker one: /);
  });
});
