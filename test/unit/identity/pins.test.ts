import assert from "node:assert/strict";
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { PinStore } from "../../../src/identity/pins.ts";

const address = "127.0.0.1:9001";
const first = "a".repeat(64);
const second = "b".repeat(64);

function pinPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "pins-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "deeper", "pins.sqlite");
}

test("the first key seen is trusted, also after a restart, and another is refused with both named", (t) => {
  const path = pinPath(t);
  const before = new PinStore(path);
  before.check(address, first);
  before.check(address, first);
  before.close();
  const pins = new PinStore(path);
  t.after(() => pins.close());
  assert.equal(pins.get(address), first);
  assert.throws(
    () => pins.check(address, second),
    (error: Error & { code?: string }) =>
      error.code === "TRACKER_KEY_CHANGED" && error.message.includes(first) && error.message.includes(second),
  );
  assert.equal(pins.get(address), first);
  pins.check("127.0.0.1:9002", second);
});

test("a fingerprint in tracker_info.txt stands above what was seen", (t) => {
  const pins = new PinStore(pinPath(t));
  t.after(() => pins.close());
  pins.check(address, first);
  assert.throws(() => pins.check(address, first, second), { code: "TRACKER_KEY_CHANGED" });
  assert.equal(pins.get(address), first, "a refused key is not stored");
  pins.check(address, second, second.toUpperCase());
  assert.equal(pins.get(address), second);
  pins.check(address, second);
  pins.check("127.0.0.1:9003", first, first);
  assert.throws(() => pins.check("127.0.0.1:9003", second), { code: "TRACKER_KEY_CHANGED" });
});

test("a forgotten key is trusted anew", (t) => {
  const pins = new PinStore(pinPath(t));
  t.after(() => pins.close());
  pins.check(address, first);
  pins.check("127.0.0.1:9004", first);
  pins.forget(address);
  assert.equal(pins.get("127.0.0.1:9004"), first);
  assert.equal(pins.get(address), undefined);
  pins.check(address, second);
});

