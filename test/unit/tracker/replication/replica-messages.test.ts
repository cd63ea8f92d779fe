// What is a message between trackers, and what is not: each bound at its edge.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  MAX_REPLICA_MESSAGE_BYTES,
  REPLICA_PROTOCOL_VERSION,
  readReplicaMessage,
} from "../../../../src/tracker/replication/replica-messages.ts";
import { testStamp } from "../registry/compliance.ts";

const stamp = testStamp(1, "zz");
const clock = { nowMs: 1, isDoubted: false, steadyForMs: 0 };
const hello = {
  type: "hello",
  version: REPLICA_PROTOCOL_VERSION,
  origin: "zz",
  vector: { zz: 0 },
  stamp,
  clock,
};
const row = { kind: "share", key: "k", claimId: "", value: 1, stamp, origin: "zz", seq: 1, writeId: "w" };
const rows = (more: object) => ({ type: "rows", records: [{ ...row, ...more }] });
const beat = { type: "beat", vector: {}, digest: "d", stamp, clock };
const push = { type: "push", id: 0, origin: "zz", after: 0, upTo: 1, records: [row] };

const read = (message: unknown) => readReplicaMessage(JSON.stringify(message));

test("every message of the protocol is read as it was sent", () => {
  for (const message of [
    hello,
    { ...hello, doubtful: [stamp], isIncomplete: true },
    { ...hello, origin: "0".repeat(32) },
    rows({}),
    rows({ kind: "user", claimId: stamp, isRetry: true, paidBy: "p" }),
    rows({ key: "k".repeat(4_096), writeId: "w".repeat(4_096) }),
    { type: "rows", records: [], upTo: { zz: 3 }, doubtful: [stamp] },
    { type: "got" },
    push,
    { type: "stored", id: 3, earlier: [row] },
    { type: "want", vector: {} },
    { type: "cannot-store" },
    { ...beat, digest: "d".repeat(64) },
    { type: "soft", data: { any: ["thing"] }, isWhole: false },
  ])
    assert.deepEqual(read(message), message);
  const { value: _value, ...tombstone } = row;
  const [removed] = (read({ type: "rows", records: [tombstone] }) as { records: object[] }).records;
  assert.deepEqual(removed, { ...tombstone, value: undefined }, "a row without a value is a tombstone");
  assert.ok(MAX_REPLICA_MESSAGE_BYTES > 4 * 1024 * 1024, "a chunk has 1 MiB of values, in escapes perhaps");
});

test("a message outside the protocol is refused, with the place of what is wrong", () => {
  for (const [message, where] of [
    [null, ""],
    [{ type: "other" }, "type"],
    [{ ...hello, version: REPLICA_PROTOCOL_VERSION + 1 }, "version"],
    [{ ...hello, origin: "" }, "origin"],
    [{ ...hello, origin: "0".repeat(33) }, "origin"],
    [{ ...hello, origin: "ZZ" }, "origin"],
    [{ ...hello, vector: { "../x": 1 } }, "vector.../x"],
    [{ ...hello, vector: { zz: -1 } }, "vector.zz"],
    [{ ...hello, vector: { zz: 1.5 } }, "vector.zz"],
    [{ ...hello, stamp: "now" }, "stamp"],
    [{ ...hello, doubtful: ["now"] }, "doubtful.0"],
    [{ ...hello, isIncomplete: false }, "isIncomplete"],
    [{ ...hello, clock: { ...clock, steadyForMs: -1 } }, "clock.steadyForMs"],
    [{ ...hello, clock: { ...clock, isDoubted: "no" } }, "clock.isDoubted"],
    [{ ...hello, clock: { ...clock, nowMs: "now" } }, "clock.nowMs"],
    [rows({ kind: "toString" }), "records.0.kind"],
    [rows({ kind: "user" }), "records.0"],
    [rows({ claimId: stamp }), "records.0"],
    [rows({ kind: "user", claimId: "none" }), "records.0.claimId"],
    [rows({ key: "k".repeat(4_097) }), "records.0.key"],
    [rows({ key: "a\0b" }), "records.0.key"],
    [rows({ writeId: "w".repeat(4_097) }), "records.0.writeId"],
    [rows({ writeId: "a\0b" }), "records.0.writeId"],
    [rows({ paidBy: "a\0b" }), "records.0.paidBy"],
    [rows({ stamp: "now" }), "records.0.stamp"],
    [rows({ origin: "-" }), "records.0.origin"],
    [rows({ seq: 0 }), "records.0.seq"],
    [rows({ seq: 1.5 }), "records.0.seq"],
    [rows({ isRetry: false }), "records.0.isRetry"],
    [{ ...push, id: -1 }, "id"],
    [{ ...push, after: 0.5 }, "after"],
    [{ ...beat, digest: "d".repeat(65) }, "digest"],
    [{ ...beat, clock: undefined }, "clock"],
    [{ type: "soft", data: 1 }, "isWhole"],
  ] as const) {
    const expected = `A tracker sent a message that is not understood (${where}: `;
    assert.throws(
      () => read(message),
      (error: Error & { code?: string }) =>
        error.code === "MALFORMED_MESSAGE" && error.message.startsWith(expected),
      `${JSON.stringify(message).slice(0, 200)}: ${where}`,
    );
  }
  const unpaired = JSON.stringify(rows({ key: "X" })).replace('"X"', '"\\ud800"');
  assert.throws(() => readReplicaMessage(unpaired), { code: "MALFORMED_MESSAGE" });
  assert.throws(() => readReplicaMessage("{"), {
    ...{ code: "MALFORMED_MESSAGE", message: "A tracker sent something that is not JSON." },
  });
});
