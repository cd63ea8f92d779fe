import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  canonicalHost,
  checkHost,
  formatAddress,
  networkOf,
  parseAddress,
  parsePort,
  plainHost,
} from "../../../src/api/addresses.ts";

test("addresses are read as they are written, IPv6 in brackets", () => {
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(
    fc.property(hosts, fc.integer({ min: 1, max: 65535 }), (host, port) => {
      assert.deepEqual(parseAddress(formatAddress({ host, port })), { host, port });
    }),
  );
});

test("port 0 is an address only where any port will do", () => {
  assert.deepEqual(parseAddress("127.0.0.1:0", true), { host: "127.0.0.1", port: 0 });
  assert.throws(() => parseAddress("127.0.0.1:0"), { code: "INVALID_ADDRESS" });
});

test("a text that is no address is refused with what was expected", () => {
  for (const text of [
    "",
    "127.0.0.1",
    "127.0.0.1:",
    ":9000",
    "::1:9000",
    "[::1]",
    "300.1.1.1:1",
    "a b:1",
    "h:70000",
    "h:65536",
    "h:0",
    "h:1x",
    "[127.0.0.1]:1",
  ]) {
    assert.throws(() => parseAddress(text), { code: "INVALID_ADDRESS" }, text);
  }
});

test("an IPv4 address is its own network, however it came; of an IPv6 address the first 64 bits are", () => {
  assert.equal(networkOf("192.0.2.1"), "192.0.2.1");
  assert.equal(networkOf("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(networkOf("2001:db8:0:1:2::3"), "2001:db8:0:1::/64");
  assert.equal(networkOf("2001:DB8:0:1::"), networkOf("2001:db8::1:ffff:0:0:1"));
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
  assert.equal(networkOf("::ffff:192.0.2.1%eth0"), "192.0.2.1");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  fc.assert(
    fc.property(fc.ipV6(), (host) => {
      assert.match(networkOf(host), /^([0-9a-f]{1,4}:){3}[0-9a-f]{1,4}::\/64$|^\d+\.\d+\.\d+\.\d+$/);
    }),
  );
});

test("a port is 1 to 65535, and 0 where any will do", () => {
  assert.deepEqual([parsePort("1"), parsePort("65535"), parsePort("0", true)], [1, 65_535, 0]);
  for (const text of ["0", "65536", "", "-1", "1.5", "000001", " 1"]) {
    assert.throws(
      () => parsePort(text),
      { code: "INVALID_ADDRESS", message: /is not a port: 1 to 65535/ },
      text,
    );
  }
  assert.throws(() => parsePort("65536", true), { message: /is not a port: 0 to 65535/ });
});

test("a host is an IP address or a name of DNS's lengths", () => {
  const label = "a".repeat(63);
  const longest = `${label}.${label}.${label}.${"a".repeat(61)}`;
  for (const host of ["a", "_srv.example.org", "example.org.", "::1", "192.0.2.1", label, longest])
    checkHost(host);
  for (const host of [
    "",
    "-a",
    "a..b",
    ".",
    "192.0.2",
    "1.2.3.4.5",
    `${label}a`,
    `a.${label}a`,
    `${longest}a`,
    "a b",
  ]) {
    assert.throws(() => checkHost(host), { code: "INVALID_ADDRESS" }, host);
  }
  checkHost("::1", true);
  for (const host of ["192.0.2.1", "example.org"]) assert.throws(() => checkHost(host, true), host);
});

test("one host has one canonical form", () => {
  for (const [host, canonical] of [
    ["LOCALHOST", "localhost"],
    ["Example.ORG.", "example.org"],
    [".", "."],
    ["192.0.2.1", "192.0.2.1"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::FFFF:127.0.0.1", "127.0.0.1"],
    ["::ffff:c0a8:102", "192.168.1.2"],
    ["fe80::1%ETH0", "fe80::1%eth0"],
    ["::1", "::1"],
  ] as const) {
    assert.equal(canonicalHost(host), canonical);
  }
});

test("an IPv4 address on an IPv6 socket is plain IPv4; nothing else changes", () => {
  for (const prefix of ["::ffff:", "::FFFF:"]) assert.equal(plainHost(`${prefix}192.0.2.1`), "192.0.2.1");
  for (const host of [
    "192.0.2.1",
    "::ffff:c000:201",
    "2001:db8::1",
    "64::ffff:192.0.2.1",
    "::ffff:192.0.2.1x",
    "",
  ]) {
    assert.equal(plainHost(host), host);
  }
});
