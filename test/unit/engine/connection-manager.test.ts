import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { PeerAddress } from "../../../src/api/schemas.ts";
import { ConnectionManager, type ConnectionManagerOptions } from "../../../src/engine/connection-manager.ts";

/** What `ConnectionManager` uses of a socket. */
class Socket {
  readonly deviceId: string;
  readonly userId: string;
  readonly isDialled: boolean;
  readonly address: { host: string; port: number };
  silentMs = 0;
  closedFor: string | undefined;

  constructor(
    deviceId: string,
    isDialled: boolean,
    userId = `user of ${deviceId}`,
    address = { host: "127.0.0.1", port: 1 },
  ) {
    this.address = address;
    this.deviceId = deviceId;
    this.userId = userId;
    this.isDialled = isDialled;
  }

  close(reason: string): void {
    this.closedFor = reason;
  }
}

function connectionsOf(
  ownDeviceId: string,
  options: {
    fails?: boolean;
    isComplete?: boolean;
    wants?: (peer: PeerAddress) => boolean;
    debt?: { unansweredMs: number; patienceMs: number };
  } = {},
) {
  let nowMs = 0;
  const dialled: string[] = [];
  const connections: ConnectionManager<Socket> = new ConnectionManager<Socket>({
    ownDeviceId,
    nowMs: () => nowMs,
    log: pino({ level: "silent" }),
    isComplete: () => options.isComplete ?? false,
    wants: options.wants ?? (() => true),
    debtOf: () => options.debt,
    dial: async ({ deviceId, userId, host, port }) => {
      dialled.push(deviceId);
      if (options.fails) throw new Error("refused");
      return new Socket(deviceId, true, userId, { host, port });
    },
    onDialled: (socket) => connections.admit(socket),
  });
  const after = async (ms: number) => {
    nowMs += ms;
    connections.tick();
    await new Promise(setImmediate);
  };
  return { connections, dialled, after };
}

const peer = (deviceId: string, isSeed = false, userId = `user of ${deviceId}`): PeerAddress => ({
  userId,
  deviceId,
  host: "127.0.0.1",
  port: 1,
  isSeed,
});

test("a peer that a tracker names is dialled once, and again with growing pauses after it failed", async () => {
  const { connections, dialled, after } = connectionsOf("a", { fails: true });
  connections.peerOnline(peer("b"));
  await after(0);
  assert.equal(dialled.length, 1);
  await after(499);
  assert.equal(dialled.length, 1);
  await after(1);
  assert.equal(dialled.length, 2);
  await after(999);
  assert.equal(dialled.length, 2);
  await after(1);
  assert.equal(dialled.length, 3);
  connections.close("over");
});

test("when two peers could dial each other, the one with the higher device id waits", async () => {
  const { connections, dialled, after } = connectionsOf("m");
  connections.peerOnline(peer("a"));
  connections.peerOnline(peer("z"));
  await after(0);
  assert.deepEqual(dialled, ["z"]);
  await after(1_500);
  assert.deepEqual(dialled, ["z", "a"]);
});

test("a peer that lacks pieces dials a seed at once, whichever id is lower; the seed waits to be dialled", async () => {
  const leecher = connectionsOf("z");
  leecher.connections.peerOnline(peer("a", true));
  assert.deepEqual(leecher.dialled, ["a"], "not even at the next tick");
  const seed = connectionsOf("a", { isComplete: true });
  seed.connections.peersOnline([peer("z")], 0);
  await seed.after(1_499);
  assert.deepEqual(seed.dialled, []);
  await seed.after(1);
  assert.deepEqual(seed.dialled, ["z"], "he may be where nobody can dial him");
});

test("one never dials oneself, nor somebody who is of no use", async () => {
  const { connections, dialled, after } = connectionsOf("a", { wants: (one) => !one.isSeed });
  connections.peerOnline(peer("a"));
  connections.peerOnline(peer("b", true));
  await after(60_000);
  assert.deepEqual(dialled, []);
});

