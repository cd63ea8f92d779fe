import assert from "node:assert/strict";
import { test } from "node:test";
import { Presence, type PresenceOptions } from "../../../../src/tracker/presence/presence.ts";
import type { PresenceMessage } from "../../../../src/tracker/presence/presence-messages.ts";

const film = "f".repeat(40);
const book = "b".repeat(40);
const device = (letter: string) => letter.repeat(64);

/** Presence whose timers run when told, and which notes what it says. Everybody is in the one group that has all torrents. */
function presence(options: Partial<PresenceOptions> = {}) {
  const published: PresenceMessage[][] = [];
  const happened: string[] = [];
  const timers = new Map<number, { delayMs: number; callback: () => void }>();
  let timerCount = 0;
  const subject = new Presence({
    publish: (messages) => published.push(structuredClone([...messages])),
    groupOf: () => "films",
    isMember: () => true,
    onPeerOnline: (infoHash, { host, port, isSeed }) =>
      happened.push(`+${infoHash[0]} ${host}:${port}${isSeed ? " seed" : ""}`),
    onPeerOffline: (infoHash, deviceId) => happened.push(`-${infoHash[0]} ${deviceId[0]}`),
    setTimer: (delayMs, callback) => {
      const id = timerCount++;
      timers.set(id, { delayMs, callback });
      return () => timers.delete(id);
    },
    ...options,
  });
  const runTimers = (upToMs: number) => {
    for (const [id, { delayMs, callback }] of [...timers]) {
      if (delayMs <= upToMs && timers.delete(id)) callback();
    }
  };
  /** Runs what is due at once until the promise is settled. */
  const runUntil = async (work: Promise<unknown>): Promise<void> => {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    work.then(settled, settled);
    for (await Promise.resolve(); !isSettled; await Promise.resolve()) runTimers(0);
    await work;
  };
  /** Passes on what was said since, as a link does. */
  const tell = (other: Presence, trackerId: string) => {
    for (const messages of published.splice(0))
      other.apply(trackerId, JSON.parse(JSON.stringify(messages)), false);
  };
  const isBusy = () => [...timers.values()].some(({ delayMs }) => delayMs === 0);
  /** All that is due at once, and what follows from it. */
  const runBusy = () => {
    while (isBusy()) runTimers(0);
  };
  const timerCounts = () => timers.size;
  return { subject, happened, published, runTimers, runUntil, runBusy, isBusy, tell, timerCounts };
}

test("a client's torrents come with its announce, change with updates, and go with its connection", () => {
  const { subject, happened } = presence();
  subject.arrive("c1", "alice", device("a"), "10.0.0.1");
  assert.equal(subject.isOnline("alice"), true);
  void subject.announce("c1", 7001, [{ infoHash: film, isSeed: false }]);
  void subject.update("c1", [{ infoHash: film, isSeed: true }], []);
  void subject.update("c1", [{ infoHash: book, isSeed: false }], []);
  assert.deepEqual(subject.peersOf(film), [
    { accountId: "alice", deviceId: device("a"), host: "10.0.0.1", otherHosts: [], port: 7001, isSeed: true },
  ]);
  assert.deepEqual(subject.localAnnouncers(film), ["c1"]);
  void subject.announce("c1", 7001, [{ infoHash: book, isSeed: false }]);
  assert.deepEqual(subject.peersOf(film), []);
  void subject.update("c1", [], [book, film]);
  void subject.update("c1", [{ infoHash: film, isSeed: true }], []);
  subject.depart("c1");
  subject.depart("c1");
  assert.equal(subject.isOnline("alice"), false);
  assert.deepEqual(happened, [
    "+f 10.0.0.1:7001",
    "+f 10.0.0.1:7001 seed",
    "+b 10.0.0.1:7001",
    "-f a",
    "-b a",
    "+f 10.0.0.1:7001 seed",
    "-f a",
  ]);
});

const torrent = (at: number) => ({ infoHash: at.toString(16).padStart(40, "0"), isSeed: true });
const torrents = (count: number, first = 0) => Array.from({ length: count }, (_, at) => torrent(first + at));

test("a client without a session announces nothing, and unanswered announcements are bounded", async () => {
  const { subject, runUntil } = presence({ budget: { perClient: 1_000 } });
  await assert.rejects(subject.announce("c1", 1, []), { code: "NOT_LOGGED_IN" });
  subject.arrive("c1", "alice", device("a"), "::1");
  await runUntil(subject.update("c1", torrents(600), []));
  await runUntil(subject.update("c1", torrents(600), []));
  assert.equal(subject.size.parts, 600, "said twice, it counts once");
  await assert.rejects(runUntil(subject.update("c1", torrents(600, 600), [])), {
    code: "LIMIT_REACHED",
  });
  assert.equal(subject.size.parts, 1_000);
});

