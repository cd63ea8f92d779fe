// All downloads of an account: which may begin, what is taken up after a login, who is told.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { test } from "node:test";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import {
  GROUP,
  leaveRoom,
  onOtherDisk,
  PIECE_BYTES,
  Scene,
  soon,
  turns,
  until,
} from "../download-fixture.ts";

const film = { groupId: GROUP, fileName: "film" };
const other = { groupId: GROUP, fileName: "other" };
const everything = undefined;
const noSignal = undefined;

test("a download to a folder keeps the file's name, and missing folders are made and told", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  scene.film("third");
  await mkdir(scene.path("there"));
  await scene.start("film", scene.path("there"));
  assert.equal(scene.downloads.get(film).destinationPath, scene.path("there", "film"));
  assert.deepEqual(scene.events, [], "no folder was made");
  await scene.start("other", `${scene.path("new", "deep")}/`);
  assert.equal(scene.downloads.get(other).destinationPath, scene.path("new", "deep", "other"));
  assert.deepEqual(scene.events, [{ type: "folder-made", path: scene.path("new", "deep") }]);
  await scene.start("third", relative(process.cwd(), scene.path("also", "named")));
  assert.equal(
    scene.downloads.get({ groupId: GROUP, fileName: "third" }).destinationPath,
    scene.path("also", "named"),
    "a relative path is of the working directory",
  );
  assert.deepEqual(scene.eventsOf("folder-made").at(-1), { type: "folder-made", path: scene.path("also") });
});

test("a download to a path below a file is refused with what to do", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  await scene.file("plain", new Uint8Array(1));
  await assert.rejects(scene.start("film", scene.path("plain", "film")), {
    code: "DESTINATION_UNUSABLE",
    message: /cannot be written/,
  });
});

test("the same file is not downloaded twice at once, and the tracker is not asked for it", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  await scene.start();
  scene.tracker.take("files.metainfo");
  await assert.rejects(scene.start("film", scene.path("elsewhere")), {
    code: "DOWNLOAD_EXISTS",
    message: /film is being downloaded already, to .*film; resume, wait or cancel it/,
  });
  assert.deepEqual(scene.tracker.take("files.metainfo"), []);
});

test("two starts of one file that cross each other make one download", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const answer = scene.tracker.hold("files.metainfo");
  const both = [scene.start(), scene.start("film", scene.path("elsewhere"))];
  const outcomes = Promise.allSettled(both);
  answer();
  const codes = (await soon(outcomes, "both starts are answered")).map((outcome) =>
    outcome.status === "fulfilled" ? "begun" : outcome.reason.code,
  );
  assert.deepEqual(codes.sort(), ["DOWNLOAD_EXISTS", "begun"]);
  assert.equal(scene.swarms.addedCount, 1);
});

test("no two downloads write to one path, also while the first waits and has no part file", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  const path = scene.path("disk.img");
  await scene.start("film", path);
  const refusal = { code: "FILE_EXISTS", message: `Another download writes to ${path} already.` };
  await assert.rejects(scene.start("other", path), refusal, "the first runs");
  await scene.downloads.get(film).pause();
  await rm(`${path}.part`);
  await assert.rejects(scene.start("other", path), refusal, "the first is paused");
  assert.throws(() => scene.downloads.get(other), { code: "UNKNOWN_DOWNLOAD" });
  await scene.downloads.cancel(film);
  await scene.start("other", path);
  assert.equal(scene.downloads.get(other).status, "running", "the path is free again");
});

test("a stopped download is not moved to a path that another one writes to", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  await scene.start();
  await scene.start("other");
  await scene.downloads.get(other).pause();
  const refusal = {
    code: "FILE_EXISTS",
    message: `Another download writes to ${scene.path("film")} already.`,
  };
  await assert.rejects(scene.start("other", scene.path("film")), refusal);
  await scene.downloads.get(other).begin();
  await scene.downloads.get(other).nameLost();
  await assert.rejects(scene.start("other", scene.path("film")), refusal, "nor one that failed");
  assert.equal(existsSync(scene.path("other.part")), true);
});

