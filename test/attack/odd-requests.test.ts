// Strangers who speak HTTP and WebSocket to a tracker, a real process, as nobody should: old versions, other methods, floods of
// headers, frames against RFC 6455. Each gets an answer or none and is closed soon; a member is served meanwhile.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { ApiClient } from "../../harness/api-client.ts";
import type { TrackerProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { within } from "../../harness/within.ts";
import { type Address, parseAddress } from "../../src/api/addresses.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";

/** A request may take 10 s, and is looked at every second; the rest is for a slow machine. */
const CLOSED_WITHIN_MS = 25_000;
const HOST = "Host: x\r\n";
const FLOOD_BYTES = 8_000_000;
/** On a machine that does other things as well. */
const CALL_WITHIN_MS = 5_000;

let scene: Scene;
let tracker: TrackerProcess;
let address: Address;
let identity: DeviceIdentity;
let member: ApiClient;

before(async () => {
  scene = await Scene.open(1);
  tracker = scene.trackers[0] ?? assert.fail();
  address = parseAddress(tracker.address);
  identity = await createDeviceIdentity();
  member = await ApiClient.connect({ ...address, identity: await createDeviceIdentity() });
  await member.signUp("alice");
});

after(() => scene[Symbol.asyncDispose]());

async function dial(): Promise<TLSSocket> {
  const { privateKeyPem: key, certificatePem: cert } = identity;
  const socket = connectTls({ ...address, key, cert, rejectUnauthorized: false });
  socket.on("error", () => undefined);
  socket.setMaxListeners(0);
  await within(once(socket, "secureConnect"), "TLS with the tracker");
  return socket;
}

/** Resolves to what came until the connection was closed. */
async function untilClosed(socket: TLSSocket, what: string): Promise<string> {
  let said = "";
  socket.on("data", (chunk: Buffer) => {
    if (said.length < 2_000) said += chunk.toString("latin1");
  });
  const timer = setTimeout(() => socket.destroy(new Error("too late")), CLOSED_WITHIN_MS);
  const startedMs = performance.now();
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  clearTimeout(timer);
  assert.ok(performance.now() - startedMs < CLOSED_WITHIN_MS, `${what} is closed; it was told ${said}`);
  return said;
}

async function memberIsServed(): Promise<void> {
  const startedMs = performance.now();
  await member.query("groups.mine", {});
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < CALL_WITHIN_MS, `a member's call took ${tookMs} ms`);
}

function upgradeTo(target: string, more = "", version = "1.1"): string {
  const key = randomBytes(16).toString("base64");
  return (
    `GET ${target} HTTP/${version}\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${more}\r\n`
  );
}

const many = (count: number, line: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => line(at));

/** What is sent, and how the answer begins; "" for none. */
const requests: Readonly<Record<string, readonly [bytes: string, answer: RegExp]>> = {
  "HTTP/1.0": ["GET /health HTTP/1.0\r\n\r\n", /^HTTP\/1.1 200/],
  "HTTP/1.0 that would stay": ["GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", /^HTTP\/1.1 200/],
  "HTTP/0.9": ["GET /health\r\n\r\n", /^HTTP\/1.1 [24]00|^$/],
  "HTTP/2's preface": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1.1 400/],
  CONNECT: ["CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n", /^$/],
  "OPTIONS *": [`OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, /^HTTP\/1.1 404/],
  TRACE: [`TRACE /health HTTP/1.1\r\n${HOST}\r\n`, /^HTTP\/1.1 404/],
  "an absolute address": [`GET http://other/health HTTP/1.1\r\n${HOST}\r\n`, /^HTTP\/1.1 200/],
  "an absolute address to upgrade": [upgradeTo("https://x/api"), /^HTTP\/1.1 404/],
  "a path that is none": [`GET /%ff%zz/%00 HTTP/1.1\r\n${HOST}\r\n`, /^HTTP\/1.1 404/],
  "an unknown expectation": [`GET /health HTTP/1.1\r\n${HOST}Expect: something\r\n\r\n`, /^HTTP\/1.1 417/],
  "a body that is expected and never comes": [
    `POST /health HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n`,
    /^HTTP\/1.1 100/,
  ],
  "a body in chunks without end": [
    `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    /^HTTP\/1.1 404/,
  ],
  "chunks with long extensions": [
    `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5;${"a=b;".repeat(50_000)}\r\nhello\r\n`,
    /^HTTP\/1.1 4|^$/,
  ],
  "two lengths": [
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    /^HTTP\/1.1 400/,
  ],
  "a length and chunks": [
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n`,
    /^HTTP\/1.1 400/,
  ],
  "many headers": [
    `GET /health HTTP/1.1\r\n${HOST}${many(1_500, (at) => `a${at}: b\r\n`).join("")}\r\n`,
    /^HTTP\/1.1 431|^$/,
  ],
  "a header without end": [`GET /health HTTP/1.1\r\n${HOST}X: ${"a".repeat(200_000)}`, /^HTTP\/1.1 431|^$/],
  "trailers without end": [
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n${"a: b\r\n".repeat(50_000)}`,
    /^HTTP\/1.1 4|^$/,
  ],
  "headers that never end": [`GET /health HTTP/1.1\r\n${HOST}`, /^HTTP\/1.1 408|^$/],
  nothing: ["", /^HTTP\/1.1 408|^$/],
  "a thousand requests at once": [`GET /metrics HTTP/1.1\r\n${HOST}\r\n`.repeat(1_000), /^HTTP\/1.1 200|^$/],
  "an upgrade to HTTP/2": [
    `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    /^HTTP\/1.1 404/,
  ],
  "a WebSocket key that is none": [upgradeTo("/api").replace(/Key: .*\r/, "Key: abc\r"), /^HTTP\/1.1 400/],
};

