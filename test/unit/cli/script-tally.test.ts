import assert from "node:assert/strict";
import { test } from "node:test";
import { ScriptTally } from "../../../src/cli/script-tally.ts";
import { downloading, failed, paused } from "./fake-client.ts";

const FILE = { groupId: "films", fileName: "a.mkv" };

function begun(): ScriptTally {
  const tally = new ScriptTally();
  tally.downloadBegun("films", "a.mkv");
  return tally;
}

test("a download that stopped for a cause that was said is not named again, whatever the cause reads like", () => {
  const tally = begun();
  tally.onEvent({ type: "download-paused", ...FILE, reason: "the disk" });
  assert.deepEqual(tally.unfinished([paused("the disk is full")]), []);
  assert.equal(tally.exitCode, 1);
});

test("another download's cause does not count for this one, though it has the same words", () => {
  const tally = begun();
  tally.onEvent({ type: "download-paused", groupId: "films", fileName: "b.mkv", reason: "the disk is full" });
  assert.deepEqual(
    tally.unfinished([paused("the disk is full"), { ...paused("the disk is full"), fileName: "b.mkv" }]),
    [{ ...FILE, state: "paused", reason: "the disk is full" }],
  );
});

test("a download that is begun again, or still waits, is named again", () => {
  const tally = begun();
  tally.downloadNamed("films", "a.mkv");
  assert.equal(
    tally.unfinished([downloading({ waitingFor: "alice is offline" })])[0]?.reason,
    "alice is offline",
  );
  assert.deepEqual(tally.unfinished([failed()]), []);
  tally.downloadBegun("films", "a.mkv");
  assert.equal(tally.unfinished([failed()])[0]?.reason, "its SHA-1 is wrong");
});

test("a download that a logout, or the end of the session, stopped is named with that", () => {
  const tally = begun();
  assert.match(
    tally.unfinished([])[0]?.reason ?? "",
    /stopped by a logout; it continues after the next login/,
  );
  tally.onEvent({ type: "session-ended", reason: "The operator removed this account." });
  assert.deepEqual(tally.unfinished([]), [
    { ...FILE, state: "unknown", reason: "the session ended: The operator removed this account." },
  ]);
});

test("a download that completed in an earlier command is begun anew by a later one", () => {
  const tally = new ScriptTally();
  tally.commandBegins();
  tally.onEvent({ type: "download-complete", ...FILE, destinationPath: "/x", sha1: "" });
  tally.downloadBegun("films", "a.mkv");
  assert.equal(tally.exitCode, 0, "its news came before the answer");
  tally.commandBegins();
  tally.downloadBegun("films", "a.mkv");
  assert.equal(tally.exitCode, 1);
});

test("names are one in whatever normal form they are typed", () => {
  const tally = new ScriptTally();
  tally.downloadBegun("Zoe\u0308", "Zo\u00EB.mkv");
  tally.onEvent({
    ...{ type: "download-complete", groupId: "Zo\u00EB", fileName: "Zoe\u0308.mkv" },
    ...{ destinationPath: "/x", sha1: "" },
  });
  assert.equal(tally.exitCode, 0);
});

test("a download that failed for a cause that was said, and is gone since, is not named again", () => {
  const tally = begun();
  tally.downloadNamed("films", "a.mkv");
  assert.deepEqual(tally.unfinished([]), []);
  assert.equal(tally.exitCode, 1);
  tally.downloadSetAside("films", "a.mkv");
  assert.equal(tally.exitCode, 0);
});

test("the text about a download depends on its state", () => {
  const reasonOf = (status: Parameters<ScriptTally["unfinished"]>[0][number]): string | undefined =>
    begun().unfinished([status])[0]?.reason;
  assert.equal(reasonOf(paused(undefined)), "it is paused; resume continues it");
  assert.equal(reasonOf(downloading()), "it was still running");
  const {
    rateBytesPerSecond: _,
    peerCount: __,
    secondsLeft: ___,
    waitingFor: ____,
    ...facts
  } = downloading();
  assert.equal(reasonOf({ ...facts, state: "verifying" }), "it is verifying");
});
