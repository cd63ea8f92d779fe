import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { request } from "node:https";
import { connect as connectTcp, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { WebSocket } from "ws";
import { freePorts } from "../../../harness/processes.ts";
import type { TrackerAddress } from "../../../src/api/addresses.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { TrackerEvent } from "../../../src/api/schemas.ts";
import { ApiChannel, type TrackerApi } from "../../../src/client/trackers/api-channel.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../../src/identity/certificates.ts";
import { cutInfo } from "../../../src/metainfo/info-parts.ts";
import { encodeMetainfo, type Metainfo } from "../../../src/metainfo/metainfo.ts";
import { guardOf } from "../../../src/net/connection-guard.ts";
import { onTimerFault, reportFault, soon } from "../../../src/net/timers.ts";
import { SqliteRegistry } from "../../../src/tracker/registry/sqlite-registry.ts";
import type { PasswordHasherOptions } from "../../../src/tracker/server/password-hasher.ts";
import type { WriteBlockReason } from "../../../src/tracker/server/write-block.ts";
import { Tracker } from "../../../src/tracker/tracker.ts";
import { cheapHashing } from "./cheap-passwords.ts";
import { folderFor } from "./fixture.ts";

const log = pino({ level: process.env.LOG_LEVEL ?? "silent" });
const DEADLINE_MS = 10_000;

/** Trackers on loopback that can be stopped and started again, each with its own data directory. */
async function trackers(t: TestContext, count: number) {
  const folder = mkdtempSync(join(tmpdir(), "trackers-"));
  const ports = await freePorts(count);
  const addresses: TrackerAddress[] = ports.map((port) => ({ host: "127.0.0.1", port }));
  const running = new Map<number, Tracker>();
  const dataDir = (number: number) => join(folder, String(number));
  /** @param aheadMs of its clock */
  const start = async (number: number, aheadMs: () => number = () => 0, passwords = cheapHashing) => {
    const tracker = await Tracker.open({
      trackers: addresses,
      nowMs: () => Date.now() + aheadMs(),
      passwords,
      trackerNumber: number,
      dataDir: dataDir(number),
      log: log.child({ number }),
    });
    running.set(number, tracker);
    return tracker;
  };
  const stop = async (number: number) => {
    await running.get(number)?.close();
    running.delete(number);
  };
  t.after(async () => {
    for (const number of [...running.keys()]) await stop(number);
    rmSync(folder, { recursive: true });
  });
  const connected = () => until(() => [...running.values()].every(isConnected));
  return { addresses, dataDir, start, stop, connected };
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tracker-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Two that run and are connected. */
async function twoTrackers(t: TestContext) {
  const net = await trackers(t, 2);
  await net.start(1);
  await net.start(2);
  await net.connected();
  const [first, second] = net.addresses;
  assert.ok(first && second);
  return { net, first, second };
}

function isConnected(tracker: Tracker): boolean {
  return tracker.status().links.every(({ state }) => state === "connected");
}

async function until(holds: () => boolean | Promise<boolean>, everyMs = 10): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, "it did not come about in time");
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

interface TestClient {
  readonly api: TrackerApi;
  readonly events: TrackerEvent[];
  close(): Promise<void>;
}

/** A client's connection with that device's key, subscribed to events. */
async function connect(
  t: TestContext,
  { host, port }: TrackerAddress,
  device?: DeviceIdentity,
): Promise<TestClient> {
  const identity = device ?? (await createDeviceIdentity());
  const socket = new WebSocket(`wss://${host}:${port}/api`, {
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    rejectUnauthorized: false,
  });
  const channel = new ApiChannel(
    (text) => socket.send(text),
    guardOf((error) => socket.emit("error", error)),
  );
  const { api } = channel;
  const gone = once(socket, "close");
  socket.on("message", (data) => {
    if (String(data) === "PING") socket.send("PONG");
    else channel.take(String(data));
  });
  socket.on("close", () => channel.close());
  socket.on("error", () => undefined); // `close` follows
  await Promise.race([once(socket, "open"), gone]);
  const events: TrackerEvent[] = [];
  await new Promise<void>((resolve, reject) => {
    const subscription = api.events.subscribe(undefined, {
      onStarted: () => resolve(),
      onData: (told) => events.push(...told),
      onError: reject,
    });
    t.after(() => subscription.unsubscribe());
  });
  const close = async () => {
    socket.close();
    await gone;
  };
  t.after(close);
  return { api, events, close };
}

async function signUp(client: TestClient, userId: string): Promise<void> {
  const password = `${userId}'s password`;
  await client.api.session.createUser.mutate({ writeId: randomUUID(), userId, password });
  await client.api.session.login.mutate({ writeId: randomUUID(), userId, password });
}

/** The group films of alice, with bob in it; both have their accounts from here. */
async function foundFilms(alice: TestClient, bob: TestClient): Promise<void> {
  await signUp(alice, "alice");
  await signUp(bob, "bob");
  await alice.api.groups.create.mutate(write("films"));
  await bob.api.groups.join.mutate(write("films"));
  await alice.api.groups.accept.mutate({ ...write("films"), userId: "bob" });
}

const write = (groupId: string) => ({ writeId: randomUUID(), groupId });

function refusal(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MiniTorrentError && error.code === code;
}

function eventOf(client: TestClient, type: TrackerEvent["type"]): Promise<TrackerEvent> {
  return until(() => client.events.some((event) => event.type === type)).then(() => {
    const event = client.events.find((candidate) => candidate.type === type);
    assert.ok(event);
    return event;
  });
}

function metainfo(authorityPem: string, fileName = "film.mkv") {
  return encodeMetainfo({
    fileName,
    lengthBytes: 10,
    pieceLengthBytes: 256 * 1024,
    pieceHashes: new Uint8Array(20),
    sha1: "ab".repeat(20),
    authorityPem,
  });
}

/** Sends a folder's metainfo in parts, each to the next of these clients. */
async function sendParts(clients: readonly TestClient[], { info, infoHash }: Metainfo): Promise<string> {
  const uploadId = randomUUID();
  const parts = cutInfo(info);
  for (const [partIndex, bytes] of parts.entries()) {
    const part = Buffer.from(bytes).toString("base64");
    const of = { infoHash, uploadId, partIndex, partCount: parts.length, part };
    await clients[partIndex % clients.length]?.api.files.putInfoPart.mutate({ ...write("films"), ...of });
  }
  return uploadId;
}

test("a folder is sent to one tracker and another, shared at one, updated at the other; who has it is told, there or later", async (t) => {
  const { net, first, second } = await twoTrackers(t);
  const device = await createDeviceIdentity();
  const [alice, elsewhere, bob] = [
    await connect(t, first, device),
    await connect(t, second, device),
    await connect(t, second),
  ];
  await foundFilms(alice, bob);
  const { authorityPem } = await bob.api.groups.certificate.query({ groupId: "films" });
  const [old, next] = [
    await folderFor("pictures", 2_000, 1, authorityPem),
    await folderFor("pictures", 2_000, 2, authorityPem),
  ];
  const { infoHash } = old;
  const uploadId = await sendParts([alice, elsewhere], old);
  const holderId = randomUUID();
  await alice.api.files.share.mutate({ ...write("films"), holderId, infoHash, uploadId });
  await eventOf(bob, "file-shared");
  await bob.api.files.share.mutate({ ...write("films"), holderId, infoHash });
  await bob.api.presence.announce.mutate({ listenPort: 7002, seeding: infoHash, downloading: "" });
  const inFolder = { groupId: "films", fileName: "pictures" };
  const answer = await bob.api.files.metainfo.query(inFolder);
  const partCount = "partCount" in answer ? answer.partCount : assert.fail("it is too long for one message");
  const read: Buffer[] = [];
  for (let partIndex = 0; partIndex < partCount; partIndex++) {
    const { part } = await bob.api.files.infoPart.query({ groupId: "films", infoHash, partIndex });
    read.push(Buffer.from(part, "base64"));
  }
  assert.ok(Buffer.concat(read).equals(old.info));
  const nextUploadId = await sendParts([alice], next);
  const update = { infoHash: next.infoHash, uploadId: nextUploadId, isUpdate: true, replaces: infoHash };
  await alice.api.files.share.mutate({ ...write("films"), holderId, ...update });
  const updated = { fileName: "pictures", infoHash: next.infoHash, userId: "alice" };
  assert.deepEqual(await eventOf(bob, "share-updated"), {
    ...{ type: "share-updated", groupId: "films" },
    ...updated,
  });
  await net.stop(1);
  const files = [{ fileName: "pictures", infoHash }];
  const doubts = await bob.api.files.checkShares.query({ groupId: "films", holderId, files });
  assert.deepEqual(doubts, { withdrawn: [], unknown: [], updated: [updated] });
  const page = await bob.api.files.listInside.query(inFolder);
  assert.equal(page.items[0]?.sha1, "02".repeat(20));
  // The old one's metainfo and peers are there for who is in the middle of it.
  const part = await bob.api.files.infoPart.query({ groupId: "films", infoHash, partIndex: 0 });
  assert.ok(part.part.length > 0);
  const late = await connect(t, second);
  await late.api.session.login.mutate({
    ...{ writeId: randomUUID(), userId: "alice", password: "alice's password" },
  });
  await late.api.presence.announce.mutate({ listenPort: 7003, seeding: "", downloading: infoHash });
  const peers = await late.api.presence.peers.query({ infoHash });
  assert.deepEqual(
    peers.map(({ userId }) => userId),
    ["bob"],
  );
});

test("two people at different trackers found, join and share a group, and hear of each other", async (t) => {
  const { first, second } = await twoTrackers(t);
  const alice = await connect(t, first);
  const bob = await connect(t, second);
  await signUp(alice, "alice");
  await signUp(bob, "bob");
  await alice.api.groups.create.mutate(write("films"));
  await bob.api.groups.join.mutate(write("films"));
  assert.deepEqual(await eventOf(alice, "join-requested"), {
    type: "join-requested",
    groupId: "films",
    userId: "bob",
  });
  await assert.rejects(bob.api.groups.certificate.query({ groupId: "films" }), refusal("NOT_A_MEMBER"));
  await alice.api.groups.accept.mutate({ ...write("films"), userId: "bob" });
  await eventOf(bob, "request-accepted");

  const certificate = await bob.api.groups.certificate.query({ groupId: "films" });
  const { info, infoHash, sha1 } = metainfo(certificate.authorityPem);
  const share = { ...write("films"), info: Buffer.from(info).toString("base64"), sha1 };
  const shared = { infoHash, joinedSwarm: false, isAnnounced: false };
  assert.deepEqual(await alice.api.files.share.mutate(share), shared);
  assert.deepEqual(await alice.api.files.share.mutate(share), shared);
  await eventOf(bob, "file-shared");
  await alice.api.presence.announce.mutate({ listenPort: 7001, seeding: infoHash, downloading: "" });
  await bob.api.presence.announce.mutate({ listenPort: 7002, seeding: "", downloading: infoHash });
  await until(async () => (await bob.api.presence.peers.query({ infoHash })).length === 1);
  const [peer] = await bob.api.presence.peers.query({ infoHash });
  assert.equal(peer?.userId, "alice");
  assert.equal(`${peer.host}:${peer.port}`, "127.0.0.1:7001");
  assert.equal(peer.isSeed, true);
  const again = { seeding: "", downloading: infoHash, over: "" };
  assert.deepEqual(await bob.api.presence.update.mutate(again), [{ infoHash, peers: [peer] }]);
  const asSeed = { seeding: infoHash, downloading: "", over: "" };
  assert.deepEqual(await alice.api.presence.update.mutate(asSeed), []);
  await bob.api.presence.update.mutate({ seeding: "", downloading: "", over: infoHash });
  const joined = await bob.api.files.share.mutate({ ...share, ...write("films"), isServed: true });
  assert.deepEqual(joined, { infoHash, joinedSwarm: true, isAnnounced: true });
  assert.deepEqual(
    (await alice.api.presence.peers.query({ infoHash })).map(({ userId, isSeed }) => [userId, isSeed]),
    [["bob", true]],
  );
  await bob.api.presence.update.mutate(again);
  const online = await eventOf(alice, "peer-online");
  assert.equal(online.type === "peer-online" && online.peer.userId, "bob");
  const [file] = (await bob.api.files.list.query({ groupId: "films" })).items;
  assert.deepEqual([file?.fileName, file?.seedersOnline, file?.peersOnline], ["film.mkv", 1, 2]);
  const answer = await bob.api.files.metainfo.query({ groupId: "films", fileName: "film.mkv" });
  assert.deepEqual(answer, { info: share.info });
  const { items: members } = await alice.api.groups.members.query({ groupId: "films" });
  assert.deepEqual(
    members.map(({ userId, isOwner, isOnline }) => [userId, isOwner, isOnline]),
    [
      ["alice", true, true],
      ["bob", false, true],
    ],
  );

  await alice.api.groups.remove.mutate({ ...write("films"), userId: "bob" });
  assert.deepEqual(await eventOf(bob, "membership-ended"), {
    type: "membership-ended",
    groupId: "films",
    how: "removed",
  });
  const revoked = await eventOf(alice, "revoked");
  assert.deepEqual((await alice.api.groups.revocations.query({ groupIds: ["films"] })).items, [
    { groupId: "films", membershipId: revoked.type === "revoked" ? revoked.membershipId : "" },
  ]);
  assert.deepEqual(await bob.api.presence.peers.query({ infoHash }), []);
  assert.deepEqual(await alice.api.presence.peers.query({ infoHash }), []);
});

test("a session continues at the other tracker by the device's key alone, and ends at both", async (t) => {
  const { net, first, second } = await twoTrackers(t);
  const device = await createDeviceIdentity();
  const before = await connect(t, first, device);
  await assert.rejects(before.api.session.resume.mutate(), refusal("NOT_LOGGED_IN"));
  await signUp(before, "alice");
  await before.close();
  await net.stop(1);
  const after = await connect(t, second, device);
  assert.equal((await after.api.session.resume.mutate()).userId, "alice");
  const stranger = await connect(t, second);
  await assert.rejects(stranger.api.session.resume.mutate(), refusal("NOT_LOGGED_IN"));

  await after.api.groups.create.mutate(write("films"));
  await net.start(1);
  await net.connected();
  const back = await connect(t, first, device);
  const [group] = (await back.api.groups.list.query({})).items;
  assert.deepEqual([group?.groupId, group?.standing], ["films", "owner"]);
  await after.api.session.logout.mutate({ writeId: randomUUID() });
  // What is told reaches a socket before the answer to a later call on it.
  const bob = await connect(t, first);
  await signUp(bob, "bob");
  await bob.api.groups.join.mutate(write("films"));
  await assert.rejects(back.api.groups.list.query({}), refusal("NOT_LOGGED_IN"));
  assert.deepEqual(back.events, []);
});

test("a removal says which trackers have not confirmed it", async (t) => {
  const { net, first, second } = await twoTrackers(t);
  const alice = await connect(t, first);
  const bob = await connect(t, first);
  await foundFilms(alice, bob);
  const remove = { ...write("films"), userId: "bob" };
  await net.stop(2);
  const unconfirmed = { unconfirmedTrackers: [`127.0.0.1:${second.port}`] };
  assert.deepEqual(await alice.api.groups.remove.mutate(remove), unconfirmed);
  assert.deepEqual(await alice.api.groups.remove.mutate({ ...remove, isRetry: true }), unconfirmed);
  await net.start(2);
  await net.connected();
  assert.deepEqual(await alice.api.groups.remove.mutate({ ...remove, isRetry: true }), {
    unconfirmedTrackers: [],
  });
});

test("a member whose account the operator removes is named among the memberships that ended", async (t) => {
  const net = await trackers(t, 1);
  const tracker = await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  const device = await createDeviceIdentity();
  const [alice, bob] = [await connect(t, address, device), await connect(t, address)];
  await foundFilms(alice, bob);
  const { membershipId, validUntilMs } = await bob.api.groups.certificate.query({ groupId: "films" });
  const hours = (validUntilMs - Date.now()) / 3_600_000;
  assert.ok(hours > 0.95 && hours <= 1, `a certificate is valid for ${hours} hours`);
  await tracker.operator.removeAccount("bob");
  const ended = async ({ api }: TestClient) =>
    (await api.groups.revocations.query({ groupIds: ["films"] })).items;
  assert.deepEqual(await ended(alice), [{ groupId: "films", membershipId }]);
  await net.stop(1);
  await net.start(1, () => 2 * 60 * 60 * 1000);
  assert.deepEqual(await ended(await connect(t, address, device)), [], "its certificates have run out");
});

test("a tracker whose clock is set serves nobody until its operator accepts that, and says so", async (t) => {
  const net = await trackers(t, 1);
  let aheadMs = 0;
  const tracker = await net.start(1, () => aheadMs);
  const [address] = net.addresses;
  assert.ok(address);
  const device = await createDeviceIdentity();
  const before = await connect(t, address, device);
  await signUp(before, "alice");
  aheadMs = 60 * 60 * 1000;
  await assert.rejects(before.api.groups.create.mutate(write("films")));
  const { cannotWrite, isServing } = tracker.status();
  assert.deepEqual([cannotWrite?.reason, isServing], ["clock", false]);
  assert.equal((await metricsOf(address)).cannot_write, 1);
  const { privateKeyPem: key, certificatePem: cert } = device;
  assert.equal(await answerTo(address.port, "/api", { key, cert }), 503);
  tracker.acceptClock();
  assert.deepEqual([tracker.status().cannotWrite, (await metricsOf(address)).cannot_write], [undefined, 0]);
  const { api } = await connect(t, address, device);
  assert.deepEqual((await api.groups.list.query({})).items, [], "it wrote with a wrong clock");
  await api.groups.create.mutate(write("films"));
});

test("a backup is a data directory of this user's alone, made whole or not at all", async (t) => {
  const net = await trackers(t, 1);
  const argon2: PasswordHasherOptions = {};
  const tracker = await net.start(1, undefined, argon2);
  const [address] = net.addresses;
  assert.ok(address);
  await signUp(await connect(t, address), "alice");
  const folder = net.dataDir(9);
  await tracker.backUp(folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const { digest, fingerprint } = tracker.status();
  await assert.rejects(tracker.backUp(folder), { code: "DESTINATION_UNUSABLE", message: /exists already/ });
  rmSync(join(net.dataDir(1), "identity-key.pem"));
  await assert.rejects(tracker.backUp(net.dataDir(8)), { code: "ENOENT" });
  assert.deepEqual(
    [net.dataDir(8), `${net.dataDir(8)}.unfinished`].filter((path) => existsSync(path)),
    [],
  );
  await net.stop(1);
  rmSync(net.dataDir(1), { recursive: true });
  renameSync(folder, net.dataDir(1));
  const again = (await net.start(1)).status();
  assert.deepEqual([again.digest, again.fingerprint], [digest, fingerprint]);
});

test("a tracker that has closed, or could not open, leaves nothing running", async (t) => {
  const running = () => process.getActiveResourcesInfo().toSorted().join();
  const net = await trackers(t, 2);
  await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  await (await connect(t, address)).close();
  await net.stop(1);
  await until(() => !running().includes("TCP") && !running().includes("Timeout"));
  const blocker = createServer().listen(address.port, "127.0.0.1");
  await once(blocker, "listening");
  const before = running();
  await assert.rejects(net.start(1), { code: "ADDRESS_IN_USE" });
  await until(() => running() === before);
  blocker.close();
  await once(blocker, "close");
  await net.start(1);
});

test("a closed tracker logs no failures of timers any more", async (t) => {
  const lines: string[] = [];
  const [port] = await freePorts(1);
  assert.ok(port !== undefined);
  const tracker = await Tracker.open({
    trackers: [{ host: "127.0.0.1", port }],
    passwords: cheapHashing,
    trackerNumber: 1,
    dataDir: folderOf(t),
    log: pino({ level: "error" }, { write: (line: string) => void lines.push(line) }),
  });
  t.after(onTimerFault(() => undefined));
  reportFault(new Error("a bug"), "while it runs");
  assert.equal(lines.length, 1);
  await tracker.close();
  reportFault(new Error("a bug"), "after its end");
  assert.equal(lines.length, 1);
});

test("a client learns the keys of all trackers that its own one knows", async (t) => {
  const net = await trackers(t, 2);
  const fingerprints = [(await net.start(1)).fingerprint, (await net.start(2)).fingerprint];
  await net.connected();
  const [address] = net.addresses;
  assert.ok(address);
  const { api } = await connect(t, address);
  const keys = await api.trackers.keys.query();
  assert.deepEqual(keys.fingerprints.toSorted(), fingerprints.toSorted());
});

test("that a connected device was seen is written after a day", async (t) => {
  const net = await trackers(t, 1);
  await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  const device = await createDeviceIdentity();
  await signUp(await connect(t, address, device), "alice");
  await net.stop(1);
  await net.start(1, () => 25 * 60 * 60 * 1000);
  const { api } = await connect(t, address, device);
  await api.session.resume.mutate();
  await untilMetrics(address, (metrics) => metrics.writes_total === 1);
});

test("a tracker that was down catches up, and both are equal then", async (t) => {
  const net = await trackers(t, 2);
  const one = await net.start(1);
  const [first] = net.addresses;
  assert.ok(first);
  const alice = await connect(t, first);
  await signUp(alice, "alice");
  await alice.api.groups.create.mutate(write("films"));
  const two = await net.start(2);
  await net.connected();
  const [{ digest, users, groups }, other] = [one.status(), two.status()];
  assert.deepEqual([users, groups, digest], [1, 1, other.digest]);
  assert.equal(other.users, 1);
});

test("the same content shared at both trackers while they were apart is one file of two seeders", async (t) => {
  const { net, first, second } = await twoTrackers(t);
  const alice = await connect(t, first);
  const bobsDevice = await createDeviceIdentity();
  const bobAtFirst = await connect(t, first, bobsDevice);
  await foundFilms(alice, bobAtFirst);
  const { authorityPem } = await alice.api.groups.certificate.query({ groupId: "films" });
  const { info, sha1 } = metainfo(authorityPem);
  const share = { info: Buffer.from(info).toString("base64"), sha1 };
  await net.stop(2);
  await alice.api.files.share.mutate({ ...write("films"), ...share });
  await net.stop(1);
  await net.start(2);
  const bob = await connect(t, second, bobsDevice);
  await bob.api.files.share.mutate({ ...write("films"), ...share });
  await net.start(1);
  await net.connected();
  const again = await connect(t, first, bobsDevice);
  await until(async () => {
    const { items: files } = await again.api.files.list.query({ groupId: "films" });
    return files.length === 1 && files[0]?.sharedBy === "alice";
  });
  assert.deepEqual(
    bob.events.filter(({ type }) => type === "name-taken-elsewhere"),
    [],
  );
  // Both share it: after one stops it is still there.
  const stop = { ...write("films"), fileName: "film.mkv" };
  await until(() =>
    again.api.files.stopShare.mutate(stop).then(
      () => true,
      () => false,
    ),
  );
  assert.equal((await again.api.files.list.query({ groupId: "films" })).items.length, 1);
});

test("the founder of a group that lost its name is told at the tracker that they have moved to", async (t) => {
  const { net, first, second } = await twoTrackers(t);
  const bobsDevice = await createDeviceIdentity();
  const alice = await connect(t, first);
  const bob = await connect(t, first, bobsDevice);
  await signUp(alice, "alice");
  await signUp(bob, "bob");
  await net.stop(2);
  await alice.api.groups.create.mutate(write("films"));
  await net.stop(1);
  await net.start(2);
  const bobAtSecond = await connect(t, second, bobsDevice);
  await bobAtSecond.api.groups.create.mutate(write("films"));
  await net.stop(2);
  await net.start(1);
  const bobAtFirst = await connect(t, first, bobsDevice);
  await bobAtFirst.api.session.resume.mutate();
  await net.start(2);
  // The claim may be heard of when it is ended already, and then nobody knows whose it was.
  await until(async () =>
    bobAtFirst.events.some(({ type }) => type === "name-taken-elsewhere" || type === "membership-ended"),
  );
  const [group] = (await bobAtFirst.api.groups.list.query({})).items;
  assert.deepEqual([group?.ownerId, group?.standing], ["alice", undefined]);
});

test("a client that looked for peers of a file before this tracker knew it is told of them once it does", async (t) => {
  const { net, first, second } = await twoTrackers(t);
  const [alicesDevice, bobsDevice] = [await createDeviceIdentity(), await createDeviceIdentity()];
  const alice = await connect(t, first, alicesDevice);
  const bob = await connect(t, first, bobsDevice);
  await foundFilms(alice, bob);
  const { authorityPem } = await alice.api.groups.certificate.query({ groupId: "films" });
  const { info, sha1, infoHash } = metainfo(authorityPem);
  await net.stop(2);
  const share = { info: Buffer.from(info).toString("base64"), sha1 };
  await alice.api.files.share.mutate({ ...write("films"), ...share });
  await net.stop(1);
  await net.start(2);
  const alice2 = await connect(t, second, alicesDevice);
  const bob2 = await connect(t, second, bobsDevice);
  await alice2.api.presence.announce.mutate({ listenPort: 1, seeding: infoHash, downloading: "" });
  await bob2.api.presence.announce.mutate({ listenPort: 2, seeding: "", downloading: infoHash });
  assert.deepEqual(await bob2.api.presence.peers.query({ infoHash }), []);
  await net.start(1);
  const event = await eventOf(bob2, "peer-online");
  assert.ok(event.type === "peer-online" && event.infoHash === infoHash && event.peer.userId === "alice");
});

test("a tracker that is back has what the other acknowledged meanwhile before it serves anybody", async (t) => {
  const net = await trackers(t, 2);
  const [first, second] = net.addresses;
  assert.ok(first && second);
  await net.start(1);
  await net.start(2);
  await net.connected();
  const device = await createDeviceIdentity();
  for (const [away, here] of [
    [1, second],
    [2, first],
  ] as const) {
    await net.stop(away);
    const client = await connect(t, here, device);
    if (away === 1) await signUp(client, "alice");
    await client.api.groups.create.mutate(write(`without-${away}`));
    await net.start(away);
    const back = await connect(t, away === 1 ? first : second, device);
    const { items: groups } = await back.api.groups.list.query({});
    assert.ok(groups.some(({ groupId }) => groupId === `without-${away}`));
    await net.connected();
  }
});

test("guessing passwords is slowed down, and the owner gets in from where nobody guesses", async (t) => {
  const net = await trackers(t, 1);
  await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  const client = await connect(t, address);
  await signUp(client, "alice");
  const guess = () =>
    client.api.session.login.mutate({ writeId: randomUUID(), userId: "alice", password: "guess" });
  for (let attempt = 0; attempt < 10; attempt++) await assert.rejects(guess(), refusal("BAD_CREDENTIALS"));
  await assert.rejects(guess(), refusal("TOO_MANY_ATTEMPTS"));
  await signUp(client, "bob");
  await net.stop(1);
  await net.start(1);
  const { api } = await connect(t, address);
  const login = { writeId: randomUUID(), userId: "alice", password: "alice's password" };
  await assert.rejects(api.session.login.mutate(login), refusal("TOO_MANY_ATTEMPTS"));
});

test("a malformed message gets a sentence and a code, and the connection stays open", async (t) => {
  const net = await trackers(t, 1);
  await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  const { api } = await connect(t, address);
  const writeId = randomUUID();
  await assert.rejects(
    api.session.createUser.mutate({ writeId, userId: "../etc", password: "x" }),
    (error: Error) => refusal("INVALID_ARGUMENT")(error) && error.message.includes("a user id has"),
  );
  await assert.rejects(
    api.session.login.mutate({ writeId, userId: "nobody", password: "x" }),
    refusal("BAD_CREDENTIALS"),
  );
  // @ts-expect-error there is no such procedure
  await assert.rejects(api.session.nonsense.mutate({}), refusal("INVALID_ARGUMENT"));
});

/** What a tracker answers on /sync to who has that identity. */
function answerTo(port: number, path: string, identity: object): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, {
      rejectUnauthorized: false,
      ...identity,
    });
    socket.once("unexpected-response", (_request, response) => {
      resolve(response.statusCode);
      response.destroy();
    });
    socket.once("open", () => reject(new Error("let in")));
    socket.once("error", () => {});
  });
}

