// One connection to one tracker over real TLS on loopback, with a clock of the test's own.
import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { createServer as createWebServer } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import {
  connectError,
  openTrackerSocket,
  type TrackerSocketOptions,
} from "../../../../src/client/trackers/tracker-socket.ts";
import { TrackerTrust } from "../../../../src/client/trackers/tracker-trust.ts";
import { createDeviceIdentity } from "../../../../src/identity/certificates.ts";
import { PinStore } from "../../../../src/identity/pins.ts";
import {
  arrives,
  FakeTracker,
  identity,
  readableLog,
  settle,
  temporaryFolder,
  until,
  virtualTime,
} from "../session-fixture.ts";
import { TrackerServer } from "../tracker-server.ts";

const MINUTE_MS = 60_000;

async function stage(t: TestContext, aheadMs = 0) {
  const time = virtualTime(t);
  const { after } = time;
  const fake = new FakeTracker();
  const server = await TrackerServer.open(t, fake, aheadMs);
  const pins = new PinStore(join(temporaryFolder(t), "pins.sqlite"));
  t.after(() => pins.close());
  const { log, said } = readableLog();
  const end = new AbortController();
  t.after(() => end.abort());
  let closedCount = 0;
  const trackers = [server.address];
  const options: TrackerSocketOptions = {
    ...{ tracker: server.address, identity, log, signal: end.signal },
    trust: new TrackerTrust({ trackers, pins, onFirstTrust: () => undefined }),
    plan: { host: "127.0.0.1", localAddress: undefined },
    onClose: () => closedCount++,
  };
  const open = async (changes: Partial<TrackerSocketOptions> = {}) => {
    const socket = await openTrackerSocket({ ...options, ...changes });
    t.after(() => socket.close());
    return socket;
  };
  /** What was heard since the last look, of heartbeats. */
  const heartbeats = () => server.heard.splice(0).filter((text) => /^P[IO]NG$/.test(text));
  return { time, after, fake, server, pins, said, end, open, heartbeats, closedCount: () => closedCount };
}

test("a connection shows this device's key, and knows the tracker's key, its clock and its own address", async (t) => {
  const { open, server } = await stage(t, 15 * MINUTE_MS);
  const socket = await open();
  assert.deepEqual(await socket.api.session.resume.mutate(), { userId: "alice", accountId: "0001" });
  assert.deepEqual(server.deviceIds, [identity.deviceId]);
  assert.equal(socket.fingerprint, server.fingerprint);
  assert.equal(socket.localHost, "127.0.0.1");
  assert.equal(socket.isClosed, false);
  const aheadMs = (socket.time?.trackerMs ?? 0) - Date.now();
  assert.ok(Math.abs(aheadMs - 15 * MINUTE_MS) <= 1_000, `${aheadMs} ms`);
});

test("a plan's addresses are dialled from and to", async (t) => {
  const { open, server } = await stage(t);
  const socket = await open({
    tracker: { host: "tracker.invalid", port: server.port },
    plan: { host: "127.0.0.1", localAddress: "127.0.0.9" },
  });
  assert.equal(socket.localHost, "127.0.0.9");
});

test("a tracker whose key is not accepted hears nothing, and the refusal says why", async (t) => {
  const { open, pins, server, closedCount } = await stage(t);
  pins.check(`127.0.0.1:${server.port}`, "f".repeat(64));
  await assert.rejects(open(), { code: "TRACKER_KEY_CHANGED" });
  await settle();
  assert.deepEqual([server.deviceIds, closedCount()], [[], 0]);
});

test("a dial that is given up fails, before and while it is made; one that stands is not ended by that", async (t) => {
  const { open, end, closedCount } = await stage(t);
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => silent.close());
  const address = silent.address();
  assert.ok(typeof address === "object" && address !== null);
  const tracker = { host: "127.0.0.1", port: address.port };
  const socket = await open();
  const opened = open({ tracker });
  await settle();
  end.abort();
  const givenUp = { code: "TRACKERS_UNREACHABLE", message: /does not answer: it kept this client waiting/ };
  await arrives("the dial is given up", assert.rejects(opened, givenUp));
  await arrives("a dial is not begun", assert.rejects(open({ tracker }), givenUp));
  await settle();
  assert.deepEqual([socket.isClosed, closedCount()], [false, 0]);
});

