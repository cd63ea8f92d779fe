import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import type { RevocationValue } from "../../../../src/tracker/registry/record-values.ts";
import {
  keptTwinOf,
  type RegistryRecord,
  type RegistryWriter,
  recordKey,
} from "../../../../src/tracker/registry/registry.ts";
import {
  type AdoptedUpTo,
  acceptRequest,
  adoptMembers,
  createGroup,
  idOfCommand,
  leaveGroup,
  listGroups,
  listMembers,
  listOwnGroups,
  listRequests,
  listRevocations,
  rejectRequest,
  removeMember,
  requestToJoin,
  revokedMembershipIds,
} from "../../../../src/tracker/rules/groups.ts";
import {
  answerKey,
  findGroup,
  membershipOf,
  requireGroup,
} from "../../../../src/tracker/rules/membership-rows.ts";
import { RevocationWindow } from "../../../../src/tracker/rules/revocation-window.ts";
import type { Command } from "../../../../src/tracker/rules/rule-command.ts";
import { registryTotals } from "../../../../src/tracker/rules/totals.ts";
import { authority, type Town, town } from "../fixture.ts";

const ALL = { limit: Number.POSITIVE_INFINITY };
/** How long an ended membership is listed where no tracker is apart. */
const LISTED_MS = 100 * 60 * 1000;

const memberIds = (place: Town, accountId: string) =>
  listMembers(place.registry, accountId, "films", () => false, ALL).items.map(({ userId }) => userId);

/** Counts the rows that a rule reads and writes through it. */
function countingWriter(writer: RegistryWriter, counted: { read: number; written: number }): RegistryWriter {
  return new Proxy(writer, {
    get: (of, name) => {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const given: unknown = value.apply(of, args);
        if (Array.isArray(given)) counted.read += given.length;
        if (/^(put|remove|makeClaim|updateClaim|endClaim)$/.test(String(name))) counted.written++;
        return given;
      };
    },
  });
}

/** As a tracker that is apart would: by the row alone. */
function endMembership(writer: RegistryWriter, groupClaimId: string, accountId: string): void {
  const membershipId = membershipOf(writer, groupClaimId, accountId)?.membershipId ?? "";
  const revocation: RevocationValue = { accountId, how: "left", endedAtMs: 1 };
  writer.put("revocation", recordKey(groupClaimId, membershipId), revocation);
}

test("the founder of a group owns it, and its name is taken", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  assert.deepEqual(listGroups(place.registry, alice.accountId, ALL).items, [
    { groupId: "films", ownerId: "alice", memberCount: 1, standing: "owner" },
  ]);
  assert.deepEqual(listGroups(place.registry, bob.accountId, ALL).items, [
    { groupId: "films", ownerId: "alice", memberCount: 1 },
  ]);
  await assert.rejects(
    place.as(bob, (command) => createGroup(command, "films", authority, "m")),
    { code: "GROUP_EXISTS" },
  );
});

test("groups whose ids begin so are listed by themselves, page by page", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  for (const groupId of ["film", "films", "Filme", "fin", "filz", "éa", "éb", "z"])
    await place.group(groupId, alice);
  const listed = (prefix: string, page = ALL as { limit: number; after?: string }) =>
    listGroups(place.registry, alice.accountId, page, prefix);
  const idsOf = (prefix: string) => listed(prefix).items.map(({ groupId }) => groupId);
  assert.deepEqual(idsOf("fil"), ["film", "films", "filz"]);
  assert.deepEqual(idsOf("é"), ["éa", "éb"]);
  assert.deepEqual(idsOf("y"), []);
  const first = listed("fil", { limit: 2 });
  assert.equal(first.next, "films");
  const rest = listed("fil", { limit: 2, after: "films" });
  assert.deepEqual(
    rest.items.map(({ groupId }) => groupId),
    ["filz"],
  );
});

