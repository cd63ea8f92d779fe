// How much room a disk has, and the sentence for who needs more of it.
import assert from "node:assert/strict";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { type TestContext, test } from "node:test";
import { noRoom, roomBytes } from "../../../src/storage/disk-room.ts";

/** The disk says that of itself; of which path is asked is kept. */
function pretend(t: TestContext, stats: { bavail: number; bfree: number; blocks: number; bsize: number }) {
  const asked: unknown[] = [];
  t.mock.method(fsPromises, "statfs", async (path: unknown) => {
    asked.push(path);
    return stats;
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return asked;
}

test("the room is what the disk of the file's folder gives to this user, in bytes", async (t) => {
  const asked = pretend(t, { bavail: 7, bfree: 9, blocks: 100, bsize: 4096 });
  assert.equal(await roomBytes("/films/film.part"), 7 * 4096);
  assert.deepEqual(asked, ["/films"]);
});

test("a file system that does not say how large it is has room for everything", async (t) => {
  pretend(t, { bavail: 0, bfree: 0, blocks: 0, bsize: 4096 });
  assert.equal(await roomBytes("/films/film.part"), Number.POSITIVE_INFINITY);
});

test("the error of a full disk says how much is left, needed, and to be freed, rounded up", () => {
  for (const [room, needed, others, message] of [
    [0, 999, 0, "The disk of film has 0 B left, and 999 B are needed: free 999 B."],
    [500, 1000, 0, "The disk of film has 500 B left, and 1 kB are needed: free 500 B."],
    [1_000_000, 3_210_001, 0, "The disk of film has 1 MB left, and 3.3 MB are needed: free 2.3 MB."],
    [
      100_000_001,
      5_000_000_000,
      2_000_000_000,
      "The disk of film has 101 MB left, and 5 GB are needed, besides 2 GB for other downloads: free 6.9 GB.",
    ],
    [0, 2e15, 0, "The disk of film has 0 B left, and 2 PB are needed: free 2 PB."],
    [0, 2e18, 0, "The disk of film has 0 B left, and 2000 PB are needed: free 2000 PB."],
  ] as const) {
    const error = noRoom("film", room, needed, others);
    assert.deepEqual([error.code, error.message], ["DISK_FULL", message]);
  }
});
