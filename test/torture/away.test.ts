// Real processes: all trackers gone in the middle of downloads, and a client that sleeps. For a moment here, for AWAY_MS
// in `npm run torture`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";

const AWAY_MS = Number(process.env.AWAY_MS ?? 1_000);
const MIB = 1024 * 1024;
const A_BYTES = 192 * MIB;
const A_PIECES = A_BYTES / (256 * 1024);
/** A command says at once that no tracker answers: before any time-out of a connection (retry-policy.ts: 1 s and more). */
const AT_ONCE_MS = 900;

const whySchema = z.object({
  reason: z.string(),
  tracker: z.string().nullable(),
  missing: z.object({
    pieces: z.number(),
    ranges: z.array(z.object({ first: z.number(), last: z.number() })),
  }),
  holders: z.array(z.object({ userId: z.string(), isConnected: z.boolean(), missingPiecesHad: z.number() })),
  next: z.array(z.object({ what: z.string(), inMs: z.number().optional() })),
});

async function why(client: ClientProcess, fileName: string) {
  return whySchema.parse(await client.must(`why g ${fileName}`));
}

test("all trackers gone: downloads between known peers go on, commands say so at once, and all is well when one is back", {
  timeout: 120_000 + AWAY_MS,
}, async () => {
  await using scene = await Scene.open(2);
  const [alice, bob, carol] = [await scene.user("alice"), await scene.user("bob"), await scene.user("carol")];
  await scene.group("g", alice, { bob, carol });
  const { path, sha1 } = scene.file("alice", "a.bin", A_BYTES);
  const only = scene.file("carol", "only.bin", 128 * MIB);
  await alice.must(`upload_file ${path} g`);
  await carol.must(`upload_file ${only.path} g`);
  await bob.must(`download_file g only.bin ${scene.path("bob")}/`);
  const had = await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 40);
  await carol.kill("SIGKILL");
  const first = await why(bob, "only.bin");
  assert.ok(first.missing.pieces > 0 && first.missing.pieces <= had.pieceCount - had.piecesVerified);
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  while ((await why(bob, "a.bin")).missing.pieces === A_PIECES) await sleep(10);
  await Promise.all(scene.trackers.map((tracker) => tracker.kill("SIGKILL")));

  await bob.event(({ event, fileName }) => event === "download-complete" && fileName === "a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
  await Promise.all(
    [alice, bob].map((client) => client.event(({ event }) => event === "trackers-unreachable")),
  );
  const atMs = performance.now();
  for (const command of ["list_groups", `download_file g a.bin ${scene.path("bob", "again")}/`]) {
    assert.equal((await bob.run(command)).code, "TRACKERS_UNREACHABLE", command);
  }
  assert.ok(performance.now() - atMs < AT_ONCE_MS, `${performance.now() - atMs} ms`);
  const alone = await why(bob, "only.bin");
  assert.equal(alone.tracker, null);
  assert.match(alone.reason, /no tracker answers|none of them can be reached/);
  assert.deepEqual(alone.holders, [
    { userId: "carol", isConnected: false, missingPiecesHad: alone.missing.pieces },
  ]);
  assert.match(JSON.stringify(alone.next), /trackers are called until one answers/);

  await sleep(AWAY_MS);
  await scene.startTracker(2);
  await scene.userAgain("carol");
  await bob.event(({ event, fileName }) => event === "download-complete" && fileName === "only.bin");
  assert.equal(await sha1Of(scene.path("bob", "only.bin")), only.sha1);
  assert.equal((await why(bob, "only.bin")).reason, "It is complete.");
  await bob.must("list_groups");
});

test("a client that sleeps and wakes goes on by itself: its download, its share, its tracker", {
  timeout: 120_000 + AWAY_MS,
}, async () => {
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "a.bin", A_BYTES);
  const own = scene.file("bob", "own.bin", 16 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must(`upload_file ${own.path} g`);
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 40);
  bob.child.kill("SIGSTOP");
  await sleep(AWAY_MS);
  bob.child.kill("SIGCONT");
  await bob.event(({ event }) => event === "download-complete");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
  await bob.must("list_groups");
  await alice.must(`download_file g own.bin ${scene.path("alice")}/`);
  await alice.must("wait g own.bin");
  assert.equal(await sha1Of(scene.path("alice", "own.bin")), own.sha1);
});