test("a request waits for the owner alone, who accepts or rejects it once", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, carol);
  const ask = () => place.as(bob, (command) => requestToJoin(command, "films"));
  await ask();
  await assert.rejects(ask(), { code: "ALREADY_REQUESTED" });
  assert.equal(listGroups(place.registry, bob.accountId, ALL).items[0]?.standing, "requested");
  assert.throws(() => listMembers(place.registry, bob.accountId, "films", () => true, ALL).items, {
    code: "NOT_A_MEMBER",
  });
  assert.throws(() => listRequests(place.registry, carol.accountId, "films", ALL).items, {
    code: "NOT_THE_OWNER",
  });
  assert.deepEqual(
    listRequests(place.registry, alice.accountId, "films", ALL).items.map(({ userId }) => userId),
    ["bob"],
  );
  const accept = (by: typeof alice) => place.as(by, (command) => acceptRequest(command, "films", "bob"));
  await assert.rejects(accept(carol), { code: "NOT_THE_OWNER" });
  await assert.rejects(accept(bob), { code: "NOT_THE_OWNER" });
  place.nowMs += 1000;
  await accept(alice);
  assert.deepEqual(memberIds(place, bob.accountId), ["alice", "carol", "bob"]);
  assert.deepEqual(listRequests(place.registry, alice.accountId, "films", ALL).items, []);
  await assert.rejects(accept(alice), { code: "ALREADY_A_MEMBER" });
  await assert.rejects(ask(), { code: "ALREADY_A_MEMBER" });
});

test("an account that was removed or left may ask again, as a new membership; a rejected one, as the same", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const claimId = requireGroup(place.registry, "films").claimId;
  const membership = () => membershipOf(place.registry, claimId, bob.accountId);
  const revokedAt = (nowMs: number) =>
    [...revokedMembershipIds(place.registry, claimId, nowMs - LISTED_MS, ALL).items].sort();
  const ids = [membership()?.membershipId];
  const again = async () => {
    await place.as(bob, (command) => requestToJoin(command, "films"));
    assert.equal(membership()?.state, "requested");
    ids.push(membership()?.membershipId);
  };
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.deepEqual(revokedAt(place.nowMs), [ids[0]]);
  await again();
  await place.as(alice, (command) => rejectRequest(command, "films", "bob"));
  assert.equal(membership()?.state, "rejected");
  await again();
  assert.equal(ids[2], ids[1]);
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.equal(membership()?.membershipId, ids[2]);
  assert.deepEqual(await place.as(bob, (command) => leaveGroup(command, "films")), { groupEnded: false });
  await again();
  assert.equal(new Set(ids).size, 3);
  // Certificates of memberships that ended may still be valid.
  assert.deepEqual(revokedAt(place.nowMs), [ids[0], ids[1]].sort());
  assert.deepEqual(revokedAt(place.nowMs + 6_000_000), []);
});

test("however often an account asks and is rejected, its request, an answer and a removal read and write the same few rows", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const cost = async (account: typeof alice, rule: (command: Command) => unknown) => {
    const counted = { read: 0, written: 0 };
    await place.as(account, (command) =>
      rule({ ...command, writer: countingWriter(command.writer, counted) }),
    );
    return counted;
  };
  const ask = () => cost(bob, (command) => requestToJoin(command, "films"));
  const reject = () => cost(alice, (command) => rejectRequest(command, "films", "bob"));
  await ask();
  const before = { rejected: await reject(), asked: await ask() };
  const { rows, bytes } = registryTotals;
  const sizes = () => [rows, bytes].map((name) => place.registry.total(name));
  const sizeBefore = sizes();
  for (let round = 0; round < 100; round++) {
    await reject();
    await ask();
  }
  assert.deepEqual({ rejected: await reject(), asked: await ask() }, before);
  const [rowsNow = 0, bytesNow = 0] = sizes();
  assert.deepEqual(
    [rowsNow, Math.round(bytesNow / 100)],
    [sizeBefore[0], Math.round((sizeBefore[1] ?? 0) / 100)],
  );
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  const removed = await cost(alice, (command) => removeMember(command, "films", "bob"));
  assert.ok(removed.written <= 3 && removed.read <= 10, JSON.stringify(removed));
});

