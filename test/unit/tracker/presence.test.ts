import assert from "node:assert/strict";
import { test } from "node:test";
import { Presence, type PresenceOptions } from "../../../src/tracker/presence.ts";
import type { PresenceMessage } from "../../../src/tracker/presence-messages.ts";

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
  return { subject, happened, published, runTimers, runUntil, isBusy, tell };
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

test("who has no session announces nothing, and nobody announces without end", async () => {
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

test("an update that waits behind a long announcement leaves the client where that one says that it is", async () => {
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
