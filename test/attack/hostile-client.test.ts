// Who has a client of his own making, against a tracker. Every procedure that the tracker's router has is tried: one that is
// added later is covered, or this fails until it says what a proper call of it looks like.
import assert from "node:assert/strict";
import { createHash, randomUUID, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import bencode from "bencode";
import { pino } from "pino";
import { z } from "zod";
import { ApiClient, Refusal } from "../../harness/api-client.ts";
import { freePorts } from "../../harness/processes.ts";
import { type Address, formatAddress } from "../../src/api/addresses.ts";
import { isErrorCode } from "../../src/api/errors.ts";
import { groupCertificateSchema, peerAddressSchema } from "../../src/api/schemas.ts";
import { createCertificateRequest, readCertificateRequest } from "../../src/identity/certificate-requests.ts";
import {
  createDeviceIdentity,
  type DeviceIdentity,
  deviceIdOfKey,
  readMemberCertificate,
} from "../../src/identity/certificates.ts";
import { cutInfo } from "../../src/metainfo/info-parts.ts";
import { encodeMetainfo } from "../../src/metainfo/metainfo.ts";
import { proceduresOf } from "../../src/tracker/server/procedure-builder.ts";
import { appRouter } from "../../src/tracker/server/router.ts";
import { Tracker } from "../../src/tracker/tracker.ts";
import { DEFAULT_TRACKER_LIMITS } from "../../src/tracker/tracker-limits.ts";
import { folderFor } from "../unit/tracker/fixture.ts";

const TOO_LONG = "x".repeat(10 * 1024 * 1024);
const INFO_HASH = "ab".repeat(20);

interface Procedure {
  readonly path: string;
  readonly type: "query" | "mutation" | "subscription";
  /** A proper input; undefined: it takes none. */
  readonly sample: () => Record<string, unknown> | undefined;
}

let address: Address;
let tracker: Tracker;
let dataDir: string;
let alice: ApiClient;
let bob: ApiClient;
let mallory: ApiClient;
let malloryDevice: DeviceIdentity;
let info: string;
let requestPem: string;

/** A value for each field that inputs have, by its name. */
const SAMPLES: Record<string, () => unknown> = {
  userId: () => "bob",
  password: () => "a password",
  writeId: () => randomUUID(),
  isRetry: () => true,
  groupId: () => "films",
  fileName: () => "a.bin",
  requestPem: () => requestPem,
  info: () => info,
  sha1: () => "11".repeat(20),
  isServed: () => true,
  replaces: () => INFO_HASH,
  isUpdate: () => false,
  infoHash: () => INFO_HASH,
  uploadId: () => "2c1f3b52-6a0e-4f0d-9d3a-0b7d4f6f8a11",
  partIndex: () => 0,
  partCount: () => 2,
  part: () => Buffer.from("a part").toString("base64"),
  listenPort: () => 4711,
  seeding: () => INFO_HASH,
  downloading: () => "",
  over: () => "",
  after: () => "a",
  groupIds: () => ["films"],
  userIds: () => ["bob"],
  prefix: () => "f",
  holderId: () => "66d0a6a5-5b3e-4b57-8f0c-3a9a2f0c7d11",
  everywhere: () => true,
  files: () => [{ fileName: "a.bin", infoHash: INFO_HASH }],
  listensHere: () => false,
  otherHosts: () => ["192.168.1.5"],
  secretHash: () => "cd".repeat(32),
  secret: () => Buffer.alloc(16, 7).toString("base64url"),
  uses: () => 3,
  lastsMs: () => 3_600_000,
  inviteId: () => "cd".repeat(8),
  groupClaimId: () => "a group",
};

const CHOICES = ["isRetry", "isServed", "isUpdate", "everywhere", "listensHere"];
const PACKED = ["seeding", "downloading", "over"];
const OPTIONAL = [
  "requestPem",
  "after",
  "prefix",
  "replaces",
  "holderId",
  "otherHosts",
  "uses",
  "lastsMs",
  ...CHOICES,
];

const procedures: Procedure[] = [...proceduresOf(appRouter)].map(([path, { kind: type, input }]) => {
  const fields = input instanceof z.ZodObject ? Object.keys(input.shape) : [];
  for (const field of fields) assert.ok(field in SAMPLES, `${path}: SAMPLES has no ${field}; add one`);
  const sample = () =>
    fields.length === 0 ? undefined : Object.fromEntries(fields.map((field) => [field, SAMPLES[field]?.()]));
  return { path, type, sample };
});
const called = procedures.filter(({ type }) => type !== "subscription");
const withInput = called.filter(({ sample }) => sample() !== undefined);

before(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "hostile-client-"));
  const [port = 0] = await freePorts(1);
  address = { host: "127.0.0.1", port };
  const log = pino({ level: "silent" });
  tracker = await Tracker.open({ trackers: [address], trackerNumber: 1, dataDir, log });
  ({ requestPem } = await createCertificateRequest());
  malloryDevice = await createDeviceIdentity();
  [alice, bob, mallory] = await Promise.all([connect(), connect(), connect(malloryDevice)]);
  await Promise.all([alice.signUp("alice"), bob.signUp("bob"), mallory.signUp("mallory")]);
  await write(alice, "groups.create", { groupId: "films" });
  await write(bob, "groups.join", { groupId: "films" });
  await write(alice, "groups.accept", { groupId: "films", userId: "bob" });
  const { authorityPem } = groupCertificateSchema.parse(
    await alice.query("groups.certificate", { groupId: "films" }),
  );
  info = infoOf(authorityPem, "a.bin");
  await write(alice, "files.share", { groupId: "films", info, sha1: "11".repeat(20) });
});

