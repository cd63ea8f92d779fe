// The threads of the disk together: who gets a job, where digests live, and how the pool ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SharedBytes } from "../../../src/storage/disk-jobs.ts";
import { CHUNK_BYTES, DiskPool } from "../../../src/storage/disk-pool.ts";
import { FakeThread } from "./fake-threads.ts";
import { withCode } from "./workplace.ts";

const range = { fd: 3, path: "/x/film", positionBytes: 5, lengthBytes: 7 };
const place = { fd: 3, path: "/x/film", positionBytes: 5 };
const sharedBytes = (lengthBytes: number): SharedBytes => new Uint8Array(new SharedArrayBuffer(lengthBytes));

function open(workerCount = 2) {
  const threads: FakeThread[] = [];
  const pool = new DiskPool({
    workerCount,
    startThread: () => {
      const thread = new FakeThread();
      threads.push(thread);
      return thread;
    },
  });
  const thread = (index: number): FakeThread => {
    const found = threads[index];
    assert.ok(found, `thread ${index} was not started`);
    return found;
  };
  /** Starts all threads. */
  const ready = (): void => {
    pool.prepare();
    for (const { ready } of threads.map((each) => ({ ready: () => each.ready() }))) ready();
  };
  return { pool, threads, thread, ready };
}

/** All that promises lead to has happened: no I/O is waited for. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("a pool has at least one thread, two if nothing is said, and starts them all with the first job", async () => {
  for (const workerCount of [0, -1, 1.5]) assert.throws(() => new DiskPool({ workerCount }), RangeError);
  const threads: FakeThread[] = [];
  const pool = new DiskPool({
    startThread: () => {
      threads.push(new FakeThread());
      return threads.at(-1) ?? assert.fail();
    },
  });
  assert.equal(threads.length, 0);
  const hashed = pool.hashRange(range);
  assert.equal(threads.length, 2);
  threads[1]?.ready();
  threads[1]?.answer();
  await hashed;
});

test("a job goes to the thread that has least to do, and waits for whichever is free if none is", async () => {
  const { pool, thread, ready } = open();
  ready();
  const jobs = Array.from({ length: 10 }, () => pool.hashRange(range));
  assert.deepEqual([thread(0).requests.length, thread(1).requests.length], [4, 4]);
  thread(1).answer();
  thread(1).answer();
  assert.deepEqual([thread(0).requests.length, thread(1).requests.length], [4, 4]);
  for (const each of [thread(0), thread(1)]) while (each.requests.length > 0) each.answer();
  await Promise.all(jobs);
  const [first] = [pool.hashRange(range), pool.hashRange(range)];
  assert.deepEqual([thread(0).requests.length, thread(1).requests.length], [1, 1]);
  thread(0).answer();
  thread(1).answer();
  await first;
});

test("a thread with a digest gets the others' jobs last", () => {
  const { pool, thread, ready } = open();
  ready();
  const digest = pool.openDigest(0);
  assert.ok(digest);
  thread(0).answer();
  for (let i = 0; i < 3; i++) void pool.hashRange(range);
  assert.deepEqual([thread(0).requests.length, thread(1).requests.length], [0, 3]);
});

test("a write carries the bytes as they are, and a copy of the hash alone", async () => {
  const { pool, thread, ready } = open();
  ready();
  const allHashes = new Uint8Array(2000).fill(9);
  const bytes = sharedBytes(100);
  for (const isRight of [true, false]) {
    const written = pool.writePiece(place, bytes, allHashes.subarray(20, 40));
    const [job] = thread(0).jobs;
    assert.ok(job?.kind === "write");
    assert.equal(job.bytes, bytes);
    assert.deepEqual([job.fd, job.positionBytes, job.sha1.length], [3, 5, 20]);
    assert.equal(job.sha1.buffer.byteLength, 20, "a view is sent with all that lies behind it");
    thread(0).answer(isRight);
    assert.equal(await written, isRight);
  }
});

test("a refusal of a write, a read and of hashing in memory is each explained for what it was", async () => {
  const { pool, thread, ready } = open(1);
  ready();
  const written = pool.writePiece(place, sharedBytes(1), new Uint8Array(20));
  thread(0).refuse("ENOSPC");
  await assert.rejects(written, { code: "DISK_FULL", message: /\/x\/film/ });
  const hashed = pool.hashRange(range);
  assert.deepEqual(thread(0).jobs, [{ kind: "hash-range", fd: 3, positionBytes: 5, lengthBytes: 7 }]);
  thread(0).refuse("SHORT_READ");
  await assert.rejects(hashed, { code: "FILE_CHANGED", message: /\/x\/film/ });
  const digest = pool.openDigest(0);
  thread(0).answer();
  const updated = digest.update(sharedBytes(1));
  thread(0).refuse(undefined, "it broke");
  await assert.rejects(updated, { code: "INTERNAL", message: /inside: it broke/ });
  const read = digest.updateFromFile(range);
  thread(0).refuse("EIO");
  await assert.rejects(read, { code: "DISK_FAILED", message: /\/x\/film/ });
  const wrong = pool.hashRange(range);
  thread(0).answer(true);
  await assert.rejects(wrong, withCode("INTERNAL"));
});

test("digests live in the thread that has fewest, away from another one if that is asked", () => {
  const { pool, threads, ready } = open(3);
  ready();
  const opened = (): string[] =>
    threads.map(({ kinds }) => kinds.filter((kind) => kind === "digest-open").join());
  const first = pool.openDigest(0);
  pool.openDigest(0);
  assert.deepEqual(opened(), ["digest-open", "digest-open", ""]);
  pool.openDigest(0);
  assert.deepEqual(opened(), ["digest-open", "digest-open", "digest-open"]);
  pool.openDigest(0, first);
  assert.equal(threads[0]?.requests.length, 1, "not where the first one lives");
  assert.equal(threads[1]?.requests.length, 2);
  const alone = open(1);
  alone.ready();
  alone.pool.openDigest(0, alone.pool.openDigest(0));
  assert.equal(alone.thread(0).requests.length, 2);
});

test("a digest's jobs are done in its thread, in order, and it makes room when it ends, once", async () => {
  const { pool, thread, ready } = open();
  ready();
  const digest = pool.openDigest(77);
  const parts = [sharedBytes(1), sharedBytes(2)];
  const into = sharedBytes(7);
  const updates = [digest.update(...parts), digest.updateFromFile(range, into)];
  const finished = digest.finish();
  const [, memory, file, close] = thread(0).jobs;
  assert.deepEqual(thread(0).kinds, ["digest-open", "digest-memory", "digest-file", "digest-close"]);
  assert.ok(
    memory?.kind === "digest-memory" && file?.kind === "digest-file" && close?.kind === "digest-close",
  );
  assert.deepEqual(memory.parts, parts);
  assert.equal(file.into, into);
  assert.deepEqual([file.fd, file.positionBytes, file.lengthBytes], [3, 5, 7]);
  for (let i = 0; i < 4; i++) thread(0).answer(new Uint8Array([i]));
  assert.deepEqual(
    [...(await Promise.all(updates)), await finished],
    [1, 2, 3].map((i) => new Uint8Array([i])),
  );
  void digest.finish().catch(() => undefined);
  // The thread has no digest now: of two equals the first is chosen.
  pool.openDigest(0);
  pool.openDigest(0);
  assert.deepEqual(thread(1).kinds, ["digest-open"]);
});

test("a digest whose thread has died is lost, also when another thread sits there; no other is", async () => {
  const { pool, threads, thread, ready } = open();
  ready();
  const [lost, kept] = [pool.openDigest(0), pool.openDigest(0)];
  const updated = lost.update(sharedBytes(1));
  assert.deepEqual([lost.isLost, kept.isLost], [false, false]);
  thread(0).die();
  await assert.rejects(updated, withCode("DISK_FAILED"));
  pool.prepare();
  assert.equal(threads.length, 3);
  threads[2]?.ready();
  assert.deepEqual([lost.isLost, kept.isLost], [true, false]);
  await assert.rejects(lost.update(sharedBytes(1)), { code: "DISK_FAILED", message: /try again/ });
  await assert.rejects(lost.finish(), withCode("DISK_FAILED"));
  assert.deepEqual(threads[2]?.kinds, []);
  // What was lost is not counted there, and its end takes nothing off the count.
  const anew = pool.openDigest(0);
  assert.deepEqual([threads[2]?.kinds, anew.isLost], [["digest-open"], false]);
  pool.openDigest(0);
  pool.openDigest(0);
  assert.equal(threads[2]?.requests.length, 2);
  assert.equal(thread(1).requests.length, 2, "each thread has two");
});

test("jobs for anybody outlive a thread that dies: the others do them, or a new one", async () => {
  const { pool, threads, thread, ready } = open(1);
  ready();
  const jobs = Array.from({ length: 6 }, () => pool.hashRange(range));
  thread(0).die();
  const failed = await Promise.allSettled(jobs.slice(0, 4));
  assert.ok(failed.every(({ status }) => status === "rejected"));
  assert.equal(threads.length, 2, "another one is started for what waits");
  threads[1]?.ready();
  assert.equal(threads[1]?.requests.length, 2);
  threads[1]?.answer();
  threads[1]?.answer();
  await Promise.all(jobs.slice(4));
});

test("a thread that cannot start takes nobody's job with it while another one runs", async () => {
  const { pool, threads, thread } = open();
  const job = pool.hashRange(range);
  thread(0).ready();
  assert.equal(thread(0).requests.length, 1);
  const waiting = Array.from({ length: 4 }, () => pool.hashRange(range));
  thread(1).die();
  assert.equal(threads.length, 3);
  for (let i = 0; i < 5; i++) thread(0).answer();
  await Promise.all([job, ...waiting]);
});

test("threads that cannot start fail what waits", async () => {
  const { pool, thread } = open(1);
  const job = pool.hashRange(range);
  thread(0).die(new Error("no memory"));
  await assert.rejects(job, { code: "DISK_FAILED", message: /thread .* died/ });
});

test("closing waits for jobs, refuses new ones, and then ends the threads; nothing starts them again", async () => {
  const { pool, threads, thread, ready } = open();
  ready();
  const job = pool.hashRange(range);
  let isClosed = false;
  const closed = pool.close().then(() => (isClosed = true));
  await settle();
  assert.deepEqual([isClosed, thread(0).isTerminated], [false, false]);
  await assert.rejects(pool.hashRange(range), { code: "DISK_FAILED", message: /it was closed/ });
  pool.prepare();
  thread(0).answer();
  await job;
  await closed;
  await pool.close();
  assert.deepEqual(
    threads.map(({ isTerminated }) => isTerminated),
    [true, true],
  );
  await assert.rejects(pool.openDigest(0).finish(), withCode("DISK_FAILED"));
  pool.prepare();
  assert.equal(threads.length, 2);
});

test("a pool that is closed ends also when its last job dies with the thread", async () => {
  const { pool, thread, ready } = open(1);
  ready();
  const job = assert.rejects(pool.hashRange(range), withCode("DISK_FAILED"));
  const closed = pool.close();
  thread(0).die();
  await job;
  await closed;
});

test("chunks that are given back are used again", () => {
  const { pool } = open();
  const chunk = pool.takeChunk();
  assert.equal(chunk.length, CHUNK_BYTES);
  assert.ok(chunk.buffer instanceof SharedArrayBuffer);
  assert.notEqual(pool.takeChunk().buffer, chunk.buffer);
  pool.giveChunk(chunk);
  assert.equal(pool.takeChunk().buffer, chunk.buffer);
});

test("a pool at rest ends the threads without a job or a digest; the next job starts them again", async () => {
  const { pool, threads, thread, ready } = open();
  ready();
  const digest = pool.openDigest(0);
  thread(0).answer();
  await settle();
  await pool.rest();
  assert.deepEqual([thread(0).isTerminated, thread(1).isTerminated], [false, true]);
  const hashed = pool.hashRange(range);
  assert.deepEqual([threads.length, pool.jobCount], [3, 2]);
  // What the ended one still says is not about its successor.
  thread(1).ready();
  thread(1).die();
  thread(2).ready();
  assert.deepEqual([thread(0).kinds, thread(1).kinds, thread(2).kinds], [["hash-range"], [], []]);
  await pool.rest();
  assert.equal(thread(0).isTerminated, false, "a job runs there");
  assert.equal(thread(2).isTerminated, true);
  thread(0).answer();
  await hashed;
  const finished = digest.finish();
  thread(0).answer();
  await finished;
  await pool.rest();
  assert.equal(thread(0).isTerminated, true);
  await pool.close();
});

test("what a job of a thread that rested waits for, a new thread does", async () => {
  const { pool, threads, thread, ready } = open(1);
  ready();
  const resting = pool.rest();
  const hashed = pool.hashRange(range);
  thread(0).die();
  await resting;
  thread(1).ready();
  thread(1).answer();
  assert.equal((await hashed).length, 20);
  assert.equal(threads.length, 2);
});

test("chunks are not kept by a pool at rest", async () => {
  const { pool } = open();
  const chunk = pool.takeChunk();
  pool.giveChunk(chunk);
  await pool.rest();
  assert.notEqual(pool.takeChunk(), chunk);
});
