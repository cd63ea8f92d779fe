import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import fsPromises, {
  appendFile,
  link,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { MAX_PIECE_LENGTH_BYTES } from "../../../src/api/file-limits.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { encodeMetainfo } from "../../../src/metainfo/metainfo.ts";
import { changeOf, factsOf, factsOfExact, fileIdOf } from "../../../src/storage/file-facts.ts";
import { hashFile } from "../../../src/storage/hash-file.ts";
import { OpenFiles } from "../../../src/storage/open-files.ts";
import { movePart, takeName } from "../../../src/storage/part-file.ts";
import { PieceMemory } from "../../../src/storage/piece-memory.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import {
  commit,
  commitAll,
  content,
  metainfoOf,
  PIECE_BYTES,
  read,
  sha1Hex,
  withCode,
  workplaceFor,
} from "./workplace.ts";

test("pieces that are committed in any order, at once, give the file and its SHA-1", async (t) => {
  const place = await workplaceFor(t);
  const cases = fc.integer({ min: 0, max: 12 * PIECE_BYTES }).chain((lengthBytes) => {
    const pieceCount = Math.ceil(lengthBytes / PIECE_BYTES);
    const order = fc.shuffledSubarray([...Array(pieceCount).keys()], { minLength: pieceCount });
    return fc.record({ lengthBytes: fc.constant(lengthBytes), order });
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ lengthBytes, order }) => {
      const bytes = content(lengthBytes, lengthBytes);
      const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
      try {
        const outcomes = await Promise.all(order.map((i) => commit(store, i, bytes)));
        assert.deepEqual(
          outcomes,
          order.map(() => "verified"),
        );
        await store.finish(place.path);
        assert.equal(sha1Hex(await readFile(place.path)), sha1Hex(bytes));
      } finally {
        await store.close();
        await rm(place.path, { force: true });
        await rm(place.partPath, { force: true });
      }
      assert.equal(place.memory.usedBytes, 0);
    }),
    { numRuns: 40 },
  );
});

test("a piece with a wrong byte is a mismatch: nothing is written, its memory is free again", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(3 * PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  const wrong = bytes.slice();
  wrong[PIECE_BYTES + 5] = (wrong[PIECE_BYTES + 5] ?? 0) ^ 1;
  assert.equal(await commit(store, 1, wrong), "mismatch");
  assert.equal(store.have.count, 0);
  assert.equal(place.memory.usedBytes, 0);
  assert.ok((await readFile(place.partPath)).every((byte) => byte === 0));
  assert.equal(await commit(store, 1, bytes), "verified");
});

test("a part file is known by what its name says later, and its facts hold until something is written", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(2 * PIECE_BYTES + 77);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  const named = await stat(place.partPath, { bigint: true });
  assert.equal(store.opened?.fileId, fileIdOf(named));
  assert.deepEqual(store.opened?.facts, factsOf(await stat(place.partPath)));
  assert.deepEqual(store.opened?.facts, await store.facts());
  // Times at which rounding would show.
  for (const seconds of [1_700_977_174.8314388, 1_700_347_797.8719919, 4_000_000_000.987654, 0.000001]) {
    await utimes(place.partPath, seconds, seconds);
    assert.deepEqual(
      factsOfExact(await stat(place.partPath, { bigint: true })),
      factsOf(await stat(place.partPath)),
    );
  }
});

test("finishing gives the part file its name, and its pieces are read on", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(2 * PIECE_BYTES + 77);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  await commitAll(store, bytes);
  const facts = await store.finish(place.path);
  assert.equal(store.status, "seeding");
  assert.equal(store.path, place.path);
  assert.equal(existsSync(place.partPath), false);
  const { size, mtimeMs } = await stat(place.path);
  assert.deepEqual(facts, { lengthBytes: size, mtimeMs });
  const frames = await read(store, 2);
  assert.ok("bytes" in frames);
  assert.deepEqual(frames.bytes.subarray(13), bytes.subarray(2 * PIECE_BYTES));
  frames.release();
  assert.equal(store.reserve(0), undefined);
});

