import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  BEFORE,
  copiesColumns,
  hereRanges,
  LEFT_OUT,
  MISSING,
  piecesBySource,
  piecesMap,
  runsWithin,
} from "../../../web/src/state/pieces-map.ts";

/** `aab..` → runs of pieces from sources a and b, and missing ones; `-` was here before. */
function runsOf(picture: string) {
  const from = (letter: string) =>
    letter === "." ? MISSING : letter === "-" ? BEFORE : letter.charCodeAt(0) - 97;
  return [...picture].map((letter) => ({ count: 1, from: from(letter) }));
}
const pictureOf = (from: Int32Array) =>
  [...from]
    .map((one) => (one === MISSING ? "." : one === BEFORE ? "-" : String.fromCharCode(97 + one)))
    .join("");

test("a cell takes the colour of most of its pieces, and of a tie what is here", () => {
  const picture = "aab" + "..." + "b.b" + "--c" + ".a";
  const map = piecesMap(runsOf(picture), picture.length, 5);
  assert.deepEqual([map.piecesPerCell, pictureOf(map.from)], [3, "a.b-a"]);
});

test("with room for all, each piece has a cell", () => {
  assert.equal(pictureOf(piecesMap(runsOf("a.b-"), 4, 100).from), "a.b-");
  assert.equal(piecesMap([], 0, 100).from.length, 0);
});

test("a cell in which a piece is coming is marked", () => {
  const runs = [
    { count: 3, from: 0 },
    { count: 1, from: MISSING, isComing: true as const },
    { count: 4, from: MISSING },
  ];
  assert.deepEqual([...piecesMap(runs, 8, 4).isComing], [0, 1, 0, 0]);
});

test("pieces of files that are not chosen have a state of their own", () => {
  const runs = [
    { count: 2, from: 0 },
    { count: 2, from: MISSING, isLeftOut: true },
  ];
  assert.deepEqual([...piecesMap(runs, 4, 2).from], [0, LEFT_OUT]);
});

test("a million pieces are as many cells as there is room for, and none is lost", () => {
  const run = fc.record({
    count: fc.integer({ min: 1, max: 300_000 }),
    from: fc.integer({ min: -2, max: 3 }),
  });
  fc.assert(
    fc.property(
      fc.array(run, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 600 }),
      (runs, room) => {
        const pieceCount = runs.reduce((sum, { count }) => sum + count, 0);
        const map = piecesMap(runs, pieceCount, room);
        assert.ok(map.from.length <= room);
        assert.equal(map.from.length, Math.ceil(pieceCount / map.piecesPerCell));
        const { bySource, before, missing } = piecesBySource(runs, 4);
        assert.equal(bySource.reduce((sum, count) => sum + count, 0) + before + missing, pieceCount);
      },
    ),
    { numRuns: 50 },
  );
});

test("a column shows the least copies of its pieces, and the pieces without any are counted", () => {
  const copies = [
    { count: 6, copies: 3 },
    { count: 1, copies: 0 },
    { count: 3, copies: 1 },
  ];
  const nothing = [{ count: 10, from: MISSING }];
  const columns = copiesColumns(copies, nothing, 10, 5);
  assert.deepEqual([...columns.least], [3, 3, 3, 0, 1]);
  assert.deepEqual([columns.most, columns.without], [3, 1]);
  assert.deepEqual([...copiesColumns([], [], 0, 5).least], [0]);
});

test("what is here is a copy, too: nobody has to have it", () => {
  const copies = [{ count: 8, copies: 0 }];
  const columns = copiesColumns(copies, runsOf("aab....-"), 8, 8);
  assert.deepEqual([...columns.least], [1, 1, 1, 0, 0, 0, 0, 1]);
  assert.deepEqual([columns.most, columns.without], [1, 4]);
});

test("what is here of a file is a few ranges of its length", () => {
  assert.deepEqual(hereRanges(runsOf("ab-..a.."), 8), [
    { from: 0, to: 3 / 8 },
    { from: 5 / 8, to: 6 / 8 },
  ]);
});

test("the pieces of one file are cut out of those of its folder", () => {
  const runs = [
    { count: 4, from: 0 },
    { count: 4, from: MISSING, isComing: true },
  ];
  assert.deepEqual(runsWithin(runs, 3, 2), [
    { count: 1, from: 0 },
    { count: 1, from: MISSING, isComing: true },
  ]);
  assert.deepEqual(runsWithin(runs, 8, 2), []);
});
