// A login on a tracker that answers as the test says, with a real profile and a real session behind it.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { z } from "zod";
import type { PeerAddress } from "../../../src/api/schemas.ts";
import { Login } from "../../../src/client/login.ts";
import { Memberships } from "../../../src/client/memberships.ts";
import type { ClientEvent } from "../../../src/client/status.ts";
import { Bandwidth } from "../../../src/engine/bandwidth.ts";
import { Session } from "../../../src/engine/session.ts";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import { encodeMetainfo } from "../../../src/metainfo/metainfo.ts";
import { createStorageResources } from "../../../src/storage/storage-resources.ts";
import {
  alice,
  FakeGroups,
  FakeLink,
  FakeTracker,
  identity,
  readableLog,
  refusal,
  settle,
  soon,
  temporaryFolder,
  until,
  virtualTime,
} from "./session-fixture.ts";

const INFO_HASH = "ab".repeat(20);

async function stage(t: TestContext) {
  const folder = temporaryFolder(t);
  const { log, said, lines } = readableLog();
  const tracker = new FakeTracker();
  const groups = new FakeGroups(tracker, identity);
  const link = new FakeLink(tracker);
  const memberships = new Memberships(identity, link, log);
  const session = await Session.open({
    ...{ listen: { host: "127.0.0.1", port: 0 }, identity, log, connections: 100 },
    ...{ bandwidth: new Bandwidth(() => performance.now()), onConnectionsTaken: () => undefined },
    credentials: (groupId) => memberships.credentials(groupId),
    credentialsMissing: () => undefined,
  });
  const storage = createStorageResources();
  const events: ClientEvent[] = [];
  const hosts: string[] = [];
  const lost: string[] = [];
  const profiles: string[] = [];
  const login = new Login({
    ...{ session, storage, memberships, link, log, dataDir: folder, ownHosts: () => hosts },
    onEvent: (event) => events.push(event),
    onProfile: ({ holderId }) => profiles.push(holderId),
  });
  let connections = 0;
  link.prepare = () => {
    const connection = `connection ${++connections}`;
    return login.prepare(tracker.api, () => lost.push(connection), "127.0.0.1");
  };
  t.after(async () => {
    try {
      if (login.account !== undefined) await login.end();
    } finally {
      await session.close();
      await storage.disk.close();
    }
  });
  /** Replaces a method, and tells what it was called with. */
  const spy = <K extends string>(
    on: Record<K, (...given: never[]) => unknown>,
    name: K,
    answer: unknown = [],
  ) => {
    const calls: unknown[][] = [];
    t.mock.method(
      on as Record<string, (...given: unknown[]) => unknown>,
      name,
      async (...given: unknown[]) => {
        calls.push(given);
        return answer;
      },
    );
    return calls;
  };
  const types = () => events.map(({ type }) => type);
  return {
    ...{ folder, login, link, tracker, groups, session, events, hosts, lost, profiles },
    ...{ log, said, lines, spy, types },
  };
}

async function loggedIn(t: TestContext) {
  const scene = await stage(t);
  await scene.login.begin(alice);
  scene.tracker.take();
  return scene;
}

test("a command that is asked twice has one write id, and the second time it is called a retry", async (t) => {
  const { login, link, tracker } = await stage(t);
  link.attempts = 2;
  for (const groupId of ["films", "books"]) {
    tracker.answer("groups.create", () => undefined);
    await login.ask(z.undefined(), (api, write) => api.groups.create.mutate({ ...write, groupId }));
  }
  const writes = z
    .array(z.object({ writeId: z.uuid(), isRetry: z.boolean().optional() }))
    .parse(tracker.inputsOf("groups.create"));
  assert.deepEqual(
    writes.map(({ isRetry }) => isRetry),
    [undefined, true, undefined, true],
  );
  const [first, again, second, secondAgain] = writes.map(({ writeId }) => writeId);
  assert.equal(again, first, "the tracker would do it twice");
  assert.equal(secondAgain, second);
  assert.notEqual(second, first, "another command would be taken for the first one");
});

