// Whatever comes from the network or a file is read or refused with one of our codes: no crash, no hang, no growth. 20,000
// inputs in CI, a million with FUZZ_RUNS=1000000 (npm run torture), each run with another seed; with FUZZ_SEED the same
// again. What fails is kept in corpus/ and tried at every run after that.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import bencode from "bencode";
import fc from "fast-check";
import { pino } from "pino";
import { z } from "zod";
import { ApiClient } from "../../harness/api-client.ts";
import { freePorts } from "../../harness/processes.ts";
import { MiniTorrentError } from "../../src/api/errors.ts";
import { decodeInvite, encodeInvite, INVITE_PREFIX } from "../../src/api/invite.ts";
import { trackerEventSchema } from "../../src/api/schemas.ts";
import { parseTrackerInfo } from "../../src/api/tracker-list.ts";
import { createCertificateRequest, readCertificateRequest } from "../../src/identity/certificate-requests.ts";
import {
  createDeviceIdentity,
  createGroupAuthority,
  issueMemberCertificate,
  readMemberCertificate,
} from "../../src/identity/certificates.ts";
import { namesKeyOf } from "../../src/identity/member-names.ts";
import { decodeDictionary } from "../../src/metainfo/bencoding.ts";
import { Bitfield } from "../../src/metainfo/bitfield.ts";
import { Geometry } from "../../src/metainfo/geometry.ts";
import { cutInfo, readPartEntries } from "../../src/metainfo/info-parts.ts";
import { decodeMetainfo, encodeMetainfo } from "../../src/metainfo/metainfo.ts";
import { writePieceHeader } from "../../src/metainfo/piece-header.ts";
import { Torrent } from "../../src/swarm/torrent.ts";
import { recordKinds } from "../../src/tracker/registry/registry.ts";
import {
  REPLICA_PROTOCOL_VERSION,
  readReplicaMessage,
} from "../../src/tracker/replication/replica-messages.ts";
import { proceduresOf } from "../../src/tracker/server/procedure-builder.ts";
import { appRouter } from "../../src/tracker/server/router.ts";
import { Tracker } from "../../src/tracker/tracker.ts";
import { MessageDecoder } from "../../src/wire/decoder.ts";
import { MessageEncoder } from "../../src/wire/encoder.ts";
import { decodeExtensionHandshake, encodeExtensionHandshake } from "../../src/wire/extensions.ts";
import { decodeHandshake, encodeHandshake } from "../../src/wire/handshake.ts";
import type { PeerLink } from "../../src/wire/messages.ts";
import { fileEntry, folderOf, linkEntry } from "../unit/metainfo/folders.ts";
import { RecordingListener } from "../unit/wire/recording.ts";
import { corpusOf, hostile, keep } from "./mutations.ts";

const RUNS = Number(process.env.FUZZ_RUNS ?? 20_000);
const SEED = process.env.FUZZ_SEED === undefined ? undefined : Number(process.env.FUZZ_SEED);
/** An input that takes longer hangs: the slowest take a millisecond. */
const MAX_INPUT_MS = 2_000;
/** What the heap may have grown by after all inputs of a target: caches fill, nothing else. */
const MAX_GROWTH_BYTES = 24 * 1024 * 1024;

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