test("two connections to one device: both ends keep the one that the lower device id dialled", () => {
  const lower = connectionsOf("a").connections;
  const higher = connectionsOf("b").connections;
  const atLower = { dialled: new Socket("b", true), accepted: new Socket("b", false) };
  const atHigher = { dialled: new Socket("a", true), accepted: new Socket("a", false) };
  assert.ok(lower.admit(atLower.accepted));
  assert.ok(lower.admit(atLower.dialled));
  assert.notEqual(atLower.accepted.closedFor, undefined);
  assert.ok(higher.admit(atHigher.accepted));
  assert.ok(!higher.admit(atHigher.dialled));
  assert.equal(lower.connectedCount, 1);
  assert.equal(higher.connectedCount, 1);
});

test("a second connection in the same direction replaces the first, which may be dead unnoticed", () => {
  const { connections } = connectionsOf("a");
  const first = new Socket("b", false);
  assert.ok(connections.admit(first));
  assert.ok(connections.admit(new Socket("b", false)));
  assert.notEqual(first.closedFor, undefined);
  connections.gone(first);
  assert.equal(connections.connectedCount, 1);
});

test("a peer whose connection went is dialled again; one that the tracker no longer names is not", async () => {
  const { connections, dialled, after } = connectionsOf("a");
  connections.peerOnline(peer("b"));
  await after(0);
  connections.gone([...connections.connected()][0] as Socket);
  await after(500);
  assert.deepEqual(dialled, ["b", "b"]);
  connections.gone([...connections.connected()][0] as Socket);
  connections.peersOnline([], 501);
  await after(60_000);
  assert.deepEqual(dialled, ["b", "b"]);
});

test("a peer named while the tracker was being asked is kept even if the answer does not list it", async () => {
  const { connections, dialled, after } = connectionsOf("z", { wants: () => true });
  connections.peerOnline(peer("b"));
  await after(1_000);
  connections.peerOnline(peer("c"));
  connections.peersOnline([], 1_000);
  await after(1_500);
  assert.deepEqual(dialled, ["c"]);
});

/** As many as a tracker names of a swarm that has more. */
const sample = (first: number, isSeed = true) =>
  Array.from({ length: 100 }, (_, at) => peer(`p${first + at}`, isSeed));

test("a sample adds to those who are known; who is not named for three minutes is forgotten, unless connected", async () => {
  const { connections, after } = connectionsOf("z", { wants: ({ deviceId }) => deviceId === "p0" });
  connections.peersOnline(sample(0), 0);
  await after(0);
  assert.deepEqual([connections.connectedCount, connections.knowsSample], [1, true]);
  await after(60_000);
  connections.peersOnline(sample(100), 60_000);
  assert.equal(connections.contacts().length, 199, "all but the one that is connected");
  await after(180_000);
  connections.peersOnline(sample(200), 240_000);
  assert.equal(connections.contacts().length, 200, "the first hundred are forgotten");
  connections.gone([...connections.connected()][0] as Socket);
  assert.equal(connections.contacts().length, 201, "who was connected is known still");
  connections.peersOnline([peer("p1")], 240_001);
  assert.deepEqual(
    [connections.contacts().length, connections.knowsSample],
    [1, false],
    "a short list is whole",
  );
});

test("some hundreds of peers are remembered, the last named ones", async () => {
  const { connections, after } = connectionsOf("z", { wants: () => false });
  for (let round = 0; round < 50; round++) {
    await after(100);
    connections.peersOnline(sample(round * 100), round * 100);
  }
  for (let at = 0; at < 1_000; at++) connections.peerOnline(peer(`q${at}`));
  const known = connections.contacts().length;
  assert.ok(known >= 100 && known <= 500, `${known} are known`);
});

