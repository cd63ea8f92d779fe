// Names that are legal, but meant to mislead a person, a shell or a file system: shown escaped, and land where they should,
// between real processes.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Scene } from "../../harness/scene.ts";

const NAMES = [
  "-rf",
  "--data-dir",
  "#not a comment",
  " leading and trailing ",
  "$(touch owned)`touch owned`;touch owned",
  "~",
  "*",
  "invoice\u202Efdp.exe",
  "zero\u200Bwidth",
  "Zoë 李雷 \u{1F600}",
  `${"a".repeat(251)}.bin`,
  `${"ä".repeat(125)}.part`,
  // In this order: a NAME.part that is there already, whosesoever it is, is not touched, and NAME refused.
  "name",
  "name.part",
];
/** Controls, separators of lines, and what reorders or hides text. */
const HARMFUL = /[\p{Cc}\p{Zl}\p{Zp}\u200B\u200E\u200F\u202A-\u202E\u2066-\u2069]/u;

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

test("files with nasty names, alone and in a folder, are shared, listed harmlessly, and land under their own names in the folder that was given", async () => {
  await using scene = await Scene.open(1);
  const alice = await scene.user("alice");
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const from = scene.path("from");
  const to = scene.path("to");
  for (const folder of [from, to]) mkdirSync(folder);
  for (const name of NAMES) writeFileSync(join(from, name), `content of ${name}`);
  for (const name of NAMES) await alice.must(`upload_file ${quoted(join(from, name))} g`);
  const listed = (await bob.must("list_files g")) as { fileName: string }[];
  assert.deepEqual(
    listed.map(({ fileName }) => fileName).sort(),
    NAMES.map((name) => name.normalize()).sort(),
  );
  for (const name of NAMES) {
    await bob.must(`download_file g ${quoted(name)} ${quoted(`${to}/`)}`);
    await bob.must(`wait g ${quoted(name)}`);
  }
  assert.deepEqual(readdirSync(to).sort(), NAMES.map((name) => name.normalize()).sort());

  const inside = NAMES.filter((name) => !name.endsWith(".part"));
  const album = scene.path("album");
  for (const [index, name] of inside.entries()) {
    mkdirSync(join(album, `folder of ${name}`.slice(0, 100)), { recursive: true });
    writeFileSync(join(album, name), `content ${index}`);
    writeFileSync(join(album, `folder of ${name}`.slice(0, 100), name), `content ${index}`);
  }
  await alice.must(`upload_folder ${quoted(album)} g`);
  await bob.must(`download_file g album ${quoted(`${to}/`)}`);
  await bob.must("wait g album");
  const pathsIn = (folder: string) => readdirSync(folder, { recursive: true }).map(String).sort();
  assert.deepEqual(pathsIn(join(to, "album")), pathsIn(album));

  const commands = "login bob correct-horse\nlist_files g\nlist_files g album\nshow_downloads\n";
  const client = join(import.meta.dirname, "../../client");
  const shown = spawnSync(client, ["127.0.0.1:0", scene.trackerInfo, "--data-dir", scene.path("text")], {
    input: commands,
    encoding: "utf8",
  });
  assert.equal(shown.status, 0, shown.stderr);
  assert.match(shown.stdout, /invoice\\u\{202e\}fdp\.exe/);
  for (const line of (shown.stdout + shown.stderr).split("\n")) assert.doesNotMatch(line, HARMFUL);
});
