import assert from "node:assert/strict";
import { test } from "node:test";
import { wayOf } from "../../../web/src/state/ways.ts";

test("private addresses are of the same network, others are direct", () => {
  assert.deepEqual(
    ["192.168.1.7:6881", "10.0.0.2:1", "172.20.0.1:1", "172.40.0.1:1", "203.0.113.9:80"].map(wayOf),
    ["same-network", "same-network", "same-network", "direct", "direct"],
  );
});

test("IPv6 hosts are read from their brackets, and mapped IPv4 addresses as IPv4", () => {
  assert.deepEqual(
    [
      "[fe80::1]:6881",
      "[fd12::1]:1",
      "[2001:db8::1]:1",
      "[::ffff:192.168.0.3]:1",
      "[::1]:1",
      "fd.example:1",
    ].map(wayOf),
    ["same-network", "same-network", "direct", "same-network", "same-machine", "direct"],
  );
});

test("one that is not connected has no way", () => {
  assert.equal(wayOf(""), undefined);
});
