import assert from "node:assert/strict";
import { test } from "node:test";
import { Bandwidth } from "../../../src/client/bandwidth.ts";

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
