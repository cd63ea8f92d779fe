// Dialling on real sockets, by a clock of the test's own: when a dial ends, and what is left of it then.
import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { within } from "../../../harness/within.ts";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import { type DialOptions, dial, placeOf } from "../../../src/transport/dialer.ts";
import { encodeHandshake } from "../../../src/wire/handshake.ts";
import { watchTimers } from "../net/open-timers.ts";
import { RecordingListener } from "../wire/recording.ts";
import { Alice, INFO_HASH, member, newPeerId, silent } from "./members.ts";

const SOON_MS = 5_000;

/** A host that accepts connections and says nothing. */
async function muteHost(t: TestContext) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const connected = once(server, "connection");
  return { port: address.port, connected };
}

async function optionsFor(port: number, changes: Partial<DialOptions> = {}): Promise<DialOptions> {
  return {
    host: "127.0.0.1",
    port,
    infoHash: INFO_HASH,
    credentials: await member(createGroupAuthority(), "bob"),
    peerId: newPeerId(),
    signal: new AbortController().signal,
    log: silent,
    ...changes,
  };
}

test("a host that says nothing is given up after ten seconds, and its place is free again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const host = await muteHost(t);
  const closed = Promise.withResolvers<void>();
  let closedCount = 0;
  let isOver = false;
  const onClosed = (): void => {
    closedCount++;
    closed.resolve();
  };
  const dialled = dial(await optionsFor(host.port, { onClosed }));
  const ended = dialled.catch(() => undefined).then(() => (isOver = true));
  await host.connected;
  t.mock.timers.tick(9_999);
  for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
  assert.equal(isOver, false, "it may still answer");
  t.mock.timers.tick(1);
  t.mock.timers.reset();
  await within(ended, () => "the dial to end after ten seconds", SOON_MS);
  await assert.rejects(dialled, {
    code: "PEER_REFUSED",
    message: /127\.0\.0\.1:\d+: it did not answer in time/,
  });
  await within(closed.promise, () => "the socket of a dial that ended to close", SOON_MS);
  assert.equal(closedCount, 1);
});

test("the time limit of a dial ends no connection that came of it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  await using alice = await Alice.listen();
  const { accepted, dialled } = await within(alice.connect(), () => "a member to connect", SOON_MS);
  t.mock.timers.tick(10_000);
  const listener = new RecordingListener();
  const heard = new Promise<void>((resolve) => {
    listener.onMessage = () => resolve();
  });
  accepted.start(listener, 8);
  dialled.interested();
  await within(heard, () => "a message on a connection that is ten seconds old", SOON_MS);
  assert.deepEqual(listener.heard, [{ type: "interested" }]);
});

test("a dial that is over, well or not, leaves no timer and no listener behind, and tells of the socket's end once", async (t) => {
  await using alice = await Alice.listen();
  const mute = await muteHost(t);
  const timers = watchTimers(t);
  const waiting = new AbortController();
  const wanted = new AbortController();
  let closedCount = 0;
  const nextClosed = (): { onClosed: () => void; closed: Promise<void> } => {
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      closed: promise,
      onClosed: () => {
        closedCount++;
        resolve();
      },
    };
  };
  const abandoned = nextClosed();
  const dialled = dial(await optionsFor(mute.port, { signal: waiting.signal, onClosed: abandoned.onClosed }));
  await mute.connected;
  assert.equal(timers.open.size, 1);
  waiting.abort();
  await assert.rejects(dialled, {
    ...{ code: "PEER_REFUSED", message: /no longer wanted/, cause: waiting.signal.reason },
  });
  await within(abandoned.closed, () => "the socket of an abandoned dial to close", SOON_MS);
  assert.equal(getEventListeners(waiting.signal, "abort").length, 0);
  assert.equal(timers.open.size, 0);

  const unwanted = nextClosed();
  await assert.rejects(
    dial(await optionsFor(mute.port, { signal: waiting.signal, onClosed: unwanted.onClosed })),
    { code: "PEER_REFUSED", message: /no longer wanted/ },
  );
  await within(unwanted.closed, () => "the socket of a dial that nobody wants to close", SOON_MS);
  assert.equal(timers.open.size, 0);
  assert.equal(closedCount, 2);

  const good = nextClosed();
  const socket = await within(
    dial(
      await optionsFor(alice.listener.port, {
        credentials: await member(alice.authority, "bob"),
        signal: wanted.signal,
        onClosed: good.onClosed,
      }),
    ),
    () => "a member to be reached",
    SOON_MS,
  );
  assert.equal(getEventListeners(wanted.signal, "abort").length, 0);
  wanted.abort();
  assert.equal(closedCount, 2, "a signal that comes later ends nothing");
  socket.close("enough");
  await within(good.closed, () => "the socket of a connection to close", SOON_MS);
  assert.equal(closedCount, 3);
});

test("one address is dialled as it is; of several each gets two seconds, in their order, and none is looked up", () => {
  assert.deepEqual(placeOf(["192.0.2.1"]), { host: "192.0.2.1" });
  const { autoSelectFamily, autoSelectFamilyAttemptTimeout, lookup } = placeOf(["2001:db8::1", "192.0.2.1"]);
  assert.deepEqual([autoSelectFamily, autoSelectFamilyAttemptTimeout], [true, 2_000]);
  const found: unknown[] = [];
  lookup?.("peer.invalid", {}, (...answer) => found.push(...answer));
  assert.deepEqual(found, [
    null,
    [
      { address: "2001:db8::1", family: 6 },
      { address: "192.0.2.1", family: 4 },
    ],
  ]);
});

test("a listener that answers with another torrent's handshake, or as this client itself, is refused", async (t) => {
  const authority = createGroupAuthority();
  const alice = await member(authority, "alice");
  const options = await optionsFor(0, { credentials: await member(authority, "bob") });
  let answer: Uint8Array = new Uint8Array(0);
  const server = createTlsServer({
    ...{ cert: alice.certificatePem, key: alice.privateKeyPem, ca: alice.authorityPem, requestCert: true },
  });
  server.on("secureConnection", (socket) => socket.on("error", () => undefined).write(answer));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const outcome = async (infoHash: string, peerId: Uint8Array): Promise<string> => {
    answer = encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true });
    const dialled = dial({ ...options, port: address.port }).then(
      (socket) => {
        socket.close("enough");
        return "reached";
      },
      (error: Error) => error.message,
    );
    return await within(dialled, "the end of a dial", SOON_MS);
  };
  assert.equal(await outcome(INFO_HASH, newPeerId()), "reached");
  assert.match(await outcome(INFO_HASH, options.peerId), /this client itself/);
  assert.match(await outcome("cd".repeat(20), newPeerId()), /another torrent/);
});
