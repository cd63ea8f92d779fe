// One client's connection at a tracker with a fake WebSocket: when the tracker reads from it, what it counts as held, whom it
// closes, and that nothing of a connection stays when it is gone.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import { deviceIdOfKey } from "../../../../src/identity/certificates.ts";
import { Connections } from "../../../../src/tracker/presence/client-connections.ts";
import type { Holding } from "../../../../src/tracker/server/byte-budget.ts";
import {
  type AcceptedClient,
  ClientSocket,
  type ClientSocketContext,
} from "../../../../src/tracker/server/client-socket.ts";
import { FakeWebSocket } from "../fake-web-socket.ts";

const LOW_MARK = 64 * 1024;
const KEY = new Uint8Array([1, 2, 3]);
/** Of a chunk of an unfinished message, beside its bytes. */
const CHUNK = 256;

interface Options {
  readonly onHeard?: () => void;
  readonly isServing?: boolean;
  readonly heldUp?: (openedMs: number) => boolean;
  readonly depart?: () => void;
  /** The account of the device's session. */
  readonly session?: string;
  readonly host?: string;
}

function arrive(options: Options = {}) {
  const socket = new FakeWebSocket();
  const log: string[] = [];
  /** What ws makes of the chunk that is being read. */
  let parse = (): void => undefined;
  const tls = Object.assign(new EventEmitter(), { isEnding: false });
  const destroySoon = () => {
    tls.isEnding = true;
  };
  tls.on("data", () => parse());
  const happened = {
    held: [] as Holding[],
    released: 0,
    heard: 0,
    faults: [] as string[],
    departed: [] as string[],
    pushed: 0,
    loggedIn: 0,
    corked: 0,
  };
  const turns: { take: () => Promise<void> } = { take: async () => undefined };
  const connections = new Connections();
  const registry = {
    get: () => (options.session === undefined ? undefined : { accountId: options.session }),
    claimById: () => ({ name: "alice" }),
    revision: () => 0,
  };
  const presence = {
    depart: (id: string) => {
      happened.departed.push(id);
      options.depart?.();
    },
  };
  const around = {
    services: { registry, presence, connections, turns, reportFault: () => undefined },
    log: pino({ level: "debug" }, { write: (line: string) => void log.push(line) }),
    writes: { hold: (held: unknown) => held === tls && happened.corked++ },
    budget: {
      hold: (_client: unknown, holding: Holding) => happened.held.push(holding),
      release: () => happened.released++,
    },
    onEventPushed: () => happened.pushed++,
    isServing: () => options.isServing ?? true,
    sleepClock: { nowMs: () => 777 },
    mayBeStale: options.heldUp ?? (() => false),
    onHeard: () => {
      happened.heard++;
      options.onHeard?.();
    },
    onFault: (_error: unknown, where: string) => happened.faults.push(where),
  };
  const accepted = {
    publicKeySpki: KEY,
    host: options.host ?? "192.0.2.1",
    tls: Object.assign(tls, { destroySoon }),
    onLogIn: () => happened.loggedIn++,
  };
  const client = new ClientSocket(
    socket as never,
    accepted as unknown as AcceptedClient,
    around as unknown as ClientSocketContext,
  );
  const [connection] = connections.ofDevice(deviceIdOfKey(KEY));
  assert.ok(connection, "the connection is not listed");
  /** A chunk of so many bytes comes, in which those messages end. */
  const chunk = (length: number, ...payloads: readonly number[]) => {
    parse = () => {
      for (const payload of payloads) socket.emit("ping", { length: payload });
    };
    tls.emit("data", { length });
  };
  const say = (text: string) => socket.emit("message", Buffer.from(text), false);
  const buffer = (bytes: number) => {
    socket.bufferedAmount = bytes;
    for (const written of socket.written.splice(0)) written();
  };
  /** Something that is answered, so that the socket has something to write. */
  const answered = async () => {
    const before = socket.written.length;
    say(call(99));
    await nextTurn();
    assert.equal(socket.written.length, before + 1, "a call is not answered");
    socket.sent.length = 0;
  };
  return {
    ...{ socket, tls, client, connection, connections, happened, turns, log },
    ...{ chunk, say, buffer, answered },
  };
}

function call(id: number, length = 0): string {
  const path = "x".repeat(length);
  return JSON.stringify({ id, method: "query", params: { path } });
}

