// A whole client on a tracker's port that answers as the test says: what each command asks, and what it makes of the answer.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { z } from "zod";
import { decodeInvite, encodeInvite, hashOfInviteSecret, inviteIdOf } from "../../../src/api/invite.ts";
import { Client, type ClientOptions } from "../../../src/client/client.ts";
import { Login } from "../../../src/client/login.ts";
import { Profile } from "../../../src/client/profile.ts";
import type { ClientEvent } from "../../../src/client/status.ts";
import { Session, type SessionOptions } from "../../../src/engine/session.ts";
import { PinStore } from "../../../src/identity/pins.ts";
import { decodeMetainfo, encodeMetainfo } from "../../../src/metainfo/metainfo.ts";
import { reportFault } from "../../../src/net/timers.ts";
import { DiskPool } from "../../../src/storage/disk-pool.ts";
import { PieceMemory } from "../../../src/storage/piece-memory.ts";
import {
  alice,
  FakeGroups,
  FakeTracker,
  identity,
  readableLog,
  refusal,
  settle,
  temporaryFolder,
  until,
  virtualTime,
} from "./session-fixture.ts";
import { TrackerServer } from "./tracker-server.ts";

const KIB = 1024;

async function stage(t: TestContext, changes: Partial<ClientOptions> = {}, aheadMs = 0) {
  const folder = temporaryFolder(t);
  const fake = new FakeTracker();
  const groups = new FakeGroups(fake, identity);
  const server = await TrackerServer.open(t, fake, aheadMs);
  for (const path of [
    "session.createUser",
    "groups.create",
    "groups.join",
    "groups.accept",
    "groups.reject",
  ]) {
    fake.answer(path, () => undefined);
  }
  fake.answer("session.login", ({ userId }: { userId: string }) => ({ ...alice, userId }));
  fake.answer("files.checkShares", () => ({ withdrawn: [], unknown: [], updated: [] }));
  const { log, said } = readableLog();
  const events: ClientEvent[] = [];
  const client = await Client.open({
    ...{ listen: { host: "127.0.0.1", port: 0 }, trackers: [server.address], log },
    dataDir: join(folder, "data"),
    onEvent: (event) => events.push(event),
    ...changes,
  });
  let isOpen = true;
  const close = async () => {
    if (isOpen) await client.close();
    isOpen = false;
  };
  t.after(close);
  await client.trackerKnown();
  const types = () => events.map(({ type }) => type);
  return { folder, fake, groups, server, client, events, types, log, said, close };
}

async function loggedIn(t: TestContext, changes: Partial<ClientOptions> = {}) {
  const scene = await stage(t, changes);
  scene.groups.join("films");
  await scene.client.login("alice", "secret");
  await until("it has caught up", () => scene.client.status().groupIds.length === 1);
  await settle(20);
  scene.fake.take();
  scene.events.length = 0;
  return scene;
}

/** What was said in the one call of that path, without its write id, which there must be. */
function written(fake: FakeTracker, path: string): object {
  const [input, ...others] = fake.inputsOf(path);
  assert.deepEqual(others, []);
  const { writeId, ...rest } = z.object({ writeId: z.uuid() }).loose().parse(input);
  assert.ok(writeId);
  return rest;
}

test("a client that starts connects to a tracker and says where it listens", async (t) => {
  const { client, server, events, folder } = await stage(t);
  const tracker = `127.0.0.1:${server.port}`;
  const { listeningOn, ...rest } = client.status();
  assert.match(listeningOn, /^127\.0\.0\.1:[1-9]\d*$/);
  assert.deepEqual(rest, {
    ...{ account: undefined, tracker, trackersKnown: true, trackerProblem: undefined, groupIds: [] },
    ...{ sharedFiles: 0, runningDownloads: 0 },
  });
  assert.deepEqual(events, [
    { type: "tracker-trusted", tracker, fingerprint: server.fingerprint },
    { type: "tracker-connected", tracker, isFailover: false },
  ]);
  assert.equal(statSync(join(folder, "data")).mode & 0o077, 0, "nobody else may read what is kept there");
});

test("a client without a tracker says so, and a command does too", async (t) => {
  const folder = temporaryFolder(t);
  const free = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => free.once("listening", resolve));
  const address = free.address();
  assert.ok(typeof address === "object" && address !== null);
  await new Promise((resolve) => free.close(resolve));
  const events: ClientEvent[] = [];
  const client = await Client.open({
    ...{ listen: { host: "127.0.0.1", port: 0 }, trackers: [{ host: "127.0.0.1", port: address.port }] },
    ...{ dataDir: folder, log: readableLog().log, onEvent: (event) => events.push(event) },
  });
  t.after(() => client.close());
  await until("it is known", () => events.length > 0);
  assert.equal(events[0]?.type, "trackers-unreachable");
  assert.match(client.status().trackerProblem ?? "", /look at the network/);
});

