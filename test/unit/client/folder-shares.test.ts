// Shared folders: what of them is served when files change, are gone, and come back; who is told; what the next login knows.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { decodeMetainfo, type FolderMetainfo } from "../../../src/metainfo/metainfo.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import {
  type FakeTorrent,
  folderOf,
  GROUP,
  PIECE_BYTES,
  Scene,
  spoil,
  turns,
  until,
} from "./download-fixture.ts";

const id = { groupId: GROUP, fileName: "pictures" };
const OLD = new Date("2020-01-01T00:00:00Z");
const MINUTE_MS = 60_000;

type Files = Parameters<typeof folderOf>[1];

/** Four files of a piece each, and two small ones that share the last piece but one. */
const FILES: Files = {
  "a.jpg": PIECE_BYTES,
  "b/c.jpg": PIECE_BYTES,
  "d.jpg": PIECE_BYTES,
  "e.txt": 100,
  "f.txt": 100,
};

interface SharedFolder {
  readonly scene: Scene;
  readonly path: string;
  readonly metainfo: FolderMetainfo;
  readonly bytes: Uint8Array;
}

/** Writes the folder, or some files of it. */
async function write(
  { scene, path, metainfo, bytes }: SharedFolder,
  which?: readonly string[],
): Promise<void> {
  const { layout } = metainfo;
  for (let i = 0; i < layout.fileCount; i++) {
    const name = layout.pathOf(i);
    if (which !== undefined && !which.includes(name)) continue;
    const filePath = join(path, name);
    await mkdir(dirname(filePath), { recursive: true });
    await writeFile(filePath, bytes.subarray(layout.offsetOf(i), layout.offsetOf(i) + layout.lengthOf(i)));
    await utimes(filePath, OLD, OLD);
  }
  assert.ok(scene);
}

async function timesOf({ path, metainfo: { layout } }: SharedFolder): Promise<Float64Array> {
  const times = new Float64Array(layout.fileCount);
  for (let i = 0; i < layout.fileCount; i++) times[i] = (await stat(join(path, layout.pathOf(i)))).mtimeMs;
  return times;
}

async function folderIn(scene: Scene, files: Files = FILES): Promise<SharedFolder> {
  const { metainfo, bytes } = await folderOf("pictures", files);
  const folder = { scene, path: scene.path("pictures"), metainfo, bytes };
  await write(folder);
  return folder;
}

/** @param missing files that are not part of what is shared */
async function share(folder: SharedFolder, missing: readonly string[] = []): Promise<void> {
  const { scene, path, metainfo } = folder;
  const folderTimesMs = await timesOf(folder);
  for (const name of missing) folderTimesMs[metainfo.layout.indexOf(name) ?? -1] = 0;
  const facts = { lengthBytes: metainfo.layout.contentBytes, mtimeMs: 0 };
  await scene.shares.shareAs(path, GROUP, metainfo, { facts, folderTimesMs });
}

async function shared(t: TestContext, files?: Files): Promise<SharedFolder> {
  const folder = await folderIn(await Scene.open(t), files);
  await folder.scene.shares.resumeAll();
  await share(folder);
  return folder;
}

const torrentOf = ({ scene, metainfo }: SharedFolder): FakeTorrent =>
  scene.swarms.get(metainfo.infoHash) ?? assert.fail("the folder is not served");

/** Files all of whose pieces are offered. */
function offered(folder: SharedFolder): string[] {
  const { layout } = folder.metainfo;
  const { have, wanted } = torrentOf(folder).parts;
  if (!have.isComplete) assert.deepEqual(wanted?.toBytes(), have.toBytes(), "nothing is to come from others");
  return [...Array(layout.fileCount).keys()]
    .filter((i) => {
      for (let piece = layout.firstPieceOf(i); piece < layout.endPieceOf(i); piece++)
        if (!have.has(piece)) return false;
      return true;
    })
    .map((i) => layout.pathOf(i));
}

/** Time passes in which shares are looked at, by disk threads too: those have answered at the end. */
async function pass(scene: Scene, ms: number): Promise<void> {
  await scene.clock.pass(ms);
  await Promise.all([1, 2].map(() => scene.storage.disk.statFiles(scene.folder, ["none"])));
  await turns();
}

async function passLooking(scene: Scene, ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 250) await pass(scene, 250);
}