test("a removal noted by a slow clock is named by a fast one for as long as a certificate from a fast one can be valid", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  const rightMs = 1_800_000_000_000;
  place.nowMs = rightMs - 600_000;
  await place.group("films", alice, bob);
  place.nowMs = rightMs - 600_000;
  const { claimId } = requireGroup(place.registry, "films");
  const bobs = membershipOf(place.registry, claimId, bob.accountId)?.membershipId;
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  const window = new RevocationWindow({ others: [], saved: undefined, lastRanMs: 0, save: () => undefined });
  const namedAt = (afterMs: number) =>
    revokedMembershipIds(place.registry, claimId, window.sinceMs(rightMs + 600_000 + afterMs), ALL).items;
  // Issued in that moment by a clock that is ten minutes ahead, looked at by one that is ten minutes behind.
  const validForMs = 600_000 + 3_600_000 + 600_000;
  assert.deepEqual([namedAt(validForMs - 1), namedAt(validForMs)], [[bobs], []]);
});

test("a request that cannot be decided is refused with what to do", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const attempts: [string, Promise<unknown>][] = [
    ["NO_SUCH_REQUEST", place.as(alice, (command) => acceptRequest(command, "films", "bob"))],
    ["NO_SUCH_REQUEST", place.as(alice, (command) => rejectRequest(command, "films", "nobody"))],
    ["UNKNOWN_USER", place.as(alice, (command) => removeMember(command, "films", "bob"))],
    ["INVALID_ARGUMENT", place.as(alice, (command) => removeMember(command, "films", "alice"))],
    ["NOT_THE_OWNER", place.as(bob, (command) => removeMember(command, "films", "alice"))],
    ["UNKNOWN_GROUP", place.as(bob, (command) => requestToJoin(command, "books"))],
    ["UNKNOWN_GROUP", place.as(bob, (command) => leaveGroup(command, "books"))],
    ["NOT_A_MEMBER", place.as(bob, (command) => leaveGroup(command, "films"))],
  ];
  for (const [code, attempt] of attempts) {
    await assert.rejects(attempt, (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, /'(films|books)'/);
      return true;
    });
  }
});

test("an owner who leaves hands the group to its longest-standing member", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, carol, bob);
  const writeId = randomUUID();
  const leave = () => place.as(alice, (command) => leaveGroup(command, "films"), writeId);
  assert.deepEqual(await leave(), { newOwnerId: "carol", groupEnded: false });
  assert.deepEqual(await leave(), { newOwnerId: "carol", groupEnded: false });
  assert.equal(findGroup(place.registry, "films")?.ownerAccountId, carol.accountId);
  // Back in, they do not own it again.
  await place.as(alice, (command) => requestToJoin(command, "films"));
  await place.as(carol, (command) => acceptRequest(command, "films", "alice"));
  assert.equal(findGroup(place.registry, "films")?.ownerAccountId, carol.accountId);
});

test("a group that its last member left is over, and its name is free", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  assert.deepEqual(await place.as(alice, (command) => leaveGroup(command, "films")), { groupEnded: true });
  assert.equal(findGroup(place.registry, "films"), undefined);
  await place.group("films", bob);
  assert.deepEqual(memberIds(place, bob.accountId), ["bob"]);
  assert.throws(() => memberIds(place, alice.accountId), { code: "NOT_A_MEMBER" });
});

test("a group whose members all left at trackers that were apart is over too", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  await place.write((writer) => {
    for (const { accountId } of [alice, bob]) endMembership(writer, claimId, accountId);
  });
  assert.deepEqual(listGroups(place.registry, alice.accountId, ALL).items, []);
  await place.group("films", bob);
  assert.deepEqual(memberIds(place, bob.accountId), ["bob"]);
});

test("an owner who left at one tracker while the other knew nothing of it is followed by somebody", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  await place.write((writer) => endMembership(writer, claimId, alice.accountId));
  assert.equal(requireGroup(place.registry, "films").ownerAccountId, bob.accountId);
});