test("past 64 KiB of unsent data the tracker stops reading, and reads again when half of that is left", async () => {
  const { socket, buffer, answered } = arrive();
  await answered();
  buffer(LOW_MARK);
  assert.equal(socket.isPaused, false);
  await answered();
  buffer(LOW_MARK + 1);
  assert.equal(socket.isPaused, true);
  socket.emit("ping", { length: 0 });
  socket.bufferedAmount = LOW_MARK / 2 + 1;
  assert.equal(socket.isPaused, true);
});

test("a client that is not read from is read from again once half of 64 KiB is left, and not before", async () => {
  const { socket, tls, answered, buffer } = arrive();
  await answered();
  buffer(LOW_MARK + 1);
  socket.bufferedAmount = LOW_MARK / 2 + 1;
  tls.emit("data", { length: 0 });
  assert.equal(socket.isPaused, true);
  socket.bufferedAmount = LOW_MARK / 2;
  tls.emit("data", { length: 0 });
  assert.equal(socket.isPaused, false);
});

test("while answers are unread no call begins; those that came begin once they are read", async () => {
  const { socket, tls, say, buffer, answered } = arrive();
  await answered();
  buffer(LOW_MARK + 1);
  say(call(1));
  await nextTurn();
  assert.deepEqual(socket.sent, []);
  socket.bufferedAmount = 0;
  tls.emit("data", { length: 0 });
  await nextTurn();
  assert.equal(socket.sent.length, 1);
});

test("calls that wait count as much as unread answers: past 64 KiB of them the tracker stops reading", async () => {
  const { socket, say, turns } = arrive();
  const turn = Promise.withResolvers<void>();
  turns.take = () => turn.promise;
  // Each takes two bytes a character while it runs.
  const length = 3_900;
  for (let id = 0; id < 8; id++) say(call(id, length));
  assert.equal(socket.isPaused, false);
  say(call(8, length));
  assert.equal(socket.isPaused, true);
  turn.resolve();
  await nextTurn();
  assert.equal(socket.sent.length, 9);
  assert.equal(socket.isPaused, false, "it is read from again when they are answered");
});

test("a call that begins after the client has gone is neither run nor answered", async () => {
  const { socket, say, turns } = arrive();
  let begun = 0;
  turns.take = async () => void begun++;
  socket.readyState = 2;
  say(call(1));
  await nextTurn();
  assert.equal(begun, 0);
});

test("an answer to a client that is closing is not sent, and what is sent goes out with the turn", async () => {
  const { socket, say, turns, happened } = arrive();
  const turn = Promise.withResolvers<void>();
  turns.take = () => turn.promise;
  say(call(1));
  socket.readyState = 2;
  turn.resolve();
  await nextTurn();
  assert.deepEqual([socket.sent, happened.corked], [[], 0]);
  socket.readyState = 1;
  say(call(2));
  await nextTurn();
  assert.deepEqual([socket.sent.length, happened.corked], [1, 1]);
});

test("what an unfinished message holds is counted with its chunks, and no longer once it has ended", () => {
  const { chunk, happened } = arrive({ host: "2001:db8:0:1::7" });
  chunk(3_000);
  assert.equal(happened.held.length, 0, "below 4 KiB");
  chunk(10_000);
  const holding = { network: "2001:db8:0:1::/64", accountId: undefined, bytes: 13_000 + 2 * CHUNK };
  assert.deepEqual(happened.held.at(-1), holding);
  chunk(1);
  assert.equal(happened.held.at(-1)?.bytes, 13_001 + 3 * CHUNK);
  chunk(0);
  assert.equal(happened.held.at(-1)?.bytes, 13_001 + 4 * CHUNK, "an empty chunk takes room too");
  const count = happened.held.length;
  chunk(1_000, 13_000);
  assert.equal(happened.held.at(-1)?.bytes, 0);
  chunk(100, 94);
  assert.equal(happened.held.length, count + 1, "said only when it changes");
});

test("many whole frames of any length in a chunk are no unfinished message", () => {
  for (const [payload, head] of [
    [0, 6],
    [125, 6],
    [126, 8],
    [65_535, 8],
    [65_536, 14],
  ] as const) {
    const { chunk, happened } = arrive();
    const frames = Array.from({ length: 6_000 }, () => payload);
    chunk(frames.length * (payload + head), ...frames);
    assert.deepEqual(happened.held, [], `${payload} bytes`);
  }
});

