import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TEXT_PAGE_BYTES, textOfPage, textPageCount, textRange } from "../../../web/src/state/text-page.ts";

function pagesOf(text: Buffer): string[] {
  return Array.from({ length: textPageCount(text.length) }, (_, page) => {
    const { from, to } = textRange(page, text.length);
    return textOfPage(text.subarray(from, to), page, text.length);
  });
}

test("pages begin and end with whole lines, and nothing is lost or shown twice", () => {
  const lines = Array.from({ length: 9_000 }, (_, line) => `line ${line} ${"ä".repeat(line % 40)}`).join(
    "\n",
  );
  const pages = pagesOf(Buffer.from(lines));
  assert.ok(pages.length >= 4);
  assert.equal(pages.join(""), lines);
  for (const page of pages.slice(0, -1)) assert.ok(page.endsWith("\n"), page.slice(-30));
});

test("a line that ends exactly where a page does belongs to that page", () => {
  const first = `${"a".repeat(TEXT_PAGE_BYTES - 1)}\n`;
  assert.deepEqual(pagesOf(Buffer.from(`${first}b\nc`)), [first, "b\nc"]);
});

test("a line without an end is cut, and nothing is lost", () => {
  const endless = "x".repeat(TEXT_PAGE_BYTES * 2 + 9);
  assert.deepEqual(
    pagesOf(Buffer.from(endless)).map(({ length }) => length),
    [TEXT_PAGE_BYTES, TEXT_PAGE_BYTES, 9],
  );
});

test("an empty text is one empty page", () => {
  assert.deepEqual(pagesOf(Buffer.alloc(0)), [""]);
});

test("whatever the lines, the pages together are the text", () => {
  const line = fc.integer({ min: 0, max: 20_000 }).map((length) => "y".repeat(length));
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 40 }), (lines) => {
      const text = lines.join("\n");
      assert.equal(pagesOf(Buffer.from(text)).join(""), text);
    }),
    { numRuns: 60 },
  );
});
