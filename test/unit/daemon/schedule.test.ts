// Limits by hour and weekday: which rule holds when, and that it is applied when its time comes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { ruleAt, type ScheduleRule, scheduleSchema } from "../../../src/daemon/schedule.ts";
import { ScheduleKeeper } from "../../../src/daemon/schedule-keeper.ts";

const [MONDAY, FRIDAY, SATURDAY] = [0, 4, 5];
/** 2026-11-02 is a Monday. */
const at = (weekday: number, time: string) => {
  const [hours, minutes] = time.split(":").map(Number);
  return new Date(2026, 10, 2 + weekday, hours, minutes);
};
const rule = (changes: Partial<ScheduleRule> = {}): ScheduleRule => ({
  ...{ days: [MONDAY], from: "08:00", to: "18:30", up: 100_000, down: null },
  ...changes,
});
const holdsAt = (one: ScheduleRule, weekday: number, time: string) =>
  ruleAt([one], at(weekday, time)) === one;

test("a rule holds on its days, from its first minute to before its last", () => {
  const times: [number, string, boolean][] = [
    [MONDAY, "07:59", false],
    [MONDAY, "08:00", true],
    [MONDAY, "18:29", true],
    [MONDAY, "18:30", false],
    [FRIDAY, "12:00", false],
  ];
  for (const [weekday, time, holds] of times)
    assert.equal(holdsAt(rule(), weekday, time), holds, `${weekday} ${time}`);
});

test("a rule that ends before it begins ends the next morning, also from Sunday to Monday", () => {
  const night = rule({ days: [FRIDAY, 6], from: "22:00", to: "06:00" });
  const times: [number, string, boolean][] = [
    [FRIDAY, "21:59", false],
    [FRIDAY, "22:00", true],
    [FRIDAY, "05:00", false],
    [SATURDAY, "05:59", true],
    [SATURDAY, "06:00", false],
    [SATURDAY, "22:00", false],
    [MONDAY, "05:59", true],
  ];
  for (const [weekday, time, holds] of times)
    assert.equal(holdsAt(night, weekday, time), holds, `${weekday} ${time}`);
});

test("a rule from a time to the same time is a whole day", () => {
  const day = rule({ from: "00:00", to: "00:00" });
  assert.deepEqual(
    ["00:00", "12:00", "23:59"].map((time) => holdsAt(day, MONDAY, time)),
    [true, true, true],
  );
  assert.equal(holdsAt(day, MONDAY + 1, "00:00"), false);
});

test("of rules that overlap, the first holds", () => {
  const [first, second] = [rule({ from: "12:00", to: "13:00" }), rule()];
  assert.equal(ruleAt([first, second], at(MONDAY, "12:30")), first);
  assert.equal(ruleAt([first, second], at(MONDAY, "13:30")), second);
  assert.equal(ruleAt([], at(MONDAY, "12:30")), undefined);
});

test("a rule of another form is refused", () => {
  const wrong: Partial<Record<keyof ScheduleRule, unknown>>[] = [
    { days: [] },
    { days: [7] },
    { from: "8:00" },
    { to: "24:00" },
    { up: 1_000 },
    { down: 1.5 },
  ];
  for (const changes of wrong) {
    assert.equal(
      scheduleSchema.safeParse({ rules: [{ ...rule(), ...changes }] }).success,
      false,
      JSON.stringify(changes),
    );
  }
  assert.equal(scheduleSchema.safeParse({ rules: [rule()] }).success, true);
  assert.equal(scheduleSchema.safeParse({ rules: Array.from({ length: 51 }, () => rule()) }).success, false);
});

/** A keeper whose clock a test moves, with what it asked of its client. */
function keeperAt(start: Date, kept: unknown = undefined) {
  const state = { now: start, kept, calls: [] as unknown[][] };
  const client = {
    overrideLimits: (...given: unknown[]) => void state.calls.push(["override", ...given]),
    holdDownloads: async (...given: unknown[]) => void state.calls.push(["hold", ...given]),
    releaseDownloads: async () => void state.calls.push(["release"]),
  };
  const store = {
    get rules() {
      return state.kept;
    },
    saveRules: (rules: unknown) => {
      state.kept = rules;
    },
  };
  const log = pino({ level: "silent" });
  return { ...state, state, keeper: new ScheduleKeeper({ store, client, log, now: () => state.now }) };
}

test("a rule applies from the minute it begins to the minute it ends, and then what was set by hand", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { keeper, state } = keeperAt(new Date(2026, 10, 2, 7, 59, 30));
  t.after(() => keeper.close());
  keeper.set([rule({ to: "08:01" })]);
  assert.deepEqual([state.calls, keeper.applied], [[], undefined]);
  const pass = (ms: number) => {
    state.now = new Date(state.now.getTime() + ms);
    t.mock.timers.tick(ms);
  };
  pass(29_999);
  assert.deepEqual(state.calls, []);
  pass(1);
  assert.deepEqual(state.calls, [["override", { up: 100_000, down: undefined }]]);
  pass(60_000);
  assert.deepEqual(state.calls.slice(1), [["override", undefined]]);
  pass(60_000);
  assert.equal(state.calls.length, 2);
});

test("a rule that pauses holds the downloads and says until when, and they continue after it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { keeper, state } = keeperAt(at(MONDAY, "08:00"), [rule({ isPaused: true })]);
  t.after(() => keeper.close());
  await Promise.resolve();
  assert.deepEqual(state.calls, [
    ["override", { up: 100_000, down: undefined }],
    ["hold", "The schedule pauses downloads until 18:30; resume continues one."],
  ]);
  keeper.set([]);
  await new Promise(setImmediate);
  assert.deepEqual(state.calls.slice(2), [["override", undefined], ["release"]]);
});

test("a change of the rules that leaves the present one as it is does nothing", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { keeper, state } = keeperAt(at(MONDAY, "08:00"), [rule()]);
  t.after(() => keeper.close());
  keeper.set([rule(), rule({ days: [FRIDAY] })]);
  assert.equal(state.calls.length, 1);
});

test("kept rules that cannot be read are none", (t) => {
  const { keeper, state } = keeperAt(at(MONDAY, "08:00"), [{ days: "all" }]);
  t.after(() => keeper.close());
  assert.deepEqual([keeper.rules, state.calls], [[], []]);
});
