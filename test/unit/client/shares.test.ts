// The files that are shared from this machine: offered, taken up after a login, given up when they change, taken up again.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { type ErrorCode, MiniTorrentError } from "../../../src/api/errors.ts";
import { Shares } from "../../../src/client/shares.ts";
import { encodeMetainfo, type FileMetainfo } from "../../../src/metainfo/metainfo.ts";
import { factsOf } from "../../../src/storage/file-facts.ts";
import { PieceStore } from "../../../src/storage/piece-store.ts";
import {
  type Film,
  filmOf,
  GROUP,
  looksOf,
  readsOf,
  Scene,
  soon,
  spoil,
  turns,
  until,
} from "./download-fixture.ts";

const id = { groupId: GROUP, fileName: "film" };
const bob = "bob's own";

const trouble = (code: ErrorCode) => new MiniTorrentError(code, `It is ${code}.`);

interface Shared extends Film {
  readonly scene: Scene;
  readonly path: string;
}

/** Somebody shares a file of one piece. */
async function shared(t: TestContext, fileName = "film"): Promise<Shared> {
  const scene = await Scene.open(t);
  return { scene, ...(await shareIn(scene, fileName)) };
}

async function shareIn(scene: Scene, fileName: string, seed = 1): Promise<Film & { path: string }> {
  const film = oneFilm(fileName, seed);
  const path = await scene.file(fileName, film.bytes);
  await scene.shares.share(path, GROUP);
  return { ...film, path };
}

/** As `share` describes it: its pieces are larger than it. */
function oneFilm(fileName: string, seed = 1): Film {
  const { bytes, metainfo } = filmOf(fileName, { seed, pieceBytes: 256 * 1024 });
  // The CA as the membership has it, with its line's end.
  const { geometry, pieceHashes, sha1, authorityPem } = metainfo;
  const { lengthBytes, pieceLengthBytes } = geometry;
  return {
    bytes,
    metainfo: encodeMetainfo({
      ...{ fileName, lengthBytes, pieceLengthBytes, pieceHashes, sha1, authorityPem: `${authorityPem}\n` },
    }),
  };
}

/** A login again, with the same profile. */
async function loginAgain(scene: Scene): Promise<void> {
  await scene.shares.suspendAll();
  await scene.shares.resumeAll();
}

/** Time passes in which shared files are looked at. */
async function passLooking(scene: Scene, ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 250) await scene.clock.pass(250);
}

const states = (scene: Scene) => scene.shares.statuses().map(({ fileName, state }) => `${fileName} ${state}`);
const kept = (scene: Scene) => scene.profile.shares().map(({ fileName }) => fileName);
const ended = (scene: Scene) => scene.eventsOf("share-ended").map(({ reason }) => reason);

test("a shared file is described, served, listed at the tracker and noted in the profile", async (t) => {
  const scene = await Scene.open(t);
  const { bytes, metainfo } = oneFilm("film");
  const path = await scene.file("film", bytes);
  const progress: number[] = [];
  const servedWhenAsked: string[] = [];
  scene.tracker.answers.set("files.share", () => {
    servedWhenAsked.push(...scene.swarms.runningNames);
    return { infoHash: "", joinedSwarm: false, isAnnounced: true };
  });
  const result = await scene.shares.share(path, GROUP, {
    onProgress: ({ hashedBytes }) => progress.push(hashedBytes),
  });
  assert.deepEqual(result, {
    ...{ ...id, lengthBytes: bytes.length, pieceCount: 1, sha1: metainfo.sha1 },
    ...{ joinedSwarm: false, replacesEarlier: false },
  });
  assert.equal(progress.at(-1), bytes.length);
  assert.deepEqual(servedWhenAsked, ["film"], "whoever the tracker tells of it is answered");
  const [asked] = scene.tracker.take("files.share");
  assert.partialDeepStrictEqual(asked, {
    ...{ groupId: GROUP, holderId: scene.profile.holderId, sha1: metainfo.sha1, isServed: true },
    ...{
      info: Buffer.from(metainfo.info).toString("base64"),
      writeId: "6f0c9d5e-0000-4000-8000-000000000000",
    },
  });
  assert.equal(asked?.replaces, undefined);
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "seed");
  const { have, storage } = scene.swarms.of(metainfo).parts;
  assert.equal(have.isComplete, true);
  assert.equal(storage.reserve(0), undefined, "it is only read");
  const { mtimeMs } = statSync(path);
  assert.deepEqual(scene.profile.shares(), [
    { ...id, path, info: metainfo.info, facts: { lengthBytes: bytes.length, mtimeMs }, isRegistered: true },
  ]);
  scene.swarms.of(metainfo).connections.connectedCount = 2;
  assert.deepEqual(scene.shares.statuses(), [
    {
      ...id,
      path,
      lengthBytes: bytes.length,
      sha1: metainfo.sha1,
      state: "served",
      reason: undefined,
      peerCount: 2,
    },
  ]);
  scene.swarms.of(metainfo).torrent.uploadBytesPerSecond = 300;
  assert.equal(scene.shares.statuses()[0]?.uploadBytesPerSecond, 300, "what is sent now");
  assert.equal(scene.shares.count, 1);
  assert.deepEqual(scene.shares.find(id), { path, metainfo, mtimesMs: Float64Array.of(mtimeMs) });
  assert.equal(scene.shares.find({ ...id, groupId: "books" }), undefined);
});

