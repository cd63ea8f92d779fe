// The tracker's address as whoever dials it meets it: who gets in, who is refused and how, and that one failure is one
// connection's. What is behind it is fake.
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer, Server, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { pino } from "pino";
import { WebSocket } from "ws";
import { until, within } from "../../../../harness/within.ts";
import {
  createDeviceIdentity,
  deviceIdOfKey,
  fingerprintOf,
  fingerprintOfPem,
} from "../../../../src/identity/certificates.ts";
import { connectionsOfTracker, descriptorLimit } from "../../../../src/net/descriptors.ts";
import { PendingConnectionLimiter } from "../../../../src/net/pending-connection-limiter.ts";
import { Connections } from "../../../../src/tracker/presence/client-connections.ts";
import { ClientSockets } from "../../../../src/tracker/server/client-sockets.ts";
import { listen, type ServerOptions } from "../../../../src/tracker/server/server.ts";

const DEADLINE_MS = 10_000;
const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const identity = createDeviceIdentity();
const device = createDeviceIdentity();
const deviceId = deviceIdOfKey(
  createPublicKey(device.certificatePem).export({ type: "spki", format: "der" }),
);
const DEVICE = { key: device.privateKeyPem, cert: device.certificatePem };

async function start(t: TestContext, given: Partial<ServerOptions> = {}) {
  const happened = { faults: 0, logged: [] as string[], synced: [] as [WebSocket, Uint8Array][] };
  const connections = new Connections();
  const registry = { get: () => undefined, claimById: () => undefined, revision: () => 0 };
  /** The server itself, for the bounds that Node keeps. */
  const servers: Server[] = [];
  const { listen: listenTcp } = Server.prototype;
  const listening = t.mock.method(Server.prototype, "listen", function (this: Server, ...args: unknown[]) {
    servers.push(this);
    return Reflect.apply(listenTcp, this, args);
  });
  const options: ServerOptions = {
    ...{ address: { host: "127.0.0.1", port: 0 }, identity },
    log: pino(
      { level: "warn" },
      { write: (line: string) => void happened.logged.push(JSON.parse(line).msg) },
    ),
    services: {
      ...{ connections, registry, nowMs: () => NOW_MS },
      presence: { depart: () => undefined },
      turns: { take: async () => undefined, onSliceEnd: () => undefined },
      counters: { handlerFailed: () => happened.faults++ },
      reportFault: () => undefined,
    } as never,
    onEventPushed: () => undefined,
    isServing: () => true,
    onSync: (socket, certificate) => happened.synced.push([socket, certificate]),
    maySync: async () => true,
    health: () => ({ isServing: true }),
    metrics: { contentType: "text/plain; version=0.0.4", expose: async () => "metric 1\n" },
    ...given,
  };
  /** What is done every so often, until it is over. */
  const intervals = new Map<NodeJS.Timeout, () => void>();
  const { setInterval: startInterval, clearInterval: endInterval } = globalThis;
  const setting = t.mock.method(globalThis, "setInterval", (work: () => void, ms: number) => {
    const timer = startInterval(work, ms);
    intervals.set(timer, work);
    return timer;
  });
  const clearing = t.mock.method(globalThis, "clearInterval", (timer: NodeJS.Timeout) => {
    intervals.delete(timer);
    endInterval(timer);
  });
  const tracker = await listen(options);
  listening.mock.restore();
  setting.mock.restore();
  const [server] = servers;
  assert.ok(server);
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await within(tracker.close(), "the server to close", DEADLINE_MS);
    clearing.mock.restore();
    assert.equal(intervals.size, 0, "something goes on being done after the close");
  };
  t.after(close);
  const { port } = server.address() as AddressInfo;
  const dial = (tls: ConnectionOptions = {}): TLSSocket => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...tls });
    t.after(() => socket.destroy());
    socket.on("error", () => undefined);
    return socket;
  };
  /** All that is answered to that text, until the connection is closed. */
  const ask = async (text: string, tls: ConnectionOptions = {}): Promise<string> => {
    const socket = dial(tls);
    socket.write(text);
    let said = "";
    socket.on("data", (chunk) => {
      said += String(chunk);
    });
    await within(closed(socket), () => `a connection to be closed after ${said}`, DEADLINE_MS);
    return said;
  };
  /** A client's WebSocket, or another one's. @returns once it is open */
  const upgrade = async (path = "/api", tls: object = DEVICE): Promise<WebSocket> => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, { rejectUnauthorized: false, ...tls });
    t.after(() => socket.terminate());
    socket.on("error", () => undefined);
    await within(once(socket, "open"), "a WebSocket to open", DEADLINE_MS);
    return socket;
  };
  const check = () => {
    for (const work of intervals.values()) work();
  };
  return { tracker, server, port, close, check, dial, ask, upgrade, happened, connections };
}

