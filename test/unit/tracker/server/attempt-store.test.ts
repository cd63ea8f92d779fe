// The file in which counts of attempts outlast a restart: what it keeps, for how long, and that its faults stop nothing.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { AttemptStore } from "../../../../src/tracker/server/attempt-store.ts";

function stage(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "attempt-store-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "attempts.sqlite");
  const clock = { nowMs: 1_000_000 };
  const said: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => said.push(line) });
  const open = () => {
    const store = new AttemptStore(path, log, () => clock.nowMs);
    t.after(() => store.close());
    return store;
  };
  return { path, clock, said, open };
}

/** Rows of the file, also those whose window has ended. */
function rowCount(path: string): number {
  const database = new DatabaseSync(path);
  try {
    return Number(database.prepare("SELECT count(*) AS count FROM attempt").get()?.count);
  } finally {
    database.close();
  }
}

test("counts are read again with the time that is left, each counter's for itself, until they end or are removed", (t) => {
  const { clock, open } = stage(t);
  const store = open();
  store.put("c", { key: "a", count: 2, remainingMs: 1_000.5 });
  store.put("c", { key: "b", count: 3, remainingMs: 500 });
  store.put("other", { key: "a", count: 9, remainingMs: 1_000 });
  store.put("c", { key: "a", count: 4, remainingMs: 1_000.5 });
  store.close();
  clock.nowMs += 499;
  const again = open();
  assert.deepEqual(
    again.load("c").sort((one, other) => (one.key < other.key ? -1 : 1)),
    [
      { key: "a", count: 4, remainingMs: 502 },
      { key: "b", count: 3, remainingMs: 1 },
    ],
  );
  clock.nowMs += 1;
  assert.deepEqual(
    again.load("c").map(({ key }) => key),
    ["a"],
  );
  again.put("c", { key: "b", count: 1, remainingMs: 500 });
  again.remove("c", "a");
  assert.deepEqual(
    again.load("c").map(({ key }) => key),
    ["b"],
  );
  clock.nowMs += 10_000;
  assert.deepEqual(again.load("c"), [], "what has ended is read");
  clock.nowMs -= 10_000;
  assert.deepEqual(
    again.load("other").map(({ count }) => count),
    [9],
  );
});

test("what a crash leaves is read, and the file is this user's alone, also one that was not", (t) => {
  const { path, open } = stage(t);
  open().put("c", { key: "a", count: 2, remainingMs: 1_000 });
  assert.ok(readFileSync(`${path}-wal`).length > 0, "no write-ahead log: a crash may damage the file");
  chmodSync(path, 0o644);
  assert.equal(open().load("c").length, 1);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("rows whose window has ended are removed after a thousand that were stored, and no others", (t) => {
  const { path, clock, open } = stage(t);
  const store = open();
  store.put("c", { key: "old", count: 1, remainingMs: 10 });
  store.put("c", { key: "live", count: 1, remainingMs: 1_000 });
  clock.nowMs += 10;
  for (let at = 2; at < 999; at++) store.put("c", { key: "same", count: at, remainingMs: 1_000 });
  assert.equal(rowCount(path), 3);
  store.put("c", { key: "same", count: 1, remainingMs: 1_000 });
  assert.equal(rowCount(path), 2);
});

test("a damaged file is made anew, whichever part of it is damaged", (t) => {
  const { path, said, open } = stage(t);
  const store = open();
  for (let at = 0; at < 1_000; at++) store.put("c", { key: `key ${at}`, count: 1, remainingMs: 10_000 });
  store.close();
  const bytes = readFileSync(path);
  // Pages after the first: it opens, and its check says so.
  bytes.fill(0xff, 4_096, bytes.length);
  writeFileSync(path, bytes);
  const anew = open();
  assert.equal(said.length, 1);
  assert.deepEqual(anew.load("c"), []);
  anew.put("c", { key: "a", count: 1, remainingMs: 1_000 });
  assert.equal(anew.load("c").length, 1);
});

test("the first of consecutive faults is logged, and the first again after a success", (t) => {
  const { said, open } = stage(t);
  const store = open();
  const bad = { key: "a", count: Number.NaN, remainingMs: 1_000 };
  store.put("c", bad);
  store.put("c", bad);
  assert.equal(said.length, 1);
  store.put("c", { key: "a", count: 1, remainingMs: 1_000 });
  store.put("c", bad);
  assert.equal(said.length, 2);
  store.close();
  assert.deepEqual(store.load("c"), [], "after its end it keeps nothing");
});

test("its end closes the file", (t) => {
  const { path, open } = stage(t);
  const store = open();
  store.put("c", { key: "a", count: 1, remainingMs: 1_000 });
  store.close();
  assert.throws(() => statSync(`${path}-wal`), { code: "ENOENT" });
});
