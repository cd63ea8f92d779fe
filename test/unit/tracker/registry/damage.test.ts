// A registry whose file was damaged, or changed behind its tracker's back: it is noticed, at the start or in the background,
// and a look at all rows while others are written finds nothing where there is nothing.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import {
  SqliteRegistry,
  type SqliteRegistryOptions,
} from "../../../../src/tracker/registry/sqlite-registry.ts";
import { write } from "./compliance.ts";

/** More than a start looks at before it looks at the clock. */
const ROWS = 700;
const PAGE_BYTES = 4096;

function open(t: TestContext, path: string, options: Partial<SqliteRegistryOptions> = {}): SqliteRegistry {
  const registry = SqliteRegistry.open({ path, nowMs: Date.now, totalsOf: () => ({ rows: 1 }), ...options });
  t.after(() => registry.close());
  return registry;
}

/** The path of a registry that was closed. */
async function filled(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "damage-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "registry.db");
  const registry = open(t, path);
  await write(registry, (writer) => {
    for (let index = 0; index < ROWS; index++) {
      writer.put("revocation", `group\u001f${index}`, { how: "removed", atMs: index });
    }
    writer.makeClaim("group", "g", { ownerAccountId: "a" });
  });
  registry.close();
  return path;
}

const isDamage = (path: string) => (error: Error & { code?: string }) =>
  error.code === "REGISTRY_DAMAGED" && error.message.includes(path);

test("flipped bytes, a file cut short, or one that is something else are damage, wherever they are", async (t) => {
  const path = await filled(t);
  const whole = readFileSync(path);
  open(t, path).close();
  for (let page = 0; page * PAGE_BYTES < whole.length; page++) {
    const bytes = Buffer.from(whole);
    // Of the first page the header: what follows is free room between it and the schema.
    const from = page === 0 ? 0 : page * PAGE_BYTES;
    for (let at = from; at < from + 300; at++) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    writeFileSync(path, bytes);
    assert.throws(() => open(t, path), isDamage(path), `page ${page}`);
  }
  writeFileSync(path, whole);
  truncateSync(path, whole.length - 3 * PAGE_BYTES);
  assert.throws(() => open(t, path), isDamage(path));
  writeFileSync(path, "something else, and more than a header has bytes ".repeat(100));
  assert.throws(() => open(t, path), isDamage(path));
  writeFileSync(path, whole);
  assert.equal(open(t, path).list("revocation", "group").length, ROWS);
});

for (const [what, statement] of [
  ["deleted", "DELETE FROM record WHERE kind = 'revocation' AND key LIKE '%\u001f7'"],
  ["changed", `UPDATE record SET value = '{"how":"left","atMs":7}' WHERE key LIKE '%\u001f7'`],
  [
    "added",
    "CREATE TEMP TABLE copy AS SELECT * FROM record LIMIT 1; UPDATE copy SET key = key || 'x'; INSERT INTO record SELECT * FROM copy",
  ],
  ["given a value that is not JSON", "UPDATE record SET value = '{' WHERE key LIKE '%\u001f7'"],
  ["summed up wrongly", "UPDATE state SET value = 'not a number' WHERE name = 'digest'"],
  ["stamped by a clock that is none", "UPDATE state SET value = 'no stamp' WHERE name = 'clock'"],
  ["in a table without its index", "DROP INDEX record_live"],
  ["in a table that is gone", "DROP TABLE version"],
] as const) {
  test(`a row that was ${what} by hand is noticed at the start`, async (t) => {
    const path = await filled(t);
    const database = new DatabaseSync(path);
    database.exec(statement);
    database.close();
    // However slow the machine is.
    assert.throws(() => open(t, path, { checkMs: Number.POSITIVE_INFINITY }), isDamage(path));
  });
}

test("damage that a start has no time to find is found in the background, and told to the owner", async (t) => {
  const path = await filled(t);
  const database = new DatabaseSync(path);
  database.exec(`DELETE FROM record WHERE kind = 'revocation' AND key LIKE '%\u001f399'`);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  const told: string[] = [];
  const registry = open(t, path, { checkMs: 0, onTrouble: (trouble) => told.push(trouble) });
  const look = () => {
    while (!registry.checkRows(50)) assert.deepEqual(told, []);
  };
  assert.throws(look, { code: "REGISTRY_DAMAGED" });
  assert.deepEqual(told, ["registry-damaged"]);
});

test("rows that are written, replaced or rolled back while all are looked at are no damage", async (t) => {
  const path = await filled(t);
  const registry = open(t, path);
  let isThrough = false;
  for (let round = 0; !isThrough || round < 200; round++) {
    isThrough = registry.checkRows(7) || isThrough;
    const put = (key: number, value: unknown) =>
      write(registry, (writer) => writer.put("revocation", `group\u001f${key % (ROWS + 50)}`, value));
    const failing = write(registry, (writer) => {
      writer.put("revocation", `group\u001f${(round * 3) % ROWS}`, { undone: round });
      writer.put("revocation", `new ${round}`, 1);
      throw new Error("refused");
    });
    await Promise.all([put(round, { round }), put(ROWS - round, { round }), assert.rejects(failing)]);
    if (round % 5 === 0) await assert.rejects(write(registry, failingWork(round)), /refused/);
  }
  registry.close();
  open(t, path, { checkMs: Infinity });
});

function failingWork(round: number) {
  return (writer: { put(kind: "revocation", key: string, value: unknown): void }) => {
    writer.put("revocation", `group\u001f${round}`, { undone: "alone" });
    throw new Error("refused");
  };
}

test("a registry that took the place of a lost one says so until it is complete", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "damage-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "registry.db");
  open(t, path, { incomplete: "{}" }).close();
  const again = open(t, path);
  assert.equal(again.isIncomplete, true);
  await again.complete();
  assert.equal(again.isIncomplete, false);
  again.close();
  assert.equal(open(t, path).isIncomplete, false);
});
