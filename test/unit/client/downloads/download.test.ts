// One download through its states: begun, paused, failed, tried again, complete; and what is told of it meanwhile.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { type ErrorCode, MiniTorrentError } from "../../../../src/api/errors.ts";
import type { Download } from "../../../../src/client/downloads/download.ts";
import { DownloadRecord } from "../../../../src/client/downloads/download-record.ts";
import type { Contact } from "../../../../src/engine/connection-manager.ts";
import { PieceStore } from "../../../../src/storage/piece-store.ts";
import { PieceSet } from "../../../../src/swarm/piece-set.ts";
import type { PieceHolder } from "../../../../src/swarm/torrent-status.ts";
import {
  type FakeTorrent,
  type Film,
  GROUP,
  leaveRoom,
  PIECE_BYTES,
  readsOf,
  Scene,
  START_MS,
  soon,
  spoil,
  turns,
  until,
} from "../download-fixture.ts";

const id = { groupId: GROUP, fileName: "film" };
const PIECES = 4;

interface Running extends Film {
  readonly scene: Scene;
  readonly download: Download;
  readonly torrent: () => FakeTorrent;
  readonly path: string;
}

/** A download of four pieces that runs, and has those. */
async function running(
  t: Parameters<typeof Scene.open>[0],
  pieces: readonly number[] = [],
): Promise<Running> {
  const scene = await Scene.open(t);
  const film = scene.film();
  await scene.start();
  await scene.swarms.of(film.metainfo).receive(film.bytes, pieces);
  const download = scene.downloads.get(id);
  return {
    ...film,
    scene,
    download,
    torrent: () => scene.swarms.of(film.metainfo),
    path: scene.path("film"),
  };
}

function holder(userId: string, changes: Partial<PieceHolder> = {}): PieceHolder {
  return {
    ...{ userId, deviceId: userId, has: PieceSet.full(PIECES), isConnected: true, lastSeenAgoMs: 0 },
    ...{ isTried: false, remarks: [], farewell: undefined },
    ...changes,
  };
}

function contact(changes: Partial<Contact> = {}): Contact {
  return {
    ...{ userId: "alice", deviceId: "a1", address: "192.0.2.7:7000", isDialling: false, nextDialInMs: 4_000 },
    ...{ obstacle: undefined, lastFailure: "connection refused", farewell: undefined, isClockFailure: false },
    ...changes,
  };
}

/** Until it is tried again by itself. */
async function retryInMs(download: Download): Promise<number | undefined> {
  const step = async () => (await download.why()).next[0];
  await until(async () => (await step())?.what === "it is tried again", "it will be tried again");
  return (await step())?.inMs;
}

const trouble = (code: ErrorCode) => new MiniTorrentError(code, `It is ${code}.`);
const stored = (scene: Scene) => scene.profile.downloads()[0];
const havePieces = (scene: Scene) => {
  const byte = stored(scene)?.have[0] ?? 0;
  return [0, 1, 2, 3].filter((piece) => (byte & (0x80 >> piece)) !== 0);
};

test("a download fetches what is missing, is verified as a whole, gets its name, and is shared from there", async (t) => {
  const { scene, torrent, bytes, metainfo, path, download } = await running(t);
  assert.equal(download.status, "running");
  assert.equal(download.isSettled, false);
  assert.equal(scene.announcer.announced.get(metainfo.infoHash), "downloader");
  scene.clock.nowMs += 2_000;
  await torrent().receive(bytes, "all");
  const event = await scene.event("download-complete");
  assert.deepEqual(event, {
    ...{ type: "download-complete", ...id, destinationPath: path, sha1: metainfo.sha1 },
  });
  assert.deepEqual(new Uint8Array(readFileSync(path)), bytes);
  assert.equal(existsSync(`${path}.part`), false);
  const expected = {
    ...{ ...id, destinationPath: path, lengthBytes: bytes.length, pieceCount: PIECES },
    ...{ piecesVerified: PIECES, bytesVerified: bytes.length, duplicateBytes: 0 },
    sources: [
      { userId: "alice", isConnected: true, pieces: 4, bytes: bytes.length, rateBytesPerSecond: 1_000 },
    ],
    ...{ state: "complete", sha1: metainfo.sha1, finishedAtMs: START_MS },
    averageBytesPerSecond: Math.round(bytes.length / 2),
  };
  assert.deepEqual(download.snapshot(), expected);
  assert.deepEqual(scene.profile.finished(), [expected]);
  assert.deepEqual(scene.profile.downloads(), []);
  assert.partialDeepStrictEqual(scene.shares.statuses(), [{ ...id, path, state: "served" }]);
  assert.equal(download.isSettled, true);
  await until(() => scene.profile.shares()[0]?.isRegistered === true, "the share is listed at the tracker");
  assert.deepEqual(scene.swarms.left, [], "its torrent goes on");
  assert.deepEqual(scene.failures, []);
});

test("while it verifies the whole, it says so", async (t) => {
  const { torrent, bytes, download } = await running(t, [0, 1, 2]);
  await download.pause();
  await download.begin();
  await torrent().receive(bytes, [3], "carol");
  assert.equal(download.status, "verifying");
  const status = download.snapshot();
  assert.partialDeepStrictEqual(status, {
    state: "verifying",
    piecesVerified: PIECES,
    bytesVerified: bytes.length,
  });
  assert.deepEqual(
    status.sources.map(({ userId, bytes: gave }) => [userId, gave]),
    [
      ["alice", 3 * PIECE_BYTES],
      ["carol", 100],
    ],
  );
  assert.equal(download.promisedBytes, 0);
});

