// The session with connections of the test's own, and between two sessions over real sockets.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import type { PeerAddress } from "../../../src/api/schemas.ts";
import { Bandwidth } from "../../../src/engine/bandwidth.ts";
import { type ActiveTorrent, Session } from "../../../src/engine/session.ts";
import {
  createDeviceIdentity,
  createGroupAuthority,
  deviceIdOfKey,
  publicKeySpkiOf,
} from "../../../src/identity/certificates.ts";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { encodeMetainfo } from "../../../src/metainfo/metainfo.ts";
import { ConnectionPlaces } from "../../../src/net/connection-places.ts";
import { onTimerFault } from "../../../src/net/timers.ts";
import type { PieceStorage } from "../../../src/swarm/storage-interface.ts";
import type { TorrentEvent } from "../../../src/swarm/torrent-status.ts";
import type { GroupCredentials } from "../../../src/transport/group-credentials.ts";
import { Listener } from "../../../src/transport/listener.ts";
import type { PeerSocket } from "../../../src/transport/peer-socket.ts";
import type { Farewell } from "../../../src/wire/farewell.ts";
import type { PeerListener } from "../../../src/wire/messages.ts";
import { settle, until, virtualTime } from "../client/session-fixture.ts";
import { member, silent } from "../transport/members.ts";

const PIECE_BYTES = 256 * 1024;
const PIECE_COUNT = 3;
const authority = createGroupAuthority();
const other = createGroupAuthority();
const unused = () => assert.fail("nothing is read or written");
const storage: PieceStorage = { reserve: unused, release: unused, commit: unused, read: unused };

async function stage(t: TestContext, { connections = 100, userId = "alice" } = {}) {
  const revoked = new Set<string>();
  const own = await member(authority, userId, Date.now(), revoked);
  const identity = createDeviceIdentity();
  const deviceId = deviceIdOfKey(publicKeySpkiOf(new X509Certificate(own.certificatePem)));
  const state: { credentials: GroupCredentials | undefined } = { credentials: own };
  const missing: string[] = [];
  let takenCount = 0;
  const bandwidth = new Bandwidth(() => performance.now());
  const session = await Session.open({
    ...{ listen: { host: "127.0.0.1", port: 0 }, identity, log: silent, bandwidth, connections },
    credentials: (groupId) => (groupId === "films" ? state.credentials : undefined),
    credentialsMissing: (groupId) => missing.push(groupId),
    onConnectionsTaken: () => takenCount++,
  });
  t.after(() => session.close());
  const events: TorrentEvent[] = [];
  const join = (
    fileName: string,
    {
      isComplete = false,
      groupId = "films",
      ca = authority,
      pieceCount = PIECE_COUNT,
      wanted = Bitfield.full(pieceCount),
    } = {},
  ) =>
    session.add({
      wanted,
      ...{ groupId, storage, onEvent: (event: TorrentEvent) => events.push(event) },
      have: isComplete ? Bitfield.full(pieceCount) : new Bitfield(pieceCount),
      metainfo: encodeMetainfo({
        ...{ fileName, lengthBytes: PIECE_BYTES * pieceCount, pieceLengthBytes: PIECE_BYTES },
        authorityPem: ca.certificatePem,
        ...{ pieceHashes: new Uint8Array(20 * pieceCount), sha1: "0".repeat(40) },
      }),
    });
  return {
    session,
    join,
    state,
    revoked,
    missing,
    bandwidth,
    events,
    deviceId,
    identity,
    takenCount: () => takenCount,
  };
}

/** A connection that stands: both handshakes are done. */
class FakeSocket {
  readonly infoHash: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly membershipId: string;
  readonly address = { host: "127.0.0.1", port: 5 };
  readonly isDialled: boolean;
  readonly supportsFast: boolean = true;
  readonly supportsExtensions = true;
  readonly localHost: string;
  silentMs = 0;
  started: { listener: PeerListener; pieceCount: number; onGone: () => void } | undefined;
  closed: { reason: string; farewell: Farewell | undefined } | undefined;
  readonly said: string[] = [];
  readonly suggested: unknown[] = [];
  /** The extension handshake, as it was said. */
  extension = "";

