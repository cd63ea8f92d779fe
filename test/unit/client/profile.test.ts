import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, test } from "node:test";
import { pino } from "pino";
import { Profile, type StoredDownload, type StoredShare } from "../../../src/client/profile.ts";
import type { FinishedDownload } from "../../../src/client/status.ts";

const alice = { userId: "alice", accountId: "0001" };
const share: StoredShare = {
  groupId: "g",
  fileName: "f",
  path: "/data/f",
  info: Uint8Array.of(1, 2),
  facts: { lengthBytes: 2 ** 40, mtimeMs: 1234.5678 },
  isRegistered: false,
};
const download: StoredDownload = {
  groupId: "g",
  fileName: "f",
  destinationPath: "/data/f",
  info: Uint8Array.of(1, 2),
  have: Uint8Array.of(0x80),
  facts: undefined,
  partId: "1:2",
  isPaused: true,
};

const log = pino({ level: "silent" });

let dataDir = "";
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "minitorrent-profile-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

test("what was shared and downloaded is there again when the profile is opened anew", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveShare(share);
  first.saveDownload(download);
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.shares(), [share]);
  assert.deepEqual(second.downloads(), [download]);
  second.close();
});

test("of completed downloads the last thousand are remembered, and limits until they are lifted", () => {
  const finished: FinishedDownload = {
    ...{ groupId: "g", fileName: "f", destinationPath: "/data/f", lengthBytes: 5, pieceCount: 1 },
    ...{ piecesVerified: 1, bytesVerified: 5, duplicateBytes: 0, state: "complete", sha1: "ab" },
    sources: [{ userId: "bob", isConnected: false, pieces: 1, bytes: 5, rateBytesPerSecond: 0 }],
    averageBytesPerSecond: 7,
    finishedAtMs: 0,
  };
  const first = Profile.open(dataDir, alice, log);
  for (let count = 1; count <= 1_002; count++) first.saveFinished({ ...finished, finishedAtMs: count });
  first.saveLimit("", "up", 20_000);
  first.saveLimit("", "down", 30_000);
  first.saveLimit("", "down", undefined);
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.limits(), [{ infoHash: "", direction: "up", bytesPerSecond: 20_000 }]);
  assert.equal(second.finished().length, 1_000);
  assert.deepEqual(second.finished().at(-1), { ...finished, finishedAtMs: 1_002 });
  second.close();
});

test("a download that is complete is a share and no download any more", () => {
  const profile = Profile.open(dataDir, alice, log);
  profile.saveDownload(download);
  profile.completeDownload(share);
  assert.deepEqual([profile.downloads(), profile.shares()], [[], [share]]);
  profile.removeShare("g", "f");
  assert.deepEqual(profile.shares(), []);
  profile.close();
});

test("a second client of the same account gets a profile of its own, and other accounts theirs", () => {
  const first = Profile.open(dataDir, alice, log);
  const second = Profile.open(dataDir, alice, log);
  const bob = Profile.open(dataDir, { userId: "bob", accountId: "0002" }, log);
  first.saveShare(share);
  assert.deepEqual([second.shares(), bob.shares()], [[], []]);
  for (const profile of [first, second, bob]) profile.close();
});

test("nobody else on the machine can read it", () => {
  const profile = Profile.open(dataDir, alice, log);
  assert.equal(statSync(join(dataDir, "accounts")).mode & 0o077, 0);
  profile.close();
});

test("an entry that is set aside is kept, and is among the others no more", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveShare(share);
  first.saveShare({ ...share, fileName: "other" });
  first.saveDownload(download);
  first.setAside("share", share, "its metainfo is damaged");
  first.setAside("download", download, "its pieces are damaged");
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(
    second.shares().map(({ fileName }) => fileName),
    ["other"],
  );
  assert.deepEqual(second.downloads(), []);
  second.close();
  const [account = ""] = readdirSync(join(dataDir, "accounts"));
  const database = new DatabaseSync(join(dataDir, "accounts", account, "profile.sqlite"));
  const kept = database.prepare("SELECT kind, reason, entry FROM set_aside").all();
  database.close();
  assert.deepEqual(
    kept.map(({ kind }) => kind),
    ["share", "download"],
  );
  assert.match(String(kept[0]?.entry), /"path":"\/data\/f"/);
});

test("a damaged profile is kept beside a new one", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveShare(share);
  first.close();
  const [account = ""] = readdirSync(join(dataDir, "accounts"));
  const folder = join(dataDir, "accounts", account);
  const path = join(folder, "profile.sqlite");
  const bytes = readFileSync(path);
  for (let at = 4096; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.shares(), []);
  second.saveShare(share);
  assert.deepEqual(second.shares(), [share]);
  second.close();
  const [kept = ""] = readdirSync(folder).filter((name) =>
    /^profile\.sqlite\.damaged-\d{8}T\d{6}Z$/.test(name),
  );
  assert.deepEqual(readFileSync(join(folder, kept)), bytes);
});

test("what was shared in a group that one is out of is remembered until it is asked for", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveFormerShare("g", "/data/a");
  first.saveFormerShare("other", "/data/b");
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.takeFormerShares("g"), ["/data/a"]);
  assert.deepEqual(second.takeFormerShares("g"), []);
  assert.deepEqual(second.takeFormerShares("other"), ["/data/b"]);
  second.close();
});
