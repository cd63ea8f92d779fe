// Real clients that may have few files and sockets open: whatever is shared can be fetched, whatever is fetched arrives, and
// who gets nowhere is told what to raise. With DESCRIPTORS=full, the numbers of files that people had; fewer otherwise.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { type ClientProcess, freePorts } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";

const IS_FULL = process.env.DESCRIPTORS === "full";
const KIB = 1024;
const PATIENCE_MS = IS_FULL ? 300_000 : 60_000;
const withoutLimit = process.platform === "linux" ? false : "needs ulimit and /proc";

/** A client that may have that many files and sockets open. */
async function limited(scene: Scene, name: string, descriptors: number): Promise<ClientProcess> {
  const client = scene.client(name, "127.0.0.1:0", {
    prefix: ["bash", "-c", `ulimit -n ${descriptors}; exec "$0" "$@"`],
  });
  await client.must(`create_user ${name} correct-horse`);
  await client.must(`login ${name} correct-horse`);
  return client;
}

/** Descriptors of a process that are files of that folder. */
function openFiles(client: ClientProcess, folder: string): number {
  const all = `/proc/${client.pid}/fd`;
  const isOfFolder = (fd: string): boolean => {
    try {
      return readlinkSync(`${all}/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  };
  return readdirSync(all).filter(isOfFolder).length;
}

async function share(scene: Scene, client: ClientProcess, count: number, lengthBytes: number) {
  const files = Array.from({ length: count }, (_, i) =>
    scene.file("alice/files", `${i}.bin`, lengthBytes + i),
  );
  for (const { path } of files) await client.must(`upload_file ${path} g`, PATIENCE_MS);
  return files;
}

async function fetched(client: ClientProcess, scene: Scene, sha1s: readonly string[]): Promise<void> {
  await client.must("wait", PATIENCE_MS);
  for (const [i, sha1] of sha1s.entries())
    assert.equal(await sha1Of(scene.path("bob", `${i}.bin`)), sha1, `${i}.bin`);
}

test("more files than the system lets a client open can be shared, and fetched from it", {
  skip: withoutLimit,
  timeout: 3 * PATIENCE_MS,
}, async () => {
  const [descriptors, count] = IS_FULL ? [1_024, 1_100] : [80, 50];
  await using scene = await Scene.open(1);
  const [alice, bob] = [await limited(scene, "alice", descriptors), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  const files = await share(scene, alice, count, 20 * KIB);
  assert.ok(openFiles(alice, scene.path("alice", "files")) <= descriptors / 6);
  for (let i = 0; i < count; i++) await bob.must(`download_file g ${i}.bin ${scene.path("bob")}/`);
  await fetched(
    bob,
    scene,
    files.map(({ sha1 }) => sha1),
  );
});

test("more downloads than the system lets a client open arrive", {
  skip: withoutLimit,
  timeout: 3 * PATIENCE_MS,
}, async () => {
  const [descriptors, count, lengthBytes] = IS_FULL ? [100, 80, 4 * KIB * KIB] : [80, 50, 600 * KIB];
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await limited(scene, "bob", descriptors)];
  await scene.group("g", alice, { bob });
  const files = await share(scene, alice, count, lengthBytes);
  await alice.must("logout");
  for (let i = 0; i < count; i++) await bob.must(`download_file g ${i}.bin ${scene.path("bob")}/`);
  await alice.must("login alice correct-horse");
  await fetched(
    bob,
    scene,
    files.map(({ sha1 }) => sha1),
  );
});

test("files whose peers have nothing do not keep the connections from those that could be fetched", {
  skip: withoutLimit,
  timeout: 3 * PATIENCE_MS,
}, async () => {
  await using scene = await Scene.open(1);
  const [alice, dave, carol] = [
    await scene.user("alice"),
    await scene.user("dave"),
    await scene.user("carol"),
  ];
  const bob = await limited(scene, "bob", 70);
  await scene.group("g", alice, { bob, carol, dave });
  const [withoutSeed, withSeed] = IS_FULL ? [60, 10] : [16, 1];
  await share(scene, alice, withoutSeed, 20 * KIB);
  await alice.must("logout");
  for (const client of [carol, bob]) {
    const folder = scene.path(client === bob ? "bob" : "carol");
    for (let i = 0; i < withoutSeed; i++) await client.must(`download_file g ${i}.bin ${folder}/`);
  }
  // As many connections to carol, who has nothing, as there may be.
  const { reason } = await bob.event(({ event }) => event === "connections-taken", PATIENCE_MS);
  assert.match(String(reason), /limit of 70 open files .*`ulimit -n 4096`/);
  for (let i = 0; i < withSeed; i++) {
    const { path, sha1 } = scene.file("dave", `seed-${i}.bin`, 20 * KIB);
    await dave.must(`upload_file ${path} g`);
    await bob.must(`download_file g seed-${i}.bin ${scene.path("bob")}/`);
    await bob.must(`wait g seed-${i}.bin`, PATIENCE_MS);
    assert.equal(await sha1Of(scene.path("bob", `seed-${i}.bin`)), sha1);
  }
});

test("a client that may open too few files says how many it needs, and ends", {
  skip: withoutLimit,
}, async () => {
  await using scene = await Scene.open(1);
  const client = scene.client("alice", "127.0.0.1:0", {
    prefix: ["bash", "-c", `ulimit -n 60; exec "$0" "$@"`],
  });
  assert.equal(await client.ended, 1);
  assert.match(client.stderr, /error LIMIT_REACHED: .*lets this program open 60 .*`ulimit -n 4096`/);
});

test("a tracker to which more connect than it may open says so, and goes on for those who are connected", {
  skip: withoutLimit,
}, async () => {
  await using scene = await Scene.open(0);
  scene.trackerAddresses = (await freePorts(1)).map((port) => `127.0.0.1:${port}`);
  writeFileSync(scene.trackerInfo, `${scene.trackerAddresses.join("\n")}\n`);
  const tracker = await scene.startTracker(1, {
    prefix: ["bash", "-c", `ulimit -n 100; exec "$0" "$@"`],
  });
  const alice = await scene.user("alice");
  const [host = "", port = ""] = tracker.address.split(":");
  const strangers = Array.from({ length: 150 }, () => connect(Number(port), host));
  for (const stranger of strangers) stranger.on("error", () => undefined);
  await Promise.race(strangers.map((stranger) => once(stranger, "close")));
  await alice.must("create_group g");
  for (const stranger of strangers) stranger.destroy();
  const bob = await scene.user("bob");
  await bob.must("join_group g");
  assert.match(tracker.stderr, /connections are refused: .* open 100 files .*`ulimit -n 4096`/);
});
