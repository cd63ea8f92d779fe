import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LargestFirst } from "../../../../src/tracker/server/largest-first.ts";

test("the largest is known whatever is added, changed and removed, and every size is the last one given", () => {
  const change = fc.tuple(fc.nat(12), fc.nat(6));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const set = new LargestFirst<number>();
      const sizes = new Map<number, number>();
      for (const [key, size] of changes) {
        set.set(key, size);
        if (size === 0) sizes.delete(key);
        else sizes.set(key, size);
        assert.equal(set.isEmpty, sizes.size === 0);
        const { largest } = set;
        const most = Math.max(0, ...sizes.values());
        assert.equal(largest === undefined ? 0 : sizes.get(largest), most);
        for (let other = 0; other <= 12; other++) assert.equal(set.sizeOf(other), sizes.get(other) ?? 0);
      }
      const order: number[] = [];
      for (let { largest } = set; largest !== undefined; { largest } = set) {
        assert.ok(order.length < sizes.size, "one that was removed is still there");
        order.push(set.sizeOf(largest));
        set.set(largest, 0);
      }
      assert.deepEqual(
        order,
        [...sizes.values()].sort((a, b) => b - a),
      );
    }),
    { numRuns: 300 },
  );
});
