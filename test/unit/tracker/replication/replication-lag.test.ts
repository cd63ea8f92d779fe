// For how long another tracker is behind, by what is seen of it every second.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LinkSample, ReplicationLag } from "../../../../src/tracker/replication/replication-lag.ts";

const link = (isConnected: boolean, lagRecords: number): LinkSample[] => [
  { address: "b", isConnected, lagRecords },
];

test("lag counts from when rows that are missing were first seen, through a lost link, until none is", () => {
  const lag = new ReplicationLag();
  lag.sample(link(true, 0), 10, 9_000);
  assert.equal(lag.secondsOf("b", 9_500), 0);
  lag.sample(link(true, 3), 13, 10_000);
  assert.equal(lag.secondsOf("b", 10_500), 0, "they may be on their way");
  lag.sample(link(true, 2), 13, 11_000);
  assert.equal(lag.secondsOf("b", 11_500), 1.5);
  lag.sample(link(false, 0), 13, 12_000);
  lag.sample(link(true, 1), 13, 13_000);
  assert.equal(lag.secondsOf("b", 13_500), 3.5);
  lag.sample(link(true, 0), 13, 14_000);
  assert.equal(lag.secondsOf("b", 15_000), 0);
});

test("writes on their way, one at each look, are no lag", () => {
  const lag = new ReplicationLag();
  for (let look = 1; look < 10; look++) {
    lag.sample(link(true, 2), 10 * look, 1_000 * look);
    assert.equal(lag.secondsOf("b", 1_000 * look + 900), 0);
  }
});

test("a tracker that was never reached is behind from the first look, and a clock set back gives no lag below zero", () => {
  const lag = new ReplicationLag();
  lag.sample(link(false, 0), 0, 5_000);
  assert.equal(lag.secondsOf("b", 8_000), 3);
  assert.equal(lag.secondsOf("b", 4_000), 0);
  assert.equal(lag.secondsOf("c", 8_000), 0);
});