function heapBytes(): number {
  if (typeof collectGarbage === "function") collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Refusals with a code are what should be; INTERNAL is a fault of ours. */
function refusesWell(error: unknown): void {
  if (error instanceof MiniTorrentError && error.code !== "INTERNAL") return;
  throw error;
}

/** @param share of all runs that this target gets */
async function fuzz(
  target: string,
  share: number,
  proper: fc.Arbitrary<Uint8Array>,
  take: (bytes: Buffer) => unknown,
): Promise<void> {
  const attempt = async (bytes: Buffer): Promise<void> => {
    const startedMs = performance.now();
    try {
      await take(bytes);
    } catch (error) {
      refusesWell(error);
    }
    assert.ok(performance.now() - startedMs < MAX_INPUT_MS, "an input took too long");
  };
  for (const bytes of corpusOf(target)) await attempt(bytes);
  await assert.doesNotReject(
    Promise.any(fc.sample(proper, 50).map(async (bytes) => take(Buffer.from(bytes)))),
    `${target}: every input that should be proper is refused`,
  );
  await fc.assert(fc.asyncProperty(hostile(proper), attempt), { numRuns: 50 });
  const before = heapBytes();
  const numRuns = Math.max(50, Math.floor(RUNS * share));
  const details = await fc.check(fc.asyncProperty(hostile(proper), attempt), {
    numRuns,
    ...(SEED !== undefined && { seed: SEED }),
  });
  const [failing] = details.counterexample ?? [];
  if (failing !== undefined) {
    const path = keep(target, failing);
    assert.fail(`${path}, seed ${details.seed}: ${String(details.errorInstance)}`);
  }
  const grown = heapBytes() - before;
  assert.ok(grown < MAX_GROWTH_BYTES, `the heap grew by ${grown} bytes over ${numRuns} inputs`);
}

const uint32 = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const PIECES = 16;
const BLOCK = 16 * 1024;
const geometry = new Geometry(PIECES * 32 * 1024, 32 * 1024);

/** A run of messages as a peer would say them. */
const conversation: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.tuple(
      fc.nat(14),
      fc.nat(PIECES - 1),
      fc.constantFrom(0, BLOCK),
      uint32,
      fc.uint8Array({ maxLength: 40 }),
    ),
    { maxLength: 12 },
  )
  .map((says) => {
    const encoder = new MessageEncoder();
    const blocks: Uint8Array[] = [];
    for (const [which, pieceIndex, offset, odd, bytes] of says) {
      const say: (() => void)[] = [
        () => encoder.keepAlive(),
        () => encoder.choke(),
        () => encoder.unchoke(),
        () => encoder.interested(),
        () => encoder.notInterested(),
        () => encoder.have(pieceIndex),
        () => encoder.bitfield(new Uint8Array(2).fill(odd)),
        () => encoder.haveAll(),
        () => encoder.haveNone(),
        () => encoder.request(pieceIndex, offset, odd % 3 === 0 ? odd : BLOCK),
        () => encoder.cancel(pieceIndex, offset, BLOCK),
        () => encoder.reject(pieceIndex, offset, BLOCK),
        () =>
          encoder.extended(0, bencode.encode({ m: { ut_x: odd % 256 }, reqq: odd, v: Buffer.from(bytes) })),
        () => encoder.extended(odd % 256, bytes),
        () => {
          const block = new Uint8Array(13 + BLOCK);
          writePieceHeader(block, 0, pieceIndex, offset, BLOCK);
          blocks.push(encoder.take(), block);
        },
      ];
      say[which]?.();
    }
    return Buffer.concat([...blocks, encoder.take()]);
  });

/** In chunks whose lengths the bytes themselves decide. */
function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + (((bytes[at] ?? 0) * 37) % 4096);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const text = (arbitrary: fc.Arbitrary<unknown>) =>
  arbitrary.map((value) => Buffer.from(JSON.stringify(value) ?? ""));
const info = fc.record({
  fileName: fc.string({ minLength: 1, maxLength: 30 }).filter((name) => /^[\w ]*\w$/.test(name)),
  pieces: fc.integer({ min: 0, max: 4 }),
});

test("the decoder of the wire protocol", () =>
  fuzz("wire", 0.25, conversation, (bytes) => {
    const decoder = new MessageDecoder({
      listener: new RecordingListener(),
      pieceCount: PIECES,
      supportsFast: true,
    });
    for (const chunk of chunksOf(bytes)) decoder.push(chunk);
  }));

test("a whole conversation of a peer", () => {
  const link: PeerLink = Object.assign(new MessageEncoder(), {
    suggest: () => undefined,
    sendBlocks: (_bytes: Uint8Array, sent: () => void) => {
      sent();
      return true;
    },
    close: () => undefined,
  });
  return fuzz("peer", 0.15, conversation, (bytes) => {
    const have = new Bitfield(PIECES);
    for (let at = 0; at < PIECES; at += 2) have.set(at);
    let nowMs = 0;
    const torrent = new Torrent({
      geometry,
      have,
      storage: {
        reserve: () => new Uint8Array(geometry.pieceLengthBytes),
        commit: (pieceIndex, done) => done(pieceIndex % 3 === 0 ? "mismatch" : "verified"),
        release: () => undefined,
        read: (_pieceIndex, done) =>
          done({ bytes: new Uint8Array(2 * (13 + BLOCK)), release: () => undefined }),
      },
      nowMs: () => nowMs,
      random: () => 0.5,
      onEvent: () => undefined,
      defer: (work) => work(),
    });
    const identity = { userId: "m", deviceId: "d", address: "192.0.2.1:1" };
    const listener = torrent.connect(link, identity, true);
    const decoder = new MessageDecoder({ listener, pieceCount: PIECES, supportsFast: true });
    try {
      for (const chunk of chunksOf(bytes)) {
        decoder.push(chunk);
        nowMs += 500;
        torrent.tick();
      }
    } finally {
      listener.closed("over");
      torrent.close("over");
    }
  });
});

test("handshakes", () =>
  fuzz(
    "handshake",
    0.05,
    fc.uint8Array({ minLength: 20, maxLength: 20 }).map((peerId) => {
      const infoHash = Buffer.from(peerId).toString("hex");
      return encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true });
    }),
    decodeHandshake,
  ));

