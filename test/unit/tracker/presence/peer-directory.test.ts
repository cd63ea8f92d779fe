// What a swarm too large for everybody to hear of everybody costs, and that nobody in it is left alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerAddress, TrackerEvent } from "../../../../src/api/schemas.ts";
import { Connection, Connections } from "../../../../src/tracker/presence/client-connections.ts";
import { PeerDirectory } from "../../../../src/tracker/presence/peer-directory.ts";
import { Presence, type PresentPeer } from "../../../../src/tracker/presence/presence.ts";

const infoHash = "f".repeat(40);
const device = (at: number) => at.toString(16).padStart(64, "0");

function swarm() {
  const connections = new Connections();
  const told = new Map<string, TrackerEvent[]>();
  const answered = new Map<string, PeerAddress[]>();
  const timers = new Set<() => void>();
  const setTimer = (_delayMs: number, callback: () => void) => {
    timers.add(callback);
    return () => timers.delete(callback);
  };
  const presence: Presence = new Presence({
    publish: () => {},
    groupOf: () => "films",
    isMember: () => true,
    onPeerOnline: (hash, peer, isNew) => exchange.peerOnline(hash, peer, isNew),
    onPeerOffline: (hash, deviceId) => exchange.peerOffline(hash, deviceId),
    setTimer,
  });
  const members = {
    groupOf: () => "films",
    member: (_group: string, accountId: string) => ({
      ...{ accountId, userId: accountId, sinceMs: 0, membershipId: accountId },
    }),
  };
  const exchange = new PeerDirectory(members, presence, connections, setTimer);
  const runTimers = () => {
    while (timers.size > 0) for (const callback of [...timers]) if (timers.delete(callback)) callback();
  };
  const join = (at: number, isSeed: boolean): number => {
    const account = { userId: `u${at}`, accountId: `u${at}` };
    const connection = new Connection({
      ...{ id: `c${at}`, host: "10.0.0.1", deviceId: device(at), publicKeySpki: new Uint8Array() },
    });
    const events: TrackerEvent[] = [];
    let tells = 0;
    connection.tell = (event) => events.push(event);
    told.set(connection.id, events);
    connections.add(connection);
    connections.logIn(connection, account);
    presence.arrive(connection.id, account.accountId, connection.deviceId, connection.host);
    const before = total();
    void presence.announce(connection.id, 7000, [{ infoHash, isSeed }]);
    runTimers();
    tells = total() - before;
    answered.set(connection.id, exchange.peersFor(connection, infoHash));
    return tells;
  };
  const total = () => [...told.values()].reduce((sum, events) => sum + events.length, 0);
  const leave = (at: number): number => {
    const before = total();
    presence.depart(`c${at}`);
    runTimers();
    return total() - before;
  };
  return { join, leave, told, answered };
}

test("each peer that joins a swarm of 300 is announced to 50 others, is told of 100, and leaves without an event", () => {
  const { join, leave, answered } = swarm();
  for (let at = 0; at < 300; at++) {
    const tells = join(at, at % 10 === 0);
    assert.ok(tells <= 50, `${tells} were told of the ${at}th`);
    const named = answered.get(`c${at}`) ?? [];
    assert.equal(named.length, Math.min(at, 100));
    assert.ok(!named.some(({ deviceId }) => deviceId === device(at)));
  }
  for (let at = 0; at < 200; at++) assert.equal(leave(at), 0);
});

test("in a swarm of up to 50 everybody hears of everybody, when they come and when they go", () => {
  const { join, leave } = swarm();
  for (let at = 0; at < 50; at++) assert.equal(join(at, false), at);
  assert.equal(leave(7), 49);
});

test("with one seed among 300, every leecher is told of it, and the graph of known peers is connected", () => {
  const { join, told, answered } = swarm();
  for (let at = 0; at < 300; at++) join(at, at === 150);
  const knows = new Map<string, Set<string>>();
  const meet = (one: string, other: string) => {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      knows.set(from, (knows.get(from) ?? new Set()).add(to));
    }
  };
  for (let at = 0; at < 300; at++) {
    const named = answered.get(`c${at}`) ?? [];
    if (at > 150)
      assert.ok(
        named.some(({ isSeed }) => isSeed),
        `no seed was named to the ${at}th`,
      );
    for (const peer of named) meet(device(at), peer.deviceId);
    for (const event of told.get(`c${at}`) ?? []) {
      if (event.type === "peer-online") meet(device(at), event.peer.deviceId);
    }
  }
  const reached = new Set([device(0)]);
  for (const one of reached) for (const other of knows.get(one) ?? []) reached.add(other);
  assert.equal(reached.size, 300);
});

interface Had {
  readonly at: number;
  readonly isSeed: boolean;
  readonly otherHosts?: readonly string[];
}