test("a list is read whole, or its first page alone", async (t) => {
  const { login, tracker } = await stage(t);
  const group = (groupId: string) => ({ groupId, ownerId: "alice", memberCount: 1 });
  tracker.answer("groups.list", ({ after }: { after?: string }) =>
    after === undefined ? { items: [group("a")], next: "a" } : { items: [group("b")] },
  );
  const item = z.object({ groupId: z.string() });
  const all = await login.askForAll(item, (api, from) => api.groups.list.query(from));
  const first = await login.askForFirst(item, (api) => api.groups.list.query({}));
  assert.deepEqual([all, first], [[{ groupId: "a" }, { groupId: "b" }], [{ groupId: "a" }]]);
});

test("a login takes events up before presence, then asks for the groups, and resumes shares before downloads", async (t) => {
  const { login, tracker, groups, profiles } = await stage(t);
  groups.join("films");
  const order: string[] = [];
  t.mock.method(login.shares, "resumeAll", async () => order.push(`shares after ${tracker.take().join()}`));
  t.mock.method(login.downloads, "resumeAll", async () => order.push("downloads"));
  assert.equal(login.account, undefined);
  await login.begin(alice);
  assert.deepEqual(order, ["shares after session.resume,events,presence.announce,groups.mine", "downloads"]);
  assert.equal(login.account, alice);
  assert.deepEqual([...login.groupIds], ["films"]);
  assert.deepEqual(profiles, [login.require().profile.holderId], "its limits can be restored");
});

test("a login stands although no tracker answers on the way, and resumes what it had", async (t) => {
  const { login, link, spy, said } = await stage(t);
  link.prepare = () => Promise.reject(refusal("TRACKERS_UNREACHABLE"));
  const shares = spy(login.shares, "resumeAll");
  const downloads = spy(login.downloads, "resumeAll");
  await login.begin(alice);
  assert.equal(login.account, alice);
  assert.deepEqual(said("warn"), ["logged in, but no tracker answers now"]);
  assert.deepEqual([shares.length, downloads.length], [1, 1]);
});

test("shares that cannot be resumed do not keep downloads from it, nor undo the login", async (t) => {
  const { login, spy, said } = await stage(t);
  t.mock.method(login.shares, "resumeAll", () => Promise.reject(new Error("a bug")));
  const downloads = spy(login.downloads, "resumeAll");
  await login.begin(alice);
  assert.deepEqual([downloads.length, said("error")], [1, ["not all was taken up again"]]);
});

test("downloads that cannot be resumed do not undo the login", async (t) => {
  const { login, said } = await stage(t);
  t.mock.method(login.downloads, "resumeAll", () => Promise.reject(new Error("a bug")));
  await login.begin(alice);
  assert.deepEqual([login.account, said("error")], [alice, ["not all was taken up again"]]);
});

test("a login is answered once its downloads are known: that each has begun may take long", async (t) => {
  const { login, said } = await stage(t);
  const begun = Promise.withResolvers<void>();
  t.mock.method(login.downloads, "resumeAll", async () => ({ begun: begun.promise }));
  await login.begin(alice);
  assert.equal(login.account, alice);
  begun.reject(new Error("a bug"));
  await new Promise(setImmediate);
  assert.equal(said("error").length + said("warn").length, 1, "a failure is told all the same");
});

test("a logout during the login ends it: nothing is resumed", async (t) => {
  const { login, link, spy } = await stage(t);
  const connecting = Promise.withResolvers<void>();
  link.prepare = () => connecting.promise;
  const shares = spy(login.shares, "resumeAll");
  const downloads = spy(login.downloads, "resumeAll");
  const begun = login.begin(alice);
  await login.end();
  connecting.resolve();
  await begun;
  assert.deepEqual([shares.length, downloads.length, login.account], [0, 0, undefined]);
});

test("a logout while shares are resumed leaves the downloads to the next login", async (t) => {
  const { login, spy } = await stage(t);
  t.mock.method(login.shares, "resumeAll", () => login.end());
  const downloads = spy(login.downloads, "resumeAll");
  await login.begin(alice);
  assert.deepEqual(downloads, []);
});

test("a profile that cannot be opened undoes the login", async (t) => {
  const { login, folder, tracker } = await stage(t);
  writeFileSync(join(folder, "accounts"), "no folder");
  await assert.rejects(login.begin(alice));
  assert.equal(login.account, undefined);
  assert.deepEqual(tracker.take(), []);
});

