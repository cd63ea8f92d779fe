import assert from "node:assert/strict";
import { test } from "node:test";
import bencode from "bencode";
import { decodeExtensionHandshake, encodeExtensionHandshake } from "../../../src/wire/extensions.ts";
import { encodeFarewell } from "../../../src/wire/farewell.ts";

const read = (payload: Uint8Array) => decodeExtensionHandshake(payload).farewell;

test("a farewell comes through an extension handshake, with its piece", () => {
  assert.deepEqual(read(encodeFarewell({ reason: "bad-data", pieceIndex: 7 })), {
    reason: "bad-data",
    pieceIndex: 7,
  });
  assert.deepEqual(read(encodeFarewell({ reason: "changed" })), { reason: "changed" });
});

test("a handshake without one, or with one of another form or reason, says no farewell", () => {
  const plain = { extensionIds: new Map(), listenPort: 1, requestLimit: 2, clientName: "x" };
  assert.equal(read(encodeExtensionHandshake(plain)), undefined);
  for (const bye of [
    "bad-data",
    5,
    [],
    {},
    { reason: 1 },
    { reason: "tea-time" },
    { reason: "x".repeat(999) },
  ]) {
    assert.equal(read(bencode.encode({ m: {}, bye })), undefined);
  }
  for (const piece of [-1, "7", []]) {
    assert.deepEqual(read(bencode.encode({ m: {}, bye: { reason: "bad-data", piece } })), {
      reason: "bad-data",
    });
  }
});

test("each reason comes through as it is, and with the first piece too", () => {
  for (const reason of [
    "bad-data",
    "not-shared",
    "changed",
    "paused",
    "offline",
    "full",
    "user-full",
  ] as const) {
    assert.deepEqual(read(encodeFarewell({ reason })), { reason });
  }
  assert.deepEqual(read(encodeFarewell({ reason: "bad-data", pieceIndex: 0 })), {
    reason: "bad-data",
    pieceIndex: 0,
  });
});
