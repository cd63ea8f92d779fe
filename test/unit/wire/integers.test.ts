// The wire protocol's integers: their bytes, and the largest numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readUint32, writeUint32 } from "../../../src/wire/integers.ts";

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