test("a command that comes twice is done once, and answered twice", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  const twice = async (account: typeof alice, rule: Parameters<Town["as"]>[1]) => {
    const writeId = randomUUID();
    await place.as(account, rule, writeId);
    const digest = place.registry.digest();
    await place.as(account, rule, writeId);
    assert.equal(place.registry.digest(), digest);
  };
  await twice(alice, (command) => createGroup(command, "films", authority, "m-1"));
  await twice(bob, (command) => requestToJoin(command, "films"));
  await twice(alice, (command) => rejectRequest(command, "films", "bob"));
  await twice(bob, (command) => requestToJoin(command, "films"));
  await twice(alice, (command) => acceptRequest(command, "films", "bob"));
  await twice(alice, (command) => removeMember(command, "films", "bob"));
  await twice(alice, (command) => leaveGroup(command, "films"));
});

test("a removed member is not let in by what a partitioned tracker wrote later to their row", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  const before = membershipOf(place.registry, claimId, bob.accountId);
  assert.ok(before);
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  const acceptedApart = () =>
    place.write((writer) =>
      writer.put("membership", recordKey(claimId, bob.accountId, before.membershipId), before),
    );
  await acceptedApart();
  assert.deepEqual(memberIds(place, alice.accountId), ["alice"]);
  assert.throws(() => memberIds(place, bob.accountId), { code: "NOT_A_MEMBER" });
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await acceptedApart();
  assert.deepEqual(memberIds(place, alice.accountId), ["alice"]);
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.deepEqual(memberIds(place, alice.accountId), ["alice", "bob"]);
});

test("a removed member stays out, though a partitioned tracker accepted an earlier, rejected or replaced request of theirs", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  const ids: string[] = [];
  const ask = async () => {
    await place.as(bob, (command) => requestToJoin(command, "films"));
    ids.push(membershipOf(place.registry, claimId, bob.accountId)?.membershipId ?? "");
  };
  await ask();
  await place.as(alice, (command) => rejectRequest(command, "films", "bob"));
  await ask();
  const askedApart = { state: "requested", sinceMs: 1, membershipId: "m-3" };
  await place.write((writer) =>
    writer.put("membership", recordKey(claimId, bob.accountId, "m-3"), askedApart),
  );
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  for (const membershipId of [...ids, "m-3"]) {
    const accepted = { state: "member", sinceMs: 1, membershipId };
    await place.write((writer) =>
      writer.put("membership", answerKey(claimId, bob.accountId, membershipId), accepted),
    );
    assert.deepEqual(memberIds(place, alice.accountId), ["alice"], membershipId);
  }
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.deepEqual(memberIds(place, alice.accountId), ["alice", "bob"]);
});

test("a user who asked again after a rejection, and was accepted at a partitioned tracker, is a member; rejecting an earlier request does not affect a later one", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  const standing = (of: typeof alice) => membershipOf(place.registry, claimId, of.accountId);
  const ask = (by: typeof alice) => place.as(by, (command) => requestToJoin(command, "films"));
  const reject = (whom: typeof alice) =>
    place.as(alice, (command) => rejectRequest(command, "films", whom.userId));
  await ask(bob);
  const { membershipId = "" } = standing(bob) ?? {};
  await reject(bob);
  await ask(bob);
  assert.equal(standing(bob)?.state, "requested");
  const accepted = { state: "member", sinceMs: 1, membershipId };
  await place.write((writer) =>
    writer.put("membership", answerKey(claimId, bob.accountId, membershipId), accepted),
  );
  assert.deepEqual(memberIds(place, alice.accountId).sort(), ["alice", "bob"]);
  await ask(carol);
  await reject(carol);
  const { membershipId: carols = "" } = standing(carol) ?? {};
  const key = answerKey(claimId, carol.accountId, carols);
  const rejection = place.registry.get("membership", key);
  await ask(carol);
  // The tracker that rejected it is heard of late.
  await place.write((writer) => writer.put("membership", key, rejection));
  assert.equal(standing(carol)?.state, "requested");
  await reject(carol);
  assert.equal(standing(carol)?.state, "rejected");
});

