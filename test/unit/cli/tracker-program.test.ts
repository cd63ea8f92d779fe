// The program ./tracker in a process of the test's own, with a fake tracker: what it is started with, says and ends with.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { until, within } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { runTracker, type TrackerProgram } from "../../../src/cli/tracker-program.ts";
import type { TrackerOptions } from "../../../src/tracker/tracker.ts";
import { FakeProcess } from "./fake-process.ts";

const SOON_MS = 5_000;
const LISTENS = `Tracker 2 listens at 127.0.0.1:9002; its key is sha256:${"ab".repeat(32)}`;

type FakeTracker = Awaited<ReturnType<TrackerProgram["openTracker"]>> & {
  readonly damage: AbortController;
  isClosed: boolean;
};

function fakeTracker(): FakeTracker {
  const notAsked = (): never => assert.fail("nobody asked for that");
  const damage = new AbortController();
  return {
    address: "127.0.0.1:9002",
    fingerprint: "ab".repeat(32),
    damage,
    damaged: damage.signal,
    isClosed: false,
    async close() {
      this.isClosed = true;
    },
    ...{ status: notAsked, backUp: notAsked, acceptClock: notAsked },
    operator: {
      ...{ accounts: notAsked, groups: notAsked, account: notAsked, group: notAsked },
      ...{ removeAccount: notAsked, removeGroup: notAsked },
    },
  };
}

