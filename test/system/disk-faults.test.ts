// Real processes on disks that fill up, are read-only, or lose a file under a download; and files that change while they
// are served. All troubles at once, in one client, so that it shows that each stops one download and nothing else.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { withoutMounts } from "../../harness/requirements.ts";
import { downloadUntil, Scene, sha1Of, writeRandomFile } from "../../harness/scene.ts";
import { SmallDisk } from "../../harness/small-disk.ts";

const MIB = 1024 * 1024;
const downloadsSchema = z.array(
  z.object({ fileName: z.string(), state: z.string(), reason: z.string().nullish() }),
);

async function stateOf(client: ClientProcess, fileName: string) {
  const all = downloadsSchema.parse(await client.must("show_downloads"));
  return all.find((download) => download.fileName === fileName);
}

const about = (event: string, fileName: string) => (line: { event: string; fileName?: unknown }) =>
  line.event === event && line.fileName === fileName;

test("a full disk, a read-only one, a folder that is gone, a part file replaced: each stops one download until it is put right", {
  skip: withoutMounts(),
}, async () => {
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  using full = new SmallDisk(scene.path("full"), 32 * MIB);
  using locked = new SmallDisk(scene.path("locked"), 32 * MIB);
  await scene.group("g", alice, { bob });
  const sizes = { full: 24, locked: 8, gone: 8, replaced: 8, elsewhere: 8, huge: 64 };
  const sha1s = new Map<string, string>();
  for (const [name, mib] of Object.entries(sizes)) {
    const { path, sha1 } = scene.file("alice", `${name}.bin`, mib * MIB);
    sha1s.set(name, sha1);
    await alice.must(`upload_file ${path} g`);
  }
  await bob.must(`upload_file ${scene.file("bob", "own.bin", 8 * MIB).path} g`);
  await alice.must("logout");
  for (const name of ["full", "locked", "gone", "replaced"])
    await bob.must(`download_file g ${name}.bin ${scene.path(name)}/`);

  // What cannot fit is refused before anything is written, also beside what another download is still to write there.
  const refused = await bob.run(`download_file g huge.bin ${scene.path("full")}/`);
  assert.equal(refused.code, "DISK_FULL");
  assert.match(
    refused.error ?? "",
    /33\.6 MB left, and 67\.2 MB are needed, besides 25\.2 MB .*: free 58\.\d MB/,
  );
  assert.ok(!existsSync(scene.path("full", "huge.bin.part")));

  full.fillUpTo(8 * MIB);
  await bob.must("pause g locked.bin");
  locked.become("ro");
  assert.equal((await bob.run("resume g locked.bin")).code, "DESTINATION_UNUSABLE");
  assert.equal((await bob.run(`download_file g elsewhere.bin ${locked.path}/`)).code, "DESTINATION_UNUSABLE");
  rmSync(scene.path("gone"), { recursive: true });
  const part = scene.path("replaced", "replaced.bin.part");
  writeFileSync(`${part}.new`, "somebody else's");
  renameSync(`${part}.new`, part);

  await alice.must("login alice correct-horse");
  const [noRoom, lost] = await Promise.all([
    bob.event(about("download-paused", "full.bin")),
    bob.event(about("download-paused", "gone.bin")),
    bob.event(about("download-failed", "replaced.bin")),
  ]);
  assert.match(String(noRoom.reason), /full\.bin has .* left, and 1\d.*MB are needed: free 1?\d(\.\d)? MB/);
  assert.match(String(lost.reason), /removed, moved or replaced|folder does not exist/);
  assert.equal(readFileSync(part, "utf8"), "somebody else's");
  assert.match((await stateOf(bob, "locked.bin"))?.reason ?? "", /read-only/);

  await bob.must(`download_file g elsewhere.bin ${scene.path("bob")}/`);
  await alice.must(`download_file g own.bin ${scene.path("alice")}/`);
  await Promise.all([bob.must("wait g elsewhere.bin"), alice.must("wait g own.bin")]);

  full.empty();
  locked.become("rw");
  mkdirSync(scene.path("gone"));
  for (const name of ["full", "locked", "gone"]) {
    await bob.event(about("download-complete", `${name}.bin`));
    assert.equal(await sha1Of(scene.path(name, `${name}.bin`)), sha1s.get(name));
  }
  assert.equal((await stateOf(bob, "replaced.bin"))?.state, "failed");
  assert.equal(readFileSync(part, "utf8"), "somebody else's");
  // Nobody was told twice of the same trouble.
  const pauses = bob.events.filter(about("download-paused", "full.bin"));
  assert.equal(pauses.length, 1);
  await Promise.all([alice.kill(), bob.kill()]);
});

test("a file that is overwritten or replaced while it is served: its member is told, and nothing of it gets out", async () => {
  await using scene = await Scene.open(1);
  const [alice, bob] = [await scene.user("alice"), await scene.user("bob")];
  await scene.group("g", alice, { bob });
  for (const how of ["overwritten", "replaced"]) {
    const { path } = scene.file("alice", `${how}.bin`, 160 * MIB);
    await alice.must(`upload_file ${path} g`);
    await bob.must(`download_file g ${how}.bin ${scene.path("bob")}/`);
    await downloadUntil(bob, ({ piecesVerified, pieceCount }) => piecesVerified > pieceCount / 20);
    if (how === "replaced") {
      writeRandomFile(`${path}.new`, MIB);
      renameSync(`${path}.new`, path);
    } else {
      writeFileSync(path, Buffer.alloc(MIB));
    }
    const told = await alice.event(about("share-ended", `${how}.bin`));
    assert.match(String(told.reason), how === "replaced" ? /removed/ : /changed/);
    assert.equal((await stateOf(bob, `${how}.bin`))?.state, "downloading");
    await bob.must(`cancel g ${how}.bin`);
  }
  assert.deepEqual(
    bob.events.filter(({ event }) => event === "peer-sent-bad-data"),
    [],
  );
});
