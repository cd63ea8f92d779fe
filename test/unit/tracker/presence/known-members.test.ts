// What is remembered of members agrees with the registry after every row, and a row makes nothing else be read again.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Account } from "../../../../src/api/schemas.ts";
import { KnownMembers } from "../../../../src/tracker/presence/known-members.ts";
import {
  type RegistryRecord,
  type RegistryWriter,
  recordKey,
} from "../../../../src/tracker/registry/registry.ts";
import {
  acceptRequest,
  createGroup,
  leaveGroup,
  removeMember,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import { currentMember, currentMembers, findGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { authority, town } from "../fixture.ts";

/** A group of alice's with bob in it, and one of carol's. */
async function filmsAndBooks(t: TestContext) {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, bob);
  await place.group("books", carol);
  const known = new KnownMembers(place.registry);
  const films = findGroup(place.registry, "films")?.claimId ?? "";
  return { place, alice, bob, carol, known, films };
}

test("after each of hundreds of commands it says what the registry says", async (t) => {
  const place = town(t);
  const known = new KnownMembers(place.registry);
  const people: Account[] = [];
  for (let at = 0; at < 6; at++) people.push(await place.user(`user${at}`));
  const claims = new Set<string>();
  let seed = 1;
  const random = (most: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % most;
  };
  for (let round = 0; round < 600; round++) {
    const [one, other] = [people[random(6)], people[random(6)]];
    const groupId = `group${random(3)}`;
    if (one === undefined || other === undefined) assert.fail();
    place.nowMs += 1_000;
    const rules = [
      () => place.as(one, (command) => createGroup(command, groupId, authority, randomUUID())),
      () => place.as(one, (command) => requestToJoin(command, groupId)),
      () => place.as(one, (command) => acceptRequest(command, groupId, other.userId)),
      () => place.as(one, (command) => acceptRequest(command, groupId, other.userId)),
      () => place.as(one, (command) => removeMember(command, groupId, other.userId)),
      () => place.as(one, (command) => leaveGroup(command, groupId)),
    ];
    // Most are refused, which is no matter here.
    await rules[random(rules.length)]?.().catch(() => {});
    const claimId = findGroup(place.registry, groupId)?.claimId;
    if (claimId !== undefined) claims.add(claimId);
    for (const claim of claims) {
      const members = currentMembers(place.registry, claim).map(({ accountId }) => accountId);
      assert.deepEqual([...(known.accountsIn(claim) ?? [])].sort(), members.sort(), `round ${round}`);
      for (const { accountId } of people) {
        assert.deepEqual(known.member(claim, accountId), currentMember(place.registry, claim, accountId));
      }
    }
  }
  assert.ok(claims.size > 3, "groups ended and were founded again");
});

test("a row about one group makes nothing about another be read again", async (t) => {
  const { place, alice, bob, carol, known, films } = await filmsAndBooks(t);
  const infoHash = "f".repeat(40);
  await place.write((writer) => writer.put("torrent", recordKey(infoHash, films, "a.bin", "w"), {}));
  const ask = () => {
    assert.equal(known.member(films, alice.accountId)?.userId, "alice");
    assert.equal(known.member(films, carol.accountId), undefined);
    assert.equal(known.accountsIn(films)?.size, 2);
    assert.equal(known.groupOf(infoHash), films);
  };
  ask();
  const reads = t.mock.method(place.registry, "list");
  const claimReads = t.mock.method(place.registry, "claimById");
  await place.as(bob, (command) => requestToJoin(command, "books"));
  await place.as(carol, (command) => acceptRequest(command, "books", "bob"));
  await place.as(carol, (command) => removeMember(command, "books", "bob"));
  await place.as(bob, (command) => createGroup(command, "songs", authority, "m-bob-2"));
  await place.user("dave");
  reads.mock.resetCalls();
  claimReads.mock.resetCalls();
  ask();
  assert.equal(reads.mock.callCount(), 0);
  // Whether the new account and what it is called stand.
  assert.ok(claimReads.mock.callCount() <= 2, `${claimReads.mock.callCount()} claims read`);
});

test("an account that loses its name is no longer a member, and the torrents of a group that does are nobody's", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const known = new KnownMembers(place.registry);
  const claimId = findGroup(place.registry, "films")?.claimId ?? "";
  const infoHash = "f".repeat(40);
  await place.write((writer) => writer.put("torrent", recordKey(infoHash, claimId, "a.bin", "w"), {}));
  const row = (kind: "user" | "group", key: string, seq: number, value: object): RegistryRecord => {
    const stamp = `00000000000${seq}-000000-apart`;
    return { kind, key, claimId: stamp, stamp, origin: "apart", seq, writeId: `w${seq}`, value };
  };
  assert.equal(known.member(claimId, bob.accountId)?.userId, "bob");
  assert.equal(known.groupOf(infoHash), claimId);
  const [user, group] = [
    row("user", "bob", 1, { createdAtMs: 1 }),
    row("group", "films", 2, { ownerAccountId: "" }),
  ];
  await place.registry.merge([user, group]);
  assert.equal(known.member(claimId, bob.accountId), currentMember(place.registry, claimId, bob.accountId));
  assert.equal(known.member(claimId, bob.accountId), undefined);
  assert.equal(known.groupOf(infoHash), undefined);
});

