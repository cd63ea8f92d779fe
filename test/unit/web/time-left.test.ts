import assert from "node:assert/strict";
import { test } from "node:test";
import { stepOf, TimeLeft } from "../../../web/src/state/time-left.ts";

/** What is shown each second, for a rate a second. */
function shownWith(lengthBytes: number, rateAt: (second: number) => number, seconds: number): number[] {
  const time = new TimeLeft();
  const shown: number[] = [];
  let left = lengthBytes;
  for (let second = 0; second < seconds && left > 0; second++) {
    const rate = rateAt(second);
    left -= rate;
    shown.push(time.update(rate === 0 ? undefined : left / rate, second * 1_000) ?? -1);
  }
  return shown;
}

test("at a steady rate the time left counts down and never up", () => {
  const shown = shownWith(60_000, () => 100, 600);
  for (const [index, seconds] of shown.entries())
    assert.ok(index === 0 || seconds <= (shown[index - 1] ?? 0), `up at ${index}: ${seconds}`);
  assert.ok((shown[0] ?? 0) >= 599 && (shown.at(-1) ?? 99) <= 1, `${shown[0]} … ${shown.at(-1)}`);
});

test("a rate that wavers by half does not make the time jump", () => {
  const wavering = (second: number) => 100 * (1 + 0.5 * Math.sin(second * 2.1));
  const shown = shownWith(360_000, wavering, 600).slice(10);
  const rises = shown.filter((seconds, index) => seconds > (shown[index - 1] ?? Number.POSITIVE_INFINITY));
  const least = shown.map((seconds, index) => Math.abs(seconds - (shown[index - 1] ?? seconds)));
  assert.ok(rises.length <= 12, `it rose ${rises.length} times in ten minutes`);
  assert.ok(Math.max(...least) <= 300, `it jumped by ${Math.max(...least)} s of an hour`);
});

test("a rate that falls to a tenth is believed within a minute", () => {
  const shown = shownWith(100_000, (second) => (second < 60 ? 100 : 10), 130);
  const truth = (100_000 - 60 * 100 - 70 * 10) / 10;
  assert.ok((shown.at(-1) ?? 0) > truth * 0.8, `${shown.at(-1)} of ${truth}`);
});

test("a short pause keeps the time; a longer one forgets it", () => {
  const time = new TimeLeft();
  time.update(100, 0);
  assert.equal(time.update(undefined, 3_000), 100);
  assert.equal(time.update(undefined, 7_000), undefined);
  assert.equal(time.update(40, 8_000), 40, "and begins anew");
});

test("what is shown is a whole number of steps of its magnitude", () => {
  assert.deepEqual(
    [5, 30, 300, 1_800, 7_200, 50_000, 200_000, 2_000_000].map(stepOf),
    [1, 5, 10, 60, 300, 1_800, 3_600, 86_400],
  );
  assert.equal(
    new TimeLeft().update(6_263, 0),
    6_300,
    "an hour and three quarters, rounded up to five minutes",
  );
});
