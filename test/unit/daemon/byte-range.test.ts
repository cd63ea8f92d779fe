// The Range header of a request (RFC 9110, 14): the bytes that are sent for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { byteRangeIn } from "../../../src/daemon/byte-range.ts";

test("a range is what RFC 9110 says, of 1,000 bytes", () => {
  const table: [string | undefined, ReturnType<typeof byteRangeIn>][] = [
    [undefined, "whole"],
    ["bytes=0-", { begin: 0, end: 1_000 }],
    ["bytes=0-499", { begin: 0, end: 500 }],
    ["bytes=500-999", { begin: 500, end: 1_000 }],
    ["bytes=999-5000", { begin: 999, end: 1_000 }],
    ["bytes=-500", { begin: 500, end: 1_000 }],
    ["bytes=-5000", { begin: 0, end: 1_000 }],
    ["Bytes= 7-7 ", { begin: 7, end: 8 }],
    ["bytes=1000-", "unsatisfiable"],
    [`bytes=${"9".repeat(40)}-`, "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    // Not of the form, or several: the header is ignored.
    ["bytes=7-3", "whole"],
    ["bytes=-", "whole"],
    ["bytes=", "whole"],
    ["bytes=0-1,5-6", "whole"],
    ["bytes=a-b", "whole"],
    ["bytes=1.5-", "whole"],
    ["bytes=+1-2", "whole"],
    ["items=0-1", "whole"],
  ];
  for (const [header, expected] of table)
    assert.deepEqual(byteRangeIn(header, 1_000), expected, String(header));
});

test("of an empty file nothing is a range", () => {
  assert.equal(byteRangeIn("bytes=0-", 0), "unsatisfiable");
  assert.equal(byteRangeIn("bytes=-1", 0), "whole");
});

test("whatever the header, a range lies in the file and is not empty", () => {
  const number = fc.oneof(fc.nat(2_000).map(String), fc.bigInt(0n, 10n ** 30n).map(String), fc.constant(""));
  const header = fc.oneof(
    fc.tuple(number, number).map(([first, last]) => `bytes=${first}-${last}`),
    fc.string().map((text) => `bytes=${text}`),
    fc.string(),
  );
  fc.assert(
    fc.property(header, fc.nat(2_000), (text, lengthBytes) => {
      const range = byteRangeIn(text, lengthBytes);
      if (typeof range === "string") return;
      assert.ok(Number.isSafeInteger(range.begin) && Number.isSafeInteger(range.end));
      assert.ok(0 <= range.begin && range.begin < range.end && range.end <= lengthBytes);
    }),
  );
});

test("the bytes of a range are those that it names", () => {
  fc.assert(
    fc.property(fc.nat(999), fc.nat(1_999), (first, more) => {
      assert.deepEqual(byteRangeIn(`bytes=${first}-${first + more}`, 1_000), {
        begin: first,
        end: Math.min(1_000, first + more + 1),
      });
      assert.deepEqual(byteRangeIn(`bytes=-${first + 1}`, 1_000), { begin: 999 - first, end: 1_000 });
    }),
  );
});
