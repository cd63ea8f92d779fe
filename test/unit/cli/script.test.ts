// The pipe mode with a fake client: order, exit codes, and that stdout holds nothing but what it should.
import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { describe, it } from "node:test";
import { until, within } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { EventFeed } from "../../../src/cli/event-feed.ts";
import { runScript, toJsonLine } from "../../../src/cli/script.ts";
import type { ClientEvent } from "../../../src/client/status.ts";
import { watchTimers } from "../net/open-timers.ts";
import { complete, downloading, FakeClient, failed, paused, SHA1 } from "./fake-client.ts";

const SOON_MS = 5_000;

/** Far more turns of the event loop than a command on streams in memory takes. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

interface Setting {
  client?: FakeClient;
  feed?: EventFeed;
  isJson?: boolean;
  isStaying?: boolean;
  waitTimeoutMs?: number;
  showsProgress?: boolean;
  signal?: AbortSignal;
}

function start(input: Readable, setting: Setting = {}) {
  const client = setting.client ?? new FakeClient();
  const out: string[] = [];
  const errors: string[] = [];
  const exit = runScript({
    client,
    feed: setting.feed ?? new EventFeed(),
    input,
    writeOut: (line) => out.push(line),
    writeError: (line) => errors.push(line),
    view: { columns: undefined, isColored: false },
    isJson: setting.isJson ?? false,
    isStaying: setting.isStaying ?? false,
    waitTimeoutMs: setting.waitTimeoutMs,
    showsProgress: setting.showsProgress ?? false,
    signal: setting.signal ?? new AbortController().signal,
  });
  const ended = within(exit, () => `the script to end; it said ${[...out, ...errors].join("\n")}`, SOON_MS);
  return { client, out, errors, exit: ended };
}

async function run(lines: readonly string[], setting: Setting = {}) {
  const { exit, ...rest } = start(Readable.from([lines.join("\n")]), setting);
  return { ...rest, exitCode: await exit };
}

const completed: ClientEvent = {
  type: "download-complete",
  groupId: "films",
  fileName: "a.mkv",
  destinationPath: "/tmp/a.mkv",
  sha1: SHA1,
};
/** A client whose download ends as the event and status say, before the wait for it does. */
function clientThatEnds(
  feed: EventFeed,
  status: ReturnType<typeof complete>,
  event?: ClientEvent,
): FakeClient {
  const client = new FakeClient();
  const wait = client.waitForDownloads.bind(client);
  client.waitForDownloads = async (...args) => {
    client.current = [status];
    if (event !== undefined) feed.push(event);
    return wait(...args);
  };
  return client;
}
const DOWNLOAD = ["login alice secret", "download_file films a.mkv /tmp"];

