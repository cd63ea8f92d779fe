// Real processes: a folder is shared, listed, downloaded in part and as a whole, and gets a new version; its metainfo goes in parts.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";

const listSchema = z.array(
  z.object({ fileName: z.string(), fileCount: z.number(), lengthBytes: z.number(), sharedBy: z.string() }),
);
const insideSchema = z.object({
  files: z.array(z.object({ path: z.string() })),
  next: z.string().nullable(),
});
const sharesSchema = z.array(
  z.object({ fileName: z.string(), state: z.string(), changedFiles: z.number().optional() }),
);

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Paths of all files in a shared folder, page by page. */
async function inside(client: ClientProcess, share: string): Promise<string[]> {
  const paths: string[] = [];
  let after = "";
  for (;;) {
    const page = insideSchema.parse(await client.must(`list_files g ${share}${after}`));
    paths.push(...page.files.map(({ path }) => path));
    if (page.next === null) return paths;
    after = ` --after "${page.next}"`;
  }
}

const completed = (client: ClientProcess, count: number) =>
  until(
    async () => client.events.filter(({ event }) => event === "download-complete").length >= count,
    () => `${count} complete downloads`,
  );

test("a folder is listed as one share, and fetched in part, as a whole, and in its next version", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const folder = scene.path("alice", "pictures");
  write(folder, {
    "a.jpg": "a picture",
    "raw/b.raw": "b".repeat(400_000),
    "raw/c.raw": "c".repeat(400_000),
    empty: "",
  });
  await alice.must(`upload_folder ${folder} g`);
  assert.deepEqual(listSchema.parse(await bob.must("list_files g")), [
    { fileName: "pictures", fileCount: 4, lengthBytes: 800_009, sharedBy: "alice" },
  ]);
  assert.deepEqual(await inside(bob, "pictures"), ["a.jpg", "empty", "raw/b.raw", "raw/c.raw"]);

  const copy = scene.path("bob", "pictures");
  await bob.must(`download_file g pictures ${scene.path("bob")}/ --only "**/*.raw" --except raw/c.raw`);
  await completed(bob, 1);
  assert.equal(readFileSync(join(copy, "raw/b.raw"), "utf8"), "b".repeat(400_000));
  assert.equal(existsSync(join(copy, "raw/c.raw")), false);
  await bob.must("select g pictures --all");
  await completed(bob, 2);
  assert.equal(readFileSync(join(copy, "raw/c.raw"), "utf8"), "c".repeat(400_000));
  assert.equal(readFileSync(join(copy, "empty"), "utf8"), "");

  await bob.must("follow g pictures");
  write(folder, { "a.jpg": "a better picture", "d.jpg": "one more" });
  await alice.must("update_share g pictures");
  await completed(bob, 3);
  assert.equal(readFileSync(join(copy, "a.jpg"), "utf8"), "a better picture");
  assert.equal(readFileSync(join(copy, "d.jpg"), "utf8"), "one more");

  rmSync(join(folder, "raw/b.raw"));
  const { count, paths } = await alice.event(({ event }) => event === "shared-files-changed");
  assert.deepEqual([count, paths], [1, ["raw/b.raw"]]);
  assert.partialDeepStrictEqual(sharesSchema.parse(await alice.must("list_shares")), [
    { fileName: "pictures", state: "served", changedFiles: 1 },
  ]);
});

test("a folder of thousands of files is described in parts, listed in pages, and shared again after a login", async () => {
  await using scene = await Scene.open(2);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const names = Array.from({ length: 2_500 }, (_, at) => `${Math.floor(at / 100)}/file ${at + 10_000}`);
  write(scene.path("alice", "many"), Object.fromEntries(names.map((name) => [name, name])));
  await alice.must(`upload_file ${scene.path("alice", "many")} g`);
  assert.deepEqual((await inside(bob, "many")).sort(), names.toSorted());
  await alice.must("logout");
  await alice.must("login alice correct-horse");
  await until(
    async () => sharesSchema.parse(await alice.must("list_shares"))[0]?.state === "served",
    () => "the folder is shared again",
  );
  await bob.must(`download_file g many ${scene.path("bob")}/ --only "7/**"`);
  await completed(bob, 1);
  assert.equal(readFileSync(scene.path("bob", "many", "7", "file 10700"), "utf8"), "7/file 10700");
  assert.equal(existsSync(scene.path("bob", "many", "8")), false);
  assert.equal(await bob.finish(), 0);
});

test("a folder around a client's profile is shared without it, and a file that a new version lacks goes at its follower", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const folder = scene.path("alice");
  write(folder, { "a.jpg": "a picture", "b.jpg": "another" });
  assert.ok(existsSync(scene.path("alice", "profile", "trackers.sqlite")));
  await alice.must(`upload_folder ${folder} g`);
  assert.deepEqual(await inside(bob, "alice"), ["a.jpg", "b.jpg"]);

  await bob.must(`download_file g alice ${scene.path("bob")}/`);
  await completed(bob, 1);
  await bob.must("follow g alice");
  rmSync(join(folder, "b.jpg"));
  await alice.must("update_share g alice");
  await completed(bob, 2);
  assert.equal(readFileSync(scene.path("bob", "alice", "a.jpg"), "utf8"), "a picture");
  assert.equal(existsSync(scene.path("bob", "alice", "b.jpg")), false);
});
