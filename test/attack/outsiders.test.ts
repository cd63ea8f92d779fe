// Who is in no group, against a client that listens and a tracker, both real processes: none of them gets a byte or a name,
// none costs more than a bounded amount of memory and time, and members are served meanwhile.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { ApiClient } from "../../harness/api-client.ts";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { within } from "../../harness/within.ts";
import { type Address, parseAddress } from "../../src/api/addresses.ts";
import {
  createDeviceIdentity,
  createGroupAuthority,
  issueMemberCertificate,
} from "../../src/identity/certificates.ts";
import { encodeHandshake } from "../../src/wire/handshake.ts";
import { looksAlike, probe, probePlain, type Sighting } from "./probe.ts";

/** More than there are places, begun so many at once. */
const FLOOD = Number(process.env.ATTACK_CONNECTIONS ?? 3_000);
const FLOOD_AT_ONCE = 250;
/** What a process may grow by under such a flood: 512 handshakes at the client's, 2,048 at the tracker's, of some 60 KB. */
const MAX_PLACES = { client: 512, tracker: 2_048 };
/** Of one address, at a tracker. */
const SESSIONLESS_PLACES = 1_024;
/** Members, files, pipes. */
const OTHER_SOCKETS = 100;
const MAX_GROWTH_BYTES = { client: 100 * 1024 * 1024, tracker: 200 * 1024 * 1024 };
const MIB = 1024 * 1024;
const UNKNOWN = "cd".repeat(20);
/** Never finished: a TLS handshake record that promises 512 bytes. */
const HELLO_BEGINS = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]);
const GROUP = "group-that-nobody-should-know";

let scene: Scene;
let alice: ClientProcess;
let bob: ClientProcess;
let door: Address;
let trackerAddress: Address;
let infoHash: string;
let mallory: ConnectionOptions;

before(async () => {
  scene = await Scene.open(1);
  trackerAddress = parseAddress(scene.trackerAddresses[0] ?? "");
  alice = await scene.user("alice");
  bob = await scene.user("bob");
  await scene.group(GROUP, alice, { bob });
  const { path } = scene.file("alice", "secret.bin", 4 * MIB);
  await alice.must(`upload_file ${path} ${GROUP}`);
  const files = (await alice.must(`list_files ${GROUP}`)) as { infoHash: string }[];
  infoHash = files[0]?.infoHash ?? "";
  assert.match(infoHash, /^[0-9a-f]{40}$/);
  const { listeningOn } = (await alice.must("whoami")) as { listeningOn: string };
  door = parseAddress(listeningOn);
  const device = await createDeviceIdentity();
  const { certificatePem } = await issueMemberCertificate({
    authority: await createGroupAuthority(),
    userId: "alice",
    membershipId: "m",
    publicKeySpki: device.publicKeySpki,
    nowMs: Date.now(),
  });
  mallory = { key: device.privateKeyPem, cert: certificatePem };
});

after(() => scene[Symbol.asyncDispose]());

function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

function socketsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function hello(name: string): Buffer<ArrayBuffer> {
  const said = { infoHash: name, peerId: new Uint8Array(20), supportsFast: true, supportsExtensions: true };
  return Buffer.from(encodeHandshake(said));
}

/** An alert is lost when it is overtaken by a reset of the connection, which chance decides: so a few times. */
async function lookUntilRefused(options: ConnectionOptions): Promise<Sighting> {
  let sighting = await probe(door, options);
  for (let left = 9; left > 0 && sighting.end === "closed"; left--) sighting = await probe(door, options);
  return sighting;
}

describe("an outsider at a client's door", () => {
  const outsiders: Record<string, () => ConnectionOptions> = {
    "without a certificate": () => ({}),
    "with a certificate of another group": () => mallory,
    "with TLS 1.2": () => ({ ...mallory, maxVersion: "TLSv1.2", minVersion: "TLSv1.2" }),
  };
  for (const [who, options] of Object.entries(outsiders)) {
    it(`is said nothing, and shown no name, ${who}`, async () => {
      const known = await lookUntilRefused({ ...options(), servername: infoHash });
      const { said } = await probe(door, { ...options(), servername: infoHash }, hello(infoHash));
      assert.equal(said.length, 0);
      for (const word of ["alice", GROUP, "secret"]) {
        assert.equal(known.certificate?.includes(word) ?? false, false, `the certificate says ${word}`);
      }
    });

    it(`is answered alike for all that is not there, and shown no certificate, ${who}`, async () => {
      const unknown = await lookUntilRefused({ ...options(), servername: UNKNOWN });
      assert.equal(unknown.certificate, undefined);
      for (const servername of ["ef".repeat(20), "example.org", "alice"]) {
        const other = await lookUntilRefused({ ...options(), servername });
        assert.ok(
          looksAlike(unknown, other),
          `${unknown.end}, ${unknown.records}; ${other.end}, ${other.records}`,
        );
      }
    });
  }

  it("learns of a torrent whose info-hash it knows what docs/security.md says, and no more", async () => {
    const { certificate } = await probe(door, { servername: infoHash });
    assert.ok(certificate, "that it is there");
    const { subject, issuer, subjectAltName, validFrom } = new X509Certificate(certificate);
    assert.match(
      subject,
      /^CN=miniTorrent member\ndnQualifier=(?:[A-Za-z0-9/]|\\\+){464}$/,
      "names are sealed",
    );
    assert.deepEqual([issuer, subjectAltName], ["CN=miniTorrent group", "DNS:*"]);
    assert.ok(Date.parse(validFrom) < Date.now(), "when it was issued");
    const again = await probe(door, { servername: infoHash });
    assert.deepEqual(again.certificate, certificate);
  });

  it("without TLS, or without a name, gets at most an alert", async () => {
    const plain = await probePlain(door, hello(infoHash));
    assert.ok(plain.length < 16 && !plain.includes("BitTorrent"), plain.toString("latin1"));
    const nameless = await probe(door, mallory, hello(infoHash));
    assert.equal(nameless.said.length, 0);
    assert.equal(nameless.certificate, undefined);
  });
});

