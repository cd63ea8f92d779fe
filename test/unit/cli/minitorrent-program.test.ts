// The program ./minitorrent in a process of the test's own, with a real daemon over a client in memory: what each command says,
// and the code that it exits with.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { until, within } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { DAEMON_SETTINGS, type GivenSettings } from "../../../src/cli/daemon-settings.ts";
import { runMinitorrent } from "../../../src/cli/minitorrent-program.ts";
import type { DownloadStatus } from "../../../src/client/status.ts";
import type { ApiClient } from "../../../src/daemon/api-client.ts";
import { download, type FakeClient, startDaemon, temporaryFolder } from "../daemon/fixture.ts";
import { FakeProcess } from "./fake-process.ts";

const SOON_MS = 5_000;
/** To the start of the line, which is emptied. */
const WIPE = "\r\u001b[K";

interface Started {
  readonly process: FakeProcess;
  /** The daemon's program, how it was run, and with what. */
  readonly daemonRuns: unknown[][];
  exitCode(): Promise<number>;
}

function start(
  dataDir: string,
  argv: readonly string[],
  process = new FakeProcess(),
  daemonExit: () => Promise<number> = async () => 0,
): Started {
  // Neither the settings nor the daemon of whoever runs the tests.
  Object.assign(process.env, { XDG_CONFIG_HOME: dataDir, MINITORRENT_DATA_DIR: dataDir });
  const daemonRuns: unknown[][] = [];
  const daemon = async () => ({
    runDaemon: (_process: unknown, _console: unknown, flags: GivenSettings) => {
      daemonRuns.push(["foreground", { ...flags }]);
      return daemonExit();
    },
    startInBackground: (_process: unknown, _console: unknown, flags: GivenSettings, command: unknown) => {
      daemonRuns.push(["background", { ...flags }, command]);
      return daemonExit();
    },
  });
  const running = runMinitorrent(
    { process, console: process.console, daemon, self: ["node", "it.ts"], openFile: async () => false },
    argv,
  );
  const exitCode = (): Promise<number> =>
    within(
      running,
      () => `${argv.join(" ")} to end; it wrote ${process.stdout.text}${process.stderr.text}`,
      SOON_MS,
    );
  return { process, daemonRuns, exitCode };
}

/** Runs it to its end. */
async function ran(dataDir: string, ...argv: readonly string[]) {
  const { process, daemonRuns, exitCode } = start(dataDir, argv);
  const code = await exitCode();
  return { code, stdout: process.stdout.text, stderr: process.stderr.text, daemonRuns };
}

/** A daemon in which ann is logged in. */
async function daemonOfAnn(t: TestContext) {
  const dataDir = temporaryFolder(t);
  const running = await startDaemon(t, dataDir);
  const { client } = running;
  client.account = { userId: "ann", accountId: "a1" };
  Object.assign(client, {
    downloadHistory: () => [],
    downloadFile: async (groupId: string, fileName: string, destinationPath: string) => {
      client.calls.push(["downloadFile", groupId, fileName, destinationPath]);
      client.downloadList = [download({ groupId, fileName, destinationPath })];
      return client.downloadList[0];
    },
  });
  return { ...running, dataDir, run: (...argv: readonly string[]) => ran(dataDir, ...argv) };
}

/** The downloads go on to that state, and those who watch the daemon hear of it. */
async function goesOnTo(changes: Partial<DownloadStatus>, client: FakeClient, api: ApiClient): Promise<void> {
  client.downloadList = client.downloadList.map((one) => ({ ...one, ...changes }) as DownloadStatus);
  const looked = new AbortController();
  // A daemon tells what changed as soon as somebody else begins to watch.
  for await (const { type } of api.events(looked.signal)) if (type === "snapshot") looked.abort();
}

test("a command that the daemon has done is answered on stdout, with exit code 0", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  const { code, stdout, stderr } = await run("limit", "up", "5MB/s");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^All together: .*\n$/);
  assert.deepEqual(client.calls, [["limit", "up", 5_000_000, undefined]]);
});

