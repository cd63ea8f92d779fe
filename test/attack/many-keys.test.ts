// A member with certificates for many keys of their own, who asks a seeder for everything over all of them, while another
// member downloads: real processes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { ApiClient } from "../../harness/api-client.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { until, within } from "../../harness/within.ts";
import { parseAddress } from "../../src/api/addresses.ts";
import { groupCertificateSchema } from "../../src/api/schemas.ts";
import { createCertificateRequest } from "../../src/identity/certificate-requests.ts";
import { createDeviceIdentity } from "../../src/identity/certificates.ts";
import { MessageEncoder } from "../../src/wire/encoder.ts";
import { encodeHandshake, HANDSHAKE_BYTES } from "../../src/wire/handshake.ts";

const MIB = 1024 * 1024;
const KEYS = 40;
const PLACES = 4;
const PIECES = 8;
const REQUESTS_AT_ONCE = 16;
const BLOCK = 16 * 1024;
/** What Alice sends a second: with 40 connections served alike, 8 MiB would take Bob 41 s, with four 5 s. */
const UPLINK = "8MB/s";
const IN_TIME_MS = 20_000;

/** A connection of that key's that has come through TLS, whatever becomes of it then. */
async function join(
  options: { host: string; port: number; key: string; cert: string },
  infoHash: string,
  number: number,
): Promise<TLSSocket> {
  const socket = connect({ ...options, servername: infoHash, rejectUnauthorized: false });
  socket.on("error", () => undefined);
  await within(once(socket, "secureConnect"), "TLS with a member's client");
  const peerId = new Uint8Array(20).fill(number);
  socket.write(encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true }));
  let heardBytes = 0;
  socket.on("data", (chunk: Buffer) => {
    heardBytes += chunk.length;
  });
  while (heardBytes <= HANDSHAKE_BYTES && !socket.closed) {
    const moved = Promise.race([once(socket, "data"), once(socket, "close")]).catch(() => undefined);
    await within(moved, `an answer to handshake ${number}, or its end`);
  }
  return socket;
}

test("a member with many keys gets a few places, and another member's download finishes beside it", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "set.bin", 8 * MIB);
  await alice.must(`upload_file ${path} g`);
  await alice.must(`limit up ${UPLINK}`);
  const { infoHash = "" } = ((await alice.must("list_files g")) as { infoHash: string }[])[0] ?? {};
  const door = parseAddress(((await alice.must("whoami")) as { listeningOn: string }).listeningOn);
  const identity = await createDeviceIdentity();
  const mallory = await ApiClient.connect({ ...parseAddress(scene.trackerAddresses[0] ?? ""), identity });
  await mallory.signUp("mallory");
  await mallory.mutate("groups.join", { groupId: "g", writeId: crypto.randomUUID() });
  await alice.must("accept_request g mallory");
  const sockets: TLSSocket[] = [];
  for (let number = 1; number <= KEYS; number++) {
    const { requestPem, privateKeyPem: key } = await createCertificateRequest();
    const issued = await mallory.query("groups.certificate", { groupId: "g", requestPem });
    const { certificatePem: cert } = groupCertificateSchema.parse(issued);
    sockets.push(await join({ ...door, key, cert }, infoHash, number));
  }
  // Whoever is refused is told why before the connection is closed.
  const standing = () => sockets.filter((socket) => !socket.closed);
  await until(
    () => standing().length <= PLACES,
    () => `connections beyond ${PLACES} to be closed; there are ${standing().length}`,
  );
  assert.equal(standing().length, PLACES);
  for (const socket of standing()) {
    const encoder = new MessageEncoder();
    let asked = 0;
    const ask = () => {
      encoder.request(asked++ % PIECES, 0, BLOCK);
      socket.write(encoder.take());
    };
    encoder.interested();
    for (let first = 0; first < REQUESTS_AT_ONCE; first++) ask();
    let heardBytes = 0;
    socket.on("data", (chunk: Buffer) => {
      heardBytes += chunk.length;
      while ((asked - REQUESTS_AT_ONCE) * BLOCK < heardBytes) ask();
    });
  }
  const startedMs = performance.now();
  await bob.must(`download_file g set.bin ${scene.path("bob")}/`);
  await bob.must("wait");
  assert.ok(performance.now() - startedMs < IN_TIME_MS, `${performance.now() - startedMs} ms`);
  assert.equal(await sha1Of(scene.path("bob", "set.bin")), sha1);
  for (const socket of sockets) socket.destroy();
  await mallory.close();
});
