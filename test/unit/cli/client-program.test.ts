// The program ./client in a process of the test's own, with a fake client: what it is started with, says and ends with.
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { until, within } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { runClient } from "../../../src/cli/client-program.ts";
import type { ClientOptions } from "../../../src/client/client.ts";
import { FakeClient } from "./fake-client.ts";
import { FakeProcess } from "./fake-process.ts";

const SOON_MS = 5_000;
const CTRL_C = "\u0003";

class ClosableClient extends FakeClient {
  isClosed = false;

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

function scene(t: TestContext, trackers = "127.0.0.1:9001\n") {
  const folder = mkdtempSync(join(tmpdir(), "client-program-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const trackerInfo = join(folder, "tracker_info.txt");
  writeFileSync(trackerInfo, trackers);
  return { folder, trackerInfo, dataDir: join(folder, "data") };
}

function start(process: FakeProcess, args: readonly string[], client = new ClosableClient()) {
  const opened: ClientOptions[] = [];
  const openClient = async (options: ClientOptions): Promise<ClosableClient> => {
    opened.push(options);
    return client;
  };
  const running = runClient({ process, console: process.console, openClient }, args);
  const exitCode = (): Promise<number> =>
    within(
      running,
      () => `the client to end; it wrote ${process.stdout.text}${process.stderr.text}`,
      SOON_MS,
    );
  return { opened, client, exitCode };
}

test("arguments that are not understood are answered with what is wrong and the usage, and exit code 2", async () => {
  const process = new FakeProcess();
  const { opened, exitCode } = start(process, ["127.0.0.1:0"]);
  assert.equal(await exitCode(), 2);
  assert.match(process.stderr.text, /^client: Two arguments are expected.*\n\nUsage: \.\/client /);
  assert.deepEqual([process.stdout.text, opened], ["", []]);
});

test("help and version are said on stdout, and nothing is opened", async () => {
  for (const [option, words] of [
    ["--help", /^Usage: \.\/client /],
    ["--version", /^miniTorrent \d+\.\d+/],
  ] as const) {
    const process = new FakeProcess();
    const { opened, exitCode } = start(process, [option]);
    assert.equal(await exitCode(), 0);
    assert.match(process.stdout.text, words);
    assert.deepEqual([process.stderr.text, opened], ["", []]);
  }
});

test("a client that cannot start says why in one line, with the code, and exits 1", async (t) => {
  const { folder, trackerInfo, dataDir } = scene(t);
  const missing = new FakeProcess();
  assert.equal(await start(missing, ["127.0.0.1:0", join(folder, "none.txt")]).exitCode(), 1);
  assert.match(missing.stderr.text, /^error INVALID_TRACKER_INFO: .*none\.txt.*\n$/);

  const process = new FakeProcess();
  const openClient = async (): Promise<ClosableClient> => {
    throw new MiniTorrentError("ADDRESS_IN_USE", "Another program\u001b listens there.");
  };
  const program = { process, console: process.console, openClient };
  assert.equal(await runClient(program, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]), 1);
  assert.equal(process.stderr.text, "error ADDRESS_IN_USE: Another program\\u{1b} listens there.\n");
});

test("a script's lines are run, answered on stdout, and the client is closed at their end", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  const { opened, client, exitCode } = start(process, [
    ...["127.0.0.1:5000", trackerInfo, "--data-dir", dataDir],
    ...["--limit-up", "5MB/s", "--memory", "64MiB"],
  ]);
  process.stdin.end("create_user alice correct-horse\nlogin alice correct-horse\n");
  assert.equal(await exitCode(), 0);
  assert.deepEqual(process.stdout.lines, [
    "User alice was created; log in with: login alice",
    "Logged in as alice.",
  ]);
  assert.equal(process.stderr.text, "");
  assert.equal(client.calls.at(-1), "logout");
  assert.equal(client.isClosed, true);
  assert.equal(process.stdin.destroyed, true);
  const [options] = opened;
  assert.partialDeepStrictEqual(options, {
    listen: { host: "127.0.0.1", port: 5000 },
    trackers: [{ host: "127.0.0.1", port: 9001 }],
    dataDir,
    limits: { up: 5_000_000, down: undefined },
    memoryBytes: 64 * 1024 * 1024,
  });
  assert.equal(options !== undefined && "firstTracker" in options, false);
  assert.equal(options?.log.isLevelEnabled("fatal"), false, "nothing is logged where no level is asked for");
});

test("without --memory the client chooses for itself", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  const { opened, exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]);
  process.stdin.end();
  await exitCode();
  const [options] = opened;
  assert.equal(options !== undefined && "memoryBytes" in options, false);
});

