// Log lines as a person reads them at a terminal: one line each, and nothing of a stranger's moves the cursor.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { readableLogLine } from "../../../src/cli/log-line.ts";
import { programLog } from "../../../src/cli/program-log.ts";

const view = { columns: undefined, isColored: false, timeZone: "UTC" };
const AT_MS = Date.UTC(2026, 0, 31, 18, 5, 3);

/** What is logged there, with the time of the test. */
function lineOf(work: (log: ReturnType<typeof programLog>) => void): string {
  let json = "";
  work(programLog({ level: "trace", to: { write: (line) => (json = line) } }));
  return readableLogLine(JSON.stringify({ ...JSON.parse(json), time: AT_MS }), view);
}

test("a line has the time of day, the level, the words, the facts and the cause", () => {
  assert.equal(
    lineOf((log) => log.info({ tracker: "192.0.2.2:9000", rows: 3, reason: "it stops" }, "link closed")),
    "18:05:03 INFO  link closed tracker=192.0.2.2:9000 rows=3: it stops",
  );
  assert.equal(
    lineOf((log) => log.warn({ path: "/a folder/x", list: ["a"], nothing: null }, "odd")),
    '18:05:03 WARN  odd path="/a folder/x" list=["a"] nothing=null',
  );
  assert.equal(
    lineOf((log) => log.child({ number: 2 }).debug("plain")),
    "18:05:03 DEBUG plain number=2",
  );
});

test("a foreseen error is its code and sentence, a bug also its place, and neither is more than a line", () => {
  const foreseen = new MiniTorrentError("TRACKER_KEY_CHANGED", "Another key.");
  assert.equal(
    lineOf((log) => log.error({ err: foreseen }, "not reached")),
    "18:05:03 ERROR not reached: TRACKER_KEY_CHANGED: Another key.",
  );
  const bug = lineOf((log) => log.fatal(new TypeError("x is undefined")));
  assert.match(bug, /^18:05:03 FATAL x is undefined: \(at .*log-line\.test\.ts:\d+:\d+\)$/);
});

test("what strangers wrote in it neither moves the cursor nor fills the screen", () => {
  const hostile = "\u001b[2J\r\n\u202e";
  const line = lineOf((log) => log.warn({ host: hostile, err: new Error(hostile.repeat(5_000)) }, hostile));
  assert.doesNotMatch(line, /[\p{Cc}\u202e]/u);
  assert.ok(line.length < 20_000, `${line.length} characters`);
  assert.equal(readableLogLine("not JSON \u001b[2J\n", view), "not JSON \\u{1b}[2J");
  for (const json of ["null", "3", "{}", '{"level":"x"}']) assert.equal(readableLogLine(json, view), json);
});

test("a level that pino does not know is its number, and a time that is none stops nothing", () => {
  assert.match(readableLogLine('{"level":33,"time":1e300,"msg":"odd"}', view), /33 {4}odd$/);
});
