// What goes wrong inside the tracker for one client, at any place, is the end of that client's connection: it is counted,
// nothing of the connection stays, and others are served.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { ApiClient } from "../../../../harness/api-client.ts";
import { freePorts } from "../../../../harness/processes.ts";
import type { Address } from "../../../../src/api/addresses.ts";
import { MAX_API_MESSAGE_BYTES } from "../../../../src/api/file-limits.ts";
import { createDeviceIdentity } from "../../../../src/identity/certificates.ts";
import { Heartbeat } from "../../../../src/net/heartbeat.ts";
import { Connections } from "../../../../src/tracker/presence/client-connections.ts";
import { Presence } from "../../../../src/tracker/presence/presence.ts";
import { Replication } from "../../../../src/tracker/replication/replication.ts";
import { ApiCalls } from "../../../../src/tracker/server/api-calls.ts";
import { ClientSockets } from "../../../../src/tracker/server/client-sockets.ts";
import { Tracker } from "../../../../src/tracker/tracker.ts";
import { cheapHashing } from "../cheap-passwords.ts";
import { FakeWebSocket } from "../fake-web-socket.ts";

async function start(t: TestContext): Promise<{ tracker: Tracker; address: Address }> {
  const dataDir = mkdtempSync(join(tmpdir(), "tracker-"));
  const [port = 0] = await freePorts(1);
  const address = { host: "127.0.0.1", port };
  const log = pino({ level: "silent" });
  const tracker = await Tracker.open({
    trackers: [address],
    trackerNumber: 1,
    dataDir,
    log,
    passwords: cheapHashing,
  });
  t.after(async () => {
    await tracker.close();
    rmSync(dataDir, { recursive: true });
  });
  return { tracker, address };
}

async function connect(address: Address): Promise<ApiClient> {
  return await ApiClient.connect({ ...address, identity: await createDeviceIdentity() });
}

function metrics({ host, port }: Address): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host, port, path: "/metrics", rejectUnauthorized: false, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 20_000;
  while (!holds()) {
    assert.ok(Date.now() < deadlineMs, "it did not come about in time");
    await new Promise(setImmediate);
  }
}

const failure = (): never => {
  throw new Error("a fault of the tracker's");
};

/** Breaks something for the next who comes by, and has the victim come by. */
const FAULTS: Record<string, (t: TestContext, victim: ApiClient) => unknown> = {
  "a message": (t, victim) => {
    t.mock.method(ApiCalls.prototype, "take", failure, { times: 1 });
    victim.sendRaw("[]");
  },
  "a sign of life": (t, victim) => {
    t.mock.method(Heartbeat.prototype, "heard", failure, { times: 1 });
    victim.sendRaw("PING");
  },
  "the end of its calls": (t, victim) => {
    t.mock.method(ApiCalls.prototype, "close", failure, { times: 1 });
    victim.terminate();
  },
  "its departure": (t, victim) => {
    t.mock.method(Presence.prototype, "depart", failure, { times: 1 });
    victim.terminate();
  },
};

for (const [what, breakIt] of Object.entries(FAULTS)) {
  test(`a failure in ${what} ends that connection alone`, async (t) => {
    const { tracker, address } = await start(t);
    const bystander = await connect(address);
    await bystander.signUp("alice");
    const victim = await connect(address);
    await victim.signUp("bob");
    await breakIt(t, victim);
    await victim.closed;
    await until(() => tracker.status().clientsOnline === 1);
    await bystander.mutate("groups.create", { groupId: "films", writeId: randomUUID() });
    assert.match(await metrics(address), /^minitorrent_tracker_connection_faults_total 1$/m);
    await bystander.close();
  });
}

test("an event that cannot be told to one client is told to the others", async (t) => {
  const { tracker, address } = await start(t);
  const identity = await createDeviceIdentity();
  let toldCount = 0;
  const onEvent = (): unknown => toldCount++;
  const first = await ApiClient.connect({ ...address, identity, onEvent });
  await first.signUp("alice");
  await first.mutate("groups.create", { groupId: "films", writeId: randomUUID() });
  const second = await ApiClient.connect({ ...address, identity, onEvent });
  await second.mutate("session.resume");
  for (const listener of [first, second]) await listener.listen();
  const asker = await connect(address);
  await asker.signUp("bob");
  const { stringify } = JSON;
  let failures = 0;
  t.mock.method(JSON, "stringify", (message: unknown) => {
    const text = stringify(message);
    if (text.includes('"type":"join-requested"') && failures++ === 0) failure();
    return text;
  });
  await asker.mutate("groups.join", { groupId: "films", writeId: randomUUID() });
  await until(() => toldCount === 1 && tracker.status().clientsOnline === 2);
  assert.match(await metrics(address), /^minitorrent_tracker_connection_faults_total 1$/m);
  for (const client of [first, second, asker]) client.terminate();
});