/** An exchange whose swarm and members the test sets. Devices and connections have the same numbers. */
function scene(local: readonly Had[], elsewhere: readonly Had[] = []) {
  const connections = new Connections();
  const timers = new Map<() => void, number>();
  const state = {
    group: "films" as string | undefined,
    former: new Set<string>(),
    /** Numbers of the clients that have ended the torrent. */
    over: new Set<number>(),
    seeds: new Set([...local, ...elsewhere].filter(({ isSeed }) => isSeed).map(({ at }) => at)),
  };
  const said: string[] = [];
  const peerAt = (at: number, otherHosts: readonly string[] = []): PresentPeer => ({
    ...{ accountId: `u${at}`, deviceId: device(at), host: "10.0.0.1", otherHosts, port: 7000 },
    isSeed: state.seeds.has(at),
  });
  const numberOf = (id: string) => Number(id.slice(1));
  const announcers = () => local.filter(({ at }) => !state.over.has(at)).map(({ at }) => `c${at}`);
  const asked: unknown[] = [];
  const presence = {
    peersOf: (_hash: string, most: number, isForSeed: boolean) => {
      asked.push([most, isForSeed]);
      return [...local, ...elsewhere].slice(0, most).map(({ at, otherHosts }) => peerAt(at, otherHosts));
    },
    peerOf: (_hash: string, deviceId: string) => {
      const at = Number.parseInt(deviceId, 16);
      return state.over.has(at) ? undefined : peerAt(at);
    },
    counts: (group: string) => ({ seeders: group === "films" ? 1 : 0, peers: 2 }),
    seedAccounts: (group: string) => (group === "films" ? ["alice-1"] : []),
    hasAnnounced: (id: string) => announcers().includes(id),
    isSeed: (id: string) => state.seeds.has(numberOf(id)),
    localAnnouncers: announcers,
    localCount: () => announcers().length,
  };
  const members = {
    groupOf: () => state.group,
    member: (_group: string, accountId: string) =>
      state.former.has(accountId)
        ? undefined
        : { accountId, userId: accountId, sinceMs: 0, membershipId: accountId },
  };
  const exchange = new PeerDirectory(members, presence, connections, (delayMs, callback) => {
    timers.set(callback, delayMs);
    return () => timers.delete(callback);
  });
  const connectionOf = (at: number) => connections.byId(`c${at}`) ?? assert.fail();
  for (const { at } of local) {
    const facts = { id: `c${at}`, host: "10.0.0.1", deviceId: device(at), publicKeySpki: new Uint8Array() };
    const connection = new Connection(facts);
    connection.tell = (event) => {
      if (event.type === "peer-online") said.push(`${at} +${Number.parseInt(event.peer.deviceId, 16)}`);
      if (event.type === "peer-offline") said.push(`${at} -${Number.parseInt(event.deviceId, 16)}`);
    };
    connections.add(connection);
    connections.logIn(connection, { userId: `u${at}`, accountId: `u${at}` });
  }
  const online = (at: number, isNew = true) => exchange.peerOnline(infoHash, peerAt(at), isNew);
  /** Runs the timers that are set, and says after how long they were to run. */
  const runTimers = () => {
    const delays: number[] = [];
    for (const [callback, delayMs] of [...timers]) {
      delays.push(delayMs);
      if (timers.delete(callback)) callback();
    }
    return delays;
  };
  const heard = () => said.splice(0);
  return { exchange, connections, state, asked, timers, connectionOf, online, runTimers, heard };
}

test("peers are named to members who announced the torrent: others, of members, at all of their addresses", () => {
  const { exchange, state, asked, connectionOf } = scene(
    [
      { at: 1, isSeed: true },
      { at: 2, isSeed: false },
    ],
    [
      { at: 3, isSeed: false, otherHosts: ["10.0.0.3"] },
      { at: 4, isSeed: false },
    ],
  );
  const named = (at: number) =>
    exchange.peersFor(connectionOf(at), infoHash).map(({ userId, otherHosts }) => [userId, otherHosts]);
  state.former.add("u4");
  assert.deepEqual(named(1), [
    ["u2", undefined],
    ["u3", ["10.0.0.3"]],
  ]);
  assert.deepEqual(named(2).length, 2);
  assert.deepEqual(asked, [
    [101, true],
    [101, false],
  ]);
  state.over.add(2);
  assert.deepEqual(named(2), [], "it has not announced the torrent");
  state.over.clear();
  state.former.add("u2");
  assert.deepEqual(named(2), [], "its account is no member");
  state.group = undefined;
  assert.deepEqual(named(1), [], "no group has the torrent");
  assert.deepEqual(exchange.count("films", infoHash), { seeders: 1, peers: 2, seederAccounts: ["alice-1"] });
});

test("a hundred peers are named, whether or not the asking client is in the sample", () => {
  const elsewhere = Array.from({ length: 150 }, (_, at) => ({ at: at + 10, isSeed: false }));
  const { exchange, connectionOf } = scene([{ at: 1, isSeed: false }], elsewhere);
  assert.equal(exchange.peersFor(connectionOf(1), infoHash).length, 100);
});

