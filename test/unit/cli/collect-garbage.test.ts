import assert from "node:assert/strict";
import { test } from "node:test";
import { collectGarbage } from "../../../src/cli/collect-garbage.ts";

test("what nothing refers to any more is freed, and no flag stays set", () => {
  const before = process.memoryUsage().arrayBuffers;
  let held: SharedArrayBuffer | undefined = new SharedArrayBuffer(64 * 1024 * 1024);
  assert.equal(held.byteLength, 64 * 1024 * 1024);
  held = undefined;
  collectGarbage();
  assert.ok(process.memoryUsage().arrayBuffers < before + 32 * 1024 * 1024);
  assert.equal("gc" in globalThis, false);
});
