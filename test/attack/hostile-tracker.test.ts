// A tracker that means ill, or somebody in between, against a client: it cannot make the client write outside of the folders
// that it was given, nor take another group's file, nor dial whom it likes by name; a changed key is refused loudly.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import bencode from "bencode";
import { pino } from "pino";
import { until } from "../../harness/within.ts";
import { isErrorCode, MiniTorrentError } from "../../src/api/errors.ts";
import { MAX_INFO_PARTS } from "../../src/api/file-limits.ts";
import { peerAddressSchema } from "../../src/api/schemas.ts";
import { Client } from "../../src/client/client.ts";
import type { ClientEvent } from "../../src/client/status.ts";
import {
  createDeviceIdentity,
  createGroupAuthority,
  type GroupAuthority,
  issueMemberCertificate,
} from "../../src/identity/certificates.ts";
import { namesKeyOf } from "../../src/identity/member-names.ts";
import { type LyingTracker, lyingTracker } from "./lying-tracker.ts";

const ACCOUNT = { userId: "alice", accountId: "000000000000-000000-00" };

let folder: string;
let tracker: LyingTracker;
let client: Client;
let authority: GroupAuthority;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hostile-tracker-"));
  mkdirSync(join(folder, "inside", "downloads"), { recursive: true });
  tracker = await lyingTracker(await createDeviceIdentity());
  authority = await createGroupAuthority();
  const device = await createDeviceIdentity();
  const names = { userId: "alice", membershipId: "m" };
  const { publicKeySpki } = device;
  const issued = await issueMemberCertificate({ authority, ...names, publicKeySpki, nowMs: Date.now() });
  tracker.answers.set("session.login", ACCOUNT);
  tracker.answers.set("session.resume", ACCOUNT);
  const g = { groupId: "g", ownerId: "alice", memberCount: 1, standing: "owner" };
  tracker.answers.set("groups.list", { items: [g] });
  tracker.answers.set("groups.mine", { items: [{ groupId: "g", standing: "owner", membershipId: "m" }] });
  tracker.answers.set("groups.revocations", { items: [] });
  tracker.answers.set("presence.peers", []);
  tracker.answers.set("groups.certificate", {
    ...{
      groupId: "g",
      groupClaimId: "c",
      certificatePem: issued.certificatePem,
      authorityPem: authority.certificatePem,
    },
    ...{ validUntilMs: issued.validUntilMs, membershipId: "m" },
    namesKey: namesKeyOf(authority.privateKeyPem),
  });
  client = await openClient(() => undefined);
});

function openClient(onEvent: (event: ClientEvent) => void): Promise<Client> {
  return Client.open({
    listen: { host: "127.0.0.1", port: 0 },
    trackers: [{ host: "127.0.0.1", port: tracker.port }],
    dataDir: join(folder, "inside", "data"),
    log: pino({ level: "silent" }),
    onEvent,
  });
}

afterEach(async () => {
  await client.close();
  await tracker.close();
  rmSync(folder, { recursive: true });
});

/** Everything there is beside what the client was given. */
function outside(): string[] {
  return readdirSync(folder).filter((name) => name !== "inside");
}

/** Asks until the answer, or the error, is what is waited for; meanwhile no tracker may be reached, and nothing else. */
async function outcomeUntil(isMeant: (outcome: unknown) => boolean): Promise<unknown> {
  let outcome: unknown;
  await until(
    async () => {
      outcome = await client.listGroups().catch((error: unknown) => error);
      if (isMeant(outcome)) return true;
      assert.ok(
        outcome instanceof MiniTorrentError && outcome.code === "TRACKERS_UNREACHABLE",
        String(outcome),
      );
      return false;
    },
    () => `an answer for which ${isMeant}; the last one is ${String(outcome)}`,
  );
  return outcome;
}

function infoOf(name: string, authorityPem = authority.certificatePem): { info: string } {
  const info = bencode.encode({
    ...{ length: 10, name, "piece length": 262_144, pieces: Buffer.alloc(20), private: 1 },
    ...{ sha1: Buffer.alloc(20), "ssl-cert": authorityPem },
  });
  return { info: Buffer.from(info).toString("base64") };
}

test("a user id that leaves the data directory is refused, and nothing is made there", async () => {
  for (const userId of ["../../../outside", "/outside", "..", "a/../../../../outside", "a\0b", ""]) {
    tracker.answers.set("session.login", { ...ACCOUNT, userId });
    await assert.rejects(client.login("alice", "pw"), { code: "MALFORMED_MESSAGE" });
  }
  assert.deepEqual(outside(), []);
  assert.deepEqual(readdirSync(join(folder, "inside", "data")), ["trackers.sqlite"]);
});