test("a client that leaves before its login is answered does not stay logged in", async (t) => {
  const { tracker, address } = await start(t);
  const account = { userId: "alice", password: "password of alice" };
  const first = await connect(address);
  await first.signUp(account.userId);
  await first.close();
  const arrivals = t.mock.method(Presence.prototype, "arrive");
  const logIns = t.mock.method(Connections.prototype, "logIn");
  const { writeAndConfirm } = Replication.prototype;
  const writing = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  async function writeOnceGone(this: Replication, ...given: Parameters<typeof writeAndConfirm>) {
    writing.resolve();
    await gone.promise;
    return await writeAndConfirm.apply(this, given);
  }
  const writes = t.mock.method(Replication.prototype, "writeAndConfirm", writeOnceGone, { times: 1 });
  const late = await connect(address);
  late.mutate("session.login", { writeId: randomUUID(), ...account }).catch(() => undefined);
  await writing.promise;
  late.terminate();
  await until(() => tracker.status().clientsOnline === 0);
  gone.resolve();
  await writes.mock.calls[0]?.result;
  const next = await connect(address);
  await next.mutate("session.login", { writeId: randomUUID(), ...account });
  await next.close();
  await until(() => tracker.status().clientsOnline === 0);
  assert.equal(logIns.mock.callCount(), 1);
  assert.equal(arrivals.mock.callCount(), 1);
});

/** Clients that are connected by fake sockets, and time that passes when it is told to. */
function fakes(t: TestContext, { hasSession = false } = {}) {
  t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  let nowMs = 50_000;
  t.mock.method(performance, "now", () => nowMs);
  const happened = { faults: [] as string[], logged: [] as string[], sliceEnds: [] as (() => void)[] };
  const connections = new Connections();
  const registry = {
    get: () => (hasSession ? { accountId: "a" } : undefined),
    claimById: () => ({ name: "alice" }),
    revision: () => 0,
  };
  const turns = {
    take: async () => undefined,
    onSliceEnd: (ended: () => void) => happened.sliceEnds.push(ended),
  };
  const sockets = new ClientSockets({
    services: { connections, registry, turns, presence: { depart: () => undefined } } as never,
    log: pino(
      { level: "warn" },
      { write: (line: string) => void happened.logged.push(JSON.parse(line).msg) },
    ),
    onEventPushed: () => undefined,
    isServing: () => true,
    onFault: (_error, where) => happened.faults.push(where),
  });
  t.after(() => sockets.close());
  const arrive = (host = "192.0.2.1") => {
    const socket = new FakeWebSocket();
    const tls = Object.assign(new EventEmitter(), {
      ...{ destroySoon: () => undefined, writableCorked: 0, corks: 0, uncorks: 0 },
      cork: () => tls.corks++,
      uncork: () => tls.uncorks++,
    });
    sockets.webSockets.clients.add(socket as never);
    const accepted = { publicKeySpki: new Uint8Array([1]), host, tls, onLogIn: () => undefined };
    sockets.welcome(socket as never, accepted as never);
    return { socket, tls };
  };
  /** Beats, half a second each. */
  const beats = (count: number) => {
    for (let beat = 0; beat < count; beat++) {
      nowMs += 500;
      t.mock.timers.tick(500);
    }
  };
  const standStill = (ms: number) => {
    nowMs += ms;
  };
  return { sockets, happened, connections, arrive, beats, standStill };
}

test("a silent client is pinged after four seconds, and dropped when it has not answered for four more", (t) => {
  const { arrive, beats } = fakes(t);
  const [silent, answers, gone] = [arrive().socket, arrive().socket, arrive().socket];
  beats(8);
  assert.deepEqual(silent.sent, []);
  gone.emit("close");
  beats(1);
  assert.deepEqual([silent.sent, answers.sent, gone.sent], [["PING"], ["PING"], []]);
  answers.emit("message", Buffer.from("PONG"), false);
  beats(8);
  assert.deepEqual([silent.isTerminated, answers.sent.length], [false, 1]);
  beats(1);
  assert.deepEqual([silent.isTerminated, answers.isTerminated, gone.isTerminated], [true, false, false]);
  assert.equal(answers.sent.length, 2, "it is asked again");
});

