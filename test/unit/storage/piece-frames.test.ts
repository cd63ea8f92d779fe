import assert from "node:assert/strict";
import fs from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { FRAME_LENGTH_BYTES, PIECE_HEADER_BYTES } from "../../../src/metainfo/piece-header.ts";
import { framesLengthBytes, readFrames } from "../../../src/storage/piece-frames.ts";
import { messageIds } from "../../../src/wire/messages.ts";
import { content, folderFor, withCode } from "./workplace.ts";

function readAt(
  fd: number,
  position: number,
  frames: Uint8Array,
  pieceIndex: number,
  lengthBytes: number,
  offsetBytes = 0,
): Promise<void> {
  return readFrames(fd, position, frames, { pieceIndex, offsetBytes, lengthBytes });
}

test("a piece is read as the piece messages of BEP 3, one after the other", async (t) => {
  const path = join(await folderFor(t), "film");
  const bytes = content(5 * BLOCK_LENGTH_BYTES);
  await writeFile(path, bytes);
  const file = await open(path);
  t.after(() => file.close());
  const cases = fc.record({
    position: fc.nat(BLOCK_LENGTH_BYTES),
    length: fc.integer({ min: 1, max: 4 * BLOCK_LENGTH_BYTES }),
    pieceIndex: fc.nat(2 ** 32 - 1),
    blocksBefore: fc.nat(1000),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ position, length, pieceIndex, blocksBefore }) => {
      const frames = new Uint8Array(framesLengthBytes(length)).fill(0xaa);
      await readAt(file.fd, position, frames, pieceIndex, length, blocksBefore * BLOCK_LENGTH_BYTES);
      const view = new DataView(frames.buffer);
      let offset = 0;
      let at = 0;
      for (; at < frames.length; offset += BLOCK_LENGTH_BYTES) {
        assert.equal(at, (offset / BLOCK_LENGTH_BYTES) * FRAME_LENGTH_BYTES);
        const blockLength = Math.min(BLOCK_LENGTH_BYTES, length - offset);
        assert.equal(view.getUint32(at), PIECE_HEADER_BYTES - 4 + blockLength);
        assert.equal(view.getUint8(at + 4), messageIds.piece);
        assert.equal(view.getUint32(at + 5), pieceIndex);
        assert.equal(view.getUint32(at + 9), blocksBefore * BLOCK_LENGTH_BYTES + offset);
        const block = frames.subarray(at + PIECE_HEADER_BYTES, at + PIECE_HEADER_BYTES + blockLength);
        const start = position + offset;
        assert.deepEqual(block, bytes.subarray(start, start + blockLength));
        at += PIECE_HEADER_BYTES + blockLength;
      }
      assert.equal(at, frames.length);
    }),
    { numRuns: 60 },
  );
});

test("a file that ends within the piece is said to be too short", async (t) => {
  const path = join(await folderFor(t), "film");
  await writeFile(path, content(BLOCK_LENGTH_BYTES + 1));
  const file = await open(path);
  t.after(() => file.close());
  const length = 2 * BLOCK_LENGTH_BYTES;
  const reading = readAt(file.fd, 0, new Uint8Array(framesLengthBytes(length)), 0, length);
  await assert.rejects(reading, withCode("SHORT_READ"));
});

test("a file system that gives less than was asked for is asked for the rest", async (t) => {
  const path = join(await folderFor(t), "film");
  const bytes = content(3 * BLOCK_LENGTH_BYTES);
  await writeFile(path, bytes);
  const file = await open(path);
  t.after(() => file.close());
  const expected = new Uint8Array(framesLengthBytes(bytes.length));
  await readAt(file.fd, 0, expected, 5, bytes.length);
  const { readv } = fs;
  for (const mostBytes of [1000, BLOCK_LENGTH_BYTES, 20_000]) {
    const short = (fd: number, views: readonly Uint8Array[], position: number, done: unknown): void => {
      const given: Uint8Array[] = [];
      let left = mostBytes;
      for (const view of views) {
        if (left > 0) given.push(view.subarray(0, left));
        left -= view.length;
      }
      Reflect.apply(readv, fs, [fd, given, position, done]);
    };
    const mocked = t.mock.method(fs, "readv", short as typeof readv);
    syncBuiltinESMExports();
    const frames = new Uint8Array(framesLengthBytes(bytes.length));
    await readAt(file.fd, 0, frames, 5, bytes.length);
    mocked.mock.restore();
    syncBuiltinESMExports();
    assert.deepEqual(frames, expected, `at most ${mostBytes} bytes at once`);
  }
});