test("beginning what runs already begins nothing", async (t) => {
  const { scene, download } = await running(t);
  await download.begin();
  assert.equal(scene.swarms.addedCount, 1);
});

test("content that is at the destination already is shared from there, and only who is not answered is told by an event", async (t) => {
  const scene = await Scene.open(t);
  const { bytes, metainfo } = scene.film();
  await scene.start();
  await scene.downloads.suspendAll();
  await rm(scene.path("film.part"));
  await scene.file("film", bytes);
  await (await scene.downloads.resumeAll()).begun;
  assert.partialDeepStrictEqual(scene.downloads.statuses(id)[0], { state: "complete", sources: [] });
  assert.equal(scene.downloads.statuses(id)[0]?.piecesVerified, PIECES);
  assert.equal((await scene.event("download-complete")).sha1, metainfo.sha1);
  assert.deepEqual(scene.profile.downloads(), []);
  assert.equal(scene.profile.finished().length, 1);
  assert.equal(scene.profile.finished()[0]?.averageBytesPerSecond, undefined, "nothing was fetched");
  assert.equal(scene.shares.count, 1);
  const answered = scene.film("other");
  await scene.start("other", await scene.file("other", answered.bytes));
  assert.equal(scene.eventsOf("download-complete").length, 1);
});

test("paused by the user, it leaves the swarm, says so to its peers, and stays paused over a login", async (t) => {
  const { scene, download, path } = await running(t, [2]);
  await download.pause();
  assert.deepEqual(scene.swarms.left, ["film: paused (told paused)"]);
  assert.equal(scene.announcer.announced.size, 0);
  assert.deepEqual([stored(scene)?.isPaused, havePieces(scene)], [true, [2]]);
  assert.partialDeepStrictEqual(download.snapshot(), {
    ...{ state: "paused", reason: undefined, piecesVerified: 1, bytesVerified: PIECE_BYTES },
  });
  assert.equal(download.isSettled, true);
  assert.equal(existsSync(`${path}.part`), true);
  await scene.clock.pass(120_000);
  assert.deepEqual(scene.tracker.take("presence.peers"), [], "nobody is looked for any more");
  assert.equal(download.status, "paused");
  await download.pause();
  await download.begin();
  assert.equal(stored(scene)?.isPaused, false);
  assert.equal(scene.swarms.runningNames.length, 1);
});

test("resumed, it does not verify again what it knows of a part file that nobody touched", async (t) => {
  const { scene, download, torrent, path } = await running(t, [2]);
  await download.pause();
  await spoil(`${path}.part`, 2 * PIECE_BYTES);
  await download.begin();
  assert.deepEqual([torrent().torrent.have.has(2), torrent().torrent.have.count], [true, 1]);
  await download.pause();
  await utimes(`${path}.part`, 1, 1);
  await download.begin();
  assert.equal(torrent().torrent.have.count, 0, "touched, and then all of it is verified");
  assert.deepEqual(scene.failures, []);
});

test("a complete or failed download cannot be paused", async (t) => {
  const { scene, download, torrent, bytes } = await running(t);
  await torrent().receive(bytes, "all");
  await scene.event("download-complete");
  await assert.rejects(download.pause(), {
    code: "INVALID_ARGUMENT",
    message: "film is not running: it is complete.",
  });
  const other = await running(t);
  await other.download.nameLost();
  await assert.rejects(other.download.pause(), { code: "INVALID_ARGUMENT", message: /it is failed/ });
});

test("paused while it is opened, it is not in the swarm afterwards, and its part file is closed", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const begun = scene.start();
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  const download = scene.downloads.get(id);
  assert.partialDeepStrictEqual(download.snapshot(), {
    ...{ state: "downloading", waitingFor: "the check of what is on disk already" },
  });
  await download.pause();
  resolve();
  await soon(begun, "the start is answered");
  assert.equal(download.status, "paused");
  assert.equal(scene.swarms.addedCount, 0);
  assert.equal(scene.storage.files.taken, 0);
});

test("paused while the file at its destination is looked at, it shares nothing", async (t) => {
  const scene = await Scene.open(t);
  const { bytes } = scene.film();
  await scene.file("film", bytes);
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const begun = scene.start();
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  await scene.downloads.get(id).pause();
  resolve();
  await soon(begun, "the start is answered");
  assert.equal(scene.downloads.get(id).status, "paused");
  assert.deepEqual([scene.shares.count, scene.swarms.addedCount, scene.events], [0, 0, []]);
});

test("trouble of an opening that was given up is nobody's any more", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  scene.memberships.failure = trouble("NOT_A_MEMBER");
  const begun = scene.start();
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  const download = scene.downloads.get(id);
  await download.pause();
  resolve();
  await soon(begun, "the start is answered");
  assert.equal(download.status, "paused");
  assert.deepEqual(scene.events, []);
});

test("the second of two openings waits until the first has ended", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const begun = scene.start();
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  const download = scene.downloads.get(id);
  await download.pause();
  const again = download.begin();
  await turns();
  assert.equal(scene.memberships.obtainedCount, 1);
  resolve();
  await soon(Promise.all([begun, again]), "both are answered");
  assert.equal(download.status, "running");
  assert.equal(scene.swarms.addedCount, 1);
});

test("an opening whose turn comes when it was given up opens nothing", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const begun = scene.start();
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  const download = scene.downloads.get(id);
  await download.pause();
  const again = download.begin();
  await download.pause();
  resolve();
  await soon(Promise.all([begun, again]), "both are answered");
  assert.equal(scene.memberships.obtainedCount, 1);
  assert.equal(download.status, "paused");
});

