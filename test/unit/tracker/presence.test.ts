import assert from "node:assert/strict";
import { test } from "node:test";
import { LOST_LINK_GRACE_MS, Presence } from "../../../src/tracker/presence.ts";
import type { PresenceMessage } from "../../../src/tracker/presence-messages.ts";

const film = "f".repeat(40);
const book = "b".repeat(40);
const device = (letter: string) => letter.repeat(64);

/** Presence whose timers run when told, and which notes what it says. */
function presence() {
  const published: PresenceMessage[][] = [];
  const happened: string[] = [];
  const timers = new Map<number, { delayMs: number; callback: () => void }>();
  let timerCount = 0;
  const subject = new Presence({
    publish: (messages) => published.push(structuredClone([...messages])),
    onPeerOnline: (infoHash, { host, port, isSeed }) =>
      happened.push(`+${infoHash[0]} ${host}:${port}${isSeed ? " seed" : ""}`),
    onPeerOffline: (infoHash, deviceId) => happened.push(`-${infoHash[0]} ${deviceId[0]}`),
    setTimer: (delayMs, callback) => {
      const id = timerCount++;
      timers.set(id, { delayMs, callback });
      return () => timers.delete(id);
    },
  });
  const runTimers = (upToMs: number) => {
    for (const [id, { delayMs, callback }] of [...timers]) {
      if (delayMs <= upToMs && timers.delete(id)) callback();
    }
  };
  /** Passes on what was said since, as a link does. */
  const tell = (other: Presence, trackerId: string) => {
    for (const messages of published.splice(0))
      other.apply(trackerId, JSON.parse(JSON.stringify(messages)), false);
  };
  return { subject, happened, published, runTimers, tell };
}

test("a client's torrents come with its announce, change with updates, and go with its connection", () => {
  const { subject, happened } = presence();
  subject.arrive("c1", "alice", device("a"), "10.0.0.1");
  assert.equal(subject.isOnline("alice"), true);
  subject.announce("c1", 7001, [{ infoHash: film, isSeed: false }]);
  subject.update("c1", [{ infoHash: film, isSeed: true }], []);
  subject.update("c1", [{ infoHash: book, isSeed: false }], []);
  assert.deepEqual(subject.peersOf(film), [
    { accountId: "alice", deviceId: device("a"), host: "10.0.0.1", port: 7001, isSeed: true },
  ]);
  assert.deepEqual(subject.localAnnouncers(film), ["c1"]);
  subject.announce("c1", 7001, [{ infoHash: book, isSeed: false }]);
  assert.deepEqual(subject.peersOf(film), []);
  subject.update("c1", [], [book, film]);
  subject.update("c1", [{ infoHash: film, isSeed: true }], []);
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

test("who has no session announces nothing, and nobody announces without end", () => {
  const { subject } = presence();
  assert.throws(() => subject.announce("c1", 1, []), { code: "NOT_LOGGED_IN" });
  subject.arrive("c1", "alice", device("a"), "::1");
  const many = Array.from({ length: 60_000 }, (_, at) => ({
    infoHash: at.toString(16).padStart(40, "0"),
    isSeed: true,
  }));
  subject.update("c1", many, []);
  assert.throws(() => subject.update("c1", many, []), { code: "LIMIT_REACHED" });
});

test("another tracker knows what it is told, from its first snapshot on", () => {
  const here = presence();
  const there = presence();
  here.subject.arrive("c1", "alice", device("a"), "10.0.0.1");
  here.subject.announce("c1", 7001, [{ infoHash: film, isSeed: true }]);
  here.published.length = 0;
  there.subject.apply("here", JSON.parse(JSON.stringify(here.subject.snapshot())), true);
  assert.equal(there.subject.peersOf(film).length, 1);
  assert.equal(there.subject.isOnline("alice"), true);
  assert.deepEqual(there.subject.localAnnouncers(film), []);
  assert.deepEqual(there.subject.snapshot(), []);
  here.subject.update("c1", [{ infoHash: book, isSeed: false }], [film]);
  here.tell(there.subject, "here");
  assert.deepEqual(there.subject.peersOf(film), []);
  assert.equal(there.subject.peersOf(book).length, 1);
  here.subject.depart("c1");
  here.tell(there.subject, "here");
  assert.deepEqual(there.subject.peersOf(book), []);
  assert.equal(there.subject.isOnline("alice"), false);
});

test("a list too long for one message arrives whole", () => {
  const here = presence();
  const there = presence();
  here.subject.arrive("c1", "alice", device("a"), "::1");
  const torrents = Array.from({ length: 60_000 }, (_, at) => ({
    infoHash: at.toString(16).padStart(40, "0"),
    isSeed: true,
  }));
  here.subject.announce("c1", 7001, torrents);
  here.published.length = 0;
  there.subject.apply("here", JSON.parse(JSON.stringify(here.subject.snapshot())), true);
  here.runTimers(0);
  here.tell(there.subject, "here");
  for (const at of [0, 4_999, 5_000, 59_999]) {
    assert.equal(there.subject.peersOf(at.toString(16).padStart(40, "0")).length, 1, `torrent ${at}`);
  }
});

test("a lost tracker's clients stay for a grace, then go; a snapshot after it replaces them", () => {
  const { subject, happened, runTimers } = presence();
  const message = (connectionId: string, letter: string): PresenceMessage => ({
    type: "client",
    connectionId,
    accountId: letter,
    deviceId: device(letter),
    host: "10.0.0.1",
    port: 7001,
    isWhole: true,
    add: [{ infoHash: film, isSeed: true }],
    remove: [],
  });
  subject.apply("there", [message("c1", "a"), message("c2", "b")], true);
  subject.linkLost("there");
  runTimers(LOST_LINK_GRACE_MS - 1);
  assert.equal(subject.peersOf(film).length, 2);
  subject.linkUp("there");
  runTimers(LOST_LINK_GRACE_MS);
  assert.equal(subject.peersOf(film).length, 2);
  happened.length = 0;
  subject.apply("there", [message("c2", "b")], true);
  assert.deepEqual(happened, ["-f a"]);
  subject.linkLost("there");
  runTimers(LOST_LINK_GRACE_MS);
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
    host,
    port: 7001,
    isWhole: true,
    add: [{ infoHash: film, isSeed: true }],
    remove: [],
  });
  subject.apply("there", [at("c1", "10.0.0.1")], true);
  subject.linkLost("there");
  subject.arrive("c2", "alice", device("a"), "10.0.0.2");
  subject.announce("c2", 7001, [{ infoHash: film, isSeed: true }]);
  assert.deepEqual(
    subject.peersOf(film).map(({ host }) => host),
    ["10.0.0.2"],
  );
  runTimers(LOST_LINK_GRACE_MS);
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
