// What a swarm too large for everybody to hear of everybody costs, and that nobody in it is left alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerAddress, TrackerEvent } from "../../../src/api/schemas.ts";
import { Connection, Connections } from "../../../src/tracker/connection.ts";
import { PeerExchange } from "../../../src/tracker/peer-exchange.ts";
import { Presence } from "../../../src/tracker/presence.ts";

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
  const exchange = new PeerExchange(members, presence, connections, setTimer);
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

test("each who joins a swarm of 300 has 50 others told of it, is named 100, and is told of by nobody when it goes", () => {
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

test("with one seed among 300, each who lacks pieces is named it; and all are reached from one by who knows whom", () => {
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
