// Real processes: two clients of one account, each on a machine of its own as far as trackers can tell.
import assert from "node:assert/strict";
import { copyFileSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";

const MIB = 1024 * 1024;
const ALICE = "login alice correct-horse";

let scene: Scene;
let laptop: ClientProcess;
let tower: ClientProcess;
let bob: ClientProcess;

before(async () => {
  scene = await Scene.open(2);
  laptop = await scene.user("alice");
  tower = scene.client("tower");
  await tower.must(ALICE);
  bob = await scene.user("bob");
  await scene.group("g", laptop, { bob });
});
after(() => scene[Symbol.asyncDispose]());

/** The file on both machines of the account, shared from both. */
async function shareFromBoth(name: string): Promise<string> {
  const { path, sha1 } = scene.file("alice", name, 3 * MIB);
  copyFileSync(path, scene.path("tower", name));
  await laptop.must(`upload_file ${path} g`);
  await tower.must(`upload_file ${scene.path("tower", name)} g`);
  return sha1;
}

async function sharedNames(client: ClientProcess): Promise<string[]> {
  return ((await client.must("list_shares")) as { fileName: string }[]).map(({ fileName }) => fileName);
}

async function isListed(name: string): Promise<boolean> {
  return ((await bob.must("list_files g")) as { fileName: string }[]).some(
    ({ fileName }) => fileName === name,
  );
}

test("stop_share on one machine leaves the other machine's share, and the last one ends the file", async () => {
  const sha1 = await shareFromBoth("a.bin");
  await laptop.must("stop_share g a.bin");
  assert.ok(await isListed("a.bin"));
  assert.deepEqual(await sharedNames(tower), ["a.bin"]);
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
  await bob.must("stop_share g a.bin");

  const again = await laptop.run("stop_share g a.bin");
  assert.partialDeepStrictEqual(again, { ok: false, code: "NOT_SHARED" });
  await tower.must("stop_share g a.bin");
  assert.ok(!(await isListed("a.bin")));
});

test("a restart of one machine's client takes its own shares up, and does not touch the other's", async () => {
  await shareFromBoth("b.bin");
  await tower.must("logout");
  await laptop.must("stop_share g b.bin");
  assert.ok(await isListed("b.bin"));
  await tower.must(ALICE);
  assert.deepEqual(await sharedNames(tower), ["b.bin"]);
  // The device has another key now, and is the same machine all the same.
  await tower.kill();
  tower = scene.client("tower");
  await tower.must(ALICE);
  await tower.must("stop_share g b.bin");
  assert.ok(!(await isListed("b.bin")));
});

test("changed content does not take the place of what another machine of the account shares", async () => {
  await shareFromBoth("c.bin");
  const { path, sha1 } = scene.file("alice", "c.bin", 2 * MIB);
  const refused = await laptop.run(`upload_file ${path} g`);
  assert.partialDeepStrictEqual(refused, { ok: false, code: "FILE_EXISTS" });
  assert.match(refused.error ?? "", /another machine of yours shares it; stop_share g c\.bin everywhere/);
  await laptop.must("stop_share g c.bin everywhere");
  const ended = await tower.event(({ event }) => event === "share-ended");
  assert.match(String(ended.reason), /another machine of yours ended it/);
  assert.deepEqual(await sharedNames(tower), []);
  assert.partialDeepStrictEqual(await laptop.must(`upload_file ${path} g`), { sha1, joinedSwarm: false });
  await laptop.must("stop_share g c.bin");
});

test("the share of a machine that is away is ended from another one; it hears of it when it returns", async () => {
  await shareFromBoth("d.bin");
  await laptop.must("stop_share g d.bin");
  await tower.kill();
  const alone = await laptop.run("stop_share g d.bin");
  assert.match(alone.error ?? "", /from this machine; stop_share g d\.bin everywhere/);
  await laptop.must("stop_share g d.bin everywhere");
  assert.ok(!(await isListed("d.bin")));
  tower = scene.client("tower");
  await tower.must(ALICE);
  const ended = await tower.event(({ event }) => event === "share-ended");
  assert.partialDeepStrictEqual(ended, { groupId: "g", fileName: "d.bin" });
  assert.deepEqual(await sharedNames(tower), []);
});

test("a machine that is gone for good with its profile does not keep the name", async () => {
  const { path } = scene.file("tower", "e.bin", MIB);
  await tower.must(`upload_file ${path} g`);
  await tower.kill();
  rmSync(scene.path("tower", "profile"), { recursive: true });
  tower = scene.client("tower");
  await tower.must(ALICE);
  const { sha1 } = scene.file("tower", "e.bin", 2 * MIB);
  assert.partialDeepStrictEqual(await tower.run(`upload_file ${path} g`), { ok: false, code: "FILE_EXISTS" });
  await tower.must("stop_share g e.bin everywhere");
  assert.partialDeepStrictEqual(await tower.must(`upload_file ${path} g`), { sha1 });
});
