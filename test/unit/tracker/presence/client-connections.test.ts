import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TrackerEvent } from "../../../../src/api/schemas.ts";
import {
  Connection,
  type ConnectionListeners,
  Connections,
} from "../../../../src/tracker/presence/client-connections.ts";

function connect(id = "c1", deviceId = "d", listeners?: ConnectionListeners): Connection {
  return new Connection({ id, host: "10.0.0.1", deviceId, publicKeySpki: new Uint8Array() }, listeners);
}

const event = (at: number): TrackerEvent => ({ type: "request-accepted", groupId: `group${at}` });
const ALICE = { userId: "alice", accountId: "a1" };
const BOB = { userId: "bob", accountId: "b1" };

test("a client with thousands of events in one turn is told to look again instead, and gets the last ones", async () => {
  const connection = connect();
  const heard: TrackerEvent[] = [];
  connection.listen((events) => heard.push(...events));
  for (let at = 0; at < 2_000; at++) connection.tell(event(at));
  await nextTurn();
  assert.deepEqual(
    heard.splice(0),
    Array.from({ length: 2_000 }, (_, at) => event(at)),
  );
  for (let at = 0; at < 2_001; at++) connection.tell(event(at));
  await nextTurn();
  assert.deepEqual(heard.splice(0), [{ type: "look-again" }, event(1_999), event(2_000)]);
  for (let at = 0; at < 50_000; at++) connection.tell(event(at));
  await nextTurn();
  assert.ok(heard.length <= 2_000, `${heard.length} events`);
  assert.deepEqual([heard[0], heard.at(-1)], [{ type: "look-again" }, event(49_999)]);
});

test("events of one turn come together, some hundreds in a message, to each listener, and once", async (t) => {
  const asked = t.mock.method(globalThis, "queueMicrotask");
  const connection = connect();
  const heard: (readonly TrackerEvent[])[][] = [[], []];
  for (const messages of heard) connection.listen((events) => messages.push(events));
  for (let at = 0; at < 1_001; at++) connection.tell(event(at));
  assert.deepEqual(heard, [[], []], "at the end of the turn");
  assert.equal(asked.mock.callCount(), 1);
  await nextTurn();
  for (const messages of heard) {
    assert.deepEqual(
      messages.map(({ length }) => length),
      [500, 500, 1],
    );
    assert.deepEqual(
      messages.flat(),
      Array.from({ length: 1_001 }, (_, at) => event(at)),
    );
  }
});

test("an event without a listener is neither kept nor counted, and a removed listener gets no more", async () => {
  let told = 0;
  const connection = connect("c1", "d", { onTell: () => told++ });
  connection.tell(event(1));
  const [first, second]: [TrackerEvent[], TrackerEvent[]] = [[], []];
  const end = connection.listen((events) => first.push(...events));
  connection.listen((events) => second.push(...events));
  connection.tell(event(2));
  await nextTurn();
  end();
  connection.tell(event(3));
  await nextTurn();
  assert.deepEqual([first, second, told], [[event(2)], [event(2), event(3)], 2]);
});

test("a connection has four listeners at most, and room again when one ends", () => {
  const connection = connect();
  const ends = Array.from({ length: 4 }, () => connection.listen(() => undefined));
  assert.throws(() => connection.listen(() => undefined), { code: "LIMIT_REACHED", message: /4 times/ });
  ends[0]?.();
  connection.listen(() => undefined);
});

test("a listener that fails is its connection's guard's affair", async () => {
  const faults: string[] = [];
  const guard: ConnectionListeners["guard"] =
    (where, handler) =>
    (...given) => {
      try {
        handler(...given);
      } catch {
        faults.push(where);
      }
    };
  const connection = connect("c1", "d", { guard });
  connection.listen(() => {
    throw new Error("a bug");
  });
  connection.tell(event(1));
  await nextTurn();
  assert.deepEqual(faults, ["events"]);
});

test("a session that was found at a revision holds at that revision alone, and until the logout", () => {
  let logIns = 0;
  const connection = connect("c1", "d", { onLogIn: () => logIns++ });
  connection.loggedIn(ALICE);
  connection.isStillOf(7);
  assert.deepEqual([connection.account, connection.accountAt(7), logIns], [ALICE, ALICE, 1]);
  assert.equal(connection.accountAt(8), undefined);
  connection.loggedOut();
  assert.deepEqual([connection.account, connection.accountAt(7)], [undefined, undefined]);
});

test("connections are found by id, device and account, as long as they are there", () => {
  const connections = new Connections();
  const [one, two, three] = [connect("1", "d1"), connect("2", "d1"), connect("3", "d2")];
  for (const connection of [one, two, three]) connections.add(connection);
  assert.equal(connections.hasAccounts, false);
  connections.logIn(one, ALICE);
  connections.logIn(three, ALICE);
  assert.deepEqual([connections.count, connections.countOf("a1"), connections.hasAccounts], [3, 2, true]);
  assert.deepEqual([connections.byId("2"), connections.has(two)], [two, true]);
  assert.deepEqual([connections.ofDevice("d1"), connections.ofDevice("d2")], [[one, two], [three]]);
  assert.deepEqual([connections.ofAccount("a1"), connections.accountIds()], [[one, three], ["a1"]]);
  assert.deepEqual([...connections.devices()], ["d1", "d2"], "of those that are logged in");

  connections.remove(one);
  assert.deepEqual([connections.byId("1"), connections.has(one), one.account], [undefined, false, undefined]);
  assert.deepEqual([connections.ofDevice("d1"), connections.ofAccount("a1")], [[two], [three]]);
  connections.remove(three);
  connections.remove(two);
  assert.deepEqual([connections.count, connections.countOf("a1"), connections.hasAccounts], [0, 0, false]);
  assert.deepEqual([connections.ofDevice("d1"), connections.accountIds()], [[], []]);
});

test("a connection speaks for one account at a time, and events go to that account's connections", async () => {
  const connections = new Connections();
  const [one, two, other] = [connect("1"), connect("2"), connect("3")];
  const heard = new Map<Connection, TrackerEvent[]>();
  for (const connection of [one, two, other]) {
    connections.add(connection);
    const events: TrackerEvent[] = [];
    heard.set(connection, events);
    connection.listen((some) => events.push(...some));
  }
  for (const connection of [one, two, other]) connections.logIn(connection, ALICE);
  connections.logIn(other, BOB);
  assert.deepEqual([connections.countOf("a1"), connections.countOf("b1"), other.account], [2, 1, BOB]);
  connections.tell("a1", event(1));
  connections.tell("nobody", event(2));
  await nextTurn();
  assert.deepEqual([heard.get(one), heard.get(two), heard.get(other)], [[event(1)], [event(1)], []]);
  connections.logOut(two);
  connections.logOut(two);
  assert.deepEqual([two.account, connections.ofAccount("a1")], [undefined, [one]]);
});