test("without a login there is no profile, and nothing to end", async (t) => {
  const { login } = await stage(t);
  assert.throws(() => login.require(), { code: "NOT_LOGGED_IN" });
  await assert.rejects(login.end(), { code: "NOT_LOGGED_IN" });
});

test("after logout nothing of the account is left: events, certificates, groups, its profile", async (t) => {
  const { login, tracker, groups, lost, profiles } = await loggedIn(t);
  groups.join("films");
  await login.memberships.obtain("films");
  login.joined("films");
  const suspended: unknown[] = [];
  const { shares, downloads } = login;
  const suspendShares = shares.suspendAll.bind(shares);
  t.mock.method(downloads, "suspendAll", async (reason: unknown) => suspended.push("downloads", reason));
  t.mock.method(shares, "suspendAll", () => {
    suspended.push("shares");
    return suspendShares();
  });
  const [listening] = tracker.listening;
  assert.equal(listening?.isEnded, false);
  const { profile } = login.require();
  await login.end("It is over.");
  assert.equal(login.account, undefined);
  assert.equal(login.memberships.credentials("films"), undefined, "another account would act as this one");
  assert.deepEqual([...login.groupIds], []);
  assert.deepEqual(suspended, ["downloads", "It is over.", "shares"]);
  assert.equal(listening.isEnded, true);
  assert.throws(() => profile.close(), "its file is closed already");
  listening.listener.onComplete();
  assert.deepEqual(lost, [], "the connection serves the next login");
  await login.begin(alice);
  assert.equal(profiles[1], profiles[0], "the next login has the same profile");
});

test("a failure at logout keeps nothing else from ending", async (t) => {
  const { login, said } = await loggedIn(t);
  t.mock.method(login.downloads, "suspendAll", () => Promise.reject(new Error("a bug")));
  await login.end();
  assert.equal(login.account, undefined);
  assert.deepEqual(said("error"), ["not all was ended well"]);
});

test("a connection without a login asks for nothing", async (t) => {
  const { link, login, tracker } = await stage(t);
  await link.prepareAgain();
  login.connected();
  login.ownAddressesChanged();
  await settle();
  assert.deepEqual(tracker.take(), []);
});

test("trackers that have ended the session end it here, and say so", async (t) => {
  const { link, login, tracker, events, spy } = await loggedIn(t);
  const suspended = spy(login.downloads, "suspendAll");
  tracker.refuse("session.resume", "NOT_LOGGED_IN");
  await link.prepareAgain();
  assert.equal(login.account, undefined);
  assert.deepEqual(events, [
    { type: "session-ended", reason: "The trackers ended the session; log in again." },
  ]);
  assert.deepEqual(tracker.take(), ["session.resume"]);
  assert.deepEqual(suspended, [["The trackers ended the session; log in again."]], "who waits is told why");
});

test("a tracker that cannot resume the session for another reason is not used", async (t) => {
  const { link, login, tracker } = await loggedIn(t);
  tracker.refuse("session.resume", "TRACKER_BUSY");
  await assert.rejects(link.prepareAgain(), { code: "TRACKER_BUSY" });
  assert.equal(login.account, alice);
});

test("presence is told once the tracker sends events, and the connection is used once it knows", async (t) => {
  const { link, tracker } = await loggedIn(t);
  tracker.startsEvents = false;
  const answer = Promise.withResolvers<undefined>();
  tracker.answer("presence.announce", () => answer.promise);
  let isPrepared = false;
  const prepared = link.prepareAgain().then(() => {
    isPrepared = true;
  });
  await settle();
  assert.deepEqual(tracker.take(), ["session.resume", "events"]);
  tracker.listening.at(-1)?.listener.onStarted();
  await settle();
  assert.deepEqual([tracker.take(), isPrepared], [["presence.announce"], false]);
  answer.resolve(undefined);
  await soon("it is prepared", prepared);
});