test("of two accounts with one name, made at two trackers, only the one that holds the name is a member", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const films = findGroup(place.registry, "films")?.claimId ?? "";
  const made = (origin: string, number: number, value: object): RegistryRecord => {
    const stamp = `00000000000${number}-000000-${origin}`;
    return { kind: "user", key: "bob", claimId: stamp, stamp, origin, seq: 1, writeId: origin, value };
  };
  const [first, second] = [made("one", 1, { createdAtMs: 1 }), made("two", 2, { createdAtMs: 1 })];
  await place.registry.merge([second]);
  const bob = { userId: "bob", accountId: second.claimId };
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  const known = new KnownMembers(place.registry);
  assert.equal(known.member(films, bob.accountId)?.userId, "bob");
  assert.equal(known.accountsIn(films)?.size, 2);
  // The other tracker's row is the only one that says so.
  await place.registry.merge([first]);
  assert.equal(known.member(films, bob.accountId), undefined);
  await place.write((writer) => writer.endClaim("user", first.claimId));
  assert.equal(known.member(films, bob.accountId)?.userId, "bob");
  assert.equal(known.accountsIn(films)?.size, 2);
  await place.write((writer) => writer.endClaim("user", second.claimId));
  assert.deepEqual([...(known.accountsIn(films) ?? [])], [alice.accountId]);
});

test("rows written too long ago to be remembered, and rows rolled back, are read again", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const known = new KnownMembers(place.registry);
  const claimId = findGroup(place.registry, "films")?.claimId ?? "";
  assert.equal(known.accountsIn(claimId)?.size, 1);
  await place.write((writer) => {
    for (let at = 0; at < 5_000; at++) {
      const value = { state: "member", sinceMs: at, membershipId: `m${at}` };
      writer.put("membership", `${claimId}\u001f${alice.accountId}\u001fm${at}`, value);
    }
  });
  const bob = await place.user("bob");
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.equal(known.accountsIn(claimId)?.size, 2);
  const revisionBefore = place.registry.revision("membership");
  await assert.rejects(
    place.write((writer) => {
      writer.put("membership", `${claimId}\u001fx\u001fm`, {});
      known.accountsIn(claimId);
      throw new Error("rolled back");
    }),
  );
  const again = place.registry.placesSince("membership", revisionBefore)?.map(({ key }) => key);
  assert.deepEqual(new Set(again), new Set([`${claimId}\u001fx\u001fm`]));
  assert.equal(known.accountsIn(claimId)?.size, 2);
});

test("writes that are refused make nothing be read again", async (t) => {
  const { place, bob, known, films } = await filmsAndBooks(t);
  const books = findGroup(place.registry, "books")?.claimId ?? "";
  const ask = () => {
    assert.equal(known.member(films, bob.accountId)?.userId, "bob");
    assert.equal(known.accountsIn(films)?.size, 2);
    assert.equal(known.member(books, bob.accountId), undefined);
  };
  ask();
  const reads = t.mock.method(place.registry, "derived");
  // Refused before and after it wrote something, alone and beside another one.
  const again = () => place.as(bob, (command) => requestToJoin(command, "films"));
  const asksInVain = () =>
    place.as(bob, (command) => {
      requestToJoin(command, "books");
      throw new Error("over the quota");
    });
  await assert.rejects(again(), { code: "ALREADY_A_MEMBER" });
  ask();
  await Promise.all([assert.rejects(again()), assert.rejects(again()), place.user("dave")]);
  ask();
  assert.equal(reads.mock.callCount(), 0);
  await Promise.all([assert.rejects(asksInVain()), place.user("erin")]);
  ask();
  assert.equal(reads.mock.callCount(), 1, "the one that was rolled back");
});

test("a large group is read a page at a time, and what is written meanwhile is in it", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const films = findGroup(place.registry, "films")?.claimId ?? "";
  const accounts: string[] = [];
  const join = (writer: RegistryWriter, name: string) => {
    const accountId = writer.makeClaim("user", name, { createdAtMs: 1 });
    const member = { state: "member", sinceMs: 2_000_000 + accounts.length, membershipId: name };
    writer.put("membership", recordKey(films, accountId, name), member);
    accounts.push(accountId);
  };
  await place.write((writer) => {
    for (let at = 0; at < 700; at++) join(writer, `user${at}`);
  });
  const known = new KnownMembers(place.registry);
  assert.equal(known.accountsIn(films), undefined);
  const reads = t.mock.method(place.registry, "listed");
  const reading = known.roster(films);
  reading.next();
  reading.next();
  assert.equal(reads.mock.callCount(), 2);
  const ended = [3, 699].map((at) => ({ membershipId: `user${at}`, accountId: accounts[at] ?? "" }));
  await place.write((writer) => {
    for (const { membershipId, accountId } of ended) {
      writer.put("revocation", recordKey(films, membershipId), { accountId, how: "left", endedAtMs: 1 });
    }
    join(writer, "late");
  });
  let read = reading.next();
  while (read.done !== true) read = reading.next();
  const left = accounts.filter((accountId) => ended.every((end) => end.accountId !== accountId));
  assert.deepEqual([...(read.value ?? [])].sort(), [alice.accountId, ...left].sort());
  assert.ok(reads.mock.calls.every(({ result = [] }) => result.length <= 50));
});

