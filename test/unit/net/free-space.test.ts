import assert from "node:assert/strict";
import { promises, type StatsFs } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { freeBytes } from "../../../src/net/free-space.ts";

test("free space is what this user may still write, in bytes; a file system that does not say has no bound", async (t) => {
  const says = { bavail: 3, bfree: 5, blocks: 10, bsize: 4096 };
  const statfs = t.mock.method(promises, "statfs", async () => ({ ...says }) as unknown as StatsFs);
  syncBuiltinESMExports();
  t.after(() => {
    statfs.mock.restore();
    syncBuiltinESMExports();
  });
  assert.equal(await freeBytes(tmpdir()), 3 * 4096);
  says.blocks = 0;
  says.bavail = 0;
  assert.equal(await freeBytes(tmpdir()), Number.POSITIVE_INFINITY);
});
