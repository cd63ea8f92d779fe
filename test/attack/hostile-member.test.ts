// A member of the group, with a certificate that counts, who says what he should not, to a client that is a real process:
// closed with a reason, or ignored where the BEP says so; the process, its memory and its other peers do not notice.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { ApiClient } from "../../harness/api-client.ts";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { until, within } from "../../harness/within.ts";
import { type Address, parseAddress } from "../../src/api/addresses.ts";
import { groupCertificateSchema } from "../../src/api/schemas.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import { writePieceHeader } from "../../src/metainfo/piece-header.ts";
import { MessageEncoder } from "../../src/wire/encoder.ts";
import { EXTENSION_HANDSHAKE_ID } from "../../src/wire/extensions.ts";
import { encodeFarewell } from "../../src/wire/farewell.ts";
import { encodeHandshake, HANDSHAKE_BYTES } from "../../src/wire/handshake.ts";
import { messageIds } from "../../src/wire/messages.ts";

const MIB = 1024 * 1024;
const PIECES = 16;
const BLOCK = 16 * 1024;
const PIECE = 256 * 1024;
const UNCHOKE = Buffer.from("0000000101", "hex");
const MAX_GROWTH_BYTES = 100 * MIB;
/** Far longer than alice takes for any of it on a slow machine. */
const SOON_MS = 20_000;

let scene: Scene;
let alice: ClientProcess;
let door: Address;
let infoHash: string;
let identity: DeviceIdentity;
let certificatePem: string;

before(async () => {
  scene = await Scene.open(1);
  alice = scene.client("alice", "127.0.0.1:0", { arguments: ["--log-level", "debug"] });
  await alice.must("create_user alice pw");
  await alice.must("login alice pw");
  await alice.must("create_group g");
  const { path } = scene.file("alice", "set.bin", PIECES * PIECE);
  await alice.must(`upload_file ${path} g`);
  ({ infoHash = "" } = ((await alice.must("list_files g")) as { infoHash: string }[])[0] ?? {});
  door = parseAddress(((await alice.must("whoami")) as { listeningOn: string }).listeningOn);
  identity = await createDeviceIdentity();
  const mallory = await ApiClient.connect({ ...parseAddress(scene.trackerAddresses[0] ?? ""), identity });
  await mallory.signUp("mallory");
  await mallory.mutate("groups.join", { groupId: "g", writeId: crypto.randomUUID() });
  await alice.must("accept_request g mallory");
  const issued = await mallory.query("groups.certificate", { groupId: "g" });
  ({ certificatePem } = groupCertificateSchema.parse(issued));
  await mallory.close();
});

after(() => scene[Symbol.asyncDispose]());

/** A connection on which both handshakes are done, and what alice has said on it. */
async function join(): Promise<{ socket: TLSSocket; heard: () => Buffer; closed: Promise<void> }> {
  const { privateKeyPem: key } = identity;
  const socket = connect({
    ...door,
    key,
    cert: certificatePem,
    servername: infoHash,
    rejectUnauthorized: false,
  });
  const chunks: Buffer[] = [];
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await within(once(socket, "secureConnect"), "TLS with alice's client", SOON_MS);
  const peerId = new Uint8Array(20).fill(77);
  socket.write(encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true }));
  const heard = () => Buffer.concat(chunks);
  while (heard().length < HANDSHAKE_BYTES + 5) {
    const more = Promise.race([once(socket, "data"), closed.then(() => assert.fail("no handshake came"))]);
    await within(more, () => `alice's handshake; heard ${heard().toString("hex")}`, SOON_MS);
  }
  return { socket, heard, closed };
}

/** Something more has come. */
async function hears(socket: TLSSocket, closed: Promise<void>): Promise<void> {
  const more = Promise.race([
    once(socket, "data"),
    closed.then(() => assert.fail("the connection was closed")),
  ]);
  await within(more, "alice to say something more", SOON_MS);
}

async function isClosed(closed: Promise<void>): Promise<void> {
  await within(
    closed,
    () => `alice to close the connection; her log:\n${alice.stderr.slice(-2_000)}`,
    SOON_MS,
  );
}

function encoded(say: (encoder: MessageEncoder) => void): Uint8Array {
  const encoder = new MessageEncoder();
  say(encoder);
  return encoder.take();
}