test("finishing never overwrites a file, and can be tried again", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  await commitAll(store, bytes);
  await writeFile(place.path, "precious");
  await assert.rejects(store.finish(place.path), withCode("FILE_EXISTS"));
  assert.equal(await readFile(place.path, "utf8"), "precious");
  assert.equal(store.status, "downloading");
  const other = join(place.folder, "film 2");
  await store.finish(other);
  assert.deepEqual(new Uint8Array(await readFile(other)), bytes);
});

test("a new name that fails on a file system without links leaves nothing in the way of the next try", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  await commitAll(store, bytes);
  const fail = (code: string) => async (): Promise<never> => {
    throw Object.assign(new Error(code), { code });
  };
  const noLinks = t.mock.method(fsPromises, "link", fail("EPERM"));
  const noRename = t.mock.method(fsPromises, "rename", fail("EIO"));
  t.after(() => syncBuiltinESMExports());
  syncBuiltinESMExports();
  await assert.rejects(store.finish(place.path), withCode("DISK_FAILED"));
  assert.equal(existsSync(place.path), false);
  noRename.mock.restore();
  syncBuiltinESMExports();
  await store.finish(place.path);
  noLinks.mock.restore();
  syncBuiltinESMExports();
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
});

test("finishing goes on where a crash between the new name and the end of the old one left it", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  await commitAll(store, bytes);
  await link(place.partPath, place.path);
  await store.finish(place.path);
  assert.equal(existsSync(place.partPath), false);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
});

test("finishing refuses a file whose whole SHA-1 is not the metainfo's", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(2 * PIECE_BYTES);
  const metainfo = metainfoOf(bytes, PIECE_BYTES, "0".repeat(40));
  const store = await PieceStore.openForDownload({ ...place, metainfo });
  t.after(() => store.close());
  await commitAll(store, bytes);
  await assert.rejects(store.finish(place.path), withCode("CORRUPT_FILE"));
  assert.equal(existsSync(place.path), false);
});

test("finishing refuses a part file that was replaced by another", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  await commitAll(store, bytes);
  await rm(place.partPath);
  await writeFile(place.partPath, "something else");
  await assert.rejects(store.finish(place.path), withCode("FILE_CHANGED"));
  assert.equal(existsSync(place.path), false);
});

test("a part file that no download is known of is not touched", async (t) => {
  const place = await workplaceFor(t);
  await writeFile(place.partPath, "precious");
  const opening = PieceStore.openForDownload({ ...place, metainfo: metainfoOf(content(9)) });
  await assert.rejects(opening, withCode("FILE_EXISTS"));
  assert.equal(await readFile(place.partPath, "utf8"), "precious");
});

test("a part file is not known by how it looks: an empty one of that name is somebody else's", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(PIECE_BYTES);
  for (const lengthBytes of [0, PIECE_BYTES]) {
    await writeFile(place.partPath, "");
    await truncate(place.partPath, lengthBytes);
    const opening = PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
    await assert.rejects(opening, withCode("FILE_EXISTS"));
    assert.equal((await stat(place.partPath)).blocks, 0);
  }
});

test("the second of two downloads to one part file is refused, before a piece has come", async (t) => {
  const place = await workplaceFor(t);
  const first = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(content(PIECE_BYTES, 1)) });
  t.after(() => first.close());
  const second = PieceStore.openForDownload({ ...place, metainfo: metainfoOf(content(PIECE_BYTES, 2)) });
  await assert.rejects(second, withCode("FILE_EXISTS"));
  await commitAll(first, content(PIECE_BYTES, 1));
  await first.finish(place.path);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), content(PIECE_BYTES, 1));
});

test("a part file is noted before it takes its name, and what could not be noted leaves nothing behind", async (t) => {
  const place = await workplaceFor(t);
  const options = { ...place, metainfo: metainfoOf(content(PIECE_BYTES)) };
  let noted: string | undefined;
  const store = await PieceStore.openForDownload({
    ...options,
    onMade: ({ fileId }) => {
      assert.equal(existsSync(place.partPath), false);
      noted = fileId;
    },
  });
  assert.equal(noted, fileIdOf(await stat(place.partPath, { bigint: true })));
  await store.close();
  await rm(place.partPath);
  const failing = PieceStore.openForDownload({
    ...options,
    onMade: () => {
      throw new Error("not noted");
    },
  });
  await assert.rejects(failing, withCode("DISK_FAILED"));
  assert.deepEqual(readdirSync(place.folder), []);
});

