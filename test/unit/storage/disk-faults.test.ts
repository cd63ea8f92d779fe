import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { errorCodes, MiniTorrentError } from "../../../src/api/errors.ts";
import { readError, writeError } from "../../../src/storage/disk-errors.ts";
import { DiskPool } from "../../../src/storage/disk-pool.ts";
import { hashFile } from "../../../src/storage/hash-file.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import { commit, content, faulty, metainfoOf, PIECE_BYTES, withCode, workplaceFor } from "./workplace.ts";

for (const [errno, code] of [
  ["ENOSPC", "DISK_FULL"],
  ["EDQUOT", "DISK_FULL"],
  ["EIO", "DISK_FAILED"],
  ["EROFS", "DESTINATION_UNUSABLE"],
] as const) {
  test(`a write that fails with ${errno} is ${code}: the piece is not there, its memory is free again`, async (t) => {
    const place = await workplaceFor(t, faulty(`write=${errno}`));
    const bytes = content(2 * PIECE_BYTES);
    const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
    t.after(() => store.close());
    const outcome = await commit(store, 1, bytes);
    assert.ok(outcome instanceof MiniTorrentError);
    assert.equal(outcome.code, code);
    assert.match(outcome.message, /film\.part/);
    assert.equal(store.have.count, 0);
    assert.equal(place.memory.usedBytes, 0);
  });
}

test("a disk that really has no room is DISK_FULL", { skip: !existsSync("/dev/full") }, async (t) => {
  const disk = new DiskPool();
  t.after(() => disk.close());
  const full = await open("/dev/full", "w");
  t.after(() => full.close());
  const bytes = new Uint8Array(new SharedArrayBuffer(PIECE_BYTES));
  const range = { fd: full.fd, path: "/dev/full", positionBytes: 0 };
  const { pieceHashes } = metainfoOf(new Uint8Array(bytes));
  await assert.rejects(disk.writePiece(range, bytes, pieceHashes), withCode("DISK_FULL"));
});

test("writes that the disk takes only in part are continued until all is written", async (t) => {
  const place = await workplaceFor(t, faulty("none"));
  const bytes = content(3 * PIECE_BYTES + 1);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  for (const i of [2, 0, 3, 1]) assert.equal(await commit(store, i, bytes), "verified");
  await store.finish(place.path);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
});

test("a worker that dies fails the piece it had, and is replaced: the download ends right", async (t) => {
  const place = await workplaceFor(t);
  const once = join(place.folder, "died");
  const disk = new DiskPool({ workerCount: 1, ...faulty(`write=DEATH&after=6&once=${once}`) });
  t.after(() => disk.close());
  const bytes = content(6 * PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, disk, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  assert.equal(await commit(store, 0, bytes), "verified");
  // A write takes 10,000 bytes of the 32 KiB: the thread dies when part of the piece is written.
  const failed = await commit(store, 1, bytes);
  assert.ok(failed instanceof MiniTorrentError);
  assert.equal(failed.code, "DISK_FAILED");
  assert.ok(existsSync(once));
  for (const i of [1, 2, 3, 4, 5]) assert.equal(await commit(store, i, bytes), "verified");
  await store.finish(place.path);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
  assert.equal(place.memory.usedBytes, 0);
});

test("a worker that cannot start fails its jobs instead of letting them wait", async (t) => {
  const disk = new DiskPool({ ioModule: new URL("./no-such-module.ts", import.meta.url).href });
  t.after(() => disk.close());
  const range = { fd: 0, path: "film", positionBytes: 0, lengthBytes: 1 };
  const jobs = Array.from({ length: 9 }, () =>
    assert.rejects(disk.hashRange(range), withCode("DISK_FAILED")),
  );
  await Promise.all(jobs);
});

test("threads that were started and never used end with the pool", async () => {
  const disk = new DiskPool();
  disk.prepare();
  await disk.close();
  disk.prepare();
  await assert.rejects(disk.openDigest(0).finish(), withCode("DISK_FAILED"));
});

test("a file that cannot be read is not hashed", async (t) => {
  const place = await workplaceFor(t, faulty("read=EIO&after=1"));
  await writeFile(place.path, content(3 * 1024 * 1024));
  await assert.rejects(hashFile(place.path, place), withCode("DISK_FAILED"));
});

test("a pool that is closed waits for its jobs, and refuses new ones", async (t) => {
  const place = await workplaceFor(t, {});
  await writeFile(place.path, content(8 * PIECE_BYTES));
  const file = await open(place.path);
  t.after(() => file.close());
  const range = (i: number) => ({
    fd: file.fd,
    path: place.path,
    positionBytes: i * PIECE_BYTES,
    lengthBytes: PIECE_BYTES,
  });
  const jobs = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => place.disk.hashRange(range(i)));
  await Promise.all([place.disk.close(), ...jobs]);
  await assert.rejects(place.disk.hashRange(range(0)), withCode("DISK_FAILED"));
});

test("every refusal of the system becomes a code of the registry with a sentence that says what to do", () => {
  for (const errno of [
    "ENOSPC",
    "EDQUOT",
    "EACCES",
    "EROFS",
    "ENOENT",
    "EISDIR",
    "ELOOP",
    "EXDEV",
    "EIO",
    "EFBIG",
  ]) {
    const error = Object.assign(new Error(errno), { code: errno });
    for (const explained of [writeError(error, "/x/film"), readError(error, "/x/film")]) {
      assert.ok(explained.code in errorCodes);
      assert.match(explained.message, /\/x\/film.*[:.;] ?\w.*\.$/);
      assert.equal(explained.cause, error);
    }
  }
});

test("threads that cannot even start fail what waits for them, each time it is tried", async (t) => {
  const place = await workplaceFor(t, { ioModule: "data:text/javascript,process.exit(1)" });
  const range = { fd: 0, path: place.path, positionBytes: 0, lengthBytes: 1 };
  for (let attempt = 0; attempt < 2; attempt++) {
    await assert.rejects(place.disk.hashRange(range), withCode("DISK_FAILED"));
    await assert.rejects(place.disk.openDigest(0).finish(), withCode("DISK_FAILED"));
  }
});

test("a disk that takes no byte of a write fails it, and is not asked for ever", async (t) => {
  const place = await workplaceFor(t, faulty("write=NOTHING"));
  const bytes = content(PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  const outcome = await commit(store, 0, bytes);
  assert.ok(outcome instanceof MiniTorrentError);
  assert.deepEqual([outcome.code, /took no more bytes/.test(outcome.message)], ["DISK_FAILED", true]);
});

test("a large file that cannot be read in its middle is not hashed, whichever chunk fails first", async (t) => {
  for (const after of [0, 5, 17]) {
    const place = await workplaceFor(t, faulty(`read=EIO&after=${after}`));
    await writeFile(place.path, content(8 * 1024 * 1024));
    await assert.rejects(hashFile(place.path, place), withCode("DISK_FAILED"));
    await place.disk.close();
  }
});
