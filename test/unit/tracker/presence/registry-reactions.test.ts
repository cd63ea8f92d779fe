// What follows from new rows: sessions that end, presence that follows, and what was done at two trackers and is joined.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Account, TrackerEvent } from "../../../../src/api/schemas.ts";
import { Connection, Connections } from "../../../../src/tracker/presence/client-connections.ts";
import type { EventPublisher } from "../../../../src/tracker/presence/event-publisher.ts";
import { KnownMembers } from "../../../../src/tracker/presence/known-members.ts";
import type { Presence } from "../../../../src/tracker/presence/presence.ts";
import { RegistryReactions } from "../../../../src/tracker/presence/registry-reactions.ts";
import { operatorWriteId } from "../../../../src/tracker/registry/record-values.ts";
import {
  type LostClaim,
  lostWriteId,
  type RegistryRecord,
  type RegistryWriter,
  recordKey,
} from "../../../../src/tracker/registry/registry.ts";
import { logIn, logOut } from "../../../../src/tracker/rules/accounts.ts";
import { shareFile } from "../../../../src/tracker/rules/catalogue.ts";
import { acceptRequest, removeMember, requestToJoin } from "../../../../src/tracker/rules/groups.ts";
import { currentMember, requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import type { Command } from "../../../../src/tracker/rules/rule-command.ts";
import { holderId, metainfoFor, town } from "../fixture.ts";

const DEVICE = "d".repeat(64);

/** A registry whose rows have consequences, which are noted. */
function scene(t: TestContext) {
  const place = town(t);
  const connections = new Connections();
  const presence: string[] = [];
  const note =
    (what: string) =>
    (...args: readonly string[]): void => {
      presence.push([what, ...args].join(" "));
    };
  const noticed: { readonly lost: number; readonly isLocal: boolean | undefined }[] = [];
  const logged: string[] = [];
  const state = { failure: undefined as Error | undefined, writes: 0 };
  const changes = new RegistryReactions({
    ...{ registry: place.registry, connections, members: new KnownMembers(place.registry) },
    presence: {
      depart: note("depart"),
      torrentKnown: note("known"),
      membershipChanged: note("changed"),
      membershipEnded: note("ended"),
    } as unknown as Presence,
    events: {
      changed: (_records: readonly RegistryRecord[], lost: readonly LostClaim[], isLocal?: boolean) => {
        noticed.push({ lost: lost.length, isLocal });
        if (state.failure !== undefined) throw state.failure;
      },
    } as unknown as EventPublisher,
    write: async (work) => {
      state.writes++;
      if (state.failure !== undefined) throw state.failure;
      return await place.write(work);
    },
    log: { error: (_fields: object, sentence: string) => logged.push(sentence) } as never,
  });
  const write = async (work: (writer: RegistryWriter) => unknown, writeId: string = randomUUID()) => {
    const { records } = await place.registry.transact(writeId, work);
    changes.happened(records, [], true);
    return records;
  };
  const as = (account: Account, rule: (command: Command) => unknown) => {
    const writeId = randomUUID();
    return write((writer) => rule({ writer, writeId, account, nowMs: place.nowMs }), writeId);
  };
  const connect = (id: string, deviceId: string, account?: Account) => {
    const connection = new Connection({ id, host: "::1", deviceId, publicKeySpki: new Uint8Array() });
    const told: TrackerEvent[] = [];
    connection.tell = (event) => told.push(event);
    connections.add(connection);
    if (account !== undefined) connections.logIn(connection, account);
    return { connection, told };
  };
  const heard = () => presence.splice(0);
  return { place, connections, changes, write, as, connect, heard, noticed, logged, state };
}

/** All that was set going has ended. */
const settled = async () => {
  for (let at = 0; at < 20; at++) await new Promise(setImmediate);
};

test("a device that logs out, perhaps elsewhere, has no session here and is not shown online any more", async (t) => {
  const { place, connections, write, connect, heard } = scene(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.write((writer) => logIn(writer, DEVICE, alice, 1));
  const [one, two] = [connect("c1", DEVICE, alice), connect("c2", DEVICE, alice)];
  const other = connect("c3", "e".repeat(64), alice);
  await write((writer) => logOut(writer, DEVICE));
  assert.deepEqual(
    [one, two].map(({ connection }) => connection.account),
    [undefined, undefined],
  );
  assert.deepEqual(heard(), ["depart c1", "depart c2"]);
  assert.equal(other.connection.account, alice);
  assert.equal(connections.countOf(alice.accountId), 1);
  connections.logIn(one.connection, alice);
  await write((writer) => logIn(writer, DEVICE, bob, 1));
  assert.equal(one.connection.account, undefined, "the device is somebody else's now");
  assert.equal(heard()[0], "depart c1");
});

test("a login's own row ends no session", async (t) => {
  const { place, write, connect, heard } = scene(t);
  const alice = await place.user("alice");
  const { connection } = connect("c1", DEVICE, alice);
  await write((writer) => logIn(writer, DEVICE, alice, 1));
  assert.equal(connection.account, alice);
  assert.deepEqual(heard(), []);
});

test("an account that an operator removes is told, logged out and offline; one that ends otherwise is not", async (t) => {
  const { place, write, connect, heard } = scene(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  const [alices, bobs] = [connect("c1", DEVICE, alice), connect("c2", "e".repeat(64), bob)];
  await write((writer) => writer.endClaim("user", bob.accountId), lostWriteId(bob.accountId));
  assert.deepEqual([bobs.told, bobs.connection.account, heard()], [[], bob, []]);
  await write((writer) => writer.endClaim("user", alice.accountId), operatorWriteId());
  assert.deepEqual(alices.told, [{ type: "account-removed" }]);
  assert.equal(alices.connection.account, undefined);
  assert.deepEqual(heard(), ["depart c1"]);
});

test("presence hears of torrents that become known, and of memberships that begin and end", async (t) => {
  const { place, as, write, heard } = scene(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const { claimId } = requireGroup(place.registry, "films");
  await as(bob, (command) => requestToJoin(command, "films"));
  await as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.deepEqual(new Set(heard()), new Set([`changed ${bob.accountId}`]));
  const { info, infoHash, sha1 } = metainfoFor("film");
  await as(bob, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  assert.deepEqual(heard(), [`known ${infoHash}`]);
  const [key = ""] = place.registry.keys("torrent", "", { limit: 1 });
  await write((writer) => writer.remove("torrent", key));
  assert.deepEqual(heard(), [], "a torrent that was removed is not known");
  await as(alice, (command) => removeMember(command, "films", "bob"));
  const ended = `ended ${claimId} ${bob.accountId}`;
  assert.ok(heard().includes(ended));
  await as(bob, (command) => requestToJoin(command, "films"));
  await as(alice, (command) => acceptRequest(command, "films", "bob"));
  heard();
  // The end of the first membership arrives when there is another one.
  const late = { accountId: bob.accountId, how: "left", endedAtMs: 1 };
  await write((writer) => writer.put("revocation", recordKey(claimId, "earlier"), late));
  assert.ok(!heard().includes(ended), "a member's torrents end with an earlier membership");
});

test("events are looked up only while somebody is logged in, and whether the rows were written here is passed on", async (t) => {
  const { place, changes, write, connect, noticed } = scene(t);
  const alice = await place.user("alice");
  const records = await write((writer) => logIn(writer, "x", alice, 1));
  assert.deepEqual(noticed, []);
  connect("c1", DEVICE, alice);
  await place.write((writer) => logIn(writer, DEVICE, alice, 1));
  changes.happened(records, [], true);
  const lost: LostClaim = { kind: "user", name: "bob", claimId: "x", value: {} };
  changes.happened(records, [lost], false);
  assert.deepEqual(noticed, [
    { lost: 0, isLocal: true },
    { lost: 1, isLocal: false },
  ]);
});

test("an event that fails undoes nothing: it is logged, and the other reactions continue", async (t) => {
  const { place, changes, connect, state, logged } = scene(t);
  const alice = await place.user("alice");
  connect("c1", DEVICE, alice);
  state.failure = new Error("a bug");
  const lost: LostClaim = { kind: "file", name: "x", claimId: "x", value: { infoHash: "x" } };
  changes.happened([], [lost], false);
  await settled();
  assert.deepEqual(logged, [
    "clients could not be told of a change",
    "shares of a name given away twice are not joined",
  ]);
});

test("members and requests of a group that one command founded twice are joined, however many, some in each transaction", async (t) => {
  const { place, changes, state, logged } = scene(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const { claimId, value } = requireGroup(place.registry, "films");
  const kept = await place.write((writer) => writer.makeClaim("group", "kept", value));
  const people = 120;
  await place.write((writer) => {
    for (let at = 0; at < people; at++) {
      const accountId = writer.makeClaim("user", `user ${at}`, { createdAtMs: 1 });
      const member = { state: "member", sinceMs: at, membershipId: `m${at}` };
      writer.put("membership", recordKey(claimId, accountId, `m${at}`), member);
    }
  });
  const ending: RegistryRecord = {
    ...{ kind: "group", key: "films", claimId, value: undefined, stamp: claimId, origin: "o", seq: 1 },
    writeId: `twin:${claimId}:${kept}`,
  };
  const file: RegistryRecord = { ...ending, kind: "file", writeId: `twin:${claimId}:${kept}` };
  changes.happened([file], [], true);
  await settled();
  assert.equal(state.writes, 0, "a file is no group");
  changes.happened([ending], [], true);
  await settled();
  const [someone = ""] = place.registry.keys("membership", recordKey(kept, ""), { limit: 1 });
  assert.ok(currentMember(place.registry, kept, someone.split("\u001f")[1] ?? "") !== undefined);
  assert.equal(place.registry.keys("membership", recordKey(kept, ""), { limit: 1_000 }).length, people + 1);
  assert.equal(state.writes, 3, "ended memberships, and two pages of the others");
  state.failure = new Error("no room");
  changes.happened([ending], [], true);
  await settled();
  assert.deepEqual(logged, ["members of a group founded twice are not joined"]);
});

test("shares of a file's claim that lost to the same content are joined, however many; other lost claims change nothing", async (t) => {
  const { place, as, changes, state } = scene(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const { info, infoHash, sha1 } = metainfoFor("film");
  await as(alice, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  const [standing] = place.registry.claims("file", "");
  assert.ok(standing);
  const count = 250;
  await place.write((writer) => {
    for (let at = 0; at < count; at++) {
      const share = { sinceMs: at, membershipId: "m" };
      writer.put("share", recordKey("lost", "somebody", `machine ${String(at).padStart(3, "0")}`), share);
    }
  });
  const lost: LostClaim = { kind: "file", name: standing.name, claimId: "lost", value: { infoHash } };
  changes.happened(
    [],
    [
      { ...lost, kind: "group" },
      { ...lost, kind: "user" },
    ],
    false,
  );
  await settled();
  assert.equal(state.writes, 0);
  changes.happened([], [lost], false);
  await settled();
  assert.equal(state.writes, 3);
  const rows = place.registry.keys("share", recordKey(standing.claimId, "somebody", ""), { limit: 1_000 });
  assert.equal(rows.length, count);
});
