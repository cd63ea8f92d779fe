import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { createDeviceIdentity, type DeviceIdentity } from "../../../src/identity/certificates.ts";
import { type HeldConnections, holdConnections } from "../../../src/tracker/held-connections.ts";

/** More than begin in a turn; all come before the next, since the server's process is the clients' own. */
const CROWD = 12;

let identity: DeviceIdentity;
let server: Server;
let held: HeldConnections;
let port: number;
let begun = 0;
let arrived: Socket[] = [];
/** The queue's next turns, as long as they are held up. */
let heldUp: (() => void)[] | undefined;

before(async () => {
  identity = await createDeviceIdentity();
  server = createServer(
    { key: identity.privateKeyPem, cert: identity.certificatePem },
    (request, response) => {
      response.end(request.url);
    },
  );
  server.on("tlsClientError", () => undefined);
  const nextTurn = (run: () => void) => {
    if (heldUp === undefined) setImmediate(run);
    else heldUp.push(run);
  };
  held = holdConnections(
    server,
    () => {
      begun++;
      return true;
    },
    (error) => {
      throw error;
    },
    nextTurn,
  );
  server.on("connection", (socket: Socket) => arrived.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
});

beforeEach(() => {
  begun = 0;
  arrived = [];
});

after(() => {
  held.close();
  server.close();
  server.closeAllConnections();
});

function dialTls(): TLSSocket {
  return connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
}

async function dialTcp(): Promise<Socket> {
  const socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => undefined);
  const accepted = once(server, "connection");
  await once(socket, "connect");
  await accepted;
  return socket;
}

/** As many as begin at once have done so, and one more waits: whoever comes now waits too. */
async function holdUp(): Promise<Socket[]> {
  heldUp = [];
  const first: Socket[] = [];
  while (begun === first.length) first.push(await dialTcp());
  return first;
}

function goOn(): void {
  const turns = heldUp ?? [];
  heldUp = undefined;
  for (const run of turns) run();
}

test("what is said by who waits is the beginning of its TLS: all of a crowd get through", async () => {
  const first = await holdUp();
  const waiting = Array.from({ length: CROWD }, dialTls);
  const secure = waiting.map((socket) => once(socket, "secureConnect"));
  const areRead = () =>
    arrived.length === first.length + CROWD &&
    arrived.slice(first.length).every(({ bytesRead }) => bytesRead > 0);
  while (!areRead()) await turn();
  goOn();
  await Promise.all(secure);
  const answers = waiting.map(async (socket, at) => {
    socket.write(`GET /${at} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let said = "";
    for await (const chunk of socket) said += String(chunk);
    assert.ok(said.endsWith(`\r\n\r\n/${at}`), said);
  });
  await Promise.all(answers);
  while (begun < first.length + CROWD) await turn();
  for (const socket of first) socket.destroy();
});

test("who goes while it waits takes no other's turn", async () => {
  const first = await holdUp();
  const before = begun;
  for (let times = 0; times < CROWD / 2; times++) {
    const impatient = await dialTcp();
    impatient.end("hello");
    impatient.resume();
    (await dialTcp()).resetAndDestroy();
  }
  while ((await connections()) > first.length) await turn();
  const [next] = heldUp?.splice(0) ?? [];
  next?.();
  assert.equal(begun, before + 1, "the one that has waited longest begins in the first turn");
  goOn();
  for (const socket of first) socket.destroy();
});

test("who says more than a hello while it waits is closed", async () => {
  const first = await holdUp();
  const chatty = await dialTcp();
  chatty.resume();
  chatty.write(Buffer.alloc(17 * 1024));
  if (!chatty.closed) await new Promise((resolve) => chatty.once("close", resolve));
  goOn();
  for (const socket of first) socket.destroy();
});

test("closing the server closes who waits", async () => {
  const first = await holdUp();
  const waiting = await dialTcp();
  waiting.resume();
  held.close();
  if (!waiting.closed) await new Promise((resolve) => waiting.once("close", resolve));
  goOn();
  for (const socket of first) socket.destroy();
});

function connections(): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