test("with --json the answer is one line with the command's name and its result", async (t) => {
  const { run } = await daemonOfAnn(t);
  for (const words of [
    ["--json", "studio"],
    ["studio", "--json"],
  ]) {
    const { code, stdout, stderr } = await run("files", ...words);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(stdout, '{"command":"list_files","ok":true,"result":[]}\n');
  }
});

test("a refusal is said with its code, and the exit code is 1", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  client.listFiles = async () => {
    throw new MiniTorrentError("UNKNOWN_GROUP", "There is no such\u001b group.");
  };
  const plain = await run("files", "studio");
  assert.deepEqual([plain.code, plain.stdout], [1, ""]);
  assert.match(plain.stderr, /^error UNKNOWN_GROUP: There is no such.* group\.\n$/);
  assert.ok(!plain.stderr.includes("\u001b"), "nothing that a terminal would obey");
  const asJson = await run("files", "studio", "--json");
  assert.deepEqual([asJson.code, asJson.stderr], [1, ""]);
  assert.deepEqual(JSON.parse(asJson.stdout), {
    ok: false,
    code: "UNKNOWN_GROUP",
    error: "There is no such\u001b group.",
  });
});

test("an unknown command and wrong arguments are told with what may be meant, and the exit code is 2", async (t) => {
  const { run } = await daemonOfAnn(t);
  const unknown = await run("list_filse");
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /^error USAGE: There is no command 'list_filse'\. Nearest: list_files /);
  for (const [typed, meant] of [
    ["statsu", "status"],
    ["donwload", "download"],
  ] as const) {
    const mistyped = await run(typed);
    assert.equal(mistyped.code, 2);
    assert.match(mistyped.stderr, new RegExp(`There is no command '${typed}'\\. Nearest: ${meant} `));
  }
  const tooMany = await run("whoami", "me");
  assert.equal(tooMany.code, 2);
  assert.match(tooMany.stderr, /^error USAGE: whoami takes no argument.*Usage: whoami\n$/);
});

test("a command of ./client alone is refused with exit code 2, as is an option without its path", async (t) => {
  const dataDir = temporaryFolder(t);
  const { code, stderr } = await ran(dataDir, "quit");
  assert.deepEqual(
    [code, stderr],
    [2, "error USAGE: quit is a command of ./client; minitorrent stop ends the daemon.\n"],
  );
  for (const option of ["--data-dir", "--password-file"]) {
    const incomplete = await ran(dataDir, "whoami", option);
    assert.deepEqual(
      [incomplete.code, incomplete.stderr],
      [2, `error USAGE: ${option} needs a path behind it.\n`],
    );
  }
});

test("where no daemon runs, commands say how to start it, and the exit code is 3", async (t) => {
  const dataDir = temporaryFolder(t);
  assert.equal((await ran(dataDir, "statsu")).code, 2, "a mistyped command is one without a daemon too");
  for (const argv of [["status"], ["stop"], ["token", "list"]]) {
    const { code, stdout, stderr } = await ran(dataDir, ...argv);
    assert.deepEqual(
      [code, stdout, stderr],
      [3, "", "error DAEMON_UNREACHABLE: No daemon runs; start it: minitorrent daemon.\n"],
    );
  }
});

test("--data-dir says which daemon is asked, before or behind the command's words", async (t) => {
  const { dataDir } = await daemonOfAnn(t);
  const elsewhere = temporaryFolder(t);
  assert.equal((await ran(elsewhere, "files", "studio")).code, 3);
  assert.equal((await ran(elsewhere, "files", "studio", "--data-dir", dataDir)).code, 0);
  assert.equal((await ran(elsewhere, "files", "--data-dir", dataDir, "studio")).code, 0);
  assert.equal((await ran(elsewhere, "token", "list", "--data-dir", dataDir)).code, 0);
  assert.equal((await ran(elsewhere, "stop", "--data-dir", dataDir)).code, 0);
});

