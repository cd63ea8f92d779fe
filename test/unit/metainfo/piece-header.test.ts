// What goes before a block: its bytes, and where it is written.

import assert from "node:assert/strict";
import { test } from "node:test";
import { writePieceHeader } from "../../../src/metainfo/piece-header.ts";

test("a block's header is that of BEP 3, at the place that is asked for", () => {
  const target = new Uint8Array(20).fill(0xee);
  assert.equal(writePieceHeader(target, 3, 0x01020304, 0x8000, 0x4000), 16);
  assert.equal(target.toHex(), "eeeeee0000400907010203040000 8000eeeeeeee".replace(" ", ""));
});
