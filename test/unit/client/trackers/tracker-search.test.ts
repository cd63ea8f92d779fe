// Which tracker is found, and how often each is dialled meanwhile; on timers of the test's own.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { findTracker } from "../../../../src/client/trackers/tracker-search.ts";
import { soon, virtualTime } from "../session-fixture.ts";

/** What becomes of each dial at a tracker, in order; the last goes on. */
type Fate = "refuses" | "silent" | "stands" | "unprepared";

function searchOf(fates: readonly (readonly Fate[])[], first = 0, end = new AbortController()) {
  const dialled: string[] = [];
  const closed: string[] = [];
  const counts = fates.map(() => 0);
  let nowMs = 0;
  let nobodyAtMs: number | undefined;
  const sleepers = new Set<{ untilMs: number; wake: () => void }>();
  const answers = new Map<string, () => void>();
  const prepared: string[] = [];
  const failed: number[] = [];
  /** What preparations wait for. */
  const preparing = { promise: Promise.resolve() };
  const found = findTracker<string>({
    count: fates.length,
    first,
    random: () => 0.5,
    signal: end.signal,
    wait: (milliseconds, signal) => {
      const { promise, resolve: wake } = Promise.withResolvers<void>();
      if (signal.aborted) return Promise.resolve();
      sleepers.add({ untilMs: nowMs + milliseconds, wake });
      signal.addEventListener("abort", () => wake());
      return promise;
    },
    open: (index, signal) => {
      const count = counts[index] ?? 0;
      counts[index] = count + 1;
      const name = `${index}.${count}`;
      dialled.push(`${name} at ${nowMs}`);
      const fate = fates[index]?.[Math.min(count, (fates[index]?.length ?? 1) - 1)];
      if (fate === "refuses") return Promise.reject(new Error("refused"));
      return new Promise((resolve, reject) => {
        answers.set(name, () => resolve(name));
        if (fate !== "silent") resolve(name);
        signal.addEventListener("abort", () => reject(new Error("given up")));
      });
    },
    prepare: async (name, index) => {
      prepared.push(name);
      await preparing.promise;
      const fate = fates[index]?.[Number(name.split(".")[1])] ?? fates[index]?.at(-1);
      if (fate === "unprepared") throw new Error("closed meanwhile");
    },
    close: (name) => closed.push(name),
    onFailure: (index) => failed.push(index),
    onNobody: () => {
      nobodyAtMs = nowMs;
    },
  });
  const settle = async () => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const after = async (milliseconds: number) => {
    await settle();
    for (let ms = 0; ms < milliseconds; ms += 100) {
      nowMs += 100;
      for (const sleeper of [...sleepers]) {
        if (sleeper.untilMs > nowMs) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
      await settle();
    }
  };
  return {
    ...{ found, dialled, closed, answers, preparing, prepared, failed, end, settle, after },
    nobodyAtMs: () => nobodyAtMs,
  };
}

test("the first that stands is taken, and no other is dialled", async () => {
  const { found, dialled, nobodyAtMs } = searchOf([["stands"], ["stands"]], 1);
  assert.deepEqual(await soon("the search ends", found), { socket: "1.0", index: 1 });
  assert.deepEqual(dialled, ["1.0 at 0"]);
  assert.equal(nobodyAtMs(), undefined);
});

test("after one that refuses, or cannot be prepared, the next is dialled at once", async () => {
  const { found, dialled } = searchOf([["refuses"], ["unprepared"], ["stands"]]);
  assert.deepEqual(await soon("the search ends", found), { socket: "2.0", index: 2 });
  assert.deepEqual(dialled, ["0.0 at 0", "1.0 at 0", "2.0 at 0"]);
});

test("beside one that says nothing the next is dialled after a moment", async () => {
  const { found, dialled, failed, after } = searchOf([["silent"], ["stands"]]);
  await after(1_500);
  assert.deepEqual(await soon("the search ends", found), { socket: "1.0", index: 1 });
  assert.deepEqual(dialled, ["0.0 at 0", "1.0 at 1500"]);
  assert.deepEqual(failed, [], "a dial that is given up for another tracker is no failure");
});

test("a place in a tracker's queue is kept, and a dead tracker is dialled less and less", async () => {
  const { found, dialled, answers, after, settle, nobodyAtMs } = searchOf([["refuses"], ["silent"]]);
  await after(20_000);
  assert.deepEqual(dialled, ["0.0 at 0", "1.0 at 0", "0.1 at 500", "0.2 at 4500", "0.3 at 12500"]);
  assert.equal(nobodyAtMs(), 1_500, "people are told meanwhile");
  answers.get("1.0")?.();
  await settle();
  assert.deepEqual(await soon("the search ends", found), { socket: "1.0", index: 1 });
});

test("when two trackers answer at once, one is prepared and taken, the other closed", async () => {
  const scene = searchOf([["silent"], ["silent"]]);
  const { found, answers, closed, after, settle, preparing, prepared, failed } = scene;
  await after(1_500);
  const over = Promise.withResolvers<void>();
  preparing.promise = over.promise;
  answers.get("0.0")?.();
  answers.get("1.0")?.();
  await settle();
  assert.deepEqual(prepared, ["0.0"], "one after the other");
  over.resolve();
  assert.equal((await soon("the search ends", found))?.index, 0);
  assert.deepEqual([closed, prepared, failed], [["1.0"], ["0.0"], []]);
});

test("one that was dead and is back is found", async () => {
  const { found, after } = searchOf([["refuses", "refuses", "stands"]]);
  await after(1_500);
  assert.deepEqual(await soon("the search ends", found), { socket: "0.2", index: 0 });
});

test("where none stands, each is dialled every two seconds", async () => {
  const { dialled, after, end, settle } = searchOf([["refuses"]]);
  await after(10_000);
  assert.deepEqual(dialled.slice(2), [
    "0.2 at 1500",
    "0.3 at 3500",
    "0.4 at 5500",
    "0.5 at 7500",
    "0.6 at 9500",
  ]);
  end.abort();
  await settle();
});

test("ended, it finds nothing and dials nobody any more", async () => {
  const { found, dialled, end, after, settle } = searchOf([["refuses"], ["silent"]]);
  await after(1_000);
  end.abort();
  await settle();
  assert.equal(await soon("the search ends", found), undefined);
  const count = dialled.length;
  await after(5_000);
  assert.equal(dialled.length, count);
});

test("a search that is over before it begins dials nobody", async () => {
  const end = new AbortController();
  end.abort();
  const { found, dialled } = searchOf([["stands"]], 0, end);
  assert.equal(await soon("the search ends", found), undefined);
  assert.deepEqual(dialled, []);
});

test("a tracker that is being prepared when the search ends is closed", async () => {
  const { found, preparing, closed, end, settle } = searchOf([["stands"]]);
  const prepared = Promise.withResolvers<void>();
  preparing.promise = prepared.promise;
  await settle();
  end.abort();
  prepared.resolve();
  assert.equal(await soon("the search ends", found), undefined);
  assert.deepEqual(closed, ["0.0"]);
});

test("a tracker that says nothing for a minute is given up, and dialled again", async () => {
  const { dialled, after, end, settle } = searchOf([["silent"]]);
  await after(59_900);
  assert.deepEqual(dialled, ["0.0 at 0"]);
  await after(700);
  assert.deepEqual(dialled, ["0.0 at 0", "0.1 at 60500"]);
  end.abort();
  await settle();
});

test("a search that has found a tracker listens to nothing any more", async () => {
  const { found, end } = searchOf([["stands"]]);
  await soon("the search ends", found);
  assert.equal(getEventListeners(end.signal, "abort").length, 0);
});

/** The pauses of a search whose first tracker refuses, and whose second, if there is one, says nothing. */
async function pausesOf(count: number, random: number, most: number): Promise<number[]> {
  const end = new AbortController();
  const pauses: number[] = [];
  await findTracker<string>({
    ...{ count, first: 0, signal: end.signal, random: () => random },
    wait: async (milliseconds, signal) => {
      if (milliseconds === 60_000 || milliseconds === 1_500) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        return;
      }
      pauses.push(milliseconds);
      if (pauses.length === most) end.abort();
    },
    open: (index, signal) =>
      index === 0
        ? Promise.reject(new Error("refused"))
        : new Promise((_resolve, reject) =>
            signal.addEventListener("abort", () => reject(new Error("over"))),
          ),
    prepare: async () => undefined,
    close: () => undefined,
    onFailure: () => undefined,
    onNobody: () => undefined,
  });
  return pauses;
}

test("pauses grow to two seconds, or sixteen while another tracker may answer yet, and differ by half by chance", async () => {
  assert.deepEqual(await pausesOf(1, 0.5, 5), [500, 1_000, 2_000, 2_000, 2_000]);
  assert.deepEqual(await pausesOf(1, 0, 3), [250, 500, 1_000]);
  const beside = await pausesOf(2, 0.5, 7);
  assert.deepEqual(beside.slice(1, 7), [4_000, 8_000, 16_000, 16_000, 16_000, 16_000]);
});

test("a dial that is over leaves no timer", async (t) => {
  const time = virtualTime(t);
  const end = new AbortController();
  const found = findTracker<string>({
    ...{ count: 1, first: 0, signal: end.signal },
    open: () => Promise.reject(new Error("refused")),
    prepare: async () => undefined,
    close: () => undefined,
    onFailure: () => undefined,
    onNobody: () => undefined,
  });
  await time.after(0);
  assert.equal(time.timeouts, 1, "the pause before the next dial");
  end.abort();
  await soon("the search ends", found);
  assert.equal(time.timeouts, 0);
});