describe("runScript", () => {
  it("runs commands one after the other, in order, then waits and logs out", async () => {
    const client = new FakeClient();
    client.delays.set("createUser", new Promise((resolve) => setImmediate(resolve)));
    const { exitCode, out, errors } = await run(
      ["# a comment", "create_user alice secret", "", "login alice secret", '  create_group "films"  '],
      { client },
    );
    assert.deepEqual(client.calls, [
      "createUser alice secret",
      "login alice secret",
      "createGroup films",
      "waitForDownloads",
      "logout",
    ]);
    assert.deepEqual(out, [
      "User alice was created; log in with: login alice",
      "Logged in as alice.",
      "Group films was created; you own it.",
    ]);
    assert.deepEqual(errors, []);
    assert.equal(exitCode, 0);
  });

  it("says of a removal which trackers have not confirmed it, and what that means; nothing of it otherwise", async () => {
    const client = new FakeClient();
    assert.deepEqual((await run(["remove_member films bob"], { client })).out, [
      "bob is no longer in films.",
    ]);
    const [confirmed] = (await run(["remove_member films bob"], { client, isJson: true })).out;
    assert.deepEqual(JSON.parse(confirmed ?? "").result, { groupId: "films", userId: "bob" });
    client.unconfirmedTrackers = ["192.0.2.2:9000", "192.0.2.3:9000\u001b"];
    const { out } = await run(["remove_member films bob"], { client });
    assert.deepEqual(out, [
      "bob is no longer in films.",
      "192.0.2.2:9000, 192.0.2.3:9000\\u{1b} have not confirmed the removal: until they hear of it, " +
        "bob can still get data from members whose clients are connected there.",
    ]);
    const [json] = (await run(["remove_member films bob"], { client, isJson: true })).out;
    assert.deepEqual(JSON.parse(json ?? "").result.unconfirmedTrackers, client.unconfirmedTrackers);
  });

  it("does not begin a command before the one before it has answered", async () => {
    const client = new FakeClient();
    const login = Promise.withResolvers<void>();
    client.delays.set("login", login.promise);
    const { exit } = start(Readable.from(["login alice secret\nlist_groups\n"]), { client });
    await until(() => client.calls.length > 0, "the first command", SOON_MS);
    await turns();
    assert.deepEqual(client.calls, ["login alice secret"]);
    login.resolve();
    assert.equal(await exit, 0);
    assert.equal(client.calls[1], "listGroups");
  });

  it("goes on after a command that failed, says it on stderr, and exits 1", async () => {
    const client = new FakeClient();
    client.failures.set("createGroup", new MiniTorrentError("GROUP_EXISTS", "films\u001b is taken."));
    const { exitCode, out, errors } = await run(["create_group films", "list_groups"], { client });
    assert.deepEqual(errors, ["error GROUP_EXISTS: films\\u{1b} is taken."]);
    assert.deepEqual(out, ["There is no group yet; create_group <group_id> makes one."]);
    assert.equal(exitCode, 1);
  });

  it("exits 1 for a command that there is not, and for an open quote", async () => {
    assert.equal((await run(["lst_groups"])).exitCode, 1);
    assert.equal((await run(["create_group 'films"])).exitCode, 1);
  });

  it("asks for no password, and says the remedy", async () => {
    const { client, errors, exitCode } = await run(["login alice"]);
    assert.match(
      errors.join(),
      /^error USAGE: login needs the password in its line here: login <user_id> <passwd>/,
    );
    assert.deepEqual([client.calls, exitCode], [[], 1]);
  });

  it("prints a completion, and exits 0 when what it began is complete", async () => {
    const feed = new EventFeed();
    const client = clientThatEnds(feed, complete(), completed);
    const { exitCode, out } = await run(DOWNLOAD, { client, feed });
    assert.equal(out.at(-1), "[C] [films] a.mkv");
    assert.equal(exitCode, 0);
  });

  it("knows that a file that was there already is complete, without any news of it", async () => {
    const client = new FakeClient();
    client.onDownload = complete;
    const { exitCode } = await run(DOWNLOAD, { client });
    assert.equal(exitCode, 0);
  });

  it("knows a download that was complete before its command had answered", async () => {
    const feed = new EventFeed();
    const client = new FakeClient();
    client.onDownload = (groupId, fileName) => {
      feed.push(completed);
      return downloading({ groupId, fileName });
    };
    const { exitCode } = await run([...DOWNLOAD, "logout"], { client, feed });
    assert.equal(exitCode, 0);
  });

  it("exits 1 when a download failed, and says why on stderr", async () => {
    const feed = new EventFeed();
    const client = clientThatEnds(feed, failed(), {
      type: "download-failed",
      groupId: "films",
      fileName: "a.mkv",
      code: "CORRUPT_FILE",
      reason: "its SHA-1 is wrong",
    });
    const { exitCode, errors } = await run(DOWNLOAD, { client, feed });
    assert.deepEqual(errors, ["error CORRUPT_FILE: [F] [films] a.mkv  its SHA-1 is wrong"]);
    assert.equal(exitCode, 1);
  });

  it("exits 1 when trouble with the disk paused a download", async () => {
    const feed = new EventFeed();
    assert.equal(
      (await run(DOWNLOAD, { client: clientThatEnds(feed, paused("the disk is full")), feed })).exitCode,
      1,
    );
  });

  it("exits 1 when a download of an earlier session failed meanwhile", async () => {
    const feed = new EventFeed();
    feed.push({ type: "download-paused", groupId: "films", fileName: "b.mkv", reason: "the disk is full" });
    assert.equal((await run(["login alice secret"], { feed })).exitCode, 1);
    feed.push(completed);
    assert.equal((await run(["login alice secret"], { feed })).exitCode, 0);
  });

  it("names each download that is not complete at the end, with the cause, once", async () => {
    const feed = new EventFeed();
    const client = clientThatEnds(feed, paused("the disk is full"));
    const told = await run(DOWNLOAD, { client, feed });
    assert.deepEqual(told.errors, ["error: [films] a.mkv is not complete: the disk is full"]);
    assert.equal(told.exitCode, 1);
    const waiting = await run([...DOWNLOAD, "wait"], {
      client: clientThatEnds(feed, paused("the disk is full")),
    });
    assert.deepEqual(waiting.errors, ["error DOWNLOAD_PAUSED: [P] [films] a.mkv: the disk is full"]);
    const inJson = await run(DOWNLOAD, {
      client: clientThatEnds(feed, paused("the disk is full")),
      isJson: true,
    });
    assert.deepEqual(JSON.parse(inJson.out.at(-1) ?? ""), {
      ...{ event: "download-unfinished", groupId: "films", fileName: "a.mkv" },
      ...{ state: "paused", reason: "the disk is full" },
    });
  });

  it("waits no longer than it may, and says what is still running", async () => {
    const client = new FakeClient();
    client.waitForDownloads = async (_which, signal) => {
      if (signal !== undefined && !signal.aborted) await once(signal, "abort");
      return client.current;
    };
    client.onDownload = (groupId, fileName) => {
      client.current = [downloading({ groupId, fileName, waitingFor: "alice is offline" })];
      return downloading({ groupId, fileName });
    };
    const ended = await run(DOWNLOAD, { client, waitTimeoutMs: 1 });
    assert.deepEqual(ended.errors, ["error: [films] a.mkv is not complete: alice is offline"]);
    const waited = await run([...DOWNLOAD, "wait"], { client, waitTimeoutMs: 1 });
    assert.match(waited.errors[0] ?? "", /^error TIMED_OUT: \[D\] \[films\] a\.mkv is not complete yet/);
    assert.equal(waited.exitCode, 1);
  });

  it("runs no line that is not UTF-8, and fails for an input that cannot be read", async () => {
    const latin1 = start(Readable.from([Buffer.from("create_user bj\xf6rn secret\n", "latin1")]));
    assert.equal(await latin1.exit, 1);
    assert.deepEqual(latin1.client.calls, []);
    assert.match(latin1.errors.join(), /^error INVALID_ARGUMENT: Line 1 of the input is not UTF-8/);
    const unreadable = new Readable({ read: () => unreadable.destroy(new Error("EISDIR")) });
    const failing = start(unreadable);
    assert.equal(await failing.exit, 1);
    assert.match(failing.errors.join(), /The input cannot be read: EISDIR/);
  });

  it("skips what follows a failed login until one succeeds, says so once, and does not stay", async () => {
    const client = new FakeClient();
    client.failures.set("login", new MiniTorrentError("BAD_CREDENTIALS", "They do not match."));
    const lines = ["login alice wrong", "list_groups", "upload_file a films", "create_user bob secret"];
    const { exitCode, errors } = await run(lines, { client, isStaying: true });
    assert.deepEqual(client.calls, ["login alice wrong", "createUser bob secret"]);
    assert.deepEqual(errors, [
      "error BAD_CREDENTIALS: They do not match.",
      "error NOT_LOGGED_IN: The commands after a failed login are skipped.",
    ]);
    assert.equal(exitCode, 1);
    const login = client.login.bind(client);
    client.login = async (userId, password) => {
      if (password === "right") client.failures.clear();
      return login(userId, password);
    };
    const again = await run([...lines, "login alice right", "list_groups"], { client });
    assert.deepEqual(client.calls.slice(2), [
      ...["login alice wrong", "createUser bob secret", "login alice right", "listGroups"],
      ...["waitForDownloads", "logout"],
    ]);
    assert.equal(again.exitCode, 1);
  });

  it("does not skip what follows a second login that failed", async () => {
    const client = new FakeClient();
    client.userId = "alice";
    client.failures.set("login", new MiniTorrentError("ALREADY_LOGGED_IN", "Log out first."));
    await run(["login bob secret", "list_groups"], { client });
    assert.deepEqual(client.calls.slice(0, 2), ["login bob secret", "listGroups"]);
  });

  it("takes what comes behind a line separator (U+2028) for a part of the line", async () => {
    const { client } = await run(["upload_file 'a\u2028leave_group films' films"]);
    assert.equal(client.calls.length, 1);
    assert.match(client.calls[0] ?? "", /^uploadFile .*a\u2028leave_group films films$/);
  });

  it("exits 0 when the script itself paused or cancelled the download", async () => {
    for (const command of ["pause", "cancel"]) {
      const feed = new EventFeed();
      const client = clientThatEnds(feed, paused(undefined));
      assert.equal(
        (await run([...DOWNLOAD, `${command} films a.mkv`], { client, feed })).exitCode,
        0,
        command,
      );
    }
  });

  it("exits 1 when a logout left a download behind", async () => {
    const { exitCode, client } = await run([...DOWNLOAD, "logout"]);
    assert.equal(exitCode, 1);
    assert.deepEqual(client.calls.slice(2), ["logout"]);
  });

  it("fails a wait for a download that failed", async () => {
    const client = clientThatEnds(new EventFeed(), failed());
    const { errors } = await run([...DOWNLOAD, "wait films a.mkv"], { client });
    assert.deepEqual(errors, ["error CORRUPT_FILE: [F] [films] a.mkv: its SHA-1 is wrong"]);
  });

  it("names the download that could not begin or continue, in its error and nowhere else", async () => {
    for (const command of [
      "download_file films a.mkv /tmp",
      "resume films a.mkv",
      "select films a.mkv --all",
    ]) {
      const client = new FakeClient();
      for (const method of ["downloadFile", "resumeDownload", "select"])
        client.failures.set(method, new MiniTorrentError("DISK_FULL", "No room."));
      const text = await run(["login alice secret", command], { client });
      assert.deepEqual(text.errors, ["error DISK_FULL: [films] a.mkv: No room."]);
      assert.equal(text.exitCode, 1);
      const inJson = await run(["login alice secret", command], { client, isJson: true });
      assert.partialDeepStrictEqual(JSON.parse(inJson.out.at(-1) ?? ""), {
        ...{ ok: false, code: "DISK_FULL", groupId: "films", fileName: "a.mkv" },
      });
    }
  });

  it("takes quit for the end of the input: it waits for downloads first", async () => {
    const { client } = await run(["login alice secret", "quit", "list_groups"]);
    assert.deepEqual(client.calls, ["login alice secret", "waitForDownloads", "logout"]);
  });

  it("stays after the end of the input until the signal, and logs out then", async () => {
    const ending = new AbortController();
    const { client, exit } = start(Readable.from(["login alice secret\n"]), {
      isStaying: true,
      signal: ending.signal,
    });
    await until(() => client.calls.includes("waitForDownloads"), "the end of the input", SOON_MS);
    await turns();
    assert.deepEqual(client.calls, ["login alice secret", "waitForDownloads"]);
    ending.abort();
    assert.equal(await exit, 0);
    assert.equal(client.calls.at(-1), "logout");
  });

  it("ends in good order at a signal while a command runs, and exits 1", async () => {
    const ending = new AbortController();
    const client = new FakeClient();
    client.delays.set("listGroups", new Promise(() => {}));
    const input = new PassThrough();
    input.write("login alice secret\nlist_groups\nlist_groups\n");
    const { exit } = start(input, { client, signal: ending.signal });
    await until(() => client.calls.includes("listGroups"), "the second command", SOON_MS);
    ending.abort();
    assert.equal(await exit, 1);
    assert.deepEqual(
      client.calls.filter((call) => call !== "waitForDownloads"),
      ["login alice secret", "listGroups", "logout"],
    );
  });

  it("exits 1 at a signal that comes before the input has ended", async () => {
    const ending = new AbortController();
    const { exit } = start(new PassThrough(), { signal: ending.signal });
    ending.abort();
    assert.equal(await exit, 1);
  });

  it("reads lines that end in CRLF, and a last one that does not end", async () => {
    const { client } = await run(["create_group films\r", "create_group builds"]);
    assert.deepEqual(client.calls, ["createGroup films", "createGroup builds"]);
  });
});

