import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TurnWrites } from "../../../src/tracker/turn-writes.ts";

test("what is written in one turn goes out as one write at its end, each socket's for itself", async () => {
  const written: string[] = [];
  const socket = (name: string) =>
    new Writable({
      writev: (chunks, done) => {
        written.push(`${name}: ${chunks.map(({ chunk }) => String(chunk)).join(" ")}`);
        done();
      },
    });
  const writes = new TurnWrites();
  const [one, other] = [socket("one"), socket("other")];
  for (const text of ["a", "b", "c"]) {
    writes.hold(one);
    one.write(text);
  }
  writes.hold(other);
  other.write("d");
  assert.deepEqual(written, []);
  await nextTurn();
  assert.deepEqual(written, ["one: a b c", "other: d"]);
  writes.hold(one);
  one.write("e");
  await nextTurn();
  assert.deepEqual(written.slice(2), ["one: e"]);
});