/** A message of that id with that length prefix, and a body of that many bytes. */
function frame(id: number, length: number, bodyBytes = Math.max(0, length - 1)): Buffer {
  const bytes = Buffer.alloc(5 + bodyBytes, 0xff);
  bytes.writeUInt32BE(length);
  bytes[4] = id;
  return bytes;
}

function have(pieceIndex: number): Uint8Array {
  return encoded((say) => say.have(pieceIndex));
}

function block(pieceIndex: number, offsetBytes: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(13 + lengthBytes);
  writePieceHeader(bytes, 0, pieceIndex, offsetBytes, lengthBytes);
  return bytes;
}

function repeated(bytes: Uint8Array, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytes));
}

const bombs = {
  "10,000 lists in each other": `d1:m${"l".repeat(10_000)}${"e".repeat(10_000)}e`,
  "a string of 10 GB": "d1:v10000000000:xe",
  "a string of negative length": "d1:v-1:xe",
  "a number of 60,000 digits": `d4:reqqi${"9".repeat(60_000)}ee`,
  "1,000 extensions": `d1:md${Array.from({ length: 1000 }, (_, at) => `4:${1000 + at}i1e`).join("")}ee`,
  "what is no dictionary": "i1e",
};
const FIXED = [
  "choke",
  "unchoke",
  "interested",
  "notInterested",
  "have",
  "request",
  "cancel",
  "suggest",
  "haveAll",
  "haveNone",
  "reject",
  "allowedFast",
] as const;

const closes: Record<string, () => Uint8Array> = {
  ...Object.fromEntries(
    [...Object.values(messageIds), 9, 21, 255].map((id) => [
      `a length of 2^32-1 for message ${id}`,
      () => frame(id, 2 ** 32 - 1, 64),
    ]),
  ),
  ...Object.fromEntries(
    FIXED.map((name) => [`a ${name} of a wrong length`, () => frame(messageIds[name], 100)]),
  ),
  ...Object.fromEntries(
    Object.entries(bombs).map(([what, text]) => [
      `an extension handshake of ${what}`,
      () => encoded((say) => say.extended(0, Buffer.from(text))),
    ]),
  ),
  "an extended message without a body": () => frame(messageIds.extended, 1),
  "a bitfield that is too short": () => encoded((say) => say.bitfield(new Uint8Array(1))),
  "a bitfield that is too long": () => encoded((say) => say.bitfield(new Uint8Array(3))),
  "a bitfield that says twice what it has": () =>
    Buffer.concat([encoded((say) => say.haveNone()), encoded((say) => say.bitfield(new Uint8Array(2)))]),
  "have for piece 2^31": () => have(2 ** 31),
  "have for the piece behind the last": () => have(PIECES),
  "a request for piece 2^32-1": () => encoded((say) => say.request(2 ** 32 - 1, 0, BLOCK)),
  "a request beyond the piece": () => encoded((say) => say.request(0, PIECE - 100, BLOCK)),
  "a request of 2^32-1 bytes": () => encoded((say) => say.request(0, 0, 2 ** 32 - 1)),
  "a request of nothing": () => encoded((say) => say.request(0, 0, 0)),
  "a suggestion of a piece that there is not": () => frame(messageIds.suggest, 5),
  "a block that is empty": () => block(0, 0, 0),
  "a block of 17 KiB": () => block(0, 0, 17 * 1024),
  "a block of a piece that there is not": () => block(PIECES, 0, BLOCK),
  "thousands of blocks that nobody asked for": () => repeated(block(0, 0, BLOCK), 3_000),
  "an HTTP request": () => Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10)),
};

const ignores: Record<string, () => Uint8Array> = {
  "a message that nobody knows": () => frame(99, 1000),
  "a message of an extension that nobody knows": () =>
    encoded((say) => say.extended(77, Buffer.alloc(5000, 0xff))),
  "10,000 keep-alives": () => new Uint8Array(40_000),
  "suggestions, and pieces allowed to be asked for": () =>
    Buffer.from("000000050d00000001000000051100000001", "hex"),
  "a cancel of what was never asked": () => encoded((say) => say.cancel(3, 0, BLOCK)),
  "a reject of what was never asked": () => encoded((say) => say.reject(3, 0, BLOCK)),
  "10,000 changes of mind": () =>
    repeated(
      encoded((say) => {
        say.interested();
        say.notInterested();
        say.unchoke();
        say.choke();
      }),
      2_500,
    ),
  "an extension handshake a hundred times": () =>
    repeated(
      encoded((say) => say.extended(0, Buffer.from("d1:mde4:reqqi1ee"))),
      100,
    ),
};

