import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, test } from "node:test";
import { pino } from "pino";
import { Profile, type StoredDownload, type StoredShare } from "../../../src/client/profile.ts";
import type { FinishedDownload } from "../../../src/client/status.ts";
import { readableLog } from "./session-fixture.ts";

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

test("shares and downloads are there again when the profile is opened anew", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveShare(share);
  first.saveDownload(download);
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.shares(), [share]);
  assert.deepEqual(second.downloads(), [download]);
  second.close();
});

test("the last thousand completed downloads are remembered, and limits until they are lifted", () => {
  const finished: FinishedDownload = {
    ...{ groupId: "g", fileName: "f", destinationPath: "/data/f", lengthBytes: 5, pieceCount: 1 },
    ...{ piecesVerified: 1, bytesVerified: 5, duplicateBytes: 0, state: "complete", sha1: "ab" },
    sources: [{ userId: "bob", isConnected: false, pieces: 1, bytes: 5, rateBytesPerSecond: 0 }],
    averageBytesPerSecond: 7,
    finishedAtMs: 0,
  };
  const first = Profile.open(dataDir, alice, log);
  for (let count = 1; count <= 1_002; count++) first.saveFinished({ ...finished, finishedAtMs: count });
  first.saveLimit(undefined, "up", 20_000);
  first.saveLimit(undefined, "down", 30_000);
  first.saveLimit(undefined, "down", undefined);
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.limits(), [{ share: undefined, direction: "up", bytesPerSecond: 20_000 }]);
  assert.equal(second.finished().length, 1_000);
  assert.deepEqual(second.finished().at(-1), { ...finished, finishedAtMs: 1_002 });
  second.close();
});

test("every part of an entry is there again, and entries keep their order", () => {
  const first = Profile.open(dataDir, alice, log);
  const facts = { lengthBytes: 7, mtimeMs: 1.5 };
  const shares = ["z", "a", "m"].map((fileName, at) => ({ ...share, fileName, isRegistered: at === 1 }));
  const downloads: StoredDownload[] = [
    { ...download, fileName: "z", facts, partId: undefined, isPaused: false },
    { ...download, fileName: "a" },
  ];
  for (const one of shares) first.saveShare(one);
  for (const one of downloads) first.saveDownload(one);
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual([second.shares(), second.downloads()], [shares, downloads]);
  second.removeDownload("g", "z");
  assert.deepEqual(second.downloads(), downloads.slice(1));
  second.close();
});

test("the main senders of an unfinished download are remembered until it is complete, or removed", () => {
  const profile = Profile.open(dataDir, alice, log);
  const sources = Array.from({ length: 150 }, (_, at) => ({
    ...{ userId: `u${at}`, isConnected: false, pieces: 1, bytes: at, rateBytesPerSecond: 0 },
  }));
  profile.saveSources("g", "f", sources);
  assert.deepEqual(profile.sources("g", "f"), sources.slice(50).reverse());
  assert.deepEqual(profile.sources("g", "other"), []);
  profile.completeDownload(share);
  assert.deepEqual(profile.sources("g", "f"), []);
  profile.saveSources("g", "f", sources.slice(0, 1));
  profile.removeDownload("g", "f");
  assert.deepEqual(profile.sources("g", "f"), []);
  profile.close();
});

test("a profile has one id for good, and each its own", () => {
  const first = Profile.open(dataDir, alice, log);
  const second = Profile.open(dataDir, alice, log);
  assert.notEqual(second.holderId, first.holderId);
  const { holderId } = first;
  first.close();
  second.close();
  const again = Profile.open(dataDir, alice, log);
  assert.equal(again.holderId, holderId);
  again.close();
  const database = new DatabaseSync(pathOf());
  database.exec("UPDATE holder SET id = 'no id'");
  database.close();
  const repaired = Profile.open(dataDir, alice, log);
  assert.match(repaired.holderId, /^[0-9a-f]{8}-/);
  repaired.close();
  const kept = Profile.open(dataDir, alice, log);
  assert.equal(kept.holderId, repaired.holderId);
  kept.close();
});

test("a group's CA is remembered", () => {
  const first = Profile.open(dataDir, alice, log);
  assert.equal(first.groupAuthority("g"), undefined);
  first.saveGroupAuthority("g", { groupClaimId: "c", fingerprint: "ab" });
  first.saveGroupAuthority("other", { groupClaimId: "d", fingerprint: "cd" });
  first.saveGroupAuthority("g", { groupClaimId: "c2", fingerprint: "ef" });
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.groupAuthority("g"), { groupClaimId: "c2", fingerprint: "ef" });
  second.close();
});

