// Real processes: several seeders at once, seeders that go away, a leecher that is killed and goes on.
import assert from "node:assert/strict";
import { copyFileSync, existsSync } from "node:fs";
import { test } from "node:test";
import { downloadOf, downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";

const MIB = 1024 * 1024;

test("a download takes pieces from three seeders and goes on when one is killed and another logs out", async () => {
  await using scene = await Scene.open(2);
  const [alice, bob, carol, dave] = await Promise.all(
    ["alice", "bob", "carol", "dave"].map((n) => scene.user(n)),
  );
  assert.ok(alice && bob && carol && dave);
  await scene.group("g", alice, { bob, carol, dave });
  const { path, sha1 } = scene.file("alice", "film.mkv", 512 * MIB);
  for (const [name, client] of Object.entries({ alice, bob, carol })) {
    if (name !== "alice") copyFileSync(path, scene.path(name, "film.mkv"));
    await client.must(`upload_file ${scene.path(name, "film.mkv")} g`);
  }
  await dave.must(`download_file g film.mkv ${scene.path("dave")}/`);
  await downloadUntil(dave, ({ sources }) => sources.filter(({ pieces }) => pieces > 0).length === 3);
  await bob.kill("SIGKILL");
  await carol.must("logout");
  const atLogout = await downloadOf(dave);
  assert.notEqual(
    atLogout.state,
    "complete",
    "the file is too small for this machine: it was there too soon",
  );
  await dave.event((event) => event.event === "download-complete");
  assert.equal(await sha1Of(scene.path("dave", "film.mkv")), sha1);
  const { sources } = await downloadOf(dave);
  assert.deepEqual(
    sources
      .filter(({ pieces }) => pieces > 0)
      .map(({ userId }) => userId)
      .sort(),
    ["alice", "bob", "carol"],
  );
  assert.equal(await dave.finish(), 0);
});

test("a leecher killed in the middle resumes, and fetches nothing again that it had verified", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "disk.img", 512 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must(`download_file g disk.img ${scene.path("bob")}/`);
  const before = await downloadUntil(
    bob,
    ({ piecesVerified, pieceCount }) => piecesVerified > pieceCount / 4,
  );
  await bob.kill("SIGKILL");
  assert.ok(existsSync(scene.path("bob", "disk.img.part")), "it was complete before it could be killed");
  const again = await scene.userAgain("bob");
  await again.event((event) => event.event === "download-complete");
  const after = await downloadOf(again);
  const fetched = after.sources.reduce((sum, { pieces }) => sum + pieces, 0);
  assert.ok(
    fetched <= after.pieceCount - before.piecesVerified,
    `${fetched} of ${after.pieceCount} were fetched again`,
  );
  assert.equal(await sha1Of(scene.path("bob", "disk.img")), sha1);
  assert.ok(!existsSync(scene.path("bob", "disk.img.part")));
});

test("a download is shared on, also before it is complete, and again after the next login", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  const carol = await scene.user("carol");
  await scene.group("g", alice, { bob, carol });
  const { path, sha1 } = scene.file("alice", "set.tar", 64 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must(`download_file g set.tar ${scene.path("bob", "mine.tar")}`);
  await bob.must("wait g set.tar");
  await alice.must("logout");
  await bob.kill("SIGKILL");
  await carol.must(`download_file g set.tar ${scene.path("carol")}/`);
  const waiting = await downloadUntil(
    carol,
    ({ waitingFor }) => waitingFor !== null && waitingFor !== undefined,
  );
  assert.equal(waiting.piecesVerified, 0);
  await scene.userAgain("bob");
  await carol.must("wait");
  assert.equal(await sha1Of(scene.path("carol", "set.tar")), sha1);
  assert.deepEqual(
    (await downloadOf(carol)).sources.filter(({ pieces }) => pieces > 0).map(({ userId }) => userId),
    ["bob"],
  );
});

test("two who download at once give each other pieces", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  const carol = await scene.user("carol");
  await scene.group("g", alice, { bob, carol });
  const { path, sha1 } = scene.file("alice", "set.tar", 256 * MIB);
  await alice.must(`upload_file ${path} g`);
  await bob.must(`download_file g set.tar ${scene.path("bob")}/`);
  await carol.must(`download_file g set.tar ${scene.path("carol")}/`);
  await Promise.all([bob.must("wait"), carol.must("wait")]);
  for (const name of ["bob", "carol"]) assert.equal(await sha1Of(scene.path(name, "set.tar")), sha1);
  const givers = [...(await downloadOf(bob)).sources, ...(await downloadOf(carol)).sources];
  assert.ok(givers.some(({ userId, pieces }) => userId !== "alice" && pieces > 0));
});
