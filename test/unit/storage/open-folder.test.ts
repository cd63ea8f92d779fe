// Files of a folder are found by paths inside it, and never outside of it.
import assert from "node:assert/strict";
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileIdOf } from "../../../src/storage/file-facts.ts";
import { OpenFolder } from "../../../src/storage/open-folder.ts";
import { folderFor, openCount, withCode } from "./workplace.ts";

test("a file is found below the folder, whatever was asked for before, and no descriptor is left", async (t) => {
  const path = await folderFor(t);
  const before = await openCount();
  {
    using folder = new OpenFolder({ path, folderId: undefined });
    for (const inside of ["a/b/1", "a/b/2", "a/3", "4", "a/b/c/5", "b/6"]) {
      writeFileSync(folder.at(inside, true), inside);
    }
  }
  for (const inside of ["a/b/1", "a/b/2", "a/3", "4", "a/b/c/5", "b/6"]) {
    assert.equal(readFileSync(join(path, inside), "utf8"), inside);
  }
  assert.equal(await openCount(), before);
});

test("folders are made only when they are to be written to", async (t) => {
  const path = await folderFor(t);
  using folder = new OpenFolder({ path, folderId: undefined });
  assert.throws(() => folder.at("a/b"), withCode("ENOENT"));
  assert.deepEqual(readdirSync(path), []);
  assert.throws(() => new OpenFolder({ path: join(path, "c"), folderId: undefined }), withCode("ENOENT"));
  using made = new OpenFolder({ path: join(path, "c"), folderId: undefined }, true);
  made.at("d/e", true);
  assert.deepEqual(readdirSync(path, { recursive: true }).sort(), ["c", "c/d"]);
});

test("no link is followed: not to the folder, not on the way", async (t) => {
  const path = await folderFor(t);
  const outside = await folderFor(t);
  mkdirSync(join(outside, "b"));
  symlinkSync(outside, join(path, "a"));
  using folder = new OpenFolder({ path, folderId: undefined });
  for (const inside of ["a/1", "a/b/1"]) {
    assert.throws(() => folder.at(inside, true), withCode("ENOTDIR"), inside);
  }
  assert.throws(
    () => new OpenFolder({ path: join(path, "a"), folderId: undefined }, true),
    withCode("ENOTDIR"),
  );
  assert.deepEqual(readdirSync(outside), ["b"]);
});

test("a folder that is another one than it was is refused, as is one that is gone", async (t) => {
  const path = await folderFor(t);
  const folderId = fileIdOf(lstatSync(path, { bigint: true }));
  new OpenFolder({ path, folderId })[Symbol.dispose]();
  const before = await openCount();
  for (const place of [
    { path, folderId: `${folderId}0` },
    { path: join(path, "gone"), folderId },
  ]) {
    assert.throws(() => new OpenFolder(place, true), withCode("FOLDER_REPLACED"));
  }
  assert.equal(await openCount(), before);
  assert.deepEqual(readdirSync(path), []);
});

test("a path that no layout has leads nowhere", async (t) => {
  const path = await folderFor(t);
  using folder = new OpenFolder({ path, folderId: undefined });
  for (const inside of ["../x", "a/../../x", "/x", "", "a//x", ".", "a/..", "a\\..\\x"]) {
    assert.throws(() => folder.at(inside, true), /is no name of a file/, inside);
  }
});
