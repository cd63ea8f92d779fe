// Requests that were taken back and may still be answered.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TakenBack } from "../../../src/swarm/taken-back.ts";

const MOST_KEPT = 4096;

test("a request that was taken back is answered once", () => {
  const takenBack = new TakenBack();
  takenBack.add(3, 1);
  assert.deepEqual([takenBack.has(3, 1), takenBack.has(1, 3), takenBack.has(3, 2)], [true, false, false]);
  assert.deepEqual([takenBack.answered(3, 2), takenBack.answered(3, 1)], [false, true]);
  assert.deepEqual([takenBack.has(3, 1), takenBack.answered(3, 1)], [false, false]);
});

test("the last block of a piece and the first of the next are two", () => {
  const takenBack = new TakenBack();
  // 16 MiB have 1,024 blocks.
  takenBack.add(0, 1023);
  takenBack.add(1, 1022);
  assert.equal(takenBack.has(1, 1023), false);
  assert.equal(takenBack.has(0, 1022), false);
});

test("no more than 4,096 are kept: the oldest is forgotten first", () => {
  const takenBack = new TakenBack();
  for (let block = 0; block < MOST_KEPT; block++) takenBack.add(7, block);
  assert.equal(takenBack.has(7, 0), true);
  takenBack.add(8, 0);
  assert.deepEqual([takenBack.has(7, 0), takenBack.has(7, 1), takenBack.has(8, 0)], [false, true, true]);
});
