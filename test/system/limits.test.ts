// Limits on real processes: that they hold from the start, are seen, and are lifted while a download runs. How exactly
// they hold is test/sim/limits.test.ts's to show, on a clock that nobody disturbs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";

const RATE = 2_000_000;
const SECONDS = 2;
/** What may come at once, before the limit shows: a quarter of a second's worth, and a turn. */
const HEAD_START_BYTES = RATE * 0.25 + 64 * 1024;

test("limits hold from the start of a client and while it runs, on all or on one file, and are lifted at once", async () => {
  await using scene = await Scene.open(1);
  const seeder = await scene.user("alice");
  const leecher = scene.client("bob", "127.0.0.1:0", {
    arguments: ["--limit-down", "2MB/s", "--memory", "64MiB"],
  });
  await leecher.must("create_user bob correct-horse");
  await leecher.must("login bob correct-horse");
  await scene.group("g", seeder, { bob: leecher });
  const { path, sha1 } = scene.file("alice", "a.bin", RATE * SECONDS + HEAD_START_BYTES);
  await seeder.must(`upload_file ${path} g`);
  assert.deepEqual(await leecher.must("limit"), { all: { up: null, down: RATE }, files: [] });
  const startedMs = performance.now();
  await leecher.must(`download_file g a.bin ${scene.path("bob", "a.bin")}`);
  const [status] = (await leecher.must("wait g a.bin")) as { state: string; sha1: string }[];
  const elapsedMs = performance.now() - startedMs;
  assert.equal(status?.sha1, sha1);
  assert.ok(elapsedMs > SECONDS * 1000 * 0.95, `it took ${elapsedMs} ms, which is faster than was allowed`);

  const { path: large } = scene.file("alice", "b.bin", 30 * RATE);
  await seeder.must(`upload_file ${large} g`);
  await seeder.must("limit up 1MB/s g b.bin");
  const own = { groupId: "g", fileName: "b.bin", up: 1_000_000, down: null };
  assert.deepEqual(await seeder.must("limit"), { all: { up: null, down: null }, files: [own] });
  await leecher.must(`download_file g b.bin ${scene.path("bob", "b.bin")}`);
  const lifted = [await leecher.must("limit down off"), await seeder.must("limit up 0 g b.bin")];
  assert.deepEqual(lifted[1], { all: { up: null, down: null }, files: [] });
  // At 1 MB/s it would take a minute, and nobody waits for an answer so long.
  await leecher.must("wait g b.bin");

  for (const [command, code] of [
    ["limit up 1kB/s", "INVALID_ARGUMENT"],
    ["limit sideways 1MB/s", "INVALID_ARGUMENT"],
    ["limit up fast", "INVALID_ARGUMENT"],
    ["limit up", "USAGE"],
    ["limit up 1MB/s g nothing.bin", "NOT_SHARED"],
  ] as const) {
    assert.equal((await seeder.run(command)).code, code, command);
  }
  const wrong = ClientProcess.start(["127.0.0.1:0", scene.trackerInfo, "--limit-up", "1kB/s"]);
  scene.clients.push(wrong);
  assert.equal(await wrong.ended, 1);
  assert.match(wrong.stderr, /at least 16 KiB\/s/);
});
