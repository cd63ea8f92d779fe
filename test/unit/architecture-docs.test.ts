// docs/architecture.md says of every file what it is for, and of no file that is not there.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");
const docs = readFileSync(join(ROOT, "docs/architecture.md"), "utf8");
/** Names of files, with the folders that stand before them in the docs. */
const named = [...docs.matchAll(/`([a-z0-9/.-]+\.ts)`/g)].map(([, name = ""]) => name);

test("every source file stands in the architecture", () => {
  const sources = globSync("src/**/*.ts", { cwd: ROOT });
  assert.ok(sources.length > 100);
  const known = new Set(named.map((name) => basename(name)));
  assert.deepEqual(
    sources.filter((source) => !known.has(basename(source))),
    [],
  );
});

test("the architecture names no file that is not there", () => {
  const there = globSync(["src/**/*.ts", "test/**/*.ts", "harness/*.ts", "bench/**/*.ts", "demo/*.ts"], {
    cwd: ROOT,
  });
  const isThere = (name: string) => there.some((path) => path === name || path.endsWith(`/${name}`));
  assert.deepEqual(
    named.filter((name) => !isThere(name)),
    [],
  );
});
