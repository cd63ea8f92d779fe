// A part of a folder: chosen files come into the folder, what pieces bring of others is kept beside it, and more can be chosen
// later, also when the folder has its name.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { FileSelection } from "../../../src/metainfo/file-selection.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import {
  assertSameBytes,
  expectedTree,
  type FolderWorkplace,
  folderWorkplaceFor,
  payloadOf,
  type TestFolder,
  testFolder,
  treeOf,
} from "./folders.ts";
import { pretendRoom } from "./watched-files.ts";
import { commit, PIECE_BYTES, read, withCode } from "./workplace.ts";

const entries = {
  "a/1": 100,
  "a/2": 200,
  "a/3": PIECE_BYTES,
  "b/4": 3 * PIECE_BYTES,
  "b/5": 1000,
  "b/6": PIECE_BYTES - 10,
  "c/empty": 0,
  "c/to 1": { link: "a/1" },
  "c/7": 30,
};

interface Opened extends FolderWorkplace {
  readonly content: TestFolder;
  readonly store: PieceStore;
  only(...paths: string[]): FileSelection;
}

async function open(t: TestContext, paths: readonly string[]): Promise<Opened> {
  const place = await folderWorkplaceFor(t);
  const content = await testFolder(entries);
  const only = (...names: string[]): FileSelection => {
    const chosen = new Set(names.map((path) => content.indexOf(path)));
    assert.ok(!chosen.has(-1), `${names} are files`);
    return chosen;
  };
  const { metainfo } = content;
  const store = await PieceStore.openForDownload({ ...place, metainfo, chosen: only(...paths) });
  t.after(() => store.close());
  return { ...place, content, store, only };
}

/** Fetches what is wanted and missing. @returns how many pieces that were */
async function fetchWanted(store: PieceStore, { bytes }: TestFolder): Promise<number> {
  const { wanted, have } = store;
  let count = 0;
  for (let i = 0; i < have.pieceCount; i++) {
    if (!wanted.has(i) || have.has(i)) continue;
    const outcome = await commit(store, i, bytes);
    if (outcome !== "verified") throw outcome;
    count++;
  }
  return count;
}

async function readsAll(store: PieceStore, { bytes, metainfo: { geometry } }: TestFolder): Promise<void> {
  const { have } = store;
  for (let i = 0; i < have.pieceCount; i++) {
    if (!have.has(i)) continue;
    const frames = await read(store, i);
    assert.ok("bytes" in frames, String(frames));
    const from = geometry.pieceOffsetBytes(i);
    const lengthBytes = geometry.lengthOfPieceBytes(i);
    assertSameBytes(payloadOf(frames.bytes, lengthBytes), bytes.subarray(from, from + lengthBytes));
    frames.release();
  }
}

test("only the chosen files come into the folder, and every piece that was fetched is offered", async (t) => {
  const { store, content, ...place } = await open(t, ["a/2", "b/5", "c/empty", "c/to 1"]);
  assert.equal(await fetchWanted(store, content), 2);
  assert.equal(store.isComplete, true);
  await readsAll(store, content);
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), {
    ...expectedTree(content, ["a/2", "b/5", "c/empty"]),
    "c/to 1": "-> ../a/1",
  });
  assert.deepEqual(Object.keys(await treeOf((await place.rest()) ?? "")), ["a/1", "b/6"]);
  assert.equal(store.status, "seeding");
  await readsAll(store, content);
});

test("more files are chosen while it runs, and what was kept of them need not be fetched again", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/2"]);
  assert.equal(await fetchWanted(store, content), 1);
  const wanted = await store.choose(only("a/1", "a/2", "b/6"));
  assert.deepEqual(wanted, store.wanted);
  assert.equal(await fetchWanted(store, content), 2, "the pieces of b/6");
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a/1", "a/2", "b/6"]));
});

