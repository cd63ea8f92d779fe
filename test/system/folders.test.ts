// Real processes: a folder that is shared, taken in part and as a whole, from two members at once; its new version, of which only
// what is new is fetched.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";

const MIB = 1024 * 1024;
const SMALL_FILES = 200;

const statusSchema = z.object({
  state: z.string(),
  lengthBytes: z.number(),
  bytesVerified: z.number(),
  sources: z.array(z.object({ userId: z.string(), bytes: z.number() })),
  folder: z.object({ fileCount: z.number(), chosenFiles: z.number(), completeFiles: z.number() }),
});

let scene: Scene;
let alice: ClientProcess;
let bob: ClientProcess;
let carol: ClientProcess;

beforeEach(async () => {
  scene = await Scene.open(1);
  [alice, bob, carol] = [await scene.user("alice"), await scene.user("bob"), await scene.user("carol")];
  await scene.group("g", alice, { bob, carol });
});
afterEach(() => scene[Symbol.asyncDispose]());

/** A folder of alice's: two large files and many small ones. */
function makeFolder(): string {
  for (const name of ["large/one.bin", "large/two.bin"]) {
    mkdirSync(dirname(scene.path("alice", "data", name)), { recursive: true });
    scene.file("alice", join("data", name), 6 * MIB + 321);
  }
  mkdirSync(scene.path("alice", "data", "notes"));
  for (let number = 0; number < SMALL_FILES; number++) {
    writeFileSync(scene.path("alice", "data", "notes", `${number}.txt`), `note ${number}\n`.repeat(number));
  }
  return scene.path("alice", "data");
}

/** The paths and hashes of all files in a folder. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const paths = found.map((one) => join(one.parentPath, one.name)).sort();
  const hashes = await Promise.all(paths.map(sha1Of));
  return Object.fromEntries(paths.map((path, index) => [path.slice(folder.length + 1), hashes[index] ?? ""]));
}

async function statusOf(client: ClientProcess) {
  const [status] = z.array(statusSchema).parse(await client.must("show_downloads"));
  assert.ok(status);
  return status;
}

const fetchedBytes = ({ sources }: z.infer<typeof statusSchema>): number =>
  sources.reduce((sum, { bytes }) => sum + bytes, 0);

test("a folder is fetched as it was shared, from every member who has some of it", async () => {
  const data = makeFolder();
  await alice.must(`upload_file ${data} g`);
  await bob.must(`download_file g data ${scene.path("bob")}/`);
  await bob.must("wait g data");
  assert.deepEqual(await contentOf(scene.path("bob", "data")), await contentOf(data));
  await alice.must("limit up 4MB/s");
  await bob.must("limit up 4MB/s");
  await carol.must(`download_file g data ${scene.path("carol")}/`);
  await carol.must("wait g data");
  assert.deepEqual(await contentOf(scene.path("carol", "data")), await contentOf(data));
  const { sources, folder } = await statusOf(carol);
  assert.deepEqual(
    sources
      .filter(({ bytes }) => bytes > 0)
      .map(({ userId }) => userId)
      .sort(),
    ["alice", "bob"],
  );
  assert.deepEqual([folder.fileCount, folder.completeFiles], [SMALL_FILES + 2, SMALL_FILES + 2]);
});

test("some files of a folder are fetched, offered to others without the sharer, and more are chosen later", async () => {
  const data = makeFolder();
  await alice.must(`upload_file ${data} g`);
  const all = await contentOf(data);
  const notes = Object.fromEntries(Object.entries(all).filter(([path]) => path.startsWith("notes/")));
  await bob.must(`download_file g data ${scene.path("bob")}/ --only notes/`);
  await bob.must("wait g data");
  assert.deepEqual(await contentOf(scene.path("bob", "data")), notes);
  const part = await statusOf(bob);
  assert.equal(part.folder.chosenFiles, SMALL_FILES);
  assert.ok(fetchedBytes(part) < 2 * MIB, `${fetchedBytes(part)} bytes were fetched`);
  await alice.must("logout");
  await carol.must(`download_file g data ${scene.path("carol")}/ --only notes/`);
  await carol.must("wait g data");
  assert.deepEqual(await contentOf(scene.path("carol", "data")), notes, "bob has a part, and gives it");
  await alice.must("login alice correct-horse");
  await bob.must("select g data --except large/two.bin");
  await bob.must("wait g data");
  const { "large/two.bin": _, ...most } = all;
  assert.deepEqual(await contentOf(scene.path("bob", "data")), most);
  await bob.kill();
  bob = await scene.userAgain("bob");
  await bob.must("select g data --all");
  await bob.must("wait g data");
  assert.deepEqual(await contentOf(scene.path("bob", "data")), all);
});

test("of a new version only what is new is fetched, and what was changed here is kept", async () => {
  const data = makeFolder();
  await alice.must(`upload_file ${data} g`);
  await bob.must(`download_file g data ${scene.path("bob")}/`);
  await carol.must(`download_file g data ${scene.path("carol")}/`);
  await Promise.all([bob.must("wait g data"), carol.must("wait g data")]);
  await carol.must("follow g data");
  writeFileSync(scene.path("bob", "data", "notes", "7.txt"), "bob's own words");
  const large = readFileSync(join(data, "large/one.bin"));
  large[3 * MIB] = (large[3 * MIB] ?? 0) ^ 1;
  writeFileSync(join(data, "large/one.bin"), large);
  writeFileSync(join(data, "new.txt"), "new");
  await alice.must("update_share g data");
  const expected = await contentOf(data);
  await bob.event((line) => line.event === "share-updated");
  await until(
    async () =>
      existsSync(scene.path("carol", "data", "new.txt")) && (await statusOf(carol)).state === "complete",
    () => "carol to have the new version",
  );
  assert.deepEqual(await contentOf(scene.path("carol", "data")), expected, "it is followed");
  await bob.must(`download_file g data ${scene.path("bob")}/`);
  await bob.must("wait g data");
  const found = await contentOf(scene.path("bob", "data"));
  const kept = Object.keys(found).filter((path) => path.startsWith("notes/7 (changed here "));
  assert.equal(kept.length, 1);
  assert.equal(readFileSync(scene.path("bob", "data", kept[0] ?? ""), "utf8"), "bob's own words");
  delete found[kept[0] ?? ""];
  assert.deepEqual(found, expected);
  const status = await statusOf(bob);
  assert.ok(fetchedBytes(status) <= 3 * MIB, `${fetchedBytes(status)} bytes of 12 MiB were fetched`);
});