test("a client that cannot listen leaves nothing open", async (t) => {
  const { client, folder, server } = await stage(t);
  const closedPins = t.mock.method(PinStore.prototype, "close");
  const [, port = ""] = client.status().listeningOn.split(":");
  const second = Client.open({
    ...{ listen: { host: "127.0.0.1", port: Number(port) }, trackers: [server.address] },
    ...{ dataDir: join(folder, "second"), log: readableLog().log, onEvent: () => undefined },
  });
  await assert.rejects(second, { code: "ADDRESS_IN_USE" });
  assert.equal(closedPins.mock.callCount(), 1);
});

test("limits that are too small, and too little memory, are refused", async (t) => {
  const common = {
    ...{ listen: { host: "127.0.0.1", port: 0 }, trackers: [], dataDir: temporaryFolder(t) },
    ...{ log: readableLog().log, onEvent: () => undefined },
  };
  for (const changes of [{ limits: { up: 1 } }, { limits: { down: 1 } }, { memoryBytes: 1 }]) {
    await assert.rejects(Client.open({ ...common, ...changes }), { code: "INVALID_ARGUMENT" });
  }
});

test("nothing that needs a login is asked without one", async (t) => {
  const { client, fake, folder } = await stage(t);
  await settle(20);
  fake.take();
  const path = join(folder, "a");
  const commands: (() => unknown)[] = [
    () => client.logout(),
    () => client.createGroup("films"),
    () => client.joinGroup("films"),
    () => client.leaveGroup("films"),
    () => client.listRequests("films"),
    () => client.acceptRequest("films", "bob"),
    () => client.rejectRequest("films", "bob"),
    () => client.removeMember("films", "bob"),
    () => client.listMembers("films"),
    () => client.namesOf({ kind: "groups" }, ""),
    () => client.listGroups(),
    () => client.listFiles("films"),
    () => client.uploadFile(path, "films"),
    () => client.stopShare("films", "a"),
    () => client.downloadFile("films", "a", path),
    () => client.shares(),
    () => client.downloadHistory(),
    () => client.why("films", "a"),
    () => client.pauseDownload("films", "a"),
    () => client.resumeDownload("films", "a"),
    () => client.cancelDownload("films", "a"),
    () => client.peers("films", "a"),
    () => client.limit("up", 20 * KIB, { groupId: "films", fileName: "a" }),
    () => client.exportTorrent("films", "a", path),
    () => client.exportCertificate("films", path),
  ];
  for (const command of commands) {
    await assert.rejects(async () => await command(), { code: "NOT_LOGGED_IN" }, String(command));
  }
  assert.deepEqual(fake.take(), []);
  assert.deepEqual(client.downloads(), []);
});

test("an account is made, logged in once, and logged out", async (t) => {
  const { client, fake } = await stage(t);
  await client.createUser("alice", "secret");
  assert.deepEqual(written(fake, "session.createUser"), { userId: "alice", password: "secret" });
  assert.deepEqual(await client.login("alice", "secret"), alice);
  assert.deepEqual(written(fake, "session.login"), { userId: "alice", password: "secret" });
  assert.deepEqual(client.status().account, alice);
  await assert.rejects(client.login("bob", "secret"), {
    code: "ALREADY_LOGGED_IN",
    message: "You are logged in as alice; logout first.",
  });
  await client.logout();
  assert.deepEqual(written(fake, "session.logout"), {});
  assert.equal(client.status().account, undefined);
});

test("a refused login changes nothing", async (t) => {
  const { client, fake, folder } = await stage(t);
  fake.refuse("session.login", "BAD_CREDENTIALS");
  await assert.rejects(client.login("alice", "wrong"), { code: "BAD_CREDENTIALS" });
  assert.equal(client.status().account, undefined);
  assert.equal(existsSync(join(folder, "data", "accounts")), false);
});

test("a login whose profile cannot be opened is undone at the trackers too", async (t) => {
  const { client, fake, folder, said } = await stage(t);
  writeFileSync(join(folder, "data", "accounts"), "no folder");
  await assert.rejects(client.login("alice", "secret"), /ENOTDIR|EEXIST/);
  assert.equal(client.status().account, undefined);
  assert.deepEqual(written(fake, "session.logout"), {});
  fake.refuse("session.logout", "TRACKER_BUSY");
  await assert.rejects(
    client.login("alice", "secret"),
    /ENOTDIR|EEXIST/,
    "why it failed, not what failed then",
  );
  assert.deepEqual(said("warn"), ["logout not told to a tracker"]);
});

