// A folder of files: downloaded piece by piece, named, and served in place.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import {
  link,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { FolderFacts, timeOf } from "../../../src/storage/folder-facts.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import {
  assertSameBytes,
  expectedTree,
  folderWorkplaceFor,
  payloadOf,
  seedFolder,
  testFolder,
  treeOf,
  writeFolder,
} from "./folders.ts";
import { commit, commitAll, faulty, openCount, PIECE_BYTES, read, withCode } from "./workplace.ts";

/** Small files that share pieces, one that lies across two pieces, a long one with padding before it, an empty one, a link. */
const entries = {
  "a/1": 100,
  "a/2": PIECE_BYTES - 200,
  "a/b/3": 5000,
  "a/b/empty": 0,
  "c/long": 3 * PIECE_BYTES + 10,
  "c/run": { executable: 70 },
  "c/to 1": { link: "a/1" },
  d: 20,
};

test("a folder is downloaded: every file, link and executable bit is in its place when it has its name", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  assert.equal(store.isComplete, false);
  await commitAll(store, folder.bytes);
  assert.equal(existsSync(place.path), false);
  assert.equal(store.isComplete, true);
  await store.finish(place.path);
  assert.equal(store.status, "seeding");
  assert.equal(store.path, place.path);
  assert.equal(existsSync(place.partPath), false);
  assert.deepEqual(await treeOf(place.path), { ...expectedTree(folder), "c/to 1": "-> ../a/1" });
  assert.equal((await stat(join(place.path, "c/run"))).mode & 0o111, 0o111);
  assert.equal((await stat(join(place.path, "a/1"))).mode & 0o111, 0);
});

test("pieces may come in any order, and be read as soon as they are there, padding as zeros", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const { geometry } = folder.metainfo;
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  for (let i = geometry.pieceCount - 1; i >= 0; i--) {
    assert.equal(await commit(store, i, folder.bytes), "verified");
    const frames = await read(store, i);
    assert.ok("bytes" in frames, `piece ${i}: ${frames}`);
    const from = geometry.pieceOffsetBytes(i);
    const lengthBytes = geometry.lengthOfPieceBytes(i);
    assertSameBytes(payloadOf(frames.bytes, lengthBytes), folder.bytes.subarray(from, from + lengthBytes));
    frames.release();
  }
  await store.finish(place.path);
});

test("bytes that a peer sent in place of padding are not hashed", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder({ a: 100, b: PIECE_BYTES });
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  const memory = store.reserve(0);
  memory?.fill(0xff);
  memory?.set(folder.bytes.subarray(0, 100));
  assert.equal(await new Promise((resolve) => store.commit(0, resolve)), "verified");
});

test("a piece with a wrong hash is written to none of its files", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  assert.equal(await commit(store, 0, new Uint8Array(folder.bytes.length)), "mismatch");
  assert.deepEqual(await treeOf(place.partPath), {});
});

test("a shared folder is read, also across files, without keeping its small files open", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const { geometry } = folder.metainfo;
  const store = await seedFolder(place, folder);
  t.after(() => store.close());
  assert.equal(store.have.isComplete, true);
  const before = await openCount();
  for (let i = 0; i < geometry.pieceCount; i++) {
    const frames = await read(store, i);
    assert.ok("bytes" in frames, String(frames));
    const from = geometry.pieceOffsetBytes(i);
    const lengthBytes = geometry.lengthOfPieceBytes(i);
    assertSameBytes(payloadOf(frames.bytes, lengthBytes), folder.bytes.subarray(from, from + lengthBytes));
    frames.release();
  }
  assert.equal(await openCount(), before);
});

test("a long file that changes while it is kept open is not sent any more", async (t) => {
  const place = await folderWorkplaceFor(t);
  const lengthBytes = 1024 * 1024;
  const folder = await testFolder({ long: 2 * lengthBytes }, { pieceBytes: lengthBytes });
  const store = await seedFolder(place, folder);
  t.after(() => store.close());
  const frames = await read(store, 0);
  assert.ok("bytes" in frames, String(frames));
  frames.release();
  await utimes(join(place.path, "long"), 1, 1);
  const refused = await read(store, 1);
  assert.equal(refused instanceof MiniTorrentError && refused.code, "FILE_CHANGED");
  assert.equal(store.have.count, 0);
});

