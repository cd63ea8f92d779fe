// Real processes: a seeder whose file was altered after it was shared.
import assert from "node:assert/strict";
import { closeSync, copyFileSync, openSync, statSync, utimesSync, writeSync } from "node:fs";
import { test } from "node:test";
import { downloadOf, downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";

const MIB = 1024 * 1024;

/** Changes bytes in every piece, and puts the times back, so that the file looks as it did. */
function alterUnnoticed(path: string, lengthBytes: number): void {
  const { atime, mtime } = statSync(path);
  const file = openSync(path, "r+");
  for (let at = 100; at < lengthBytes; at += 256 * 1024) writeSync(file, Buffer.from("altered"), 0, 7, at);
  closeSync(file);
  utimesSync(path, atime, mtime);
}

/** Whole milliseconds, which utimes puts back exactly. */
function roundTimes(path: string): void {
  const { atimeMs, mtimeMs } = statSync(path);
  utimesSync(path, Math.floor(atimeMs) / 1000, Math.floor(mtimeMs) / 1000);
}

test("bad bytes of an altered file never get into a download, and the downloader is told from whom they came", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const mallory = await scene.user("mallory");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { mallory, bob });
  const { path, sha1 } = scene.file("alice", "set.tar", 64 * MIB);
  const copy = scene.path("mallory", "set.tar");
  copyFileSync(path, copy);
  roundTimes(copy);
  await mallory.must(`upload_file ${copy} g`);
  alterUnnoticed(copy, 64 * MIB);

  await bob.must(`download_file g set.tar ${scene.path("bob")}/`);
  const told = await bob.event((event) => event.event === "peer-sent-bad-data");
  assert.equal(told.userId, "mallory");
  assert.equal((await downloadOf(bob)).piecesVerified, 0);
  await downloadUntil(
    bob,
    ({ state, waitingFor }) => state === "downloading" && typeof waitingFor === "string",
  );

  await alice.must(`upload_file ${path} g`);
  await bob.must("wait g set.tar");
  assert.equal(await sha1Of(scene.path("bob", "set.tar")), sha1);
  const peers = JSON.stringify(await bob.must("peers g set.tar"));
  assert.match(peers, /mallory.*banned/);
});

test("a sharer of bad data is told by whom and what to do, is a seeder no longer, and is named by `why`", async () => {
  await using scene = await Scene.open(1);
  const mallory = await scene.user("mallory");
  const bob = await scene.user("bob");
  await scene.group("g", mallory, { bob });
  const { path } = scene.file("mallory", "set.tar", 8 * MIB);
  roundTimes(path);
  await mallory.must(`upload_file ${path} g`);
  alterUnnoticed(path, 8 * MIB);
  await bob.must(`download_file g set.tar ${scene.path("bob")}/`);

  const told = await mallory.event((event) => event.event === "share-ended");
  assert.match(
    String(told.reason),
    /^bob received bad data from here, and piece \d+ of .*set\.tar is not what was shared/,
  );
  assert.match(String(told.reason), /check the disk and restore the file; upload_file \S+ g/);
  assert.partialDeepStrictEqual(await bob.must("list_files g"), [{ seedersOnline: 0 }]);
  const { reason, notUsed } = (await bob.must("why g set.tar")) as { reason: string; notUsed: object[] };
  assert.match(reason, /mallory sent bad data in piece \d+/);
  assert.partialDeepStrictEqual(notUsed, [{ userId: "mallory", cause: "banned" }]);
  assert.partialDeepStrictEqual(await mallory.must("list_shares"), [{ state: "unusable" }]);

  await mallory.must("logout");
  await mallory.must("login mallory correct-horse");
  assert.partialDeepStrictEqual(
    await mallory.must("list_shares"),
    [{ state: "unusable" }],
    "nor after a login",
  );
  await mallory.must(`upload_file ${path} g`);
  await bob.event((event) => event.event === "download-failed");
});

test("a file that changed on disk is no longer shared, and its member is told", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const { path } = scene.file("alice", "set.tar", 8 * MIB);
  await alice.must(`upload_file ${path} g`);
  scene.file("alice", "set.tar", 8 * MIB);
  await bob.must(`download_file g set.tar ${scene.path("bob")}/`);
  const told = await alice.event((event) => event.event === "share-ended");
  assert.equal(told.fileName, "set.tar");
  assert.equal((await downloadOf(bob)).piecesVerified, 0);
});