test("a part file that appears while another one is made is not overwritten", async (t) => {
  const place = await workplaceFor(t);
  const opening = PieceStore.openForDownload({
    ...place,
    metainfo: metainfoOf(content(PIECE_BYTES)),
    onMade: () => writeFileSync(place.partPath, "precious"),
  });
  await assert.rejects(opening, withCode("FILE_EXISTS"));
  assert.equal(await readFile(place.partPath, "utf8"), "precious");
  assert.deepEqual(readdirSync(place.folder), ["film.part"]);
});

/** Another program writes there, and sets the time of the last write back. */
async function alter(path: string, positionBytes: number): Promise<void> {
  const { atime, mtime } = await stat(path);
  const file = await open(path, "r+");
  await file.write("altered", positionBytes);
  await file.close();
  await utimes(path, atime, mtime);
}

test("a file that another program wrote to is not finished; what it changed is fetched again", async (t) => {
  const place = await workplaceFor(t);
  for (const pieceCount of [1, 6]) {
    const bytes = content(pieceCount * PIECE_BYTES);
    const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
    await commitAll(store, bytes);
    await alter(place.partPath, bytes.length - 100);
    await assert.rejects(store.finish(place.path), withCode("CORRUPT_FILE"));
    assert.equal(existsSync(place.path), false);
    assert.deepEqual(
      [...Array(pieceCount).keys()].filter((i) => !store.have.has(i)),
      [pieceCount - 1],
    );
    assert.equal(await commit(store, pieceCount - 1, bytes), "verified");
    await store.finish(place.path);
    assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
    await store.close();
    await rm(place.path);
  }
});

test("a file that another program made longer or shorter ends as it was shared, or is not finished", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(3 * PIECE_BYTES + 5);
  const options = { ...place, metainfo: metainfoOf(bytes) };
  const longer = await PieceStore.openForDownload(options);
  await commitAll(longer, bytes);
  await appendFile(place.partPath, "appended");
  await longer.finish(place.path);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
  await longer.close();
  await rm(place.path);
  const shorter = await PieceStore.openForDownload(options);
  t.after(() => shorter.close());
  await commitAll(shorter, bytes);
  await truncate(place.partPath, 2 * PIECE_BYTES);
  await assert.rejects(shorter.finish(place.path), withCode("CORRUPT_FILE"));
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => shorter.have.has(i)),
    [true, true, false, false],
  );
});

test("a file that is written to while it is read back is read again", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(8 * PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  await commitAll(store, bytes);
  // Behind what has been read by then: the first piece, when the last is read.
  const { hashRange } = place.disk;
  t.mock.method(place.disk, "hashRange", async (range: Parameters<typeof hashRange>[0]) => {
    const sha1 = await hashRange.call(place.disk, range);
    if (range.positionBytes === 7 * PIECE_BYTES) await alter(place.partPath, 10);
    return sha1;
  });
  await assert.rejects(store.finish(place.path), withCode("CORRUPT_FILE"));
  assert.equal(store.have.has(0), false);
});

test("a file that is written to after it was read back does not get its name", async (t) => {
  const place = await workplaceFor(t);
  await writeFile(place.partPath, content(PIECE_BYTES));
  const handle = await open(place.partPath, "r+");
  t.after(() => handle.close());
  const change = await changeOf(handle);
  await alter(place.partPath, 5);
  const naming = takeName(handle, { partPath: place.partPath, destinationPath: place.path, change });
  await assert.rejects(naming, withCode("FILE_CHANGED"));
  assert.equal(existsSync(place.path), false);
});

