// Clients as scripts use them: commands on a pipe, text out, an exit code. No --json, no harness in between.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { Script } from "../../harness/text-script.ts";
import { within } from "../../harness/within.ts";

const MIB = 1024 * 1024;
const CLIENT = join(import.meta.dirname, "../../client");

test("three scripts of plain commands end with equal files and exit codes 0", async () => {
  await using scene = await Scene.open(2);
  const { path, sha1 } = scene.file("alice", "two words.bin", 64 * MIB);
  scene.file("bob", "-", 0);
  scene.file("carol", "-", 0);
  using alice = new Script(scene, "alice").type(
    "create_user alice pw",
    "login alice pw",
    "create_group g",
    "list_groups",
  );
  await alice.reads("owner");
  using bob = new Script(scene, "bob").type("create_user bob pw", "login bob pw", "join_group g");
  using carol = new Script(scene, "carol").type("create_user carol pw", "login carol pw", "join_group g");
  await Promise.all([alice.reads("bob asks"), alice.reads("carol asks")]);
  alice.type("list_requests g", "accept_request g bob", "accept_request g carol", `upload_file "${path}" g`);
  await alice.reads(sha1);
  bob.type("list_files g", `download_file g "two words.bin" ${scene.path("bob")}/`, "show_downloads");
  carol.type(`download_file g "two words.bin" "${scene.path("carol", "other name.bin")}"`, "wait");
  assert.equal(await bob.ends(), 0, bob.errors);
  assert.equal(await carol.ends(), 0, carol.errors);
  assert.equal(await alice.ends(), 0, alice.errors);
  assert.match(bob.output, /^\[C\] \[g\] two words\.bin$/m);
  assert.equal(await sha1Of(scene.path("bob", "two words.bin")), sha1);
  assert.equal(await sha1Of(scene.path("carol", "other name.bin")), sha1);
});

test("a script with a command that fails goes on, says why on stderr, and exits 1", async () => {
  await using scene = await Scene.open(1);
  scene.file("alice", "-", 0);
  using alice = new Script(scene, "alice").type(
    "create_user alice pw",
    "login alice wrong",
    "lgin alice pw",
    "login alice pw",
  );
  assert.equal(await alice.ends(), 1);
  assert.match(alice.errors, /BAD_CREDENTIALS/);
  assert.match(alice.errors, /USAGE.*login <user_id>/s);
  assert.match(alice.output, /Logged in as alice/);
});

test("a client whose input is a folder, or cannot be read, says so and exits 1", async () => {
  await using scene = await Scene.open(1);
  writeFileSync(scene.path("a file"), "");
  for (const [input, flags] of [
    [scene.folder, "r"],
    [scene.path("a file"), "w"],
  ] as const) {
    const stdin = openSync(input, flags);
    const client = spawn(CLIENT, ["127.0.0.1:0", scene.trackerInfo, "--data-dir", scene.path("unread")], {
      stdio: [stdin, "ignore", "pipe"],
    });
    assert.ok(client.stderr);
    const said = text(client.stderr);
    const [exitCode] = await within(once(client, "exit"), "a client without an input to end");
    closeSync(stdin);
    assert.equal(exitCode, 1);
    assert.match(await said, /^error INVALID_ARGUMENT: The input cannot be read: /);
  }
});

test("whoami as the first line waits for the tracker, and says why none answers", async () => {
  await using scene = await Scene.open(1);
  using found = new Script(scene, "alice").type("whoami");
  assert.equal(await found.ends(), 0);
  assert.match(found.output, /^Connected to tracker 127\.0\.0\.1:\d+\.$/m);
  await scene.trackers[0]?.kill();
  using alone = new Script(scene, "bob").type("whoami");
  assert.equal(await alone.ends(), 0);
  assert.match(alone.output, /^No tracker answers: \S/m);
});
