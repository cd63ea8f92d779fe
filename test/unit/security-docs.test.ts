// The threat table of docs/security.md: each row names a test that holds it, by file and by words of its title.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");

test("each row of the threat table names a test that there is, by file and title", () => {
  const docs = readFileSync(join(ROOT, "docs/security.md"), "utf8");
  const table = /## Threats.*?\n\n([^#]*)\n## /s.exec(docs)?.[1] ?? "";
  const rows = table
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2);
  assert.ok(rows.length > 30);
  for (const row of rows) {
    // A file, and the titles that follow it.
    const references = [...row.matchAll(/`(test\/[^`]+\.test\.ts)`((?: "[^"]+",?)*)/g)];
    const threat = row.slice(0, 80);
    assert.ok(
      references.some(([, , titles]) => titles !== ""),
      `no title: ${threat}`,
    );
    for (const [, file = "", titles = ""] of references) {
      const code = readFileSync(join(ROOT, file), "utf8");
      for (const [, title = ""] of titles.matchAll(/"([^"]+)"/g)) {
        assert.ok(code.includes(title), `${file} has no "${title}": ${threat}`);
      }
    }
  }
});