test("sixteen clients of an account have profiles on a machine; a further one is told what to do", () => {
  const profiles = Array.from({ length: 16 }, () => Profile.open(dataDir, alice, log));
  assert.throws(() => Profile.open(dataDir, alice, log), {
    code: "DATA_DIR_IN_USE",
    message: /^16 clients of alice run on this machine already/,
  });
  for (const profile of profiles) profile.close();
});

test("accounts of one name, one after the other, share no profile", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveShare(share);
  first.close();
  const later = Profile.open(dataDir, { ...alice, accountId: "0009" }, log);
  assert.deepEqual(later.shares(), []);
  later.close();
  assert.ok(readdirSync(join(dataDir, "accounts")).every((name) => name.startsWith("alice-")));
});

test("a profile is one process's alone, and survives the end of that process at any moment", (t) => {
  const databases: DatabaseSync[] = [];
  const exec = DatabaseSync.prototype.exec;
  t.mock.method(DatabaseSync.prototype, "exec", function (this: DatabaseSync, sql: string) {
    databases.push(this);
    exec.call(this, sql);
  });
  const profile = Profile.open(dataDir, alice, log);
  const [database] = databases;
  assert.ok(database);
  const setting = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  assert.equal(setting("locking_mode"), "exclusive");
  assert.equal(setting("journal_mode"), "wal");
  assert.equal(setting("synchronous"), 1, "NORMAL");
  assert.equal(setting("busy_timeout"), 0, "who finds it taken takes the next one at once");
  profile.close();
});

/** Where alice's first profile is. */
function pathOf(): string {
  const [account = ""] = readdirSync(join(dataDir, "accounts"));
  return join(dataDir, "accounts", account, "profile.sqlite");
}

test("a write that fails is logged and leaves the profile as it was", () => {
  const { log: readable, said } = readableLog();
  const profile = Profile.open(dataDir, alice, readable);
  profile.saveDownload(download);
  const bad = { ...share, facts: { lengthBytes: Number.NaN, mtimeMs: 0 } };
  profile.completeDownload(bad);
  assert.deepEqual([profile.downloads(), profile.shares()], [[download], []], "neither half is done");
  profile.saveShare(bad);
  assert.deepEqual(said("error"), ["the profile could not be written", "the profile could not be written"]);
  profile.completeDownload(share);
  assert.deepEqual([profile.downloads(), profile.shares()], [[], [share]], "the next change is written");
  profile.close();
});

test("an entry that is set aside is removed only if it can be kept", () => {
  const profile = Profile.open(dataDir, alice, readableLog().log);
  profile.saveShare(share);
  profile.setAside("share", share, undefined as unknown as string);
  assert.deepEqual(profile.shares(), [share]);
  profile.close();
});

test("entries up to the first that cannot be read are used", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveLimit(undefined, "up", 20_000);
  first.close();
  const database = new DatabaseSync(pathOf());
  database.exec(
    "INSERT INTO bandwidth VALUES ('', 'sideways', 1); INSERT INTO bandwidth VALUES ('ab', 'up', 2)",
  );
  database.close();
  const { log: readable, said } = readableLog();
  const second = Profile.open(dataDir, alice, readable);
  assert.deepEqual(second.limits(), [{ share: undefined, direction: "up", bytesPerSecond: 20_000 }]);
  assert.deepEqual(said("error"), ["the profile could not be read to its end"]);
  second.close();
});

test("limits are those of all together and of single shares", () => {
  const profile = Profile.open(dataDir, alice, log);
  const share = { groupId: "g", fileName: "f" };
  const limits = [
    { share: undefined, direction: "up" as const, bytesPerSecond: 1 },
    { share, direction: "up" as const, bytesPerSecond: 2 },
    { share, direction: "down" as const, bytesPerSecond: 3 },
  ];
  for (const { share: of, direction, bytesPerSecond } of limits) {
    profile.saveLimit(of, direction, bytesPerSecond);
  }
  assert.deepEqual(profile.limits(), limits);
  profile.saveLimit(share, "up", undefined);
  assert.deepEqual(profile.limits(), [limits[0], limits[2]]);
  profile.close();
});

test("a limit of one version, as earlier releases kept it, becomes one of its share", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveShare(share);
  first.saveLimit(undefined, "down", 1);
  first.close();
  const infoHash = createHash("sha1").update(share.info).digest("hex");
  const database = new DatabaseSync(pathOf());
  database.exec(
    `INSERT INTO bandwidth VALUES ('${infoHash}', 'up', 20000); INSERT INTO bandwidth VALUES ('ab', 'up', 2)`,
  );
  database.close();
  const { groupId, fileName } = share;
  const expected = [
    { share: undefined, direction: "down" as const, bytesPerSecond: 1 },
    { share: { groupId, fileName }, direction: "up" as const, bytesPerSecond: 20_000 },
  ];
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.limits(), expected);
  second.saveLimit({ groupId, fileName }, "up", undefined);
  second.close();
  const third = Profile.open(dataDir, alice, log);
  assert.deepEqual(third.limits(), expected.slice(0, 1), "a limit that is lifted stays so");
  third.close();
});

