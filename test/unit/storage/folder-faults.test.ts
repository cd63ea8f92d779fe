// Folders and disks that fail, threads that die, and processes that end at any moment: what was verified is not fetched again.
import assert from "node:assert/strict";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { DiskPool } from "../../../src/storage/disk-pool.ts";
import type { FolderFacts } from "../../../src/storage/folder-facts.ts";
import { OpenFiles } from "../../../src/storage/open-files.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import { createStorageResources } from "../../../src/storage/storage-resources.ts";
import { expectedTree, folderWorkplaceFor, testFolder, treeOf, writeFolder } from "./folders.ts";
import { systemError, watchFiles } from "./watched-files.ts";
import { commit, commitAll, faulty, PIECE_BYTES, read, withCode } from "./workplace.ts";

const entries = {
  a: 300,
  b: PIECE_BYTES,
  "c/d": 700,
  "c/e": 2 * PIECE_BYTES + 5,
  f: 900,
  g: PIECE_BYTES - 1,
};
/** Of the thread's writes, each of at most 10,000 bytes (see faulty-io.ts): in small files, in long ones, in straddling ones. */
const GOOD_WRITES = [0, 1, 2, 4, 6, 9, 12];

/** What a profile has when the process ends: noted after some pieces, not after the last. */
interface Noted {
  readonly notedFacts: FolderFacts;
  readonly have: Bitfield;
  readonly ownFileId: string;
}

async function fetchUntilTrouble(store: PieceStore, bytes: Uint8Array) {
  const verified: number[] = [];
  let noted: Noted | undefined;
  for (let i = 0; i < store.have.pieceCount; i++) {
    const outcome = await commit(store, i, bytes);
    if (outcome !== "verified") return { verified, noted, outcome };
    verified.push(i);
    if (i % 2 === 0) continue;
    const { folderFacts, have, opened } = store;
    noted = { notedFacts: folderFacts ?? assert.fail(), have, ownFileId: opened?.fileId ?? "" };
  }
  return { verified, noted, outcome: "verified" as const };
}

for (const [trouble, code] of [
  ["write=DEATH", "DISK_FAILED"],
  ["write=ENOSPC", "DISK_FULL"],
]) {
  test(`after ${trouble} at any write, what was verified is there, and the rest completes it`, async (t) => {
    const folder = await testFolder(entries);
    const { metainfo, bytes } = folder;
    for (const after of GOOD_WRITES) {
      const place = await folderWorkplaceFor(t);
      const disk = new DiskPool({ workerCount: 1, ...faulty(`${trouble}&after=${after}`) });
      const store = await PieceStore.openForDownload({ ...place, metainfo, disk });
      const { verified, noted, outcome } = await fetchUntilTrouble(store, bytes);
      assert.equal(outcome instanceof MiniTorrentError && outcome.code, code, `after ${after} writes`);
      await store.close();
      await disk.close();
      const again = await PieceStore.openForDownload({ ...place, metainfo, resume: true, ...noted });
      if (noted === undefined) await again.recheck("all");
      else await again.recheck(again.doubted);
      for (const i of verified) assert.ok(again.have.has(i), `after ${after} writes: piece ${i}`);
      await fetchMissing(again, bytes);
      await again.finish(place.path);
      assert.deepEqual(await treeOf(place.path), expectedTree(folder));
      await again.close();
    }
  });
}

async function fetchMissing(store: PieceStore, bytes: Uint8Array): Promise<void> {
  const { have } = store;
  for (let i = 0; i < have.pieceCount; i++) {
    if (!have.has(i)) assert.equal(await commit(store, i, bytes), "verified");
  }
}

test("a finish that fails at any call of the system can be done again", async (t) => {
  const folder = await testFolder(entries);
  for (const failing of ["rename", "open", "sync"]) {
    const place = await folderWorkplaceFor(t);
    const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
    t.after(() => store.close());
    await commitAll(store, folder.bytes);
    const watched = watchFiles(t);
    watched.before = (call) => {
      if (call === failing) throw systemError("EIO");
    };
    await assert.rejects(store.finish(place.path), withCode("DISK_FAILED"), failing);
    assert.equal(store.status, "downloading");
    watched.before = () => undefined;
    await store.finish(place.path);
    assert.deepEqual(await treeOf(place.path), expectedTree(folder));
    t.mock.restoreAll();
  }
});

