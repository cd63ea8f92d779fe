import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type BarFacts, barSegments } from "../../../web/src/state/bar-segments.ts";

const ORDER = ["zoe", "alice", "bob", "carol", "dave"];
const orderOf = (userId: string) => ORDER.indexOf(userId);
const bar = (facts: Partial<BarFacts>) =>
  barSegments({ lengthBytes: 100, bytesVerified: 60, sources: [], orderOf, ...facts }).map(
    ({ kind, userId, share }) => `${userId || kind} ${Math.round(share * 100)}`,
  );

test("members stand in the order of joining, whoever gave most", () => {
  const sources = [
    { userId: "alice", bytes: 40 },
    { userId: "zoe", bytes: 20 },
  ];
  assert.deepEqual(bar({ sources }), ["zoe 20", "alice 40"]);
});

test("what was here before has a segment, and bytes that came twice do not make the bar longer", () => {
  assert.deepEqual(bar({ sources: [{ userId: "bob", bytes: 20 }] }), ["bob 20", "before 40"]);
  assert.deepEqual(bar({ sources: [{ userId: "bob", bytes: 240 }] }), ["bob 60"]);
});

test("what nobody online has stands at the end, and is never more than what is missing", () => {
  assert.deepEqual(bar({ goneShare: 0.1 }), ["before 60", "gone 10"]);
  assert.deepEqual(bar({ goneShare: 0.9 }), ["before 60", "gone 40"]);
});

test("a small giver is seen, and the ninth and further share one segment", () => {
  assert.deepEqual(
    bar({
      sources: [
        { userId: "alice", bytes: 59.9 },
        { userId: "bob", bytes: 0.1 },
      ],
    }),
    ["alice 59", "bob 1"],
  );
  const many = Array.from({ length: 20 }, (_, index) => ({ userId: `u${index}`, bytes: 20 - index }));
  const segments = barSegments({ lengthBytes: 210, bytesVerified: 210, sources: many, orderOf });
  assert.deepEqual([segments.length, segments.at(-1)?.kind], [8, "others"]);
});

test("an empty file is all here", () => {
  assert.deepEqual(bar({ lengthBytes: 0, bytesVerified: 0 }), ["before 100"]);
});

test("segments take exactly what is here, whatever is told", () => {
  const source = fc.record({ userId: fc.constantFrom("alice", "bob", "x", "y"), bytes: fc.nat(1_000) });
  fc.assert(
    fc.property(
      fc.nat(1_000),
      fc.nat(1_200),
      fc.array(source, { maxLength: 12 }),
      (length, verified, sources) => {
        const segments = barSegments({ lengthBytes: length, bytesVerified: verified, sources, orderOf });
        const sum = segments.reduce((total, { share }) => total + share, 0);
        const here = length === 0 ? 1 : Math.min(1, verified / length);
        assert.ok(Math.abs(sum - here) < 0.0011, `${sum} of ${here}`);
        assert.ok(segments.every(({ share }) => share >= 0));
      },
    ),
    { numRuns: 300 },
  );
});
