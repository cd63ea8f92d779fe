import assert from "node:assert/strict";
import { test } from "node:test";
import { Revocations } from "../../../src/client/revocations.ts";

test("an ended membership is refused for 100 minutes after it was heard of last, and forgotten then", () => {
  let nowMs = 0;
  const revocations = new Revocations(() => nowMs);
  revocations.add("bob");
  nowMs = 3_000_000;
  revocations.add("carol");
  revocations.add("bob");
  nowMs = 6_000_000;
  assert.ok(revocations.has("bob"), "heard of again meanwhile");
  nowMs = 9_000_000 - 1;
  assert.deepEqual(
    [revocations.has("bob"), revocations.has("carol"), revocations.has("dave")],
    [true, true, false],
  );
  nowMs = 9_000_000;
  assert.ok(!revocations.has("bob"));
  assert.equal(revocations.size, 2, "a question forgets nothing");
  revocations.add("eve");
  assert.equal(revocations.size, 1);
});

test("no tracker can fill the memory with ended memberships: of too many the oldest go", () => {
  const revocations = new Revocations(() => 0);
  for (let index = 0; index < 100_010; index++) revocations.add(`m${index}`);
  assert.equal(revocations.size, 100_000);
  assert.deepEqual([revocations.has("m9"), revocations.has("m10")], [false, true]);
});

test("a member mentioned again is no longer the oldest", () => {
  const revocations = new Revocations(() => 0);
  revocations.add("first");
  for (let index = 1; index < 100_000; index++) revocations.add(`m${index}`);
  revocations.add("first");
  revocations.add("last");
  assert.deepEqual(
    [revocations.has("first"), revocations.has("m1"), revocations.size],
    [true, false, 100_000],
  );
});
