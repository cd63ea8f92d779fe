import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PieceSet } from "../../../src/swarm/piece-set.ts";

const PIECE_COUNT = 5000;

describe("a set of pieces", () => {
  it("finds what it has in common with another, in order, also when both are nearly empty", () => {
    const pieces = fc.uniqueArray(fc.nat(PIECE_COUNT - 1), { maxLength: 40 });
    fc.assert(
      fc.property(pieces, pieces, pieces, (common, one, other) => {
        const left = new PieceSet(PIECE_COUNT);
        const right = new PieceSet(PIECE_COUNT);
        for (const pieceIndex of [...common, ...one]) left.add(pieceIndex);
        for (const pieceIndex of [...common, ...other]) right.add(pieceIndex);
        // What was there and is gone again leaves nothing behind.
        for (const pieceIndex of one.slice(0, 10)) left.remove(pieceIndex);
        const expected: number[] = [];
        for (let pieceIndex = 0; pieceIndex < PIECE_COUNT; pieceIndex++) {
          if (left.has(pieceIndex) && right.has(pieceIndex)) expected.push(pieceIndex);
        }
        const found: number[] = [];
        for (let at = left.nextInBoth(right, 0); at !== -1; at = left.nextInBoth(right, at + 1))
          found.push(at);
        assert.deepEqual(found, expected);
      }),
    );
  });
});
