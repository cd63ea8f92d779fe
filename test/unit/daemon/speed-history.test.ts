// The history of speed: what moved in each step of the last hour, bounded, and without a cost while nothing moves.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TorrentTraffic } from "../../../src/client/status.ts";
import { SpeedHistory, STEP_MS } from "../../../src/daemon/speed-history.ts";

const HOUR_STEPS = 3_600_000 / STEP_MS;
const START_MS = 1_000_000 * STEP_MS;

function traffic(fileName: string, run: object, downloadedBytes: number, uploadedBytes = 0): TorrentTraffic {
  return { groupId: "films", fileName, run, downloadedBytes, uploadedBytes };
}

const which = (fileName: string) => ({ groupId: "films", fileName });
/** The points in which something moved, with their place in the hour. */
const moved = (history: SpeedHistory, fileName: string | undefined, nowMs: number) =>
  history
    .points(fileName === undefined ? undefined : which(fileName), nowMs)
    .flatMap(({ down, up }, at) => (down + up === 0 ? [] : [[at, down, up]]));

test("a point has what moved in its step, of one torrent and of all together", () => {
  const history = new SpeedHistory();
  const [dune, alien] = [{}, {}];
  history.sample([traffic("dune", dune, 10_000), traffic("alien", alien, 0, 5_000)], START_MS);
  const nextMs = START_MS + STEP_MS;
  history.sample([traffic("dune", dune, 15_000), traffic("alien", alien, 0, 5_000)], nextMs);
  const last = HOUR_STEPS - 1;
  assert.deepEqual(moved(history, "dune", nextMs), [
    [last - 1, 2_000, 0],
    [last, 1_000, 0],
  ]);
  assert.deepEqual(moved(history, "alien", nextMs), [[last - 1, 0, 1_000]]);
  assert.deepEqual(moved(history, undefined, nextMs), [
    [last - 1, 2_000, 1_000],
    [last, 1_000, 0],
  ]);
  assert.deepEqual(moved(history, "unknown", nextMs), []);
  const points = history.points(undefined, nextMs);
  assert.deepEqual([points.length, points.at(-1)?.atMs], [HOUR_STEPS, nextMs]);
});

test("a torrent that was started again counts from nothing", () => {
  const history = new SpeedHistory();
  history.sample([traffic("dune", {}, 10_000)], START_MS);
  history.sample([traffic("dune", {}, 5_000)], START_MS + STEP_MS);
  assert.deepEqual(
    moved(history, "dune", START_MS + STEP_MS).map(([, down]) => down),
    [2_000, 1_000],
  );
});

test("time in which nothing was sampled has nothing, and an hour later nothing is left", () => {
  const history = new SpeedHistory();
  const run = {};
  history.sample([traffic("dune", run, 10_000)], START_MS);
  const laterMs = START_MS + 100 * STEP_MS;
  history.sample([traffic("dune", run, 20_000)], laterMs);
  assert.deepEqual(
    moved(history, "dune", laterMs).map(([at]) => at),
    [HOUR_STEPS - 101, HOUR_STEPS - 1],
  );
  assert.deepEqual(moved(history, "dune", START_MS + HOUR_STEPS * STEP_MS).length, 1);
  assert.deepEqual(moved(history, "dune", laterMs + HOUR_STEPS * STEP_MS), []);
  // More than an hour between two samples: what the ring had is not shown again.
  const muchLaterMs = laterMs + 1.5 * HOUR_STEPS * STEP_MS;
  history.sample([traffic("dune", run, 30_000)], muchLaterMs);
  assert.deepEqual(moved(history, "dune", muchLaterMs), [[HOUR_STEPS - 1, 2_000, 0]]);
});

test("five hundred torrents have a history, those that moved last; all together stays right", () => {
  const history = new SpeedHistory();
  const runs = Array.from({ length: 501 }, () => ({}));
  history.sample(
    runs.map((run, number) => traffic(`file ${number}`, run, 5)),
    START_MS,
  );
  assert.deepEqual(moved(history, "file 0", START_MS), []);
  assert.equal(moved(history, "file 1", START_MS).length, 1);
  assert.deepEqual(moved(history, undefined, START_MS), [[HOUR_STEPS - 1, 501, 0]]);
});

test("a clock that is set back adds to an earlier step, and shows nothing of the future", () => {
  const history = new SpeedHistory();
  const run = {};
  history.sample([traffic("dune", run, 10_000)], START_MS);
  history.sample([traffic("dune", run, 20_000)], START_MS - 10 * STEP_MS);
  assert.deepEqual(
    moved(history, "dune", START_MS).map(([at]) => at),
    [HOUR_STEPS - 11, HOUR_STEPS - 1],
  );
  assert.deepEqual(
    moved(history, "dune", START_MS - 10 * STEP_MS).map(([at]) => at),
    [HOUR_STEPS - 1],
  );
  const muchEarlierMs = START_MS - 2 * HOUR_STEPS * STEP_MS;
  history.sample([traffic("dune", run, 30_000)], muchEarlierMs);
  assert.deepEqual(moved(history, "dune", muchEarlierMs), [[HOUR_STEPS - 1, 2_000, 0]]);
});
