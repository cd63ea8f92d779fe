import assert from "node:assert/strict";
import { test } from "node:test";
import type { DownloadStatus, ShareStatus } from "../../../src/client/status.ts";
import {
  canDo,
  filterCounts,
  found,
  inPlace,
  isFollowed,
  isStuck,
  nameParts,
  ordered,
  type TransferRow,
  totalsOf,
  transferRow,
} from "../../../web/src/state/transfer-rows.ts";

const FACTS = {
  ...{ groupId: "studio", fileName: "film.mkv", destinationPath: "/d/film.mkv" },
  ...{ lengthBytes: 100, pieceCount: 10, piecesVerified: 5, bytesVerified: 50, duplicateBytes: 0 },
  sources: [],
};
const MOVING = {
  ...{ state: "downloading", rateBytesPerSecond: 10, peerCount: 2 },
  ...{ secondsLeft: 5, waitingFor: undefined },
} as const;

function download(changes: Partial<Record<string, unknown>> = MOVING): DownloadStatus {
  return { ...FACTS, ...changes } as unknown as DownloadStatus;
}

const share: ShareStatus = {
  ...{ groupId: "studio", fileName: "film.mkv", path: "/d/film.mkv", lengthBytes: 100 },
  ...{ state: "served", peerCount: 3, uploadBytesPerSecond: 7 },
};

function row(fileName: string, changes: Partial<Record<string, unknown>> = MOVING): TransferRow {
  const made = transferRow(fileName, download({ fileName, ...changes }), undefined);
  assert.ok(made);
  return made;
}

const complete = { state: "complete", finishedAtMs: 5 };
const paused = { state: "paused", reason: undefined };
const stuck = { ...MOVING, rateBytesPerSecond: 0, waitingFor: "no peer has it" };

test("each state of a download and of a share is one state of a row", () => {
  const stateOf = (changes: Partial<Record<string, unknown>>) => row("f", changes).state;
  assert.deepEqual(
    [MOVING, { ...MOVING, rateBytesPerSecond: 0 }, stuck, { state: "verifying" }, paused, complete].map(
      stateOf,
    ),
    ["moving", "starting", "stuck", "checking", "paused", "complete"],
  );
  const ofShare = (state: ShareStatus["state"]) => transferRow("k", undefined, { ...share, state })?.state;
  assert.deepEqual((["served", "waiting", "unusable"] as const).map(ofShare), [
    "shared",
    "share-waits",
    "share-unusable",
  ]);
  assert.equal(transferRow("k", undefined, undefined), undefined);
});

test("what was downloaded and is shared from here is one row, with what is sent of it", () => {
  const both = transferRow("k", download(complete), share);
  assert.deepEqual([both?.state, both?.upRate, both?.peerCount], ["complete", 7, 3]);
});

test("a pause that the person asked for is no obstacle; one with a reason is", () => {
  assert.equal(isStuck(row("f", paused)), false);
  assert.equal(isStuck(row("f", { state: "paused", reason: "the disk is full" })), true);
  assert.equal(isStuck(row("f", { state: "failed", code: "DISK_FAILED", reason: "worn out" })), true);
});

test("filters count what they show; a share that sends is active", () => {
  const sending = transferRow("s", undefined, share);
  assert.ok(sending);
  const rows = [row("a"), row("b", stuck), row("c", paused), row("d", complete), sending];
  assert.deepEqual(filterCounts(rows), {
    ...{ all: 5, active: 2, stuck: 1, paused: 1, complete: 1, shared: 1 },
  });
});

test("what moves stands first, then what needs a person, the newest complete one before older ones", () => {
  const rows = [
    ...[row("a-old", complete), row("paused", paused), row("stuck", stuck)],
    ...[row("z-new", { ...complete, finishedAtMs: 9 }), row("b"), row("a")],
  ];
  const names = ordered(rows, "state", () => undefined).map(({ fileName }) => fileName);
  assert.deepEqual(names, ["a", "b", "stuck", "paused", "z-new", "a-old"]);
});

test("by time left, what has none stands behind", () => {
  const left = new Map([
    ["slow", 90],
    ["fast", 3],
  ]);
  const rows = [row("done", complete), row("slow"), row("fast")];
  const names = ordered(rows, "left", ({ key }) => left.get(key)).map(({ fileName }) => fileName);
  assert.deepEqual(names, ["fast", "slow", "done"]);
});

test("names with numbers are in the order of the numbers", () => {
  const names = ordered([row("part 10"), row("part 9")], "name", () => undefined);
  assert.deepEqual(
    names.map(({ fileName }) => fileName),
    ["part 9", "part 10"],
  );
});

test("names are sorted without regard to case and accents", () => {
  const rows = ["zebra", "Éclair", "eclipse", "Apfel"].map((name) => row(name));
  assert.deepEqual(
    ordered(rows, "name", () => undefined).map(({ fileName }) => fileName),
    ["Apfel", "Éclair", "eclipse", "zebra"],
  );
});

test("under the pointer rows keep their places, and new ones come behind", () => {
  const rows = [row("a"), row("b"), row("c")];
  assert.deepEqual(
    inPlace(rows, ["c", "gone", "a"]).map(({ key }) => key),
    ["c", "a", "b"],
  );
});

test("a part of the name or the group finds a row, whatever the case", () => {
  const rows = [row("Film.mkv"), row("song.flac")];
  assert.deepEqual(
    found(rows, " film ").map(({ key }) => key),
    ["Film.mkv"],
  );
  assert.equal(found(rows, "STUDIO").length, 2);
});

test("what can be done depends on the state: a paused one resumes, a share is stopped", () => {
  assert.deepEqual([canDo(row("a"), "pause"), canDo(row("a"), "resume")], [true, false]);
  assert.deepEqual([canDo(row("a", paused), "pause"), canDo(row("a", paused), "resume")], [false, true]);
  assert.deepEqual([canDo(row("a"), "limit"), canDo(row("a", paused), "limit")], [true, false]);
  const shared = transferRow("k", undefined, share);
  assert.ok(shared);
  assert.equal(canDo(shared, "limit"), true);
  assert.deepEqual([canDo(shared, "stop"), canDo(shared, "remove")], [true, false]);
});

test("a file and a folder tell in their own places whether new versions are fetched", () => {
  const folder = { fileCount: 2, chosenFiles: 2, completeFiles: 1, isFollowed: true };
  const rows = [row("a"), row("b", { ...MOVING, isFollowed: true }), row("c", { ...MOVING, folder })];
  assert.deepEqual(rows.map(isFollowed), [false, true, true]);
});

test("totals are of all rows", () => {
  assert.deepEqual(totalsOf([row("a"), row("b", paused)]), {
    ...{ count: 2, active: 1, down: 10, up: 0, lengthBytes: 200 },
  });
});

test("a name is cut before its ending, and a hidden file is all name", () => {
  assert.deepEqual(nameParts("build-4821.tar.zst"), ["build-4821", ".tar.zst"]);
  assert.deepEqual(nameParts("notes"), ["notes", ""]);
  assert.deepEqual(nameParts(".profile"), [".profile", ""]);
});
