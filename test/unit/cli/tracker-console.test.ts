// A tracker's console: status as a table, help, quit, and that the end of input ends nothing.
import assert from "node:assert/strict";
import { EventEmitter, getEventListeners } from "node:events";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import {
  renderTrackerStatus,
  runTrackerConsole,
  TRACKER_COMMANDS,
} from "../../../src/cli/tracker-console.ts";
import type { AccountUsage, GroupUsage } from "../../../src/tracker/operator.ts";
import type { TrackerStatus } from "../../../src/tracker/tracker.ts";

const STARTED_AT = Date.UTC(2026, 0, 31, 18, 5);
const status: TrackerStatus = {
  address: "127.0.0.1:9001",
  fingerprint: "ab".repeat(32),
  startedAtMs: STARTED_AT,
  trackerId: "t1",
  clientsOnline: 3,
  users: 4,
  groups: 1,
  files: 12,
  digest: "0123456789abcdef".repeat(4),
  isServing: true,
  cannotWrite: undefined,
  links: [
    {
      ...{ address: "127.0.0.1:9002", state: "connected", lagRecords: 1, lagSeconds: 0 },
      ...{ sinceMs: STARTED_AT, trouble: undefined },
    },
    {
      address: "127.0.0.1:9003",
      state: "disconnected",
      lagRecords: undefined,
      lagSeconds: 3723,
      sinceMs: STARTED_AT,
      trouble:
        "Nothing listens at 127.0.0.1:9003: start that tracker, or correct its line in tracker_info.txt.",
    },
  ],
};

const account = (userId: string): AccountUsage => ({
  ...{ userId, accountId: `id of ${userId}`, createdAtMs: STARTED_AT, groups: 1, files: 12, rows: 30 },
  bytes: 12_345,
});

/** Accounts u000 to u099 and one group. */
function anOperator() {
  const removed: string[] = [];
  const names = Array.from({ length: 100 }, (_, index) => `u${String(index).padStart(3, "0")}`);
  return {
    removed,
    accounts: (prefix: string, after = "", limit = 10) => {
      const found = names.filter((name) => name.startsWith(prefix) && name > after);
      const items = found.slice(0, limit).map(account);
      return { items, next: found.length > limit ? items.at(-1)?.userId : undefined };
    },
    groups: async (prefix: string): Promise<{ items: GroupUsage[]; next: string | undefined }> => ({
      items: "films".startsWith(prefix)
        ? [{ groupId: "films", claimId: "c", ownerId: "alice", members: 2 }]
        : [],
      next: undefined,
    }),
    account: (userId: string) => {
      if (names.includes(userId)) return account(userId);
      throw new MiniTorrentError("UNKNOWN_USER", "There is no such user.");
    },
    group: (groupId: string): GroupUsage => ({ groupId, claimId: "c", ownerId: "alice", members: 2 }),
    removeAccount: async (userId: string) => {
      removed.push(userId);
      return ["127.0.0.1:9003"];
    },
    removeGroup: async (groupId: string) => {
      removed.push(groupId);
      return [];
    },
  };
}