for (const how of ["onError", "onComplete"] as const) {
  test(`a tracker that refuses events is not used (${how})`, async (t) => {
    const { link, tracker } = await loggedIn(t);
    tracker.startsEvents = false;
    const prepared = assert.rejects(link.prepareAgain(), { code: "TRACKERS_UNREACHABLE" });
    await settle();
    tracker.listening.at(-1)?.listener[how](new Error("no events here"));
    await soon("the connection is refused", prepared);
  });

  test(`without events a connection is lost, unless another one has taken its place (${how})`, async (t) => {
    const { link, tracker, lost } = await loggedIn(t);
    const [first] = tracker.listening;
    await link.prepareAgain();
    assert.equal(first?.isEnded, true, "nobody listens to the first any more");
    first.listener[how](new Error("over"));
    assert.deepEqual(lost, []);
    tracker.listening[1]?.listener[how](new Error("over"));
    assert.deepEqual(lost, ["connection 2"]);
  });
}

test("trackers are told where this client listens, and again once that has changed", async (t) => {
  const { login, tracker, session, hosts } = await stage(t);
  t.mock.getter(session, "hosts", () => ["0.0.0.0", "::"]);
  hosts.push("192.0.2.5", "2001:db8::5");
  await login.begin(alice);
  const { port: listenPort } = session;
  const empty = { seeding: "", downloading: "" };
  const here = { listenPort, listensHere: true, otherHosts: ["2001:db8::5"], ...empty };
  assert.deepEqual(tracker.inputsOf("presence.announce"), [here]);
  tracker.take();
  login.ownAddressesChanged();
  await settle();
  assert.deepEqual(tracker.take(), [], "nothing is different for peers");
  hosts.splice(1, 1, "2001:db8::7");
  login.ownAddressesChanged();
  await settle();
  assert.deepEqual(tracker.inputsOf("presence.announce"), [{ ...here, otherHosts: ["2001:db8::7"] }]);
  tracker.take();
  login.ownAddressesChanged();
  await settle();
  assert.deepEqual(tracker.take(), [], "it is told once");
  await login.prepare(tracker.api, () => undefined, "2001:db8::7");
  assert.deepEqual(tracker.inputsOf("presence.announce"), [{ ...here, otherHosts: ["192.0.2.5"] }]);
});

test("a new connection is asked what was missed, who has what is downloaded, and told what waits to be shared", async (t) => {
  const { login, tracker, groups, spy } = await loggedIn(t);
  groups.join("films");
  await login.memberships.obtain("films");
  tracker.take();
  const peers = spy(login.downloads, "findPeers");
  const shares = spy(login.shares, "retryWaiting");
  login.connected();
  await settle();
  assert.deepEqual([...login.groupIds], ["films"]);
  assert.deepEqual(tracker.take(), ["groups.mine", "groups.revocations"]);
  assert.deepEqual([peers.length, shares.length], [1, 1]);
});

test("a failure after a connection is logged, and keeps nothing else from being done", async (t) => {
  const { login, tracker, spy, said } = await loggedIn(t);
  tracker.refuse("groups.mine", "TRACKER_BUSY");
  const shares = spy(login.shares, "retryWaiting");
  t.mock.method(login.downloads, "findPeers", () => Promise.reject(new Error("a bug")));
  login.connected();
  await settle();
  assert.deepEqual(said("error").sort(), ["catching up failed", "looking for peers failed"]);
  assert.equal(shares.length, 1);
});

test("a new connection reads the list of groups to its end", async (t) => {
  const { login, tracker } = await loggedIn(t);
  const own = (groupId: string) => ({ groupId, standing: "member", membershipId: "m" });
  tracker.answer("groups.mine", ({ after }: { after?: string }) =>
    after === undefined ? { items: [own("films")], next: "1" } : { items: [own("books")] },
  );
  login.connected();
  await until("the list is read", () => login.groupIds.size > 0);
  assert.deepEqual([...login.groupIds], ["films", "books"]);
});

test("the groups are those that the list says: owned or joined, not asked for", async (t) => {
  const { login, tracker } = await loggedIn(t);
  const standings = { films: "owner", books: "member", music: "requested" } as const;
  const list = Object.entries(standings).map(([groupId, standing]) => ({ groupId, standing }));
  assert.deepEqual(await login.syncGroups(async () => list), list);
  assert.deepEqual([...login.groupIds], ["films", "books"]);
  assert.deepEqual(tracker.take(), []);
});

