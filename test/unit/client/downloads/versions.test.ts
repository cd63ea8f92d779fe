// A new version takes the place of the one that is here: what both have is not fetched, what was changed here is kept, and a crash
// at any moment leaves all of it to be done again.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Metainfo } from "../../../../src/metainfo/metainfo.ts";
import { content } from "../../storage/workplace.ts";
import {
  type FakeTorrent,
  type Folder,
  folderOf,
  GROUP,
  PIECE_BYTES,
  Scene,
  turns,
  until,
} from "../download-fixture.ts";

const id = { groupId: GROUP, fileName: "photos" };
const film = { groupId: GROUP, fileName: "film" };
const CHANGED = new Date(2026, 10, 28, 14, 3);

const OLD = { "a.txt": "old a", "b/large.raw": 4 * PIECE_BYTES, "c.txt": "the same", "gone.txt": "old gone" };
/** Of the large file only its third piece is another one. */
const NEW = { "a.txt": "new a", "b/large.raw": changedLarge(), "c.txt": "the same", "more.txt": "more" };

function changedLarge(): Uint8Array {
  const bytes = content(4 * PIECE_BYTES, 2);
  bytes[2 * PIECE_BYTES + 7] = (bytes[2 * PIECE_BYTES + 7] ?? 0) ^ 1;
  return bytes;
}

interface Stage {
  readonly scene: Scene;
  readonly place: string;
  readonly old: Folder;
  readonly newer: Folder;
  readonly torrent: (of?: Metainfo) => FakeTorrent;
  /** The new version is published. */
  readonly publish: () => void;
  /** All that is missing of the new version comes. */
  readonly arrive: () => Promise<void>;
}

/** The old version is here, and shared. */
async function stage(t: TestContext, choice = {}): Promise<Stage> {
  const scene = await Scene.open(t);
  const old = await scene.sharedFolder("photos", OLD);
  const newer = await folderOf("photos", NEW);
  const place = scene.path("photos");
  const torrent = (of: Metainfo = newer.metainfo) => scene.swarms.of(of);
  await scene.downloads.start(id, place, choice);
  await torrent(old.metainfo).receive(old.bytes, "all");
  await scene.event("download-complete");
  scene.events.length = 0;
  return {
    ...{ scene, place, old, newer, torrent },
    publish: () => scene.tracker.files.set(`${GROUP}/photos`, newer.metainfo),
    arrive: () => torrent().receive(newer.bytes, "all"),
  };
}

const textIn = (folder: string, path: string) => readFileSync(join(folder, path), "utf8");
const namesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => !one.isDirectory())
    .map((one) => join(one.parentPath, one.name).slice(folder.length + 1))
    .sort();
/** Hidden folders beside the place. */
const asides = (scene: Scene) =>
  readdirSync(scene.folder).filter((name) => name.endsWith(".minitorrent-old"));

async function complete({ scene, newer }: Stage): Promise<void> {
  await until(
    () => scene.shares.find(id)?.metainfo.infoHash === newer.metainfo.infoHash,
    "the new version is shared",
  );
  await until(() => scene.formerVersions.count > 0, "the old one is served on");
  await turns();
}

test("a new version fetches only what the old one does not have, and takes its place", async (t) => {
  const of = await stage(t);
  const { scene, place, newer, old, torrent, publish, arrive } = of;
  publish();
  const status = await scene.downloads.start(id, place);
  assert.equal(status.state, "downloading");
  assert.deepEqual([...torrent().torrent.have.toBytes()], [0b0110_1000], "pieces 1, 2 and 4");
  assert.equal(textIn(place, "a.txt"), "old a", "the old one stays in its place");
  assert.equal(scene.swarms.runningNames.length, 2, "and is served");
  await arrive();
  await complete(of);
  assert.deepEqual(namesIn(place), Object.keys(NEW));
  assert.equal(textIn(place, "a.txt"), "new a");
  assert.ok(readFileSync(join(place, "b/large.raw")).equals(NEW["b/large.raw"]));
  assert.deepEqual(scene.eventsOf("changed-files-kept"), []);
  assert.equal((await scene.event("download-complete")).destinationPath, place);
  assert.equal(
    scene.swarms.get(old.metainfo.infoHash)?.parts.have.isComplete,
    true,
    "the old one is served on",
  );
  assert.equal(scene.announcer.announced.get(old.metainfo.infoHash), "seed");
  assert.equal(scene.announcer.announced.get(newer.metainfo.infoHash), "seed");
  assert.deepEqual(scene.profile.downloads(), []);
  assert.equal(scene.profile.replacedBy(id), undefined);
  assert.deepEqual(scene.failures, []);
});

