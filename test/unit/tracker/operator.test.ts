// What whoever runs a tracker may do with accounts and groups: see what each takes, and remove one, after which nothing
// of it counts.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { TrackerEvent } from "../../../src/api/schemas.ts";
import { Operator } from "../../../src/tracker/operator.ts";
import { Connection, Connections } from "../../../src/tracker/presence/client-connections.ts";
import { EventPublisher } from "../../../src/tracker/presence/event-publisher.ts";
import { KnownMembers } from "../../../src/tracker/presence/known-members.ts";
import { RegistryReactions } from "../../../src/tracker/presence/registry-reactions.ts";
import type { RegistryWriter } from "../../../src/tracker/registry/registry.ts";
import { recordKey } from "../../../src/tracker/registry/registry.ts";
import { stampAfter } from "../../../src/tracker/registry/stamp.ts";
import { accountOfDevice, logIn } from "../../../src/tracker/rules/accounts.ts";
import { listFiles, shareFile } from "../../../src/tracker/rules/catalogue.ts";
import {
  listGroups,
  listMembers,
  requestToJoin,
  revokedMembershipIds,
} from "../../../src/tracker/rules/groups.ts";
import { standingLists } from "../../../src/tracker/rules/membership-index.ts";
import { currentMember, membershipOf } from "../../../src/tracker/rules/membership-rows.ts";
import { holderId, metainfoFor, town } from "./fixture.ts";

const ALL = { limit: Number.POSITIVE_INFINITY };

function place(t: TestContext) {
  const here = town(t);
  const connections = new Connections();
  const members = new KnownMembers(here.registry);
  const departed: string[] = [];
  const ignored = { torrentKnown() {}, membershipChanged() {}, membershipEnded() {} };
  const changes = new RegistryReactions({
    ...{ registry: here.registry, connections, members },
    presence: { ...ignored, depart: (id: string) => departed.push(id) } as never,
    events: new EventPublisher(
      here.registry,
      members,
      connections,
      () => [],
      (_delayMs, callback) => {
        const soon = setImmediate(callback);
        return () => clearImmediate(soon);
      },
    ),
    write: async (work) => (await here.registry.transact("of its own", work)).result,
    log: { error: ({ err }: { err: Error }) => assert.fail(err) } as never,
  });
  const told = new Map<string, TrackerEvent[]>();
  const write = async (writeId: string, work: (writer: RegistryWriter) => void) => {
    const { records } = await here.registry.transact(writeId, work);
    changes.happened(records, [], true);
    return ["192.0.2.2:9000"];
  };
  const operator = new Operator({ registry: here.registry, write, nowMs: () => here.nowMs });
  const online = async (userId: string) => {
    const account = await here.user(userId);
    const deviceId = `device of ${userId}`;
    const connection = new Connection({ id: userId, host: "::1", deviceId, publicKeySpki: new Uint8Array() });
    connections.add(connection);
    await here.write((writer) => logIn(writer, deviceId, account, here.nowMs));
    connections.logIn(connection, account);
    const events: TrackerEvent[] = [];
    told.set(userId, events);
    connection.listen((some) => events.push(...some));
    return account;
  };
  const turn = async () => {
    for (let count = 0; count < 5; count++) await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...here, here, operator, online, told, departed, connections, turn };
}

test("a removed account is in no group, has no session and no password, and its user id is free", async (t) => {
  const { here, operator, online, told, departed, turn } = place(t);
  const { registry } = here;
  const [alice, bob, carol] = [await online("alice"), await online("bob"), await online("carol")];
  await here.group("films", alice, bob, carol);
  await here.group("bobs", bob, carol);
  await here.group("only bob", bob);
  await here.group("asked", carol);
  await here.as(bob, (command) => requestToJoin(command, "asked"));
  const claimOf = (groupId: string) => registry.claim("group", groupId)?.claimId ?? "";
  const asked = membershipOf(registry, claimOf("asked"), bob.accountId)?.membershipId ?? "";
  const { info, sha1 } = metainfoFor("a.bin");
  await here.as(bob, (command) => shareFile(command, { groupId: "films", holderId, info, sha1 }));
  const membershipId = currentMember(registry, claimOf("films"), bob.accountId)?.membershipId ?? "";
  const { groups, files } = operator.account("bob");
  assert.deepEqual({ groups, files }, { groups: 2, files: 1 });

  assert.deepEqual(await operator.removeAccount("bob"), ["192.0.2.2:9000"]);
  await turn();

  assert.equal(accountOfDevice(registry, "device of bob"), undefined);
  assert.equal(registry.get("credential", bob.accountId), undefined);
  assert.ok(revokedMembershipIds(registry, claimOf("films"), 0, ALL).items.includes(membershipId));
  assert.ok(revokedMembershipIds(registry, claimOf("asked"), 0, ALL).items.includes(asked));
  assert.deepEqual(
    listMembers(registry, carol.accountId, "bobs", () => true, ALL).items.map(({ userId, isOwner }) => [
      userId,
      isOwner,
    ]),
    [["carol", true]],
  );
  assert.equal(registry.claim("group", "only bob"), undefined);
  assert.deepEqual(
    listFiles(registry, alice.accountId, "films", () => ({ seeders: 0, peers: 0, seederAccounts: [] }), ALL)
      .items,
    [],
  );
  assert.deepEqual(told.get("bob")?.at(-1), { type: "account-removed" });
  assert.deepEqual(departed, ["bob"]);
  assert.ok(
    told.get("alice")?.some((event) => event.type === "revoked" && event.membershipId === membershipId),
  );
  assert.ok(told.get("carol")?.some((event) => event.type === "became-owner" && event.groupId === "bobs"));
  assert.throws(() => operator.account("bob"), { code: "UNKNOWN_USER" });
  await assert.rejects(operator.removeAccount("bob"), { code: "UNKNOWN_USER" });

  const another = await here.user("bob");
  assert.notEqual(another.accountId, bob.accountId);
  assert.deepEqual(
    listGroups(registry, another.accountId, ALL).items.filter(({ standing }) => standing !== undefined),
    [],
  );
});

