// The steps of a registry's upkeep by a clock that stands still.
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../harness/virtual-clock.ts";
import { RegistryUpkeep } from "../../../src/tracker/registry-upkeep.ts";

function setting() {
  const clock = new VirtualClock();
  const happened: string[] = [];
  const registry = {
    hasAnchoredLeft: false,
    isRoundOver: false,
    isDamaged: false,
    checkRows(count: number) {
      happened.push(`check ${count}`);
      if (registry.isDamaged) throw new Error("damaged");
      return registry.isRoundOver;
    },
    async dropAnchored(count: number) {
      happened.push(`drop ${count}`);
      throw new Error("the disk is full");
    },
  };
  const tracker = { mayWrite: true };
  const upkeep = new RegistryUpkeep({ registry, clock, mayWrite: () => tracker.mayWrite });
  return { clock, happenedSince: () => happened.splice(0), registry, tracker, upkeep };
}

test("50 rows are checked every 100 ms, and after a full round it rests for 10 minutes", () => {
  const { clock, happenedSince, registry, upkeep } = setting();
  upkeep.start();
  clock.pass(250);
  assert.deepEqual(happenedSince(), ["check 50", "check 50", "check 50"]);
  registry.isRoundOver = true;
  clock.pass(50);
  assert.deepEqual(happenedSince(), ["check 50"]);
  clock.pass(10 * 60_000 - 1);
  assert.deepEqual(happenedSince(), []);
  clock.pass(1);
  assert.deepEqual(happenedSince(), ["check 50"]);
});

test("damage ends the check, and not the other upkeep", () => {
  const { clock, happenedSince, registry, upkeep } = setting();
  registry.isDamaged = true;
  upkeep.start();
  registry.hasAnchoredLeft = true;
  clock.pass(200);
  assert.deepEqual(happenedSince(), ["check 50", "drop 500", "drop 500"]);
});

test("shares of former members are dropped every 100 ms while there are some, and while the tracker may write", () => {
  const { clock, happenedSince, registry, tracker, upkeep } = setting();
  registry.isRoundOver = true;
  upkeep.start();
  clock.pass(200);
  assert.deepEqual(happenedSince(), ["check 50"]);
  registry.hasAnchoredLeft = true;
  tracker.mayWrite = false;
  clock.pass(200);
  assert.deepEqual(happenedSince(), []);
  tracker.mayWrite = true;
  clock.pass(200);
  assert.deepEqual(happenedSince(), ["drop 500", "drop 500"]);
});

test("a closed one does nothing more", () => {
  const { clock, happenedSince, registry, upkeep } = setting();
  registry.hasAnchoredLeft = true;
  upkeep.start();
  upkeep.close();
  happenedSince();
  clock.pass(60_000);
  assert.deepEqual([happenedSince(), clock.timers], [[], []]);
});
