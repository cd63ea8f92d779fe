// Which paths a pattern fits, and that no path makes it slow.
import assert from "node:assert/strict";
import { posix } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseGlob } from "../../../../src/client/downloads/globs.ts";

const paths = [
  "a.txt",
  "b.md",
  "docs/a.txt",
  "docs/deep/er/c.txt",
  "docs",
  "Docs/a.txt",
  ".git/config",
  "x[1].txt",
];

const fitting: readonly (readonly [string, readonly string[]])[] = [
  ["*.txt", ["a.txt", "docs/a.txt", "docs/deep/er/c.txt", "Docs/a.txt", "x[1].txt"]],
  ["./*.txt", ["a.txt", "x[1].txt"]],
  ["a.txt", ["a.txt", "docs/a.txt", "Docs/a.txt"]],
  ["**/*.txt", ["a.txt", "docs/a.txt", "docs/deep/er/c.txt", "Docs/a.txt", "x[1].txt"]],
  ["docs/", ["docs/a.txt", "docs/deep/er/c.txt"]],
  ["docs/*", ["docs/a.txt"]],
  ["docs/**", ["docs/a.txt", "docs/deep/er/c.txt"]],
  ["docs/**/c.txt", ["docs/deep/er/c.txt"]],
  ["./a.txt", ["a.txt"]],
  ["?.txt", ["a.txt", "docs/a.txt", "docs/deep/er/c.txt", "Docs/a.txt"]],
  ["./[ab].{txt,md}", ["a.txt", "b.md"]],
  ["[!a].*", ["b.md", "docs/deep/er/c.txt"]],
  ["[a-b].md", ["b.md"]],
  ["x\\[1\\].txt", ["x[1].txt"]],
  ["x[[]1].txt", ["x[1].txt"]],
  ["{docs,Docs}/{a,{b,c}}.txt", ["docs/a.txt", "Docs/a.txt"]],
  ["**", paths],
  ["*/config", [".git/config"]],
  ["er/c.txt", []],
  ["a.txt/", []],
  ["{a.txt}", []],
];

for (const [pattern, expected] of fitting) {
  test(`of some paths, ${pattern} fits ${expected.join(" ") || "none"}`, () => {
    const fits = parseGlob(pattern);
    assert.deepEqual(
      paths.filter((path) => fits(path)),
      expected,
    );
  });
}

test("a character of more than one code unit is one for a question mark, and names are compared in normal form", () => {
  assert.equal(parseGlob("?.txt")("\u{1F3B5}.txt"), true);
  assert.equal(parseGlob("e\u0301.txt")("\u00e9.txt"), true);
});

test("a pattern fits what path.matchesGlob says, except for names that begin with a dot", () => {
  const name = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 });
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
  const part = fc.oneof(
    fc.constant("**"),
    fc
      .array(fc.constantFrom("a", "b", "*", "?", "[ab]", "[!a]", "{a,b}"), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join("")),
  );
  const pattern = fc
    .array(part, { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join("/"))
    .filter((text) => text.split("/").every((one) => one === "**" || !one.includes("**")));
  fc.assert(
    fc.property(pattern, path, (text, of) => {
      // Without a slash it would fit at any depth.
      assert.equal(parseGlob(`./${text}`)(of), posix.matchesGlob(of, text), `${text} of ${of}`);
    }),
    { numRuns: 1_000 },
  );
});

test("a pattern of many stars and a path made for it take no time that anybody notices", () => {
  const fits = parseGlob(`${"**/".repeat(30)}*a*a*a*a*a*a*b`);
  const begunMs = performance.now();
  assert.equal(fits(`${"a/".repeat(60)}${"a".repeat(200)}`), false);
  assert.ok(performance.now() - begunMs < 1_000);
});

test("a pattern that can fit nothing by its form is refused, and so is one that stands for too many", () => {
  for (const [pattern, words] of [
    ["", /is empty/],
    ["/docs/*", /begins with a slash/],
    ["x".repeat(1_025), /longer than 1024/],
    ["{a,b}".repeat(7), /more than 64 patterns/],
  ] as const) {
    assert.throws(() => parseGlob(pattern), { code: "INVALID_ARGUMENT", message: words });
  }
});