test("another tracker knows what it is told, from its first snapshot on", () => {
  const here = presence();
  const there = presence();
  here.subject.arrive("c1", "alice", device("a"), "10.0.0.1");
  void here.subject.announce("c1", 7001, [{ infoHash: film, isSeed: true }]);
  here.published.length = 0;
  there.subject.apply("here", JSON.parse(JSON.stringify(here.subject.snapshot())), true);
  assert.equal(there.subject.peersOf(film).length, 1);
  assert.equal(there.subject.isOnline("alice"), true);
  assert.deepEqual(there.subject.localAnnouncers(film), []);
  assert.deepEqual(there.subject.snapshot(), [{ type: "roll", connectionIds: [] }]);
  void here.subject.update("c1", [{ infoHash: book, isSeed: false }], [film]);
  here.tell(there.subject, "here");
  assert.deepEqual(there.subject.peersOf(film), []);
  assert.equal(there.subject.peersOf(book).length, 1);
  here.subject.depart("c1");
  here.tell(there.subject, "here");
  assert.deepEqual(there.subject.peersOf(book), []);
  assert.equal(there.subject.isOnline("alice"), false);
});

test("a list too long for one message arrives whole, and again without a word to anybody; what is off it goes", async () => {
  const here = presence();
  const there = presence();
  here.subject.arrive("c1", "alice", device("a"), "::1");
  await here.runUntil(here.subject.announce("c1", 7001, torrents(6_000)));
  here.published.length = 0;
  const meet = async () => {
    there.subject.apply("here", JSON.parse(JSON.stringify(here.subject.snapshot())), true);
    while (here.isBusy() || there.isBusy()) {
      here.runTimers(0);
      here.tell(there.subject, "here");
      there.runTimers(0);
    }
  };
  await meet();
  for (const at of [0, 999, 1_000, 5_999]) {
    assert.equal(there.subject.peersOf(torrent(at).infoHash).length, 1, `torrent ${at}`);
  }
  there.happened.length = 0;
  await meet();
  assert.deepEqual(there.happened, []);
  // While they are apart.
  await here.runUntil(here.subject.update("c1", [], [torrent(5).infoHash, torrent(5_000).infoHash]));
  here.published.length = 0;
  await meet();
  assert.equal(there.subject.size.parts, 5_998);
  assert.deepEqual(there.happened, ["-0 a", "-0 a"]);
});

test("a lost tracker's clients stay for a grace, then go; a snapshot after it replaces them", () => {
  const { subject, happened, runTimers } = presence();
  const message = (connectionId: string, letter: string): PresenceMessage => ({
    type: "client",
    connectionId,
    accountId: letter,
    deviceId: device(letter),
    hosts: ["10.0.0.1"],
    port: 7001,
    isWhole: true,
    add: [{ infoHash: film, isSeed: true }],
    remove: [],
  });
  subject.apply("there", [message("c1", "a"), message("c2", "b")], true);
  subject.linkLost("there");
  runTimers(4_999);
  assert.equal(subject.peersOf(film).length, 2);
  subject.linkUp("there");
  runTimers(5_000);
  assert.equal(subject.peersOf(film).length, 2);
  happened.length = 0;
  subject.apply("there", [message("c2", "b")], true);
  assert.deepEqual(happened, ["-f a"]);
  subject.linkLost("there");
  runTimers(5_000);
  assert.deepEqual(subject.peersOf(film), []);
  assert.equal(subject.isOnline("b"), false);
});

test("a device that fails over is one peer, where it came last, and is never said to be gone", () => {
  const { subject, happened, runTimers } = presence();
  const at = (connectionId: string, host: string): PresenceMessage => ({
    type: "client",
    connectionId,
    accountId: "alice",
    deviceId: device("a"),
    hosts: [host],
    port: 7001,
    isWhole: true,
    add: [{ infoHash: film, isSeed: true }],
    remove: [],
  });
  subject.apply("there", [at("c1", "10.0.0.1")], true);
  subject.linkLost("there");
  subject.arrive("c2", "alice", device("a"), "10.0.0.2");
  void subject.announce("c2", 7001, [{ infoHash: film, isSeed: true }]);
  assert.deepEqual(
    subject.peersOf(film).map(({ host }) => host),
    ["10.0.0.2"],
  );
  runTimers(5_000);
  assert.equal(subject.peersOf(film).length, 1);
  assert.equal(subject.isOnline("alice"), true);
  assert.ok(happened.every((event) => event.startsWith("+")));
});

test("presence of a wrong form is refused", () => {
  const { subject } = presence();
  for (const data of [
    null,
    "x",
    [{ type: "client" }],
    [{ type: "gone" }],
    { type: "gone", connectionId: "c" },
  ]) {
    assert.throws(() => subject.apply("there", data, false), { code: "MALFORMED_MESSAGE" });
  }
});