test("calls that waited while the tracker was suspended are not answered, on connections from before", async (t) => {
  const { arrive, beats, standStill, happened } = fakes(t);
  const call = Buffer.from('{"id":1,"method":"query","params":{"path":"x"}}');
  const [early, late] = [arrive().socket, arrive().socket];
  beats(2);
  standStill(2_400);
  early.emit("message", call, false);
  assert.equal(early.isTerminated, false);
  standStill(100);
  late.emit("message", call, false);
  assert.equal(late.isTerminated, true);
  beats(1);
  assert.deepEqual(happened.logged, ["this tracker stood still"]);
  beats(2);
  const next = arrive().socket;
  next.emit("message", call, false);
  assert.equal(next.isTerminated, false);
});

test("a client that reads nothing for half a minute is closed by a tick, though it is not silent", (t) => {
  const { arrive, beats } = fakes(t, { hasSession: true });
  const { socket, tls } = arrive();
  const gone = arrive();
  for (const one of [socket, gone.socket]) one.bufferedAmount = 1024 * 1024;
  for (const one of [tls, gone.tls]) one.emit("data", { length: 0 });
  gone.socket.emit("close");
  assert.equal(socket.isPaused, true);
  beats(59);
  assert.deepEqual(
    [socket.isTerminated, socket.sent],
    [false, []],
    "it is not asked, since it is not read from",
  );
  beats(1);
  assert.deepEqual([socket.isTerminated, gone.socket.isTerminated], [true, false]);
});

test("a client that cannot be registered is closed and forgotten", (t) => {
  const { arrive, beats, connections, happened } = fakes(t);
  t.mock.method(connections, "add", failure, { times: 1 });
  const { socket } = arrive();
  assert.deepEqual([socket.isTerminated, happened.faults], [true, ["arrival"]]);
  beats(10);
  assert.deepEqual(socket.sent, []);
});

test("strangers may hold 32 KiB each, 2 MiB of a network and 8 MiB together", (t) => {
  const { arrive } = fakes(t);
  const all: FakeWebSocket[] = [];
  /** That many more hold as much as one may. @returns how many have been closed so far */
  const hold = (count: number, host: (at: number) => string, more = 0) => {
    for (let at = 0; at < count; at++) {
      const { socket, tls } = arrive(host(at));
      all.push(socket);
      tls.emit("data", { length: 32 * 1024 - 256 + more });
    }
    return all.filter(({ closedWith }) => closedWith === 1009).length;
  };
  const closed = [
    hold(1, () => "192.0.2.1", 1),
    hold(64, () => "192.0.2.2"),
    hold(1, () => "192.0.2.2"),
    hold(192, (at) => `198.51.100.${at}`),
    hold(1, () => "203.0.113.1"),
  ];
  assert.deepEqual(closed, [1, 1, 2, 2, 3]);
});

test("messages are bounded in length, chunks and fragments before they are read", (t) => {
  const { maxPayload, ...bounds } = fakes(t).sockets.webSockets.options as Record<string, unknown>;
  assert.equal(maxPayload, MAX_API_MESSAGE_BYTES + 1024 * 1024);
  assert.deepEqual([bounds.maxBufferedChunks, bounds.maxFragments], [4_096, 64]);
});

test("answers of a slice of calls go out at its end", async (t) => {
  const { arrive, happened } = fakes(t);
  const { socket, tls } = arrive();
  socket.emit("message", Buffer.from('{"id":1,"method":"query","params":{"path":"x"}}'), false);
  for (let turn = 0; turn < 20 && tls.corks === 0; turn++) await Promise.resolve();
  assert.deepEqual([tls.corks, tls.uncorks], [1, 0]);
  for (const ended of happened.sliceEnds) ended();
  assert.equal(tls.uncorks, 1);
});

test("clients that are turned away are told to try elsewhere, and cut off half a second later", (t) => {
  const { sockets, arrive } = fakes(t);
  const { socket } = arrive();
  assert.equal(sockets.count, 1);
  sockets.turnAway("the disk is full");
  assert.deepEqual([socket.closedWith, socket.closedFor], [1013, "the disk is full"]);
  t.mock.timers.tick(499);
  assert.equal(socket.isTerminated, false);
  t.mock.timers.tick(1);
  assert.equal(socket.isTerminated, true);
});

test("when all is closed there are no more beats, and nobody is taken", (t) => {
  const { sockets, arrive, beats } = fakes(t);
  const { socket } = arrive();
  const closing = t.mock.method(sockets.webSockets, "close");
  sockets.close();
  beats(30);
  assert.deepEqual([socket.sent, closing.mock.callCount()], [[], 1]);
});