describe("runScript with --json", () => {
  it("says nothing but an object a line, for each answer and each event, and never a password", async () => {
    const feed = new EventFeed();
    const client = clientThatEnds(feed, complete(), completed);
    client.failures.set("joinGroup", new MiniTorrentError("UNKNOWN_GROUP", "There is no group x."));
    const lines = [
      "create_user alice geheim",
      "login alice geheim",
      "list_groups",
      "join_group x",
      "login bob 'geheim",
      "login alice geheim geheim",
      "logn alice geheim",
      "whoami",
      "download_file films a.mkv /tmp",
    ];
    const { out, errors, exitCode } = await run(lines, { client, feed, isJson: true });
    const objects = out.map((line): { [key: string]: unknown } => JSON.parse(line));
    assert.deepEqual(objects.slice(0, 4), [
      { command: "create_user", ok: true, result: { userId: "alice" } },
      { command: "login", ok: true, result: { userId: "alice", accountId: "1" } },
      { command: "list_groups", ok: true, result: [] },
      { command: "join_group", ok: false, code: "UNKNOWN_GROUP", error: "There is no group x." },
    ]);
    assert.deepEqual(
      objects.slice(4, 7).map(({ command, ok, code }) => [command, ok, code]),
      [
        ["login", false, "USAGE"],
        ["login", false, "USAGE"],
        ["logn", false, "USAGE"],
      ],
    );
    assert.deepEqual(objects.at(-1), {
      event: "download-complete",
      groupId: "films",
      fileName: "a.mkv",
      destinationPath: "/tmp/a.mkv",
      sha1: SHA1,
    });
    assert.equal(objects.length, lines.length + 1);
    assert.deepEqual(errors, []);
    assert.doesNotMatch(out.join("\n"), /geheim/);
    assert.equal(exitCode, 1);
  });

  it("answers each command that a failed login makes it skip", async () => {
    const client = new FakeClient();
    client.failures.set("login", new MiniTorrentError("BAD_CREDENTIALS", "They do not match."));
    const { out } = await run(["login alice wrong", "list_groups"], { client, isJson: true });
    const [, skipped] = out.map((line) => JSON.parse(line));
    assert.deepEqual([skipped.command, skipped.ok, skipped.code], ["list_groups", false, "NOT_LOGGED_IN"]);
  });

  it("tells how far downloads and hashing are, once a second, if there is something new", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const client = new FakeClient();
    const hashed = Promise.withResolvers<void>();
    client.onUpload = async (report) => {
      report({ hashedBytes: 5, lengthBytes: 10 });
      await hashed.promise;
    };
    const input = new PassThrough();
    const { out, exit } = start(input, { client, isJson: true });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    input.write("upload_file /a films\n");
    await turn();
    t.mock.timers.tick(1_000);
    t.mock.timers.tick(1_000);
    hashed.resolve();
    await turn();
    client.current = [downloading({ groupId: "films", fileName: "a.mkv" })];
    t.mock.timers.tick(1_000);
    t.mock.timers.tick(1_000);
    client.current = [complete()];
    t.mock.timers.tick(1_000);
    input.end();
    await exit;
    const events = out.map((line) => JSON.parse(line)).filter(({ event }) => event !== undefined);
    assert.deepEqual(events, [
      { event: "hash-progress", path: "/a", hashedBytes: 5, lengthBytes: 10 },
      {
        ...{ event: "download-progress", groupId: "films", fileName: "a.mkv", state: "downloading" },
        ...{ bytesVerified: 118_000_000, lengthBytes: 280_000_000, piecesVerified: 118, pieceCount: 280 },
        ...{ rateBytesPerSecond: 96_000_000, peerCount: 3, secondsLeft: 12, waitingFor: null },
      },
    ]);
  });

  it("escapes what reorders or hides text, without changing a value", () => {
    const value = { fileName: "a\u202Eb\u2028\u009Bc\u001b" };
    const line = toJsonLine(value);
    assert.match(line, /^[\x20-\x7e]*$/);
    assert.deepEqual(JSON.parse(line), value);
  });
});

