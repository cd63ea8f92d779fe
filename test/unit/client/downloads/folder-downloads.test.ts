// Folders that are downloaded: all of them or some of their files, chosen before, meanwhile and later, on a real disk.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type FakeTorrent,
  type Folder,
  GROUP,
  leaveRoom,
  PIECE_BYTES,
  Scene,
  until,
} from "../download-fixture.ts";

const id = { groupId: GROUP, fileName: "photos" };

/** Pieces: 0 the first two files; 1 to 3 the large one, after padding; 3 also the next; 4 the last one. */
const FILES = {
  "a.jpg": 100,
  "b/one.txt": 200,
  "b/two.raw": 2 * PIECE_BYTES + 10,
  "c.txt": 30,
  "d.bin": PIECE_BYTES,
};

interface Stage extends Folder {
  readonly scene: Scene;
  readonly place: string;
  readonly torrent: () => FakeTorrent;
}

async function stage(t: TestContext): Promise<Stage> {
  const scene = await Scene.open(t);
  const folder = await scene.sharedFolder("photos", FILES);
  return { scene, ...folder, place: scene.path("photos"), torrent: () => scene.swarms.of(folder.metainfo) };
}

/** The files of a folder that are as they should be; any other fails the test. */
function filesIn(folder: string, { bytes, metainfo }: Folder): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (one) => !one.isDirectory(),
  );
  const paths = found.map((one) => join(one.parentPath, one.name).slice(folder.length + 1)).sort();
  for (const path of paths) {
    const index = metainfo.layout.indexOf(path);
    assert.ok(index !== undefined, `${path} is not of the folder`);
    const at = metainfo.layout.offsetOf(index);
    const expected = bytes.subarray(at, at + metainfo.layout.lengthOf(index));
    assert.ok(readFileSync(join(folder, path)).equals(expected), `${path} has other content`);
  }
  return paths;
}

const states = (scene: Scene) =>
  scene.downloads.statuses().map(({ fileName, state }) => `${fileName} ${state}`);

test("a folder is fetched beside its place, gets its name when every file is right, and is shared from there", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await mkdir(scene.path("there"));
  await scene.start("photos", scene.path("there"));
  const path = scene.path("there", "photos");
  await torrent().receive(folder.bytes, [0, 4]);
  assert.deepEqual(filesIn(`${path}.part`, folder), ["a.jpg", "b/one.txt", "d.bin"]);
  assert.partialDeepStrictEqual(scene.downloads.statuses(id)[0], {
    ...{ state: "downloading", destinationPath: path, pieceCount: 5, piecesVerified: 2 },
    ...{ lengthBytes: folder.metainfo.layout.contentBytes, bytesVerified: 300 + PIECE_BYTES },
    folder: { fileCount: 5, chosenFiles: 5, completeFiles: 3, choice: undefined, isFollowed: false },
  });
  await torrent().receive(folder.bytes, "all");
  const event = await scene.event("download-complete");
  assert.deepEqual(event, { type: "download-complete", ...id, destinationPath: path });
  assert.deepEqual(filesIn(path, folder), Object.keys(FILES));
  assert.equal(existsSync(`${path}.part`), false);
  assert.equal(scene.shares.find(id)?.path, path);
  assert.deepEqual(scene.profile.downloads(), []);
  assert.equal(scene.profile.finished()[0]?.folder?.completeFiles, 5);
  assert.deepEqual(scene.failures, []);
});

test("only the pieces of chosen files are fetched, and the rest of a finished folder is not there", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.downloads.start(id, place, { only: ["**/*.txt"] });
  assert.deepEqual([...torrent().wanted.toBytes()], [0b1001_0000]);
  assert.partialDeepStrictEqual(scene.downloads.statuses(id)[0], {
    ...{ pieceCount: 2, piecesVerified: 0, lengthBytes: 340, bytesVerified: 0 },
    folder: { chosenFiles: 2, choice: { only: ["**/*.txt"] } },
  });
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  assert.deepEqual(filesIn(place, folder), ["b/one.txt", "c.txt"]);
  const status = scene.downloads.statuses(id)[0];
  assert.partialDeepStrictEqual(status, {
    state: "complete",
    piecesVerified: 2,
    folder: { completeFiles: 2 },
  });
  assert.equal(scene.announcer.announced.get(folder.metainfo.infoHash), "downloader", "it has a part");
  assert.deepEqual(scene.swarms.runningNames, ["photos"], "what it has is offered to others");
  assert.deepEqual(scene.tracker.take("files.share"), [], "nobody is told that all of it is here");
});

