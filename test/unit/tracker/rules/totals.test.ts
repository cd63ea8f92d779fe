// What each row counts for, who pays for it, and what it hangs on: functions of the row alone, whatever its value.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type RecordKind, recordKey } from "../../../../src/tracker/registry/registry.ts";
import { networkIdOf, paidBy, payerOf } from "../../../../src/tracker/rules/quota-payers.ts";
import { shareAnchors } from "../../../../src/tracker/rules/share-anchors.ts";
import {
  groupOfTorrent,
  infoOfTorrent,
  putTorrent,
  readTorrentKey,
} from "../../../../src/tracker/rules/torrents.ts";
import { totalsOf } from "../../../../src/tracker/rules/totals.ts";
import { town } from "../fixture.ts";

const size = { bytes: 10, rows: 1 };
const totals = (
  kind: RecordKind,
  value: unknown,
  facts: { key?: string; claimId?: string; paidBy?: string } = {},
) => totalsOf({ kind, key: "", claimId: "", value, ...facts }, 10);

test("each kind of row counts for what it is, and a tombstone for its size alone", () => {
  assert.deepEqual(totals("user", {}, { claimId: "a" }), {
    ...size,
    ...{ "bytes of a": 10, "rows of a": 1, users: 1 },
  });
  assert.deepEqual(totals("group", { ownerAccountId: "a" }), { ...size, groups: 1, "groups of a": 1 });
  assert.deepEqual(totals("file", { sharedByAccountId: "a" }), { ...size, files: 1, "files of a": 1 });
  assert.deepEqual(totals("file", { sharedByAccountId: "" }), size, "nobody shares it");
  const key = recordKey("group", "a", "m");
  assert.deepEqual(totals("membership", { state: "requested" }, { key }), { ...size, "requests of a": 1 });
  for (const state of ["member", "rejected", "replaced"]) {
    assert.deepEqual(totals("membership", { state }, { key }), size, state);
  }
  assert.deepEqual(totals("torrent", { info: "1234", broughtByAccountId: "a" }), {
    ...size,
    "metainfo of a": 4,
  });
  const partOf = recordKey("f".repeat(40), "a", "upload", "0000");
  assert.deepEqual(totals("infoPart", { part: "12345678" }, { key: partOf }), {
    ...size,
    "metainfo of a": 8,
  });
  for (const kind of ["user", "group", "file", "membership", "torrent", "infoPart", "share"] as const) {
    assert.deepEqual(totals(kind, undefined, { key }), kind === "user" ? size : size, kind);
  }
});

test("a row of a wrong form counts by its size, and breaks nothing", () => {
  for (const value of [null, 7, "text", true]) assert.deepEqual(totals("torrent", value), size);
  assert.deepEqual(totals("torrent", { info: { length: 5_000 }, broughtByAccountId: "a" }), {
    ...size,
    "metainfo of a": 0,
  });
  assert.deepEqual(totals("infoPart", { part: [5_000] }), { ...size, "metainfo of ": 0 });
});

test("a row counts for the account and the network that paid for it", () => {
  const payer = paidBy({ accountId: "a", networkId: "n" });
  const paid = { "bytes of a": 10, "rows of a": 1, "bytes from n": 10 };
  assert.deepEqual(totals("share", {}, { paidBy: payer }), { ...size, ...paid });
  assert.deepEqual(totals("share", undefined, { paidBy: payer }), { ...size, ...paid });
  assert.deepEqual(totals("share", {}, { paidBy: paidBy({ accountId: "", networkId: "n" }) }), {
    ...size,
    "bytes from n": 10,
  });
});

test("a payer is read as it was written; of an account's first row it is the account itself", () => {
  assert.equal(paidBy({ accountId: "", networkId: "" }), "");
  const row = (kind: RecordKind, by?: string) => payerOf({ kind, claimId: "c", paidBy: by });
  assert.deepEqual(row("share", paidBy({ accountId: "a", networkId: "n" })), {
    accountId: "a",
    networkId: "n",
  });
  assert.deepEqual(row("user", paidBy({ accountId: "", networkId: "n" })), {
    accountId: "c",
    networkId: "n",
  });
  assert.deepEqual(row("group", paidBy({ accountId: "", networkId: "n" })), {
    accountId: "",
    networkId: "n",
  });
  assert.deepEqual(row("share"), { accountId: "", networkId: "" });
  assert.equal(networkIdOf("192.0.2.1").length, 6);
});

test("a share hangs on its membership unless it was withdrawn; a revocation ends that membership, and nothing else does", () => {
  const { anchorOf, endedBy } = shareAnchors;
  const share = (value: unknown) => anchorOf({ kind: "share", key: "k", value });
  assert.equal(share({ sinceMs: 1, membershipId: "m" }), "m");
  assert.equal(share({ sinceMs: 1, membershipId: "m", withdrawnAtMs: 2 }), "");
  for (const odd of [undefined, null, 7, {}, { membershipId: 7 }]) assert.equal(share(odd), "");
  assert.equal(anchorOf({ kind: "membership", key: "k", value: { membershipId: "m" } }), "");
  assert.equal(endedBy({ kind: "revocation", key: recordKey("group", "m"), value: {} }), "m");
  assert.equal(endedBy({ kind: "membership", key: recordKey("group", "m"), value: {} }), undefined);
});

test("a torrent's row replaces those before it, which trackers apart may have written, and names its group", async (t) => {
  const place = town(t);
  const infoHash = "f".repeat(40);
  const torrent = { info: "aW5mbw==", broughtByAccountId: "a" };
  const at = { infoHash, groupClaimId: "g", fileName: "film" };
  assert.deepEqual(
    [groupOfTorrent(place.registry, infoHash), infoOfTorrent(place.registry, infoHash)],
    [undefined, undefined],
  );
  await place.write((writer) => {
    for (let row = 0; row < 5; row++) {
      writer.put("torrent", recordKey(infoHash, "g", "film", `w${row}`), { ...torrent, info: "old" });
    }
    writer.put("torrent", recordKey("e".repeat(40), "g", "other", "w"), torrent);
  });
  await place.write((writer) => putTorrent(writer, at, "w3", torrent));
  const keys = place.registry.keys("torrent", "", { limit: 10 });
  assert.deepEqual(keys, [
    recordKey("e".repeat(40), "g", "other", "w"),
    recordKey(infoHash, "g", "film", "w3"),
  ]);
  assert.deepEqual(readTorrentKey(keys[1] ?? ""), at);
  assert.equal(groupOfTorrent(place.registry, infoHash), "g");
  assert.deepEqual(infoOfTorrent(place.registry, infoHash), { info: torrent.info });
});