describe("the end of a script", () => {
  it("is said to have come too early where a signal brought it", async () => {
    for (const isJson of [false, true]) {
      const ending = new AbortController();
      const { exit, errors, out } = start(new PassThrough(), { signal: ending.signal, isJson });
      ending.abort();
      assert.equal(await exit, 1);
      if (isJson) assert.deepEqual(out, ['{"event":"interrupted"}']);
      else assert.deepEqual(errors, ["error: a signal ended the script before all of it was done."]);
    }
  });

  it("comes with quit, although it was to stay", async () => {
    const { client, exitCode } = await run(["login alice secret", "quit"], { isStaying: true });
    assert.equal(exitCode, 0);
    assert.equal(client.calls.at(-1), "logout");
  });

  it("counts a download that was resumed and is not complete", async () => {
    const client = new FakeClient();
    client.current = [downloading()];
    const { exitCode, errors } = await run(["login alice secret", "resume films a.mkv"], { client });
    assert.equal(exitCode, 1);
    assert.deepEqual(errors, ["error: [films] a.mkv is not complete: it was still running"]);
  });

  it("does not wait for a client that does not answer longer than it may", async () => {
    const client = new FakeClient();
    client.waitForDownloads = () => new Promise(() => {});
    const { exitCode } = await run(["login alice secret"], { client, waitTimeoutMs: 1 });
    assert.equal(exitCode, 0);
  });

  it("waits for nothing where nobody is logged in, and leaves no timer behind", async (t) => {
    const timers = watchTimers(t);
    const { client } = await run(["list_groups"], { isJson: true, showsProgress: true });
    assert.deepEqual(client.calls, ["listGroups"]);
    assert.equal(timers.open.size, 0);
  });
});

describe("progress on stderr", () => {
  it("is told every five seconds of what is hashed or runs, and of nothing else", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const client = new FakeClient();
    const hashed = Promise.withResolvers<void>();
    client.onUpload = async (report) => {
      report({ hashedBytes: 5, lengthBytes: 10 });
      await hashed.promise;
    };
    const input = new PassThrough();
    const { errors, exit } = start(input, { client, showsProgress: true });
    input.write("upload_file /a films\n");
    await until(() => client.calls.length > 0, "the upload", SOON_MS);
    await turns();
    t.mock.timers.tick(4_999);
    assert.deepEqual(errors, []);
    t.mock.timers.tick(1);
    assert.deepEqual(errors, ["Hashing a  50%  5 B of 10 B"]);
    hashed.resolve();
    await turns();
    client.current = [downloading(), complete()];
    t.mock.timers.tick(5_000);
    assert.equal(errors.length, 2);
    assert.match(errors[1] ?? "", /^\[D\] \[films\] a\.mkv {2}42%/);
    client.current = [];
    input.end();
    assert.equal(await exit, 0);
  });
});