test("the folder that holds the place is as good a destination as the place itself", async (t) => {
  const of = await stage(t);
  of.publish();
  await of.scene.downloads.start(id, of.scene.folder);
  await of.arrive();
  await complete(of);
  assert.equal(textIn(of.place, "a.txt"), "new a");
});

test("what was changed or added here is kept beside the new version, and told", async (t) => {
  const of = await stage(t);
  const { scene, place, publish, arrive } = of;
  publish();
  await scene.downloads.start(id, place);
  for (const [path, text] of [
    ["a.txt", "my a"],
    ["mine/notes.txt", "my notes"],
    ["gone.txt", "still mine"],
  ] as const) {
    await mkdir(join(place, path, ".."), { recursive: true });
    writeFileSync(join(place, path), text);
    utimesSync(join(place, path), CHANGED, CHANGED);
  }
  await arrive();
  await complete(of);
  const [a, gone] = ["a", "gone"].map((name) => `${name} (changed here 2026-11-28 14.03).txt`);
  assert.ok(a !== undefined && gone !== undefined);
  assert.deepEqual(namesIn(place), [...Object.keys(NEW), a, gone, "mine/notes.txt"].sort());
  assert.deepEqual(
    [textIn(place, "a.txt"), textIn(place, a), textIn(place, gone)],
    ["new a", "my a", "still mine"],
  );
  const [told] = scene.eventsOf("changed-files-kept");
  assert.equal(told?.count, 3);
  assert.deepEqual(
    told && [...told.paths].sort(),
    [a, gone, "mine/notes.txt"].map((path) => join(place, path)).sort(),
  );
});

test("a file that is changed here while the new version is fetched does not change the new one", async (t) => {
  const of = await stage(t);
  const { scene, place, publish, arrive } = of;
  publish();
  await scene.downloads.start(id, place);
  writeFileSync(join(place, "c.txt"), "MY SAME!", { flag: "r+" });
  utimesSync(join(place, "c.txt"), CHANGED, CHANGED);
  await arrive();
  await until(async () => {
    if (scene.shares.find(id)?.metainfo.infoHash === of.newer.metainfo.infoHash) return true;
    if (scene.swarms.get(of.newer.metainfo.infoHash) !== undefined) await arrive();
    return false;
  }, "it is complete, some of it fetched again");
  assert.equal(textIn(place, "c.txt"), "the same");
  assert.equal(textIn(place, "c (changed here 2026-11-28 14.03).txt"), "MY SAME!");
});

/** Ends what runs as a crash would, except that files are closed, and begins again from the profile. */
async function crash({ scene }: Stage): Promise<void> {
  await scene.downloads.suspendAll();
  await scene.shares.suspendAll();
  await scene.formerVersions.suspendAll();
}

async function login({ scene }: Stage): Promise<void> {
  await scene.shares.resumeAll();
  await scene.formerVersions.resumeAll();
  await (await scene.downloads.resumeAll()).begun;
}

test("over a login a new version goes on with what it has, and its old one is served", async (t) => {
  const of = await stage(t);
  const { scene, place, old, torrent, publish, arrive } = of;
  publish();
  await scene.downloads.start(id, place);
  await crash(of);
  await login(of);
  assert.deepEqual([...torrent().torrent.have.toBytes()], [0b0110_1000]);
  assert.ok(scene.swarms.get(old.metainfo.infoHash));
  await arrive();
  await complete(of);
  assert.deepEqual(namesIn(place), Object.keys(NEW));
});

