import assert from "node:assert/strict";
import { test } from "node:test";
import type { Contact } from "../../../src/client/connector.ts";
import type { DownloadStatus } from "../../../src/client/status.ts";
import { type WhyFacts, whyReport } from "../../../src/client/why.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";
import type { PieceHolder } from "../../../src/swarm/torrent-status.ts";
import { downloading, failed, paused } from "../cli/fake-client.ts";

const PIECES = 10;

function bits(...pieces: number[]): Bitfield {
  const bitfield = new Bitfield(PIECES);
  for (const piece of pieces) bitfield.set(piece);
  return bitfield;
}

function holder(userId: string, has: Bitfield, lastSeenAgoMs: number): PieceHolder {
  const isConnected = lastSeenAgoMs === 0;
  const facts = {
    deviceId: userId,
    isConnected,
    lastSeenAgoMs,
    isTried: false,
    remarks: [],
    farewell: undefined,
  };
  return { userId, has: PieceSet.of(has), ...facts };
}

const contact = (changes: Partial<Contact>): Contact => ({
  userId: "bob",
  deviceId: "bob's",
  obstacle: undefined,
  farewell: undefined,
  address: "127.0.0.1:5",
  isDialling: false,
  nextDialInMs: 4_000,
  lastFailure: "connection refused",
  isClockFailure: false,
  ...changes,
});

function why(status: DownloadStatus, changes: Partial<WhyFacts> = {}) {
  return whyReport({
    status,
    have: bits(0, 1, 2, 3, 4, 5, 6),
    holders: [],
    contacts: [],
    askedAgainInMs: 2_000,
    retryAtMs: undefined,
    hasCertificate: true,
    clockWarning: undefined,
    bannedFor: () => undefined,
    standing: undefined,
    trackerProblem: undefined,
    tracker: "127.0.0.1:9001",
    nowMs: 1_000_000,
    ...changes,
  });
}

const lonely = downloading({ waitingFor: "waiting for a peer", peerCount: 0 });

test("says that a clock is wrong before it says that nobody can be reached", () => {
  const clockWarning = "This machine's clock is 3 h behind the tracker's; set it.";
  const contacts = [contact({ isClockFailure: true, lastFailure: "by this machine's clock it has run out" })];
  assert.equal(why(lonely, { clockWarning, contacts, hasCertificate: false }).reason, clockWarning);
  assert.match(
    why(lonely, { contacts }).reason,
    /^This machine and bob's machine refuse .* a clock is wrong/,
  );
  const both = [...contacts, contact({ userId: "carol" })];
  assert.match(
    why(lonely, { contacts: both }).reason,
    /none of them can be reached/,
    "others fail for another reason",
  );
  assert.match(why(downloading({ peerCount: 1 }), { clockWarning }).reason, /^It moves/);
});

test("says which pieces are missing, which of them nobody here has, and who had them when", () => {
  const report = why(downloading({ waitingFor: "no peer has the missing pieces", peerCount: 1 }), {
    have: bits(0, 2, 3, 4, 5, 6),
    holders: [
      holder("bob", bits(0, 1, 2), 0),
      holder("carol", Bitfield.full(PIECES), 60_000),
      holder("dave", bits(0, 2), 1_000),
    ],
  });
  assert.deepEqual(report.missing, {
    pieces: 4,
    ranges: [
      { first: 1, last: 1 },
      { first: 7, last: 9 },
    ],
    rangeCount: 2,
  });
  assert.deepEqual(report.nobodyHas.ranges, [{ first: 7, last: 9 }]);
  assert.deepEqual(
    report.holders.map(({ userId, missingPiecesHad, lastSeenMs }) => [userId, missingPiecesHad, lastSeenMs]),
    [
      ["bob", 1, 1_000_000],
      ["carol", 4, 940_000],
    ],
  );
});

test("tells nobody online from nobody reached, and both from trackers that are away", () => {
  assert.equal(why(lonely).reason, "No member who has it is online.");
  assert.equal(
    why(lonely, { holders: [holder("carol", bits(9), 5_000)] }).reason,
    "Everybody who had it is gone.",
  );
  const away = why(lonely, { tracker: undefined });
  assert.match(away.reason, /as far as is known: no tracker answers/);
  assert.match(away.next.at(-1)?.what ?? "", /trackers are called until one answers/);
  assert.equal(away.tracker, null);
  const unreached = why(lonely, { contacts: [contact({}), contact({ isDialling: true, userId: "eve" })] });
  assert.match(unreached.reason, /none of them can be reached/);
  assert.deepEqual(unreached.next.slice(0, 2), [
    { what: "bob is called at 127.0.0.1:5; the last time: connection refused", inMs: 4_000 },
    { what: "eve is being called at 127.0.0.1:5; the last time: connection refused", inMs: 0 },
  ]);
  assert.match(why(lonely, { hasCertificate: false }).reason, /no certificate/);
});

test("says what ends a pause, and when", () => {
  assert.equal(why(paused(undefined)).reason, "You paused it.");
  assert.match(why(paused(undefined)).next[0]?.what ?? "", /^resume films a\.mkv goes on/);
  const full = why(paused("The disk is full."), { retryAtMs: 1_002_000 });
  assert.equal(full.reason, "The disk is full.");
  assert.deepEqual(full.next, [{ what: "it is tried again", inMs: 2_000 }]);
  assert.match(why(failed()).next[0]?.what ?? "", /resume .* tries again/);
});

test("of a download that moves it says that it does", () => {
  assert.equal(why(downloading({ peerCount: 3 })).reason, "It moves, with 3 peers.");
  assert.equal(why(downloading({ peerCount: 0 })).reason, "No member who has it is online.");
});

test("of who is online and does not share it any more it never says that they are gone", () => {
  const standing = (content: "same" | "other" | "none", isOnline = true) => ({
    ...{ content, sharedBy: content === "none" ? undefined : "dave" },
    members: ["carol", "dave"].map((userId) => ({ userId, isMember: true, isOnline })),
  });
  const gone = [{ ...holder("carol", bits(9), 5_000), farewell: { reason: "not-shared" as const } }];
  const stopped = why(lonely, { holders: gone, standing: standing("none") });
  assert.match(stopped.reason, /^carol is online, but no longer shares it: ask them to share it again\.$/);
  assert.deepEqual(
    stopped.notUsed.map(({ cause }) => cause),
    ["no-longer-shares"],
  );
  const silent = [holder("carol", bits(9), 5_000)];
  assert.match(
    why(lonely, { holders: silent, standing: standing("none") }).reason,
    /online, but does not offer/,
  );
  assert.match(
    why(lonely, { holders: silent, standing: standing("same", false) }).reason,
    /^Everybody who had it is gone: carol is offline; dave is offline\.$/,
  );
  assert.match(
    why(lonely, { holders: silent, standing: standing("none", false) }).reason,
    /gone, and nobody shares it any more: ask for it to be shared again/,
  );
  assert.match(
    why(lonely, { standing: standing("other") }).reason,
    /^Other content has the name now, shared by dave/,
  );
  const few = downloading({ waitingFor: "no peer has the missing pieces", peerCount: 1 });
  assert.match(
    why(few, { holders: [...gone, holder("eve", bits(1), 0)], standing: standing("none") }).reason,
    /^It waits: no peer has the missing pieces\. carol is online, but no longer shares it/,
  );
});

test("a banned sharer is not among those who cannot be reached", () => {
  const banned = why(lonely, { contacts: [contact({ obstacle: "banned" })], bannedFor: () => 7 });
  assert.match(banned.reason, /none of them can be used\. bob sent bad data in piece 7/);
});
