// Pieces on their way to the disk: their memory, what is written where, and the order in which callers are told.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { pieceHash } from "../../../src/metainfo/metainfo.ts";
import type { FilePlace } from "../../../src/storage/disk-jobs.ts";
import type { DiskPool } from "../../../src/storage/disk-pool.ts";
import { PieceMemory, type PieceSlot } from "../../../src/storage/piece-memory.ts";
import { PieceReader } from "../../../src/storage/piece-reader.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import { RefCountedFile } from "../../../src/storage/ref-counted-file.ts";
import { content, metainfoOf, PIECE_BYTES, workplaceFor } from "./workplace.ts";

const LAST_PIECE_BYTES = 100;
const metainfo = metainfoOf(content(3 * PIECE_BYTES + LAST_PIECE_BYTES));

/**
 * A download on a disk whose writes end when the test says so; `events` has what happens, in order.
 *
 * @param isKept pieces are kept in memory for the hash of the whole file: nobody waits for memory
 */
async function open(t: TestContext, { isKept = false } = {}) {
  const events: string[] = [];
  const writes: { place: FilePlace; bytes: Uint8Array; sha1: Uint8Array }[] = [];
  const ends: PromiseWithResolvers<boolean>[] = [];
  const memory = new PieceMemory();
  const { give } = memory;
  memory.give = (slot) => {
    events.push("memory given back");
    give.call(memory, slot);
  };
  Object.defineProperty(memory, "isScarce", { value: !isKept });
  const disk = {
    prepare: () => undefined,
    writePiece: (place: FilePlace, bytes: Uint8Array, sha1: Uint8Array) => {
      events.push("write begins");
      writes.push({ place, bytes, sha1 });
      const end = Promise.withResolvers<boolean>();
      ends.push(end);
      return end.promise;
    },
  };
  const place = await workplaceFor(t);
  const store = await PieceStore.openForDownload({
    ...place,
    disk: disk as unknown as DiskPool,
    memory,
    metainfo,
  });
  t.after(() => store.close());
  const { begin, end } = RefCountedFile.prototype;
  t.mock.method(RefCountedFile.prototype, "begin", function (this: RefCountedFile) {
    events.push("job begins");
    begin.call(this);
  });
  t.mock.method(RefCountedFile.prototype, "end", function (this: RefCountedFile, tell: () => void) {
    end.call(this, tell);
    events.push("job ends");
  });
  t.mock.method(PieceReader.prototype, "written", (pieceIndex: number) =>
    events.push(`piece ${pieceIndex} is written`),
  );
  /** Resolves when the write has begun, if one does. */
  const commit = async (pieceIndex: number): Promise<{ outcome: Promise<unknown> }> => {
    const outcome = new Promise((resolve) =>
      store.commit(pieceIndex, (outcome) => {
        events.push("told");
        resolve(outcome);
      }),
    );
    await nextTurn();
    return { outcome };
  };
  return { store, memory, events, writes, ends, commit, partPath: place.partPath };
}

/** No piece is being assembled or written: only then is a download checked. */
async function isIdle(store: PieceStore): Promise<boolean> {
  try {
    await store.recheck([]);
    return true;
  } catch (error) {
    assert.match(String(error), /while pieces of it are arriving/);
    return false;
  }
}

test("a piece has memory of exactly its length, the same until it is committed or released", async (t) => {
  const { store, memory } = await open(t);
  const first = store.reserve(0);
  assert.equal(first?.length, PIECE_BYTES);
  assert.equal(store.reserve(0)?.byteOffset, first.byteOffset);
  assert.equal(memory.usedBytes, PIECE_BYTES);
  assert.equal(store.reserve(3)?.length, LAST_PIECE_BYTES);
  assert.notEqual(store.reserve(1)?.byteOffset, first.byteOffset);
  store.release(0);
  assert.equal(memory.usedBytes, 2 * PIECE_BYTES);
  store.release(0);
  await store.close();
  assert.equal(memory.usedBytes, 0);
});