  constructor(
    { metainfo }: Pick<ActiveTorrent, "metainfo">,
    userId: string,
    { isDialled = false, deviceId = `device of ${userId}`, localHost = "127.0.0.1" } = {},
  ) {
    this.infoHash = metainfo.infoHash;
    this.userId = userId;
    this.deviceId = deviceId;
    this.membershipId = `m-${userId}`;
    this.isDialled = isDialled;
    this.localHost = localHost;
  }

  /** As the session takes it: what the swarm says over it is noted. */
  get asPeerSocket(): PeerSocket {
    const fake = new Proxy(this, {
      get: (target, name) => {
        if (name in target) return Reflect.get(target, name, target);
        return (...given: unknown[]) => {
          target.said.push(String(name));
          const [id, payload] = given;
          if (name === "suggest") target.suggested.push(id);
          if (name === "extended" && id === 0)
            target.extension = Buffer.from(payload as Uint8Array).toString("latin1");
          return true;
        };
      },
    });
    return fake as unknown as PeerSocket;
  }

  start(listener: PeerListener, pieceCount: number, onGone: () => void): void {
    this.started = { listener, pieceCount, onGone };
  }

  close(reason: string, farewell?: Farewell): void {
    if (this.closed !== undefined) return;
    this.closed = { reason, farewell };
    this.started?.listener.closed(reason);
    this.started?.onGone();
  }
}

/** Admits a connection, always the same one to the session. */
function connected(session: Session, socket: FakeSocket): FakeSocket {
  session.connected(socket.asPeerSocket);
  return socket;
}

test("a connection that stands belongs to its torrent until it is gone", async (t) => {
  const { session, join } = await stage(t);
  const film = join("a");
  const socket = connected(session, new FakeSocket(film, "bob"));
  assert.equal(film.connections.connectedCount, 1);
  assert.equal(socket.started?.pieceCount, PIECE_COUNT);
  const [peer] = film.torrent.status().peers;
  assert.deepEqual([peer?.userId, peer?.address, peer?.deviceId], ["bob", "127.0.0.1:5", "device of bob"]);
  assert.ok(socket.said.includes("haveNone"), "it has the fast extension");
  assert.match(socket.extension, new RegExp(`1:pi${session.port}e`), "it hears where this client listens");
  socket.close("over");
  assert.deepEqual([film.connections.connectedCount, film.torrent.status().peers], [0, []]);
});

test("a member who is revoked between TLS and the end of the handshakes is not admitted", async (t) => {
  const { session, join, revoked } = await stage(t);
  const film = join("a");
  for (let device = 0; device < 4; device++) {
    connected(session, new FakeSocket(film, "mallory", { deviceId: `${device}` }));
  }
  revoked.add("m-mallory");
  const socket = connected(session, new FakeSocket(film, "mallory"));
  assert.deepEqual(socket.closed, { reason: "not wanted", farewell: undefined });
  assert.equal(socket.started, undefined, "nothing is said to them, not even that there is no room");
  assert.equal(film.connections.connectedCount, 4);
});

test("a connection is refused when the torrent, or this device's certificate, is gone by then", async (t) => {
  const { session, join, state } = await stage(t);
  const film = join("a");
  state.credentials = undefined;
  const uncertified = connected(session, new FakeSocket(film, "bob"));
  state.credentials = await member(authority, "alice");
  session.remove(film.metainfo.infoHash, "over");
  const late = connected(session, new FakeSocket(film, "bob"));
  for (const { closed, started } of [uncertified, late]) {
    assert.deepEqual([closed?.reason, started], ["not wanted", undefined]);
  }
});

test("a peer that finds no room is told so; a peer refused for another reason is not", async (t) => {
  const { session, join } = await stage(t);
  const film = join("a");
  for (let device = 0; device < 4; device++) {
    connected(session, new FakeSocket(film, "bob", { deviceId: `${device}` }));
  }
  const fifth = connected(session, new FakeSocket(film, "bob", { deviceId: "4" }));
  assert.deepEqual(fifth.closed, { reason: "not wanted", farewell: { reason: "user-full" } });
  assert.equal(film.connections.connectedCount, 4);
});