test("two requests that were made at trackers apart are one to the owner, and ended together", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  const alsoAsked = (membershipId: string, state: string) =>
    place.write((writer) =>
      writer.put("membership", recordKey(claimId, bob.accountId, membershipId), {
        state,
        sinceMs: 1,
        membershipId,
      }),
    );
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await alsoAsked("m-2", "requested");
  assert.equal(listRequests(place.registry, alice.accountId, "films", ALL).items.length, 1);
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.equal(listRequests(place.registry, alice.accountId, "films", ALL).items.length, 0);
  await alsoAsked("m-3", "member");
  assert.deepEqual(memberIds(place, alice.accountId).sort(), ["alice", "bob"]);
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.deepEqual(memberIds(place, alice.accountId), ["alice"]);
  assert.deepEqual(listRequests(place.registry, alice.accountId, "films", ALL).items, []);
});

test("an answer stands, whatever a tracker whose clock is ahead writes later to the request, or forgets of it", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  let key = "";
  let request: unknown;
  const ask = async () => {
    await place.as(bob, (command) => requestToJoin(command, "films"));
    key = recordKey(
      claimId,
      bob.accountId,
      membershipOf(place.registry, claimId, bob.accountId)?.membershipId ?? "",
    );
    request = place.registry.get("membership", key);
  };
  const askedAgainApart = () => place.write((writer) => writer.put("membership", key, request));
  await ask();
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  await askedAgainApart();
  assert.deepEqual(memberIds(place, alice.accountId), ["alice", "bob"]);
  assert.deepEqual(listRequests(place.registry, alice.accountId, "films", ALL).items, []);
  await place.write((writer) => writer.remove("membership", key));
  assert.deepEqual(memberIds(place, alice.accountId), ["alice", "bob"]);
  await askedAgainApart();
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.deepEqual(memberIds(place, alice.accountId), ["alice"]);
  await ask();
  await place.as(alice, (command) => rejectRequest(command, "films", "bob"));
  await askedAgainApart();
  assert.deepEqual(
    listRequests(place.registry, alice.accountId, "films", ALL).items,
    [],
    "rejected stays rejected",
  );
});

test("when one command founded a group at two trackers, requests and members at one are so at the other", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, bob);
  await place.as(carol, (command) => requestToJoin(command, "films"));
  const { claimId, value } = requireGroup(place.registry, "films");
  const founder = membershipOf(place.registry, claimId, alice.accountId);
  const row = place.registry.row("group", "films", claimId);
  assert.ok(row && founder);
  // The same command at another tracker, a moment later.
  const [clock = "", counter] = claimId.split("-");
  const later = `${(Number.parseInt(clock, 16) + 1).toString(16).padStart(clock.length, "0")}-${counter}-${"f".repeat(16)}`;
  const other = { origin: "f".repeat(16), writeId: row.writeId };
  const twin: RegistryRecord[] = [
    { ...other, seq: 1, kind: "group", key: "films", claimId: later, stamp: later, value },
    {
      ...{ ...other, seq: 2, kind: "membership", claimId: "", stamp: `${later}0`, value: founder },
      key: recordKey(later, alice.accountId, founder.membershipId),
    },
  ];
  const { endings, lostClaims } = await place.registry.merge(twin);
  assert.deepEqual(endings.map(keptTwinOf), [later]);
  assert.deepEqual(lostClaims, [], "nobody has lost anything");
  assert.deepEqual(memberIds(place, alice.accountId), ["alice"]);
  const adopt = async () => {
    let after: AdoptedUpTo | undefined;
    do after = await place.write((writer) => adoptMembers(writer, claimId, later, after));
    while (after !== undefined);
  };
  await adopt();
  assert.deepEqual(memberIds(place, alice.accountId), ["alice", "bob"]);
  assert.deepEqual(
    listRequests(place.registry, alice.accountId, "films", ALL).items.map(({ userId }) => userId),
    ["carol"],
  );
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  await adopt(); // at a tracker that hears of it late
  assert.deepEqual(memberIds(place, alice.accountId), ["alice"]);
});