test("nobody without a tracker's key gets a link, and no client without a certificate", async (t) => {
  const net = await trackers(t, 2);
  await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  const identity = await createDeviceIdentity();
  const device = { key: identity.privateKeyPem, cert: identity.certificatePem };
  assert.equal(await answerTo(address.port, "/sync", device), 403);
  assert.equal(await answerTo(address.port, "/api", {}), 401);
  assert.equal(await answerTo(address.port, "/elsewhere", device), 404);
});

test("a tracker whose key changed gets no link until its line pins the new one, and both say why", async (t) => {
  const net = await trackers(t, 2);
  const one = await net.start(1);
  const { fingerprint } = await net.start(2);
  await net.connected();
  await net.stop(2);
  rmSync(net.dataDir(2), { recursive: true });
  const two = await net.start(2);
  assert.notEqual(two.fingerprint, fingerprint);
  const [first, second] = net.addresses;
  assert.ok(first && second);
  const identity = {
    key: readFileSync(join(net.dataDir(2), "identity-key.pem")),
    cert: readFileSync(join(net.dataDir(2), "identity-certificate.pem")),
  };
  assert.equal(await answerTo(first.port, "/sync", identity), 403);
  assert.equal(isConnected(two), false);
  const troubleOf = (tracker: Tracker): string => tracker.status().links[0]?.trouble ?? "";
  await until(() => troubleOf(one).includes(`add 'sha256:${two.fingerprint}' to its line`));
  assert.match(troubleOf(two), /refuses this tracker's key.*restart/s);
  assert.ok(troubleOf(two).includes(two.fingerprint), "it does not say which key the other one has to get");
  for (const { port } of net.addresses)
    assert.doesNotMatch(await read({ host: "127.0.0.1", port }, "/health"), /trouble|restart/);
  await net.stop(1);
  net.addresses[1] = { ...second, fingerprint: two.fingerprint };
  await net.start(1);
  await net.connected();
});

test("a tracker says of each one that is not connected what to do", async (t) => {
  const net = await trackers(t, 2);
  const two = await net.start(2);
  const troubleOf = (tracker: Tracker): string | undefined => tracker.status().links[0]?.trouble;
  await until(() => /Nothing listens at .*: start that tracker/.test(troubleOf(two) ?? ""));
  const one = await net.start(1);
  await net.connected();
  assert.deepEqual([troubleOf(one), troubleOf(two)], [undefined, undefined]);
  await net.stop(2);
  await until(() => /connects to this tracker and has not done so: start it/.test(troubleOf(one) ?? ""));
});

test("a tracker on a name listens on one address of it, where connections are counted", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "tracker-"));
  const [port = 0] = await freePorts(1);
  const address = { host: "localhost", port };
  const tracker = await Tracker.open({ trackers: [address], trackerNumber: 1, dataDir, log });
  t.after(async () => {
    await tracker.close();
    rmSync(dataDir, { recursive: true });
  });
  const isAnswered = (host: string) =>
    new Promise<boolean>((resolve) => {
      const socket = connectTcp({ host, port });
      // Ended here: the tracker's close would wait until this connection's TLS handshake is overdue.
      socket.once("connect", () => socket.destroy()).once("error", () => resolve(false));
      socket.once("close", (hasFailed) => resolve(!hasFailed));
    });
  const answers = await Promise.all(["127.0.0.1", "::1"].map(isAnswered));
  assert.equal(answers.filter((answered) => answered).length, 1);
});