test("nobody is let in to a torrent by another CA than the one that it names", async (t) => {
  const { session, join, state } = await stage(t);
  const film = join("a");
  const { infoHash } = film.metainfo;
  assert.equal(session.credentialsFor(infoHash), state.credentials);
  assert.equal(session.credentialsFor("0".repeat(40)), undefined);
  state.credentials = await member(other, "alice");
  assert.equal(session.credentialsFor(infoHash), undefined);
  assert.notEqual(connected(session, new FakeSocket(film, "bob")).closed, undefined);
  const { authorityPem } = await member(authority, "alice");
  state.credentials = { ...(await member(authority, "alice")), authorityPem: `\n${authorityPem}\n` };
  assert.notEqual(session.credentialsFor(infoHash), undefined, "white space makes no other CA");
});

test("the end of a membership closes its connections in all of the group's torrents, and no others", async (t) => {
  const { session, join } = await stage(t);
  join("c", { groupId: "books" });
  const [a, b] = [join("a"), join("b")];
  const gone = [a, b].map((film) => connected(session, new FakeSocket(film, "mallory")));
  const stays = connected(session, new FakeSocket(a, "bob"));
  session.revoke("books", "m-mallory");
  assert.deepEqual(
    gone.map(({ closed }) => closed),
    [undefined, undefined],
    "it is another group's",
  );
  session.revoke("films", "m-mallory");
  for (const { closed } of gone) {
    assert.deepEqual(closed, { reason: "no longer a member of the group", farewell: undefined });
  }
  assert.equal(stays.closed, undefined);
});

test("connections from an address that this machine has lost are closed, and peers are dialled anew", async (t) => {
  const { session, join } = await stage(t);
  const film = join("a");
  const dead = connected(session, new FakeSocket(film, "bob", { localHost: "192.0.2.7" }));
  const alive = connected(session, new FakeSocket(film, "carol"));
  const anew = t.mock.method(film.connections, "ownAddressChanged");
  session.ownAddressesChanged({ lost: new Set(["192.0.2.7"]), gained: new Set() });
  assert.equal(dead.closed?.reason, "this machine has that address no longer");
  assert.equal(alive.closed, undefined);
  assert.equal(anew.mock.callCount(), 1);
});

test("a torrent runs once, is found by its name in its group, and ends with all its connections", async (t) => {
  const { session, join, bandwidth } = await stage(t);
  const film = join("a");
  const { infoHash } = film.metainfo;
  assert.throws(() => join("a"), { code: "INTERNAL" });
  assert.equal(session.get(infoHash), film);
  assert.equal(session.find("films", "a"), film);
  assert.equal(session.find("films", "b"), undefined);
  assert.equal(session.find("books", "a"), undefined);
  assert.deepEqual([...session.all()], [film]);
  const socket = connected(session, new FakeSocket(film, "bob"));
  session.peerOnline(infoHash, peerOf("named"));
  assert.equal(film.connections.contacts().length, 1);
  const ended = t.mock.method(bandwidth, "ended");
  session.remove(infoHash, "no longer shared", { reason: "not-shared" });
  session.remove(infoHash, "no longer shared");
  assert.deepEqual(socket.closed, { reason: "no longer shared", farewell: { reason: "not-shared" } });
  assert.deepEqual([session.get(infoHash), [...session.all()]], [undefined, []]);
  assert.equal(session.credentialsFor(infoHash), undefined);
  assert.equal(film.torrent.state.status, "closed");
  assert.deepEqual(film.connections.contacts(), [], "nobody is dialled any more");
  assert.deepEqual(
    ended.mock.calls.map((call) => call.arguments),
    [[{ groupId: "films", fileName: "a" }]],
  );
});

test("a session is closed when its listener is", async (t) => {
  const { session } = await stage(t);
  const closing = Promise.withResolvers<void>();
  const close = Listener.prototype.close;
  t.mock.method(Listener.prototype, "close", async function (this: Listener) {
    await close.call(this);
    await closing.promise;
  });
  let isClosed = false;
  const closed = session.close().then(() => {
    isClosed = true;
  });
  await settle(50);
  assert.equal(isClosed, false);
  closing.resolve();
  await closed;
});

