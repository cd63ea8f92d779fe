// Real processes on machines with wrong clocks: a tracker's that jumps, or is wrong at its start; a client's.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Health, TrackerProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const PASSWORD = "correct-horse";
const SKEWED_CLOCK = join(import.meta.dirname, "../torture/skewed-clock.ts");

/** The environment of a program whose clock is ahead by what is written to that file. */
function withClockOf(scene: Scene, name: string) {
  const path = scene.path(`${name}-clock`);
  const setAhead = (aheadMs: number): void => writeFileSync(path, String(aheadMs));
  setAhead(0);
  const env = { ...process.env, NODE_OPTIONS: `--import=${SKEWED_CLOCK}`, TORTURE_SKEW_FILE: path };
  return { env, setAhead };
}

async function cannotWrite(tracker: TrackerProcess): Promise<Health["cannotWrite"]> {
  return (await tracker.health()).cannotWrite;
}

async function areLinked(...trackers: TrackerProcess[]): Promise<boolean> {
  const healths = await Promise.all(trackers.map((tracker) => tracker.health()));
  const isConnected = healths.every(({ links }) => links.every(({ state }) => state === "connected"));
  return isConnected && new Set(healths.map(({ digest }) => digest)).size === 1;
}

test("a tracker whose clock is a day ahead for some seconds sends its clients away, and is linked to the other all the while and after a restart", async () => {
  await using scene = await Scene.open(2);
  const clock = withClockOf(scene, "tracker-1");
  await scene.trackers[0]?.quit();
  const one = await scene.startTracker(1, { env: clock.env });
  const two = scene.trackers[1];
  assert.ok(two);
  const alice = await scene.user("alice");
  clock.setAhead(DAY_MS);
  await until(
    async () => (await cannotWrite(one))?.reason === "clock",
    "the tracker to say that its clock is wrong",
  );
  assert.match((await cannotWrite(one))?.sentence ?? "", /set 1 d ahead/);
  await alice.must("create_group while-ahead");
  const status = (await alice.must("whoami")) as { tracker: string };
  assert.equal(status.tracker, two.address);
  assert.equal(await cannotWrite(two), null);
  clock.setAhead(0);
  await until(async () => (await cannotWrite(one)) === null, "the tracker to go on by itself");
  await until(() => areLinked(one, two), "both trackers to have the same");
  await one.quit();
  const again = await scene.startTracker(1);
  await until(() => areLinked(again, two), "a link after a restart");
  await two.kill();
  await alice.must("create_group afterwards");
});

test("what a tracker wrote alone with its clock a day ahead stands when its clock is right, and can be replaced", async () => {
  await using scene = await Scene.open(2);
  const clock = withClockOf(scene, "tracker-1");
  const two = scene.trackers[1];
  assert.ok(two);
  await Promise.all(scene.trackers.map((tracker) => tracker.quit()));
  clock.setAhead(DAY_MS);
  const wrong = await scene.startTracker(1, { env: clock.env });
  const alice = await scene.user("alice");
  await alice.must("create_group early");
  await alice.must("create_group ended");
  await wrong.quit();
  const right = await scene.startTracker(1);
  assert.equal((await cannotWrite(right))?.reason, "clock", "alone it cannot tell which time is right");
  const other = await scene.startTracker(2);
  await until(() => areLinked(right, other), "the other tracker to take what was stamped in the future");
  await until(async () => (await cannotWrite(right)) === null, "two clocks that agree to be believed");
  await until(async () => (await alice.run("leave_group ended")).ok, "alice to be at a tracker again");
  await until(() => areLinked(right, other), "an end that was written later to count at both");
  assert.match(JSON.stringify(await alice.must("list_groups")), /early/);
  assert.doesNotMatch(JSON.stringify(await alice.must("list_groups")), /ended/);
});

