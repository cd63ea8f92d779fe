// Strangers and members who would have a tracker, a real process, keep bytes for them: unfinished messages before login,
// answers that they never read. Its memory stays within bounds, and a member is served meanwhile.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { z } from "zod";
import { ApiClient } from "../../harness/api-client.ts";
import type { TrackerProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { within } from "../../harness/within.ts";
import { type Address, parseAddress } from "../../src/api/addresses.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import { encodeMetainfo } from "../../src/metainfo/metainfo.ts";

const MIB = 1024 * 1024;
/** As many as one network may have before login, and what each would have kept. */
const STRANGERS = 500;
const UNFINISHED_BYTES = 1.9 * MIB;
/** A connection costs a tracker some 60 KB: that, the budget's 16 MiB, and what a garbage collector leaves lying. */
const MAX_GROWTH_BYTES = STRANGERS * 80 * 1024 + 100 * MIB;
/** Connections of one account that ask and do not read, and how often each asks for 110 KB. */
const GREEDY = 10;
const CALLS = 400;
const PIECES = 4_096;
const MOST_SINGLE_BYTES = 10_000;
/** On a machine that does other things as well. */
const CALL_TIMEOUT_MS = 10_000;

let scene: Scene;
let tracker: TrackerProcess;
let address: Address;
let member: ApiClient;

before(async () => {
  scene = await Scene.open(1);
  const [first] = scene.trackers;
  assert.ok(first);
  tracker = first;
  address = parseAddress(tracker.address);
  member = await ApiClient.connect({ ...address, identity: await createDeviceIdentity() });
  await member.signUp("alice");
});

after(() => scene[Symbol.asyncDispose]());

function rssBytes(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${tracker.pid}/status`, "utf8"))?.[1]) * 1024;
}

/** The most that the tracker had while that went on, beyond what it had before; a member asks all the time, and is answered. */
async function growthDuring(work: () => Promise<unknown>): Promise<number> {
  const before = rssBytes();
  let most = before;
  let isOver = false;
  const watch = async (): Promise<void> => {
    while (!isOver) {
      const startedMs = performance.now();
      await member.query("groups.list", {});
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs < CALL_TIMEOUT_MS, `a member's call took ${tookMs} ms`);
      most = Math.max(most, rssBytes());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const watching = watch();
  try {
    await work();
  } finally {
    isOver = true;
  }
  await watching;
  return Math.max(most, rssBytes()) - before;
}

/** A WebSocket by hand, whose bytes are this test's to say. */
async function upgraded({ privateKeyPem: key, certificatePem: cert }: DeviceIdentity): Promise<TLSSocket> {
  const socket = connectTls({ ...address, key, cert, rejectUnauthorized: false });
  socket.on("error", () => undefined);
  await within(once(socket, "secureConnect"), "TLS with the tracker");
  socket.write(
    "GET /api HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
  );
  await within(once(socket, "data"), "an answer to the upgrade");
  return socket;
}

/** The head of a frame that promises so many bytes. */
function frameHead(payloadBytes: number): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt8(0x81, 0);
  head.writeUInt8(0x80 | 127, 1);
  head.writeBigUInt64BE(BigInt(Math.floor(payloadBytes)), 2);
  return head;
}

test(`${STRANGERS} connections without a login, each with 1.9 MB of an unfinished message, hold a bounded amount of memory`, async () => {
  const identity = await createDeviceIdentity();
  const sockets: Socket[] = [];
  const grown = await growthDuring(async () => {
    for (let begun = 0; begun < STRANGERS; begun += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const socket = await upgraded(identity);
          sockets.push(socket);
          const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
          const sent = new Promise<void>((resolve) => {
            socket.write(frameHead(UNFINISHED_BYTES));
            socket.write(Buffer.alloc(UNFINISHED_BYTES - 1), () => resolve());
          });
          await within(Promise.race([gone, sent]), "the tracker to take 1.9 MB, or to close");
        }),
      );
    }
  });
  for (const socket of sockets) socket.destroy();
  assert.ok(grown < MAX_GROWTH_BYTES, `the tracker grew by ${Math.round(grown / MIB)} MiB`);
});

