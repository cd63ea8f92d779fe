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

describe("stamps at their bounds", () => {
  const at = (ms: number, counter = "000000", origin = "b") =>
    `${ms.toString(16).padStart(12, "0")}-${counter}-${origin}`;

  it("a clock an hour ahead moves this one, and one a millisecond further does not", () => {
    const nowMs = 1_800_000_000_000;
    const hourMs = 60 * 60 * 1000;
    const clock = new HybridClock(() => nowMs, "a");
    clock.observe(at(nowMs + hourMs + 1));
    assert.equal(clock.next(), at(nowMs, "000000", "a"));
    clock.observe(at(nowMs + hourMs, "00000f"));
    assert.equal(clock.latest, at(nowMs + hourMs, "00000f", "a"));
    assert.equal(clock.next(), at(nowMs + hourMs, "000010", "a"));
    assert.equal(MAX_AHEAD_MS, hourMs);
  });

  it("the last stamp that a clock can have made is observed, and the next one is refused", () => {
    const clock = new HybridClock(() => 2 ** 47, "a");
    clock.observe(at(2 ** 47));
    assert.throws(() => clock.observe(at(2 ** 47 + 1)), {
      code: "MALFORMED_MESSAGE",
      message: /No clock can/,
    });
  });

  it("a part of a millisecond is none, and a counter begins again with each", () => {
    let nowMs = 7.9;
    const clock = new HybridClock(() => nowMs, "a");
    assert.deepEqual([clock.next(), clock.next()], [at(7, "000000", "a"), at(7, "000001", "a")]);
    nowMs = 8.1;
    assert.equal(clock.next(), at(8, "000000", "a"));
    clock.observe(at(8, "000005"));
    clock.observe(at(8, "000003"));
    clock.observe(at(3, "000009"));
    assert.equal(clock.next(), at(8, "000006", "a"));
  });

  it("a used-up counter is followed by the next millisecond, also of another's stamp", () => {
    const clock = new HybridClock(() => 5, "a", at(5, "fffffe"));
    assert.deepEqual([clock.next(), clock.next()], [at(5, "ffffff", "a"), at(6, "000000", "a")]);
    assert.equal(stampAfter(at(5, "ffffff"), "m"), at(6, "000000", "m"));
    assert.equal(stampAfter(at(5, "000009"), "m"), at(5, "00000a", "m"));
  });

  it("a text that is too long, too short or has another letter is no stamp", () => {
    for (const text of [
      at(1, "000000", ""),
      at(1, "000000", "a".repeat(33)),
      at(1, "000000", "a-"),
      ` ${at(1)}`,
    ]) {
      assert.equal(isStamp(text), false, text);
      assert.throws(() => stampMs(text), { code: "MALFORMED_MESSAGE" });
      assert.throws(() => stampOrigin(text), { code: "MALFORMED_MESSAGE" });
    }
    assert.equal(isStamp(at(1, "000000", "a".repeat(32))), true);
  });
});
