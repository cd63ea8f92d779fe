import assert from "node:assert/strict";
import { test } from "node:test";
import {
  MAX_API_MESSAGE_BYTES,
  MAX_FILE_LENGTH_BYTES,
  MAX_INLINE_INFO_LENGTH,
  MAX_PIECE_LENGTH_BYTES,
} from "../../../src/api/file-limits.ts";

test("the metainfo of the largest file fits where it has to, with a long name and a certificate in it", () => {
  assert.equal(MAX_FILE_LENGTH_BYTES, 2_199_023_255_552);
  assert.equal(MAX_PIECE_LENGTH_BYTES, 16_777_216);
  const hashes = Buffer.alloc((MAX_FILE_LENGTH_BYTES / MAX_PIECE_LENGTH_BYTES) * 20);
  const info = Buffer.concat([hashes, Buffer.alloc(255 + 1_024)]).toString("base64");
  assert.ok(info.length <= MAX_INLINE_INFO_LENGTH);
  assert.ok(MAX_INLINE_INFO_LENGTH - info.length < 128 * 1024, "and little more than that");
  assert.ok(MAX_INLINE_INFO_LENGTH + 128 * 1024 <= MAX_API_MESSAGE_BYTES, "with the calls beside it");
  assert.equal(MAX_API_MESSAGE_BYTES, 4_194_304);
});
