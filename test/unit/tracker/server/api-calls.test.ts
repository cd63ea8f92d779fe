// How many calls of one connection run at a time, and when none begins.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { Connection } from "../../../../src/tracker/presence/client-connections.ts";
import { ApiCalls } from "../../../../src/tracker/server/api-calls.ts";
import { FairSlots } from "../../../../src/tracker/server/fair-slots.ts";
import type { RouterServices } from "../../../../src/tracker/server/procedures.ts";
import { frontDesk } from "../front-desk.ts";

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
    send: (text) => said.push(JSON.parse(text) as Said),
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

test("eight calls of a connection are under way, the others wait in their order, and all are answered", async () => {
  const { calls, said, gates, asked } = callsWithGate();
  calls.take(createUsers(100));
  await turns(10);
  assert.equal(asked(), 8);
  assert.ok(calls.heldBytes > 0);
  for (let round = 0; said.length < 100; round++) {
    assert.ok(round < 100, "it goes on");
    for (const open of gates.splice(0)) open();
    await turns(2);
    assert.ok(gates.length <= 8);
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
  calls.resume();
  await turns(3);
  assert.equal(asked(), 3);
  calls.take(createUsers(20));
  calls.close();
  for (const open of gates.splice(0)) open();
  await turns(5);
  assert.ok(asked() <= 11);
  for (const open of gates.splice(0)) open();
  await turns(5);
  assert.equal(calls.heldBytes, 0);
});

test("a long message is parsed in its caller's turn, and later messages after it", async () => {
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

test("a long message whose call is not answered keeps its place for two seconds, and no timer is left of it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const longMessages = new FairSlots(1);
  const [one, other] = [0, 1].map(() => callsWithGate(undefined, undefined, longMessages));
  assert.ok(one !== undefined && other !== undefined);
  for (const { calls } of [one, other]) {
    const [call] = JSON.parse(createUsers(1)) as [object];
    calls.take(JSON.stringify([{ ...call, padding: "x".repeat(20_000) }]));
  }
  await turns(5);
  t.mock.timers.tick(1_999);
  await turns(5);
  assert.deepEqual([one.asked(), other.asked()], [1, 0]);
  t.mock.timers.tick(1);
  await turns(5);
  assert.deepEqual([one.asked(), other.asked()], [1, 1]);
  const cleared = t.mock.method(globalThis, "clearTimeout");
  for (const open of other.gates.splice(0)) open();
  await turns(5);
  assert.equal(cleared.mock.callCount(), 1);
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

test("empty messages after a long one are counted", async () => {
  const { calls } = callsWithGate(
    () => true,
    () => new Promise(() => undefined),
  );
  calls.take(JSON.stringify(["x".repeat(20_000)]));
  const before = calls.heldBytes;
  for (let at = 0; at < 1_000; at++) calls.take(undefined);
  assert.ok(calls.heldBytes >= before + 64_000);
});

/** Calls of a client that is connected to a tracker in memory, and what it is told. */
async function talk(t: TestContext) {
  const desk = frontDesk(t);
  const { connection } = await desk.signedUp("alice");
  const said: Answer[] = [];
  const refused: (string | undefined)[] = [];
  let ended = 0;
  const calls = new ApiCalls({
    context: { tracker: desk.services, connection },
    send: (text) => said.push(JSON.parse(text) as Answer),
    onRefused: (_error, path) => refused.push(path),
    mayBegin: () => true,
    onEnded: () => ended++,
    later: setImmediate,
  });
  const call = async (id: number, path: string, input?: unknown, method = "query") => {
    calls.take(JSON.stringify({ id, method, params: { path, input } }));
    await turns(10);
    return said.splice(0);
  };
  const stop = async (id: number) => {
    calls.take(JSON.stringify({ id, method: "subscription.stop" }));
    await turns(5);
    return said.splice(0);
  };
  return { ...desk, desk, connection, calls, said, refused, ended: () => ended, call, stop };
}

interface Answer {
  readonly id: number | null;
  readonly result?: { readonly type: string; readonly data?: unknown };
  readonly error?: {
    readonly message: string;
    readonly data: { readonly minitorrentCode: string; readonly retryAfterMs?: number };
  };
}

const event = (at: number) => ({ type: "request-accepted", groupId: `group${at}` }) as const;

test("events are told from the start of a subscription to its end, under its id, which is free again then", async (t) => {
  const { connection, call, stop, said } = await talk(t);
  const listen = (id: number) => call(id, "events", undefined, "subscription");
  assert.deepEqual(await listen(7), [{ id: 7, result: { type: "started" } }]);
  connection.tell(event(1));
  connection.tell(event(2));
  await turns(2);
  assert.deepEqual(said.splice(0), [{ id: 7, result: { type: "data", data: [event(1), event(2)] } }]);
  const [again] = await listen(7);
  assert.equal(again?.error?.data.minitorrentCode, "INVALID_ARGUMENT");
  assert.deepEqual(await stop(8), []);
  assert.deepEqual(await stop(7), [{ id: 7, result: { type: "stopped" } }]);
  connection.tell(event(3));
  await turns(2);
  assert.deepEqual(said, []);
  for (let round = 0; round < 6; round++) {
    assert.deepEqual(await listen(7), [{ id: 7, result: { type: "started" } }]);
    await stop(7);
  }
});

test("after its end a connection is told nothing, listens to nothing, and none of its calls runs", async (t) => {
  const { connection, calls, call, said, desk, refused } = await talk(t);
  await call(1, "events", undefined, "subscription");
  calls.take(JSON.stringify({ id: 2, method: "query", params: { path: "groups.mine", input: {} } }));
  calls.take(JSON.stringify({ id: 3, method: "subscription", params: { path: "events" } }));
  calls.take(JSON.stringify(["x".repeat(20_000)]));
  const calledBefore = t.mock.method(desk.services.limits, "call");
  connection.tell(event(1));
  calls.close();
  await turns(20);
  assert.deepEqual(refused, [], "what came before its end is read after it");
  connection.tell(event(2));
  await turns(5);
  assert.deepEqual([said, calledBefore.mock.callCount()], [[], 0]);
  // So many may listen to a connection; none of its own is left.
  for (let listener = 0; listener < 4; listener++) connection.listen(() => {});
  assert.equal(calls.heldBytes, 0);
});

test("a refusal has its code, sentence and time to wait; what fails inside is reported and not told", async (t) => {
  const { call, desk, refused, counted, ended } = await talk(t);
  const failure = async (...asked: Parameters<typeof call>) => {
    const [answer] = await call(...asked);
    return answer?.error ?? assert.fail(JSON.stringify(answer));
  };
  const malformed = await failure(1, "groups.members", { groupId: "../etc" });
  assert.equal(malformed.data.minitorrentCode, "INVALID_ARGUMENT");
  assert.match(malformed.message, /^groupId is refused: .*a group id has/);
  assert.match((await failure(2, "groups.members", "x")).message, /^The request is refused: /);
  assert.equal((await failure(3, "groups.nonsense")).data.minitorrentCode, "INVALID_ARGUMENT");
  const unknown = await failure(4, "groups.members", { groupId: "films" });
  assert.deepEqual(
    [unknown.data, unknown.message],
    [
      { code: "INTERNAL_SERVER_ERROR", httpStatus: 500, minitorrentCode: "UNKNOWN_GROUP" },
      "There is no group 'films'; list_groups shows those there are.",
    ],
  );
  t.mock.method(desk.services.limits, "call", () => {
    throw new MiniTorrentError("TOO_MANY_ATTEMPTS", "too many", { retryAfterMs: 7_000 });
  });
  assert.equal((await failure(5, "groups.mine", {})).data.retryAfterMs, 7_000);
  t.mock.method(desk.services.limits, "call", () => {
    throw new Error("a secret of the tracker's");
  });
  assert.deepEqual(counted.faults, []);
  const internal = await failure(6, "groups.mine", {});
  assert.equal(internal.data.minitorrentCode, "INTERNAL");
  assert.doesNotMatch(JSON.stringify(internal), /secret/);
  assert.deepEqual(counted.faults, ["groups.mine: Error: a secret of the tracker's"]);
  assert.deepEqual(refused, [
    ...["groups.members", "groups.members", "groups.nonsense", "groups.members"],
    ...["groups.mine", "groups.mine"],
  ]);
  assert.equal(ended(), 6);
});

test("each call has a turn of its account, and counts four bytes a character while it waits and two while it runs", async () => {
  let mayBegin = false;
  const takers: (() => void)[] = [];
  const { calls } = callsWithGate(
    () => mayBegin,
    () => new Promise<void>((resolve) => takers.push(resolve)),
  );
  const [one, two] = [createUsers(1), createUsers(2)];
  calls.take(one);
  calls.take(two);
  assert.equal(calls.heldBytes, 4 * (one.length + two.length));
  mayBegin = true;
  calls.resume();
  assert.equal(calls.heldBytes, 2 * (one.length + two.length));
  assert.equal(takers.length, 3);
  calls.close();
  for (const take of takers) take();
  await turns(3);
  assert.equal(calls.heldBytes, 0);
});

test("a long message that has no call to wait for gives its place back at once, and so does one that is refused", async () => {
  const longMessages = new FairSlots(1);
  const { calls, said, gates } = callsWithGate(
    () => true,
    async () => undefined,
    longMessages,
  );
  const padded = (message: object) => JSON.stringify({ ...message, padding: "x".repeat(20_000) });
  const isFree = async () => {
    let hasRun = false;
    await Promise.race([
      longMessages.run("other", async () => {
        hasRun = true;
      }),
      turns(5),
    ]);
    return hasRun;
  };
  for (const text of [
    padded({ id: 1, method: "subscription.stop" }),
    `[${" ".repeat(20_000)}]`,
    padded({ id: 1, method: "nonsense" }),
  ]) {
    calls.take(text);
    await turns(5);
    assert.ok(await isFree(), text.slice(0, 40));
  }
  assert.equal(said.length, 1);
  calls.take(createUsers(1).replace("[", `[${" ".repeat(20_000)}`));
  await turns(5);
  assert.equal(await isFree(), false);
  for (const open of gates.splice(0)) open();
  await turns(5);
  assert.ok(await isFree(), "its call is answered");
});

test("a long message for which there is no room is refused, and the messages after it are read", async () => {
  const longMessages = new FairSlots(1, 0);
  void longMessages.run("other", () => new Promise(() => undefined));
  const { calls, said } = callsWithGate(
    () => true,
    async () => undefined,
    longMessages,
  );
  calls.take(JSON.stringify(["x".repeat(20_000)]));
  calls.take("[1]");
  await turns(10);
  const codes = said.map(({ error }) => (error as Answer["error"])?.data.minitorrentCode);
  assert.deepEqual(codes, ["TRACKER_BUSY", "INVALID_ARGUMENT"]);
  assert.equal(calls.heldBytes, 0);
});

test("unread messages no longer count once the connection is gone", () => {
  const { calls } = callsWithGate(
    () => true,
    () => new Promise(() => undefined),
  );
  calls.take(JSON.stringify(["x".repeat(20_000)]));
  calls.take("[1]");
  assert.ok(calls.heldBytes > 40_000);
  calls.close();
  assert.equal(calls.heldBytes, 0);
});
