import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Geometry } from "../../../src/metainfo/geometry.ts";
import { DiskPool } from "../../../src/storage/disk-pool.ts";
import { HeldFile } from "../../../src/storage/held-file.ts";
import { OpenFiles } from "../../../src/storage/open-files.ts";
import { PieceMemory, type PieceSlot } from "../../../src/storage/piece-memory.ts";
import { PrefixHash } from "../../../src/storage/prefix-hash.ts";
import { content, faulty, folderFor, PIECE_BYTES, sha1Hex } from "./workplace.ts";

test("when the thread that hashes dies on the way, the hash begins anew and is right", async (t) => {
  const folder = await folderFor(t);
  const once = join(folder, "died");
  const path = join(folder, "film");
  const bytes = content(5 * PIECE_BYTES + 1);
  await writeFile(path, bytes);
  const file = new HeldFile(new OpenFiles(), await open(path), path, () => assert.fail("it was closed"));
  t.after(() => file.close());
  const disk = new DiskPool(faulty(`read=DEATH&once=${once}`));
  t.after(() => disk.close());
  const hash = new PrefixHash({
    disk,
    file,
    geometry: new Geometry(bytes.length, PIECE_BYTES),
    hasPiece: () => true,
    giveBack: () => undefined,
  });
  assert.equal(await hash.whole(), sha1Hex(bytes));
  assert.ok(existsSync(once));
  await hash.close();
});

test("while memory is scarce pieces are hashed from it that need no more of it, and others give it back", async (t) => {
  const folder = await folderFor(t);
  const path = join(folder, "film");
  const bytes = content(4 * PIECE_BYTES);
  // The first two pieces are on disk alone, the third is wrong there: its hash is right only from memory.
  await writeFile(path, bytes.subarray(0, 2 * PIECE_BYTES));
  const file = new HeldFile(new OpenFiles(), await open(path, "r+"), path, () =>
    assert.fail("it was closed"),
  );
  t.after(() => file.close());
  const disk = new DiskPool();
  t.after(() => disk.close());
  const memory = new PieceMemory();
  const slotOf = (pieceIndex: number): PieceSlot => {
    const slot = memory.take(PIECE_BYTES);
    assert.ok(slot);
    slot.bytes.set(bytes.subarray(pieceIndex * PIECE_BYTES, (pieceIndex + 1) * PIECE_BYTES));
    return slot;
  };
  const pieces = new Set([0]);
  const hash = new PrefixHash({
    disk,
    file,
    geometry: new Geometry(bytes.length, PIECE_BYTES),
    hasPiece: (pieceIndex) => pieces.has(pieceIndex),
    giveBack: (slot) => memory.give(slot),
  });
  pieces.add(3);
  assert.equal(hash.offer(3, slotOf(3), false), true);
  assert.equal(memory.usedBytes, PIECE_BYTES);
  hash.reclaim();
  assert.equal(memory.usedBytes, 0);
  const third = slotOf(2);
  pieces.add(2);
  assert.equal(hash.offer(2, third, true), false);
  pieces.add(1);
  assert.equal(hash.offer(2, third, true), true);
  hash.reclaim();
  assert.equal(memory.usedBytes, PIECE_BYTES);
  await file.whileOpen((handle) => handle.write(bytes, 3 * PIECE_BYTES, PIECE_BYTES, 3 * PIECE_BYTES));
  assert.equal(await hash.whole(), sha1Hex(bytes));
  assert.equal(memory.usedBytes, 0);
  await hash.close();
});
