// Real processes whose files were damaged while they were away: a registry comes from the other tracker, or the tracker says
// what is to be done; of a profile the rest is used.
import assert from "node:assert/strict";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ClientProcess, TrackerProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { within } from "../../harness/within.ts";
import { SqliteRegistry } from "../../src/tracker/registry/sqlite-registry.ts";
import { alikeOf } from "../../src/tracker/rules/look-alikes.ts";
import { totalsOf } from "../../src/tracker/rules/totals.ts";

const KIB = 1024;
const PAGE_BYTES = 4096;
/** What SQLite keeps of the file in memory (sqlite-registry.ts). */
const CACHE_BYTES = 16 * 1024 * KIB;
const MANY_ROWS = 40_000;
const POLL_MS = 20;
const PATIENCE_MS = 20_000;

/** Flips 300 bytes behind the first page. */
function flip(path: string): Buffer {
  const bytes = readFileSync(path);
  for (let at = 4096; at < 4396; at++) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
  return bytes;
}

/** Starts a tracker that is expected to refuse. Returns its exit code and what it says. */
async function refusal(scene: Scene, number: number): Promise<string> {
  try {
    await TrackerProcess.start(scene.trackerInfo, number, scene.path(`tracker-${number}`));
  } catch (error) {
    return String(error);
  }
  throw new Error("it started");
}

async function onceOk(client: ClientProcess, command: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let answer = await client.run(command); !answer.ok; answer = await client.run(command)) {
    assert.ok(Date.now() < deadline, `${command}: ${answer.error}`);
    await sleep(POLL_MS);
  }
}

test("a damaged registry is refused with the remedy where no other tracker serves, and otherwise comes from there", async () => {
  await using scene = await Scene.open(2);
  const [first, second] = scene.trackers;
  assert.ok(first && second);
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  await scene.trackersAgree();
  // What the first alone has.
  await second.quit();
  await onceOk(alice, "create_group alone");
  await first.quit();
  const path = scene.path("tracker-1", "registry.sqlite");
  const damaged = flip(path);

  const refused = await refusal(scene, 1);
  assert.match(refused, /ended with 1: .*error REGISTRY_DAMAGED: .*registry\.sqlite is damaged .*backup/s);
  assert.doesNotMatch(refused, /\n\s+at /, "no stack trace");
  assert.deepEqual(readFileSync(path), damaged, "left as it was");

  await scene.startTracker(2);
  const back = await scene.startTracker(1);
  await scene.trackersAgree();
  const kept = readdirSync(scene.path("tracker-1")).find((name) => /^registry\.sqlite\.damaged-/.test(name));
  assert.ok(kept);
  assert.deepEqual(readFileSync(scene.path("tracker-1", kept)), damaged);
  assert.match(back.stderr, /it was set aside/);
  assert.match(
    back.stderr,
    /"rows":\d+,"msg":"rows that only the damaged registry had are lost|cannot be told/,
  );
  await onceOk(alice, "create_group later");
});

test("a revocation that was deleted by hand, an empty registry, and one that is gone do not come back as they are", async () => {
  await using scene = await Scene.open(2);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  await alice.must("remove_member g bob");
  await scene.trackersAgree();
  const digest = await scene.trackers[1]?.digest();
  const path = scene.path("tracker-1", "registry.sqlite");
  const damages = {
    "a row deleted": () => {
      const database = new DatabaseSync(path);
      const { changes } = database.prepare("DELETE FROM record WHERE kind = 'revocation'").run();
      database.close();
      assert.ok(Number(changes) > 0);
    },
    "an empty file": () => writeFileSync(path, ""),
    "no file": () => rmSync(path),
  };
  for (const [what, damage] of Object.entries(damages)) {
    await scene.trackers[0]?.quit();
    damage();
    await scene.startTracker(1);
    assert.equal(await scene.trackers[0]?.digest(), digest, what);
  }
});

test("damage that is met while a tracker serves ends it with the remedy where it is the only one", async () => {
  await using scene = await Scene.open(1);
  await scene.trackers[0]?.quit();
  const path = scene.path("tracker-1", "registry.sqlite");
  const registry = SqliteRegistry.open({ path, nowMs: Date.now, totalsOf, alikeOf });
  const filler = "x".repeat(KIB);
  await registry.transact("fill", (writer) => {
    for (let index = 0; index < MANY_ROWS; index++) writer.put("share", `f\u001f${index}`, { filler });
  });
  registry.close();
  const tracker = await scene.startTracker(1);
  const lengthBytes = statSync(path).size;
  assert.ok(lengthBytes > 2 * CACHE_BYTES, "what is looked at next is not in SQLite's memory");
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(lengthBytes - PAGE_BYTES, 0xa5), 0, lengthBytes - PAGE_BYTES, PAGE_BYTES);
  closeSync(file);
  assert.equal(await within(tracker.ended, () => `the tracker to end: ${tracker.stderr}`), 1);
  assert.match(tracker.stderr, /"reason":"registry-damaged"/);
  assert.match(tracker.stderr, /error REGISTRY_DAMAGED: .*backup/);
  assert.match(await refusal(scene, 1), /error REGISTRY_DAMAGED/);
});

test("a missing registry or an empty key of the only tracker is one sentence and an exit code", async () => {
  await using scene = await Scene.open(1);
  await scene.trackers[0]?.quit();
  const folder = scene.path("tracker-1");
  const key = readFileSync(join(folder, "identity-key.pem"));
  writeFileSync(join(folder, "identity-key.pem"), "");
  assert.match(await refusal(scene, 1), /ended with 1: error DISK_FAILED: .*identity-key\.pem .*backup/s);
  writeFileSync(join(folder, "identity-key.pem"), key);
  writeFileSync(join(folder, "pins.sqlite"), "");
  assert.match(await refusal(scene, 1), /ended with 1: error DISK_FAILED: .*pins\.sqlite .*remove it/s);
  rmSync(join(folder, "pins.sqlite"));
  rmSync(join(folder, "registry.sqlite"));
  assert.match(await refusal(scene, 1), /ended with 1: error REGISTRY_DAMAGED: .*backup/s);
});

test("one bad entry of a profile is told of, and login and the rest of it are as ever", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  await alice.must("create_group g");
  for (const name of ["good.bin", "bad.bin"]) {
    await alice.must(`upload_file ${scene.file("alice", name, 64 * KIB).path} g`);
  }
  await alice.finish();
  const folder = scene.path("alice", "profile", "accounts");
  const [account = ""] = readdirSync(folder);
  const database = new DatabaseSync(join(folder, account, "profile.sqlite"));
  database.exec("UPDATE share SET info = x'00ff' WHERE file_name = 'bad.bin'");
  database.close();
  const again = await scene.userAgain("alice");
  const told = await again.event(({ event }) => event === "profile-entry-set-aside");
  assert.equal(told.fileName, "bad.bin");
  const { sharedFiles } = (await again.must("whoami")) as { sharedFiles: number };
  assert.equal(sharedFiles, 1);
});