test("one of two starts that cross while a shared file is looked for begins", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  for (const second of ["film", "other"]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const looks = t.mock.method(scene.shares, "endIfGone", () => promise);
    const path = scene.path(`to-${second}`);
    const outcomes = Promise.allSettled([scene.start("film", path), scene.start(second, path)]);
    await until(() => looks.mock.callCount() === 2, "both look for the shared file");
    resolve();
    const answers = await soon(outcomes, "both are answered");
    const refusals = answers.filter((answer) => answer.status === "rejected");
    assert.equal(refusals.length, 1, "either may be the first");
    assert.match(
      String(refusals[0]?.reason.message),
      second === "film" ? /film is being downloaded already/ : /Another download writes to .* already/,
    );
    const begun = answers[0]?.status === "fulfilled" ? "film" : second;
    looks.mock.restore();
    await scene.downloads.cancel({ ...film, fileName: begun });
  }
});

test("a path is free for another download once the one that had it has failed", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  const path = scene.path("disk.img");
  await scene.start("film", path);
  await scene.downloads.groupEnded(GROUP, "left");
  assert.equal(scene.downloads.get(film).status, "failed");
  await rm(`${path}.part`);
  await scene.start("other", path);
  assert.equal(scene.downloads.get(other).status, "running");
});

test("a download that cannot begin is answered with the reason, and nothing of it is kept", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const path = await scene.file("film", new Uint8Array(5));
  await assert.rejects(scene.start(), {
    code: "FILE_EXISTS",
    message: /is there already, with other content/,
  });
  assert.throws(() => scene.downloads.get(film), { code: "UNKNOWN_DOWNLOAD", message: /show_downloads/ });
  assert.deepEqual(scene.profile.downloads(), []);
  assert.deepEqual(scene.downloads.statuses(), []);
  assert.deepEqual(scene.events, [], "the answer says it");
  assert.equal(existsSync(`${path}.part`), false);
  assert.equal(scene.downloads.runningCount, 0);
  assert.deepEqual(await scene.downloads.settled(everything, noSignal), []);
});

test("a file that nobody shares, or that has another name in its metainfo, is not downloaded", async (t) => {
  const scene = await Scene.open(t);
  await assert.rejects(scene.start(), { code: "UNKNOWN_FILE" });
  const { metainfo } = scene.film("other");
  scene.tracker.files.set(`${GROUP}/film`, metainfo);
  await assert.rejects(scene.start(), {
    code: "MALFORMED_MESSAGE",
    message: /another file than was asked for/,
  });
  scene.tracker.answers.set("files.metainfo", () => ({ info: Buffer.from("junk").toString("base64") }));
  await assert.rejects(scene.start(), { code: "MALFORMED_MESSAGE" });
});

test("a paused download that is started to another place moves there with what it has, and goes on", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film();
  await scene.start();
  await scene.swarms.of(metainfo).receive(bytes, [1]);
  await scene.downloads.get(film).pause();
  await assert.rejects(
    scene.start(),
    { code: "DOWNLOAD_EXISTS" },
    "to the same place: that is what resume is for",
  );
  await mkdir(scene.path("there"));
  const status = await scene.downloads.start(film, scene.path("there"));
  assert.equal(status.state, "downloading");
  assert.equal(status.piecesVerified, 1);
  assert.equal(status.destinationPath, scene.path("there", "film"));
  assert.equal(existsSync(scene.path("film.part")), false);
  assert.equal(existsSync(scene.path("there", "film.part")), true);
  assert.equal(scene.swarms.of(metainfo).torrent.have.has(1), true);
});

test("a failed download that is started again goes on with what it has; one of other content has to be cancelled", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film();
  await scene.start();
  await scene.swarms.of(metainfo).receive(bytes, [0, 2]);
  await scene.downloads.groupEnded(GROUP, "removed");
  const status = await scene.downloads.start(film, scene.path("film"));
  assert.deepEqual([status.state, status.piecesVerified], ["downloading", 2]);
  await scene.downloads.groupEnded(GROUP, "removed");
  scene.film("film", { seed: 2 });
  await assert.rejects(scene.start(), {
    code: "DOWNLOAD_EXISTS",
    message: /other content .* film; cancel it first/,
  });
});