/** Opens a damaged profile: what was kept beside the new one. */
function openDamaged(): { kept: string[]; shares: StoredShare[] } {
  const { log: readable, said } = readableLog();
  const profile = Profile.open(dataDir, alice, readable);
  const shares = profile.shares();
  profile.close();
  assert.deepEqual(said("error"), ["the profile is damaged; it was set aside, and a new one begun"]);
  const kept = readdirSync(dirname(pathOf())).filter((name) => name.includes(".damaged-"));
  return { kept: kept.map((name) => name.replace(/\d{8}T\d{6}Z/, "T")).sort(), shares };
}

test("a file that is no database is kept beside a new profile", () => {
  Profile.open(dataDir, alice, log).close();
  writeFileSync(pathOf(), "no database".repeat(1_000));
  assert.deepEqual(openDamaged(), { kept: ["profile.sqlite.damaged-T"], shares: [] });
});

test("a profile of another form than this client's is kept beside a new one", () => {
  Profile.open(dataDir, alice, log).close();
  const database = new DatabaseSync(pathOf());
  database.exec("ALTER TABLE share DROP COLUMN path");
  database.close();
  assert.deepEqual(openDamaged(), { kept: ["profile.sqlite.damaged-T"], shares: [] });
});

for (const [where, damage] of [
  ["its last", (bytes: Uint8Array) => bytes.fill(0xff, bytes.length - 4_096)],
  ["its first", (bytes: Uint8Array) => bytes.fill(0xff, 100, 2_000)],
] as const) {
  test(`a damaged page of a profile, ${where}, is found when it is opened`, () => {
    const first = Profile.open(dataDir, alice, log);
    for (let at = 0; at < 200; at++) {
      first.saveShare({ ...share, fileName: `${at}`, info: new Uint8Array(1_000) });
    }
    first.close();
    const bytes = readFileSync(pathOf());
    damage(bytes);
    writeFileSync(pathOf(), bytes);
    assert.deepEqual(openDamaged().shares, []);
  });
}

test("a profile that cannot be opened for another reason is left as it is, and said", () => {
  Profile.open(dataDir, alice, log).close();
  const path = pathOf();
  rmSync(path);
  mkdirSync(path);
  assert.throws(() => Profile.open(dataDir, alice, log), {
    code: "DISK_FAILED",
    message: /cannot be opened .*give another --data-dir\.$/,
  });
  assert.deepEqual(readdirSync(dirname(path)), ["profile.sqlite"]);
});

test("the last ten thousand files shared in former groups are remembered, each once", () => {
  const first = Profile.open(dataDir, alice, log);
  first.close();
  const database = new DatabaseSync(pathOf());
  const insert = database.prepare("INSERT INTO former_share VALUES ('g', ?)");
  database.exec("BEGIN");
  for (let at = 0; at < 10_000; at++) insert.run(`/data/${at}`);
  database.exec("COMMIT");
  database.close();
  const second = Profile.open(dataDir, alice, log);
  for (let time = 0; time < 2; time++) second.saveFormerShare("g", "/data/10000");
  const paths = second.takeFormerShares("g");
  assert.deepEqual([paths.length, paths[0], paths.at(-1)], [10_000, "/data/1", "/data/10000"]);
  second.close();
});

test("a download that is complete is a share and no download any more", () => {
  const profile = Profile.open(dataDir, alice, log);
  profile.saveDownload(download);
  profile.completeDownload(share);
  profile.close();
  const again = Profile.open(dataDir, alice, log);
  assert.deepEqual([again.downloads(), again.shares()], [[], [share]]);
  again.removeShare("g", "f");
  assert.deepEqual(again.shares(), []);
  again.close();
});

const folder: StoredShare = {
  ...share,
  fileName: "pictures",
  info: new Uint8Array(300).fill(7),
  folderTimesMs: Float64Array.of(1234.5678, 0, Number.NaN),
};

test("a shared folder is there again with when each of its files was changed, until it is not shared any more", () => {
  const profile = Profile.open(dataDir, alice, log);
  profile.saveShare(folder);
  profile.saveShare(share);
  profile.close();
  const again = Profile.open(dataDir, alice, log);
  assert.deepEqual(again.shares(), [folder, share]);
  again.saveShare({ ...folder, folderTimesMs: undefined });
  assert.equal("folderTimesMs" in (again.shares()[1] ?? {}), false, "a file has the name now");
  again.saveShare(folder);
  again.removeShare("g", "pictures");
  again.saveShare({ ...share, fileName: "pictures" });
  assert.deepEqual(again.shares(), [share, { ...share, fileName: "pictures" }]);
  again.close();
});

