import assert from "node:assert/strict";
import { describe, it } from "node:test";
import bencode from "bencode";
import fc from "fast-check";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { decodeExtensionHandshake, encodeExtensionHandshake } from "../../../src/wire/extensions.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** So many extensions, as the inside of a dictionary. */
function extensions(count: number): string {
  return Array.from({ length: count }, (_, at) => `2:${String(at).padStart(2, "0")}i${at + 1}e`).join("");
}

describe("extension handshake", () => {
  it("gives what went in", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.stringMatching(/^[a-z_]{1,12}$/).filter((name) => name !== "__proto__"),
          { maxLength: 5 },
        ),
        fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
        fc.option(fc.stringMatching(/^[\w /.é]{1,20}$/u), { nil: undefined }),
        fc.option(fc.boolean(), { nil: undefined }),
        fc.option(fc.boolean(), { nil: undefined }),
        (names, listenPort, requestLimit, clientName, isUploadOnly, isReading) => {
          const extensionIds = new Map(names.map((name, at) => [name, at + 1]));
          const state = {
            ...(isUploadOnly !== undefined && { isUploadOnly }),
            ...(isReading !== undefined && { isReading }),
          };
          const handshake = { extensionIds, listenPort, requestLimit, clientName, ...state };
          assert.deepEqual(decodeExtensionHandshake(encodeExtensionHandshake(handshake)), handshake);
        },
      ),
    );
  });

  it("reads another client's, and passes by what it does not know", () => {
    const theirs = bytes(
      "d12:complete_agoi1e1:md11:lt_donthavei7e11:ut_metadatai2e6:ut_pexi0ee13:metadata_sizei84e1:pi6881e" +
        "4:reqqi2000e1:v17:libtorrent/2.0.8\x076:yourip4:\x7f\x00\x00\x01e",
    );
    assert.deepEqual(decodeExtensionHandshake(theirs), {
      extensionIds: new Map([
        ["lt_donthave", 7],
        ["ut_metadata", 2],
      ]),
      listenPort: 6881,
      requestLimit: 2000,
      clientName: "libtorrent/2.0.8",
    });
    assert.equal(decodeExtensionHandshake(bytes("de")).listenPort, undefined);
  });

  for (const [what, text] of Object.entries({
    "nothing at all": "",
    "no dictionary": "li1ee",
    "a string of negative length, on which the library runs in circles": "d1:al-3:ee",
    "a length that leads out of it": "d1:a99:xe",
    "a length of many digits": `d1:a${"9".repeat(40)}:xe`,
    "a dictionary that does not end": "d1:ai1e",
    "a key without a value": "d1:ae",
    "a key that is a number": "di1ei1ee",
    "a number without digits": "d1:aiee",
    "a number that is a fraction": "d1:ai1.5ee",
    "something behind it": "dee",
    "a bomb of lists": `d1:a${"l".repeat(5000)}${"e".repeat(5000)}e`,
    "a port out of range": "d1:pi65536ee",
    "a negative port": "d1:pi-1ee",
    "a port that is text": "d1:p2:80e",
    "a reqq that is a list": "d4:reqqlee",
    "an m that is a list": "d1:mlee",
    "an id out of range": "d1:md1:ai256eee",
    "a name of client that is a number": "d1:vi1ee",
    "a name of client without end": `d1:v300:${"v".repeat(300)}e`,
    "too much of it": `d1:z17000:${"v".repeat(17000)}e`,
    "one byte too much of it": `d1:z16374:${"v".repeat(16_374)}e`,
    "a name of client of one byte too many": `d1:v257:${"v".repeat(257)}e`,
    "one extension too many": `d1:md${extensions(65)}ee`,
    "an id that is text": "d1:md1:a1:xee",
    "a negative id": "d1:md1:ai-1eee",
    "a negative reqq": "d4:reqqi-1ee",
  })) {
    it(`refuses ${what}`, () => {
      assert.throws(() => decodeExtensionHandshake(bytes(text)), { code: "MALFORMED_MESSAGE" });
    });
  }

  it("takes as much as may be said, and no less", () => {
    const most = decodeExtensionHandshake(
      bytes(`d1:md${extensions(63)}2:zzi255ee1:pi65535e4:reqqi9007199254740991e1:v256:${"v".repeat(256)}e`),
    );
    assert.equal(most.extensionIds.size, 64);
    assert.equal(most.extensionIds.get("zz"), 255);
    assert.deepEqual(
      [most.listenPort, most.requestLimit, most.clientName?.length],
      [65535, Number.MAX_SAFE_INTEGER, 256],
    );
    assert.equal(decodeExtensionHandshake(bytes(`d1:z16373:${"v".repeat(16_373)}e`)).clientName, undefined);
  });

  it("takes a port, a number of requests or an id of 0 for none", () => {
    assert.deepEqual(decodeExtensionHandshake(bytes("d1:md1:ai0ee1:pi0e4:reqqi0ee")), {
      extensionIds: new Map(),
      listenPort: undefined,
      requestLimit: undefined,
      clientName: undefined,
    });
  });

  it("is not led astray by a key named __proto__", () => {
    const decoded = decodeExtensionHandshake(bytes("d9:__proto__d1:pi80eee"));
    assert.equal(decoded.listenPort, undefined);
  });

  it("never throws anything but MALFORMED_MESSAGE", () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.integer(),
        fc.string(),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie("any"), { maxKeys: 3 }),
      ),
    })).any;
    const mutated = fc
      .tuple(
        fc.record({ m: value, p: value, reqq: value, v: value }, { requiredKeys: [] }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      )
      .map(([dictionary, changes]) => {
        const encoded = Uint8Array.from(bencode.encode(dictionary));
        for (const [at, changed] of changes) encoded[at % encoded.length] = changed;
        return encoded;
      });
    const beginning = fc.uint8Array({ maxLength: 60 }).map((tail) => Uint8Array.of(0x64, ...tail));
    fc.assert(
      fc.property(fc.oneof(mutated, beginning), (payload) => {
        try {
          decodeExtensionHandshake(payload);
        } catch (error) {
          assert.ok(error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE", String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