/** Shares are looked at until that holds. */
function lookUntil(scene: Scene, holds: () => boolean, what: string): Promise<void> {
  return until(async () => {
    if (holds()) return true;
    await pass(scene, 250);
    return false;
  }, what);
}

async function loginAgain(scene: Scene): Promise<void> {
  await scene.shares.suspendAll();
  await scene.shares.resumeAll();
  await until(() => scene.shares.statuses().every(({ state }) => state !== "waiting"), "all is taken up");
}

const told = ({ scene }: SharedFolder) => scene.eventsOf("shared-files-changed").map(({ paths }) => paths);

test("a folder is served, listed as one share, and noted with the times of its files", async (t) => {
  const folder = await shared(t);
  const { scene, path, metainfo } = folder;
  assert.equal(offered(folder).length, 5);
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "seed");
  assert.deepEqual(scene.shares.statuses(), [
    {
      ...{ ...id, path, lengthBytes: metainfo.layout.contentBytes, fileCount: 5 },
      ...{ state: "served", reason: undefined, peerCount: 0 },
    },
  ]);
  const [stored] = scene.profile.shares();
  assert.deepEqual(stored?.folderTimesMs, new Float64Array(5).fill(OLD.getTime()));
  assert.equal(Buffer.compare(stored?.info ?? Buffer.alloc(0), metainfo.info), 0);
  assert.deepEqual(told(folder), []);
});

test("a file that changes, or is gone, takes only its own pieces with it, and the user is told its path", async (t) => {
  const folder = await shared(t);
  const { scene, path, metainfo } = folder;
  await writeFile(join(path, "a.jpg"), "other content");
  await rm(join(path, "b/c.jpg"));
  await lookUntil(scene, () => told(folder).length > 0, "it is noticed");
  assert.deepEqual(told(folder), [["a.jpg", "b/c.jpg"]]);
  assert.deepEqual(offered(folder), ["d.jpg", "e.txt", "f.txt"]);
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "downloader", "it is no seed any more");
  assert.deepEqual(scene.swarms.left, ["pictures: some of its files changed, or are back"]);
  assert.partialDeepStrictEqual(scene.shares.statuses(), [{ state: "served", changedFiles: 2 }]);
  assert.deepEqual(scene.eventsOf("share-ended"), []);
});

test("files that share a piece go together; a file that has only its time changed is another one", async (t) => {
  const folder = await shared(t);
  await utimes(join(folder.path, "e.txt"), new Date(), new Date());
  await lookUntil(folder.scene, () => told(folder).length > 0, "it is noticed");
  assert.deepEqual(told(folder), [["e.txt"]]);
  assert.deepEqual(offered(folder), ["a.jpg", "b/c.jpg", "d.jpg"]);
});

test("when the files are as they were all is served again, and said", async (t) => {
  const folder = await shared(t);
  const { scene, path, metainfo } = folder;
  const before = torrentOf(folder).parts.storage;
  await rename(join(path, "a.jpg"), scene.path("kept"));
  await lookUntil(scene, () => told(folder).length > 0, "it is noticed");
  await rename(scene.path("kept"), join(path, "a.jpg"));
  await lookUntil(scene, () => scene.eventsOf("shared-files-back").length > 0, "they are back");
  assert.equal(offered(folder).length, 5);
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "seed");
  assert.equal(scene.shares.statuses()[0]?.changedFiles, undefined);
  assert.ok(before instanceof PieceStore);
  assert.equal(before.status, "closed", "what was opened before");
});

test("files that go one after the other are told of at most once a minute, all together", async (t) => {
  const folder = await shared(t);
  const { scene, path } = folder;
  await rm(join(path, "a.jpg"));
  await lookUntil(scene, () => told(folder).length > 0, "the first is noticed");
  await rm(join(path, "d.jpg"));
  await passLooking(scene, 30_000);
  await rm(join(path, "e.txt"));
  await passLooking(scene, 20_000);
  assert.equal(told(folder).length, 1);
  await lookUntil(scene, () => told(folder).length > 1, "the others are noticed");
  assert.deepEqual(told(folder), [["a.jpg"], ["a.jpg", "d.jpg", "e.txt"]]);
});