test("a leecher is told of a peer at once, a seed half a second later, and no client of its own device", () => {
  const { online, heard, runTimers } = scene([
    { at: 1, isSeed: true },
    { at: 2, isSeed: false },
    { at: 3, isSeed: false },
  ]);
  assert.equal(online(2), 2);
  assert.deepEqual(heard(), ["3 +2"]);
  assert.deepEqual(runTimers(), [500]);
  assert.deepEqual(heard(), ["1 +2"]);
  assert.deepEqual([runTimers(), heard()], [[], []], "each is told once");
  online(2, false);
  assert.deepEqual(heard(), ["1 +2", "3 +2"], "what changes is told at once");
  assert.equal(online(1), 2);
  assert.deepEqual([heard(), runTimers()], [["2 +1", "3 +1"], []]);
  const seeds = scene([
    { at: 1, isSeed: true },
    { at: 2, isSeed: true },
  ]);
  seeds.online(2);
  assert.deepEqual([seeds.heard(), seeds.runTimers()], [[], []], "a seed waits to be told of a seed");
});

test("while seeds wait to be told of a peer they do not hear of its changes twice, and of its end not at all", () => {
  const { exchange, state, online, heard, runTimers } = scene([
    { at: 1, isSeed: true },
    { at: 2, isSeed: false },
  ]);
  online(2);
  online(2, false);
  assert.deepEqual(heard(), []);
  assert.deepEqual([runTimers(), heard()], [[500], ["1 +2"]]);
  online(2);
  state.over.add(2);
  exchange.peerOffline(infoHash, device(2));
  assert.deepEqual(heard(), [], "who never heard of it hears that it is gone");
  state.over.delete(2);
  runTimers();
  assert.deepEqual(heard(), []);
  online(2);
  state.seeds.add(2);
  online(2, false);
  assert.deepEqual([heard(), runTimers(), heard()], [[], [500], []], "two seeds have no use for each other");
});

test("a peer is not announced if it or the client has gone or is no member, or if the torrent is nobody's", () => {
  const cases: readonly ((all: ReturnType<typeof scene>) => unknown)[] = [
    ({ state }) => state.over.add(2),
    ({ state }) => state.over.add(1),
    ({ state }) => state.former.add("u1"),
    ({ state }) => state.former.add("u2"),
    ({ state }) => state.seeds.add(2),
    ({ state }) => {
      state.group = undefined;
    },
    ({ connections, connectionOf }) => connections.remove(connectionOf(1)),
  ];
  for (const [at, change] of cases.entries()) {
    const all = scene([
      { at: 1, isSeed: true },
      { at: 2, isSeed: false },
    ]);
    all.online(2);
    change(all);
    all.runTimers();
    assert.deepEqual(all.heard(), [], `case ${at}`);
  }
});

test("former members are told neither that a peer is there nor that it is gone", () => {
  const { exchange, state, online, heard, runTimers } = scene([
    { at: 1, isSeed: false },
    { at: 2, isSeed: false },
    { at: 3, isSeed: false },
  ]);
  state.former.add("u1");
  online(2);
  exchange.peerOffline(infoHash, device(2));
  assert.deepEqual(heard(), ["3 +2", "3 -2"]);
  assert.equal(online(1), 2);
  assert.deepEqual([heard(), runTimers()], [[], []], "nobody hears of a former member");
});

test("in a swarm of more than fifty clients nobody is told that one has gone", () => {
  const many = Array.from({ length: 51 }, (_, at) => ({ at, isSeed: false }));
  const { exchange, state, heard } = scene(many);
  exchange.peerOffline(infoHash, device(99));
  assert.deepEqual(heard(), []);
  state.over.add(0);
  exchange.peerOffline(infoHash, device(99));
  assert.equal(heard().length, 50);
});

test("a client is sent its peers when the torrent becomes known, if it lacks pieces and is there", () => {
  const { exchange, heard } = scene([
    { at: 1, isSeed: true },
    { at: 2, isSeed: false },
  ]);
  for (const id of ["c1", "c2", "c3"]) exchange.tellPeers(id, infoHash);
  assert.deepEqual(heard(), ["2 +1"]);
});

test("two hundred peers are told of in a turn, ten thousand wait, and after the end none is", () => {
  const { exchange, timers, heard, online, runTimers } = scene([{ at: 1, isSeed: true }]);
  for (let at = 0; at < 250; at++) online(at + 10);
  assert.deepEqual([runTimers(), heard().length], [[500], 200]);
  assert.deepEqual([runTimers(), heard().length], [[0], 50]);
  assert.deepEqual(runTimers(), []);
  for (let at = 0; at < 10_000; at++) online(at + 10);
  assert.equal(heard().length, 0);
  online(20_000);
  assert.equal(heard().length, 200, "more than may wait");
  assert.equal(timers.size, 1);
  exchange.close();
  assert.equal(timers.size, 0);
});