function closed(socket: Socket | WebSocket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
const upgradeTo = (path: string) =>
  get(
    path,
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
  );
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

test("health and metrics are answered, one request a connection, and it is closed then", async (t) => {
  const { ask } = await start(t);
  const health = await ask(get("/health"));
  assert.match(health, /\r\nconnection: close\r\n/i);
  assert.match(health, /\r\n\r\n{"isServing":true}$/);
  const metrics = await ask(get("/metrics"));
  assert.match(metrics, /\r\ncontent-type: text\/plain; version=0\.0\.4/i);
  assert.match(metrics, /metric 1\n$/);
  const several = await ask(get("/health").repeat(5));
  assert.ok((several.match(/HTTP\/1\.1/g) ?? []).length <= 1, several);
  for (const path of ["/other", "//", "/%"]) {
    const answer = await ask(get(path));
    assert.ok(statusOf(answer) >= 400 && /connection: close/i.test(answer), answer);
  }
});

test("headers of more than 8 KiB, and an expectation that nobody meets, are refused", async (t) => {
  const { ask } = await start(t);
  assert.equal(statusOf(await ask(get("/health", `X: ${"x".repeat(7 * 1024)}\r\n`))), 200);
  assert.equal(statusOf(await ask(get("/health", `X: ${"x".repeat(9 * 1024)}\r\n`))), 431);
  const odd = await ask(get("/health", "Expect: something\r\n"));
  assert.equal(statusOf(odd), 417);
});

test("Node keeps the bounds of time and number", async (t) => {
  const { server } = await start(t);
  const { headersTimeout, requestTimeout, maxRequestsPerSocket, maxConnections } = server as never as Record<
    string,
    unknown
  >;
  assert.deepEqual([headersTimeout, requestTimeout, maxRequestsPerSocket], [10_000, 10_000, 1]);
  assert.equal(maxConnections, connectionsOfTracker(descriptorLimit()));
  const handshake = Object.getOwnPropertySymbols(server).find(({ description }) =>
    /handshake/.test(description ?? ""),
  );
  assert.equal(handshake && (server as never as Record<symbol, unknown>)[handshake], 10_000);
});

test("connections that the system has no room for are told to the operator", async (t) => {
  const { server, happened } = await start(t);
  server.emit("drop");
  assert.match(happened.logged[0] ?? "", /^connections are refused: /);
});

test("TLS is 1.3, and any certificate is taken", async (t) => {
  const { dial, ask } = await start(t);
  const old = dial({ maxVersion: "TLSv1.2", minVersion: "TLSv1.2" });
  let isOldSecure = false;
  old.once("secureConnect", () => {
    isOldSecure = true;
  });
  await within(closed(old), "TLS 1.2 to be refused", DEADLINE_MS);
  assert.equal(isOldSecure, false);
  assert.equal(statusOf(await ask(get("/health"), DEVICE)), 200);
  assert.equal(statusOf(await ask(get("/health"))), 200, "none is needed to ask for the health");
});

test("a client without a certificate, or for something that is not there, is refused", async (t) => {
  const { ask } = await start(t);
  assert.equal(statusOf(await ask(upgradeTo("/api"))), 401);
  assert.equal(statusOf(await ask(upgradeTo("/elsewhere"), DEVICE)), 404);
});

test("clients are sent elsewhere while the tracker does not serve, and when it has all it can have", async (t) => {
  let isServing = false;
  const { ask, upgrade } = await start(t, { isServing: () => isServing });
  assert.equal(statusOf(await ask(upgradeTo("/api"), DEVICE)), 503);
  isServing = true;
  const most = Math.min(15_000, connectionsOfTracker(descriptorLimit()));
  let count = most;
  t.mock.getter(ClientSockets.prototype, "count", () => count);
  assert.equal(statusOf(await ask(upgradeTo("/api"), DEVICE)), 503);
  count = most - 1;
  await upgrade();
});

test("a client learns the tracker's time with the upgrade, and is known by its key and address", async (t) => {
  const { ask, upgrade, connections } = await start(t);
  // An unmasked frame ends the connection.
  const answer = await ask(`${upgradeTo("/api?x=1")}\x81\x00`, DEVICE);
  assert.match(answer, /^HTTP\/1\.1 101 .*\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n/s);
  const client = await upgrade("/api?more=1");
  const [connection] = connections.ofDevice(deviceId);
  assert.equal(connection?.host, "127.0.0.1");
  client.terminate();
  await until(() => connections.count === 0, "the client to be gone", DEADLINE_MS);
});

test("a tracker's link is taken with its certificate if it may link, and refused otherwise", async (t) => {
  let may = true;
  const asked: string[] = [];
  const maySync = async (certificate: Uint8Array) => {
    asked.push(fingerprintOf(certificate));
    return may;
  };
  const { ask, upgrade, happened } = await start(t, { maySync });
  const link = await upgrade("/sync?x");
  const [[socket, certificate] = assert.fail()] = happened.synced;
  const fingerprint = fingerprintOfPem(device.certificatePem);
  assert.deepEqual([asked, fingerprintOf(certificate)], [[fingerprint], fingerprint]);
  const heard = once(socket, "message");
  link.send("x".repeat(2 * 1024 * 1024));
  const [data] = await within(heard, "a page of rows", DEADLINE_MS);
  assert.equal(String(data).length, 2 * 1024 * 1024);
  may = false;
  assert.equal(statusOf(await ask(upgradeTo("/sync"), DEVICE)), 403);
  assert.equal(happened.synced.length, 1);
});

test("a tracker that has gone while its key was looked at gets no link", async (t) => {
  const looking = Promise.withResolvers<boolean>();
  const begun = Promise.withResolvers<void>();
  const { dial, happened, server } = await start(t, {
    maySync: () => {
      begun.resolve();
      return looking.promise;
    },
  });
  const socket = dial(DEVICE);
  socket.write(upgradeTo("/sync"));
  await within(begun.promise, "the look", DEADLINE_MS);
  socket.destroy();
  const connections = () =>
    new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));
  await until(async () => (await connections()) === 0, "the connection to be gone", DEADLINE_MS);
  looking.resolve(true);
  await new Promise(setImmediate);
  assert.deepEqual([happened.synced, happened.faults], [[], 0]);
});

