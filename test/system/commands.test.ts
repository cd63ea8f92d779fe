// Real processes: what the commands do to downloads, shares and groups, and what they say when they cannot.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import type { ClientProcess } from "../../harness/processes.ts";
import { type Download, downloadOf, downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";

const MIB = 1024 * 1024;

let scene: Scene;
let alice: ClientProcess;
let bob: ClientProcess;

beforeEach(async () => {
  scene = await Scene.open(1);
  alice = await scene.user("alice");
  bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
});
afterEach(() => scene[Symbol.asyncDispose]());

async function refused(client: ClientProcess, command: string): Promise<string | undefined> {
  const answer = await client.run(command);
  assert.ok(!answer.ok, `${command} went well`);
  return answer.code;
}

test("a download can be paused, resumed and cancelled; cancelled, nothing of it is left", async () => {
  const { path, sha1 } = scene.file("alice", "a.bin", 384 * MIB);
  await alice.must(`upload_file ${path} g`);
  const target = scene.path("bob", "a.bin");
  await bob.must(`download_file g a.bin ${target}`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 0);
  await bob.must("pause g a.bin");
  const paused = await downloadOf(bob);
  assert.equal(paused.state, "paused");
  const { holders } = (await bob.must("why g a.bin")) as { holders: object[] };
  assert.partialDeepStrictEqual(
    holders,
    [{ userId: "alice", isConnected: false }],
    "who had it is known yet",
  );
  assert.equal(await refused(bob, `download_file g a.bin ${target}`), "DOWNLOAD_EXISTS");
  await bob.must("resume g a.bin");
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > paused.piecesVerified);
  await bob.must("pause g a.bin");
  await bob.must("logout");
  await bob.must("login bob correct-horse");
  assert.equal((await downloadOf(bob)).state, "paused");
  await bob.must("resume g a.bin");
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(target), sha1);
  assert.ok(!existsSync(`${target}.part`));

  assert.equal(await refused(bob, `download_file g a.bin ${scene.path("bob", "second.bin")}`), "FILE_EXISTS");
  await bob.must("stop_share g a.bin");
  await bob.must(`download_file g a.bin ${scene.path("bob", "second.bin")}`);
  await bob.must("cancel g a.bin");
  assert.deepEqual(await bob.must("show_downloads"), []);
  assert.ok(!existsSync(scene.path("bob", "second.bin.part")));
  assert.equal(await refused(bob, "pause g a.bin"), "UNKNOWN_DOWNLOAD");
});

test("each member's contribution to a download is counted over a pause, a logout and a restart", async () => {
  const { path } = scene.file("alice", "a.bin", 64 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must("limit down 10MB/s");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  const given = ({ sources }: Download): number => sources.reduce((sum, { pieces }) => sum + pieces, 0);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 10);
  await bob.must("pause g a.bin");
  const paused = await downloadOf(bob);
  assert.deepEqual(
    paused.sources.map(({ userId }) => userId),
    ["alice"],
  );
  // A piece that is being verified when it stops is written, and counted for nobody.
  const isNearly = (pieces: number, all: number, stops = 1): boolean =>
    pieces <= all && pieces > all - 8 * stops;
  const before = given(paused);
  assert.ok(isNearly(before, paused.piecesVerified), `${before} of ${paused.piecesVerified}`);
  await bob.must("logout");
  await bob.must("login bob correct-horse");
  assert.equal(given(await downloadOf(bob)), before);
  await bob.must("resume g a.bin");
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > paused.piecesVerified + 10);
  await bob.must("logout");
  await bob.must("login bob correct-horse");
  await bob.must("limit down off");
  await bob.must("wait g a.bin");
  const complete = await downloadOf(bob);
  assert.ok(
    isNearly(given(complete), complete.pieceCount, 2),
    `${given(complete)} of ${complete.pieceCount}`,
  );
});

test("a download goes on by itself after logout and login", async () => {
  const { path, sha1 } = scene.file("alice", "a.bin", 256 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 10);
  await bob.must("logout");
  await bob.must("login bob correct-horse");
  await bob.event((event) => event.event === "download-complete");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
});

