import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { guardOf } from "../../../src/net/connection-guard.ts";

test("a handler's failure, at once or later, is told with its place, and never thrown", async () => {
  const faults: string[] = [];
  const guard = guardOf((error, where) => faults.push(`${where}: ${String(error)}`));
  guard("message", (sum: number) => {
    if (sum > 1) throw new RangeError("too many");
  })(2);
  guard("upgrade", async () => {
    await turn();
    throw new Error("gone");
  })();
  assert.deepEqual(faults, ["message: RangeError: too many"]);
  await turn();
  await turn();
  assert.deepEqual(faults, ["message: RangeError: too many", "upgrade: Error: gone"]);
});

test("a handler that goes well is told nothing of, and gets what it is given", () => {
  const given: unknown[] = [];
  guardOf(() => assert.fail("no fault"))("open", (...all: readonly unknown[]) => given.push(...all))(
    1,
    "two",
  );
  assert.deepEqual(given, [1, "two"]);
});

test("a report that fails itself goes no further", () => {
  const guard = guardOf(() => {
    throw new Error("the disk is full");
  });
  assert.doesNotThrow(
    guard("close", () => {
      throw new Error("first");
    }),
  );
});
