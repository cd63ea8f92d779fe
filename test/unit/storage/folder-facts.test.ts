import assert from "node:assert/strict";
import { test } from "node:test";
import { FolderFacts } from "../../../src/storage/folder-facts.ts";

test("facts are the same after the profile, and their bytes are their own", () => {
  const facts = FolderFacts.none(3);
  facts.mtimesMs.set([1_700_000_000_123.25, 0, 5]);
  const bytes = facts.toBytes();
  // As SQLite gives them: in the middle of other memory, at any place.
  const moved = new Uint8Array(bytes.length + 3).subarray(3);
  moved.set(bytes);
  assert.deepEqual(FolderFacts.fromBytes(moved, 3)?.mtimesMs, facts.mtimesMs);
  assert.deepEqual(FolderFacts.fromBytes(Buffer.from(bytes), 3)?.mtimesMs, facts.mtimesMs);
  facts.mtimesMs[0] = 1;
  assert.notDeepEqual(FolderFacts.fromBytes(bytes, 3)?.mtimesMs, facts.mtimesMs);
});

test("facts of another number of files are none", () => {
  const bytes = FolderFacts.none(3).toBytes();
  assert.equal(FolderFacts.fromBytes(bytes, 2), undefined);
  assert.equal(FolderFacts.fromBytes(bytes.subarray(1), 3), undefined);
});