test("an update that waits for a long announcement leaves the client at that announcement's addresses", async () => {
  const { subject, runUntil } = presence();
  subject.arrive("c1", "alice", device("a"), "fd00::1");
  void subject.announce("c1", 7001, [{ infoHash: film, isSeed: true }], ["10.0.0.1"]);
  const unknown = Array.from({ length: 2_000 }, (_, at) => ({
    infoHash: at.toString(16).padStart(40, "0"),
    isSeed: true,
  }));
  const announced = subject.announce(
    "c1",
    7001,
    [{ infoHash: film, isSeed: true }, ...unknown],
    ["10.0.0.2"],
  );
  const updated = subject.update("c1", [{ infoHash: film, isSeed: true }], []);
  await runUntil(Promise.all([announced, updated]));
  assert.deepEqual(
    subject.peersOf(film).map(({ host }) => host),
    ["10.0.0.2"],
  );
});

test("a client that listens elsewhere than it connects from is named there, also at other trackers, and anew when that changes", () => {
  const [here, there] = [presence(), presence()];
  const places = () =>
    [here, there].map(({ subject }) =>
      subject.peersOf(film).map(({ host, otherHosts }) => [host, ...otherHosts]),
    );
  here.subject.arrive("c1", "alice", device("a"), "fd00::1");
  const announce = (...hosts: string[]) => {
    void here.subject.announce("c1", 7001, [{ infoHash: film, isSeed: true }], hosts);
    here.tell(there.subject, "t1");
    return [here, there].map(({ happened }) => happened.splice(0));
  };
  assert.deepEqual(announce("10.0.0.1"), [["+f 10.0.0.1:7001 seed"], ["+f 10.0.0.1:7001 seed"]]);
  assert.deepEqual(places(), [[["10.0.0.1"]], [["10.0.0.1"]]]);
  assert.deepEqual(announce("10.0.0.1"), [[], []]);
  assert.equal(announce("fd00::1", "10.0.0.1").flat().length, 2);
  assert.deepEqual(places(), [[["fd00::1", "10.0.0.1"]], [["fd00::1", "10.0.0.1"]]]);
  assert.deepEqual(announce(), [["-f a"], ["-f a"]], "nobody can be told where it is");
  assert.deepEqual(places(), [[], []]);
  assert.deepEqual(here.subject.counts("films", film), { seeders: 1, peers: 1 });
});

const filmSeed = { infoHash: film, isSeed: true };
/** What another tracker says of a client, where it is not as usual. */
const remoteClient = (
  facts: Partial<Extract<PresenceMessage, { type: "client" }>> = {},
): PresenceMessage => ({
  ...{ type: "client", connectionId: "r1", accountId: "alice", deviceId: device("a"), hosts: ["10.0.0.9"] },
  ...{ port: 7001, isWhole: false, add: [filmSeed], remove: [] },
  ...facts,
});
const clientMessages = (published: readonly PresenceMessage[][]) =>
  published.flat().filter((message) => message.type === "client");

test("a client's coming and going is told to the other trackers, once, and an account that follows another one on it is another client", () => {
  const { subject, published } = presence();
  subject.arrive("c1", "alice", device("a"), "10.0.0.1");
  void subject.announce("c1", 7001, [filmSeed]);
  published.length = 0;
  subject.arrive("c1", "alice", device("a"), "10.0.0.1");
  assert.deepEqual([published, subject.peersOf(film).length], [[], 1]);
  subject.arrive("c1", "bob", device("a"), "10.0.0.1");
  assert.deepEqual(
    published.flat().map((message) => [message.type, message.type === "client" ? message.accountId : ""]),
    [
      ["gone", ""],
      ["client", "bob"],
    ],
  );
  assert.deepEqual(
    [subject.isOnline("alice"), subject.isOnline("bob"), subject.peersOf(film)],
    [false, true, []],
  );
  published.length = 0;
  subject.depart("c1");
  subject.depart("c1");
  assert.deepEqual(published, [[{ type: "gone", connectionId: "c1" }]]);
});

test("eight announcements of a client are under way at a time", async () => {
  const { subject, runUntil } = presence();
  subject.arrive("c1", "alice", device("a"), "::1");
  const announced = [subject.announce("c1", 1, torrents(3_000))];
  for (let at = 1; at < 8; at++) announced.push(subject.update("c1", [filmSeed], []));
  await assert.rejects(subject.update("c1", [filmSeed], []), { code: "LIMIT_REACHED", message: /^8 / });
  await runUntil(Promise.all(announced));
  await runUntil(subject.update("c1", [filmSeed], []));
});

test("a client is a seed of what it shares if that is known, there is room, and it is there", async () => {
  const known = new Set([film]);
  const { subject } = presence({
    groupOf: (infoHash) => (known.has(infoHash) ? "films" : undefined),
    isMember: (_group, accountId) => {
      if (accountId === "mallory") throw new Error("a bug");
      return true;
    },
    budget: { perClient: 1 },
  });
  assert.equal(await subject.addSeed("c1", film), false, "it is gone");
  subject.arrive("c1", "alice", device("a"), "::1");
  assert.equal(await subject.addSeed("c1", book), false, "it is not known");
  assert.equal(await subject.addSeed("c1", film), true);
  known.add("0".repeat(40));
  assert.equal(await subject.addSeed("c1", "0".repeat(40)), false, "there is no room");
  subject.arrive("c2", "mallory", device("m"), "::1");
  await assert.rejects(subject.addSeed("c2", film), /a bug/);
});

