// Which writes a tracker takes, and what it says of those that it does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { GuardedWrites } from "../../../src/tracker/guarded-writes.ts";
import type { RegistryWriter } from "../../../src/tracker/registry/registry.ts";
import { WriteBlocks } from "../../../src/tracker/server/write-block.ts";

function setting() {
  const happened: string[] = [];
  const writeBlocks = new WriteBlocks(() => 1_000);
  const disk = { failure: undefined as Error | undefined };
  const storedAt = new Set<string>();
  const run = <T>(writeId: string, work: (writer: RegistryWriter) => T, isRetry?: boolean): T => {
    happened.push(`${writeId}${isRetry ? " again" : ""}`);
    if (disk.failure !== undefined) throw disk.failure;
    return work({} as RegistryWriter);
  };
  const clock = { isWrong: false };
  const writes = new GuardedWrites({
    replication: {
      write: async (writeId, work, isRetry) => run(`inside ${writeId}`, work, isRetry),
      writeAndConfirm: async (writeId, work, isRetry) => ({ result: run(writeId, work, isRetry), storedAt }),
    },
    writeBlocks,
    checkClock: () => {
      if (clock.isWrong) writeBlocks.begin("clock");
    },
    others: () => ["one", "two"],
    onWrite: () => happened.push("counted"),
  });
  return { clock, disk, happened, storedAt, writeBlocks, writes };
}

test("a write returns its result, and names the trackers that have not stored it", async () => {
  const { happened, storedAt, writes } = setting();
  storedAt.add("two");
  assert.equal(await writes.write("w1", () => 7), 7);
  assert.deepEqual(await writes.writeAndConfirm("w1", () => 8, true), { result: 8, unconfirmedAt: ["one"] });
  assert.deepEqual(happened, ["counted", "w1", "counted", "w1 again"]);
});

test("while a tracker cannot write, a write is refused before it begins", async () => {
  const { happened, writeBlocks, writes } = setting();
  writeBlocks.begin("disk-full");
  await assert.rejects(
    writes.write("w1", () => 7),
    { code: "TRACKER_CANNOT_WRITE", message: /is full/ },
  );
  await assert.rejects(
    writes.writeInside("w1", () => 7),
    { code: "TRACKER_CANNOT_WRITE" },
  );
  assert.deepEqual(happened, []);
});

test("the clock is checked before each write", async () => {
  const { clock, writes } = setting();
  clock.isWrong = true;
  await assert.rejects(
    writes.write("w1", () => 7),
    { code: "TRACKER_CANNOT_WRITE", message: /clock/ },
  );
});

test("a write that follows from others is done while the clock alone is wrong, and is confirmed otherwise", async () => {
  const { happened, writeBlocks, writes } = setting();
  assert.equal(await writes.writeInside("w1", () => 7), 7);
  writeBlocks.begin("clock");
  assert.equal(await writes.writeInside("w2", () => 8), 8);
  assert.deepEqual(happened, ["counted", "w1", "inside w2"]);
});

test("a write that failed since the disk is full says so, with the failure as its cause", async () => {
  const { disk, writeBlocks, writes } = setting();
  const failure = Object.assign(new Error("database or disk is full"), { errcode: 13 });
  disk.failure = failure;
  await assert.rejects(
    writes.write("w1", () => 7),
    failure,
    "the block has yet to begin",
  );
  const raising = Object.assign(new Error("full"), { errcode: 13 });
  const blocked = new GuardedWrites({
    replication: {
      write: () => Promise.reject(raising),
      writeAndConfirm: async () => {
        writeBlocks.begin("disk-full");
        throw raising;
      },
    },
    writeBlocks,
    checkClock: () => undefined,
    others: () => [],
    onWrite: () => undefined,
  });
  await assert.rejects(
    blocked.write("w2", () => 7),
    { code: "TRACKER_CANNOT_WRITE", cause: raising },
  );
});

test("any other failure of a write is passed on, also while a block begins", async () => {
  const { writeBlocks } = setting();
  const failure = new Error("a rule refuses");
  const writes = new GuardedWrites({
    replication: {
      write: () => Promise.reject(failure),
      writeAndConfirm: async () => {
        writeBlocks.begin("clock");
        throw failure;
      },
    },
    writeBlocks,
    checkClock: () => undefined,
    others: () => [],
    onWrite: () => undefined,
  });
  await assert.rejects(
    writes.write("w1", () => 7),
    failure,
  );
});
