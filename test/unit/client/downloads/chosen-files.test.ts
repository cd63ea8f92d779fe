// Which files a choice means, and which pieces they need.
import assert from "node:assert/strict";
import { test } from "node:test";
import { allOf, chooseFiles, countComplete, sizeOf } from "../../../../src/client/downloads/chosen-files.ts";
import type { FileChoice } from "../../../../src/client/status.ts";
import { Bitfield } from "../../../../src/metainfo/bitfield.ts";
import type { FolderMetainfo } from "../../../../src/metainfo/metainfo.ts";
import { filmOf, folderOf, GROUP, PIECE_BYTES } from "../download-fixture.ts";

const id = { groupId: GROUP, fileName: "photos" };

/** Pieces: 0 the first two files; 1 and 2 the large one, after padding; 2 also the last two, of which one is empty. */
const { metainfo } = await folderOf("photos", {
  "a.jpg": 100,
  "b/one.txt": 200,
  "b/two.raw": PIECE_BYTES + 10,
  "c.txt": 30,
  "d.txt": 0,
});

async function chosen(choice: FileChoice, of: FolderMetainfo = metainfo) {
  const found = await chooseFiles(of, id, choice);
  assert.ok(found.kind === "folder");
  const { files, pieces } = found.chosen;
  const paths = Array(of.layout.fileCount)
    .keys()
    .filter((i) => files.has(i))
    .map((i) => of.layout.pathOf(i));
  const indices = Array(pieces.pieceCount)
    .keys()
    .filter((i) => pieces.has(i));
  return { paths: [...paths], pieces: [...indices], ...sizeOf(found) };
}

test("chosen is what fits one of the patterns, without what fits one of the exceptions", async () => {
  const all = ["a.jpg", "b/one.txt", "b/two.raw", "c.txt", "d.txt"];
  assert.deepEqual((await chosen({})).paths, all);
  assert.deepEqual((await chosen({ only: ["**/*.txt"] })).paths, ["b/one.txt", "c.txt", "d.txt"]);
  assert.deepEqual((await chosen({ only: ["b/", "a.*"], except: ["**/*.raw"] })).paths, [
    "a.jpg",
    "b/one.txt",
  ]);
  assert.deepEqual((await chosen({ except: ["b/", "d.txt"] })).paths, ["a.jpg", "c.txt"]);
});

test("a choice needs the pieces that its files touch, and has their length without padding", async () => {
  assert.deepEqual(await chosen({ only: ["a.jpg"] }), {
    ...{ paths: ["a.jpg"], pieces: [0], pieceCount: 1, lengthBytes: 300 },
  });
  assert.deepEqual((await chosen({ only: ["b/two.raw"] })).pieces, [1, 2]);
  assert.deepEqual(await chosen({ only: ["c.txt"] }), {
    ...{ paths: ["c.txt"], pieces: [2], pieceCount: 1, lengthBytes: 40 },
  });
  assert.deepEqual((await chosen({ only: ["d.txt"] })).pieces, [], "an empty file needs none");
  assert.deepEqual((await chosen({})).lengthBytes, PIECE_BYTES + 340);
});

test("a choice that no file fits is refused with what shows the files", async () => {
  await assert.rejects(chosen({ only: ["*.mkv"] }), {
    code: "INVALID_ARGUMENT",
    message: /^No file in photos fits; list_files films photos shows its files/,
  });
  await assert.rejects(chosen({ except: ["**"] }), { code: "INVALID_ARGUMENT" });
  await assert.rejects(chosen({ only: Array(101).fill("*") }), { message: /at most 100 patterns/ });
});

test("a single file has nothing to choose", async () => {
  const { metainfo: film } = filmOf("film");
  assert.equal((await chooseFiles(film, id, {})).kind, "file");
  await assert.rejects(chooseFiles(film, id, { only: ["*"] }), {
    code: "INVALID_ARGUMENT",
    message: /is a single file: leave --only and --except out/,
  });
});

test("patterns of a large folder let other work have its turn", async (t) => {
  const files = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`f${i}`, 0]));
  const { metainfo: large } = await folderOf("photos", files);
  let turns = 0;
  const ticking = setInterval(() => turns++, 0);
  t.after(() => clearInterval(ticking));
  await chosen({ only: ["f1*"] }, large);
  assert.ok(turns >= 1, `${turns} turns`);
});

test("a chosen file is complete with all its pieces, and what is not chosen does not count", async () => {
  const have = new Bitfield(3);
  const ofTxt = await chooseFiles(metainfo, id, { only: ["**/*.txt"] });
  const all = allOf(metainfo);
  assert.ok(ofTxt.kind === "folder" && all.kind === "folder");
  assert.deepEqual(
    [countComplete(metainfo, all.chosen, have), countComplete(metainfo, ofTxt.chosen, have)],
    [1, 1],
    "the empty one",
  );
  have.set(2);
  assert.deepEqual(
    [countComplete(metainfo, all.chosen, have), countComplete(metainfo, ofTxt.chosen, have)],
    [2, 2],
  );
  have.set(0);
  assert.deepEqual(
    [countComplete(metainfo, all.chosen, have), countComplete(metainfo, ofTxt.chosen, have)],
    [4, 3],
  );
  have.set(1);
  assert.deepEqual(
    [countComplete(metainfo, all.chosen, have), countComplete(metainfo, ofTxt.chosen, have)],
    [5, 3],
  );
});
