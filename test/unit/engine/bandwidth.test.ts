import assert from "node:assert/strict";
import { test } from "node:test";
import { Bandwidth, isLimited } from "../../../src/engine/bandwidth.ts";

const share = (fileName: string) => ({ groupId: "films", fileName });

test("a limit on one share outlives its torrent, and is there for the next, whatever its version", () => {
  const bandwidth = new Bandwidth(() => 0);
  bandwidth.limit("up", 1e6, share("a"));
  const before = bandwidth.begun(share("a"));
  bandwidth.ended(share("a"));
  assert.equal(bandwidth.begun(share("a")), before);
  assert.deepEqual(bandwidth.limitsOf(share("a")), { up: 1e6, down: undefined });
  assert.deepEqual(bandwidth.limitsOf({ groupId: "music", fileName: "a" }), {
    up: undefined,
    down: undefined,
  });
  assert.deepEqual(bandwidth.limits, { up: undefined, down: undefined });
});

test("two versions of a share spend one limit, also if it is set after one of them has ended", () => {
  const bandwidth = new Bandwidth(() => 0);
  const [older, newer] = [bandwidth.begun(share("a")), bandwidth.begun(share("a"))];
  assert.equal(older, newer);
  bandwidth.ended(share("a"));
  bandwidth.limit("up", 1e6, share("a"));
  assert.equal(newer.up.bytesPerSecond, 1e6);
  bandwidth.limit("up", undefined, share("a"));
  assert.equal(bandwidth.begun(share("a")), newer);
});

test("a limit on all is a limit on each, and too little to work with is refused", () => {
  const bandwidth = new Bandwidth(() => 0);
  assert.equal(bandwidth.begun(share("a")).down.isUnlimited, true);
  bandwidth.limit("down", 1e6);
  assert.equal(bandwidth.begun(share("a")).down.isUnlimited, false);
  assert.equal(bandwidth.begun(share("a")).up.isUnlimited, true);
  for (const rate of [0, 16_383, Number.NaN]) {
    assert.throws(() => bandwidth.limit("down", rate), { code: "INVALID_ARGUMENT", message: /16 KiB\/s/ });
  }
  assert.deepEqual(bandwidth.limits, { up: undefined, down: 1e6 });
  bandwidth.limit("down", undefined);
  assert.equal(bandwidth.begun(share("a")).down.isUnlimited, true);
});

test("peers that wait for the total limit are served by the tick, in each direction", () => {
  let nowMs = 0;
  const bandwidth = new Bandwidth(() => nowMs);
  const served: string[] = [];
  for (const direction of ["up", "down"] as const) {
    bandwidth.limit(direction, 20_000);
    const waiter = { resume: () => void served.push(direction) };
    assert.equal(bandwidth.begun(share("a"))[direction].allowance(waiter), 0);
  }
  bandwidth.tick();
  assert.deepEqual(served, [], "nothing has come in yet");
  nowMs = 60_000;
  bandwidth.tick();
  assert.deepEqual(served.sort(), ["down", "up"]);
});

test("the least limit is one block a second, and asking for a share's limits makes none", () => {
  const bandwidth = new Bandwidth(() => 0);
  assert.deepEqual(bandwidth.limitsOf(share("a")), { up: undefined, down: undefined });
  bandwidth.limit("up", 16_384, share("a"));
  assert.deepEqual(bandwidth.limitsOf(share("a")), { up: 16_384, down: undefined });
  assert.deepEqual(bandwidth.limits, { up: undefined, down: undefined });
  assert.deepEqual([isLimited(bandwidth.limitsOf(share("a"))), isLimited(bandwidth.limits)], [true, false]);
  assert.equal(isLimited({ up: undefined, down: 1 }), true);
});

test("a share whose torrent ended, and that has no limit of its own, begins with new buckets", () => {
  const bandwidth = new Bandwidth(() => 0);
  const before = bandwidth.begun(share("a"));
  bandwidth.ended(share("a"));
  assert.notEqual(bandwidth.begun(share("a")), before);
  assert.equal(bandwidth.begun(share("a")), bandwidth.begun(share("a")));
  bandwidth.ended(share("never ran"));
});

test("other limits apply in place of those that were set, which come back as they are by then", () => {
  const bandwidth = new Bandwidth(() => 0);
  bandwidth.limit("up", 1e6);
  assert.equal(bandwidth.overridden, undefined);
  bandwidth.override({ up: 2e6, down: 3e6 });
  assert.deepEqual(bandwidth.limits, { up: 2e6, down: 3e6 });
  bandwidth.limit("down", 4e6);
  assert.deepEqual(bandwidth.limits, { up: 2e6, down: 3e6 });
  assert.deepEqual(bandwidth.overridden, { up: 1e6, down: 4e6 });
  assert.throws(() => bandwidth.override({ up: 1, down: undefined }), { code: "INVALID_ARGUMENT" });
  bandwidth.override({ up: undefined, down: undefined });
  assert.equal(bandwidth.begun(share("a")).up.isUnlimited, true);
  bandwidth.override(undefined);
  assert.deepEqual([bandwidth.limits, bandwidth.overridden], [{ up: 1e6, down: 4e6 }, undefined]);
});
