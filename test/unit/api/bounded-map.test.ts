import assert from "node:assert/strict";
import { test } from "node:test";
import { BoundedMap } from "../../../src/api/bounded-map.ts";

test("a full map forgets the entry that was set longest ago, and returns it", () => {
  const map = new BoundedMap<string, number>(2);
  assert.equal(map.set("a", 1), undefined);
  assert.equal(map.set("b", 2), undefined);
  assert.equal(map.set("a", 3), undefined, "a key that is set again needs no room");
  assert.deepEqual(map.set("c", 4), ["b", 2]);
  assert.deepEqual([map.get("a"), map.get("b"), map.get("c"), map.size], [3, undefined, 4, 2]);
});

test("a deleted entry makes room for another", () => {
  const map = new BoundedMap<string, number>(1);
  map.set("a", 1);
  assert.equal(map.delete("a"), true);
  assert.equal(map.set("b", 2), undefined);
  map.clear();
  assert.deepEqual([map.size, map.get("b")], [0, undefined]);
});
