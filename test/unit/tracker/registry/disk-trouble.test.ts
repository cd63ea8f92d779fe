// Which errors of SQLite and of the file system mean that the disk takes no write, by SQLite's own numbers, and what is said.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { asDiskError, asOpeningError, diskTroubleOf } from "../../../../src/tracker/registry/disk-trouble.ts";

function sqliteError(errcode: number): Error {
  return Object.assign(new Error("as SQLite says it"), { code: "ERR_SQLITE_ERROR", errcode });
}

test("each kind of the disk's trouble is known by its number, and by the error that it became", () => {
  const cases = [
    [13, "disk-full", "DISK_FULL"], // SQLITE_FULL
    [8, "disk-read-only", "DISK_FAILED"], // SQLITE_READONLY
    [264, "disk-read-only", "DISK_FAILED"], // SQLITE_READONLY_RECOVERY
    [1032, "disk-failed", "DISK_FAILED"], // SQLITE_READONLY_DBMOVED
    [3, "disk-failed", "DISK_FAILED"], // SQLITE_PERM
    [10, "disk-failed", "DISK_FAILED"], // SQLITE_IOERR
    [778, "disk-failed", "DISK_FAILED"], // SQLITE_IOERR_WRITE
    [1034, "disk-failed", "DISK_FAILED"], // SQLITE_IOERR_FSYNC
    [14, "disk-failed", "DISK_FAILED"], // SQLITE_CANTOPEN
    [522, "registry-damaged", "REGISTRY_DAMAGED"], // SQLITE_IOERR_SHORT_READ
    [11, "registry-damaged", "REGISTRY_DAMAGED"], // SQLITE_CORRUPT
    [779, "registry-damaged", "REGISTRY_DAMAGED"], // SQLITE_CORRUPT_INDEX
    [24, "registry-damaged", "REGISTRY_DAMAGED"], // SQLITE_FORMAT
    [26, "registry-damaged", "REGISTRY_DAMAGED"], // SQLITE_NOTADB
    [5, undefined, "DATA_DIR_IN_USE"], // SQLITE_BUSY
    [261, undefined, "DATA_DIR_IN_USE"], // SQLITE_BUSY_RECOVERY
    [787, undefined, "DISK_FAILED"], // SQLITE_CONSTRAINT_FOREIGNKEY
  ] as const;
  for (const [errcode, trouble, code] of cases) {
    const error = sqliteError(errcode);
    assert.equal(diskTroubleOf(error), trouble, String(errcode));
    const told = asDiskError(error, "the registry");
    assert.deepEqual([told.code, told.cause], [code, error], String(errcode));
    assert.ok(told.message.includes("the registry"), told.message);
    assert.equal(diskTroubleOf(told), trouble, String(errcode));
  }
  assert.equal(diskTroubleOf(new RangeError("a bug")), undefined);
});

test("an error that has a sentence keeps it, one of the file system gets one, and a bug is none of the disk's", () => {
  const own = new MiniTorrentError("NOT_A_MEMBER", "No.");
  assert.equal(asDiskError(own, "x"), own);
  assert.equal(asOpeningError(own, "x"), own);
  let missing: unknown;
  try {
    readFileSync("/nowhere/at/all");
  } catch (error) {
    missing = error;
  }
  const { code, message } = asDiskError(missing, "the file");
  assert.equal(code, "DISK_FAILED");
  assert.match(message, /^the file cannot be used: ENOENT/);
  assert.equal(asDiskError(new RangeError("a bug"), "x").code, "INTERNAL");
});

test("at opening, a table that is missing and a digest or a clock that cannot be read are damage", () => {
  const clock = new MiniTorrentError("MALFORMED_MESSAGE", "'x' is not a stamp.");
  for (const [error, reason] of [
    [sqliteError(1), "as SQLite says it"], // SQLITE_ERROR: no such table
    [sqliteError(11), "as SQLite says it"],
    [new SyntaxError("Cannot convert 0xq to a BigInt"), "Cannot convert 0xq to a BigInt"],
    [clock, "'x' is not a stamp"],
    [new MiniTorrentError("REGISTRY_DAMAGED", "A row."), "A row"],
  ] as const) {
    const told = asOpeningError(error, "the file");
    assert.deepEqual([told.code, told.cause], ["REGISTRY_DAMAGED", error]);
    assert.equal(told.message, `the file is damaged (${reason}).`);
  }
  assert.equal(asOpeningError(sqliteError(5), "x").code, "DATA_DIR_IN_USE");
  assert.equal(asOpeningError(new RangeError("a bug"), "x").code, "INTERNAL");
});
