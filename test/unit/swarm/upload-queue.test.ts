import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { UploadQueue } from "../../../src/swarm/upload-queue.ts";
import { type PeerLink, PIECE_HEADER_BYTES } from "../../../src/wire/messages.ts";

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
      read: (pieceIndex, done) => {
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