test("a command's id is the same when it is repeated, and nobody else's command has it", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  const idFor = (account: typeof alice, writeId: string) =>
    place.as(account, (command) => idOfCommand({ ...command, writeId }));
  assert.equal(await idFor(alice, "w"), await idFor(alice, "w"));
  assert.equal(new Set([await idFor(alice, "w"), await idFor(bob, "w"), await idFor(alice, "v")]).size, 3);
});

test("a request is for a membership that has not ended, also while the end of an earlier one is yet to arrive", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  const [first = ""] = place.registry.keys("revocation", "", { limit: 1 });
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  await place.write((writer) => writer.remove("revocation", first));
  await place.as(bob, (command) => requestToJoin(command, "films"));
  assert.equal(membershipOf(place.registry, claimId, bob.accountId)?.state, "requested");
});

test("founding that is tried again is answered while the group is its founder's, and refused when the name is not", async (t) => {
  const place = town(t, () => 2_000_000);
  const alice = await place.user("alice");
  const found = () => place.as(alice, (command) => createGroup(command, "films", authority, "m"), "w");
  await found();
  const { claimId, value } = requireGroup(place.registry, "films");
  await place.write((writer) => writer.updateClaim("group", claimId, value), "a later command");
  await found();
  const elsewhere = town(t, () => 1_000_000);
  await elsewhere.group("films", await elsewhere.user("bob"));
  await place.registry.merge(elsewhere.registry.since({}, 100));
  await assert.rejects(found(), { code: "GROUP_EXISTS" });
});

test("ids that look like one that is taken are refused, and that of a group that is over is not", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("fiIms", alice);
  const found = () => place.as(bob, (command) => createGroup(command, "films", authority, "m"));
  await assert.rejects(found(), { code: "GROUP_EXISTS", message: /looks like 'fiIms'/ });
  const { claimId } = requireGroup(place.registry, "fiIms");
  await place.write((writer) => endMembership(writer, claimId, alice.accountId));
  await found();
  assert.equal(place.registry.claimById("group", claimId), undefined, "the claim of nobody's group stands");
  const { authorityCertificatePem, authorityPrivateKeyPem, ownerAccountId } =
    place.registry.claim("group", "films")?.value ?? assert.fail();
  assert.deepEqual(
    [authorityCertificatePem, authorityPrivateKeyPem, ownerAccountId],
    [authority.certificatePem, authority.privateKeyPem, bob.accountId],
  );
});

test("an account that has only asked cannot be removed, and how and when a membership ended is kept", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, bob, carol);
  const dave = await place.user("dave");
  await place.as(dave, (command) => requestToJoin(command, "films"));
  await assert.rejects(
    place.as(alice, (command) => removeMember(command, "films", "dave")),
    { code: "UNKNOWN_USER" },
  );
  const { claimId } = requireGroup(place.registry, "films");
  place.nowMs = 7_000_000;
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  place.nowMs = 8_000_000;
  await place.as(alice, (command) => leaveGroup(command, "films"));
  const ends = place.registry.list("revocation", recordKey(claimId, ""));
  assert.deepEqual(
    ends.map(({ value }) => value).sort((one, other) => one.endedAtMs - other.endedAtMs),
    [
      { accountId: bob.accountId, how: "removed", endedAtMs: 7_000_000 },
      { accountId: alice.accountId, how: "left", endedAtMs: 8_000_000, successorAccountId: carol.accountId },
    ],
  );
});

