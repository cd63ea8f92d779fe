// What `minitorrent status` says of trackers and addresses, without a daemon.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DaemonSummary, renderSummary } from "../../../src/cli/daemon-status.ts";

const view = { columns: undefined, isColored: false, timeZone: "UTC" };

function lines(
  status: Partial<DaemonSummary["status"]>,
  others: Partial<DaemonSummary> = {},
): readonly string[] {
  const summary = {
    status: {
      account: { userId: "ann", accountId: "a1" },
      listeningOn: "192.0.2.7:6881",
      tracker: "192.0.2.1:7000",
      trackersKnown: true,
      groupIds: ["studio"],
      sharedFiles: 2,
      runningDownloads: 0,
      daemon: { pid: 7, version: "miniTorrent 9", dataDir: "/d", startedAtMs: 0, memoryBytes: 105_000_000 },
      ...status,
    },
    trackers: [
      { address: "192.0.2.1:7000", isConnected: true },
      { address: "192.0.2.2:7000", isConnected: false, problem: "it does not answer" },
    ],
    downloads: [],
    uploads: [],
    limits: { all: {}, files: [] },
    ...others,
  };
  return renderSummary(summary as unknown as DaemonSummary, view, 3_723_000);
}

test("each tracker has a row, and why none answers comes first", () => {
  assert.deepEqual(lines({}).slice(0, 3), [
    "Account     ann, in 1 group, with 2 shares",
    "Trackers    192.0.2.1:7000  connected",
    "            192.0.2.2:7000  not connected: it does not answer",
  ]);
  const silent = lines({ tracker: undefined, trackerProblem: "If that lasts, look." });
  assert.equal(silent[1], "Trackers    none answers. If that lasts, look.");
  const unreachable = lines({ tracker: undefined, trackerProblem: "None of the trackers can be reached." });
  assert.equal(unreachable[1], "Trackers    None of the trackers can be reached.");
  const unknown = lines({ trackersKnown: false, trackerProblem: "No tracker is known yet." });
  assert.equal(unknown[1], "Trackers    No tracker is known yet.");
});

test("a daemon that listens on all addresses names its port", () => {
  const peers = (listeningOn: string) => lines({ listeningOn }).find((line) => line.startsWith("Peers"));
  assert.equal(peers("192.0.2.7:6881"), "Peers       reach this machine at 192.0.2.7:6881");
  for (const all of ["0.0.0.0:6881", "[::]:6881"])
    assert.equal(peers(all), "Peers       reach port 6881 of all addresses of this machine");
});

test("the process is named with how long it runs and its memory", () => {
  assert.ok(
    lines({}).includes("Daemon      process 7, runs for 1:02:03 (since 1970-01-01 00:00), 105 MB of memory"),
  );
});

test("of very many uploads the fastest are named, and how many more there are", () => {
  const uploads = Array.from({ length: 23 }, (_, at) => ({
    ...{ groupId: "studio", fileName: `f${at}`, path: "/f", lengthBytes: 1, state: "served" as const },
    ...{ peerCount: 1, uploadBytesPerSecond: 1_000 },
  }));
  const shown = lines({}, { uploads }).slice(-22);
  assert.match(shown[0] ?? "", /^Transfers +down 0 B\/s, up 23 kB\/s$/);
  assert.equal(shown.at(-1), "  and 3 more uploads");
});