test("two processes share the file, and only its owner may read it", (t) => {
  const path = pinPath(t);
  const one = new PinStore(path);
  const other = new PinStore(path);
  t.after(() => one.close());
  t.after(() => other.close());
  one.check(address, first);
  assert.throws(() => other.check(address, second), { code: "TRACKER_KEY_CHANGED" });
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("an empty file, a damaged one, or one that is none is refused with its path, and no pin is forgotten for it", (t) => {
  const path = pinPath(t);
  const pins = new PinStore(path);
  pins.check(address, first);
  pins.close();
  assert.deepEqual(readdirSync(dirname(path)), ["pins.sqlite"]);
  const whole = readFileSync(path);
  const refused = (error: Error & { code?: string }) =>
    error.code === "DISK_FAILED" && error.message.includes(path) && error.message.includes("remove it");
  const flipped = Buffer.from(whole);
  for (let at = 4096; at < 4400; at++) flipped[at] = (flipped[at] ?? 0) ^ 0xff;
  const noHeader = Buffer.from(whole);
  noHeader[0] = 0;
  for (const bytes of [Buffer.alloc(0), flipped, noHeader, Buffer.from("not a database at all")]) {
    writeFileSync(path, bytes);
    assert.throws(() => new PinStore(path), refused);
    assert.deepEqual(readFileSync(path), bytes, "it is left as it is");
  }
  truncateSync(path, 0);
  writeFileSync(path, whole);
  const again = new PinStore(path);
  t.after(() => again.close());
  assert.equal(again.get(address), first);
});

test("keys that a tracker vouches for replace those that it vouched for before, and no other tracker's", (t) => {
  const path = pinPath(t);
  const pins = new PinStore(path);
  pins.vouchedFor("one", [first, second, first]);
  pins.vouchedFor("two", [second]);
  assert.deepEqual([pins.vouchersOf(first), pins.vouchersOf(second)], [["one"], ["one", "two"]]);
  assert.deepEqual(pins.vouchersOf("c".repeat(64)), []);
  pins.vouchedFor("one", [first, "c".repeat(64)]);
  assert.deepEqual(
    [pins.vouchersOf(first), pins.vouchersOf(second), pins.vouchersOf("c".repeat(64))],
    [["one"], ["two"], ["one"]],
  );
  pins.close();
  const again = new PinStore(path);
  t.after(() => again.close());
  assert.deepEqual(again.vouchersOf(second), ["two"]);
  again.vouchedFor("two", []);
  assert.deepEqual(again.vouchersOf(second), []);
});

/** What SQLite is told to do to the file, and the statements that change it. */
function triggered(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

const FAILS = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";

test("a tracker that is known is accepted on a full disk; what cannot be stored is refused with the remedy", (t) => {
  const path = pinPath(t);
  const pins = new PinStore(path);
  t.after(() => pins.close());
  pins.check(address, first);
  pins.vouchedFor("one", [first]);
  for (const table of ["pin", "vouched"]) {
    for (const change of ["INSERT", "UPDATE", "DELETE"])
      triggered(path, `CREATE TRIGGER ${table}_${change} BEFORE ${change} ON ${table} ${FAILS}`);
  }
  pins.check(address, first);
  pins.check(address, first, first);
  pins.vouchedFor("one", [first]);
  const full = { code: "DISK_FAILED", message: /disk is full.*free space/s };
  assert.throws(() => pins.check("127.0.0.1:9002", first), full);
  assert.throws(() => pins.check(address, second, second), full);
  assert.throws(() => pins.forget(address), full);
  assert.throws(() => pins.vouchedFor("one", [second]), full);
  assert.deepEqual(pins.vouchersOf(first), ["one"], "a change that failed is not half done");
  assert.equal(pins.get(address), first);
});

test("a change of what is vouched for that fails in the middle leaves all as it was, and the next one works", (t) => {
  const path = pinPath(t);
  const pins = new PinStore(path);
  t.after(() => pins.close());
  pins.vouchedFor("one", [first]);
  triggered(
    path,
    `CREATE TRIGGER second BEFORE INSERT ON vouched WHEN NEW.fingerprint = '${second}' ${FAILS}`,
  );
  assert.throws(() => pins.vouchedFor("one", [second]), { code: "DISK_FAILED" });
  assert.deepEqual(pins.vouchersOf(first), ["one"]);
  triggered(path, "DROP TRIGGER second");
  pins.vouchedFor("one", [second]);
  assert.deepEqual([pins.vouchersOf(first), pins.vouchersOf(second)], [[], ["one"]]);
});

test("a file of before vouching is taken as it is, and one that others may read is so no longer", (t) => {
  const path = pinPath(t);
  const pins = new PinStore(path);
  pins.check(address, first);
  pins.close();
  triggered(path, "DROP TABLE vouched");
  chmodSync(path, 0o644);
  const again = new PinStore(path);
  t.after(() => again.close());
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  assert.equal(again.get(address), first);
  assert.deepEqual(again.vouchersOf(first), []);
});

test("a database without pins is not taken for one", (t) => {
  const path = pinPath(t);
  new PinStore(path).close();
  triggered(path, "DROP TABLE pin");
  assert.throws(() => new PinStore(path), { code: "DISK_FAILED", message: /no such table: pin/ });
});

test("a new file is complete under its name, on disk, and the only one, also where another process was first", (t) => {
  const path = pinPath(t);
  const synced: string[] = [];
  const { fsyncSync, linkSync } = fs;
  t.mock.method(fs, "fsyncSync", (file: number) => {
    synced.push(readlinkSync(`/proc/self/fd/${file}`));
    fsyncSync(file);
  });
  const link = t.mock.method(fs, "linkSync", (from: string, to: string) => {
    linkSync(from, to);
    linkSync(from, to); // as if another process had been in between: EEXIST
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}.new`, "left by a crash");
  new PinStore(path).close();
  assert.equal(link.mock.callCount(), 1);
  assert.deepEqual(readdirSync(dirname(path)), ["pins.sqlite"]);
  if (process.platform === "linux") assert.ok(synced.includes(dirname(path)), "the folder is synced");
});

test("a file system without hard links has the file, too", (t) => {
  const path = pinPath(t);
  t.mock.method(fs, "linkSync", () => {
    throw Object.assign(new Error("EPERM"), { code: "EPERM" });
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const pins = new PinStore(path);
  pins.check(address, first);
  pins.close();
  assert.deepEqual(readdirSync(dirname(path)), ["pins.sqlite"]);
});

test("a store that is closed holds its file no longer", (t) => {
  const pins = new PinStore(pinPath(t));
  pins.close();
  assert.throws(() => pins.get(address), { code: "DISK_FAILED", message: /not open/ });
});

test("damage anywhere in the file is found when it is opened, and a refused file is not held open", (t) => {
  const path = pinPath(t);
  new PinStore(path).close();
  const database = new DatabaseSync(path);
  const insert = database.prepare("INSERT INTO pin (address, fingerprint) VALUES (?, ?)");
  database.exec("BEGIN");
  for (let port = 1_000; port < 1_500; port++) insert.run(`127.0.0.1:${port}`, first);
  database.exec("COMMIT");
  database.close();
  const bytes = readFileSync(path);
  assert.ok(bytes.length >= 5 * 4_096);
  // The last page: the first pins can be read.
  bytes.fill(0xff, bytes.length - 4_096, bytes.length - 4_000);
  writeFileSync(path, bytes);
  const openFiles = (): number => (existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0);
  const before = openFiles();
  for (let count = 0; count < 3; count++) assert.throws(() => new PinStore(path), { code: "DISK_FAILED" });
  assert.equal(openFiles(), before);
});