test("no more members, rosters, torrents and groups are remembered than fit, and those that are forgotten are read again", async (t) => {
  const place = town(t);
  const people: Account[] = [];
  for (let at = 0; at < 6; at++) people.push(await place.user(`user${at}`));
  const claims: string[] = [];
  for (const [at, owner] of people.entries()) {
    await place.group(`group${at}`, owner);
    claims.push(findGroup(place.registry, `group${at}`)?.claimId ?? "");
  }
  await place.write((writer) => {
    for (const [at, claimId] of claims.entries()) {
      writer.put("torrent", recordKey(String(at).repeat(40), claimId, "a", "w"), {});
    }
  });
  const known = new KnownMembers(place.registry, 3);
  const derived = t.mock.method(place.registry, "derived");
  const keys = t.mock.method(place.registry, "keys");
  const listed = t.mock.method(place.registry, "listed");
  const claimReads = t.mock.method(place.registry, "claimById");
  const readsOf = (work: () => unknown): number => {
    for (const { mock } of [derived, keys, listed, claimReads]) mock.resetCalls();
    work();
    return [derived, keys, listed].reduce((sum, { mock }) => sum + mock.callCount(), 0);
  };
  const member = (at: number) => () =>
    assert.equal(known.member(claims[at] ?? "", people[at]?.accountId ?? "")?.userId, `user${at}`);
  const group = (at: number) => () => assert.equal(known.groupOf(String(at).repeat(40)), claims[at]);
  const roster = (at: number) => () => assert.equal(known.accountsIn(claims[at] ?? "")?.size, 1);
  for (const what of [member, group, roster]) {
    for (let at = 0; at < 6; at++) readsOf(what(at));
    assert.equal(readsOf(what(5)), 0, "the last one is remembered");
    assert.equal(readsOf(what(3)), 0, "three are");
    assert.ok(readsOf(what(0)) > 0, "more are remembered than fit");
  }
  assert.ok(readsOf(group(1)) > 0);
  assert.ok(claimReads.mock.callCount() > 0, "that its group stands is read again");
});

test("the counts of members and rosters follow writes", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  for (const groupId of ["films", "books"]) await place.group(groupId, alice);
  const [films, books] = ["films", "books"].map(
    (groupId) => findGroup(place.registry, groupId)?.claimId ?? "",
  );
  assert.ok(films !== undefined && books !== undefined);
  const known = new KnownMembers(place.registry, 3);
  const derived = t.mock.method(place.registry, "derived");
  const listed = t.mock.method(place.registry, "listed");
  const readsOf = (work: () => unknown): number => {
    for (const { mock } of [derived, listed]) mock.resetCalls();
    work();
    return derived.mock.callCount() + listed.mock.callCount();
  };
  const join = async (account: Account) => {
    await place.as(account, (command) => requestToJoin(command, "films"));
    await place.as(alice, (command) => acceptRequest(command, "films", account.userId));
  };
  assert.equal(known.member(films, alice.accountId)?.userId, "alice");
  await join(bob);
  assert.equal(known.member(films, bob.accountId)?.userId, "bob");
  await place.as(bob, (command) => leaveGroup(command, "films"));
  assert.equal(known.member(films, bob.accountId), undefined);
  await join(bob);
  assert.equal(known.member(films, bob.accountId)?.userId, "bob");
  assert.equal(
    readsOf(() => known.member(films, alice.accountId)),
    0,
    "two are remembered",
  );
  assert.equal(known.accountsIn(films)?.size, 2);
  await join(carol);
  assert.equal(known.accountsIn(films)?.size, 3);
  assert.equal(known.accountsIn(books)?.size, 1);
  assert.ok(readsOf(() => known.accountsIn(films)) > 0, "four accounts are one too many");
});

test("a group with more members than are remembered has no roster", async (t) => {
  const place = town(t);
  const people: Account[] = [];
  for (let at = 0; at < 4; at++) people.push(await place.user(`user${at}`));
  const [owner, ...others] = people;
  assert.ok(owner);
  await place.group("films", owner, ...others);
  const films = findGroup(place.registry, "films")?.claimId ?? "";
  const known = new KnownMembers(place.registry, 3);
  assert.equal(known.accountsIn(films), undefined);
  assert.deepEqual(known.roster(films).next(), { done: true, value: undefined });
  const reading = new KnownMembers(place.registry, 4).roster(films);
  reading.next();
  await place.user("late");
  await place.as(owner, (command) => removeMember(command, "films", "user3"));
  const read = reading.next();
  assert.ok(read.done && read.value?.size === 3);
});