test("a file shared from here is not downloaded to another place, unless the shared file is gone", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film();
  await mkdir(scene.path("shared"));
  const path = await scene.file("shared/film", bytes);
  await scene.start("film", path);
  assert.equal(scene.downloads.statuses(film)[0]?.state, "complete", "it was there");
  await assert.rejects(scene.start("film", scene.path("copy")), {
    code: "FILE_EXISTS",
    message: `film is on this machine already, at ${path}; copy it from there.`,
  });
  await rm(path);
  await scene.start("film", scene.path("copy"));
  assert.equal(scene.downloads.get(film).status, "running");
  assert.equal((await scene.event("share-ended")).fileName, "film");
  assert.deepEqual(scene.swarms.left, [`film: ${scene.eventsOf("share-ended")[0]?.reason} (told changed)`]);
  assert.equal(scene.swarms.of(metainfo).parts.have.count, 0);
});

test("a complete download whose file is shared from where it is may be started to the same place again", async (t) => {
  const scene = await Scene.open(t);
  const { bytes } = scene.film();
  const path = await scene.file("film", bytes);
  await scene.start("film", path);
  await scene.start("film", path);
  assert.equal(scene.downloads.get(film).status, "complete");
  assert.equal(scene.shares.count, 1);
});

test("after a login what was running goes on, what was paused stays so, and what there is already is left alone", async (t) => {
  const scene = await Scene.open(t);
  for (const name of ["film", "other", "third"]) {
    scene.film(name);
    await scene.start(name);
  }
  await scene.downloads.get(other).pause();
  await scene.downloads.suspendAll();
  assert.deepEqual(scene.downloads.statuses(), [], "logged out");
  const again = scene.downloads;
  await (await again.resumeAll()).begun;
  const states = () =>
    again
      .statuses()
      .map(({ fileName, state }) => `${fileName} ${state}`)
      .sort();
  assert.deepEqual(states(), ["film downloading", "other paused", "third downloading"]);
  const before = [film, other].map((file) => again.get(file));
  await (await again.resumeAll()).begun;
  assert.deepEqual(
    [film, other].map((file) => again.get(file) === before.shift()),
    [true, true],
  );
  assert.deepEqual(states(), ["film downloading", "other paused", "third downloading"]);
});

test("the path of a download that stays paused after a login is not free for another one", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  await scene.start();
  await scene.downloads.get(film).pause();
  await scene.downloads.suspendAll();
  await (await scene.downloads.resumeAll()).begun;
  await assert.rejects(scene.start("other", scene.path("film")), { message: /^Another download writes to/ });
});

test("an entry of the profile that is damaged is set aside and told, and the others are taken up", async (t) => {
  const scene = await Scene.open(t);
  for (const name of ["film", "other"]) {
    scene.film(name);
    await scene.start(name);
  }
  await scene.downloads.suspendAll();
  const [first] = scene.profile.downloads();
  assert.ok(first);
  const second = scene.profile.downloads().find(({ fileName }) => fileName === "other");
  assert.ok(second);
  scene.profile.saveDownload({ ...first, fileName: "film", info: Buffer.from("no dictionary") });
  scene.profile.saveDownload(second);
  await (await scene.downloads.resumeAll()).begun;
  const [told] = scene.eventsOf("profile-entry-set-aside");
  assert.partialDeepStrictEqual(told, { kind: "download", groupId: GROUP, fileName: "film" });
  assert.match(told?.reason ?? "", /metainfo|bencod/i);
  assert.deepEqual(
    scene.downloads.statuses().map(({ fileName }) => fileName),
    ["other"],
  );
  assert.deepEqual(
    scene.profile.downloads().map(({ fileName }) => fileName),
    ["other"],
  );
});

test("one download that cannot be taken up keeps none of the others from it, and is logged", async (t) => {
  const scene = await Scene.open(t);
  for (const name of ["film", "other"]) {
    scene.film(name);
    await scene.start(name);
  }
  await scene.downloads.suspendAll();
  await writeFile(scene.path("film"), "something else");
  await (await scene.downloads.resumeAll()).begun;
  assert.equal(scene.downloads.get(film).status, "failed");
  assert.equal(scene.downloads.get(other).status, "running");
  assert.equal((await scene.event("download-failed")).code, "FILE_EXISTS");
  assert.ok(scene.logged.some(({ msg }) => msg === "download could not be taken up"));
});

