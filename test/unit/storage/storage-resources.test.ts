// How a process's memory for pieces is divided.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createStorageResources } from "../../../src/storage/storage-resources.ts";
import { withCode } from "./workplace.ts";

const MIB = 1024 * 1024;

test("two thirds of the memory, in whole pieces of the largest kind, are for pieces on their way in", () => {
  for (const [allMiB, inMiB, outMiB] of [
    [undefined, 64, 32],
    [32, 16, 16],
    [47, 16, 31],
    [48, 32, 16],
  ]) {
    const { memory, cache } = createStorageResources(allMiB && allMiB * MIB);
    assert.deepEqual([memory.limitBytes / MIB, cache.limitBytes / MIB], [inMiB, outMiB]);
  }
});

test("memory that holds no two of the largest pieces is refused", () => {
  assert.throws(() => createStorageResources(32 * MIB - 1), withCode("INVALID_ARGUMENT"));
});
