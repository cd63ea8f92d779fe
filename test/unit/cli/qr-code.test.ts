// A QR code in the terminal: the modules that the library gives, as half blocks, where there is room.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { encode } from "uqr";
import { qrLines } from "../../../src/cli/qr-code.ts";

const TEXT = "minitorrent:AbC_-0123456789";
const view = (columns: number | undefined, isColored: boolean) => ({ columns, isColored });
/** The two modules of each half block that is drawn. */
const HALVES: Readonly<Record<string, readonly [boolean, boolean]>> = {
  "█": [true, true],
  "▀": [true, false],
  "▄": [false, true],
  " ": [false, false],
};

test("the code is drawn module by module, dark ones with colours and light ones without", () => {
  const { size, data } = encode(TEXT, { border: 2, ecc: "L" });
  for (const isColored of [true, false]) {
    const lines = qrLines(TEXT, view(80, isColored));
    assert.equal(lines.length, Math.ceil(size / 2));
    const drawn: (boolean | undefined)[][] = lines.flatMap((line) => {
      const halves = [...stripVTControlCharacters(line)].map((block) => HALVES[block]);
      return [halves.map((half) => half?.[0]), halves.map((half) => half?.[1])];
    });
    const expected = data.map((row) => row.map((isDark) => isDark === isColored));
    assert.deepEqual(drawn.slice(0, size), expected);
    assert.equal(
      lines.every((line) => line.startsWith("\u001b[30;107m")),
      isColored,
    );
  }
});

test("nothing is drawn where it has no room, or nobody sees it", () => {
  const { size } = encode(TEXT, { border: 2, ecc: "L" });
  assert.deepEqual(qrLines(TEXT, view(undefined, true)), []);
  assert.deepEqual(qrLines(TEXT, view(size - 1, true)), []);
  assert.equal(qrLines(TEXT, view(size, true)).length, Math.ceil(size / 2));
  assert.deepEqual(qrLines("x".repeat(2_954), view(1_000, true)), []);
  assert.ok(qrLines("x".repeat(2_953), view(1_000, true)).length > 0);
});