test("a tracker that has not taken note that the file is served is told so", async (t) => {
  const scene = await Scene.open(t);
  scene.tracker.answers.set("files.share", () => ({ infoHash: "", joinedSwarm: true, isAnnounced: false }));
  const told = t.mock.method(scene.announcer, "told");
  const added = t.mock.method(scene.announcer, "add");
  const path = await scene.file("film", oneFilm("film").bytes);
  assert.equal((await scene.shares.share(path, GROUP)).joinedSwarm, true);
  assert.deepEqual([told.mock.callCount(), added.mock.callCount()], [0, 1]);
  assert.equal(added.mock.calls[0]?.arguments[0].isSeed, true);
  scene.tracker.answers.set("files.share", () => ({ infoHash: "", joinedSwarm: true, isAnnounced: true }));
  await scene.shares.share(await scene.file("other", oneFilm("other").bytes), GROUP);
  assert.deepEqual([told.mock.callCount(), added.mock.callCount()], [1, 1], "it need not be told again");
});

test("a user who may not share is refused before the file is read, as is a name that cannot be shared", async (t) => {
  const scene = await Scene.open(t);
  const path = await scene.file("film", new Uint8Array(5));
  const refusal = { code: "NOT_A_MEMBER" };
  await assert.rejects(
    scene.shares.share(path, "strangers", { onProgress: () => assert.fail("it is read") }),
    refusal,
  );
  await assert.rejects(scene.shares.share(scene.path("nul"), GROUP), { code: "INVALID_ARGUMENT" });
  assert.equal(scene.memberships.obtainedCount, 1);
  await assert.rejects(scene.shares.share(scene.path("missing"), GROUP), { code: "FILE_NOT_FOUND" });
  await assert.rejects(
    scene.shares.share(path, GROUP, { signal: AbortSignal.abort(new Error("enough")) }),
    /enough/,
  );
  assert.equal(scene.shares.count, 0);
});

test("a name in another Unicode form is shared in its normal form", async (t) => {
  const scene = await Scene.open(t);
  const path = await scene.file("cafe\u0301", new Uint8Array(5));
  assert.equal((await scene.shares.share(path, GROUP)).fileName, "caf\u00e9");
});

test("a file that the tracker refuses is not served, not announced, not kept, and not held open", async (t) => {
  const scene = await Scene.open(t);
  scene.tracker.refuse("files.share", "FILE_EXISTS");
  const path = await scene.file("film", oneFilm("film").bytes);
  await assert.rejects(scene.shares.share(path, GROUP), { code: "FILE_EXISTS" });
  assert.deepEqual(scene.swarms.left, ["film: it could not be shared"]);
  assert.equal(scene.announcer.announced.size, 0);
  assert.deepEqual([scene.shares.count, kept(scene)], [0, []]);
  assert.equal(scene.storage.files.taken, 0);
});

test("the same file shared again is listed again and served anew, also from another place", async (t) => {
  const { scene, metainfo, bytes, path } = await shared(t);
  scene.tracker.take("files.share");
  scene.tracker.answers.set("files.share", () => ({ infoHash: "", joinedSwarm: true, isAnnounced: false }));
  const before = scene.swarms.of(metainfo).parts.storage;
  await mkdir(scene.path("moved"));
  await scene.file("moved/film", bytes);
  const result = await scene.shares.share(scene.path("moved", "film"), GROUP);
  assert.partialDeepStrictEqual(result, { joinedSwarm: true, replacesEarlier: false });
  assert.equal(scene.tracker.take("files.share")[0]?.isServed, false);
  assert.deepEqual(scene.swarms.left, ["film: shared anew"]);
  assert.notEqual(scene.swarms.of(metainfo).parts.storage, before);
  assert.equal(scene.storage.files.taken, 1, "the file at the earlier place is closed");
  assert.equal(scene.shares.find(id)?.path, scene.path("moved", "film"));
  assert.notEqual(scene.profile.shares()[0]?.path, path);
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "seed");
});

test("a file that changed takes the place of what it was, whose peers are told that it changed", async (t) => {
  const { scene, metainfo, path } = await shared(t);
  scene.tracker.take("files.share");
  const changed = oneFilm("film", 2);
  await writeFile(path, changed.bytes);
  const answer = scene.tracker.hold("files.share");
  const result = scene.shares.share(path, GROUP);
  await until(() => scene.tracker.asked.some(({ call }) => call === "files.share"), "the tracker is asked");
  assert.deepEqual(scene.swarms.left, ["film: its content was replaced (told changed)"], "before it answers");
  assert.deepEqual(states(scene), ["film unusable"]);
  answer();
  assert.equal((await result).replacesEarlier, true);
  assert.equal(scene.tracker.take("files.share")[0]?.replaces, metainfo.infoHash);
  assert.deepEqual(states(scene), ["film served"]);
  assert.deepEqual(scene.swarms.runningNames, ["film"]);
  assert.deepEqual([...scene.announcer.announced], [[changed.metainfo.infoHash, "seed"]]);
  assert.equal(scene.storage.files.taken, 1);
});

test("a file whose bytes changed although its size and time did not is replaced as well", async (t) => {
  const { scene, path, metainfo } = await shared(t);
  await spoil(path);
  assert.equal((await scene.shares.share(path, GROUP)).replacesEarlier, true);
  assert.equal(scene.swarms.get(metainfo.infoHash), undefined);
});

