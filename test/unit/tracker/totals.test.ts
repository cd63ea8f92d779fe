// What a row counts for: by its kind, its state, and who pays for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type RecordKind, recordKey } from "../../../src/tracker/registry/registry.ts";
import { totalsOf } from "../../../src/tracker/totals.ts";

const BYTES = 400;
const ROW = { bytes: BYTES, rows: 1 };

function counted(kind: RecordKind, value: unknown, { key = "k", claimId = "", paidBy = "" } = {}) {
  return totalsOf({ kind, key, claimId, value, paidBy }, BYTES);
}

test("every row counts with its size, for its account and for its network", () => {
  assert.deepEqual(counted("device", {}), ROW);
  assert.deepEqual(counted("device", undefined, { paidBy: recordKey("a1", "net") }), {
    ...{ ...ROW, "bytes of a1": BYTES, "rows of a1": 1, "bytes from net": BYTES },
  });
  assert.deepEqual(counted("device", {}, { paidBy: "a1" }), {
    ...ROW,
    "bytes of a1": BYTES,
    "rows of a1": 1,
  });
  assert.deepEqual(counted("device", {}, { paidBy: recordKey("", "net") }), {
    ...ROW,
    "bytes from net": BYTES,
  });
});

test("the row that makes an account is that account's", () => {
  const paidBy = recordKey("", "net");
  assert.deepEqual(counted("user", { createdAtMs: 1 }, { claimId: "a1", paidBy }), {
    ...{ ...ROW, users: 1, "bytes of a1": BYTES, "rows of a1": 1, "bytes from net": BYTES },
  });
});

test("live claims, requests and info dictionaries count for their accounts, and what has ended does not", () => {
  assert.deepEqual(counted("group", { ownerAccountId: "a1" }), { ...ROW, groups: 1, "groups of a1": 1 });
  assert.deepEqual(counted("file", { sharedByAccountId: "a1" }), { ...ROW, files: 1, "files of a1": 1 });
  assert.deepEqual(counted("file", { sharedByAccountId: "" }), ROW, "nobody shares it");
  const key = recordKey("group", "a1", "m1");
  assert.deepEqual(counted("membership", { state: "requested" }, { key }), { ...ROW, "requests of a1": 1 });
  assert.deepEqual(counted("membership", { state: "member" }, { key }), ROW);
  const torrent = { info: "0123456789", broughtByAccountId: "a1" };
  assert.deepEqual(counted("torrent", torrent), { ...ROW, "metainfo of a1": 10 });
  for (const kind of ["user", "group", "file", "membership", "torrent"] as const)
    assert.deepEqual(counted(kind, undefined, { claimId: kind === "user" ? "" : "c" }), ROW, kind);
});

test("a malformed row from another tracker counts by its size, and breaks nothing", () => {
  for (const kind of ["user", "group", "file", "membership", "torrent"] as const)
    for (const value of [null, 7, "text"]) assert.deepEqual(counted(kind, value), ROW, `${kind} ${value}`);
  assert.equal(counted("torrent", { info: 12_345, broughtByAccountId: "a1" })["metainfo of a1"], 0);
  assert.deepEqual(counted("membership", { state: "requested" }, { key: "short" }), {
    ...ROW,
    "requests of ": 1,
  });
  assert.deepEqual(counted("group", {}), { ...ROW, groups: 1, "groups of ": 1 });
});