test("a logout that no tracker hears of is one all the same", async (t) => {
  const { client, fake, said } = await loggedIn(t);
  fake.answer("session.logout", () => {
    assert.equal(client.status().account, undefined, "first nothing is shared any more");
    throw refusal("TRACKER_BUSY");
  });
  await client.logout();
  assert.equal(client.status().account, undefined);
  assert.deepEqual(said("warn"), ["logout not told to a tracker"]);
});

test("a clock that is wrong is told at the connection, and again at the login", async (t) => {
  const { client, events, types } = await stage(t, {}, 3 * 3_600_000);
  assert.deepEqual(types(), ["tracker-trusted", "tracker-connected", "clock-wrong"]);
  await client.login("alice", "secret");
  const told = events.filter((event) => event.type === "clock-wrong");
  assert.equal(told.length, 2);
  assert.match(told[1]?.reason ?? "", /behind the tracker's/);
});

test("a right clock is no news at the login", async (t) => {
  const { client, types } = await stage(t);
  await client.login("alice", "secret");
  assert.ok(!types().includes("clock-wrong"));
});

test("a group's founder is a member; a user who asks to join is not yet", async (t) => {
  const { client, fake } = await loggedIn(t);
  await client.createGroup("books");
  await client.joinGroup("music");
  assert.deepEqual(written(fake, "groups.create"), { groupId: "books" });
  assert.deepEqual(written(fake, "groups.join"), { groupId: "music" });
  assert.deepEqual(client.status().groupIds, ["books", "films"]);
  fake.refuse("groups.create", "GROUP_EXISTS");
  await assert.rejects(client.createGroup("art"), { code: "GROUP_EXISTS" });
  assert.deepEqual(client.status().groupIds, ["books", "films"]);
});

test("a member who leaves a group is out of it, and is told what became of it", async (t) => {
  const { client, fake, types } = await loggedIn(t);
  fake.answer("groups.leave", () => ({ newOwnerId: "bob", groupEnded: false }));
  assert.deepEqual(await client.leaveGroup("films"), { newOwnerId: "bob", groupEnded: false });
  assert.deepEqual(written(fake, "groups.leave"), { groupId: "films" });
  assert.deepEqual([client.status().groupIds, types()], [[], []], "they know that they left");
  fake.answer("groups.leave", () => ({ groupEnded: true }));
  assert.deepEqual(await client.leaveGroup("books"), { newOwnerId: undefined, groupEnded: true });
});

test("an owner accepts, rejects and removes the members that they name", async (t) => {
  const { client, fake } = await loggedIn(t);
  fake.answer("groups.remove", () => ({ unconfirmedTrackers: ["192.0.2.1:9000"] }));
  await client.acceptRequest("films", "bob");
  await client.rejectRequest("films", "carol");
  assert.deepEqual(await client.removeMember("films", "dave"), { unconfirmedTrackers: ["192.0.2.1:9000"] });
  const about = (userId: string) => ({ groupId: "films", userId });
  assert.deepEqual(written(fake, "groups.accept"), about("bob"));
  assert.deepEqual(written(fake, "groups.reject"), about("carol"));
  assert.deepEqual(written(fake, "groups.remove"), about("dave"));
});

const request = (userId: string) => ({ userId, sinceMs: 1 });
const aMember = (userId: string, isOwner = false) => ({ userId, isOwner, isOnline: true, sinceMs: 1 });
const aFile = (fileName: string) => ({
  ...{ fileName, lengthBytes: 5, sha1: "ab".repeat(20), infoHash: "cd".repeat(20) },
  ...{ sharedBy: "bob", seedersOnline: 1, peersOnline: 1 },
});
const aGroup = (groupId: string, standing?: "owner" | "member" | "requested") => ({
  ...{ groupId, ownerId: "bob", memberCount: 2 },
  ...(standing === undefined ? {} : { standing }),
});

test("lists of a group are read to their end", async (t) => {
  const { client, fake } = await loggedIn(t);
  const lists = [
    { path: "groups.requests", read: () => client.listRequests("films"), items: ["b", "c"].map(request) },
    {
      path: "groups.members",
      read: () => client.listMembers("films"),
      items: ["b", "c"].map((id) => aMember(id)),
    },
    { path: "files.list", read: () => client.listFiles("films"), items: ["b", "c"].map(aFile) },
  ];
  for (const { path, read, items } of lists) {
    fake.answer(path, ({ after }: { after?: string }) =>
      after === undefined ? { items: items.slice(0, 1), next: "1" } : { items: items.slice(1) },
    );
    assert.deepEqual(await read(), items);
    assert.deepEqual(fake.inputsOf(path), [{ groupId: "films" }, { groupId: "films", after: "1" }]);
  }
});

test("the list of all groups says which the user is in, from now on", async (t) => {
  const { client, fake } = await loggedIn(t);
  const all = [aGroup("art"), aGroup("books", "owner"), aGroup("films", "member")];
  fake.answer("groups.list", () => ({ items: all }));
  assert.deepEqual(await client.listGroups(), all);
  assert.deepEqual(client.status().groupIds, ["books", "films"]);
});

test("names for completion are one page: groups to join, files that begin so, who asked, members but for the owner", async (t) => {
  const { client, fake } = await loggedIn(t);
  fake.answer("groups.list", () => ({
    items: [aGroup("art"), aGroup("books", "requested"), aGroup("films", "member")],
    next: "more",
  }));
  fake.answer("files.list", () => ({ items: [aFile("a1"), aFile("a2")], next: "more" }));
  fake.answer("groups.requests", () => ({ items: [request("bob")], next: "more" }));
  fake.answer("groups.members", () => ({ items: [aMember("alice", true), aMember("bob")], next: "more" }));
  const groupId = "films";
  assert.deepEqual(await client.namesOf({ kind: "groups" }, "a"), ["art"]);
  assert.deepEqual(await client.namesOf({ kind: "files", groupId }, "a"), ["a1", "a2"]);
  assert.deepEqual(await client.namesOf({ kind: "requests", groupId }, "b"), ["bob"]);
  assert.deepEqual(await client.namesOf({ kind: "members", groupId }, "b"), ["bob"]);
  assert.deepEqual(fake.asked, [
    { path: "groups.list", input: { prefix: "a" } },
    { path: "files.list", input: { groupId, prefix: "a" } },
    { path: "groups.requests", input: { groupId } },
    { path: "groups.members", input: { groupId } },
  ]);
});

/** A client that shares `a.txt` in films. */
async function sharing(t: TestContext) {
  const scene = await loggedIn(t);
  const { folder, fake, client } = scene;
  const path = join(folder, "a.txt");
  writeFileSync(path, "content");
  fake.answer("files.share", ({ info }: { info: string }) => ({
    ...{
      infoHash: decodeMetainfo(Buffer.from(info, "base64")).infoHash,
      joinedSwarm: false,
      isAnnounced: true,
    },
  }));
  fake.answer("files.stopShare", () => undefined);
  const shared = await client.uploadFile(path, "films");
  return { ...scene, path, shared };
}

test("a file is shared in place, counted, and stopped here or everywhere", async (t) => {
  const { client, fake, path, shared } = await sharing(t);
  const { sha1, ...rest } = shared;
  assert.equal(sha1, "040f06fd774092478d450774f5ba30c5da78acc8");
  assert.deepEqual(rest, {
    ...{ groupId: "films", fileName: "a.txt", lengthBytes: 7, pieceCount: 1 },
    ...{ joinedSwarm: false, replacesEarlier: false },
  });
  assert.equal(client.status().sharedFiles, 1);
  assert.deepEqual(
    client.shares().map((share) => [share.fileName, share.path, share.state]),
    [["a.txt", path, "served"]],
  );
  assert.deepEqual(client.peers("films", "a.txt"), []);
  assert.deepEqual(await client.stopShare("films", "a.txt"), []);
  const { holderId, ...stopped } = z
    .object({ holderId: z.uuid() })
    .loose()
    .parse(written(fake, "files.stopShare"));
  assert.ok(holderId);
  assert.deepEqual(stopped, { groupId: "films", fileName: "a.txt", everywhere: false });
  assert.equal(client.status().sharedFiles, 0);
  assert.throws(() => client.peers("films", "a.txt"), { code: "NOT_SHARED" });
  await assert.rejects(client.stopShare("films", "a.txt"), { code: "NOT_SHARED" });
  fake.take();
  await client.stopShare("films", "a.txt", true);
  assert.equal((written(fake, "files.stopShare") as { everywhere?: boolean }).everywhere, true);
});

test("stopping a share names the members who do not have all of it yet, each once", async (t) => {
  const sessions: Session[] = [];
  const open = Session.open.bind(Session);
  t.mock.method(Session, "open", async (options: SessionOptions) => {
    const session = await open(options);
    sessions.push(session);
    return session;
  });
  const { client } = await sharing(t);
  const active = sessions[0]?.find("films", "a.txt");
  assert.ok(active);
  const status = active.torrent.status();
  const peer = (userId: string, needsNothing: boolean) => ({ userId, needsNothing, remarks: [] });
  const peers = [peer("carol", false), peer("bob", false), peer("bob", false), peer("dave", true)];
  t.mock.method(active.torrent, "status", () => ({ ...status, peers }));
  assert.deepEqual(
    client.peers("films", "a.txt").map(({ userId }) => userId),
    ["carol", "bob", "bob", "dave"],
  );
  assert.deepEqual(await client.stopShare("films", "a.txt"), ["bob", "carol"]);
});

test("a share is taken up again at the next login, and ended by closing", async (t) => {
  const { client, close, fake } = await sharing(t);
  await client.logout();
  assert.equal(client.status().sharedFiles, 0);
  await client.login("alice", "secret");
  assert.equal(client.status().sharedFiles, 1);
  await settle(20);
  fake.take();
  await close();
  assert.equal(client.status().sharedFiles, 0);
  assert.deepEqual(
    fake.take().filter((path) => path === "session.logout"),
    [],
    "the next start resumes the session",
  );
});

/** A client that downloads `b.bin`, which nobody has. */
async function downloading(t: TestContext) {
  const scene = await loggedIn(t);
  const { folder, fake, groups, client } = scene;
  const authority = groups.join("films");
  const metainfo = encodeMetainfo({
    ...{ fileName: "b.bin", lengthBytes: 300 * KIB, pieceLengthBytes: 256 * KIB },
    ...{ pieceHashes: new Uint8Array(40), sha1: "0".repeat(40), authorityPem: authority.certificatePem },
  });
  fake.answer("files.metainfo", () => ({ info: Buffer.from(metainfo.info).toString("base64") }));
  fake.answer("files.standing", () => ({ content: "same", members: [] }));
  fake.answer("presence.peers", () => []);
  const path = join(folder, "downloads", "b.bin");
  mkdirSync(join(folder, "downloads"));
  const started = await client.downloadFile("films", "b.bin", join(folder, "downloads"));
  return { ...scene, path, started, metainfo };
}

test("a download is started, paused, resumed and cancelled by name", async (t) => {
  const { client, started, path, fake } = await downloading(t);
  const which = { groupId: "films", fileName: "b.bin" };
  assert.deepEqual([started.state, started.destinationPath], ["downloading", path]);
  assert.deepEqual(fake.inputsOf("files.metainfo"), [which]);
  assert.equal(client.status().runningDownloads, 1);
  assert.deepEqual(
    client.downloads().map(({ fileName, state }) => [fileName, state]),
    [["b.bin", "downloading"]],
  );
  assert.deepEqual(client.downloads({ ...which, fileName: "c" }), []);
  assert.equal(client.downloads(which).length, 1);
  await client.pauseDownload("films", "b.bin");
  assert.deepEqual(
    (await client.waitForDownloads(which)).map(({ state }) => state),
    ["paused"],
  );
  await client.resumeDownload("films", "b.bin");
  assert.equal(client.downloads(which)[0]?.state, "downloading");
  assert.equal(existsSync(`${path}.part`), true);
  const kept = await client.cancelDownload("films", "b.bin");
  assert.deepEqual([kept, existsSync(`${path}.part`), client.downloadHistory()], [undefined, false, []]);
  await assert.rejects(client.cancelDownload("films", "b.bin"), { code: "UNKNOWN_DOWNLOAD" });
});

test("a wait for downloads ends when it is no longer wanted", async (t) => {
  const { client } = await downloading(t);
  const end = new AbortController();
  const waited = client.waitForDownloads(undefined, end.signal);
  end.abort();
  assert.deepEqual(
    (await waited).map(({ state }) => state),
    ["downloading"],
  );
});

test("why a download does not move is said with the trackers' knowledge", async (t) => {
  const { client, fake, metainfo } = await downloading(t);
  const report = await client.why("films", "b.bin");
  assert.equal(report.fileName, "b.bin");
  const [asked] = fake.inputsOf("files.standing");
  assert.deepEqual(z.object({ infoHash: z.string() }).parse(asked), { infoHash: metainfo.infoHash });
  await assert.rejects(client.why("films", "c"), { code: "UNKNOWN_DOWNLOAD" });
});

test("limits are kept for the account's next login, of all together and of one file", async (t) => {
  const { client } = await sharing(t);
  const which = { groupId: "films", fileName: "a.txt" };
  assert.deepEqual(client.limits(), { all: { up: undefined, down: undefined }, files: [] });
  client.limit("up", 100 * KIB);
  client.limit("down", 200 * KIB, which);
  const limits = {
    all: { up: 100 * KIB, down: undefined },
    files: [{ ...which, up: undefined, down: 200 * KIB }],
  };
  assert.deepEqual(client.limits(), limits);
  assert.throws(() => client.limit("up", 1), { code: "INVALID_ARGUMENT" });
  assert.throws(() => client.limit("up", 20 * KIB, { ...which, fileName: "b" }), { code: "NOT_SHARED" });
  await client.logout();
  client.limit("up", undefined);
  client.limit("down", 999 * KIB);
  client.limit("down", undefined);
  await client.login("alice", "secret");
  assert.deepEqual(client.limits(), limits, "what was set while nobody was logged in is no account's");
  client.limit("up", undefined);
  client.limit("down", undefined, which);
  await client.logout();
  await client.login("alice", "secret");
  assert.deepEqual(client.limits(), { all: { up: undefined, down: undefined }, files: [] });
});

test("a limit that the client was started with stands above the account's", async (t) => {
  const scene = await stage(t, { limits: { up: 64 * KIB } });
  const { client, folder, log, said } = scene;
  const profile = Profile.open(join(folder, "data"), alice, log);
  profile.saveLimit(undefined, "up", 100 * KIB);
  profile.saveLimit(undefined, "down", 200 * KIB);
  profile.saveLimit({ groupId: "films", fileName: "a.txt" }, "up", 1);
  profile.close();
  assert.deepEqual(client.limits().all, { up: 64 * KIB, down: undefined });
  await client.login("alice", "secret");
  assert.deepEqual(client.limits().all, { up: 64 * KIB, down: 200 * KIB });
  assert.deepEqual(said("warn"), ["a limit in the profile cannot be used"]);
});

test("a file's metainfo is written for other BitTorrent clients, over nothing that is there", async (t) => {
  const { client, folder, fake, metainfo } = await downloading(t);
  const path = join(folder, "b.torrent");
  fake.take();
  await client.exportTorrent("films", "b.bin", path);
  assert.deepEqual(fake.inputsOf("files.metainfo"), [{ groupId: "films", fileName: "b.bin" }]);
  const expected = Buffer.concat([Buffer.from("d4:info"), metainfo.info, Buffer.from("e")]);
  assert.deepEqual(readFileSync(path), expected);
  await assert.rejects(client.exportTorrent("films", "b.bin", path), { code: "FILE_EXISTS" });
  await assert.rejects(client.exportTorrent("films", "b.bin", join(folder, "none", "b")), {
    code: "DESTINATION_UNUSABLE",
  });
});

test("a certificate is written with a key of its own, for its owner alone, and only of the CA that is known", async (t) => {
  const { client, folder, fake, groups } = await loggedIn(t);
  const path = join(folder, "films.pem");
  await client.exportCertificate("films", path);
  const [input] = fake.inputsOf("groups.certificate");
  const { requestPem } = z.object({ groupId: z.literal("films"), requestPem: z.string() }).parse(input);
  assert.match(requestPem, /BEGIN CERTIFICATE REQUEST/);
  const parts = readFileSync(path, "utf8").match(/-----BEGIN [A-Z ]+-----/g);
  assert.deepEqual(parts, [
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----",
  ]);
  assert.equal(statSync(path).mode & 0o077, 0);
  const known = groups.certificate("films");
  groups.join("books");
  const { authorityPem } = groups.certificate("books");
  fake.answer("groups.certificate", () => ({ ...known, authorityPem }));
  const second = join(folder, "second.pem");
  await assert.rejects(client.exportCertificate("films", second), { code: "GROUP_KEY_CHANGED" });
  assert.equal(existsSync(second), false);
});

test("a client dials the tracker that it is told to dial first, from the address that it listens on", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const other = await TrackerServer.open(t, new FakeTracker());
  const first = await TrackerServer.open(t, new FakeTracker());
  const { client } = await stage(t, {
    ...{ trackers: [other.address, first.address], firstTracker: 1 },
    listen: { host: "127.0.0.9", port: 0 },
  });
  assert.equal(client.status().tracker, `127.0.0.1:${first.port}`);
  assert.deepEqual([other.remoteHosts, first.remoteHosts], [[], ["127.0.0.9"]]);
});

