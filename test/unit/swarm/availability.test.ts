// How rare each piece is, against a model that counts anew each time.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Availability } from "../../../src/swarm/availability.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";
import { seededRandom } from "../../sim/virtual-clock.ts";

const PIECE_COUNT = 12;

describe("availability", () => {
  it("has every free piece in the bucket of its rarity, whatever peers gain and lose, and whatever is taken", () => {
    const step = fc.oneof(
      fc.record({
        what: fc.constantFrom("gained", "lost", "free", "take"),
        pieceIndex: fc.nat(PIECE_COUNT - 1),
      }),
      fc.record({ what: fc.constantFrom("seedCame", "seedLeft"), pieceIndex: fc.constant(0) }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: PIECE_COUNT, maxLength: PIECE_COUNT }),
        fc.array(step, { maxLength: 80 }),
        (isFreeAtFirst, steps) => {
          const freeAtFirst = new PieceSet(PIECE_COUNT);
          for (const [piece, isFree] of isFreeAtFirst.entries()) if (isFree) freeAtFirst.add(piece);
          const availability = new Availability(PIECE_COUNT, freeAtFirst, seededRandom(3));
          const counts = Array.from({ length: PIECE_COUNT }, () => 0);
          const free = new Set(counts.keys().filter((piece) => isFreeAtFirst[piece]));
          let seeds = 0;
          for (const { what, pieceIndex } of steps) {
            const count = counts[pieceIndex] ?? 0;
            if (what === "gained") {
              availability.gained(pieceIndex);
              counts[pieceIndex] = count + 1;
            } else if (what === "lost") {
              if (count === 0) continue;
              availability.lost(pieceIndex);
              counts[pieceIndex] = count - 1;
            } else if (what === "free") {
              availability.free(pieceIndex);
              free.add(pieceIndex);
            } else if (what === "take") {
              availability.take(pieceIndex);
              free.delete(pieceIndex);
            } else if (what === "seedCame") {
              availability.seedCame();
              seeds++;
            } else {
              if (seeds === 0) continue;
              availability.seedLeft();
              seeds--;
            }
            assert.equal(availability.freeCount, free.size);
            assert.equal(availability.seedCount, seeds);
            assert.equal(availability.freePieces.count, free.size);
            assert.equal(availability.lowestFree(), free.size === 0 ? undefined : Math.min(...free));
            assert.equal(availability.isWholeElsewhere(), seeds > 0 || counts.every((copies) => copies > 0));
            const found = new Map<number, number>();
            for (const [rarity, bucket] of availability.buckets.entries()) {
              for (const piece of bucket) {
                assert.equal(found.has(piece), false, `piece ${piece} is in two places`);
                found.set(piece, rarity);
              }
            }
            for (const [piece, copies] of counts.entries()) {
              assert.equal(availability.isFree(piece), free.has(piece));
              assert.equal(availability.rarity(piece), copies);
              assert.equal(availability.copies(piece), copies + seeds);
              assert.equal(
                found.get(piece),
                free.has(piece) ? copies : undefined,
                `bucket of piece ${piece}`,
              );
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("has no order in a bucket that tells in which order the pieces came", () => {
    const firsts = new Set<number>();
    const lasts = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const availability = new Availability(4, PieceSet.full(4), seededRandom(seed));
      const bucket = availability.buckets[0] ?? [];
      firsts.add(bucket[0] ?? -1);
      lasts.add(bucket.at(-1) ?? -1);
    }
    assert.deepEqual([firsts.size, lasts.size], [4, 4]);
  });
});