test("a file that is no longer chosen stays if it is whole, and leaves the folder if not", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/1", "b/4", "b/5"]);
  const { layout } = content.metainfo;
  await commit(store, 0, content.bytes);
  await commit(store, layout.firstPieceOf(content.indexOf("b/4")), content.bytes);
  const wanted = await store.choose(only("b/5"));
  assert.equal(wanted.has(0), false);
  assert.equal(await fetchWanted(store, content), 1);
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a/1", "b/5"]));
  assert.ok("b/4" in (await treeOf((await place.rest()) ?? "")));
  await readsAll(store, content);
});

test("more is chosen when the folder has its name: it comes there, and nothing is left beside it when all is there", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/1"]);
  await fetchWanted(store, content);
  await store.finish(place.path);
  await store.choose(only("a/1", "b/6"));
  assert.equal(store.status, "downloading");
  await fetchWanted(store, content);
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a/1", "b/6"]));
  await store.choose({ has: () => true });
  await fetchWanted(store, content);
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), { ...expectedTree(content), "c/to 1": "-> ../a/1" });
  assert.equal(await place.rest(), undefined);
  await readsAll(store, content);
  assert.equal(store.have.isComplete, true);
});

test("whole files that are not chosen are kept beside the folder, also when its pieces are all there", async (t) => {
  const place = await folderWorkplaceFor(t);
  const content = await testFolder({ a: 10, b: 20, c: 30 });
  const { metainfo } = content;
  const store = await PieceStore.openForDownload({ ...place, metainfo, chosen: new Set([0]) });
  t.after(() => store.close());
  await fetchWanted(store, content);
  assert.equal(store.have.isComplete, true);
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a"]));
  await readsAll(store, content);
  await store.choose(new Set([0, 1, 2]));
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a", "b", "c"]));
  const beside = (await readdir(dirname(place.path))).filter((name) => name.includes("minitorrent-rest"));
  assert.deepEqual(beside, []);
});

test("a choice that needs nothing more is finished again at once, and what is there stays", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/1", "a/2"]);
  await fetchWanted(store, content);
  await store.finish(place.path);
  const before = await treeOf(place.path);
  await store.choose(only("a/2"));
  assert.deepEqual([store.status, store.isComplete], ["downloading", true]);
  await readsAll(store, content);
  await store.finish(place.path);
  assert.equal(store.status, "seeding");
  assert.deepEqual(await treeOf(place.path), before);
});

test("a file of the user's that has a chosen file's name is not overwritten", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/1"]);
  await fetchWanted(store, content);
  await store.finish(place.path);
  await writeFile(join(place.path, "a/3"), "mine");
  await store.choose(only("a/3"));
  await assert.rejects(fetchWanted(store, content), {
    code: "FILE_EXISTS",
    message: /album\/a\/3 is there already/,
  });
  assert.equal(await readFile(join(place.path, "a/3"), "utf8"), "mine");
  assert.deepEqual(store.changedPaths, ["a/3"]);
});

test("after a restart the folder is continued with what is in it and beside it", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/2", "b/4"]);
  const { metainfo } = content;
  await commit(store, 0, content.bytes);
  await commit(store, 2, content.bytes);
  const known = { notedFacts: store.folderFacts ?? assert.fail(), have: store.have, resume: true };
  const ownFileId = store.opened?.fileId ?? "";
  await store.close();
  // More is chosen than when it was noted.
  const chosen = only("a/1", "a/2", "b/4");
  const again = await PieceStore.openForDownload({ ...place, metainfo, ...known, ownFileId, chosen });
  t.after(() => again.close());
  assert.deepEqual([again.doubted, again.have], [[], known.have]);
  await readsAll(again, content);
  await fetchWanted(again, content);
  await again.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a/1", "a/2", "b/4"]));
});

