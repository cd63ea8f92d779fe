import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRateField, rateFieldText } from "../../../web/src/state/rate-field.ts";

test("a number alone is of MB/s, a unit is taken as typed, and nothing is no limit", () => {
  assert.deepEqual(["25", "0.5", "2,5", "500 kB/s", "1MiB", "3 GB/s", "20000 B", " "].map(parseRateField), [
    25e6,
    5e5,
    2.5e6,
    5e5,
    2 ** 20,
    3e9,
    20_000,
    null,
  ]);
});

test("what is no rate, or lower than the lowest limit, is refused", () => {
  assert.deepEqual(["fast", "-3", "0", "5 kB/s", "1e9"].map(parseRateField), Array(5).fill(undefined));
});

test("a limit stands in the field as it is typed there", () => {
  assert.deepEqual([25e6, 5e5, null, undefined].map(rateFieldText), ["25", "0.5", "", ""]);
  assert.equal(parseRateField(rateFieldText(1_234_000)), 1_234_000);
});
