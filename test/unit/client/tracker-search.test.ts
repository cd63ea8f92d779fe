// Which tracker is found, and how often each is dialled meanwhile; on timers of the test's own.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { findTracker } from "../../../src/client/tracker-search.ts";
import { soon } from "./session-fixture.ts";

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
      await preparing.promise;
      const fate = fates[index]?.[Number(name.split(".")[1])] ?? fates[index]?.at(-1);
      if (fate === "unprepared") throw new Error("closed meanwhile");
    },
    close: (name) => closed.push(name),
    onFailure: () => undefined,
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
    ...{ found, dialled, closed, answers, preparing, end, settle, after },
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
  const { found, dialled, after } = searchOf([["silent"], ["stands"]]);
  await after(1_500);
  assert.deepEqual(await soon("the search ends", found), { socket: "1.0", index: 1 });
  assert.deepEqual(dialled, ["0.0 at 0", "1.0 at 1500"]);
});

test("who has a place in a queue keeps it, and who is dead is dialled less and less", async () => {
  const { found, dialled, answers, after, settle, nobodyAtMs } = searchOf([["refuses"], ["silent"]]);
  await after(20_000);
  assert.deepEqual(dialled, ["0.0 at 0", "1.0 at 0", "0.1 at 500", "0.2 at 4500", "0.3 at 12500"]);
  assert.equal(nobodyAtMs(), 1_500, "people are told meanwhile");
  answers.get("1.0")?.();
  await settle();
  assert.deepEqual(await soon("the search ends", found), { socket: "1.0", index: 1 });
});

test("of two that answer at once one is taken, the other closed", async () => {
  const { found, answers, closed, after } = searchOf([["silent"], ["silent"]]);
  await after(1_500);
  answers.get("0.0")?.();
  answers.get("1.0")?.();
  assert.equal((await soon("the search ends", found))?.index, 0);
  assert.deepEqual(closed, ["1.0"]);
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