test("a logout while downloads resume keeps further ones from beginning", async (t) => {
  const scene = await Scene.open(t);
  for (const name of ["film", "other"]) {
    scene.film(name);
    await scene.start(name);
  }
  await scene.downloads.suspendAll();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const { begun: resumed } = await scene.downloads.resumeAll();
  assert.deepEqual(
    scene.downloads.statuses().map(({ fileName, state }) => [fileName, state]),
    [
      ["film", "downloading"],
      ["other", "downloading"],
    ],
    "both are known before the first has begun",
  );
  await until(() => scene.memberships.obtainedCount > 2, "the first download is opened");
  const suspended = scene.downloads.suspendAll();
  resolve();
  await soon(Promise.all([resumed, suspended]), "login and logout end");
  assert.deepEqual(scene.downloads.statuses(), []);
  assert.deepEqual(scene.swarms.runningNames, []);
  assert.equal(scene.profile.downloads().length, 2, "for the next login");
});

test("when a tracker is found again, each running download asks who has its file", async (t) => {
  const scene = await Scene.open(t);
  const first = scene.film();
  const second = scene.film("other");
  scene.film("third");
  for (const name of ["film", "other", "third"]) await scene.start(name);
  await scene.downloads.get({ groupId: GROUP, fileName: "third" }).pause();
  scene.tracker.take("presence.peers");
  const alice = { userId: "alice", deviceId: "a1", host: "192.0.2.7", port: 7000, isSeed: true };
  scene.tracker.answers.set("presence.peers", () => [alice]);
  await scene.downloads.findPeers();
  assert.deepEqual(
    scene.tracker.take("presence.peers").map(({ infoHash }) => infoHash),
    [first.metainfo.infoHash, second.metainfo.infoHash],
  );
  assert.deepEqual(scene.swarms.of(first.metainfo).connections.named.at(-1), [alice]);
});

test("a cancelled download is forgotten with its part file, and who waits for it goes on", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  await scene.start();
  const waiting = scene.downloads.settled(everything, noSignal);
  assert.equal(await scene.downloads.cancel(film), undefined);
  await soon(waiting, "the wait ends");
  assert.equal(existsSync(scene.path("film.part")), false);
  assert.deepEqual(scene.profile.downloads(), []);
  assert.deepEqual(scene.swarms.runningNames, []);
  assert.equal(scene.announcer.announced.size, 0);
  await assert.rejects(scene.downloads.cancel(film), { code: "UNKNOWN_DOWNLOAD" });
});

test("a member who leaves a group loses the downloads of that group alone, and is told what to do", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("book", { groupId: "books", authorityPem: "-- the CA of books --" });
  await scene.start();
  await scene.start("book", scene.path("book"), "books");
  await scene.downloads.groupEnded(GROUP, "removed");
  const [status] = scene.downloads.statuses(film);
  assert.partialDeepStrictEqual(status, { state: "failed", code: "NOT_A_MEMBER" });
  assert.equal(scene.downloads.get({ groupId: "books", fileName: "book" }).status, "running");
  assert.deepEqual(scene.swarms.runningNames, ["book"]);
});

test("a download whose name belongs to other content fails; one of that very content goes on", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo } = scene.film();
  await scene.start();
  await scene.downloads.nameLost(film, metainfo.infoHash);
  assert.equal(scene.downloads.get(film).status, "running");
  await scene.downloads.nameLost(other, "ab".repeat(20));
  await scene.downloads.nameLost(film, "ab".repeat(20));
  assert.partialDeepStrictEqual(scene.downloads.statuses(film)[0], { code: "NAME_TAKEN_ELSEWHERE" });
});

test("when a file is shared anew, its unfinished download is compared with it, and ends if its pieces are had by nobody", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  const third = scene.film("third");
  for (const name of ["film", "other"]) await scene.start(name);
  await scene.start("third", await scene.file("third", third.bytes));
  scene.tracker.take("files.metainfo");
  await scene.downloads.filesShared(GROUP, ["unheard of", "third", "film"]);
  assert.deepEqual(scene.tracker.take("files.metainfo"), [film], "only of what is under way");
  assert.equal(scene.downloads.get(film).status, "running", "it is the same content");
  scene.tracker.files.delete(`${GROUP}/film`);
  scene.film("other", { seed: 2 });
  await scene.downloads.filesShared(GROUP, ["film", "other"]);
  assert.equal(scene.downloads.get(film).status, "running", "the tracker did not say");
  assert.partialDeepStrictEqual(scene.downloads.statuses(other)[0], {
    state: "failed",
    code: "FILE_CHANGED",
  });
});