test("a second tracker gets neither the address nor the data directory of one that runs", async (t) => {
  const net = await trackers(t, 2);
  const tracker = await net.start(1);
  await assert.rejects(net.start(1), { code: "DATA_DIR_IN_USE" });
  await assert.rejects(
    Tracker.open({ trackers: net.addresses, trackerNumber: 1, dataDir: net.dataDir(7), log }),
    { code: "ADDRESS_IN_USE" },
  );
  await assert.rejects(
    Tracker.open({ trackers: net.addresses, trackerNumber: 3, dataDir: net.dataDir(7), log }),
    { code: "INVALID_TRACKER_INFO" },
  );
  assert.equal(statSync(net.dataDir(1)).mode & 0o777, 0o700);
  for (const file of ["identity-key.pem", "identity-certificate.pem", "registry.sqlite", "pins.sqlite"]) {
    assert.equal(statSync(join(net.dataDir(1), file)).mode & 0o777, 0o600, file);
  }
  await net.stop(1);
  assert.equal((await net.start(1)).fingerprint, tracker.fingerprint);
});

test("health and metrics are at the tracker's own address", async (t) => {
  const net = await trackers(t, 1);
  const tracker = await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  assert.equal(JSON.parse(await read(address, "/health")).digest, tracker.status().digest);
  assert.equal((await metricsOf(address)).clients_connected, 0);
});