test("ten of many changed files are named, and all are counted", async (t) => {
  const names = Array.from({ length: 12 }, (_, at) => `${at + 10}.txt`);
  const folder = await shared(t, { ...Object.fromEntries(names.map((name) => [name, 10])), z: PIECE_BYTES });
  for (const name of names) await rm(join(folder.path, name));
  await lookUntil(
    folder.scene,
    () => folder.scene.eventsOf("shared-files-changed").length > 0,
    "it is noticed",
  );
  const { count, paths } = await folder.scene.event("shared-files-changed");
  assert.deepEqual([count, paths], [12, names.slice(0, 10)]);
});

test("a read that finds a file changed has the rest served at once", async (t) => {
  const folder = await shared(t);
  const { scene, path, metainfo } = folder;
  const error = new MiniTorrentError("FILE_CHANGED", "d.jpg changed.");
  torrentOf(folder).parts.onEvent({ type: "read-failed", pieceIndex: 0, error });
  await turns();
  assert.deepEqual(scene.swarms.left, [], "a piece whose files are as they were is no reason to serve anew");
  await rm(join(path, "d.jpg"));
  const pieceIndex = metainfo.layout.firstPieceOf(metainfo.layout.indexOf("d.jpg") ?? -1);
  torrentOf(folder).parts.onEvent({ type: "read-failed", pieceIndex, error });
  await scene.event("shared-files-changed");
  assert.deepEqual(offered(folder), ["a.jpg", "b/c.jpg", "e.txt", "f.txt"]);
});

test("a disk that fails ends the share as it does for a file", async (t) => {
  const folder = await shared(t);
  const error = new MiniTorrentError("DISK_FAILED", "The disk is gone.");
  torrentOf(folder).parts.onEvent({ type: "read-failed", pieceIndex: 0, error });
  const { reason } = await folder.scene.event("share-ended");
  assert.equal(reason, "The disk is gone.");
  assert.deepEqual(folder.scene.swarms.left, ["pictures: The disk is gone. (told changed)"]);
});

test("a folder that is gone is withdrawn, and shared again when it is back", async (t) => {
  const folder = await shared(t);
  const { scene, path } = folder;
  await rename(path, scene.path("moved"));
  await lookUntil(scene, () => scene.eventsOf("share-ended").length > 0, "it is noticed");
  const { reason } = await scene.event("share-ended");
  assert.match(reason, /pictures.* It is shared again when it is back there\.$/s);
  assert.equal(scene.shares.statuses()[0]?.state, "unusable");
  await rename(scene.path("moved"), path);
  await lookUntil(scene, () => scene.shares.statuses()[0]?.state === "served", "it is shared again");
  assert.equal(offered(folder).length, 5);
});

test("a folder with no file as it was is said once not to be shared, with what to do", async (t) => {
  const folder = await shared(t);
  const { scene, path } = folder;
  const opened = t.mock.method(PieceStore, "openForSeeding");
  for (const name of Object.keys(FILES)) await writeFile(join(path, name), "x");
  await lookUntil(scene, () => scene.eventsOf("share-ended").length > 0, "it is noticed");
  const { reason } = await scene.event("share-ended");
  assert.match(reason, /update_share films pictures shares it as it is now, or stop_share films pictures/);
  await passLooking(scene, 2 * MINUTE_MS);
  assert.equal(scene.eventsOf("share-ended").length, 1);
  assert.ok(opened.mock.callCount() <= 4, `it was opened ${opened.mock.callCount()} times in two minutes`);
  await write(folder, ["a.jpg"]);
  await lookUntil(scene, () => scene.shares.statuses()[0]?.state === "served", "what is back is shared");
  assert.deepEqual(offered(folder), ["a.jpg"]);
});

test("files changed while nobody was logged in are told at the login, and the others are served without hashing", async (t) => {
  const folder = await shared(t);
  const { scene, path } = folder;
  await scene.shares.suspendAll();
  await writeFile(join(path, "a.jpg"), "other content");
  await scene.shares.resumeAll();
  assert.deepEqual(told(folder), [["a.jpg"]]);
  assert.deepEqual(offered(folder), ["b/c.jpg", "d.jpg", "e.txt", "f.txt"]);
});

