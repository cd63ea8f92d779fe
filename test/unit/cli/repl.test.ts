// The terminal mode with a fake client, on a virtual terminal, typed to as a person types.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { PassThrough } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { within } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { EventFeed } from "../../../src/cli/event-feed.ts";
import { Repl } from "../../../src/cli/repl.ts";
import { downloading, FakeClient } from "./fake-client.ts";
import { VirtualTerminal } from "./virtual-terminal.ts";

const SOON_MS = 5_000;
const ENTER = "\r";
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const UP = "\u001b[A";
const TAB = "\t";

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
});

function open(client = new FakeClient()) {
  const terminal = new VirtualTerminal(100, 30);
  const feed = new EventFeed();
  const input = new PassThrough();
  const stop = new AbortController();
  let forced = 0;
  const repl = new Repl({
    client,
    feed,
    input,
    terminal,
    isColored: false,
    signal: stop.signal,
    onForce: () => forced++,
  });
  const done = repl.run();
  ending.push(async () => {
    stop.abort();
    await done;
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const type = async (...keys: string[]): Promise<void> => {
    for (const key of keys) {
      input.write(key);
      await settle();
    }
  };
  /** The screen without the greeting. */
  const shown = (): string[] => terminal.text.slice(1);
  const ended = within(done, () => `the session to end:\n${terminal.text.join("\n")}`, SOON_MS);
  return { client, terminal, feed, type, shown, done: ended, settle, stop, forced: () => forced };
}

const PROMPT = "(not logged in)@127.0.0.1:9001>";

describe("Repl", () => {
  it("answers above a new prompt, which shows user, tracker and groups", async () => {
    const { client, type, shown } = open();
    client.groups = [{ groupId: "films", ownerId: "alice", memberCount: 1, standing: "owner" }];
    await type("login alice x", ENTER, "list_groups", ENTER);
    assert.deepEqual(shown(), [
      `${PROMPT} login alice x`,
      "Logged in as alice.",
      "alice@127.0.0.1:9001 [films]> list_groups",
      "GROUP  OWNER  MEMBERS  YOU",
      "films  alice        1  owner",
      "alice@127.0.0.1:9001 [films]>",
    ]);
  });

  it("says an error in one line", async () => {
    const { client, type, shown } = open();
    client.failures.set("createGroup", new MiniTorrentError("NOT_LOGGED_IN", "Log in first."));
    await type("create_group films", ENTER);
    assert.deepEqual(shown(), [`${PROMPT} create_group films`, "error NOT_LOGGED_IN: Log in first.", PROMPT]);
  });

  it("wraps what it says at words", async () => {
    const { client, feed, type, shown } = open();
    const sentence = "A sentence of words, some long. ".repeat(6).trim();
    client.failures.set("createGroup", new MiniTorrentError("NOT_LOGGED_IN", sentence));
    await type("create_group films", ENTER);
    feed.push({ type: "session-ended", reason: sentence });
    await type("x");
    const lines = shown().slice(1, -1);
    assert.equal(lines.join(" "), `error NOT_LOGGED_IN: ${sentence} You are logged out: ${sentence}`);
    assert.ok(lines.length >= 4 && lines.every((line) => line.length <= 100), lines.join("\n"));
  });

  it("says what happens above the line being typed, which stays", async () => {
    const { feed, type, shown } = open();
    await type("create_gr");
    feed.push({ type: "request-accepted", groupId: "films" });
    await type("oup");
    assert.deepEqual(shown(), ["You are a member of films now.", `${PROMPT} create_group`]);
  });

  it("shows downloads live below the line being typed", async (context) => {
    context.mock.timers.enable({ apis: ["setInterval"] });
    const { client, type, shown } = open();
    await type("create_gr");
    client.current = [downloading()];
    context.mock.timers.tick(200);
    assert.deepEqual(shown(), [
      `${PROMPT} create_gr`,
      "[D] [films] a.mkv  42%  118/280 pieces  96 MB/s  3 peers  0:12 left",
    ]);
    client.current = [];
    context.mock.timers.tick(200);
    assert.deepEqual(shown(), [`${PROMPT} create_gr`]);
  });

  it("asks for a password without showing it", async () => {
    const { client, type, shown } = open();
    await type("login alice", ENTER, "geheim", ENTER);
    assert.deepEqual(client.calls, ["login alice geheim"]);
    assert.deepEqual(shown(), [
      `${PROMPT} login alice`,
      "Password:",
      "Logged in as alice.",
      "alice@127.0.0.1:9001>",
    ]);
  });

  it("asks for a new password twice, and does nothing when the two differ", async () => {
    const { client, type, shown } = open();
    await type("create_user alice", ENTER, "correct-horse", ENTER, "correct horse", ENTER);
    assert.deepEqual(client.calls, []);
    assert.equal(shown().at(-2), "error INVALID_ARGUMENT: The two passwords differ; nothing was done.");
    await type("create_user alice", ENTER, "eight-ch", ENTER, "eight-ch", ENTER);
    assert.deepEqual(client.calls, ["createUser alice eight-ch"]);
  });

  it("takes no new password of seven characters, and warns of one that is given in the line", async () => {
    const { client, type, shown } = open();
    await type("create_user alice", ENTER, "pässwör", ENTER);
    assert.deepEqual(client.calls, []);
    assert.match(shown().join(" "), /INVALID_ARGUMENT: The password has 7 characters.*at least 8/);
    await type("create_user alice geheim", ENTER);
    assert.deepEqual(client.calls, ["createUser alice geheim"]);
    assert.match(shown().join(" "), /The password has 6 characters.*User alice was created/);
    await type("login alice", ENTER, "geheim", ENTER);
    assert.equal(client.calls.at(-1), "login alice geheim", "an account that exists cannot log in");
  });

  it("holds a notice back until both questions for a password are answered", async () => {
    const { feed, type, shown } = open();
    await type("create_user alice", ENTER, "correct-horse", ENTER);
    feed.push({ type: "request-accepted", groupId: "films" });
    await type("correct-horse");
    assert.deepEqual(shown(), [`${PROMPT} create_user alice`, "Password:", "Once more:"]);
    await type(ENTER);
    assert.deepEqual(shown().slice(2, 4), ["Once more:", "You are a member of films now."]);
  });

  it("keeps lines in its history, passwords never", async () => {
    const { type, terminal } = open();
    await type("login alice geheim", ENTER, "login bob", ENTER, "geheim", ENTER, "list_groups", ENTER);
    const recalled: string[] = [];
    for (let press = 0; press < 4; press++) {
      await type(UP);
      recalled.push(terminal.cursorLine.replace(/^.*?> /, ""));
    }
    assert.deepEqual(recalled, ["list_groups|", "login bob|", "login alice|", "|"]);
  });

  it("runs what was typed while a command ran, in order, and shows it without its password", async () => {
    const { client, type, shown } = open();
    const groups = Promise.withResolvers<void>();
    client.delays.set("listGroups", groups.promise);
    await type("list_groups", ENTER, "login alice geheim", ENTER, "create_group films", ENTER);
    assert.deepEqual(client.calls, ["listGroups"]);
    groups.resolve();
    await type("");
    assert.deepEqual(client.calls, ["listGroups", "login alice geheim", "createGroup films"]);
    assert.deepEqual(shown().slice(-5), [
      `${PROMPT} login alice`,
      "Logged in as alice.",
      "alice@127.0.0.1:9001> create_group films",
      "Group films was created; you own it.",
      "alice@127.0.0.1:9001>",
    ]);
  });

  it("completes with Tab", async () => {
    const { type, terminal } = open();
    await type("show", TAB);
    assert.equal(terminal.cursorLine, `${PROMPT} show_downloads |`);
  });

  it("gives a running command up at Ctrl-C, and drops what was queued", async () => {
    const { client, type, shown } = open();
    let signal: AbortSignal | undefined;
    client.onUpload = (_report, given) => {
      signal = given;
      return new Promise(() => {});
    };
    await type("upload_file x films", ENTER, "list_groups", ENTER, CTRL_C);
    assert.equal(signal?.aborted, true);
    assert.deepEqual(shown().slice(-2), ["upload_file: given up.", PROMPT]);
    assert.equal(client.calls.includes("listGroups"), false);
  });

  it("gives a question for a password up at Ctrl-C", async () => {
    const { client, type, shown } = open();
    await type("login alice", ENTER, "gehe", CTRL_C, "whoami");
    assert.deepEqual(client.calls, []);
    assert.deepEqual(shown(), [`${PROMPT} login alice`, "Password:", "login: given up.", `${PROMPT} whoami`]);
  });

  it("hints at the first Ctrl-C, quits at the second, and logs out", async () => {
    const { client, type, shown, done } = open();
    client.userId = "alice";
    await type("half a comm", CTRL_C);
    assert.equal(shown().at(-2), "Ctrl-C once more, or Ctrl-D, logs out and quits.");
    await type("a", CTRL_C);
    assert.deepEqual(client.calls, [], "another key was pressed between the two");
    await type(CTRL_C);
    await done;
    assert.deepEqual(client.calls, ["logout"]);
  });

  it("quits at Ctrl-D and at quit, and says which downloads will go on", async () => {
    for (const keys of [[CTRL_D], ["quit", ENTER]]) {
      const { client, type, shown, done } = open();
      client.userId = "alice";
      client.current = [downloading()];
      await type(...keys);
      await done;
      assert.deepEqual(client.calls, ["logout"]);
      assert.equal(shown().at(-1), "Logged out. 1 download will go on after the next login.");
    }
  });

  it("quits although the logout fails, and says so", async () => {
    const { client, type, shown, done } = open();
    client.userId = "alice";
    client.failures.set(
      "logout",
      new MiniTorrentError("TRACKERS_UNREACHABLE", "None of the trackers answers."),
    );
    await type(CTRL_D);
    await done;
    assert.equal(shown().at(-1), "error TRACKERS_UNREACHABLE: None of the trackers answers.");
  });

  it("ends at once at a Ctrl-C while it logs out, and not before", async () => {
    const { client, type, done, forced } = open();
    const logout = Promise.withResolvers<void>();
    client.userId = "alice";
    client.delays.set("logout", logout.promise);
    await type(CTRL_C, CTRL_C);
    assert.deepEqual([client.calls, forced()], [["logout"], 0]);
    await type(CTRL_C);
    assert.equal(forced(), 1);
    await type("list_groups", ENTER);
    logout.resolve();
    await done;
    assert.deepEqual(client.calls, ["logout"], "nothing is run any more");
  });

  it("gives up a running command, and what waits behind it, when it is told to end", async () => {
    const { client, type, done, stop, shown } = open();
    let signal: AbortSignal | undefined;
    client.userId = "alice";
    client.onUpload = (_report, given) => {
      signal = given;
      return new Promise(() => {});
    };
    await type("upload_file x films", ENTER, "list_groups", ENTER);
    stop.abort();
    await done;
    assert.equal(signal?.aborted, true);
    assert.equal(client.calls.at(-1), "logout");
    assert.equal(client.calls.includes("listGroups"), false);
    assert.equal(shown().at(-1), "Logged out.");
    assert.equal(shown().join().includes("given up"), false);
  });

  it("logs nobody out where nobody is logged in", async () => {
    const { client, type, done, shown } = open();
    await type(CTRL_D);
    await done;
    assert.deepEqual(client.calls, []);
    assert.equal(shown().join().includes("Logged out"), false);
  });

  it("ends at once where it was told to before it began", async () => {
    const stop = new AbortController();
    stop.abort();
    const input = new PassThrough();
    const repl = new Repl({
      ...{ client: new FakeClient(), feed: new EventFeed(), input, terminal: new VirtualTerminal(100, 30) },
      ...{ isColored: false, signal: stop.signal, onForce: () => undefined },
    });
    await within(repl.run(), "the end of a session that was over before it began", SOON_MS);
    assert.equal(input.listenerCount("keypress"), 0);
  });

  it("leaves nothing behind on what lives longer than it", async () => {
    const { type, done, stop } = open();
    const timers = process.listenerCount("SIGCONT");
    assert.equal(getEventListeners(stop.signal, "abort").length, 1);
    await type(CTRL_D);
    await done;
    assert.equal(getEventListeners(stop.signal, "abort").length, 0);
    assert.equal(process.listenerCount("SIGCONT"), timers - 1);
  });

  it("offers nothing for a password with Tab, and keeps what was typed ahead out of it", async () => {
    const groups = Promise.withResolvers<void>();
    const { client, type } = open();
    client.delays.set("listGroups", groups.promise);
    await type("login alice", ENTER, "show", TAB, "x", ENTER);
    assert.deepEqual(client.calls, ["login alice showx"]);
    const ahead = open();
    ahead.client.delays.set("listGroups", groups.promise);
    await ahead.type("list_groups", ENTER, "login alice", ENTER, "half");
    groups.resolve();
    await ahead.type("", "secret", ENTER);
    assert.deepEqual(ahead.client.calls, ["listGroups", "login alice secret"]);
  });

  it("says a notice at once again after a question was given up", async () => {
    const { feed, type, shown } = open();
    await type("login alice", ENTER);
    feed.push({ type: "request-accepted", groupId: "films" });
    assert.equal(shown().join().includes("films"), false);
    await type(CTRL_C);
    assert.ok(shown().includes("You are a member of films now."));
    feed.push({ type: "request-accepted", groupId: "builds" });
    assert.ok(shown().includes("You are a member of builds now."));
  });
});
