// A new version takes from the old one what it has.
import assert from "node:assert/strict";
import { link, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Metainfo } from "../../../src/metainfo/metainfo.ts";
import { factsOf } from "../../../src/storage/file-facts.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import { type OlderVersion, reuseOlder } from "../../../src/storage/reuse.ts";
import {
  assertSameBytes,
  expectedTree,
  folderWorkplaceFor,
  type TestEntries,
  testFolder,
  treeOf,
  writeFolder,
} from "./folders.ts";
import { commit, content, faulty, metainfoOf, PIECE_BYTES, withCode } from "./workplace.ts";

const long = content(4 * PIECE_BYTES, 99);
const old: TestEntries = { "a/1": 300, "a/2": 400, "b/long": long, "b/moved": content(900, 7), z: 50 };
/** One file changed in the middle, one moved, one new, one gone. */
const changedLong = Uint8Array.from(long);
changedLong.fill(1, PIECE_BYTES, PIECE_BYTES + 5);
const next: TestEntries = {
  "a/1": 300,
  "a/new": 600,
  "b/long": changedLong,
  "c/moved here": content(900, 7),
  z: content(50, 55),
};

async function open(t: TestContext, metainfo: Metainfo, diskOptions?: Parameters<typeof faulty>[0]) {
  const place = await folderWorkplaceFor(t, diskOptions === undefined ? undefined : faulty(diskOptions));
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  return { ...place, store };
}

async function oldFolder(place: { readonly folder: string }, entries: TestEntries): Promise<OlderVersion> {
  const path = join(place.folder, "old");
  const folder = await testFolder(entries);
  return { path, metainfo: folder.metainfo, facts: await writeFolder(path, folder) };
}

/** Fetches what is missing. @returns the pieces that were */
async function fetchRest(store: PieceStore, bytes: Uint8Array): Promise<number[]> {
  const { have } = store;
  const missing = [...Array(have.pieceCount).keys()].filter((i) => !have.has(i));
  for (const i of missing) assert.equal(await commit(store, i, bytes), "verified");
  return missing;
}

test("a version takes over whole files, moved ones too, and pieces of changed files; the rest is fetched", async (t) => {
  const folder = await testFolder(next);
  const place = await open(t, folder.metainfo);
  const older = await oldFolder(place, old);
  assert.equal(await reuseOlder(place.store, older, place), 3);
  const { layout } = folder.metainfo;
  const longAt = layout.firstPieceOf(folder.indexOf("b/long"));
  assert.deepEqual(
    await fetchRest(place.store, folder.bytes),
    [0, longAt + 1, longAt + 4],
    "the piece of the new file, the changed one, and the one with the changed z",
  );
  assert.equal(
    (await stat(join(place.partPath, "c/moved here"))).ino,
    (await stat(join(older.path, "b/moved"))).ino,
    "the moved file was not copied",
  );
  await place.store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
  assert.equal(
    (await stat(join(place.path, "a/1"))).ino,
    (await stat(join(older.path, "a/1"))).ino,
    "a file that was taken over is not written to with its piece",
  );
  assert.deepEqual(
    await treeOf(older.path),
    expectedTree(await testFolder(old)),
    "the old version is as it was",
  );
});

test("pieces that whole files fill are there without being fetched, though they begin elsewhere in the old version", async (t) => {
  const many: Record<string, number> = {};
  for (let i = 0; i < 40; i++) many[`f${String(i).padStart(2, "0")}`] = 5000;
  const { f00: _, ...fewer } = many;
  const before = await testFolder(many);
  const keep = Object.fromEntries(Object.keys(fewer).map((path) => [path, before.files.get(path) ?? 0]));
  const folder = await testFolder(keep);
  const place = await open(t, folder.metainfo);
  const older = await oldFolder(place, many);
  assert.equal(await reuseOlder(place.store, older, place), folder.metainfo.geometry.pieceCount);
  assert.equal(place.store.isComplete, true);
  await place.store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
});

test("changed bytes of the old version are not taken over, and later changes do not get in", async (t) => {
  const folder = await testFolder(old);
  const place = await open(t, folder.metainfo);
  const older = await oldFolder(place, old);
  await writeFile(join(older.path, "a/1"), content(300, 77));
  await rm(join(older.path, "z"));
  await reuseOlder(place.store, older, place);
  assert.equal(place.memory.usedBytes, 0);
  const { layout } = folder.metainfo;
  const withOne = layout.firstPieceOf(folder.indexOf("a/1"));
  const withZ = layout.firstPieceOf(folder.indexOf("z"));
  assert.deepEqual([place.store.have.has(withOne), place.store.have.has(withZ)], [false, false]);
  // Linked by now, and changed by its old name.
  await writeFile(join(older.path, "b/long"), content(long.length, 3));
  await fetchRest(place.store, folder.bytes);
  await assert.rejects(place.store.finish(place.path), withCode("CORRUPT_FILE"));
  await fetchRest(place.store, folder.bytes);
  await place.store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
  assertSameBytes(
    await readFile(join(older.path, "b/long")),
    Buffer.from(content(long.length, 3)),
    "the user's change",
  );
});

