import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  HybridClock,
  isStamp,
  MAX_AHEAD_MS,
  stampAfter,
  stampMs,
  stampOrigin,
} from "../../../../src/tracker/registry/stamp.ts";

const someMs = fc.integer({ min: 0, max: 2 ** 47 - 10_000 });

describe("HybridClock", () => {
  it("never goes back and never repeats, whatever the wall clock does", () => {
    fc.assert(
      fc.property(fc.array(someMs, { minLength: 2 }), (walls) => {
        let nowMs = 0;
        const clock = new HybridClock(() => nowMs, "a");
        let latest = "";
        for (const wall of walls) {
          nowMs = wall;
          const stamp = clock.next();
          assert.ok(stamp > latest);
          assert.ok(stampMs(stamp) >= wall);
          latest = stamp;
        }
      }),
    );
  });

  it("reads above everything it observed", () => {
    fc.assert(
      fc.property(someMs, fc.array(fc.integer({ min: -1000, max: 1000 })), (nowMs, offsets) => {
        const clock = new HybridClock(() => nowMs, "a");
        for (const offset of offsets) {
          const other = new HybridClock(() => Math.max(0, nowMs + offset), "b");
          other.next();
          const heard = other.next();
          const before = clock.next();
          clock.observe(heard);
          const after = clock.next();
          assert.ok(after > heard && after > before);
        }
      }),
    );
  });

  it("stays at the wall clock while that moves on", () => {
    let nowMs = 1000;
    const clock = new HybridClock(() => nowMs, "a");
    clock.next();
    nowMs = 1001;
    assert.equal(clock.next(), "0000000003e9-000000-a");
    assert.equal(clock.next(), "0000000003e9-000001-a");
  });

  it("goes on in the next millisecond when the counter is used up", () => {
    const clock = new HybridClock(() => 5, "a", "000000000005-ffffff-b");
    assert.equal(clock.next(), "000000000006-000000-a");
  });

  it("goes on from the latest stamp that it is given", () => {
    const clock = new HybridClock(() => 5, "a", "000000000009-000002-b");
    assert.equal(clock.next(), "000000000009-000003-a");
  });

  it("is not moved by what is more than an hour ahead, and refuses what no clock can have made", () => {
    const clock = new HybridClock(() => 0, "a");
    const ahead = (ms: number) => new HybridClock(() => ms, "b").next();
    clock.observe(ahead(MAX_AHEAD_MS + 1));
    assert.ok(clock.next() < ahead(1));
    clock.observe(ahead(MAX_AHEAD_MS));
    assert.ok(clock.next() > ahead(MAX_AHEAD_MS));
    assert.throws(() => clock.observe(ahead(2 ** 47 + 1)), { code: "MALFORMED_MESSAGE" });
  });

  it("knows the next stamp after any that is observed", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 47 }),
        fc.constantFrom("000000", "00ab3f", "ffffff"),
        (ms, counter) => {
          for (const origin of ["a", "zz"]) {
            const stamp = `${ms.toString(16).padStart(12, "0")}-${counter}-${origin}`;
            const after = stampAfter(stamp, "m");
            assert.ok(isStamp(after) && after > stamp);
            assert.equal(stampOrigin(after), "m");
          }
        },
      ),
    );
  });

  it("refuses what is no stamp", () => {
    const clock = new HybridClock(() => 0, "a");
    for (const text of [
      "",
      "1-2-3",
      "00000000000g-000000-a",
      "000000000000-000000-",
      "000000000000-000000-A",
    ]) {
      assert.equal(isStamp(text), false);
      assert.throws(() => clock.observe(text), { code: "MALFORMED_MESSAGE" });
    }
  });

  it("says when and by whom a stamp was made", () => {
    fc.assert(
      fc.property(someMs, fc.stringMatching(/^[0-9a-z]{1,32}$/), (ms, origin) => {
        const stamp = new HybridClock(() => ms, origin).next();
        assert.equal(stampMs(stamp), ms);
        assert.equal(stampOrigin(stamp), origin);
      }),
    );
  });
});
