import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { Geometry } from "../../../src/metainfo/geometry.ts";
import type { FilePlace } from "../../../src/storage/disk-jobs.ts";
import { DiskPool } from "../../../src/storage/disk-pool.ts";
import { OpenFiles } from "../../../src/storage/open-files.ts";
import { PieceMemory, type PieceSlot } from "../../../src/storage/piece-memory.ts";
import { PrefixHash } from "../../../src/storage/prefix-hash.ts";
import { RefCountedFile } from "../../../src/storage/ref-counted-file.ts";
import { FakeThread } from "./fake-threads.ts";
import { content, faulty, folderFor, PIECE_BYTES, sha1Hex, withCode } from "./workplace.ts";

const MIB = 1024 * 1024;

/** All that promises lead to has happened: no I/O is waited for. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A hash of pieces of 1 MiB, the last of which is short, whose jobs the test answers. */
function openHash({ pieceCount = 100, onDisk = [] as readonly number[] } = {}) {
  const threads: FakeThread[] = [];
  const disk = new DiskPool({
    workerCount: 1,
    startThread: () => {
      const made = new FakeThread();
      threads.push(made);
      return made;
    },
  });
  disk.prepare();
  threads[0]?.ready();
  const slot: PieceSlot = { bytes: new Uint8Array(new SharedArrayBuffer(MIB)) };
  const pieces = new Set(onDisk);
  const given: PieceSlot[] = [];
  const opening: { release?: PromiseWithResolvers<void> } = {};
  const hash = new PrefixHash({
    disk,
    file: {
      inRange: async <T>(positionBytes: number, use: (place: FilePlace) => Promise<T>): Promise<T> => {
        await opening.release?.promise;
        return use({ fd: 7, path: "/x/film.part", positionBytes });
      },
    },
    geometry: new Geometry((pieceCount - 1) * MIB + 5, MIB),
    hasPiece: (pieceIndex) => pieces.has(pieceIndex),
    giveBack: (returned) => void given.push(returned),
  });
  /** The thread that runs now. */
  const thread = (): FakeThread => threads.at(-1) ?? assert.fail("no thread was started");
  const offer = (pieceIndex: number, isScarce = false): boolean => {
    pieces.add(pieceIndex);
    return hash.offer(pieceIndex, slot, isScarce);
  };
  /** What the thread has to do: the lengths of what is in memory, `from +length` of what is read, or `end`. */
  const steps = (): string[] =>
    thread().jobs.flatMap((job) => {
      if (job.kind === "digest-memory") return [job.parts.map(({ length }) => length / MIB).join(" ")];
      if (job.kind === "digest-file") return [`${job.positionBytes / MIB} +${job.lengthBytes / MIB}`];
      return job.kind === "digest-close" ? ["end"] : [];
    });
  const answerAll = async (result = new Uint8Array(0)): Promise<void> => {
    while (thread().requests.length > 0) {
      thread().answer(result);
      await settle();
    }
  };
  return { hash, disk, threads, thread, pieces, given, opening, offer, steps, answerAll };
}

test("a piece that is next is hashed from memory, which goes back when it has been", async () => {
  const { offer, steps, given, thread } = openHash();
  assert.equal(offer(0), true);
  assert.equal(offer(1), true);
  await settle();
  assert.deepEqual(
    [thread().kinds, steps(), given.length],
    [["digest-open", "digest-memory", "digest-memory"], ["1", "1"], 0],
  );
  thread().answer();
  thread().answer();
  await settle();
  assert.equal(given.length, 1);
});

test("three steps are under way at once, and what has come meanwhile is the next: up to 4 MiB", async () => {
  const { offer, steps, thread, given } = openHash();
  for (let piece = 0; piece < 12; piece++) offer(piece);
  assert.deepEqual(steps(), ["1", "1", "1"]);
  thread().answer();
  thread().answer();
  await settle();
  assert.deepEqual(steps(), ["1", "1", "1 1 1 1"]);
  assert.equal(given.length, 1);
});

test("a piece up to 32 MiB ahead waits in memory; one further on, or behind, is not kept", async () => {
  const { offer, steps, answerAll, given } = openHash();
  assert.deepEqual([offer(32), offer(33)], [true, false]);
  assert.equal(offer(0), true);
  assert.equal(offer(33), true, "the hash is one piece further");
  await answerAll();
  assert.deepEqual([offer(0), steps(), given.length], [false, [], 1]);
});

test("pieces that are only on the disk are read back, 4 MiB at once, up to one in memory", async () => {
  const { offer, steps, pieces, hash, thread, answerAll } = openHash();
  offer(6);
  for (let piece = 0; piece < 6; piece++) pieces.add(piece);
  pieces.add(8);
  hash.advance();
  await settle();
  assert.deepEqual(steps(), ["0 +4", "4 +2", "1"]);
  const [, read] = thread().jobs;
  assert.ok(read?.kind === "digest-file");
  assert.deepEqual([read.fd, read.into], [7, undefined]);
  await answerAll();
  assert.deepEqual(steps(), [], "piece 7 is missing");
});

test("parts that follow a part being read wait until the file is open", async () => {
  const { offer, steps, pieces, opening } = openHash();
  opening.release = Promise.withResolvers();
  pieces.add(0);
  offer(1);
  offer(2);
  await settle();
  assert.deepEqual(steps(), []);
  opening.release.resolve();
  await settle();
  assert.deepEqual(steps(), ["0 +1", "1 1"]);
});