test("a piece that was wrong when the whole was hashed, and is right by now, is no wrong description", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(3 * PIECE_BYTES);
  await writeFile(place.partPath, bytes);
  await alter(place.partPath, 5);
  const { openDigest, hashRange } = place.disk;
  const wholeHashed = Promise.withResolvers<void>();
  t.mock.method(place.disk, "openDigest", (...options: Parameters<typeof openDigest>) => {
    const digest = openDigest.apply(place.disk, options);
    const finish = digest.finish.bind(digest);
    digest.finish = () => finish().finally(wholeHashed.resolve);
    return digest;
  });
  let repaired: Promise<void> | undefined;
  t.mock.method(place.disk, "hashRange", async (range: Parameters<typeof hashRange>[0]) => {
    await wholeHashed.promise;
    repaired ??= writeFile(place.partPath, bytes);
    await repaired;
    return hashRange.call(place.disk, range);
  });
  const options = { ...place, metainfo: metainfoOf(bytes), have: Bitfield.full(3), resume: true };
  const store = await PieceStore.openForDownload(options);
  t.after(() => store.close());
  await store.finish(place.path);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
});

test("a piece of a part file that changed on disk is not sent, and is counted as missing", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(3 * PIECE_BYTES);
  const options = { ...place, metainfo: metainfoOf(bytes) };
  const first = await PieceStore.openForDownload(options);
  await commitAll(first, bytes);
  const { have } = first;
  await first.close();
  await alter(place.partPath, PIECE_BYTES + 5);
  const store = await PieceStore.openForDownload({ ...options, have, resume: true });
  t.after(() => store.close());
  const intact = await read(store, 2);
  assert.ok("bytes" in intact);
  intact.release();
  const refused = await read(store, 1);
  assert.ok(refused instanceof MiniTorrentError);
  assert.equal(refused.code, "FILE_CHANGED");
  assert.deepEqual(
    [0, 1, 2].map((i) => store.have.has(i)),
    [true, false, true],
  );
});

test("a part file takes another name with what it has, and overwrites nothing", async (t) => {
  const place = await workplaceFor(t);
  const other = join(place.folder, "other.part");
  await writeFile(place.partPath, "mine");
  await writeFile(other, "precious");
  await assert.rejects(movePart(place.partPath, other), withCode("FILE_EXISTS"));
  assert.equal(await readFile(other, "utf8"), "precious");
  assert.equal(await readFile(place.partPath, "utf8"), "mine");
  await rm(other);
  await movePart(place.partPath, other);
  assert.equal(await readFile(other, "utf8"), "mine");
  assert.deepEqual(readdirSync(place.folder), ["other.part"]);
});

const otherFileSystem = ["/dev/shm", "/tmp", "/var/tmp"].find(
  (folder) => existsSync(folder) && statSync(folder).dev !== statSync(tmpdir()).dev,
);
const withoutOther = otherFileSystem === undefined && "needs a second file system";

test("a part file takes a name on another file system", { skip: withoutOther }, async (t) => {
  const place = await workplaceFor(t);
  const elsewhere = await mkdtemp(`${otherFileSystem}/minitorrent-storage-`);
  t.after(() => rm(elsewhere, { recursive: true }));
  await writeFile(place.partPath, "mine");
  await movePart(place.partPath, join(elsewhere, "film.part"));
  assert.equal(await readFile(join(elsewhere, "film.part"), "utf8"), "mine");
  assert.deepEqual([readdirSync(elsewhere), readdirSync(place.folder)], [["film.part"], []]);
});

test("many downloads and seeds in few places for open files: each ends as it was shared, and is read", async (t) => {
  const place = { ...(await workplaceFor(t)), files: new OpenFiles(2) };
  const all = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const bytes = content(5 * PIECE_BYTES + 5, i + 1);
      const paths = { path: `${place.path}-${i}`, partPath: `${place.partPath}-${i}` };
      const store = await PieceStore.openForDownload({ ...place, ...paths, metainfo: metainfoOf(bytes) });
      return { bytes, store, path: paths.path };
    }),
  );
  await Promise.all(
    all.map(async ({ bytes, store, path }) => {
      // Out of order, so that the hash of the whole reads the file too.
      for (const i of [5, 3, 1, 0, 2, 4]) assert.equal(await commit(store, i, bytes), "verified");
      await store.finish(path);
    }),
  );
  assert.ok(place.files.taken <= 2);
  for (const { bytes, store, path } of all) {
    assert.deepEqual(new Uint8Array(await readFile(path)), bytes);
    const frames = await read(store, 2);
    assert.ok("bytes" in frames);
    frames.release();
    await store.close();
  }
  assert.equal(place.files.taken, 0);
});

