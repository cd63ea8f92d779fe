// Links between trackers: who dials whom and when again, whose key is believed, what goes over a link and how it ends. Clocks
// are virtual; what is dialled is a real TLS server on loopback, and links that are taken come with fake sockets.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { type AddressInfo, createServer as createTcpServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import { pino } from "pino";
import { type WebSocket, WebSocketServer } from "ws";
import { VirtualClock } from "../../../../harness/virtual-clock.ts";
import { until as untilWithin, within } from "../../../../harness/within.ts";
import { formatAddress, type TrackerAddress } from "../../../../src/api/addresses.ts";
import {
  createDeviceIdentity,
  type DeviceIdentity,
  fingerprintOf,
  fingerprintOfPem,
} from "../../../../src/identity/certificates.ts";
import { PinStore } from "../../../../src/identity/pins.ts";
import type { ReplicaChannel } from "../../../../src/tracker/replication/replica-channel.ts";
import { SyncLinks, type SyncLinksOptions } from "../../../../src/tracker/replication/sync-links.ts";

const DEADLINE_MS = 5_000;
/** A certificate, as far as a key goes. */
const [KEY, OTHER_KEY] = [new Uint8Array([1, 2, 3]), new Uint8Array([4, 5, 6])];
const MIB = 1024 * 1024;

const until = (holds: () => boolean, awaited: string) => untilWithin(holds, awaited, DEADLINE_MS);

class FakeSocket extends EventEmitter {
  bufferedAmount = 0;
  isTerminated = false;
  readonly sent: string[] = [];
  closedWith: unknown[] | undefined;

  send(text: string): void {
    this.sent.push(text);
  }

  close(...given: unknown[]): void {
    this.closedWith = given;
  }

  terminate(): void {
    this.isTerminated = true;
  }
}

interface Listening {
  readonly address: TrackerAddress;
  readonly fingerprint: string;
  /** Links to it that are open. */
  readonly links: { socket: WebSocket; certificate: Uint8Array | undefined; path: string | undefined }[];
  /** TCP connections that came. */
  connections: number;
}

