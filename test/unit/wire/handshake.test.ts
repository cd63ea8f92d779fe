import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeHandshake, encodeHandshake, makePeerId } from "../../../src/wire/handshake.ts";

const infoHash = "0123456789abcdef0123456789abcdef01234567";
const peerId = makePeerId(new Uint8Array(12).fill(7));

describe("handshake", () => {
  it("has the bytes of BEP 3, with the bits of BEP 6 and BEP 10", () => {
    const bytes = encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true });
    assert.equal(Buffer.from(bytes.subarray(0, 20)).toString("latin1"), "\x13BitTorrent protocol");
    assert.equal(bytes.subarray(20, 28).toHex(), "0000000000100004");
    assert.equal(bytes.subarray(28, 48).toHex(), infoHash);
    assert.equal(Buffer.from(bytes.subarray(48, 56)).toString("latin1"), "-MT0100-");
    assert.equal(bytes.length, 68);
  });

  it("gives what went in", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.uint8Array({ minLength: 20, maxLength: 20 }),
        (fast, ext, id) => {
          const handshake = { infoHash, peerId: id, supportsFast: fast, supportsExtensions: ext };
          assert.deepEqual(decodeHandshake(encodeHandshake(handshake)), handshake);
        },
      ),
    );
  });

  it("refuses whatever is not one", () => {
    const good = encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true });
    for (let at = 0; at < 20; at++) {
      const bad = good.slice();
      bad[at] = (bad[at] ?? 0) ^ 1;
      assert.throws(() => decodeHandshake(bad), { code: "MALFORMED_MESSAGE" });
    }
    assert.throws(() => decodeHandshake(good.subarray(0, 67)), { code: "MALFORMED_MESSAGE" });
    assert.throws(() => makePeerId(new Uint8Array(11)), { code: "INTERNAL" });
  });
});
