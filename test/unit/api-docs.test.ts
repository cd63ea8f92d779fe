// docs/api.md has every call of the local API, as the table of endpoints has it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Endpoint, endpoints } from "../../src/daemon/endpoints.ts";

const docs = readFileSync(join(import.meta.dirname, "../../docs/api.md"), "utf8");

test("docs/api.md has every call of the local API with its fields and summary, and no other", () => {
  const rows = docs.split("\n").filter((line) => /^\| `(GET|POST|PUT|DELETE) \//.test(line));
  const expected = Object.values(endpoints).map(({ method, path, summary, body, query }: Endpoint) => {
    const names = [
      ...Object.keys(body?.shape ?? {}),
      ...Object.keys(query?.shape ?? {}).map((key) => `?${key}`),
    ];
    const fields = names.length === 0 ? "" : ` (${names.map((name) => `\`${name}\``).join(", ")})`;
    return `| \`${method} ${path}\`${fields} | ${summary} |`;
  });
  assert.deepEqual(rows, expected);
});