test("a closed session has left every swarm, and nobody is answered any more", async (t) => {
  const { after } = virtualTime(t);
  const { session, join, bandwidth } = await stage(t);
  const film = join("a");
  const socket = connected(session, new FakeSocket(film, "bob"));
  const ticks = t.mock.method(bandwidth, "tick");
  await after(100);
  assert.equal(ticks.mock.callCount(), 1);
  const { port } = session;
  await session.close();
  assert.deepEqual([socket.closed?.reason, [...session.all()]], ["the client is closing", []]);
  await after(1_000);
  assert.equal(ticks.mock.callCount(), 1, "the clock has stopped");
  const refused = connect(port, "127.0.0.1");
  let code: string | undefined;
  refused.on("error", (error: NodeJS.ErrnoException) => {
    ({ code } = error);
  });
  refused.on("connect", () => refused.destroy(new Error("somebody listens")));
  await until("the port has answered", () => refused.destroyed);
  assert.equal(code, "ECONNREFUSED");
});

const peerOf = (deviceId: string, changes: Partial<PeerAddress> = {}): PeerAddress => ({
  ...{ userId: `user of ${deviceId}`, deviceId, host: "127.0.0.1", port: 1, isSeed: true },
  ...changes,
});
/** Why that peer is not dialled, or `tried`. */
const obstacle = ({ connections }: ActiveTorrent, deviceId: string) => {
  const contact = connections.contacts().find((one) => one.deviceId === deviceId);
  assert.ok(contact, `${deviceId} is not known`);
  return contact.obstacle ?? (contact.isDialling ? "tried" : "due");
};

test("the only seed that trackers name sends a file from its beginning, and one of several does not", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const { session, join } = await stage(t);
  for (const [fileName, isOnlySeed, first] of [
    ["alone", true, [0, 1]],
    ["with another", false, [4, 5]],
  ] as const) {
    const active = join(fileName, { isComplete: true, pieceCount: 8 });
    if (!isOnlySeed) session.peerOnline(active.metainfo.infoHash, peerOf("seed"));
    session.peerOnline(active.metainfo.infoHash, peerOf("leecher", { isSeed: false }));
    const [, carol] = ["bob", "carol"].map((userId) => {
      const socket = connected(session, new FakeSocket(active, userId));
      socket.started?.listener.haveNone();
      socket.started?.listener.interested();
      return socket;
    });
    assert.deepEqual(carol?.suggested, first, fileName);
  }
});

test("a peer that has nothing we miss, or is banned, is not dialled", async (t) => {
  const { session, join, missing } = await stage(t);
  const seed = join("a", { isComplete: true });
  session.peerOnline(seed.metainfo.infoHash, peerOf("seed"));
  assert.equal(obstacle(seed, "seed"), "not-needed");
  const leecher = join("b");
  t.mock.method(leecher.torrent, "bannedFor", (userId: string) => (userId === "mallory" ? 0 : undefined));
  session.peerOnline(leecher.metainfo.infoHash, peerOf("bad", { userId: "mallory" }));
  assert.deepEqual(missing, []);
  session.peerOnline(leecher.metainfo.infoHash, peerOf("good"));
  assert.deepEqual([obstacle(leecher, "bad"), obstacle(leecher, "good")], ["banned", "tried"]);
  t.mock.method(seed.torrent, "neededNothing", (deviceId: string) => deviceId === "finished");
  session.peerOnline(seed.metainfo.infoHash, peerOf("finished", { isSeed: false }));
  session.peerOnline(seed.metainfo.infoHash, peerOf("unfinished", { isSeed: false }));
  assert.equal(obstacle(seed, "finished"), "not-needed");
  assert.equal(obstacle(seed, "unfinished"), "due", "who lacks pieces dials first");
});