test("after a fragmented message only the bytes of its last chunk stay counted", () => {
  const { chunk, happened } = arrive();
  // A thousand fragments of five bytes: of their heads 6,000 bytes stay until the message ends.
  chunk(11_000);
  chunk(300, 5_000);
  assert.equal(happened.held.at(-1)?.bytes, 0);
  for (let at = 0; at < 3; at++) chunk(3_000);
  assert.equal(happened.held.at(-1)?.bytes, 300 + 9_000 + 4 * CHUNK, "what follows counts in full");
});

test("chunks of a message that has ended are no longer counted", () => {
  const { chunk, happened } = arrive();
  for (let at = 0; at < 30; at++) chunk(1_000);
  chunk(300, 29_000);
  assert.equal(happened.held.at(-1)?.bytes, 0);
});

test("a frame that claims more than has come does not make up for what comes later", () => {
  const { chunk, happened } = arrive();
  chunk(100, 60_000);
  chunk(8_000);
  assert.equal(happened.held.at(-1)?.bytes, 8_000 + CHUNK);
});

test("unsent data, calls and unfinished messages are held together, by the account of the device's session", async () => {
  const { chunk, say, socket, turns, happened } = arrive({ session: "account-1" });
  turns.take = () => new Promise(() => undefined);
  say(call(1, 5_000));
  const running = happened.held.at(-1)?.bytes ?? 0;
  assert.ok(running >= 2 * 5_000 && running < 2 * 5_200, `${running} bytes`);
  socket.bufferedAmount = 20_000;
  chunk(7_000);
  assert.deepEqual(happened.held.at(-1), {
    ...{ network: "192.0.2.1", accountId: "account-1", bytes: running + 20_000 + 7_000 + CHUNK },
  });
});

test("a call's memory is given back when it is answered", async () => {
  const { say, happened } = arrive();
  say(call(1, 5_000));
  assert.notEqual(happened.held.at(-1)?.bytes, 0);
  await nextTurn();
  assert.equal(happened.held.at(-1)?.bytes, 0);
});

test("answers that a client does not read are counted as they are sent", async () => {
  const { socket, say, happened } = arrive();
  socket.send = () => {
    socket.bufferedAmount += 6_000;
  };
  say(call(1));
  await nextTurn();
  assert.equal(happened.held.at(-1)?.bytes, 6_000);
});

test("a handler that fails closes that connection, and says where", () => {
  const onHeard = () => {
    throw new Error("a bug");
  };
  const { socket, say, happened } = arrive({ onHeard });
  say("PING");
  assert.deepEqual([socket.isTerminated, happened.faults], [true, ["message"]]);
});

test("an event that cannot be delivered closes the listener's connection", async () => {
  const { socket, connection, happened } = arrive();
  connection.listen(() => {
    throw new Error("a bug");
  });
  connection.tell({ type: "look-again" });
  await nextTurn();
  assert.deepEqual([socket.isTerminated, happened.faults], [true, ["events"]]);
  assert.equal(happened.pushed, 1);
});

test("nothing stays of a closed connection, even if one part of its end fails", async () => {
  const depart = () => {
    throw new Error("a bug");
  };
  const { socket, connection, connections, happened, say, turns } = arrive({ depart });
  const turn = Promise.withResolvers<void>();
  turns.take = () => turn.promise;
  say(call(1, 5_000));
  happened.held.length = 0;
  socket.emit("close");
  assert.equal(happened.released, 1);
  assert.deepEqual(happened.departed, [connection.id]);
  assert.equal(connections.has(connection), false);
  assert.deepEqual(happened.faults, ["departure"]);
  turn.resolve();
  await nextTurn();
  assert.deepEqual(happened.held, [], "a call that ends later holds nothing again");
  assert.deepEqual(socket.sent, []);
});

test("the server hears of a login on the connection", () => {
  const { connection, connections, happened } = arrive();
  connections.logIn(connection, { userId: "alice", accountId: "account-1" });
  assert.equal(happened.loggedIn, 1);
});

