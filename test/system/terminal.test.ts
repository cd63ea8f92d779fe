// The client as a person meets it: typed at in a real terminal, and looked at.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../harness/processes.ts";
import { withoutTmux } from "../../harness/requirements.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";

const ROOT = join(import.meta.dirname, "../..");
const MIB = 1024 * 1024;
const POLL_MS = 50;
const PATIENCE_MS = 20_000;

/** A terminal of 100 × 30 with a program in it; a tmux server of its own. */
class Terminal implements Disposable {
  readonly #socket: string;

  constructor(socket: string, command: string) {
    this.#socket = socket;
    this.#tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", command);
  }

  get screen(): string {
    return this.#tmux("capture-pane", "-p");
  }

  type(text: string, ...keys: string[]): void {
    this.#tmux("send-keys", "-l", text);
    if (keys.length > 0) this.#tmux("send-keys", ...keys);
  }

  async shows(words: RegExp): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const { screen } = this;
      if (words.test(screen)) return screen;
      if (performance.now() > deadline) throw new Error(`The screen never showed ${words}:\n${screen}`);
      await sleep(POLL_MS);
    }
  }

  /** Waits until the program has ended by itself; tmux's server goes with it. */
  async ends(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (this.#isRunning()) {
      if (performance.now() > deadline) throw new Error(`The client did not end:\n${this.screen}`);
      await sleep(POLL_MS);
    }
  }

  [Symbol.dispose](): void {
    if (this.#isRunning()) this.#tmux("kill-server");
  }

  #isRunning(): boolean {
    return spawnSync("tmux", ["-S", this.#socket, "has-session"], { stdio: "ignore" }).status === 0;
  }

  #tmux(...args: string[]): string {
    return execFileSync("tmux", ["-S", this.#socket, ...args], { encoding: "utf8" });
  }
}

test("Ctrl-D at the question for a password ends the client as anywhere else", {
  skip: withoutTmux(),
}, async () => {
  await using scene = await Scene.open(1);
  const command = `${join(ROOT, "client")} 127.0.0.1:0 ${scene.trackerInfo} --data-dir ${scene.path("alice")} 2>${scene.path("stderr")}; echo ended with $? >${scene.path("end")}`;
  using terminal = new Terminal(scene.path("tmux"), command);
  await terminal.shows(/not logged in/);
  terminal.type("login alice", "Enter");
  await terminal.shows(/Password:/);
  terminal.type("", "C-d");
  await terminal.ends();

  assert.equal(readFileSync(scene.path("stderr"), "utf8"), "");
  assert.equal(readFileSync(scene.path("end"), "utf8"), "ended with 0\n");
});

test("a person at a terminal logs in unseen, lets somebody in while typing, and sees a download through", {
  skip: withoutTmux(),
}, async () => {
  await using scene = await Scene.open(1);
  const bob = await scene.user("bob");
  const { path, sha1 } = scene.file("bob", "film.mkv", 32 * MIB);
  const command = `${join(ROOT, "client")} 127.0.0.1:0 ${scene.trackerInfo} --data-dir ${scene.path("alice", "profile")}`;
  using terminal = new Terminal(scene.path("tmux"), command);
  await terminal.shows(/not logged in/);
  terminal.type("create_user alice hunter2", "Enter");
  await terminal.shows(/alice was created/);
  terminal.type("login alice", "Enter");
  await terminal.shows(/Password:/);
  terminal.type("hunter2", "Enter");
  const loggedIn = await terminal.shows(/Logged in as alice/);
  assert.equal(loggedIn.match(/hunter2/g)?.length, 1, "the password that was asked for was shown");
  terminal.type("create_group films", "Enter");
  await terminal.shows(/films was created/);

  terminal.type("accept_req");
  await bob.must("join_group films");
  const interrupted = await terminal.shows(/bob asks to join films/);
  assert.match(interrupted, /> accept_req\s*$/, "the line that was being typed was wrecked");
  terminal.type("uest films bob", "Enter");
  await terminal.shows(/bob is a member of films now/);

  await bob.must(`upload_file ${path} films`);
  await terminal.shows(/bob shares film\.mkv/);
  terminal.type(`download_file films fi`, "Tab");
  await terminal.shows(/download_file films film\.mkv/);
  terminal.type(`${scene.path("alice", "copy.mkv")}`, "Enter");
  await terminal.shows(/\[C\] \[films\] film\.mkv/);
  assert.equal(await sha1Of(scene.path("alice", "copy.mkv")), sha1);
  terminal.type("", "C-d");
  await terminal.ends();
});

test("a client that was stopped by Ctrl-Z hears its keys again after fg, and no signal opens a debugger", {
  skip: withoutTmux(),
}, async () => {
  await using scene = await Scene.open(1);
  using terminal = new Terminal(scene.path("tmux"), "bash --norc --noprofile -i");
  const command = `${join(ROOT, "client")} 127.0.0.1:0 ${scene.trackerInfo} --data-dir ${scene.path("alice", "profile")}`;
  terminal.type(command, "Enter");
  await terminal.shows(/not logged in/);
  terminal.type("", "C-z");
  await terminal.shows(/Stopped/);
  terminal.type("kill -USR1 %1; fg", "Enter");
  await terminal.shows(/Stopped.*client.*not logged in/s);
  terminal.type("whoami", "Enter");
  const screen = await terminal.shows(/Not logged in\./);
  assert.doesNotMatch(screen, /Debugger/);
  terminal.type("", "C-c");
  await terminal.shows(/Ctrl-C once more/);
  terminal.type("", "C-c");
  await terminal.shows(/bash\S+ *$/m);
  terminal.type("exit", "Enter");
  await terminal.ends();
});

test("a tracker's console shows log lines as words above what is typed, which stays", {
  skip: withoutTmux(),
}, async () => {
  await using scene = await Scene.open(0);
  const [own, other] = await freePorts(2);
  writeFileSync(scene.trackerInfo, `127.0.0.1:${own}\n127.0.0.1:${other}\n`);
  const program = join(ROOT, "tracker");
  const command = `${program} ${scene.trackerInfo} 2 --data-dir ${scene.path("two")}; echo ended with $? >${scene.path("end")}`;
  using terminal = new Terminal(scene.path("tmux"), command);
  await terminal.shows(/tracker 2>/);
  terminal.type("stat");
  await scene.startTracker(1);
  const connected = await terminal.shows(/INFO {2}tracker connected/);
  assert.match(connected, /^\d\d:\d\d:\d\d INFO {2}tracker connected/m);
  assert.match(connected, /^tracker 2> stat\s*$/m);
  assert.doesNotMatch(connected, /"level"|"time"/);
  await scene.trackers[0]?.kill();
  await terminal.shows(/link to tracker closed/);
  rmSync(scene.path("tracker-1"), { recursive: true });
  await scene.startTracker(1);
  const changed = await terminal.shows(/ERROR tracker not reached/);
  assert.doesNotMatch(changed, /^ *at /m, "a stack was shown");
  terminal.type("us", "Enter");
  await terminal.shows(/disconnected.*it was.*before: somebody.*impersonating.*trust\s+anew/s);
  terminal.type("quit", "Enter");
  await terminal.ends();
  assert.equal(readFileSync(scene.path("end"), "utf8"), "ended with 0\n");
});

test("a tracker whose stderr is a file logs JSON there while a person types", {
  skip: withoutTmux(),
}, async () => {
  await using scene = await Scene.open(0);
  const [own] = await freePorts(1);
  writeFileSync(scene.trackerInfo, `127.0.0.1:${own}\n`);
  const command = `${join(ROOT, "tracker")} ${scene.trackerInfo} 1 --data-dir ${scene.path("one")} 2>${scene.path("log")}`;
  using terminal = new Terminal(scene.path("tmux"), command);
  await terminal.shows(/tracker 1>/);
  terminal.type("", "C-c");
  await terminal.ends();
  const [line = ""] = readFileSync(scene.path("log"), "utf8").split("\n");
  assert.equal((JSON.parse(line) as { msg: string }).msg, "tracker listens");
});