after(async () => {
  await tracker.close();
  rmSync(dataDir, { recursive: true });
});

async function connect(identity?: DeviceIdentity): Promise<ApiClient> {
  return ApiClient.connect({ ...address, identity: identity ?? (await createDeviceIdentity()) });
}

function write(client: ApiClient, path: string, input: object): Promise<unknown> {
  return client.mutate(path, { writeId: randomUUID(), ...input });
}

function infoOf(authorityPem: string, fileName: string): string {
  const metainfo = encodeMetainfo({
    ...{ fileName, lengthBytes: 10, pieceLengthBytes: 256 * 1024, authorityPem },
    pieceHashes: new Uint8Array(20),
    sha1: "11".repeat(20),
  });
  return Buffer.from(metainfo.info).toString("base64");
}

/** An entry for a symbolic link in a folder's metainfo (BEP 47). */
function link(path: readonly string[], target: readonly string[]) {
  return { attr: "l", length: 0, path, "symlink path": target };
}

/** The code of the refusal; undefined for a call that was done. */
async function refusalOf(
  client: ApiClient,
  { path, type }: Procedure,
  input: unknown,
): Promise<string | undefined> {
  try {
    await (type === "query" ? client.query(path, input) : client.mutate(path, input));
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

/** The proper input with one thing wrong, each time another. */
function* deformed(sample: Record<string, unknown>): Generator<[string, unknown]> {
  const isOptional = (field: string) => OPTIONAL.includes(field);
  for (const whole of [undefined, null, 0, "x", true, [], [sample]]) yield ["whole", whole];
  if (!Object.keys(sample).every(isOptional)) yield ["whole", {}];
  const wrongs: unknown[] = [
    null,
    0,
    -1,
    1.5,
    true,
    "",
    "\0",
    "../..",
    "x".repeat(900_000),
    { toString: 1 },
    [[]],
  ];
  for (const field of Object.keys(sample)) {
    if (!isOptional(field)) {
      const { [field]: _, ...without } = sample;
      yield [`no ${field}`, without];
    }
    for (const wrong of wrongs) {
      // An empty list is a proper list; a password may be any text; any group or file may be asked for by a proper name.
      if (field === "password" && (wrong === "\0" || wrong === "../..")) continue;
      if (field === "fileName" && typeof wrong === "string") continue;
      // Any text of some length may be a place in a list.
      const isText = typeof wrong === "string" && wrong.length < 1_000;
      if ((field === "after" || field === "prefix") && isText) continue;
      if (CHOICES.includes(field) && wrong === true) continue;
      // No torrents at all.
      if (PACKED.includes(field) && wrong === "") continue;
      yield [field, { ...sample, [field]: wrong }];
    }
  }
}

describe("a hostile client", () => {
  it("is told the code, for whatever is wrong in the form of a call, and nothing changes", async () => {
    const { digest } = tracker.status();
    for (const procedure of withInput) {
      for (const [what, input] of deformed(procedure.sample() ?? {})) {
        const code = await refusalOf(mallory, procedure, input);
        const call = `${procedure.path} with ${what} ${JSON.stringify(input)?.slice(0, 200)}`;
        assert.ok(isErrorCode(code) && code !== "INTERNAL", `${call}: ${code}`);
      }
    }
    assert.equal(tracker.status().digest, digest);
  });

  it("is cut off for a string of 10 MB in any call, before it is read", async () => {
    for (const { path, type, sample } of withInput) {
      const client = await connect();
      const [field = ""] = Object.keys(sample() ?? {});
      const input = { ...sample(), [field]: TOO_LONG };
      client.sendRaw(JSON.stringify({ id: 1, method: type, params: { path, input } }));
      assert.equal(await client.closed, 1009, path);
    }
  });

  it("without a session does nothing but make an account, log in and out", async () => {
    const stranger = await connect();
    for (const procedure of called) {
      const code = await refusalOf(stranger, procedure, procedure.sample());
      const expected: Record<string, string | undefined> = {
        "session.createUser": "USER_EXISTS",
        "session.login": "BAD_CREDENTIALS",
        "session.logout": undefined,
        // Public, as the key itself is: what a client needs before it logs in at another tracker.
        "trackers.keys": undefined,
      };
      const isOpen = Object.hasOwn(expected, procedure.path);
      assert.equal(code, isOpen ? expected[procedure.path] : "NOT_LOGGED_IN", procedure.path);
    }
    await stranger.close();
  });

  it("outside of a group, or in it without owning it, does nothing of an owner's or a member's", async () => {
    const { digest } = tracker.status();
    const about = withInput.filter(({ sample }) => "groupId" in (sample() ?? {}));
    assert.ok(about.length > 10);
    for (const procedure of about) {
      if (procedure.path === "groups.join") continue;
      const code = await refusalOf(mallory, procedure, procedure.sample());
      assert.match(String(code), /^(NOT_A_MEMBER|NOT_THE_OWNER|GROUP_EXISTS)$/, procedure.path);
    }
    for (const path of ["groups.requests", "groups.accept", "groups.reject", "groups.remove"]) {
      const procedure = about.find((one) => one.path === path);
      assert.ok(procedure);
      assert.equal(
        await refusalOf(bob, procedure, { ...procedure.sample(), userId: "alice" }),
        "NOT_THE_OWNER",
        path,
      );
    }
    assert.equal(tracker.status().digest, digest);
  });

  it("a client that repeats another's calls, write ids included, changes nothing and gains nothing", async () => {
    const writeId = randomUUID();
    await write(alice, "groups.create", { groupId: "books", writeId });
    const { digest } = tracker.status();
    for (const procedure of withInput) {
      const sample = procedure.sample() ?? {};
      if (!("writeId" in sample) || !("groupId" in sample)) continue;
      await refusalOf(mallory, procedure, { ...sample, groupId: "books", writeId });
    }
    assert.equal(tracker.status().digest, digest);
    await assert.rejects(mallory.query("groups.members", { groupId: "books" }), { code: "NOT_A_MEMBER" });
    await assert.rejects(mallory.query("groups.certificate", { groupId: "books" }), { code: "NOT_A_MEMBER" });
  });

  it("asks from which place in a list it likes, and gets nothing that it may not see", async () => {
    await write(alice, "groups.create", { groupId: "other" });
    const membersPage = z.object({
      items: z.array(z.object({ userId: z.string() })),
      next: z.string().optional(),
    });
    const places = [
      "",
      "\u0000",
      "\ud800",
      "\u001f",
      "other\u001f",
      "\u{10ffff}",
      "0".repeat(1_024),
      "films",
      "a".repeat(1_025),
    ];
    for (const after of places) {
      for (const path of ["groups.mine", "groups.list", "groups.members", "groups.requests", "files.list"]) {
        const page = await alice.query(path, { groupId: "films", after }).catch((error: unknown) => error);
        if (page instanceof Refusal) assert.equal(page.code, "INVALID_ARGUMENT", `${path} ${after}`);
        else assert.ok(Array.isArray(Reflect.get(Object(page), "items")), `${path} ${after}`);
      }
      const asked = mallory.query("groups.members", { groupId: "films", after });
      await assert.rejects(asked, { code: after.length > 1_024 ? "INVALID_ARGUMENT" : "NOT_A_MEMBER" });
      if (after.length > 1_024) continue;
      const ofOthers = await mallory.query("groups.revocations", {
        groupIds: ["films", "other", "films"],
        after,
      });
      assert.deepEqual(ofOthers, { items: [] });
      const page = membersPage.parse(await bob.query("groups.members", { groupId: "films", after }));
      assert.ok(page.items.every(({ userId }) => ["alice", "bob"].includes(userId)));
    }
    await assert.rejects(mallory.query("groups.revocations", { groupIds: Array(501).fill("films") }), {
      code: "INVALID_ARGUMENT",
    });
  });

  it("gets certificates for no key but its connection's, or one that it proves to hold", async () => {
    const issued = groupCertificateSchema.parse(await bob.query("groups.certificate", { groupId: "films" }));
    const certificate = new X509Certificate(issued.certificatePem);
    assert.equal(readMemberCertificate(certificate.raw, issued.namesKey).userId, "bob");
    const spki = certificate.publicKey.export({ type: "spki", format: "der" });
    assert.notEqual(deviceIdOfKey(spki), malloryDevice.deviceId);
    // A request with any one bit another is refused, or is one for the same key (not all of its form is signed).
    const own = Buffer.from(await readCertificateRequest(requestPem));
    const der = Buffer.from(requestPem.replace(/-----[^-]+-----|\s/g, ""), "base64");
    let refusals = 0;
    for (let at = 0; at < der.length; at++) {
      const forged = Buffer.from(der);
      forged[at] = (forged[at] ?? 0) ^ 1;
      const label = "CERTIFICATE REQUEST-----";
      const pem = `-----BEGIN ${label}\n${forged.toString("base64")}\n-----END ${label}`;
      try {
        const given = await bob.query("groups.certificate", { groupId: "films", requestPem: pem });
        const { certificatePem } = groupCertificateSchema.parse(given);
        const { publicKey } = new X509Certificate(certificatePem);
        assert.ok(own.equals(publicKey.export({ type: "spki", format: "der" })), `byte ${at}`);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        assert.equal(error.code, "INVALID_ARGUMENT");
        refusals++;
      }
    }
    assert.ok(refusals > der.length * 0.9);
  });

  it("gets certificates for no more keys than a member may have, and those go on being renewed", async () => {
    const { keysPerUser } = DEFAULT_TRACKER_LIMITS;
    const carol = await connect();
    await carol.signUp("carol");
    await write(carol, "groups.create", { groupId: "plays" });
    await write(carol, "groups.create", { groupId: "poems" });
    const ask = (groupId: string, pem?: string) =>
      carol.query("groups.certificate", { groupId, ...(pem === undefined ? {} : { requestPem: pem }) });
    await ask("plays");
    let issued = 1;
    const requests = Array.from({ length: keysPerUser + 20 }, async (_, index) => {
      const request = await createCertificateRequest();
      try {
        await ask(index % 2 === 0 ? "plays" : "poems", request.requestPem);
        issued++;
      } catch (error) {
        assert.ok(error instanceof Refusal && error.code === "LIMIT_REACHED", String(error));
      }
    });
    await Promise.all(requests);
    assert.equal(issued, keysPerUser);
    await ask("poems");
    await bob.query("groups.certificate", { groupId: "films" });
    await carol.close();
  });

  it("announces no address but the one that it comes from, and no torrent of a group that it is not in", async () => {
    const { infoHash } = z
      .object({ infoHash: z.string() })
      .parse(await write(bob, "files.share", { groupId: "films", info, sha1: "11".repeat(20) }));
    const announcement = { listenPort: 9, seeding: infoHash, downloading: "" };
    const victim = {
      host: "198.51.100.7",
      address: "198.51.100.7",
      ip: "198.51.100.7",
      deviceId: "00".repeat(32),
      otherHosts: ["8.8.8.8", "::ffff:8.8.8.8", "2600::1", "169.254.169.254"],
    };
    await bob.mutate("presence.announce", { ...announcement, ...victim });
    await mallory.mutate("presence.announce", { ...announcement, ...victim });
    await alice.mutate("presence.announce", announcement);
    const peers = z.array(peerAddressSchema).parse(await alice.query("presence.peers", { infoHash }));
    assert.deepEqual(
      peers.map(({ userId, host, otherHosts }) => [userId, host, otherHosts]),
      [["bob", "127.0.0.1", undefined]],
    );
    assert.deepEqual(await mallory.query("presence.peers", { infoHash }), []);
  });

  it("shares no metainfo whose name leaves its folder, that does not fit together, or claims too much", async () => {
    const { authorityPem } = groupCertificateSchema.parse(
      await bob.query("groups.certificate", { groupId: "films" }),
    );
    const { authorityPem: ofAnother } = groupCertificateSchema.parse(
      await alice.query("groups.certificate", { groupId: "books" }),
    );
    const proper = {
      length: 10,
      name: "b.bin",
      "piece length": 256 * 1024,
      pieces: Buffer.alloc(20),
      private: 1,
      sha1: Buffer.alloc(20, 0x11),
      "ssl-cert": authorityPem,
    };
    const names = [
      "",
      ".",
      "..",
      "...",
      ". .",
      "../x",
      "a/b",
      "/etc/passwd",
      "a\\b",
      "..\\x",
      "C:\\x",
      "a\0b",
      "a\nb",
      "a\u2028leave_group g",
    ];
    const reserved = ["\u001b[2J", "con", "NUL.txt", "lpt1", "a".repeat(256)];
    const wrong: object[] = [
      ...[...names, ...reserved].map((name) => ({ name })),
      ...[2 ** 60, 2 ** 50 + 1, -1, 300 * 1024].map((length) => ({ length })),
      ...[1, 3, 2 ** 40, 2 ** 13, 0, -16_384].map((bytes) => ({ "piece length": bytes })),
      { pieces: Buffer.alloc(40) },
      { pieces: Buffer.alloc(19) },
      { private: 0 },
      { sha1: Buffer.alloc(19) },
      { sha1: Buffer.alloc(20, 0x12) },
      { "ssl-cert": ofAnother },
      { "ssl-cert": "" },
      ...Object.keys(proper).map((key) => ({ [key]: [] })),
    ];
    const { digest } = tracker.status();
    const share = (bytes: Uint8Array) =>
      write(bob, "files.share", {
        ...{ groupId: "films", info: Buffer.from(bytes).toString("base64") },
        sha1: "11".repeat(20),
      });
    for (const part of wrong) {
      const refused = share(bencode.encode({ ...proper, ...part }));
      await assert.rejects(
        refused,
        { code: /^(MALFORMED_MESSAGE|INVALID_ARGUMENT)$/ },
        JSON.stringify(part).slice(0, 80),
      );
    }
    for (const bomb of [
      "d".repeat(10_000),
      "l".repeat(10_000),
      "d4:name99999999999:",
      "d4:name-1:e",
      "i1e",
      "de",
      "",
    ]) {
      await assert.rejects(share(Buffer.from(bomb)), { code: "MALFORMED_MESSAGE" });
    }
    assert.equal(tracker.status().digest, digest);
    await share(bencode.encode(proper));
  });

  it("sends no part of metainfo that is too long, empty, or not among the parts it says there are", async () => {
    const { digest } = tracker.status();
    const about = { groupId: "films", infoHash: INFO_HASH, uploadId: randomUUID() };
    const bytes = (length: number) => Buffer.alloc(length, 1).toString("base64");
    const wrong: object[] = [
      ...[64 * 1024 + 1, 64 * 1024 + 3, 0].map((length) => ({ part: bytes(length) })),
      ...[2, 3, 1_023, 1_024, -1, 0.5].map((partIndex) => ({ partIndex })),
      ...[0, -2, 1_025, 2 ** 31].map((partCount) => ({ partCount })),
      ...["not base64!", "ab=c", "\0"].map((part) => ({ part })),
    ];
    for (const one of wrong) {
      const sent = write(bob, "files.putInfoPart", {
        ...{ ...about, partIndex: 0, partCount: 2, part: bytes(64 * 1024) },
        ...one,
      });
      await assert.rejects(sent, { code: "INVALID_ARGUMENT" }, JSON.stringify(one).slice(0, 80));
    }
    const proper = { ...about, partIndex: 0, partCount: 2, part: bytes(10) };
    await assert.rejects(write(mallory, "files.putInfoPart", proper), { code: "NOT_A_MEMBER" });
    assert.equal(tracker.status().digest, digest);
  });

  it("shares no folder whose parts lie, whose files would leave it, or whose padding is not where it belongs", async () => {
    const { authorityPem } = groupCertificateSchema.parse(
      await bob.query("groups.certificate", { groupId: "films" }),
    );
    const pieceBytes = 256 * 1024;
    const file = (path: readonly (string | Buffer)[], length = 10) => ({
      length,
      path: path.map((name) => Buffer.from(name)),
      sha1: Buffer.alloc(20, 0x11),
    });
    const padding = (length: number, name = String(length)) => ({ attr: "p", length, path: [".pad", name] });
    const folderOf = (files: readonly object[], rest: object = {}) => {
      const lengthBytes = files.reduce((sum, one) => sum + Number(Reflect.get(one, "length")), 0);
      const pieces = Buffer.alloc(20 * Math.max(1, Math.min(1_000, Math.ceil(lengthBytes / pieceBytes))));
      const common = { name: "folder", "piece length": pieceBytes, private: 1, "ssl-cert": authorityPem };
      return bencode.encode({ files, pieces, ...common, ...rest });
    };
    const share = (bytes: Uint8Array) =>
      write(bob, "files.share", { groupId: "films", info: Buffer.from(bytes).toString("base64") });
    const paths = [
      ...[["..", "x"], ["a", "..", "x"], ["."], [""], ["a", ""], ["/etc", "passwd"], ["a/b"], ["a\\b"]],
      ...[["a\0b"], ["con"], ["a".repeat(256)], [Buffer.from([0xff, 0xfe])], ["e\u0301"], []],
      ...[new Array<string>(129).fill("a"), new Array<string>(20).fill("a".repeat(250))],
    ];
    const wrong: [string, Uint8Array][] = [
      ...paths.map((path): [string, Uint8Array] => [JSON.stringify(path), folderOf([file(path)])]),
      ["two entries for one file", folderOf([file(["a"]), file(["a"])])],
      ["names that are one", folderOf([file(["A"]), file(["a"])])],
      ["a file that is a folder", folderOf([file(["a"]), file(["a", "b"])])],
      ["another order", folderOf([file(["b"]), file(["a"])])],
      ["no file", folderOf([])],
      ["a link out of the folder", folderOf([{ ...link(["a"], ["..", "b"]) }])],
      ["a link to /etc", folderOf([{ ...link(["a"], ["/etc"]) }])],
      ["no padding", folderOf([file(["a"]), file(["b"], pieceBytes)])],
      ["padding that lies", folderOf([file(["a"]), padding(pieceBytes - 9), file(["b"], pieceBytes)])],
      [
        "padding of another name",
        folderOf([file(["a"]), padding(pieceBytes - 10, "1"), file(["b"], pieceBytes)]),
      ],
      ["padding without need", folderOf([file(["a"]), padding(10), file(["b"])])],
      ["a length beside the files", folderOf([file(["a"])], { length: 10 })],
      ["hashes of another length", folderOf([file(["a"])], { pieces: Buffer.alloc(40) })],
      ["a SHA-1 of 19 bytes", folderOf([{ ...file(["a"]), sha1: Buffer.alloc(19) }])],
      ["2^60 bytes", folderOf([file(["a"], 2 ** 60)], { pieces: Buffer.alloc(20) })],
      ["a folder's name that leaves", folderOf([file(["a"])], { name: ".." })],
      ["another group's CA", folderOf([file(["a"])], { "ssl-cert": "another" })],
    ];
    const { digest } = tracker.status();
    for (const [what, bytes] of wrong) {
      await assert.rejects(share(bytes), { code: /^(MALFORMED_MESSAGE|INVALID_ARGUMENT)$/ }, what);
    }
    assert.equal(tracker.status().digest, digest);
    await share(folderOf([file(["a"]), padding(pieceBytes - 10), file(["b", "c"], pieceBytes)]));
  });

  it("sends the metainfo of a folder of 210,000 files, and keeps nobody waiting while it is read and refused", async () => {
    const entry = (index: number) =>
      `d6:lengthi0e4:pathl6:${String(index).padStart(6, "0")}e4:sha120:${"x".repeat(20)}e`;
    const info = Buffer.from(`d5:filesl${Array.from({ length: 210_000 }, (_, at) => entry(at)).join("")}`);
    const entryBytes = entry(0).length;
    const perPart = Math.floor((64 * 1024 - 16) / entryBytes) * entryBytes;
    const parts: Buffer[] = [];
    for (let at = 0; at < info.length; ) {
      const end = at === 0 ? "d5:filesl".length + perPart : at + perPart;
      parts.push(info.subarray(at, end));
      at = end;
    }
    const infoHash = createHash("sha1").update(info).digest("hex");
    const upload = { groupId: "films", infoHash, uploadId: randomUUID() };
    for (const [partIndex, part] of parts.entries()) {
      const sent = { ...upload, partIndex, partCount: parts.length, part: part.toString("base64") };
      await write(bob, "files.putInfoPart", sent);
    }
    const { digest } = tracker.status();
    const refused = assert.rejects(write(bob, "files.share", upload), { code: "MALFORMED_MESSAGE" });
    let isOver = false;
    refused.finally(() => {
      isOver = true;
    });
    let answered = 0;
    for (; !isOver; answered++) await alice.query("groups.mine", {});
    await refused;
    assert.ok(answered > parts.length / 4, `only ${answered} calls of others were answered meanwhile`);
    assert.equal(tracker.status().digest, digest);
  });

  it("cannot put a wrong part into another's folder, nor list one from a place that no page had", async () => {
    const { authorityPem } = groupCertificateSchema.parse(
      await bob.query("groups.certificate", { groupId: "films" }),
    );
    const { info: folder, infoHash } = await folderFor("pictures", 1_000, 1, authorityPem);
    const parts = cutInfo(folder).map((part) => Buffer.from(part).toString("base64"));
    const upload = { groupId: "films", infoHash, uploadId: randomUUID(), partCount: parts.length };
    const send = async (client: ApiClient, content: readonly string[]) => {
      for (const [partIndex, part] of content.entries()) {
        await write(client, "files.putInfoPart", { ...upload, partIndex, part });
      }
    };
    const wrong = parts.map(() => Buffer.from("wrong").toString("base64"));
    await send(bob, wrong);
    await send(alice, parts);
    const shared = { groupId: "films", infoHash, uploadId: upload.uploadId };
    await assert.rejects(write(bob, "files.share", shared), { code: "MALFORMED_MESSAGE" });
    await write(alice, "files.share", shared);
    const got = parts.map((_, partIndex) =>
      bob.query("files.infoPart", { groupId: "films", infoHash, partIndex }),
    );
    assert.deepEqual(
      await Promise.all(got),
      parts.map((part) => ({ part })),
    );
    const inFolder = { groupId: "films", fileName: "pictures" };
    const cursors = [
      "",
      "0",
      `${infoHash} 999`,
      `${infoHash} -1`,
      `${INFO_HASH} 0`,
      "\u001f",
      "x".repeat(1_025),
    ];
    for (const after of cursors) {
      await assert.rejects(bob.query("files.listInside", { ...inFolder, after }), {
        code: "INVALID_ARGUMENT",
      });
    }
    await assert.rejects(mallory.query("files.listInside", inFolder), { code: "NOT_A_MEMBER" });
    const ofPart = { groupId: "films", infoHash, partIndex: 0 };
    await assert.rejects(mallory.query("files.infoPart", ofPart), { code: "NOT_A_MEMBER" });
  });

  it("has eight folders under way at a time, and others are not held up by it", async () => {
    const upload = () => ({
      ...{ groupId: "films", infoHash: INFO_HASH, uploadId: randomUUID(), partIndex: 0, partCount: 2 },
      part: Buffer.from("a part").toString("base64"),
    });
    const codes = await Promise.all(
      Array.from({ length: 20 }, () =>
        write(bob, "files.putInfoPart", upload()).then(
          () => "done",
          (error: unknown) => (error instanceof Refusal ? error.code : String(error)),
        ),
      ),
    );
    assert.deepEqual([...new Set(codes)].sort(), ["LIMIT_REACHED", "done"]);
    assert.ok(codes.filter((code) => code === "done").length <= 8);
    await write(alice, "files.putInfoPart", upload());
  });

  it("with 20,000 calls in one message, and as many that nobody knows, keeps nobody else waiting for long", async () => {
    const stranger = await connect();
    const calls = Array.from({ length: 15_000 }, (_, id) => ({
      id,
      method: "query",
      params: { path: "no.such" },
    }));
    stranger.sendRaw(JSON.stringify(calls));
    await alice.query("groups.list", {});
    stranger.terminate();
    assert.equal(tracker.status().address, formatAddress(address));
  });
});