test("a logout waits for an opening that is under way", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const begun = scene.start().catch(() => undefined);
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  let isSuspended = false;
  const suspended = scene.downloads.suspendAll().then(() => {
    isSuspended = true;
  });
  await turns();
  assert.equal(isSuspended, false);
  resolve();
  await soon(Promise.all([begun, suspended]), "both end");
  assert.equal(scene.swarms.addedCount, 0);
});

test("cancelled while all is there but not verified as a whole, it keeps the part file, which may be the only copy", async (t) => {
  const { scene, torrent, bytes, path, download } = await running(t);
  await writeFile(path, "precious");
  await torrent().receive(bytes, "all");
  assert.equal((await scene.event("download-failed")).code, "FILE_EXISTS");
  assert.equal(await scene.downloads.cancel(id), `${path}.part`);
  assert.deepEqual(new Uint8Array(readFileSync(`${path}.part`)), bytes);
  assert.equal(readFileSync(path, "utf8"), "precious");
  assert.equal(download.status, "ended");
});

test("a complete download that is cancelled is only forgotten", async (t) => {
  const { scene, torrent, bytes, path } = await running(t);
  await torrent().receive(bytes, "all");
  await scene.event("download-complete");
  assert.equal(await scene.downloads.cancel(id), undefined);
  assert.equal(existsSync(path), true);
  assert.deepEqual(scene.swarms.runningNames, ["film"], "it is still shared");
});

test("how a membership ended is told as the failure of its downloads, with what to do", async (t) => {
  const cases = [
    [
      "removed",
      "NOT_A_MEMBER",
      /The owner removed you from films; join_group films .* then resume continues/,
    ],
    ["left", "NOT_A_MEMBER", /You left films; join_group films .* then resume continues/],
    ["account-removed", "NOT_A_MEMBER", /operator of the trackers has removed this account/],
    ["group-ended", "UNKNOWN_GROUP", /The group films has ended; cancel films film/],
  ] as const;
  const { scene, download } = await running(t, [0]);
  for (const [how, code, words] of cases) {
    scene.events.length = 0;
    const ended = download.groupEnded(how);
    const [event] = scene.eventsOf("download-failed");
    assert.partialDeepStrictEqual(event, { ...id, code }, "told before who waits for downloads goes on");
    assert.match(event?.reason ?? "", words);
    await ended;
    assert.partialDeepStrictEqual(download.snapshot(), { state: "failed", code, reason: event?.reason });
    assert.equal(havePieces(scene).length, 1, "what it has is kept");
    await download.groupEnded("left");
    assert.equal(scene.eventsOf("download-failed").length, 1, "told once");
    await download.begin();
  }
});

test("a complete download does not fail with the group, nor with the name", async (t) => {
  const { scene, torrent, bytes, download } = await running(t);
  await torrent().receive(bytes, "all");
  await scene.event("download-complete");
  await download.groupEnded("left");
  await download.nameLost();
  assert.equal(download.status, "complete");
  assert.deepEqual(scene.eventsOf("download-failed"), []);
});

test("other content under the name ends a download only if those who are connected lack a missing piece", async (t) => {
  const { scene, download, torrent } = await running(t, [0]);
  const others = "ab".repeat(20);
  torrent().torrent.holderList = [
    holder("alice", { has: pieceSet(1, 2) }),
    holder("carol", { has: pieceSet(3) }),
    holder("dave", { isConnected: false }),
  ];
  await download.sourceChanged(others);
  assert.equal(download.status, "running");
  torrent().torrent.holderList = [
    holder("alice", { has: pieceSet(1, 2) }),
    holder("dave", { isConnected: false }),
  ];
  await download.sourceChanged(download.infoHash);
  assert.equal(download.status, "running", "it is this content");
  await download.sourceChanged(others);
  assert.partialDeepStrictEqual(download.snapshot(), { state: "failed", code: "FILE_CHANGED" });
  assert.match(
    scene.eventsOf("download-failed")[0]?.reason ?? "",
    /the name belongs to other content now: cancel films film/,
  );
});

function pieceSet(...pieces: number[]): PieceSet {
  const set = new PieceSet(PIECES);
  for (const piece of pieces) set.add(piece);
  return set;
}

test("verified pieces are noted half a second after the first that is not", async (t) => {
  const { scene, torrent, bytes } = await running(t);
  await torrent().receive(bytes, [1]);
  assert.deepEqual(havePieces(scene), []);
  await scene.clock.pass(499);
  await torrent().receive(bytes, [2]);
  assert.deepEqual(havePieces(scene), []);
  await scene.clock.pass(1);
  await until(() => havePieces(scene).length === 2, "both are noted");
  await torrent().receive(bytes, [3]);
  await scene.clock.pass(500);
  await until(() => havePieces(scene).length === 3, "the next is noted too");
});

test("a part file that was replaced meanwhile pauses the download, and the next try begins anew beside it", async (t) => {
  const { scene, torrent, bytes, path, download } = await running(t, [0]);
  await rename(`${path}.part`, scene.path("moved"));
  await torrent().receive(bytes, [1]);
  await scene.clock.pass(500);
  const { reason } = await scene.event("download-paused");
  assert.match(reason, /was removed, moved or replaced .* It continues by itself when it can\.$/);
  assert.partialDeepStrictEqual(download.snapshot(), { state: "paused", reason });
  await scene.clock.pass(4_999);
  assert.equal(download.status, "paused");
  await scene.clock.pass(1);
  await until(() => download.status === "running", "it runs again");
  assert.equal(torrent().torrent.have.count, 0);
  assert.deepEqual(download.snapshot().sources, [], "of what they gave nothing is there any more");
});

