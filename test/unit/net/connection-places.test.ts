// Places for connections: what each direction may take, and whose turn it is to dial.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConnectionPlaces } from "../../../src/net/connection-places.ts";

test("no more places are taken than there are, and each direction leaves the other some", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 60 }),
      fc.array(fc.record({ direction: fc.constantFrom("in", "out"), isTaken: fc.boolean() })),
      (most, steps) => {
        const places = new ConnectionPlaces(most, () => 0);
        const taken = { in: 0, out: 0 };
        for (const { direction, isTaken } of steps) {
          if (isTaken) {
            if (places.take(direction)) taken[direction]++;
            else assert.ok(taken.in + taken.out === most || taken[direction] === places.mostOfDirection);
          } else if (taken[direction] > 0) {
            places.give(direction);
            taken[direction]--;
          }
          assert.ok(taken.in + taken.out <= most);
          assert.ok(Math.max(taken.in, taken.out) < most);
        }
      },
    ),
  );
});

test("files take turns at the places to dial from: the one that has waited longest is next", () => {
  let nowMs = 0;
  const places = new ConnectionPlaces(4, () => nowMs);
  for (const file of ["a", "b", "c"]) {
    assert.equal(places.hasForFirst(file, true), true);
    assert.equal(places.take("out"), true);
  }
  assert.equal(places.hasForFirst("d", true), false);
  assert.equal(places.hasForFirst("e", true), false);
  assert.equal(places.waitingCount, 2);
  places.give("out");
  assert.equal(places.hasForFirst("e", true), false);
  assert.equal(places.hasForFirst("d", true), true);
  places.take("out");
  places.give("out");
  // Whoever does not ask any more is not waited for.
  assert.equal(places.hasForFirst("f", true), false);
  nowMs += 3_000;
  assert.equal(places.hasForFirst("f", true), false, "three seconds are not too long");
  nowMs += 1;
  assert.equal(places.hasForFirst("f", true), true);
});

test("files that are to dial a seed go first", () => {
  const places = new ConnectionPlaces(4, () => 0);
  for (let i = 0; i < 3; i++) places.take("out");
  assert.equal(places.hasForFirst("a", false), false);
  assert.equal(places.hasForFirst("b", true), false);
  places.give("out");
  assert.equal(places.hasForFirst("a", false), false);
  assert.equal(places.hasForFirst("b", true), true);
  assert.equal(places.hasForFirst("a", false), true);
});

test("a file that has a connection dials one more only while there are places left for the others", () => {
  const places = new ConnectionPlaces(16, () => 0);
  let count = 0;
  while (places.hasForMore) {
    places.take("out");
    count++;
  }
  assert.equal(count, 9);
  assert.equal(places.hasForFirst("a", true), true);
});

test("a file that is gone, or has a connection, does not wait any more", () => {
  const places = new ConnectionPlaces(4, () => 0);
  for (let i = 0; i < 3; i++) places.take("out");
  for (const file of ["a", "b"]) assert.equal(places.hasForFirst(file, true), false);
  places.forget("a");
  assert.equal(places.waitingCount, 1);
  places.give("out");
  assert.equal(places.hasForFirst("b", true), true);
});

test("with one place alone each direction may have it", () => {
  const places = new ConnectionPlaces(1, () => 0);
  assert.equal(places.mostOfDirection, 1);
  assert.equal(places.take("in"), true);
  assert.equal(places.take("out"), false);
  places.give("in");
  assert.equal(places.take("out"), true);
});

test("files that wait for their first connection leave fewer places for further ones", () => {
  const places = new ConnectionPlaces(16, () => 0);
  for (let i = 0; i < 12; i++) places.take("out");
  for (const file of ["a", "b", "c"]) assert.equal(places.hasForFirst(file, true), false);
  assert.deepEqual([places.isWaiting("a"), places.isWaiting("d")], [true, false]);
  for (let i = 0; i < 6; i++) places.give("out");
  // Six are free: three are kept for files without a connection, and three files wait.
  assert.equal(places.hasForMore, false);
  places.give("out");
  assert.equal(places.hasForMore, true);
});