for (const [code, how] of [
  ["UNKNOWN_GROUP", "group-ended"],
  ["NOT_A_MEMBER", "removed"],
] as const) {
  test(`a group that is not on the list any more is over here: ${how}`, async (t) => {
    const { login, groups, tracker, events } = await loggedIn(t);
    groups.join("films");
    login.joined("films");
    await login.memberships.obtain("films");
    groups.leave("films", code);
    tracker.take();
    await login.syncGroups(async () => []);
    assert.deepEqual([...login.groupIds], []);
    assert.equal(login.memberships.credentials("films"), undefined);
    assert.deepEqual(events, [{ type: "membership-ended", groupId: "films", how }]);
    assert.deepEqual(tracker.take(), ["groups.members"]);
  });
}

test("groups that were joined or left while the list was read are not touched by it", async (t) => {
  const { login, events } = await loggedIn(t);
  login.joined("left");
  await login.syncGroups(async () => {
    login.joined("joined");
    await login.dropGroup("left", "left");
    return [{ groupId: "left", standing: "member" }];
  });
  assert.deepEqual([[...login.groupIds], events], [["joined"], []]);
  await assert.rejects(login.syncGroups(() => Promise.reject(refusal("TRACKER_BUSY"))));
  await login.syncGroups(async () => [
    { groupId: "left", standing: "member" },
    { groupId: "joined", standing: "member" },
  ]);
  assert.deepEqual([...login.groupIds], ["joined", "left"], "a later list counts");
});

test("out of a group nothing of it is downloaded, shared, or shown by certificate any more", async (t) => {
  const { login, groups, spy } = await loggedIn(t);
  groups.join("films");
  login.joined("films");
  await login.memberships.obtain("films");
  const downloads = spy(login.downloads, "groupEnded");
  const shares = spy(login.shares, "groupEnded");
  await login.dropGroup("films", "left");
  assert.deepEqual([downloads, shares], [[["films", "left"]], [["films"]]]);
  assert.equal(login.memberships.credentials("films"), undefined);
  assert.deepEqual([...login.groupIds], []);
});

test("peers that a tracker names go to the session, until it says that they are gone", async (t) => {
  const { session, tracker, spy } = await loggedIn(t);
  const online = spy(session, "peerOnline");
  const offline = spy(session, "peerOffline");
  const peer: PeerAddress = { userId: "bob", deviceId: "b", host: "192.0.2.2", port: 5, isSeed: true };
  tracker.tell(
    { type: "peer-online", infoHash: INFO_HASH, peer },
    { type: "peer-offline", infoHash: INFO_HASH, deviceId: "b" },
  );
  assert.deepEqual([online, offline], [[[INFO_HASH, peer]], [[INFO_HASH, "b"]]]);
});

test("a member whose membership ended is refused from the moment on that a tracker says so", async (t) => {
  const { login, session, tracker, groups, spy, events } = await loggedIn(t);
  groups.join("films");
  const { isRevoked } = await login.memberships.obtain("films");
  const revoked = spy(session, "revoke");
  tracker.tell({ type: "revoked", groupId: "films", userId: "bob", membershipId: "m-bob" });
  assert.ok(isRevoked("m-bob"));
  assert.deepEqual([revoked, events], [[["films", "m-bob"]], []]);
});

test("an event that is not of its form is dropped and logged, and those beside it count", async (t) => {
  const { tracker, events, said } = await loggedIn(t);
  const event = { type: "became-owner", groupId: "films" };
  tracker.tell({ type: "became-owner" }, event, { type: "no such event" });
  tracker.listening[0]?.listener.onData(event);
  tracker.listening[0]?.listener.onData("nonsense");
  assert.deepEqual(events, [event, event]);
  const sentence = "a tracker's event is not of the form it must have";
  assert.deepEqual(said("warn"), [sentence, sentence, sentence]);
});

test("a user whose membership ended is out of the group, and is told once", async (t) => {
  const { login, tracker, events, spy } = await loggedIn(t);
  login.joined("films");
  const downloads = spy(login.downloads, "groupEnded");
  const ended = { type: "membership-ended", groupId: "films", how: "removed" };
  tracker.tell(ended);
  await until("the group is dropped", () => events.length > 0);
  tracker.tell(ended);
  await settle();
  assert.deepEqual([events, [...login.groupIds]], [[ended], []]);
  assert.deepEqual(downloads[0], ["films", "removed"]);
});

