// What a store refuses and allows in each of its states, and what it holds of the process's resources.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { factsOf } from "../../../src/storage/file-facts.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import { pretendRoom, watchFiles } from "./watched-files.ts";
import {
  commit,
  commitAll,
  content,
  metainfoOf,
  openCount,
  PIECE_BYTES,
  read,
  type Workplace,
  withCode,
  workplaceFor,
} from "./workplace.ts";

const bytes = content(3 * PIECE_BYTES);
const metainfo = metainfoOf(bytes);
const inProgress = { code: "INTERNAL", message: /while pieces of it are arriving/ };

async function openSeed(place: Workplace): Promise<PieceStore> {
  await writeFile(place.path, bytes);
  return PieceStore.openForSeeding({ ...place, metainfo, expected: factsOf(await stat(place.path)) });
}

/** Another program changes that piece. */
function alter(path: string, pieceIndex: number): void {
  const altered = readFileSync(path);
  altered[pieceIndex * PIECE_BYTES] = (altered[pieceIndex * PIECE_BYTES] ?? 0) ^ 1;
  writeFileSync(path, altered);
}

test("only a complete download is finished, and once at a time", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  for (const i of [0, 1]) await commit(store, i, bytes);
  await assert.rejects(store.finish(place.path), { code: "INTERNAL", message: /is not a complete download/ });
  assert.equal(store.status, "downloading");
  await commit(store, 2, bytes);
  const finishing = store.finish(place.path);
  assert.equal(store.status, "finishing");
  await assert.rejects(store.finish(`${place.path} 2`), withCode("INTERNAL"));
  await assert.rejects(store.recheck("all"), withCode("INTERNAL"));
  assert.equal(store.reserve(0), undefined);
  await finishing;
  assert.equal(store.status, "seeding");
  await assert.rejects(store.finish(`${place.path} 2`), withCode("INTERNAL"));
  assert.equal(existsSync(`${place.path} 2`), false);
});

test("what was written is on the disk before it is read back, and still the same when that is over", async (t) => {
  const place = await workplaceFor(t);
  const watched = watchFiles(t);
  const unnamedPath = join(place.folder, "new");
  const store = await PieceStore.openForDownload({ ...place, metainfo, unnamedPath });
  t.after(() => store.close());
  await commitAll(store, bytes);
  watched.calls.length = 0;
  const { hashRange } = place.disk;
  t.mock.method(place.disk, "hashRange", (range: Parameters<typeof hashRange>[0]) => {
    watched.calls.push(watched.running === 0 ? "read back" : "read back too soon");
    return hashRange.call(place.disk, range);
  });
  await store.finish(place.path);
  assert.deepEqual(watched.calls.slice(0, 8), [
    "sync new",
    "read back",
    "read back",
    "read back",
    "sync new",
    "sync new",
    "link film.part film",
    "unlink film.part",
  ]);
});

test("nothing is checked while a piece is being put together or written, and no piece begins meanwhile", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  assert.ok(store.reserve(0));
  await assert.rejects(store.recheck("all"), inProgress);
  store.release(0);
  const written = commit(store, 1, bytes);
  await assert.rejects(store.recheck("all"), inProgress);
  assert.equal(await written, "verified");
  const checking = store.recheck("all");
  assert.equal(store.status, "rechecking");
  assert.equal(store.reserve(0), undefined);
  await assert.rejects(store.recheck("all"), withCode("INTERNAL"));
  assert.equal((await checking).count, 1);
  assert.equal(store.status, "downloading");
  assert.ok(store.reserve(0));
});

test("a check gives back the memory that pieces were kept in, since the file may be another", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  await commit(store, 1, bytes);
  assert.equal(place.memory.usedBytes, PIECE_BYTES);
  await store.recheck([2]);
  assert.equal(place.memory.usedBytes, 0);
});

test("a file of one piece is not hashed a second time", async (t) => {
  const place = await workplaceFor(t);
  const one = bytes.subarray(0, PIECE_BYTES);
  t.mock.method(place.disk, "openDigest", () => assert.fail("a second hash was begun"));
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(one) });
  t.after(() => store.close());
  await commit(store, 0, one);
  assert.equal(place.memory.usedBytes, 0);
  await store.finish(place.path);
});

test("a check of some pieces says and changes what is known of these alone", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  for (const i of [0, 1]) await commit(store, i, bytes);
  alter(place.partPath, 0);
  alter(place.partPath, 1);
  const right = await store.recheck([1, 1, 2, -1, 3, 0.5]);
  assert.equal(right.count, 0);
  assert.deepEqual(
    [0, 1, 2].map((i) => store.have.has(i)),
    [true, false, false],
  );
  const found = Buffer.from(bytes);
  await writeFile(place.partPath, found);
  assert.deepEqual([...(await store.recheck([1, 2])).toBytes()], [0b0110_0000]);
  assert.equal(store.have.count, 3);
  await store.finish(place.path);
});

