import assert from "node:assert/strict";
import { test } from "node:test";
import { type FileEntry, FolderTree, fileFilter, ROOT } from "../../../web/src/state/folder-tree.ts";

function treeOf(...paths: string[]): FolderTree {
  const tree = new FolderTree("footage");
  tree.add(paths.map((path) => ({ path, lengthBytes: 10 })));
  return tree;
}

function nodeAt(tree: FolderTree, path: string): number {
  for (let node = 0; node < tree.size; node++) if (tree.pathOf(node) === path) return node;
  throw new Error(`There is no ${path}.`);
}

function shownPaths(tree: FolderTree, isShown?: Uint8Array): string[] {
  return tree.rows(() => true, isShown).map(({ node }) => tree.pathOf(node));
}

test("a tree counts the files and bytes of each folder", () => {
  const tree = treeOf("day-1/a.mov", "day-1/b.mov", "day-2/deep/c.mov", "notes.txt");
  assert.equal(tree.fileCountOf(ROOT), 4);
  assert.equal(tree.bytesOf(ROOT), 40);
  assert.equal(tree.fileCountOf(nodeAt(tree, "day-1")), 2);
  assert.equal(tree.bytesOf(nodeAt(tree, "day-2")), 10);
});

test("folders stand before files, each in natural order", () => {
  const tree = treeOf("a-first.txt", "day-10/x", "day-9/x", "day/x", "take-10", "take-9");
  assert.deepEqual(shownPaths(tree), [
    ...["", "day", "day/x", "day-9", "day-9/x", "day-10", "day-10/x"],
    ...["a-first.txt", "take-9", "take-10"],
  ]);
});

test("pages continue the folder that the page before ended in", () => {
  const tree = new FolderTree("footage");
  tree.add([{ path: "day/a", lengthBytes: 1 }]);
  tree.add([{ path: "day/b", lengthBytes: 1 }]);
  tree.add([{ path: "night/a", lengthBytes: 1 }]);
  assert.deepEqual(shownPaths(tree), ["", "day", "day/a", "day/b", "night", "night/a"]);
});

test("a folder of which part is chosen is mixed, and so are those above it", () => {
  const tree = treeOf("day/cam/a", "day/cam/b", "day/report");
  tree.toggle(nodeAt(tree, "day/cam/a"));
  assert.equal(tree.tickOf(nodeAt(tree, "day/cam")), "mixed");
  assert.equal(tree.tickOf(ROOT), "mixed");
  assert.equal(tree.chosenCountOf(ROOT), 2);
  assert.equal(tree.chosenBytesOf(nodeAt(tree, "day/cam")), 10);
});

test("a mixed folder that is ticked is chosen whole, and then not at all", () => {
  const tree = treeOf("day/a", "day/b", "night/a");
  tree.toggle(nodeAt(tree, "day/a"));
  tree.toggle(nodeAt(tree, "day"));
  assert.equal(tree.tickOf(ROOT), "on");
  tree.toggle(nodeAt(tree, "day"));
  assert.equal(tree.tickOf(nodeAt(tree, "day/b")), "off");
  assert.equal(tree.chosenCountOf(ROOT), 1);
});

test("files that come later are chosen as their folder is", () => {
  const tree = new FolderTree("footage");
  tree.add([{ path: "day/a", lengthBytes: 1 }]);
  tree.toggle(nodeAt(tree, "day"));
  tree.add([
    { path: "day/b", lengthBytes: 1 },
    { path: "night/a", lengthBytes: 1 },
  ]);
  assert.equal(tree.tickOf(nodeAt(tree, "day/b")), "off");
  assert.equal(tree.tickOf(nodeAt(tree, "night/a")), "on");
});

test("files of a download come with their choice and what is here", () => {
  const tree = new FolderTree("footage");
  tree.add([
    { path: "a", lengthBytes: 10, verifiedBytes: 4, isChosen: true },
    { path: "b", lengthBytes: 10, verifiedBytes: 0, isChosen: false },
  ]);
  assert.equal(tree.tickOf(ROOT), "mixed");
  assert.equal(tree.verifiedBytesOf(ROOT), 4);
});

test("a filter leaves the files that fit, with their folders", () => {
  const tree = treeOf("day/a.mov", "day/b.txt", "night/c.txt", "x.mov");
  const marks = new Uint8Array(tree.size);
  const fits = fileFilter("*.MOV");
  assert.ok(fits);
  assert.equal(tree.mark(marks, fits, 0, tree.size), 2);
  assert.deepEqual(shownPaths(tree, marks), ["", "day", "day/a.mov", "x.mov"]);
  tree.chooseFiles(marks, false);
  assert.equal(tree.chosenCountOf(ROOT), 2);
});

test("words of a filter may stand in the name or in the folders above", () => {
  const fits = fileFilter("day mov");
  assert.equal(
    fits?.("a.mov", () => "day-1/a.mov"),
    true,
  );
  assert.equal(
    fits?.("a.mov", () => "night/a.mov"),
    false,
  );
  assert.equal(fileFilter("  "), undefined);
});

test("each row says where it stands among its neighbours", () => {
  const tree = treeOf("day/a", "day/b", "x");
  assert.deepEqual(
    tree.rows(() => true).map(({ depth, position, siblings }) => `${depth}: ${position} of ${siblings}`),
    ["0: 1 of 1", "1: 1 of 2", "2: 1 of 2", "2: 2 of 2", "1: 2 of 2"],
  );
});

test("a folder of 100,000 files is read, ticked and laid out in little time", () => {
  const tree = new FolderTree("big");
  const entries: FileEntry[] = [];
  for (let folder = 0; folder < 100; folder++) {
    for (let file = 0; file < 1_000; file++) {
      entries.push({
        path: `f${String(folder).padStart(3, "0")}/n${String(file).padStart(4, "0")}`,
        lengthBytes: 1,
      });
    }
  }
  const begun = process.cpuUsage();
  for (let at = 0; at < entries.length; at += 1_000) tree.add(entries.slice(at, at + 1_000));
  for (let times = 0; times < 10; times++) tree.toggle(ROOT);
  assert.equal(tree.rows(() => true).length, 100_101);
  const { user, system } = process.cpuUsage(begun);
  assert.ok(user + system < 2_000_000, `it took ${(user + system) / 1_000} ms`);
});
