// How fast something flows: what the average says after bursts, pauses and a new start.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Rate } from "../../../src/swarm/rate.ts";

describe("a rate", () => {
  it("falls by the time constant while nothing comes", () => {
    const rate = new Rate(1000);
    for (let tick = 0; tick < 100; tick++) {
      rate.add(1000);
      rate.advance(100);
    }
    assert.equal(Math.round(rate.bytesPerSecond), 10_000);
    rate.advance(1000);
    assert.equal(Math.round(rate.bytesPerSecond), Math.round(10_000 / Math.E));
  });

  it("forgets by half in 1.4 s if nothing else is said", () => {
    const rate = new Rate();
    for (let tick = 0; tick < 300; tick++) {
      rate.add(1000);
      rate.advance(100);
    }
    rate.advance(2000 * Math.LN2);
    assert.equal(Math.round(rate.bytesPerSecond / 10), 500);
  });

  it("keeps what came until time passes, and no time is no news", () => {
    const rate = new Rate();
    rate.add(500);
    rate.advance(0);
    assert.deepEqual([rate.bytesPerSecond, rate.totalBytes], [0, 500]);
    rate.add(500);
    rate.advance(100);
    assert.equal(Math.round(rate.bytesPerSecond), 10_000);
  });

  it("counts time from the first bytes on: a long silence before them does not lower it", () => {
    const rate = new Rate();
    for (let tick = 0; tick < 100; tick++) rate.advance(100);
    rate.add(1000);
    rate.advance(100);
    assert.equal(Math.round(rate.bytesPerSecond), 10_000);
  });

  it("of less than 16 B/s is none", () => {
    const rate = new Rate();
    rate.add(15);
    rate.advance(1000);
    assert.equal(rate.bytesPerSecond, 0);
    const faster = new Rate();
    faster.add(17);
    faster.advance(1000);
    assert.equal(Math.round(faster.bytesPerSecond), 17);
  });
});