test("a client that has all it wants dials no seed, until it wants more: then at once", async (t) => {
  const { session, join } = await stage(t);
  const part = join("a", { wanted: new Bitfield(PIECE_COUNT) });
  const { infoHash } = part.metainfo;
  session.peerOnline(infoHash, peerOf("seed"));
  assert.equal(obstacle(part, "seed"), "not-needed");
  const ticks = t.mock.method(part.torrent, "tick");
  await until("the torrent is idle", () => part.torrent.isIdle);
  session.want("f".repeat(40), Bitfield.full(PIECE_COUNT));
  assert.equal(session.read("f".repeat(40), { positionBytes: 0 }), undefined);
  const reader = session.read(infoHash, { positionBytes: 0 });
  assert.equal(await reader?.readable(0, 1), 0, "it is not wanted");
  assert.equal(part.torrent.hasAllWanted, true);
  session.want(infoHash, Bitfield.full(PIECE_COUNT));
  assert.equal(part.torrent.hasAllWanted, false);
  assert.equal(obstacle(part, "seed"), "tried");
  await until("it ticks again", () => ticks.mock.callCount() > 0);
});

test("without a certificate nobody is dialled, and one is asked for; a peer that goes offline is forgotten", async (t) => {
  const { session, join, state, missing } = await stage(t);
  const { credentials } = state;
  state.credentials = undefined;
  const film = join("a");
  const { infoHash } = film.metainfo;
  session.peerOnline(infoHash, peerOf("b"));
  assert.deepEqual([obstacle(film, "b"), missing], ["no-certificate", ["films"]]);
  state.credentials = credentials;
  film.connections.tick();
  assert.equal(obstacle(film, "b"), "tried");
  assert.deepEqual(missing, ["films"]);
  session.peerOffline(infoHash, "b");
  assert.deepEqual(film.connections.contacts(), []);
});

/** A port that takes connections and says nothing. */
async function silentPort(t: TestContext): Promise<number> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

test("places to dial from are taken, given back, and missed by those that find none", async (t) => {
  const { after } = virtualTime(t);
  // Three of the four places are to dial from.
  const { session, join, takenCount } = await stage(t, { connections: 4 });
  const port = await silentPort(t);
  const films = ["a", "b", "c", "d"].map((name) => join(name));
  for (const film of films) session.peerOnline(film.metainfo.infoHash, peerOf("nobody", { port }));
  assert.deepEqual(
    films.map((film) => obstacle(film, "nobody")),
    ["tried", "tried", "tried", "no-descriptors"],
  );
  assert.equal(takenCount(), 1);
  const [first] = films;
  assert.ok(first);
  session.remove(first.metainfo.infoHash, "over");
  const last = films[3];
  assert.ok(last);
  // A tenth of a second a look; sockets close in their own time.
  for (let tick = 0; tick < 20 && obstacle(last, "nobody") !== "tried"; tick++) await after(100);
  assert.equal(obstacle(last, "nobody"), "tried", "the place is free again");
});

test("a torrent that has a connection leaves the last place to those that have none", async (t) => {
  const { session, join } = await stage(t, { connections: 4 });
  const port = await silentPort(t);
  const find = (film: ActiveTorrent) => {
    session.peerOnline(film.metainfo.infoHash, peerOf("z", { port }));
    return obstacle(film, "z");
  };
  const rich = join("rich");
  connected(session, new FakeSocket(rich, "bob"));
  assert.deepEqual([find(join("a")), find(join("b"))], ["tried", "tried"]);
  assert.equal(find(rich), "due");
  assert.equal(find(join("c")), "tried");
});

test("a torrent that is dialling leaves the places to those that do not", async (t) => {
  const { session, join } = await stage(t, { connections: 4 });
  const film = join("a");
  const port = await silentPort(t);
  for (const deviceId of ["b", "c", "d"])
    session.peerOnline(film.metainfo.infoHash, peerOf(deviceId, { port }));
  assert.deepEqual(
    ["b", "c", "d"].map((deviceId) => obstacle(film, deviceId)),
    ["tried", "tried", "due"],
  );
});

test("a torrent whose only dial failed dials again, from the only place", async (t) => {
  const { after } = virtualTime(t);
  const { session, join } = await stage(t, { connections: 1 });
  const film = join("a");
  session.peerOnline(film.metainfo.infoHash, peerOf("b"));
  const nextDialInMs = () => film.connections.contacts()[0]?.nextDialInMs ?? 0;
  await until("it has failed", () => nextDialInMs() > 0);
  for (let tick = 0; tick < 10 && nextDialInMs() <= 500; tick++) await after(100);
  assert.ok(nextDialInMs() > 500, "it has not failed again");
});

