import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Account, TrackerEvent } from "../../../../src/api/schemas.ts";
import { Connection, Connections } from "../../../../src/tracker/presence/client-connections.ts";
import { EventPublisher } from "../../../../src/tracker/presence/event-publisher.ts";
import { KnownMembers } from "../../../../src/tracker/presence/known-members.ts";
import { PeerDirectory } from "../../../../src/tracker/presence/peer-directory.ts";
import { Presence } from "../../../../src/tracker/presence/presence.ts";
import { operatorWriteId } from "../../../../src/tracker/registry/record-values.ts";
import { type LostClaim, type RegistryRecord, recordKey } from "../../../../src/tracker/registry/registry.ts";
import { adoptShares, shareFile, stopShare } from "../../../../src/tracker/rules/catalogue.ts";
import {
  acceptRequest,
  createGroup,
  leaveGroup,
  rejectRequest,
  removeMember,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import { createInvite, useInvite } from "../../../../src/tracker/rules/invites.ts";
import { answerKey, standingLists } from "../../../../src/tracker/rules/membership-index.ts";
import { membershipOf, requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import type { Command } from "../../../../src/tracker/rules/rule-command.ts";
import { authority, holderId, metainfoFor, type Town, town } from "../fixture.ts";

interface Person {
  readonly account: Account;
  readonly connection: Connection;
  readonly told: TrackerEvent[];
}

/** A client that notes what it is told. */
function connect(connections: Connections, account: Account): Omit<Person, "account"> {
  const told: TrackerEvent[] = [];
  const connection = new Connection({
    id: randomUUID(),
    host: "10.0.0.1",
    deviceId: Buffer.from(account.userId).toString("hex").padEnd(64, "0"),
    publicKeySpki: new Uint8Array(),
  });
  connection.tell = (event) => told.push(event);
  connections.add(connection);
  connections.logIn(connection, account);
  return { connection, told };
}

/** People who are connected, and a registry whose changes are told. */
async function village(t: TestContext, ...userIds: string[]) {
  const place: Town = town(t);
  const connections = new Connections();
  const timers = new Map<() => void, number>();
  const setTimer = (delayMs: number, callback: () => void) => {
    timers.set(callback, delayMs);
    return () => timers.delete(callback);
  };
  const delays = () => [...timers.values()];
  /** The event loop turns, and what waits for a second is due. */
  const aSecondLater = () => {
    for (const callback of [...timers.keys()]) if (timers.delete(callback)) callback();
  };
  /** Info-hash → connections that announced it. */
  const announcers = new Map<string, string[]>();
  const publisher = new EventPublisher(
    place.registry,
    new KnownMembers(place.registry),
    connections,
    (infoHash) => announcers.get(infoHash) ?? [],
    setTimer,
  );
  const people: Person[] = [];
  for (const userId of userIds) {
    const account = await place.user(userId);
    people.push({ account, ...connect(connections, account) });
  }
  const as = async (account: Account, rule: (command: Command) => unknown) => {
    const { nowMs } = place;
    const writeId = randomUUID();
    const { records } = await place.registry.transact(writeId, (writer) =>
      rule({ writer, writeId, account, nowMs }),
    );
    publisher.changed(records, []);
  };
  const heard = () => people.map(({ told }) => told.splice(0));
  return { place, connections, announcers, publisher, people, as, heard, aSecondLater, delays };
}

test("each change of membership is told to whom it concerns, and to nobody else", async (t) => {
  const { place, people, as, heard } = await village(t, "alice", "bob", "carol", "dave");
  const [alice, bob, carol] = people.map(({ account }) => account);
  assert.ok(alice && bob && carol);
  const groupId = "films";
  await as(alice, (command) => createGroup(command, groupId, authority, "m-alice"));
  assert.deepEqual(heard(), [[], [], [], []]);
  await as(bob, (command) => requestToJoin(command, groupId));
  assert.deepEqual(heard(), [[{ type: "join-requested", groupId, userId: "bob" }], [], [], []]);
  await as(alice, (command) => rejectRequest(command, groupId, "bob"));
  assert.deepEqual(heard(), [[], [{ type: "request-rejected", groupId }], [], []]);
  await as(bob, (command) => requestToJoin(command, groupId));
  place.nowMs += 1000;
  await as(carol, (command) => requestToJoin(command, groupId));
  heard();
  await as(alice, (command) => acceptRequest(command, groupId, "bob"));
  assert.deepEqual(heard(), [[], [{ type: "request-accepted", groupId }], [], []]);
  await as(alice, (command) => acceptRequest(command, groupId, "carol"));
  heard();
  const claimId = place.registry.claim("group", groupId)?.claimId ?? "";
  const membershipId = membershipOf(place.registry, claimId, bob.accountId)?.membershipId;
  await as(alice, (command) => removeMember(command, groupId, "bob"));
  const revoked = [{ type: "revoked", groupId, userId: "bob", membershipId }];
  assert.deepEqual(heard(), [revoked, [{ type: "membership-ended", groupId, how: "removed" }], revoked, []]);
  await as(alice, (command) => leaveGroup(command, groupId));
  assert.deepEqual(heard(), [
    [{ type: "membership-ended", groupId, how: "left" }],
    [],
    [
      { type: "revoked", groupId, userId: "alice", membershipId: "m-alice" },
      { type: "became-owner", groupId },
    ],
    [],
  ]);
  await as(carol, (command) => leaveGroup(command, groupId));
  assert.deepEqual(heard(), [[], [], [{ type: "membership-ended", groupId, how: "left" }], []]);
});

test("a file that comes is told to the other members of its group", async (t) => {
  const { place, people, as, heard } = await village(t, "alice", "bob", "dave");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { info, sha1 } = metainfoFor("film");
  await as(bob, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  const event = { type: "file-shared", groupId: "films", fileName: "film", userId: "bob" };
  assert.deepEqual(heard(), [[event], [], []]);
  await as(bob, (command) => stopShare(command, { groupId: "films", fileName: "film", holderId }));
  assert.deepEqual(heard(), [[], [], []]);
});

test("a share that is ended from another machine is told to the account's clients, and which machine is meant", async (t) => {
  const { place, people, as, heard } = await village(t, "alice", "bob");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { info, sha1 } = metainfoFor("film");
  for (const machine of ["laptop", "tower"]) {
    await as(bob, (command) => shareFile(command, { groupId: "films", holderId: machine, info, sha1 }));
  }
  heard();
  const stop = { groupId: "films", fileName: "film", holderId: "laptop" };
  await as(bob, (command) => stopShare(command, { ...stop, everywhere: true }));
  const event = { type: "share-withdrawn", groupId: "films", fileName: "film", holderId: "tower" };
  assert.deepEqual(heard(), [[], [event]]);
});

test("a new version is told to the clients that have an earlier one, wherever they are, and to nobody else", async (t) => {
  const { place, people, announcers, as, heard } = await village(t, "alice", "bob", "carol");
  const [alice, bob, carol] = people;
  assert.ok(alice && bob && carol);
  await place.group("films", alice.account, bob.account, carol.account);
  const versions = [1, 2, 3].map((content) => metainfoFor("film", content));
  const share = (person: Person, number: number, replaced?: number) => {
    const { info, sha1 } = versions[number] ?? assert.fail();
    const replaces = replaced === undefined ? undefined : versions[replaced]?.infoHash;
    const isUpdate = replaced !== undefined;
    return as(person.account, (command) =>
      shareFile(command, { groupId: "films", holderId, info, sha1, replaces, isUpdate }),
    );
  };
  const [first, second, third] = versions.map(({ infoHash }) => infoHash);
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  await share(alice, 0);
  heard();
  announcers.set(first, [bob.connection.id]);
  await share(alice, 1, 0);
  const updated = (infoHash: string) => [
    { ...{ type: "share-updated", groupId: "films", fileName: "film" }, infoHash, userId: "alice" },
  ];
  assert.deepEqual(heard(), [[], updated(second), []]);
  announcers.set(second, [carol.connection.id, "a connection that is gone"]);
  await share(alice, 2, 1);
  assert.deepEqual(heard(), [[], updated(third), updated(third)]);
});

test("clients that have a version which lost to another of the same number are told of that one", async (t) => {
  const { place, people, announcers, publisher, as, heard } = await village(t, "alice", "bob", "carol");
  const [alice, bob, carol] = people;
  assert.ok(alice && bob && carol);
  await place.group("films", alice.account, bob.account, carol.account);
  const { info, sha1, infoHash: first } = metainfoFor("film", 1);
  await as(alice.account, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  heard();
  const { claimId: groupClaimId } = requireGroup(place.registry, "films");
  const { claimId } = place.registry.claim("file", recordKey(groupClaimId, "film")) ?? assert.fail();
  const [winner, loser] = [metainfoFor("film", 2).infoHash, metainfoFor("film", 3).infoHash];
  announcers.set(first, [alice.connection.id]);
  announcers.set(winner, [bob.connection.id]);
  announcers.set(loser, [carol.connection.id]);
  const publish = async (key: string, infoHash: string, publisher_: Person) => {
    const value = {
      ...{ infoHash, lengthBytes: 10, number: 1 },
      publishedByAccountId: publisher_.account.accountId,
    };
    return (
      await place.registry.transact(key, (writer) => writer.put("version", recordKey(claimId, key), value))
    ).records;
  };
  publisher.changed(await publish("b", winner, bob), []);
  const event = {
    type: "share-updated",
    groupId: "films",
    fileName: "film",
    infoHash: winner,
    userId: "bob",
  };
  assert.deepEqual(heard(), [[event], [], []]);
  publisher.changed(await publish("a", loser, carol), []);
  assert.deepEqual(heard(), [[], [], [event]]);
});

test("for many files that come at once, the group's recipients are looked up once", async (t) => {
  const { place, people, publisher, heard } = await village(t, "alice", "bob", "dave");
  const [alice, bob, dave] = people.map(({ account }) => account);
  assert.ok(alice && bob && dave);
  await place.group("films", alice, bob);
  const names = ["film 1", "film 2", "film 3"];
  const records: RegistryRecord[] = [];
  for (const name of names) {
    const { info, sha1 } = metainfoFor(name);
    const { nowMs } = place;
    const writeId = randomUUID();
    const written = await place.registry.transact(writeId, (writer) =>
      shareFile({ writer, writeId, account: bob, nowMs }, { groupId: "films", holderId, info, sha1 }),
    );
    records.push(...written.records);
  }
  const listed = t.mock.method(place.registry, "listed");
  const file = records.filter(({ kind }) => kind === "file");
  assert.equal(file.length, names.length);
  heard();
  listed.mock.resetCalls();
  publisher.changed(file, []);
  const fileNames = heard().map((events) =>
    events.map((event) => event.type === "file-shared" && event.fileName),
  );
  assert.deepEqual(fileNames, [names, [], []]);
  const { claimId } = requireGroup(place.registry, "films");
  const lists = listed.mock.calls.map(({ arguments: [list] }) => list);
  assert.equal(lists.filter((list) => list === standingLists.membersOf(claimId)).length, 1);
  // Dave is connected, in no group: nothing is read for them.
  assert.ok(!lists.some((list) => list.includes(dave.accountId)));
});

test("the owner of a claim that loses its name is told, and so are the members of a group that ends with it", async (t) => {
  const { place, people, publisher, heard } = await village(t, "alice", "bob", "dave");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { claimId, value } = requireGroup(place.registry, "films");
  const lost: LostClaim[] = [
    { kind: "user", name: "bob", claimId: bob.accountId, value: {} },
    { kind: "group", name: "films", claimId, value },
  ];
  publisher.changed([], lost);
  assert.deepEqual(heard(), [
    [{ type: "name-taken-elsewhere", kind: "group", name: "films" }],
    [
      { type: "name-taken-elsewhere", kind: "user", name: "bob" },
      { type: "membership-ended", groupId: "films", how: "group-ended" },
    ],
    [],
  ]);
});

test("the people of a group that lost its name are told where it never stood, but for those in the one that has the name", async (t) => {
  const { place, people, publisher, heard } = await village(t, "alice", "bob", "carol", "dave");
  const [alice, bob, carol] = people.map(({ account }) => account);
  assert.ok(alice && bob && carol);
  await place.group("films", alice, bob);
  heard();
  const claimId = "~later than any";
  const member = { state: "member", sinceMs: 1, membershipId: "m" };
  await place.write((writer) => {
    for (const { accountId } of [bob, carol])
      writer.put("membership", `${claimId}\u001f${accountId}\u001fm`, member);
  });
  const row: RegistryRecord = {
    ...{ kind: "group", key: "films", claimId, stamp: claimId, origin: "apart", seq: 1, writeId: "w" },
    value: { ownerAccountId: carol.accountId },
  };
  publisher.changed([row], []);
  assert.deepEqual(heard(), [[], [], [{ type: "name-taken-elsewhere", kind: "group", name: "films" }], []]);
  const ended = { ...row, value: undefined, writeId: `lost:${claimId}` };
  publisher.changed([ended], []);
  assert.deepEqual(heard(), [
    [],
    [],
    [{ type: "membership-ended", groupId: "films", how: "group-ended" }],
    [],
  ]);
  const { writeId = "" } = place.registry.claim("group", "films") ?? {};
  publisher.changed([{ ...row, writeId }], []);
  assert.deepEqual(heard(), [[], [], [], []], "one command founded it twice");
  publisher.changed([{ ...ended, writeId: "w2" }], []);
  assert.deepEqual(heard(), [[], [], [], []], "its last member left");
});

test("which content has a file's name is told to the group where another one lost it, and where that one never stood", async (t) => {
  const { place, people, publisher, as, heard } = await village(t, "alice", "bob", "dave");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { info, sha1, infoHash } = metainfoFor("film");
  await as(alice, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  heard();
  const name = `${requireGroup(place.registry, "films").claimId}\u001ffilm`;
  const claimId = "~later than any";
  const row: RegistryRecord = {
    ...{ kind: "file", key: name, claimId, stamp: claimId, origin: "apart", seq: 1, writeId: "w" },
    value: { infoHash: "0".repeat(40), sharedByAccountId: bob.accountId },
  };
  const event = { type: "name-taken-elsewhere", kind: "file", name: "film", groupId: "films", infoHash };
  const told = [[event], [event], []];
  publisher.changed([], [{ kind: "file", name, claimId, value: row.value }]);
  assert.deepEqual(heard(), told, "it stood here");
  publisher.changed([], [{ kind: "file", name, claimId, value: { infoHash } }]);
  assert.deepEqual(heard(), [[], [], []], "the same content");
  publisher.changed([row], []);
  assert.deepEqual(heard(), told, "it is heard of when it is beaten already");
  publisher.changed([{ ...row, value: undefined, writeId: `lost:${claimId}` }], []);
  assert.deepEqual(heard(), told, "it is heard of when it is ended already");
  publisher.changed([{ ...row, value: undefined }], []);
  assert.deepEqual(heard(), [[], [], []], "somebody wished for its end");
});

test("shares of a claim that lost to one of the same content go to that one, of other content they do not", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const { info, infoHash, sha1 } = metainfoFor("film");
  await place.as(alice, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  const { claimId } = requireGroup(place.registry, "films");
  const name = `${claimId}\u001ffilm`;
  const bobs = place.registry.list("membership", claimId);
  const membershipId = bobs.find(({ key }) => key.endsWith(bob.accountId))?.value.membershipId;
  await place.write((writer) => {
    writer.put("share", `lost\u001f${bob.accountId}\u001f${holderId}`, { sinceMs: 1, membershipId });
    writer.put("share", `other\u001f${bob.accountId}\u001f${holderId}`, { sinceMs: 1, membershipId });
  });
  const lost = (id: string, hash: string): LostClaim => ({
    kind: "file",
    name,
    claimId: id,
    value: { infoHash: hash, sharedByAccountId: bob.accountId },
  });
  const stops = () =>
    place.as(bob, (command) => stopShare(command, { groupId: "films", fileName: "film", holderId }));
  await place.write((writer) => adoptShares(writer, lost("other", "0".repeat(40))));
  await assert.rejects(stops(), { code: "NOT_SHARED" });
  await place.write((writer) => adoptShares(writer, lost("lost", infoHash)));
  await stops();
});

test("peers are told to members who announced the torrent, of members who did, and end with membership", async (t) => {
  const { place, connections, people, as, heard } = await village(t, "alice", "bob", "carol", "dave");
  const [alice, bob, carol, dave] = people;
  assert.ok(alice && bob && carol && dave);
  await place.group("films", alice.account, bob.account, carol.account);
  const { info, infoHash, sha1 } = metainfoFor("film");
  await place.as(alice.account, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  const members = new KnownMembers(place.registry);
  const presence: Presence = new Presence({
    publish: () => {},
    groupOf: (hash) => members.groupOf(hash),
    isMember: (groupClaimId, accountId) => members.member(groupClaimId, accountId) !== undefined,
    onPeerOnline: (hash, peer, isNew) => exchange.peerOnline(hash, peer, isNew),
    onPeerOffline: (hash, deviceId) => exchange.peerOffline(hash, deviceId),
    setTimer: () => () => {},
  });
  let tellSeeds = (): void => assert.fail("nobody waits to be told");
  const exchange = new PeerDirectory(members, presence, connections, (_delayMs, callback) => {
    tellSeeds = callback;
    return () => {};
  });
  const arrive = (
    { connection, account }: typeof alice,
    isSeed: boolean,
    torrents = [{ infoHash, isSeed }],
  ) => {
    presence.arrive(connection.id, account.accountId, connection.deviceId, connection.host);
    void presence.announce(connection.id, 7000, torrents);
  };
  const peersOf = ({ connection }: typeof alice) =>
    exchange.peersFor(connection, infoHash).map(({ userId }) => userId);
  arrive(alice, true);
  arrive(bob, false);
  arrive(carol, false, []);
  // Dave is in no group: his client may announce the torrent, gets no event, and causes none.
  arrive(dave, true);
  assert.deepEqual([alice, bob, carol, dave].map(peersOf), [["bob"], ["alice"], [], []]);
  const told = () =>
    heard().map((events) => events.map((event) => event.type === "peer-online" && event.peer.userId));
  assert.deepEqual(told(), [[], [], [], []], "who has all of it is dialled, and hears of it later");
  tellSeeds();
  const { claimId } = requireGroup(place.registry, "films");
  assert.deepEqual(exchange.count(claimId, infoHash), {
    ...{ seeders: 1, peers: 2 },
    seederAccounts: [alice.account.accountId],
  });
  assert.deepEqual(told(), [["bob"], [], [], []]);
  // Carol has all of it before anybody who has was told of her: only Bob, who lacks some, hears of her, twice.
  void presence.update(carol.connection.id, [{ infoHash, isSeed: false }], []);
  void presence.update(carol.connection.id, [{ infoHash, isSeed: true }], []);
  tellSeeds();
  assert.deepEqual(told(), [[], ["carol", "carol"], [], []]);
  // Alice knows Bob as a leecher: she has to hear that he is a seed now, and Carol, who asked, too.
  void presence.update(bob.connection.id, [{ infoHash, isSeed: true }], []);
  assert.deepEqual(told(), [["bob"], [], ["bob"], []]);
  void presence.update(carol.connection.id, [], [infoHash]);
  assert.deepEqual(
    heard().map((events) => events.map(({ type }) => type)),
    [["peer-offline"], ["peer-offline"], [], []],
  );
  await as(alice.account, (command) => removeMember(command, "films", "bob"));
  heard();
  assert.deepEqual([alice, bob].map(peersOf), [[], []]);
  presence.depart(alice.connection.id);
  assert.deepEqual(heard()[1], []);
});

test("ten of many files shared in a second are announced singly, the others as a number and the first names", async (t) => {
  const { place, people, as, heard, aSecondLater } = await village(t, "alice", "bob", "dave");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const share = (who: Account, name: string) => {
    const { info, sha1 } = metainfoFor(name);
    return as(who, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  };
  for (let at = 0; at < 40; at++) await share(bob, `film ${at}`);
  const [singly = [], bobs] = heard();
  assert.deepEqual([singly.length, bobs], [10, []]);
  assert.deepEqual(singly[9], { type: "file-shared", groupId: "films", fileName: "film 9", userId: "bob" });
  aSecondLater();
  const fileNames = Array.from({ length: 10 }, (_, at) => `film ${at + 10}`);
  const event = { type: "files-shared", groupId: "films", count: 30, fileNames, userId: "bob" };
  assert.deepEqual(heard(), [[event], [], []]);
  for (let at = 0; at < 11; at++) await share(bob, `book ${at}`);
  heard();
  aSecondLater();
  const last = { type: "file-shared", groupId: "films", fileName: "book 10", userId: "bob" };
  assert.deepEqual(heard(), [[last], [], []], "one is told as ever");
  for (let at = 0; at < 11; at++) await share(bob, `song ${at}`);
  await share(alice, "hers");
  heard();
  aSecondLater();
  const several = { type: "files-shared", groupId: "films", count: 2, fileNames: ["song 10", "hers"] };
  assert.deepEqual(heard(), [[several], [several], []]);
});

test("fifty of many memberships that end in a second are announced singly; then members are told to ask", async (t) => {
  const { place, publisher, people, heard, aSecondLater } = await village(t, "alice", "bob", "dave");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  const { accountId } = await place.user("carol");
  const records = Array.from({ length: 200 }, (_, at): RegistryRecord => {
    const key = recordKey(claimId, `m${at}`);
    const value = { accountId, how: "removed", endedAtMs: 1 };
    return { kind: "revocation", key, claimId: "", value, stamp: "s", origin: "o", seq: at, writeId: "w" };
  });
  publisher.changed(records, []);
  const lengths = heard().map((events) => events.length);
  assert.deepEqual(lengths, [50, 50, 0]);
  aSecondLater();
  assert.deepEqual(heard(), [[{ type: "look-again" }], [{ type: "look-again" }], []]);
  publisher.changed(records.slice(0, 50), []);
  heard();
  aSecondLater();
  assert.deepEqual(heard(), [[], [], []]);
});

/** A row as it comes from another tracker. */
function rowOf(facts: Partial<RegistryRecord>): RegistryRecord {
  return {
    ...{ kind: "membership", key: "", claimId: "", value: undefined, stamp: "s", origin: "apart", seq: 1 },
    ...{ writeId: randomUUID(), ...facts },
  };
}

test("a change that no longer holds when it arrives is told to nobody", async (t) => {
  const { place, people, as, heard, publisher } = await village(t, "alice", "bob");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  const ask = () => as(bob, (command) => requestToJoin(command, "films"));
  const reject = () => as(alice, (command) => rejectRequest(command, "films", "bob"));
  await ask();
  const { membershipId = "" } = membershipOf(place.registry, claimId, bob.accountId) ?? {};
  const [requestKey, answer] = [
    recordKey(claimId, bob.accountId, membershipId),
    answerKey(claimId, bob.accountId, membershipId),
  ];
  const request = place.registry.get("membership", requestKey);
  await reject();
  const firstAnswer = place.registry.get("membership", answer);
  heard();
  publisher.changed([rowOf({ key: requestKey, value: request })], []);
  assert.deepEqual(heard(), [[], []], "the request is answered");
  await ask();
  await reject();
  heard();
  publisher.changed([rowOf({ key: answer, value: firstAnswer })], []);
  assert.deepEqual(heard(), [[], []], "an answer to an earlier request, of the same kind");
  const now = place.registry.get("membership", answer);
  publisher.changed([rowOf({ key: answer, value: now })], []);
  assert.deepEqual(heard(), [[], [{ type: "request-rejected", groupId: "films" }]]);
  const replaced = { state: "replaced", sinceMs: 1, membershipId: "m2" };
  await place.write((writer) => writer.put("membership", recordKey(claimId, bob.accountId, "m2"), replaced));
  publisher.changed([rowOf({ key: recordKey(claimId, bob.accountId, "m2"), value: replaced })], []);
  assert.deepEqual(heard(), [[], []]);
});

test("whose memberships end is told once for all of them, not if a member again, and by whom; the others hear of each", async (t) => {
  const { place, people, heard, publisher } = await village(t, "alice", "bob");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  const end = (membershipId: string, writeId = "w") =>
    rowOf({
      ...{ kind: "revocation", key: recordKey(claimId, membershipId), writeId },
      value: { accountId: bob.accountId, how: "left", endedAtMs: 1 },
    });
  const revoked = (membershipId: string) => ({
    type: "revoked",
    groupId: "films",
    userId: "bob",
    membershipId,
  });
  publisher.changed([end("earlier")], []);
  assert.deepEqual(heard(), [[revoked("earlier")], [revoked("earlier")]], "bob is a member again");
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  heard();
  publisher.changed([end("one"), end("two")], []);
  const told = (how: string) => [{ type: "membership-ended", groupId: "films", how }];
  assert.deepEqual(heard(), [[revoked("one"), revoked("two")], told("left")]);
  publisher.changed([end("three", operatorWriteId())], []);
  assert.deepEqual(heard()[1], told("account-removed"));
  publisher.changed([rowOf({ kind: "revocation", key: recordKey(claimId, "one") })], []);
  assert.deepEqual(heard(), [[], []], "a row that was taken back says nothing");
});

test("a claim that lost is told once, though both its row and the loss are heard of, and not again where it was ended", async (t) => {
  const { place, people, heard, publisher } = await village(t, "alice", "bob");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice);
  const lost: LostClaim = {
    ...{ kind: "group", name: "films", claimId: "~later" },
    value: { ownerAccountId: bob.accountId },
  };
  const row = rowOf({ kind: "group", key: "films", claimId: "~later", stamp: "~later", value: lost.value });
  const told = { type: "name-taken-elsewhere", kind: "group", name: "films" };
  publisher.changed([row], [lost]);
  assert.deepEqual(heard(), [[], [told]]);
  const ending = rowOf({ ...row, value: undefined, writeId: "lost:~later" });
  const member = { state: "member", sinceMs: 1, membershipId: "m" };
  await place.write((writer) => writer.put("membership", recordKey("~later", bob.accountId, "m"), member));
  publisher.changed([ending], [], true);
  assert.deepEqual(heard(), [[], []], "it was told when it lost");
  publisher.changed([ending], []);
  assert.deepEqual(heard()[1], [{ type: "membership-ended", groupId: "films", how: "group-ended" }]);
});

test("members of a group that an operator removes are told that it has ended", async (t) => {
  const { place, people, heard, publisher } = await village(t, "alice", "bob", "dave");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { claimId } = requireGroup(place.registry, "films");
  const writeId = operatorWriteId();
  const { records } = await place.registry.transact(writeId, (writer) => writer.endClaim("group", claimId));
  publisher.changed(records, [], true);
  const ended = [{ type: "membership-ended", groupId: "films", how: "group-ended" }];
  assert.deepEqual(heard(), [ended, ended, []]);
});

test("a file's claim that does not stand, or whose sharer has no name, is told to nobody", async (t) => {
  const { place, people, as, heard, publisher } = await village(t, "alice", "bob");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { info, sha1 } = metainfoFor("film");
  await as(alice, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  heard();
  const [claim] = place.registry.claims("file", "");
  assert.ok(claim);
  const file = {
    kind: "file",
    key: claim.name,
    value: { ...claim.value, sharedByAccountId: bob.accountId },
  } as const;
  publisher.changed([rowOf({ ...file, claimId: "~later" })], [], true);
  assert.deepEqual(heard(), [[], []]);
  publisher.changed(
    [rowOf({ ...file, claimId: claim.claimId, value: { ...claim.value, sharedByAccountId: "" } })],
    [],
  );
  assert.deepEqual(heard(), [[], []]);
});

test("a window of a group's events is a second, and none is open after the end", async (t) => {
  const { place, people, as, heard, publisher, delays } = await village(t, "alice", "bob");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice, bob);
  const { info, sha1 } = metainfoFor("film");
  await as(alice, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  assert.equal(heard()[1]?.length, 1);
  assert.ok(delays().includes(1_000), `timers of ${delays().join()} ms`);
  publisher.close();
  assert.deepEqual(delays(), []);
});

test("connected members of a group too large to be remembered are told, some in each turn", async (t) => {
  const place = town(t);
  const connections = new Connections();
  const people: Person[] = [];
  for (let at = 0; at < 1_500; at++) {
    const account = { userId: `user${at}`, accountId: `account ${at}` };
    people.push({ account, ...connect(connections, account) });
  }
  const owner = await place.user("alice");
  await place.group("films", owner);
  const { claimId } = requireGroup(place.registry, "films");
  const isMember = (accountId: string) => Number(accountId.split(" ")[1]) % 2 === 0;
  let roster: ReadonlySet<string> | undefined;
  const members = {
    accountsIn: () => undefined,
    *roster() {
      yield;
      return roster;
    },
    member: (_group: string, accountId: string) => (isMember(accountId) ? {} : undefined),
  } as unknown as KnownMembers;
  const timers: (() => void)[] = [];
  const publisher = new EventPublisher(
    place.registry,
    members,
    connections,
    () => [],
    (delayMs, callback) => {
      if (delayMs === 0) timers.push(callback);
      return () => {};
    },
  );
  const counts = () => people.map(({ told }) => told.splice(0).length);
  const end = rowOf({
    ...{ kind: "revocation", key: recordKey(claimId, "m") },
    value: { accountId: owner.accountId, how: "left", endedAtMs: 1 },
  });
  for (const known of [undefined, new Set([...people.map(({ account }) => account.accountId), "absent"])]) {
    roster = known;
    publisher.changed([end], []);
    const perTurn = [counts().reduce((sum, one) => sum + one, 0)];
    while (timers.length > 0) {
      timers.shift()?.();
      perTurn.push(counts().reduce((sum, one) => sum + one, 0));
    }
    assert.ok(Math.max(...perTurn) <= 1_000, `${perTurn.join()} told in the turns`);
    const told = perTurn.reduce((sum, one) => sum + one, 0);
    assert.equal(told, known === undefined ? 750 : 1_500);
  }
});

test("who joins with an invite is told to the owner and to their own clients, and is not called accepted", async (t) => {
  const { people, place, as, heard } = await village(t, "alice", "bob", "carol");
  const [alice, bob] = people.map(({ account }) => account);
  assert.ok(alice && bob);
  await place.group("films", alice);
  const secretHash = "ab".repeat(32);
  await as(alice, (command) => createInvite(command, { groupId: "films", secretHash }));
  const { claimId } = requireGroup(place.registry, "films");
  assert.deepEqual(heard(), [[], [], []]);
  await as(bob, (command) => useInvite(command, claimId, secretHash));
  const joined = { type: "member-joined", groupId: "films", userId: "bob" };
  assert.deepEqual(heard(), [[joined], [joined], []]);
});
