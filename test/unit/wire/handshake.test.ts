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

  it("takes no byte too many, whatever the others say", () => {
    const good = encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true });
    assert.throws(() => decodeHandshake(Buffer.concat([good, Uint8Array.of(0)])), {
      code: "MALFORMED_MESSAGE",
    });
    for (let at = 20; at < 68; at++) {
      const other = good.slice();
      other[at] = (other[at] ?? 0) ^ 0xff;
      const decoded = decodeHandshake(other);
      assert.equal(decoded.supportsExtensions, at !== 25, `byte ${at}`);
      assert.equal(decoded.supportsFast, at !== 27, `byte ${at}`);
      assert.equal(decoded.infoHash === infoHash, at < 28 || at >= 48, `byte ${at}`);
      assert.equal(Buffer.compare(decoded.peerId, peerId) === 0, at < 48, `byte ${at}`);
    }
  });

  it("is not made of what is no info-hash, or no peer id", () => {
    for (const wrong of [
      { infoHash: infoHash.slice(1) },
      { infoHash: `${infoHash}0` },
      { infoHash: infoHash.toUpperCase() },
      { peerId: peerId.slice(1) },
      { peerId: new Uint8Array(21) },
    ]) {
      const handshake = { infoHash, peerId, supportsFast: true, supportsExtensions: true, ...wrong };
      assert.throws(() => encodeHandshake(handshake), { code: "INTERNAL" });
    }
    assert.throws(() => makePeerId(new Uint8Array(13)), { code: "INTERNAL" });
    assert.equal(Buffer.from(peerId.subarray(8)).toString("hex"), "07".repeat(12));
    assert.equal(peerId.length, 20);
  });

  it("keeps nothing of the bytes that it was read from", () => {
    const bytes = encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true });
    const decoded = decodeHandshake(bytes);
    bytes.fill(0);
    assert.deepEqual(decoded.peerId, peerId);
  });
});
