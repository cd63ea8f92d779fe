// A tracker's console: status as a table, help, quit, and that the end of input ends nothing.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { renderTrackerStatus, runTrackerConsole } from "../../../src/cli/tracker-console.ts";
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
    { address: "127.0.0.1:9002", state: "connected", lagRecords: 1, lagSeconds: 0, sinceMs: STARTED_AT },
    {
      address: "127.0.0.1:9003",
      state: "disconnected",
      lagRecords: undefined,
      lagSeconds: 3723,
      sinceMs: STARTED_AT,
    },
  ],
};

function open() {
  const lines = Object.assign(new EventEmitter(), { close: () => {} });
  const written: string[] = [];
  const ending = new AbortController();
  let acceptedClocks = 0;
  const done = runTrackerConsole({
    tracker: {
      status: () => status,
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
  return {
    written,
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
    ]);
    assert.equal(
      renderTrackerStatus({ ...status, links: [] }, STARTED_AT, view).at(-1),
      "links        none: this is the only tracker",
    );
  });
});

describe("runTrackerConsole", () => {
  it("takes the clock to be right when told so", async () => {
    const { accepted, ending, done, type, written } = open();
    type("accept_clock");
    assert.equal(accepted(), 1);
    assert.deepEqual(written, ["The clock is taken to be right as it is now."]);
    ending.abort();
    await done;
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
    const { type, written, ending, done } = open();
    type("backup");
    assert.match(written.at(-1) ?? "", /takes the path/);
    type("backup /my backups/monday");
    type("backup /taken");
    await new Promise((resolve) => setImmediate(resolve));
    assert.match(written.at(-2) ?? "", /^Backed up to \/my backups\/monday;/);
    assert.equal(written.at(-1), "error DESTINATION_UNUSABLE: It exists already.");
    ending.abort();
    await done;
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