test("other content under the name is refused while what is shared can still be had, and replaces it when that is gone", async (t) => {
  const { scene, path, metainfo } = await shared(t);
  await mkdir(scene.path("new"));
  const other = oneFilm("film", 2);
  await scene.file("new/film", other.bytes);
  await assert.rejects(scene.shares.share(scene.path("new", "film"), GROUP), {
    code: "FILE_EXISTS",
    message: `You share other content under that name, from ${path}: stop_share films film, then upload_file ${scene.path("new", "film")} films; or rename the file.`,
  });
  assert.deepEqual([states(scene), scene.swarms.left], [["film served"], []]);
  await rm(path);
  assert.equal((await scene.shares.share(scene.path("new", "film"), GROUP)).replacesEarlier, true);
  assert.equal(scene.swarms.get(metainfo.infoHash), undefined);
  assert.equal(scene.shares.find(id)?.metainfo.infoHash, other.metainfo.infoHash);
});

test("a file that is being downloaded here is not shared before it is complete", async (t) => {
  const scene = await Scene.open(t);
  const { bytes, metainfo } = oneFilm("film");
  scene.tracker.files.set(`${GROUP}/film`, metainfo);
  await scene.start();
  await mkdir(scene.path("copy"));
  await scene.file("copy/film", bytes);
  await assert.rejects(scene.shares.share(scene.path("copy", "film"), GROUP), {
    code: "DOWNLOAD_EXISTS",
    message: /is being downloaded here/,
  });
  assert.equal(scene.downloads.get(id).status, "running");
});

test("a logout while a file is shared ends its sharing", async (t) => {
  const scene = await Scene.open(t);
  const path = await scene.file("film", oneFilm("film").bytes);
  const answer = scene.tracker.hold("files.share");
  const sharing = assert.rejects(scene.shares.share(path, GROUP), { code: "NOT_LOGGED_IN" });
  await until(() => scene.swarms.runningNames.length === 1, "it is served");
  await scene.shares.suspendAll();
  answer();
  await soon(sharing, "sharing ends");
  assert.deepEqual([scene.swarms.runningNames, kept(scene), scene.shares.count], [[], [], 0]);
  assert.equal(scene.announcer.announced.size, 0, "although the tracker took note of it");
  assert.equal(scene.storage.files.taken, 0);
});

test("at logout shares are withdrawn, peers are told that they are offline, and the next login shares all again", async (t) => {
  const { scene, metainfo } = await shared(t);
  await shareIn(scene, "other");
  await scene.shares.suspendAll();
  assert.deepEqual(scene.swarms.left, [
    "film: sharing is paused (told offline)",
    "other: sharing is paused (told offline)",
  ]);
  assert.deepEqual(
    [scene.shares.count, scene.announcer.announced.size, scene.storage.files.taken],
    [0, 0, 0],
  );
  assert.deepEqual(kept(scene), ["film", "other"]);
  scene.tracker.take("files.share");
  await scene.shares.resumeAll();
  assert.deepEqual(states(scene), ["film served", "other served"]);
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "seed");
  assert.deepEqual(scene.tracker.take("files.share"), [], "they are listed already");
  const { addedCount } = scene.swarms;
  await scene.shares.resumeAll();
  assert.equal(scene.swarms.addedCount, addedCount, "what is served goes on");
});

test("a damaged entry of the profile is set aside and told, and the others are shared", async (t) => {
  const { scene } = await shared(t);
  await shareIn(scene, "other");
  await scene.shares.suspendAll();
  const [first] = scene.profile.shares();
  assert.ok(first);
  scene.profile.saveShare({ ...first, info: Buffer.from("nothing") });
  await scene.shares.resumeAll();
  assert.partialDeepStrictEqual(scene.events, [{ type: "profile-entry-set-aside", kind: "share", ...id }]);
  assert.deepEqual([states(scene), kept(scene)], [["other served"], ["other"]]);
});

test("a file that changed while nobody was logged in is told with what to do, and one that is gone as well", async (t) => {
  const { scene, path } = await shared(t);
  const other = await shareIn(scene, "other");
  await scene.shares.suspendAll();
  await utimes(path, 1, 1);
  await rm(other.path);
  await scene.shares.resumeAll();
  assert.deepEqual(states(scene), ["film unusable", "other unusable"]);
  assert.equal(
    ended(scene)[0],
    `${path} changed; upload_file ${path} films shares it as it is now, or stop_share films film gives it up.`,
  );
  assert.match(ended(scene)[1] ?? "", /no file of that name.* It is shared again when it is back there\.$/);
  assert.deepEqual(kept(scene), ["film", "other"]);
  assert.match(scene.shares.statuses()[0]?.reason ?? "", /changed/);
});

test("without a tracker shares wait, and nobody is alarmed; they are served when one is there", async (t) => {
  const { scene } = await shared(t);
  scene.memberships.failure = trouble("TRACKERS_UNREACHABLE");
  await loginAgain(scene);
  assert.deepEqual([states(scene), scene.events], [["film waiting"], []]);
  assert.equal(scene.shares.statuses()[0]?.peerCount, 0);
  await scene.clock.pass(10_000);
  assert.deepEqual(states(scene), ["film waiting"]);
  scene.memberships.failure = undefined;
  await scene.shares.retryWaiting();
  assert.deepEqual(states(scene), ["film served"]);
});

