// The numbers of a download, its trouble, and its states as they look from outside.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, MiniTorrentError } from "../../../../src/api/errors.ts";
import { allOf } from "../../../../src/client/downloads/chosen-files.ts";
import {
  arrivedIn,
  complete,
  haveIn,
  progress,
  running,
  SETTLED,
  statusOf,
  together,
  waiting,
} from "../../../../src/client/downloads/download-state.ts";
import { DownloadTrouble, explained } from "../../../../src/client/downloads/download-trouble.ts";
import type { DownloadSource } from "../../../../src/client/status.ts";
import { Bitfield } from "../../../../src/metainfo/bitfield.ts";
import type { TorrentStatus } from "../../../../src/swarm/torrent-status.ts";
import { filmOf, leaveRoom } from "../download-fixture.ts";

const PIECE_BYTES = 16 * 1024;
const LAST_BYTES = 100;
const { metainfo: ofThree } = filmOf("film", {
  ...{ lengthBytes: 2 * PIECE_BYTES + LAST_BYTES, pieceBytes: PIECE_BYTES },
});
const { geometry } = ofThree;
const wanted = allOf(ofThree);

const source = (userId: string, changes: Partial<DownloadSource> = {}): DownloadSource => ({
  ...{ userId, isConnected: true, pieces: 1, bytes: 10, rateBytesPerSecond: 7 },
  ...changes,
});

const swarm = (changes: Partial<TorrentStatus> = {}): TorrentStatus => ({
  ...{ piecesVerified: 1, pieceCount: 3, bytesVerified: PIECE_BYTES, downloadedBytes: 0, uploadedBytes: 0 },
  ...{ piecesWanted: 3, bytesWanted: geometry.lengthBytes },
  ...{ wastedBytes: 50, downloadBytesPerSecond: 0, uploadBytesPerSecond: 99, duplicateBytes: 4 },
  ...{ waitingFor: undefined, peers: [], sources: [] },
  ...changes,
});

function bits(...pieces: number[]): Bitfield {
  const have = new Bitfield(geometry.pieceCount);
  for (const piece of pieces) have.set(piece);
  return have;
}

test("a stopped download's bytes are counted to the last, shorter piece", () => {
  const bytesOf = (...pieces: number[]) => progress(bits(...pieces), wanted).bytesVerified;
  assert.equal(bytesOf(), 0);
  assert.equal(bytesOf(0), PIECE_BYTES);
  assert.equal(bytesOf(2), LAST_BYTES);
  assert.equal(bytesOf(0, 1, 2), geometry.lengthBytes);
  assert.deepEqual(progress(bits(1, 2), wanted, [source("alice")]), {
    ...{
      piecesVerified: 2,
      bytesVerified: PIECE_BYTES + LAST_BYTES,
      duplicateBytes: 0,
      sources: [source("alice")],
    },
  });
  const empty = filmOf("empty", { lengthBytes: 0 }).metainfo;
  assert.deepEqual(progress(new Bitfield(0), allOf(empty)), {
    ...{ piecesVerified: 0, bytesVerified: 0, duplicateBytes: 0, sources: [] },
  });
});

test("a member who gave before and since is counted for both, and shown as they are now", () => {
  const before = [source("alice", { pieces: 2, bytes: 20, isConnected: false }), source("carol")];
  const since = { duplicateBytes: 5, sources: [source("alice", { rateBytesPerSecond: 3 }), source("dave")] };
  assert.deepEqual(together(before, since), {
    duplicateBytes: 5,
    sources: [
      source("alice", { pieces: 3, bytes: 30, rateBytesPerSecond: 3 }),
      source("carol"),
      source("dave"),
    ],
  });
});

test("only those from whom something came are named as sources", () => {
  const given = { userId: "alice", pieces: 2, bytes: 20, bytesPerSecond: 3, isConnected: true };
  const sources = [
    { ...given, isBanned: false, stall: undefined },
    { ...given, userId: "carol", bytes: 0, isBanned: true, stall: "silent" },
  ];
  assert.deepEqual(arrivedIn(swarm({ sources })), {
    duplicateBytes: 4,
    sources: [{ userId: "alice", pieces: 2, bytes: 20, rateBytesPerSecond: 3, isConnected: true }],
  });
});

test("the time that is left is of the missing bytes at the rate of now, and unknown while nothing comes", () => {
  const moving = running(swarm({ downloadBytesPerSecond: 100, uploadBytesPerSecond: 0 }), wanted, 3, [
    source("carol"),
  ]);
  assert.deepEqual(moving, {
    ...{ state: "downloading", piecesVerified: 1, bytesVerified: PIECE_BYTES, duplicateBytes: 4 },
    ...{ sources: [source("carol")], rateBytesPerSecond: 100, peerCount: 3, waitingFor: undefined },
    secondsLeft: (PIECE_BYTES + LAST_BYTES) / 100,
  });
  const sending = running(swarm({ uploadBytesPerSecond: 70 }), wanted, 3, []);
  assert.equal(sending.uploadBytesPerSecond, 70, "what is sent now");
  const still = running(swarm({ waitingFor: "waiting for a peer" }), wanted, 0, []);
  assert.deepEqual([still.secondsLeft, still.waitingFor], [undefined, "waiting for a peer"]);
  assert.deepEqual(waiting("the disk"), {
    ...{
      state: "downloading",
      rateBytesPerSecond: 0,
      peerCount: 0,
      secondsLeft: undefined,
      waitingFor: "the disk",
    },
  });
  assert.deepEqual(complete({ duplicateBytes: 1, sources: [] }, wanted), {
    ...{ piecesVerified: 3, bytesVerified: geometry.lengthBytes, duplicateBytes: 1, sources: [] },
  });
});

