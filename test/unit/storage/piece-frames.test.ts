import assert from "node:assert/strict";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { BLOCK_LENGTH_BYTES } from "../../../src/metainfo/geometry.ts";
import { FRAME_LENGTH_BYTES, framesLengthBytes, readFrames } from "../../../src/storage/piece-frames.ts";
import { messageIds, PIECE_HEADER_BYTES } from "../../../src/wire/messages.ts";
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
