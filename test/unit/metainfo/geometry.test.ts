import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_FILE_LENGTH_BYTES, MAX_PIECE_LENGTH_BYTES } from "../../../src/api/file-limits.ts";
import {
  BLOCK_LENGTH_BYTES,
  choosePieceLengthBytes,
  Geometry,
  MIN_PIECE_LENGTH_BYTES,
} from "../../../src/metainfo/geometry.ts";

const GIB = 1024 ** 3;

test("the piece length is the smallest power of two from 256 KiB that gives at most 4,096 pieces", () => {
  assert.equal(choosePieceLengthBytes(0), MIN_PIECE_LENGTH_BYTES);
  assert.equal(choosePieceLengthBytes(GIB / 4), 256 * 1024);
  assert.equal(choosePieceLengthBytes(GIB / 4 + 1), 512 * 1024);
  assert.equal(choosePieceLengthBytes(GIB / 2), 512 * 1024);
  assert.equal(choosePieceLengthBytes(GIB / 2 + 1), 1024 * 1024);
  assert.equal(choosePieceLengthBytes(GIB), 1024 * 1024);
  assert.equal(choosePieceLengthBytes(16 * GIB), 4 * 1024 * 1024);
  assert.equal(choosePieceLengthBytes(64 * GIB), MAX_PIECE_LENGTH_BYTES);
  assert.equal(choosePieceLengthBytes(MAX_FILE_LENGTH_BYTES), MAX_PIECE_LENGTH_BYTES);
  assert.equal(choosePieceLengthBytes(4 * GIB), 1024 * 1024);
  assert.equal(choosePieceLengthBytes(4 * GIB + 1), 2 * 1024 * 1024);
  assert.equal(choosePieceLengthBytes(10 * GIB), 4 * 1024 * 1024);
  assert.equal(choosePieceLengthBytes(1000 * GIB), MAX_PIECE_LENGTH_BYTES);
});

test("pieces and their blocks cover the file exactly, without gap or overlap", () => {
  fc.assert(
    fc.property(fc.nat(3_000_000), fc.integer({ min: 14, max: 18 }), (lengthBytes, exponent) => {
      const geometry = new Geometry(lengthBytes, 2 ** exponent);
      let position = 0;
      for (let piece = 0; piece < geometry.pieceCount; piece++) {
        assert.equal(geometry.pieceOffsetBytes(piece), position);
        let inPiece = 0;
        for (let block = 0; block < geometry.blockCount(piece); block++) {
          const blockLength = geometry.lengthOfBlockBytes(piece, block);
          assert.ok(geometry.isRequestable(piece, inPiece, blockLength));
          assert.ok(blockLength > 0 && blockLength <= BLOCK_LENGTH_BYTES);
          inPiece += blockLength;
        }
        assert.equal(inPiece, geometry.lengthOfPieceBytes(piece));
        position += inPiece;
      }
      assert.equal(position, lengthBytes);
    }),
  );
});

test("a request outside a piece, empty, or longer than a block is refused", () => {
  const geometry = new Geometry(100_000, 32 * 1024);
  assert.equal(geometry.pieceCount, 4);
  assert.ok(geometry.isRequestable(3, 0, 1_696));
  assert.ok(!geometry.isRequestable(3, 0, 1_697));
  assert.ok(!geometry.isRequestable(0, 32 * 1024 - 10, 11));
  assert.ok(!geometry.isRequestable(0, 0, 0));
  assert.ok(!geometry.isRequestable(0, 0, BLOCK_LENGTH_BYTES + 1));
  assert.ok(!geometry.isRequestable(4, 0, 1));
  assert.ok(!geometry.isRequestable(-1, 0, 1));
  assert.ok(!geometry.isRequestable(2 ** 31, 0, 1));
});

test("lengths that are no lengths are refused", () => {
  for (const [lengthBytes, pieceLengthBytes] of [
    [-1, 2 ** 18],
    [1.5, 2 ** 18],
    [Number.NaN, 2 ** 18],
    [2 ** 60, 2 ** 18],
    [MAX_FILE_LENGTH_BYTES + 1, MAX_PIECE_LENGTH_BYTES],
    [1, 0],
    [1, 2 ** 13],
    [1, 2 ** 25],
    [1, 100_000],
  ] as const) {
    assert.throws(() => new Geometry(lengthBytes, pieceLengthBytes), { code: "MALFORMED_MESSAGE" });
  }
});

test("the largest and the smallest lengths are lengths", () => {
  assert.equal(new Geometry(0, 2 ** 14).pieceCount, 0);
  assert.equal(new Geometry(2 ** 41, 2 ** 24).pieceCount, 2 ** 17);
  assert.equal(MAX_FILE_LENGTH_BYTES, 2 ** 41);
  assert.equal(MAX_PIECE_LENGTH_BYTES, 2 ** 24);
  assert.deepEqual([MIN_PIECE_LENGTH_BYTES, BLOCK_LENGTH_BYTES], [2 ** 18, 2 ** 14]);
});

test("a piece or block that the file does not have has no length", () => {
  const geometry = new Geometry(100_000, 32 * 1024);
  assert.deepEqual(
    [-1, 0, 3, 4].map((piece) => [geometry.lengthOfPieceBytes(piece), geometry.blockCount(piece)]),
    [
      [0, 0],
      [32 * 1024, 2],
      [1_696, 1],
      [0, 0],
    ],
  );
  assert.deepEqual(
    [-1, 0, 1, 2].map((block) => geometry.lengthOfBlockBytes(0, block)),
    [0, BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES, 0],
  );
  assert.deepEqual(
    [0, 1].map((block) => geometry.lengthOfBlockBytes(3, block)),
    [1_696, 0],
  );
  assert.equal(geometry.isRequestable(0, -1, 5), false);
  assert.equal(geometry.isRequestable(0, 0, BLOCK_LENGTH_BYTES), true);
  assert.equal(geometry.isRequestable(0, 32 * 1024 - 10, 10), true);
  assert.equal(geometry.isRequestable(0, 0, -1), false);
});