test("a failure while somebody is let in closes that connection, is counted and logged", async (t) => {
  let isBroken = true;
  const breakOnce = () => {
    if (isBroken) throw new Error("a bug");
    return true;
  };
  const { ask, upgrade, happened } = await start(t, {
    isServing: breakOnce,
    maySync: async () => breakOnce(),
  });
  for (const path of ["/api", "/sync"]) assert.equal(await ask(upgradeTo(path), DEVICE), "");
  assert.equal(happened.faults, 2);
  assert.match(happened.logged[0] ?? "", /one of its handlers failed/);
  isBroken = false;
  await upgrade();
});

test("a request is for a path, whatever stands before and after it, and is answered without a body for HEAD", async (t) => {
  const { ask } = await start(t);
  for (const url of ["/health?x=/other", "http://elsewhere/health"]) {
    assert.equal(statusOf(await ask(get(url))), 200, url);
  }
  const head = await ask(get("/health").replace("GET", "HEAD"));
  assert.match(head, /^HTTP\/1\.1 200 .*content-length: 18\r\n.*\r\n\r\n$/is);
  for (const method of ["POST", "DELETE", "OPTIONS"]) {
    assert.equal(statusOf(await ask(get("/health").replace("GET", method))), 404, method);
  }
});

test("a failure behind /health or /metrics is answered with 500, counted and logged", async (t) => {
  const fail = () => {
    throw new Error("a bug");
  };
  const metrics = { contentType: "text/plain", expose: async () => fail() };
  const { ask, happened } = await start(t, { health: fail, metrics });
  for (const path of ["/health", "/metrics"]) {
    const answer = await ask(get(path));
    assert.ok(statusOf(answer) === 500 && !answer.includes("a bug"), answer);
  }
  assert.equal(happened.faults, 2);
  assert.match(happened.logged[1] ?? "", /one of its handlers failed/);
});

/** The waiting rooms that are entered, which is one, and what it lets in. */
function watchRoom(t: TestContext) {
  const rooms: PendingConnectionLimiter<string>[] = [];
  const { enter } = PendingConnectionLimiter.prototype;
  const seen = { rooms, size: () => rooms[0]?.size };
  t.mock.method(
    PendingConnectionLimiter.prototype,
    "enter",
    function (this: PendingConnectionLimiter<string>, visitor: string, host: string) {
      rooms[0] = this;
      return enter.call(this, visitor, host);
    },
  );
  return seen;
}

