import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import type { Command } from "../../../src/tracker/command.ts";
import {
  type AdoptedUpTo,
  acceptRequest,
  adoptMembers,
  createGroup,
  leaveGroup,
  listGroups,
  listMembers,
  listRequests,
  rejectRequest,
  removeMember,
  requestToJoin,
  revokedMembershipIds,
} from "../../../src/tracker/groups.ts";
import { answerKey, findGroup, membershipOf, requireGroup } from "../../../src/tracker/memberships.ts";
import {
  keptTwinOf,
  type RegistryRecord,
  type RegistryWriter,
  recordKey,
} from "../../../src/tracker/registry/registry.ts";
import { RevocationWindow } from "../../../src/tracker/revocation-window.ts";
import { registryTotals } from "../../../src/tracker/totals.ts";
import type { RevocationValue } from "../../../src/tracker/values.ts";
import { authority, type Town, town } from "./fixture.ts";

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

test("who founds a group owns it, and its name is taken", async (t) => {
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

test("who was removed or left may ask again, as a new membership; who was rejected, as the same", async (t) => {
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

test("what cannot be decided about a user is refused with what to do", async (t) => {
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

test("the owner who leaves hands the group to its member of longest standing", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, carol, bob);
  const writeId = randomUUID();
  const leave = () => place.as(alice, (command) => leaveGroup(command, "films"), writeId);
  assert.deepEqual(await leave(), { newOwnerId: "carol", groupEnded: false });
  assert.deepEqual(await leave(), { newOwnerId: "carol", groupEnded: false });
  assert.equal(findGroup(place.registry, "films")?.ownerAccountId, carol.accountId);
  // Back in, he does not own it again.
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

test("a member who was removed is not let in by what another tracker, apart, wrote later to his row", async (t) => {
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

test("who was removed stays out, also by an earlier request of his that was rejected, or replaced, and accepted at a tracker apart", async (t) => {
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

test("who asked again after a rejection, and was accepted before at a tracker apart, is in; a rejection of an earlier request says nothing of a later one", async (t) => {
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

test("of a group that one command founded at two trackers, who asked or was let in at one is so at the other", async (t) => {
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
