import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, networkOf, parseAddress } from "../../../src/api/addresses.ts";

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

test("what is no address is refused with what was expected", () => {
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
  fc.assert(
    fc.property(fc.ipV6(), (host) => {
      assert.match(networkOf(host), /^([0-9a-f]{1,4}:){3}[0-9a-f]{1,4}::\/64$|^\d+\.\d+\.\d+\.\d+$/);
    }),
  );
});