function open() {
  const operator = anOperator();
  const lines = Object.assign(new EventEmitter(), { close: () => {} });
  const written: string[] = [];
  const ending = new AbortController();
  let acceptedClocks = 0;
  const done = runTrackerConsole({
    tracker: {
      status: () => status,
      operator,
      backUp: async (folder) => {
        if (folder === "/taken") throw new MiniTorrentError("DESTINATION_UNUSABLE", "It exists already.");
      },
      acceptClock: () => {
        acceptedClocks++;
      },
    },
    lines,
    write: (line) => written.push(line),
    now: () => STARTED_AT + 3_723_000,
    signal: ending.signal,
  });
  /** As many turns of the event loop as a few commands take. */
  const turn = async () => {
    for (let count = 0; count < 20; count++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    written,
    operator,
    turn,
    ending,
    accepted: () => acceptedClocks,
    done,
    type: (line: string) => lines.emit("line", line),
    lines,
  };
}

describe("renderTrackerStatus", () => {
  it("shows all of it", () => {
    const view = { columns: undefined, isColored: false, timeZone: "UTC" };
    assert.deepEqual(renderTrackerStatus(status, STARTED_AT + 3_723_000, view), [
      "address      127.0.0.1:9001",
      `fingerprint  sha256:${"ab".repeat(32)}`,
      "tracker id   t1",
      "up           1:02:03 since 2026-01-31 18:05",
      "clients      3 online",
      "holds        4 users, 1 group, 12 files",
      "digest       0123456789abcdef",
      "",
      "LINK TO         STATE            LACKS  BEHIND FOR  SINCE",
      "127.0.0.1:9002  connected     1 record              2026-01-31 18:05",
      "127.0.0.1:9003  disconnected               1:02:03  2026-01-31 18:05",
      "",
      "Nothing listens at 127.0.0.1:9003: start that tracker, or correct its line in tracker_info.txt.",
    ]);
    assert.deepEqual(renderTrackerStatus(status, STARTED_AT, { ...view, columns: 50 }).slice(-2), [
      "Nothing listens at 127.0.0.1:9003: start that",
      "tracker, or correct its line in tracker_info.txt.",
    ]);
    assert.equal(
      renderTrackerStatus({ ...status, links: [] }, STARTED_AT, view).at(-1),
      "links        none: this is the only tracker",
    );
  });

  it("says why it cannot write", () => {
    const view = { columns: undefined, isColored: false, timeZone: "UTC" };
    const sentence = "its disk is full; free space";
    const cannotWrite = { reason: "disk-full", sentence, mayAnswer: true, sinceMs: STARTED_AT } as const;
    const lines = renderTrackerStatus({ ...status, cannotWrite }, STARTED_AT, view);
    assert.ok(
      lines.includes("blocked      cannot write since 2026-01-31 18:05: its disk is full; free space"),
    );
  });
});

describe("runTrackerConsole", () => {
  it("takes the clock to be right when told so", async () => {
    const { accepted, ending, done, type, written } = open();
    type("accept_clock");
    assert.equal(accepted(), 1);
    assert.deepEqual(written, ["The clock is accepted as it is now."]);
    ending.abort();
    await done;
  });

  it("lists accounts and groups a part at a time", async () => {
    const { type, written, turn } = open();
    type("accounts");
    await turn();
    assert.match(written[0] ?? "", /^USER +OWNS +SHARES +ROWS +TAKE +SINCE$/);
    assert.match(written[1] ?? "", /^u000 +1 group +12 files +30 +12\.\d kB/);
    assert.equal(written.length, 42);
    assert.equal(written.at(-1), "The list continues; type more.");
    for (let part = 0; part < 2; part++) {
      type("more");
      await turn();
    }
    assert.match(written.at(-1) ?? "", /^u099 /);
    type("more");
    type("accounts u01");
    type("accounts nobody");
    await turn();
    assert.equal(written.filter((line) => /^u01\d /.test(line)).length, 20);
    assert.ok(written.includes("The list is at its end; accounts or groups starts a new one."));
    assert.equal(written.at(-1), "No account matches.");
    type("groups f");
    await turn();
    assert.deepEqual(written.slice(-2), ["GROUP  OWNER  MEMBERS", "films  alice        2"]);
  });

  it("shows no part twice, and passes over parts of which nothing is left, however quickly more is typed", async () => {
    const { type, written, turn, operator } = open();
    const { accounts } = operator;
    operator.accounts = (prefix, after = "", limit) => {
      const part = accounts(prefix, after, limit);
      // Of these names nothing is left.
      return after >= "u03" && after < "u07" ? { ...part, items: [] } : part;
    };
    for (const line of ["accounts", "more", "more", "more"]) type(line);
    await turn();
    const shown = written.filter((line) => line.startsWith("u")).map((line) => line.slice(0, 4));
    assert.deepEqual(shown, [...new Set(shown)]);
    assert.equal(shown.length, 60);
    assert.ok(!written.includes("No account matches."));
    assert.equal(written.at(-1), "The list is at its end; accounts or groups starts a new one.");
  });

  it("removes an account or a group once that is confirmed, and says which tracker has not heard of it", async () => {
    const { type, written, operator, turn } = open();
    for (const line of [
      "remove_account u001",
      "remove_account u001 no",
      "remove_account",
      "remove_account nobody yes",
    ]) {
      type(line);
      await turn();
    }
    assert.deepEqual(operator.removed, []);
    assert.match(
      written[0] ?? "",
      /^Account u001: 1 group, 12 files, 30 rows, .* type remove_account u001 yes to confirm\.$/,
    );
    assert.match(written[1] ?? "", /^remove_account takes one user id/);
    assert.match(written[3] ?? "", /^error UNKNOWN_USER/);
    type("remove_account u001 yes");
    await turn();
    assert.match(written.at(-2) ?? "", /^Removed account u001/);
    assert.match(written.at(-1) ?? "", /^Not confirmed by 127\.0\.0\.1:9003/);
    type("remove_group films");
    type("remove_group films yes");
    await turn();
    assert.deepEqual(operator.removed, ["u001", "films"]);
    assert.match(written.at(-1) ?? "", /^Removed group films/);
  });

  it("answers status, help and what it does not know, and ends at quit", async () => {
    const { type, written, done } = open();
    type(" status ");
    assert.equal(written[0], "address      127.0.0.1:9001");
    type("help");
    assert.ok(written.some((line) => line.startsWith("quit")));
    type("stauts");
    assert.equal(written.at(-1), "There is no command 'stauts'. Nearest: status  (help lists all)");
    type("quit");
    await done;
  });

  it("backs up to a folder, and says what was wrong if it could not", async () => {
    const { turn, type, written, ending, done } = open();
    type("backup");
    assert.match(written.at(-1) ?? "", /takes the path/);
    type("backup /my backups/monday");
    type("backup /taken");
    await new Promise((resolve) => setImmediate(resolve));
    assert.match(written.at(-2) ?? "", /^Backed up to \/my backups\/monday;/);
    assert.equal(written.at(-1), "error DESTINATION_UNUSABLE: It exists already.");
    const folders = { "'/my backups/x'/": "/my backups/x", "~/x": join(homedir(), "x") };
    for (const [typed, folder] of Object.entries(folders)) {
      type(`backup ${typed}`);
      await turn();
      assert.ok(written.at(-1)?.startsWith(`Backed up to ${folder};`), written.join("\n"));
    }
    type('backup ""');
    await turn();
    assert.match(written.at(-1) ?? "", /^error INVALID_ARGUMENT: The path is empty/);
    ending.abort();
    await done;
  });

  it("refuses a removal that is followed by more than yes, before it is looked up", async () => {
    const { type, written, operator, turn } = open();
    operator.account = () => assert.fail("it was looked up");
    for (const line of [
      "remove_account u001 yes u002",
      "remove_account u001 YES",
      "remove_account u001 no",
    ]) {
      type(line);
      await turn();
      assert.equal(written.at(-1), "remove_account takes one user id, followed by yes to confirm.", line);
    }
    type("remove_group");
    await turn();
    assert.equal(written.at(-1), "remove_group takes one group id, followed by yes to confirm.");
    assert.deepEqual(operator.removed, []);
  });

  it("says what a group has before it is removed, and that a removal is confirmed everywhere by saying no more", async () => {
    const { type, written, operator, turn } = open();
    const { group } = operator;
    operator.group = (groupId) => ({ ...group(groupId), ownerId: undefined });
    type("remove_group films");
    await turn();
    assert.equal(
      written.at(-1),
      "Group films: 2 members, owned by nobody. Its files are no longer shared. Removal cannot be undone; type remove_group films yes to confirm.",
    );
    type("remove_group films yes");
    await turn();
    assert.equal(written.at(-1), "Removed group films; the name is free again.");
  });

  it("looks names up in the normal form in which they are stored", async () => {
    const { type, operator, turn } = open();
    const asked: string[] = [];
    operator.account = (userId) => {
      asked.push(userId);
      return account(userId);
    };
    const { accounts } = operator;
    operator.accounts = (prefix, after, limit) => {
      asked.push(prefix);
      return accounts(prefix, after, limit);
    };
    type("remove_account Zoe\u0308");
    type("accounts Zoe\u0308");
    await turn();
    assert.deepEqual(asked, ["Zo\u00EB", "Zo\u00EB"]);
  });

  it("says that no group matches, and shows one without an owner", async () => {
    const { type, written, operator, turn } = open();
    type("groups x");
    await turn();
    assert.deepEqual(written, ["No group matches."]);
    operator.groups = async () => ({
      items: [{ groupId: "films", claimId: "c", ownerId: undefined, members: 0 }],
      next: undefined,
    });
    type("groups");
    await turn();
    assert.equal(written.at(-1), "films               0");
  });

  it("goes on with other commands after a list that failed", async () => {
    const { type, written, operator, turn } = open();
    const { accounts } = operator;
    operator.accounts = () => {
      throw new MiniTorrentError("DISK_FAILED", "The disk\u001b failed.");
    };
    type("accounts");
    await turn();
    assert.deepEqual(written, ["error DISK_FAILED: The disk\\u{1b} failed."]);
    operator.accounts = accounts;
    type("accounts u01");
    await turn();
    assert.match(written.at(-1) ?? "", /^u019 /);
  });

  it("says nothing to an empty line, and repeats nothing harmful or endless of a wrong one", () => {
    const { type, written } = open();
    type("   ");
    assert.deepEqual(written, []);
    type(`\u001b${"x".repeat(100)}`);
    assert.equal(written[0], `There is no command '\\u{1b}${"x".repeat(39)}'. help lists all.`);
  });

  it("has help that says what each command does, wrapped to the terminal", async () => {
    const lines = Object.assign(new EventEmitter(), { close: () => undefined });
    const written: string[] = [];
    const ending = new AbortController();
    const done = runTrackerConsole({
      tracker: {
        status: () => status,
        operator: anOperator(),
        backUp: async () => undefined,
        acceptClock: () => undefined,
      },
      ...{ lines, write: (line: string) => written.push(line), columns: () => 60, now: () => STARTED_AT },
      signal: ending.signal,
    });
    lines.emit("line", "?");
    assert.ok(written.every((line) => line.length < 60));
    const words = written.join(" ").replace(/\s+/g, " ");
    for (const [name, help] of Object.entries(TRACKER_COMMANDS))
      assert.ok(words.includes(`${name} ${help}`), name);
    lines.emit("line", "exit");
    await done;
  });

  it("ends at once where the signal came before, and closes its lines, hearing of the signal no more", async () => {
    const ending = new AbortController();
    ending.abort();
    let closedCount = 0;
    const lines = Object.assign(new EventEmitter(), { close: () => closedCount++ });
    const options = {
      tracker: {
        status: () => status,
        operator: anOperator(),
        backUp: async () => undefined,
        acceptClock: () => undefined,
      },
      ...{ lines, write: () => undefined, now: () => STARTED_AT },
    };
    await runTrackerConsole({ ...options, signal: ending.signal });
    assert.equal(closedCount, 1);
    const { signal } = new AbortController();
    const done = runTrackerConsole({ ...options, signal });
    assert.equal(getEventListeners(signal, "abort").length, 1);
    lines.emit("line", "quit");
    await done;
    assert.equal(getEventListeners(signal, "abort").length, 0);
    assert.equal(closedCount, 2);
  });

  it("goes on at the end of input, and ends at the signal", async () => {
    const { lines, ending, done } = open();
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    lines.emit("close");
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isDone, false);
    ending.abort();
    await done;
  });
});
