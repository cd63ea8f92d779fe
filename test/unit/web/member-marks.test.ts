import assert from "node:assert/strict";
import { test } from "node:test";
import { markMembers, markOfStranger } from "../../../web/src/state/member-marks.ts";

const lettersOf = (...userIds: string[]) =>
  [...markMembers(userIds.map((userId, sinceMs) => ({ userId, sinceMs }))).values()].map(
    ({ letter }) => letter,
  );

test("colours go by the order of joining, and from the eighth member on all have the last one", () => {
  const members = Array.from({ length: 10 }, (_, index) => ({ userId: `u${index}`, sinceMs: 100 - index }));
  const marks = markMembers(members);
  assert.equal(marks.get("u9")?.colour, 1);
  assert.equal(marks.get("u3")?.colour, 7);
  assert.equal(marks.get("u2")?.colour, 8);
  assert.equal(marks.get("u0")?.colour, 8);
});

test("a member's letter is the shortest beginning that nobody else has", () => {
  assert.deepEqual(lettersOf("alice", "bob", "bea"), ["A", "Bo", "Be"]);
  assert.deepEqual(lettersOf("b", "bob"), ["B", "Bo"]);
  assert.deepEqual(lettersOf("Émile", "ольга"), ["É", "О"]);
});

test("somebody who is not in the group has the last colour", () => {
  assert.deepEqual(markOfStranger("zoe"), { userId: "zoe", colour: 8, letter: "Z" });
});
