// Why a tracker cannot write: several reasons at a time, and what is told of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type WriteBlock, WriteBlocks } from "../../../../src/tracker/server/write-block.ts";

test("a tracker can write again once no reason holds any more", () => {
  const told: string[] = [];
  let nowMs = 1_000;
  const blocks = new WriteBlocks(() => nowMs);
  blocks.watch({
    began: ({ reason }) => told.push(reason),
    ended: (reason) => told.push(`no more ${reason}`),
  });
  const current = (): WriteBlock | undefined => blocks.current;
  assert.equal(current(), undefined);
  blocks.requireNone();
  blocks.begin("disk-full");
  const cause = new Error("no room");
  assert.throws(() => blocks.requireNone(cause), { code: "TRACKER_CANNOT_WRITE", cause, message: /is full/ });
  nowMs = 2_000;
  blocks.begin("disk-full");
  blocks.begin("disk-failed");
  assert.deepEqual(told, ["disk-full", "disk-failed"], "each is told once");
  assert.equal(current()?.sinceMs, 1_000);
  blocks.begin("disk-full", "very full");
  assert.deepEqual(current(), {
    ...{ reason: "disk-full", sentence: "very full", mayAnswer: true, sinceMs: 1_000 },
  });
  blocks.end("disk-full");
  assert.equal(current()?.reason, "disk-failed");
  assert.equal(blocks.has("disk-full"), false);
  blocks.end("disk-failed");
  blocks.end("disk-failed");
  assert.deepEqual(told, ["disk-full", "disk-failed", "no more disk-full", "no more disk-failed"]);
  assert.equal(current(), undefined);
});

test("with a wrong clock or a damaged registry nothing is served, with a failing disk what is there is", () => {
  const blocks = new WriteBlocks(() => 1);
  for (const [reason, mayAnswer] of [
    ["disk-full", true],
    ["disk-read-only", true],
    ["disk-failed", true],
    ["clock", false],
    ["registry-damaged", false],
  ] as const) {
    assert.equal(blocks.mayAnswer, true);
    blocks.begin(reason);
    assert.deepEqual(
      [blocks.mayAnswer, blocks.current?.mayAnswer, blocks.has(reason)],
      [mayAnswer, mayAnswer, true],
    );
    assert.match(blocks.current?.sentence ?? "", /; /, "what is wrong, and what to do");
    blocks.end(reason);
  }
  blocks.begin("disk-full");
  blocks.begin("clock");
  assert.equal(blocks.mayAnswer, false, "one reason is enough");
  blocks.end("disk-full");
  assert.equal(blocks.current?.reason, "clock");
});