test("more files are chosen while it runs, and later in the place where it is", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.downloads.start(id, place, { only: ["c.txt"] });
  await scene.downloads.select(id, { only: ["c.txt", "a.*"] });
  assert.deepEqual([...torrent().wanted.toBytes()], [0b1001_0000]);
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  assert.deepEqual(filesIn(place, folder), ["a.jpg", "c.txt"]);
  const status = await scene.downloads.select(id, { except: ["d.bin"] });
  assert.partialDeepStrictEqual(status, { state: "downloading", piecesVerified: 2, pieceCount: 4 });
  await torrent().receive(folder.bytes, "all");
  await until(() => scene.downloads.statuses(id)[0]?.state === "complete", "it is complete again");
  assert.deepEqual(filesIn(place, folder), ["a.jpg", "b/one.txt", "b/two.raw", "c.txt"]);
  await scene.downloads.select(id, {});
  await torrent().receive(folder.bytes, "all");
  await until(() => scene.shares.count === 1, "the whole folder is a share");
  assert.deepEqual(filesIn(place, folder), Object.keys(FILES));
  assert.deepEqual(scene.profile.downloads(), []);
  assert.deepEqual(scene.failures, []);
});

test("a choice that the disk has no room for is refused before anything of it comes, in any state", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.downloads.start(id, place, { only: ["c.txt"] });
  const room = leaveRoom(t, PIECE_BYTES);
  const refused = { code: "DISK_FULL", message: /free / };
  await assert.rejects(scene.downloads.select(id, { only: ["b/two.raw"] }), refused);
  assert.deepEqual([...torrent().wanted.toBytes()], [0b0001_0000], "the choice is as it was");
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  room.bytes = PIECE_BYTES - 1;
  await assert.rejects(scene.downloads.select(id, { only: ["d.bin"] }), refused);
  assert.deepEqual(states(scene), ["photos complete"]);
  room.bytes = PIECE_BYTES;
  await scene.downloads.select(id, { only: ["d.bin"] });
  assert.deepEqual(states(scene), ["photos downloading"]);
});

test("a part of a folder still tells who sent each piece after the next login, and which pieces nobody wants", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.downloads.start(id, place, { only: ["c.txt"] });
  await torrent().receive(folder.bytes, "all", "bob");
  await scene.event("download-complete");
  await scene.downloads.suspendAll();
  await scene.downloads.resumeAll();
  await until(() => states(scene)[0] === "photos complete", "it is there again");
  const { runs, sources } = scene.downloads.pieceMap(id);
  assert.deepEqual(sources, ["bob"]);
  assert.deepEqual(runs, [
    { count: 3, from: -2, isLeftOut: true },
    { count: 1, from: 0 },
    { count: 1, from: -2, isLeftOut: true },
  ]);
  assert.deepEqual(
    scene.downloads
      .filesAfter(id, undefined)
      .items.map(({ isChosen, verifiedBytes }) => [isChosen, verifiedBytes]),
    [
      [false, 0],
      [false, 0],
      [false, 10],
      [true, 30],
      [false, 0],
    ],
  );
});

