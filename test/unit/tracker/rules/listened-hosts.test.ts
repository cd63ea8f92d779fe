import assert from "node:assert/strict";
import { test } from "node:test";
import { listenedHosts } from "../../../../src/tracker/rules/listened-hosts.ts";

test("a client listens where it connects from, unless it says otherwise; what it adds comes after that", () => {
  assert.deepEqual(listenedHosts("192.0.2.1", {}), ["192.0.2.1"]);
  assert.deepEqual(listenedHosts("2001:db8::1", { otherHosts: ["192.168.1.5"] }), [
    "2001:db8::1",
    "192.168.1.5",
  ]);
  assert.deepEqual(listenedHosts("2600::1", { listensHere: false, otherHosts: ["192.168.1.5"] }), [
    "192.168.1.5",
  ]);
  assert.deepEqual(listenedHosts("8.8.4.4", { listensHere: false }), []);
});

test("the same address in another form is one address", () => {
  assert.deepEqual(listenedHosts("10.0.0.1", { otherHosts: ["::ffff:10.0.0.1", "FD00:0::1"] }), [
    "10.0.0.1",
    "fd00::1",
  ]);
});

test("nobody makes others dial a third party, their own machines, or their links", () => {
  for (const host of [
    ...["8.8.8.8", "1.1.1.1", "2600::1", "2a00:1450::1", "172.32.0.1", "11.0.0.1", "::ffff:8.8.8.8"],
    ...["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0.0.0.0", "::", "0.1.2.3"],
    ...[
      "169.254.169.254",
      "fe80::1",
      "fe80::1%eth0",
      "fd00::1%eth0",
      "224.0.0.1",
      "255.255.255.255",
      "ff02::1",
    ],
    ...["64:ff9b::808:808", "2002:808:808::", "2001:0:808:808::", "::8.8.8.8"],
  ]) {
    assert.deepEqual(listenedHosts("10.0.0.1", { otherHosts: [host] }), ["10.0.0.1"], host);
  }
});

test("on the tracker's own machine loopback may be named", () => {
  assert.deepEqual(listenedHosts("::1", { listensHere: false, otherHosts: ["127.0.0.1"] }), ["127.0.0.1"]);
  assert.deepEqual(listenedHosts("127.0.0.1", { otherHosts: ["::1", "169.254.169.254", "8.8.8.8"] }), [
    "127.0.0.1",
    "::1",
  ]);
});

test("both ends of each private network may be named, and no address beside it", () => {
  const named = (host: string) =>
    listenedHosts("8.8.4.4", { listensHere: false, otherHosts: [host] }).length === 1;
  for (const [before, first, last, after] of [
    ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"],
    ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"],
    ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"],
    ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"],
    ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"],
    ["198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"],
    ["198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"],
    ["203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"],
    ["fbff::1", "fc00::", "fdff::1", "fe00::"],
    ["2001:db7:ffff::1", "2001:db8::1", "2001:db8:ffff::1", "2001:db9::"],
    ["3ffe:ffff::1", "3fff::1", "3fff:fff::1", "3fff:1000::1"],
  ] as const) {
    assert.deepEqual([before, first, last, after].map(named), [false, true, true, false], first);
  }
});

test("a client that comes from a link-local address is named with its zone, and on loopback all of it is named", () => {
  assert.deepEqual(listenedHosts("fe80::1%eth0", { otherHosts: ["127.0.0.1"] }), ["fe80::1%eth0"]);
  assert.deepEqual(listenedHosts("127.0.0.1", { otherHosts: ["127.9.9.9"] }), ["127.0.0.1", "127.9.9.9"]);
});