for (const [short, name] of [
  ["download", "download_file"],
  ["share", "upload_file"],
  ["downloads", "show_downloads"],
  ["shares", "list_shares"],
  ["groups", "list_groups"],
  ["files", "list_files"],
]) {
  test(`${short} is short for ${name}`, async (t) => {
    const dataDir = temporaryFolder(t);
    const [ofShort, ofName] = [
      await ran(dataDir, String(short), "--help"),
      await ran(dataDir, String(name), "-h"),
    ];
    assert.match(ofShort.stdout, new RegExp(`^Usage: minitorrent ${name}`));
    assert.deepEqual(ofShort, ofName);
  });
}

test("a command is run by its short name", async (t) => {
  const { run } = await daemonOfAnn(t);
  const { code, stdout } = await run("downloads");
  assert.equal(code, 0);
  assert.match(stdout, /no downloads/);
});

test("words behind -- are the command's, whatever they look like", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  const { code, stdout } = await run("files", "--", "--json");
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /^\{/);
  assert.equal((await run("download", "films", "--", "--only", "/films/")).code, 0);
  assert.deepEqual(client.calls, [
    ["listFiles", "--json"],
    ["downloadFile", "films", "--only", "/films/"],
  ]);
});

test("-- is no word of a command without options either", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  assert.equal((await run("stop_share", "--", "films", "--wait")).code, 0);
  assert.deepEqual(client.calls, [["stopShare", "films", "--wait", false]]);
});

test("words reach the command as they are, with blanks, quotes and backslashes", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  const name = `a "b" 'c' \\d #e`;
  assert.equal((await run("stop_share", "films", name)).code, 0);
  assert.deepEqual(client.calls, [["stopShare", "films", name, false]]);
});

test("help of the program, of a command and of the daemon asks no daemon", async (t) => {
  const dataDir = temporaryFolder(t);
  for (const argv of [["help"], ["--help"], ["-h"]]) {
    const { code, stdout, stderr } = await ran(dataDir, ...argv);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^Usage: minitorrent <command>.*Examples\n.*Exit codes: 0 done.*with Ctrl-C\.\n$/s);
    for (const name of ["daemon", "status", "token", "download, download_file", "whoami"])
      assert.match(stdout, new RegExp(`^ {2}${name} +[A-Z]`, "m"));
    assert.doesNotMatch(stdout, /\bquit\b/);
  }
  const short = await ran(dataDir);
  assert.deepEqual([short.code, short.stderr], [0, ""]);
  assert.match(short.stdout, /^Usage: minitorrent <command>.*Examples\n.*help <command> explains one\.\n$/s);
  assert.ok(short.stdout.split("\n").length < 24, "it fits on a screen");
  const unknown = await ran(dataDir, "help", "nonsense");
  assert.deepEqual([unknown.code, unknown.stdout], [2, ""]);
  for (const argv of [
    ["help", "download"],
    ["download", "--help"],
    ["download", "films", "-h"],
  ]) {
    const { code, stdout } = await ran(dataDir, ...argv);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^Usage: minitorrent download_file <group_id> .*\n\nExample\n {2}minitorrent download .*\n\nDownload /s,
    );
  }
  const ofDaemon = await ran(dataDir, "daemon", "--help");
  assert.equal(ofDaemon.code, 0);
  for (const name of Object.keys(DAEMON_SETTINGS))
    assert.match(ofDaemon.stdout, new RegExp(`^  --${name} <`, "m"));
  assert.deepEqual([await ran(dataDir, "help", "daemon"), ofDaemon.daemonRuns], [ofDaemon, []]);
});

test("--version says the version", async (t) => {
  const dataDir = temporaryFolder(t);
  for (const option of ["--version", "-V"]) {
    const { code, stdout } = await ran(dataDir, option);
    assert.equal(code, 0);
    assert.match(stdout, /^miniTorrent \d+\.\d+/);
  }
});

test("a daemon starts in the background by this program, and in the foreground if that is asked for", async (t) => {
  const dataDir = temporaryFolder(t);
  const inBackground = await ran(dataDir, "daemon", "--listen", "127.0.0.1:0", "--log-level=debug");
  assert.equal(inBackground.code, 0);
  const flags = { listen: "127.0.0.1:0", "log-level": "debug" };
  assert.deepEqual(inBackground.daemonRuns, [
    ["background", flags, ["node", "it.ts", "daemon", "--foreground"]],
  ]);
  const { daemonRuns } = await ran(dataDir, "daemon", "--foreground", "--listen", "127.0.0.1:0");
  assert.deepEqual(daemonRuns, [["foreground", { listen: "127.0.0.1:0" }]]);
});

