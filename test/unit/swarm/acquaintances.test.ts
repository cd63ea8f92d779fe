// Departed peers: what is remembered of them, of how many, and until when.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Acquaintances } from "../../../src/swarm/acquaintances.ts";
import { PieceSet } from "../../../src/swarm/piece-set.ts";

const MOST_REMEMBERED = 200;

function leaves(acquaintances: Acquaintances, deviceId: string, has = new PieceSet(8), leftAtMs = 0): void {
  acquaintances.left({ userId: "bob", deviceId, has, leftAtMs });
}

const devicesOf = (acquaintances: Acquaintances): string[] =>
  [...acquaintances.gone()].map(({ deviceId }) => deviceId);

test("a departed device is remembered with what it had and when it left, until it comes back", () => {
  const acquaintances = new Acquaintances();
  const full = PieceSet.full(8);
  leaves(acquaintances, "b0b", full, 5000);
  assert.deepEqual(
    [...acquaintances.gone()],
    [{ userId: "bob", deviceId: "b0b", has: full, leftAtMs: 5000 }],
  );
  assert.equal(acquaintances.wasComplete("b0b"), true);
  acquaintances.cameBack("b0b");
  assert.deepEqual(devicesOf(acquaintances), []);
  assert.equal(acquaintances.wasComplete("b0b"), false);
});

test("a device that lacked a piece, or was never here, was not complete", () => {
  const acquaintances = new Acquaintances();
  const all = PieceSet.full(8);
  all.remove(3);
  leaves(acquaintances, "b0b", all);
  assert.equal(acquaintances.wasComplete("b0b"), false);
  assert.equal(acquaintances.wasComplete("ca201"), false);
});

test("a farewell is remembered, also from a device that never said what it has, until it comes back", () => {
  const acquaintances = new Acquaintances();
  acquaintances.saidFarewell("b0b", { reason: "paused" });
  assert.deepEqual(acquaintances.farewellOf("b0b"), { reason: "paused" });
  acquaintances.saidFarewell("b0b", { reason: "offline" });
  assert.deepEqual(acquaintances.farewellOf("b0b"), { reason: "offline" });
  assert.deepEqual(devicesOf(acquaintances), []);
  acquaintances.cameBack("b0b");
  assert.equal(acquaintances.farewellOf("b0b"), undefined);
});

test("of more than 200 devices the one that left first is forgotten; one that leaves again left last", () => {
  const acquaintances = new Acquaintances();
  for (let device = 0; device < MOST_REMEMBERED; device++) leaves(acquaintances, `${device}`);
  leaves(acquaintances, "0");
  assert.equal(devicesOf(acquaintances).length, MOST_REMEMBERED);
  leaves(acquaintances, "one more");
  const devices = devicesOf(acquaintances);
  assert.equal(devices.length, MOST_REMEMBERED);
  assert.deepEqual(devices.slice(-2), ["0", "one more"]);
  assert.equal(devices.includes("1"), false);
});

test("no more than 200 farewells are kept", () => {
  const acquaintances = new Acquaintances();
  for (let device = 0; device <= MOST_REMEMBERED; device++) {
    acquaintances.saidFarewell(`${device}`, { reason: "offline" });
  }
  assert.equal(acquaintances.farewellOf("0"), undefined);
  assert.deepEqual(acquaintances.farewellOf("1"), { reason: "offline" });
  assert.deepEqual(acquaintances.farewellOf(`${MOST_REMEMBERED}`), { reason: "offline" });
});