test("a share of a group that the user is not in any more is given up and forgotten", async (t) => {
  for (const code of ["NOT_A_MEMBER", "UNKNOWN_GROUP"] as const) {
    const { scene } = await shared(t);
    scene.memberships.failure = trouble(code);
    await loginAgain(scene);
    assert.deepEqual([states(scene), kept(scene), ended(scene)], [[], [], [`It is ${code}.`]]);
  }
});

test("a share of an earlier group of that name is not served in the one of now", async (t) => {
  const { scene, path } = await shared(t);
  scene.memberships.authorities.set(GROUP, "-- another CA --");
  await loginAgain(scene);
  assert.deepEqual(states(scene), ["film unusable"]);
  assert.equal(
    ended(scene)[0],
    `it was shared in an earlier group films; upload_file ${path} films shares it in the present group.`,
  );
  assert.deepEqual(kept(scene), ["film"]);
  await passLooking(scene, 10_000);
  assert.equal(ended(scene).length, 1, "looking at its file does not change that");
});

test("a logout while shares resume keeps further ones from being served", async (t) => {
  const { scene } = await shared(t);
  await shareIn(scene, "other");
  await scene.shares.suspendAll();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const { obtainedCount } = scene.memberships;
  const resumed = scene.shares.resumeAll();
  await until(() => scene.memberships.obtainedCount > obtainedCount, "the first is taken up");
  const { addedCount } = scene.swarms;
  await scene.shares.suspendAll();
  resolve();
  await soon(resumed, "the login ends");
  assert.equal(scene.swarms.addedCount, addedCount);
  assert.equal(scene.memberships.obtainedCount, obtainedCount + 1);
  assert.deepEqual([states(scene), scene.events, kept(scene)], [[], [], ["film", "other"]]);
});

test("a shared file that vanishes is withdrawn within seconds although nobody asks for it, and shared again when it is back", async (t) => {
  const { scene, path, metainfo } = await shared(t);
  await loginAgain(scene);
  await rename(path, `${path}.away`);
  await passLooking(scene, 6_000);
  await until(() => ended(scene).length === 1, "it is told that it is not shared any more");
  assert.match(ended(scene)[0] ?? "", /shared again when it is back there/);
  assert.deepEqual(scene.swarms.left.at(-1)?.endsWith("(told changed)"), true);
  assert.equal(scene.announcer.announced.has(metainfo.infoHash), false);
  assert.deepEqual([states(scene), scene.storage.files.taken], [["film unusable"], 0]);
  await rename(`${path}.away`, path);
  await passLooking(scene, 6_000);
  await until(() => states(scene)[0] === "film served", "it is served again");
  assert.ok(scene.logged.some(({ msg }) => msg === "a shared file is back"));
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "seed");
  assert.equal(ended(scene).length, 1);
});

test("shared files are looked at four a second at most, each no more often than every five seconds, and none after logout", async (t) => {
  const { scene, path } = await shared(t);
  await shareIn(scene, "other");
  await scene.shares.suspendAll();
  await scene.shares.resumeAll();
  await rm(path);
  await scene.clock.pass(249);
  assert.deepEqual(states(scene), ["film served", "other served"]);
  await scene.clock.pass(1);
  await until(() => states(scene)[0] === "film unusable", "it is looked at after 250 ms");
  assert.equal(states(scene)[1], "other served");
  await scene.shares.suspendAll();
  const events = scene.events.length;
  await rm(scene.path("other"));
  await scene.clock.pass(20_000);
  assert.equal(scene.events.length, events);
});

test("a file that is back in a group that the user is not in any more is not shared again", async (t) => {
  const { scene } = await shared(t);
  await loginAgain(scene);
  await scene.shares.failed(id, trouble("FILE_NOT_FOUND"));
  scene.memberships.failure = trouble("NOT_A_MEMBER");
  await scene.clock.pass(250);
  await until(() => ended(scene).length === 2, "it is told");
  assert.equal(ended(scene)[1], "It is NOT_A_MEMBER.");
  assert.deepEqual([states(scene), kept(scene), scene.failures], [[], [], []]);
});

test("however often a login is taken up, one round looks at the files", async (t) => {
  const { scene } = await shared(t);
  await loginAgain(scene);
  await scene.shares.resumeAll();
  const looks = looksOf(t);
  await passLooking(scene, 4_750);
  assert.equal(looks.count, 1);
  await passLooking(scene, 750);
  assert.equal(looks.count, 2, "five seconds have passed");
  await scene.shares.suspendAll();
  await passLooking(scene, 10_000);
  assert.equal(looks.count, 2, "nobody is logged in");
  await scene.shares.resumeAll();
  await passLooking(scene, 250);
  assert.equal(looks.count, 3, "and after the next login again");
});