test("when files are shared together, a failed download is no longer compared", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  await scene.start();
  await scene.downloads.groupEnded(GROUP, "left");
  scene.tracker.take("files.metainfo");
  await scene.downloads.filesShared(GROUP, ["film"]);
  assert.deepEqual(scene.tracker.take("files.metainfo"), []);
  await scene.downloads.get(film).begin();
  await scene.downloads.filesShared(GROUP, ["film"]);
  assert.equal(scene.tracker.take("files.metainfo").length, 1, "it runs again");
});

test("wait ends when every download has settled, or the named one", async (t) => {
  const scene = await Scene.open(t);
  const first = scene.film();
  scene.film("other");
  await scene.start();
  await scene.start("other");
  assert.equal(scene.downloads.runningCount, 2);
  const outcome = { one: false, all: false };
  const one = scene.downloads.settled(film, noSignal);
  const all = scene.downloads.settled(everything, noSignal);
  void one.then(() => (outcome.one = true));
  void all.then(() => (outcome.all = true));
  await scene.swarms.of(first.metainfo).receive(first.bytes, "all");
  assert.deepEqual(
    (await soon(one, "the wait for one ends")).map(({ fileName, state }) => `${fileName} ${state}`),
    ["film complete"],
  );
  await turns();
  assert.deepEqual(outcome, { one: true, all: false });
  assert.equal(scene.downloads.runningCount, 1);
  await scene.downloads.get(other).pause();
  const statuses = await soon(all, "the wait for all ends");
  assert.deepEqual(
    statuses.map(({ state }) => state),
    ["complete", "paused"],
  );
  assert.equal(scene.downloads.runningCount, 0);
});

test("a wait ends with its signal, which keeps no listener of it", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  await scene.start();
  const aborter = new AbortController();
  const removed = t.mock.method(aborter.signal, "removeEventListener");
  const waiting = scene.downloads.settled(film, aborter.signal);
  aborter.abort();
  const [status] = await soon(waiting, "the wait ends");
  assert.equal(status?.state, "downloading");
  assert.equal(removed.mock.callCount(), 1);
  await soon(
    scene.downloads.settled(film, aborter.signal),
    "a wait whose signal has aborted already ends at once",
  );
  await assert.rejects(scene.downloads.settled(other, noSignal), { code: "UNKNOWN_DOWNLOAD" });
});

test("a wait for downloads ends at a logout, with the reason", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  await scene.start();
  for (const [reason, words] of [
    [undefined, /before they were complete\. You logged out\. They continue after the next login/],
    ["The account was removed.", /complete\. The account was removed\./],
  ] as const) {
    const waiting = scene.downloads.settled(everything, noSignal);
    const refused = assert.rejects(waiting, { code: "NOT_LOGGED_IN", message: words });
    await scene.downloads.suspendAll(reason);
    await soon(refused, "the wait ends");
    await (await scene.downloads.resumeAll()).begun;
  }
});

test("a logout ends every download, closes its part file, and the profile keeps what it has", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film();
  scene.film("other");
  await scene.start();
  await scene.start("other");
  await scene.swarms.of(metainfo).receive(bytes, [0]);
  const store = scene.swarms.of(metainfo).parts.storage;
  await scene.downloads.suspendAll();
  assert.deepEqual(scene.swarms.left, [
    "film: logged out (told offline)",
    "other: logged out (told offline)",
  ]);
  assert.equal(store.reserve(1), undefined, "its store is closed");
  assert.equal(scene.downloads.runningCount, 0);
  const stored = scene.profile.downloads().find(({ fileName }) => fileName === "film");
  assert.deepEqual(stored && [...stored.have], [0b1000_0000]);
  assert.equal(stored?.isPaused, false);
});

