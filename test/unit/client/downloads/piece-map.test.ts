// A download piece by piece: who sent each, in runs whose number is bounded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type PieceFacts, PieceSenders, pieceMap } from "../../../../src/client/downloads/piece-map.ts";

function mapOf(changes: Partial<PieceFacts> & Pick<PieceFacts, "pieceCount">) {
  return pieceMap({
    senders: new PieceSenders(changes.pieceCount),
    has: () => true,
    isWanted: () => true,
    isComing: () => false,
    copiesOf: () => 0,
    ...changes,
  });
}

const counted = (runs: readonly { count: number }[]) => runs.reduce((sum, { count }) => sum + count, 0);

test("runs tell who sent each piece, what was here before, what is coming and what is left out", () => {
  const senders = new PieceSenders(9);
  for (const piece of [1, 2]) senders.came(piece, "bob");
  senders.came(3, "ann");
  const map = mapOf({
    ...{ pieceCount: 9, senders, has: (piece) => piece < 4 },
    isComing: (piece) => piece === 4,
    isWanted: (piece) => piece < 7,
    copiesOf: (piece) => (piece < 2 ? 3 : 1),
  });
  assert.deepEqual(map, {
    ...{ pieceCount: 9, piecesPerCell: 1, sources: ["bob", "ann"] },
    runs: [
      { count: 1, from: -1 },
      { count: 2, from: 0 },
      { count: 1, from: 1 },
      { count: 1, from: -2, isComing: true },
      { count: 2, from: -2 },
      { count: 2, from: -2, isLeftOut: true },
    ],
    availability: [
      { count: 2, copies: 3 },
      { count: 7, copies: 1 },
    ],
  });
});

test("a file without pieces has no runs", () => {
  assert.deepEqual(mapOf({ pieceCount: 0 }).runs, []);
});

test("many pieces in few runs are told exactly", () => {
  const map = mapOf({ pieceCount: 100_000, has: (piece) => piece !== 77_777 });
  assert.deepEqual(map.runs, [
    { count: 77_777, from: -1 },
    { count: 1, from: -2 },
    { count: 22_222, from: -1 },
  ]);
  assert.equal(map.piecesPerCell, 1);
});

test("too many runs become cells of what most of their pieces are; of their copies the fewest count", () => {
  const pieceCount = 100_000;
  const map = mapOf({
    pieceCount,
    has: (piece) => piece % 3 !== 0,
    isComing: (piece) => piece === 99_999,
    copiesOf: (piece) => piece % 2,
  });
  assert.equal(map.piecesPerCell, 25);
  assert.deepEqual(map.runs, [
    { count: 99_975, from: -1 },
    { count: 25, from: -2, isComing: true },
  ]);
  assert.deepEqual(map.availability, [{ count: pieceCount, copies: 0 }]);
});

test("runs, and levels of availability, are never more than 4,096, and always cover every piece", () => {
  for (const pieceCount of [4_096, 4_097, 8_193, 131_072]) {
    const map = mapOf({
      ...{ pieceCount, has: (piece) => Math.floor(piece / 40) % 2 === 0 },
      copiesOf: (piece) => piece % 100,
    });
    assert.ok(map.runs.length <= 4_096 && map.availability.length <= 4_096, `${pieceCount}`);
    assert.deepEqual([counted(map.runs), counted(map.availability)], [pieceCount, pieceCount]);
  }
});

test("255 senders are told apart, and what further ones send comes from nobody known", () => {
  const senders = new PieceSenders(300);
  for (let piece = 0; piece < 300; piece++) senders.came(piece, `user ${piece}`);
  senders.came(299, "user 0");
  assert.deepEqual(
    [0, 254, 255, 298, 299].map((piece) => senders.senderOf(piece)),
    [0, 254, -1, -1, 0],
  );
  assert.equal(senders.userIds.length, 255);
});

test("senders are the same after they were stored; ones of other pieces are not used", () => {
  const senders = new PieceSenders(3);
  assert.equal(senders.stored, undefined);
  senders.came(1, "bob");
  senders.came(2, undefined);
  const again = new PieceSenders(3, senders.stored);
  again.came(0, "ann");
  assert.deepEqual(
    [0, 1, 2].map((piece) => again.userIds[again.senderOf(piece)]),
    ["ann", "bob", undefined],
  );
  assert.equal(new PieceSenders(4, senders.stored).senderOf(1), -1);
  const damaged = new PieceSenders(3, { userIds: [], senders: Uint8Array.of(9, 9, 9) });
  assert.equal(damaged.senderOf(0), -1);
});
