// How many calls of one connection run at a time, and when none begins.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ApiCalls } from "../../../src/tracker/api-calls.ts";
import { Connection } from "../../../src/tracker/connection.ts";
import { FairSlots } from "../../../src/tracker/fair-slots.ts";
import type { RouterServices } from "../../../src/tracker/procedures.ts";

interface Said {
  readonly id: number | null;
  readonly result?: { readonly type: string };
  readonly error?: object;
}

/** Calls whose services are asked for nothing until the test opens the gate. */
function callsWithGate(
  mayBegin: () => boolean = () => true,
  takeTurn = async (): Promise<void> => undefined,
  longMessages = new FairSlots(1),
) {
  const said: Said[] = [];
  let asked = 0;
  const gates: (() => void)[] = [];
  const registry = { get: () => undefined, revision: () => 0 };
  const tracker = {
    registry,
    write: () => new Promise<void>((resolve) => gates.push(resolve)),
    connections: { byId: () => true, logOut: () => undefined },
    turns: { take: takeTurn },
    longMessages,
    passwords: { passwordsFor: () => undefined },
    presence: { depart: () => undefined },
    limits: {
      createAccount: () => {
        asked++;
        return new Promise((_, reject) => gates.push(() => reject(new Error("enough"))));
      },
    },
    reportFault: () => undefined,
  } as unknown as RouterServices;
  const facts = { id: "c", host: "10.0.0.1", deviceId: "d", publicKeySpki: new Uint8Array() };
  const calls = new ApiCalls({
    context: { tracker, connection: new Connection(facts) },
    say: (text) => said.push(JSON.parse(text) as Said),
    onRefused: () => undefined,
    mayBegin,
    onEnded: () => undefined,
    later: setImmediate,
  });
  return { calls, said, gates, asked: () => asked };
}

function createUsers(count: number): string {
  const input = { userId: "alice", password: "x", writeId: crypto.randomUUID() };
  const call = (id: number) => ({ id, method: "mutation", params: { path: "session.createUser", input } });
  return JSON.stringify(Array.from({ length: count }, (_, id) => call(id)));
}

async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at++) await turn();
}

test("sixteen calls of a connection are under way, the others wait in their order, and all are answered", async () => {
  const { calls, said, gates, asked } = callsWithGate();
  calls.take(createUsers(100));
  await turns(10);
  assert.equal(asked(), 16);
  assert.ok(calls.heldBytes > 0);
  for (let round = 0; said.length < 100; round++) {
    assert.ok(round < 100, "it goes on");
    for (const open of gates.splice(0)) open();
    await turns(2);
    assert.ok(gates.length <= 16);
  }
  assert.deepEqual(
    said.map(({ id }) => id),
    Array.from({ length: 100 }, (_, id) => id),
  );
  assert.equal(calls.heldBytes, 0);
});

test("what a call takes is counted until it is answered", async () => {
  const { calls, said, gates } = callsWithGate();
  calls.take(createUsers(1));
  await turns(3);
  assert.ok(calls.heldBytes > 0);
  for (const open of gates.splice(0)) open();
  await turns(3);
  assert.equal(said.length, 1);
  assert.equal(calls.heldBytes, 0);
});

test("calls that end at once begin sixteen in a turn of the event loop, so that others' come between", async () => {
  const { calls, said } = callsWithGate();
  const call = (id: number) => ({ id, method: "query", params: { path: "groups.list" } });
  calls.take(JSON.stringify(Array.from({ length: 100 }, (_, id) => call(id))));
  let most = 0;
  for (let before = 0; said.length < 100; before = said.length) {
    await turn();
    most = Math.max(most, said.length - before);
  }
  assert.ok(most <= 32, `${most} in a turn`);
});

test("none begins while answers wait to be read, nor after the end", async () => {
  let isRead = false;
  const { calls, gates, asked } = callsWithGate(() => isRead);
  calls.take(createUsers(3));
  await turns(3);
  assert.equal(asked(), 0);
  isRead = true;
  calls.goOn();
  await turns(3);
  assert.equal(asked(), 3);
  calls.take(createUsers(20));
  calls.close();
  for (const open of gates.splice(0)) open();
  await turns(5);
  assert.ok(asked() <= 16);
  for (const open of gates.splice(0)) open();
  await turns(5);
  assert.equal(calls.heldBytes, 0);
});

test("a long message is parsed when it is its caller's turn, and what came behind it then", async () => {
  const waiting: (() => void)[] = [];
  const takeTurn = () => new Promise<void>((resolve) => waiting.push(resolve));
  const { calls, said } = callsWithGate(() => true, takeTurn);
  const refused = JSON.stringify(["x".repeat(20_000)]);
  calls.take(refused);
  calls.take("[1]");
  await turns(3);
  assert.equal(said.length, 0);
  assert.ok(calls.heldBytes > refused.length);
  for (let at = 0; at < 2; at++) {
    waiting.shift()?.();
    await turns(2);
    assert.equal(said.length, at + 1);
  }
  assert.equal(calls.heldBytes, 0);
  calls.take("[1]");
  assert.equal(said.length, 3);
});

test("a long message keeps its place until its call is answered, or the connection is gone; others' wait", async () => {
  const longMessages = new FairSlots(1);
  const [one, other] = [0, 1].map(() =>
    callsWithGate(
      () => true,
      async () => undefined,
      longMessages,
    ),
  );
  assert.ok(one !== undefined && other !== undefined);
  const long = (count: number) => {
    const calls = JSON.parse(createUsers(count)) as object[];
    return JSON.stringify(calls.map((call) => ({ ...call, padding: "x".repeat(20_000) })));
  };
  one.calls.take(long(1));
  other.calls.take(long(1));
  await turns(5);
  assert.deepEqual([one.asked(), other.asked()], [1, 0]);
  for (const open of one.gates.splice(0)) open();
  await turns(5);
  assert.deepEqual([one.said.length, other.asked()], [1, 1]);
  one.calls.take(long(1));
  one.calls.take(long(1));
  one.calls.close();
  for (const open of other.gates.splice(0)) open();
  await turns(5);
  other.calls.take(long(1));
  await turns(5);
  assert.equal(other.asked(), 2, "what a closed connection waited for is free");
});

test("a long message of several calls is refused: each would keep its place", async () => {
  const { calls, said, asked } = callsWithGate();
  const padded = (JSON.parse(createUsers(2)) as object[]).map((call) => ({
    ...call,
    padding: "x".repeat(20_000),
  }));
  calls.take(JSON.stringify(padded));
  await turns(5);
  assert.equal(asked(), 0);
  assert.match(JSON.stringify(said), /may have one call/);
});

test("empty messages behind a long one are counted", async () => {
  const { calls } = callsWithGate(
    () => true,
    () => new Promise(() => undefined),
  );
  calls.take(JSON.stringify(["x".repeat(20_000)]));
  const before = calls.heldBytes;
  for (let at = 0; at < 1_000; at++) calls.take(undefined);
  assert.ok(calls.heldBytes >= before + 64_000);
});
