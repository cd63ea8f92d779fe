// Strangers who show certificates that no program of ours makes, or whose handshake breaks off or is damaged, against a
// tracker and a client that listens, both real processes: each of them ends for itself alone.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { after, before, describe, it } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import fc from "fast-check";
import { ApiClient } from "../../harness/api-client.ts";
import { makeOddCertificates, type OddCertificate } from "../../harness/odd-certificates.ts";
import type { ClientProcess, TrackerProcess } from "../../harness/processes.ts";
import { withoutOpenssl } from "../../harness/requirements.ts";
import { Scene } from "../../harness/scene.ts";
import { within } from "../../harness/within.ts";
import { type Address, parseAddress } from "../../src/api/addresses.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import { encodeHandshake } from "../../src/wire/handshake.ts";
import { type Damage, damagedWire } from "./damaged-wire.ts";

/** Damaged handshakes against each of the two. */
const DAMAGED = Math.ceil(Number(process.env.FUZZ_RUNS ?? 20_000) / 100);
/** A client's side of a handshake with a certificate has some 2 KB, the request behind it 200 bytes. */
const HANDSHAKE_BYTES = 2_500;
const UPGRADE =
  "HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}\r\n\r\n`;
/** What is said behind the handshake, and bytes behind that. */
const REQUESTS = [`GET /api ${UPGRADE}behind`, `GET /sync ${UPGRADE}behind`, "GET /health HTTP/1.1\r\n\r\n"];
const FAULTS = /^minitorrent_tracker_connection_faults_total (\d+)$/m;
const MIB = 1024 * 1024;

let scene: Scene;
let tracker: TrackerProcess;
let alice: ClientProcess;
let door: Address;
let address: Address;
let infoHash: string;

before(async () => {
  scene = await Scene.open(1);
  const [first] = scene.trackers;
  assert.ok(first);
  tracker = first;
  address = parseAddress(tracker.address);
  alice = await scene.user("alice");
  await scene.group("studio", alice, {});
  const { path } = scene.file("alice", "secret.bin", MIB);
  await alice.must(`upload_file ${path} studio`);
  const files = (await alice.must("list_files studio")) as { infoHash: string }[];
  infoHash = files[0]?.infoHash ?? "";
  const { listeningOn } = (await alice.must("whoami")) as { listeningOn: string };
  door = parseAddress(listeningOn);
});

after(() => scene[Symbol.asyncDispose]());

/** Opens TLS as that stranger, says something, and waits until it is closed; what became of it does not matter. */
async function visit(target: Address, options: ConnectionOptions, said: string | Uint8Array): Promise<void> {
  let socket: ReturnType<typeof connectTls>;
  try {
    socket = connectTls({ ...target, minVersion: "TLSv1.3", rejectUnauthorized: false, ...options });
  } catch {
    return; // this side's OpenSSL takes no such key
  }
  socket.on("error", () => undefined);
  socket.on("secureConnect", () => socket.write(said));
  socket.resume();
  // Whoever keeps it waits for more; it has said all that it says.
  socket.setTimeout(500, () => socket.destroy());
  const closed = once(socket, "close").catch(() => undefined);
  if (!socket.closed) await within(closed, "the end of a visit of half a second");
}

/** The tracker counted no fault, and it and the client serve a member who comes now. */
async function assertServes(identity: DeviceIdentity): Promise<void> {
  assert.equal(FAULTS.exec(await tracker.metrics())?.[1], "0", tracker.stderr);
  const client = await ApiClient.connect({ ...address, identity });
  await assert.rejects(client.mutate("session.resume"), { code: "NOT_LOGGED_IN" });
  await client.close();
  await alice.must("list_files studio");
}

function hello(): Uint8Array {
  return encodeHandshake({
    ...{ infoHash, peerId: new Uint8Array(20) },
    ...{ supportsFast: true, supportsExtensions: true },
  });
}

describe("a stranger with an odd certificate", { skip: withoutOpenssl() }, () => {
  let odd: OddCertificate[];
  before(() => {
    odd = makeOddCertificates();
  });

  it("gets no further than its own connection, at tracker and client", async () => {
    const identity = await createDeviceIdentity();
    const names = odd.map(({ name }) => name);
    for (const name of ["brainpoolP256r1", "secp256k1", "ed25519", "rsa 2048"])
      assert.ok(names.includes(name));
    for (const { key, cert, name } of odd) {
      for (const said of REQUESTS) await visit(address, { key, cert }, said);
      await visit(door, { key, cert, servername: infoHash }, hello());
      assert.equal(tracker.child.exitCode, null, `${name} ended the tracker: ${tracker.stderr}`);
      assert.equal(alice.child.exitCode, null, `${name} ended the client: ${alice.stderr}`);
    }
    await assertServes(identity);
  });
});

describe("a stranger whose handshake is damaged", () => {
  const damage: fc.Arbitrary<Damage> = fc.record({
    afterBytes: fc.nat(HANDSHAKE_BYTES),
    how: fc.constantFrom("end", "reset", "flip", "repeat"),
  });

  it("ends for itself alone, at tracker and client", async () => {
    const identity = await createDeviceIdentity();
    const { privateKeyPem: key, certificatePem: cert } = identity;
    const visitDamaged = async (
      target: Address,
      servername: string,
      said: string | Uint8Array,
      how: Damage,
    ) => {
      const tcp = connectTcp(target);
      tcp.on("error", () => undefined);
      await visit(target, { key, cert, servername, socket: damagedWire(tcp, how) }, said);
      tcp.destroy();
    };
    await fc.assert(
      fc.asyncProperty(damage, fc.constantFrom(...REQUESTS), async (how, said) => {
        await Promise.all([visitDamaged(address, "", said, how), visitDamaged(door, infoHash, hello(), how)]);
        assert.equal(tracker.child.exitCode, null, tracker.stderr);
        assert.equal(alice.child.exitCode, null, alice.stderr);
      }),
      { numRuns: DAMAGED, endOnFailure: true },
    );
    await assertServes(identity);
  });
});