test("completed downloads are listed in the history once, and the others as they stand", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film();
  scene.film("other");
  await scene.start();
  await scene.start("other");
  await scene.swarms.of(metainfo).receive(bytes, "all");
  await scene.event("download-complete");
  const names = () => scene.downloads.history().map(({ fileName, state }) => `${fileName} ${state}`);
  assert.deepEqual(names(), ["film complete", "other downloading"]);
  assert.deepEqual(
    scene.downloads.statuses(other).map(({ fileName }) => fileName),
    ["other"],
  );
  assert.deepEqual(scene.downloads.statuses({ groupId: "books", fileName: "film" }), []);
});

test("ten waiting downloads a minute are told one by one, the others as a number", async (t) => {
  const scene = await Scene.open(t);
  const waits = async (from: number, count: number) => {
    for (let i = from; i < from + count; i++) {
      const { metainfo } = scene.film(`film ${i}`);
      await scene.start(`film ${i}`);
      const torrent = scene.swarms.of(metainfo);
      torrent.torrent.isStarved = true;
      torrent.parts.onEvent({ type: "waiting" });
      await turns();
    }
  };
  await waits(0, 13);
  await until(() => scene.eventsOf("downloads-waiting").length === 1, "it is told that there are more");
  assert.deepEqual(
    scene.eventsOf("download-waiting").map(({ fileName }) => fileName),
    Array.from({ length: 10 }, (_, i) => `film ${i}`),
  );
  assert.match(scene.eventsOf("download-waiting")[0]?.reason ?? "", /No member who has it is online/);
  scene.clock.nowMs += 59_999;
  await waits(13, 1);
  assert.equal(scene.eventsOf("download-waiting").length, 10);
  scene.clock.nowMs += 1;
  await waits(14, 1);
  assert.deepEqual(scene.eventsOf("download-waiting").at(-1)?.fileName, "film 14", "a minute has passed");
  assert.equal(scene.eventsOf("downloads-waiting").length, 1);
});

test("room that running downloads still need is not promised to another one", async (t) => {
  const scene = await Scene.open(t);
  const lengthBytes = 4 * PIECE_BYTES;
  const first = scene.film("film", { lengthBytes });
  for (const name of ["other", "third"]) scene.film(name, { lengthBytes });
  const room = leaveRoom(t, 2 * lengthBytes - 1);
  await scene.start();
  const full = { code: "DISK_FULL", message: /besides 131\.\d kB|besides 132 kB|besides 13\d(\.\d)? kB/ };
  await assert.rejects(scene.start("other"), full);
  await scene.swarms.of(first.metainfo).receive(first.bytes, [0]);
  await scene.start("other");
  assert.equal(scene.downloads.get(other).promisedBytes, lengthBytes, "what it has not is its own promise");
  assert.equal(scene.downloads.get(film).promisedBytes, lengthBytes - PIECE_BYTES);
  room.bytes = 3 * lengthBytes - PIECE_BYTES - 1;
  await assert.rejects(
    scene.start("third"),
    { code: "DISK_FULL", message: /for other downloads/ },
    "both are counted",
  );
  await scene.downloads.get(other).pause();
  assert.equal(scene.downloads.get(other).promisedBytes, 0, "it does not run");
  room.bytes = 2 * lengthBytes - PIECE_BYTES;
  await scene.start("third");
});

test("room on one disk is not promised away by downloads to another one", async (t) => {
  const scene = await Scene.open(t);
  const lengthBytes = 4 * PIECE_BYTES;
  for (const name of ["film", "other"]) scene.film(name, { lengthBytes });
  await mkdir(scene.path("elsewhere"));
  onOtherDisk(t, scene.path("elsewhere"));
  leaveRoom(t, lengthBytes + 1);
  await scene.start("film", scene.path("elsewhere", "film"));
  await scene.start("other");
  assert.equal(scene.downloads.runningCount, 2);
});

test("bytes that a download still needs itself do not count twice", async (t) => {
  const scene = await Scene.open(t);
  const lengthBytes = 4 * PIECE_BYTES;
  scene.film("film", { lengthBytes });
  leaveRoom(t, lengthBytes + 1);
  await scene.start();
  await scene.downloads.get(film).pause();
  await scene.downloads.get(film).begin();
  assert.equal(scene.downloads.get(film).status, "running");
});

