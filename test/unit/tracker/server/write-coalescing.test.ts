import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { WriteCoalescer } from "../../../../src/tracker/server/write-coalescing.ts";

test("the messages of one turn go out as one write at its end, for each socket", async () => {
  const written: string[] = [];
  const socket = (name: string) =>
    new Writable({
      writev: (chunks, done) => {
        written.push(`${name}: ${chunks.map(({ chunk }) => String(chunk)).join(" ")}`);
        done();
      },
    });
  const writes = new WriteCoalescer();
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

test("held messages can be written before the turn's end, and a socket that fails keeps nothing from the others", async () => {
  const written: string[] = [];
  const socket = (name: string) =>
    new Writable({
      write: (chunk, _encoding, done) => {
        written.push(`${name}: ${chunk}`);
        done();
      },
    });
  const [bad, good] = [socket("bad"), socket("good")];
  const errors: unknown[] = [];
  bad.on("error", (error) => errors.push(error));
  const failure = new Error("a bug");
  bad.uncork = () => {
    throw failure;
  };
  const writes = new WriteCoalescer();
  for (const one of [bad, good]) {
    writes.hold(one);
    writes.hold(one);
    one.write("x");
  }
  writes.release();
  assert.deepEqual([written, good.writableCorked], [["good: x"], 0]);
  await nextTurn();
  assert.deepEqual([bad.destroyed, errors], [true, [failure]]);
});

test("a turn's end is asked for once, however many sockets are written to", async (t) => {
  const asked = t.mock.method(globalThis, "setImmediate");
  const writes = new WriteCoalescer();
  const sockets = Array.from(
    { length: 10 },
    () => new Writable({ write: (_chunk, _encoding, done) => done() }),
  );
  for (const socket of sockets) writes.hold(socket);
  assert.equal(asked.mock.callCount(), 1);
  await nextTurn();
  assert.deepEqual(
    sockets.map(({ writableCorked }) => writableCorked),
    sockets.map(() => 0),
  );
});