test("a connection that is found anew is asked what was missed", async (t) => {
  const { fake, server, types } = await loggedIn(t);
  for (const socket of server.sockets) socket.terminate();
  await until("it is connected again", () => types().includes("tracker-connected"));
  await until("the groups are asked for", () => fake.inputsOf("groups.mine").length === 1);
  assert.equal(fake.inputsOf("session.resume").length, 1);
});

test("when this machine's addresses change, peers and trackers are reached and told anew, until the client closes", async (t) => {
  const { after } = virtualTime(t);
  let addresses = new Set(["127.0.0.1", "192.0.2.5"]);
  let reads = 0;
  const readAddresses = () => {
    reads++;
    return addresses;
  };
  const ofSession = t.mock.method(Session.prototype, "ownAddressesChanged");
  const ofLogin = t.mock.method(Login.prototype, "ownAddressesChanged");
  const { events, client, close } = await stage(t, { readAddresses });
  const tracker = client.status().tracker;
  addresses = new Set(["192.0.2.5"]);
  await after(1_000);
  await after(1_000);
  assert.deepEqual(
    ofSession.mock.calls.map((call) => call.arguments),
    [[{ lost: new Set(["127.0.0.1"]), gained: new Set() }]],
  );
  assert.equal(ofLogin.mock.callCount(), 1);
  await until("another connection is made", () =>
    events.some((event) => event.type === "tracker-connected" && event.isFailover),
  );
  assert.equal(client.status().tracker, tracker);
  await close();
  const before = reads;
  await after(5_000);
  assert.equal(reads, before);
});

