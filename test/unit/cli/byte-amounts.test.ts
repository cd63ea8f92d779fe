import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseRate, parseSize } from "../../../src/cli/byte-amounts.ts";

describe("parseRate and parseSize", () => {
  const rates: [string, number | undefined][] = [
    ["5MB/s", 5_000_000],
    ["5mb", 5_000_000],
    ["1.5 MB/s", 1_500_000],
    ["500k", 500_000],
    ["64KiB/s", 65_536],
    ["1Gi", 2 ** 30],
    ["20000", 20_000],
    ["off", undefined],
    ["0", undefined],
  ];
  for (const [text, bytes] of rates) {
    it(`reads '${text}' as ${bytes ?? "no limit"}`, () => assert.equal(parseRate(text), bytes));
  }

  it("asks whether megabytes are meant by a small number without a unit", () => {
    const message = "10 means 10 bytes/s, and a limit is at least 16 KiB/s; did you mean 10MB/s?";
    assert.throws(() => parseRate("10"), { code: "INVALID_ARGUMENT", message });
  });

  it("reads a size, which has no end", () => {
    assert.equal(parseSize("256MiB"), 256 * 2 ** 20);
    assert.equal(parseSize("1GB"), 1e9);
  });

  for (const text of [
    "",
    "fast",
    "-1MB",
    "5 MB/h",
    "5Mbit/s",
    "1e9",
    "9".repeat(30),
    "5MB/s/s",
    "constructor",
  ]) {
    it(`refuses '${text}'`, () => {
      assert.throws(() => parseRate(text), { code: "INVALID_ARGUMENT", message: /is not a rate/ });
      assert.throws(() => parseSize(text), { code: "INVALID_ARGUMENT", message: /is not a size/ });
    });
  }
});