test("a leave that is tried again is answered as the last one was, and a member's leave leaves the owner", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, bob, carol);
  const leave = (account: typeof alice, writeId: string = randomUUID()) =>
    place.as(account, (command) => leaveGroup(command, "films"), writeId);
  assert.deepEqual(await leave(alice), { newOwnerId: "bob", groupEnded: false });
  place.nowMs += 1_000;
  await place.as(alice, (command) => requestToJoin(command, "films"));
  await place.as(bob, (command) => acceptRequest(command, "films", "alice"));
  assert.deepEqual(await leave(carol), { groupEnded: false });
  place.nowMs += 1_000;
  await place.as(carol, (command) => requestToJoin(command, "films"));
  await place.as(bob, (command) => acceptRequest(command, "films", "carol"));
  assert.deepEqual(await leave(bob), { newOwnerId: "alice", groupEnded: false });
  place.nowMs += 1_000;
  for (let at = 0; at < 2; at++) {
    assert.deepEqual(await leave(alice, "w"), { newOwnerId: "carol", groupEnded: false });
  }
  for (let at = 0; at < 2; at++) assert.deepEqual(await leave(carol, "v"), { groupEnded: true });
});

test("an account's own groups are those that it is in or asked to join, with its membership of each", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  await place.group("books", alice);
  await place.group("songs", alice);
  for (const groupId of ["books", "songs"]) {
    await place.as(bob, (command) => requestToJoin(command, groupId));
  }
  await place.as(alice, (command) => rejectRequest(command, "songs", "bob"));
  const { items } = listOwnGroups(place.registry, bob.accountId, ALL);
  const idIn = (groupId: string) =>
    membershipOf(place.registry, requireGroup(place.registry, groupId).claimId, bob.accountId)?.membershipId;
  assert.deepEqual(
    items.toSorted((one, other) => (one.groupId < other.groupId ? -1 : 1)),
    [
      { groupId: "books", standing: "requested", membershipId: idIn("books") },
      { groupId: "films", standing: "member", membershipId: idIn("films") },
    ],
  );
});

test("lists say who is online, and to whom they are closed, with the reason", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, bob);
  const members = (accountId: string) =>
    listMembers(place.registry, accountId, "films", (id) => id === bob.accountId, ALL).items;
  assert.deepEqual(
    members(bob.accountId).map(({ userId, isOwner, isOnline, sinceMs }) => [
      userId,
      isOwner,
      isOnline,
      sinceMs,
    ]),
    [
      ["alice", true, false, 1_000_000],
      ["bob", false, true, 1_001_000],
    ],
  );
  const refused = { code: "NOT_A_MEMBER", message: /join_group films asks/ };
  assert.throws(() => members(carol.accountId), refused);
  await place.as(carol, (command) => requestToJoin(command, "films"));
  assert.throws(() => members(carol.accountId), { ...refused, message: /your request waits/ });
  assert.throws(() => listRequests(place.registry, bob.accountId, "films", ALL), {
    code: "NOT_THE_OWNER",
    message: /ask alice/,
  });
});

/** Groups of alice's, with so many memberships that ended a second apart; bob is in none. */
async function endsIn(place: Town, counts: Readonly<Record<string, number>>) {
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  for (const [groupId, count] of Object.entries(counts)) {
    await place.group(groupId, alice);
    const { claimId } = requireGroup(place.registry, groupId);
    await place.write((writer) => {
      for (let at = 0; at < count; at++) {
        const end: RevocationValue = { accountId: bob.accountId, how: "left", endedAtMs: 1_000 * (at + 1) };
        writer.put("revocation", recordKey(claimId, `${groupId}-${at}`), end);
      }
    });
  }
  const list = (
    groupIds: readonly string[],
    {
      after,
      limit = 1_000,
      sinceMs = 0,
      asker = alice,
    }: {
      after?: string | undefined;
      limit?: number;
      sinceMs?: number;
      asker?: typeof alice;
    } = {},
  ) => {
    const page = listRevocations(place.registry, asker.accountId, groupIds, sinceMs, { after, limit });
    return { ids: page.items.map(({ membershipId }) => membershipId), next: page.next };
  };
  return { list, bob };
}