test("the senders of bad data are told, and which of them are banned", async (t) => {
  const { scene, torrent } = await running(t);
  torrent().parts.onEvent({
    ...{ type: "piece-corrupt", pieceIndex: 3, userIds: ["alice", "carol"], bannedUserIds: ["carol"] },
  });
  assert.deepEqual(scene.events, [
    { type: "peer-sent-bad-data", ...id, userId: "alice", pieceIndex: 3, isBanned: false },
    { type: "peer-sent-bad-data", ...id, userId: "carol", pieceIndex: 3, isBanned: true },
  ]);
  torrent().parts.onEvent({ type: "peer-banned", userId: "carol", reason: "bad data" });
  assert.ok(scene.logged.some(({ msg }) => msg === "peer banned"));
});

test("a torrent whose tick keeps failing ends its download; after completion, its share", async (t) => {
  const { scene, torrent, download } = await running(t, [0]);
  torrent().parts.onEvent({ type: "tick-failed", error: trouble("INTERNAL") });
  assert.equal((await scene.event("download-failed")).code, "INTERNAL");
  assert.equal(download.status, "failed");
  assert.deepEqual(scene.swarms.left, ["film: It is INTERNAL."]);
  const complete = await running(t);
  const last = complete.torrent();
  await last.receive(complete.bytes, "all");
  await complete.scene.event("download-complete");
  last.parts.onEvent({ type: "tick-failed", error: trouble("INTERNAL") });
  assert.equal((await complete.scene.event("share-ended")).reason, "It is INTERNAL.");
});

test("a disk that fails pauses the download, which is tried again after five seconds, then ten, up to a minute", async (t) => {
  const { scene, torrent, download, path } = await running(t, [0]);
  for (const [round, waitMs] of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000].entries()) {
    torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FAILED") });
    await until(
      () => download.status === "paused" && scene.eventsOf("download-paused").length > 0,
      "it pauses",
    );
    await until(() => scene.swarms.runningNames.length === 0, "it has left the swarm");
    assert.equal(await retryInMs(download), waitMs, `round ${round}`);
    await scene.clock.pass(waitMs - 1);
    assert.equal(download.status, "paused", `round ${round}`);
    await scene.clock.pass(1);
    await until(() => download.status === "running", "it is tried again");
  }
  assert.equal(scene.eventsOf("download-paused").length, 1, "the same trouble is no news");
  assert.equal(existsSync(`${path}.part`), true);
});

test("a disk that works again makes the next trouble news, and its pause a short one", async (t) => {
  const { scene, torrent, download, bytes } = await running(t);
  for (let round = 0; round < 2; round++) {
    torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FAILED") });
    assert.equal(await retryInMs(download), round === 0 ? 5_000 : 10_000);
    await scene.clock.pass(10_000);
    await until(() => download.status === "running", "it is tried again");
  }
  await torrent().receive(bytes, [0]);
  torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FAILED") });
  assert.equal(await retryInMs(download), 5_000);
  assert.equal(scene.eventsOf("download-paused").length, 2);
});

test("a full disk says how much is missing, is looked at every two seconds, and the download goes on when there is room", async (t) => {
  const { scene, torrent, download } = await running(t, [0]);
  const missingBytes = 2 * PIECE_BYTES + 100;
  const room = leaveRoom(t, 10);
  torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FULL") });
  const { reason } = await scene.event("download-paused");
  assert.match(reason, /has 10 B left, and 65\.7 kB are needed: free 65\.7 kB\. It continues by itself/);
  for (let look = 0; look < 2; look++) {
    await scene.clock.pass(1_999);
    assert.equal(scene.swarms.addedCount, 1);
    await scene.clock.pass(1);
    assert.equal(await retryInMs(download), 2_000);
    assert.equal(download.status, "paused");
  }
  room.bytes = 30;
  await scene.clock.pass(2_000);
  await until(() => /has 30 B left/.test(reasonOf(download)), "the reason says how it is now");
  assert.equal(scene.eventsOf("download-paused").length, 1);
  room.bytes = missingBytes + 1;
  await scene.clock.pass(2_000);
  await until(() => download.status === "running", "it runs again");
  assert.equal(torrent().torrent.have.count, 1);
});

function reasonOf(download: Download): string {
  const status = download.snapshot();
  return status.state === "paused" || status.state === "failed" ? (status.reason ?? "") : "";
}

test("a disk that is full although it has room has a quota: the error stays as it is", async (t) => {
  const { scene, torrent } = await running(t);
  torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FULL") });
  assert.equal(
    (await scene.event("download-paused")).reason,
    "It is DISK_FULL. It continues by itself when it can.",
  );
});

test("resuming a paused download that still cannot run fails with the reason, and without an event", async (t) => {
  const { scene, download } = await running(t);
  await download.pause();
  scene.memberships.failure = trouble("TRACKERS_UNREACHABLE");
  await assert.rejects(download.begin(true), { code: "TRACKERS_UNREACHABLE" });
  assert.deepEqual(scene.events, []);
  assert.equal(await retryInMs(download), 2_000);
  scene.memberships.failure = trouble("MALFORMED_MESSAGE");
  await assert.rejects(download.begin(true), { code: "MALFORMED_MESSAGE" });
  assert.deepEqual(scene.events, []);
  assert.equal(download.status, "failed");
  scene.memberships.failure = undefined;
  await download.begin(true);
  assert.equal(download.status, "running");
});

test("resumed by hand, it is not tried again by itself beside that", async (t) => {
  const { scene, download, torrent } = await running(t);
  torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FAILED") });
  await retryInMs(download);
  await download.begin();
  await scene.clock.pass(60_000);
  assert.equal(scene.swarms.addedCount, 2);
  torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FAILED") });
  await retryInMs(download);
  await download.pause();
  assert.equal(reasonOf(download), "");
  await scene.clock.pass(60_000);
  assert.equal(download.status, "paused", "the user paused it");
});