test("each metric counts what it says", async (t) => {
  const { net, first, second } = await twoTrackers(t);
  const nothing = {
    ...{ writes_total: 0, merged_rows_total: 0, certificates_issued_total: 0, logins_refused_total: 0 },
    ...{ events_pushed_total: 0, connection_faults_total: 0, clients_connected: 0, links_connected: 1 },
    ...{ replication_lag_rows: 0, replication_lag_seconds: 0, cannot_write: 0, timer_faults_total: 0 },
  };
  // The lag is looked at every so often: it may still be that of before they met.
  await untilMetrics(first, (metrics) => metrics.replication_lag_seconds === 0);
  await untilMetrics(second, (metrics) => metrics.replication_lag_seconds === 0);
  assert.deepEqual(await metricsOf(first), nothing);
  const alice = await connect(t, first);
  const bob = await connect(t, second);
  await signUp(alice, "alice");
  // A user, a credential and a device.
  const signedUp = { ...nothing, clients_connected: 1 };
  assert.deepEqual(await metricsOf(first), { ...signedUp, writes_total: 2 });
  assert.deepEqual(await metricsOf(second), { ...signedUp, merged_rows_total: 3 });

  await signUp(bob, "bob");
  await alice.api.groups.create.mutate(write("films"));
  await bob.api.groups.join.mutate(write("films"));
  await eventOf(alice, "join-requested");
  const wrong = { writeId: randomUUID(), userId: "bob", password: "somebody else's" };
  await assert.rejects(bob.api.session.login.mutate(wrong), refusal("BAD_CREDENTIALS"));
  await alice.api.groups.certificate.query({ groupId: "films" });
  // At the one: a group and its owner's membership; at the other: a request.
  assert.deepEqual(await metricsOf(first), {
    ...{ ...signedUp, writes_total: 3, merged_rows_total: 4 },
    ...{ events_pushed_total: 1, certificates_issued_total: 1 },
  });
  assert.deepEqual(await metricsOf(second), {
    ...{ ...signedUp, writes_total: 3, merged_rows_total: 5, logins_refused_total: 1 },
  });

  await bob.close();
  await net.stop(2);
  await untilMetrics(first, (metrics) => metrics.links_connected === 0);
  await alice.api.groups.create.mutate(write("books"));
  await untilMetrics(first, ({ replication_lag_seconds }) => Number(replication_lag_seconds) > 0);
  await net.start(2);
  await net.connected();
  await untilMetrics(
    first,
    ({ links_connected, replication_lag_rows, replication_lag_seconds }) =>
      links_connected === 1 && replication_lag_rows === 0 && replication_lag_seconds === 0,
  );
  // All that it had before was on its disk.
  assert.equal((await metricsOf(second)).merged_rows_total, 2);
  soon("a test", () => {
    throw new Error("a bug");
  });
  await untilMetrics(first, (metrics) => metrics.timer_faults_total === 1);
});