/** Four files, of which three take all places, and the last waits for one. */
async function crowded(t: TestContext) {
  const { after } = virtualTime(t);
  const { session, join } = await stage(t, { connections: 4 });
  const port = await silentPort(t);
  const find = (film: ActiveTorrent, changes: Partial<PeerAddress> = {}) =>
    session.peerOnline(film.metainfo.infoHash, peerOf("z", { port, ...changes }));
  const [first, ...others] = ["a", "b", "c"].map((name) => join(name));
  assert.ok(first);
  for (const film of [first, ...others]) find(film);
  const waiting = join("waiting");
  /** Takes a place from a file that has one. */
  const free = async () => {
    session.remove(first.metainfo.infoHash, "over");
    await settle(50);
  };
  return { after, session, join, find, waiting, free };
}

test("a file that waits for a place does not any more once somebody has connected", async (t) => {
  const { session, find, waiting } = await crowded(t);
  find(waiting);
  assert.equal(obstacle(waiting, "z"), "no-descriptors");
  connected(session, new FakeSocket(waiting, "bob")).close("over");
  assert.equal(obstacle(waiting, "z"), "due");
});

test("a file that is gone keeps no place from others", async (t) => {
  const { session, join, find, waiting, free } = await crowded(t);
  find(waiting);
  const next = join("next");
  session.remove(waiting.metainfo.infoHash, "over");
  await free();
  find(next);
  assert.equal(obstacle(next, "z"), "tried");
});

test("when files wait, peers of one that is available whole are dialled first", async (t) => {
  const { after, join, find, waiting, free } = await crowded(t);
  find(waiting, { isSeed: false });
  const whole = join("whole");
  find(whole);
  await free();
  await after(100);
  assert.deepEqual([obstacle(waiting, "z"), obstacle(whole, "z")], ["no-descriptors", "tried"]);
});

test("a connection that comes and finds no place is missed too", async (t) => {
  const { session, takenCount } = await stage(t);
  t.mock.method(ConnectionPlaces.prototype, "take", () => false);
  const socket = connect(session.port, "127.0.0.1");
  socket.on("error", () => undefined);
  t.after(() => socket.destroy());
  await until("it is told", () => takenCount() === 1);
});

test("each torrent has the limits of its share", async (t) => {
  const { join, bandwidth } = await stage(t);
  const of = t.mock.method(bandwidth, "begun");
  join("a", { isComplete: true });
  assert.deepEqual(
    of.mock.calls.map((call) => call.arguments),
    [[{ groupId: "films", fileName: "a" }]],
  );
});

test("where places are missed, connections over which nothing flows give way: those of who has most, and no young one", async (t) => {
  const { after } = virtualTime(t);
  const { session, join } = await stage(t, { connections: 8 });
  const film = join("a");
  const add = (userId: string, deviceId: string, isDialled = false) =>
    connected(session, new FakeSocket(film, userId, { deviceId, isDialled }));
  const one = add("bob", "b1");
  const many = ["c1", "c2", "c3"].map((deviceId) => add("carol", deviceId));
  const dialled = add("dave", "d1", true);
  const useful = ["e1", "e2", "e3"].map((deviceId) => add("eve", deviceId));
  const flows: Record<string, object> = {
    e1: { uploadBytesPerSecond: 1 },
    e2: { downloadBytesPerSecond: 1 },
    e3: { requestsOutstanding: 1 },
  };
  const status = film.torrent.status.bind(film.torrent);
  t.mock.method(film.torrent, "status", () => ({
    ...status(),
    peers: status().peers.map((peer) => ({ ...peer, ...flows[peer.deviceId] })),
  }));
  await after(9_999);
  session.noPlace("in");
  const closedOf = (sockets: readonly FakeSocket[]) => sockets.filter(({ closed }) => closed).length;
  assert.equal(closedOf([one, ...many, dialled, ...useful]), 0, "they may be of use yet");
  await after(2_999);
  session.noPlace("in");
  assert.equal(closedOf([one, ...many]), 0, "it is not looked again so soon");
  await after(1);
  session.noPlace("in");
  // A quarter of the six places of a direction, rounded up.
  assert.deepEqual([closedOf(many), closedOf([one]), closedOf([dialled]), closedOf(useful)], [2, 0, 0, 0]);
  assert.match(many[0]?.closed?.reason ?? "", /nothing flows over it/);
  await after(3_000);
  session.noPlace("in");
  assert.deepEqual(
    [many, [one], [dialled], useful].map((sockets) => closedOf(sockets)),
    [3, 1, 0, 0],
  );
  await after(3_000);
  session.noPlace("in");
  assert.deepEqual([closedOf([dialled]), closedOf(useful)], [0, 0], "none of these has to go, ever");
});

