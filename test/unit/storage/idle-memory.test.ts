// When a process that has nothing to do gives its memory back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { IdleMemory } from "../../../src/storage/idle-memory.ts";

const MIB = 1024 * 1024;

function stage() {
  const state = { nowMs: 0, residentBytes: 200 * MIB, jobCount: 0, takenCount: 0, readCount: 0 };
  const done: string[] = [];
  const note = (what: string) => (): void => void done.push(what);
  const disk = {
    get jobCount() {
      return state.jobCount;
    },
    rest: async () => note("threads")(),
  };
  const memory = {
    get takenCount() {
      return state.takenCount;
    },
    release: note("pieces"),
  };
  const cache = {
    get readCount() {
      return state.readCount;
    },
    release: note("frames"),
  };
  const idle = new IdleMemory({
    storage: { disk, memory, cache } as never,
    collectGarbage: note("garbage"),
    nowMs: () => state.nowMs,
    residentBytes: () => state.residentBytes,
  });
  idle.close();
  /** Looks as often as it would by itself in that time. @returns what was released meanwhile */
  const after = async (seconds: number): Promise<string[]> => {
    for (let left = seconds; left > 0; left -= 15) {
      state.nowMs += 15_000;
      await idle.look();
    }
    return done.splice(0);
  };
  return { state, after };
}

const all = ["threads", "pieces", "frames", "garbage"];

test("a minute after the last piece, read or job, everything is released once, and the garbage is collected last", async () => {
  const { state, after } = stage();
  assert.deepEqual(await after(45), []);
  assert.deepEqual(await after(15), all);
  assert.deepEqual(await after(600), []);
  for (const count of ["jobCount", "takenCount", "readCount"] as const) {
    state[count]++;
    assert.deepEqual(await after(60), [], count);
    assert.deepEqual(await after(15), all, count);
  }
});

test("a process at rest that grows all the same collects again, not for less than 16 MiB", async () => {
  const { state, after } = stage();
  await after(60);
  state.residentBytes = 100 * MIB;
  assert.deepEqual(await after(15), []);
  state.residentBytes = 115 * MIB;
  assert.deepEqual(await after(60), []);
  state.residentBytes = 117 * MIB;
  assert.deepEqual(await after(15), all);
  assert.deepEqual(await after(60), []);
});
