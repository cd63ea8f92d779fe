// Signals at odd moments, to real trackers and clients: each ends in good order, or goes on, and what was acknowledged is kept.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { ApiClient } from "../../harness/api-client.ts";
import { ClientProcess, TrackerProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { parseAddress } from "../../src/api/addresses.ts";
import { createDeviceIdentity } from "../../src/identity/certificates.ts";

const ENDING = ["SIGHUP", "SIGTERM", "SIGINT"] as const;
/** Those that say nothing to a tracker or client. */
const IDLE = ["SIGPIPE", "SIGWINCH", "SIGCONT"] as const;
const WRITERS = 8;
/** As a shell reports a process that was told twice to end. */
const EXIT_FORCED = 130;

test("a tracker that is told to end amid writes has all that it acknowledged, whatever the signal", async (t) => {
  const scene = await Scene.open(1);
  t.after(() => scene[Symbol.asyncDispose]());
  const identity = await createDeviceIdentity();
  const acknowledged = new Set<string>();
  for (const [round, signal] of ENDING.entries()) {
    const tracker = scene.trackers[0] ?? assert.fail();
    for (const idle of IDLE) tracker.child.kill(idle);
    const address = parseAddress(tracker.address);
    const client = await ApiClient.connect({ ...address, identity });
    if (round === 0) await client.signUp("alice");
    let count = 0;
    const write = async (): Promise<void> => {
      for (;;) {
        const groupId = `g${round}-${count++}`;
        await client.mutate("groups.create", { groupId, writeId: randomUUID() });
        acknowledged.add(groupId);
        if (acknowledged.size % 40 === 39) tracker.child.kill(signal);
      }
    };
    await Promise.allSettled(Array.from({ length: WRITERS }, write));
    assert.ok(
      [0, EXIT_FORCED].includes((await tracker.ended) ?? -1),
      `${signal}: ${tracker.stderr.slice(-500)}`,
    );
    assert.doesNotMatch(tracker.stderr, /"level":(50|60)|\n {4}at /);
    client.terminate();
    await scene.startTracker(1);
  }
  const [tracker] = scene.trackers;
  const client = await ApiClient.connect({ ...parseAddress(tracker?.address ?? ""), identity });
  const found = await client.queryAll("groups.mine");
  await client.close();
  const ids = new Set(found.map((group) => (group as { groupId: string }).groupId));
  assert.ok(acknowledged.size >= 40);
  assert.deepEqual(
    [...acknowledged].filter((groupId) => !ids.has(groupId)),
    [],
  );
});

test("a tracker and a client that are told to end while they start do so, and start again", async (t) => {
  const scene = await Scene.open(1);
  t.after(() => scene[Symbol.asyncDispose]());
  await scene.trackers[0]?.quit();
  for (const [round, signal] of [...ENDING, ...ENDING].entries()) {
    const starting = TrackerProcess.start(scene.trackerInfo, 1, scene.path("tracker-1")).catch(
      () => undefined,
    );
    const client = ClientProcess.start([
      "127.0.0.1:0",
      scene.trackerInfo,
      "--data-dir",
      scene.path("c", "profile"),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 60 * round));
    client.child.kill(signal);
    await client.ended;
    assert.doesNotMatch(client.stderr, /\n {4}at /, client.stderr);
    const tracker = await starting;
    await tracker?.kill(signal);
    assert.doesNotMatch(tracker?.stderr ?? "", /"level":(50|60)|\n {4}at /);
  }
  const tracker = await scene.startTracker(1);
  assert.ok((await tracker.health()).isServing);
});
