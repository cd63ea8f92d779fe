import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AddressChange,
  OwnAddresses,
  outsideAddresses,
  readAddresses,
} from "../../../src/engine/own-addresses.ts";

test("an address is lost when it is missing twice, and gained when it is seen", (t) => {
  let now = new Set(["127.0.0.1", "192.0.2.1"]);
  const changes: AddressChange[] = [];
  const watch = new OwnAddresses({ read: () => now, onChange: (change) => changes.push(change) });
  t.after(() => watch.close());
  watch.look();
  now = new Set(["127.0.0.1"]);
  watch.look();
  now = new Set(["127.0.0.1", "192.0.2.1"]);
  watch.look();
  assert.deepEqual(changes, [], "it was away for a moment");
  now = new Set(["127.0.0.1", "192.0.2.7"]);
  watch.look();
  watch.look();
  watch.look();
  assert.deepEqual(changes, [
    { lost: new Set(), gained: new Set(["192.0.2.7"]) },
    { lost: new Set(["192.0.2.1"]), gained: new Set() },
  ]);
});

test("this machine's addresses are read, loopback among them", (t) => {
  const changes: AddressChange[] = [];
  const watch = new OwnAddresses({ onChange: (change) => changes.push(change) });
  t.after(() => watch.close());
  watch.look();
  watch.look();
  assert.deepEqual(changes, []);
});

test("the addresses are looked at every second, by a timer that keeps no process alive, until it is closed", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let reads = 0;
  const read = () => {
    reads++;
    return new Set<string>();
  };
  const watch = new OwnAddresses({ read, onChange: () => assert.fail("nothing is different") });
  t.mock.timers.tick(1_000);
  t.mock.timers.tick(1_000);
  assert.equal(reads, 3, "at first, and twice");
  watch.close();
  t.mock.timers.tick(5_000);
  assert.equal(reads, 3);
});

test("a process does not stay for the sake of its addresses", (t) => {
  const made = t.mock.method(globalThis, "setInterval");
  const watch = new OwnAddresses({ read: () => new Set(), onChange: () => undefined });
  t.after(() => watch.close());
  assert.equal(made.mock.calls[0]?.result?.hasRef(), false);
});

test("loopback is an address of this machine, and none that others reach", () => {
  const all = readAddresses();
  assert.ok(all.has("127.0.0.1"));
  const outside = outsideAddresses();
  assert.deepEqual(
    outside.filter((host) => host === "127.0.0.1" || host === "::1" || !all.has(host)),
    [],
  );
});
