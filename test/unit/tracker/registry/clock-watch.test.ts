import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { ClockGuard } from "../../../../src/tracker/registry/clock-guard.ts";
import { ClockWatch } from "../../../../src/tracker/registry/clock-watch.ts";
import { SqliteRegistry } from "../../../../src/tracker/registry/sqlite-registry.ts";

test("a look at the clock that fails is not the last one", (t) => {
  const registry = SqliteRegistry.open({ path: ":memory:", nowMs: Date.now, totalsOf: () => ({}) });
  t.after(() => registry.close());
  const guard = new ClockGuard({
    ...{ wallMs: Date.now, monotonicMs: () => performance.now(), bootMs: () => performance.now() },
  });
  let due: (() => void)[] = [];
  const setTimer = (_delayMs: number, callback: () => void) => {
    due.push(callback);
    return () => undefined;
  };
  new ClockWatch({
    ...{ guard, registry, clock: { nowMs: () => performance.now(), setTimer } },
    ...{ log: pino({ level: "silent" }), onChanged: () => undefined },
  });
  const look = t.mock.method(guard, "look", () => {
    throw new Error("a bug");
  });
  for (let times = 1; times <= 3; times++) {
    const [next] = due;
    due = [];
    assert.throws(() => next?.(), /a bug/);
    assert.equal(look.mock.callCount(), times);
  }
});
