import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";

test("a bitfield behaves as a set of piece numbers does, and counts itself", () => {
  const commands = fc.array(fc.tuple(fc.boolean(), fc.nat(40)), { maxLength: 100 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 40 }), commands, (pieceCount, steps) => {
      const bitfield = new Bitfield(pieceCount);
      const model = new Set<number>();
      for (const [isSet, piece] of steps) {
        if (isSet) {
          assert.equal(bitfield.set(piece), piece < pieceCount && !model.has(piece));
          if (piece < pieceCount) model.add(piece);
        } else {
          assert.equal(bitfield.clear(piece), model.delete(piece));
        }
        assert.equal(bitfield.count, model.size);
      }
      for (let piece = 0; piece < pieceCount; piece++) assert.equal(bitfield.has(piece), model.has(piece));
      const copy = Bitfield.fromBytes(pieceCount, bitfield.toBytes());
      assert.deepEqual([copy.count, copy.toBytes()], [model.size, bitfield.toBytes()]);
      assert.equal(bitfield.isComplete, model.size === pieceCount);
    }),
  );
});

test("piece 0 is the high bit of the first byte (BEP 3)", () => {
  const bitfield = new Bitfield(10);
  bitfield.set(0);
  bitfield.set(9);
  assert.deepEqual([...bitfield.toBytes()], [0b1000_0000, 0b0100_0000]);
});

test("a full bitfield has every piece and no spare bit", () => {
  for (const pieceCount of [0, 1, 7, 8, 9, 64, 65]) {
    const full = Bitfield.full(pieceCount);
    assert.ok(full.isComplete);
    assert.equal(Bitfield.fromBytes(pieceCount, full.toBytes()).count, pieceCount);
  }
});

test("a bitfield of the wrong size, or with a spare bit set, is refused", () => {
  assert.throws(() => Bitfield.fromBytes(9, new Uint8Array(1)), { code: "MALFORMED_MESSAGE" });
  assert.throws(() => Bitfield.fromBytes(9, new Uint8Array(3)), { code: "MALFORMED_MESSAGE" });
  assert.throws(() => Bitfield.fromBytes(9, Uint8Array.of(0xff, 0xc0)), { code: "MALFORMED_MESSAGE" });
  assert.equal(Bitfield.fromBytes(9, Uint8Array.of(0xff, 0x80)).count, 9);
});

test("pieces that there are not are not there, and cannot be set", () => {
  const bitfield = new Bitfield(9);
  for (const piece of [-1, 9, 15, 16]) {
    assert.equal(bitfield.set(piece), false, `${piece}`);
    assert.equal(bitfield.has(piece), false, `${piece}`);
  }
  assert.deepEqual([bitfield.count, [...bitfield.toBytes()]], [0, [0, 0]]);
});

test("a bitfield is copied when it is given out or taken in", () => {
  const bytes = Uint8Array.of(0x80, 0);
  const bitfield = Bitfield.fromBytes(9, bytes);
  bytes[0] = 0;
  bitfield.toBytes()[0] = 0;
  const clone = bitfield.clone();
  clone.clear(0);
  clone.set(3);
  assert.deepEqual([bitfield.has(0), bitfield.has(3), bitfield.count], [true, false, 1]);
  assert.deepEqual([clone.has(0), clone.has(3), clone.count, clone.pieceCount], [false, true, 1, 9]);
});

test("setting all, whatever was there, counts each once", () => {
  const bitfield = new Bitfield(12);
  bitfield.set(3);
  bitfield.setAll();
  assert.deepEqual([bitfield.count, bitfield.isComplete, [...bitfield.toBytes()]], [12, true, [0xff, 0xf0]]);
});
