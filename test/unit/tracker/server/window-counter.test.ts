// Counts within windows: when they begin and end, what a store is told, and that strangers' keys take a bounded room.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type KeptCount, WindowCounter } from "../../../../src/tracker/server/window-counter.ts";

const WINDOW_MS = 1_000;

/** A store that notes what it is told. */
function notingStore(loaded: readonly KeptCount[] = []) {
  const told: string[] = [];
  const store = {
    load: () => loaded,
    put: (counter: string, { count, remainingMs }: KeptCount) =>
      void told.push(`${counter} put ${count} for ${remainingMs}`),
    remove: (counter: string) => void told.push(`${counter} remove`),
  };
  return { store, told };
}

function stage(
  options: { mostKeys?: number; every?: number; loaded?: readonly KeptCount[]; isKept?: boolean } = {},
) {
  const clock = { nowMs: 5_000 };
  const { mostKeys, every = 1, loaded, isKept = true } = options;
  const { store, told } = notingStore(loaded);
  const counter = new WindowCounter({
    ...{ windowMs: WINDOW_MS, nowMs: () => clock.nowMs },
    ...(mostKeys === undefined ? {} : { mostKeys }),
    ...(isKept ? { kept: { store, name: "c", every } } : {}),
  });
  return { counter, clock, told };
}

test("a window begins with a key's first event and ends with all of them", () => {
  const { counter, clock } = stage();
  assert.deepEqual([counter.countOf("a"), counter.remainingMsOf("a")], [0, 0]);
  counter.add("a");
  clock.nowMs += 400;
  counter.add("a");
  counter.add("b");
  assert.deepEqual([counter.countOf("a"), counter.remainingMsOf("a")], [2, 600]);
  clock.nowMs += 599;
  assert.deepEqual([counter.countOf("a"), counter.remainingMsOf("a")], [2, 1]);
  clock.nowMs += 1;
  assert.deepEqual([counter.countOf("a"), counter.remainingMsOf("a")], [0, 0]);
  assert.equal(counter.countOf("b"), 1);
  counter.add("a");
  assert.deepEqual([counter.countOf("a"), counter.remainingMsOf("a")], [1, WINDOW_MS]);
});

test("the parts of a key do not run together", () => {
  const { counter } = stage();
  counter.add("a", "bc");
  assert.deepEqual(
    [counter.countOf("a", "bc"), counter.countOf("ab", "c"), counter.countOf("abc")],
    [1, 0, 0],
  );
});

test("an event that is taken back does not count, and a key that is forgotten has none", () => {
  const { counter, told } = stage();
  counter.takeBack("a");
  counter.add("a");
  counter.add("a");
  counter.takeBack("a");
  assert.equal(counter.countOf("a"), 1);
  counter.takeBack("a");
  assert.deepEqual([counter.countOf("a"), counter.keyCount], [0, 0]);
  counter.add("b");
  counter.forget("b");
  counter.forget("b");
  assert.equal(counter.countOf("b"), 0);
  assert.deepEqual(told, [
    ...["c put 1 for 1000", "c put 2 for 1000", "c put 1 for 1000", "c remove"],
    ...["c put 1 for 1000", "c remove"],
  ]);
});

test("a count is stored after every so many events, and when it is asked for", () => {
  const { counter, clock, told } = stage({ every: 3 });
  for (let at = 0; at < 7; at++) counter.add("a");
  clock.nowMs += 100;
  assert.deepEqual(told.splice(0), ["c put 3 for 1000", "c put 6 for 1000"]);
  counter.store();
  assert.deepEqual(told, ["c put 7 for 900"]);
  const each = stage();
  each.counter.add("a");
  each.told.length = 0;
  each.counter.store();
  assert.deepEqual(each.told, [], "it is stored already");
  stage({ isKept: false }).counter.store();
});

test("what a store had goes on in the order in which it ends, for no longer than a window, and of too many the last", () => {
  const kept = (key: string, remainingMs: number): KeptCount => ({ key, count: 7, remainingMs });
  const { counter, clock } = stage({
    mostKeys: 3,
    loaded: [kept("a", 900), kept("b", 100), kept("c", 50_000), kept("d", 500)],
  });
  assert.equal(counter.keyCount, 3);
  clock.nowMs += 500;
  counter.add("new");
  assert.equal(counter.keyCount, 3, "what has ended makes room, whichever came first");
  clock.nowMs += 400;
  counter.add("other");
  assert.equal(counter.keyCount, 3);
  clock.nowMs += 100;
  counter.add("more");
  assert.equal(counter.keyCount, 3, "a clock that was set back prolongs no window");
});

test("past the most keys the one whose window ends first goes, also from the store; windows that ended are only forgotten", () => {
  const { counter, clock, told } = stage({ mostKeys: 2 });
  for (const key of ["a", "b"]) {
    counter.add(key);
    clock.nowMs += 100;
  }
  told.length = 0;
  counter.add("c");
  assert.deepEqual([counter.countOf("a"), counter.countOf("b"), counter.keyCount], [0, 1, 2]);
  assert.deepEqual(told.splice(0), ["c remove", "c put 1 for 1000"]);
  clock.nowMs += WINDOW_MS;
  counter.add("d");
  assert.equal(counter.keyCount, 1);
  assert.deepEqual(told, ["c put 1 for 1000"]);
});