test("a long file stays open while it is served, and is closed with the store", async (t) => {
  const place = await folderWorkplaceFor(t);
  const lengthBytes = 1024 * 1024;
  const folder = await testFolder({ long: lengthBytes }, { pieceBytes: lengthBytes });
  const store = await seedFolder(place, folder);
  const before = await openCount();
  for (let round = 0; round < 2; round++) {
    const frames = await read(store, 0);
    assert.ok("bytes" in frames, String(frames));
    assertSameBytes(payloadOf(frames.bytes, lengthBytes), folder.bytes);
    frames.release();
  }
  assert.equal(await openCount(), before + 1);
  await store.close();
  assert.equal(await openCount(), before);
});

const changes: Record<string, (path: string) => Promise<unknown>> = {
  changed: async (path) => {
    await writeFile(path, "another content");
    await utimes(path, 1, 1);
  },
  truncated: (path) => truncate(path, 10),
  deleted: (path) => rm(path),
  "made a link": async (path) => {
    await rename(path, `${path} moved`);
    await symlink(`${path} moved`, path);
  },
};

for (const [what, change] of Object.entries(changes)) {
  for (const isCached of [false, true]) {
    test(`a served file that is ${what} stops only the pieces that touch it${isCached ? ", also cached ones" : ""}`, async (t) => {
      const place = await folderWorkplaceFor(t);
      const folder = await testFolder(entries);
      const lost: { pieces: readonly number[]; path: string; error: MiniTorrentError }[] = [];
      const expected = await writeFolder(place.path, folder);
      const { metainfo } = folder;
      const onLost = (what: (typeof lost)[number]) => void lost.push(what);
      const store = await PieceStore.openForSeeding({ ...place, metainfo, expected, onLost });
      t.after(() => store.close());
      const readAll = async () => {
        const refused: number[] = [];
        for (let i = 0; i < metainfo.geometry.pieceCount; i++) {
          const frames = await read(store, i);
          if (frames instanceof MiniTorrentError) refused.push(i);
          else frames.release();
        }
        return refused;
      };
      if (isCached) assert.deepEqual(await readAll(), []);
      const path = join(place.path, "a/b/3");
      await change(path);
      assert.deepEqual(await readAll(), [0, 1], "of pieces 0 and 1 the file is a part");
      assert.deepEqual(
        lost.map(({ pieces, path }) => ({ pieces, path })),
        [{ pieces: [0, 1], path }],
      );
      assert.match(String(lost[0]?.error.message), /a\/b\/3/);
      assert.deepEqual([store.have.has(0), store.have.has(1), store.have.has(2)], [false, false, true]);
    });
  }
}

test("a file that another program writes to while it is read is not sent", async (t) => {
  const place = await folderWorkplaceFor(t, faulty("read=TOUCH"));
  const folder = await testFolder({ a: 100, b: 200 });
  const store = await seedFolder(place, folder);
  t.after(() => store.close());
  const frames = await read(store, 0);
  assert.equal(frames instanceof MiniTorrentError && frames.code, "FILE_CHANGED");
  assert.equal(store.have.has(0), false);
});

test("files from the first moment of 1970 are there as others are", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder({ a: 100, long: 1024 * 1024 });
  const { metainfo } = folder;
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  await commitAll(store, folder.bytes);
  await store.finish(place.path);
  await store.close();
  for (const path of ["a", "long"]) await utimes(join(place.path, path), 0, 0);
  const expected = FolderFacts.none(2);
  expected.mtimesMs.set([timeOf({ mtimeMs: 0 }), timeOf({ mtimeMs: 0 })]);
  const again = await PieceStore.openForSeeding({ ...place, metainfo, expected });
  t.after(() => again.close());
  assert.equal(again.have.isComplete, true);
  for (const pieceIndex of [0, 1]) {
    const frames = await read(again, pieceIndex);
    assert.ok("bytes" in frames, String(frames));
    frames.release();
  }
  await utimes(join(place.path, "a"), 1, 1);
  const changed = await PieceStore.openForSeeding({ ...place, metainfo, expected });
  t.after(() => changed.close());
  assert.equal(changed.have.has(0), false);
});

