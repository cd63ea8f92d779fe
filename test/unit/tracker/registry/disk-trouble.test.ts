// Which errors of SQLite mean that the disk takes no write, by SQLite's own numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { asDiskError, diskTroubleOf } from "../../../../src/tracker/registry/disk-trouble.ts";

function sqliteError(errcode: number): Error {
  return Object.assign(new Error("as SQLite says it"), { code: "ERR_SQLITE_ERROR", errcode });
}

test("each kind of the disk's trouble is known by its number, and by the error that it became", () => {
  const cases = [
    [13, "disk-full"], // SQLITE_FULL
    [8, "disk-read-only"], // SQLITE_READONLY
    [1032, "disk-failed"], // SQLITE_READONLY_DBMOVED
    [10, "disk-failed"], // SQLITE_IOERR
    [778, "disk-failed"], // SQLITE_IOERR_WRITE
    [1034, "disk-failed"], // SQLITE_IOERR_FSYNC
    [14, "disk-failed"], // SQLITE_CANTOPEN
    [5, undefined], // SQLITE_BUSY
    [787, undefined], // SQLITE_CONSTRAINT_FOREIGNKEY
  ] as const;
  for (const [errcode, trouble] of cases) {
    assert.equal(diskTroubleOf(sqliteError(errcode)), trouble, String(errcode));
    assert.equal(diskTroubleOf(asDiskError(sqliteError(errcode), "the registry")), trouble, String(errcode));
  }
  assert.equal(diskTroubleOf(new RangeError("a bug")), undefined);
});