test("past 150 connections nobody else who dials is taken in, but for who takes the place of its own older one", () => {
  const { connections } = connectionsOf("z");
  const sockets = Array.from({ length: 200 }, (_, at) => new Socket(`p${at}`, false));
  assert.equal(sockets.filter((socket) => connections.admit(socket)).length, 150);
  assert.equal(connections.admit(new Socket("p0", false)), true);
  connections.gone(sockets[1] as Socket);
  assert.equal(connections.admit(sockets[199] as Socket), true);
});

test("a peer that refuses is dialled with growing pauses: up to half a minute, or five minutes with enough others", async () => {
  const { connections, dialled, after } = connectionsOf("z", {
    wants: ({ deviceId }) => deviceId === "full",
  });
  const full = peer("full", true);
  const refuse = () => {
    for (const socket of [...connections.connected()]) {
      if (socket.deviceId === "full") connections.gone(socket);
    }
  };
  const pauses = async (count: number): Promise<number[]> => {
    const found: number[] = [];
    for (let sinceMs = 0; found.length < count; sinceMs += 500) {
      assert.ok(sinceMs < 1_000_000, "it is not dialled any more");
      const before = dialled.length;
      await after(500);
      if (dialled.length === before) continue;
      found.push(sinceMs + 500);
      refuse();
      sinceMs = -500;
    }
    return found;
  };
  connections.peerOnline(full);
  await after(0);
  refuse();
  assert.deepEqual(await pauses(8), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  for (let at = 0; at < 20; at++) connections.admit(new Socket(`p${at}`, false));
  connections.peersOnline([...sample(0).slice(1), full], 0);
  // The pause that was set before there were others, and those that follow.
  assert.deepEqual(await pauses(4), [30_000, 256_000, 300_000, 300_000]);
});

test("one member gets a few places, dialled or dialling, with however many devices, and displaces nobody", async () => {
  const { connections, dialled, after } = connectionsOf("a");
  const admitted = Array.from({ length: 600 }, (_, at) => new Socket(`inbound ${at}`, false, "mallory"));
  assert.equal(admitted.filter((socket) => connections.admit(socket)).length, 4);
  assert.ok(connections.admit(new Socket("honest", false, "bob")));
  const [first] = admitted;
  assert.ok(first);
  assert.ok(
    connections.admit(new Socket(first.deviceId, false, "mallory")),
    "the same device again replaces itself",
  );
  connections.disconnect((socket) => socket.userId === "mallory", "over");
  for (const socket of [...connections.connected()]) connections.gone(socket);
  for (let at = 0; at < 600; at++) connections.peerOnline(peer(`named ${at}`, true, "mallory"));
  for (let at = 0; at < 10; at++) connections.peerOnline(peer(`other ${at}`, true));
  for (let round = 0; round < 10; round++) await after(2_000);
  assert.equal(dialled.filter((deviceId) => deviceId.startsWith("named")).length, 4);
  assert.equal(dialled.filter((deviceId) => deviceId.startsWith("other")).length, 10);
});

const one = <T>(things: Iterable<T>): T => {
  const [first] = things;
  assert.ok(first !== undefined);
  return first;
};

test("a connection that owes blocks and brings nothing for seconds is replaced, once another one stands", async () => {
  const options = { fails: false, debt: { unansweredMs: 0, patienceMs: 3_000 } };
  const { connections, dialled, after } = connectionsOf("z", options);
  connections.peerOnline(peer("a", true));
  await after(60_000);
  const first = one(connections.connected());
  Object.assign(options.debt, { unansweredMs: 60_000 });
  await after(100);
  assert.equal(dialled.length, 1, "bytes come: a block is under way, however slow");
  first.silentMs = 4_900;
  await after(100);
  assert.equal(dialled.length, 1);
  first.silentMs = 5_000;
  options.fails = true;
  await after(100);
  assert.deepEqual([dialled.length, first.closedFor], [2, undefined], "in vain: the old one stays");
  options.fails = false;
  await after(500);
  assert.notEqual(first.closedFor, undefined);
  connections.gone(first);
  assert.notEqual(one(connections.connected()), first);
});

test("a silent connection is left alone while it owes nothing, or its habits explain the silence", async () => {
  const options: { debt?: { unansweredMs: number; patienceMs: number } } = {};
  const { connections, dialled, after } = connectionsOf("z", options);
  connections.peerOnline(peer("a", true));
  await after(0);
  const socket = one(connections.connected());
  socket.silentMs = 50_000;
  await after(50_000);
  options.debt = { unansweredMs: 50_000, patienceMs: 60_000 };
  await after(0);
  assert.equal(dialled.length, 1);
  options.debt = { unansweredMs: 50_000, patienceMs: 49_000 };
  await after(0);
  assert.equal(dialled.length, 2);
});

test("replacements that fall silent too are replaced with growing pauses", async () => {
  const options = { debt: { unansweredMs: 0, patienceMs: 0 } };
  const { connections, dialled, after } = connectionsOf("z", options);
  connections.peerOnline(peer("a", true));
  await after(0);
  const silences: number[] = [];
  for (let round = 0; round < 5; round++) {
    const socket = one(connections.connected());
    const before = dialled.length;
    while (dialled.length === before) {
      socket.silentMs += 1_000;
      options.debt.unansweredMs = socket.silentMs;
      await after(1_000);
    }
    silences.push(socket.silentMs);
  }
  assert.deepEqual(silences, [5_000, 10_000, 20_000, 40_000, 80_000]);
});

test("a device that trackers name at another address is dialled there at once if nothing comes from the old one", async () => {
  const options = { debt: { unansweredMs: 1_000, patienceMs: 30_000 } };
  const { connections, dialled, after } = connectionsOf("z", options);
  connections.peerOnline(peer("a", true));
  await after(0);
  const socket = one(connections.connected());
  connections.peerOnline({ ...peer("a", true), host: "127.0.0.2" });
  await after(0);
  assert.equal(dialled.length, 1, "it gives, whatever trackers say");
  socket.silentMs = 1_000;
  connections.peerOffline("a");
  connections.peerOnline({ ...peer("a", true), host: "127.0.0.2" });
  await after(0);
  assert.equal(dialled.length, 2);
  assert.equal(one(connections.connected()).address.host, "127.0.0.2");
});

test("a dial that is under way to the address that a device has left does not hold up the one to its new address", async () => {
  const dialled: string[] = [];
  const connections: ConnectionManager<Socket> = new ConnectionManager<Socket>({
    ownDeviceId: "z",
    nowMs: () => 0,
    log: pino({ level: "silent" }),
    isComplete: () => false,
    wants: () => true,
    debtOf: () => undefined,
    dial: ({ host }, signal) => {
      dialled.push(host);
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
    onDialled: () => assert.fail("nobody answers"),
  });
  connections.peerOnline(peer("a", true));
  connections.peerOnline({ ...peer("a", true), host: "127.0.0.2" });
  connections.ownAddressChanged();
  connections.tick();
  await new Promise(setImmediate);
  assert.deepEqual(dialled, ["127.0.0.1", "127.0.0.2", "127.0.0.2"]);
  connections.close("over");
});

test("a second connection from the other end is taken later on, since that end has lost the first; not at once", async () => {
  const { connections, after } = connectionsOf("a", { wants: () => false });
  const own = new Socket("b", true);
  assert.ok(connections.admit(own));
  assert.ok(!connections.admit(new Socket("b", false)));
  await after(10_000);
  const again = new Socket("b", false);
  assert.ok(connections.admit(again));
  assert.notEqual(own.closedFor, undefined);
  assert.equal(one(connections.connected()), again);
});

test("where another device answers than trackers say, it is dialled again with growing pauses, and does not displace itself", async () => {
  let nowMs = 0;
  const made: Socket[] = [];
  const connections: ConnectionManager<Socket> = new ConnectionManager<Socket>({
    ownDeviceId: "z",
    nowMs: () => nowMs,
    log: pino({ level: "silent" }),
    isComplete: () => false,
    wants: () => true,
    debtOf: () => undefined,
    dial: async ({ userId }) => {
      const socket = new Socket("its next device", true, userId);
      made.push(socket);
      return socket;
    },
    onDialled: (socket) => connections.admit(socket),
  });
  connections.peerOnline(peer("its last device", true));
  for (; nowMs < 10_000; nowMs += 100) {
    connections.tick();
    await new Promise(setImmediate);
  }
  assert.equal(made.length, 5, "at 0, 0.5, 1.5, 3.5 and 7.5 s");
  assert.equal(one(connections.connected()), made[0]);
  assert.equal(made[0]?.closedFor, undefined);
});

test("says of each peer that is named why it is not connected: its turn, our limits, what it said as it left", async () => {
  const { connections, after } = connectionsOf("a", { wants: (one) => one.deviceId !== "unwanted" });
  const of = (deviceId: string) => connections.contacts().find((contact) => contact.deviceId === deviceId);
  connections.peerOnline(peer("b", true));
  await after(0);
  assert.equal(of("b"), undefined, "it is connected");
  const [socket] = connections.connected();
  assert.ok(socket);
  connections.gone(socket, { reason: "changed" });
  assert.deepEqual(of("b")?.farewell, { reason: "changed" });
  assert.equal(of("b")?.lastFailure, "the connection ended.");

  for (let device = 0; device < 6; device++) connections.peerOnline(peer(`c${device}`, true, "carol"));
  await after(0);
  const waiting = connections.contacts().filter(({ userId }) => userId === "carol");
  assert.deepEqual(new Set(waiting.map(({ obstacle }) => obstacle)), new Set(["user-full"]));
  const another = new Socket("c9", false, "carol");
  assert.ok(!connections.admit(another));
  assert.deepEqual(connections.farewellTo(another), { reason: "user-full" });

  for (let device = 0; device < 150; device++) connections.admit(new Socket(`d${device}`, false));
  connections.peerOnline(peer("e", true));
  assert.equal(of("e")?.obstacle, "no-room");
  const late = new Socket("late", false);
  assert.ok(!connections.admit(late));
  assert.deepEqual(connections.farewellTo(late), { reason: "full" });
});

/** A connection manager whose dials wait for the test. */
function dialling(ownDeviceId = "z", changes: Partial<ConnectionManagerOptions<Socket>> = {}) {
  const time = { nowMs: 0 };
  const dials: {
    peer: PeerAddress;
    signal: AbortSignal;
    stands: (deviceId?: string) => Promise<Socket>;
    fails: (error: unknown) => Promise<void>;
  }[] = [];
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const connections: ConnectionManager<Socket> = new ConnectionManager<Socket>({
    ownDeviceId,
    nowMs: () => time.nowMs,
    log: pino({ level: "silent" }),
    isComplete: () => false,
    wants: () => true,
    debtOf: () => undefined,
    dial: (peer, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<Socket>();
      dials.push({
        peer,
        signal,
        stands: async (deviceId = peer.deviceId) => {
          const socket = new Socket(deviceId, true, peer.userId, { host: peer.host, port: peer.port });
          resolve(socket);
          await turn();
          return socket;
        },
        fails: async (error) => {
          reject(error);
          await turn();
        },
      });
      return promise;
    },
    onDialled: (socket) => connections.admit(socket),
    ...changes,
  });
  const after = (ms: number) => {
    time.nowMs += ms;
    connections.tick();
  };
  const contact = (deviceId: string) => connections.contacts().find((one) => one.deviceId === deviceId);
  return { connections, dials, after, contact };
}

test("eight are dialled at once, and the next when one of them is over", async () => {
  const { connections, dials, after } = dialling();
  connections.peersOnline(sample(0), 0);
  assert.equal(dials.length, 8, "the first at once");
  await dials[0]?.stands();
  await dials[1]?.fails(new Error("refused"));
  after(0);
  assert.equal(dials.length, 10);
});

test("with a hundred connections, those that are being dialled among them, nobody else is dialled", async () => {
  const { connections, dials, after, contact } = dialling();
  for (let at = 0; at < 96; at++) connections.admit(new Socket(`in ${at}`, false));
  connections.peersOnline(sample(0), 0);
  assert.equal(dials.length, 4);
  assert.equal(contact("p50")?.obstacle, "no-room");
  assert.equal(contact("p0")?.obstacle, undefined, "it is being dialled");
  for (const dial of dials) await dial.stands();
  after(100);
  assert.equal(dials.length, 4);
  const ours = new Socket("ours", true);
  for (let at = 96; at < 146; at++) connections.admit(new Socket(`in ${at}`, false));
  assert.ok(!connections.admit(new Socket("theirs", false)));
  assert.ok(connections.admit(ours), "one that this side has dialled is not refused for want of room");
});

test("a connection that lasted is no failure; one that did not is", async () => {
  const { connections, dialled, after } = connectionsOf("a");
  connections.peerOnline(peer("b"));
  await after(0);
  const lose = () => connections.gone(one(connections.connected()));
  lose();
  await after(500);
  await after(9_999);
  lose();
  await after(999);
  assert.equal(dialled.length, 2, "it is the second failure in a row");
  await after(1);
  assert.equal(dialled.length, 3);
  await after(10_000);
  lose();
  await after(500);
  assert.equal(dialled.length, 4, "the first failure again");
});

test("a peer that is named again and again is dialled no sooner for that", async () => {
  const { connections, dialled, after } = connectionsOf("a", { fails: true });
  connections.peerOnline(peer("b"));
  await after(0);
  for (const pauseMs of [500, 1_000]) {
    connections.peerOnline(peer("b"));
    connections.peersOnline([peer("b")], 0);
    const before = dialled.length;
    await after(pauseMs - 1);
    assert.equal(dialled.length, before);
    await after(1);
    assert.equal(dialled.length, before + 1);
  }
});

test("a peer named at another address, also one of several, is dialled at once", async () => {
  const { connections, dialled, after } = connectionsOf("a", { fails: true });
  connections.peerOnline(peer("b"));
  await after(0);
  let place = peer("b");
  for (const change of [{ host: "127.0.0.2" }, { port: 2 }, { otherHosts: ["127.0.0.3"] }]) {
    const before = dialled.length;
    place = { ...place, ...change };
    connections.peerOnline(place);
    await after(0);
    assert.equal(dialled.length, before + 1, JSON.stringify(change));
  }
});

test("a dial is given up when its peer goes offline, or the connection manager closes; what stands all the same is closed", async () => {
  const { connections, dials } = dialling();
  connections.peerOnline(peer("b", true));
  connections.peerOnline(peer("c", true));
  connections.peerOffline("b");
  assert.deepEqual(
    dials.map(({ signal }) => signal.aborted),
    [true, false],
  );
  const late = await dials[0]?.stands();
  assert.equal(late?.closedFor, "not needed any more");
  assert.equal(connections.connectedCount, 0);
  connections.close("over");
  assert.equal(dials[1]?.signal.aborted, true);
  assert.deepEqual(connections.contacts(), []);
  assert.ok(!connections.admit(new Socket("d", false)), "nobody is let in any more");
});

test("a dial that was given up for a new address is no failure, and does not end the one to it", async () => {
  const { connections, dials, after, contact } = dialling();
  connections.peerOnline(peer("b", true));
  connections.peerOnline({ ...peer("b", true), host: "127.0.0.2" });
  await dials[0]?.fails(new Error("given up"));
  after(0);
  assert.equal(dials.length, 2);
  assert.deepEqual([contact("b")?.isDialling, contact("b")?.lastFailure], [true, undefined]);
});

test("this device itself is not let in", () => {
  const { connections } = connectionsOf("a");
  assert.ok(!connections.admit(new Socket("a", false)));
});

test("why a peer was not reached is said, a clock that is wrong apart, and when it is dialled next", async () => {
  const { connections, dials, after, contact } = dialling();
  connections.peerOnline(peer("b", true));
  assert.deepEqual([contact("b")?.isDialling, contact("b")?.nextDialInMs], [true, undefined]);
  await dials[0]?.fails(new MiniTorrentError("CLOCK_WRONG", "A clock is wrong."));
  assert.deepEqual(
    [
      contact("b")?.isDialling,
      contact("b")?.nextDialInMs,
      contact("b")?.lastFailure,
      contact("b")?.isClockFailure,
    ],
    [false, 500, "A clock is wrong.", true],
  );
  after(500);
  await dials[1]?.stands();
  connections.gone(one(connections.connected()), { reason: "paused" });
  assert.deepEqual([contact("b")?.farewell, contact("b")?.isClockFailure], [{ reason: "paused" }, false]);
  after(1_000);
  await dials[2]?.fails(new Error("refused"));
  assert.equal(contact("b")?.farewell, undefined, "what it said before is out of date");
  assert.match(contact("b")?.lastFailure ?? "", /refused/);
});

test("a peer whose time has come waits for nothing", () => {
  const { connections, contact, after } = dialling("z", { wants: () => false });
  connections.peerOnline(peer("b", true));
  after(60_000);
  assert.equal(contact("b")?.nextDialInMs, 0);
});

test("seeds are counted among those whom trackers name", () => {
  const { connections } = dialling();
  connections.peersOnline([peer("a", true), peer("b"), peer("c", true)], 0);
  assert.equal(connections.seedCount, 2);
});

test("twenty keys of one member are remembered", () => {
  const { connections } = dialling();
  for (let at = 0; at < 100; at++) connections.peerOnline(peer(`${at}`, true, "mallory"));
  connections.peerOnline(peer("b", true));
  assert.equal(connections.contacts().length, 21);
});

test("past four hundred, the one that was named longest ago is forgotten, unless it is connected or being dialled", async () => {
  const { connections, dials, after, contact } = dialling("z", {
    wants: ({ deviceId }) => deviceId === "p0" || deviceId === "p1",
  });
  connections.peerOnline(peer("p0", true));
  connections.peerOnline(peer("p1", true));
  await dials[0]?.stands();
  for (let at = 2; at < 400; at++) {
    after(1);
    connections.peerOnline(peer(`p${at}`, true));
  }
  after(1);
  connections.peerOnline(peer("p2", true)); // named anew
  connections.peerOnline(peer("new", true));
  const known = (deviceId: string) => contact(deviceId) !== undefined;
  assert.deepEqual(["p1", "p2", "p3", "p4", "new"].map(known), [true, true, false, true, true]);
  assert.equal(connections.contacts().length, 399);
});

test("a second connection to the same device is told nothing, however full it is here", () => {
  const { connections } = connectionsOf("a");
  for (let device = 0; device < 4; device++) connections.admit(new Socket(`${device}`, true, "bob"));
  assert.equal(connections.farewellTo(new Socket("0", false, "bob")), undefined);
  assert.deepEqual(connections.farewellTo(new Socket("4", false, "bob")), { reason: "user-full" });
});

test("when two were dialled at once, a silent one gives way", () => {
  const options = { debt: { unansweredMs: 6_000, patienceMs: 0 } };
  const { connections } = connectionsOf("a", options);
  const own = new Socket("b", true);
  assert.ok(connections.admit(own));
  own.silentMs = 6_000;
  assert.ok(connections.admit(new Socket("b", false)));
});

test("a silent connection is replaced only where something is missing, owed for as long, and the peer is wanted", async () => {
  const silence = async (changes: Partial<ConnectionManagerOptions<Socket>>, unansweredMs = 50_000) => {
    let isWanted = true;
    const { connections, dials, after } = dialling("z", {
      debtOf: () => ({ unansweredMs, patienceMs: 0 }),
      wants: () => isWanted,
      ...changes,
    });
    connections.peerOnline(peer("b", true));
    if (dials.length === 0) after(1_500);
    const socket = await dials[0]?.stands();
    assert.ok(socket);
    socket.silentMs = 50_000;
    isWanted = changes.wants === undefined;
    after(100);
    return dials.length;
  };
  assert.equal(await silence({}), 2);
  assert.equal(await silence({ isComplete: () => true }), 1);
  assert.equal(await silence({}, 4_999), 1, "it has not owed anything for long");
  let asked = 0;
  assert.equal(await silence({ wants: () => asked++ === 0 }), 1);
});

test("replacements are at most half a dozen times slower, and as quick as before after five good minutes", async () => {
  const options = { debt: { unansweredMs: 0, patienceMs: 0 } };
  const { connections, dialled, after } = connectionsOf("z", options);
  connections.peerOnline(peer("a", true));
  await after(0);
  const silence = async () => {
    const socket = one(connections.connected());
    const before = dialled.length;
    while (dialled.length === before) {
      socket.silentMs += 1_000;
      options.debt.unansweredMs = socket.silentMs;
      await after(1_000);
    }
    return socket.silentMs;
  };
  const silences: number[] = [];
  for (let round = 0; round < 7; round++) silences.push(await silence());
  assert.deepEqual(silences.slice(5), [160_000, 160_000]);
  options.debt.unansweredMs = 0;
  await after(300_000);
  await silence();
  assert.equal(await silence(), 5_000);
});

test("a connection to any of a peer's addresses is at the right one; an accepted one's port says nothing", async () => {
  const of = async (address: { host: string; port: number }, isDialled: boolean) => {
    const { connections, dials, after } = dialling("z", {
      debtOf: () => ({ unansweredMs: 1_000, patienceMs: 0 }),
    });
    const socket = new Socket("b", isDialled, "bob", address);
    assert.ok(connections.admit(socket));
    connections.peerOnline({ ...peer("b", true), otherHosts: ["127.0.0.2"], port: 1 });
    socket.silentMs = 1_000;
    after(0);
    return dials.length;
  };
  assert.equal(await of({ host: "127.0.0.1", port: 1 }, true), 0);
  assert.equal(await of({ host: "127.0.0.2", port: 1 }, true), 0);
  assert.equal(await of({ host: "127.0.0.2", port: 999 }, false), 0);
  assert.equal(await of({ host: "127.0.0.2", port: 999 }, true), 1, "it has moved to another port");
  assert.equal(await of({ host: "127.0.0.3", port: 1 }, true), 1);
});

test("with enough connections in a swarm that is known whole, retries stay half a minute apart", async () => {
  const { connections, dialled, after } = connectionsOf("z", {
    wants: ({ deviceId }) => deviceId === "full",
  });
  for (let at = 0; at < 20; at++) connections.admit(new Socket(`p${at}`, false));
  connections.peersOnline([peer("full", true)], 0);
  let lastMs = 0;
  for (let ms = 0; ms < 200_000; ms += 500) {
    const before = dialled.length;
    await after(500);
    for (const socket of [...connections.connected()])
      if (socket.deviceId === "full") connections.gone(socket);
    if (dialled.length > before) lastMs = ms;
  }
  const before = dialled.length;
  await after(30_000);
  assert.ok(dialled.length > before, `it was dialled last at ${lastMs} ms of 200,000`);
});

test("four of one member's devices that are named together are dialled", () => {
  const { connections, dials } = dialling();
  const devices = Array.from({ length: 10 }, (_, at) => peer(`${at}`, true, "mallory"));
  connections.peersOnline([...devices, peer("b", true)], 0);
  assert.deepEqual(
    dials.map((dial) => dial.peer.userId),
    ["mallory", "mallory", "mallory", "mallory", "user of b"],
  );
});
