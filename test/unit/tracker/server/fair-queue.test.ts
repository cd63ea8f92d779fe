import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FairQueue } from "../../../../src/tracker/server/fair-queue.ts";

function served<T>(queue: FairQueue<T>): T[] {
  const items: T[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
  return items;
}

test("keys are served in turn at each level, and the items of one key in the order in which they came", () => {
  const queue = new FairQueue<string>(100);
  for (const item of ["a/x/1", "a/x/2", "a/x/3", "a/y/1", "b/z/1", "b/z/2"]) {
    queue.push(item.split("/").slice(0, 2), item);
  }
  assert.deepEqual(served(queue), ["a/x/1", "b/z/1", "a/y/1", "b/z/2", "a/x/2", "a/x/3"]);
});

test("a key that comes late waits for one turn of each other key, however much those have waiting", () => {
  const queue = new FairQueue<string>(10_000);
  for (let item = 0; item < 3_000; item++) queue.push([`flood ${item % 3}`], "flood");
  queue.shift();
  queue.push(["late"], "late");
  assert.deepEqual([1, 2, 3, 4].map(() => queue.shift()).indexOf("late"), 3);
});

test("when it is full, the key with most waiting items loses its newest, and others get in", () => {
  const queue = new FairQueue<string>(3);
  assert.equal(queue.push(["a", "x"], "ax1"), undefined);
  queue.push(["a", "x"], "ax2");
  queue.push(["a", "y"], "ay1");
  assert.equal(queue.push(["b", "z"], "bz1"), "ax2");
  assert.equal(queue.push(["a", "x"], "ax3"), "ax3");
  assert.equal(queue.sizeOf(["a"]), 2);
  assert.deepEqual(served(queue), ["ax1", "bz1", "ay1"]);
});

test("sizes agree with what is served, whatever was pushed, shifted and removed", () => {
  const key = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), path: fc.tuple(key, key) }),
    fc.record({ kind: fc.constant("shift" as const) }),
    fc.record({ kind: fc.constant("remove" as const), at: fc.nat(10) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new FairQueue<object>(8);
      const waiting = new Map<object, string[]>();
      for (const one of steps) {
        if (one.kind === "push") {
          const item = {};
          waiting.set(item, one.path);
          const refused = queue.push(one.path, item);
          if (refused !== undefined) waiting.delete(refused);
        } else if (one.kind === "shift") {
          const item = queue.shift();
          assert.equal(item === undefined, waiting.size === 0);
          if (item !== undefined) assert.ok(waiting.delete(item));
        } else {
          const [item, path] = [...waiting][one.at] ?? [{}, ["a", "b"]];
          assert.equal(queue.remove(path, item), waiting.delete(item));
        }
        assert.equal(queue.size, waiting.size);
        for (const first of ["a", "b", "c"]) {
          const below = [...waiting.values()].filter((path) => path[0] === first).length;
          assert.equal(queue.sizeOf([first]), below);
        }
      }
      assert.deepEqual(new Set(queue.takeAll()), new Set(waiting.keys()));
    }),
  );
});