test("a tracker that is alone with stamps from the future goes on when it is told that the clock is right", async () => {
  await using scene = await Scene.open(1);
  const clock = withClockOf(scene, "tracker-1");
  await scene.trackers[0]?.quit();
  clock.setAhead(DAY_MS);
  const wrong = await scene.startTracker(1, { env: clock.env });
  const alice = await scene.user("alice");
  await wrong.quit();
  const right = await scene.startTracker(1);
  assert.equal((await cannotWrite(right))?.reason, "clock");
  right.child.stdin?.write("accept_clock\n");
  await until(async () => (await cannotWrite(right)) === null, "the tracker to write again");
  await until(async () => (await alice.run("create_group g")).ok, "alice to be at the tracker again");
  await right.quit();
  const again = await scene.startTracker(1);
  assert.equal(await cannotWrite(again), null, "for good");
});

test("a client whose clock is hours off is told so at login, and asks for no certificate until it is set", async () => {
  await using scene = await Scene.open(1);
  const [tracker] = scene.trackers;
  assert.ok(tracker);
  const issued = async (): Promise<number> => {
    const metric = /^minitorrent_tracker_certificates_issued_total (\d+)$/m.exec(await tracker.metrics());
    return Number(metric?.[1]);
  };
  const clock = withClockOf(scene, "bob");
  for (const [index, aheadMs] of [-3 * HOUR_MS, 3 * HOUR_MS].entries()) {
    const name = `bob${index}`;
    clock.setAhead(aheadMs);
    const bob = scene.client(name, "127.0.0.1:0", { env: clock.env });
    await bob.must(`create_user ${name} ${PASSWORD}`);
    await bob.must(`login ${name} ${PASSWORD}`);
    const { reason } = await bob.event(({ event }) => event === "clock-wrong");
    const sentence = new RegExp(`clock is 3 h ${aheadMs > 0 ? "ahead of" : "behind"} the tracker's; set it`);
    assert.match(String(reason), sentence);
    await bob.must(`create_group g${index}`);
    const before = await issued();
    const { path } = scene.file(name, "set.tar", 1024);
    const refused = await bob.run(`upload_file ${path} g${index}`);
    assert.equal(refused.code, "CLOCK_WRONG");
    assert.match(refused.error ?? "", sentence);
    assert.equal(await issued(), before);
    clock.setAhead(0);
    await until(
      async () => (await bob.run(`upload_file ${path} g${index}`)).ok,
      "bob to share when the clock is right",
    );
    assert.equal(await issued(), before + 1);
  }
});

test("why says that this machine's clock is wrong, and its certificates are not renewed again and again", async () => {
  await using scene = await Scene.open(1);
  const [tracker] = scene.trackers;
  assert.ok(tracker);
  const clock = withClockOf(scene, "bob");
  const alice = await scene.user("alice");
  const bob = scene.client("bob", "127.0.0.1:0", { env: clock.env });
  await bob.must(`create_user bob ${PASSWORD}`);
  await bob.must(`login bob ${PASSWORD}`);
  await scene.group("g", alice, { bob });
  const { path } = scene.file("alice", "set.tar", 1024 * 1024);
  await alice.must(`upload_file ${path} g`);
  await alice.must("list_files g");
  await alice.kill();
  await bob.must(`download_file g set.tar ${scene.path("bob")}/`);
  const count = async () => /certificates_issued_total (\d+)/.exec(await tracker.metrics())?.[1];
  const before = await count();
  clock.setAhead(3 * HOUR_MS);
  let reason = "";
  await until(async () => {
    reason = ((await bob.must("why g set.tar")) as { reason: string }).reason;
    return reason.includes("clock");
  }, "why to name the clock");
  assert.match(reason, /clock is 3 h ahead of the tracker's; set it/);
  await sleep(3_000); // three times what a certificate that seems to have run out would be renewed after
  assert.equal(await count(), before);
});

test("lines of tracker_info.txt that are one tracker count once, and it is said", async () => {
  await using scene = await Scene.open(1);
  await scene.trackers[0]?.quit();
  const port = scene.trackerAddresses[0]?.split(":")[1];
  for (const [one, same] of [
    ["127.0.0.1", "localhost"],
    ["localhost", "127.0.0.1"],
  ]) {
    writeFileSync(scene.trackerInfo, `${one}:${port}\n${same}:${port}\n`);
    const tracker = await scene.startTracker(1);
    const { links } = await tracker.health();
    assert.deepEqual(links, []);
    assert.match(tracker.stderr, /two lines of tracker_info\.txt are one tracker/);
    await tracker.quit();
  }
});
