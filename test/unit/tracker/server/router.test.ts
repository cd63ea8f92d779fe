// What each call passes before and after its rule: the session, limits, quotas, who pays, and who is told of it.
import assert from "node:assert/strict";
import { randomUUID, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { hashOfInviteSecret, inviteIdOf, newInviteSecret } from "../../../../src/api/invite.ts";
import {
  createCertificateRequest,
  readCertificateRequest,
} from "../../../../src/identity/certificate-requests.ts";
import {
  createDeviceIdentity,
  deviceIdOfKey,
  readMemberCertificate,
} from "../../../../src/identity/certificates.ts";
import { cutInfo } from "../../../../src/metainfo/info-parts.ts";
import { Connection } from "../../../../src/tracker/presence/client-connections.ts";
import type { RegistryRecord } from "../../../../src/tracker/registry/registry.ts";
import { networkIdOf, paidBy } from "../../../../src/tracker/rules/quota-payers.ts";
import { accountTotals, networkTotals, registryTotals } from "../../../../src/tracker/rules/totals.ts";
import { proceduresOf } from "../../../../src/tracker/server/procedure-builder.ts";
import { callerOf } from "../../../../src/tracker/server/procedures.ts";
import { appRouter } from "../../../../src/tracker/server/router.ts";
import { folderFor, metainfoFor } from "../fixture.ts";
import { frontDesk, refusal } from "../front-desk.ts";

const MIB = 1024 * 1024;
const HOME = "192.0.2.1";
/** Calls that need no session: they make one, end it, or say what anybody may know. */
const OPEN_TO_ALL = ["session.createUser", "session.login", "session.logout", "trackers.keys", "events"];

const write = (groupId = "films") => ({ writeId: randomUUID(), groupId });
const hash = (at: number) => at.toString(16).padStart(40, "0");

/** The files that a group of this founder can have: their metainfo names its CA. */
async function shareable(
  api: ReturnType<ReturnType<typeof frontDesk>["client"]>["api"],
  fileName: string,
  content = 1,
) {
  const { authorityPem } = await api.groups.certificate({ groupId: "films" });
  const { info, infoHash, sha1 } = metainfoFor(fileName, content, authorityPem);
  return { infoHash, input: () => ({ ...write(), info: Buffer.from(info).toString("base64"), sha1 }) };
}

/** Calls every procedure that needs a session, with nothing. */
function callEach(api: object, check: (call: Promise<unknown>, path: string) => Promise<void>) {
  const paths = [...proceduresOf(appRouter).keys()].filter((path) => !OPEN_TO_ALL.includes(path));
  assert.ok(paths.length > 20, "there are fewer procedures than there were");
  return Promise.all(
    paths.map((path) => {
      const procedure: unknown = path
        .split(".")
        .reduce<unknown>((of, name) => Reflect.get(Object(of), name), api);
      assert.ok(typeof procedure === "function", path);
      return check(Promise.resolve(Reflect.apply(procedure, undefined, [{}])), path);
    }),
  );
}

test("every call but those that are open to all needs a session, and counts against its account's limit", async (t) => {
  const desk = frontDesk(t, { callsPerAccount: 2 });
  await callEach(desk.client("s").api, (call, path) =>
    assert.rejects(call, refusal("NOT_LOGGED_IN"), `${path} answers somebody without a session`),
  );
  const { api } = await desk.signedUp("alice");
  await api.session.resume();
  await api.groups.mine({});
  await callEach(api, (call, path) =>
    assert.rejects(call, refusal("TOO_MANY_ATTEMPTS"), `${path} is not counted`),
  );
  await (await desk.signedUp("bob")).api.session.resume();
  assert.deepEqual(await api.trackers.keys(), {
    fingerprints: ["a".repeat(64)],
    places: [{ address: "192.0.2.9:9000", fingerprint: "a".repeat(64) }],
  });
});

test("whatever writes counts as a write of its account, also a login and what ends something", async (t) => {
  const desk = frontDesk(t, { writesPerAccount: 3 });
  const { api } = await desk.signedUp("alice");
  await api.groups.create(write());
  await api.groups.leave(write());
  const refused = refusal("TOO_MANY_ATTEMPTS");
  await assert.rejects(api.groups.create(write("books")), refused);
  await assert.rejects(api.groups.leave(write()), refused);
  await assert.rejects(api.groups.remove({ ...write(), userId: "bob" }), refused);
  const login = { writeId: randomUUID(), userId: "alice", password: "alice" };
  await assert.rejects(desk.client("x").api.session.login(login), refused);
});

test("at its quota an account is refused what adds something, and not what ends something", async (t) => {
  const desk = frontDesk(t);
  const [alice, bob, carol] = [
    await desk.signedUp("alice"),
    await desk.signedUp("bob"),
    await desk.signedUp("carol"),
  ];
  await alice.api.groups.create(write());
  await alice.api.groups.create(write("books"));
  for (const { api } of [bob, carol]) await api.groups.join(write());
  await alice.api.groups.accept({ ...write(), userId: "bob" });
  const film = await shareable(alice.api, "film");
  const other = await shareable(alice.api, "other", 2);
  for (const { api } of [alice, bob]) await api.files.share(film.input());
  Object.assign(desk.limits, { mebibytesPerNewUser: 0, mebibytesPerNetwork: 0, registryMebibytes: 0 });
  const refused = refusal("LIMIT_REACHED");
  await assert.rejects(alice.api.groups.create(write("songs")), refused);
  await assert.rejects(bob.api.groups.join(write("books")), refused);
  await assert.rejects(alice.api.files.share(other.input()), refused);
  const bytes = () => desk.place.registry.total(registryTotals.bytes);
  const growing = async (ending: Promise<unknown>) => {
    const before = bytes();
    await ending;
    assert.ok(bytes() > before, "it takes no room, so that no quota could refuse it");
  };
  await growing(alice.api.groups.reject({ ...write(), userId: "carol" }));
  const elsewhere = { fileName: "film", holderId: randomUUID(), everywhere: true };
  // Bob's share stays, and a note that hers ended is added to hers.
  await growing(alice.api.files.stopShare({ ...write(), ...elsewhere }));
  await growing(bob.api.groups.leave(write()));
  await alice.api.groups.leave(write("books"));
  assert.deepEqual(
    (await alice.api.groups.mine({})).items.map(({ groupId }) => groupId),
    ["films"],
  );
  Object.assign(desk.limits, { mebibytesPerNewUser: 1, mebibytesPerNetwork: 1, registryMebibytes: 1 });
  await bob.api.groups.join(write());
  desk.limits.registryMebibytes = 0;
  // The requester pays for the answer, and the registry grows by it.
  await assert.rejects(alice.api.groups.accept({ ...write(), userId: "bob" }), refused);
});

test("calls that add something stay within the limits of their account", async (t) => {
  const desk = frontDesk(t, { groupsPerUser: 1, requestsPerUser: 0, filesPerUser: 0 });
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  await alice.api.groups.create(write());
  const film = await shareable(alice.api, "film");
  const refused = refusal("LIMIT_REACHED");
  await assert.rejects(alice.api.groups.create(write("books")), refused);
  await assert.rejects(bob.api.groups.join(write()), refused);
  await assert.rejects(alice.api.files.share(film.input()), refused);
});

test("a login may exceed a quota by a tenth, where growth may not; an account is made within the shared quotas", async (t) => {
  const desk = frontDesk(t);
  const { api, account } = await desk.signedUp("alice");
  for (let at = 0; at < 6; at++) await api.groups.create(write(`group-${at}`));
  await (await desk.signedUp("bob")).api.groups.create(write("bobs"));
  const bytes = desk.place.registry.total(accountTotals.bytes(account.accountId));
  desk.limits.mebibytesPerNewUser = bytes / MIB;
  const login = { userId: "alice", password: "alice" };
  await desk.client("x").api.session.login({ ...login, writeId: randomUUID() });
  await assert.rejects(api.groups.create(write("more")), refusal("LIMIT_REACHED"));
  await assert.rejects(api.groups.join(write("bobs")), refusal("LIMIT_REACHED"), "little, but growth");
  for (const letter of "yzvwuts") {
    await desk
      .client(letter)
      .api.session.login({ ...login, writeId: randomUUID() })
      .catch(() => {});
  }
  const now = desk.place.registry.total(accountTotals.bytes(account.accountId));
  assert.ok(now > bytes && now <= bytes * 1.1, `${now} bytes where ${bytes} are the quota`);
  desk.limits.registryMebibytes = 0;
  const create = { writeId: randomUUID(), userId: "carol", password: "carol" };
  await assert.rejects(desk.client("c").api.session.createUser(create), refusal("LIMIT_REACHED"));
});

test("all that is written for an account is paid for by it and by the network that it comes from", async (t) => {
  const desk = frontDesk(t);
  const { registry } = desk.place;
  const { api, account, connection } = await desk.signedUp("alice", "a", "198.51.100.9");
  await api.groups.create(write());
  const film = await shareable(api, "film");
  await api.files.share(film.input());
  await api.files.stopShare({ ...write(), fileName: "film" });
  const networkId = networkIdOf("198.51.100.9");
  const rows: RegistryRecord[] = registry.since({}, 1_000);
  const kinds = new Set(rows.map(({ kind }) => kind));
  assert.deepEqual([...kinds].sort(), [
    "credential",
    "device",
    "file",
    "group",
    "membership",
    "share",
    "torrent",
    "user",
  ]);
  for (const { kind, paidBy: payer } of rows) {
    const expected = paidBy({ accountId: kind === "user" ? "" : account.accountId, networkId });
    assert.equal(payer, expected, `the row of kind ${kind}`);
  }
  assert.equal(
    registry.total(networkTotals.bytes(networkId)),
    registry.total(accountTotals.bytes(account.accountId)),
  );
  assert.equal(callerOf(connection), account.accountId);
  const facts = { id: "c", deviceId: "d", publicKeySpki: new Uint8Array() };
  const stranger = (host: string) => callerOf(new Connection({ ...facts, host }));
  assert.equal(stranger("2001:db8::1"), stranger("2001:db8::ffff:2"), "an IPv6 network is one caller");
  assert.notEqual(stranger("192.0.2.1"), stranger("192.0.2.2"));
});

test("a command that is tried again is marked as such, and which trackers lack a removal is answered", async (t) => {
  const desk = frontDesk(
    t,
    {},
    {
      writeAndConfirm: async (writeId, work, isRetry) => {
        desk.written.push({ writeId, isRetry });
        return { result: await desk.place.write(work, writeId), unconfirmedAt: ["192.0.2.7:9000"] };
      },
    },
  );
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  const again = { ...write(), isRetry: true };
  await alice.api.groups.create(again);
  await alice.api.groups.create(again);
  await bob.api.groups.join(write());
  await alice.api.groups.accept({ ...write(), userId: "bob" });
  const removal = await alice.api.groups.remove({ ...write(), userId: "bob" });
  assert.deepEqual(removal, { unconfirmedTrackers: ["192.0.2.7:9000"] });
  const create = { writeId: randomUUID(), userId: "carol", password: "carol" };
  await desk.client("c").api.session.createUser({ ...create, isRetry: true });
  const retries = desk.written.filter(({ isRetry }) => isRetry).map(({ writeId }) => writeId);
  assert.deepEqual(retries, [again.writeId, again.writeId, create.writeId]);
});

test("time that a rule takes is charged to its account, also when it is refused", async (t) => {
  const desk = frontDesk(t);
  const { api, account } = await desk.signedUp("alice");
  const charge = t.mock.method(desk.services.turns, "charge");
  await api.groups.create(write());
  await assert.rejects(api.groups.leave(write("books")), refusal("UNKNOWN_GROUP"));
  assert.deepEqual(
    charge.mock.calls.map(({ arguments: [key] }) => key),
    [account.accountId, account.accountId],
  );
  for (const { arguments: args } of charge.mock.calls) assert.ok(args[1] >= 0);
});

test("accounts are made so many from a network; a taken name costs no hash, and a repeated command is answered", async (t) => {
  const desk = frontDesk(t, { accountsPerAddress: 3 });
  const { api } = desk.client("a");
  const input = (userId: string) => ({ writeId: randomUUID(), userId, password: "secret" });
  const first = input("alice");
  await api.session.createUser(first);
  await api.session.createUser(first);
  assert.deepEqual(
    desk.hashing.map(({ purpose, address, userId }) => [purpose, address, userId]),
    [
      ["new-account", HOME, "alice"],
      ["new-account", HOME, "alice"],
    ],
  );
  await assert.rejects(api.session.createUser(input("A1ice")), refusal("USER_EXISTS", /looks like 'alice'/));
  assert.equal(desk.hashing.length, 2, "a taken name is hashed for");
  await assert.rejects(api.session.createUser(input("bob")), refusal("TOO_MANY_ATTEMPTS"));
  await desk.client("b", "198.51.100.1").api.session.createUser(input("bob"));
});

test("a password is not hashed for a connection that is gone, nor does that get a session", async (t) => {
  const desk = frontDesk(t);
  await desk.signedUp("alice");
  const { api, connection } = desk.client("x");
  const gone = () => desk.hashing.at(-1)?.isGone?.();
  const login = api.session.login({ writeId: randomUUID(), userId: "alice", password: "alice" });
  await new Promise(setImmediate);
  assert.equal(gone(), false);
  desk.connections.remove(connection);
  assert.equal(gone(), true);
  await login.catch(() => {});
  const later = desk.client("y");
  const write = desk.services.write;
  // Closed while the row of its session is written.
  Object.assign(desk.services, {
    write: async (...args: Parameters<typeof write>) => {
      const result = await write(...args);
      desk.connections.remove(later.connection);
      return result;
    },
  });
  await later.api.session.login({ writeId: randomUUID(), userId: "alice", password: "alice" });
  assert.equal(later.connection.account, undefined, "a closed connection speaks for an account");
  const create = { writeId: randomUUID(), userId: "bob", password: "bob" };
  const { api: third, connection: thirds } = desk.client("z");
  await third.session.createUser(create);
  assert.equal(gone(), false);
  desk.connections.remove(thirds);
  assert.equal(gone(), true);
});

test("logins are limited by account and network, and each that is refused is counted", async (t) => {
  const desk = frontDesk(t, { loginsPerAccount: 2, connectionsPerUser: 1 });
  const alice = await desk.signedUp("alice");
  assert.equal(alice.connection.account?.userId, "alice");
  assert.ok(desk.presence.isOnline(alice.account.accountId));
  const login = (letter: string, password: string) =>
    desk.client(letter).api.session.login({ writeId: randomUUID(), userId: "alice", password });
  const rowsBefore = desk.written.length;
  await assert.rejects(login("x", "alice"), refusal("LIMIT_REACHED", /1 clients/));
  assert.equal(desk.written.length, rowsBefore, "a login without room is written");
  await alice.api.session.login({ writeId: randomUUID(), userId: "alice", password: "alice" });
  await assert.rejects(desk.client("a").api.session.resume(), refusal("LIMIT_REACHED"));
  for (let at = 0; at < 2; at++) await assert.rejects(login("x", "wrong"), refusal("BAD_CREDENTIALS"));
  await assert.rejects(login("x", "alice"), refusal("TOO_MANY_ATTEMPTS"));
  assert.equal(desk.counted.loginsRefused, 4);
  assert.deepEqual(
    desk.hashing.slice(1).map(({ purpose }) => purpose),
    ["login", "known-login", "known-login", "known-login", "known-login"],
  );
});

test("a device logs out on all its connections, and a logout without a session writes nothing", async (t) => {
  const desk = frontDesk(t);
  const { api, connection, account } = await desk.signedUp("alice");
  const second = desk.client("a");
  await second.api.session.resume();
  const before = desk.written.length;
  await desk.client("s").api.session.logout({ writeId: randomUUID() });
  assert.equal(desk.written.length, before);
  await api.session.logout({ writeId: randomUUID() });
  assert.equal(desk.place.registry.get("device", connection.deviceId), undefined);
  assert.deepEqual([connection.account, second.connection.account], [undefined, undefined]);
  assert.equal(desk.presence.isOnline(account.accountId), false);
  await assert.rejects(second.api.groups.mine({}), refusal("NOT_LOGGED_IN"));
});

test("a session that ended without word ends the connection's presence at its next call", async (t) => {
  const desk = frontDesk(t);
  const { api, connection, account } = await desk.signedUp("alice");
  await desk.place.write((writer) => writer.remove("device", connection.deviceId));
  await assert.rejects(api.session.resume(), refusal("NOT_LOGGED_IN"));
  assert.equal(connection.account, undefined);
  assert.equal(desk.presence.isOnline(account.accountId), false);
});

test("a certificate is for the key that TLS showed, or for that of a request", async (t) => {
  const desk = frontDesk(t);
  const { api, connection } = await desk.signedUp("alice");
  await api.groups.create(write());
  Object.assign(connection, { publicKeySpki: createDeviceIdentity().publicKeySpki });
  const deviceOf = ({ certificatePem, namesKey }: { certificatePem: string; namesKey: string }) =>
    readMemberCertificate(new X509Certificate(certificatePem).raw, namesKey).deviceId;
  const own = await api.groups.certificate({ groupId: "films" });
  assert.equal(deviceOf(own), deviceIdOfKey(connection.publicKeySpki));
  const { requestPem } = createCertificateRequest();
  const other = await api.groups.certificate({ groupId: "films", requestPem });
  assert.equal(deviceOf(other), deviceIdOfKey(readCertificateRequest(requestPem)));
  assert.equal(desk.counted.certificatesIssued, 2);
});

test("memberships that ended long ago are not listed, and lists may be cut to a prefix", async (t) => {
  let sinceMs = 0;
  const desk = frontDesk(t, {}, { revocationsSinceMs: () => sinceMs });
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  await alice.api.groups.create(write());
  await alice.api.groups.create(write("books"));
  await bob.api.groups.join(write());
  await alice.api.groups.accept({ ...write(), userId: "bob" });
  await alice.api.groups.remove({ ...write(), userId: "bob" });
  const revoked = async () => (await alice.api.groups.revocations({ groupIds: ["films"] })).items.length;
  assert.equal(await revoked(), 1);
  sinceMs = desk.place.nowMs;
  assert.equal(await revoked(), 0);
  const groups = (await alice.api.groups.list({ prefix: "bo" })).items;
  assert.deepEqual(
    groups.map(({ groupId }) => groupId),
    ["books"],
  );
  for (const [name, content] of [
    ["a", 1],
    ["b", 2],
  ] as const) {
    await alice.api.files.share((await shareable(alice.api, name, content)).input());
  }
  const files = (await alice.api.files.list({ groupId: "films", prefix: "b" })).items;
  assert.deepEqual(
    files.map(({ fileName }) => fileName),
    ["b"],
  );
  const members = (await alice.api.groups.members({ groupId: "films" })).items;
  assert.deepEqual(
    members.map(({ userId, isOnline }) => [userId, isOnline]),
    [["alice", true]],
  );
});

test("a group is founded once: a taken name is refused before a CA is made, and a repeat is answered", async (t) => {
  const desk = frontDesk(t);
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  const input = write();
  await alice.api.groups.create(input);
  await alice.api.groups.create(input);
  const before = desk.written.length;
  await assert.rejects(bob.api.groups.create(write()), refusal("GROUP_EXISTS"));
  assert.equal(desk.written.length, before, "a transaction began for a taken name");
});

test("a share that meets another one of its name at another tracker is tried once more, as a command of its own", async (t) => {
  let failures: MiniTorrentError[] = [];
  const desk = frontDesk(
    t,
    {},
    {
      writeAndConfirm: async (writeId, work, isRetry) => {
        desk.written.push({ writeId, isRetry });
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        return { result: await desk.place.write(work, writeId), unconfirmedAt: [] };
      },
    },
  );
  const { api } = await desk.signedUp("alice");
  await api.groups.create(write());
  const film = await shareable(api, "film");
  failures = [new MiniTorrentError("NAME_TAKEN_ELSEWHERE", "at another tracker")];
  const before = desk.written.length;
  const answer = { infoHash: film.infoHash, joinedSwarm: false, isAnnounced: false };
  assert.deepEqual(await api.files.share(film.input()), answer);
  const [one, other] = desk.written.slice(before);
  assert.ok(one && other && one.writeId !== other.writeId);
  failures = [new MiniTorrentError("TRACKER_CANNOT_WRITE", "no room")];
  await assert.rejects(api.files.share(film.input()), refusal("TRACKER_CANNOT_WRITE"));
  assert.equal(desk.written.length, before + 3, "another failure is tried again");
});

test("a share is announced if the client serves it, belongs to the machine it names, and ends there or everywhere", async (t) => {
  const desk = frontDesk(t);
  const { api, connection, account } = await desk.signedUp("alice");
  await api.groups.create(write());
  const film = await shareable(api, "film");
  await api.presence.announce({ listenPort: 7001, seeding: "", downloading: "" });
  const holderId = randomUUID();
  const shared = await api.files.share({ ...film.input(), holderId });
  assert.equal(shared.isAnnounced, false);
  assert.equal(desk.presence.hasAnnounced(connection.id, film.infoHash), false);
  const served = await api.files.share({ ...film.input(), isServed: true });
  assert.deepEqual([served.joinedSwarm, served.isAnnounced], [true, true]);
  assert.equal(desk.presence.isSeed(connection.id, film.infoHash), true);
  const holders = desk.place.registry
    .keys("share", "", { limit: 10 })
    .map((key) => key.split("\u001f").slice(1));
  assert.deepEqual(
    holders.sort(),
    [
      [account.accountId, holderId],
      [account.accountId, connection.deviceId],
    ].sort(),
  );
  const doubts = await api.files.checkShares({
    ...{ groupId: "films", holderId },
    files: [{ fileName: "film", infoHash: film.infoHash }],
  });
  assert.deepEqual(doubts, { withdrawn: [], unknown: [], updated: [] });
  await api.files.stopShare({ ...write(), fileName: "film" });
  assert.equal((await api.files.list({ groupId: "films" })).items.length, 1);
  await api.files.stopShare({ ...write(), fileName: "film", everywhere: true });
  const standing = { groupId: "films", fileName: "film", infoHash: film.infoHash, userIds: ["alice"] };
  assert.deepEqual(await api.files.standing(standing), {
    ...{ content: "none", sharedBy: undefined },
    members: [{ userId: "alice", isMember: true, isOnline: true }],
  });
  // A seed alone is one who stopped sharing; one who lacks some of it has what can still be had.
  await assert.rejects(api.files.metainfo({ groupId: "films", fileName: "film" }), refusal("UNKNOWN_FILE"));
  await api.presence.update({ seeding: "", downloading: film.infoHash, over: "" });
  const answer = await api.files.metainfo({ groupId: "films", fileName: "film" });
  assert.deepEqual(answer, { info: film.input().info });
});

/** A folder of that founder's group, and how it is sent. */
async function folderToSend(
  api: ReturnType<ReturnType<typeof frontDesk>["client"]>["api"],
  fileCount: number,
  content = 1,
) {
  const { authorityPem } = await api.groups.certificate({ groupId: "films" });
  const { info, infoHash } = await folderFor("folder", fileCount, content, authorityPem);
  const parts = cutInfo(info).map((part) => Buffer.from(part).toString("base64"));
  const uploadId = randomUUID();
  const send = async () => {
    for (const [partIndex, part] of parts.entries()) {
      await api.files.putInfoPart({
        ...write(),
        infoHash,
        uploadId,
        partIndex,
        partCount: parts.length,
        part,
      });
    }
  };
  return { info, infoHash, parts, uploadId, send };
}

test("a folder's metainfo goes in parts, and others join with its info-hash alone", async (t) => {
  const desk = frontDesk(t);
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  await alice.api.groups.create(write());
  await bob.api.groups.join(write());
  await alice.api.groups.accept({ ...write(), userId: "bob" });
  const { infoHash, parts, uploadId, send } = await folderToSend(alice.api, 2_000);
  const missing = refusal("METAINFO_MISSING");
  await assert.rejects(alice.api.files.share({ ...write(), infoHash }), missing);
  await assert.rejects(alice.api.files.share({ ...write(), infoHash, uploadId }), missing);
  await send();
  await assert.rejects(bob.api.files.share({ ...write(), infoHash, uploadId }), missing);
  const share = { ...write(), infoHash, uploadId };
  const answer = { infoHash, joinedSwarm: false, isAnnounced: false };
  assert.deepEqual(await alice.api.files.share(share), answer);
  assert.deepEqual(await alice.api.files.share(share), answer, "the answer was lost, and it asks again");
  const joined = await bob.api.files.share({ ...write(), infoHash });
  assert.deepEqual(joined, { ...answer, joinedSwarm: true });
  const [summary] = (await bob.api.files.list({ groupId: "films" })).items;
  assert.deepEqual([summary?.fileName, summary?.fileCount, summary?.lengthBytes], ["folder", 2_000, 20_000]);
  assert.equal(summary?.sha1, undefined);
  const inFolder = { groupId: "films", fileName: "folder" };
  assert.deepEqual(await bob.api.files.metainfo(inFolder), { infoHash, partCount: parts.length });
  const part = await bob.api.files.infoPart({ groupId: "films", infoHash, partIndex: 1 });
  assert.deepEqual(part, { part: parts[1] });
  const page = await bob.api.files.listInside(inFolder);
  const next = await bob.api.files.listInside({ ...inFolder, after: page.next });
  assert.equal(next.items[0]?.path, `set/picture-${String(page.items.length).padStart(6, "0")}.jpeg`);
});

test("a share without metainfo and without its info-hash is refused", async (t) => {
  const { api } = await frontDesk(t).signedUp("alice");
  await api.groups.create(write());
  for (const rest of [{}, { uploadId: randomUUID() }, { sha1: hash(1) }]) {
    await assert.rejects(api.files.share({ ...write(), ...rest }), refusal("INVALID_ARGUMENT", /infoHash/));
  }
});

test("a folder in parts that was named at another tracker in the same moment joins what is there", async (t) => {
  let isTaken = true;
  const desk = frontDesk(
    t,
    {},
    {
      writeAndConfirm: async (writeId, work) => {
        const result = await desk.place.write(work, writeId);
        // The write stands, without the claim that was taken back.
        const wasTaken = isTaken && desk.place.registry.keys("share", "", { limit: 1 }).length > 0;
        if (wasTaken) isTaken = false;
        if (wasTaken) throw new MiniTorrentError("NAME_TAKEN_ELSEWHERE", "at another tracker");
        return { result, unconfirmedAt: [] };
      },
    },
  );
  const { api } = await desk.signedUp("alice");
  await api.groups.create(write());
  const { infoHash, uploadId, send } = await folderToSend(api, 1_000);
  await send();
  const shared = await api.files.share({ ...write(), infoHash, uploadId });
  assert.deepEqual([isTaken, shared.infoHash], [false, infoHash]);
});

test("a new version of a folder is shared by its parts, by those who may, and read while its sender is connected", async (t) => {
  const desk = frontDesk(t);
  const { api, connection } = await desk.signedUp("alice");
  await api.groups.create(write());
  const first = await folderToSend(api, 1_000);
  await first.send();
  await api.files.share({ ...write(), infoHash: first.infoHash, uploadId: first.uploadId });
  const second = await folderToSend(api, 1_000, 2);
  await second.send();
  const { infoHash, uploadId } = second;
  const update = { infoHash, uploadId, isUpdate: true, replaces: first.infoHash };
  const wrong = { ...update, replaces: infoHash };
  await assert.rejects(api.files.share({ ...write(), ...wrong }), refusal("NEWER_VERSION"));
  assert.equal((await api.files.share({ ...write(), ...update })).joinedSwarm, false);
  const [summary] = (await api.files.list({ groupId: "films" })).items;
  assert.equal(summary?.infoHash, infoHash);
  const third = await folderToSend(api, 1_000, 3);
  await third.send();
  const sharing = api.files.share({ ...write(), infoHash: third.infoHash, uploadId: third.uploadId });
  desk.connections.remove(connection);
  await assert.rejects(sharing, refusal("NOT_LOGGED_IN", /gone/));
});

test("where a client listens is named as far as it may be, and an update answers who has what it is downloading", async (t) => {
  const desk = frontDesk(t);
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  await alice.api.groups.create(write());
  await bob.api.groups.join(write());
  await alice.api.groups.accept({ ...write(), userId: "bob" });
  const film = await shareable(alice.api, "film");
  await alice.api.files.share(film.input());
  const otherHosts = ["10.0.0.7", "8.8.8.8"];
  await alice.api.presence.announce({
    listenPort: 7001,
    otherHosts,
    seeding: film.infoHash,
    downloading: "",
  });
  await bob.api.presence.announce({ listenPort: 7002, seeding: "", downloading: "" });
  assert.deepEqual(await bob.api.presence.peers({ infoHash: film.infoHash }), []);
  const unknown = Array.from({ length: 30 }, (_, at) => hash(at)).join("");
  const answered = await bob.api.presence.update({
    ...{ seeding: "", over: "" },
    downloading: film.infoHash + unknown,
  });
  assert.equal(answered.length, 20, "so many of an update's torrents are answered with it");
  const peer = {
    ...{ userId: "alice", deviceId: alice.connection.deviceId, host: HOME, otherHosts: ["10.0.0.7"] },
    ...{ port: 7001, isSeed: true },
  };
  assert.deepEqual(answered[0], { infoHash: film.infoHash, peers: [peer] });
  assert.deepEqual(await bob.api.presence.peers({ infoHash: film.infoHash }), [peer]);
  await bob.api.presence.update({ seeding: "", downloading: "", over: film.infoHash });
  assert.equal(desk.presence.hasAnnounced(bob.connection.id, film.infoHash), false);
});

test("an announcement is answered when all of it is applied, and refused with the reason", async (t) => {
  const desk = frontDesk(t);
  const { api, connection } = await desk.signedUp("alice");
  const refused = new MiniTorrentError("LIMIT_REACHED", "too many torrents");
  t.mock.method(desk.presence, "announce", () => Promise.reject(refused));
  t.mock.method(desk.presence, "update", () => Promise.reject(refused));
  const announcement = { listenPort: 7001, seeding: hash(1), downloading: "" };
  await assert.rejects(api.presence.announce(announcement), refusal("LIMIT_REACHED"));
  const update = { seeding: hash(1), downloading: "", over: "" };
  await assert.rejects(api.presence.update(update), refusal("LIMIT_REACHED"));
  assert.equal(desk.presence.hasAnnounced(connection.id, hash(1)), false);
});

test("an invite is made, listed, used and revoked, and the tracker gets its secret when it is used", async (t) => {
  const desk = frontDesk(t);
  const [alice, bob, carol] = [
    await desk.signedUp("alice"),
    await desk.signedUp("bob"),
    await desk.signedUp("carol"),
  ];
  await alice.api.groups.create(write());
  const secret = newInviteSecret();
  const secretHash = hashOfInviteSecret(secret);
  const { groupClaimId, ...made } = await alice.api.groups.createInvite({
    ...{ ...write(), secretHash, uses: 5, lastsMs: 60_000 },
  });
  assert.deepEqual(made, { expiresAtMs: desk.place.nowMs + 60_000, uses: 5 });
  const input = { writeId: randomUUID(), groupClaimId, secret };
  assert.deepEqual(await bob.api.groups.useInvite(input), { groupId: "films" });
  const inviteId = inviteIdOf(secretHash);
  const { items } = await alice.api.groups.invites({ groupId: "films" });
  assert.deepEqual(
    items.map((item) => [item.inviteId, item.usedBy]),
    [[inviteId, ["bob"]]],
  );
  await assert.rejects(bob.api.groups.createInvite({ ...write(), secretHash }), refusal("NOT_THE_OWNER"));
  await assert.rejects(bob.api.groups.invites({ groupId: "films" }), refusal("NOT_THE_OWNER"));
  await alice.api.groups.revokeInvite({ ...write(), inviteId });
  const again = { ...input, writeId: randomUUID() };
  await assert.rejects(carol.api.groups.useInvite(again), refusal("INVITE_REFUSED"));
});

test("guesses of an invite's secret run out", async (t) => {
  const desk = frontDesk(t, { invitesPerAccount: 2 });
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  await alice.api.groups.create(write());
  const secret = newInviteSecret();
  const { groupClaimId } = await alice.api.groups.createInvite({
    ...{ ...write(), secretHash: hashOfInviteSecret(secret) },
  });
  const guess = (guessed = newInviteSecret()) =>
    bob.api.groups.useInvite({ writeId: randomUUID(), groupClaimId, secret: guessed });
  for (let at = 0; at < 2; at++) await assert.rejects(guess(), refusal("INVITE_REFUSED"));
  await assert.rejects(guess(secret), refusal("TOO_MANY_ATTEMPTS"));
});

test("at its quota an account makes and uses no invites, and revokes those it has", async (t) => {
  const desk = frontDesk(t);
  const [alice, bob] = [await desk.signedUp("alice"), await desk.signedUp("bob")];
  await alice.api.groups.create(write());
  const secret = newInviteSecret();
  const secretHash = hashOfInviteSecret(secret);
  const { groupClaimId } = await alice.api.groups.createInvite({ ...write(), secretHash });
  Object.assign(desk.limits, { mebibytesPerNewUser: 0, mebibytesPerNetwork: 0, registryMebibytes: 0 });
  const another = { ...write(), secretHash: hashOfInviteSecret(newInviteSecret()) };
  await assert.rejects(alice.api.groups.createInvite(another), refusal("LIMIT_REACHED"));
  const use = { writeId: randomUUID(), groupClaimId, secret };
  await assert.rejects(bob.api.groups.useInvite(use), refusal("LIMIT_REACHED"));
  await alice.api.groups.revokeInvite({ ...write(), inviteId: inviteIdOf(secretHash) });
});