test("a part whose pieces hold all files stays a part: more is chosen of it later, also after the next login", async (t) => {
  const scene = await Scene.open(t);
  const folder = await scene.sharedFolder("photos", { "a.txt": 10, "b/c.txt": 20, "d.txt": 30 });
  const place = scene.path("photos");
  await scene.downloads.start(id, place, { only: ["a.txt"] });
  await scene.swarms.of(folder.metainfo).receive(folder.bytes, "all");
  await scene.event("download-complete");
  assert.deepEqual(filesIn(place, folder), ["a.txt"]);
  assert.deepEqual(scene.shares.statuses(), []);
  await scene.downloads.suspendAll();
  await (await scene.downloads.resumeAll()).begun;
  await until(() => states(scene)[0] === "photos complete", "it is there again");
  await scene.downloads.select(id, { except: ["d.txt"] });
  await until(() => filesIn(place, folder).length === 2, "more of it is there");
  await until(() => states(scene)[0] === "photos complete", "that is complete");
  await scene.downloads.select(id, { only: ["a.txt"] });
  await until(() => states(scene)[0] === "photos complete", "fewer files leave it complete");
  await scene.downloads.select(id, {});
  await until(() => scene.shares.statuses().length === 1, "all of it is a share");
  assert.deepEqual(filesIn(place, folder), ["a.txt", "b/c.txt", "d.txt"]);
});

test("fewer files are chosen: what is here already stays", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.downloads.start(id, place);
  await torrent().receive(folder.bytes, [0, 4]);
  await scene.downloads.select(id, { only: ["a.jpg"] });
  await scene.event("download-complete");
  assert.ok(existsSync(join(place, "a.jpg")));
  assert.equal(scene.downloads.statuses(id)[0]?.pieceCount, 1);
  assert.deepEqual(scene.failures, []);
});

test("over a login some files stay as they are, and more are chosen then", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.downloads.start(id, place, { only: ["b/"] });
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  await scene.downloads.suspendAll();
  scene.events.length = 0;
  await (await scene.downloads.resumeAll()).begun;
  await until(() => states(scene)[0] === "photos complete", "it is taken up");
  assert.deepEqual(scene.events, [], "that is no news");
  assert.equal(scene.profile.finished().length, 1);
  assert.equal(torrent().torrent.have.count, 4);
  await scene.downloads.select(id, {});
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  assert.deepEqual(filesIn(place, folder), Object.keys(FILES));
});

test("after a crash what was verified is not fetched again", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.start("photos", place);
  await torrent().receive(folder.bytes, [0, 2, 4]);
  const [before] = scene.profile.downloads();
  assert.ok(before);
  await scene.downloads.suspendAll();
  // As if the last half second had not been noted.
  scene.profile.saveDownload({ ...before, have: Uint8Array.of(0) });
  await (await scene.downloads.resumeAll()).begun;
  assert.equal(torrent().torrent.have.count, 0, "what was not noted is fetched");
  await scene.downloads.suspendAll();
  const { have } = scene.profile.downloads()[0] ?? {};
  assert.deepEqual(have && [...have], [0]);
});

test("noted pieces of files that changed while nobody looked are checked, and the others are not", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.start("photos", place);
  await torrent().receive(folder.bytes, [0, 1, 2, 4]);
  await scene.downloads.suspendAll();
  writeFileSync(join(`${place}.part`, "d.bin"), Buffer.alloc(PIECE_BYTES, 7));
  await (await scene.downloads.resumeAll()).begun;
  assert.deepEqual([...torrent().torrent.have.toBytes()], [0b1110_0000]);
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  assert.deepEqual(filesIn(place, folder), Object.keys(FILES));
});

test("a folder with the same content is adopted, and one with other content is refused", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.start("photos", place);
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  await scene.shares.stop(id);
  await scene.downloads.cancel(id);
  const status = await scene.downloads.start(id, scene.folder);
  assert.equal(status.state, "complete");
  assert.deepEqual(status.sources, [], "nothing was fetched");
  assert.equal(scene.shares.count, 1);
  await scene.shares.stop(id);
  await scene.downloads.cancel(id);
  writeFileSync(join(place, "c.txt"), "x".repeat(30));
  await assert.rejects(scene.downloads.start(id, scene.folder), {
    code: "FILE_EXISTS",
    message: /is there already, with other content/,
  });
  await rm(join(place, "c.txt"));
  await assert.rejects(scene.downloads.start(id, scene.folder), { code: "FILE_EXISTS" });
});

