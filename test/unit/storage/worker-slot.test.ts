// One thread of the disk: how many jobs it has at once, which goes next, and what its death does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { DiskJob, DiskResult } from "../../../src/storage/disk-jobs.ts";
import { type PendingJob, WorkerSlot } from "../../../src/storage/worker-slot.ts";
import { FakeThread } from "./fake-threads.ts";

const sharedJob: DiskJob = { kind: "hash-range", fd: 1, positionBytes: 0, lengthBytes: 1 };
const digestJob: DiskJob = { kind: "digest-memory", digestId: 1, parts: [] };
const readBack: DiskJob = {
  kind: "digest-file",
  digestId: 1,
  fd: 1,
  positionBytes: 0,
  lengthBytes: 1,
  into: undefined,
};

function open() {
  const threads: FakeThread[] = [];
  const shared: PendingJob[] = [];
  const told: unknown[] = [];
  const deaths: { wasReady: boolean; reason: MiniTorrentError }[] = [];
  const seat = new WorkerSlot({
    startThread: () => {
      const thread = new FakeThread();
      threads.push(thread);
      return thread;
    },
    shared,
    onSettled: () => void told.push("settled"),
    onDied: (wasReady, reason) => void deaths.push({ wasReady, reason: reason() }),
  });
  const pending = (job: DiskJob, name = ""): PendingJob => ({
    job,
    resolve: (result: DiskResult) => void told.push([name, result]),
    reject: (error) => void told.push([name, error]),
    explain: (error) =>
      new MiniTorrentError("INTERNAL", `explained: ${(error as Error).message}`, { cause: error }),
  });
  const start = (): FakeThread => {
    seat.start();
    const thread = threads.at(-1);
    assert.ok(thread);
    return thread;
  };
  const startReady = (): FakeThread => {
    const thread = start();
    thread.ready();
    return thread;
  };
  return { seat, threads, shared, told, deaths, pending, start, startReady };
}

test("a thread is started once, and gets jobs when it says that it takes them: four at once", () => {
  const { seat, threads, shared, pending, start } = open();
  assert.deepEqual([seat.thread, seat.isReady], [undefined, false]);
  for (let i = 0; i < 6; i++) shared.push(pending(sharedJob));
  const thread = start();
  seat.start();
  assert.equal(threads.length, 1);
  assert.equal(seat.thread, thread);
  seat.dispatch();
  assert.deepEqual([seat.isReady, thread.requests.length], [false, 0]);
  thread.ready();
  assert.deepEqual([seat.isReady, thread.requests.length, shared.length], [true, 4, 2]);
  thread.answer();
  assert.deepEqual([thread.requests.length, shared.length], [4, 1]);
  const ids = thread.requests.map(({ jobId }) => jobId);
  assert.equal(new Set(ids).size, 4);
});

test("a caller hears of the result once, and the pool after them", () => {
  const { seat, shared, told, pending, startReady } = open();
  const thread = startReady();
  shared.push(pending(sharedJob, "a"));
  seat.dispatch();
  assert.equal(seat.isIdle, false);
  const [request] = thread.requests;
  assert.ok(request);
  thread.answer(true);
  assert.deepEqual(told, [["a", true], "settled"]);
  assert.equal(seat.isIdle, true);
  thread.emit("message", { jobId: request.jobId, result: false });
  assert.equal(told.length, 2, "an answer to nothing is passed by");
});

test("a refusal is explained from the system's code and words", () => {
  const { seat, shared, told, pending, startReady } = open();
  const thread = startReady();
  shared.push(pending(sharedJob, "a"));
  seat.dispatch();
  thread.refuse("EIO", "it broke");
  const [first] = told as [string, MiniTorrentError][];
  assert.equal(first?.[1].message, "explained: it broke");
  assert.deepEqual({ ...(first?.[1].cause as object) }, { code: "EIO" });
  assert.equal(told[1], "settled");
});