test("a part file that changed under a read is verified again, and only what is wrong is fetched again", async (t) => {
  const { scene, torrent, download, path } = await running(t, [0, 1]);
  await spoil(`${path}.part`, PIECE_BYTES);
  torrent().parts.onEvent({ type: "read-failed", pieceIndex: 1, error: trouble("FILE_CHANGED") });
  await until(() => scene.swarms.addedCount === 2, "it joins the swarm anew");
  assert.deepEqual([torrent().torrent.have.has(0), torrent().torrent.have.has(1)], [true, false]);
  assert.deepEqual(scene.swarms.left, ["film: some pieces have to be fetched again"]);
  assert.equal(download.status, "running");
  assert.deepEqual(scene.events, []);
});

test("a disk that cannot be read pauses a download, and ends the share that it has become", async (t) => {
  const { scene, torrent, download } = await running(t, [0]);
  torrent().parts.onEvent({ type: "read-failed", pieceIndex: 0, error: trouble("DISK_FAILED") });
  await until(() => download.status === "paused", "it is paused");
  assert.match((await scene.event("download-paused")).reason, /It is DISK_FAILED/);
  const complete = await running(t);
  const last = complete.torrent();
  await last.receive(complete.bytes, "all");
  await complete.scene.event("download-complete");
  last.parts.onEvent({ type: "read-failed", pieceIndex: 0, error: trouble("FILE_CHANGED") });
  assert.match((await complete.scene.event("share-ended")).reason, /changed; upload_file/);
  assert.deepEqual(complete.scene.swarms.runningNames, []);
});

test("a member who refuses a piece that is right here is told of once, and believed once", async (t) => {
  const { scene, torrent, metainfo } = await running(t, [0, 1]);
  const reads = readsOf(t, torrent());
  const refuse = (userId: string, pieceIndex?: number) =>
    torrent().leave(
      userId,
      pieceIndex === undefined ? { reason: "bad-data" } : { reason: "bad-data", pieceIndex },
    );
  torrent().leave("alice", { reason: "offline", pieceIndex: 0 } as never);
  refuse("alice");
  refuse("alice", 1);
  refuse("alice", 0);
  assert.deepEqual(await scene.event("data-refused"), {
    type: "data-refused",
    ...id,
    userId: "alice",
    pieceIndex: 1,
  });
  refuse("carol", 2);
  refuse("dave", metainfo.geometry.pieceCount);
  await turns();
  assert.equal(reads.mock.callCount(), 1, "only a piece that is here is read");
  for (let i = 0; i < 200; i++) refuse(`user ${i}`, 0);
  await until(() => scene.eventsOf("data-refused").length === 98, "a hundred users are believed");
  await turns();
  assert.equal(reads.mock.callCount(), 98);
  assert.equal(scene.swarms.addedCount, 1);
});

test("a refused piece that is wrong on this disk has all of the part file verified, and is fetched again", async (t) => {
  const { scene, torrent, path } = await running(t, [0, 1, 2]);
  await spoil(`${path}.part`, 0);
  await spoil(`${path}.part`, 2 * PIECE_BYTES);
  torrent().leave("alice", { reason: "bad-data", pieceIndex: 2 });
  await until(() => scene.swarms.addedCount === 2, "it joins the swarm anew");
  assert.deepEqual(
    [0, 1, 2].map((piece) => torrent().torrent.have.has(piece)),
    [false, true, false],
  );
  assert.deepEqual(scene.events, []);
});

test("a refusal of a piece of a complete download is for the share to look into", async (t) => {
  const { scene, torrent, bytes, path } = await running(t);
  await torrent().receive(bytes, "all");
  await scene.event("download-complete");
  await spoil(path, 0);
  torrent().leave("carol", { reason: "bad-data", pieceIndex: 0 });
  assert.match((await scene.event("share-ended")).reason, /carol received bad data from here, and piece 0/);
});

test("pieces that the last check finds wrong are fetched again, the others are kept, and it ends complete", async (t) => {
  const { scene, torrent, bytes, path } = await running(t, [0, 1, 2]);
  await spoil(`${path}.part`, 0);
  await torrent().receive(bytes, [3], "carol");
  await until(() => scene.swarms.addedCount === 2, "it joins the swarm anew");
  assert.deepEqual(
    [0, 1, 2, 3].map((piece) => torrent().torrent.have.has(piece)),
    [false, true, true, true],
  );
  await torrent().receive(bytes, [0], "carol");
  await scene.event("download-complete");
  assert.deepEqual(new Uint8Array(readFileSync(path)), bytes);
  const [status] = scene.downloads.statuses(id);
  assert.deepEqual(
    status?.sources.map(({ userId, pieces, bytes: gave }) => [userId, pieces, gave]),
    [
      ["alice", 3, 3 * PIECE_BYTES],
      ["carol", 2, PIECE_BYTES + 100],
    ],
    "who gave before is counted too",
  );
});

test("a file that was shared with a wrong description fails, and is not fetched again", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo, bytes } = scene.film("film", { sha1: "ab".repeat(20) });
  await scene.start();
  await scene.swarms.of(metainfo).receive(bytes, "all");
  assert.partialDeepStrictEqual(await scene.event("download-failed"), { code: "CORRUPT_FILE" });
  assert.deepEqual(scene.swarms.runningNames, []);
  assert.equal(scene.swarms.addedCount, 1);
});

