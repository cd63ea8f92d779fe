// Requests that were taken back and may still be answered.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CancelledRequests } from "../../../src/swarm/cancelled-requests.ts";

const MOST_KEPT = 4096;

test("a request that was taken back is answered once", () => {
  const cancelledRequests = new CancelledRequests();
  cancelledRequests.add(3, 1);
  assert.deepEqual(
    [cancelledRequests.has(3, 1), cancelledRequests.has(1, 3), cancelledRequests.has(3, 2)],
    [true, false, false],
  );
  assert.deepEqual([cancelledRequests.answered(3, 2), cancelledRequests.answered(3, 1)], [false, true]);
  assert.deepEqual([cancelledRequests.has(3, 1), cancelledRequests.answered(3, 1)], [false, false]);
});

test("the last block of a piece and the first of the next are two", () => {
  const cancelledRequests = new CancelledRequests();
  // 16 MiB have 1,024 blocks.
  cancelledRequests.add(0, 1023);
  cancelledRequests.add(1, 1022);
  assert.equal(cancelledRequests.has(1, 1023), false);
  assert.equal(cancelledRequests.has(0, 1022), false);
});

test("no more than 4,096 are kept: the oldest is forgotten first", () => {
  const cancelledRequests = new CancelledRequests();
  for (let block = 0; block < MOST_KEPT; block++) cancelledRequests.add(7, block);
  assert.equal(cancelledRequests.has(7, 0), true);
  cancelledRequests.add(8, 0);
  assert.deepEqual(
    [cancelledRequests.has(7, 0), cancelledRequests.has(7, 1), cancelledRequests.has(8, 0)],
    [false, true, true],
  );
});
