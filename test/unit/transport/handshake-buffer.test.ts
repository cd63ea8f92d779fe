// What comes in before anybody listens: the handshake, then no more than was under way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { HandshakeBuffer } from "../../../src/transport/handshake-buffer.ts";

const HANDSHAKE_BYTES = 68;

function numbered(count: number, first = 0): Uint8Array {
  return Uint8Array.from({ length: count }, (_, at) => first + at);
}

function bufferWithHandshakes() {
  const handshakes: Uint8Array[] = [];
  return { handshakes, handshakeBuffer: new HandshakeBuffer((bytes) => handshakes.push(bytes)) };
}

test("a handshake is told once, when its last byte is there, however its bytes come in", () => {
  const { handshakes, handshakeBuffer } = bufferWithHandshakes();
  const bytes = numbered(HANDSHAKE_BYTES);
  const buffer = new Uint8Array(16);
  for (let at = 0; at < HANDSHAKE_BYTES; at++) {
    // One buffer, used again and again, of which only the first byte counts.
    buffer.fill(255).set(bytes.subarray(at, at + 1));
    const mayReadOn = handshakeBuffer.take(buffer, 1);
    assert.equal(mayReadOn, at < HANDSHAKE_BYTES - 1, `byte ${at}`);
    assert.equal(handshakes.length, at < HANDSHAKE_BYTES - 1 ? 0 : 1, `byte ${at}`);
  }
  assert.deepEqual(handshakes, [bytes]);
  assert.equal(
    handshakeBuffer.take(numbered(3), 3),
    false,
    "it is to be read no further until it is released",
  );
  assert.equal(handshakes.length, 1);
});

test("bytes after the handshake go to the consumer in order, and later ones directly", () => {
  const { handshakes, handshakeBuffer } = bufferWithHandshakes();
  handshakeBuffer.take(numbered(100), 100);
  handshakeBuffer.take(numbered(200, 100), 120);
  assert.deepEqual(handshakes, [numbered(HANDSHAKE_BYTES)]);
  const consumed: number[] = [];
  const chunks: Uint8Array[] = [];
  handshakeBuffer.release((chunk, lengthBytes) => {
    chunks.push(chunk);
    consumed.push(...chunk.subarray(0, lengthBytes));
  });
  assert.deepEqual(consumed, [...numbered(220 - HANDSHAKE_BYTES, HANDSHAKE_BYTES)]);
  const direct = numbered(10, 1);
  assert.equal(handshakeBuffer.take(direct, 4), true);
  assert.equal(chunks.at(-1), direct, "without a copy");
  assert.deepEqual(consumed.slice(-4), [1, 2, 3, 4]);
});

test("a consumer gets nothing if nothing came after the handshake", () => {
  const { handshakeBuffer } = bufferWithHandshakes();
  handshakeBuffer.take(numbered(HANDSHAKE_BYTES), HANDSHAKE_BYTES);
  let count = 0;
  handshakeBuffer.release(() => count++);
  assert.equal(count, 0);
});

test("one byte after the handshake is kept as well as many", () => {
  for (const count of [1, 2, 67, 68, 69]) {
    const { handshakeBuffer } = bufferWithHandshakes();
    handshakeBuffer.take(numbered(HANDSHAKE_BYTES), HANDSHAKE_BYTES);
    handshakeBuffer.take(numbered(count, 100), count);
    const consumed: number[] = [];
    handshakeBuffer.release((chunk, lengthBytes) => consumed.push(...chunk.subarray(0, lengthBytes)));
    assert.deepEqual(consumed, [...numbered(count, 100)]);
  }
});

test("reading continues if the handshake is answered at once by a consumer", () => {
  const consumed: number[] = [];
  const handshakeBuffer: HandshakeBuffer = new HandshakeBuffer(() =>
    handshakeBuffer.release((chunk, lengthBytes) => consumed.push(...chunk.subarray(0, lengthBytes))),
  );
  assert.equal(handshakeBuffer.take(numbered(70), 70), true);
  assert.deepEqual(consumed, [68, 69]);
});

test("the handshake that is told stays as it is, whatever comes after it", () => {
  const { handshakes, handshakeBuffer } = bufferWithHandshakes();
  const chunk = numbered(HANDSHAKE_BYTES);
  handshakeBuffer.take(chunk, HANDSHAKE_BYTES);
  chunk.fill(0);
  assert.deepEqual(handshakes, [numbered(HANDSHAKE_BYTES)]);
});
