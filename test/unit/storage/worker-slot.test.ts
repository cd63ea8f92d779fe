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
  const slot = new WorkerSlot({
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
    slot.start();
    const thread = threads.at(-1);
    assert.ok(thread);
    return thread;
  };
  const startReady = (): FakeThread => {
    const thread = start();
    thread.ready();
    return thread;
  };
  return { slot, threads, shared, told, deaths, pending, start, startReady };
}

test("a thread is started once, and gets jobs when it says that it takes them: four at once", () => {
  const { slot, threads, shared, pending, start } = open();
  assert.deepEqual([slot.thread, slot.isReady], [undefined, false]);
  for (let i = 0; i < 6; i++) shared.push(pending(sharedJob));
  const thread = start();
  slot.start();
  assert.equal(threads.length, 1);
  assert.equal(slot.thread, thread);
  slot.dispatch();
  assert.deepEqual([slot.isReady, thread.requests.length], [false, 0]);
  thread.ready();
  assert.deepEqual([slot.isReady, thread.requests.length, shared.length], [true, 4, 2]);
  thread.answer();
  assert.deepEqual([thread.requests.length, shared.length], [4, 1]);
  const ids = thread.requests.map(({ jobId }) => jobId);
  assert.equal(new Set(ids).size, 4);
});

test("a caller hears of the result once, and the pool after them", () => {
  const { slot, shared, told, pending, startReady } = open();
  const thread = startReady();
  shared.push(pending(sharedJob, "a"));
  slot.dispatch();
  assert.equal(slot.isIdle, false);
  const [request] = thread.requests;
  assert.ok(request);
  thread.answer(true);
  assert.deepEqual(told, [["a", true], "settled"]);
  assert.equal(slot.isIdle, true);
  thread.emit("message", { jobId: request.jobId, result: false });
  assert.equal(told.length, 2, "an answer to nothing is passed by");
});

test("a refusal is explained from the system's code and words", () => {
  const { slot, shared, told, pending, startReady } = open();
  const thread = startReady();
  shared.push(pending(sharedJob, "a"));
  slot.dispatch();
  thread.refuse("EIO", "it broke");
  const [first] = told as [string, MiniTorrentError][];
  assert.equal(first?.[1].message, "explained: it broke");
  assert.deepEqual({ ...(first?.[1].cause as object) }, { code: "EIO" });
  assert.equal(told[1], "settled");
});

test("a digest's jobs go first, and beside digests no more than two others wait in the thread", () => {
  const { slot, shared, pending, startReady } = open();
  const thread = startReady();
  slot.digestOpened();
  for (let i = 0; i < 4; i++) shared.push(pending(sharedJob));
  slot.add(pending(digestJob));
  slot.dispatch();
  assert.deepEqual(thread.kinds, ["digest-memory", "hash-range"]);
  assert.equal(shared.length, 3);
  for (let i = 0; i < 4; i++) slot.add(pending(digestJob));
  slot.dispatch();
  assert.deepEqual(thread.kinds, ["digest-memory", "hash-range", "digest-memory", "digest-memory"]);
  assert.equal(slot.isIdle, false);
  slot.digestClosed();
  assert.equal(slot.digestCount, 0);
  for (let i = 0; i < 4; i++) thread.answer();
  assert.deepEqual(thread.kinds, ["digest-memory", "digest-memory", "hash-range", "hash-range"]);
});

test("reading back for a digest takes turns with the pieces that wait", () => {
  const { slot, shared, pending, startReady } = open();
  const thread = startReady();
  slot.digestOpened();
  for (let i = 0; i < 3; i++) {
    shared.push(pending(sharedJob));
    slot.add(pending(readBack));
  }
  slot.dispatch();
  assert.deepEqual(thread.kinds, ["digest-file", "hash-range", "digest-file", "hash-range"]);
  thread.answer();
  thread.answer();
  assert.deepEqual(thread.kinds, ["digest-file", "hash-range", "digest-file"]);
});

test("reading back goes on at once while no piece waits", () => {
  const { slot, pending, startReady } = open();
  const thread = startReady();
  slot.digestOpened();
  for (let i = 0; i < 3; i++) slot.add(pending(readBack));
  slot.dispatch();
  assert.deepEqual(thread.kinds, ["digest-file", "digest-file", "digest-file"]);
});

test("a thread is the more loaded the more it has; with digests, and before it is ready, more so", () => {
  const { slot, shared, pending, start } = open();
  const thread = start();
  const notReady = slot.load;
  thread.ready();
  const idle = slot.load;
  shared.push(pending(sharedJob));
  slot.dispatch();
  const busy = slot.load;
  slot.digestOpened();
  const withDigest = slot.load;
  thread.answer();
  assert.ok(idle < busy && busy < withDigest && slot.load < withDigest);
  // A full thread with digests is sooner done than one that does not run yet.
  assert.ok(notReady >= idle + 8, `${notReady} and ${idle}`);
  assert.ok(slot.load >= idle + 4);
});

test("a thread that dies fails what it has and what waits for it alone; another one takes its place", () => {
  const { slot, threads, shared, told, deaths, pending, startReady } = open();
  const thread = startReady();
  slot.digestOpened();
  shared.push(pending(sharedJob, "given"), pending(sharedJob, "given too"), pending(sharedJob, "anybody's"));
  slot.dispatch();
  thread.requests.length = 4;
  slot.add(pending(digestJob, "bound"));
  thread.die(new Error("out of memory"));
  const names = (told as [string, MiniTorrentError][]).map(([name]) => name);
  assert.deepEqual(names.sort(), ["bound", "given", "given too"]);
  for (const [, error] of told as [string, MiniTorrentError][]) {
    assert.equal(error.code, "DISK_FAILED");
    assert.match(String(error.cause), /out of memory/);
  }
  assert.deepEqual([deaths[0]?.wasReady, deaths[0]?.reason.code], [true, "DISK_FAILED"]);
  assert.deepEqual(
    [slot.thread, slot.isReady, slot.isIdle, slot.digestCount, shared.length],
    [undefined, false, true, 0, 1],
  );
  slot.dispatch();
  slot.start();
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
  const { slot, startReady } = open();
  await slot.close();
  const thread = startReady();
  await slot.close();
  assert.equal(thread.isTerminated, true);
});