test("a folder that is opened to be served lacks the pieces of files that changed meanwhile", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const expected = await writeFolder(place.path, folder);
  await truncate(join(place.path, "d"), 3);
  await rm(join(place.path, "a/1"));
  await utimes(join(place.path, "c/long"), 1, 1);
  const store = await PieceStore.openForSeeding({ ...place, metainfo: folder.metainfo, expected });
  t.after(() => store.close());
  const missing = [...Array(folder.metainfo.geometry.pieceCount).keys()].filter((i) => !store.have.has(i));
  assert.deepEqual(missing, [0, 2, 3, 4, 5]);
  await rm(place.path, { recursive: true });
  const gone = await read(store, 1);
  assert.equal(gone instanceof MiniTorrentError && gone.code, "FILE_CHANGED");
  await assert.rejects(
    PieceStore.openForSeeding({ ...place, metainfo: folder.metainfo, expected }),
    withCode("FILE_NOT_FOUND"),
  );
});

test("a file whose own SHA-1 is wrong in the metainfo is named, and a small one before it is written", async (t) => {
  const place = await folderWorkplaceFor(t);
  for (const path of ["a/1", "c/long"]) {
    const folder = await testFolder(entries, { wrongSha1Of: path });
    const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
    try {
      if (path === "a/1") {
        const outcome = await commit(store, 0, folder.bytes);
        assert.ok(outcome instanceof MiniTorrentError);
        assert.equal(outcome.code, "CORRUPT_FILE");
        assert.match(outcome.message, /album\.part\/a\/1 has another SHA-1/);
        assert.deepEqual(await treeOf(place.partPath), {});
      } else {
        await commitAll(store, folder.bytes);
        await assert.rejects(store.finish(place.path), {
          code: "CORRUPT_FILE",
          message: /album\.part\/c\/long has another SHA-1/,
        });
        assert.equal(store.status, "downloading");
        assert.equal(existsSync(place.path), false);
      }
    } finally {
      await store.close();
      await rm(place.partPath, { recursive: true });
    }
  }
});

test("a file that another program changed before the end is fetched again, the rest is not", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  await commitAll(store, folder.bytes);
  const altered = await readFile(join(place.partPath, "c/long"));
  altered[PIECE_BYTES] = (altered[PIECE_BYTES] ?? 0) ^ 1;
  await writeFile(join(place.partPath, "c/long"), altered);
  await assert.rejects(store.finish(place.path), { code: "CORRUPT_FILE", message: /c\/long/ });
  const { pieceCount } = folder.metainfo.geometry;
  assert.equal(store.have.count, pieceCount - 1);
  const missing = [...Array(pieceCount).keys()].find((i) => !store.have.has(i)) ?? -1;
  assert.equal(await commit(store, missing, folder.bytes), "verified");
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), { ...expectedTree(folder), "c/to 1": "-> ../a/1" });
});

test("nothing is written through a link that has the place of a folder, or of a file", async (t) => {
  const place = await folderWorkplaceFor(t);
  const outside = join(place.folder, "outside");
  await mkdir(outside);
  await writeFile(join(outside, "3"), "precious");
  const folder = await testFolder(entries);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  assert.equal(await commit(store, 0, folder.bytes), "verified");
  await rename(join(place.partPath, "a/b"), join(place.folder, "moved"));
  await symlink(outside, join(place.partPath, "a/b"));
  const throughFolder = await commit(store, 1, folder.bytes);
  assert.ok(throughFolder instanceof MiniTorrentError);
  assert.equal(throughFolder.code, "DESTINATION_UNUSABLE");
  assert.match(throughFolder.message, /a\/b\/3 cannot be written: a symbolic link/);
  await rm(join(place.partPath, "a/b"));
  await rename(join(place.folder, "moved"), join(place.partPath, "a/b"));
  await rename(join(place.partPath, "a/b/3"), join(place.folder, "3"));
  await symlink(join(outside, "3"), join(place.partPath, "a/b/3"));
  const throughFile = await commit(store, 1, folder.bytes);
  assert.equal(throughFile instanceof MiniTorrentError && throughFile.code, "DESTINATION_UNUSABLE");
  assert.equal(await readFile(join(outside, "3"), "utf8"), "precious");
  assert.deepEqual(Object.keys(await treeOf(outside)), ["3"]);
  await rename(join(place.folder, "3"), join(place.partPath, "a/b/3"));
  assert.equal(await commit(store, 1, folder.bytes), "verified");
});

test("nothing is written to another folder that has the part folder's name, or through a link of that name", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  await rename(place.partPath, `${place.partPath} moved`);
  for (const isLink of [false, true]) {
    if (isLink) await symlink(`${place.partPath} moved`, place.partPath);
    else await mkdir(place.partPath);
    const outcome = await commit(store, 0, folder.bytes);
    assert.equal(outcome instanceof MiniTorrentError && outcome.code, "FILE_CHANGED");
    assert.deepEqual(await treeOf(place.partPath), {});
    await rm(place.partPath, { recursive: true });
  }
  await rename(`${place.partPath} moved`, place.partPath);
  await commitAll(store, folder.bytes);
  await store.finish(place.path);
});