describe("an outsider at a tracker", () => {
  it("with odd TLS records, whatever their lengths and kinds, gets at most an alert, at tracker and client", async () => {
    const record = (type: number, length: number, ...bytes: number[]) =>
      Buffer.from([type, 3, 1, length >> 8, length & 0xff, ...bytes]);
    const odd = {
      "SSL 2": Buffer.from([0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, ...Array(40).fill(7)]),
      "a record of 64 KiB": Buffer.concat([record(22, 0xffff), Buffer.alloc(0xffff)]),
      "a record of nothing": record(22, 0),
      "thousands of empty records": Buffer.concat(Array(20_000).fill(record(22, 0))),
      "thousands of alerts": Buffer.concat(Array(5_000).fill(record(21, 2, 1, 90))),
      "data before the handshake": record(23, 5, 1, 2, 3, 4, 5),
      "a change of ciphers first": record(20, 1, 1),
      "a hello of 16 MB": Buffer.concat([record(22, 16_384, 1, 0xff, 0xff, 0xff), Buffer.alloc(16_380)]),
      "a hello in records of one byte": Buffer.concat(Array(4_000).fill(record(22, 1, 1))),
      HTTP: Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    };
    for (const target of [door, trackerAddress]) {
      const answers = Object.entries(odd).map(async ([what, bytes]) => {
        const said = await probePlain(target, bytes);
        // TLS alerts, or what a server says of plain HTTP: no handshake.
        assert.ok(
          said.length < 200 && said[0] !== 22,
          `${what}: ${said.subarray(0, 100).toString("latin1")}`,
        );
      });
      await Promise.all(answers);
    }
    assert.ok(await alice.must(`list_files ${GROUP}`), "the member is served");
  });

  it("without a certificate gets to neither /api nor /sync, with a self-made one not to /sync", async () => {
    const statusOf = (path: string, options: ConnectionOptions) =>
      new Promise<number>((resolve, reject) => {
        const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
        const key = { "Sec-WebSocket-Key": Buffer.alloc(16).toString("base64") };
        const asked = request({
          ...{ ...trackerAddress, path, rejectUnauthorized: false, agent: false },
          ...{ key: options.key, cert: options.cert, headers: { ...headers, ...key } },
        });
        asked.on("response", (response) => resolve(response.statusCode ?? 0));
        asked.on("upgrade", (_response, socket) => {
          socket.destroy();
          resolve(101);
        });
        asked.on("error", reject).end();
      });
    assert.equal(await statusOf("/api", {}), 401);
    assert.equal(await statusOf("/sync", {}), 401);
    assert.equal(await statusOf("/sync", mallory), 403);
  });

  it("that asks for /metrics many times in one breath is answered once at most, and closed", async () => {
    const request = "GET /metrics HTTP/1.1\r\nHost: tracker\r\n\r\n";
    const { said } = await probe(trackerAddress, {}, Buffer.from(request.repeat(300)));
    const answers = String(said).match(/^HTTP\/1\.1 200/gm)?.length ?? 0;
    assert.ok(answers <= 1, `${answers} requests were answered`);
    const { said: once } = await probe(trackerAddress, {}, Buffer.from(request));
    assert.match(String(once), /^HTTP\/1\.1 200/);
    assert.match(String(once), /^minitorrent_/m);
  });

  it("with an account, but in no group, is told the same of a file that is there as of one that is not", async () => {
    const identity = await createDeviceIdentity();
    const client = await ApiClient.connect({ ...trackerAddress, identity });
    await client.signUp("mallory");
    for (const path of ["presence.peers"]) {
      assert.deepEqual(
        await client.query(path, { infoHash }),
        await client.query(path, { infoHash: UNKNOWN }),
      );
    }
    const asked = (path: string, input: object) =>
      client.query(path, input).then(
        () => "answered",
        (error: unknown) => String(error),
      );
    assert.equal(
      await asked("files.metainfo", { groupId: GROUP, fileName: "secret.bin" }),
      await asked("files.metainfo", { groupId: GROUP, fileName: "no.bin" }),
    );
    await client.close();
  });
});