/** What the disk and the profile say when the process ends at that moment. */
const moments: readonly (readonly [string, (of: Stage) => Promise<void>])[] = [
  [
    "before the old version was moved aside",
    async ({ scene }) => {
      const version = scene.profile.replacedBy(id);
      assert.ok(version);
      scene.profile.beginNaming(version);
    },
  ],
  [
    "after it was moved aside",
    async ({ scene, place }) => {
      const version = scene.profile.replacedBy(id);
      assert.ok(version);
      scene.profile.beginNaming(version);
      await rename(place, version.asidePath);
    },
  ],
  [
    "after the new one got its name",
    async ({ scene, place }) => {
      const version = scene.profile.replacedBy(id);
      assert.ok(version);
      scene.profile.beginNaming(version);
      await rename(place, version.asidePath);
      await rename(`${place}.part`, place);
    },
  ],
  [
    "while changed files were moved",
    async ({ scene, place }) => {
      const version = scene.profile.replacedBy(id);
      assert.ok(version);
      scene.profile.beginNaming(version);
      await rename(place, version.asidePath);
      await rename(`${place}.part`, place);
      scene.profile.noteMerging(id);
      await rename(join(version.asidePath, "mine.txt"), join(place, "mine.txt"));
    },
  ],
];

for (const [moment, happens] of moments) {
  test(`after a crash ${moment}, the login does the rest`, async (t) => {
    const of = await stage(t);
    const { scene, place, newer, publish } = of;
    publish();
    await scene.downloads.start(id, place);
    writeFileSync(join(place, "mine.txt"), "mine");
    writeFileSync(join(place, "a.txt"), "my a");
    await crash(of);
    // All of the new version had come, and was not noted.
    for (const [path, content] of Object.entries(NEW)) {
      await rm(join(`${place}.part`, path), { force: true });
      writeFileSync(join(`${place}.part`, path), content);
    }
    await happens(of);
    await login(of);
    await complete(of);
    const mine = namesIn(place).filter((name) => name.startsWith("a (changed here"));
    assert.equal(mine.length, 1, namesIn(place).join(", "));
    assert.deepEqual(namesIn(place), [...Object.keys(NEW), ...mine, "mine.txt"].sort());
    assert.deepEqual([textIn(place, "a.txt"), textIn(place, mine[0] ?? "")], ["new a", "my a"]);
    assert.equal(existsSync(`${place}.part`), false);
    assert.equal(scene.profile.replacedBy(id), undefined);
    assert.deepEqual(scene.profile.downloads(), []);
    assert.equal(scene.formerVersions.count, 1);
    assert.equal(scene.swarms.get(newer.metainfo.infoHash)?.parts.have.isComplete, true);
    assert.deepEqual(scene.failures, []);
  });
}

test("a new version that is cancelled when its name was about to be taken puts the old one back", async (t) => {
  const of = await stage(t);
  const { scene, place, publish } = of;
  publish();
  await scene.downloads.start(id, place);
  await crash(of);
  const version = scene.profile.replacedBy(id);
  assert.ok(version);
  scene.profile.beginNaming(version);
  await rename(place, version.asidePath);
  await login(of);
  assert.equal(scene.formerVersions.count, 0, "it is not over yet, and nothing of it is removed");
  await scene.downloads.cancel(id);
  assert.deepEqual(namesIn(place), Object.keys(OLD));
  assert.deepEqual([asides(scene), scene.profile.formerVersions()], [[], []]);
});

test("a version that was replaced is removed when nobody has asked for it for ten minutes", async (t) => {
  const of = await stage(t);
  const { scene, place, old, publish, arrive, torrent } = of;
  publish();
  await scene.downloads.start(id, place);
  await arrive();
  await complete(of);
  assert.equal(asides(scene).length, 1);
  const peers = [{ needsNothing: false }];
  torrent(old.metainfo).torrent.changes = { peers } as never;
  await scene.clock.pass(11 * 60_000);
  assert.equal(asides(scene).length, 1, "somebody is in the middle of it");
  torrent(old.metainfo).torrent.changes = {};
  const [name] = asides(scene);
  writeFileSync(scene.path(name ?? "", "late.txt"), "written by a program that had the folder open");
  for (let minute = 0; minute < 11; minute++) await scene.clock.pass(60_000);
  await until(() => asides(scene).length === 0, "it is removed");
  assert.equal(scene.swarms.get(old.metainfo.infoHash), undefined);
  assert.deepEqual(scene.profile.formerVersions(), []);
  assert.equal(textIn(place, "late.txt"), "written by a program that had the folder open");
});