test("a removed group ends for all its members, who are told, and its id is free", async (t) => {
  const { here, operator, online, told, turn } = place(t);
  const { registry } = here;
  const [alice, bob] = [await online("alice"), await online("bob")];
  await here.group("films", alice, bob);
  await here.group("plays", bob, alice);
  assert.deepEqual(
    { ...operator.group("films"), claimId: "" },
    {
      ...{ groupId: "films", claimId: "", ownerId: "alice", members: 2 },
    },
  );
  await operator.removeGroup("films");
  await turn();
  for (const userId of ["alice", "bob"]) {
    const ended = told.get(userId)?.filter(({ type }) => type === "membership-ended");
    assert.deepEqual(ended, [{ type: "membership-ended", groupId: "films", how: "group-ended" }]);
  }
  assert.throws(() => listMembers(registry, bob.accountId, "films", () => true, ALL).items, {
    code: "UNKNOWN_GROUP",
  });
  assert.throws(() => operator.group("films"), { code: "UNKNOWN_GROUP" });
  await here.group("films", bob);
  assert.throws(() => listMembers(registry, alice.accountId, "films", () => true, ALL).items, {
    code: "NOT_A_MEMBER",
  });
});

test("accounts and groups are listed a part at a time, by name", async (t) => {
  const { here, operator } = place(t);
  for (const name of ["a", "b1", "b2", "b3", "c"]) await here.group(`of ${name}`, await here.user(name));
  const first = operator.accounts("b", undefined, 2);
  assert.deepEqual(
    first.items.map(({ userId, groups }) => [userId, groups]),
    [
      ["b1", 1],
      ["b2", 1],
    ],
  );
  const second = operator.accounts("b", first.next, 2);
  assert.deepEqual([second.items.map(({ userId }) => userId), second.next], [["b3"], undefined]);
  const all = await operator.groups("", undefined, 100);
  assert.deepEqual(all.items.map(({ ownerId, members }) => [ownerId, members]).at(-1), ["c", 1]);
  assert.equal(all.items.length, 5);
});

test("an account that was rejected by hundreds of groups, which ended since, is removed a few rows at a time", async (t) => {
  const { here, operator, online } = place(t);
  const { registry } = here;
  const [alice, bob] = [await online("alice"), await online("bob")];
  await here.group("films", alice, bob);
  await here.write((writer) => {
    for (let at = 0; at < 300; at++) {
      const group = {
        ownerAccountId: alice.accountId,
        authorityCertificatePem: "",
        authorityPrivateKeyPem: "",
      };
      const claimId = writer.makeClaim("group", `g${at}`, group);
      const rejected = { state: "rejected", sinceMs: 1, membershipId: `m${at}` };
      writer.put("membership", recordKey(claimId, bob.accountId, `m${at}`), rejected);
      writer.endClaim("group", claimId);
    }
  });
  const writes = t.mock.method(registry, "transact");
  await operator.removeAccount("bob");
  assert.deepEqual(registry.listed(standingLists.pairsOf(bob.accountId), { limit: 1 }), []);
  for (const { result } of writes.mock.calls) {
    const { records } = (await result) ?? assert.fail();
    assert.ok(records.length <= 40, `${records.length} rows`);
  }
});

test("an account is listed with when it was made and what it takes, and only if its name is its own", async (t) => {
  const { here, operator } = place(t);
  const { registry } = here;
  here.nowMs = 7_000;
  const bob = await here.user("bob");
  await here.group("films", bob);
  const row = registry.row("user", "bob", bob.accountId);
  assert.ok(row);
  const later = stampAfter(bob.accountId, "zz");
  await registry.merge([
    { ...row, key: "B0b", claimId: later, stamp: later, origin: "zz", seq: 1, writeId: "w" },
  ]);
  const { items } = operator.accounts("", undefined, 10);
  const { accountId } = bob;
  assert.deepEqual(items, [
    {
      ...{ userId: "bob", accountId, createdAtMs: 7_000, groups: 1, files: 0 },
      rows: registry.total(`rows of ${accountId}`),
      bytes: registry.total(`bytes of ${accountId}`),
    },
  ]);
  const [{ rows, bytes } = assert.fail()] = items;
  assert.ok(rows === 2 && bytes > 100 * rows, `${rows} rows, ${bytes} bytes`);
});

test("a group that an account founds while it is removed is over with it", async (t) => {
  const { here } = place(t);
  const { registry } = here;
  const bob = await here.user("bob");
  await here.group("films", bob);
  let hasFounded = false;
  const write = async (writeId: string, work: (writer: RegistryWriter) => void) => {
    await registry.transact(writeId, work);
    if (!hasFounded) {
      hasFounded = true;
      await here.group("late", bob);
    }
    return [];
  };
  await new Operator({ registry, write, nowMs: () => here.nowMs }).removeAccount("bob");
  assert.deepEqual(
    [registry.claim("group", "films"), registry.claim("group", "late")],
    [undefined, undefined],
  );
});