test("extension handshakes", () =>
  fuzz(
    "extension",
    0.1,
    fc
      .tuple(fc.dictionary(fc.string({ maxLength: 8 }), fc.integer({ min: 1, max: 255 })), fc.string())
      .map(([extensionIds, clientName]) =>
        encodeExtensionHandshake({
          extensionIds: new Map(Object.entries(extensionIds)),
          ...{ listenPort: 6881, requestLimit: 250, clientName },
        }),
      ),
    decodeExtensionHandshake,
  ));

test("bencoded dictionaries", () => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.integer(),
      fc.string({ maxLength: 20 }),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 5 }), tie("value"), { maxKeys: 4 }),
    ),
  }));
  const dictionary = fc.dictionary(fc.string({ maxLength: 5 }), value, { maxKeys: 6 });
  return fuzz(
    "bencoding",
    0.1,
    dictionary.map((one) => bencode.encode(one)),
    decodeDictionary,
  );
});

test("metainfo", () =>
  fuzz(
    "metainfo",
    0.1,
    info.map(({ fileName, pieces }) => {
      const pieceLengthBytes = 262_144;
      const lengthBytes = pieces * pieceLengthBytes;
      const rest = { pieceHashes: new Uint8Array(20 * pieces), sha1: "00".repeat(20), authorityPem: "PEM" };
      return encodeMetainfo({ fileName: `f${fileName}`, lengthBytes, pieceLengthBytes, ...rest }).info;
    }),
    decodeMetainfo,
  ));

test("metainfo of folders, and its parts", async () => {
  const folders = await Promise.all([
    folderOf([
      fileEntry("a", 5),
      { ...fileEntry("bin/run", 70_000), isExecutable: true },
      linkEntry("l", "a"),
    ]),
    folderOf(Array.from({ length: 30 }, (_, index) => fileEntry(`d/${index + 10}`, index * 1000))),
  ]);
  return fuzz("folder-metainfo", 0.1, fc.constantFrom(...folders.map(({ info }) => info)), (bytes) => {
    for (const read of [cutInfo, decodeMetainfo, (part: Buffer) => readPartEntries(part, true)]) {
      try {
        read(bytes);
      } catch (error) {
        refusesWell(error);
      }
    }
  });
});

/** The bytes are those before the checksum, which is made right: a wrong one hides the rest. */
test("invites", () =>
  fuzz(
    "invite",
    0.1,
    fc
      .tuple(fc.ipV4(), fc.ipV6(), fc.domain(), fc.integer({ min: 1, max: 65_535 }))
      .map(([v4, v6, name, port]) => {
        const fingerprint = "ab".repeat(32);
        const text = encodeInvite({
          trackers: [v4, v6, name].map((host) => ({ host, port, fingerprint })),
          ...{ groupId: "films", groupClaimId: "0199a1b2c3d4-000001-k3", secret: `${"A".repeat(21)}Q` },
        });
        return Buffer.from(text.slice(INVITE_PREFIX.length), "base64url").subarray(0, -4);
      }),
    (body) => {
      const checksum = createHash("sha256").update(body).digest().subarray(0, 4);
      return decodeInvite(INVITE_PREFIX + Buffer.concat([body, checksum]).toString("base64url"));
    },
  ));

test("tracker_info.txt", () =>
  fuzz(
    "tracker-info",
    0.1,
    fc
      .array(
        fc.tuple(
          fc.oneof(
            fc.ipV4(),
            fc.ipV6().map((ip) => `[${ip}]`),
            fc.domain(),
          ),
          fc.nat(65_535),
        ),
        { maxLength: 6 },
      )
      .map((lines) =>
        Buffer.from(lines.map(([host, port]) => `${host}:${port} sha256:${"ab".repeat(32)} # x`).join("\n")),
      ),
    (bytes) => parseTrackerInfo(bytes.toString("utf8"), "f"),
  ));