test("a piece that the file does not have, or for which there is no memory, is not reserved", async (t) => {
  const { store, memory } = await open(t);
  assert.equal(store.reserve(4), undefined);
  assert.equal(store.reserve(-1), undefined);
  assert.deepEqual([await isIdle(store), memory.usedBytes], [true, 0]);
  const slots: PieceSlot[] = [];
  for (let slot = memory.take(PIECE_BYTES); slot !== undefined; slot = memory.take(PIECE_BYTES)) {
    slots.push(slot);
  }
  assert.equal(store.reserve(0), undefined);
  assert.equal(await isIdle(store), true);
});

test("a piece is written to its place in the file if it has its hash; its memory is free before anybody hears", async (t) => {
  const { store, memory, events, writes, ends, commit, partPath } = await open(t);
  store.reserve(3)?.fill(7);
  const { outcome } = await commit(3);
  const [write] = writes;
  assert.ok(write);
  const { fd, ...place } = write.place;
  assert.ok(fd > 2);
  assert.deepEqual(
    [place, write.bytes.length, write.bytes[0], [...write.sha1]],
    [{ path: partPath, positionBytes: 3 * PIECE_BYTES }, LAST_PIECE_BYTES, 7, [...pieceHash(metainfo, 3)]],
  );
  assert.deepEqual([await isIdle(store), memory.usedBytes], [false, PIECE_BYTES]);
  store.release(3);
  assert.equal(memory.usedBytes, PIECE_BYTES, "a worker reads that memory");
  ends[0]?.resolve(true);
  assert.equal(await outcome, "verified");
  assert.deepEqual(events, [
    "job begins",
    "write begins",
    "piece 3 is written",
    "memory given back",
    "told",
    "job ends",
  ]);
  assert.deepEqual([store.have.has(3), await isIdle(store), memory.usedBytes], [true, true, 0]);
});

test("closing leaves the memory of a piece that is being written to its worker", async (t) => {
  const { store, memory, ends, commit } = await open(t);
  store.reserve(2);
  const { outcome } = await commit(2);
  const closed = store.close();
  await nextTurn();
  assert.equal(memory.usedBytes, PIECE_BYTES, "a worker reads that memory");
  ends[0]?.resolve(true);
  assert.equal(await outcome, "verified");
  await closed;
  assert.equal(memory.usedBytes, 0);
});

test("the memory of a written piece that is still to be hashed is not given back", async (t) => {
  const { store, memory, ends, commit } = await open(t, { isKept: true });
  store.reserve(1);
  const { outcome } = await commit(1);
  ends[0]?.resolve(true);
  assert.equal(await outcome, "verified");
  assert.equal(memory.usedBytes, PIECE_BYTES);
  await store.close();
  assert.equal(memory.usedBytes, 0);
});

test("a piece with another hash, or that cannot be written, is not said to be written, and its memory is free", async (t) => {
  const failure = new MiniTorrentError("DISK_FULL", "It is full.");
  const { store, memory, events, ends, commit } = await open(t, { isKept: true });
  for (const [end, expected] of [
    [(job: PromiseWithResolvers<boolean>) => job.resolve(false), "mismatch"],
    [(job: PromiseWithResolvers<boolean>) => job.reject(failure), failure],
  ] as const) {
    events.length = 0;
    store.reserve(1);
    const { outcome } = await commit(1);
    const job = ends.pop();
    assert.ok(job);
    end(job);
    assert.equal(await outcome, expected);
    assert.deepEqual(events.slice(2), ["memory given back", "told", "job ends"]);
    assert.deepEqual([store.have.has(1), await isIdle(store), memory.usedBytes], [false, true, 0]);
  }
});

test("committing what was not reserved is an error, told later and never at once", async (t) => {
  const { store, events, commit } = await open(t);
  const committed = commit(2);
  assert.deepEqual(events, []);
  const outcome = await (await committed).outcome;
  assert.ok(outcome instanceof MiniTorrentError);
  assert.deepEqual([outcome.code, events], ["INTERNAL", ["told"]]);
  assert.equal(await isIdle(store), true);
});

test("a piece that was committed can be reserved anew while the first is written", async (t) => {
  const { store, memory, ends, commit } = await open(t);
  store.reserve(1);
  const { outcome } = await commit(1);
  assert.ok(store.reserve(1));
  assert.equal(memory.usedBytes, 2 * PIECE_BYTES);
  ends[0]?.resolve(false);
  await outcome;
  assert.deepEqual([await isIdle(store), memory.usedBytes], [false, PIECE_BYTES]);
});