test("a share that is stopped while its file is looked at is not served again", async (t) => {
  const { scene } = await shared(t);
  await loginAgain(scene);
  await scene.shares.failed(id, trouble("FILE_NOT_FOUND"));
  const looks = looksOf(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  looks.gate = promise;
  await scene.clock.pass(250);
  assert.equal(looks.count, 1);
  await scene.shares.stop(id);
  resolve();
  await turns();
  assert.deepEqual([scene.swarms.runningNames, kept(scene), states(scene)], [[], [], []]);
});

for (const code of ["FILE_NOT_FOUND", "FILE_CHANGED", "LIMIT_REACHED"] as const) {
  test(`a share that failed with ${code} is taken up again once its file is as it was`, async (t) => {
    const { scene } = await shared(t);
    await loginAgain(scene);
    await scene.shares.failed(id, trouble(code));
    assert.deepEqual([states(scene), ended(scene).length], [["film unusable"], 1]);
    await scene.clock.pass(250);
    await until(() => states(scene)[0] === "film served", "it is served again");
  });
}

test("a shared file that is written to is withdrawn although nobody asks for it", async (t) => {
  const { scene, path } = await shared(t);
  await loginAgain(scene);
  await utimes(path, 1, 1);
  await scene.clock.pass(250);
  await until(() => states(scene)[0] === "film unusable", "it is withdrawn");
  assert.match(ended(scene)[0] ?? "", /changed; upload_file/);
});

test("a look that fails for a reason that may pass does not end a share", async (t) => {
  const { scene } = await shared(t);
  await loginAgain(scene);
  const looks = looksOf(t);
  looks.failure = Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
  await passLooking(scene, 500);
  assert.ok(looks.count > 0);
  assert.deepEqual([states(scene), scene.events], [["film served"], []]);
});

test("a refusal that comes after the logout does not end the share", async (t) => {
  const { scene } = await shared(t);
  await scene.shares.suspendAll();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  scene.memberships.failure = trouble("NOT_A_MEMBER");
  const { obtainedCount } = scene.memberships;
  const resumed = scene.shares.resumeAll();
  await until(() => scene.memberships.obtainedCount > obtainedCount, "it is taken up");
  await scene.shares.suspendAll();
  resolve();
  await soon(resumed, "the login ends");
  assert.deepEqual([kept(scene), scene.events], [["film"], []]);
});

test("a share whose torrent cannot run is told, and its file is closed", async (t) => {
  const { scene } = await shared(t);
  await scene.shares.suspendAll();
  const adds = t.mock.method(scene.swarms, "add", () => {
    throw trouble("INTERNAL");
  });
  await scene.shares.resumeAll();
  adds.mock.restore();
  assert.deepEqual([states(scene), ended(scene)], [["film unusable"], ["It is INTERNAL."]]);
  assert.equal(scene.storage.files.taken, 0);
});

test("a share whose bytes were wrong is not taken up because its file looks right", async (t) => {
  const { scene, path } = await shared(t);
  await loginAgain(scene);
  await spoil(path);
  await scene.shares.dataRefused(id, "carol", 0);
  assert.deepEqual(states(scene), ["film unusable"]);
  await passLooking(scene, 12_000);
  assert.deepEqual(states(scene), ["film unusable"]);
  await loginAgain(scene);
  assert.deepEqual(states(scene), ["film unusable"], "nor after the next login");
});

test("a refused piece that is wrong here ends the share, with the member, the piece and what to do", async (t) => {
  const { scene, path, metainfo } = await shared(t);
  await spoil(path);
  scene.swarms.of(metainfo).leave("carol", { reason: "bad-data", pieceIndex: 0 });
  const { reason } = await scene.event("share-ended");
  assert.equal(
    reason,
    `carol received bad data from here, and piece 0 of ${path} is not what was shared: check the disk and restore the file; upload_file ${path} films then shares it again.`,
  );
  assert.deepEqual(scene.swarms.left, [`film: ${reason} (told changed)`]);
  assert.equal(scene.shares.statuses()[0]?.reason, reason);
  assert.equal(scene.announcer.announced.size, 0);
});

test("a refused piece that is right here is told once for each user, and a hundred users are believed", async (t) => {
  const { scene, metainfo } = await shared(t);
  const torrent = scene.swarms.of(metainfo);
  const reads = readsOf(t, torrent);
  torrent.leave("carol", { reason: "bad-data" });
  torrent.leave("carol", { reason: "not-shared", pieceIndex: 0 } as never);
  torrent.leave("carol", { reason: "bad-data", pieceIndex: 1 });
  assert.equal(reads.mock.callCount(), 0);
  torrent.leave("carol", { reason: "bad-data", pieceIndex: 0 });
  torrent.leave("carol", { reason: "bad-data", pieceIndex: 0 });
  assert.deepEqual(await scene.event("data-refused"), {
    type: "data-refused",
    ...id,
    userId: "carol",
    pieceIndex: 0,
  });
  for (let i = 0; i < 150; i++) torrent.leave(`user ${i}`, { reason: "bad-data", pieceIndex: 0 });
  await until(() => scene.eventsOf("data-refused").length === 100, "a hundred are told");
  await turns();
  assert.equal(reads.mock.callCount(), 100);
  assert.deepEqual(states(scene), ["film served"]);
});

test("a share that was stopped while a refused piece is read is not spoken of any more", async (t) => {
  const { scene, path } = await shared(t);
  await spoil(path);
  const looking = scene.shares.dataRefused(id, "carol", 0);
  await scene.shares.stop(id);
  await looking;
  assert.deepEqual([scene.events, kept(scene)], [[], []]);
});

test("a file that cannot be read any more is withdrawn, and the same trouble is told once", async (t) => {
  const { scene, metainfo, path } = await shared(t);
  const torrent = scene.swarms.of(metainfo);
  torrent.parts.onEvent({ type: "read-failed", pieceIndex: 0, error: trouble("FILE_CHANGED") });
  torrent.parts.onEvent({ type: "read-failed", pieceIndex: 0, error: trouble("FILE_CHANGED") });
  await scene.event("share-ended");
  await turns();
  assert.match(ended(scene)[0] ?? "", new RegExp(`^${path} changed; upload_file`));
  assert.equal(ended(scene).length, 1);
  assert.deepEqual(scene.swarms.left, ["film: It is FILE_CHANGED. (told changed)"]);
  await until(() => scene.storage.files.taken === 0, "its file is closed");
  const other = await shareIn(scene, "other");
  scene.swarms.of(other.metainfo).parts.onEvent({ type: "tick-failed", error: trouble("INTERNAL") });
  await until(() => ended(scene).length === 2, "a torrent that keeps failing ends its share");
});

test("the sharer is told when the other members together have every piece", async (t) => {
  const { scene, metainfo } = await shared(t);
  scene.swarms.of(metainfo).parts.onEvent({ type: "held-by-others", uploadedBytes: 12 });
  scene.swarms.of(metainfo).parts.onEvent({ type: "all-verified" });
  assert.deepEqual(scene.events, [{ type: "held-by-others", ...id, uploadedBytes: 12 }]);
});

test("a stopped share is withdrawn and forgotten, and its peers are told that it is not shared any more", async (t) => {
  const { scene, metainfo } = await shared(t);
  await scene.shares.stop(id);
  const { holderId } = scene.profile;
  assert.partialDeepStrictEqual(scene.tracker.take("files.stopShare"), [
    { ...id, holderId, everywhere: false },
  ]);
  assert.deepEqual(scene.swarms.left, ["film: no longer shared (told not-shared)"]);
  assert.equal(scene.announcer.announced.has(metainfo.infoHash), false);
  assert.deepEqual([scene.shares.count, kept(scene), scene.events], [0, [], []]);
  await assert.rejects(scene.shares.stop(id), {
    code: "NOT_SHARED",
    message: /from this machine; stop_share films film everywhere ends it at your other machines/,
  });
  assert.deepEqual(scene.tracker.take("files.stopShare"), [], "the tracker is not asked");
  await scene.shares.stop(id, true);
  assert.partialDeepStrictEqual(scene.tracker.take("files.stopShare"), [{ ...id, everywhere: true }]);
});

test("a share that the tracker has no more ends all the same; any other refusal leaves it as it was", async (t) => {
  const { scene } = await shared(t);
  scene.tracker.refuse("files.stopShare", "LIMIT_REACHED");
  await assert.rejects(scene.shares.stop(id), { code: "LIMIT_REACHED" });
  assert.deepEqual([states(scene), kept(scene)], [["film served"], ["film"]]);
  for (const code of ["NOT_SHARED", "UNKNOWN_FILE", "UNKNOWN_GROUP", "NOT_A_MEMBER"] as const) {
    scene.tracker.refuse("files.stopShare", code);
    await scene.shares.stop(id);
    assert.deepEqual([states(scene), kept(scene)], [[], []], code);
    await shareIn(scene, "film");
  }
  scene.tracker.refuse("files.stopShare", "NOT_SHARED");
  await assert.rejects(scene.shares.stop({ groupId: GROUP, fileName: "other" }, true), {
    code: "NOT_SHARED",
  });
});

test("a share that another machine of the account ended is over with what to do; that of another holder is not", async (t) => {
  const { scene, path } = await shared(t);
  await scene.shares.withdrawn(id, bob);
  assert.deepEqual(states(scene), ["film served"]);
  await scene.shares.withdrawn(id, scene.profile.holderId);
  assert.deepEqual(ended(scene), [
    `another machine of yours ended it (stop_share films film everywhere); upload_file ${path} films shares it again.`,
  ]);
  assert.deepEqual(scene.swarms.left, ["film: no longer shared (told not-shared)"]);
  await scene.shares.withdrawn(id, scene.profile.holderId);
  assert.equal(ended(scene).length, 1);
});

test("on a fresh connection what the trackers do not list is listed again, and what was ended elsewhere ends", async (t) => {
  const { scene, metainfo } = await shared(t);
  const other = await shareIn(scene, "other");
  await shareIn(scene, "third");
  scene.tracker.answers.set("files.checkShares", () => ({
    withdrawn: ["other"],
    unknown: ["film"],
    updated: [],
  }));
  scene.tracker.take("files.share");
  await scene.shares.retryWaiting();
  const [asked] = scene.tracker.take("files.checkShares");
  assert.partialDeepStrictEqual(asked, { groupId: GROUP, holderId: scene.profile.holderId });
  assert.deepEqual(filesOf(asked).slice(0, 2), [film(metainfo), film(other.metainfo)]);
  assert.deepEqual(
    scene.tracker.take("files.share").map(({ sha1 }) => sha1),
    [metainfo.sha1],
  );
  assert.deepEqual(states(scene), ["film served", "third served"]);
  assert.equal(scene.eventsOf("share-ended")[0]?.fileName, "other");
});

function filesOf(asked: { readonly files?: unknown } | undefined): { fileName: string; infoHash: string }[] {
  return asked?.files as { fileName: string; infoHash: string }[];
}

const film = ({ fileName, infoHash }: FileMetainfo) => ({ fileName, infoHash });

test("a share that the trackers have forgotten, and whose name is taken by now, ends with the reason", async (t) => {
  const { scene } = await shared(t);
  scene.tracker.answers.set("files.checkShares", () => ({ withdrawn: [], unknown: ["film"], updated: [] }));
  scene.tracker.refuse("files.share", "LIMIT_REACHED");
  await scene.shares.retryWaiting();
  assert.deepEqual(states(scene), ["film served"], "another refusal may pass");
  scene.tracker.refuse("files.share", "FILE_EXISTS");
  await scene.shares.retryWaiting();
  assert.deepEqual([states(scene), kept(scene), ended(scene)], [[], [], ["The tracker says FILE_EXISTS."]]);
  assert.match(scene.swarms.left.at(-1) ?? "", /told changed/);
});

test("shares are compared group by group, a hundred a call; one that fails keeps no other group from it", async (t) => {
  const scene = await Scene.open(t);
  const options = { lengthBytes: 100, authorityPem: "-- the CA of books --" };
  const path = await scene.file("file", filmOf("book", options).bytes);
  const facts = factsOf(statSync(path));
  const note = (groupId: string, { fileName, info }: FileMetainfo) =>
    scene.profile.saveShare({ groupId, fileName, path, info, facts, isRegistered: true });
  for (let i = 0; i < 101; i++) note(GROUP, filmOf(`film ${i}`, { lengthBytes: 100 }).metainfo);
  note("books", filmOf("book", options).metainfo);
  await scene.shares.resumeAll();
  scene.tracker.take("files.checkShares");
  const sizes = () =>
    scene.tracker.take("files.checkShares").map(({ groupId, files }) => `${groupId} ${(files as []).length}`);
  await scene.shares.retryWaiting();
  assert.deepEqual(sizes(), ["films 100", "films 1", "books 1"]);
  scene.tracker.refuse("files.checkShares", "TRACKERS_UNREACHABLE");
  await scene.shares.retryWaiting();
  assert.deepEqual(sizes(), ["films 100", "books 1"], "the rest of a group is left to the next connection");
  assert.equal(scene.shares.count, 102);
});

test("a share that is not served is not compared with the trackers", async (t) => {
  const { scene, path } = await shared(t);
  await shareIn(scene, "other");
  await rm(path);
  await scene.shares.failed(id, trouble("FILE_NOT_FOUND"));
  await scene.shares.retryWaiting();
  const [asked] = scene.tracker.take("files.checkShares");
  assert.deepEqual(
    filesOf(asked).map(({ fileName }) => fileName),
    ["other"],
  );
});

test("a share that could not be listed is not compared with what is listed", async (t) => {
  const { scene } = await shared(t);
  const [stored] = scene.profile.shares();
  assert.ok(stored);
  await scene.shares.suspendAll();
  scene.profile.saveShare({ ...stored, isRegistered: false });
  scene.tracker.refuse("files.share", "LIMIT_REACHED");
  await scene.shares.resumeAll();
  assert.deepEqual([states(scene), scene.tracker.take("files.checkShares")], [["film served"], []]);
});

test("a logout ends the comparison with the trackers", async (t) => {
  const { scene } = await shared(t);
  const book = filmOf("book", { authorityPem: "-- the CA of books --" });
  await scene.shares.share(await scene.file("book", book.bytes), "books");
  const answer = scene.tracker.hold("files.checkShares");
  const comparing = scene.shares.retryWaiting();
  await until(
    () => scene.tracker.asked.some(({ call }) => call === "files.checkShares"),
    "the tracker is asked",
  );
  await scene.shares.suspendAll();
  answer();
  await soon(comparing, "the comparison ends");
  assert.equal(scene.tracker.take("files.checkShares").length, 1);
});

test("a completed download is listed at the tracker as soon as that can be", async (t) => {
  const scene = await Scene.open(t);
  const { bytes, metainfo } = scene.film();
  scene.tracker.refuse("files.share", "TRACKERS_UNREACHABLE");
  await scene.start();
  await scene.swarms.of(metainfo).receive(bytes, "all");
  await scene.event("download-complete");
  await until(() => scene.announcer.announced.get(metainfo.infoHash) === "seed", "its tracker knows a seed");
  assert.equal(scene.profile.shares()[0]?.isRegistered, false);
  scene.tracker.answers.set("files.share", () => ({ infoHash: "", joinedSwarm: true, isAnnounced: true }));
  await scene.shares.retryWaiting();
  assert.equal(scene.profile.shares()[0]?.isRegistered, true);
  scene.tracker.take("files.share");
  await scene.shares.retryWaiting();
  assert.deepEqual(scene.tracker.take("files.share"), []);
});

test("a share that was never listed is listed when it is taken up after a login", async (t) => {
  const { scene } = await shared(t);
  const [stored] = scene.profile.shares();
  assert.ok(stored);
  await scene.shares.suspendAll();
  scene.profile.saveShare({ ...stored, isRegistered: false });
  scene.tracker.take("files.share");
  await scene.shares.resumeAll();
  assert.equal(scene.tracker.take("files.share").length, 1);
  assert.equal(scene.profile.shares()[0]?.isRegistered, true);
});

test("a share that ends while it is listed is not noted as listed", async (t) => {
  const scene = await Scene.open(t);
  const { bytes, metainfo } = scene.film();
  const answer = scene.tracker.hold("files.share");
  await scene.start();
  await scene.swarms.of(metainfo).receive(bytes, "all");
  await scene.event("download-complete");
  await scene.shares.nameLost(id, "ab".repeat(20));
  answer();
  await turns();
  assert.deepEqual(kept(scene), []);
  assert.equal(scene.announcer.announced.has(metainfo.infoHash), false);
});

test("two attempts to serve a share at once make one", async (t) => {
  const { scene } = await shared(t);
  scene.memberships.failure = trouble("TRACKERS_UNREACHABLE");
  await loginAgain(scene);
  scene.memberships.failure = undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const { addedCount } = scene.swarms;
  const { obtainedCount } = scene.memberships;
  const both = Promise.all([scene.shares.retryWaiting(), scene.shares.retryWaiting()]);
  await turns();
  assert.equal(scene.memberships.obtainedCount, obtainedCount + 1);
  resolve();
  await soon(both, "both end");
  assert.equal(scene.swarms.addedCount, addedCount + 1);
  assert.deepEqual(scene.failures, []);
});

test("a share that is stopped while it is taken up is not served", async (t) => {
  const { scene, metainfo } = await shared(t);
  await scene.shares.suspendAll();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const { obtainedCount } = scene.memberships;
  const resumed = scene.shares.resumeAll();
  await until(() => scene.memberships.obtainedCount > obtainedCount, "it is taken up");
  await scene.shares.stop(id);
  resolve();
  await soon(resumed, "the login ends");
  assert.equal(scene.swarms.get(metainfo.infoHash), undefined);
  assert.equal(scene.storage.files.taken, 0);
  assert.deepEqual([scene.shares.count, kept(scene)], [0, []]);
});

test("a share that is stopped while its file is opened is closed again", async (t) => {
  const { scene, metainfo } = await shared(t);
  await scene.shares.suspendAll();
  const left = scene.swarms.left.length;
  const open = t.mock.method(scene.storage.files, "openInPlace", async (opening: () => Promise<unknown>) => {
    const opened = await opening();
    await scene.shares.stop(id);
    return opened;
  });
  await scene.shares.resumeAll();
  open.mock.restore();
  assert.equal(scene.swarms.get(metainfo.infoHash), undefined);
  assert.deepEqual(scene.swarms.left.slice(left), ["film: no longer shared"]);
  assert.deepEqual([scene.shares.count, kept(scene)], [0, []]);
});

test("a member who leaves a group shares nothing in it any more, and is told what they can share after coming back", async (t) => {
  const { scene, path } = await shared(t);
  for (let i = 0; i < 11; i++) await shareIn(scene, `film ${i}`);
  const book = filmOf("book", { authorityPem: "-- the CA of books --" });
  await scene.shares.share(await scene.file("book", book.bytes), "books");
  await scene.shares.groupEnded(GROUP);
  assert.deepEqual([states(scene), kept(scene)], [["book served"], ["book"]]);
  assert.equal(scene.swarms.left[0], "film: no longer in the group");
  await rm(path);
  await rm(scene.path("film 0"));
  await mkdir(scene.path("film 0"));
  await scene.shares.acceptedAgain("books");
  assert.deepEqual(scene.events, []);
  await scene.shares.acceptedAgain(GROUP);
  const [told] = scene.eventsOf("may-share-again");
  assert.equal(told?.count, 10, "without the one that is gone and the folder");
  assert.deepEqual(told?.paths[0], scene.path("film 1"));
  await scene.shares.acceptedAgain(GROUP);
  assert.equal(scene.events.length, 1);
});

test("ten of many files that may be shared again are named", async (t) => {
  const scene = await Scene.open(t);
  for (let i = 0; i < 12; i++) {
    await writeFile(scene.path(`film ${i}`), "x");
    scene.profile.saveFormerShare(GROUP, scene.path(`film ${i}`));
  }
  await scene.shares.acceptedAgain(GROUP);
  const [told] = scene.eventsOf("may-share-again");
  assert.deepEqual([told?.count, told?.paths.length], [12, 10]);
});

test("a share whose name belongs to other content is over; one of that very content is not", async (t) => {
  const { scene, metainfo } = await shared(t);
  assert.equal(await scene.shares.nameLost(id, metainfo.infoHash), false);
  assert.equal(await scene.shares.nameLost({ ...id, fileName: "other" }, "ab".repeat(20)), false);
  assert.deepEqual(states(scene), ["film served"]);
  assert.equal(await scene.shares.nameLost(id, "ab".repeat(20)), true);
  assert.deepEqual(scene.swarms.left, ["film: the name is taken by other content (told not-shared)"]);
  assert.deepEqual([scene.shares.count, kept(scene)], [0, []]);
});

test("asked whether its file is gone, a share that is as it was goes on", async (t) => {
  const { scene, path } = await shared(t);
  await scene.shares.endIfGone({ ...id, fileName: "other" });
  await scene.shares.endIfGone(id);
  assert.deepEqual(states(scene), ["film served"]);
  await utimes(path, 1, 1);
  await scene.shares.endIfGone(id);
  assert.deepEqual([states(scene), kept(scene)], [[], []]);
  assert.match(ended(scene)[0] ?? "", /changed since it was shared\.$/);
});

test("a client that shares nothing compares nothing", async (t) => {
  const scene = await Scene.open(t);
  const shares = new Shares(scene.context);
  await shares.retryWaiting();
  assert.deepEqual(scene.tracker.asked, []);
});

test("a file that cannot be closed does not keep the others shared after a logout", async (t) => {
  const { scene } = await shared(t, "first");
  await shareIn(scene, "second", 2);
  const close = t.mock.method(PieceStore.prototype, "close");
  close.mock.mockImplementationOnce(() => Promise.reject(trouble("DISK_FAILED")));
  await scene.shares.suspendAll();
  assert.deepEqual(scene.swarms.runningNames, []);
});
