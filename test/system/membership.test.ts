// Who may talk to a peer: a real tracker, a real seeder, and against them, with real sockets, everybody who should get
// nothing: an outsider, a member of another group, somebody who was a member a moment ago.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";
import { pino } from "pino";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { parseAddress } from "../../src/api/addresses.ts";
import { openTrackerSocket, type TrackerSocket } from "../../src/client/trackers/tracker-socket.ts";
import { TrackerTrust } from "../../src/client/trackers/tracker-trust.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import { PinStore } from "../../src/identity/pins.ts";
import { decodeMetainfo, type Metainfo } from "../../src/metainfo/metainfo.ts";
import { dial } from "../../src/transport/dialer.ts";
import type { GroupCredentials } from "../../src/transport/group-credentials.ts";
import type { PeerSocket } from "../../src/transport/peer-socket.ts";
import { makePeerId, PEER_ID_RANDOM_BYTES } from "../../src/wire/handshake.ts";
import type { PeerListener } from "../../src/wire/messages.ts";

const REVOCATION_MS = 1_000;
const log = pino({ level: "silent" });
const ignore = () => undefined;

/** Somebody with a device and an account, who talks to tracker and peers without a client in between. */
class Stranger {
  readonly identity: DeviceIdentity;
  readonly tracker: TrackerSocket;

  constructor(identity: DeviceIdentity, tracker: TrackerSocket) {
    this.identity = identity;
    this.tracker = tracker;
  }

