// Real processes: what must hold when something goes wrong at an unlucky moment.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { test } from "node:test";
import { downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";

const MIB = 1024 * 1024;
/** Heartbeat, its timeout, and the way to the next tracker. */
const FROZEN_TRACKER_MS = 6_000;

test("a file of somebody else's that has the part file's name by now is neither written nor removed", async () => {
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  const { path } = scene.file("alice", "a.bin", 8 * MIB);
  await alice.must(`upload_file ${path} g`);
  await alice.must("logout");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await bob.kill("SIGKILL");
  const part = scene.path("bob", "a.bin.part");
  // Both exist for a moment, so that the new one cannot get the old one's inode.
  writeFileSync(`${part}.new`, "a browser's download");
  rmSync(part);
  execFileSync("mv", [`${part}.new`, part]);
  const again = await scene.userAgain("bob");
  const failed = await again.event((event) => event.event === "download-failed");
  assert.equal(failed.code, "FILE_EXISTS");
  await again.must("cancel g a.bin");
  assert.equal(readFileSync(part, "utf8"), "a browser's download");
});

test("a client leaves a tracker that is frozen, and commands do not wait for it", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  const { tracker } = (await alice.must("whoami")) as { tracker: string };
  const frozen = scene.trackers[scene.trackerAddresses.indexOf(tracker)];
  frozen?.child.kill("SIGSTOP");
  const startedMs = performance.now();
  await alice.must("list_groups");
  assert.ok(performance.now() - startedMs < FROZEN_TRACKER_MS, `${performance.now() - startedMs} ms`);
  frozen?.child.kill("SIGCONT");
});

test("a command that a frozen tracker takes up when it thaws does not undo what was answered at another meanwhile", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  const { tracker } = (await alice.must("whoami")) as { tracker: string };
  const frozen = scene.trackers[scene.trackerAddresses.indexOf(tracker)];
  frozen?.child.kill("SIGSTOP");
  await alice.must("create_group g");
  const { path } = scene.file("alice", "a.bin", MIB);
  await alice.must(`upload_file ${path} g`);
  frozen?.child.kill("SIGCONT");
  await scene.trackersAgree();
  const files = await alice.must("list_files g");
  assert.match(JSON.stringify(files), /"fileName":"a.bin"/, "the group is the one that it was shared in");
  const groups = (await alice.must("list_groups")) as unknown[];
  assert.equal(groups.length, 1);
});

test("a command that a frozen tracker takes up when it thaws is not done after what the member did meanwhile", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  const { path } = scene.file("alice", "a.bin", MIB);
  await alice.must(`upload_file ${path} g`);
  const { tracker } = (await alice.must("whoami")) as { tracker: string };
  const frozen = scene.trackers[scene.trackerAddresses.indexOf(tracker)];
  frozen?.child.kill("SIGSTOP");
  await alice.must("stop_share g a.bin");
  await alice.must(`upload_file ${path} g`);
  frozen?.child.kill("SIGCONT");
  await scene.trackersAgree();
  const files = await alice.must("list_files g");
  assert.match(JSON.stringify(files), /"fileName":"a.bin"/);
});

test("a piece that went bad on disk after it was verified is fetched again, not kept", async () => {
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "a.bin", 256 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified, pieceCount }) => piecesVerified > pieceCount / 8);
  await bob.must("pause g a.bin");
  const part = scene.path("bob", "a.bin.part");
  const times = scene.path("times");
  execFileSync("touch", ["-r", part, times]);
  const file = openSync(part, "r+");
  for (let at = 5_000; at < 256 * MIB; at += MIB) writeSync(file, Buffer.from("gone bad"), 0, 8, at);
  closeSync(file);
  execFileSync("touch", ["-r", times, part]);
  await bob.must("resume g a.bin");
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
});

test("a download that failed goes on with what it has when the same command is given again", async () => {
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "a.bin", 256 * MIB);
  await alice.must(`upload_file ${path} g`);
  const command = `download_file g a.bin ${scene.path("bob")}/`;
  await bob.must(command);
  const before = await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 50);
  await alice.must("remove_member g bob");
  await bob.event((event) => event.event === "download-failed");
  await bob.must("join_group g");
  await alice.must("accept_request g bob");
  await bob.must(command);
  const after = await downloadUntil(bob, ({ state }) => state === "complete");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
  const fetched = after.sources.reduce((sum, { pieces }) => sum + pieces, 0);
  assert.ok(before.piecesVerified > 50 && fetched <= after.pieceCount, `${fetched} of ${after.pieceCount}`);
});