test("a connection that the tracker closes fails its calls, and is told once", async (t) => {
  const { open, fake, server, closedCount } = await stage(t);
  const socket = await open();
  fake.answer("session.resume", () => new Promise(() => undefined));
  const call = assert.rejects(socket.api.session.resume.mutate(), /connection to the tracker was closed/);
  await until("the call arrives", () => fake.asked.length === 1);
  for (const one of server.sockets) one.terminate();
  await arrives("the call fails", call);
  socket.close();
  await settle();
  assert.deepEqual([closedCount(), socket.isClosed], [1, true]);
});

test("a connection that is closed here is over for the tracker too, and fails what is asked of it", async (t) => {
  const { open, server } = await stage(t);
  const socket = await open();
  assert.equal(server.sockets.size, 1);
  socket.close();
  await until("the tracker's end is closed", () => server.sockets.size === 0);
  await arrives("the call fails", assert.rejects(socket.api.session.resume.mutate(), /is closed/));
});

test("an idle tracker is asked after three and a half seconds whether it is there, and lives if it answers", async (t) => {
  const { open, after, heartbeats, server, closedCount } = await stage(t);
  await open();
  for (let round = 0; round < 2; round++) {
    for (const stepMs of [1_500, 1_500, 499]) await after(stepMs);
    assert.deepEqual(heartbeats(), [], "too early");
    await after(1);
    await until("it is asked", () => server.heard.length > 0);
    assert.deepEqual(heartbeats(), ["PING"]);
    await settle(20);
  }
  assert.equal(closedCount(), 0);
});

test("a tracker that owes an answer is asked after a second and a half, and given up after as long again", async (t) => {
  const { open, after, heartbeats, server, fake, closedCount } = await stage(t);
  const socket = await open();
  server.isAnswering = false;
  const call = assert.rejects(socket.api.session.resume.mutate(), /closed/);
  await until("the call arrives", () => server.heard.length > 0);
  await after(1_499);
  assert.deepEqual(heartbeats(), []);
  await after(1);
  await until("it is asked", () => server.heard.length > 0);
  assert.deepEqual(heartbeats(), ["PING"]);
  await after(1_499);
  assert.equal(closedCount(), 0);
  await after(1);
  await settle();
  assert.equal(closedCount(), 1);
  await arrives("the call fails", call);
  assert.deepEqual(fake.asked, []);
});

test("after an answer the tracker owes none, and has more time again", async (t) => {
  const { open, after, heartbeats } = await stage(t);
  const socket = await open();
  await after(1_000);
  await socket.api.session.resume.mutate();
  heartbeats();
  await after(1_500);
  await after(1_500);
  assert.deepEqual(heartbeats(), []);
});

test("a client that was held up itself reads what came meanwhile before it gives a tracker up", async (t) => {
  const { open, after, server, closedCount } = await stage(t);
  const socket = await open();
  server.isAnswering = false;
  for (const stepMs of [1_500, 1_500, 500]) await after(stepMs);
  await until("it is asked", () => server.heard.length > 0);
  server.say("PONG");
  t.mock.timers.tick(1_500);
  await settle(20);
  assert.deepEqual([closedCount(), socket.isClosed], [0, false]);
});

test("a tracker that asks is answered", async (t) => {
  const { open, server, heartbeats } = await stage(t);
  await open();
  server.say("PING");
  await until("it is answered", () => server.heard.length > 0);
  assert.deepEqual(heartbeats(), ["PONG"]);
});

test("a message that no tracker sends ends the connection", async (t) => {
  const { open, server, closedCount } = await stage(t);
  const socket = await open();
  server.say("hello");
  await until("it is closed", () => socket.isClosed);
  assert.equal(closedCount(), 1);
});

test("bytes after the end are not read", async (t) => {
  const { open, server } = await stage(t);
  const socket = await open();
  const heard: unknown[] = [];
  socket.api.events.subscribe(undefined, { onData: (event: unknown) => heard.push(event) });
  await until("somebody listens", () => server.fake.listening.length === 1);
  await settle();
  server.fake.tell(1);
  await until("it is heard", () => heard.length === 1);
  server.fake.tell(2);
  socket.close();
  await settle(20);
  assert.equal(heard.length, 1);
});