test("a large folder is taken up behind the other shares, and a login does not wait for it", async (t) => {
  const names = Array.from({ length: 260 }, (_, at) => `${"long name ".repeat(20)}${at + 1_000}`);
  const folder = await shared(t, Object.fromEntries(names.map((name) => [name, 1])));
  const { scene } = folder;
  assert.ok(folder.metainfo.info.length > 64 * 1024, String(folder.metainfo.info.length));
  await scene.shares.share(await scene.file("film", new Uint8Array(5)), GROUP);
  await scene.shares.suspendAll();
  await scene.shares.resumeAll();
  assert.deepEqual(scene.swarms.runningNames, ["film"]);
  assert.deepEqual(
    scene.shares.statuses().map(({ fileName, state }) => `${fileName} ${state}`),
    ["film served", "pictures waiting"],
  );
  await until(() => scene.swarms.runningNames.length === 2, "the folder is served too");
  assert.equal(offered(folder).length, 260);
  await loginAgain(scene);
  await scene.shares.suspendAll();
  await scene.shares.resumeAll();
  await scene.shares.suspendAll();
  await turns();
  assert.deepEqual(scene.swarms.runningNames, [], "who logs out meanwhile has it not served");
});

test("a part of a folder is served, and is neither a seed nor listed as a share", async (t) => {
  const folder = await folderIn(await Scene.open(t));
  const { scene, path, metainfo } = folder;
  const all = await timesOf(folder);
  const folderTimesMs = all.with(metainfo.layout.indexOf("a.jpg") ?? -1, 0);
  await writeFile(join(path, "a.jpg"), new Uint8Array(PIECE_BYTES));
  const facts = { lengthBytes: metainfo.layout.contentBytes, mtimeMs: 0 };
  scene.profile.saveShare({
    ...{ ...id, path, info: metainfo.info, facts, folderTimesMs, isRegistered: false },
  });
  await scene.shares.resumeAll();
  assert.deepEqual(offered(folder), ["b/c.jpg", "d.jpg", "e.txt", "f.txt"]);
  assert.deepEqual(told(folder), [], "what was never here has not changed");
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "downloader");
  assert.deepEqual(scene.tracker.take("files.share"), []);
  await passLooking(scene, 6_000);
  assert.deepEqual(told(folder), []);
});

test("files with a piece that a peer refused and that is wrong here are no longer served, also after a login", async (t) => {
  const folder = await shared(t);
  const { scene, path, metainfo } = folder;
  await spoil(join(path, "e.txt"));
  const pieceIndex = metainfo.layout.firstPieceOf(metainfo.layout.indexOf("e.txt") ?? -1);
  await scene.shares.dataRefused(id, "carol", pieceIndex);
  assert.deepEqual(told(folder), [["e.txt", "f.txt"]]);
  assert.deepEqual(offered(folder), ["a.jpg", "b/c.jpg", "d.jpg"]);
  await loginAgain(scene);
  assert.deepEqual(offered(folder), ["a.jpg", "b/c.jpg", "d.jpg"]);
  await scene.shares.dataRefused(id, "carol", 0);
  assert.equal(scene.eventsOf("data-refused").length, 1, "that piece is right");
});

test("a folder that is stopped while it is opened again stays stopped, and is closed", async (t) => {
  const folder = await shared(t);
  const { scene, path } = folder;
  const gate = Promise.withResolvers<void>();
  const open = PieceStore.openForSeeding.bind(PieceStore);
  const opened: PieceStore[] = [];
  const opening = t.mock.method(PieceStore, "openForSeeding", async (options: Parameters<typeof open>[0]) => {
    await gate.promise;
    const store = await open(options);
    opened.push(store);
    return store;
  });
  await rm(join(path, "a.jpg"));
  await lookUntil(scene, () => opening.mock.callCount() > 0, "it is opened again");
  await scene.shares.stop(id);
  gate.resolve();
  await until(() => opened[0]?.status === "closed", "it is closed");
  assert.deepEqual(scene.swarms.runningNames, []);
  assert.equal(scene.announcer.announced.size, 0);
  assert.deepEqual([scene.shares.count, scene.profile.shares()], [0, []]);
  assert.deepEqual(told(folder), []);
});

test("a folder of a group that one is in again can be shared again; a file in its place is no folder", async (t) => {
  const folder = await shared(t);
  const { scene, path } = folder;
  await scene.shares.groupEnded(GROUP);
  await scene.shares.acceptedAgain(GROUP);
  assert.deepEqual(scene.eventsOf("may-share-again")[0]?.paths, [`${path}/`]);
  await share(folder);
  await scene.shares.groupEnded(GROUP);
  await rm(path, { recursive: true });
  await writeFile(path, "");
  await scene.shares.acceptedAgain(GROUP);
  assert.equal(scene.eventsOf("may-share-again").length, 1);
});

