import assert from "node:assert/strict";
import { test } from "node:test";
import { RevocationWindow } from "../../../../src/tracker/rules/revocation-window.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** How long an end is named where nobody is apart. */
const LISTED_MS = 100 * MINUTE_MS;
const START_MS = 1_800_000_000_000;

function stage(others: readonly string[], options: { saved?: string; lastRanMs?: number } = {}) {
  let nowMs = START_MS;
  const saved: string[] = [];
  const window = new RevocationWindow({
    others,
    saved: options.saved,
    lastRanMs: options.lastRanMs ?? START_MS - 10 * DAY_MS,
    save: (notes) => saved.push(notes),
  });
  /** Lets time pass, sampled every minute; those named are connected. */
  const pass = (durationMs: number, ...connected: readonly string[]) => {
    const endMs = nowMs + durationMs;
    while (nowMs <= endMs) {
      const links = others.map((address) => ({ address, isConnected: connected.includes(address) }));
      window.sample(links, nowMs, nowMs - START_MS);
      nowMs += MINUTE_MS;
    }
    nowMs = endMs;
  };
  return { pass, saved, at: () => nowMs - START_MS, sinceMs: () => window.sinceMs(nowMs) - START_MS };
}

test("alone, and with trackers that are never apart, it is 100 minutes", () => {
  const alone = stage([]);
  alone.pass(HOUR_MS);
  assert.equal(alone.sinceMs(), HOUR_MS - LISTED_MS);
  const two = stage(["a"]);
  two.pass(2 * HOUR_MS, "a");
  assert.equal(two.sinceMs(), 2 * HOUR_MS - LISTED_MS);
});

test("while a tracker is apart, and until its last certificate has run out after, all ends since it went are named", () => {
  const { pass, at, sinceMs } = stage(["a", "b"]);
  pass(2 * HOUR_MS, "a", "b");
  const apartMs = at();
  pass(5 * HOUR_MS, "b");
  assert.ok(
    sinceMs() <= apartMs - LISTED_MS,
    "an end that was noted while it went is named after five hours",
  );
  assert.ok(sinceMs() >= apartMs - LISTED_MS - 2 * MINUTE_MS);
  pass(LISTED_MS - 2 * MINUTE_MS, "a", "b");
  assert.ok(sinceMs() <= apartMs - LISTED_MS);
  // Gone again before that: what is not known to have run out counts on.
  pass(HOUR_MS, "b");
  pass(LISTED_MS - 2 * MINUTE_MS, "a", "b");
  assert.ok(sinceMs() <= apartMs - LISTED_MS);
  pass(3 * MINUTE_MS, "a", "b");
  assert.equal(sinceMs(), at() - LISTED_MS);
});

test("it is known after a restart, also after one that came so suddenly that nothing was kept", () => {
  const before = stage(["a"]);
  before.pass(2 * HOUR_MS, "a");
  const apartMs = before.at();
  before.pass(HOUR_MS);
  const saved = before.saved.at(-1) ?? "";
  assert.deepEqual(JSON.parse(saved), { a: START_MS + apartMs });
  const after = stage(["a"], { saved, lastRanMs: START_MS + before.at() });
  after.pass(4 * HOUR_MS);
  assert.equal(after.sinceMs(), apartMs - LISTED_MS);
  const future = stage(["a"], { saved: JSON.stringify({ a: START_MS + 5 * HOUR_MS }), lastRanMs: START_MS });
  future.pass(6 * HOUR_MS);
  assert.equal(future.sinceMs(), -20 * MINUTE_MS - LISTED_MS, "what was noted is later than the last write");
  for (const odd of [undefined, "", "{", "[1]", '{"a":"x"}']) {
    const killed = stage(["a"], {
      ...(odd === undefined ? {} : { saved: odd }),
      lastRanMs: START_MS - 3 * HOUR_MS,
    });
    assert.equal(killed.sinceMs(), -3 * HOUR_MS - 20 * MINUTE_MS - LISTED_MS);
  }
});

test("a tracker that does not come back does not make the list grow for good", () => {
  const { pass, at, sinceMs } = stage(["a"]);
  pass(9 * DAY_MS);
  assert.equal(sinceMs(), at() - 7 * DAY_MS - LISTED_MS);
});

test("a tracker that goes counts as apart since it was last seen, and what is kept changes with that alone", () => {
  const saved: string[] = [];
  const window = new RevocationWindow({
    ...{ others: ["a"], saved: undefined, lastRanMs: START_MS },
    save: (notes) => saved.push(notes),
  });
  const sample = (atMs: number, isConnected: boolean) =>
    window.sample(
      [
        { address: "a", isConnected },
        { address: "unknown", isConnected },
      ],
      START_MS + atMs,
      atMs,
    );
  for (let atMs = 0; atMs <= LISTED_MS; atMs += MINUTE_MS) sample(atMs, true);
  assert.deepEqual(saved.splice(0), ["{}"]);
  assert.equal(window.sinceMs(START_MS + LISTED_MS), START_MS);
  sample(LISTED_MS + MINUTE_MS, false);
  sample(LISTED_MS + 2 * MINUTE_MS, false);
  assert.deepEqual(saved, [JSON.stringify({ a: START_MS + LISTED_MS })]);
  assert.equal(window.sinceMs(START_MS + LISTED_MS + HOUR_MS), START_MS);
});
