// The scripts of examples/, each run as its first lines say, against real trackers and another member's client.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { DaemonUser } from "../../harness/daemons.ts";
import type { ClientProcess } from "../../harness/processes.ts";
import { Scene, sha1Of } from "../../harness/scene.ts";
import { until, within } from "../../harness/within.ts";

const ROOT = join(import.meta.dirname, "../..");
const LENGTH_BYTES = 3 * 1024 * 1024 + 1;
const RUN_PATIENCE_MS = 60_000;

interface Ended {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

describe("the examples", () => {
  let scene: Scene;
  let olga: ClientProcess;
  let passwordFile: string;
  const children: ChildProcess[] = [];

  before(async () => {
    scene = await Scene.open(2);
    olga = await scene.user("olga");
    const carol = scene.client("carol");
    await carol.must("create_user carol carols-password");
    await carol.must("login carol carols-password");
    await scene.group("studio", olga, { carol });
    await scene.group("dailies", olga, { carol });
    await carol.finish();
    passwordFile = scene.path("carol.txt");
    writeFileSync(passwordFile, "carols-password\n", { mode: 0o600 });
  });

  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await scene[Symbol.asyncDispose]();
  });

  function run(script: string, ...args: string[]): Promise<Ended> {
    const child = spawn(join(ROOT, "bin/node"), [join(ROOT, "examples", script), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, XDG_DATA_HOME: scene.path("data") },
    });
    children.push(child);
    const ended = Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)]);
    return within(
      ended.then(([[status], stdout, stderr]) => ({ status, stdout, stderr })),
      () => `${script} to end`,
      RUN_PATIENCE_MS,
    );
  }

  it("the service starts a daemon that logs in with its credentials, and stops it", async () => {
    const home = scene.path("service");
    const user = new DaemonUser(home, scene.trackerInfo);
    const [configFolder, credentials] = [join(home, ".config/minitorrent"), join(home, "credentials")];
    for (const folder of [configFolder, credentials]) mkdirSync(folder, { recursive: true });
    copyFileSync(scene.trackerInfo, join(configFolder, "tracker_info.txt"));
    const unit = readFileSync(join(ROOT, "examples/minitorrent.service"), "utf8")
      .replaceAll("%h/miniTorrent/", join(ROOT, "/"))
      .replaceAll("%h/", join(home, "/"));
    const valuesOf = (key: string): string[] =>
      [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) => value ?? "");
    // As the service manager makes them: readable by the group, as far as the mode says.
    const secrets: Record<string, string> = { user: "carol\n", password: "carols-password\n" };
    for (const credential of valuesOf("LoadCredential")) {
      const [name = "", source = ""] = credential.split(":");
      writeFileSync(join(credentials, name), secrets[basename(source)] ?? "", { mode: 0o440 });
    }
    const variables = valuesOf("Environment").map((given) => given.split("=", 2) as [string, string]);
    const env = {
      ...user.env,
      ...Object.fromEntries(variables),
      CREDENTIALS_DIRECTORY: credentials,
      // The port of the example may be taken on this machine.
      MINITORRENT_LISTEN: "127.0.0.1:0",
    };
    const started = (key: string): ChildProcess => {
      const [program = "", ...args] = valuesOf(key)[0]?.split(" ") ?? [];
      const child = spawn(program, args, { env, cwd: home, stdio: "ignore" });
      children.push(child);
      return child;
    };
    const daemon = started("ExecStart");
    const ended = once(daemon, "exit");
    await until(async () => (await user.run("status")).stdout.includes("carol, in "), "the login");
    const [stopped] = await within(once(started("ExecStop"), "exit"), "the stop");
    const [status] = await within(ended, "the daemon to end");
    assert.deepEqual([stopped, status], [0, 0]);
  });

  describe("share-until-held", () => {
    const share = (password: string, path: string) =>
      run("share-until-held.ts", "127.0.0.1:0", scene.trackerInfo, "carol", password, "studio", path);

    it("shares until another member has the file, then prints its SHA-1", async () => {
      const { path, sha1 } = scene.file("carol", 'the "first" film.mkv', LENGTH_BYTES);
      const sharing = share(passwordFile, path);
      await olga.event(({ event, groupId }) => event === "file-shared" && groupId === "studio");
      await olga.must(`download_file studio 'the "first" film.mkv' ${scene.path("olga")}/`);
      await olga.event(({ event, groupId }) => event === "download-complete" && groupId === "studio");
      assert.deepEqual(await sharing, { status: 0, stdout: `${sha1}  ${path}\n`, stderr: "" });
    });

    it("says which command was refused, and ends with 1", async () => {
      const wrong = scene.path("wrong.txt");
      writeFileSync(wrong, "not-carols-password\n", { mode: 0o600 });
      const { status, stdout, stderr } = await share(wrong, scene.file("carol", "second.mkv", 1).path);
      assert.equal(status, 1);
      assert.equal(stdout, "");
      assert.match(stderr, /^login: .*password/);
    });
  });

  it("download-new fetches the files that are new since its last run", async () => {
    const upload = async (name: string) => {
      const { path, sha1 } = scene.file("olga", name, LENGTH_BYTES);
      await olga.must(`upload_file ${path} dailies`);
      return { path: scene.path("incoming", name), sha1 };
    };
    const downloadNew = async () => {
      const { status, stdout, stderr } = await run(
        "download-new.ts",
        ...["127.0.0.1:0", scene.trackerInfo, "carol", passwordFile, "dailies", scene.path("incoming")],
      );
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
      return stdout.split("\n").slice(0, -1).sort();
    };
    const old = [await upload("one.mkv"), await upload("two.mkv")];
    assert.deepEqual(
      await downloadNew(),
      old.map(({ path }) => path),
    );
    for (const { path, sha1 } of old) assert.equal(await sha1Of(path), sha1);
    // Whoever takes files out of the folder does not get them a second time.
    for (const { path } of old) rmSync(path);
    const added = await upload("three.mkv");
    assert.deepEqual(await downloadNew(), [added.path]);
  });

  describe("tracker-health", () => {
    it("prints a line for each tracker, and ends with 0 while all are well", async () => {
      await scene.trackersAgree();
      const { status, stdout, stderr } = await run("tracker-health.ts", scene.trackerInfo);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
      const lines = stdout.replaceAll(/ {2}\d clients? {2}/g, "  N clients  ");
      assert.equal(lines, scene.trackerAddresses.map((address) => `${address}  N clients  well\n`).join(""));
    });

    it("ends with 1 if one tracker shows another key than its line demands", async () => {
      const [wrong, right] = scene.trackerAddresses;
      const path = scene.path("pinned.txt");
      writeFileSync(path, `${wrong} sha256:${"0".repeat(64)}\n${right}\n`);
      const { status, stdout } = await run("tracker-health.ts", path);
      assert.equal(status, 1);
      const [lineOfWrong, lineOfRight] = stdout.split("\n");
      assert.equal(
        lineOfWrong,
        `${wrong}  no good answer: it shows another key than tracker_info.txt demands`,
      );
      assert.match(lineOfRight ?? "", / {2}well$/);
    });

    it("says which tracker is away, and which one misses it, and ends with 1", async () => {
      const [here, away] = scene.trackers;
      assert.ok(here !== undefined && away !== undefined);
      await away.kill();
      await until(
        async () => (await here.health()).links.every(({ state }) => state !== "connected"),
        () => "the tracker to miss the other one",
      );
      const { status, stdout } = await run("tracker-health.ts", scene.trackerInfo);
      assert.equal(status, 1);
      const [lineOfHere, lineOfAway] = stdout.split("\n");
      assert.match(lineOfHere ?? "", new RegExp(`  \\d clients?  ${away.address} is disconnected$`));
      assert.match(lineOfAway ?? "", new RegExp(`^${away.address}  no good answer: .*ECONNREFUSED`));
    });
  });
});