test("memory that is free again is offered to the torrents", async (t) => {
  const onRoom = t.mock.method(PieceMemory.prototype, "onRoom");
  const offered = t.mock.method(Session.prototype, "roomAvailable");
  await stage(t);
  const [listener] = onRoom.mock.calls[0]?.arguments ?? [];
  assert.ok(listener);
  listener();
  assert.equal(offered.mock.callCount(), 1);
});

test("that all connections are taken is told once an hour", async (t) => {
  const given: SessionOptions[] = [];
  const open = Session.open.bind(Session);
  t.mock.method(Session, "open", (options: SessionOptions) => {
    given.push(options);
    return open(options);
  });
  const { events } = await stage(t);
  const [options] = given;
  assert.ok(options);
  const told = () => events.filter(({ type }) => type === "connections-taken").length;
  options.onConnectionsTaken();
  options.onConnectionsTaken();
  assert.equal(told(), 1);
  const nowMs = performance.now();
  t.mock.method(performance, "now", () => nowMs + 3_599_000);
  options.onConnectionsTaken();
  assert.equal(told(), 1);
  t.mock.method(performance, "now", () => nowMs + 3_600_001);
  options.onConnectionsTaken();
  assert.equal(told(), 2);
});

test("certificates of the login are the session's, and one that is missing is fetched", async (t) => {
  const given: SessionOptions[] = [];
  const open = Session.open.bind(Session);
  t.mock.method(Session, "open", (options: SessionOptions) => {
    given.push(options);
    return open(options);
  });
  const { fake } = await loggedIn(t);
  const [options] = given;
  assert.ok(options);
  assert.equal(options.credentials("films"), undefined);
  options.credentialsMissing("films");
  await until("it is there", () => options.credentials("films") !== undefined);
  assert.deepEqual(fake.inputsOf("groups.certificate"), [{ groupId: "films" }]);
});