test("a download fails for a membership that the tracker denies, and a tracker that is away only delays it", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.memberships.failure = new MiniTorrentError("NOT_A_MEMBER", "You are no member of films.");
  await assert.rejects(scene.start(), { code: "NOT_A_MEMBER" });
  assert.equal(existsSync(join(scene.folder, "film.part")), false);
});

test("held downloads stop and say why, and continue when they are released; what the user paused does not", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  await scene.start();
  await scene.start("other");
  await scene.downloads.get(other).pause();
  await scene.downloads.hold("Not now.");
  const states = () => scene.downloads.statuses().map(({ state }) => state);
  assert.deepEqual(states(), ["paused", "paused"]);
  const [held] = scene.downloads.statuses(film);
  assert.equal(held?.state === "paused" && held.reason, "Not now.");
  assert.deepEqual(
    scene.profile.downloads().flatMap(({ fileName, isPaused }) => (isPaused ? [fileName] : [])),
    ["other"],
    "the next login resumes what is held",
  );
  await scene.downloads.release();
  await until(() => scene.downloads.get(film).status === "running", "the download continues");
  assert.equal(scene.downloads.get(other).status, "paused");
});

test("a login while downloads are held begins none, and they begin when they are released", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  await scene.start();
  await scene.downloads.suspendAll();
  await scene.downloads.hold("Not now.");
  await (await scene.downloads.resumeAll()).begun;
  const [held] = scene.downloads.statuses(film);
  assert.equal(held?.state === "paused" && held.reason, "Not now.");
  await scene.downloads.release();
  await until(() => scene.downloads.get(film).status === "running", "the download continues");
});

test("what the user resumes or pauses while downloads are held stays so", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  scene.film("other");
  await scene.start();
  await scene.start("other");
  await scene.downloads.hold("Not now.");
  await scene.downloads.get(film).begin(true);
  await scene.downloads.get(other).pause();
  assert.equal(scene.downloads.get(film).status, "running");
  await scene.downloads.release();
  assert.deepEqual(
    [film, other].map((file) => scene.downloads.get(file).status),
    ["running", "paused"],
  );
});

test("a download tells which member each piece came from, also after a pause and after the next login", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film();
  await scene.start();
  const torrent = scene.swarms.of(metainfo);
  await torrent.receive(bytes, [1], "bob");
  torrent.torrent.coming.add(2);
  torrent.torrent.copies = [1, 2, 2, 2];
  const expected = {
    ...{ pieceCount: 4, piecesPerCell: 1, sources: ["bob"] },
    runs: [
      { count: 1, from: -2 },
      { count: 1, from: 0 },
      { count: 1, from: -2, isComing: true },
      { count: 1, from: -2 },
    ],
    availability: [
      { count: 1, copies: 1 },
      { count: 3, copies: 2 },
    ],
  };
  assert.deepEqual(scene.downloads.pieceMap(film), expected);
  assert.deepEqual(
    scene.downloads.filesAfter(film, undefined).items.map(({ path, verifiedBytes }) => [path, verifiedBytes]),
    [["film", PIECE_BYTES]],
  );
  const stopped = {
    ...expected,
    runs: [
      { count: 1, from: -2 },
      { count: 1, from: 0 },
      { count: 2, from: -2 },
    ],
    availability: [{ count: 4, copies: 0 }],
  };
  await scene.downloads.get(film).pause();
  assert.deepEqual(scene.downloads.pieceMap(film), stopped);
  await scene.downloads.suspendAll();
  await (await scene.downloads.resumeAll()).begun;
  assert.deepEqual(scene.downloads.pieceMap(film), stopped);
});

test("a share has every piece, from nobody known, and its files are complete; what is neither is not known", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film();
  await scene.start();
  await scene.swarms.of(metainfo).receive(bytes, "all");
  await scene.event("download-complete");
  await scene.downloads.suspendAll();
  const { runs, availability } = scene.downloads.pieceMap(film);
  assert.deepEqual(runs, [{ count: 4, from: -1 }]);
  assert.deepEqual(availability, [{ count: 4, copies: 0 }]);
  assert.equal(scene.downloads.filesAfter(film, undefined).items[0]?.verifiedBytes, bytes.length);
  assert.throws(() => scene.downloads.pieceMap(other), { code: "UNKNOWN_DOWNLOAD" });
});