test("peers are counted for the group that the torrent is of, which may be another one when nobody has it any more", () => {
  let group = "films";
  const { subject } = presence({ groupOf: () => group });
  subject.arrive("c1", "alice", device("a"), "::1");
  void subject.announce("c1", 7001, [filmSeed]);
  assert.deepEqual(subject.counts("films", film), { seeders: 1, peers: 1 });
  assert.deepEqual(subject.counts("books", film), { seeders: 0, peers: 0 });
  assert.deepEqual(subject.seedAccounts("films", film, 8), ["alice"]);
  assert.deepEqual(subject.seedAccounts("books", film, 8), []);
  assert.equal(subject.localCount(film), 1);
  void subject.update("c1", [], [film]);
  assert.deepEqual([subject.counts("films", film), subject.localCount(film)], [{ seeders: 0, peers: 0 }, 0]);
  group = "books";
  void subject.update("c1", [filmSeed], []);
  assert.deepEqual(subject.counts("books", film), { seeders: 1, peers: 1 });
});

test("a membership that begins is looked at a quarter of a second later, once for all that began until then", () => {
  const members = new Set<string>();
  let looks = 0;
  const { subject, happened, runTimers, timerCounts } = presence({
    isMember: (_group, accountId) => {
      looks++;
      return members.has(accountId);
    },
  });
  for (const [id, account] of [
    ["c1", "alice"],
    ["c2", "bob"],
    ["c4", "dave"],
  ] as const) {
    subject.arrive(id, account, device(account.charAt(0)), "::1");
    void subject.announce(id, 7001, [filmSeed]);
  }
  runTimers(0);
  members.add("alice").add("bob");
  for (let at = 0; at < 3; at++) for (const account of members) subject.membershipChanged(account);
  subject.membershipChanged("dave");
  assert.equal(timerCounts(), 1);
  runTimers(249);
  assert.deepEqual(happened, []);
  looks = 0;
  runTimers(250);
  assert.deepEqual([happened.length, looks], [2, 3]);
  runTimers(250);
  subject.membershipChanged("alice");
  assert.equal(timerCounts(), 0, "nothing of hers is pending");
  subject.arrive("c3", "carol", device("c"), "::1");
  void subject.announce("c3", 7001, [filmSeed]);
  runTimers(0);
  looks = 0;
  members.add("carol");
  subject.membershipChanged("carol");
  runTimers(250);
  assert.deepEqual([happened.length, looks], [3, 1], "who was looked at before is not again");
});

test("a client with more pending torrents than are kept is asked to announce again, after ten seconds, once, while connected", () => {
  const again: string[][] = [];
  const { subject, runTimers, runBusy, timerCounts } = presence({
    groupOf: () => undefined,
    budget: { waitingPerClient: 1 },
    onAnnounceAgain: (ids) => again.push([...ids]),
  });
  for (const id of ["c1", "c2"]) {
    subject.arrive(id, id, device("a"), "::1");
    void subject.announce(id, 7001, torrents(2));
  }
  subject.apply("there", [remoteClient({ add: torrents(3) })], false);
  runBusy();
  assert.equal(timerCounts(), 0, "nothing more is known yet");
  subject.membershipChanged("somebody");
  subject.torrentKnown(film);
  runTimers(9_999);
  assert.deepEqual(again, []);
  subject.depart("c2");
  runTimers(10_000);
  assert.deepEqual(again, [["c1"]]);
  subject.torrentKnown(film);
  runTimers(10_000);
  assert.equal(again.length, 1);
  void subject.announce("c1", 7001, torrents(2));
  subject.torrentKnown(film);
  runTimers(10_000);
  assert.deepEqual(again, [["c1"], ["c1"]]);
});

test("a snapshot begins with all clients' names and 500 of them; the others follow, once each, but for those who left", () => {
  const { subject, published, runBusy } = presence();
  const count = 620;
  for (let at = 0; at < count; at++) {
    subject.arrive(`c${at}`, "alice", at.toString(16).padStart(64, "0"), "::1");
    // The last ones have so many that they are sent over several turns.
    void subject.announce(`c${at}`, 7001, torrents(at < 500 ? 1 : 20));
    runBusy();
  }
  published.length = 0;
  const [roll, ...first] = subject.snapshot();
  assert.ok(roll?.type === "roll" && roll.connectionIds.length === count);
  assert.equal(first.length, 500);
  assert.ok(clientMessages(published).length < 100, "all in one turn");
  subject.depart("c610");
  runBusy();
  const all = [...clientMessages([first]), ...clientMessages(published)];
  assert.ok(all.every(({ isWhole, add }, at) => isWhole && add.length === (at < 500 ? 1 : 20)));
  assert.deepEqual(
    all.map(({ connectionId }) => connectionId),
    Array.from({ length: count }, (_, at) => `c${at}`).filter((id) => id !== "c610"),
  );
  published.length = 0;
  subject.snapshot();
  runBusy();
  assert.equal(clientMessages(published).length, count - 1 - 500, "another tracker is sent them again");
});