test("for a file that waits to dial, as many dialled connections give way as files wait", async (t) => {
  const { after } = virtualTime(t);
  const { session, join, takenCount } = await stage(t, { connections: 4 });
  const port = await silentPort(t);
  const rich = join("rich");
  const idle = ["b", "c"].map((user) => connected(session, new FakeSocket(rich, user, { isDialled: true })));
  const incoming = connected(session, new FakeSocket(rich, "d"));
  const films = ["1", "2", "3"].map((name) => join(name));
  await after(1);
  for (const film of films) session.peerOnline(film.metainfo.infoHash, peerOf("x", { port }));
  await after(9_999); // a dial is given up after ten seconds
  const waiting = join("waiting");
  session.peerOnline(waiting.metainfo.infoHash, peerOf("x", { port }));
  assert.equal(obstacle(waiting, "x"), "no-descriptors");
  assert.ok(takenCount() >= 1);
  assert.deepEqual([idle.filter(({ closed }) => closed).length, incoming.closed], [1, undefined]);
});

test("torrents in which nothing happens are looked at about once a second, one in which something does ten times", async (t) => {
  const { after } = virtualTime(t);
  const { join } = await stage(t);
  const idle = Array.from({ length: 9 }, (_, at) => join(`idle ${at}`, { isComplete: true }));
  const busy = join("busy");
  const ticks = [...idle, busy].map(({ connections }) => t.mock.method(connections, "tick"));
  const torrentTicks = t.mock.method(busy.torrent, "tick");
  for (const { torrent } of idle) t.mock.getter(torrent, "isIdle", () => true);
  t.mock.getter(busy.torrent, "isIdle", () => false);
  await after(100); // the idle ones fall asleep
  const before = ticks.map(({ mock }) => mock.callCount());
  for (let tick = 0; tick < 55; tick++) await after(100);
  const counts = ticks.map(({ mock }, at) => mock.callCount() - (before[at] ?? 0));
  assert.deepEqual([counts.at(-1), torrentTicks.mock.callCount()], [55, 56]);
  for (const count of counts.slice(0, -1)) assert.ok(count === 5 || count === 6, `${counts}`);
});

test("while nothing happens in any torrent, the process wakes once a second, and at once for a connection", async (t) => {
  const { after } = virtualTime(t);
  const { session, join, bandwidth } = await stage(t);
  const films = Array.from({ length: 25 }, (_, at) => join(`idle ${at}`, { isComplete: true }));
  const ticks = films.map(({ connections }) => t.mock.method(connections, "tick"));
  const wakes = t.mock.method(bandwidth, "tick");
  await after(100); // they fall asleep
  const [wakesBefore, before] = [wakes.mock.callCount(), ticks.map(({ mock }) => mock.callCount())];
  for (let second = 0; second < 5; second++) await after(1_000);
  assert.equal(wakes.mock.callCount() - wakesBefore, 5);
  assert.deepEqual(
    ticks.map(({ mock }, at) => mock.callCount() - (before[at] ?? 0)),
    new Array(25).fill(5),
  );
  connected(session, new FakeSocket(films[0] ?? assert.fail(), "bob"));
  const woken = wakes.mock.callCount();
  for (let tick = 0; tick < 5; tick++) await after(100);
  assert.equal(wakes.mock.callCount() - woken, 5);
});

