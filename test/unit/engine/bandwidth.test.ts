import assert from "node:assert/strict";
import { test } from "node:test";
import { Bandwidth, isLimited } from "../../../src/engine/bandwidth.ts";

test("a limit on one torrent outlives the torrent, and is there when it runs again", () => {
  const bandwidth = new Bandwidth(() => 0);
  bandwidth.limit("up", 1e6, "a");
  const before = bandwidth.of("a");
  bandwidth.of("b");
  bandwidth.ended("a");
  bandwidth.ended("b");
  assert.equal(bandwidth.of("a"), before);
  assert.deepEqual(bandwidth.limitsOf("a"), { up: 1e6, down: undefined });
  assert.deepEqual(bandwidth.limits, { up: undefined, down: undefined });
});

test("a limit on all is a limit on each, and too little to work with is refused", () => {
  const bandwidth = new Bandwidth(() => 0);
  assert.equal(bandwidth.of("a").down.isUnlimited, true);
  bandwidth.limit("down", 1e6);
  assert.equal(bandwidth.of("a").down.isUnlimited, false);
  assert.equal(bandwidth.of("a").up.isUnlimited, true);
  for (const rate of [0, 16_383, Number.NaN]) {
    assert.throws(() => bandwidth.limit("down", rate), { code: "INVALID_ARGUMENT", message: /16 KiB\/s/ });
  }
  assert.deepEqual(bandwidth.limits, { up: undefined, down: 1e6 });
  bandwidth.limit("down", undefined);
  assert.equal(bandwidth.of("a").down.isUnlimited, true);
});

test("peers that wait for the total limit are served by the tick, in each direction", () => {
  let nowMs = 0;
  const bandwidth = new Bandwidth(() => nowMs);
  const served: string[] = [];
  for (const direction of ["up", "down"] as const) {
    bandwidth.limit(direction, 20_000);
    const waiter = { resume: () => void served.push(direction) };
    assert.equal(bandwidth.of("a")[direction].allowance(waiter), 0);
  }
  bandwidth.tick();
  assert.deepEqual(served, [], "nothing has come in yet");
  nowMs = 60_000;
  bandwidth.tick();
  assert.deepEqual(served.sort(), ["down", "up"]);
});

test("the least limit is one block a second, and asking for a torrent's limits makes none", () => {
  const bandwidth = new Bandwidth(() => 0);
  assert.deepEqual(bandwidth.limitsOf("a"), { up: undefined, down: undefined });
  bandwidth.limit("up", 16_384, "a");
  assert.deepEqual(bandwidth.limitsOf("a"), { up: 16_384, down: undefined });
  assert.deepEqual(bandwidth.limits, { up: undefined, down: undefined });
  assert.deepEqual([isLimited(bandwidth.limitsOf("a")), isLimited(bandwidth.limits)], [true, false]);
  assert.equal(isLimited({ up: undefined, down: 1 }), true);
});

test("a torrent that ended without a limit of its own begins with new buckets", () => {
  const bandwidth = new Bandwidth(() => 0);
  const before = bandwidth.of("a");
  bandwidth.ended("a");
  assert.notEqual(bandwidth.of("a"), before);
  assert.equal(bandwidth.of("a"), bandwidth.of("a"));
  bandwidth.ended("never ran");
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
  assert.equal(bandwidth.of("a").up.isUnlimited, true);
  bandwidth.override(undefined);
  assert.deepEqual([bandwidth.limits, bandwidth.overridden], [{ up: 1e6, down: 4e6 }, undefined]);
});