test("a client that holds too much gets the reason if it can be sent at once, and is cut off otherwise", () => {
  const modest = arrive();
  modest.socket.bufferedAmount = LOW_MARK;
  modest.client.evict();
  assert.deepEqual(
    [modest.socket.closedWith, modest.tls.isEnding, modest.socket.isTerminated],
    [1009, true, false],
  );
  const deaf = arrive();
  deaf.socket.bufferedAmount = LOW_MARK + 1;
  deaf.client.evict();
  assert.deepEqual([deaf.socket.closedWith, deaf.socket.isTerminated], ["nothing", true]);
  const closing = arrive();
  closing.socket.readyState = 2;
  closing.client.evict();
  assert.deepEqual([closing.socket.closedWith, closing.socket.isTerminated], ["nothing", true]);
});

function atTime(t: TestContext): { nowMs: number } {
  const time = { nowMs: 1_000 };
  t.mock.method(performance, "now", () => time.nowMs);
  return time;
}

test("a client that is not read from is closed after 30 s in which it takes nothing", async (t) => {
  const time = atTime(t);
  const { socket, client, happened, answered, buffer } = arrive();
  await answered();
  happened.heard = 0;
  client.checkProgress();
  assert.equal(happened.heard, 0, "one that is read from shows by what it says that it is there");
  buffer(LOW_MARK + 1);
  time.nowMs += 29_999;
  client.checkProgress();
  assert.deepEqual([happened.heard, socket.isTerminated], [1, false]);
  time.nowMs += 1;
  client.checkProgress();
  assert.deepEqual([happened.heard, socket.isTerminated], [1, true]);
});

test("a slow client that takes some of what waits for it has 30 s more", async (t) => {
  const time = atTime(t);
  const { socket, client, answered, buffer } = arrive();
  for (let times = 0; times < 2; times++) await answered();
  const [first, second] = socket.written.splice(0);
  assert.ok(first && second);
  socket.bufferedAmount = 2 * LOW_MARK;
  first();
  time.nowMs += 29_000;
  second();
  time.nowMs += 29_000;
  client.checkProgress();
  assert.equal(socket.isTerminated, false);
  buffer(2 * LOW_MARK);
});

test("a client whose calls the tracker has not answered is not taken for one that is gone", async (t) => {
  const time = atTime(t);
  const { socket, client, happened, say, turns } = arrive();
  turns.take = () => new Promise(() => undefined);
  for (let id = 0; id < 10; id++) say(call(id, 15_000));
  assert.equal(socket.isPaused, true);
  happened.heard = 0;
  time.nowMs += 60_000;
  client.checkProgress();
  assert.deepEqual([happened.heard, socket.isTerminated], [1, false]);
});

test("a ping is answered, an answer to one is not, and both show that the client is there", async () => {
  const { socket, client, say, happened } = arrive();
  say("PING");
  say("PONG");
  await nextTurn();
  assert.deepEqual([socket.sent, happened.heard], [["PONG"], 2]);
  client.ping();
  assert.deepEqual(socket.sent, ["PONG", "PING"]);
  client.terminate();
  assert.equal(socket.isTerminated, true);
});

test("a tracker that does not serve sends a client that says something to another one", async () => {
  const { socket, say } = arrive({ isServing: false });
  say(call(1));
  await nextTurn();
  assert.deepEqual([socket.closedWith, socket.sent], [1013, []]);
});

test("a call that may be out of date is not answered, and its connection ends", async () => {
  const asked: number[] = [];
  const heldUp = (openedMs: number) => asked.push(openedMs) > 0;
  const { socket, say } = arrive({ heldUp });
  say(call(1));
  await nextTurn();
  assert.deepEqual([socket.isTerminated, socket.sent, asked], [true, [], [777]]);
});

test("a binary message is refused with a sentence", async () => {
  const { socket, happened } = arrive();
  socket.emit("message", Buffer.from(call(1)), true);
  await nextTurn();
  assert.match(socket.sent[0] ?? "", /this one is binary/);
  assert.equal(happened.heard, 1);
});

test("a whole message and a pong are no part of an unfinished one", () => {
  for (const end of ["message", "pong"] as const) {
    const { socket, tls, happened } = arrive();
    tls.prependListener("data", () => undefined);
    tls.emit("data", { length: 9_000 });
    assert.equal(happened.held.at(-1)?.bytes, 9_000 + CHUNK);
    socket.emit(end, Buffer.alloc(8_992), false);
    tls.emit("data", { length: 0 });
    assert.equal(happened.held.at(-1)?.bytes, 0, end);
  }
});