test("long lists go out in messages of a thousand torrents, and the last one says that it is the last", async () => {
  const { subject, published, runBusy, runUntil } = presence();
  subject.arrive("c1", "alice", device("a"), "::1");
  published.length = 0;
  const form = () =>
    clientMessages(published.splice(0)).map(({ add, remove, isWhole, isEnd }) => [
      ...[add.length, remove.length, isWhole],
      ...(isEnd === undefined ? [] : [isEnd]),
    ]);
  await runUntil(subject.announce("c1", 7001, torrents(2_000)));
  assert.deepEqual(form(), [
    [1_000, 0, false],
    [1_000, 0, false],
    [0, 0, false],
  ]);
  assert.equal(subject.snapshot().length, 1, "only the names");
  runBusy();
  assert.deepEqual(form(), [
    [1_000, 0, true, false],
    [1_000, 0, false, false],
    [0, 0, false, true],
  ]);
  const over = torrents(1_500).map(({ infoHash }) => infoHash);
  await runUntil(subject.update("c1", [], over));
  assert.deepEqual(form(), [
    [0, 1_000, false],
    [0, 500, false],
  ]);
  await runUntil(subject.announce("c1", 7002, torrents(500, 1_500)));
  assert.deepEqual(form(), [[0, 0, false]], "that it listens elsewhere");
  await runUntil(subject.announce("c1", 7002, torrents(500, 1_500)));
  await runUntil(subject.update("c1", [], over));
  assert.deepEqual(form(), [], "nothing has changed");
});

test("a client that leaves during its announcement gets an error, leaves nothing behind, and is not reported again", async () => {
  const { subject, published, happened, runBusy } = presence();
  subject.arrive("c1", "alice", device("a"), "::1");
  const announced = subject.announce("c1", 7001, torrents(3_000));
  const queued = subject.update("c1", torrents(10, 5_000), []);
  const empty = subject.announce("c1", 7001, []);
  subject.snapshot();
  subject.depart("c1");
  assert.equal(subject.isOnline("alice"), false);
  published.length = 0;
  runBusy();
  await assert.rejects(announced, { code: "NOT_LOGGED_IN" });
  await assert.rejects(queued, { code: "NOT_LOGGED_IN" });
  await assert.rejects(empty, { code: "NOT_LOGGED_IN" });
  await assert.rejects(subject.update("c1", [], []), { code: "NOT_LOGGED_IN" });
  assert.deepEqual([published, subject.size], [[], { parts: 0, waiting: 0 }]);
  const came = happened.filter((event) => event.startsWith("+")).length;
  assert.equal(happened.length, 2 * came, "each torrent that came has gone");
  const sent = presence();
  sent.subject.arrive("c1", "alice", device("a"), "::1");
  await sent.runUntil(sent.subject.announce("c1", 7001, torrents(6_000)));
  sent.subject.snapshot();
  sent.subject.depart("c1");
  sent.published.length = 0;
  sent.runBusy();
  assert.deepEqual(sent.published, [], "its list is sent on");
  const removing = presence();
  removing.subject.arrive("c1", "alice", device("a"), "::1");
  await removing.runUntil(removing.subject.announce("c1", 7001, torrents(3_000)));
  const removed = removing.subject.announce("c1", 7001, []);
  removing.subject.depart("c1");
  removing.runBusy();
  await assert.rejects(removed, { code: "NOT_LOGGED_IN" });
  assert.equal(removing.subject.size.parts, 0);
});