test("work by the clock that fails is logged by a client while it is open", async (t) => {
  const { said, close } = await stage(t);
  reportFault(new Error("a bug"), "a test");
  assert.deepEqual(said("error"), ["work by the clock failed"]);
  await close();
  const warned = t.mock.method(process, "emitWarning", () => undefined);
  reportFault(new Error("a bug"), "a test");
  assert.deepEqual([said("error").length, warned.mock.callCount()], [1, 1]);
});

test("a closed client has closed its listener, its connection, its files and the disk's threads", async (t) => {
  const closedDisks = t.mock.method(DiskPool.prototype, "close");
  const closedPins = t.mock.method(PinStore.prototype, "close");
  const { client, server, folder, close, log } = await loggedIn(t);
  const [host = "", port = ""] = client.status().listeningOn.split(":");
  await close();
  await until("the tracker's end is closed", () => server.sockets.size === 0);
  const again = createServer().listen(Number(port), host);
  await new Promise((resolve) => again.once("listening", resolve));
  again.close();
  assert.deepEqual([closedDisks.mock.callCount(), closedPins.mock.callCount()], [1, 1]);
  const profile = Profile.open(join(folder, "data"), alice, log);
  assert.ok(existsSync(join(folder, "data", "accounts")));
  profile.close();
});