test("messages between trackers", () => {
  const stamp = "0191f0a1b2c3-000001-abcdef";
  const record = fc.constantFrom(...Object.entries(recordKinds)).chain(([kind, how]) =>
    fc.record({
      ...{ kind: fc.constant(kind), claimId: fc.constant(how === "claim" ? stamp : "") },
      ...{ key: fc.string(), value: fc.jsonValue({ maxDepth: 2 }) },
      ...{ stamp: fc.constant(stamp), origin: fc.constant("abc"), seq: uint32, writeId: fc.uuid() },
    }),
  );
  const records = fc.array(record, { maxLength: 3 });
  const vector = fc.dictionary(fc.constantFrom("abc", "def"), uint32);
  const clock = fc.record({ nowMs: fc.nat(), isDoubted: fc.boolean(), steadyForMs: fc.nat() });
  const message = fc.oneof(
    fc.record({
      ...{ type: fc.constant("hello"), version: fc.constant(REPLICA_PROTOCOL_VERSION), clock },
      ...{ origin: fc.constant("abc"), vector, stamp: fc.constant(stamp) },
    }),
    fc.record({ type: fc.constant("rows"), records, upTo: vector }),
    fc.record({
      ...{ type: fc.constant("push"), id: uint32, origin: fc.constant("abc"), after: uint32, upTo: uint32 },
      records,
    }),
    fc.record({ type: fc.constant("stored"), id: uint32, earlier: records }),
    fc.record({ type: fc.constant("want"), vector }),
    fc.record({ type: fc.constant("beat"), vector, digest: fc.string(), stamp: fc.constant(stamp), clock }),
    fc.record({ type: fc.constant("soft"), data: fc.jsonValue(), isWhole: fc.boolean() }),
  );
  return fuzz("replica", 0.05, text(message), (bytes) => readReplicaMessage(bytes.toString("utf8")));
});

/** Inputs of the tracker's procedures: the fields that they have, values of all kinds. */
const inputSchemas = [...proceduresOf(appRouter).values()]
  .map(({ input }) => input)
  .filter((schema) => schema instanceof z.ZodObject);
const FIELDS = [...new Set(inputSchemas.flatMap(({ shape }) => Object.keys(shape)))];
const fieldValue = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.uuid(),
  fc.constant("ab".repeat(20)),
  fc.constant("films"),
  fc.base64String({ maxLength: 200 }),
  fc.boolean(),
  fc.nat(),
);
const input = fc.dictionary(fc.constantFrom(...FIELDS), fieldValue, { maxKeys: 8 });

test("what procedures are given, and events", () => {
  const schemas: z.ZodType[] = [trackerEventSchema, ...inputSchemas];
  assert.ok(schemas.length > 15);
  return fuzz("schemas", 0.06, text(input), (bytes) => {
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString("utf8"));
    } catch {
      return; // refused before any procedure runs
    }
    for (const schema of schemas) schema.safeParse(value);
  });
});

test("certificate requests, and members' certificates", async () => {
  const { requestPem } = await createCertificateRequest();
  const der = Buffer.from(requestPem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const label = "CERTIFICATE REQUEST-----";
  await fuzz("certificate-request", 0.01, fc.constant(der), async (bytes) => {
    await readCertificateRequest(`-----BEGIN ${label}\n${bytes.toString("base64")}\n-----END ${label}`);
  });
  await fuzz("certificate-request-pem", 0.005, fc.constant(Buffer.from(requestPem)), async (bytes) => {
    await readCertificateRequest(bytes.toString("utf8"));
  });
  const authority = await createGroupAuthority();
  const { publicKeySpki } = await createDeviceIdentity();
  const names = { userId: "alice", membershipId: "m" };
  const issued = await issueMemberCertificate({ authority, ...names, publicKeySpki, nowMs: Date.now() });
  const certificate = Buffer.from(issued.certificatePem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  await fuzz("certificate", 0.01, fc.constant(certificate), (bytes) => {
    readMemberCertificate(bytes, namesKeyOf(authority.privateKeyPem));
  });
});

test("a whole conversation with a tracker", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "fuzz-tracker-"));
  const [port = 0] = await freePorts(1);
  const faults: string[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => faults.push(line) });
  const address = { host: "127.0.0.1", port };
  const limits = { accountsPerAddress: 3 };
  const tracker = await Tracker.open({ trackers: [address], trackerNumber: 1, dataDir, log, limits });
  t.after(async () => {
    await tracker.close();
    rmSync(dataDir, { recursive: true });
  });
  const open = async () => {
    const client = await ApiClient.connect({ ...address, identity: await createDeviceIdentity() });
    return client;
  };
  const honest = await open();
  await honest.signUp("alice");
  await honest.mutate("groups.create", { writeId: randomUUID(), groupId: "films" });
  let hostileClient = await open();
  const path = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...[...proceduresOf(appRouter).keys()]) },
    { weight: 1, arbitrary: fc.string() },
  );
  const call = fc.record({
    id: fc.oneof(fc.nat(), fc.constant(null)),
    method: fc.constantFrom("query", "mutation", "subscription", "subscription.stop", "x"),
    params: fc.record({ path, input }),
  });
  const said = fc.oneof(call, fc.array(call, { maxLength: 4 }));
  let inputs = 0;
  await fuzz("tracker", 0.02, text(said), async (bytes) => {
    if (hostileClient.isClosed) hostileClient = await open();
    hostileClient.sendRaw(bytes.toString("utf8"));
    // A call that is answered says that what went before has been read.
    if (++inputs % 20 === 0) await honest.query("groups.list", {});
  });
  await honest.query("groups.list", {});
  assert.deepEqual(faults, []);
});