test("what is pending goes with an announcement that does not name it, an update that ends it, and its client; what it is now counts", async () => {
  const known = new Set<string>();
  const { subject, happened, runBusy } = presence({
    groupOf: (infoHash) => (known.has(infoHash) ? "films" : undefined),
    budget: { waitingPerClient: 3, waitingPerAccount: 5, waitingTotal: 7 },
  });
  subject.arrive("c1", "alice", device("a"), "::1");
  void subject.announce("c1", 7001, torrents(3));
  void subject.announce("c1", 7001, torrents(2));
  assert.equal(subject.size.waiting, 2);
  void subject.update("c1", [torrent(0)], [torrent(1).infoHash]);
  assert.equal(subject.size.waiting, 1, "said twice, it counts once");
  void subject.update("c1", [{ ...torrent(0), isSeed: false }], []);
  known.add(torrent(0).infoHash);
  subject.torrentKnown(torrent(0).infoHash);
  runBusy();
  assert.deepEqual(happened, ["+0 ::1:7001"], "it lacks some of it, as it said last");
  void subject.announce("c1", 7001, torrents(9, 10));
  assert.equal(subject.size.waiting, 3, "so many of a client");
  subject.arrive("c2", "alice", device("b"), "::1");
  void subject.announce("c2", 7001, torrents(9, 20));
  assert.equal(subject.size.waiting, 5, "so many of an account");
  subject.arrive("c3", "bob", device("c"), "::1");
  void subject.announce("c3", 7001, torrents(9, 30));
  runBusy();
  assert.equal(subject.size.waiting, 7, "so many of all");
  subject.depart("c1");
  runBusy();
  assert.equal(subject.size.waiting, 4);
  void subject.announce("c2", 7001, torrents(9, 20));
  assert.equal(subject.size.waiting, 5, "a client's end makes room for its account");
  for (const id of ["c2", "c3"]) subject.depart(id);
  runBusy();
  assert.equal(subject.size.waiting, 0);
  known.add(torrent(20).infoHash);
  subject.torrentKnown(torrent(20).infoHash);
  runBusy();
  assert.equal(subject.size.parts, 0);
});

test("torrents that an account ends make room for as many, at a client and with all of its clients", async () => {
  const { subject, runUntil, runBusy } = presence({
    budget: { perClient: 3, perAccount: 4, perAccountWhenCrowded: 1 },
  });
  const announce = (id: string, count: number, first = 0) =>
    runUntil(subject.update(id, torrents(count, first), []));
  const refused = { code: "LIMIT_REACHED" };
  for (const id of ["c1", "c2"]) {
    subject.arrive(id, "alice", device("a"), "::1");
    void subject.announce(id, 7001, []);
  }
  for (let round = 0; round < 3; round++) {
    await announce("c1", 3);
    await assert.rejects(announce("c1", 1, 9), refused);
    await announce("c2", 1);
    await assert.rejects(announce("c2", 1, 9), refused);
    await runUntil(
      subject.update(
        "c1",
        [],
        torrents(3).map(({ infoHash }) => infoHash),
      ),
    );
    await announce("c2", 2, 1);
    await runUntil(
      subject.update(
        "c2",
        [],
        torrents(3).map(({ infoHash }) => infoHash),
      ),
    );
    assert.equal(subject.size.parts, 0);
  }
  await announce("c1", 3);
  subject.depart("c1");
  runBusy();
  subject.apply("there", [remoteClient({ add: torrents(3) })], false);
  await announce("c2", 3);
  for (const id of ["c3", "c4"]) {
    subject.arrive(id, "alice", device("a"), "::1");
    void subject.announce(id, 7001, []);
  }
  await announce("c3", 1);
  await assert.rejects(announce("c4", 1), refused, "what went is taken off twice");
});

test("looking torrents up takes its share of a turn", () => {
  let looks = 0;
  const { subject, runTimers } = presence({
    groupOf: () => {
      looks++;
      return undefined;
    },
  });
  subject.arrive("c1", "alice", device("a"), "::1");
  void subject.announce("c1", 7001, torrents(3_000));
  assert.ok(looks > 50 && looks <= 100, `${looks} looked up at once`);
  runTimers(0);
  assert.ok(looks <= 250, `${looks} after one turn`);
});

test("a short announcement does not wait for long ones of other clients", async () => {
  const { subject } = presence();
  for (let at = 0; at < 20; at++) {
    subject.arrive(`c${at}`, "alice", at.toString(16).padStart(64, "0"), "::1");
    void subject.announce(`c${at}`, 7001, torrents(5_000));
  }
  subject.arrive("short", "bob", device("b"), "::1");
  void subject.announce("short", 7001, [filmSeed]);
  assert.equal(subject.hasAnnounced("short", film), true);
});

test("the latest connection stands for its device; when it goes, an earlier one does, and nobody hears that the device is gone", () => {
  const { subject, happened } = presence();
  for (const id of ["c1", "c2", "c3"]) {
    subject.arrive(id, "alice", device("a"), `10.0.0.${id.charAt(1)}`);
  }
  for (const id of ["c3", "c1", "c2"]) void subject.announce(id, 7001, [filmSeed]);
  const host = () => subject.peersOf(film).map((peer) => peer.host);
  assert.deepEqual(host(), ["10.0.0.3"]);
  assert.deepEqual(happened.splice(0), ["+f 10.0.0.3:7001 seed"]);
  void subject.update("c3", [], [film]);
  assert.deepEqual(host(), ["10.0.0.2"]);
  subject.depart("c2");
  assert.deepEqual(host(), ["10.0.0.1"]);
  assert.deepEqual(happened.splice(0), ["+f 10.0.0.2:7001 seed", "+f 10.0.0.1:7001 seed"]);
  assert.equal(subject.peerOf(film, device("a"))?.host, "10.0.0.1");
  subject.depart("c1");
  assert.deepEqual(happened.splice(0), ["-f a"]);
  assert.equal(subject.peerOf(film, device("a")), undefined);
  void subject.update("c3", [filmSeed], []);
  assert.deepEqual(happened, ["+f 10.0.0.3:7001 seed"]);
});