test("a script that fails exits 1", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  const { exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]);
  process.stdin.end("no_such_command\n");
  assert.equal(await exitCode(), 1);
  assert.match(process.stderr.text, /^error USAGE: /);
});

test("the password file is the password where a command is given none", async (t) => {
  const { folder, trackerInfo, dataDir } = scene(t);
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "from the file\n", { mode: 0o600 });
  const process = new FakeProcess();
  const { client, exitCode } = start(process, [
    ...["127.0.0.1:0", trackerInfo, "--data-dir", dataDir],
    ...["--password-file", passwordFile],
  ]);
  process.stdin.end("login alice\n");
  assert.equal(await exitCode(), 0);
  assert.equal(client.calls[0], "login alice from the file");
});

test("events that come before anybody listens are said", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  const client = new ClosableClient();
  const openClient = async ({ onEvent }: ClientOptions): Promise<ClosableClient> => {
    onEvent({ type: "request-accepted", groupId: "films" });
    return client;
  };
  const program = { process, console: process.console, openClient };
  const running = runClient(program, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]);
  process.stdin.end();
  assert.equal(await within(running, "the client to end", SOON_MS), 0);
  assert.equal(process.stderr.text, "notice: You are a member of films now.\n");
});

test("with --json the lines of one turn are one write, and all of them are whole", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  const client = new ClosableClient();
  const openClient = async ({ onEvent }: ClientOptions): Promise<ClosableClient> => {
    for (const groupId of ["a", "b", "c"]) onEvent({ type: "request-accepted", groupId });
    return client;
  };
  const program = { process, console: process.console, openClient };
  const running = runClient(program, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir, "--json"]);
  process.stdin.end("list_groups\n");
  assert.equal(await within(running, "the client to end", SOON_MS), 0);
  await until(() => process.stdout.lines.length >= 4, "four lines on stdout", SOON_MS);
  const said = process.stdout.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    said.slice(0, 3),
    ["a", "b", "c"].map((groupId) => ({ event: "request-accepted", groupId })),
  );
  assert.deepEqual(said[3], { command: "list_groups", ok: true, result: [] });
  assert.equal(process.stdout.writes.length, 1);
});

test("an address of a tracker is where a client is told to look first, and it listens at a free port there", async (t) => {
  const [own] = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  assert.ok(own);
  for (const [typed, host] of [
    ["127.0.0.1:9002", "127.0.0.1"],
    ["192.0.2.7:9002", "0.0.0.0"],
    ["[2001:db8::7]:9002", "::"],
    [`${own.family === "IPv6" ? `[${own.address}]` : own.address}:9002`, own.address],
  ] as const) {
    const { trackerInfo, dataDir } = scene(t, `127.0.0.1:9001\n${typed}\n`);
    const process = new FakeProcess();
    const { opened, exitCode } = start(process, [typed, trackerInfo, "--data-dir", dataDir]);
    process.stdin.end();
    await exitCode();
    assert.partialDeepStrictEqual(opened[0], { firstTracker: 1, listen: { host, port: 0 } });
    assert.match(
      process.stderr.text,
      /is a tracker: it is used first, and peers reach this client at 127\.0\.0\.1:5000\.\n/,
    );
  }
});

test("a client that nobody elsewhere can reach is warned of a tracker that is elsewhere, and no other one is", async (t) => {
  const warned = async (listen: string, trackers: string): Promise<boolean> => {
    const { trackerInfo, dataDir } = scene(t, trackers);
    const process = new FakeProcess();
    const { exitCode } = start(process, [listen, trackerInfo, "--data-dir", dataDir]);
    process.stdin.end();
    await exitCode();
    return /^warning: this client listens on 127\.0\.0\.1, .*192\.0\.2\.7:9001 is elsewhere/.test(
      process.stderr.text,
    );
  };
  assert.equal(await warned("127.0.0.1:0", "127.0.0.1:9001\n192.0.2.7:9001\n"), true);
  assert.equal(await warned("127.0.0.1:0", "127.0.0.1:9001\n"), false);
  assert.equal(await warned("0.0.0.0:0", "192.0.2.7:9001\n"), false);
});