test("a file that has a second name elsewhere is not written to: it gets a copy of its own", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  assert.equal(await commit(store, 0, folder.bytes), "verified");
  const other = join(place.folder, "other");
  await link(join(place.partPath, "a/b/3"), other);
  const before = await readFile(other);
  assert.equal(await commit(store, 1, folder.bytes), "verified");
  assertSameBytes(await readFile(other), before);
  for (let i = 2; i < folder.metainfo.geometry.pieceCount; i++) await commit(store, i, folder.bytes);
  await store.finish(place.path);
  assert.deepEqual(await treeOf(place.path), { ...expectedTree(folder), "c/to 1": "-> ../a/1" });
});

test("a name that is taken is not replaced, and can be taken when it is free", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const { metainfo } = folder;
  await mkdir(place.partPath);
  await assert.rejects(PieceStore.openForDownload({ ...place, metainfo }), withCode("FILE_EXISTS"));
  await rm(place.partPath, { recursive: true });
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  await commitAll(store, folder.bytes);
  await mkdir(place.path);
  await assert.rejects(store.finish(place.path), { code: "FILE_EXISTS", message: /album is there already/ });
  await rm(place.path, { recursive: true });
  await writeFile(place.path, "a file");
  await assert.rejects(store.finish(place.path), withCode("FILE_EXISTS"));
  assert.equal(await readFile(place.path, "utf8"), "a file");
  await rm(place.path);
  await store.finish(place.path);
});

test("a disk that is full in the middle of a piece's files says which, and takes the piece later", async (t) => {
  const place = await folderWorkplaceFor(t, faulty("write=ENOSPC&after=3"));
  const many: Record<string, number> = {};
  for (let i = 0; i < 10; i++) many[`f${i}`] = 500;
  const folder = await testFolder(many);
  const store = await PieceStore.openForDownload({ ...place, metainfo: folder.metainfo });
  t.after(() => store.close());
  const outcome = await commit(store, 0, folder.bytes);
  assert.ok(outcome instanceof MiniTorrentError);
  assert.equal(outcome.code, "DISK_FULL");
  assert.match(outcome.message, /album\.part\/f3/);
  assert.equal(store.have.count, 0);
  await store.close();
  const roomy = await folderWorkplaceFor(t);
  const options = { metainfo: folder.metainfo, partPath: place.partPath, resume: true };
  const again = await PieceStore.openForDownload({ ...roomy, ...options });
  t.after(() => again.close());
  assert.equal(await commit(again, 0, folder.bytes), "verified");
  await again.finish(place.path);
  assert.deepEqual(await treeOf(place.path), expectedTree(folder));
});

test("a download is continued: files that are as noted are trusted, others are hashed, none is fetched again", async (t) => {
  const place = await folderWorkplaceFor(t);
  const folder = await testFolder(entries);
  const { metainfo } = folder;
  const { pieceCount } = metainfo.geometry;
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  for (const i of [0, 3]) await commit(store, i, folder.bytes);
  const [notedFacts, have] = [store.folderFacts, store.have];
  const ownFileId = store.opened?.fileId ?? "";
  assert.ok(notedFacts !== undefined);
  // Not noted before the process dies.
  await commit(store, 1, folder.bytes);
  await store.close();
  const resumed = { ...place, metainfo, resume: true, ownFileId, have, notedFacts };
  const again = await PieceStore.openForDownload(resumed);
  t.after(() => again.close());
  assert.deepEqual(again.doubted, [0, 1], "the pieces of files that piece 1 was written to");
  assert.deepEqual(
    [...Array(pieceCount).keys()].filter((i) => again.have.has(i)),
    [3],
  );
  await again.recheck(again.doubted);
  assert.deepEqual(
    [...Array(pieceCount).keys()].filter((i) => again.have.has(i)),
    [0, 1, 3],
  );
  await rm(join(place.partPath, "a/1"));
  await again.close();
  const third = await PieceStore.openForDownload({ ...resumed, have: Bitfield.full(pieceCount) });
  t.after(() => third.close());
  assert.equal(third.have.has(0), false, "a file of it is gone");
});