test("a digest's jobs go first, and beside digests no more than two others wait in the thread", () => {
  const { seat, shared, pending, startReady } = open();
  const thread = startReady();
  seat.digestBegins();
  for (let i = 0; i < 4; i++) shared.push(pending(sharedJob));
  seat.add(pending(digestJob));
  seat.dispatch();
  assert.deepEqual(thread.kinds, ["digest-memory", "hash-range"]);
  assert.equal(shared.length, 3);
  for (let i = 0; i < 4; i++) seat.add(pending(digestJob));
  seat.dispatch();
  assert.deepEqual(thread.kinds, ["digest-memory", "hash-range", "digest-memory", "digest-memory"]);
  assert.equal(seat.isIdle, false);
  seat.digestEnds();
  assert.equal(seat.digestCount, 0);
  for (let i = 0; i < 4; i++) thread.answer();
  assert.deepEqual(thread.kinds, ["digest-memory", "digest-memory", "hash-range", "hash-range"]);
});

test("reading back for a digest takes turns with the pieces that wait", () => {
  const { seat, shared, pending, startReady } = open();
  const thread = startReady();
  seat.digestBegins();
  for (let i = 0; i < 3; i++) {
    shared.push(pending(sharedJob));
    seat.add(pending(readBack));
  }
  seat.dispatch();
  assert.deepEqual(thread.kinds, ["digest-file", "hash-range", "digest-file", "hash-range"]);
  thread.answer();
  thread.answer();
  assert.deepEqual(thread.kinds, ["digest-file", "hash-range", "digest-file"]);
});

test("reading back goes on at once while no piece waits", () => {
  const { seat, pending, startReady } = open();
  const thread = startReady();
  seat.digestBegins();
  for (let i = 0; i < 3; i++) seat.add(pending(readBack));
  seat.dispatch();
  assert.deepEqual(thread.kinds, ["digest-file", "digest-file", "digest-file"]);
});

test("a thread is the more loaded the more it has; with digests, and before it is ready, more so", () => {
  const { seat, shared, pending, start } = open();
  const thread = start();
  const notReady = seat.load;
  thread.ready();
  const idle = seat.load;
  shared.push(pending(sharedJob));
  seat.dispatch();
  const busy = seat.load;
  seat.digestBegins();
  const withDigest = seat.load;
  thread.answer();
  assert.ok(idle < busy && busy < withDigest && seat.load < withDigest);
  // A full thread with digests is sooner done than one that does not run yet.
  assert.ok(notReady >= idle + 8, `${notReady} and ${idle}`);
  assert.ok(seat.load >= idle + 4);
});

test("a thread that dies fails what it has and what waits for it alone; another one takes its place", () => {
  const { seat, threads, shared, told, deaths, pending, startReady } = open();
  const thread = startReady();
  seat.digestBegins();
  shared.push(pending(sharedJob, "given"), pending(sharedJob, "given too"), pending(sharedJob, "anybody's"));
  seat.dispatch();
  thread.requests.length = 4;
  seat.add(pending(digestJob, "bound"));
  thread.die(new Error("out of memory"));
  const names = (told as [string, MiniTorrentError][]).map(([name]) => name);
  assert.deepEqual(names.sort(), ["bound", "given", "given too"]);
  for (const [, error] of told as [string, MiniTorrentError][]) {
    assert.equal(error.code, "DISK_FAILED");
    assert.match(String(error.cause), /out of memory/);
  }
  assert.deepEqual([deaths[0]?.wasReady, deaths[0]?.reason.code], [true, "DISK_FAILED"]);
  assert.deepEqual(
    [seat.thread, seat.isReady, seat.isIdle, seat.digestCount, shared.length],
    [undefined, false, true, 0, 1],
  );
  seat.dispatch();
  seat.start();
  assert.equal(threads.length, 2);
  threads[1]?.ready();
  assert.deepEqual(threads[1]?.kinds, ["hash-range"]);
});

test("a thread that ends before it is ready is told of, with its exit code", () => {
  const { deaths, start } = open();
  start().die();
  assert.equal(deaths[0]?.wasReady, false);
  assert.match(String(deaths[0]?.reason.cause), /exit code 3/);
});

test("closing ends the thread, if there is one", async () => {
  const { seat, startReady } = open();
  await seat.close();
  const thread = startReady();
  await seat.close();
  assert.equal(thread.isTerminated, true);
});