test("a daemon with an unknown option is not started, and one that cannot start is told of", async (t) => {
  const dataDir = temporaryFolder(t);
  const { code, stderr, daemonRuns } = await ran(dataDir, "daemon", "--lissten", "127.0.0.1:0");
  assert.deepEqual([code, daemonRuns], [2, []]);
  assert.match(stderr, /^error USAGE: .*--lissten/);
  const { process, exitCode } = start(dataDir, ["daemon"], new FakeProcess(), async () => {
    throw new MiniTorrentError("DATA_DIR_IN_USE", "It runs already.");
  });
  assert.deepEqual([await exitCode(), process.stderr.text], [1, "error DATA_DIR_IN_USE: It runs already.\n"]);
});

test("stop ends the daemon, and says what continues with the next one", async (t) => {
  const { run, stops } = await daemonOfAnn(t);
  const { code, stdout } = await run("stop");
  assert.equal(code, 0);
  assert.match(stdout, /^The daemon ends; its session, shares and downloads continue /);
  await until(() => stops.length === 1, "the daemon to be asked to end", SOON_MS);
});

test("status shows who is logged in, the daemon's process and what moves, and the same as JSON", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  client.downloadList = [
    download({ groupId: "films", fileName: "dune" }),
    download({ groupId: "films", fileName: "done", state: "complete" } as never),
  ];
  const sharing = { groupId: "films", lengthBytes: 5, path: "/x", state: "served" as const, peerCount: 2 };
  Object.assign(client, {
    shares: () => [
      { ...sharing, fileName: "slow", uploadBytesPerSecond: 1_000 },
      { ...sharing, fileName: "fast", uploadBytesPerSecond: 2_000_000 },
      { ...sharing, fileName: "still" },
    ],
  });
  const { code, stdout, stderr } = await run("status");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^Account +ann, in \d+ groups?, /m);
  assert.match(
    stdout,
    new RegExp(`^Daemon +process ${process.pid}, runs for \\d.*, \\d+ MB of memory$`, "m"),
  );
  assert.match(stdout, /^Page +not open; minitorrent web opens it$/m);
  assert.match(stdout, /^Transfers +down .*, up 2 MB\/s, 1 unfinished download$/m);
  assert.match(
    stdout,
    /^ {2}\[D\] \[films\] dune .*\n {2}\[U\] \[films\] fast .*2 peers\n {2}\[U\] \[films\] slow /m,
  );
  assert.doesNotMatch(stdout, /still|done/);
  const { command, ok, result } = JSON.parse((await run("status", "--json")).stdout);
  assert.deepEqual([command, ok, result.daemon.pid], ["status", true, process.pid]);
  assert.ok(result.daemon.memoryBytes > 1_000_000);
  assert.deepEqual(
    result.uploads.map(({ fileName }: { fileName: string }) => fileName),
    ["fast", "slow"],
  );
  client.account = undefined;
  client.downloadList = [];
  Object.assign(client, { shares: () => [] });
  assert.match((await run("status")).stdout, /^Account +nobody is logged in.*^Transfers +nothing moves$/ms);
  assert.equal((await run("status", "films")).code, 2);
});

test("tokens are created, listed and revoked; a new one alone stands on stdout", async (t) => {
  const { run } = await daemonOfAnn(t);
  const created = await run("token", "create", "page");
  assert.equal(created.code, 0);
  assert.match(created.stdout, /^[A-Za-z0-9_-]{20,}\n$/);
  assert.match(created.stderr, /^Keep it secret; .*token revoke/);
  assert.equal((await run("token", "create", "viewer", "--read")).code, 0);
  const listed = await run("token", "list");
  assert.match(listed.stdout, /^page {2}control {2}since \d.*\nviewer {2}read {2}since \d.*\n$/);
  assert.ok(!listed.stdout.includes(created.stdout.trim()), "no token is shown again");
  const revoked = await run("token", "revoke", "page");
  assert.deepEqual([revoked.code, revoked.stdout], [0, "The token 'page' is revoked.\n"]);
  assert.match((await run("token", "list")).stdout, /^viewer .*\n$/);
  assert.equal((await run("token", "revoke", "page")).code, 1);
});

