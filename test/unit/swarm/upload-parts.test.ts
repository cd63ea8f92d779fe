// What is read for one peer, and when its memory goes back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { BLOCK_LENGTH_BYTES, Geometry } from "../../../src/metainfo/geometry.ts";
import type { PieceFrames, PieceRange } from "../../../src/metainfo/piece-types.ts";
import { UploadParts, type UploadRequest } from "../../../src/swarm/upload-parts.ts";

const MIB = 1024 * 1024;
const BLOCK = BLOCK_LENGTH_BYTES;
/** Two pieces: of 2 MiB, and of one and a half blocks. */
const geometry = new Geometry(2 * MIB + 1.5 * BLOCK, 2 * MIB);

function open() {
  const reads: { range: PieceRange; end: (error?: MiniTorrentError) => void }[] = [];
  const held: string[] = [];
  const failures: [number, string][] = [];
  let readable = 0;
  const parts = new UploadParts({
    geometry,
    storage: {
      read: (range, done) => {
        const name = nameOf(range);
        reads.push({
          range,
          end: (error) => {
            if (error !== undefined) return done(error);
            held.push(name);
            const frames: PieceFrames = {
              bytes: new Uint8Array(0),
              release: () => {
                assert.ok(held.includes(name), `${name} is released twice`);
                held.splice(held.indexOf(name), 1);
              },
            };
            done(frames);
          },
        });
      },
    },
    onReadable: () => readable++,
    onReadFailed: (pieceIndex, error) => void failures.push([pieceIndex, error.code]),
  });
  return { parts, reads, held, failures, readableCount: () => readable };
}

function nameOf({ pieceIndex, offsetBytes, lengthBytes }: PieceRange): string {
  return `${pieceIndex}: ${offsetBytes} +${lengthBytes}`;
}

const requestOf = (pieceIndex: number, offsetBytes: number, lengthBytes = BLOCK): UploadRequest => ({
  pieceIndex,
  offsetBytes,
  lengthBytes,
});
const broken = new MiniTorrentError("DISK_FAILED", "It broke.");

describe("parts that are read for a peer", () => {
  it("are cut at whole MiB, and end with the piece", () => {
    const { parts, reads } = open();
    parts.readAhead([requestOf(0, MIB - BLOCK), requestOf(0, MIB), requestOf(1, 0)], 0);
    assert.deepEqual(
      reads.map(({ range }) => nameOf(range)),
      [`0: 0 +${MIB}`, `0: ${MIB} +${MIB}`],
    );
    const short = open();
    short.parts.readAhead([requestOf(1, BLOCK, 0.5 * BLOCK)], 0);
    assert.deepEqual(
      short.reads.map(({ range }) => nameOf(range)),
      [`1: 0 +${1.5 * BLOCK}`],
    );
  });

  it("are just the two blocks that a request across a cut touches", () => {
    const { parts, reads } = open();
    parts.readAhead([requestOf(0, MIB - 10, 20), requestOf(0, 2 * MIB - BLOCK)], 0);
    assert.deepEqual(
      reads.map(({ range }) => nameOf(range)),
      [`0: ${MIB - BLOCK} +${2 * BLOCK}`, `0: ${MIB} +${MIB}`],
    );
  });

  it("are the one of the next request and the one after that, each read once", () => {
    const { parts, reads, readableCount } = open();
    const requests = [requestOf(0, 0), requestOf(0, MIB), requestOf(0, BLOCK), requestOf(1, 0)];
    parts.readAhead(requests, 1);
    parts.readAhead(requests, 1);
    assert.deepEqual(
      reads.map(({ range }) => nameOf(range)),
      [`0: ${MIB} +${MIB}`, `0: 0 +${MIB}`],
    );
    assert.equal(parts.find(requestOf(0, MIB + 5, 7))?.bytes, undefined);
    reads[0]?.end();
    assert.equal(readableCount(), 1);
    assert.notEqual(parts.find(requestOf(0, MIB + 5, 7))?.bytes, undefined);
    assert.equal(parts.find(requestOf(1, 0)), undefined);
    assert.equal(parts.find(requestOf(0, MIB - 5, 10)), undefined, "it is in neither of the two");
  });

  it("go back when others are wanted, but for what is in flight, which goes when it is sent", () => {
    const { parts, reads, held } = open();
    parts.readAhead([requestOf(0, 0), requestOf(0, MIB)], 0);
    for (const read of reads) read.end();
    const first = parts.find(requestOf(0, 0));
    assert.ok(first);
    first.runBegins();
    first.runBegins();
    parts.readAhead([requestOf(1, 0)], 0);
    assert.deepEqual(held, [`0: 0 +${MIB}`]);
    assert.equal(parts.find(requestOf(0, 0)), undefined);
    first.runEnds();
    assert.deepEqual(held, [`0: 0 +${MIB}`]);
    first.runEnds();
    assert.deepEqual(held, []);
  });

  it("stay while nothing else is wanted", () => {
    const { parts, reads, held } = open();
    parts.readAhead([requestOf(0, 0)], 0);
    reads[0]?.end();
    parts.readAhead([requestOf(0, 0)], 1);
    assert.deepEqual(held, [`0: 0 +${MIB}`]);
  });

  it("in flight stay while the peer takes nothing, and go when all is cleared and sent", () => {
    const { parts, reads, held } = open();
    parts.readAhead([requestOf(0, 0), requestOf(0, MIB)], 0);
    for (const read of reads) read.end();
    const second = parts.find(requestOf(0, MIB));
    assert.ok(second);
    second.runBegins();
    parts.keepInFlight();
    assert.deepEqual(held, [`0: ${MIB} +${MIB}`]);
    assert.notEqual(parts.find(requestOf(0, MIB)), undefined);
    parts.clear();
    assert.equal(parts.find(requestOf(0, MIB)), undefined);
    second.runEnds();
    assert.deepEqual(held, []);
  });

  it("that are no longer wanted when they have been read go back at once, and nobody hears of them", () => {
    const { parts, reads, held, failures, readableCount } = open();
    parts.readAhead([requestOf(0, 0), requestOf(0, MIB)], 0);
    parts.clear();
    reads[0]?.end();
    reads[1]?.end(broken);
    assert.deepEqual([held, failures, readableCount()], [[], [], 0]);
  });

  it("that cannot be read are reported, and tried again when they are asked for again", () => {
    const { parts, reads, failures, readableCount } = open();
    parts.readAhead([requestOf(1, 0)], 0);
    reads[0]?.end(broken);
    assert.deepEqual(failures, [[1, "DISK_FAILED"]]);
    assert.equal(parts.find(requestOf(1, 0)), undefined);
    assert.equal(readableCount(), 0);
    parts.readAhead([requestOf(1, 0)], 0);
    assert.equal(reads.length, 2);
  });
});