describe("who takes a place and does not go on", { concurrency: true }, () => {
  it("a connection that sends its hello or headers byte by byte is closed in time, at tracker and client", async () => {
    const slow = async (address: Address, begin: () => Promise<Socket>, bytes: string): Promise<number> => {
      const startedMs = performance.now();
      const socket = await begin();
      let at = 0;
      const timer = setInterval(() => socket.write(bytes[at++ % bytes.length] ?? "x"), 100);
      socket.on("error", () => undefined);
      socket.resume();
      if (!socket.closed)
        await within(new Promise((resolve) => socket.once("close", resolve)), "a slow stranger to be closed");
      clearInterval(timer);
      assert.ok(address.port > 0);
      return performance.now() - startedMs;
    };
    const plain = (address: Address) => async () => {
      const socket = connectTcp(address.port, address.host);
      await within(once(socket, "connect"), "a connection");
      return socket;
    };
    const secure = (address: Address) => async () => {
      const socket = connectTls({ ...address, rejectUnauthorized: false, ...mallory });
      await within(once(socket, "secureConnect"), "TLS with the tracker");
      return socket;
    };
    const hellos = HELLO_BEGINS.toString("latin1") + "\0".repeat(500);
    const tookMs = await Promise.all([
      slow(door, plain(door), hellos),
      slow(trackerAddress, plain(trackerAddress), hellos),
      slow(trackerAddress, secure(trackerAddress), `GET /health HTTP/1.1\r\nX: ${"x".repeat(10_000)}`),
    ]);
    for (const ms of tookMs) assert.ok(ms < 20_000, `closed after ${tookMs.join(", ")} ms`);
  });

  /** From addresses of the machine's own loopback network that nobody else uses. */
  async function flood(target: Address, sockets: Socket[]): Promise<void> {
    for (let begun = 0; begun < FLOOD; begun += FLOOD_AT_ONCE) {
      await Promise.all(
        Array.from({ length: Math.min(FLOOD_AT_ONCE, FLOOD - begun) }, (_, at) => {
          const localAddress = `127.66.${at % 16}.1`;
          const socket = connectTcp({ ...target, localAddress });
          sockets.push(socket);
          return new Promise<void>((resolve) => {
            socket.on("error", () => resolve());
            socket.once("close", () => resolve());
            socket.once("connect", () => {
              socket.write(HELLO_BEGINS);
              resolve();
            });
          });
        }),
      );
    }
  }

  it(`takes a bounded number of places and bytes with ${FLOOD} connections, and members are served meanwhile`, async () => {
    const tracker = scene.trackers[0];
    assert.ok(tracker);
    const before = { client: rssOf(alice.pid), tracker: rssOf(tracker.pid) };
    const sockets: Socket[] = [];
    const flooding = Promise.all([flood(door, sockets), flood(trackerAddress, sockets)]);
    const served = async () => {
      await bob.must(`download_file ${GROUP} secret.bin ${scene.path("bob")}/`);
      await bob.must(`wait ${GROUP} secret.bin`);
      const late = await scene.user("carol");
      await late.must("list_groups");
    };
    try {
      await Promise.all([flooding, served()]);
      const open = { client: socketsOf(alice.pid), tracker: socketsOf(tracker.pid) };
      assert.ok(open.client <= MAX_PLACES.client + OTHER_SOCKETS, `the client has ${open.client} sockets`);
      assert.ok(
        open.tracker <= MAX_PLACES.tracker + OTHER_SOCKETS,
        `the tracker has ${open.tracker} sockets`,
      );
      const grown = {
        client: rssOf(alice.pid) - before.client,
        tracker: rssOf(tracker.pid) - before.tracker,
      };
      assert.ok(grown.client < MAX_GROWTH_BYTES.client, `the client grew by ${grown.client} bytes`);
      assert.ok(grown.tracker < MAX_GROWTH_BYTES.tracker, `the tracker grew by ${grown.tracker} bytes`);
      assert.equal(
        await sha1Of(scene.path("bob", "secret.bin")),
        await sha1Of(scene.path("alice", "secret.bin")),
      );
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it(`keeps ${SESSIONLESS_PLACES} connections of one address on which nobody logs in, and members are served meanwhile`, async () => {
    const identity = await createDeviceIdentity();
    const localAddress = "127.77.0.1";
    const guests: ApiClient[] = [];
    const come = async () => {
      try {
        guests.push(await ApiClient.connect({ ...trackerAddress, identity, localAddress }));
      } catch {
        // Turned away: what is kept is counted below.
      }
    };
    try {
      for (let begun = 0; begun < SESSIONLESS_PLACES + 100; begun += 50)
        await Promise.all(Array.from({ length: 50 }, come));
      const kept = () => guests.filter(({ isClosed }) => !isClosed).length;
      assert.ok(kept() <= SESSIONLESS_PLACES, `${kept()} are kept`);
      const member = await ApiClient.connect({
        ...trackerAddress,
        identity: await createDeviceIdentity(),
        localAddress: "127.77.0.2",
      });
      await member.signUp("dave");
      await member.close();
    } finally {
      for (const guest of guests) guest.terminate();
    }
  });
});