test("a file that is at the destination already is shared from there; another one is not overwritten", async () => {
  const { path } = scene.file("alice", "a.bin", 3 * MIB);
  await alice.must(`upload_file ${path} g`);
  const same = scene.path("bob", "same.bin");
  copyFileSync(path, same);
  await bob.must(`download_file g a.bin ${same}`);
  assert.equal((await downloadOf(bob)).state, "complete");
  const files = JSON.stringify(await alice.must("list_files g"));
  assert.match(files, /"seedersOnline":2/);

  const other = scene.path("bob", "other.bin");
  writeFileSync(other, "mine");
  await bob.must("cancel g a.bin");
  assert.equal(await refused(bob, `download_file g a.bin ${other}`), "FILE_EXISTS");
  assert.equal(
    await refused(bob, `download_file g a.bin ${scene.path("bob", "same.bin", "below", "it")}`),
    "DESTINATION_UNUSABLE",
  );
  assert.equal(await refused(bob, `download_file g nothing ${same}`), "UNKNOWN_FILE");
});

test("a destination folder that is missing is made, and that is said", async () => {
  const { path } = scene.file("alice", "a.bin", MIB);
  await alice.must(`upload_file ${path} g`);
  const folder = scene.path("bob", "not", "yet");
  await bob.must(`download_file g a.bin ${folder}/`);
  const made = await bob.event(({ event }) => event === "folder-made");
  assert.equal(made.path, folder);
  await alice.must(`upload_file ${scene.file("alice", "b.bin", MIB).path} g`);
  await bob.must(`download_file g b.bin ${folder}/`);
  assert.equal(bob.events.filter(({ event }) => event === "folder-made").length, 1);
});

test("an empty file, and one of odd length, arrive as they are", async () => {
  for (const lengthBytes of [0, 1, 5 * MIB + 12_345]) {
    const { path, sha1 } = scene.file("alice", `f${lengthBytes}`, lengthBytes);
    await alice.must(`upload_file ${path} g`);
    await bob.must(`download_file g f${lengthBytes} ${scene.path("bob")}/`);
    await bob.must(`wait g f${lengthBytes}`);
    assert.equal(await sha1Of(scene.path("bob", `f${lengthBytes}`)), sha1);
  }
});

test("the same content under the same name joins the swarm; other content is refused; stop_share ends it", async () => {
  const { path } = scene.file("alice", "a.bin", 3 * MIB);
  await alice.must(`upload_file ${path} g`);
  copyFileSync(path, scene.path("bob", "a.bin"));
  const shared = (await bob.must(`upload_file ${scene.path("bob", "a.bin")} g`)) as { joinedSwarm: boolean };
  assert.ok(shared.joinedSwarm);
  scene.file("bob", "a.bin", 3 * MIB);
  assert.equal(await refused(bob, `upload_file ${scene.path("bob", "a.bin")} g`), "FILE_EXISTS");
  await bob.must("stop_share g a.bin");
  assert.equal(await refused(bob, "stop_share g a.bin"), "NOT_SHARED");
  assert.match(JSON.stringify(await bob.must("list_files g")), /a\.bin/);
  await alice.must("stop_share g a.bin");
  assert.deepEqual(await bob.must("list_files g"), []);
  assert.equal(await refused(bob, `upload_file ${scene.path("bob", "absent")} g`), "FILE_NOT_FOUND");
  assert.equal(await refused(bob, `upload_file /dev/null g`), "NOT_A_FILE");
});

test("a file that changed is shared in the place of what it was, and who downloads that is told", async () => {
  const { path } = scene.file("alice", "a.bin", 3 * MIB);
  await alice.must(`upload_file ${path} g`);
  await alice.must("limit up 16KiB/s");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  const { sha1 } = scene.file("alice", "a.bin", 2 * MIB);
  const shared = await alice.must(`upload_file ${path} g`);
  assert.partialDeepStrictEqual(shared, { replacesEarlier: true, joinedSwarm: false, sha1 });
  const failed = await bob.event((event) => event.event === "download-failed");
  assert.match(JSON.stringify(failed), /FILE_CHANGED.*changed by the member who shares it.*cancel g a\.bin/);
  await alice.must("limit up off");
  await bob.must("cancel g a.bin");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
});