test("paused while it is verified, it is not complete", async (t) => {
  const { scene, torrent, bytes, download } = await running(t);
  await torrent().receive(bytes, "all");
  assert.equal(download.status, "verifying");
  await download.groupEnded("left");
  assert.equal(download.status, "failed");
  await turns();
  assert.deepEqual(scene.eventsOf("download-complete"), []);
  assert.equal(scene.shares.count, 0);
});

test("a download that failed while its file took its name is not told to be complete", async (t) => {
  const { scene, torrent, bytes, download, path } = await running(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  const finishes = t.mock.method(PieceStore.prototype, "finish", async () => {
    await promise;
    return { lengthBytes: bytes.length, mtimeMs: 1 };
  });
  await torrent().receive(bytes, "all");
  await download.groupEnded("left");
  resolve();
  await turns();
  finishes.mock.restore();
  assert.equal(download.status, "failed");
  assert.deepEqual([scene.eventsOf("download-complete"), scene.shares.count], [[], 0]);
  assert.equal(existsSync(path), false);
});

test("a part file with every piece is finished without looking for anybody", async (t) => {
  const { scene, torrent, bytes, path, download } = await running(t);
  await writeFile(path, "in the way");
  await torrent().receive(bytes, "all");
  await scene.event("download-failed");
  await rm(path);
  scene.tracker.take("presence.peers");
  const announced = t.mock.method(scene.announcer, "add");
  await download.begin(true);
  await scene.event("download-complete");
  assert.deepEqual(new Uint8Array(readFileSync(path)), bytes);
  assert.deepEqual(scene.tracker.take("presence.peers"), []);
  assert.ok(announced.mock.calls.every((call) => call.arguments[0].isSeed));
});

test("a download that nothing arrives for says why, once for each cause, and not before somebody who is online was called", async (t) => {
  const { scene, torrent } = await running(t, [0]);
  const waits = async () => {
    torrent().parts.onEvent({ type: "waiting" });
    await turns();
  };
  const told = () => scene.eventsOf("download-waiting").map(({ reason }) => reason);
  torrent().torrent.isStarved = true;
  torrent().connections.contactList = [contact({ lastFailure: undefined })];
  await waits();
  torrent().connections.contactList = [
    contact({ lastFailure: undefined, isDialling: true, nextDialInMs: undefined }),
  ];
  await waits();
  assert.deepEqual(told(), []);
  torrent().connections.contactList = [contact()];
  await waits();
  await waits();
  assert.equal(told().length, 1);
  assert.match(
    told()[0] ?? "",
    /none of them can be reached\. alice cannot be reached: connection refused\.$/,
  );
  assert.equal(waitingFor(scene), told()[0]?.replace(/\.$/, ""));
  torrent().connections.contactList = [];
  await waits();
  assert.match(told()[1] ?? "", /^No member who has it is online/);
  torrent().torrent.isStarved = false;
  assert.equal(waitingFor(scene), undefined, "somebody has what is missing");
});

function waitingFor(scene: Scene): string | undefined {
  const [status] = scene.downloads.statuses(id);
  return status?.state === "downloading" ? status.waitingFor : assert.fail("it does not run");
}

test("the same cause is told again after a piece came, and none while pieces come", async (t) => {
  const { scene, torrent, bytes } = await running(t);
  torrent().torrent.isStarved = true;
  const told = () => scene.eventsOf("download-waiting").length;
  torrent().parts.onEvent({ type: "waiting" });
  await until(() => told() === 1, "it is told");
  await torrent().receive(bytes, [0]);
  assert.equal(waitingFor(scene), undefined);
  torrent().torrent.isStarved = false;
  torrent().leave("carol", { reason: "offline" });
  await turns();
  assert.equal(told(), 1, "others have what is missing");
  torrent().torrent.isStarved = true;
  torrent().leave("alice", { reason: "offline" });
  await until(() => told() === 2, "the last who had it has left");
});

test("resumed, it is not said to wait before it waits again, and then the same cause is told again", async (t) => {
  const { scene, torrent, download } = await running(t);
  const told = () => scene.eventsOf("download-waiting").length;
  torrent().torrent.isStarved = true;
  torrent().parts.onEvent({ type: "waiting" });
  await until(() => told() === 1, "it is told");
  await download.pause();
  await download.begin();
  torrent().torrent.isStarved = true;
  assert.equal(waitingFor(scene), undefined);
  await scene.downloads.findPeers();
  await turns();
  assert.equal(told(), 1);
  torrent().parts.onEvent({ type: "waiting" });
  await until(() => told() === 2, "it is told again");
});

test("a cause that a piece makes untrue while the tracker is asked is not told", async (t) => {
  const { scene, torrent, bytes } = await running(t);
  const answer = scene.tracker.hold("files.standing");
  torrent().torrent.isStarved = true;
  torrent().parts.onEvent({ type: "waiting" });
  torrent().parts.onEvent({ type: "waiting" });
  await turns();
  assert.equal(scene.tracker.take("files.standing").length, 1, "it is asked once at a time");
  await torrent().receive(bytes, [0]);
  answer();
  await turns();
  assert.deepEqual(scene.eventsOf("download-waiting"), []);
});

test("nor is one that is asked for when the download has been paused", async (t) => {
  const { scene, torrent, download } = await running(t);
  const answer = scene.tracker.hold("files.standing");
  torrent().parts.onEvent({ type: "waiting" });
  await turns();
  await download.pause();
  answer();
  await turns();
  assert.deepEqual(scene.eventsOf("download-waiting"), []);
});

test("each time that the tracker was asked for peers, a cause that has changed is told", async (t) => {
  const { scene, torrent } = await running(t);
  await scene.downloads.findPeers();
  await turns();
  assert.deepEqual(scene.tracker.take("files.standing"), [], "it does not wait");
  torrent().torrent.isStarved = true;
  torrent().parts.onEvent({ type: "waiting" });
  await scene.event("download-waiting");
  torrent().connections.contactList = [contact()];
  await scene.downloads.findPeers();
  await until(() => scene.eventsOf("download-waiting").length === 2, "the new cause is told");
});

test("the tracker is asked which former holders are online: the latest first, each once, at most twenty", async (t) => {
  const { scene, torrent, download, metainfo } = await running(t);
  const gone = Array.from({ length: 25 }, (_, i) =>
    holder(`u${i}`, { isConnected: false, lastSeenAgoMs: 1_000 * (30 - i) }),
  );
  torrent().torrent.holderList = [
    ...gone,
    holder("u24", { isConnected: false, lastSeenAgoMs: 1 }),
    holder("here"),
  ];
  await download.why();
  const [asked] = scene.tracker.take("files.standing");
  assert.deepEqual(asked, {
    ...{ ...id, infoHash: metainfo.infoHash },
    userIds: Array.from({ length: 20 }, (_, i) => `u${24 - i}`),
  });
});

test("a tracker's word that comes late, or not at all, is not waited for", async (t) => {
  const { scene, torrent, download } = await running(t);
  torrent().torrent.holderList = [holder("alice", { isConnected: false, lastSeenAgoMs: 5 })];
  const word = { content: "other", sharedBy: "dave", members: [] };
  scene.tracker.answers.set("files.standing", () => word);
  assert.match((await download.why()).reason, /^The name belongs to other content now, shared by dave/);
  const answer = scene.tracker.hold("files.standing");
  const late = download.why();
  let isAnswered = false;
  void late.then(() => {
    isAnswered = true;
  });
  await scene.clock.pass(1_499);
  assert.equal(isAnswered, false);
  await scene.clock.pass(1);
  assert.match((await soon(late, "why is answered")).reason, /^Every member who had it has left/);
  answer();
  scene.tracker.refuse("files.standing", "LIMIT_REACHED");
  assert.match((await download.why()).reason, /^Every member who had it has left/);
  assert.ok(scene.logged.some(({ msg }) => msg === "the file's standing is not known"));
  scene.tracker.take("files.standing");
  scene.tracker.address = undefined;
  scene.tracker.problem = "Its key has changed.";
  const report = await download.why();
  assert.match(report.reason, /has left as far as is known: no tracker answers\. Its key has changed\.$/);
  assert.equal(report.tracker, null);
  assert.deepEqual(scene.tracker.take("files.standing"), []);
});

test("the report names what is missing, who has it, who was banned, the clock and the certificate", async (t) => {
  const { scene, torrent, download } = await running(t, [0]);
  torrent().torrent.holderList = [holder("carol", { has: pieceSet(1) })];
  torrent().torrent.banned.set("alice", 7);
  torrent().connections.contactList = [contact({ obstacle: "banned" })];
  const report = await download.why();
  assert.deepEqual(report.missing, { pieces: 3, ranges: [{ first: 1, last: 3 }], rangeCount: 1 });
  assert.deepEqual(report.nobodyHas.ranges, [{ first: 2, last: 3 }]);
  assert.deepEqual(
    report.holders.map(({ userId, lastSeenMs }) => [userId, lastSeenMs]),
    [["carol", START_MS]],
  );
  assert.match(report.notUsed[0]?.words ?? "", /bad data in piece 7/);
  assert.equal(report.next.at(-1)?.inMs, 2_000, "when the tracker is asked again");
  scene.memberships.authorities.delete(GROUP);
  assert.match((await download.why()).reason, /no certificate for films/);
  scene.clockWarning = "The clock is wrong.";
  assert.equal((await download.why()).reason, "The clock is wrong.");
});

test("peers connected at a pause are remembered, and have been away for as long", async (t) => {
  const { scene, torrent, download } = await running(t);
  torrent().torrent.holderList = [
    holder("alice", { isTried: true }),
    holder("carol", { isConnected: false, lastSeenAgoMs: 500 }),
  ];
  await download.pause();
  scene.clock.nowMs += 3_000;
  t.mock.timers.setTime(START_MS + 3_000);
  const { holders, next } = await download.why();
  assert.deepEqual(
    holders.map(({ userId, isConnected, lastSeenMs }) => [userId, isConnected, lastSeenMs]),
    [
      ["alice", false, START_MS],
      ["carol", false, START_MS - 500],
    ],
  );
  assert.equal(next.length, 1, "nobody is asked for a block any more");
});

test("while it runs, the status shows the rate, the peers and the time that is left", async (t) => {
  const { torrent, download, bytes } = await running(t, [0, 1]);
  torrent().connections.connectedCount = 3;
  torrent().torrent.changes = {
    downloadBytesPerSecond: 1_000,
    duplicateBytes: 17,
    waitingFor: "waiting for the disk",
  };
  assert.partialDeepStrictEqual(download.snapshot(), {
    ...{ state: "downloading", rateBytesPerSecond: 1_000, peerCount: 3, duplicateBytes: 17 },
    ...{ secondsLeft: (bytes.length - 2 * PIECE_BYTES) / 1_000, waitingFor: "waiting for the disk" },
    ...{ piecesVerified: 2, bytesVerified: 2 * PIECE_BYTES },
  });
  assert.equal(download.promisedBytes, bytes.length - 2 * PIECE_BYTES);
});

test("those whom the announcement names are dialled, and a tracker that says nothing is asked", async (t) => {
  const scene = await Scene.open(t);
  const { metainfo } = scene.film();
  const alice = { userId: "alice", deviceId: "a1", host: "192.0.2.7", port: 7000, isSeed: true };
  scene.announcer.peers = [alice];
  await scene.start();
  await until(() => scene.swarms.of(metainfo).connections.named.length === 1, "they are named");
  assert.deepEqual(scene.swarms.of(metainfo).connections.named, [[alice]]);
  assert.deepEqual(scene.tracker.take("presence.peers"), []);
  scene.announcer.peers = undefined;
  const silent = scene.film("other");
  await scene.start("other");
  await turns();
  assert.deepEqual(scene.tracker.take("presence.peers"), [{ infoHash: silent.metainfo.infoHash }]);
});

test("each member's contribution to a download is counted over pauses and logins", async (t) => {
  const { scene, torrent, bytes, download } = await running(t, [0]);
  await download.pause();
  assert.partialDeepStrictEqual(download.snapshot().sources, [
    { userId: "alice", pieces: 1, bytes: PIECE_BYTES, isConnected: false, rateBytesPerSecond: 0 },
  ]);
  await download.begin();
  await torrent().receive(bytes, [1]);
  assert.partialDeepStrictEqual(download.snapshot().sources, [{ pieces: 2, isConnected: true }]);
  await scene.downloads.suspendAll();
  await (await scene.downloads.resumeAll()).begun;
  await torrent().receive(bytes, [2], "carol");
  const [status] = scene.downloads.statuses(id);
  assert.deepEqual(
    status?.sources.map(({ userId, pieces, isConnected }) => [userId, pieces, isConnected]),
    [
      ["alice", 2, false],
      ["carol", 1, true],
    ],
  );
});

test("a file of another group's CA is refused, whatever the tracker says", async (t) => {
  const scene = await Scene.open(t);
  scene.film("film", { authorityPem: "-- another CA --" });
  await assert.rejects(scene.start(), {
    code: "MALFORMED_MESSAGE",
    message: /belongs to another group than films/,
  });
});

test("moved while an opening that was given up still makes the part file, it takes that along", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const begun = scene.start();
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  const download = scene.downloads.get(id);
  await download.pause();
  const moved = download.moveTo(scene.path("moved"));
  resolve();
  await soon(Promise.all([begun, moved]), "both end");
  assert.deepEqual(
    [existsSync(scene.path("film.part")), existsSync(scene.path("moved.part"))],
    [false, true],
  );
});

