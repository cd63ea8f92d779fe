// Who is in a group, by which membership, and what derived entries say of rows that are odd or late.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { recordKey } from "../../../../src/tracker/registry/registry.ts";
import {
  acceptRequest,
  listRequests,
  rejectRequest,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import { answerKey, timeKey } from "../../../../src/tracker/rules/membership-index.ts";
import {
  countMembers,
  currentMember,
  currentMembers,
  findGroup,
  isMemberBy,
  membershipBy,
  membershipOf,
  nextOf,
  requireGroup,
} from "../../../../src/tracker/rules/membership-rows.ts";
import { authority, type Town, town } from "../fixture.ts";

const ALL = { limit: Number.POSITIVE_INFINITY };

test("an account is a member by each membership that it has, two at trackers apart, while its name stands", async (t) => {
  const place = town(t, () => 2_000_000);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  const { membershipId = "" } = membershipOf(place.registry, claimId, bob.accountId) ?? {};
  const put = (id: string, state: string) =>
    place.write((writer) => {
      const membership = { state, sinceMs: 9_000_000, membershipId: id };
      writer.put("membership", recordKey(claimId, bob.accountId, id), membership);
    });
  await put("second", "member");
  await put("third", "requested");
  // As a third tracker sees it, which ends no claim that was made elsewhere.
  const { registry } = town(t);
  const hear = (from: Town) => registry.merge(from.registry.since(registry.vector, 1_000));
  await hear(place);
  const by = (id: string) => isMemberBy(registry, claimId, bob.accountId, id);
  assert.deepEqual([membershipId, "second", "third", "fourth"].map(by), [true, true, false, false]);
  assert.equal(countMembers(registry, claimId), 2);
  const elsewhere = town(t, () => 1_000_000);
  const first = await elsewhere.user("bob");
  await hear(elsewhere);
  assert.deepEqual([membershipId, "second"].map(by), [false, false], "bob is somebody else now");
  assert.equal(currentMember(registry, claimId, bob.accountId), undefined);
  assert.equal(countMembers(registry, claimId), 1);
  await elsewhere.write((writer) => writer.endClaim("user", first.accountId));
  await hear(elsewhere);
  assert.deepEqual(
    [membershipId, "second"].map(by),
    [true, true],
    "the name and memberships are theirs again",
  );
  assert.deepEqual(
    currentMembers(registry, claimId).map(({ userId }) => userId),
    ["alice", "bob"],
  );
});

test("a request beside one that is answered, made at a tracker apart, does not wait any more", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.write((writer) => {
    const apart = { state: "requested", sinceMs: 9_000_000, membershipId: "apart" };
    writer.put("membership", recordKey(claimId, bob.accountId, "apart"), apart);
  });
  await place.as(alice, (command) => rejectRequest(command, "films", "bob"));
  assert.equal(membershipOf(place.registry, claimId, bob.accountId)?.state, "rejected");
  assert.deepEqual(listRequests(place.registry, alice.accountId, "films", ALL).items, []);
  await assert.rejects(
    place.as(alice, (command) => acceptRequest(command, "films", "bob")),
    { code: "NO_SUCH_REQUEST" },
  );
});

test("a row of a wrong form counts for nothing, and breaks nothing", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  await place.as(bob, (command) => requestToJoin(command, "films"));
  const { claimId } = requireGroup(place.registry, "films");
  const { membershipId = "" } = membershipOf(place.registry, claimId, bob.accountId) ?? {};
  const odd: unknown[] = [
    null,
    7,
    "member",
    {},
    { state: "toString", sinceMs: 1, membershipId },
    { state: "member", sinceMs: "1", membershipId },
    { state: "member", sinceMs: 1 },
    { state: "member", sinceMs: 1, membershipId, requestId: 1 },
  ];
  for (const value of odd) {
    await place.write((writer) =>
      writer.put("membership", answerKey(claimId, bob.accountId, membershipId), value),
    );
    const state = membershipBy(place.registry, claimId, bob.accountId, membershipId)?.state;
    assert.equal(state, "requested", JSON.stringify(value));
  }
  for (const value of [null, 7, {}, { accountId: 7 }]) {
    await place.write((writer) => writer.put("revocation", recordKey(claimId, "odd"), value));
  }
  assert.equal(findGroup(place.registry, "films")?.ownerAccountId, alice.accountId);
});

test("times sort as texts, and what is no time is the earliest", () => {
  const times = [0, 5, 10, 1_800_000_000_000, Number.MAX_SAFE_INTEGER];
  const keys = times.map(timeKey);
  assert.deepEqual(keys, keys.toSorted());
  for (const odd of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
    assert.equal(timeKey(odd), timeKey(0), String(odd));
  }
});

test("a page that is full has a next one, whether or not there is anything on it", () => {
  const entries = [{ sort: "a" }, { sort: "b" }];
  assert.deepEqual(nextOf(entries, 2), { next: "b" });
  assert.deepEqual(nextOf(entries, 3), {});
  assert.deepEqual(nextOf([], 3), {});
});

test("members and requests are listed in the order in which they came, whichever account is older", async (t) => {
  const place = town(t);
  const people = [];
  for (let at = 0; at < 4; at++) people.push(await place.user(`user${at}`));
  const [alice, ...others] = people;
  assert.ok(alice);
  await place.group("films", alice, ...others.toReversed());
  const { claimId } = requireGroup(place.registry, "films");
  assert.deepEqual(
    currentMembers(place.registry, claimId).map(({ userId }) => userId),
    ["user0", "user3", "user2", "user1"],
  );
  await place.as(alice, ({ writer }) => {
    const books = writer.makeClaim("group", "books", {
      ...{ ownerAccountId: alice.accountId, authorityCertificatePem: authority.certificatePem },
      authorityPrivateKeyPem: authority.privateKeyPem,
    });
    const member = { state: "member", sinceMs: 1, membershipId: randomUUID() };
    writer.put("membership", recordKey(books, alice.accountId, member.membershipId), member);
  });
  for (const one of others.toReversed()) {
    place.nowMs += 1_000;
    await place.as(one, (command) => requestToJoin(command, "books"));
  }
  assert.deepEqual(
    listRequests(place.registry, alice.accountId, "books", ALL).items.map(({ userId }) => userId),
    ["user3", "user2", "user1"],
  );
});

test("when partitioned trackers made two memberships, the older one counts", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  for (const [id, sinceMs] of [
    ["a", 3_000],
    ["b", 1_000],
    ["c", 2_000],
  ] as const) {
    await place.write((writer) => {
      writer.put("membership", recordKey(claimId, alice.accountId, id), {
        ...{ state: "member", sinceMs, membershipId: id },
      });
    });
  }
  assert.equal(membershipOf(place.registry, claimId, alice.accountId)?.membershipId, "b");
});