function scene(t: TestContext): string[] {
  const folder = mkdtempSync(join(tmpdir(), "tracker-program-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const trackerInfo = join(folder, "tracker_info.txt");
  writeFileSync(trackerInfo, "127.0.0.1:9001\n127.0.0.1:9002\n");
  return [trackerInfo, "2", "--data-dir", join(folder, "data")];
}

function start(process: FakeProcess, args: readonly string[], open = async () => fakeTracker()) {
  const opened: TrackerOptions[] = [];
  const trackers: FakeTracker[] = [];
  const openTracker = async (options: TrackerOptions): Promise<FakeTracker> => {
    opened.push(options);
    const tracker = await open();
    trackers.push(tracker);
    return tracker;
  };
  const running = runTracker({ process, console: process.console, openTracker }, args);
  const exitCode = (): Promise<number> =>
    within(
      running,
      () => `the tracker to end; it wrote ${process.stdout.text}${process.stderr.text}`,
      SOON_MS,
    );
  const says = (words: string): Promise<void> =>
    until(
      () => process.stdout.text.includes(words),
      () => `'${words}'; it wrote ${process.stdout.text}${process.stderr.text}`,
      SOON_MS,
    );
  return { opened, trackers, exitCode, says };
}

test("arguments that are not understood are answered with what is wrong and the usage, and exit code 2", async () => {
  const process = new FakeProcess();
  const { opened, exitCode } = start(process, []);
  assert.equal(await exitCode(), 2);
  assert.match(process.stderr.text, /^tracker: Two arguments are expected.*\n\nUsage: \.\/tracker /);
  assert.deepEqual([process.stdout.text, opened], ["", []]);
});

test("help and version are said on stdout, and nothing is opened", async () => {
  for (const [option, words] of [
    ["--help", /^Usage: \.\/tracker /],
    ["--version", /^miniTorrent \d+\.\d+/],
  ] as const) {
    const process = new FakeProcess();
    const { opened, exitCode } = start(process, [option]);
    assert.equal(await exitCode(), 0);
    assert.match(process.stdout.text, words);
    assert.deepEqual([process.stderr.text, opened], ["", []]);
  }
});

test("a tracker that cannot start says why in one line, with the code, and exits 1", async (t) => {
  const process = new FakeProcess();
  const { exitCode } = start(process, scene(t), async () => {
    throw new MiniTorrentError("DATA_DIR_IN_USE", "Another\u001b process uses it.");
  });
  assert.equal(await exitCode(), 1);
  assert.equal(process.stderr.text, "error DATA_DIR_IN_USE: Another\\u{1b} process uses it.\n");
  const [trackerInfo = ""] = scene(t);
  const wrongNumber = new FakeProcess();
  assert.equal(await start(wrongNumber, [trackerInfo, "3"]).exitCode(), 1);
  assert.match(wrongNumber.stderr.text, /^error INVALID_TRACKER_INFO: '3' is not the number/);
});

test("a tracker says where it listens, answers its console, and closes at quit", async (t) => {
  const process = new FakeProcess();
  const args = [...scene(t), "--limit", "groupsPerUser=3"];
  const { opened, trackers, exitCode, says } = start(process, args);
  await says(`${LISTENS}\n`);
  process.stdin.write("help\n");
  await says("This list.");
  assert.equal(trackers[0]?.isClosed, false);
  process.stdin.write("quit\n");
  assert.equal(await exitCode(), 0);
  assert.equal(trackers[0]?.isClosed, true);
  assert.equal(process.stdin.destroyed, true);
  assert.partialDeepStrictEqual(opened, [
    {
      trackerNumber: 2,
      trackers: [
        { host: "127.0.0.1", port: 9001 },
        { host: "127.0.0.1", port: 9002 },
      ],
      dataDir: args[3],
      limits: { groupsPerUser: 3 },
    },
  ]);
  assert.deepEqual(
    [opened[0]?.log.isLevelEnabled("info"), opened[0]?.log.isLevelEnabled("debug")],
    [true, false],
  );
});

test("a tracker runs on at the end of its input, until a signal; a second signal ends it at once", async (t) => {
  const process = new FakeProcess();
  const tracker = fakeTracker();
  const closed = Promise.withResolvers<void>();
  tracker.close = () => closed.promise;
  const { exitCode, says } = start(process, scene(t), async () => tracker);
  await says(LISTENS);
  process.stdin.end();
  await new Promise(setImmediate);
  process.emit("SIGTERM");
  await new Promise(setImmediate);
  assert.deepEqual(process.exits, []);
  process.emit("SIGTERM");
  assert.deepEqual(process.exits, [130]);
  closed.resolve();
  assert.equal(await exitCode(), 0);
});

test("a tracker that still starts ends at the first signal", async (t) => {
  const process = new FakeProcess();
  const opening = Promise.withResolvers<FakeTracker>();
  const { exitCode, says } = start(process, scene(t), () => opening.promise);
  process.emit("SIGINT");
  assert.deepEqual(process.exits, [0]);
  opening.resolve(fakeTracker());
  await says(LISTENS);
  process.emit("SIGINT");
  assert.equal(await exitCode(), 0);
  assert.deepEqual(process.exits, [0], "once it serves, it ends in good order");
});

test("a tracker that finds damage in its registry is closed and opened again, which may be ended at once", async (t) => {
  const process = new FakeProcess();
  const opening = Promise.withResolvers<FakeTracker>();
  const first = fakeTracker();
  const opens = [Promise.resolve(first), opening.promise];
  const { trackers, exitCode } = start(process, scene(t), () => opens.shift() ?? assert.fail("a third one"));
  const count = (): number => process.stdout.lines.filter((line) => line === LISTENS).length;
  await until(() => count() === 1, "the first opening", SOON_MS);
  first.damage.abort();
  await until(() => opens.length === 0, "the second opening", SOON_MS);
  assert.equal(first.isClosed, true);
  process.emit("SIGINT");
  assert.deepEqual(process.exits, [0]);
  opening.resolve(fakeTracker());
  await until(() => count() === 2, "the second tracker to serve", SOON_MS);
  process.stdin.write("quit\n");
  assert.equal(await exitCode(), 0);
  assert.equal(trackers[1]?.isClosed, true);
});

test("a tracker that is told to end while damage is found is not opened again", async (t) => {
  const process = new FakeProcess();
  const tracker = fakeTracker();
  const { opened, exitCode, says } = start(process, scene(t), async () => tracker);
  await says(LISTENS);
  process.emit("SIGINT");
  tracker.damage.abort();
  assert.equal(await exitCode(), 0);
  assert.equal(opened.length, 1);
});

test("streams that fail end no tracker", async (t) => {
  const process = new FakeProcess();
  const { exitCode, says } = start(process, scene(t));
  await says(LISTENS);
  process.stdin.emit("error", new Error("EIO"));
  process.stdout.emit("error", new Error("EPIPE"));
  process.emit("SIGINT");
  assert.equal(await exitCode(), 0);
});
