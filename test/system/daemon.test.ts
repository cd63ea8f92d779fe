// Daemons and one-shot commands as a person and a script use them: real processes, a real tracker.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { DaemonUser } from "../../harness/daemons.ts";
import { freePorts } from "../../harness/processes.ts";
import { withoutCurl, withoutShell } from "../../harness/requirements.ts";
import { Scene, sha1Of, writeRandomFile } from "../../harness/scene.ts";
import { until, within } from "../../harness/within.ts";
import { ApiClient } from "../../src/daemon/api-client.ts";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

describe("daemons", () => {
  let scene: Scene;
  let ann: DaemonUser;
  let bob: DaemonUser;

  before(async () => {
    scene = await Scene.open(1);
    [ann, bob] = [
      new DaemonUser(scene.path("ann"), scene.trackerInfo),
      new DaemonUser(scene.path("bob"), scene.trackerInfo),
    ];
    for (const user of [ann, bob]) {
      writeFileSync(join(user.home, "password"), "correct-horse\n", { mode: 0o600 });
      await user.must("daemon");
    }
    for (const [name, user] of [
      ["ann", ann],
      ["bob", bob],
    ] as const) {
      await user.must("create_user", name, "--password-file", "password");
      await user.must("login", name, "--password-file", "password");
    }
    await ann.must("create_group", "studio");
    await bob.must("join_group", "studio");
    await ann.must("accept_request", "studio", "bob");
  });
  after(async () => {
    await Promise.all([ann.end(), bob.end()]);
    await scene[Symbol.asyncDispose]();
  });

  it("share and download by one-shot commands, and the exit code says how it ended", async () => {
    const sha1 = writeRandomFile(join(ann.home, "build.bin"), 3_000_000);
    assert.match(await ann.must("share", "build.bin", "studio"), /is shared: 3 MB/);
    assert.match(await bob.must("files", "studio"), /build\.bin/);
    mkdirSync(join(bob.home, "out"));
    assert.match(
      await bob.must("download", "studio", "build.bin", "out/", "--wait"),
      /^\[C\] \[studio\] build\.bin/,
    );
    assert.equal(await sha1Of(join(bob.home, "out", "build.bin")), sha1);
    const { code, stderr } = await bob.run("download", "studio", "nothing", "out/", "--wait");
    assert.deepEqual([code, stderr.includes("error UNKNOWN_FILE: ")], [1, true]);
    assert.equal((await bob.run("download", "studio")).code, 2);
    const [answer] = (await bob.must("downloads", "--json")).split("\n");
    assert.equal(JSON.parse(answer ?? "").result[0].state, "complete");
  });

  it("a killed daemon starts again without a password, and shares what it shared", async () => {
    const file = join(ann.home, "again.txt");
    writeFileSync(file, "again");
    await ann.must("share", file, "studio");
    const killed = await ann.pid();
    process.kill(killed, "SIGKILL");
    await until(async () => (await ann.run("status")).code === 3, "the daemon is gone");
    assert.match(await ann.must("daemon"), /Logged in as ann\./);
    assert.notEqual(await ann.pid(), killed);
    await until(
      async () => (await ann.must("shares", "--json")).includes('"served"'),
      "its files are served again",
    );
    await bob.must("download", "studio", "again.txt", "./", "--wait");
    assert.equal(readFileSync(join(bob.home, "again.txt"), "utf8"), "again");
  });

  it("a second daemon says which process has the folder", async () => {
    const pid = await ann.pid();
    const { code, stderr } = await ann.run("daemon");
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`DATA_DIR_IN_USE: .*process id ${pid}`));
    const inForeground = await ann.run("daemon", "--foreground");
    assert.match(inForeground.stderr, new RegExp(`process id ${pid} uses`));
  });

  it("Ctrl-C detaches from a download, which continues", async () => {
    writeRandomFile(join(ann.home, "large.bin"), 8_000_000);
    await ann.must("share", "large.bin", "studio");
    await bob.must("limit", "down", "500kB/s");
    const waiting = bob.start("download", "studio", "large.bin", "./", "--wait");
    let said = "";
    waiting.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const ended = once(waiting, "exit");
    await until(
      async () => (await bob.must("downloads", "--json")).includes("large.bin"),
      "the download runs",
    );
    waiting.kill("SIGINT");
    const [code] = await within(ended, "the command to end");
    assert.deepEqual(
      [code, said.trim()],
      [130, "Detached: the download continues in the daemon; minitorrent downloads shows it."],
    );
    await bob.must("limit", "down", "off");
    await bob.must("wait", "studio", "large.bin");
    assert.equal(existsSync(join(bob.home, "large.bin")), true);
  });

  it("a download tells who sent each piece, how far its files are, how fast it came, and its group what happened", async () => {
    const api = new ApiClient({ socketPath: bob.socket });
    const which = { groupId: "studio", fileName: "large.bin" };
    const { pieceCount, runs, sources } = await api.call("pieces", which);
    assert.deepEqual([runs, sources], [[{ count: pieceCount, from: 0 }], ["ann"]]);
    const { items } = await api.call("downloadFiles", which);
    assert.partialDeepStrictEqual(items, [
      { path: "large.bin", lengthBytes: 8_000_000, verifiedBytes: 8_000_000, isChosen: true },
    ]);
    const movedBytes = async (query: { groupId?: string; fileName?: string }) => {
      const { stepMs, points } = await api.call("speed", query);
      return points.reduce((sum, { down }) => sum + (down * stepMs) / 1_000, 0);
    };
    await until(async () => Math.abs((await movedBytes(which)) - 8_000_000) < 50_000, "its speed is known");
    assert.ok((await movedBytes({})) > 8_000_000);
    const happened = (await api.call("activity", { groupId: "studio" })).items;
    assert.deepEqual(
      [happened[0]?.type, happened.at(-1)?.type],
      ["download-complete", "request-accepted"],
      JSON.stringify(happened),
    );
  });

  it("a folder that is sent to a daemon is shared from there", async () => {
    const api = new ApiClient({ socketPath: bob.socket });
    const folder = { groupId: "studio", name: "sent", kind: "folder" as const, lengthBytes: 6 };
    const { uploadId, path } = await api.call("beginUpload", folder);
    assert.equal(path, join(bob.home, "miniTorrent", "sent"));
    await api.sendContent(uploadId, { inside: "a/one" }, Buffer.from("one"));
    await api.sendContent(uploadId, { inside: "two" }, Buffer.from("two"));
    assert.equal((await api.call("finishUpload", { uploadId })).fileCount, 2);
    await ann.must("download", "studio", "sent", "./", "--wait");
    assert.equal(readFileSync(join(ann.home, "sent/a/one"), "utf8"), "one");
  });

  it("bash completes names that the daemon knows", { skip: withoutShell("bash") }, async () => {
    const complete = async (line: string): Promise<string> => {
      const script = `source <("$1" completion bash); COMP_LINE="$2"; COMP_POINT=\${#2}; _minitorrent "$1"; echo "\${COMPREPLY[*]}"`;
      const words = ["-c", script, "bash", join(ROOT, "minitorrent"), line];
      const { stdout } = await run("bash", words, { env: ann.env, cwd: ann.home });
      return stdout.trim();
    };
    assert.equal(await complete("minitorrent files stu"), "studio");
    assert.equal(await complete("minitorrent remove_member studio b"), "bob");
    assert.equal(await complete("minitorrent downlo"), "download downloads");
  });

  it("SIGTERM ends a daemon in the foreground in good order, as service managers do", async () => {
    const carol = new DaemonUser(scene.path("carol"), scene.trackerInfo);
    const daemon = carol.start("daemon", "--foreground");
    const ended = once(daemon, "exit");
    await until(() => existsSync(carol.socket), "its socket is there");
    await carol.must("status");
    daemon.kill("SIGTERM");
    assert.deepEqual(await within(ended, "the daemon to end"), [0, null]);
    assert.equal(existsSync(carol.socket), false);
    assert.equal((await carol.run("status")).code, 3);
  });

  it("what a daemon cannot start with is said by the command that starts it", async () => {
    const dave = new DaemonUser(scene.path("dave"), scene.path("no-such-file"));
    const { code, stderr } = await dave.run("daemon");
    assert.deepEqual([code, /INVALID_TRACKER_INFO: .*no-such-file/.test(stderr)], [1, true], stderr);
    const unknown = await dave.run("daemon", "--lissten", "x");
    assert.equal(unknown.code, 2);
  });

  it("the examples of docs/api.md work as they stand", { skip: withoutCurl() }, async () => {
    const [port = 0] = await freePorts(1);
    await ann.end();
    await until(async () => (await ann.run("status")).code === 3, "the daemon has ended");
    await ann.must("daemon", "--web", `127.0.0.1:${port}`);
    for (const user of [bob, ann]) await user.must("leave_group", "studio");
    writeFileSync(join(ann.home, "notes.txt"), "notes");
    const docs = readFileSync(join(ROOT, "docs/api.md"), "utf8");
    const blocks = [...docs.matchAll(/```sh\n(.*?)```/gs)].map(([, block = ""]) => block);
    assert.equal(blocks.length, 5);
    const script = `set -e\nshopt -s expand_aliases\nalias minitorrent='${join(ROOT, "minitorrent")}'\n${blocks
      .join("\n")
      .replaceAll(/^curl /gm, "echo; curl --fail-with-body --silent --show-error ")
      .replace(/(--max-time 1 .*)$/m, "$1 || [ $? = 28 ]")}`;
    const env = { ...ann.env, SOCKET: ann.socket, WEB: `127.0.0.1:${port}` };
    const { stdout } = await run("bash", ["-c", script], { cwd: ann.home, env });
    assert.match(stdout, /"userId":"ann"/);
    assert.match(stdout, /"fileName":"notes.txt"/);
    assert.match(stdout, /"up":5000000/);
    assert.match(stdout, /event: snapshot/);
  });
});