test("a replaced version whose opening outlasts the login is not served after it", async (t) => {
  const of = await stage(t);
  const { scene, place, old, publish, arrive } = of;
  publish();
  await scene.downloads.start(id, place);
  await arrive();
  await complete(of);
  await scene.formerVersions.suspendAll();
  const gate = Promise.withResolvers<void>();
  const asked = scene.memberships.obtainedCount;
  scene.memberships.gate = gate.promise;
  const taken = scene.formerVersions.resumeAll();
  await until(() => scene.memberships.obtainedCount > asked, "it is being opened");
  await scene.formerVersions.suspendAll();
  gate.resolve();
  await taken;
  assert.equal(scene.swarms.get(old.metainfo.infoHash), undefined);
  assert.equal(scene.formerVersions.count, 0);
  await scene.formerVersions.resumeAll();
  assert.ok(scene.swarms.get(old.metainfo.infoHash), "the next login serves it");
});

test("a replaced version that is served twice at once is withdrawn as a whole", async (t) => {
  const of = await stage(t);
  const { scene, place, old, publish, arrive } = of;
  publish();
  await scene.downloads.start(id, place);
  await arrive();
  await complete(of);
  await scene.formerVersions.suspendAll();
  const [stored] = scene.profile.formerVersions();
  assert.ok(stored);
  await Promise.all([scene.formerVersions.serve(stored), scene.formerVersions.serve(stored)]);
  assert.ok(scene.swarms.get(old.metainfo.infoHash));
  await scene.formerVersions.suspendAll();
  assert.equal(scene.swarms.get(old.metainfo.infoHash), undefined);
});

test("of two commands for the new version of a part of a folder one begins it", async (t) => {
  const of = await stage(t, { only: ["*.txt"] });
  const { scene, place, publish, arrive } = of;
  publish();
  const held = scene.downloads.get(id);
  const suspend = held.suspend.bind(held);
  t.mock.method(held, "suspend", async () => {
    await suspend();
    await assert.rejects(scene.downloads.start(id, place), { code: "DOWNLOAD_EXISTS" });
  });
  assert.equal((await scene.downloads.start(id, place)).state, "downloading");
  await arrive();
  await until(() => scene.downloads.statuses(id)[0]?.state === "complete", "the new version is complete");
  assert.equal(textIn(place, "a.txt"), "new a");
});

test("some files of a folder are followed by the same files of the new version", async (t) => {
  const of = await stage(t, { only: ["*.txt"] });
  const { scene, place, publish, arrive } = of;
  publish();
  const status = await scene.downloads.start(id, place);
  assert.deepEqual(status.folder?.choice, { only: ["*.txt"] });
  await arrive();
  await until(() => scene.downloads.statuses(id)[0]?.state === "complete", "the new version is complete");
  assert.deepEqual(namesIn(place), ["a.txt", "c.txt", "more.txt"]);
  assert.equal(textIn(place, "a.txt"), "new a");
});

test("who has a share is told of a new version, and one that is followed is fetched by itself", async (t) => {
  const of = await stage(t);
  const { scene, place, newer, publish, arrive } = of;
  const published = { ...id, infoHash: newer.metainfo.infoHash, userId: "alice" };
  publish();
  await scene.downloads.versionPublished(published);
  assert.deepEqual(scene.events, [{ type: "share-updated", ...id, userId: "alice", isFollowed: false }]);
  assert.equal(scene.swarms.get(newer.metainfo.infoHash), undefined);
  await scene.downloads.follow(id);
  assert.ok(scene.swarms.get(newer.metainfo.infoHash), "what was published before is fetched at once");
  await arrive();
  await complete(of);
  const third = await scene.sharedFolder("photos", { ...NEW, "a.txt": "third a" });
  await scene.downloads.suspendAll();
  await (await scene.downloads.resumeAll()).begun;
  await scene.downloads.versionPublished({ ...published, infoHash: third.metainfo.infoHash });
  assert.equal(scene.eventsOf("share-updated").at(-1)?.isFollowed, true, "also after a login");
  await scene.swarms.of(third.metainfo).receive(third.bytes, "all");
  const isThird = () => scene.shares.find(id)?.metainfo.infoHash === third.metainfo.infoHash;
  await until(isThird, "the third version is shared");
  assert.equal(textIn(place, "a.txt"), "third a");
  await scene.downloads.unfollow(id);
  await scene.downloads.versionPublished(published);
  assert.equal(scene.eventsOf("share-updated").at(-1)?.isFollowed, false);
});