test("after missed events everything is announced and asked for again, once, within three seconds", async (t) => {
  const { after } = virtualTime(t);
  t.mock.method(Math, "random", () => 0.5);
  const { login, tracker } = await loggedIn(t);
  tracker.tell({ type: "look-again" }, { type: "look-again" });
  await after(1_499);
  assert.deepEqual(tracker.take(), [], "clients that missed the same events do not ask together");
  await after(1);
  assert.deepEqual(tracker.take().sort(), ["groups.mine", "presence.announce"]);
  tracker.tell({ type: "look-again" });
  await after(1_500);
  assert.deepEqual(tracker.take().sort(), ["groups.mine", "presence.announce"], "the next time too");
  tracker.tell({ type: "look-again" });
  await login.end();
  await after(1_500);
  assert.deepEqual(tracker.take(), [], "nobody is logged in");
});

test("a share that another machine ended is ended if it is this machine's", async (t) => {
  const { login, tracker, spy, events } = await loggedIn(t);
  const withdrawn = spy(login.shares, "withdrawn");
  const event = { type: "share-withdrawn", groupId: "films", fileName: "a", holderId: "h" };
  tracker.tell(event);
  await settle();
  assert.deepEqual([withdrawn, events], [[[event, "h"]], []]);
});

test("a removed account ends the session here", async (t) => {
  const { login, tracker, events } = await loggedIn(t);
  tracker.tell({ type: "account-removed" });
  await until("the session is over", () => events.length > 0);
  assert.equal(login.account, undefined);
  const [event] = events;
  assert.ok(event?.type === "session-ended");
  assert.match(event.reason, /The operator of the trackers has removed this account/);
});

test("a file that is shared is news, and may be other content of one that is downloaded", async (t) => {
  const { login, tracker, spy, events } = await loggedIn(t);
  const shared = spy(login.downloads, "filesShared");
  const one = { type: "file-shared", groupId: "films", fileName: "a", userId: "bob" };
  const many = { type: "files-shared", groupId: "films", count: 3, fileNames: ["a", "b"], userId: "bob" };
  tracker.tell(one, many);
  assert.deepEqual(events, [one, many]);
  assert.deepEqual(shared, [
    ["films", ["a"]],
    ["films", ["a", "b"]],
  ]);
});

test("an accepted request makes a member, who hears which files they shared there before", async (t) => {
  const { login, tracker, spy, events } = await loggedIn(t);
  const former = spy(login.shares, "acceptedAgain");
  tracker.tell({ type: "request-accepted", groupId: "films" });
  assert.deepEqual([...login.groupIds], ["films"]);
  assert.deepEqual([events, former], [[{ type: "request-accepted", groupId: "films" }], [["films"]]]);
});

test("who joins with an invite is news to the owner; of the user's own joining their other machines learn by it", async (t) => {
  const { login, tracker, spy, events } = await loggedIn(t);
  const former = spy(login.shares, "acceptedAgain");
  const joined = { type: "member-joined", groupId: "films", userId: "bob" };
  tracker.tell(joined);
  assert.deepEqual([events, [...login.groupIds]], [[joined], []]);
  tracker.tell({ ...joined, userId: "alice" });
  assert.deepEqual([events, [...login.groupIds], former], [[joined], ["films"], [["films"]]]);
});

test("a lost file name ends what is shared or downloaded under it, and is news to who shared it", async (t) => {
  const { login, tracker, spy, events } = await loggedIn(t);
  let isShared = false;
  const asked: unknown[] = [];
  t.mock.method(login.shares, "nameLost", async (...given: unknown[]) => {
    asked.push(given);
    return isShared;
  });
  const downloads = spy(login.downloads, "nameLost");
  const taken = { type: "name-taken-elsewhere", kind: "file", name: "a" };
  tracker.tell(taken, { ...taken, groupId: "films" }, { ...taken, infoHash: INFO_HASH });
  await settle();
  assert.deepEqual([asked, downloads, events], [[], [], []], "it does not say what is lost");
  const file = { groupId: "films", fileName: "a" };
  tracker.tell({ ...taken, groupId: "films", infoHash: INFO_HASH });
  await settle();
  assert.deepEqual([asked, downloads, events], [[[file, INFO_HASH]], [[file, INFO_HASH]], []]);
  isShared = true;
  tracker.tell({ ...taken, groupId: "films", infoHash: INFO_HASH });
  await settle();
  assert.deepEqual([events, downloads.length], [[taken], 2]);
});

