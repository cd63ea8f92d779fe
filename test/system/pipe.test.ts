// Clients as scripts use them: commands on a pipe, text out, an exit code. No --json, no harness in between.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { within } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";

const ROOT = join(import.meta.dirname, "../..");
const MIB = 1024 * 1024;

class Script implements Disposable {
  readonly #child: ChildProcess;
  #output = "";
  #errors = "";
  #wake = Promise.withResolvers<void>();

  constructor(scene: Scene, name: string) {
    const args = ["127.0.0.1:0", scene.trackerInfo, "--data-dir", scene.path(name, "profile")];
    this.#child = spawn(join(ROOT, "client"), args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
  }

  get output(): string {
    return this.#output;
  }

  get errors(): string {
    return this.#errors;
  }

  type(...lines: string[]): this {
    for (const line of lines) this.#child.stdin?.write(`${line}\n`);
    return this;
  }

  /** Waits for words on stdout, or for a notice, which goes to stderr. */
  async reads(words: string): Promise<void> {
    while (!`${this.#output}${this.#errors}`.includes(words)) {
      await within(
        this.#wake.promise,
        () => `${words}; there was:
${this.#output}
${this.#errors}`,
      );
    }
  }

  async ends(): Promise<number | null> {
    this.#child.stdin?.end();
    const [code] = await within(
      once(this.#child, "close"),
      () => `the end of:\n${this.#output}\n${this.#errors}`,
    );
    return code as number | null;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

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
