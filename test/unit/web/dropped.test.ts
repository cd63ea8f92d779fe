import assert from "node:assert/strict";
import { test } from "node:test";
import type { Content } from "../../../web/src/state/browser-upload.ts";
import { type DroppedEntry, groupPicked, readDropped } from "../../../web/src/state/dropped.ts";

const content = (size: number): Content => ({ size, slice: () => content(0) });
const file = (name: string): DroppedEntry<Content> => ({
  ...{ name, isFile: true, isDirectory: false },
  file: (onFile) => onFile(content(1)),
});
/** Gives its entries two at a time, as browsers give a hundred. */
const folder = (name: string, ...entries: DroppedEntry<Content>[]): DroppedEntry<Content> => ({
  ...{ name, isFile: false, isDirectory: true },
  createReader: () => {
    const rest = [...entries];
    return { readEntries: (onEntries) => onEntries(rest.splice(0, 2)) };
  },
});

test("a dropped folder is one item, with all files in it", async () => {
  const { items, leftOut } = await readDropped([
    file("a.mov"),
    folder("day", file("1"), file("2"), file("3"), folder("cam", file("4"))),
  ]);
  assert.deepEqual(
    items.map(({ name, kind, files }) => [name, kind, files.map(({ path }) => path)]),
    [
      ["a.mov", "file", [""]],
      ["day", "folder", ["1", "2", "3", "cam/4"]],
    ],
  );
  assert.equal(leftOut, 0);
});

test("what is hidden is left out and counted, and so is a folder without files", async () => {
  const { items, leftOut } = await readDropped([
    file(".secret"),
    folder("day", file(".DS_Store"), folder(".git", file("config"))),
  ]);
  assert.deepEqual(items, []);
  assert.equal(leftOut, 4);
});

test("what cannot be read is an error", async () => {
  const broken: DroppedEntry<Content> = {
    ...file("a"),
    file: (_onFile, onError) => onError(new Error("gone")),
  };
  await assert.rejects(readDropped([broken]), /gone/);
});

test("picked files of a folder are one item", () => {
  const picked = (webkitRelativePath: string, name = webkitRelativePath) => ({
    ...content(1),
    ...{ name, webkitRelativePath: webkitRelativePath.includes("/") ? webkitRelativePath : "" },
  });
  const { items, leftOut } = groupPicked([
    picked("day/1", "1"),
    picked("day/cam/2", "2"),
    picked("day/.git/x", "x"),
    picked("notes.txt"),
  ]);
  assert.deepEqual(
    items.map(({ name, files }) => [name, files.map(({ path }) => path)]),
    [
      ["day", ["1", "cam/2"]],
      ["notes.txt", [""]],
    ],
  );
  assert.equal(leftOut, 1);
});