test("an invite has the trackers with their keys, the group and a secret whose hash alone is sent", async (t) => {
  const { client, fake, server } = await loggedIn(t);
  fake.answer("groups.createInvite", () => ({
    groupClaimId: "0199a1b2c3d4-000001-k3",
    expiresAtMs: 7,
    uses: 2,
  }));
  const made = await client.createInvite("films", { uses: 2, expiresMs: 60_000 });
  const { trackers, secret, ...group } = decodeInvite(made.invite);
  assert.deepEqual(trackers, [{ ...server.address, fingerprint: server.fingerprint }]);
  assert.deepEqual(group, { groupId: "films", groupClaimId: "0199a1b2c3d4-000001-k3" });
  const secretHash = hashOfInviteSecret(secret);
  assert.deepEqual(written(fake, "groups.createInvite"), {
    groupId: "films",
    secretHash,
    uses: 2,
    lastsMs: 60_000,
  });
  assert.deepEqual([made.inviteId, made.expiresAtMs, made.uses], [inviteIdOf(secretHash), 7, 2]);
  const another = decodeInvite((await client.createInvite("films")).invite);
  assert.notEqual(another.secret, secret);
});

test("invites are listed and revoked by their ids", async (t) => {
  const { client, fake } = await loggedIn(t);
  const invite = { inviteId: "0a", createdBy: "alice", createdAtMs: 1, expiresAtMs: 2, useCount: 0 } as const;
  const listed = { ...invite, usedBy: [], state: "active" } as const;
  fake.answer("groups.invites", () => ({ items: [listed] }));
  fake.answer("groups.revokeInvite", () => undefined);
  assert.deepEqual(await client.listInvites("films"), [listed]);
  await client.revokeInvite("films", "0a");
  assert.deepEqual(written(fake, "groups.revokeInvite"), { groupId: "films", inviteId: "0a" });
});