test("an answer longer than any real one ends the connection", async (t) => {
  const { open, server } = await stage(t);
  const socket = await open();
  server.say(`{"id":7,"result":{"data":"${"x".repeat(20 * 1024 * 1024)}"}}`);
  await until("it is closed", () => socket.isClosed);
});

test("a failure inside ends the connection, is logged, and reaches nobody else", async (t) => {
  const { open, said, server, closedCount } = await stage(t);
  const socket = await open();
  socket.api.events.subscribe(undefined, {
    onData: () => {
      throw new Error("a bug");
    },
  });
  await until("somebody listens", () => server.fake.listening.length === 1);
  await settle();
  server.fake.tell(1);
  await until("it is closed", () => socket.isClosed);
  assert.deepEqual([said("error"), closedCount()], [["the connection to a tracker failed inside"], 1]);
});

test("a closed connection waits for no tracker that does not read, and leaves no timer", async (t) => {
  const { open, server, time, closedCount, fake } = await stage(t);
  const socket = await open();
  socket.api.events.subscribe(undefined, { onData: () => undefined });
  await until("somebody listens", () => fake.listening.length === 1);
  await settle();
  assert.equal(time.timeouts, 1, "the heartbeat");
  for (let count = 0; count < 5; count++) server.say("PONG");
  await settle(20);
  assert.equal(time.timeouts, 1);
  for (const one of server.sockets) one.pause();
  fake.tell(1);
  socket.close();
  await until("it is closed", () => closedCount() === 1);
  await settle(20);
  assert.equal(time.timeouts, 0);
});

test("a dial that is over is not given up any more", async (t) => {
  const { open, end, server } = await stage(t);
  await open();
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const address = closed.address();
  assert.ok(typeof address === "object" && address !== null);
  closed.close();
  await assert.rejects(open({ tracker: { host: "127.0.0.1", port: address.port } }));
  assert.equal(getEventListeners(end.signal, "abort").length, 0);
  assert.equal(server.sockets.size, 1);
});

test("a web server that is no tracker is said to be none", async (t) => {
  const { open } = await stage(t);
  const { certificatePem: cert, privateKeyPem: key } = createDeviceIdentity();
  const web = createWebServer({ cert, key }, (_request, response) => response.writeHead(404).end());
  web.listen(0, "127.0.0.1");
  await once(web, "listening");
  t.after(() => {
    web.closeAllConnections();
    web.close();
  });
  const address = web.address();
  assert.ok(typeof address === "object" && address !== null);
  const opened = open({ tracker: { host: "127.0.0.1", port: address.port } });
  await arrives(
    "it is refused",
    assert.rejects(opened, { code: "TRACKERS_UNREACHABLE", message: /Unexpected server response: 404/ }),
  );
});

test("why a tracker is not reached is said with its address", () => {
  const errno = (code: string) => Object.assign(new Error(code), { code });
  const refused = new MiniTorrentError("TRACKER_KEY_UNKNOWN", "An unknown key.");
  assert.equal(connectError("a:1", refused), refused);
  const of = (failure: unknown) => connectError("a:1", failure);
  assert.equal(
    of(errno("ECONNREFUSED")).message,
    "The tracker a:1 does not answer: nothing listens there (ECONNREFUSED).",
  );
  assert.match(of(errno("ENETUNREACH")).message, /^The tracker a:1 cannot be reached from this machine: /);
  assert.equal(of(new Error("odd")).message, "The tracker a:1 does not answer: odd.");
  assert.equal(of(undefined).message, "The tracker a:1 does not answer: the connection was closed.");
  for (const failure of [errno("ECONNREFUSED"), new Error("odd"), undefined]) {
    assert.equal(of(failure).code, "TRACKERS_UNREACHABLE");
    assert.equal(of(failure).cause, failure);
  }
});

test("a port at which nobody listens is no tracker", async (t) => {
  const { open } = await stage(t);
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const address = closed.address();
  assert.ok(typeof address === "object" && address !== null);
  closed.close();
  await once(closed, "close");
  await assert.rejects(open({ tracker: { host: "127.0.0.1", port: address.port } }), {
    code: "TRACKERS_UNREACHABLE",
    message: /nothing listens there/,
  });
});
