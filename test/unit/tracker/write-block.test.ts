// Why a tracker cannot write: several reasons at a time, and what is told of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type WriteBlock, WriteBlocks } from "../../../src/tracker/write-block.ts";

test("a tracker can write again once no reason holds any more", () => {
  const told: (string | undefined)[] = [];
  let nowMs = 1_000;
  const blocks = new WriteBlocks({
    nowMs: () => nowMs,
    onChanged: (current: WriteBlock | undefined) => told.push(current?.reason),
  });
  const current = (): WriteBlock | undefined => blocks.current;
  assert.equal(current(), undefined);
  blocks.begin("disk-full");
  nowMs = 2_000;
  blocks.begin("disk-full");
  blocks.begin("disk-failed");
  assert.deepEqual(told, ["disk-full"], "told once");
  assert.equal(current()?.sinceMs, 1_000);
  blocks.begin("disk-full", "very full");
  assert.deepEqual(current(), { reason: "disk-full", sentence: "very full", sinceMs: 1_000 });
  blocks.end("disk-full");
  assert.equal(current()?.reason, "disk-failed");
  assert.equal(blocks.has("disk-full"), false);
  blocks.end("disk-failed");
  blocks.end("disk-failed");
  assert.deepEqual(told, ["disk-full", "disk-failed", undefined]);
});