test("a finished folder is continued after a restart; a file that was changed in it is the user's", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/1", "a/2", "b/5"]);
  const { metainfo } = content;
  await fetchWanted(store, content);
  await store.finish(place.path);
  const known = {
    notedFacts: store.folderFacts ?? assert.fail(),
    have: store.have,
    resume: true,
    ownFileId: store.opened?.fileId ?? "",
    isFinished: true,
    partPath: place.path,
  };
  await store.close();
  await truncate(join(place.path, "a/2"), 5);
  await utimes(join(place.path, "b/5"), 1, 1);
  const chosen = only("a/1", "a/2", "b/5", "b/6");
  const again = await PieceStore.openForDownload({ ...place, metainfo, ...known, chosen });
  t.after(() => again.close());
  assert.deepEqual(again.changedPaths, ["a/2", "b/5"]);
  await again.recheck(again.doubted);
  assert.equal(again.have.has(0), false, "the truncated file is in piece 0");
  assert.ok(again.have.count > 0, "of the other only the time changed");
  await assert.rejects(fetchWanted(again, content), { code: "FILE_EXISTS", message: /a\/2/ });
  assert.equal((await stat(join(place.path, "a/2"))).size, 5);
});

test("what was verified when the folder got its name is not hashed again when more of it is there", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/1", "b/5"]);
  const { metainfo } = content;
  await fetchWanted(store, content);
  await store.finish(place.path);
  const notedFacts = store.folderFacts ?? assert.fail();
  const ownFileId = store.opened?.fileId ?? "";
  await store.close();
  const again = await PieceStore.openForDownload({
    ...place,
    ...{ metainfo, notedFacts, have: store.have, resume: true, ownFileId, isFinished: true },
    partPath: place.path,
    chosen: only("a/1", "a/3", "b/5"),
  });
  t.after(() => again.close());
  await fetchWanted(again, content);
  const hashed: string[] = [];
  const { inFolder } = place.disk;
  t.mock.method(place.disk, "inFolder", (...[job, explain]: Parameters<typeof inFolder>) => {
    if (job.kind === "folder-sync") hashed.push(...job.files.map(({ path }) => path));
    return inFolder.call(place.disk, job, explain);
  });
  await again.finish(place.path);
  assert.deepEqual(hashed, ["a/3"]);
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a/1", "a/3", "b/5"]));
});

test("a part of a folder is served again after a restart, from the folder and from beside it", async (t) => {
  const { store, content, ...place } = await open(t, ["a/2"]);
  const { metainfo } = content;
  await fetchWanted(store, content);
  await store.finish(place.path);
  const [expected, have] = [store.folderFacts ?? assert.fail(), store.have];
  await store.close();
  const again = await PieceStore.openForSeeding({ ...place, metainfo, expected, have });
  t.after(() => again.close());
  assert.deepEqual(again.have, have);
  await readsAll(again, content);
});

test("files can be chosen only of a folder that is open, and a partial one is finished only with all chosen", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/2", "b/4"]);
  await commit(store, 0, content.bytes);
  await assert.rejects(store.finish(place.path), { code: "INTERNAL", message: /is not a complete download/ });
  assert.equal(existsSync(place.path), false);
  await store.close();
  await assert.rejects(store.choose(only("a/1")), withCode("INTERNAL"));
});

test("only the chosen files need room on the disk", async (t) => {
  pretendRoom(t, { bytes: 2 * PIECE_BYTES });
  const { store, content } = await open(t, ["a/1"]);
  assert.equal(await fetchWanted(store, content), 1);
  const { metainfo } = content;
  const place = await folderWorkplaceFor(t);
  await assert.rejects(PieceStore.openForDownload({ ...place, metainfo }), withCode("DISK_FULL"));
});

test("reads and writes that come while files are moved wait for that", async (t) => {
  const { store, content, only, ...place } = await open(t, ["a/2"]);
  await commit(store, 0, content.bytes);
  const choosing = store.choose(only("a/1", "b/5"));
  const frames = read(store, 0);
  const outcome = commit(store, content.metainfo.layout.firstPieceOf(content.indexOf("b/5")), content.bytes);
  await choosing;
  const part = await frames;
  assert.ok(!(part instanceof MiniTorrentError), String(part));
  part.release();
  assert.equal(await outcome, "verified");
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(content, ["a/1", "a/2", "b/5"]));
  assert.equal(store.have.count, 2);
});
