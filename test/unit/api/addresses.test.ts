import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress } from "../../../src/api/addresses.ts";

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