/** From now on each registry that is opened can be told of trouble, in the order of opening. */
function troubles(t: TestContext): ((reason: WriteBlockReason) => void)[] {
  const tell: ((reason: WriteBlockReason) => void)[] = [];
  const { open } = SqliteRegistry;
  t.mock.method(SqliteRegistry, "open", (options: Parameters<typeof open>[0]) => {
    tell.push((reason) => options.onTrouble?.(reason as never));
    return open.call(SqliteRegistry, options);
  });
  return tell;
}

test("a tracker whose disk is full leaves its clients to one that stores, catches up when it can write, and answers alone", async (t) => {
  const trouble = troubles(t);
  const net = await trackers(t, 2);
  const [one, two] = [await net.start(1), await net.start(2)];
  await net.connected();
  const [first, second] = net.addresses;
  assert.ok(first && second);
  const device = createDeviceIdentity();
  const alice = await connect(t, first, device);
  await signUp(alice, "alice");
  const { privateKeyPem: key, certificatePem: cert } = device;
  trouble[0]?.("disk-full");
  assert.deepEqual([one.status().cannotWrite?.reason, one.status().isServing], ["disk-full", false]);
  await until(() => one.status().clientsOnline === 0);
  assert.equal(await answerTo(first.port, "/api", { key, cert }), 503);
  await signUp(await connect(t, second), "bob");
  await until(() => Number(two.status().links[0]?.lagRecords) > 0);
  assert.equal(one.status().users, 1, "it stores nothing");
  const isAlone = () => one.status().links[0]?.state === "disconnected";
  await net.stop(2);
  await until(isAlone);
  assert.equal(one.status().isServing, false, "it has heard of rows that it lacks");
  await until(() => one.status().cannotWrite === undefined);
  assert.equal(one.status().isServing, false, "it still lacks them");
  const back = await net.start(2);
  await until(() => one.status().isServing);
  assert.deepEqual([one.status().users, one.status().digest], [2, back.status().digest]);
  await net.stop(2);
  await until(isAlone);
  trouble[0]?.("disk-full");
  assert.deepEqual([one.status().cannotWrite?.reason, one.status().isServing], ["disk-full", true]);
  const { api } = await connect(t, first, device);
  assert.deepEqual((await api.groups.list.query({})).items, []);
  await assert.rejects(api.groups.create.mutate(write("films")), refusal("TRACKER_CANNOT_WRITE"));
});