test("a part file that was closed meanwhile is written to only if it is still the same file", async (t) => {
  const place = { ...(await workplaceFor(t)), files: new OpenFiles(1) };
  const bytes = content(3 * PIECE_BYTES);
  const options = { ...place, metainfo: metainfoOf(bytes) };
  const replacements: Record<string, (path: string) => Promise<void>> = {
    "another file": (path) => writeFile(path, "precious"),
    "no file": async () => undefined,
    "a link": (path) => symlink(join(place.folder, "moved"), path),
  };
  for (const [what, replace] of Object.entries(replacements)) {
    const store = await PieceStore.openForDownload(options);
    assert.equal(await commit(store, 0, bytes), "verified");
    await rename(place.partPath, join(place.folder, "moved"));
    await replace(place.partPath);
    const closeHandles = await PieceStore.openForDownload({
      ...options,
      partPath: `${place.partPath}-other`,
    });
    const outcome = await commit(store, 1, bytes);
    assert.ok(outcome instanceof MiniTorrentError, what);
    assert.equal(outcome.code, "FILE_CHANGED", what);
    const there = await readFile(place.partPath).catch(() => undefined);
    assert.equal(what === "another file" ? String(there) : "precious", "precious");
    await Promise.all([store.close(), closeHandles.close()]);
    await rm(`${place.partPath}-other`);
    await rm(place.partPath, { force: true });
  }
});

test("a shared file that was closed meanwhile is read only if it is still the same file, as it was", async (t) => {
  const place = { ...(await workplaceFor(t)), files: new OpenFiles(1) };
  const bytes = content(3 * PIECE_BYTES);
  const metainfo = metainfoOf(bytes);
  const other = join(place.folder, "other");
  const replacements: Record<string, () => Promise<void>> = {
    FILE_NOT_FOUND: () => rm(place.path),
    FILE_CHANGED: async () => {
      const { atime, mtime } = await stat(place.path);
      await writeFile(other, content(bytes.length, 2));
      await utimes(other, atime, mtime);
      await rename(other, place.path);
    },
  };
  for (const [code, replace] of Object.entries(replacements)) {
    await writeFile(place.path, bytes);
    const expected = factsOf(await stat(place.path));
    const store = await PieceStore.openForSeeding({ ...place, metainfo, expected });
    const held = await read(store, 0);
    assert.ok("bytes" in held);
    held.release();
    await replace();
    // In its place.
    await hashFile(fileURLToPath(import.meta.url), place);
    const refused = await read(store, 1);
    assert.ok(refused instanceof MiniTorrentError, code);
    assert.equal(refused.code, code);
    await store.close();
  }
});

test("a part file that is a symbolic link is not followed, resumed or not", async (t) => {
  const place = await workplaceFor(t);
  const outside = join(place.folder, "outside");
  await writeFile(outside, "precious");
  await symlink(outside, place.partPath);
  const options = { ...place, metainfo: metainfoOf(content(9)) };
  await assert.rejects(PieceStore.openForDownload(options), withCode("FILE_EXISTS"));
  await assert.rejects(
    PieceStore.openForDownload({ ...options, resume: true }),
    withCode("DESTINATION_UNUSABLE"),
  );
  assert.equal(await readFile(outside, "utf8"), "precious");
});

test("a destination whose folder is not there is unusable", async (t) => {
  const place = await workplaceFor(t);
  const partPath = join(place.folder, "no", "film.part");
  const opening = PieceStore.openForDownload({ ...place, metainfo: metainfoOf(content(9)), partPath });
  await assert.rejects(opening, withCode("DESTINATION_UNUSABLE"));
});