test("token with other words tells its usage, and the exit code is 2", async (t) => {
  const { run } = await daemonOfAnn(t);
  for (const words of [
    [],
    ["list", "page"],
    ["create"],
    ["create", "a", "b"],
    ["revoke"],
    ["revoke", "a", "b"],
    ["remove", "a"],
    ["list", "--write"],
  ]) {
    const { code, stdout, stderr } = await run("token", ...words);
    assert.deepEqual([code, stdout], [2, ""], words.join(" "));
    assert.match(stderr, /^error USAGE: /);
  }
  assert.equal((await run("token", "list")).stdout, "");
});

test("a password is read from the file that --password-file names; without it and a terminal, login tells its usage", async (t) => {
  const { client, dataDir, run } = await daemonOfAnn(t);
  const file = join(dataDir, "password");
  writeFileSync(file, "correct-horse\n", { mode: 0o600 });
  const { code, stdout } = await run("login", "bob", "--password-file", file);
  assert.deepEqual([code, stdout], [0, "Logged in as bob.\n"]);
  assert.deepEqual(client.calls, [["login", "bob", "correct-horse"]]);
  assert.equal((await run("login", "bob")).code, 2);
});

test("at a terminal, login asks for the password and does not show it", async (t) => {
  const { client, dataDir } = await daemonOfAnn(t);
  const { process, exitCode } = start(dataDir, ["login", "bob"], new FakeProcess({ isTTY: true }));
  await until(() => process.stderr.text === "Password: ", "the question", SOON_MS);
  process.stdin.write("correct-horse\r");
  assert.equal(await exitCode(), 0);
  assert.deepEqual(client.calls, [["login", "bob", "correct-horse"]]);
  assert.doesNotMatch(process.stdout.text + process.stderr.text, /horse/);
});

test("a download without --wait is answered as soon as it has started", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  const { code, stdout } = await run("download", "films", "dune", "/films/");
  assert.equal(code, 0);
  assert.match(stdout, /^\[D\] \[films\] dune .*\n$/);
  assert.deepEqual(client.calls, [["downloadFile", "films", "dune", "/films/"]]);
});

test("--wait shows progress in one line of a terminal, and ends with the download, exit code 0", async (t) => {
  const { client, api, dataDir } = await daemonOfAnn(t);
  const { process, exitCode } = start(
    dataDir,
    ["download", "films", "dune", "/films/", "--wait"],
    new FakeProcess({ isStderrTTY: true }),
  );
  await until(() => process.stderr.text !== "", "its progress", SOON_MS);
  assert.match(String(process.stderr.text.split(WIPE)[1]), /^\[D\] \[films\] dune [^\n]*$/);
  assert.equal(process.stdout.text, "", "nothing is said before it has ended");
  await goesOnTo({ state: "complete" }, client, api);
  assert.equal(await exitCode(), 0);
  assert.equal(process.stderr.writes.at(-1), WIPE, "the progress is wiped");
  assert.match(process.stdout.text, /^\[C\] \[films\] dune .*\n$/);
});

test("--wait with --json shows no progress, and says how the download ended in one line", async (t) => {
  const { client, api, dataDir } = await daemonOfAnn(t);
  const { process, exitCode } = start(
    dataDir,
    ["download", "films", "dune", "/films/", "--wait", "--json"],
    new FakeProcess({ isStderrTTY: true }),
  );
  await until(() => client.downloadList.length > 0, "the download to start", SOON_MS);
  await goesOnTo({ state: "complete" }, client, api);
  assert.equal(await exitCode(), 0);
  assert.equal(process.stderr.text, "");
  const [line = "", ...others] = process.stdout.lines;
  assert.deepEqual(others, []);
  const { state, fileName } = JSON.parse(line) as DownloadStatus;
  assert.deepEqual([state, fileName], ["complete", "dune"]);
});

