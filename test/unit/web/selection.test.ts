import assert from "node:assert/strict";
import { test } from "node:test";
import {
  emptySelection,
  extendTo,
  keepOnly,
  tickOf,
  toggle,
  toggleAll,
} from "../../../web/src/state/selection.ts";

const shown = ["a", "b", "c", "d", "e"];

test("a range takes the state of the row that it begins at", () => {
  const ticked = extendTo(toggle(emptySelection, "b"), "d", shown);
  assert.deepEqual([...ticked.keys], ["b", "c", "d"]);
  const unticked = extendTo(toggle(ticked, "c"), "a", shown);
  assert.deepEqual([...unticked.keys], ["d"]);
});

test("a range without a beginning that is shown ticks its row alone", () => {
  assert.deepEqual([...extendTo(emptySelection, "c", shown).keys], ["c"]);
  assert.deepEqual([...extendTo(toggle(emptySelection, "hidden"), "c", shown).keys], ["hidden", "c"]);
});

test("the tick above the list ticks what is shown, and rows that are hidden keep theirs", () => {
  const some = toggle(toggle(emptySelection, "hidden"), "a");
  assert.equal(tickOf(some, shown), "mixed");
  const all = toggleAll(some, shown);
  assert.equal(tickOf(all, shown), "on");
  const none = toggleAll(all, shown);
  assert.equal(tickOf(none, shown), "off");
  assert.deepEqual([...none.keys], ["hidden"]);
});

test("rows that are gone are not ticked any more", () => {
  const some = toggle(toggle(emptySelection, "a"), "gone");
  assert.deepEqual([...keepOnly(some, new Set(shown)).keys], ["a"]);
  const kept = toggle(emptySelection, "a");
  assert.equal(keepOnly(kept, new Set(shown)), kept);
});
