import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTable } from "../../../src/cli/table.ts";

const plain = { columns: undefined, isColored: false };
const columns = [{ title: "NAME" }, { title: "SIZE", isNumber: true }, { title: "SHA-1", isWhole: true }];
const NAME = "a-long-name-of-a-file.mkv";

test("columns are as wide as their widest cell, numbers stand to the right, and no line ends in spaces", () => {
  assert.deepEqual(
    formatTable(
      columns,
      [
        ["a", "1", "0123"],
        ["東京", "1000 MB"],
      ],
      plain,
    ),
    ["NAME     SIZE  SHA-1", "a           1  0123", "東京  1000 MB"],
  );
  assert.deepEqual(formatTable([{ title: "ONE" }], [], plain), ["ONE"]);
});

test("a table too wide is cut in its widest text, never in numbers or in texts that mean nothing in part", () => {
  const rows = [[NAME, "1000 MB", "0123456789ab"]];
  const fitted = (width: number): string => formatTable(columns, rows, { ...plain, columns: width })[1] ?? "";
  assert.equal(fitted(48), `${NAME}  1000 MB  0123456789ab`);
  assert.equal(fitted(47), "a-long-name-of-a-file.m…  1000 MB  0123456789ab");
  assert.equal(fitted(31), "a-long-…  1000 MB  0123456789ab");
  assert.equal(fitted(10), fitted(31), "a name is not cut below eight columns");
});

test("two wide columns give way in turn", () => {
  const two = [{ title: "A" }, { title: "B" }];
  const [, line] = formatTable(two, [["x".repeat(20), "y".repeat(14)]], { ...plain, columns: 26 });
  assert.equal(line, `${"x".repeat(11)}…  ${"y".repeat(11)}…`);
});

test("cells are made harmless, and the heading alone is painted", () => {
  const [heading, row] = formatTable([{ title: "A" }], [["\u001b"]], { ...plain, isColored: true });
  assert.equal(heading, "\u001b[2mA\u001b[22m");
  assert.equal(row, "\\u{1b}");
});

test("a number is never cut, however wide it is", () => {
  const rows = [["a-name-of-some-length", "123456789012345678901234567890"]];
  const [, line] = formatTable([{ title: "NAME" }, { title: "SIZE", isNumber: true }], rows, {
    ...plain,
    columns: 45,
  });
  assert.equal(line, "a-name-of-so…  123456789012345678901234567890");
});
