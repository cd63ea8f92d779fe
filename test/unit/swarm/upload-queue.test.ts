import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import type { PieceRange } from "../../../src/swarm/piece-storage.ts";
import { UploadQueue } from "../../../src/swarm/upload-queue.ts";
import { type PeerLink, PIECE_HEADER_BYTES } from "../../../src/wire/messages.ts";
import { writePieceHeader } from "../../../src/wire/piece-header.ts";

const BLOCKS = 4;
const geometry = new Geometry(10 * BLOCKS * BLOCK_LENGTH_BYTES, BLOCKS * BLOCK_LENGTH_BYTES);

test("a peer that takes nothing for 2 s keeps only the piece in flight, and is served on when it takes again", () => {
  const held: number[] = [];
  const sent: { bytes: number; done: () => void }[] = [];
  const sendBlocks: PeerLink["sendBlocks"] = (frames, done) => {
    sent.push({ bytes: frames.length, done });
    return false;
  };
  const link = { sendBlocks } as unknown as PeerLink;
  const queue = new UploadQueue({
    geometry,
    link,
    storage: {
      read: ({ pieceIndex }, done) => {
        held.push(pieceIndex);
        const bytes = new Uint8Array(BLOCKS * (PIECE_HEADER_BYTES + BLOCK_LENGTH_BYTES));
        done({ bytes, release: () => void held.splice(held.indexOf(pieceIndex), 1) });
      },
    },
    limit: 100,
    bucket: undefined,
    mayServe: () => true,
    defer: (work) => work(),
    bytesPerSecond: () => 0,
    onSent: () => undefined,
    onReadFailed: () => assert.fail(),
  });
  for (const pieceIndex of [0, 1]) {
    queue.push(pieceIndex, 0, BLOCK_LENGTH_BYTES);
    queue.push(pieceIndex, 2 * BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES);
  }
  queue.pump();
  for (let tick = 0; tick < 19; tick++) queue.tick();
  assert.deepEqual(held, [0, 1]);
  queue.tick();
  assert.deepEqual(held, [0]);
  // Asking for more does not bring it back.
  queue.push(5, 0, BLOCK_LENGTH_BYTES);
  queue.pump();
  assert.deepEqual(held, [0]);
  for (let count = 0; count < 5; count++) {
    sent[count]?.done();
    queue.writable();
  }
  assert.equal(sent.length, 5);
  assert.equal(queue.length, 0);
});

test("of a large piece parts of 1 MiB are held, and what is asked for across a cut is right too", () => {
  const MIB = 1024 * 1024;
  const large = new Geometry(3 * MIB + 100, 4 * MIB);
  const byteAt = (offsetBytes: number): number => (offsetBytes * 31 + (offsetBytes >> 8)) & 0xff;
  const reads: PieceRange[] = [];
  const held: PieceRange[] = [];
  const sent: Uint8Array[] = [];
  const link = {
    sendBlocks: (frames: Uint8Array, done: () => void) => {
      sent.push(frames.slice());
      done();
      return true;
    },
  } as unknown as PeerLink;
  let mostHeldBytes = 0;
  const queue = new UploadQueue({
    geometry: large,
    link,
    storage: {
      read: (range, done) => {
        reads.push(range);
        held.push(range);
        const heldBytes = held.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
        mostHeldBytes = Math.max(mostHeldBytes, heldBytes);
        const blocks = Math.ceil(range.lengthBytes / BLOCK_LENGTH_BYTES);
        const bytes = new Uint8Array(range.lengthBytes + blocks * PIECE_HEADER_BYTES);
        let at = 0;
        const end = range.offsetBytes + range.lengthBytes;
        for (let offset = range.offsetBytes; offset < end; offset += BLOCK_LENGTH_BYTES) {
          const lengthBytes = Math.min(BLOCK_LENGTH_BYTES, end - offset);
          at = writePieceHeader(bytes, at, range.pieceIndex, offset, lengthBytes);
          for (let i = 0; i < lengthBytes; i++) bytes[at++] = byteAt(offset + i);
        }
        done({ bytes, release: () => void held.splice(held.indexOf(range), 1) });
      },
    },
    limit: 1000,
    bucket: undefined,
    mayServe: () => true,
    defer: (work) => work(),
    bytesPerSecond: () => 0,
    onSent: () => undefined,
    onReadFailed: () => assert.fail(),
  });
  const asked: [offsetBytes: number, lengthBytes: number][] = [
    [MIB - 100, 200],
    [2 * MIB - 1, BLOCK_LENGTH_BYTES],
    [5, 7],
  ];
  for (let offset = 0; offset < 3 * MIB + 100; offset += BLOCK_LENGTH_BYTES) {
    asked.push([offset, Math.min(BLOCK_LENGTH_BYTES, 3 * MIB + 100 - offset)]);
  }
  for (const [offset, length] of asked) queue.push(0, offset, length);
  queue.pump();
  queue.close();
  const stream = Buffer.concat(sent);
  let at = 0;
  for (const [offset, length] of asked) {
    assert.deepEqual([stream.readUInt32BE(at), stream.readUInt32BE(at + 9)], [9 + length, offset]);
    at += PIECE_HEADER_BYTES;
    for (let i = 0; i < length; i += 13) assert.equal(stream[at + i], byteAt(offset + i));
    at += length;
  }
  assert.equal(at, stream.length);
  assert.ok(mostHeldBytes <= 2 * MIB, `${mostHeldBytes} bytes held`);
  assert.equal(held.length, 0);
  const parts = reads.filter(({ offsetBytes }) => offsetBytes % MIB === 0).map((range) => range.offsetBytes);
  assert.deepEqual([...new Set(parts)], [0, MIB, 2 * MIB, 3 * MIB]);
});