test("a metainfo that names another file than was asked for, or one outside, is refused and nothing is written", async () => {
  await client.login("alice", "pw");
  const downloads = join(folder, "inside", "downloads");
  for (const name of [
    "other.bin",
    "../outside",
    "../../outside",
    "/outside",
    "..",
    ".",
    "a/b",
    "C:\\x",
    "con",
  ]) {
    tracker.answers.set("files.metainfo", infoOf(name));
    for (const asked of ["a.bin", name]) {
      if (asked === "other.bin") continue;
      await assert.rejects(
        client.downloadFile("g", asked, `${downloads}/`),
        { code: "MALFORMED_MESSAGE" },
        name,
      );
    }
  }
  assert.deepEqual(outside(), []);
  assert.deepEqual(readdirSync(downloads), []);
});

test("a folder whose files would leave it is refused, whole or in parts, and nothing is written", async () => {
  await client.login("alice", "pw");
  const downloads = join(folder, "inside", "downloads");
  const file = (...path: string[]) => ({ length: 10, path, sha1: Buffer.alloc(20, 1) });
  const link = (target: string[]) => ({ attr: "l", length: 0, path: ["a"], "symlink path": target });
  const wrong = [
    [file("..", "outside")],
    [file("a", "..", "..", "outside")],
    [file("/outside")],
    [file("a/b")],
    [file("a\\b")],
    [file("")],
    [file("a"), file("a", "b")],
    [file("A"), file("a")],
    [link(["..", "..", "outside"]), file("b")],
    [link([folder]), file("b")],
  ];
  const infoOfFolder = (files: readonly object[]): Buffer => {
    const common = { name: "album", "piece length": 262_144, pieces: Buffer.alloc(20), private: 1 };
    return Buffer.from(bencode.encode({ files, ...common, "ssl-cert": authority.certificatePem }));
  };
  const download = () => client.downloadFile("g", "album", `${downloads}/`);
  for (const files of wrong) {
    const info = infoOfFolder(files);
    const part = info.toString("base64");
    const infoHash = createHash("sha1").update(info).digest("hex");
    tracker.answers.set("files.infoPart", { part });
    for (const answer of [{ info: part }, { infoHash, partCount: 1 }]) {
      tracker.answers.set("files.metainfo", answer);
      await assert.rejects(download(), { code: "MALFORMED_MESSAGE" }, JSON.stringify(files).slice(0, 100));
    }
  }
  assert.deepEqual(outside(), []);
  assert.deepEqual(readdirSync(downloads), []);
  tracker.answers.set("files.metainfo", {
    info: infoOfFolder([file("a"), file("b", "c")]).toString("base64"),
  });
  assert.equal((await download()).state, "downloading", "a proper folder is refused, too");
});

test("parts of a metainfo that never end, or are not those of its hash, are refused", async () => {
  await client.login("alice", "pw");
  const download = () => client.downloadFile("g", "album", join(folder, "inside", "downloads/"));
  tracker.answers.set("files.infoPart", { part: Buffer.alloc(64 * 1024).toString("base64") });
  for (const [partCount, code] of [
    [2, "MALFORMED_MESSAGE"],
    [MAX_INFO_PARTS, "LIMIT_REACHED"],
    [MAX_INFO_PARTS + 1, "MALFORMED_MESSAGE"],
    [2 ** 40, "MALFORMED_MESSAGE"],
  ] as const) {
    tracker.answers.set("files.metainfo", { infoHash: "ab".repeat(20), partCount });
    await assert.rejects(download(), { code }, String(partCount));
  }
});

test("a file of another group is not taken for this one's", async () => {
  await client.login("alice", "pw");
  const { certificatePem } = await createGroupAuthority();
  tracker.answers.set("files.metainfo", infoOf("a.bin", certificatePem));
  const downloads = join(folder, "inside", "downloads");
  const refused = await client.downloadFile("g", "a.bin", `${downloads}/`).then(
    ({ state }) => state,
    (error: unknown) => (error instanceof MiniTorrentError ? error.code : error),
  );
  const [last] = refused === "MALFORMED_MESSAGE" ? [] : await client.waitForDownloads();
  assert.match(String(last?.state ?? refused), /failed|MALFORMED_MESSAGE/);
  assert.deepEqual(readdirSync(downloads), []);
});

