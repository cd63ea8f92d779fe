// `minitorrent daemon`: what starting one in the background refuses and says, with commands of the test's own as daemons, and where
// one in the foreground logs.
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { until, within } from "../../../harness/within.ts";
import { runDaemon, startInBackground } from "../../../src/cli/daemon-program.ts";
import type { GivenSettings } from "../../../src/cli/daemon-settings.ts";
import { startDaemon, temporaryFolder } from "../daemon/fixture.ts";
import { FakeProcess } from "./fake-process.ts";

const SOON_MS = 10_000;

function scene(t: TestContext) {
  const dataDir = temporaryFolder(t);
  const trackers = join(dataDir, "tracker_info.txt");
  writeFileSync(trackers, "127.0.0.1:1\n");
  const process = new FakeProcess();
  // Not the settings of whoever runs the tests.
  Object.assign(process.env, { XDG_CONFIG_HOME: dataDir });
  const flags: GivenSettings = { trackers, "data-dir": dataDir };
  /** Starts a program as daemon. @param program JavaScript; its arguments begin at process.argv[1] */
  const start = (program: string, more: GivenSettings = {}): Promise<number> =>
    within(
      startInBackground(process, process.console, { ...flags, ...more }, [
        globalThis.process.execPath,
        "-e",
        program,
        "--",
      ]),
      "the start to end",
      SOON_MS,
    );
  return { dataDir, trackers, process, flags, start };
}

/** Answers one call for its status at the socket in that folder, and ends. `version` has the arguments. */
const answering = (dataDir: string, account?: object): string => `
  const server = require("node:http").createServer((_, response) => {
    const version = JSON.stringify(process.argv.slice(1));
    const daemon = { pid: process.pid, version, dataDir: "/", startedAtMs: 1 };
    const status = { account: ${JSON.stringify(account)}, listeningOn: "", trackersKnown: true, groupIds: [], sharedFiles: 0, runningDownloads: 0, daemon };
    response.end(JSON.stringify(status));
    server.close();
  });
  console.error(JSON.stringify(process.argv.slice(1)));
  server.listen(${JSON.stringify(join(dataDir, "daemon.sock"))});`;

test("a daemon that runs already is told with its process id, and no other is started", async (t) => {
  const { dataDir, start } = scene(t);
  await startDaemon(t, dataDir);
  const mark = join(dataDir, "started");
  await assert.rejects(start(`require("node:fs").writeFileSync(${JSON.stringify(mark)}, "")`), {
    code: "DATA_DIR_IN_USE",
    message: `The daemon of ${dataDir} runs already, with process id ${process.pid}; minitorrent stop ends it.`,
  });
  assert.deepEqual([existsSync(mark), existsSync(join(dataDir, "daemon.log"))], [false, false]);
});

test("a daemon that ends as it starts is told of with its log's path, where it has said why", async (t) => {
  const { dataDir, start, process } = scene(t);
  const log = join(dataDir, "daemon.log");
  await assert.rejects(start(`console.error("It has no port."); process.exit(1)`), {
    code: "DAEMON_UNREACHABLE",
    message: `The daemon ended as it started; ${log} says why.`,
  });
  assert.equal(readFileSync(log, "utf8"), "It has no port.\n");
  assert.equal(statSync(log).mode & 0o777, 0o600);
  assert.equal(process.stdout.text, "");
});

test("a program that cannot be started is told of, and ends nothing else", async (t) => {
  const { flags, process } = scene(t);
  const started = startInBackground(process, process.console, flags, ["/nowhere/node"]);
  await assert.rejects(within(started, "the start to end", SOON_MS), {
    code: "INTERNAL",
    message: /^The daemon cannot be started: .*ENOENT/,
  });
});

test("wrong settings are told by the command itself, and no daemon is started", async (t) => {
  const { dataDir, start } = scene(t);
  await assert.rejects(start("", { trackers: join(dataDir, "none.txt") }), { code: "INVALID_TRACKER_INFO" });
  await assert.rejects(start("", { listen: "here" }), { code: "INVALID_ADDRESS", message: /^--listen: / });
  assert.equal(existsSync(join(dataDir, "daemon.log")), false);
});

test("once the daemon answers, its process id, its log and how to log in are said", async (t) => {
  const { dataDir, trackers, start, process } = scene(t);
  assert.equal(await start(answering(dataDir), { "limit-up": "5MB/s" }), 0);
  const log = join(dataDir, "daemon.log");
  const said = /^The daemon runs in the background, with process id \d+; it logs to (.*)\. (.*)\n$/.exec(
    process.stdout.text,
  );
  assert.deepEqual(said?.slice(1), [log, "Log in with: minitorrent login <user_id>"]);
  assert.deepEqual(
    JSON.parse(readFileSync(log, "utf8")),
    [`--trackers=${trackers}`, `--data-dir=${dataDir}`, "--limit-up=5MB/s", `--log-file=${log}`],
    "the daemon gets the flags, and bounds its log itself",
  );
});

test("a daemon that continues its session is told with the user, and logs to the file that is given", async (t) => {
  const { dataDir, start, process } = scene(t);
  const log = join(dataDir, "logs", "mine.log");
  const account = { userId: "ann", accountId: "a1" };
  assert.equal(await start(answering(dataDir, account), { "log-file": log }), 0);
  assert.ok(process.stdout.text.endsWith(`; it logs to ${log}. Logged in as ann.\n`), process.stdout.text);
  assert.equal((JSON.parse(readFileSync(log, "utf8")) as string[]).at(-1), `--log-file=${log}`);
  assert.equal(existsSync(join(dataDir, "daemon.log")), false);
});

test("a daemon in the foreground logs to the file that is given, and ends in good order by a signal", async (t) => {
  const { dataDir, process, flags } = scene(t);
  const log = join(dataDir, "logs", "mine.log");
  const given = { ...flags, listen: "127.0.0.1:0", "log-level": "debug", "log-file": log };
  const ended = runDaemon(process, process.console, given);
  t.after(async () => {
    process.emit("SIGTERM");
    await ended;
  });
  await until(() => process.stdout.text !== "", "its start", SOON_MS);
  assert.match(
    process.stdout.text,
    /^The daemon answers at .*\/daemon\.sock; trackers: 127\.0\.0\.1:1\. Log in /,
  );
  await until(() => existsSync(log) && statSync(log).size > 0, `${log} to tell of the tracker`, SOON_MS);
  process.emit("SIGTERM");
  assert.equal(await within(ended, "its end", SOON_MS), 0);
  assert.equal(existsSync(join(dataDir, "daemon.sock")), false);
  assert.match(readFileSync(log, "utf8"), /^\{.*"msg":"tracker not reached"\}$/m);
});
