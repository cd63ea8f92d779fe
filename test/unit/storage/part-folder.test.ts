// NAME.part as a folder: how it is made, moved and removed, and the rest beside it.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { lstat, mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileIdOf } from "../../../src/storage/file-facts.ts";
import {
  movePartFolder,
  openPartFolder,
  removePartFolder,
  restPathOf,
  takeFolderName,
} from "../../../src/storage/part-folder.ts";
import { pretendRoom, systemError, watchFiles } from "./watched-files.ts";
import { folderFor, withCode } from "./workplace.ts";

async function placeFor(t: TestContext) {
  const folder = await folderFor(t);
  const path = join(folder, "album.part");
  return { folder, path, unnamedPath: join(folder, ".new"), isOwn: false, missingBytes: 0 };
}

const idOf = async (path: string) => fileIdOf(await lstat(path, { bigint: true }));

test("a part folder is recorded by its id before it has its name", async (t) => {
  const place = await placeFor(t);
  let recorded = "";
  const opened = await openPartFolder({
    ...place,
    onMade: ({ fileId }) => {
      recorded = fileId;
      assert.equal(existsSync(place.path), false);
    },
  });
  assert.equal(opened.isFound, false);
  assert.deepEqual([recorded, opened.folderId], [await idOf(place.path), recorded]);
  const again = await openPartFolder({ ...place, isOwn: true, ownFileId: recorded });
  assert.deepEqual([again.isFound, again.folderId], [true, recorded]);
});

test("what is not the download's folder is left alone: a folder, a file, a link, or another folder than it was", async (t) => {
  const place = await placeFor(t);
  const others = {
    folder: () => mkdir(place.path),
    file: () => writeFile(place.path, "precious"),
    link: () => symlink(place.folder, place.path),
  };
  for (const [what, make] of Object.entries(others)) {
    await make();
    await assert.rejects(openPartFolder(place), withCode("FILE_EXISTS"), what);
    assert.equal(existsSync(place.unnamedPath), false, what);
    await rename(place.path, join(place.folder, `other ${what}`));
  }
  await mkdir(place.path);
  await assert.rejects(
    openPartFolder({ ...place, isOwn: true, ownFileId: "1:2:3" }),
    withCode("FILE_CHANGED"),
  );
});

test("a folder that appears while ours is made keeps its name, and nothing of ours is left", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  watched.before = async (call, ...names) => {
    if (call !== "rename" || names[1] !== "album.part" || existsSync(place.path)) return;
    await mkdir(place.path);
    await writeFile(join(place.path, "precious"), "");
  };
  await assert.rejects(openPartFolder(place), withCode("FILE_EXISTS"));
  assert.equal(existsSync(join(place.path, "precious")), true);
  assert.equal(existsSync(place.unnamedPath), false);
});

test("a disk without room for what is missing is told before anything is made", async (t) => {
  const place = await placeFor(t);
  pretendRoom(t, { bytes: 1000 });
  await assert.rejects(openPartFolder({ ...place, missingBytes: 1001 }), withCode("DISK_FULL"));
  await assert.rejects(
    openPartFolder({ ...place, missingBytes: 600, promisedBytes: 401 }),
    withCode("DISK_FULL"),
  );
  assert.equal(existsSync(place.path), false);
  await openPartFolder({ ...place, missingBytes: 600, promisedBytes: 400 });
});

test("the name is taken only by the folder that was written to, and is taken once", async (t) => {
  const place = await placeFor(t);
  const { folderId } = await openPartFolder(place);
  const destinationPath = join(place.folder, "album");
  await rename(place.path, `${place.path} moved`);
  const naming = { folderId, partPath: place.path, destinationPath };
  await assert.rejects(takeFolderName(naming), withCode("FILE_CHANGED"));
  await mkdir(place.path);
  await assert.rejects(takeFolderName(naming), withCode("FILE_CHANGED"));
  await takeFolderName({ ...naming, partPath: `${place.path} moved` });
  assert.equal(await idOf(destinationPath), folderId);
  // A crash between the name and its record.
  await takeFolderName(naming);
});

test("a part folder is moved with the rest beside it, also to another file system", async (t) => {
  for (const isFar of [false, true]) {
    const place = await placeFor(t);
    const { folderId } = await openPartFolder(place);
    await writeFile(join(place.path, "a"), "in the tree");
    const rest = restPathOf(place.path, "album", folderId);
    await mkdir(rest);
    await writeFile(join(rest, "b"), "in the rest");
    const target = join(place.folder, "elsewhere");
    await mkdir(target);
    const newPath = join(target, "album.part");
    const watched = watchFiles(t);
    watched.before = (call, name) => {
      if (isFar && call === "rename" && (name === "album.part" || name?.endsWith("-rest")))
        throw systemError("EXDEV");
    };
    await movePartFolder(place.path, newPath, "album");
    watched.before = () => undefined;
    assert.equal(await readFile(join(newPath, "a"), "utf8"), "in the tree");
    const newRest = restPathOf(newPath, "album", await idOf(newPath));
    assert.equal(await readFile(join(newRest, "b"), "utf8"), "in the rest");
    assert.deepEqual([existsSync(place.path), existsSync(rest)], [false, false]);
    t.mock.restoreAll();
  }
});

test("a part folder is removed with the rest, and another folder of its name is not", async (t) => {
  const place = await placeFor(t);
  const { folderId } = await openPartFolder(place);
  await writeFile(join(place.path, "a"), "");
  const rest = restPathOf(place.path, "album", folderId);
  await mkdir(rest);
  await rename(place.path, join(place.folder, "moved"));
  await mkdir(place.path);
  await removePartFolder(place.path, "album", folderId);
  assert.deepEqual([existsSync(place.path), existsSync(rest)], [true, false]);
  await removePartFolder(join(place.folder, "moved"), "album", folderId);
  assert.equal(existsSync(join(place.folder, "moved")), false);
});

test("the rest of a folder with a long name has a name that file systems take", () => {
  const path = restPathOf("/somewhere/album.part", "ä".repeat(127), "1:2:3");
  const name = path.slice("/somewhere/".length);
  assert.match(name, /^\.ä+\.[0-9a-f]{16}\.minitorrent-rest$/);
  assert.ok(Buffer.byteLength(name) <= 255);
});