test("the first signal ends a client in good order, the second at once", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  const client = new ClosableClient();
  const logout = Promise.withResolvers<void>();
  client.userId = "alice";
  client.delays.set("logout", logout.promise);
  const { exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir, "--stay"], client);
  await until(
    () => process.listenerCount("SIGINT") > 0 && process.stdin.listenerCount("readable") > 0,
    "a script that reads",
    SOON_MS,
  );
  process.emit("SIGINT");
  await until(() => client.calls.includes("logout"), "the logout", SOON_MS);
  assert.deepEqual(process.exits, []);
  process.emit("SIGINT");
  assert.deepEqual(process.exits, [130]);
  logout.resolve();
  assert.equal(await exitCode(), 1);
});

test("a script whose reader is gone ends, logs out and exits 1", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  process.stdout.isBroken = true;
  const { client, exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir, "--stay"]);
  process.stdin.end("login alice correct-horse\n");
  assert.equal(await exitCode(), 1);
  assert.equal(client.calls.at(-1), "logout");
  assert.equal(client.isClosed, true);
});

test("a log that nobody reads any more ends nothing", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess();
  process.stderr.isBroken = true;
  const { exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]);
  process.stdin.end("no_such_command\nlist_groups\n");
  assert.equal(await exitCode(), 1);
  assert.match(process.stdout.text, /^There is no group yet/);
});

test("a folder is no script", async (t) => {
  const { folder, trackerInfo, dataDir } = scene(t);
  const fd = openSync(folder, "r");
  t.after(() => closeSync(fd));
  const process = new FakeProcess({ fd });
  const { opened, exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]);
  assert.equal(await exitCode(), 1);
  assert.match(process.stderr.text, /^error INVALID_ARGUMENT: The input cannot be read: it is a folder/);
  assert.deepEqual(opened, []);
});

test("at a terminal there is a prompt, and what is logged goes to a file", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess({ isTTY: true });
  const args = ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir, "--log-level", "info"];
  const { opened, client, exitCode } = start(process, args);
  await until(() => process.stdout.text.includes("(not logged in)@"), "a prompt", SOON_MS);
  opened[0]?.log.info("a line");
  await until(
    () => {
      try {
        return readFileSync(join(dataDir, "client.log"), "utf8").includes('"msg":"a line"');
      } catch {
        return false;
      }
    },
    "the line in client.log",
    SOON_MS,
  );
  process.stdin.write(CTRL_C);
  await until(() => process.stdout.text.includes("Ctrl-C once more"), "the hint after Ctrl-C", SOON_MS);
  process.stdin.write(CTRL_C);
  assert.equal(await exitCode(), 0);
  assert.equal(client.isClosed, true);
});

test("a second Ctrl-C at the prompt, while the client logs out, ends it at once", async (t) => {
  const { trackerInfo, dataDir } = scene(t);
  const process = new FakeProcess({ isTTY: true });
  const client = new ClosableClient();
  const logout = Promise.withResolvers<void>();
  client.userId = "alice";
  client.delays.set("logout", logout.promise);
  const { exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir], client);
  await until(() => process.stdout.text.includes("alice@"), "a prompt", SOON_MS);
  process.emit("SIGTERM");
  await until(() => client.calls.includes("logout"), "the logout", SOON_MS);
  process.stdin.write(CTRL_C);
  await until(() => process.exits.length > 0, "the end at once", SOON_MS);
  assert.deepEqual(process.exits, [130]);
  logout.resolve();
  assert.equal(await exitCode(), 0);
});

test("a terminal that is lost ends the client in good order, whichever of its streams tells so", async (t) => {
  for (const stream of ["stdin", "stdout"] as const) {
    const { trackerInfo, dataDir } = scene(t);
    const process = new FakeProcess({ isTTY: true });
    const { client, exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir]);
    await until(() => process.stdout.text.includes("(not logged in)@"), "a prompt", SOON_MS);
    process[stream].emit("error", new Error("EIO"));
    assert.equal(await exitCode(), 0);
    assert.equal(client.isClosed, true);
  }
});

test("with --json there is no prompt at a terminal either, nor where the terminal cannot be painted", async (t) => {
  for (const { args, TERM } of [
    { args: ["--json"], TERM: "xterm" },
    { args: [], TERM: "dumb" },
  ]) {
    const { trackerInfo, dataDir } = scene(t);
    const process = new FakeProcess({ isTTY: true });
    process.env.TERM = TERM;
    const { exitCode } = start(process, ["127.0.0.1:0", trackerInfo, "--data-dir", dataDir, ...args]);
    process.stdin.end("list_groups\n");
    assert.equal(await exitCode(), 0);
    assert.equal(/not logged in/.test(process.stdout.text) || process.stdout.text.includes("\u001b"), false);
  }
});