test("when all is hashed the end is asked for once, and the hash is there for whoever asks again", async () => {
  const { hash, steps, offer, thread } = openHash({ pieceCount: 2, onDisk: [] });
  offer(0);
  offer(1);
  const whole = hash.whole();
  await settle();
  assert.deepEqual(steps(), ["1", `${5 / MIB}`, "end"]);
  thread().answer();
  thread().answer();
  thread().answer();
  thread().answer(new Uint8Array([0xab, 0x01]));
  assert.equal(await whole, "ab01");
  assert.equal(await hash.whole(), "ab01");
  assert.deepEqual(thread().requests, []);
});

test("a part that cannot be read fails the whole, once all steps are over; another try begins anew", async () => {
  const { hash, thread, steps } = openHash({ pieceCount: 9, onDisk: [...Array(9).keys()] });
  const whole = hash.whole();
  await settle();
  thread().answer();
  let isTold = false;
  const rejected = assert.rejects(whole, withCode("FILE_CHANGED")).then(() => (isTold = true));
  thread().refuse("SHORT_READ");
  await settle();
  assert.equal(isTold, false, "other steps are under way");
  assert.deepEqual(steps(), ["4 +4", `8 +${5 / MIB}`], "and no new one begins");
  thread().answer();
  thread().refuse("EIO");
  await rejected;
  assert.deepEqual(steps(), ["end"], "the thread forgets it");
  thread().answer();
  await settle();
  const again = hash.whole();
  await settle();
  assert.equal(steps()[0], "0 +4");
  while (thread().requests.length > 0) {
    thread().answer(new Uint8Array([1]));
    await settle();
  }
  assert.equal(await again, "01");
});

test("a thread that dies again and again is made good three times, and is the disk's failure then", async () => {
  const { hash, threads, thread, steps } = openHash({ pieceCount: 2, onDisk: [0, 1] });
  const whole = assert.rejects(hash.whole(), withCode("DISK_FAILED"));
  for (let death = 0; death < 4; death++) {
    await settle();
    assert.equal(threads.length, death + 1);
    thread().ready();
    await settle();
    assert.equal(steps()[0]?.startsWith("0 +"), true, `life ${death}`);
    thread().die();
  }
  await whole;
  await settle();
  assert.equal(threads.length, 4);
});

test("an error that is none of ours is told as one", async () => {
  const { hash, opening } = openHash({ pieceCount: 1, onDisk: [0] });
  opening.release = Promise.withResolvers();
  const whole = hash.whole();
  const cause = new Error("a bug");
  opening.release.reject(cause);
  await assert.rejects(
    whole,
    (error) => error instanceof MiniTorrentError && error.code === "INTERNAL" && error.cause === cause,
  );
});

test("paused, it gives back what it keeps, waits for what runs, and takes nothing; then it begins anew", async () => {
  const { hash, offer, given, thread, steps } = openHash();
  offer(0);
  offer(5);
  let isPaused = false;
  const paused = hash.pause().then(() => (isPaused = true));
  assert.equal(given.length, 1, "what only waited goes back at once");
  await settle();
  assert.equal(isPaused, false);
  assert.equal(offer(1), false);
  thread().answer();
  thread().answer();
  await settle();
  assert.equal(given.length, 2);
  assert.deepEqual(steps(), ["end"]);
  thread().answer();
  await paused;
  assert.deepEqual(steps(), []);
  hash.resume();
  await settle();
  assert.deepEqual(thread().kinds, ["digest-open", "digest-file"]);
  assert.deepEqual(steps(), ["0 +2"], "from the first piece on, from the disk");
});

test("closed, it hashes nothing any more, and says so to who waits", async () => {
  const { hash, offer, thread, steps, given } = openHash({ pieceCount: 3 });
  offer(0);
  const whole = assert.rejects(hash.whole(), { code: "INTERNAL", message: /closed before/ });
  const closed = hash.close();
  thread().answer();
  thread().answer();
  await settle();
  thread().answer();
  await closed;
  await whole;
  hash.resume();
  assert.equal(offer(1), false);
  await settle();
  assert.deepEqual([steps(), given.length], [[], 1]);
});

test("memory that is asked back is that of pieces which wait for a missing one", async () => {
  const { hash, offer, given, answerAll, pieces } = openHash();
  offer(3);
  offer(5);
  pieces.add(0);
  pieces.add(1);
  pieces.add(2);
  // Piece 4 is missing.
  hash.reclaim();
  assert.equal(given.length, 1);
  hash.advance();
  await settle();
  await answerAll();
  assert.equal(given.length, 2);
});

test("when the thread that hashes dies on the way, the hash begins anew and is right", async (t) => {
  const folder = await folderFor(t);
  const once = join(folder, "died");
  const path = join(folder, "film");
  const bytes = content(5 * PIECE_BYTES + 1);
  await writeFile(path, bytes);
  const file = new RefCountedFile(new OpenFiles(), await open(path), path, () =>
    assert.fail("it was closed"),
  );
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
  const file = new RefCountedFile(new OpenFiles(), await open(path, "r+"), path, () =>
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
