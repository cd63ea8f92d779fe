// What is in a folder of this machine: sorted, in pages that keep no more than they answer, and with one clear sentence when not.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { folderPage, makeFolder } from "../../../src/daemon/folder-pages.ts";
import { Roots } from "../../../src/daemon/roots.ts";
import { temporaryFolder } from "./fixture.ts";

test("the pages of a folder have each entry once, folders first, numbers by their value", async (t) => {
  const folder = temporaryFolder(t);
  const names = Array.from({ length: 1_201 }, (_, number) => `File ${number}`);
  // In no order, whichever one the file system lists them in.
  for (let i = 0; i < names.length; i++)
    writeFileSync(join(folder, `File ${(i * 7_919) % names.length}`), "");
  for (const name of ["z", "B", "a"]) mkdirSync(join(folder, name));
  const found: string[] = [];
  let pageCount = 0;
  for (let after: string | undefined; ; ) {
    const { items, next } = await folderPage(folder, after, undefined);
    assert.ok(items.length <= 500, `${items.length}`);
    found.push(...items.map(({ name }) => name));
    pageCount++;
    if (next === undefined) break;
    after = next;
  }
  assert.equal(pageCount, 3);
  assert.deepEqual(found, ["a", "B", "z", ...names]);
});

test("a page begins behind an entry that has gone meanwhile", async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ["a", "c"]) writeFileSync(join(folder, name), "");
  const { items } = await folderPage(folder, "file/b", undefined);
  assert.deepEqual(
    items.map(({ name }) => name),
    ["c"],
  );
  for (const after of ["", "b", "link/b", "file/"]) {
    await assert.rejects(folderPage(folder, after, undefined), { code: "INVALID_ARGUMENT" }, after);
  }
});

test("an entry tells its length and when it was changed; a link is what it leads to", async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "file"), "12345");
  utimesSync(join(folder, "file"), 1_000, 2_000);
  symlinkSync("file", join(folder, "link"));
  symlinkSync("nowhere", join(folder, "dangling"));
  symlinkSync("circle", join(folder, "circle"));
  const { items, freeBytes } = await folderPage(folder, undefined, undefined);
  assert.deepEqual(
    items,
    ["file", "link"].map((name) => ({ name, kind: "file", lengthBytes: 5, modifiedAtMs: 2_000_000 })),
  );
  assert.ok(freeBytes > 0);
});

test("links are followed before they are judged, one inside another root too", async (t) => {
  const [root, other, outside] = [temporaryFolder(t), temporaryFolder(t), temporaryFolder(t)];
  mkdirSync(join(other, ".hidden"));
  for (const [name, target] of Object.entries({ other, outside, hidden: join(other, ".hidden") }))
    symlinkSync(target, join(root, name));
  const { items, parent } = await folderPage(root, undefined, new Roots([root, other]));
  assert.deepEqual(
    items.map(({ name }) => name),
    ["other"],
  );
  assert.equal(parent, undefined);
  mkdirSync(join(root, "deep"));
  assert.equal((await folderPage(join(root, "deep"), undefined, new Roots([root]))).parent, root);
});

test("what cannot be listed is told in one sentence", async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "file"), "");
  const refused: [string, string, RegExp][] = [
    [
      join(folder, "gone"),
      "FILE_NOT_FOUND",
      /gone cannot be read: there is no file of that name: check the path\.$/,
    ],
    [join(folder, "file"), "NOT_A_FILE", /file is not a folder: name the folder that it is in\.$/],
  ];
  if (process.getuid?.() !== 0) {
    mkdirSync(join(folder, "closed"), { mode: 0o000 });
    t.after(() => chmodSync(join(folder, "closed"), 0o700));
    refused.push([join(folder, "closed"), "FILE_UNREADABLE", /closed cannot be read: you may not read it/]);
  }
  for (const [path, code, message] of refused)
    await assert.rejects(folderPage(path, undefined, undefined), { code, message }, path);
});

test("a folder is made in one that is there, and never in place of something", async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "file"), "");
  assert.equal(await makeFolder(join(folder, "a/../new")), join(folder, "new"));
  await assert.rejects(makeFolder(join(folder, "file")), {
    code: "FILE_EXISTS",
    message: /choose another name/,
  });
  await assert.rejects(makeFolder(join(folder, "gone/new")), {
    code: "DESTINATION_UNUSABLE",
    message: /its folder does not exist/,
  });
});