test("ended memberships of several groups come page by page, each once, and a group without any takes its place in a page", async (t) => {
  const { list, bob } = await endsIn(town(t), { a: 3, b: 0, c: 2, d: 0, e: 0, f: 1 });
  const groupIds = ["a", "b", "c", "d", "e", "f", "unknown"];
  for (const limit of [1, 2, 3, 4, 5, 100]) {
    const all: string[] = [];
    let after: string | undefined;
    for (let pages = 0; ; pages++) {
      assert.ok(pages <= 20, `the list of pages of ${limit} does not end`);
      const { ids, next } = list(groupIds, { after, limit });
      assert.ok(ids.length <= limit);
      all.push(...ids);
      if (next === undefined) break;
      after = next;
    }
    assert.deepEqual(all, ["a-0", "a-1", "a-2", "c-0", "c-1", "f-0"], `in pages of ${limit}`);
  }
  assert.deepEqual(list(["b", "d", "e"], { limit: 2 }), { ids: [], next: "e" });
  const { list: listMany } = await endsIn(town(t), { a: 8, b: 7 });
  assert.ok(listMany(["a", "b"], { limit: 10 }).ids.length <= 10);
  assert.deepEqual(
    list(groupIds, { asker: bob }),
    { ids: [], next: undefined },
    "they are told to strangers",
  );
});

test("memberships that ended at that time or before are not listed, whatever cursor is made up", async (t) => {
  const { list } = await endsIn(town(t), { a: 3, b: 2 });
  assert.deepEqual(list(["a"], { sinceMs: 2_000 }).ids, ["a-2"]);
  assert.deepEqual(list(["a"], { sinceMs: 1_999 }).ids, ["a-1", "a-2"]);
  assert.deepEqual(list(["a"], { sinceMs: 2_000, after: recordKey("a", "0") }).ids, ["a-2"]);
  assert.deepEqual(list(["a"], { after: recordKey("b", "0") }), { ids: [], next: undefined });
  // A place in one group says nothing of the next one.
  assert.deepEqual(list(["a", "b"], { after: recordKey("a", "9") }).ids, ["b-0", "b-1"]);
});

test("a group founded twice is joined over several transactions, with payers and without former members", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const { claimId, value } = requireGroup(place.registry, "films");
  const kept = await place.write((writer) => writer.makeClaim("group", "kept", value));
  const id = (at: number) => String(at).padStart(3, "0");
  const member = (at: number) => ({ state: "member", sinceMs: at, membershipId: id(at) });
  await place.write((writer) => {
    for (let at = 0; at < 250; at++) {
      writer.put("membership", recordKey(claimId, `account ${id(at)}`, id(at)), member(at), "somebody");
    }
    const end: RevocationValue = { accountId: "account 001", how: "left", endedAtMs: 1 };
    writer.put("revocation", recordKey(claimId, id(1)), end);
    writer.put("revocation", recordKey(kept, id(2)), { ...end, accountId: "account 002" });
    writer.put("membership", recordKey(kept, "account 003", id(3)), { ...member(3), sinceMs: 7 });
  });
  const pages: number[] = [];
  let after: AdoptedUpTo | undefined;
  do {
    const { result, records } = await place.registry.transact(randomUUID(), (writer) =>
      adoptMembers(writer, claimId, kept, after),
    );
    pages.push(records.length);
    after = result;
  } while (after !== undefined);
  // The ends, and then the members but for those of two who left and one who is there.
  assert.deepEqual(pages, [1, 97, 100, 51]);
  const rows = place.registry.list("membership", recordKey(kept, ""));
  assert.equal(rows.length, 249);
  assert.equal(
    place.registry.row("membership", recordKey(kept, "account 004", id(4)), "")?.paidBy,
    "somebody",
  );
  assert.equal(rows.find(({ key }) => key.includes("account 003"))?.value.sinceMs, 7);
  await place.write((writer) => writer.endClaim("group", kept));
  assert.equal(await place.write((writer) => adoptMembers(writer, claimId, kept)), undefined);
});