test("a torrent that falls asleep wakes up when somebody connects, or something happens in it", async (t) => {
  const { after } = virtualTime(t);
  const { session, join } = await stage(t);
  const film = join("a");
  const state = { isIdle: true };
  t.mock.getter(film.torrent, "isIdle", () => state.isIdle);
  const ticks = t.mock.method(film.torrent, "tick");
  await after(100);
  state.isIdle = false;
  await after(1_000);
  await after(100);
  assert.ok(ticks.mock.callCount() >= 1, "the round finds it");
  state.isIdle = true;
  await after(100);
  state.isIdle = false;
  const before = ticks.mock.callCount();
  connected(session, new FakeSocket(film, "bob"));
  await after(100);
  assert.equal(ticks.mock.callCount(), before + 1);
});

test("a torrent whose tick fails ten times in a row is given up, once; one that recovers is not", async (t) => {
  const { after } = virtualTime(t);
  t.after(onTimerFault(() => undefined));
  const { join, events } = await stage(t);
  const film = join("a");
  const state = { isFailing: true };
  t.mock.getter(film.torrent, "isIdle", () => false);
  t.mock.method(film.torrent, "tick", () => {
    if (state.isFailing) throw new Error("a bug");
  });
  for (let tick = 0; tick < 9; tick++) await after(100);
  state.isFailing = false;
  await after(100);
  state.isFailing = true;
  for (let tick = 0; tick < 9; tick++) await after(100);
  assert.deepEqual(events, []);
  for (let tick = 0; tick < 20; tick++) await after(100);
  assert.deepEqual(
    events.map(({ type }) => type),
    ["tick-failed"],
  );
});

test("a torrent that was left does not tick any more", async (t) => {
  const { after } = virtualTime(t);
  const { session, join } = await stage(t);
  const film = join("a");
  const ticks = t.mock.method(film.connections, "tick");
  session.remove(film.metainfo.infoHash, "over");
  await after(2_000);
  assert.equal(ticks.mock.callCount(), 0);
});

test("memory that is free again is offered to all torrents", async (t) => {
  const { session, join } = await stage(t);
  const offered = ["a", "b"].map((name) => t.mock.method(join(name).torrent, "roomAvailable"));
  session.roomAvailable();
  assert.deepEqual(
    offered.map(({ mock }) => mock.callCount()),
    [1, 1],
  );
});

test("two members of a group find each other over TLS, and a place is free again after that", async (t) => {
  const alice = await stage(t, { userId: "alice" });
  const bob = await stage(t, { userId: "bob", connections: 1 });
  const seed = alice.join("a", { isComplete: true });
  const leecher = bob.join("a");
  const { infoHash } = leecher.metainfo;
  // Nobody listens at the first of her addresses.
  const hosts = { host: "127.0.0.2", otherHosts: ["127.0.0.1"] };
  bob.session.peerOnline(infoHash, peerOf(alice.deviceId, { ...hosts, port: alice.session.port }));
  await until(
    "they are connected",
    () => leecher.connections.connectedCount + seed.connections.connectedCount === 2,
  );
  const [socket] = leecher.connections.connected();
  assert.deepEqual([socket?.userId, socket?.isDialled], ["alice", true]);
  const second = bob.join("b");
  bob.session.peerOnline(second.metainfo.infoHash, peerOf("x"));
  assert.equal(obstacle(second, "x"), "no-descriptors", "the only place is taken");
  alice.session.remove(infoHash, "no longer shared", { reason: "not-shared" });
  await until("the connection is gone", () => leecher.connections.connectedCount === 0);
  assert.deepEqual(leecher.connections.contacts()[0]?.farewell, { reason: "not-shared" });
  await until("its place is free", () => {
    second.connections.tick();
    return obstacle(second, "x") !== "no-descriptors";
  });
  assert.deepEqual(alice.session.hosts, ["127.0.0.1"]);
});

test("a member is refused who shows another group's certificate", async (t) => {
  const alice = await stage(t, { userId: "alice" });
  const mallory = await stage(t, { userId: "mallory" });
  const seed = alice.join("a", { isComplete: true });
  mallory.state.credentials = { ...(await member(other, "mallory")), authorityPem: authority.certificatePem };
  const leecher = mallory.join("a");
  mallory.session.peerOnline(leecher.metainfo.infoHash, peerOf(alice.deviceId, { port: alice.session.port }));
  await until("the dial fails", () => leecher.connections.contacts()[0]?.lastFailure !== undefined);
  assert.equal(seed.connections.connectedCount, 0);
});