test("no download writes into the folder of another one", async (t) => {
  const { scene, place } = await stage(t);
  scene.film();
  await scene.start("photos", place);
  for (const inside of [join(place, "film"), join(`${place}.part`, "film")]) {
    await assert.rejects(scene.start("film", inside), { code: "FILE_EXISTS", message: /not inside it/ });
  }
  await scene.downloads.cancel(id);
  await scene.start("film", join(place, "film"));
  const around = { code: "FILE_EXISTS", message: /that it is not inside/ };
  await assert.rejects(scene.downloads.start(id, scene.folder), around);
});

test("a cancelled folder leaves nothing behind; one that is finished in part stays", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  const before = readdirSync(scene.folder);
  await scene.downloads.start(id, place, { only: ["a.jpg", "c.txt"] });
  await torrent().receive(folder.bytes, [0]);
  await scene.downloads.cancel(id);
  assert.deepEqual(readdirSync(scene.folder), before);
  await scene.downloads.start(id, place, { only: ["a.jpg"] });
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  await scene.downloads.cancel(id);
  assert.deepEqual(readdirSync(scene.folder).sort(), [...before, "photos"].sort());
  assert.deepEqual(filesIn(place, folder), ["a.jpg"]);
  assert.deepEqual(scene.swarms.runningNames, []);
});

test("a paused folder moves to another place with what it has", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.start("photos", place);
  await torrent().receive(folder.bytes, [0, 1]);
  await scene.downloads.get(id).pause();
  await mkdir(scene.path("there"));
  const status = await scene.downloads.start(id, scene.path("there"));
  assert.partialDeepStrictEqual(status, { state: "downloading", piecesVerified: 2 });
  assert.equal(existsSync(`${place}.part`), false);
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  assert.deepEqual(filesIn(scene.path("there", "photos"), folder), Object.keys(FILES));
});

test("a folder that is replaced by a link while it downloads pauses it, and nothing is written elsewhere", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.start("photos", place);
  await torrent().receive(folder.bytes, [0]);
  await mkdir(scene.path("elsewhere"));
  await rename(`${place}.part`, scene.path("moved"));
  symlinkSync(scene.path("elsewhere"), `${place}.part`);
  const { storage } = torrent().parts;
  const piece = storage.reserve(4);
  assert.ok(piece);
  piece.set(folder.bytes.subarray(4 * PIECE_BYTES, 5 * PIECE_BYTES));
  const outcome = await new Promise((resolve) => storage.commit(4, resolve));
  assert.ok(outcome instanceof Error);
  assert.deepEqual(readdirSync(scene.path("elsewhere")), []);
  assert.equal(statSync(scene.path("moved", "a.jpg")).size, 100);
});

test("patterns that fit nothing, or are of a single file, begin no download", async (t) => {
  const { scene, place } = await stage(t);
  scene.film();
  await assert.rejects(scene.downloads.start(id, place, { only: ["*.mkv"] }), { code: "INVALID_ARGUMENT" });
  await assert.rejects(
    scene.downloads.start({ ...id, fileName: "film" }, scene.path("film"), { only: ["*"] }),
    {
      code: "INVALID_ARGUMENT",
    },
  );
  assert.deepEqual(scene.downloads.statuses(), []);
  await scene.start();
  await assert.rejects(scene.downloads.select({ ...id, fileName: "film" }, {}), {
    code: "INVALID_ARGUMENT",
    message: /is a single file/,
  });
});

test("a download of the part that is here already chooses more of it, in its place alone", async (t) => {
  const { scene, place, torrent, ...folder } = await stage(t);
  await scene.downloads.start(id, place, { only: ["a.jpg"] });
  await torrent().receive(folder.bytes, "all");
  await scene.event("download-complete");
  await assert.rejects(scene.downloads.start(id, scene.path("copy")), {
    code: "FILE_EXISTS",
    message: /A part of photos is on this machine already, at .*photos; select chooses more of it/,
  });
  const status = await scene.downloads.start(id, place, { only: ["a.jpg", "d.bin"] });
  assert.partialDeepStrictEqual(status, { state: "downloading", pieceCount: 2, piecesVerified: 1 });
});
