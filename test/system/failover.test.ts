// Real processes: trackers that die and come back.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientProcess } from "../../harness/processes.ts";
import { downloadOf, downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";

const MIB = 1024 * 1024;
const FAILOVER_MS = 2_000;

async function trackerOf(client: ClientProcess): Promise<string> {
  const status = (await client.must("whoami")) as { tracker: string };
  return status.tracker;
}

test("a client whose tracker dies is at the next one within 2 s, session and shares with it", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "set.tar", 16 * MIB);
  await alice.must(`upload_file ${path} g`);
  const lost = await trackerOf(alice);
  await scene.trackers[scene.trackerAddresses.indexOf(lost)]?.kill("SIGKILL");
  const startedMs = performance.now();
  await alice.must("list_groups");
  assert.ok(performance.now() - startedMs < FAILOVER_MS);
  assert.notEqual(await trackerOf(alice), lost);
  await bob.must("list_files g");
  await bob.must(`download_file g set.tar ${scene.path("bob")}/`);
  await bob.must("wait");
  assert.equal(await sha1Of(scene.path("bob", "set.tar")), sha1);
});

test("a tracker that returns catches up, and then suffices alone", async () => {
  await using scene = await Scene.open(2);
  await scene.trackers[1]?.kill("SIGKILL");
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  const returned = await scene.startTracker(2);
  await scene.trackersAgree();
  await scene.trackers[0]?.kill("SIGKILL");
  assert.ok(returned.pid > 0);
  const groups = JSON.stringify(await alice.must("list_groups"));
  assert.match(groups, /"groupId":"g"/);
  const bob = await scene.user("bob");
  await bob.must("join_group g");
  await alice.must("accept_request g bob");
});

test("with no tracker left commands say so at once, a running download goes on, and all is well when one is back", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "set.tar", 512 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must(`download_file g set.tar ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 0);
  await scene.trackers[0]?.kill("SIGKILL");
  await bob.event((event) => event.event === "trackers-unreachable");
  const startedMs = performance.now();
  const answer = await bob.run("list_groups");
  assert.equal(answer.code, "TRACKERS_UNREACHABLE");
  assert.ok(performance.now() - startedMs < FAILOVER_MS);
  await bob.must("wait");
  assert.equal(await sha1Of(scene.path("bob", "set.tar")), sha1);
  await scene.startTracker(1);
  await bob.event((event) => event.event === "tracker-connected" && event.isFailover === true);
  await bob.must("list_groups");
});

test("content that lost its name to other content, shared while trackers were apart, is given up by who shares or downloads it", async () => {
  await using scene = await Scene.open(2);
  const [one, other] = scene.trackers;
  const [alice, bob, carol] = [await scene.user("alice"), await scene.user("bob"), await scene.user("carol")];
  await scene.group("g", alice, { bob, carol });
  await other?.kill();
  const { path } = scene.file("alice", "set.tar", 4 * MIB);
  await alice.must(`upload_file ${path} g`);
  // At the other tracker she would list it again.
  await alice.kill();
  await one?.kill();
  await scene.startTracker(2);
  for (const client of [bob, carol]) {
    await until(
      async () => (await client.run("list_groups")).ok,
      "a client to find the tracker that is back",
    );
  }
  const late = scene.file("bob", "set.tar", 4 * MIB);
  await bob.must(`upload_file ${late.path} g`);
  await carol.must("limit down 64kB/s");
  const command = `download_file g set.tar ${scene.path("carol")}/`;
  await carol.must(command);
  await scene.startTracker(1);
  await scene.userAgain("alice");
  await bob.event((event) => event.event === "name-taken-elsewhere" && event.kind === "file");
  await carol.event((event) => event.event === "download-failed" && event.code === "NAME_TAKEN_ELSEWHERE");
  const { state, reason } = await downloadOf(carol);
  assert.equal(state, "failed");
  assert.match(reason ?? "", /cancel g set\.tar/);
  assert.match(JSON.stringify(await carol.must("why g set.tar")), /belongs to other content/);
  assert.equal((await carol.run(command)).code, "DOWNLOAD_EXISTS");
  await carol.must("cancel g set.tar");
  await carol.must("limit down off");
  await carol.must(command);
  await carol.must("wait");
  assert.equal(await sha1Of(scene.path("carol", "set.tar")), await sha1Of(path));
});

test("a share of a group that ended, and whose name another one has, is not taken up in silence", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  const { path } = scene.file("alice", "set.tar", MIB);
  await alice.must(`upload_file ${path} g`);
  await alice.kill();
  const elsewhere = scene.client("elsewhere");
  await elsewhere.must("login alice correct-horse");
  await elsewhere.must("leave_group g");
  await elsewhere.must("create_group g");
  const again = await scene.userAgain("alice");
  await again.event((event) => event.event === "share-ended" && String(event.reason).includes("upload_file"));
  await again.must(`upload_file ${path} g`);
  assert.match(JSON.stringify(await again.must("list_files g")), /set\.tar/);
});