test("--wait ends with exit code 1 if the download fails or is cancelled, and shows no progress where no terminal is", async (t) => {
  const { client, api, dataDir } = await daemonOfAnn(t);
  const argv = ["download", "films", "dune", "/films/", "--wait"];
  const failing = start(dataDir, argv);
  await until(() => client.downloadList.length > 0, "the download to start", SOON_MS);
  await goesOnTo({ state: "failed", code: "DISK_FULL", reason: "The disk is full." }, client, api);
  assert.equal(await failing.exitCode(), 1);
  assert.equal(failing.process.stderr.text, "");
  assert.match(failing.process.stdout.text, /^\[F\] \[films\] dune.*The disk is full\..*\n$/s);

  client.downloadList = [];
  const cancelled = start(dataDir, argv, new FakeProcess({ isStderrTTY: true }));
  await until(() => cancelled.process.stderr.text !== "", "its progress", SOON_MS);
  client.downloadList = [];
  await goesOnTo({ state: "complete" }, client, api);
  assert.equal(await cancelled.exitCode(), 1);
  assert.match(
    String(cancelled.process.stderr.text.split(WIPE).at(-1)),
    /^error UNKNOWN_DOWNLOAD: .*cancelled\.\n$/,
  );
});

test("Ctrl-C detaches from a download, which continues: exit code 130", async (t) => {
  const { client, dataDir } = await daemonOfAnn(t);
  const { process, exitCode } = start(
    dataDir,
    ["download", "films", "dune", "/films/", "--wait"],
    new FakeProcess({ isStderrTTY: true }),
  );
  await until(() => process.stderr.text !== "", "its progress", SOON_MS);
  process.emit("SIGINT");
  assert.equal(await exitCode(), 130);
  assert.match(
    String(process.stderr.text.split(WIPE).at(-1)),
    /^Detached: the download continues in the daemon; .*\n$/,
  );
  assert.deepEqual(
    [process.stdout.text, client.downloadList[0]?.state, process.exits],
    ["", "downloading", []],
  );
});

test("Ctrl-C detaches from a command that takes long: exit code 130, and a second time at once", async (t) => {
  const { client, dataDir } = await daemonOfAnn(t);
  const { process, exitCode } = start(dataDir, ["share", "/films/dune", "films"]);
  await until(() => client.calls.length > 0, "the daemon to share it", SOON_MS);
  process.emit("SIGINT");
  process.emit("SIGINT");
  assert.equal(await exitCode(), 130);
  assert.deepEqual(process.exits, [130]);
  assert.equal(process.stderr.text, "Detached: what the daemon has begun, it continues.\n");
});

test("trackers shows the list, and set replaces it with the file's", async (t) => {
  const { client, run, dataDir } = await daemonOfAnn(t);
  assert.deepEqual(await run("trackers"), {
    ...{ code: 0, stdout: "No tracker is known yet.\n", stderr: "", daemonRuns: [] },
  });
  const path = join(dataDir, "list.txt");
  const key = "cd".repeat(32);
  writeFileSync(path, `192.0.2.1:9000\n192.0.2.2:9000 sha256:${key}\n`);
  const expected = `192.0.2.1:9000  key not seen yet  not connected\n192.0.2.2:9000  sha256:${key}  not connected\n`;
  const set = await run("trackers", "set", path);
  assert.deepEqual([set.code, set.stdout], [0, expected]);
  assert.equal(client.trackerList.length, 2);
  const { result } = JSON.parse((await run("trackers", "--json")).stdout);
  assert.deepEqual(result[1], { address: "192.0.2.2:9000", fingerprint: key, isConnected: false });
  const wrong = await run("trackers", "set", join(dataDir, "nothing.txt"));
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^error INVALID_TRACKER_INFO: There is no file /);
  for (const words of [["list"], ["set"], ["set", path, path], ["set", path, "--write"]])
    assert.equal((await run("trackers", ...words)).code, 2, words.join(" "));
});

