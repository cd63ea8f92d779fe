import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { TrackerAddress } from "../../../../src/api/addresses.ts";
import { TrackerTrust } from "../../../../src/client/trackers/tracker-trust.ts";
import { PinStore } from "../../../../src/identity/pins.ts";

const [keyOfOne, keyOfTwo, anotherKey] = ["a".repeat(64), "b".repeat(64), "c".repeat(64)];
const one: TrackerAddress = { host: "192.0.2.1", port: 9001 };
const two: TrackerAddress = { host: "192.0.2.2", port: 9002 };
const UNKNOWN = { code: "TRACKER_KEY_UNKNOWN" };
const CHANGED = { code: "TRACKER_KEY_CHANGED" };

function scene(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "trust-"));
  const pins = new PinStore(join(folder, "pins.sqlite"));
  t.after(() => {
    pins.close();
    rmSync(folder, { recursive: true });
  });
  const told: string[] = [];
  const trustIn = (...trackers: TrackerAddress[]) =>
    new TrackerTrust({ trackers, pins, onFirstTrust: (tracker, key) => told.push(`${tracker} ${key}`) });
  return { pins, told, trustIn };
}

test("one tracker is trusted at first contact, and the person is told its key; a second one is not", (t) => {
  const { told, trustIn } = scene(t);
  const trust = trustIn(one, two);
  trust.check(one, keyOfOne);
  trust.check(two, keyOfTwo); // nothing is in use yet
  trust.accept(one, keyOfOne);
  trust.accept(one, keyOfOne);
  assert.deepEqual(told, [`192.0.2.1:9001 ${keyOfOne}`]);
  assert.throws(() => trust.check(two, keyOfTwo), UNKNOWN);
  assert.throws(() => trust.accept(two, keyOfTwo), UNKNOWN);
  assert.throws(() => trust.check(one, anotherKey), CHANGED);
});

test("a key that a trusted tracker vouches for is accepted, for as long as it vouches, and pinned once it is in use", (t) => {
  const { pins, told, trustIn } = scene(t);
  const trust = trustIn(one, two);
  trust.accept(one, keyOfOne);
  trust.vouchedFor(keyOfOne, [keyOfOne, keyOfTwo]);
  trust.vouchedFor(anotherKey, [anotherKey]); // of no tracker that is trusted
  assert.deepEqual(pins.vouchersOf(anotherKey), [], "nor once it is");
  trust.check(two, keyOfTwo);
  assert.throws(() => trust.check(two, anotherKey), UNKNOWN);
  trust.vouchedFor(keyOfOne, [keyOfOne]);
  assert.throws(() => trust.check(two, keyOfTwo), UNKNOWN);
  trust.vouchedFor(keyOfOne, [keyOfOne, keyOfTwo]);
  trust.accept(two, keyOfTwo);
  trust.vouchedFor(keyOfOne, [keyOfOne, anotherKey]);
  trust.check(two, keyOfTwo);
  assert.throws(() => trust.check(two, anotherKey), CHANGED);
  assert.equal(told.length, 1);
});

test("a line that pins a key counts as trust, and stands above what a tracker vouches for", (t) => {
  const { told, trustIn } = scene(t);
  const pinnedOne = { ...one, fingerprint: keyOfOne.toUpperCase() };
  const trust = trustIn(pinnedOne, two);
  assert.throws(() => trust.check(two, keyOfTwo), UNKNOWN);
  trust.vouchedFor(keyOfOne, [keyOfTwo]);
  trust.check(two, keyOfTwo);
  const bothPinned = trustIn(pinnedOne, { ...two, fingerprint: anotherKey });
  assert.throws(() => bothPinned.check({ ...two, fingerprint: anotherKey }, keyOfTwo), CHANGED);
  bothPinned.accept({ ...two, fingerprint: anotherKey }, anotherKey);
  assert.deepEqual(told, []);
});