test("a change of a share is saved without its metainfo", () => {
  const profile = Profile.open(dataDir, alice, log);
  profile.saveShare(folder);
  const folderTimesMs = Float64Array.of(5, 6);
  const changed = { path: "/new", facts: { lengthBytes: 1, mtimeMs: 2 }, folderTimesMs, isRegistered: true };
  profile.updateShare({ ...folder, ...changed, info: Uint8Array.of(9) });
  assert.deepEqual(profile.shares(), [{ ...folder, ...changed }]);
  profile.updateShare({ ...share, fileName: "unknown" });
  assert.equal(profile.shares().length, 1);
  profile.close();
});

test("the times of a folder that is set aside are kept as bytes, and nothing of it is left", () => {
  const profile = Profile.open(dataDir, alice, readableLog().log);
  profile.saveShare(folder);
  profile.setAside("share", folder, "its metainfo is damaged");
  profile.close();
  const database = new DatabaseSync(pathOf());
  const [kept] = database.prepare("SELECT entry FROM set_aside").all();
  const left = database.prepare("SELECT count(*) AS left FROM share_folder").get();
  database.close();
  const times = Buffer.from(folder.folderTimesMs?.buffer ?? new ArrayBuffer()).toString("base64");
  assert.equal(JSON.parse(String(kept?.entry)).folderTimesMs, times);
  assert.equal(left?.left, 0);
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
  assert.equal(statSync(dirname(pathOf())).mode & 0o077, 0);
  assert.equal(statSync(pathOf()).mode & 0o077, 0);
  profile.close();
});

test("an entry that is set aside is kept, and is among the others no more", () => {
  const { log: readable, said } = readableLog();
  const first = Profile.open(dataDir, alice, readable);
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
  assert.match(String(kept[0]?.entry), /"path":"\/data\/f","info":"AQI="/);
  const sentence = "an entry of the profile is damaged; it was set aside";
  assert.deepEqual(said("error"), [sentence, sentence]);
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

test("shares in a group that the user has left are remembered until they are asked for", () => {
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

test("a long metainfo is written once, and of a folder's download the choice and the files' times are there again", () => {
  const first = Profile.open(dataDir, alice, log);
  const info = new Uint8Array(70_000).fill(7);
  const choice = { only: ["*.txt"], except: ["b/"] };
  const folderFacts = Uint8Array.of(1, 2, 3);
  first.saveDownload({ ...download, info });
  first.saveChoice(download, choice);
  first.saveFolderFacts(download, folderFacts);
  first.saveDownload({ ...download, info, have: Uint8Array.of(0xc0) });
  first.close();
  const second = Profile.open(dataDir, alice, log);
  const expected = { ...download, info, have: Uint8Array.of(0xc0), choice, folderFacts };
  assert.deepEqual(second.downloads(), [expected]);
  second.saveChoice(download, undefined);
  assert.equal(second.downloads()[0]?.choice, undefined, "all files");
  second.removeDownload("g", "f");
  second.saveDownload(download);
  assert.deepEqual(second.downloads(), [download], "nothing of the removed one is left");
  second.close();
});

test("the version that a download replaces is remembered with its stage, then as one that is served on", () => {
  const version = {
    ...{ groupId: "g", fileName: "f", path: "/data/f", asidePath: "/data/.aside", info: Uint8Array.of(1) },
    mtimesMs: Float64Array.of(0, 1234.5),
  };
  const profile = Profile.open(dataDir, alice, log);
  profile.saveShare(share);
  assert.equal(profile.replacedBy(share), undefined);
  profile.saveReplaced({ ...version, stage: "fetching" });
  assert.deepEqual(profile.replacedBy(share), { ...version, stage: "fetching" });
  assert.deepEqual([profile.formerVersions(), profile.shares().length], [[], 1]);
  profile.beginNaming(version);
  assert.deepEqual([profile.formerVersions(), profile.shares()], [[version], []], "in one step");
  assert.equal(profile.replacedBy(share)?.stage, "naming");
  profile.noteMerging(version);
  assert.equal(profile.replacedBy(share)?.stage, "merging");
  profile.completeDownload(share);
  assert.equal(profile.replacedBy(share), undefined);
  profile.removeFormerVersion("/data/.aside");
  assert.deepEqual(profile.formerVersions(), []);
  profile.close();
});

test("shares that are followed are remembered", () => {
  const first = Profile.open(dataDir, alice, log);
  first.saveFollowed(share, true);
  first.saveFollowed(share, true);
  first.saveFollowed({ groupId: "g", fileName: "other" }, true);
  first.saveFollowed({ groupId: "g", fileName: "other" }, false);
  first.close();
  const second = Profile.open(dataDir, alice, log);
  assert.deepEqual(second.followed(), [{ groupId: "g", fileName: "f" }]);
  second.close();
});