test("the schedule is added to, shown, and removed from, and limit says what applies by it", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  const added = await run("schedule", "add", "all", "00:00-00:00", "--up", "500kB/s");
  const line = "1. all days  00:00-00:00  up at most 500 kB/s, down no limit  (now)\n";
  assert.deepEqual([added.code, added.stdout], [0, line], added.stderr);
  assert.deepEqual(client.calls, [["overrideLimits", { up: 500_000, down: undefined }]]);
  client.limits = () => ({
    all: { up: 500_000, down: undefined },
    outsideSchedule: { up: undefined, down: 7_000 },
    files: [],
  });
  assert.match(
    (await run("limit")).stdout,
    /^All together, by the schedule: up at most 500 kB\/s.*\nOutside of it: .*7 kB\/s/,
  );
  await run("schedule", "add", "sat", "22:00-06:00", "--pause");
  const { result } = JSON.parse((await run("schedule", "--json")).stdout);
  assert.deepEqual([result.rules.length, result.now], [2, result.rules[0]]);
  assert.match((await run("schedule", "remove", "3")).stderr, /There is no rule 3/);
  assert.match((await run("schedule", "remove", "1")).stdout, /^1\. sat {2}22:00-06:00/);
  assert.match((await run("schedule", "clear")).stdout, /There is no schedule/);
  for (const words of [["add"], ["add", "all"], ["remove"], ["clear", "1"], ["--up", "1MB/s"], ["show"]]) {
    assert.equal((await run("schedule", ...words)).code, 2, words.join(" "));
  }
});

test("a command fetches from the daemon what it reads, and no list that it does not", async (t) => {
  const { client, run } = await daemonOfAnn(t);
  const fetched = (): string[] => {
    const names = [...new Set(reads)].sort();
    reads.length = 0;
    return names;
  };
  const reads: string[] = [];
  for (const name of ["downloads", "downloadHistory", "shares", "limits"] as const) {
    const answer = (client as unknown as Record<string, () => unknown>)[name];
    Object.assign(client, {
      [name]: () => {
        reads.push(name);
        return answer?.();
      },
    });
  }
  Object.assign(client, { pauseDownload: async () => undefined });
  client.downloadList = [download()];
  for (const [words, expected] of [
    [["files", "films"], []],
    [["pause", "films", "dune"], []],
    [["pause"], ["downloads", "shares"]],
    [["shares"], ["shares"]],
    [["downloads"], ["downloads"]],
    [["downloads", "all"], ["downloadHistory"]],
    [["limit"], ["downloads", "limits", "shares"]],
    [["limit", "up", "1MB/s", "films", "dune"], ["limits"]],
  ] as const) {
    const { code, stderr } = await run(...words);
    assert.deepEqual([code, stderr], [0, ""], words.join(" "));
    assert.deepEqual(fetched(), [...expected], words.join(" "));
  }
});

test("with --json every failure is one object, also before the command runs", async (t) => {
  const dataDir = temporaryFolder(t);
  for (const [words, exitCode, errorCode] of [
    [["downloads", "--json"], 3, "DAEMON_UNREACHABLE"],
    [["list_filse", "--json"], 2, "USAGE"],
    [["quit", "--json"], 2, "USAGE"],
    [["files", "--json", "--data-dir"], 2, "USAGE"],
    [["status", "--json"], 3, "DAEMON_UNREACHABLE"],
    [["trackers", "--json", "--nonsense"], 2, "USAGE"],
  ] as const) {
    const { code, stdout, stderr } = await ran(dataDir, ...words);
    assert.deepEqual([code, stderr], [exitCode, ""], words.join(" "));
    const { ok, code: said, error } = JSON.parse(stdout);
    assert.deepEqual([ok, said, typeof error], [false, errorCode, "string"]);
  }
  const { stdout } = await ran(dataDir, "files", "--", "--json");
  assert.equal(stdout, "", "behind -- it is a name");
});

test("options with their path behind = are understood", async (t) => {
  const { dataDir } = await daemonOfAnn(t);
  const elsewhere = temporaryFolder(t);
  assert.equal((await ran(elsewhere, "files", "studio", `--data-dir=${dataDir}`)).code, 0);
  const empty = await ran(elsewhere, "files", "studio", "--data-dir=");
  assert.deepEqual([empty.code, empty.stderr], [2, "error USAGE: --data-dir needs a path behind it.\n"]);
});
