// Which pieces are missing, and how many bytes that is, against a model that counts anew each time.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { OwnPieces } from "../../../src/swarm/own-pieces.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";
import { bitfieldOf } from "./lone-torrent.ts";

const PIECES = 70;
const LAST_BYTES = 100;
const padding = Uint32Array.from({ length: PIECES }, (_, piece) => (piece % 5 === 2 ? 10 * piece : 0));
const geometry = new Geometry((PIECES - 1) * BLOCK_LENGTH_BYTES + LAST_BYTES, BLOCK_LENGTH_BYTES, padding);

const piecesIn = (set: PieceSet): number[] => {
  const pieces: number[] = [];
  for (let piece = set.next(0); piece !== -1; piece = set.next(piece + 1)) pieces.push(piece);
  return pieces;
};
const bytesOf = (pieces: readonly number[]): number =>
  pieces.reduce((sum, piece) => sum + geometry.lengthOfPieceBytes(piece) - (padding[piece] ?? 0), 0);

describe("our own pieces", () => {
  it("are missing if they are wanted and not here, whatever arrives and whatever is wanted next", () => {
    const picture = fc.string({ unit: fc.constantFrom("x", " "), minLength: PIECES, maxLength: PIECES });
    const step = fc.oneof(
      fc.record({ what: fc.constant("verified" as const), pieceIndex: fc.nat(PIECES - 1) }),
      fc.record({ what: fc.constant("want" as const), picture }),
      fc.record({ what: fc.constant("want" as const), picture: fc.constant("x".repeat(PIECES)) }),
    );
    fc.assert(
      fc.property(
        picture,
        fc.option(picture, { nil: undefined }),
        fc.array(step, { maxLength: 30 }),
        fc.boolean(),
        (had, first, steps, isAskedFirst) => {
          const have = new Set([...had].keys().filter((piece) => had[piece] === "x"));
          let wanted = first ?? "x".repeat(PIECES);
          const own = new OwnPieces({
            geometry,
            have: bitfieldOf(had, "x"),
            wanted: first === undefined ? undefined : bitfieldOf(first, "x"),
          });
          const missing = (): number[] =>
            [...wanted]
              .keys()
              .filter((piece) => wanted[piece] === "x" && !have.has(piece))
              .toArray();
          // Bytes are counted when they are first asked for, and kept up to date from then on.
          if (isAskedFirst) assert.ok(own.verifiedBytes <= own.wantedBytes);
          for (const now of steps) {
            const before = missing();
            if (now.what === "verified") {
              assert.equal(own.verified(now.pieceIndex), before.includes(now.pieceIndex));
              have.add(now.pieceIndex);
            } else {
              wanted = now.picture;
              const { added, dropped } = own.want(bitfieldOf(wanted, "x"));
              const after = missing();
              assert.deepEqual(
                piecesIn(added),
                after.filter((piece) => !before.includes(piece)),
              );
              assert.deepEqual(
                piecesIn(dropped),
                before.filter((piece) => !after.includes(piece)),
              );
              assert.deepEqual(
                [added.count, dropped.count],
                [piecesIn(added).length, piecesIn(dropped).length],
              );
            }
            const expected = missing();
            assert.deepEqual(piecesIn(own.missing), expected);
            assert.equal(own.missing.count, expected.length);
            assert.equal(own.isSatisfied, expected.length === 0);
            assert.equal(own.have.count, have.size);
            const wantedPieces = [...wanted]
              .keys()
              .filter((piece) => wanted[piece] === "x")
              .toArray();
            assert.equal(own.wantedCount, wantedPieces.length);
            assert.equal(own.wantedBytes, bytesOf(wantedPieces));
            assert.equal(own.verifiedBytes, bytesOf(wantedPieces) - bytesOf(expected));
          }
        },
      ),
    );
  });
});

describe("a million pieces", () => {
  it("are told apart in a moment: a bitfield is read, and what is missing counted, 32 pieces at a time", () => {
    const pieceCount = 1_000_000;
    const timesMs = Array.from({ length: 5 }, () => {
      const startMs = performance.now();
      const theirs = PieceSet.of(Bitfield.full(pieceCount));
      const missing = theirs.without(PieceSet.full(pieceCount));
      const common = theirs.countInBoth(theirs);
      const elapsedMs = performance.now() - startMs;
      assert.deepEqual([theirs.count, missing.count, common], [pieceCount, 0, pieceCount]);
      return elapsedMs;
    });
    // It takes 10 ms, more while other programs run; piece by piece it took 120.
    assert.ok(Math.min(...timesMs) < 60, `${timesMs} ms`);
  });
});