/** Another tracker's address: takes links, or answers with that status. */
async function listen(
  t: TestContext,
  { status = 0, identity = createDeviceIdentity() } = {},
): Promise<Listening> {
  const server: Server = createServer({
    ...{ key: identity.privateKeyPem, cert: identity.certificatePem, requestCert: true },
    rejectUnauthorized: false,
  });
  const webSockets = new WebSocketServer({ noServer: true });
  server.on("connection", () => listening.connections++);
  server.on("tlsClientError", () => undefined);
  server.on("upgrade", (request, socket, head) => {
    if (status !== 0) {
      socket.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\n\r\n`);
      return;
    }
    const certificate =
      request.socket instanceof TLSSocket ? request.socket.getPeerX509Certificate()?.raw : undefined;
    webSockets.handleUpgrade(request, socket, head, (link) =>
      listening.links.push({ socket: link, certificate, path: request.url }),
    );
  });
  t.after(() => {
    for (const link of webSockets.clients) link.terminate();
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  const listening: Listening = {
    ...{ address, fingerprint: fingerprintOfPem(identity.certificatePem), links: [], connections: 0 },
  };
  return listening;
}

/** An address at which nobody listens. */
async function nowhere(): Promise<TrackerAddress> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return { host: "127.0.0.1", port };
}

function place(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "links-"));
  const pins = new PinStore(join(folder, "pins.sqlite"));
  const identity = createDeviceIdentity();
  const clock = new VirtualClock(9_000);
  const logged: { level: number; msg: string }[] = [];
  const channels: { channel: ReplicaChannel; name: string; heard: string[]; closed: string[] }[] = [];
  const faults: string[] = [];
  const opened: SyncLinks[] = [];
  t.after(() => {
    for (const links of opened) links.close();
    pins.close();
    rmSync(folder, { recursive: true });
  });
  const open = (
    trackers: readonly TrackerAddress[],
    ownIndex: number,
    more: Partial<SyncLinksOptions> = {},
  ) => {
    const links = new SyncLinks({
      ...{ trackers, ownIndex, identity, pins, clock },
      log: pino({ level: "info" }, { write: (line: string) => void logged.push(JSON.parse(line)) }),
      onFault: (_error, where, host) => faults.push(`${where} of ${host}`),
      attach: (channel, name) => {
        const attached = { channel, name, heard: [] as string[], closed: [] as string[] };
        channels.push(attached);
        return {
          message: (text) => void attached.heard.push(text),
          closed: (reason) => void attached.closed.push(reason),
        };
      },
      ...more,
    });
    opened.push(links);
    return links;
  };
  return { pins, identity, clock, logged, channels, faults, open };
}

const OWN: TrackerAddress = { host: "192.0.2.1", port: 9000 };
/** A tracker that dials here: its key stands in its line. */
const DIALS_HERE: TrackerAddress = {
  host: "127.0.0.1",
  port: 1,
  fingerprint: fingerprintOf(KEY).toUpperCase(),
};

/** A link that was taken, over a fake socket. */
function taken(t: TestContext) {
  const here = place(t);
  const links = here.open([OWN, DIALS_HERE], 0);
  const socket = new FakeSocket();
  links.accept(socket as unknown as WebSocket, KEY);
  const [attached] = here.channels;
  assert.ok(attached, "the link was not taken");
  return { ...here, links, socket, ...attached };
}

test("a tracker dials those before it in the list, with its own key, and waits for those behind it", async (t) => {
  const [before, behind] = [await listen(t), await listen(t)];
  const { identity, channels, open } = place(t);
  const links = open([before.address, OWN, behind.address], 1);
  await until(() => channels.length === 1, "the link to open");
  await until(() => before.links.length === 1, "the link to come");
  const name = formatAddress(before.address);
  assert.equal(channels[0]?.name, name);
  assert.equal(fingerprintOf(before.links[0]?.certificate ?? KEY), fingerprintOfPem(identity.certificatePem));
  assert.equal(before.links[0]?.path, "/sync");
  assert.equal(behind.connections, 0);
  const [dialled, awaited] = links.peers();
  assert.deepEqual([dialled?.name, dialled?.isOpen, awaited?.isOpen], [name, true, false]);
  assert.match(awaited?.trouble ?? "", /connects to this tracker and has not done so/);
  const fingerprints = links.keys().map((key) => key.fingerprint);
  assert.deepEqual(fingerprints, [before.fingerprint], "seen at first contact");
});

test("messages of a turn go as one frame, a line each, and come as messages of their own; a reason to close as well", async (t) => {
  const other = await listen(t);
  const { clock, channels, open } = place(t);
  const links = open([other.address, OWN], 1);
  await until(() => channels.length === 1 && other.links.length === 1, "the link to open");
  const [{ socket } = assert.fail()] = other.links;
  const [{ channel, heard, closed } = assert.fail()] = channels;
  const frames: string[] = [];
  socket.on("message", (data) => frames.push(String(data)));
  channel.send("one");
  channel.send("two");
  await until(() => frames.length === 1, "a frame");
  channel.send("three");
  await until(() => frames.length === 2, "another frame");
  assert.deepEqual(frames, ["one\ntwo", "three"]);
  socket.send("a\nb");
  socket.send("c");
  await until(() => heard.length === 3, "three messages");
  assert.deepEqual(heard, ["a", "b", "c"]);
  clock.pass(700);
  socket.close(1000, "this tracker stops");
  await until(() => closed.length === 1, "the end");
  assert.deepEqual(closed, ["this tracker stops"]);
  const [peer] = links.peers();
  assert.deepEqual([peer?.isOpen, peer?.downSinceMs], [false, 9_700]);
  assert.match(peer?.trouble ?? "", /was closed \(this tracker stops\); it is opened again/);
  assert.deepEqual(
    clock.timers.map(({ delayMs }) => delayMs),
    [250],
  );
});

test("a tracker that is not there is dialled again after 250 ms, then later and later, up to a second; its trouble is logged once", async (t) => {
  const address = await nowhere();
  const { clock, logged, open } = place(t);
  const links = open([address, OWN], 1);
  assert.match(links.peers()[0]?.trouble ?? "", /is being connected/);
  for (const delayMs of [250, 500, 1_000, 1_000]) {
    await until(() => clock.timers.length > 0, "a redial to be due");
    assert.deepEqual(
      clock.timers.map((timer) => timer.delayMs),
      [delayMs],
    );
    assert.match(links.peers()[0]?.trouble ?? "", /^Nothing listens at/);
    clock.pass(delayMs);
  }
  assert.deepEqual(
    logged.map(({ level, msg }) => [level, msg]),
    [[30, "tracker not reached"]],
  );
});

test("a link that was lost is dialled again at once, however long it took to come about", async (t) => {
  const other = await listen(t);
  const { clock, channels, open } = place(t);
  open([other.address, OWN], 1);
  for (let times = 1; times <= 3; times++) {
    await until(() => channels.length === times && other.links.length === times, "the link to open");
    other.links.at(-1)?.socket.terminate();
    await until(() => clock.timers.length === 1, "a redial to be due");
    assert.equal(clock.timers[0]?.delayMs, 250);
    assert.deepEqual(channels.at(-1)?.closed, ["the connection is gone"]);
    clock.pass(250);
  }
});

test("a refusal is told as what it is, and is grave", async (t) => {
  for (const [status, told] of [
    [403, /refuses this tracker's key/],
    [404, /answers with HTTP status 404/],
  ] as const) {
    const other = await listen(t, { status });
    const { clock, channels, logged, identity, open } = place(t);
    const links = open([other.address, OWN], 1);
    await until(() => clock.timers.length === 1, "a redial to be due");
    const trouble = links.peers()[0]?.trouble ?? "";
    assert.match(trouble, told);
    assert.equal(trouble.includes(fingerprintOfPem(identity.certificatePem)), status === 403);
    assert.deepEqual([channels.length, logged[0]?.level], [0, 50]);
  }
});

test("a tracker whose key is another than before, or than its line says, gets no link, and a new key is not kept", async (t) => {
  const other = await listen(t);
  for (const isPinned of [true, false]) {
    const { clock, pins, channels, open } = place(t);
    const fingerprint = fingerprintOf(OTHER_KEY);
    if (!isPinned) pins.check(formatAddress(other.address), fingerprint);
    const links = open([isPinned ? { ...other.address, fingerprint } : other.address, OWN], 1);
    await until(() => clock.timers.length === 1, "a redial to be due");
    assert.match(links.peers()[0]?.trouble ?? "", /shows the key .* Then restart this tracker\.$/s);
    assert.equal(channels.length, 0);
    assert.deepEqual(
      links.keys().map((key) => key.fingerprint),
      [fingerprint],
    );
  }
});

test("two lines that are one tracker count once: one with this tracker's own key, one with another line's", async (t) => {
  const { identity, clock, channels, logged, open } = place(t);
  const mirror = await listen(t, { identity });
  const twins = createDeviceIdentity();
  const [first, second] = [await listen(t, { identity: twins }), await listen(t, { identity: twins })];
  const links = open([mirror.address, first.address, second.address, OWN], 3);
  await until(() => links.peers().length === 1, "two lines to be known as aliases");
  await until(() => channels.length >= 1, "the link that counts");
  await until(
    () => mirror.links.length === 0 || mirror.links[0]?.socket.readyState === 3,
    "the mirror to be left",
  );
  assert.deepEqual([...new Set(channels.map(({ name }) => name))], [links.peers()[0]?.name]);
  assert.deepEqual(clock.timers, [], "none of them is dialled again");
  assert.equal(logged.filter(({ msg }) => msg.startsWith("two lines of tracker_info.txt are one")).length, 2);
  assert.equal(channels.length, 1);
});

test("a tracker that is closed dials no more, ends its links, and what is being dialled", async (t) => {
  const [other, late] = [await listen(t), await listen(t)];
  const { clock, channels, logged, open } = place(t);
  const links = open([other.address, await nowhere(), late.address, OWN], 3);
  await until(() => channels.length === 2 && clock.timers.length === 1, "two links and a redial");
  const before = logged.length;
  links.close();
  assert.deepEqual(clock.timers, [], "no redial is left");
  await until(() => channels.every(({ closed }) => closed.length === 1), "the links to end");
  const again = open([other.address, OWN], 1);
  again.close();
  await nextTurn();
  await until(
    () => other.links.every(({ socket }) => socket.readyState === 3),
    "all to be closed at the other end",
  );
  assert.deepEqual([clock.timers, channels.length, logged.length], [[], 2, before]);
});

test("a link is taken from a tracker whose key is known, and from nobody else", (t) => {
  const { open, channels } = place(t);
  const links = open([OWN, DIALS_HERE], 0);
  const stranger = new FakeSocket();
  links.accept(stranger as unknown as WebSocket, OTHER_KEY);
  assert.deepEqual([stranger.isTerminated, channels.length], [true, 0]);
  const [older, newer] = [new FakeSocket(), new FakeSocket()];
  links.accept(older as unknown as WebSocket, KEY);
  links.accept(newer as unknown as WebSocket, KEY);
  assert.deepEqual([older.isTerminated, newer.isTerminated, channels.length], [true, false, 2]);
  older.emit("close", 1006, Buffer.alloc(0));
  assert.equal(links.peers()[0]?.isOpen, true, "the newer one is its link now");
  newer.emit("close", 1006, Buffer.alloc(0));
  assert.equal(links.peers()[0]?.isOpen, false);
  links.close();
  const late = new FakeSocket();
  links.accept(late as unknown as WebSocket, KEY);
  assert.deepEqual([late.isTerminated, channels.length], [true, 2]);
});

test("closing ends links that were taken", (t) => {
  const { links, socket } = taken(t);
  links.close();
  assert.equal(socket.isTerminated, true);
});

test("a handler of a link that fails ends that link, and an error of its socket is told", (t) => {
  const { socket, faults, links } = taken(t);
  socket.emit("error", Object.assign(new Error("reset"), { code: "ECONNRESET" }));
  assert.match(links.peers()[0]?.trouble ?? "", /failed \(reset\)/);
  socket.emit("message", {
    toString: () => {
      throw new Error("a bug");
    },
  });
  assert.deepEqual([socket.isTerminated, faults], [true, ["message of 127.0.0.1:1"]]);
  assert.deepEqual(taken(t).links.peers()[0]?.isOpen, true);
});

test("a link that comes about has no trouble any more", (t) => {
  const { socket, links } = taken(t);
  socket.emit("error", new Error("reset"));
  links.accept(new FakeSocket() as unknown as WebSocket, KEY);
  assert.match(links.peers()[0]?.trouble ?? "", /connects to this tracker/);
});

test("messages of a turn go at its end, and at once when they reach a MiB", async (t) => {
  const { channel, socket } = taken(t);
  const asked = t.mock.method(process, "nextTick");
  channel.send("a");
  channel.send("b");
  assert.deepEqual([socket.sent, asked.mock.callCount()], [[], 1]);
  await nextTurn();
  assert.deepEqual(socket.sent, ["a\nb"]);
  const half = "x".repeat(MIB / 2);
  channel.send(half);
  assert.equal(socket.sent.length, 1);
  channel.send(half);
  assert.equal(socket.sent.length, 2);
  channel.send("c");
  assert.equal(socket.sent.length, 2, "what follows is counted anew");
  await nextTurn();
  assert.deepEqual(socket.sent.at(-1), "c");
  assert.equal(socket.sent.length, 3, "and nothing goes twice, nor an empty frame");
});

test("a tracker that does not read is given up past 128 MiB of what waits for it", async (t) => {
  const { channel, socket } = taken(t);
  socket.bufferedAmount = 128 * MIB;
  channel.send("a");
  await nextTurn();
  assert.equal(socket.isTerminated, false);
  socket.bufferedAmount++;
  channel.send("b");
  await nextTurn();
  assert.equal(socket.isTerminated, true);
});

test("a channel that is closed sends what waits, says why in whole characters, and is cut off half a second later", (t) => {
  const { channel, socket, clock } = taken(t);
  channel.send("last");
  channel.close("ü".repeat(100));
  assert.deepEqual(socket.sent, ["last"]);
  assert.deepEqual(socket.closedWith, [1000, "ü".repeat(61)]);
  clock.pass(499);
  assert.equal(socket.isTerminated, false);
  clock.pass(1);
  assert.equal(socket.isTerminated, true);
  const polite = taken(t);
  polite.channel.close("x".repeat(123));
  assert.deepEqual(polite.socket.closedWith, [1000, "x".repeat(123)]);
  polite.socket.emit("close", 1000, Buffer.alloc(0));
  assert.deepEqual(polite.clock.timers, [], "it is closed, and need not be cut off");
});

test("a key that is known may link at once; another may if it is found at an address whose key was never seen", async (t) => {
  const identity: DeviceIdentity = createDeviceIdentity();
  const unseen = await listen(t, { identity });
  const { open, pins } = place(t);
  const links = open([OWN, DIALS_HERE, unseen.address], 0);
  assert.equal(await links.maySync(KEY), true);
  assert.equal(unseen.connections, 0, "nobody is asked");
  const der = certificateOf(identity);
  assert.deepEqual(await Promise.all([links.maySync(der), links.maySync(der)]), [true, true]);
  assert.equal(unseen.connections, 1, "one look serves both");
  assert.equal(pins.get(formatAddress(unseen.address)), fingerprintOf(der));
  assert.equal(await links.maySync(der), true);
  assert.equal(unseen.connections, 1);
});

test("a key that nobody has is refused, which is logged once for each key in a row", async (t) => {
  const { open, logged } = place(t);
  const links = open([OWN, DIALS_HERE], 0);
  for (const key of [OTHER_KEY, OTHER_KEY, new Uint8Array([9]), OTHER_KEY])
    assert.equal(await links.maySync(key), false);
  const refusals = logged.filter(({ msg }) => msg.startsWith("a link was refused: "));
  assert.equal(refusals.length, 3);
});

test("after a refusal the trackers that dial here are looked at, at most every ten seconds, if they have no link", async (t) => {
  const other = await listen(t);
  const [dialled, self] = [await listen(t), OWN];
  const { open, clock, pins, channels } = place(t);
  pins.check(formatAddress(other.address), fingerprintOf(KEY));
  pins.check(formatAddress(dialled.address), dialled.fingerprint);
  const links = open([dialled.address, self, other.address], 1);
  await until(() => channels.length === 1, "the link to the one before");
  await links.maySync(OTHER_KEY);
  const trouble = () => links.peers()[1]?.trouble ?? "";
  await until(() => trouble().includes(`shows the key sha256:${other.fingerprint}`), "the look at its key");
  for (const [passedMs, connections] of [
    [9_999, 1],
    [1, 2],
  ] as const) {
    clock.pass(passedMs);
    await links.maySync(OTHER_KEY);
    await until(() => other.connections === connections, `look ${connections}`);
    for (let turns = 0; turns < 5; turns++) await nextTurn();
    assert.equal(other.connections, connections);
  }
  links.accept(new FakeSocket() as unknown as WebSocket, KEY);
  clock.pass(20_000);
  await links.maySync(OTHER_KEY);
  for (let turns = 0; turns < 20; turns++) await nextTurn();
  assert.equal(other.connections, 2, "it has a link");
  assert.equal(dialled.connections, 1, "the one before is dialled anyway");
});

/** Whether `met` has resolved, after that much virtual time. */
async function meeting(clock: VirtualClock, links: SyncLinks, hasCaughtUp: (name: string) => boolean) {
  const seen = { isOver: false };
  const over = links.met(hasCaughtUp).then(() => {
    seen.isOver = true;
  });
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 20) {
      clock.pass(Math.min(20, left));
      await nextTurn();
    }
    return seen.isOver;
  };
  const begun = () =>
    until(() => seen.isOver || clock.timers.some(({ delayMs }) => delayMs === 20), "a look");
  return { over, pass, begun };
}

test("a tracker that starts waits for those that are there: two seconds for a link, a minute for all rows", async (t) => {
  const there = await listen(t);
  const { open, clock } = place(t);
  const address = { ...there.address, fingerprint: fingerprintOf(KEY) };
  const links = open([OWN, address], 0);
  const first = await meeting(clock, links, () => false);
  await first.begun();
  assert.equal(await first.pass(1_980), false);
  assert.equal(
    await first.pass(40),
    true,
    "one that is there and does not link is not waited for any longer",
  );

  links.accept(new FakeSocket() as unknown as WebSocket, KEY);
  let hasCaughtUp = false;
  const second = await meeting(clock, links, (name) => {
    assert.equal(name, formatAddress(address));
    return hasCaughtUp;
  });
  await second.begun();
  assert.equal(await second.pass(30_000), false);
  hasCaughtUp = true;
  assert.equal(await second.pass(40), true);
  hasCaughtUp = false;
  const third = await meeting(clock, links, () => hasCaughtUp);
  await third.begun();
  assert.equal(await third.pass(59_960), false);
  assert.equal(await third.pass(60), true, "rows for more than a minute come while it serves");
});

test("nobody is waited for who is not there, is this tracker itself, or when it closes", async (t) => {
  const { open, clock, identity, channels } = place(t);
  const alone = open([OWN, await nowhere()], 0);
  await within(
    alone.met(() => false),
    () => "one that is not there to be given up",
    DEADLINE_MS,
  );
  const mirror = await listen(t, { identity });
  const met = open([OWN, mirror.address], 0).met(() => false);
  await within(met, () => "a tracker to know itself", DEADLINE_MS);
  const there = await listen(t);
  const closing = open([OWN, there.address], 0);
  const waiting = await meeting(clock, closing, () => false);
  await waiting.begun();
  assert.equal(await waiting.pass(100), false);
  closing.close();
  assert.equal(await waiting.pass(20), true);
  assert.equal(channels.length, 0);
});

test("one that was missing is waited for when trackers meet again, until it is dialled and missing still", async (t) => {
  const { open, clock } = place(t);
  const links = open([await nowhere(), OWN], 1);
  await until(() => clock.timers.some(({ delayMs }) => delayMs === 250), "the first dial to fail");
  const again = await meeting(clock, links, () => false);
  await again.begun();
  assert.equal(await again.pass(100), false, "it may be there by now");
  await again.pass(160);
  await until(() => clock.timers.some(({ delayMs }) => delayMs === 500), "the second dial to fail");
  assert.equal(await again.pass(40), true);
});

/** Sockets are told at once that their time is over, where the time is two seconds. */
function expireAtOnce(t: TestContext): number[] {
  const asked: number[] = [];
  const { setTimeout: setSocketTimeout } = Socket.prototype;
  t.mock.method(Socket.prototype, "setTimeout", function (this: Socket, ms: number, callback?: () => void) {
    asked.push(ms);
    setSocketTimeout.call(this, 0);
    if (callback !== undefined) this.once("timeout", callback);
    if (ms > 0) process.nextTick(() => this.emit("timeout"));
    return this;
  });
  return asked;
}

test("an address that does not answer within two seconds is one where nobody is, and says nothing of a key", async (t) => {
  const silent = createTcpServer((socket) => t.after(() => socket.destroy())).listen(0, "127.0.0.1");
  t.after(() => silent.close());
  await once(silent, "listening");
  const address = { host: "127.0.0.1", port: (silent.address() as AddressInfo).port };
  const { open } = place(t);
  const links = open([OWN, address], 0);
  const asked = expireAtOnce(t);
  await within(
    links.met(() => false),
    "one that does not answer to be given up",
    DEADLINE_MS,
  );
  assert.equal(await within(links.maySync(KEY), "the look to end", DEADLINE_MS), false);
  assert.ok(asked.filter((ms) => ms === 2_000).length >= 2, `${asked}`);
});

test("a failure to dial is reported, and dialled again", async (t) => {
  const { open, identity, clock, faults } = place(t);
  open([await nowhere(), OWN], 1, { identity: { ...identity, privateKeyPem: "no key" } });
  await until(() => clock.timers.length === 1, "a redial to be due");
  assert.equal(clock.timers[0]?.delayMs, 250);
  assert.ok(
    faults.every((fault) => fault.startsWith("dialling of")),
    `${faults}`,
  );
});

test("a dial under way at the close never becomes a link", async (t) => {
  const other = await listen(t);
  const { channels, open } = place(t);
  open([other.address, OWN], 1).close();
  open([other.address, OWN], 1);
  await until(() => channels.length > 0 && other.links.length > 0, "a link that was dialled later");
  for (let turns = 0; turns < 20; turns++) await nextTurn();
  assert.deepEqual(
    [channels.length, other.links.filter(({ socket }) => socket.readyState === 1).length],
    [1, 1],
  );
});

function certificateOf({ certificatePem }: DeviceIdentity): Uint8Array {
  return Buffer.from(certificatePem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
}