test("cancelled while it is opened, it leaves no part file", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const { promise, resolve } = Promise.withResolvers<void>();
  scene.memberships.gate = promise;
  const begun = scene.start();
  await until(() => scene.memberships.obtainedCount === 1, "it is being opened");
  const cancelled = scene.downloads.cancel(id);
  resolve();
  await soon(Promise.all([begun, cancelled]), "both end");
  assert.equal(existsSync(scene.path("film.part")), false);
  assert.deepEqual(scene.profile.downloads(), []);
});

test("reports of a torrent after its end change nothing", async (t) => {
  const { scene, torrent, download } = await running(t);
  const { onEvent } = torrent().parts;
  await download.groupEnded("left");
  scene.events.length = 0;
  onEvent({ type: "storage-failed", error: trouble("DISK_FAILED") });
  onEvent({ type: "piece-verified", pieceIndex: 0, userIds: [] });
  onEvent({ type: "all-verified" });
  await scene.clock.pass(1_000);
  assert.equal(download.status, "failed");
  assert.deepEqual([scene.events, scene.failures], [[], []]);
});

test("a move of a stopped download takes the part file along, unless a file is in its way", async (t) => {
  const { scene, download, path } = await running(t, [1]);
  await download.pause();
  await mkdir(scene.path("there"));
  await writeFile(scene.path("there", "film.part"), "somebody's");
  await assert.rejects(download.moveTo(scene.path("there", "film")), { code: "FILE_EXISTS" });
  assert.equal(download.destinationPath, path, "it stays where it is");
  assert.equal(existsSync(`${path}.part`), true);
  await download.moveTo(scene.path("there", "second"));
  assert.equal(download.destinationPath, scene.path("there", "second"));
  assert.equal(stored(scene)?.destinationPath, scene.path("there", "second"));
  assert.equal(existsSync(`${path}.part`), false);
});

