// What goes before a block: its bytes, where it is written, and the largest numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readUint32, writeUint32 } from "../../../src/wire/integers.ts";
import { writePieceHeader } from "../../../src/wire/piece-header.ts";

test("a block's header is that of BEP 3, at the place that is asked for", () => {
  const target = new Uint8Array(20).fill(0xee);
  assert.equal(writePieceHeader(target, 3, 0x01020304, 0x8000, 0x4000), 16);
  assert.equal(target.toHex(), "eeeeee0000400907010203040000 8000eeeeeeee".replace(" ", ""));
});

test("numbers are unsigned, 32 bits long, with the most significant byte first", () => {
  for (const [value, bytes] of [
    [0, "00000000"],
    [0x01020304, "01020304"],
    [0x80000000, "80000000"],
    [0xffffffff, "ffffffff"],
  ] as const) {
    const target = new Uint8Array(6);
    assert.equal(writeUint32(target, 1, value), 5);
    assert.equal(target.toHex(), `00${bytes}00`);
    assert.equal(readUint32(target, 1), value);
  }
});
