// For how long another tracker is behind, by what is seen of it every second.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LinkSample, ReplicationLag } from "../../../src/tracker/replication-lag.ts";

const link = (isConnected: boolean, lagRecords: number): LinkSample[] => [
  { address: "b", isConnected, lagRecords },
];

test("lag counts from when rows were first seen to be missing, through a lost link, until none is", () => {
  const lag = new ReplicationLag();
  lag.sample(link(true, 0), 1_000);
  assert.equal(lag.secondsOf("b", 9_000), 0);
  lag.sample(link(true, 3), 10_000);
  lag.sample(link(false, 0), 11_000);
  lag.sample(link(true, 1), 12_000);
  assert.equal(lag.secondsOf("b", 12_500), 2.5);
  lag.sample(link(true, 0), 13_000);
  assert.equal(lag.secondsOf("b", 14_000), 0);
});

test("a tracker that was never reached is behind from the first look, and a clock set back gives no lag below zero", () => {
  const lag = new ReplicationLag();
  lag.sample(link(false, 0), 5_000);
  assert.equal(lag.secondsOf("b", 8_000), 3);
  assert.equal(lag.secondsOf("b", 4_000), 0);
  assert.equal(lag.secondsOf("c", 8_000), 0);
});
