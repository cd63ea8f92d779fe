// Pieces on their way to the disk: their memory, what is written where, and who is told what in which order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { pieceHash } from "../../../src/metainfo/metainfo.ts";
import type { FilePlace } from "../../../src/storage/disk-jobs.ts";
import type { DiskPool } from "../../../src/storage/disk-pool.ts";
import { IncomingPieces } from "../../../src/storage/incoming-pieces.ts";
import { PieceMemory, type PieceSlot } from "../../../src/storage/piece-memory.ts";
import type { RefCountedFile } from "../../../src/storage/ref-counted-file.ts";
import { content, metainfoOf, PIECE_BYTES } from "./workplace.ts";

const LAST_PIECE_BYTES = 100;
const metainfo = metainfoOf(content(3 * PIECE_BYTES + LAST_PIECE_BYTES));

/** A disk whose writes end when the test says so; `events` has what happens, in order. */
function open({ isKept = false } = {}) {
  const events: string[] = [];
  const writes: { place: FilePlace; bytes: Uint8Array; sha1: Uint8Array }[] = [];
  const ends: PromiseWithResolvers<boolean>[] = [];
  const kept: PieceSlot[] = [];
  const memory = new PieceMemory();
  const { give } = memory;
  memory.give = (slot) => {
    events.push("memory given back");
    give.call(memory, slot);
  };
  const file = {
    begin: () => void events.push("job begins"),
    end: (tell: () => void) => {
      tell();
      events.push("job ends");
    },
    inRange: (positionBytes: number, use: (place: FilePlace) => Promise<boolean>) =>
      use({ fd: 9, path: "film.part", positionBytes }),
  };
  const disk = {
    writePiece: (place: FilePlace, bytes: Uint8Array, sha1: Uint8Array) => {
      events.push("write begins");
      writes.push({ place, bytes, sha1 });
      const end = Promise.withResolvers<boolean>();
      ends.push(end);
      return end.promise;
    },
  };
  const incoming = new IncomingPieces({
    metainfo,
    file: file as unknown as RefCountedFile,
    disk: disk as unknown as DiskPool,
    memory,
    onWritten: (pieceIndex, slot) => {
      events.push(`piece ${pieceIndex} is written`);
      if (isKept) kept.push(slot);
      return isKept;
    },
  });
  const commit = (pieceIndex: number): Promise<unknown> =>
    new Promise((resolve) =>
      incoming.commit(pieceIndex, (outcome) => {
        events.push("told");
        resolve(outcome);
      }),
    );
  return { incoming, memory, events, writes, ends, kept, commit };
}

test("a piece has memory of exactly its length, the same until it is committed or released", () => {
  const { incoming, memory } = open();
  const first = incoming.reserve(0);
  assert.equal(first?.length, PIECE_BYTES);
  assert.equal(incoming.reserve(0)?.byteOffset, first.byteOffset);
  assert.equal(memory.usedBytes, PIECE_BYTES);
  assert.equal(incoming.reserve(3)?.length, LAST_PIECE_BYTES);
  assert.notEqual(incoming.reserve(1)?.byteOffset, first.byteOffset);
  incoming.release(0);
  assert.equal(memory.usedBytes, 2 * PIECE_BYTES);
  incoming.release(0);
  incoming.releaseAll();
  assert.equal(memory.usedBytes, 0);
});

test("a piece that the file does not have, or for which there is no memory, is not reserved", () => {
  const { incoming, memory } = open();
  assert.equal(incoming.reserve(4), undefined);
  assert.equal(incoming.reserve(-1), undefined);
  assert.deepEqual([incoming.isEmpty, memory.usedBytes], [true, 0]);
  const slots: PieceSlot[] = [];
  for (let slot = memory.take(PIECE_BYTES); slot !== undefined; slot = memory.take(PIECE_BYTES)) {
    slots.push(slot);
  }
  assert.equal(incoming.reserve(0), undefined);
  assert.equal(incoming.isEmpty, true);
});

test("a piece is written to its place in the file if it has its hash; its memory is free before anybody hears", async () => {
  const { incoming, memory, events, writes, ends, commit } = open();
  incoming.reserve(3)?.fill(7);
  const committed = commit(3);
  const [write] = writes;
  assert.deepEqual(
    [write?.place, write?.bytes.length, write?.bytes[0], [...(write?.sha1 ?? [])]],
    [
      { fd: 9, path: "film.part", positionBytes: 3 * PIECE_BYTES },
      LAST_PIECE_BYTES,
      7,
      [...pieceHash(metainfo, 3)],
    ],
  );
  assert.deepEqual([incoming.isEmpty, memory.usedBytes], [false, PIECE_BYTES]);
  incoming.release(3);
  incoming.releaseAll();
  assert.equal(memory.usedBytes, PIECE_BYTES, "a worker reads that memory");
  ends[0]?.resolve(true);
  assert.equal(await committed, "verified");
  assert.deepEqual(events, [
    "job begins",
    "write begins",
    "piece 3 is written",
    "memory given back",
    "told",
    "job ends",
  ]);
  assert.deepEqual([incoming.isEmpty, memory.usedBytes], [true, 0]);
});

test("memory that whoever hears of a written piece keeps is not given back", async () => {
  const { incoming, memory, ends, kept, commit } = open({ isKept: true });
  incoming.reserve(0);
  const committed = commit(0);
  ends[0]?.resolve(true);
  assert.equal(await committed, "verified");
  assert.equal(memory.usedBytes, PIECE_BYTES);
  assert.equal(kept.length, 1);
});

test("a piece with another hash, or that cannot be written, is not said to be written, and its memory is free", async () => {
  const failure = new MiniTorrentError("DISK_FULL", "It is full.");
  for (const [end, outcome] of [
    [(job: PromiseWithResolvers<boolean>) => job.resolve(false), "mismatch"],
    [(job: PromiseWithResolvers<boolean>) => job.reject(failure), failure],
  ] as const) {
    const { incoming, memory, events, ends, commit } = open({ isKept: true });
    incoming.reserve(1);
    const committed = commit(1);
    const [job] = ends;
    assert.ok(job);
    end(job);
    assert.equal(await committed, outcome);
    assert.deepEqual(events.slice(2), ["memory given back", "told", "job ends"]);
    assert.deepEqual([incoming.isEmpty, memory.usedBytes], [true, 0]);
  }
});

test("committing what was not reserved is an error, told later and never at once", async () => {
  const { incoming, events, commit } = open();
  const committed = commit(2);
  assert.deepEqual(events, []);
  const outcome = await committed;
  assert.ok(outcome instanceof MiniTorrentError);
  assert.deepEqual([outcome.code, events, incoming.isEmpty], ["INTERNAL", ["told"], true]);
});

test("a piece that was committed can be reserved anew while the first is written", async () => {
  const { incoming, memory, ends, commit } = open();
  incoming.reserve(1);
  const committed = commit(1);
  assert.ok(incoming.reserve(1));
  assert.equal(memory.usedBytes, 2 * PIECE_BYTES);
  ends[0]?.resolve(false);
  await committed;
  assert.deepEqual([incoming.isEmpty, memory.usedBytes], [false, PIECE_BYTES]);
});
