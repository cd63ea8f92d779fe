import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Heap } from "../../../../src/tracker/server/heap.ts";

interface Item {
  priority: number;
}

test("items leave in their order, whatever was removed or changed before", () => {
  const change = fc.record({
    what: fc.constantFrom("add", "remove", "update"),
    at: fc.nat(30),
    to: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
      const heap = new Heap<Item>((item, other) => item.priority < other.priority);
      const all: Item[] = [];
      for (const { what, at, to } of changes) {
        const item = all[at % Math.max(1, all.length)];
        if (what === "add" || item === undefined) {
          const added = { priority: to };
          all.push(added);
          heap.add(added);
        } else if (what === "remove") {
          all.splice(all.indexOf(item), 1);
          heap.remove(item);
          heap.remove(item);
        } else {
          item.priority = to;
          heap.update(item);
        }
        assert.equal(heap.size, all.length);
      }
      const taken = Array.from(all, () => heap.takeFirst()?.priority);
      assert.deepEqual(
        taken,
        all.map(({ priority }) => priority).sort((one, other) => one - other),
      );
      assert.equal(heap.takeFirst(), undefined);
    }),
    { numRuns: 300 },
  );
});