describe("a hostile member", () => {
  for (const [what, bytes] of Object.entries(closes)) {
    it(`is closed for ${what}`, async () => {
      const { socket, closed } = await join();
      const said = alice.stderr.length;
      socket.write(bytes());
      await isClosed(closed);
      const reason = /broke the protocol|connection closed/;
      await until(() => reason.test(alice.stderr.slice(said)), "the reason in alice's log", SOON_MS);
      assert.doesNotMatch(alice.stderr.slice(said), /INTERNAL|a listener failed/);
    });
  }

  for (const [what, bytes] of Object.entries(ignores)) {
    it(`is served all the same after ${what}`, async () => {
      const { socket, heard, closed } = await join();
      socket.write(bytes());
      socket.write(encoded((say) => say.interested()));
      socket.write(encoded((say) => say.request(1, 0, BLOCK)));
      const header = Buffer.alloc(13);
      writePieceHeader(header, 0, 1, 0, BLOCK);
      // Who is choked when the request comes is told so by a reject (BEP 6), and asks again.
      const ask = setInterval(() => socket.write(encoded((say) => say.request(1, 0, BLOCK))), 200);
      try {
        while (!heard().includes(header)) await hears(socket, closed);
      } finally {
        clearInterval(ask);
      }
      socket.destroy();
      await isClosed(closed);
    });
  }

  it("with 100,000 requests at once, whether it reads the answers or not, costs a bounded amount of memory", async () => {
    const rss = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${alice.pid}/status`, "utf8"))?.[1]) * 1024;
    const before = rss();
    for (const reads of [true, false]) {
      const { socket, heard, closed } = await join();
      socket.write(encoded((say) => say.interested()));
      while (!heard().includes(UNCHOKE)) await hears(socket, closed);
      if (!reads) socket.pause();
      const requests = encoded((say) => {
        for (let at = 0; at < 100_000; at++) say.request(at % PIECES, (at % 16) * BLOCK, BLOCK);
      });
      const written = new Promise<void>((resolve) => socket.write(requests, () => resolve()));
      await within(Promise.race([written, closed]), "alice to take 100,000 requests, or to close", SOON_MS);
      await alice.must("whoami");
      // Thousands of requests beyond the agreed number end a connection: rejecting them takes the time of others.
      if (!reads) socket.destroy();
      await isClosed(closed);
    }
    const grown = rss() - before;
    assert.ok(grown < MAX_GROWTH_BYTES, `it grew by ${grown} bytes`);
  });

  it("has kept nobody from anything: another member downloads the file from the same process", async () => {
    const bob = await scene.user("bob");
    await bob.must("join_group g");
    await alice.must("accept_request g bob");
    await bob.must(`download_file g set.bin ${scene.path("bob")}/`);
    await bob.must("wait g set.bin");
    assert.equal(await sha1Of(scene.path("bob", "set.bin")), await sha1Of(scene.path("alice", "set.bin")));
  });

  it("claims that a piece was bad: the piece is read once, its owner told once, and the file stays shared", async () => {
    const bye = (pieceIndex: number) =>
      encoded((say) =>
        say.extended(EXTENSION_HANDSHAKE_ID, encodeFarewell({ reason: "bad-data", pieceIndex })),
      );
    for (const pieceIndex of [3, 3, 4, 2 ** 31, PIECES]) {
      const { socket, closed } = await join();
      socket.write(bye(pieceIndex));
      await isClosed(closed);
    }
    const told = await alice.event(({ event }) => event === "data-refused");
    assert.partialDeepStrictEqual(told, { userId: "mallory", pieceIndex: 3 });
    assert.equal(alice.events.filter(({ event }) => event === "data-refused").length, 1);
    assert.partialDeepStrictEqual(await alice.must("list_shares"), [{ state: "served" }]);
  });
});
