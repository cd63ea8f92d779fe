import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { programLog } from "../../../src/cli/program-log.ts";

const INTERVAL_MS = 60_000;

function logTo(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lines: Record<string, unknown>[] = [];
  const to = { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) };
  return { log: programLog({ level: "debug", to, intervalMs: INTERVAL_MS }), lines };
}

test("a sentence that comes again and again is written a few times, and then counted once in an interval", (t) => {
  const { log, lines } = logTo(t);
  const child = log.child({ part: "door" });
  for (let key = 0; key < 10_000; key++) child.warn({ fingerprint: String(key) }, "a link was refused");
  assert.equal(lines.length, 5);
  t.mock.timers.tick(INTERVAL_MS);
  assert.equal(lines.length, 6);
  const { level, repeated, msg, fingerprint, part } = lines[5] ?? {};
  assert.deepEqual({ level, repeated, msg }, { level: 40, repeated: 9_995, msg: "a link was refused" });
  assert.deepEqual([fingerprint, part], [undefined, "door"]);
  t.mock.timers.tick(INTERVAL_MS);
  assert.equal(lines.length, 6);
  child.warn({ fingerprint: "new" }, "a link was refused");
  assert.equal(lines.length, 7);
});

test("other sentences, and the same one of another tracker, are told apart", (t) => {
  const { log, lines } = logTo(t);
  for (let time = 0; time < 20; time++) log.info("a stranger's");
  log.info("another");
  for (const tracker of ["one:1", "two:2"])
    for (let time = 0; time < 3; time++) log.info({ tracker }, "closed");
  assert.equal(lines.length, 5 + 1 + 6);
});

test("so many sentences that a stranger must have made them are counted together", (t) => {
  const { log, lines } = logTo(t);
  for (let sentence = 0; sentence < 50_000; sentence++) log.error(new Error(`made up ${sentence}`));
  assert.ok(lines.length <= 1_005, `${lines.length} lines`);
});

test("a stack is logged of a bug, and of nothing that was foreseen", (t) => {
  const { log, lines } = logTo(t);
  const changed = new MiniTorrentError("TRACKER_KEY_CHANGED", "Another key.", { cause: new Error("why") });
  log.error({ err: changed }, "foreseen");
  log.error(
    { err: Object.assign(new Error("refused"), { code: "ECONNREFUSED", syscall: "connect" }) },
    "system",
  );
  log.child({ part: "door" }).error({ err: new TypeError("a bug") }, "bug");
  log.error({ err: "no error" }, "text");
  const errors = lines.map(({ err }) => err as Record<string, unknown>);
  assert.deepEqual(errors.slice(0, 2), [
    { type: "MiniTorrentError", message: "Another key.: why", code: "TRACKER_KEY_CHANGED" },
    { type: "Error", message: "refused", code: "ECONNREFUSED" },
  ]);
  assert.match(String(errors[2]?.stack), /program-log\.test/);
  assert.equal(errors[3], "no error");
});

test("each interval is counted anew from its first line, for a minute if nothing else is said", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lines: Record<string, unknown>[] = [];
  const to = { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) };
  const log = programLog({ level: "info", to });
  const say = (count: number): number => {
    const before = lines.length;
    for (let time = 0; time < count; time++) log.info("closed");
    return lines.length - before;
  };
  assert.equal(say(2), 2);
  t.mock.timers.tick(30_000);
  assert.equal(say(5), 3);
  t.mock.timers.tick(29_999);
  assert.equal(lines.at(-1)?.repeated, undefined);
  t.mock.timers.tick(1);
  assert.equal(lines.at(-1)?.repeated, 2);
  t.mock.timers.tick(10_000);
  assert.equal(say(7), 5);
  // A minute after the line at half a minute: nothing ends.
  t.mock.timers.tick(20_000);
  assert.equal(say(1), 0);
  t.mock.timers.tick(40_000);
  assert.equal(lines.at(-1)?.repeated, 3);
});

test("the count of what was said of a tracker names it", (t) => {
  const { log, lines } = logTo(t);
  for (let time = 0; time < 7; time++) log.info({ tracker: "one:1", at: time }, "closed");
  t.mock.timers.tick(INTERVAL_MS);
  const { tracker, at, repeated, msg } = lines.at(-1) ?? {};
  assert.deepEqual([tracker, at, repeated, msg], ["one:1", undefined, 2, "closed"]);
});

test("an error that is INTERNAL has a stack, since it was not foreseen", (t) => {
  const { log, lines } = logTo(t);
  log.error({ err: new MiniTorrentError("INTERNAL", "Odd.") }, "inside");
  const [line = {}] = lines;
  const { stack } = line.err as Record<string, unknown>;
  assert.match(String(stack), /program-log\.test/);
});
