import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseGlob } from "../../../src/client/downloads/globs.ts";
import { globsOf } from "../../../web/src/state/choice-globs.ts";
import { FolderTree } from "../../../web/src/state/folder-tree.ts";

/** A tree of those paths in byte order, with the marked ones chosen. */
function treeOf(paths: readonly string[], isChosen: (path: string) => boolean): FolderTree {
  const tree = new FolderTree("footage");
  const ordered = paths.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  tree.add(ordered.map((path) => ({ path, lengthBytes: 1, isChosen: isChosen(path) })));
  return tree;
}

/** What the daemon chooses by the patterns. */
function chosenBy(
  { only = [], except = [] }: { only?: string[]; except?: string[] },
  paths: readonly string[],
) {
  const [chosen, excepted] = [only.map(parseGlob), except.map(parseGlob)];
  return paths.filter(
    (path) =>
      (chosen.length === 0 || chosen.some((fits) => fits(path))) && !excepted.some((fits) => fits(path)),
  );
}

const footage = [
  ...["day-1/cam-a/1.mov", "day-1/cam-a/2.mov", "day-1/cam-b/1.mov", "day-1/report.pdf"],
  ...["day-2/1.mov", "day-2/1.wav", "day-2/2.mov", "notes.txt", "sound/1.wav"],
];

test("everything chosen has no pattern, and nothing chosen is no choice", () => {
  assert.deepEqual(globsOf(treeOf(footage, () => true)), {});
  assert.equal(globsOf(treeOf(footage, () => false)), undefined);
});

test("a folder that is chosen whole is one pattern", () => {
  assert.deepEqual(globsOf(treeOf(footage, (path) => path.startsWith("day-1/"))), { only: ["day-1/"] });
});

test("a folder that alone is left out is one exception", () => {
  assert.deepEqual(globsOf(treeOf(footage, (path) => !path.startsWith("day-1/"))), { except: ["day-1/"] });
});

test("a kind of file that is chosen everywhere is one pattern", () => {
  assert.deepEqual(globsOf(treeOf(footage, (path) => path.endsWith(".mov"))), { only: ["*.mov"] });
});

test("a file at the top is not taken for files of that name further down", () => {
  const paths = ["a/notes", "b/notes", "c/x", "notes"];
  const globs = globsOf(treeOf(paths, (path) => path === "notes"));
  assert.deepEqual(globs, { only: ["./notes"] });
  assert.deepEqual(chosenBy(globs ?? {}, paths), ["notes"]);
});

test("files of one folder share a pattern", () => {
  const paths = ["d/a", "d/b", "d/c", "d/d", "d/e"];
  assert.deepEqual(globsOf(treeOf(paths, (path) => ["d/a", "d/b"].includes(path))), { only: ["d/{a,b}"] });
});

test("most of a folder is the folder with exceptions", () => {
  const paths = [...Array.from({ length: 20 }, (_, index) => `day/${index}`), "night/1", "night/2"];
  assert.deepEqual(globsOf(treeOf(paths, (path) => path.startsWith("day/") && path !== "day/7")), {
    only: ["day/"],
    except: ["day/7"],
  });
});

test("characters that mean something in a pattern are literal in names", () => {
  const paths = ["[a]", "a", "b*", "bc", "d{e,f}", "de", "g?", "gh", "x,y/1", "x,y/2", "x/1", "z}", "{z"];
  for (const one of paths) {
    const globs = globsOf(treeOf(paths, (path) => path === one));
    assert.ok(globs, one);
    assert.deepEqual(chosenBy(globs, paths), [one]);
  }
});

test("a choice that needs more patterns than a daemon takes is refused", () => {
  const paths = Array.from({ length: 12_000 }, (_, index) => `d/${String(index).padStart(20, "0")}`);
  assert.equal(globsOf(treeOf(paths, (path) => Number(path.at(-1)) % 2 === 0)), undefined);
  const few = paths.slice(0, 400);
  const globs = globsOf(treeOf(few, (path) => Number(path.at(-1)) % 2 === 0));
  assert.equal(chosenBy(globs ?? {}, few).length, 200);
});

test("the patterns of any choice fit the chosen files and no others", () => {
  const name = fc
    .array(
      fc.constantFrom("a", "b", ".", ",", "*", "?", "[", "]", "{", "}", "!", "^", "-", "é", "\u{1f3ac}"),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .map((letters) => letters.join(""))
    .filter((text) => text !== "." && text !== "..");
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { minLength: 1, maxLength: 25 }),
      fc.infiniteStream(fc.boolean()),
      (all, coin) => {
        // No file has the name of a folder.
        const paths = all.filter((one) => !all.some((other) => other.startsWith(`${one}/`)));
        const chosen = new Set(paths.filter(() => coin.next().value));
        const globs = globsOf(treeOf(paths, (one) => chosen.has(one)));
        if (chosen.size === 0) assert.equal(globs, undefined);
        else assert.deepEqual(new Set(chosenBy(globs ?? {}, paths)), chosen);
      },
    ),
    { numRuns: 500 },
  );
});