test("a download whose beginning cannot be noted is paused, and says why", async (t) => {
  const scene = await Scene.open(t);
  scene.film();
  const begins = t.mock.method(DownloadRecord.prototype, "begin", () =>
    Promise.reject(trouble("DISK_FAILED")),
  );
  await scene.start();
  const [status] = scene.downloads.statuses(id);
  assert.partialDeepStrictEqual(status, { state: "paused" });
  assert.match((await scene.event("download-paused")).reason, /^It is DISK_FAILED\./);
  assert.deepEqual(scene.swarms.runningNames, []);
  begins.mock.restore();
});

test("a try that is in vain is followed by the next, and is no failure", async (t) => {
  const { scene, download, torrent } = await running(t);
  torrent().parts.onEvent({ type: "storage-failed", error: trouble("DISK_FAILED") });
  await retryInMs(download);
  scene.memberships.failure = trouble("TRACKERS_UNREACHABLE");
  await scene.clock.pass(5_000);
  assert.equal(await retryInMs(download), 2_000);
  assert.match(reasonOf(download), /^It is TRACKERS_UNREACHABLE\. It continues by itself/);
  assert.deepEqual(
    scene.eventsOf("download-paused").map(({ reason }) => reason),
    ["It is DISK_FAILED. It continues by itself when it can.", reasonOf(download)],
    "another trouble is news",
  );
  assert.deepEqual(scene.failures, []);
  scene.memberships.failure = undefined;
  await scene.clock.pass(2_000);
  await until(() => download.status === "running", "it runs again");
});