test("a folder is hashed in place and described with its files, without what the rules leave out", async (t) => {
  const scene = await Scene.open(t);
  const path = scene.path("pictures");
  await mkdir(join(path, "sub"), { recursive: true });
  await writeFile(join(path, "sub/a.jpg"), "a picture");
  await writeFile(join(path, "b.jpg"), "another");
  await writeFile(join(path, "b.tmp"), "left out");
  await writeFile(join(path, ".minitorrentignore"), "*.tmp\n");
  execFileSync("mkfifo", [join(path, "pipe")]);
  await symlink(path, scene.path("link"));
  const progress: number[] = [];
  const result = await scene.shares.share(scene.path("link"), GROUP, {
    onProgress: ({ hashedBytes, lengthBytes }) => progress.push(hashedBytes / lengthBytes),
  });
  assert.partialDeepStrictEqual(result, {
    ...{ groupId: GROUP, fileName: "link", joinedSwarm: false, replacesEarlier: false },
    skipped: { ignored: 1, fifos: 1, sockets: 0, devices: 0, emptyFolders: 0 },
  });
  assert.equal("sha1" in result, false);
  assert.equal(progress.at(-1), 1);
  const [asked] = scene.tracker.take("files.share");
  const described = decodeMetainfo(Buffer.from(String(asked?.info), "base64"));
  assert.ok(described.kind === "folder");
  const { layout } = described;
  const paths = [...Array(layout.fileCount).keys()].map((i) => layout.pathOf(i));
  assert.ok(paths.includes("sub/a.jpg") && paths.includes("b.jpg"), paths.join());
  assert.ok(!paths.includes("b.tmp") && !paths.includes("pipe"), paths.join());
  assert.equal(result.fileCount, paths.length);
  assert.equal(scene.shares.statuses()[0]?.path, path, "what lies behind a link is shared");
  await loginAgain(scene);
  assert.equal(
    scene.swarms.get(described.infoHash)?.parts.have.isComplete,
    true,
    "it is found as it was hashed",
  );
  assert.deepEqual(scene.eventsOf("shared-files-changed"), []);
});

test("a new version of a folder leaves of the one before what has not changed", async (t) => {
  // Each has a piece of its own in the pieces that the client chooses.
  const folder = await folderIn(await Scene.open(t), { "a.jpg": 300_000, "d.jpg": 300_000 });
  const { scene, path } = folder;
  await scene.shares.share(path, GROUP);
  const before = scene.shares.find(id)?.metainfo ?? assert.fail();
  await writeFile(join(path, "a.jpg"), "a new picture");
  await writeFile(join(path, "new.jpg"), "one more");
  const result = await scene.shares.update(id, undefined);
  assert.partialDeepStrictEqual(result, { fileCount: 3, replacesEarlier: true });
  const asked = scene.tracker.take("files.share").at(-1);
  assert.partialDeepStrictEqual(asked, { replaces: before.infoHash, isUpdate: true });
  await until(() => scene.swarms.left.length > 0, "the version before is offered anew");
  const old = scene.swarms.get(before.infoHash)?.parts ?? assert.fail("it is served");
  assert.equal(old.have.isComplete, false);
  assert.ok(old.have.count > 0);
  assert.equal(scene.announcer.announced.get(before.infoHash), "downloader");
  assert.deepEqual(told(folder), [], "that is no trouble of the user's");
  assert.equal(scene.shares.statuses().length, 1);
  const metainfo = scene.shares.find(id)?.metainfo ?? assert.fail();
  assert.equal(scene.swarms.get(metainfo.infoHash)?.parts.have.isComplete, true);
  await scene.shares.resumeAll();
  await rm(join(path, "d.jpg"));
  await lookUntil(
    scene,
    () => scene.swarms.get(before.infoHash) === undefined,
    "nothing of the version before is left",
  );
  assert.equal(scene.shares.statuses()[0]?.state, "served");
  await rm(path, { recursive: true });
  await lookUntil(scene, () => scene.swarms.runningNames.length === 0, "the new one is withdrawn too");
});