test("trackers of another tracker file vouch for nobody in this one, and keep nobody out", (t) => {
  const { told, trustIn } = scene(t);
  const elsewhere: TrackerAddress = { host: "192.0.2.3", port: 9003 };
  trustIn(elsewhere).accept(elsewhere, anotherKey);
  trustIn(elsewhere).vouchedFor(anotherKey, [keyOfTwo]);
  const trust = trustIn(one, two);
  trust.accept(one, keyOfOne);
  assert.equal(told.length, 2);
  assert.throws(() => trust.check(two, keyOfTwo), UNKNOWN);
});

test("a second line of a tracker that is trusted is accepted", (t) => {
  const { trustIn } = scene(t);
  const trust = trustIn(one, two);
  trust.accept(one, keyOfOne);
  trust.check(two, keyOfOne);
  trust.accept(two, keyOfOne);
  assert.throws(() => trust.check(two, keyOfTwo), CHANGED);
});

test("keys of an invite are trusted before the first contact, which is no blind one then", (t) => {
  const { pins, told, trustIn } = scene(t);
  const trust = trustIn({ host: "Tracker.example", port: 9001 }, two);
  trust.introduce([{ host: "tracker.example.", port: 9001, fingerprint: keyOfOne }, two]);
  assert.equal(pins.get("Tracker.example:9001"), keyOfOne);
  assert.throws(() => trust.check({ host: "Tracker.example", port: 9001 }, anotherKey), CHANGED);
  trust.accept({ host: "Tracker.example", port: 9001 }, keyOfOne);
  assert.deepEqual(told, [], "nobody has to compare it");
  assert.throws(() => trust.check(two, keyOfTwo), UNKNOWN, "the invite had no key of it");
});

test("a client that trusts a tracker takes no other key from an invite", (t) => {
  const { pins, trustIn } = scene(t);
  const trust = trustIn(one, two);
  trust.accept(one, keyOfOne);
  trust.introduce([
    { ...one, fingerprint: keyOfOne },
    { ...two, fingerprint: anotherKey },
  ]);
  assert.equal(pins.get("192.0.2.2:9002"), undefined);
  assert.throws(() => trust.check(two, anotherKey), UNKNOWN);
});

test("an invite for other trackers is refused with both lists; one tracker that both name, by address or key, is enough", (t) => {
  const { pins, trustIn } = scene(t);
  const trust = trustIn(one);
  const elsewhere = { host: "198.51.100.1", port: 9000 };
  const refused = {
    code: "OTHER_TRACKERS",
    message: /for the trackers 198\.51\.100\.1:9000, and this client uses 192\.0\.2\.1:9001: /,
  };
  assert.throws(() => trust.introduce([{ ...elsewhere, fingerprint: keyOfOne }]), refused);
  assert.throws(() => trust.introduce([{ ...one, port: 9 }]), { code: "OTHER_TRACKERS" });
  trust.introduce([elsewhere, one]);
  assert.equal(pins.get("192.0.2.1:9001"), undefined, "it had no key");
  trust.accept(one, keyOfOne);
  trust.introduce([{ ...elsewhere, fingerprint: keyOfOne }]);
  assert.throws(() => trust.introduce([{ ...elsewhere, fingerprint: keyOfTwo }]), refused);
});

test("an invite that knows a tracker by another key than this client is refused, and changes nothing", (t) => {
  const { pins, trustIn } = scene(t);
  trustIn(one).accept(one, keyOfOne);
  for (const own of [one, { ...one, fingerprint: keyOfOne.toUpperCase() }]) {
    const trust = trustIn(own, two);
    assert.throws(() => trust.introduce([{ ...one, fingerprint: anotherKey }]), {
      code: "TRACKER_KEY_CHANGED",
      message:
        /The invite says that the tracker at 192\.0\.2\.1:9001 has the key sha256:c{64}, and this client knows it by sha256:a{64}/,
    });
    trust.introduce([{ ...one, fingerprint: keyOfOne }]);
  }
  assert.equal(pins.get("192.0.2.1:9001"), keyOfOne);
});
