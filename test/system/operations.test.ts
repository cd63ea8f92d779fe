// docs/operations.md, walked through with real processes: what it tells an operator to do works, and clients go on
// meanwhile.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { type ClientProcess, freePorts } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";

async function freeAddress(): Promise<string> {
  const [port = 0] = await freePorts(1);
  return `127.0.0.1:${port}`;
}

/** `quit`, and a start with the file as it is now. */
async function restart(scene: Scene, number: number): Promise<void> {
  await scene.trackers[number - 1]?.quit();
  await scene.startTracker(number);
}

async function hasGroup(client: ClientProcess, groupId: string): Promise<boolean> {
  return JSON.stringify(await client.must("list_groups")).includes(`"groupId":"${groupId}"`);
}

test("a third tracker is added to a running pair, and then suffices alone", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  await alice.must("create_group before");
  scene.trackerAddresses.push(await freeAddress());
  writeFileSync(scene.trackerInfo, `${scene.trackerAddresses.join("\n")}\n`);
  await scene.startTracker(3);
  for (const number of [1, 2]) {
    await restart(scene, number);
    await alice.must(`create_group during-${number}`);
  }
  await scene.trackersAgree();
  for (const number of [1, 2]) await scene.trackers[number - 1]?.kill();
  const bob = await scene.user("bob");
  for (const groupId of ["before", "during-1", "during-2"]) assert.ok(await hasGroup(bob, groupId), groupId);
});

test("a dead tracker's disk is replaced, with its key kept: nobody else has to do anything", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  await scene.trackers[1]?.kill();
  const dataDir = scene.path("tracker-2");
  const lost = `${dataDir}-lost`;
  renameSync(dataDir, lost);
  mkdirSync(dataDir);
  for (const name of ["identity-key.pem", "identity-certificate.pem"])
    cpSync(`${lost}/${name}`, `${dataDir}/${name}`);
  await scene.startTracker(2);
  await scene.trackersAgree();
  await scene.trackers[0]?.kill();
  assert.ok(await hasGroup(alice, "g"));
});

test("a dead tracker's disk is replaced, with a new key: refused until its fingerprint is in the file", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  await scene.trackers[1]?.kill();
  rmSync(scene.path("tracker-2"), { recursive: true });
  const replaced = await scene.startTracker(2);
  await until(
    () => scene.trackers[0]?.stderr.includes("a link was refused") ?? false,
    () => "a refusal in the log",
  );
  // The log is written behind what the tracker says on stdout.
  const fingerprintSaid = () => /"fingerprint":"([0-9a-f]{64})"/.exec(replaced.stderr)?.[1];
  await until(
    () => fingerprintSaid() !== undefined,
    () => `the fingerprint in the log: ${replaced.stderr}`,
  );
  const fingerprint = fingerprintSaid();
  const [one, two] = scene.trackerAddresses;
  writeFileSync(scene.trackerInfo, `${one}\n${two} sha256:${fingerprint}\n`);
  await restart(scene, 1);
  await scene.trackersAgree();
  await alice.finish();
  await scene.trackers[0]?.kill();
  const again = await scene.userAgain("alice");
  assert.ok(await hasGroup(again, "g"));
});

test("a backup is made while a tracker serves; brought back as an old copy it has all that came since", async () => {
  await using scene = await Scene.open(2);
  // At tracker 1, so that the rows that its disk loses are its own.
  const alice = scene.client("alice", scene.trackerAddresses[0]);
  await alice.must("create_user alice correct-horse");
  await alice.must("login alice correct-horse");
  await alice.must("create_group before");
  const backup = scene.path("backup");
  scene.trackers[0]?.child.stdin?.write(`backup ${backup}\n`);
  await alice.must("create_group meanwhile");
  await until(
    () => existsSync(backup),
    () => "the backup",
  );
  await alice.must("create_group after");
  const trackerId = (await scene.trackers[0]?.health())?.trackerId;
  await scene.trackers[0]?.kill();
  rmSync(scene.path("tracker-1"), { recursive: true });
  cpSync(backup, scene.path("tracker-1"), { recursive: true });
  await scene.startTracker(1);
  await scene.trackersAgree();
  await scene.trackers[1]?.kill();
  for (const groupId of ["before", "meanwhile", "after"]) assert.ok(await hasGroup(alice, groupId), groupId);
  await alice.must("create_group later");
  await scene.startTracker(2);
  await scene.trackersAgree();
  assert.notEqual((await scene.trackers[0]?.health())?.trackerId, trackerId, "it goes on under a new id");
});

test("a backup alone brings a tracker back as it was when it was made", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  await alice.must("create_group before");
  const backup = scene.path("backup");
  scene.trackers[0]?.child.stdin?.write(`backup ${backup}\n`);
  await until(
    () => existsSync(backup),
    () => "the backup",
  );
  await alice.must("create_group after");
  await scene.trackers[0]?.kill();
  rmSync(scene.path("tracker-1"), { recursive: true });
  cpSync(backup, scene.path("tracker-1"), { recursive: true });
  await scene.startTracker(1);
  await alice.event(({ event, isFailover }) => event === "tracker-connected" && isFailover === true);
  assert.ok(await hasGroup(alice, "before"));
  assert.ok(!(await hasGroup(alice, "after")));
  await alice.must("create_group after");
});

test("a tracker moves to another address", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  await scene.trackers[1]?.quit();
  scene.trackerAddresses[1] = await freeAddress();
  writeFileSync(scene.trackerInfo, `${scene.trackerAddresses.join("\n")}\n`);
  await scene.startTracker(2);
  await restart(scene, 1);
  await scene.trackersAgree();
  // Her file names the old address: tracker 1 is all she has, and it was away for a moment.
  await until(
    async () => (await alice.run("list_groups")).ok,
    () => "tracker 1 to be back for alice",
  );
  await alice.must("create_group moved");
  await scene.trackers[0]?.kill();
  const bob = await scene.user("bob");
  for (const groupId of ["g", "moved"]) assert.ok(await hasGroup(bob, groupId), groupId);
});

test("an account and a group are removed at a tracker's console, and clients at another one are told", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  await alice.must("create_group films");
  const bob = await scene.user("bob");
  await bob.must("join_group films");
  await alice.must("accept_request films bob");
  const typed = (line: string) => scene.trackers[1]?.child.stdin?.write(`${line}\n`);
  typed("remove_account bob");
  typed("remove_account bob yes");
  const ended = await bob.event(({ event }) => event === "session-ended");
  assert.match(JSON.stringify(ended), /has removed this account/);
  assert.equal((await bob.run("list_groups")).code, "NOT_LOGGED_IN");
  assert.doesNotMatch(JSON.stringify(await alice.must("list_members films")), /bob/);
  await scene.trackersAgree();
  typed("remove_group films yes");
  await alice.event(({ event }) => event === "membership-ended");
  assert.equal(await hasGroup(alice, "films"), false);
});