test("a file that cannot fit is refused before a byte is fetched, and leaves nothing behind", async (t) => {
  const place = await workplaceFor(t);
  const pieceCount = 2 ** 16;
  const metainfo = encodeMetainfo({
    fileName: "film",
    lengthBytes: pieceCount * MAX_PIECE_LENGTH_BYTES,
    pieceLengthBytes: MAX_PIECE_LENGTH_BYTES,
    pieceHashes: new Uint8Array(pieceCount * 20),
    sha1: "0".repeat(40),
    authorityPem: "-",
  });
  await assert.rejects(PieceStore.openForDownload({ ...place, metainfo }), withCode("DISK_FULL"));
  assert.equal(existsSync(place.partPath), false);
});

test("a resumed download keeps its pieces, and ends with the right file", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(5 * PIECE_BYTES + 5);
  const options = { ...place, metainfo: metainfoOf(bytes) };
  const first = await PieceStore.openForDownload(options);
  assert.equal(first.found, undefined);
  for (const i of [0, 3, 5]) assert.equal(await commit(first, i, bytes), "verified");
  const facts = await first.facts();
  const have = first.have;
  await first.close();

  const second = await PieceStore.openForDownload({ ...options, have, resume: true });
  t.after(() => second.close());
  assert.deepEqual(second.found, facts);
  assert.deepEqual(second.have.toBytes(), have.toBytes());
  for (const i of [1, 2, 4]) assert.equal(await commit(second, i, bytes), "verified");
  await second.finish(place.path);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
});

test("pieces of a part file that is gone or was cut short are not counted as there", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(4 * PIECE_BYTES);
  const options = { ...place, metainfo: metainfoOf(bytes), have: Bitfield.full(4), resume: true };
  const gone = await PieceStore.openForDownload(options);
  assert.equal(gone.have.count, 0);
  await commitAll(gone, bytes);
  await gone.close();
  await truncate(place.partPath, 2 * PIECE_BYTES + 1);
  const short = await PieceStore.openForDownload(options);
  t.after(() => short.close());
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => short.have.has(i)),
    [true, true, false, false],
  );
  assert.equal((await stat(place.partPath)).size, bytes.length);
});

test("a recheck finds exactly the pieces that are intact, and the download goes on from them", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(6 * PIECE_BYTES - 9);
  const damaged = bytes.slice();
  for (const i of [1, 5]) damaged[i * PIECE_BYTES] = (damaged[i * PIECE_BYTES] ?? 0) ^ 0x80;
  await writeFile(place.partPath, damaged);
  const options = { ...place, metainfo: metainfoOf(bytes), have: Bitfield.full(6), resume: true };
  const store = await PieceStore.openForDownload(options);
  t.after(() => store.close());
  let hashedBytes = 0;
  const right = await store.recheck("all", {
    onProgress: (progress) => {
      hashedBytes = progress.hashedBytes;
    },
  });
  assert.equal(hashedBytes, bytes.length);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].filter((i) => !right.has(i)),
    [1, 5],
  );
  assert.deepEqual(store.have.toBytes(), right.toBytes());
  for (const i of [5, 1]) assert.equal(await commit(store, i, bytes), "verified");
  await store.finish(place.path);
  assert.deepEqual(new Uint8Array(await readFile(place.path)), bytes);
});

test("a recheck that is aborted changes nothing", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(8 * PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  t.after(() => store.close());
  await commit(store, 3, bytes);
  const abort = new AbortController();
  const checking = store.recheck("all", { signal: abort.signal, onProgress: () => abort.abort() });
  await assert.rejects(checking, { name: "AbortError" });
  assert.equal(store.have.count, 1);
  assert.equal(store.status, "downloading");
});

test("a shared file that changed is no longer served: at opening, and at the next read although cached", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(2 * PIECE_BYTES);
  await writeFile(place.path, bytes);
  const { size, mtimeMs } = await stat(place.path);
  const options = {
    ...place,
    metainfo: metainfoOf(bytes),
    expected: { lengthBytes: size, mtimeMs },
  };
  const store = await PieceStore.openForSeeding(options);
  t.after(() => store.close());
  const frames = await read(store, 0);
  assert.ok("bytes" in frames);
  frames.release();

  await utimes(place.path, new Date(), new Date(mtimeMs + 5000));
  for (const i of [0, 1]) {
    const refused = await read(store, i);
    assert.ok(refused instanceof MiniTorrentError);
    assert.equal(refused.code, "FILE_CHANGED");
  }
  await assert.rejects(PieceStore.openForSeeding(options), withCode("FILE_CHANGED"));
});

