import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PieceMemory, type PieceSlot } from "../../../src/storage/piece-memory.ts";

const MIB = 1024 * 1024;

test("whatever is taken and given, nothing is handed out twice, and all of it can be had again in the end", () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ takeBytes: fc.constantFrom(16 * 1024, MIB, 2 * MIB, 4 * MIB, 16 * MIB) }),
      fc.record({ give: fc.nat(20) }),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (sequence) => {
      const memory = new PieceMemory(16 * MIB);
      const taken: PieceSlot[] = [];
      for (const step of sequence) {
        if ("give" in step) {
          const [slot] = taken.splice(step.give % Math.max(1, taken.length), 1);
          if (slot !== undefined) memory.give(slot);
        } else {
          const slot = memory.take(step.takeBytes);
          if (slot === undefined) continue;
          assert.equal(slot.bytes.length, step.takeBytes);
          const { byteOffset, length } = slot.bytes;
          const overlaps = ({ bytes }: PieceSlot) =>
            bytes.byteOffset < byteOffset + length && byteOffset < bytes.byteOffset + bytes.length;
          assert.ok(!taken.some(overlaps));
          taken.push(slot);
        }
        const usedBytes = taken.reduce((sum, { bytes }) => sum + bytes.length, 0);
        assert.equal(memory.usedBytes, usedBytes);
        assert.ok(usedBytes <= memory.limitBytes);
      }
      for (const slot of taken) memory.give(slot);
      assert.equal(memory.isScarce, false);
      assert.ok(memory.take(16 * MIB));
    }),
    { numRuns: 60 },
  );
});

test("after a refusal nothing is given until a quarter is free; then the listeners hear of it once", () => {
  const memory = new PieceMemory(16 * MIB);
  const slots = Array.from({ length: 16 }, () => memory.take(MIB)).filter((slot) => slot !== undefined);
  let calls = 0;
  memory.onRoom(() => calls++);
  assert.equal(memory.take(MIB), undefined);
  for (const slot of slots.slice(0, 3)) memory.give(slot);
  assert.equal(calls, 0);
  assert.equal(memory.take(MIB), undefined);
  for (const slot of slots.slice(3, 6)) memory.give(slot);
  assert.equal(calls, 1);
  assert.ok(memory.take(MIB));
});

test("small pieces leave half of the memory untouched, but there is room for eight of any length", () => {
  const memory = new PieceMemory(64 * MIB);
  const take = (lengthBytes: number): PieceSlot[] => {
    const slots: PieceSlot[] = [];
    for (let slot = memory.take(lengthBytes); slot !== undefined; slot = memory.take(lengthBytes))
      slots.push(slot);
    return slots;
  };
  for (const [lengthBytes, usedBytes] of [
    [MIB / 4, 32 * MIB],
    [4 * MIB, 32 * MIB],
    [8 * MIB, 64 * MIB],
    [16 * MIB, 64 * MIB],
  ] as const) {
    const slots = take(lengthBytes);
    assert.equal(memory.usedBytes, usedBytes);
    const farthest = Math.max(...slots.map(({ bytes }) => bytes.byteOffset + bytes.length));
    assert.ok(
      usedBytes === 64 * MIB ||
        farthest - Math.min(...slots.map(({ bytes }) => bytes.byteOffset)) <= 32 * MIB,
    );
    for (const slot of slots) memory.give(slot);
  }
});

test("memory that is only kept for speed is given back before anybody is refused", () => {
  const memory = new PieceMemory(16 * MIB);
  const kept = memory.take(16 * MIB);
  assert.ok(kept);
  memory.onScarcity(() => memory.give(kept));
  assert.ok(memory.take(MIB));
});

test("memory is used again, and giving it twice is an error", () => {
  const memory = new PieceMemory(16 * MIB);
  const slot = memory.take(MIB);
  assert.ok(slot);
  memory.give(slot);
  assert.throws(() => memory.give(slot), RangeError);
  assert.equal(memory.take(MIB)?.bytes.byteOffset, slot.bytes.byteOffset);
  assert.throws(() => new PieceMemory(MIB), RangeError);
  assert.throws(() => memory.take(MIB + 1), RangeError);
});

test("a refusal because what is free lies in pieces ends when more is given back", () => {
  const memory = new PieceMemory(16 * MIB);
  const slots = Array.from({ length: 16 }, () => memory.take(MIB)).filter((slot) => slot !== undefined);
  for (const [i, slot] of slots.entries()) if (i % 2 === 0) memory.give(slot);
  let calls = 0;
  memory.onRoom(() => calls++);
  assert.equal(memory.take(8 * MIB), undefined);
  for (const [i, slot] of slots.entries()) if (i % 2 === 1) memory.give(slot);
  assert.ok(calls > 0);
  assert.ok(memory.take(8 * MIB));
});

test("memory that no piece is in is let go of, and obtained again when one needs it; what is in use stays", () => {
  const memory = new PieceMemory(48 * MIB);
  assert.equal(memory.heldBytes, 0);
  const [small, large, other] = [memory.take(MIB), memory.take(16 * MIB), memory.take(16 * MIB)];
  assert.ok(small && large && other);
  assert.deepEqual([memory.heldBytes, memory.takenCount], [48 * MIB, 3]);
  small.bytes.fill(7);
  memory.give(large);
  memory.release();
  assert.equal(memory.heldBytes, 32 * MIB);
  assert.ok(small.bytes.every((byte) => byte === 7));
  memory.give(small);
  memory.give(other);
  memory.release();
  assert.deepEqual([memory.heldBytes, memory.usedBytes], [0, 0]);
  const again = [memory.take(16 * MIB), memory.take(16 * MIB), memory.take(16 * MIB)];
  assert.equal(new Set(again.map((slot) => slot?.bytes.buffer)).size, 3);
});