test("a message that comes byte by byte holds no more than one that comes at once", async () => {
  const identity = await createDeviceIdentity();
  const socket = await upgraded(identity);
  socket.setNoDelay(true);
  const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let isGone = false;
  void gone.then(() => {
    isGone = true;
  });
  socket.write(frameHead(MOST_SINGLE_BYTES + 1));
  let sent = 0;
  // The message would be whole with the last of them.
  for (; sent < MOST_SINGLE_BYTES && !isGone; sent++) {
    socket.write("x");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await within(gone, "the tracker to close a message of single bytes");
  assert.ok(sent < MOST_SINGLE_BYTES, `${sent} single bytes were kept`);
});

test("a TLS handshake that is longer than any of ours is ended before it is whole", async () => {
  const socket = connectTcp(address);
  socket.on("error", () => undefined);
  await within(once(socket, "connect"), "a connection to the tracker");
  const gone = once(socket, "close");
  // A ClientHello of 120 KB, in records of 16 KiB, of which the last never comes.
  const hello = Buffer.alloc(120_000);
  hello.writeUInt32BE(0x01000000 + hello.length, 0);
  for (let at = 0; at < hello.length - 16_384; at += 16_384) {
    const head = Buffer.from([22, 3, 1, 0x40, 0]);
    socket.write(Buffer.concat([head, hello.subarray(at, at + 16_384)]));
  }
  await within(gone, "the tracker to close a handshake that is too long", 5_000);
});

test(`${GREEDY} clients that ask ${CALLS} times each for 110 KB, and never read, hold a bounded amount of memory`, async () => {
  await member.mutate("groups.create", { groupId: "films", writeId: randomUUID() });
  const certificate = await member.query("groups.certificate", { groupId: "films" });
  const { authorityPem } = z.object({ authorityPem: z.string() }).parse(certificate);
  const sha1 = "ab".repeat(20);
  const { info } = encodeMetainfo({
    ...{ fileName: "film.mkv", lengthBytes: PIECES * MIB, pieceLengthBytes: MIB, authorityPem, sha1 },
    pieceHashes: randomBytes(PIECES * 20),
  });
  const shared = { info: Buffer.from(info).toString("base64"), sha1 };
  await member.mutate("files.share", { groupId: "films", writeId: randomUUID(), ...shared });
  const input = { groupId: "films", fileName: "film.mkv" };
  assert.ok(JSON.stringify(await member.query("files.metainfo", input)).length > 100_000);
  const sockets: TLSSocket[] = [];
  const grown = await growthDuring(async () => {
    const account = { userId: "alice", password: "password of alice" };
    for (let greedy = 0; greedy < GREEDY; greedy++) {
      const identity = await createDeviceIdentity();
      const client = await ApiClient.connect({ ...address, identity });
      await client.mutate("session.login", { writeId: randomUUID(), ...account });
      await client.close();
      const socket = await upgraded(identity);
      socket.pause();
      sockets.push(socket);
      for (let id = 0; id < CALLS; id++) {
        const text = JSON.stringify({ id, method: "query", params: { path: "files.metainfo", input } });
        socket.write(
          Buffer.concat([
            Buffer.from([0x81, 0x80 | 126, text.length >> 8, text.length & 255]),
            Buffer.alloc(4),
            Buffer.from(text),
          ]),
        );
      }
    }
    // Until the tracker has read what it will read.
    let quiet = 0;
    for (let last = 0; quiet < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const now = sockets.reduce((bytes, socket) => bytes + socket.bytesWritten, 0);
      quiet = now === last ? quiet + 1 : 0;
      last = now;
    }
  });
  for (const socket of sockets) socket.destroy();
  assert.ok(grown < 150 * MIB, `the tracker grew by ${Math.round(grown / MIB)} MiB`);
});
