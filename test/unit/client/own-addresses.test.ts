import assert from "node:assert/strict";
import { test } from "node:test";
import { type AddressChange, OwnAddresses } from "../../../src/client/own-addresses.ts";

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