  get #write(): { writeId: string } {
    return { writeId: crypto.randomUUID() };
  }

  async register(userId: string): Promise<void> {
    await this.tracker.api.session.createUser.mutate({ ...this.#write, userId, password: "pw" });
    await this.tracker.api.session.login.mutate({ ...this.#write, userId, password: "pw" });
  }

  async join(groupId: string): Promise<void> {
    await this.tracker.api.groups.join.mutate({ ...this.#write, groupId });
  }

  async credentials(groupId: string): Promise<GroupCredentials> {
    const given = await this.tracker.api.groups.certificate.query({ groupId });
    return {
      certificatePem: given.certificatePem,
      authorityPem: given.authorityPem,
      namesKey: given.namesKey,
      privateKeyPem: this.identity.privateKeyPem,
      isRevoked: () => false,
    };
  }

  async createGroup(groupId: string): Promise<void> {
    await this.tracker.api.groups.create.mutate({ ...this.#write, groupId });
  }
}

let scene: Scene;
let alice: ClientProcess;
let stranger: Stranger;
let pins: PinStore;
let metainfo: Metainfo;

beforeEach(async () => {
  scene = await Scene.open(1);
  alice = await scene.user("alice");
  await alice.must("create_group g");
  const { path } = scene.file("alice", "secret.bin", 1024 * 1024);
  await alice.must(`upload_file ${path} g`);
  const identity = await createDeviceIdentity();
  pins = new PinStore(scene.path("pins.sqlite"));
  const tracker = parseAddress(scene.trackerAddresses[0] ?? "");
  const trust = new TrackerTrust({ trackers: [tracker], pins, onFirstTrust: ignore });
  const socket = await openTrackerSocket({
    tracker,
    identity,
    trust,
    plan: { host: tracker.host, localAddress: undefined },
    signal: AbortSignal.timeout(30_000),
    onClose: ignore,
    log: pino({ level: "silent" }),
  });
  stranger = new Stranger(identity, socket);
  await stranger.register("mallory");
});

afterEach(async () => {
  stranger.tracker.close();
  pins.close();
  await scene[Symbol.asyncDispose]();
});

/** Becomes a member, and learns what the file is. */
async function becomeMember(): Promise<GroupCredentials> {
  await stranger.join("g");
  await alice.must("accept_request g mallory");
  const answer = await stranger.tracker.api.files.metainfo.query({ groupId: "g", fileName: "secret.bin" });
  const info = "info" in answer ? answer.info : assert.fail("it is short enough to travel whole");
  metainfo = decodeMetainfo(Buffer.from(info, "base64"));
  return stranger.credentials("g");
}

async function dialAlice(credentials: GroupCredentials): Promise<PeerSocket> {
  const { listeningOn } = (await alice.must("whoami")) as { listeningOn: string };
  const peerId = makePeerId(randomBytes(PEER_ID_RANDOM_BYTES));
  const { infoHash } = metainfo;
  return dial({
    ...parseAddress(listeningOn),
    infoHash,
    credentials,
    peerId,
    log,
    signal: new AbortController().signal,
  });
}

/** Resolves with what the peer says first, and when it closes. */
function listen(socket: PeerSocket): { firstMessage: Promise<string>; closed: Promise<string> } {
  const { promise: firstMessage, resolve: said } = Promise.withResolvers<string>();
  const { promise: closed, resolve: gone } = Promise.withResolvers<string>();
  const listener: PeerListener = {
    choke: ignore,
    unchoke: ignore,
    interested: ignore,
    notInterested: ignore,
    have: ignore,
    bitfield: () => said("bitfield"),
    haveAll: () => said("haveAll"),
    haveNone: () => said("haveNone"),
    suggest: ignore,
    request: ignore,
    cancel: ignore,
    reject: ignore,
    extended: ignore,
    blockBegins: ignore,
    blockEnds: ignore,
    writable: ignore,
    closed: gone,
  };
  socket.start(listener, metainfo.geometry.pieceCount);
  return { firstMessage, closed };
}

test("a member is answered; once removed they are dropped within a second and refused from then on", async () => {
  const credentials = await becomeMember();
  const socket = await dialAlice(credentials);
  assert.equal(socket.userId, "alice");
  const { firstMessage, closed } = listen(socket);
  assert.equal(await firstMessage, "haveAll");
  const removedMs = performance.now();
  await alice.must("remove_member g mallory");
  await closed;
  assert.ok(performance.now() - removedMs < REVOCATION_MS);
  await assert.rejects(dialAlice(credentials), { code: "PEER_REFUSED" });
  await assert.rejects(stranger.credentials("g"), /not|member/i);
  await assert.rejects(stranger.tracker.api.files.metainfo.query({ groupId: "g", fileName: "secret.bin" }));
});

test("somebody who left and was let in again is answered again", async () => {
  const before = await becomeMember();
  await stranger.tracker.api.groups.leave.mutate({ writeId: crypto.randomUUID(), groupId: "g" });
  const after = await becomeMember();
  await assert.rejects(dialAlice(before), { code: "PEER_REFUSED" });
  const socket = await dialAlice(after);
  assert.equal(await listen(socket).firstMessage, "haveAll");
  socket.close("seen enough");
});

test("a certificate of another group opens nothing", async () => {
  const { authorityPem } = await becomeMember();
  await stranger.createGroup("h");
  const other = await stranger.credentials("h");
  await assert.rejects(dialAlice({ ...other, authorityPem }), { code: "PEER_REFUSED" });
});

test("a person outside of the group, with a self-made certificate, gets nothing", async () => {
  const { authorityPem, namesKey } = await becomeMember();
  const own = { ...stranger.identity, authorityPem, namesKey, isRevoked: () => false };
  await assert.rejects(dialAlice(own), { code: "PEER_REFUSED" });
});

test("a user whose request is pending learns nothing from the tracker", async () => {
  await stranger.join("g");
  const { api } = stranger.tracker;
  await assert.rejects(api.groups.certificate.query({ groupId: "g" }));
  await assert.rejects(api.files.list.query({ groupId: "g" }));
  await assert.rejects(api.groups.members.query({ groupId: "g" }));
  await alice.must("reject_request g mallory");
  await assert.rejects(api.groups.certificate.query({ groupId: "g" }));
});