test("nothing more happens by itself to a settled download", () => {
  assert.deepEqual([...SETTLED].sort(), ["complete", "ended", "failed", "paused"]);
});

test("a stopped download shows its recorded progress; a complete one has every piece", () => {
  const { metainfo } = filmOf("film");
  const { pieceCount, lengthBytes } = metainfo.geometry;
  const noted = new Bitfield(pieceCount);
  noted.set(3);
  const facts = {
    ...{ groupId: "films", wanted: allOf(metainfo), destinationPath: "/a/film", isFollowed: false },
  };
  const paused = { status: "paused", reason: "enough", retry: undefined } as const;
  const done = {
    ...({ status: "complete", arrived: { duplicateBytes: 2, sources: [source("dave")] } } as const),
    ...{ finishedAtMs: 5, averageBytesPerSecond: 6, held: undefined },
  };
  const before = [source("alice")];
  assert.equal(haveIn(paused, metainfo.geometry, noted), noted);
  assert.equal(haveIn(done, metainfo.geometry, noted).count, pieceCount);
  const common = { groupId: "films", fileName: "film", destinationPath: "/a/film", lengthBytes, pieceCount };
  assert.deepEqual(statusOf(paused, facts, noted, before), {
    ...{ ...common, state: "paused", reason: "enough", piecesVerified: 1, bytesVerified: 100 },
    ...{ duplicateBytes: 0, sources: before },
  });
  assert.partialDeepStrictEqual(statusOf({ status: "ended" }, facts, noted, before), {
    ...{ state: "paused", reason: "logged out", piecesVerified: 1 },
  });
  assert.partialDeepStrictEqual(
    statusOf({ status: "failed", code: "DISK_FAILED", reason: "worn out" }, facts, noted, before),
    { state: "failed", code: "DISK_FAILED", reason: "worn out", piecesVerified: 1, sources: before },
  );
  assert.partialDeepStrictEqual(statusOf({ status: "opening" }, facts, noted, before), {
    ...{ state: "downloading", piecesVerified: 1, sources: before, peerCount: 0 },
    waitingFor: "the check of what is on disk already",
  });
  assert.equal(statusOf(done, { ...facts, isFollowed: true }, noted, before).isFollowed, true);
  assert.deepEqual(statusOf(done, facts, noted, before), {
    ...{
      ...common,
      state: "complete",
      sha1: metainfo.sha1,
      piecesVerified: pieceCount,
      bytesVerified: lengthBytes,
    },
    ...{ duplicateBytes: 2, sources: [source("dave")], finishedAtMs: 5, averageBytesPerSecond: 6 },
  });
});

const trouble = (code: ErrorCode) => new MiniTorrentError(code, `It is ${code}.`);

test("a look for room, a folder or a tracker is taken every two seconds, and does not lengthen other pauses", () => {
  const troubles = new DownloadTrouble();
  for (const code of ["DISK_FULL", "DESTINATION_UNUSABLE", "TRACKERS_UNREACHABLE", "DISK_FULL"] as const)
    assert.equal(troubles.retryInMs(trouble(code)), 2_000, code);
  for (const [code, ms] of [
    ["DISK_FAILED", 5_000],
    ["FILE_CHANGED", 10_000],
    ["FILE_NOT_FOUND", 20_000],
    ["DISK_FAILED", 40_000],
    ["DISK_FAILED", 60_000],
    ["DISK_FAILED", 60_000],
  ] as const)
    assert.equal(troubles.retryInMs(trouble(code)), ms, code);
  for (const code of ["FILE_EXISTS", "NOT_A_MEMBER", "CORRUPT_FILE", "INTERNAL"] as const)
    assert.equal(troubles.retryInMs(trouble(code)), undefined, code);
  troubles.isOver();
  assert.equal(troubles.retryInMs(trouble("DISK_FAILED")), 5_000);
});

test("trouble is news when it is another one than before, or after it was over", () => {
  const troubles = new DownloadTrouble();
  const isNews = (code: ErrorCode) => troubles.isNews(trouble(code));
  assert.deepEqual(
    [isNews("DISK_FULL"), isNews("DISK_FULL"), isNews("DISK_FAILED"), isNews("DISK_FULL")],
    [...[true, false, true, true]],
  );
  troubles.isOver();
  assert.equal(isNews("DISK_FULL"), true);
});

test("a full disk is told with the bytes missing, unless it has room: then there is a quota", async (t) => {
  const full = trouble("DISK_FULL");
  const room = leaveRoom(t, 999);
  assert.match(
    (await explained(full, "/tmp/film", 1_000)).message,
    /has 999 B left, and 1 kB are needed: free 1 B/,
  );
  room.bytes = 1_000;
  assert.equal(await explained(full, "/tmp/film", 1_000), full);
  room.bytes = 0;
  const other = trouble("DISK_FAILED");
  assert.equal(await explained(other, "/tmp/film", 1_000), other);
  assert.equal(await explained(full, "/no such folder/film", 1_000), full, "it is not known");
});
