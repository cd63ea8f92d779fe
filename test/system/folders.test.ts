// Real processes: folders as members share, choose from, change and follow them.
import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";

const MIB = 1024 * 1024;

let scene: Scene;
let alice: ClientProcess;
let bob: ClientProcess;

beforeEach(async () => {
  scene = await Scene.open(1);
  alice = await scene.user("alice");
  bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
});
afterEach(() => scene[Symbol.asyncDispose]());

const insideSchema = z.object({ files: z.array(z.object({ path: z.string() })) });

async function pathsInside(client: ClientProcess, fileName: string): Promise<string[]> {
  const { files } = insideSchema.parse(await client.must(`list_files g ${fileName}`));
  return files.map(({ path }) => path);
}

test("a folder around a client's profile is shared without it", async () => {
  scene.file("alice", "film.bin", MIB);
  assert.ok(existsSync(scene.path("alice", "profile", "trackers.sqlite")));
  await alice.must(`upload_folder ${scene.path("alice")} g`);
  assert.deepEqual(await pathsInside(bob, "alice"), ["film.bin"]);
});

test("chosen files of a folder arrive, the others after select --all, and nothing but them lies there", async () => {
  const film = scene.file("alice/album", "film.bin", 3 * MIB + 5);
  const song = scene.file("alice/album/songs", "one.bin", 70_000);
  await alice.must(`upload_folder ${scene.path("alice", "album")} g`);
  await bob.must(`download_file g album ${scene.path("bob")}/ --only "songs/**"`);
  await bob.must("wait g album");
  assert.equal(await sha1Of(scene.path("bob", "album", "songs", "one.bin")), song.sha1);
  assert.ok(!existsSync(scene.path("bob", "album", "film.bin")));
  await bob.must("select g album --all");
  await bob.must("wait g album");
  assert.equal(await sha1Of(scene.path("bob", "album", "film.bin")), film.sha1);
  assert.ok(!existsSync(scene.path("bob", "album.part")));
});

test("a client that is killed in a folder's download continues it, and has all files in the end", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `f${index}.bin`);
  const sha1s = names.map((name) => scene.file("alice/album", name, 2 * MIB + 1).sha1);
  await alice.must(`upload_folder ${scene.path("alice", "album")} g`);
  await alice.must("limit up 10MB/s");
  await bob.must(`download_file g album ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 10);
  await bob.kill();
  const again = await scene.userAgain("bob");
  await alice.must("limit up off");
  await again.must("wait g album");
  const got = await Promise.all(names.map((name) => sha1Of(scene.path("bob", "album", name))));
  assert.deepEqual(got, sha1s);
});

test("a follower gets the new version of a folder; files that are gone from it go, new ones come", async () => {
  scene.file("alice/album", "gone.bin", MIB);
  const kept = scene.file("alice/album", "kept.bin", MIB);
  await alice.must(`upload_folder ${scene.path("alice", "album")} g`);
  await bob.must(`download_file g album ${scene.path("bob")}/`);
  await bob.must("wait g album");
  await bob.must("follow g album");
  rmSync(scene.path("alice", "album", "gone.bin"));
  const added = scene.file("alice/album", "new.bin", MIB);
  await alice.must("update_share g album");
  await bob.event(
    (line) => line.event === "download-complete" && existsSync(scene.path("bob", "album", "new.bin")),
  );
  assert.equal(await sha1Of(scene.path("bob", "album", "new.bin")), added.sha1);
  assert.equal(await sha1Of(scene.path("bob", "album", "kept.bin")), kept.sha1);
  assert.ok(!existsSync(scene.path("bob", "album", "gone.bin")));
});
