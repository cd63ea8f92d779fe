// A piece that is being put together: its blocks, who is asked for them, and who gave them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { OpenPiece } from "../../../src/swarm/open-piece.ts";

const BLOCKS = 4;
const LAST_BLOCK_BYTES = 100;
const PIECE_BYTES = (BLOCKS - 1) * BLOCK_LENGTH_BYTES + LAST_BLOCK_BYTES;
/** The second piece is the last one, and its last block is short. */
const geometry = new Geometry(BLOCKS * BLOCK_LENGTH_BYTES + PIECE_BYTES, BLOCKS * BLOCK_LENGTH_BYTES);

function open({ ownerSlot = 3, isExclusive = false } = {}) {
  const withFree = new Set<OpenPiece>();
  const bytes = new Uint8Array(PIECE_BYTES);
  return { withFree, bytes, piece: new OpenPiece(geometry, 1, bytes, ownerSlot, isExclusive, withFree) };
}

/** The blocks come from that source, whoever was asked for them. */
function arrive(piece: OpenPiece, blocks: readonly number[], sourceIndex: number): void {
  for (const block of blocks) {
    piece.begins(block);
    piece.ends(block, sourceIndex);
  }
}

test("free blocks are taken from the first one on, each once, and the piece has none left after the last", () => {
  const { piece, withFree } = open();
  assert.equal(piece.freeCount, BLOCKS);
  assert.ok(withFree.has(piece));
  assert.deepEqual(
    [0, 1, 2, 3].map((order) => piece.takeFree(7, 10 + order)),
    [0, 1, 2, 3],
  );
  assert.equal(piece.freeCount, 0);
  assert.equal(withFree.has(piece), false);
  assert.equal(piece.takeFree(7), -1);
  assert.deepEqual([piece.askedSlot(2), piece.askedOrder(2), piece.isAskedOf(2, 7)], [7, 12, true]);
  assert.equal(piece.isAskedOf(2, 6), false);
});

test("a block that is forgotten is the next one to be taken", () => {
  const { piece, withFree } = open();
  for (let block = 0; block < BLOCKS; block++) piece.takeFree(7);
  piece.forget(1);
  assert.equal(piece.askedSlot(1), -1);
  assert.equal(piece.freeCount, 1);
  assert.ok(withFree.has(piece));
  assert.equal(piece.takeFree(8), 1);
  assert.equal(piece.askedSlot(1), 8);
  assert.equal(withFree.has(piece), false);
});

test("a block may move to another peer while it is asked for, and not once it arrives", () => {
  const { piece } = open();
  assert.equal(piece.isMovable(0), false);
  piece.takeFree(7, 1);
  assert.equal(piece.isMovable(0), true);
  piece.move(0, 9, 5);
  assert.deepEqual([piece.askedSlot(0), piece.askedOrder(0)], [9, 5]);
  piece.begins(0);
  assert.equal(piece.isMovable(0), false);
  piece.ends(0, 0);
  assert.equal(piece.isMovable(0), false);
  piece.takeFree(7);
  piece.abandon();
  assert.equal(piece.isMovable(1), false, "the piece was given up");
});

test("each block has its place in the memory, the last one as long as what is left of the file", () => {
  const { piece, bytes } = open();
  for (const [block, lengthBytes] of [
    [0, BLOCK_LENGTH_BYTES],
    [2, BLOCK_LENGTH_BYTES],
    [3, LAST_BLOCK_BYTES],
  ] as const) {
    const place = piece.place(block);
    assert.deepEqual(
      [place.buffer === bytes.buffer, place.byteOffset, place.length, piece.lengthOfBlockBytes(block)],
      [true, block * BLOCK_LENGTH_BYTES, lengthBytes, lengthBytes],
    );
  }
});

test("a piece is being written while a block arrives, and whole when all have", () => {
  const { piece } = open();
  for (let block = 0; block < BLOCKS; block++) piece.takeFree(7);
  assert.equal(piece.isBeingWritten, false);
  piece.begins(0);
  assert.equal(piece.isBeingWritten, true);
  assert.equal(piece.isArrived(0), false);
  piece.ends(0, 5);
  assert.deepEqual([piece.isBeingWritten, piece.isArrived(0), piece.arrivedCount], [false, true, 1]);
  assert.equal(piece.askedSlot(0), -1);
  arrive(piece, [1, 2], 5);
  assert.equal(piece.isWhole, false);
  arrive(piece, [3], 5);
  assert.equal(piece.isWhole, true);
});

test("a block that is forgotten while it arrives is free, and nobody writes there any more", () => {
  const { piece } = open();
  piece.takeFree(7);
  piece.begins(0);
  piece.forget(0);
  assert.deepEqual([piece.isBeingWritten, piece.freeCount], [false, BLOCKS]);
});

test("senders of blocks are named once each, and the sender of the last block is known", () => {
  const { piece } = open();
  assert.deepEqual([piece.contributors(), piece.lastSender], [[], -1]);
  for (let block = 0; block < BLOCKS; block++) piece.takeFree(7);
  arrive(piece, [0, 2], 0);
  arrive(piece, [1], 6);
  arrive(piece, [3], 0);
  assert.deepEqual(piece.contributors().sort(), [0, 6]);
  assert.equal(piece.lastSender, 0);
});

test("a piece is quiet while nothing of it is asked for", () => {
  const { piece } = open();
  assert.equal(piece.isQuiet, true);
  piece.takeFree(7);
  assert.equal(piece.isQuiet, false);
  piece.begins(0);
  assert.equal(piece.isQuiet, false);
  piece.ends(0, 1);
  assert.equal(piece.isQuiet, true);
  piece.commits();
  assert.equal(piece.isQuiet, false);
});

test("a piece that begins anew for a peer on parole has lost what had come, and is that peer's alone", () => {
  const { piece, withFree } = open();
  for (let block = 0; block < BLOCKS; block++) piece.takeFree(7);
  arrive(piece, [0, 3], 4);
  piece.forget(1);
  piece.forget(2);
  assert.equal(piece.restart(9), BLOCK_LENGTH_BYTES + LAST_BLOCK_BYTES);
  assert.deepEqual([piece.ownerSlot, piece.isExclusive], [9, true]);
  assert.deepEqual([piece.freeCount, piece.arrivedCount, piece.contributors()], [BLOCKS, 0, []]);
  assert.ok(withFree.has(piece));
  assert.equal(piece.takeFree(9), 0);
});

test("a piece that is committed or given up has no free block to ask for", () => {
  const committed = open();
  committed.piece.commits();
  assert.deepEqual([committed.piece.status, committed.piece.freeCount], ["committing", 0]);
  assert.equal(committed.piece.takeFree(1), -1);
  const abandoned = open();
  abandoned.piece.takeFree(1);
  abandoned.piece.abandon();
  assert.deepEqual([abandoned.piece.status, abandoned.piece.freeCount], ["abandoned", 0]);
  assert.equal(abandoned.withFree.has(abandoned.piece), false);
  abandoned.piece.forget(0);
  assert.equal(
    abandoned.withFree.has(abandoned.piece),
    false,
    "what is forgotten of it is not asked for again",
  );
});