test("a tracker that meets damage serves nobody, tells its next start, and writes no more", async (t) => {
  const trouble = troubles(t);
  const net = await trackers(t, 1);
  const tracker = await net.start(1);
  const [address] = net.addresses;
  assert.ok(address);
  const alice = await connect(t, address);
  await signUp(alice, "alice");
  trouble[0]?.("registry-damaged");
  assert.deepEqual(
    [tracker.status().cannotWrite?.reason, tracker.status().isServing],
    ["registry-damaged", false],
  );
  await until(() => tracker.status().clientsOnline === 0);
  assert.equal(existsSync(join(net.dataDir(1), "registry.suspect")), true);
  await net.stop(1);
  assert.equal((await net.start(1)).status().isServing, true);
  assert.equal(existsSync(join(net.dataDir(1), "registry.suspect")), false);
});

/** What the tracker there answers to that path. */
function read({ host, port }: TrackerAddress, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = `https://${host}:${port}${path}`;
    const sent = request(url, { rejectUnauthorized: false, agent: false }, async (response) => {
      let body = "";
      for await (const chunk of response) body += String(chunk);
      resolve(body);
    });
    sent.once("error", reject);
    sent.end();
  });
}

/** Looks less often than `until`: each look is a TLS connection. */
function untilMetrics(
  tracker: TrackerAddress,
  hold: (metrics: Record<string, number>) => boolean,
): Promise<void> {
  return until(async () => hold(await metricsOf(tracker)), 100);
}

/** By their names without what all have in front. */
async function metricsOf(tracker: TrackerAddress): Promise<Record<string, number>> {
  const lines = (await read(tracker, "/metrics")).matchAll(/^minitorrent_tracker_(\w+) (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}
