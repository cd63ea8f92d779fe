import assert from "node:assert/strict";
import { test } from "node:test";
import {
  notUsedAnyMore,
  notUsedContact,
  notUsedPeer,
} from "../../../../src/client/downloads/idle-members.ts";
import type { Contact } from "../../../../src/engine/connection-manager.ts";
import { PieceSet } from "../../../../src/swarm/piece-set.ts";
import type { FarewellReason } from "../../../../src/wire/farewell.ts";

const contact = (changes: Partial<Contact>): Contact => ({
  ...{ userId: "bob", deviceId: "b", address: "192.0.2.1:5", isDialling: false, nextDialInMs: 5 },
  ...{ obstacle: undefined, lastFailure: undefined, farewell: undefined, isClockFailure: false },
  ...changes,
});
const nobody = () => undefined;
const FAREWELLS: readonly FarewellReason[] = [
  ...(["bad-data", "not-shared", "changed", "paused", "offline", "full", "user-full"] as const),
];

test("each reason for which nobody calls, or reaches, a member has words of its own", () => {
  const cases: Partial<Contact>[] = [
    {},
    { isDialling: true },
    { lastFailure: "nothing listens there." },
    { lastFailure: "one of the two clocks is wrong.", isClockFailure: true },
    ...(["banned", "no-certificate", "no-room", "user-full", "no-descriptors"] as const).map((obstacle) => ({
      obstacle,
    })),
    ...FAREWELLS.map((reason) => ({ farewell: { reason } })),
  ];
  const said = cases.map((changes) => notUsedContact(contact(changes), () => 3)?.words);
  assert.ok(!said.includes(undefined));
  assert.equal(new Set(said).size, cases.length, said.join("\n"));
  assert.equal(
    notUsedContact(contact({ obstacle: "not-needed" }), () => undefined),
    undefined,
  );
});

test("a banned member is named with the piece, and with what ends the ban at both ends", () => {
  const words = notUsedContact(contact({ obstacle: "banned" }), () => 17)?.words ?? "";
  assert.match(words, /sent bad data in piece 17/);
  assert.match(words, /check their disk and share it again/);
  assert.match(words, /pause and resume/);
});

test("a connected member that gives nothing is choking, silent, or lacks the pieces", () => {
  const peer = (...remarks: string[]) => ({
    ...{ userId: "bob", deviceId: "b", has: PieceSet.full(1), isConnected: true, lastSeenAgoMs: 0 },
    ...{ isTried: false, remarks, farewell: undefined },
  });
  assert.equal(notUsedPeer(peer(), 0)?.cause, "nothing-missing");
  assert.equal(notUsedPeer(peer("choked"), 1)?.cause, "chokes");
  assert.equal(notUsedPeer(peer("silent for 4 s"), 1)?.cause, "silent");
  assert.equal(notUsedPeer(peer("snubbed"), 1)?.cause, "silent");
  assert.equal(notUsedPeer(peer(), 1), undefined, "it gives");
});

test("a departed member is said to be offline, out of the group, or online without offering the file", () => {
  const standing = (isMember: boolean, isOnline: boolean) => ({
    content: "same" as const,
    members: [{ userId: "bob", isMember, isOnline }],
  });
  const gone = { userId: "bob", farewell: undefined };
  assert.equal(notUsedAnyMore(gone, undefined, nobody).cause, "unknown");
  assert.equal(notUsedAnyMore(gone, standing(true, false), nobody).cause, "offline");
  assert.equal(notUsedAnyMore(gone, standing(true, true), nobody).cause, "does-not-offer");
  assert.equal(notUsedAnyMore(gone, standing(false, false), nobody).cause, "not-a-member");
  assert.equal(notUsedAnyMore(gone, standing(true, true), () => 2).cause, "banned");
  const said = FAREWELLS.map((reason) => {
    const { words } = notUsedAnyMore({ userId: "bob", farewell: { reason } }, standing(true, true), nobody);
    return words;
  });
  assert.match(said[FAREWELLS.indexOf("not-shared")] ?? "", /^is online, but no longer shares it: ask/);
  assert.match(said[FAREWELLS.indexOf("changed")] ?? "", /changed on their machine/);
  assert.match(
    notUsedAnyMore({ userId: "bob", farewell: { reason: "changed" } }, standing(false, false), nobody).words,
    /no longer a member/,
  );
});

test("a failure to reach a member is part of the sentence, without its full stop, and a clock's is told apart", () => {
  const unreached = notUsedContact(contact({ lastFailure: "nothing listens there." }), nobody);
  assert.deepEqual(unreached, {
    ...{ userId: "bob", address: "192.0.2.1:5", cause: "unreachable" },
    words: "cannot be reached: nothing listens there",
  });
  const clock = notUsedContact(contact({ lastFailure: "it has run out.", isClockFailure: true }), nobody);
  assert.deepEqual([clock?.cause, clock?.words], ["clock", "refuses, or is refused: it has run out"]);
});

test("a bad piece is named by its number, also the first one, at this end and at theirs", () => {
  const standing = undefined;
  const banned = (pieceIndex: number) =>
    notUsedAnyMore({ userId: "bob", farewell: undefined }, standing, () => pieceIndex).words;
  assert.match(banned(0), /^sent bad data in piece 0, so nothing more is taken/);
  assert.match(banned(3), /^sent bad data in piece 3, /);
  assert.match(notUsedContact(contact({ obstacle: "banned" }), nobody)?.words ?? "", /^sent bad data, so/);
  const refused = (pieceIndex?: number) =>
    notUsedAnyMore(
      {
        userId: "bob",
        farewell: { reason: "bad-data", ...(pieceIndex === undefined ? {} : { pieceIndex }) },
      },
      standing,
      nobody,
    ).words;
  assert.equal(
    refused(0),
    "takes nothing from here: piece 0 from here was bad, and is not connected therefore",
  );
  assert.equal(refused(), "takes nothing from here, and is not connected therefore");
});

test("a member who had no room, and is no longer named, is described by where they are now", () => {
  const standing = {
    content: "same" as const,
    members: [
      { userId: "alice", isMember: true, isOnline: true },
      { userId: "bob", isMember: true, isOnline: false },
    ],
  };
  for (const reason of ["full", "user-full"] as const)
    assert.equal(notUsedAnyMore({ userId: "bob", farewell: { reason } }, standing, nobody).cause, "offline");
  const left = (userId: string, reason: FarewellReason) =>
    notUsedAnyMore({ userId, farewell: { reason } }, standing, nobody).words;
  assert.match(left("bob", "paused"), /paused or cancelled their own download of it; offline now$/);
  assert.match(left("alice", "paused"), /paused or cancelled their own download of it$/);
  assert.equal(left("bob", "offline"), "logged out");
  assert.match(left("carol", "paused"), /of it$/, "it is not known");
});
