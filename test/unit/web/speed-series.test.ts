import assert from "node:assert/strict";
import { test } from "node:test";
import { rateScale, speedSeries } from "../../../web/src/state/speed-series.ts";

test("the scale has three round lines above zero, one unit, and room for the most", () => {
  const lines = (most: number) => {
    const { unit, divisor, lines } = rateScale(most);
    return `${lines.map((line) => Number((line / divisor).toPrecision(6))).join(" ")} ${unit}`;
  };
  assert.equal(lines(131e6), "50 100 150 MB/s");
  assert.equal(lines(2.9e6), "1 2 3 MB/s");
  assert.equal(lines(840e3), "300 600 900 kB/s");
  assert.equal(lines(0), "10 20 30 B/s");
  for (let most = 30; most < 1e11; most *= 1.37) assert.ok(rateScale(most).top >= most * 0.999999, `${most}`);
});

test("an hour of seconds is drawn as few points, each the mean of its time", () => {
  const points = Array.from({ length: 3_600 }, (_, second) => ({
    atMs: second * 1_000,
    down: second,
    up: 1,
  }));
  const { times, down, up } = speedSeries(points, 1_000);
  assert.equal(times.length, 720);
  assert.deepEqual([times[0], down[0], up[0]], [2, 2, 1]);
});

test("few points are drawn as they are", () => {
  const series = speedSeries([{ atMs: 5_000, down: 7, up: 8 }], 5_000);
  assert.deepEqual([series.times[0], series.down[0], series.up[0]], [5, 7, 8]);
});
