// Somebody in the middle at a tracker that a client has never dialled, while it knows another one: real processes.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";
import { createDeviceIdentity } from "../../src/identity/certificates.ts";
import { lyingTracker } from "./lying-tracker.ts";

/** What logging in comes to, once the trackers have been tried. */
async function loginOutcome(client: ClientProcess): Promise<string | undefined> {
  let outcome: string | undefined;
  await until(async () => {
    const { ok, code } = await client.run("login alice correct-horse");
    outcome = ok ? "OK" : code;
    return outcome !== "TRACKERS_UNREACHABLE";
  }, "a tracker that answers the login");
  return outcome;
}

test("an outsider in the place of a tracker that was never dialled gets no password and no word; the true one does", async () => {
  await using scene = await Scene.open(2);
  await scene.trackers[1]?.kill();
  const alice = await scene.user("alice");
  const trusted = await alice.event((event) => event.event === "tracker-trusted");
  assert.equal(trusted.tracker, scene.trackerAddresses[0]);
  assert.match(String(trusted.fingerprint), /^[0-9a-f]{64}$/);
  await alice.kill();
  await scene.trackers[0]?.kill();
  const port = Number(scene.trackerAddresses[1]?.split(":")[1]);
  const impostor = await lyingTracker(await createDeviceIdentity(), port);
  impostor.answers.set("session.login", { userId: "alice", accountId: "000000000000-000000-00" });
  try {
    assert.equal(await loginOutcome(scene.client("alice")), "TRACKER_KEY_UNKNOWN");
    assert.deepEqual([impostor.upgrades(), impostor.calls], [0, []]);
  } finally {
    await impostor.close();
  }
  const first = await scene.startTracker(1);
  await scene.startTracker(2);
  await scene.trackersAgree();
  await first.kill();
  assert.equal(await loginOutcome(scene.client("alice")), "OK");
});

/** How many keys the trackers that this client trusts have vouched for. */
function vouchedCount(scene: Scene, name: string): number {
  const database = new DatabaseSync(scene.path(name, "profile", "trackers.sqlite"), { readOnly: true });
  try {
    return Number(database.prepare("SELECT count(*) AS count FROM vouched").get()?.count);
  } finally {
    database.close();
  }
}

test("a tracker that comes up for the first time after a client connected is vouched for while the client stays", async () => {
  await using scene = await Scene.open(2);
  for (const [at, tracker] of scene.trackers.entries()) {
    await tracker.kill();
    rmSync(scene.path(`tracker-${at + 1}`), { recursive: true });
  }
  await scene.startTracker(1);
  const alice = await scene.user("alice");
  await until(() => vouchedCount(scene, "alice") >= 1, "the first tracker to vouch for itself");
  await scene.startTracker(2);
  await until(() => vouchedCount(scene, "alice") >= 2, "the first tracker to vouch for the second");
  await scene.trackers[0]?.kill();
  await alice.event((event) => event.event === "tracker-connected" && event.isFailover === true);
  await alice.must("list_groups");
});