test("whatever changes of a peer is told, as of one that is known, and nothing else", () => {
  const told: boolean[] = [];
  const { subject } = presence({ onPeerOnline: (_infoHash, _peer, isNew) => told.push(isNew) });
  const say = (facts: Parameters<typeof remoteClient>[0]) => {
    subject.apply("there", [remoteClient(facts)], false);
    return told.splice(0);
  };
  assert.deepEqual(say({}), [true]);
  assert.deepEqual(say({}), []);
  assert.deepEqual(say({ port: 7002 }), [false]);
  assert.deepEqual(say({ port: 7002, hosts: ["10.0.0.9", "10.0.0.8"] }), [false]);
  assert.deepEqual(say({ port: 7002, hosts: ["10.0.0.7", "10.0.0.8"] }), [false]);
  const moved = { port: 7002, hosts: ["10.0.0.7", "10.0.0.8"] };
  assert.deepEqual(say({ ...moved, add: [{ infoHash: film, isSeed: false }] }), [false]);
  const other = { ...moved, connectionId: "r2", accountId: "bob", add: [{ infoHash: film, isSeed: false }] };
  assert.deepEqual(say(other), [false], "another account's device");
  assert.deepEqual(
    subject.peersOf(film).map(({ accountId }) => accountId),
    ["bob"],
  );
});

test("a connection that another tracker gives to another device or account is that one's alone", () => {
  const { subject, happened } = presence();
  subject.apply("there", [remoteClient({ isWhole: true })], false);
  subject.apply("there", [remoteClient({ accountId: "bob" })], false);
  assert.deepEqual([subject.isOnline("alice"), subject.isOnline("bob")], [false, true]);
  subject.apply("there", [remoteClient({ accountId: "bob", deviceId: device("b"), add: [] })], false);
  assert.deepEqual(happened.at(-1), "-f a");
  assert.deepEqual(subject.peersOf(film), []);
});

test("a whole list replaces what was known when it has come to its end, and what comes after is added to it", () => {
  const { subject } = presence();
  const has = (...at: number[]) => at.filter((one) => subject.peersOf(torrent(one).infoHash).length > 0);
  const say = (facts: Parameters<typeof remoteClient>[0]) =>
    subject.apply("there", [remoteClient({ add: [], ...facts })], false);
  say({ add: torrents(4) });
  say({ isWhole: true, isEnd: false, add: [torrent(0)] });
  assert.deepEqual(has(0, 1, 2, 3), [0, 1, 2, 3]);
  say({ remove: [torrent(1).infoHash], add: [torrent(5)] });
  assert.deepEqual(has(0, 1, 2, 3, 5), [0, 5], "a list without further parts ends with the next change");
  say({ add: [torrent(6)] });
  assert.deepEqual(has(0, 5, 6), [0, 5, 6]);
  say({ isWhole: true, add: [torrent(6)] });
  assert.deepEqual(has(0, 5, 6), [6]);
});

test("what another tracker's client has pending takes effect, is not told on, and ends when it says so", () => {
  const known = new Set<string>();
  const promoted: string[] = [];
  const { subject, happened, published, runBusy } = presence({
    groupOf: (infoHash) => (known.has(infoHash) ? "films" : undefined),
    onPromoted: (id) => promoted.push(id),
  });
  subject.apply("there", [remoteClient({ add: [filmSeed, { infoHash: book, isSeed: true }] })], false);
  assert.equal(subject.size.waiting, 2);
  subject.apply("there", [remoteClient({ add: [], remove: [book] })], false);
  assert.equal(subject.size.waiting, 1);
  known.add(film);
  subject.torrentKnown(film);
  runBusy();
  assert.deepEqual([happened, published, promoted], [["+f 10.0.0.9:7001 seed"], [], []]);
});

test("a client that another tracker says is gone, or does not name among all, is gone; one that it only does not mention is not", () => {
  const { subject, runBusy } = presence();
  const ids = ["r1", "r2", "r3"];
  const all = ids.map((connectionId, at) =>
    remoteClient({ connectionId, accountId: connectionId, deviceId: device(`${at}`) }),
  );
  subject.apply("there", [{ type: "roll", connectionIds: ids }, ...all], true);
  const online = () => ids.filter((id) => subject.isOnline(id));
  subject.apply("there", [all[0] ?? assert.fail()], false);
  assert.deepEqual(online(), ids);
  subject.apply("there", [{ type: "gone", connectionId: "r1" }], false);
  assert.deepEqual(online(), ["r2", "r3"]);
  subject.apply("there", [{ type: "roll", connectionIds: ["r2"] }], true);
  runBusy();
  assert.deepEqual(online(), ["r2"]);
  assert.equal(subject.peersOf(film).length, 1);
});

