// Departed peers: what is remembered of them, of how many, and until when.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DepartedPeers } from "../../../src/swarm/departed-peers.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";

const MOST_REMEMBERED = 200;

function leaves(departedPeers: DepartedPeers, deviceId: string, has = new PieceSet(8), leftAtMs = 0): void {
  departedPeers.left({ userId: "bob", deviceId, has, neededNothing: has.isFull, leftAtMs });
}

const devicesOf = (departedPeers: DepartedPeers): string[] =>
  [...departedPeers.gone()].map(({ deviceId }) => deviceId);

test("a departed device is remembered with what it had and when it left, until it comes back", () => {
  const departedPeers = new DepartedPeers();
  const full = PieceSet.full(8);
  leaves(departedPeers, "b0b", full, 5000);
  assert.deepEqual(
    [...departedPeers.gone()],
    [{ userId: "bob", deviceId: "b0b", has: full, neededNothing: true, leftAtMs: 5000 }],
  );
  assert.equal(departedPeers.neededNothing("b0b"), true);
  departedPeers.cameBack("b0b");
  assert.deepEqual(devicesOf(departedPeers), []);
  assert.equal(departedPeers.neededNothing("b0b"), false);
});

test("a device that lacked a piece, or was never here, was not complete", () => {
  const departedPeers = new DepartedPeers();
  const all = PieceSet.full(8);
  all.remove(3);
  leaves(departedPeers, "b0b", all);
  assert.equal(departedPeers.neededNothing("b0b"), false);
  assert.equal(departedPeers.neededNothing("ca201"), false);
});

test("a farewell is remembered, also from a device that never said what it has, until it comes back", () => {
  const departedPeers = new DepartedPeers();
  departedPeers.saidFarewell("b0b", { reason: "paused" });
  assert.deepEqual(departedPeers.farewellOf("b0b"), { reason: "paused" });
  departedPeers.saidFarewell("b0b", { reason: "offline" });
  assert.deepEqual(departedPeers.farewellOf("b0b"), { reason: "offline" });
  assert.deepEqual(devicesOf(departedPeers), []);
  departedPeers.cameBack("b0b");
  assert.equal(departedPeers.farewellOf("b0b"), undefined);
});

test("past 200 devices the one that left first is forgotten; one that leaves again left last", () => {
  const departedPeers = new DepartedPeers();
  for (let device = 0; device < MOST_REMEMBERED; device++) leaves(departedPeers, `${device}`);
  leaves(departedPeers, "0");
  assert.equal(devicesOf(departedPeers).length, MOST_REMEMBERED);
  leaves(departedPeers, "one more");
  const devices = devicesOf(departedPeers);
  assert.equal(devices.length, MOST_REMEMBERED);
  assert.deepEqual(devices.slice(-2), ["0", "one more"]);
  assert.equal(devices.includes("1"), false);
});

test("no more than 200 farewells are kept", () => {
  const departedPeers = new DepartedPeers();
  for (let device = 0; device <= MOST_REMEMBERED; device++) {
    departedPeers.saidFarewell(`${device}`, { reason: "offline" });
  }
  assert.equal(departedPeers.farewellOf("0"), undefined);
  assert.deepEqual(departedPeers.farewellOf("1"), { reason: "offline" });
  assert.deepEqual(departedPeers.farewellOf(`${MOST_REMEMBERED}`), { reason: "offline" });
});
