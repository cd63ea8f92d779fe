// Connections that wait until TLS begins on them: what they say is kept for it, and whoever goes or says too much costs nothing.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { connect } from "node:tls";
import { within } from "../../../../harness/within.ts";
import { createDeviceIdentity } from "../../../../src/identity/certificates.ts";
import { holdConnections } from "../../../../src/tracker/server/held-connections.ts";

const KIB = 1024;
/** TLS begins on so many connections in one turn of the event loop. */
const AT_ONCE = 4;
const DEADLINE_MS = 5_000;

class FakeSocket extends Duplex {
  readonly remoteAddress: string;
  destroyCalls = 0;

  constructor(remoteAddress: string) {
    super({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    this.remoteAddress = remoteAddress;
  }

  override destroy(error?: Error): this {
    this.destroyCalls++;
    return super.destroy(error);
  }
}

function hold(mayBegin: (socket: Socket) => boolean = () => true) {
  const server = new EventEmitter();
  /** Connections on which TLS has begun. */
  const begun: unknown[] = [];
  const faults: string[] = [];
  const turns: (() => void)[] = [];
  let beginTls = (socket: unknown) => void begun.push(socket);
  server.on("connection", (socket) => beginTls(socket));
  const held = holdConnections(
    server as unknown as Server,
    mayBegin,
    (_error, where) => faults.push(where),
    (run) => turns.push(run),
  );
  const arrive = (host = "192.0.2.1"): FakeSocket => {
    const socket = new FakeSocket(host);
    server.emit("connection", socket);
    return socket;
  };
  /** As many as begin at once: whoever comes after them waits. */
  const fill = () => Array.from({ length: AT_ONCE }, () => arrive());
  const turn = () => {
    begun.length = 0;
    turns.shift()?.();
    return [...begun];
  };
  const failNext = () => {
    const before = beginTls;
    beginTls = () => {
      beginTls = before;
      throw new Error("a bug");
    };
  };
  return { server, held, begun, faults, turns, arrive, fill, turn, failNext };
}

test("TLS begins at once on four connections, and on the next ones in the turns that follow", () => {
  const { begun, fill, arrive, turn } = hold();
  assert.deepEqual(fill(), [...begun]);
  const waiting = Array.from({ length: AT_ONCE + 1 }, () => arrive());
  assert.equal(begun.length, AT_ONCE);
  assert.equal(turn().length, AT_ONCE);
  assert.deepEqual(turn(), waiting.slice(0, 1));
});

test("TLS first reads all that a waiting connection has sent, in order", async () => {
  const { fill, arrive, turn } = hold();
  fill();
  const socket = arrive();
  for (const text of ["client ", "hel", "lo"]) {
    socket.push(text);
    await nextTurn();
  }
  assert.deepEqual(turn(), [socket]);
  await nextTurn();
  assert.equal(String(socket.read()), "client hello", "nothing is read before TLS reads it");
  socket.push(" and more");
  await nextTurn();
  assert.equal(String(socket.read()), " and more");
});

test("once TLS has begun, how the connection ends and what it says is not the queue's affair", async () => {
  const { held, fill, arrive, turn } = hold();
  fill();
  const socket = arrive();
  await nextTurn();
  turn();
  const errors: unknown[] = [];
  socket.on("error", (error) => errors.push(error));
  socket.resume();
  socket.push(Buffer.alloc(8 * KIB));
  await nextTurn();
  for (const event of ["end", "close"]) socket.emit(event);
  socket.emit("error", new Error("reset"));
  held.close();
  assert.equal(socket.destroyCalls, 0);
});

test("a connection that may not begin does not, nor one that has closed by then", () => {
  const asked: unknown[] = [];
  const { begun, fill, arrive, turn } = hold((socket) => asked.push(socket) > AT_ONCE + 1);
  fill();
  assert.deepEqual(begun, []);
  const [gone, refused] = [arrive(), arrive()];
  gone.destroy(); // "close" comes in a later turn
  assert.deepEqual(turn(), []);
  assert.equal(asked.includes(gone), false);
  assert.equal(asked.includes(refused), true);
});

for (const [how, go] of [
  ["ends", (socket: FakeSocket) => void socket.push(null)],
  ["fails", (socket: FakeSocket) => void socket.emit("error", new Error("reset"))],
  ["closes", (socket: FakeSocket) => void socket.emit("close")],
  ["says more than 4 KiB", (socket: FakeSocket) => void socket.push(Buffer.alloc(4 * KIB + 1))],
] as const) {
  test(`a connection that ${how} while it waits is closed, and takes no other's turn`, async () => {
    const { held, fill, arrive, turn } = hold();
    fill();
    const patient = Array.from({ length: AT_ONCE }, () => arrive());
    const impatient = Array.from({ length: AT_ONCE }, () => arrive());
    for (const socket of impatient) go(socket);
    await nextTurn();
    for (const socket of impatient) assert.equal(socket.destroyed, true);
    const calls = impatient.map(({ destroyCalls }) => destroyCalls);
    assert.deepEqual(turn(), patient.reverse());
    held.close();
    assert.deepEqual(
      impatient.map(({ destroyCalls }) => destroyCalls),
      calls,
      "nothing of it is kept",
    );
  });
}

test("a hello of 4 KiB is kept", async () => {
  const { fill, arrive, turn } = hold();
  fill();
  const socket = arrive();
  socket.push(Buffer.alloc(4 * KIB));
  await nextTurn();
  assert.deepEqual(turn(), [socket]);
});

test("a failure at the beginning of TLS, or on arrival, ends that connection alone", () => {
  const { faults, fill, arrive, turn, failNext, server } = hold();
  fill();
  const other = arrive();
  const victim = arrive();
  failNext();
  assert.deepEqual(turn(), [other]);
  assert.deepEqual([victim.destroyed, other.destroyed], [true, false]);
  const odd = new FakeSocket("");
  Object.defineProperty(odd, "remoteAddress", {
    get: () => {
      throw new Error("a bug");
    },
  });
  server.emit("connection", odd);
  assert.equal(odd.destroyed, true);
  assert.deepEqual(faults, ["beginning of TLS", "arrival"]);
});

test("a connection that has waited for a minute is closed", (t) => {
  let nowMs = 1_000;
  t.mock.method(performance, "now", () => nowMs);
  const { fill, arrive, turn } = hold();
  fill();
  const old = arrive();
  nowMs += 1;
  const young = arrive();
  nowMs += 59_999;
  assert.deepEqual(turn(), [young]);
  assert.deepEqual([old.destroyed, young.destroyed], [true, false]);
});

/** Of the connections that come after the first four, so many are turned away. */
function turnedAway(hosts: readonly string[]): number {
  const { server, fill } = hold();
  fill();
  let closed = 0;
  for (const remoteAddress of hosts) {
    const destroy = () => closed++;
    server.emit("connection", Object.assign(new EventEmitter(), { remoteAddress, destroy }));
  }
  return closed;
}

test("1,024 connections of one network wait, and 16,384 in all", () => {
  const of = (count: number, host: (at: number) => string) =>
    Array.from({ length: count }, (_, at) => host(at));
  assert.equal(turnedAway(of(1_024, () => "192.0.2.7")), 0);
  assert.equal(turnedAway(of(1_026, () => "192.0.2.7")), 2);
  assert.equal(turnedAway(of(16_387, (at) => `10.1.0.${at % 20}`)), 3);
});

test("closing closes waiting connections, and none on which TLS has begun", () => {
  const { held, fill, arrive, turn } = hold();
  const first = fill();
  const waiting = arrive();
  const served = arrive();
  const others = Array.from({ length: AT_ONCE - 1 }, () => arrive());
  assert.ok(turn().includes(served));
  held.close();
  assert.equal(waiting.destroyed, true);
  assert.equal(
    [...first, served, ...others].some(({ destroyed }) => destroyed),
    false,
  );
  assert.deepEqual(turn(), []);
});

async function tlsServer(t: TestContext): Promise<{ server: Server; port: number }> {
  const identity = await createDeviceIdentity();
  const server = createServer({ key: identity.privateKeyPem, cert: identity.certificatePem });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

test("a crowd that waits gets through to a real server, each with what it asked", async (t) => {
  const { server, port } = await tlsServer(t);
  server.on("request", (request, response) => response.end(request.url));
  const heldUp: (() => void)[] = [];
  const arrived: Socket[] = [];
  let isHeldUp = true;
  const held = holdConnections(
    server,
    () => true,
    (error) => assert.fail(String(error)),
    (run) => (isHeldUp ? heldUp.push(run) : setImmediate(run)),
  );
  t.after(() => held.close());
  server.on("connection", (socket: Socket) => arrived.push(socket));
  const crowd = Array.from({ length: 3 * AT_ONCE }, () => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
    t.after(() => socket.destroy());
    return { socket, secure: once(socket, "secureConnect") };
  });
  const deadlineMs = Date.now() + DEADLINE_MS;
  const areHeld = () =>
    arrived.length === crowd.length && arrived.slice(AT_ONCE).every(({ bytesRead }) => bytesRead > 0);
  while (!areHeld()) {
    assert.ok(Date.now() < deadlineMs, `of ${crowd.length} hellos not all came in time`);
    await nextTurn();
  }
  isHeldUp = false;
  for (const run of heldUp) run();
  const answers = crowd.map(async ({ socket, secure }, at) => {
    await secure;
    socket.write(`GET /${at} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let said = "";
    for await (const chunk of socket) said += String(chunk);
    assert.ok(said.endsWith(`\r\n\r\n/${at}`), said);
  });
  await within(Promise.all(answers), () => "all of a crowd to be answered", DEADLINE_MS);
});