test("of an old version that is not complete, only what is there is taken over", async (t) => {
  const folder = await testFolder(old);
  const place = await open(t, folder.metainfo);
  const older = await oldFolder(place, old);
  const hole = folder.metainfo.layout.firstPieceOf(folder.indexOf("b/long")) + 1;
  const have = { has: (pieceIndex: number) => pieceIndex !== hole };
  await reuseOlder(place.store, { ...older, have }, place);
  assert.deepEqual(await fetchRest(place.store, folder.bytes), [hole]);
});

test("a piece with a lie about its hash does not count as there because its files are", async (t) => {
  const { f00: _, ...shifted } = Object.fromEntries(
    [...Array(9).keys()].map((i) => [`f0${i}`, content(5000, i + 1)]),
  );
  const folder = await testFolder(shifted);
  folder.metainfo.pieceHashes.fill(9, 0, 20);
  const place = await open(t, folder.metainfo);
  const older = await oldFolder(place, { f00: content(5000, 1), ...shifted });
  await reuseOlder(place.store, older, place);
  assert.equal(place.store.have.has(0), false);
  assert.equal(place.store.have.has(1), true);
});

test("a single file takes the pieces of its old version, or of a folder", async (t) => {
  const bytes = Uint8Array.from(long);
  bytes.fill(3, 2 * PIECE_BYTES, 2 * PIECE_BYTES + 1);
  const place = await open(t, metainfoOf(bytes));
  const path = join(place.folder, "old film");
  await writeFile(path, long);
  const older = { path, metainfo: metainfoOf(long), facts: factsOf(await stat(path)) };
  assert.equal(await reuseOlder(place.store, older, place), 3);
  assert.deepEqual(await fetchRest(place.store, bytes), [2]);
  await place.store.finish(place.path);
  const other = await open(t, metainfoOf(long));
  assert.equal(await reuseOlder(other.store, await oldFolder(other, old), other), 4);
});

test("a folder takes pieces of a single file", async (t) => {
  const folder = await testFolder({ a: long });
  const place = await open(t, folder.metainfo);
  const path = join(place.folder, "old film");
  await writeFile(path, long);
  const older = { path, metainfo: metainfoOf(long), facts: factsOf(await stat(path)) };
  assert.equal(await reuseOlder(place.store, older, place), 4);
  await place.store.finish(place.path);
  assert.notEqual((await stat(join(place.path, "a"))).ino, (await stat(path)).ino);
});

test("where there are no links, short files are copied, and long ones piece by piece", async (t) => {
  const folder = await testFolder(old);
  const place = await open(t, folder.metainfo, "link=EXDEV");
  const older = await oldFolder(place, old);
  assert.equal(await reuseOlder(place.store, older, place), folder.metainfo.geometry.pieceCount);
  const inodes = await Promise.all(
    [place.partPath, older.path].map(async (path) => (await stat(join(path, "a/1"))).ino),
  );
  assert.notEqual(inodes[0], inodes[1]);
  await place.store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
});

test("only what is chosen is taken over", async (t) => {
  const folder = await testFolder(old);
  const place = await open(t, folder.metainfo);
  const chosen = folder.indexOf("a/1");
  await place.store.choose({ has: (fileIndex) => fileIndex === chosen });
  await reuseOlder(place.store, await oldFolder(place, old), place);
  assert.deepEqual(Object.keys(await treeOf(place.partPath)), ["a/1"]);
  assert.equal(place.store.have.count, 1, "and no piece that it does not need");
  assert.equal(place.store.isComplete, true);
});

test("a take-over that is aborted, or cut off by a full disk, gives its memory back", async (t) => {
  const folder = await testFolder(next);
  const aborted = await open(t, folder.metainfo);
  const signal = AbortSignal.abort(new Error("enough"));
  const older = await oldFolder(aborted, old);
  await assert.rejects(reuseOlder(aborted.store, older, { ...aborted, signal }), { message: "enough" });
  assert.equal(aborted.memory.usedBytes, 0);
  const full = await open(t, folder.metainfo, "write=ENOSPC");
  await assert.rejects(reuseOlder(full.store, await oldFolder(full, old), full), withCode("DISK_FULL"));
  assert.equal(full.memory.usedBytes, 0);
});

test("a file that was taken over and is wrong on disk is written to again, though its time says nothing", async (t) => {
  const folder = await testFolder(old);
  const place = await open(t, folder.metainfo);
  await reuseOlder(place.store, await oldFolder(place, old), place);
  const path = join(place.partPath, "a/2");
  const { atimeMs, mtimeMs } = await stat(path);
  await writeFile(path, content(400, 50));
  await utimes(path, atimeMs / 1000, mtimeMs / 1000);
  await place.store.recheck("all");
  assert.deepEqual(await fetchRest(place.store, folder.bytes), [0]);
  await place.store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
});

test("a file that was linked and must be written again leaves the old version's alone", async (t) => {
  const folder = await testFolder(old);
  const place = await open(t, folder.metainfo);
  const older = await oldFolder(place, old);
  await reuseOlder(place.store, older, place);
  assert.equal(place.store.isComplete, true);
  await link(join(place.partPath, "z"), join(place.folder, "third name"));
  await writeFile(join(older.path, "z"), content(50, 50));
  await assert.rejects(place.store.finish(place.path), withCode("CORRUPT_FILE"));
  await fetchRest(place.store, folder.bytes);
  await place.store.finish(place.path);
  assertSameBytes(await readFile(join(older.path, "z")), Buffer.from(content(50, 50)));
});