test("a version that is published while the one before it is fetched follows it", async (t) => {
  const of = await stage(t);
  const { scene, place, publish, arrive } = of;
  await scene.downloads.follow(id);
  publish();
  await scene.downloads.start(id, place);
  const third = await scene.sharedFolder("photos", { ...NEW, "a.txt": "third a" });
  const { infoHash } = third.metainfo;
  await scene.downloads.versionPublished({ ...id, infoHash, userId: "alice" });
  assert.equal(scene.swarms.get(infoHash), undefined, "one after the other");
  await arrive();
  await until(() => scene.swarms.get(infoHash) !== undefined, "the third version is fetched");
  await scene.swarms.of(third.metainfo).receive(third.bytes, "all");
  await until(() => scene.shares.find(id)?.metainfo.infoHash === infoHash, "the third version is shared");
  assert.equal(textIn(place, "a.txt"), "third a");
});

test("the version that is here, and one of what is not here, are no news", async (t) => {
  const { scene, old } = await stage(t);
  await scene.downloads.versionPublished({ ...id, infoHash: old.metainfo.infoHash, userId: "alice" });
  await scene.downloads.versionPublished({ ...film, infoHash: "ab".repeat(20), userId: "alice" });
  assert.deepEqual(scene.events, []);
  await assert.rejects(scene.downloads.follow(film), { code: "UNKNOWN_DOWNLOAD" });
  await assert.rejects(scene.downloads.unfollow(film), { code: "UNKNOWN_DOWNLOAD" });
});

test("a single file is replaced by its new version too, and one that was changed here is kept", async (t) => {
  for (const isChanged of [false, true]) {
    const scene = await Scene.open(t);
    const old = scene.film("film", { lengthBytes: 4 * PIECE_BYTES });
    const path = await scene.file("film", old.bytes);
    await scene.start("film", path);
    const bytes = new Uint8Array(old.bytes);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    const newer = scene.film("film", { content: bytes });
    if (isChanged) {
      writeFileSync(path, "my cut");
      utimesSync(path, CHANGED, CHANGED);
    }
    await scene.start("film", path);
    const { torrent } = scene.swarms.of(newer.metainfo);
    assert.deepEqual([...torrent.have.toBytes()], [isChanged ? 0 : 0b0111_0000]);
    await scene.swarms.of(newer.metainfo).receive(newer.bytes, "all");
    await until(() => scene.shares.find(film)?.metainfo.infoHash === newer.metainfo.infoHash, "it is shared");
    assert.ok(readFileSync(path).equals(newer.bytes));
    const kept = scene.path("film (changed here 2026-11-28 14.03)");
    assert.equal(existsSync(kept), isChanged);
    if (isChanged) assert.equal(readFileSync(kept, "utf8"), "my cut");
  }
});

test("a new version to another place than that of the old one is refused with where that is", async (t) => {
  const { scene, place, publish } = await stage(t);
  publish();
  await assert.rejects(scene.downloads.start(id, scene.path("elsewhere")), {
    code: "FILE_EXISTS",
    message: new RegExp(`photos is on this machine already, at ${place}`),
  });
});

test("a new version that is cancelled leaves the old one as it was", async (t) => {
  const { scene, place, old, publish } = await stage(t);
  const before = statSync(join(place, "c.txt")).ino;
  publish();
  await scene.downloads.start(id, place);
  await scene.downloads.cancel(id);
  assert.deepEqual(namesIn(place), Object.keys(OLD));
  assert.equal(statSync(join(place, "c.txt")).ino, before);
  assert.equal(existsSync(`${place}.part`), false);
  assert.equal(scene.shares.find(id)?.metainfo.infoHash, old.metainfo.infoHash);
  assert.ok(scene.swarms.get(old.metainfo.infoHash));
  assert.equal(scene.profile.replacedBy(id), undefined);
  await rm(place, { recursive: true });
});

test("a new version that is fetched by itself waits while downloads are held", async (t) => {
  const there = await stage(t);
  const { scene, newer, publish } = there;
  await scene.downloads.follow(id);
  await scene.downloads.hold("Not now.");
  publish();
  await scene.downloads.versionPublished({ ...id, infoHash: newer.metainfo.infoHash, userId: "alice" });
  const [held] = scene.downloads.statuses(id);
  assert.equal(held?.state === "paused" && held.reason, "Not now.");
  await scene.downloads.release();
  await until(() => scene.downloads.get(id).status === "running", "it is fetched");
  await there.arrive();
  await complete(there);
});