function frame(opcode: number, payload: string | Uint8Array = "", first = 0x80, mask = 0x80): Buffer {
  const bytes = Buffer.from(payload);
  const length =
    bytes.length < 126 ? [bytes.length | mask] : [126 | mask, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.concat([Buffer.from([first | opcode, ...length]), Buffer.alloc(mask === 0 ? 0 : 4), bytes]);
}

const [CONTINUATION, TEXT, CLOSE, PING] = [0, 1, 8, 9];
const [NOT_LAST, RESERVED] = [0, 0xc0];

/** Frames, and the close code that they get. */
const frames: Readonly<Record<string, readonly [bytes: Buffer, code: number, headers?: string]>> = {
  "a compressed one, where no compression was agreed": [
    frame(TEXT, "PING", RESERVED),
    1002,
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
  ],
  "a reserved bit": [frame(TEXT, "x", RESERVED), 1002],
  "a ping in fragments": [frame(PING, "x", NOT_LAST), 1002],
  "a long ping": [frame(PING, Buffer.alloc(200)), 1002],
  "one without a mask": [frame(TEXT, "x", 0x80, 0), 1002],
  "a continuation of nothing": [frame(CONTINUATION), 1002],
  "a message within a message": [Buffer.concat([frame(TEXT, "a", NOT_LAST), frame(TEXT, "b")]), 1002],
  "an opcode that is none": [frame(3), 1002],
  "text that is none": [frame(TEXT, Buffer.from([0xff, 0xfe])), 1007],
  "a close code that may not be sent": [frame(CLOSE, Buffer.from([0x03, 0xed])), 1002],
  "a length of 2^63": [Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009],
  "a length of 2^53": [Buffer.from([0x81, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), 1009],
};

/** Sends that over and over, until it was enough or the connection is closed. */
async function flood(socket: TLSSocket, unit: Buffer): Promise<void> {
  const chunk = Buffer.concat(many(Math.ceil(65_536 / unit.length), () => "").map(() => unit));
  for (let sent = 0; sent < FLOOD_BYTES && !socket.destroyed; sent += chunk.length) {
    if (socket.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      socket.once("drain", resolve).once("close", () => resolve());
    });
  }
}

async function upgraded(headers = ""): Promise<TLSSocket> {
  const socket = await dial();
  socket.write(upgradeTo("/api", headers));
  const [answer]: unknown[] = await within(once(socket, "data"), "an answer to the upgrade");
  assert.match(String(answer), /^HTTP\/1.1 101/);
  assert.doesNotMatch(String(answer), /permessage-deflate/);
  return socket;
}

describe("whoever speaks to a tracker as nobody should", () => {
  it("is answered at most once, and closed soon", async () => {
    const spoken = Object.entries(requests).map(async ([what, [bytes, answer]]) => {
      const socket = await dial();
      socket.write(bytes);
      assert.match(await untilClosed(socket, what), answer, what);
    });
    await memberIsServed();
    await Promise.all(spoken);
  });

  it("is closed with the code of RFC 6455 for a frame against it", async () => {
    for (const [what, [bytes, code, headers]] of Object.entries(frames)) {
      const socket = await upgraded(headers);
      socket.write(bytes);
      const said = Buffer.from(await untilClosed(socket, what), "latin1");
      assert.equal(said.readUInt16BE(said.indexOf(0x88) + 2), code, what);
    }
  });

  it("floods with control frames, fragments and empty messages, and delays nobody for long", async () => {
    const units = {
      ping: frame(PING),
      pong: frame(10),
      "PING in text": frame(TEXT, "PING"),
      empty: frame(TEXT),
    };
    for (const unit of [
      ...Object.values(units),
      frame(CONTINUATION, "", NOT_LAST),
      frame(PING, Buffer.alloc(125)),
    ]) {
      const socket = await upgraded();
      if (unit.length > 100) socket.pause(); // and reads no answer
      if (unit[0] === CONTINUATION) socket.write(frame(TEXT, "a", NOT_LAST));
      const flooding = flood(socket, unit);
      await memberIsServed();
      await flooding;
      socket.destroy();
    }
    await memberIsServed();
  });

  it("has broken no handler", async () => {
    const socket = await dial();
    socket.write(`GET /metrics HTTP/1.1\r\n${HOST}\r\n`);
    let said = "";
    for await (const chunk of socket) said += String(chunk);
    assert.match(said, /connection_faults_total 0/);
    assert.ok((await tracker.health()).isServing);
  });
});