test("a process that ends between the new name and its record finds the folder under that name", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const { metainfo, bytes } = folder;
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  const { noted } = await fetchUntilTrouble(store, bytes);
  assert.ok(noted !== undefined);
  await store.finish(place.path);
  await store.close();
  const known = { ...noted, resume: true, isFinished: true, partPath: place.path };
  const again = await PieceStore.openForDownload({ ...place, metainfo, ...known });
  t.after(() => again.close());
  await again.recheck(again.doubted);
  assert.equal(again.isComplete, true);
  await again.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
});

test("a disk that cannot read is no change of a file: the error is told, and the piece stays", async (t) => {
  const place = await folderWorkplaceFor(t, faulty("read=EIO"));
  const folder = await testFolder(entries);
  const expected = await writeFolder(place.path, folder);
  const onLost = () => assert.fail("no file has changed");
  const store = await PieceStore.openForSeeding({ ...place, metainfo: folder.metainfo, expected, onLost });
  t.after(() => store.close());
  const frames = await read(store, 0);
  assert.equal(frames instanceof MiniTorrentError && frames.code, "DISK_FAILED");
  assert.equal(store.have.has(0), true);
  await assert.rejects(store.isRightOnDisk(0), withCode("DISK_FAILED"));
});

test("a shared folder may be named by a link, but what is in it is not read through one", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const expected = await writeFolder(place.path, folder);
  const linkPath = join(place.folder, "link");
  await symlink(place.path, linkPath);
  const { metainfo } = folder;
  const store = await PieceStore.openForSeeding({ ...place, metainfo, path: linkPath, expected });
  t.after(() => store.close());
  assert.equal(store.have.isComplete, true);
  await rename(join(place.path, "c"), join(place.folder, "c"));
  await symlink(join(place.folder, "c"), join(place.path, "c"));
  const withC = metainfo.layout.firstPieceOf(folder.indexOf("c/d"));
  const frames = await read(store, withC);
  assert.ok(frames instanceof MiniTorrentError);
  assert.equal(store.have.has(withC), false);
  await rm(place.path, { recursive: true });
  await writeFile(place.path, "no folder");
  await assert.rejects(PieceStore.openForSeeding({ ...place, metainfo, expected }), withCode("FILE_CHANGED"));
});

test("many small files need no more descriptors than the disk has threads", async (t) => {
  const place = await folderWorkplaceFor(t);
  const many: Record<string, number> = {};
  for (let i = 0; i < 300; i++) many[`d${i % 20}/f${i}`] = 100 + i;
  const folder = await testFolder(many);
  const resources = createStorageResources(undefined, 1);
  t.after(() => resources.disk.close());
  const { metainfo } = folder;
  const options = { ...resources, metainfo, partPath: place.partPath };
  const store = await PieceStore.openForDownload(options);
  t.after(() => store.close());
  assert.equal(resources.files.taken, 0);
  await commitAll(store, folder.bytes);
  await store.finish(place.path);
  assert.equal(resources.files.taken, 0);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
});

test("a thread that finds no descriptor tries again when others may have closed theirs", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  let pauses = 0;
  const files = new OpenFiles(1, async () => void pauses++);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo, files });
  t.after(() => store.close());
  const { inFolder } = place.disk;
  t.mock.method(place.disk, "inFolder", async (...[job, explain]: Parameters<typeof inFolder>) => {
    if (pauses < 2) throw explain(systemError("EMFILE"));
    return inFolder.call(place.disk, job, explain);
  });
  assert.equal(await commit(store, 0, folder.bytes), "verified");
  assert.equal(pauses, 2);
});

test("a folder whose part was removed while it was closed begins again", async (t: TestContext) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const { metainfo, bytes } = folder;
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  const { noted } = await fetchUntilTrouble(store, bytes);
  assert.ok(noted !== undefined);
  await store.close();
  await rm(place.partPath, { recursive: true });
  const again = await PieceStore.openForDownload({ ...place, metainfo, resume: true, ...noted });
  t.after(() => again.close());
  assert.deepEqual([again.have.count, again.doubted, again.found], [0, [], undefined]);
  await rm(place.partPath, { recursive: true });
  await mkdir(place.partPath);
  const outcome = await commit(again, 0, bytes);
  assert.equal(outcome instanceof MiniTorrentError && outcome.code, "FILE_CHANGED");
});
