import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../../../src/metainfo/piece-header.ts";
import type { PieceRange } from "../../../src/metainfo/piece-types.ts";
import { UploadQueue, type UploadQueueOptions } from "../../../src/swarm/upload-queue.ts";
import type { PeerLink } from "../../../src/wire/messages.ts";
import { framesOf } from "./lone-torrent.ts";

/** A connection that takes so many bytes a second, whatever is sent. */
const rateOf = (bytesPerSecond: number) => ({ bytesPerSecond, add: () => undefined });

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
    rate: rateOf(0),
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

test("parts of 1 MiB of a large piece are held, and a request across a cut is answered right too", () => {
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
    rate: rateOf(0),
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

/** A queue for pieces of four blocks whose parts are there at once. */
function openQueue(options: Partial<UploadQueueOptions> = {}) {
  const sent: { text: string; done: () => void }[] = [];
  const due: (() => void)[] = [];
  const counted: [number, number][] = [];
  const reads: number[] = [];
  const held: number[] = [];
  const connection = { hasRoom: true };
  const link = {
    sendBlocks: (frames: Uint8Array, done: () => void) => {
      const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
      const blocks = Math.ceil(frames.length / (PIECE_HEADER_BYTES + BLOCK_LENGTH_BYTES));
      sent.push({ text: `${view.getUint32(5)}:${view.getUint32(9) / BLOCK_LENGTH_BYTES} x${blocks}`, done });
      return connection.hasRoom;
    },
  } as unknown as PeerLink;
  const queue = new UploadQueue({
    geometry,
    link,
    storage: {
      read: ({ pieceIndex, offsetBytes, lengthBytes }, done) => {
        reads.push(pieceIndex);
        held.push(pieceIndex);
        done(
          framesOf(pieceIndex, offsetBytes, lengthBytes, () => {
            held.splice(held.indexOf(pieceIndex), 1);
          }),
        );
      },
    },
    limit: 100,
    bucket: undefined,
    mayServe: () => true,
    defer: (work) => void due.push(work),
    rate: rateOf(0),
    onSent: (pieceIndex, bytes) => void counted.push([pieceIndex, bytes]),
    onReadFailed: () => assert.fail("a read failed"),
    ...options,
  });
  const push = (pieceIndex: number, block: number, isUrgent = false): boolean =>
    queue.push(pieceIndex, block * BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES, isUrgent);
  const take = (): string[] => sent.splice(0).map(({ text }) => text);
  const runDue = (): void => {
    for (const work of due.splice(0)) work();
  };
  return { queue, sent, push, take, due, runDue, counted, reads, held, connection };
}

test("requests leave in order, those that follow each other in a piece as one run", () => {
  const { queue, push, take, counted } = openQueue();
  for (const [piece, block] of [
    [2, 1],
    [2, 2],
    [2, 0],
    [3, 0],
    [4, 1],
    [4, 2],
  ] as const) {
    push(piece, block);
  }
  assert.deepEqual([queue.length, queue.nextPiece], [6, 2]);
  queue.pump();
  assert.deepEqual(take(), ["2:1 x2", "2:0 x1", "3:0 x1"]);
  assert.deepEqual(counted, [
    [2, 2 * BLOCK_LENGTH_BYTES],
    [2, BLOCK_LENGTH_BYTES],
    [3, BLOCK_LENGTH_BYTES],
  ]);
  assert.deepEqual([queue.length, queue.nextPiece], [2, 4], "the connection has 64 KiB to send");
});

test("what is asked for together leaves as one run: the queue is pumped once, later", () => {
  const { queue, push, take, due, runDue } = openQueue();
  for (const block of [0, 1, 2]) {
    push(2, block);
    queue.pumpSoon();
  }
  assert.equal(due.length, 1);
  assert.deepEqual(take(), []);
  runDue();
  assert.deepEqual(take(), ["2:0 x3"]);
  push(5, 0);
  queue.pumpSoon();
  runDue();
  assert.deepEqual(take(), ["5:0 x1"]);
});

test("urgent requests go before the others, in the order in which they came", () => {
  const { queue, push, take } = openQueue();
  push(1, 0);
  push(1, 2);
  push(7, 0, true);
  push(2, 0);
  push(8, 0, true);
  assert.equal(queue.cancel(7, 0, BLOCK_LENGTH_BYTES), true);
  push(9, 0, true);
  queue.pump();
  assert.deepEqual(take(), ["8:0 x1", "9:0 x1", "1:0 x1", "1:2 x1"]);
});

test("an urgent request goes behind what was served already, and nothing else", () => {
  const { queue, push, take, sent } = openQueue();
  for (let piece = 0; piece < 5; piece++) push(piece, 0, true);
  queue.pump();
  for (const { done } of sent) done();
  assert.equal(take().length, 4);
  push(6, 0);
  push(7, 0, true);
  push(8, 0, true);
  queue.pump();
  assert.deepEqual(take(), ["4:0 x1", "7:0 x1", "8:0 x1", "6:0 x1"]);
});

test("a queue of the agreed length takes nothing more until something has left", () => {
  const { queue, push } = openQueue({ limit: 2 });
  assert.deepEqual([push(1, 0), push(2, 0), push(3, 0), queue.length], [true, true, false, 2]);
  queue.pump();
  assert.deepEqual([queue.length, push(3, 0)], [0, true]);
});

test("only the very request that is cancelled leaves the queue, and only while it waits", () => {
  const { queue, push, take } = openQueue();
  push(1, 0);
  push(1, 1);
  assert.equal(queue.cancel(1, 0, 5), false);
  assert.equal(queue.cancel(1, 2 * BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES), false);
  assert.equal(queue.cancel(2, 0, BLOCK_LENGTH_BYTES), false);
  assert.equal(queue.cancel(1, 0, BLOCK_LENGTH_BYTES), true);
  assert.equal(queue.cancel(1, 0, BLOCK_LENGTH_BYTES), false);
  queue.pump();
  assert.deepEqual(take(), ["1:1 x1"]);
  assert.equal(queue.cancel(1, BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES), false);
});

test("emptied, it says what waited, sends nothing more, and gives the memory back", () => {
  const { queue, push, take, held } = openQueue({ rate: rateOf(1) });
  for (let piece = 0; piece < 4; piece++) push(piece, 0);
  queue.pump();
  assert.equal(take().length, 2, "32 KiB are enough for a slow connection");
  assert.deepEqual(held.length > 0, true);
  assert.deepEqual(
    queue.clear().map(({ pieceIndex }) => pieceIndex),
    [2, 3],
  );
  queue.pump();
  assert.deepEqual([take(), queue.length, queue.nextPiece], [[], 0, undefined]);
  push(9, 0);
  assert.equal(queue.nextPiece, 9);
});

test("closed, it sends nothing any more", () => {
  const { queue, push, take } = openQueue();
  queue.close();
  push(1, 0);
  queue.pump();
  assert.deepEqual(take(), []);
});

test("as much is handed to the connection as goes out in a fifth of a second, once its speed is known", () => {
  const rate = rateOf(0);
  const { queue, push, take, sent } = openQueue({ rate });
  for (let piece = 0; piece < 10; piece++) for (let block = 0; block < 4; block++) push(piece, block);
  queue.pump();
  assert.deepEqual(take(), ["0:0 x4"], "at the start 64 KiB");
  const all = openQueue({ rate: rateOf(6 * BLOCK_LENGTH_BYTES * 5) });
  for (let piece = 0; piece < 10; piece++) for (let block = 0; block < 4; block++) all.push(piece, block);
  all.queue.pump();
  // Six blocks are on their way when the run that passes them has begun.
  assert.deepEqual(all.take(), ["0:0 x4", "1:0 x4"]);
  rate.bytesPerSecond = 1;
  assert.equal(sent.length, 0);
});

test("while its speed is not known the connection gets as much again as it has taken, up to 512 KiB", () => {
  const { queue, push, sent, runDue } = openQueue();
  for (let piece = 0; piece < 10; piece++) for (let block = 0; block < 4; block++) push(piece, block);
  queue.pump();
  assert.equal(sent.length, 1);
  sent[0]?.done();
  runDue();
  assert.equal(sent.length, 3, "64 KiB were taken, so that 128 KiB may be on their way");
  sent[1]?.done();
  sent[2]?.done();
  runDue();
  assert.equal(sent.length, 7);
});

test("a queue is held while the connection has enough and something waits", () => {
  const { queue, push, connection, sent, runDue } = openQueue();
  assert.equal(queue.isHeld, false);
  connection.hasRoom = false;
  push(1, 0);
  push(2, 0);
  queue.pump();
  assert.deepEqual([queue.isHeld, queue.length], [true, 1]);
  sent[0]?.done();
  runDue();
  assert.deepEqual([queue.isHeld, sent.length], [true, 1], "it has not said that it is writable");
  queue.writable();
  assert.deepEqual([queue.isHeld, sent.length], [false, 2]);
});

test("memory that nothing was asked of between two ticks goes back", () => {
  const { queue, push, held, sent } = openQueue();
  push(1, 0);
  queue.pump();
  sent[0]?.done();
  queue.tick();
  assert.deepEqual(held, [1]);
  push(1, 1);
  queue.pump();
  sent[1]?.done();
  queue.tick();
  assert.deepEqual(held, [1], "it was asked of again");
  queue.tick();
  assert.deepEqual(held, []);
});

test("a request that others go before waits, and the queue with it", () => {
  let mayServe = false;
  const { queue, push, take, counted } = openQueue({ mayServe: () => mayServe });
  push(1, 0);
  push(2, 0);
  queue.pump();
  assert.deepEqual([take(), counted, queue.length], [[], [], 2]);
  mayServe = true;
  queue.pump();
  assert.deepEqual(take(), ["1:0 x1", "2:0 x1"]);
});

test("requests for a piece that cannot be read leave the queue; the others are served", () => {
  const failure = new MiniTorrentError("DISK_FAILED", "It broke.");
  const failed: [number, number[]][] = [];
  const { queue, push, take } = openQueue({
    storage: {
      read: ({ pieceIndex, offsetBytes, lengthBytes }, done) => {
        done(pieceIndex === 2 ? failure : framesOf(pieceIndex, offsetBytes, lengthBytes, () => undefined));
      },
    },
    onReadFailed: (pieceIndex, dropped, error) => {
      assert.equal(error, failure);
      failed.push([pieceIndex, dropped.map(({ offsetBytes }) => offsetBytes / BLOCK_LENGTH_BYTES)]);
    },
  });
  for (const [piece, block] of [
    [1, 0],
    [2, 0],
    [3, 0],
    [2, 3],
  ] as const) {
    push(piece, block);
  }
  queue.pump();
  assert.deepEqual(failed, [[2, [0, 3]]]);
  assert.deepEqual(take(), ["1:0 x1", "3:0 x1"]);
});

test("urgent requests stay before the others when hundreds have been served", () => {
  const { queue, push, take, sent, runDue } = openQueue({ limit: 1000, rate: rateOf(1e9) });
  for (let i = 0; i < 150; i++) push(i % 10, 0, true);
  queue.pump();
  for (const { done } of sent) done();
  runDue();
  assert.equal(take().length, 150);
  push(1, 0);
  push(2, 0, true);
  push(3, 0);
  push(4, 0, true);
  assert.deepEqual([queue.length, queue.nextPiece], [4, 2]);
  queue.pump();
  assert.deepEqual(take(), ["2:0 x1", "4:0 x1", "1:0 x1", "3:0 x1"]);
});

test("urgent requests go before the others also after those for an unreadable piece have left", () => {
  const failure = new MiniTorrentError("DISK_FAILED", "It broke.");
  const { queue, push, take } = openQueue({
    storage: {
      read: ({ pieceIndex, offsetBytes, lengthBytes }, done) => {
        done(pieceIndex === 2 ? failure : framesOf(pieceIndex, offsetBytes, lengthBytes, () => undefined));
      },
    },
    mayServe: (pieceIndex) => pieceIndex !== 1,
    onReadFailed: () => undefined,
  });
  for (let i = 0; i < 3; i++) push(2, i, true);
  push(1, 0);
  push(3, 0);
  queue.pump();
  assert.deepEqual([take(), queue.length], [[], 2]);
  push(4, 0, true);
  assert.equal(queue.nextPiece, 4);
});

test("emptied while urgent requests waited, the next urgent one goes first", () => {
  const { queue, push } = openQueue();
  for (let i = 0; i < 3; i++) push(2, i, true);
  queue.clear();
  push(1, 0);
  push(3, 0);
  push(4, 0, true);
  assert.equal(queue.nextPiece, 4);
});
