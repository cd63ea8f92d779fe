// How much a client may send and listen to at once: refused with a sentence while that is possible, cut off beyond it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { z } from "zod";
import { ApiClient } from "../../../../harness/api-client.ts";
import { freePorts } from "../../../../harness/processes.ts";
import type { Address } from "../../../../src/api/addresses.ts";
import { MAX_API_MESSAGE_BYTES, MAX_FILE_LENGTH_BYTES } from "../../../../src/api/file-limits.ts";
import { groupCertificateSchema, infoSchema } from "../../../../src/api/schemas.ts";
import { createDeviceIdentity } from "../../../../src/identity/certificates.ts";
import { choosePieceLengthBytes } from "../../../../src/metainfo/geometry.ts";
import { encodeMetainfo } from "../../../../src/metainfo/metainfo.ts";
import { Tracker } from "../../../../src/tracker/tracker.ts";
import type { TrackerLimits } from "../../../../src/tracker/tracker-limits.ts";
import { cheapHashing } from "../cheap-passwords.ts";

/** @param onEnd is given what ends it */
async function start(
  onEnd: (end: () => Promise<void>) => void,
  limits: Partial<TrackerLimits> = {},
): Promise<Address> {
  const dataDir = mkdtempSync(join(tmpdir(), "tracker-"));
  const [port = 0] = await freePorts(1);
  const address = { host: "127.0.0.1", port };
  const log = pino({ level: "silent" });
  const options = { trackers: [address], trackerNumber: 1, dataDir, log, limits, passwords: cheapHashing };
  const tracker = await Tracker.open(options);
  onEnd(async () => {
    await tracker.close();
    rmSync(dataDir, { recursive: true });
  });
  return address;
}

/** The tracker of all tests that need no other limits. */
const usual = await start(after);

async function connect(): Promise<ApiClient> {
  return await connectTo(usual);
}

async function connectTo(address: Address): Promise<ApiClient> {
  return await ApiClient.connect({ ...address, identity: await createDeviceIdentity() });
}

test("a message that is too long is refused with a code, and the connection stays open", async () => {
  const client = await connect();
  await client.signUp("alice");
  const userId = "x".repeat(MAX_API_MESSAGE_BYTES);
  await assert.rejects(client.mutate("session.createUser", { userId }), { code: "LIMIT_REACHED" });
  await client.query("groups.list", {});
});

test("before login a connection holds little of an unfinished message: more of it closes the connection", async () => {
  const client = await connect();
  client.sendRaw("x".repeat(64 * 1024));
  assert.equal(await client.closed, 1009);
});

test("a device that has a session may send long messages at once, before any other call", async () => {
  const address = usual;
  const identity = await createDeviceIdentity();
  const first = await ApiClient.connect({ ...address, identity });
  await first.signUp("bob");
  await first.close();
  const second = await ApiClient.connect({ ...address, identity });
  const hashes = Array.from({ length: 3_500 }, (_, at) => at.toString(16).padStart(40, "0"));
  await second.mutate("presence.announce", { listenPort: 4000, seeding: "", downloading: hashes.join("") });
  await second.close();
});

test("pings and whole messages, however many, are no unfinished ones", async () => {
  const client = await connect();
  for (let time = 0; time < 5_000; time++) client.sendRaw(time % 2 === 0 ? "PING" : "PONG");
  await assert.rejects(client.mutate("session.resume"), { code: "NOT_LOGGED_IN" });
  await client.close();
});

test("one that is longer still closes the connection before it is read", async () => {
  const client = await connect();
  await client.signUp("carol");
  client.sendRaw("x".repeat(2 * MAX_API_MESSAGE_BYTES + 1));
  assert.equal(await client.closed, 1009);
});

test("a connection listens to events a few times, no more", async () => {
  const client = await connect();
  for (let count = 0; count < 4; count++) await client.listen();
  await client.listen();
  await assert.rejects(client.eventsEnded, { code: "LIMIT_REACHED" });
});

test("limits that a tracker was started with are those of its clients", async (t) => {
  const client = await connectTo(await start((end) => t.after(end), { groupsPerUser: 0 }));
  await client.signUp("alice");
  const writeId = crypto.randomUUID();
  const refused = client.mutate("groups.create", { groupId: "films", writeId });
  await assert.rejects(refused, { code: "LIMIT_REACHED", message: /own 0 groups/ });
  const ofKeys = await connectTo(await start((end) => t.after(end), { keysPerUser: 0 }));
  await ofKeys.signUp("alice");
  await ofKeys.mutate("groups.create", { groupId: "films", writeId });
  await assert.rejects(ofKeys.query("groups.certificate", { groupId: "films" }), {
    ...{ code: "LIMIT_REACHED", message: /certificates for 0 keys/ },
  });
});

test("an account has so many clients at a time, and room again when one of them ends", async (t) => {
  const address = await start((end) => t.after(end), { connectionsPerUser: 2 });
  const [first, second, third] = [
    await connectTo(address),
    await connectTo(address),
    await connectTo(address),
  ];
  await first.signUp("alice");
  const login = (client: ApiClient) =>
    client.mutate("session.login", {
      writeId: crypto.randomUUID(),
      userId: "alice",
      password: "password of alice",
    });
  await login(second);
  await assert.rejects(login(third), { code: "LIMIT_REACHED", message: /2 clients/ });
  await assert.rejects(third.mutate("session.resume"), { code: "NOT_LOGGED_IN" });
  await first.close();
  while ((await login(third).catch(() => undefined)) === undefined) await new Promise(setImmediate);
});

test("the largest file is listed, and its metainfo fetched, with the longest name", async () => {
  const client = await connect();
  await client.signUp("dave");
  const writeId = () => crypto.randomUUID();
  await client.mutate("groups.create", { groupId: "films", writeId: writeId() });
  const certificate = await client.query("groups.certificate", { groupId: "films" });
  const pieceLengthBytes = choosePieceLengthBytes(MAX_FILE_LENGTH_BYTES);
  const { info, sha1 } = encodeMetainfo({
    fileName: "f".repeat(255),
    lengthBytes: MAX_FILE_LENGTH_BYTES,
    pieceLengthBytes,
    pieceHashes: randomBytes((MAX_FILE_LENGTH_BYTES / pieceLengthBytes) * 20),
    sha1: "0".repeat(40),
    authorityPem: groupCertificateSchema.parse(certificate).authorityPem,
  });
  const base64 = Buffer.from(info).toString("base64");
  await client.mutate("files.share", { groupId: "films", info: base64, sha1, writeId: writeId() });
  const file = { groupId: "films", fileName: "f".repeat(255) };
  const answer = z.object({ info: infoSchema }).parse(await client.query("files.metainfo", file));
  assert.equal(answer.info, base64);
});