test("joining by an invite shows its secret to this client's trackers alone, and is a membership at once", async (t) => {
  const { client, fake, server } = await loggedIn(t);
  fake.answer("groups.useInvite", () => ({ groupId: "books" }));
  const invite = {
    trackers: [{ ...server.address, fingerprint: server.fingerprint }],
    ...{ groupId: "books", groupClaimId: "0199a1b2c3d4-000001-k3", secret: "AAECAwQFBgcICQoLDA0ODw" },
  };
  await assert.rejects(client.joinByInvite("books"), { code: "INVALID_INVITE" });
  const elsewhere = encodeInvite({ ...invite, trackers: [{ host: "192.0.2.1", port: 9000 }] });
  await assert.rejects(client.joinByInvite(elsewhere), { code: "OTHER_TRACKERS" });
  const impostor = encodeInvite({
    ...invite,
    trackers: [{ ...server.address, fingerprint: "ab".repeat(32) }],
  });
  await assert.rejects(client.joinByInvite(impostor), { code: "TRACKER_KEY_CHANGED" });
  assert.deepEqual(fake.inputsOf("groups.useInvite"), []);
  assert.deepEqual(await client.joinByInvite(encodeInvite(invite)), { groupId: "books" });
  const { groupClaimId, secret } = invite;
  assert.deepEqual(written(fake, "groups.useInvite"), { groupClaimId, secret });
  assert.ok(client.status().groupIds.includes("books"));
});

test("invites need a login", async (t) => {
  const { client, fake, server } = await stage(t);
  const invite = encodeInvite({
    trackers: [{ ...server.address, fingerprint: server.fingerprint }],
    ...{ groupId: "books", groupClaimId: "0199a1b2c3d4-000001-k3", secret: "AAECAwQFBgcICQoLDA0ODw" },
  });
  const NOT_LOGGED_IN = { code: "NOT_LOGGED_IN" };
  await assert.rejects(client.createInvite("films"), NOT_LOGGED_IN);
  await assert.rejects(client.listInvites("films"), NOT_LOGGED_IN);
  await assert.rejects(client.revokeInvite("films", "0a"), NOT_LOGGED_IN);
  await assert.rejects(client.joinByInvite(invite), NOT_LOGGED_IN);
  assert.deepEqual(fake.inputsOf("groups.useInvite"), []);
});

test("other trackers are used at once while nobody is logged in, and not under a session", async (t) => {
  const { client, server } = await stage(t, { trackers: [] });
  assert.deepEqual([client.status().trackersKnown, client.trackers()], [false, []]);
  client.useTrackers([server.address]);
  assert.equal(client.status().trackersKnown, true);
  await client.trackerKnown();
  const [tracker] = client.trackers();
  assert.deepEqual([tracker?.isConnected, tracker?.fingerprint], [true, server.fingerprint]);
  await client.login("alice", "secret");
  assert.throws(() => client.useTrackers([]), { code: "ALREADY_LOGGED_IN" });
  assert.equal(client.status().trackersKnown, true);
});

test("a session of an earlier process is resumed without trackers, and continues once they are known", async (t) => {
  const { client, fake, server } = await stage(t, { trackers: [] });
  await client.resume(alice);
  client.useTrackers([server.address]);
  await client.trackerKnown();
  await until("the session is resumed", () => fake.inputsOf("session.resume").length > 0);
  assert.equal(client.status().account?.userId, "alice");
});