test("a lost group name ends the group here", async (t) => {
  const { login, tracker, events, spy } = await loggedIn(t);
  login.joined("films");
  const downloads = spy(login.downloads, "groupEnded");
  const taken = { type: "name-taken-elsewhere", kind: "group", name: "films" };
  tracker.tell(taken);
  await settle();
  assert.deepEqual([events, downloads], [[taken], [["films", "group-ended"]]]);
  assert.deepEqual([[...login.groupIds], login.account], [[], alice]);
});

test("a lost user name ends the session, and no group of that name", async (t) => {
  const { login, tracker, types, spy } = await loggedIn(t);
  const dropped = spy(login.shares, "groupEnded");
  tracker.tell({ type: "name-taken-elsewhere", kind: "user", name: "alice" });
  await until("the session is over", () => types().length === 2);
  assert.deepEqual([types(), login.account], [["name-taken-elsewhere", "session-ended"], undefined]);
  assert.deepEqual(dropped, []);
});

test("a session that is over ends no second time", async (t) => {
  const { login, tracker, events, said } = await loggedIn(t);
  const { listener } = tracker.listening[0] ?? {};
  await login.end();
  listener?.onData([{ type: "account-removed" }]);
  await settle();
  assert.deepEqual([events, said("error")], [[], []]);
});

test("why a download waits is said with what is known of the tracker and of the clock", async (t) => {
  const { login, link, tracker, groups, folder } = await loggedIn(t);
  const { certificatePem: authorityPem } = groups.join("films");
  const { info } = encodeMetainfo({
    ...{ fileName: "a", lengthBytes: 100, pieceLengthBytes: 256 * 1024, authorityPem },
    ...{ pieceHashes: new Uint8Array(20), sha1: "0".repeat(40) },
  });
  tracker.answer("files.metainfo", () => ({ info: Buffer.from(info).toString("base64") }));
  tracker.answer("files.standing", () => ({ content: "same", members: [] }));
  tracker.answer("presence.peers", () => []);
  const file = { groupId: "films", fileName: "a" };
  await login.downloads.start(file, join(folder, "a"));
  assert.equal((await login.downloads.get(file).why()).tracker, "192.0.2.1:9000");
  link.tracker = undefined;
  link.problem = "No cable is plugged in.";
  assert.match(JSON.stringify(await login.downloads.get(file).why()), /No cable is plugged in\./);
  link.clockWarning = "This machine's clock is wrong.";
  assert.match(JSON.stringify(await login.downloads.get(file).why()), /This machine's clock is wrong\./);
});

test("a group's certificate that is refused for good ends the membership here", async (t) => {
  const { after } = virtualTime(t);
  const { login, groups, events } = await loggedIn(t);
  groups.join("films");
  login.joined("films");
  await login.memberships.obtain("films");
  groups.leave("films", "UNKNOWN_GROUP");
  await after(30 * 60_000);
  await settle();
  assert.deepEqual(events, [{ type: "membership-ended", groupId: "films", how: "group-ended" }]);
});

test("another CA of a group is refused with an event, and one of a group founded anew is told", async (t) => {
  const { login, groups, tracker, types, events } = await loggedIn(t);
  groups.join("films");
  const { authorityPem } = await login.memberships.obtain("films");
  const [known] = [groups.certificate("films")];
  const { certificatePem: otherPem } = createGroupAuthority();
  assert.notEqual(otherPem, authorityPem);
  const other = { ...known, authorityPem: otherPem };
  tracker.answer("groups.certificate", () => other);
  login.memberships.forget("films");
  await assert.rejects(login.memberships.obtain("films"), { code: "GROUP_KEY_CHANGED" });
  tracker.answer("groups.certificate", () => ({ ...other, groupClaimId: "another" }));
  await login.memberships.obtain("films");
  assert.deepEqual(types(), ["group-key-refused", "group-founded-anew"]);
  assert.deepEqual(
    events.map((event) => "groupId" in event && event.groupId),
    ["films", "films"],
  );
});

test("a group's CA is remembered by the account's profile", async (t) => {
  const { login, groups } = await loggedIn(t);
  groups.join("films");
  await login.memberships.obtain("films");
  assert.equal(login.require().profile.groupAuthority("films")?.groupClaimId, "claim of films");
});