test("a connection has a place among those that wait until it is closed, a tracker's, or logged in", async (t) => {
  const room = watchRoom(t);
  const { dial, upgrade, connections } = await start(t);
  const idle = dial();
  await within(once(idle, "secureConnect"), "TLS", DEADLINE_MS);
  assert.equal(room.size(), 1);
  idle.destroy();
  await until(() => room.size() === 0, "its place to be free", DEADLINE_MS);
  await upgrade("/sync");
  assert.equal(room.size(), 0);
  await upgrade();
  assert.equal(room.size(), 1);
  const [connection] = connections.ofDevice(deviceId);
  assert.ok(connection);
  connections.logIn(connection, { userId: "alice", accountId: "a" });
  assert.equal(room.size(), 0);
});

test("when all of a network's places are taken the one that has waited longest is closed, unless it has just come", async (t) => {
  let nowMs = 1_000;
  const { dial } = await start(t);
  t.mock.method(performance, "now", () => nowMs);
  const [first] = [dial()];
  await within(once(first, "secureConnect"), "TLS", DEADLINE_MS);
  const room = watchRoom(t);
  const second = dial();
  await within(once(second, "secureConnect"), "TLS", DEADLINE_MS);
  const [places] = room.rooms;
  assert.ok(places);
  // The rest of the network's 1,024 places, by visitors without a socket.
  for (let at = 0; at < 1_022; at++) assert.equal(places.enter(`visitor ${at}`, "127.0.0.1"), true);
  assert.equal(places.enter("one more", "127.0.0.1"), false, "nobody has waited for three seconds");
  await within(closed(dial()), "one that comes then to be closed", DEADLINE_MS);
  nowMs += 3_000;
  assert.equal(places.enter("one more", "127.0.0.1"), true);
  await within(once(first, "close"), "the one that waited longest to be closed", DEADLINE_MS);
  for (let at = 0; at < 1_024; at++) places.enter(`elsewhere ${at}`, "192.0.2.7");
  assert.equal(places.size, 2_048);
  nowMs += 10_000;
  places.enter("a third network's", "198.51.100.1");
  assert.equal(places.size, 2_048);
});

test("a connection that sends 32 KiB without completing TLS is closed, and one that has completed it is not", async (t) => {
  const { port, upgrade, check } = await start(t);
  const flood: Socket = connectTcp({ port, host: "127.0.0.1" });
  t.after(() => flood.destroy());
  flood.on("error", () => undefined);
  const closed = once(flood, "close");
  flood.resume();
  // The beginning of a ClientHello of 100,000 bytes, in records of 16 KiB.
  const body = Buffer.alloc(100_000);
  body.set([1, 0x01, 0x86, 0x9c, 3, 3]);
  const record = (from: number) =>
    Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0]), body.subarray(from, from + 0x4000)]);
  flood.write(record(0));
  flood.write(record(0x4000));
  flood.write(record(0x8000));
  await within(closed, "the flood to be closed", DEADLINE_MS);
  const client = await upgrade();
  for (let times = 0; times < 3; times++) client.send(" ".repeat(15 * 1024));
  client.send("PING");
  await within(once(client, "message"), "an answer", DEADLINE_MS);
  check();
  client.send("PING");
  await within(once(client, "message"), "an answer after the check", DEADLINE_MS);
});

test("an address that is taken, or not this machine's, is told with what to do, and nothing is left open", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  t.after(() => taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await assert.rejects(start(t, { address: { host: "127.0.0.1", port } }), {
    code: "ADDRESS_IN_USE",
    message: /another port in its line of tracker_info\.txt/,
  });
  await assert.rejects(start(t, { address: { host: "192.0.2.1", port: 0 } }), { code: "ADDRESS_UNUSABLE" });
});

test("clients that are turned away are told to try elsewhere", async (t) => {
  const { tracker, upgrade } = await start(t);
  const client = await upgrade();
  const closed = once(client, "close");
  tracker.turnClientsAway("the disk is full");
  const [code, reason] = await within(closed, "the end", DEADLINE_MS);
  assert.deepEqual([code, String(reason)], [1013, "the disk is full"]);
});

test("closing ends clients, links and waiting connections, and resolves when all are closed", async (t) => {
  const { upgrade, dial, close, happened, connections, port } = await start(t);
  const [client, link] = [await upgrade(), await upgrade("/sync")];
  const idle = dial();
  await within(once(idle, "secureConnect"), "TLS", DEADLINE_MS);
  const ends = [client, link, idle].map((one) => closed(one));
  let isLinkClosed = false;
  happened.synced[0]?.[0].once("close", () => {
    isLinkClosed = true;
  });
  await close();
  assert.deepEqual([connections.count, isLinkClosed], [0, true]);
  await within(Promise.all(ends), "the other ends to hear of it", DEADLINE_MS);
  const again = createServer().listen(port, "127.0.0.1");
  await once(again, "listening");
  again.close();
});
