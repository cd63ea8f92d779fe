// docs/architecture.md has one row for each source file, and names no file that does not exist. A heading that ends with a
// folder (`### src/swarm/`) begins that folder's table; the first cell of a row is a file in it. Everywhere else a file is
// named by its path from the root of the project, or from src/.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");
const lines = readFileSync(join(ROOT, "docs/architecture.md"), "utf8").split("\n");
/** `| file | role |`, with the file's name as code. */
const FILE_ROW = /^\| `([^`/]+\.ts)` \| (.*) \|$/;

interface Row {
  readonly path: string;
  readonly role: string;
}

/** The rows of all folders' tables, and the paths that stand in the rest of the page. */
function readPage(): { readonly rows: readonly Row[]; readonly paths: readonly string[] } {
  const rows: Row[] = [];
  const paths: string[] = [];
  let folder: string | undefined;
  for (const line of lines) {
    if (line.startsWith("#")) folder = /\bsrc\/(?:[a-z]+\/)+$/.exec(line)?.[0];
    const row = folder === undefined ? undefined : FILE_ROW.exec(line);
    const [, name, role = ""] = row ?? [];
    if (name !== undefined) rows.push({ path: `${folder}${name}`, role });
    const prose = name === undefined ? line : role;
    for (const [, path = ""] of prose.matchAll(/`([\w./-]+\.(?:ts|py|sh|json))`/g)) paths.push(path);
  }
  return { rows, paths };
}

const { rows, paths } = readPage();
const sources = globSync("src/**/*.ts", { cwd: ROOT });
/** They have the names of the launchers. */
const ENTRY_POINTS = new Set(["src/cli/client.ts", "src/cli/tracker.ts"]);

test("every source file has one row in the architecture, in the table of its folder", () => {
  assert.ok(sources.length > 100);
  assert.deepEqual(rows.map(({ path }) => path).sort(), sources.sort());
});

test("every row of the architecture says what its file does", () => {
  assert.deepEqual(
    rows.filter(({ role }) => role.trim() === ""),
    [],
  );
});

test("every path in the architecture leads to a file", () => {
  assert.ok(paths.length > 50);
  const leadsToFile = (path: string) => existsSync(join(ROOT, path)) || existsSync(join(ROOT, "src", path));
  assert.deepEqual(
    paths.filter((path) => !leadsToFile(path)),
    [],
  );
});

test("no two source files have the same name in different folders, entry points aside", () => {
  const byName = Map.groupBy(
    sources.filter((path) => !ENTRY_POINTS.has(path)),
    (path) => basename(path),
  );
  assert.deepEqual(
    [...byName.values()].filter((same) => same.length > 1),
    [],
  );
});
