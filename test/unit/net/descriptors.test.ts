// How what the system lets a process open is divided.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  connectionsOfTracker,
  connectionsRefused,
  connectionsTaken,
  descriptorLimit,
  descriptorProblem,
  divideDescriptors,
} from "../../../src/net/descriptors.ts";

test("whatever the limit, files and connections fit in with what is always open", () => {
  for (const limit of [68, 80, 100, 256, 1_024, 20_000, 1_048_576]) {
    const { files, connections } = divideDescriptors(limit);
    assert.ok(2 * files + connections <= limit - 50, `${limit}`);
    assert.ok(files >= 4 && connections >= 8, `${limit}`);
  }
});

test("a limit with which a client cannot work is refused, with what is needed", () => {
  assert.throws(() => divideDescriptors(60), {
    code: "LIMIT_REACHED",
    message: / 60 .*needs 68.*`ulimit -n /,
  });
});

test("this process has a limit, and an error that says it is reached names what to do", () => {
  assert.ok(descriptorLimit() >= 68);
  assert.match(String(descriptorProblem(Object.assign(new Error(), { code: "EMFILE" }))), /`ulimit -n /);
  assert.match(String(descriptorProblem(Object.assign(new Error(), { code: "ENFILE" }))), /close programs/);
  assert.equal(descriptorProblem(new Error("EMFILE")), undefined);
});

test("a third of the free descriptors goes to files, two each, up to a bound, the rest to connections", () => {
  assert.deepEqual(divideDescriptors(68), { limit: 68, files: 4, connections: 8 });
  assert.deepEqual(divideDescriptors(352), { limit: 352, files: 50, connections: 200 });
  assert.deepEqual(divideDescriptors(20_000), { limit: 20_000, files: 512, connections: 18_924 });
  assert.throws(() => divideDescriptors(67), { code: "LIMIT_REACHED" });
});

test("a tracker, which shares no files, has all that is free for connections", () => {
  assert.equal(connectionsOfTracker(352), 300);
  assert.equal(connectionsOfTracker(20_000), 19_948);
  assert.throws(() => connectionsOfTracker(67), { code: "LIMIT_REACHED" });
});

test("this process's limit is the system's, and a guess where the system does not say", (t) => {
  const of = (userLimits: unknown): number => {
    const report = t.mock.method(process.report, "getReport", () => ({ userLimits }));
    const limit = descriptorLimit();
    report.mock.restore();
    return limit;
  };
  assert.equal(of({ open_files: { soft: 1_234, hard: 5_678 } }), 1_234);
  assert.equal(of({ open_files: { soft: "unlimited" } }), 8_192);
  assert.equal(of(undefined), 8_192);
});

test("the sentence about a full tracker or client names the limit and the remedy", () => {
  assert.match(connectionsRefused(256), /^connections are refused: .* open 256 files .*`ulimit -n 4096`/);
  assert.match(
    connectionsTaken({ limit: 256, files: 34, connections: 136 }),
    /^All 136 connections .* limit of 256 open files .*`ulimit -n 4096`.*\.$/,
  );
});