test("membership that ended and began again in the meantime ends nothing", () => {
  const { subject, happened, runBusy } = presence();
  subject.arrive("c1", "alice", device("a"), "::1");
  void subject.announce("c1", 7001, [filmSeed]);
  happened.length = 0;
  subject.membershipEnded("films", "alice");
  runBusy();
  assert.deepEqual([happened, subject.peersOf(film).length], [[], 1]);
});

test("a link that is lost twice has one grace, from the last time on; after the end no timer is left", async () => {
  const { subject, timerCounts, runTimers } = presence({
    groupOf: () => undefined,
    budget: { waitingPerClient: 1 },
  });
  subject.apply("there", [remoteClient({ add: [] })], false);
  runTimers(0);
  subject.linkLost("there");
  subject.linkLost("there");
  assert.equal(timerCounts(), 1);
  subject.linkUp("there");
  assert.equal(timerCounts(), 0);
  subject.linkLost("there");
  runTimers(5_000);
  runTimers(0);
  assert.equal(subject.isOnline("alice"), false);
  subject.linkLost("nowhere");
  subject.arrive("c1", "bob", device("b"), "::1");
  void subject.announce("c1", 7001, torrents(3_000));
  subject.membershipChanged("bob");
  assert.ok(timerCounts() >= 4, `${timerCounts()} timers`);
  subject.close();
  assert.equal(timerCounts(), 0);
});

test("messages between trackers have bounds of their own", () => {
  const { subject } = presence();
  const refused = (facts: object) =>
    assert.throws(() => subject.apply("there", [{ ...remoteClient(), ...facts }], false), {
      code: "MALFORMED_MESSAGE",
    });
  refused({ deviceId: "A".repeat(64) });
  refused({ hosts: Array.from({ length: 6 }, () => "10.0.0.1") });
  refused({ add: torrents(5_001) });
  refused({ remove: torrents(5_001).map(({ infoHash }) => infoHash) });
  refused({ port: 0 });
  const roll = (count: number) => ({
    type: "roll",
    connectionIds: Array.from({ length: count }, (_, at) => `c${at}`),
  });
  subject.apply("there", [roll(20_000)], false);
  assert.throws(() => subject.apply("there", [roll(20_001)], false), { code: "MALFORMED_MESSAGE" });
});

test("a client that leaves after the last torrent of its announcement was applied is not reported", async () => {
  const { subject, published, runBusy, runUntil } = presence({ onPeerOnline: () => 0 });
  for (const [id, letter] of [
    ["c1", "a"],
    ["c2", "b"],
  ] as const) {
    subject.arrive(id, id, device(letter), "::1");
    void subject.announce(id, 7001, []);
  }
  await runUntil(subject.update("c1", torrents(999), []));
  void subject.update("c1", [], []);
  runBusy(); // a new turn, of which nothing is used
  // With one to remove it takes as many steps as there are in a turn.
  const updated = subject.update("c2", torrents(999), [film]);
  assert.equal(subject.size.parts, 2 * 999);
  subject.depart("c2");
  published.length = 0;
  runBusy();
  await updated.catch(({ code }) => assert.equal(code, "NOT_LOGGED_IN"));
  assert.deepEqual(published, []);
});

test("after a client ended all torrents of a group, its membership is checked again at the next one", () => {
  let isMember = true;
  const { subject } = presence({ isMember: () => isMember });
  subject.arrive("c1", "alice", device("a"), "::1");
  void subject.announce("c1", 7001, [filmSeed]);
  void subject.update("c1", [], [film]);
  isMember = false;
  void subject.update("c1", [filmSeed], []);
  assert.deepEqual(subject.size, { parts: 0, waiting: 1 });
});

test("announcements of a device's earlier connection do not count beside the latest one", () => {
  const { subject, happened } = presence();
  for (const id of ["c1", "c2"]) {
    subject.arrive(id, "alice", device("a"), `10.0.0.${id.charAt(1)}`);
    void subject.announce(id, 7001, [{ infoHash: film, isSeed: false }]);
  }
  happened.length = 0;
  void subject.update("c1", [filmSeed], []);
  assert.deepEqual([subject.counts("films", film), happened], [{ seeders: 0, peers: 1 }, []]);
  assert.equal(subject.localCount(film), 2);
});

test("a long announcement is read some torrents at a time", () => {
  const { subject } = presence({ budget: { perClient: 0 } });
  subject.arrive("c1", "alice", device("a"), "::1");
  let read = 0;
  const endless = {
    *[Symbol.iterator]() {
      for (; read < 100_000; read++) yield filmSeed;
    },
  };
  subject.announce("c1", 7001, endless).catch(() => {});
  assert.ok(read > 1_000 && read <= 20_020, `${read} read at once`);
});
