// How far each file of a download is, a page at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileProgressPage } from "../../../../src/client/downloads/file-progress.ts";
import { Bitfield } from "../../../../src/metainfo/bitfield.ts";
import { EVERY_FILE } from "../../../../src/metainfo/file-selection.ts";
import { filmOf, folderOf, PIECE_BYTES } from "../download-fixture.ts";

function have(pieceCount: number, ...pieces: number[]): Bitfield {
  const bits = new Bitfield(pieceCount);
  for (const piece of pieces) bits.set(piece);
  return bits;
}

test("of each file the bytes in pieces that are here count, whichever files these pieces touch", async () => {
  // Pieces: 0 the first two files; 1 and 2 the large one, after padding; 2 also the last.
  const { metainfo } = await folderOf("photos", { a: 100, b: 200, c: PIECE_BYTES + 10, d: 30, empty: 0 });
  const progress = (...pieces: number[]) =>
    fileProgressPage(metainfo, have(3, ...pieces), EVERY_FILE, undefined).items.map(
      ({ verifiedBytes }) => verifiedBytes,
    );
  assert.deepEqual(progress(), [0, 0, 0, 0, 0]);
  assert.deepEqual(progress(0), [100, 200, 0, 0, 0]);
  assert.deepEqual(progress(1), [0, 0, PIECE_BYTES, 0, 0]);
  assert.deepEqual(progress(2), [0, 0, 10, 30, 0]);
  assert.deepEqual(progress(0, 1, 2), [100, 200, PIECE_BYTES + 10, 30, 0]);
  const chosen = { has: (index: number) => index === 1 };
  assert.deepEqual(fileProgressPage(metainfo, have(3, 0), chosen, undefined).items[1], {
    ...{ path: "b", lengthBytes: 200, verifiedBytes: 200, isChosen: true, firstPiece: 0, pieceCount: 1 },
  });
  const { items } = fileProgressPage(metainfo, have(3), chosen, undefined);
  assert.equal(items[0]?.isChosen, false);
  const places = items.map(({ firstPiece, pieceCount }) => `${firstPiece}+${pieceCount}`);
  assert.deepEqual(places.slice(0, 4), ["0+1", "0+1", "1+2", "2+1"], "where a file lies in the pieces");
  assert.equal(items[4]?.pieceCount, 0);
});

test("pages have every file once, and looking at one does not touch the files of others", async () => {
  const files = Object.fromEntries(Array.from({ length: 1_100 }, (_, i) => [`${1_000 + i}`, 1]));
  const { metainfo } = await folderOf("many", files);
  const paths: string[] = [];
  const { layout } = metainfo;
  const looked = new Set<number>();
  const pathOf = layout.pathOf.bind(layout);
  layout.pathOf = (index) => {
    looked.add(index);
    return pathOf(index);
  };
  for (let after: string | undefined; ; ) {
    looked.clear();
    const { items, next } = fileProgressPage(metainfo, have(1, 0), EVERY_FILE, after);
    assert.ok(looked.size <= 500);
    paths.push(...items.map(({ path }) => path));
    if (next === undefined) break;
    after = next;
  }
  assert.deepEqual(paths, Object.keys(files));
  for (const after of ["x", "-1", "1101", "0.5"]) {
    assert.throws(() => fileProgressPage(metainfo, have(1), EVERY_FILE, after), { code: "INVALID_ARGUMENT" });
  }
});

test("a single file is the one file of its download", () => {
  const { metainfo, bytes } = filmOf("film");
  const { items } = fileProgressPage(metainfo, have(metainfo.geometry.pieceCount, 0), EVERY_FILE, undefined);
  assert.deepEqual(items, [
    {
      ...{ path: "film", lengthBytes: bytes.length, verifiedBytes: PIECE_BYTES, isChosen: true },
      ...{ firstPiece: 0, pieceCount: metainfo.geometry.pieceCount },
    },
  ]);
});