test("a shared file that was removed, or cut short, is said to be", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(2 * PIECE_BYTES);
  const open = async () => {
    await writeFile(place.path, bytes);
    const { size, mtimeMs } = await stat(place.path);
    const expected = { lengthBytes: size, mtimeMs };
    return PieceStore.openForSeeding({ ...place, metainfo: metainfoOf(bytes), expected });
  };
  const cut = await open();
  t.after(() => cut.close());
  await truncate(place.path, PIECE_BYTES + 3);
  const changed = await read(cut, 1);
  assert.ok(changed instanceof MiniTorrentError);
  assert.equal(changed.code, "FILE_CHANGED");

  const removed = await open();
  t.after(() => removed.close());
  await rm(place.path);
  const gone = await read(removed, 0);
  assert.ok(gone instanceof MiniTorrentError);
  assert.equal(gone.code, "FILE_NOT_FOUND");

  const expected = { lengthBytes: bytes.length, mtimeMs: 0 };
  const missing = PieceStore.openForSeeding({ ...place, metainfo: metainfoOf(bytes), expected });
  await assert.rejects(missing, withCode("FILE_NOT_FOUND"));
  const folder = PieceStore.openForSeeding({
    ...place,
    path: place.folder,
    metainfo: metainfoOf(bytes),
    expected,
  });
  await assert.rejects(folder, withCode("NOT_A_FILE"));
});

test("a piece that is not verified is not read", async (t) => {
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(content(PIECE_BYTES)) });
  t.after(() => store.close());
  assert.ok((await read(store, 0)) instanceof MiniTorrentError);
});

test("memory is bounded over two downloads; refused pieces find room when memory comes back", async (t) => {
  const place = await workplaceFor(t);
  const memory = new PieceMemory(MAX_PIECE_LENGTH_BYTES);
  const pieceBytes = 4 * 1024 * 1024;
  const bytes = content(6 * pieceBytes);
  const metainfo = metainfoOf(bytes, pieceBytes);
  const one = await PieceStore.openForDownload({ ...place, memory, metainfo });
  t.after(() => one.close());
  const partPath = join(place.folder, "other.part");
  const other = await PieceStore.openForDownload({ ...place, memory, metainfo, partPath });
  t.after(() => other.close());
  for (const i of [0, 1, 2, 3]) assert.ok(one.reserve(i));
  assert.equal(other.reserve(0), undefined);
  const room = new Promise<void>((resolve) => memory.onRoom(resolve));
  assert.equal(await commit(one, 3, bytes), "verified");
  await room;
  assert.ok(other.reserve(0));
});

test("closing waits for what runs, tells every caller, and is safe to repeat", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(8 * PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  assert.equal(await commit(store, 0, bytes), "verified");
  store.reserve(7);
  const outcomes: unknown[] = [];
  for (const i of [1, 2, 3, 4]) void commit(store, i, bytes).then((outcome) => outcomes.push(outcome));
  store.read({ pieceIndex: 0, offsetBytes: 0, lengthBytes: PIECE_BYTES }, (frames) => {
    outcomes.push(frames instanceof MiniTorrentError ? frames.code : "read");
    if ("release" in frames) frames.release();
  });
  await Promise.all([store.close(), store.close()]);
  await Promise.resolve();
  assert.equal(outcomes.length, 5);
  assert.equal(place.memory.usedBytes, 0);
  assert.equal(store.reserve(1), undefined);
  assert.ok((await read(store, 0)) instanceof MiniTorrentError);
  await assert.rejects(store.facts());
});

test("closing while finishing ends the finishing, one way or the other", async (t) => {
  const place = await workplaceFor(t);
  const bytes = content(8 * PIECE_BYTES);
  const store = await PieceStore.openForDownload({ ...place, metainfo: metainfoOf(bytes) });
  await commitAll(store, bytes);
  const finishing = store.finish(place.path).then(
    () => true,
    () => false,
  );
  await store.close();
  assert.equal(await finishing, existsSync(place.path));
});