test("shares are listed, and completed downloads and limits are there after the next login", async () => {
  const { path } = scene.file("alice", "a.bin", MIB);
  await alice.must(`upload_file ${path} g`);
  assert.partialDeepStrictEqual(await alice.must("list_shares"), [
    { fileName: "a.bin", path, state: "served" },
  ]);
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await bob.must("wait");
  await bob.must("limit up 20kB/s");
  await bob.must("logout");
  await bob.must("limit up off");
  await bob.must("login bob correct-horse");
  assert.deepEqual(await bob.must("show_downloads"), []);
  assert.partialDeepStrictEqual(await bob.must("show_downloads all"), [
    { fileName: "a.bin", state: "complete", destinationPath: scene.path("bob", "a.bin") },
  ]);
  assert.partialDeepStrictEqual(await bob.must("limit"), { all: { up: 20_000, down: null } });
  assert.equal(await refused(bob, "show_downloads some"), "USAGE");
});

test("a member who was removed and is let in again is told what they can share again", async () => {
  const { path } = scene.file("bob", "b.bin", MIB);
  await bob.must(`upload_file ${path} g`);
  await alice.must("remove_member g bob");
  await bob.event((event) => event.event === "membership-ended");
  await bob.must("join_group g");
  await alice.must("accept_request g bob");
  const told = await bob.event((event) => event.event === "may-share-again");
  assert.partialDeepStrictEqual(told, { groupId: "g", count: 1, paths: [path] });
});

test("a member who stops sharing during a download is told who does not have all of it yet", async () => {
  const { path } = scene.file("alice", "a.bin", 64 * MIB);
  await alice.must(`upload_file ${path} g`);
  await alice.must("limit up 100kB/s");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ sources }) => sources.length > 0);
  assert.partialDeepStrictEqual(await alice.must("stop_share g a.bin"), { interrupted: ["bob"] });
});

test("a file that can be had is not replaced by another one of its name", async () => {
  const { path } = scene.file("alice", "a.bin", MIB);
  await alice.must(`upload_file ${path} g`);
  const { path: other } = scene.file("bob", "a.bin", MIB);
  const answer = await alice.run(`upload_file ${other} g`);
  assert.match(JSON.stringify(answer), /FILE_EXISTS.*stop_share g a\.bin, then upload_file/);
});

test("a shared file is not available between logout and login", async () => {
  const { path, sha1 } = scene.file("alice", "a.bin", 8 * MIB);
  await alice.must(`upload_file ${path} g`);
  await alice.must("logout");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  const waiting = await downloadUntil(bob, ({ waitingFor }) => typeof waitingFor === "string");
  assert.equal(waiting.piecesVerified, 0);
  await alice.must("login alice correct-horse");
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
});

test("the owner who leaves hands the group on; the last one who leaves ends it", async () => {
  const carol = await scene.user("carol");
  await carol.must("join_group g");
  assert.equal(await refused(bob, "accept_request g carol"), "NOT_THE_OWNER");
  await alice.must("accept_request g carol");
  assert.deepEqual(await alice.must("leave_group g"), { groupId: "g", newOwnerId: "bob", groupEnded: false });
  await bob.event((event) => event.event === "became-owner");
  await bob.must("remove_member g carol");
  await carol.event((event) => event.event === "membership-ended" && event.how === "removed");
  assert.equal(await refused(carol, "list_files g"), "NOT_A_MEMBER");
  assert.deepEqual(await bob.must("leave_group g"), { groupId: "g", newOwnerId: null, groupEnded: true });
  assert.equal(await refused(carol, "join_group g"), "UNKNOWN_GROUP");
});