test("a file that is shared may be checked at any time, and stays what it is", async (t) => {
  const place = await workplaceFor(t);
  const store = await openSeed(place);
  t.after(() => store.close());
  assert.equal((await store.recheck("all")).count, 3);
  assert.deepEqual([store.status, store.opened, store.path], ["seeding", undefined, place.path]);
  assert.deepEqual(store.found, factsOf(await stat(place.path)));
  alter(place.path, 1);
  assert.deepEqual([await store.isRightOnDisk(0), await store.isRightOnDisk(1)], [true, false]);
  assert.equal((await store.recheck("all")).count, 2);
  assert.equal(store.have.count, 3);
});

test("a shared file whose length is not the torrent's is not opened, whatever the profile says", async (t) => {
  const place = await workplaceFor(t);
  await writeFile(place.path, bytes.subarray(1));
  const expected = factsOf(await stat(place.path));
  const before = await openCount();
  const opening = PieceStore.openForSeeding({ ...place, metainfo, expected });
  await assert.rejects(opening, withCode("FILE_CHANGED"));
  assert.deepEqual([place.files.taken, await openCount()], [0, before]);
});

test("what a store is told that it has is its own from then on, and so is what it tells", async (t) => {
  const place = await workplaceFor(t);
  const first = await PieceStore.openForDownload({ ...place, metainfo });
  await first.close();
  await writeFile(place.partPath, bytes);
  const have = new Bitfield(3);
  have.set(0);
  const store = await PieceStore.openForDownload({ ...place, metainfo, have, resume: true });
  t.after(() => store.close());
  have.set(1);
  store.have.set(2);
  assert.equal(store.have.count, 1);
});

test("only the missing bytes are asked of the disk, besides what others were promised", async (t) => {
  const place = await workplaceFor(t);
  const first = await PieceStore.openForDownload({ ...place, metainfo });
  await first.close();
  const have = new Bitfield(3);
  have.set(1);
  const room = { bytes: 2 * PIECE_BYTES + 1000 };
  pretendRoom(t, room);
  const options = { ...place, metainfo, have, resume: true };
  await assert.rejects(
    PieceStore.openForDownload({ ...options, promisedBytes: 1001 }),
    withCode("DISK_FULL"),
  );
  assert.equal(place.files.taken, 0);
  await (await PieceStore.openForDownload({ ...options, promisedBytes: 1000 })).close();
  room.bytes = 2 * PIECE_BYTES - 1;
  await assert.rejects(PieceStore.openForDownload(options), withCode("DISK_FULL"));
});

test("memory is asked back of a store only until it has finished, or is closed", async (t) => {
  for (const how of ["finished", "closed"]) {
    const place = await workplaceFor(t);
    let asked = 0;
    const { onScarcity } = place.memory;
    t.mock.method(place.memory, "onScarcity", (reclaim: () => void) => {
      const end = onScarcity.call(place.memory, reclaim);
      asked++;
      return () => {
        asked--;
        end();
      };
    });
    const store = await PieceStore.openForDownload({ ...place, metainfo });
    assert.equal(asked, 1);
    await commitAll(store, bytes);
    if (how === "finished") await store.finish(place.path);
    else await store.close();
    assert.equal(asked, 0, how);
    await store.close();
    t.mock.restoreAll();
  }
});

test("a closed store takes, gives and checks nothing any more, and holds no place", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  await commit(store, 0, bytes);
  assert.ok(store.reserve(1));
  const closed = store.close();
  assert.equal(store.close(), closed);
  await closed;
  assert.deepEqual([store.status, place.files.taken, place.memory.usedBytes], ["closed", 0, 0]);
  assert.equal(store.reserve(1), undefined);
  assert.ok((await read(store, 0)) instanceof MiniTorrentError);
  await assert.rejects(store.recheck("all"), withCode("INTERNAL"));
  await assert.rejects(store.finish(place.path), withCode("INTERNAL"));
  await assert.rejects(store.isRightOnDisk(0), withCode("INTERNAL"));
  await assert.rejects(store.facts(), withCode("INTERNAL"));
  await rm(place.partPath);
});

test("a store that is closed while it is checked ends the check, and stays closed", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  await commitAll(store, bytes);
  const checking = store.recheck("all");
  await Promise.allSettled([store.close(), checking]);
  assert.equal(store.status, "closed");
  assert.equal(place.files.taken, 0);
});

test("whether somebody waits for memory is the process's to know", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  assert.equal(store.isMemoryScarce, false);
  while (place.memory.take(16 * 1024 * 1024) !== undefined);
  assert.equal(store.isMemoryScarce, true);
});