test("a group's CA does not change, whatever a tracker says: neither over a restart nor for what is shared", async () => {
  const path = join(folder, "inside", "a.bin");
  writeFileSync(path, "secret");
  tracker.answers.set("files.share", { infoHash: "0".repeat(40), joinedSwarm: false, isAnnounced: true });
  await client.login("alice", "pw");
  await client.uploadFile(path, "g");
  await client.close();
  const { certificatePem: authorityPem } = await createGroupAuthority();
  const honest = tracker.answers.get("groups.certificate") as object;
  const events: ClientEvent[] = [];
  const types = () => events.map(({ type }) => type).filter((type) => /group-|share-ended/.test(type));
  const restart = async (certificate: object): Promise<void> => {
    tracker.answers.set("groups.certificate", certificate);
    events.length = 0;
    client = await openClient((event) => events.push(event));
    await client.login("alice", "pw");
  };
  await restart({ ...honest, authorityPem });
  assert.deepEqual(types(), ["group-key-refused", "share-ended"]);
  await assert.rejects(client.uploadFile(path, "g"), { code: "GROUP_KEY_CHANGED" });
  await assert.rejects(client.exportCertificate("g", join(folder, "inside", "g.pem")), {
    code: "GROUP_KEY_CHANGED",
  });
  await client.close();
  await restart(honest);
  assert.deepEqual(types(), []);
  await client.close();
  await restart({ ...honest, authorityPem, groupClaimId: "another" });
  assert.deepEqual(types(), ["group-founded-anew", "share-ended"]);
});

test("whatever is answered, a command ends with a code, and the client goes on", async () => {
  const nested = JSON.parse("[".repeat(500) + "]".repeat(500)) as unknown;
  const lies = [1, "x", {}, [], [1], { info: "!" }, { info: 1 }, { groupId: {} }, [{ groupId: 1 }], nested];
  for (const lie of lies) {
    tracker.answers.set("session.login", lie);
    await assert.rejects(client.login("alice", "pw"), { code: "MALFORMED_MESSAGE" });
  }
  tracker.answers.set("session.login", ACCOUNT);
  await client.login("alice", "pw");
  const asks: Record<string, () => Promise<unknown>> = {
    "groups.list": () => client.listGroups(),
    "groups.members": () => client.listMembers("g"),
    "groups.requests": () => client.listRequests("g"),
    "groups.leave": () => client.leaveGroup("h"),
    "files.list": () => client.listFiles("g"),
    "files.listInside": () => client.listInside("g", "album").then(({ items }) => items),
    "files.metainfo": () => client.downloadFile("g", "a.bin", join(folder, "inside", "downloads/")),
    "files.infoPart": () => {
      tracker.answers.set("files.metainfo", { infoHash: "ab".repeat(20), partCount: 2 });
      return client.downloadFile("g", "a.bin", join(folder, "inside", "downloads/"));
    },
  };
  for (const [path, ask] of Object.entries(asks)) {
    const endless = { items: [], next: "x" };
    for (const lie of [null, ...lies, endless]) {
      tracker.answers.set(path, lie);
      const outcome = await ask().then(
        (given) => (Array.isArray(given) && given.length === 0 ? "nothing" : JSON.stringify(given)),
        (error: unknown) =>
          error instanceof MiniTorrentError && isErrorCode(error.code) ? error.code : error,
      );
      assert.match(
        String(outcome),
        /^(nothing|MALFORMED_MESSAGE)$/,
        `${path} ${JSON.stringify(lie)?.slice(0, 50)}`,
      );
    }
  }
});

test("bytes that are no message, even 20 MB of them, do not end the client", async () => {
  await client.login("alice", "pw");
  const said = [
    "",
    "{",
    "null",
    "[]",
    "1",
    '{"id":"x"}',
    '{"id":99,"result":{"type":"data"}}',
    '{"id":1,"error":null}',
  ];
  const odd = [
    '{"id":1,"result":null}',
    '{"id":null,"method":"reconnect"}',
    '{"id":1,"result":{"type":"?"}}',
  ];
  for (const message of [...said, ...odd, Buffer.alloc(1000, 0xff), "x".repeat(20 * 1024 * 1024)]) {
    tracker.say(message);
    await outcomeUntil((outcome) => Array.isArray(outcome));
  }
});

test("a tracker that shows another key is refused before a word is said to it, and the person is told", async () => {
  await client.login("alice", "pw");
  const { port } = tracker;
  await tracker.close();
  const impostor = await lyingTracker(await createDeviceIdentity(), port);
  try {
    const refused = await outcomeUntil(
      (outcome) => outcome instanceof MiniTorrentError && outcome.code === "TRACKER_KEY_CHANGED",
    );
    assert.match(String(refused), /somebody may be impersonating the tracker/);
    assert.deepEqual([impostor.upgrades(), impostor.calls], [0, []]);
  } finally {
    await impostor.close();
    tracker = await lyingTracker(await createDeviceIdentity());
  }
});

test("a tracker can send clients to IP addresses, and to no name", () => {
  const peer = { userId: "bob", deviceId: "00".repeat(32), port: 80, isSeed: true };
  for (const host of ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]) {
    assert.ok(peerAddressSchema.safeParse({ ...peer, host }).success, host);
  }
  for (const host of [
    "victim.example.org",
    "localhost",
    "",
    "192.0.2.1/24",
    "0x7f000001",
    "1.2.3",
    "a".repeat(100),
  ]) {
    assert.equal(peerAddressSchema.safeParse({ ...peer, host }).success, false, host);
  }
});
