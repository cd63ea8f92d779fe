// Real trackers whose disk fills up: who is removed meanwhile gets nothing from them, and they serve again by themselves.
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ClientProcess, type Health, TrackerProcess } from "../../harness/processes.ts";
import { withoutMounts } from "../../harness/requirements.ts";
import { Scene } from "../../harness/scene.ts";
import { SmallDisk } from "../../harness/small-disk.ts";

const MIB = 1024 * 1024;
const DISK_BYTES = 16 * MIB;
const PATIENCE_MS = 20_000;
const POLL_MS = 20;
/** A removal is acknowledged without waiting for a tracker that cannot store it: PendingPushes waits 2 s. */
const NOT_WAITED_FOR_MS = 1_500;

/** Stops that tracker and starts it again with its data directory on the disk. */
async function moveTo(disk: SmallDisk, scene: Scene, number: number): Promise<TrackerProcess> {
  await scene.trackers[number - 1]?.quit();
  cpSync(scene.path(`tracker-${number}`), disk.path, { recursive: true });
  const tracker = await TrackerProcess.start(scene.trackerInfo, number, disk.path);
  scene.trackers[number - 1] = tracker;
  return tracker;
}

async function healthUntil(tracker: TrackerProcess, holds: (health: Health) => boolean): Promise<Health> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const health = await tracker.health();
    if (holds(health)) return health;
    assert.ok(Date.now() < deadline, `in vain; last ${JSON.stringify(health)}; ${tracker.stderr}`);
    await sleep(POLL_MS);
  }
}

/** Runs it until a tracker is found again: how soon that is, is not the point here. */
async function onceOk(client: ClientProcess, command: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await client.run(command);
    if (answer.ok) return;
    assert.equal(answer.code, "TRACKERS_UNREACHABLE");
    assert.ok(Date.now() < deadline, `${command}: ${answer.error}`);
    await sleep(POLL_MS);
  }
}

async function trackerOf(client: ClientProcess): Promise<string> {
  const { tracker } = (await client.must("whoami")) as { tracker: string };
  return tracker;
}

async function memberAt(scene: Scene, name: string, number: number): Promise<ClientProcess> {
  const client = scene.client(name, scene.trackerAddresses[number - 1]);
  await client.must(`create_user ${name} correct-horse`);
  await client.must(`login ${name} correct-horse`);
  return client;
}

test("a tracker whose disk is full serves nobody that was removed elsewhere, and serves again once it has caught up", {
  skip: withoutMounts(),
}, async () => {
  await using scene = await Scene.open(2);
  using disk = new SmallDisk(scene.path("disk"), DISK_BYTES);
  const full = await moveTo(disk, scene, 1);
  const [, other] = scene.trackers;
  assert.ok(other);
  await healthUntil(full, ({ links }) => links[0]?.state === "connected");
  const alice = await memberAt(scene, "alice", 2);
  const bob = await memberAt(scene, "bob", 1);
  await scene.group("g", alice, { bob });
  assert.equal(await trackerOf(bob), full.address);

  disk.fillUpTo(0);
  const startedMs = performance.now();
  await alice.must("remove_member g bob");
  assert.ok(performance.now() - startedMs < NOT_WAITED_FOR_MS, "it is not waited for");
  const blocked = await healthUntil(full, ({ isServing }) => !isServing);
  assert.equal(blocked.cannotWrite?.reason, "disk-full");
  assert.match(await full.metrics(), /^minitorrent_tracker_cannot_write 1$/m);
  await bob.event(({ event }) => event === "membership-ended");
  assert.equal(await trackerOf(bob), other.address);
  assert.equal((await bob.run("list_members g")).code, "NOT_A_MEMBER");
  const { links } = await other.health();
  assert.equal(links[0]?.state, "cannot-store");
  const secondMs = performance.now();
  await alice.must("create_group another");
  assert.ok(performance.now() - secondMs < NOT_WAITED_FOR_MS, "nor later");

  // Alone it knows that it lacks something, also once it can write.
  await other.kill();
  assert.equal((await bob.run("list_groups")).code, "TRACKERS_UNREACHABLE");
  disk.empty();
  const alone = await healthUntil(full, ({ cannotWrite }) => cannotWrite === null);
  assert.equal(alone.isServing, false);
  assert.equal((await bob.run("list_groups")).code, "TRACKERS_UNREACHABLE");

  const back = await scene.startTracker(2);
  const { digest } = await healthUntil(full, ({ isServing }) => isServing);
  assert.equal(digest, await back.digest());
  await back.kill();
  await onceOk(alice, "create_group third");
  await onceOk(bob, "list_groups");
  assert.equal((await bob.run("list_members g")).code, "NOT_A_MEMBER");
});

test("the only tracker answers what it can while its disk is full, and takes writes again by itself", {
  skip: withoutMounts(),
}, async () => {
  await using scene = await Scene.open(1);
  using disk = new SmallDisk(scene.path("disk"), DISK_BYTES);
  const tracker = await moveTo(disk, scene, 1);
  const alice = await memberAt(scene, "alice", 1);
  const bob = await memberAt(scene, "bob", 1);
  await scene.group("g", alice, { bob });
  disk.fillUpTo(0);
  const refused = await alice.run("remove_member g bob");
  assert.equal(refused.code, "TRACKER_CANNOT_WRITE");
  assert.match(refused.error ?? "", /full; free space/);
  const { isServing, cannotWrite } = await tracker.health();
  assert.deepEqual({ isServing, reason: cannotWrite?.reason }, { isServing: true, reason: "disk-full" });
  assert.equal(JSON.stringify(await bob.must("list_members g")).includes("alice"), true);
  disk.empty();
  await healthUntil(tracker, (health) => health.cannotWrite === null && health.isServing);
  await alice.must("remove_member g bob");
  assert.equal((await bob.run("list_members g")).code, "NOT_A_MEMBER");
});
