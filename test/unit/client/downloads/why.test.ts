import assert from "node:assert/strict";
import { test } from "node:test";
import { type WhyFacts, whyReport } from "../../../../src/client/downloads/why.ts";
import type { DownloadStatus } from "../../../../src/client/status.ts";
import type { Contact } from "../../../../src/engine/connection-manager.ts";
import { Bitfield } from "../../../../src/metainfo/bitfield.ts";
import { PieceSet } from "../../../../src/swarm/piece-set.ts";
import type { PieceHolder } from "../../../../src/swarm/torrent-status.ts";
import { downloading, failed, paused } from "../../cli/fake-client.ts";

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
  assert.match(why(downloading({ peerCount: 1 }), { clockWarning }).reason, /^It is downloading/);
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
    "Every member who had it has left.",
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

test("a download that moves is said to move", () => {
  assert.equal(why(downloading({ peerCount: 3 })).reason, "It is downloading, from 3 peers.");
  assert.equal(why(downloading({ peerCount: 0 })).reason, "No member who has it is online.");
});

test("a member who is online and no longer shares the file is never called offline", () => {
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
    /^Every member who had it has left: carol is offline; dave is offline\.$/,
  );
  assert.match(
    why(lonely, { holders: silent, standing: standing("none", false) }).reason,
    /has left, and nobody shares it any more: ask for it to be shared again/,
  );
  assert.match(
    why(lonely, { standing: standing("other") }).reason,
    /^The name belongs to other content now, shared by dave/,
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

const reasonOf = (...args: Parameters<typeof why>) => why(...args).reason;

test("a complete, verified or failed download says so, and what to do about it", () => {
  const { state: _state, ...facts } = downloading();
  const complete = { ...facts, state: "complete", sha1: "" } as const;
  assert.deepEqual([reasonOf(complete), why(complete).next], ["It is complete.", []]);
  const verifying = { ...facts, state: "verifying" } as const;
  assert.deepEqual(
    [reasonOf(verifying), why(verifying).next],
    ["Every piece is here; the whole file is being checked.", []],
  );
  const status = failed();
  assert.equal(reasonOf(status), status.state === "failed" ? status.reason : "");
  assert.deepEqual(why(status).next, [
    { what: "resume films a.mkv tries again, cancel gives it up", inMs: undefined },
  ]);
  const silent = holder("bob", bits(9), 5_000);
  assert.deepEqual(why(status, { holders: [silent] }).notUsed, [], "nobody is asked for anything");
});

test("a pause that should have ended is over at once", () => {
  assert.equal(why(paused("The disk is full."), { retryAtMs: 999_000 }).next[0]?.inMs, 0);
});

test("a download that moves names how many give, and one that waits for something here names that", () => {
  assert.equal(reasonOf(downloading({ peerCount: 1 })), "It is downloading, from 1 peer.");
  const waits = downloading({ peerCount: 2, waitingFor: "waiting for the disk" });
  assert.equal(reasonOf(waits, { hasCertificate: false }), "It waits: waiting for the disk.");
  const checks = downloading({ peerCount: 0, waitingFor: "the check of what is on disk already" });
  assert.equal(reasonOf(checks), "It waits: the check of what is on disk already.");
});

test("without a certificate it is told whether a tracker could give one", () => {
  assert.equal(
    reasonOf(lonely, { hasCertificate: false }),
    "There is no certificate for films at the moment; the tracker is asked for one.",
  );
  const away = { hasCertificate: false, tracker: undefined };
  assert.equal(
    reasonOf(lonely, away),
    "There is no certificate for the group at the moment, and no tracker to give one.",
  );
  assert.match(
    reasonOf(lonely, { ...away, trackerProblem: "Its key changed." }),
    /give one\. Its key changed\.$/,
  );
});

test("other content is named without a sharer if nobody in the group shares it", () => {
  assert.equal(
    reasonOf(lonely, { standing: { content: "other", members: [] } }),
    "The name belongs to other content now: cancel films a.mkv, then download_file gets the new content.",
  );
});

test("a newer version is named with what to do, when nobody has the rest of the one that is fetched", () => {
  assert.equal(
    reasonOf(lonely, { standing: { content: "newer", sharedBy: "alice", members: [] } }),
    "There is a newer version, shared by alice, and nobody who is online has the rest of this one: cancel films a.mkv, then download_file gets the newer one.",
  );
});

test("three of those who give nothing are named, and the others counted", () => {
  const contacts = ["alice", "bob", "carol", "dave", "eve"].map((userId) =>
    contact({ userId, deviceId: userId }),
  );
  const reason = reasonOf(lonely, { contacts: contacts.slice(0, 3) });
  assert.match(reason, /alice cannot be reached: connection refused; bob .*; carol [^;]*\.$/);
  assert.match(
    reasonOf(lonely, { contacts }),
    /; carol cannot be reached: connection refused; and 2 more\.$/,
  );
});

test("members about to be dialled are told apart from unreachable and unusable ones", () => {
  const fresh = contact({ lastFailure: undefined });
  const called = contact({ lastFailure: undefined, isDialling: true, userId: "eve" });
  assert.match(
    reasonOf(lonely, { contacts: [fresh, called] }),
    /^Members who have it are online and about to be called\./,
  );
  assert.match(reasonOf(lonely, { contacts: [fresh, contact({})] }), /none of them can be reached/);
  const mixed = [fresh, contact({ isClockFailure: true })];
  assert.match(reasonOf(lonely, { contacts: mixed }), /none of them can be reached/);
  assert.match(
    reasonOf(lonely, { contacts: [contact({ obstacle: "no-room" })] }),
    /none of them can be used/,
  );
  const away = { contacts: [contact({})], tracker: undefined, trackerProblem: "It is asleep." };
  assert.match(reasonOf(lonely, away), / As far as is known: no tracker answers\. It is asleep\.$/);
});

test("with several members a clock that is wrong is not laid to one of them", () => {
  const clock = { isClockFailure: true, lastFailure: "expired" };
  const contacts = [contact(clock), contact({ ...clock, userId: "eve" })];
  assert.match(reasonOf(lonely, { contacts }), /^This machine and the members who have it refuse/);
});

test("a member who has nothing that is missing is no reason", () => {
  const waits = downloading({ waitingFor: "no peer has the missing pieces", peerCount: 1 });
  assert.equal(
    reasonOf(waits, { holders: [holder("eve", bits(1), 0)] }),
    "It waits: no peer has the missing pieces.",
  );
});

test("members who have missing pieces are listed, the last seen first, then the one with most", () => {
  const { holders } = why(lonely, {
    holders: [
      holder("nothing", bits(0), 5),
      holder("early", bits(7, 8, 9), 9_000),
      holder("late", bits(7), 1_000),
      holder("late with more", bits(8, 9), 1_000),
    ],
  });
  assert.deepEqual(
    holders.map(({ userId, missingPiecesHad, isConnected }) => [userId, missingPiecesHad, isConnected]),
    [
      ["late with more", 2, false],
      ["late", 1, false],
      ["early", 3, false],
    ],
  );
});

test("each member is spoken of once: by their devices that are here, or else by how they left", () => {
  const gone = (userId: string, deviceId: string, reason?: "paused") => ({
    ...holder(userId, bits(9), 5_000),
    ...{ deviceId, farewell: reason && { reason } },
  });
  const connected = { ...holder("carol", bits(9), 0), remarks: ["choked"] };
  const { notUsed } = why(lonely, {
    contacts: [contact({})],
    holders: [
      gone("bob", "another of bob's"),
      { ...holder("bob", bits(9), 0), deviceId: "bob's", remarks: ["choked"] },
      connected,
      gone("carol", "another of carol's"),
      gone("dave", "d1"),
      gone("dave", "d2", "paused"),
      gone("dave", "d3"),
      holder("eve", bits(0), 5_000),
    ],
  });
  assert.deepEqual(
    notUsed.map(({ userId, cause }) => `${userId} ${cause}`),
    ["bob unreachable", "carol chokes", "dave paused"],
  );
});

test("the one who shares it is spoken of although it was never met, while the name is that content's", () => {
  const members = [{ userId: "dave", isMember: true, isOnline: false }];
  const of = (content: "same" | "none") =>
    why(lonely, { standing: { content, sharedBy: "dave", members } }).notUsed.map(({ userId }) => userId);
  assert.deepEqual([of("same"), of("none")], [["dave"], []]);
  const known = why(lonely, {
    ...{ contacts: [contact({ userId: "dave" })], standing: { content: "same", sharedBy: "dave", members } },
  });
  assert.deepEqual(
    known.notUsed.map(({ cause }) => cause),
    ["unreachable"],
  );
});

test("the one who shares it and said why they left is spoken of with that", () => {
  const members = [{ userId: "dave", isMember: true, isOnline: true }];
  const { notUsed } = why(lonely, {
    holders: [{ ...holder("dave", bits(9), 5_000), farewell: { reason: "paused" } }],
    standing: { content: "same", sharedBy: "dave", members },
  });
  assert.deepEqual(
    notUsed.map(({ cause }) => cause),
    ["paused"],
  );
});

test("with nobody connected it is not said that the peers lack the missing pieces", () => {
  const status = downloading({ waitingFor: "no peer has the missing pieces", peerCount: 0 });
  assert.equal(reasonOf(status), "No member who has it is online.");
});

test("the next steps are told: dials, trials, and the next query of the tracker", () => {
  const { next } = why(lonely, {
    contacts: [contact({ lastFailure: undefined }), contact({ obstacle: "banned", nextDialInMs: undefined })],
    holders: [
      { ...holder("carol", bits(9), 0), isTried: true },
      { ...holder("dave", bits(9), 5_000), isTried: true },
      holder("eve", bits(9), 0),
    ],
  });
  assert.deepEqual(next, [
    { what: "bob is called at 127.0.0.1:5", inMs: 4_000 },
    { what: "carol is asked for a block now and then", inMs: undefined },
    {
      what: "the tracker at 127.0.0.1:9001 reports at once when a member who has the file comes online; next query",
      inMs: 2_000,
    },
  ]);
});

test("the first fifty of many ranges are told, and how many there are", () => {
  const have = new Bitfield(203);
  for (let piece = 0; piece < 203; piece += 2) have.set(piece);
  const { missing } = why(lonely, { have });
  assert.deepEqual([missing.pieces, missing.rangeCount, missing.ranges.length], [101, 101, 50]);
  assert.deepEqual(
    [missing.ranges[0], missing.ranges[49]],
    [
      { first: 1, last: 1 },
      { first: 99, last: 99 },
    ],
  );
});
