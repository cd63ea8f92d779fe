import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import bencode from "bencode";
import fc from "fast-check";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { checkFileName } from "../../../src/metainfo/file-name.ts";
import {
  decodeMetainfo,
  encodeMetainfo,
  pieceHash,
  requireSingleFile,
} from "../../../src/metainfo/metainfo.ts";

const parts = {
  fileName: "film.mkv",
  lengthBytes: 300_000,
  pieceLengthBytes: 2 ** 18,
  pieceHashes: Uint8Array.from({ length: 40 }, (_, i) => i),
  sha1: "0123456789abcdef0123456789abcdef01234567",
  authorityPem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
};

test("metainfo comes back as it was made, and its info-hash is the SHA-1 of its bytes", () => {
  const made = encodeMetainfo(parts);
  const read = decodeMetainfo(made.info);
  assert.equal(read.infoHash, createHash("sha1").update(made.info).digest("hex"));
  assert.equal(read.fileName, parts.fileName);
  assert.equal(read.geometry.lengthBytes, parts.lengthBytes);
  assert.equal(requireSingleFile(read).sha1, parts.sha1);
  assert.equal(read.authorityPem, parts.authorityPem);
  assert.deepEqual([...pieceHash(read, 1)], [...parts.pieceHashes.subarray(20)]);
});

test("it is a private v1 info dictionary with its keys in order, as BEP 3 asks", () => {
  const text = Buffer.from(encodeMetainfo(parts).info).toString("latin1");
  const keys = ["6:length", "4:name", "12:piece length", "6:pieces", "7:privatei1e", "4:sha1", "8:ssl-cert"];
  const places = keys.map((key) => text.indexOf(key));
  assert.ok(places.every((place) => place > 0));
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
});

test("names that could leave the folder, or that a system reserves, are refused", () => {
  for (const name of [
    "",
    ".",
    "..",
    "...",
    ".. ",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\u2028b",
    "a\u2029b",
    "a\u007fb",
    "CON",
    "nul.txt",
    "prn",
    "AUX.tar.gz",
    "com1",
    "Com\u00b9.txt",
    "lpt9.txt",
    "é".repeat(128),
    "\ud800",
    "Zoe\u0308",
    ".minitorrentignore",
  ]) {
    assert.throws(() => checkFileName(name), { code: "INVALID_ARGUMENT" }, JSON.stringify(name));
  }
  for (const name of [
    "-rf",
    "two words.txt",
    "...a",
    "console",
    "com",
    "coma.txt",
    "lpt.txt",
    "x con",
    "a.",
    "é".repeat(127),
    `${"é".repeat(127)}x`,
    "‮gpj.exe",
  ])
    checkFileName(name);
});

test("a dictionary that does not fit together is refused, whatever is wrong with it", () => {
  const good = bencode.decode(Buffer.from(encodeMetainfo(parts).info));
  for (const change of [
    { length: 2 ** 60 },
    { length: -1 },
    { length: "many" },
    { length: 1 },
    { "piece length": 1000 },
    { pieces: Buffer.alloc(39) },
    { pieces: 7 },
    { sha1: Buffer.alloc(19) },
    { sha1: Buffer.alloc(21) },
    { pieces: Buffer.alloc(60) },
    { private: 2 },
    { private: 0 },
    { name: "../x" },
    { name: "Zoe\u0308" },
    { name: Buffer.of(0xff, 0xfe) },
    { "ssl-cert": 3 },
  ]) {
    const info = bencode.encode({ ...good, ...change });
    assert.throws(() => decodeMetainfo(info), { code: "MALFORMED_MESSAGE" }, JSON.stringify(change));
  }
});

test("whatever bytes come, the answer is metainfo or one clear error", () => {
  const whole = Buffer.from(encodeMetainfo(parts).info);
  const cut = fc.tuple(fc.nat(whole.length), fc.uint8Array({ maxLength: 20 }), fc.nat(whole.length));
  const mutated = cut.map(([at, bytes, to]) =>
    Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(to)]),
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
      try {
        decodeMetainfo(bytes);
      } catch (error) {
        assert.ok(error instanceof MiniTorrentError, String(error));
      }
    }),
    { numRuns: 500 },
  );
  for (const bomb of [
    "l".repeat(200_000),
    "d".repeat(200_000),
    "d1:al-3:ee",
    "d1:ai-e",
    "d9:__proto__d7:privatei1eee",
  ]) {
    assert.throws(() => decodeMetainfo(Buffer.from(bomb)), { code: "MALFORMED_MESSAGE" });
  }
});

test("a dictionary that lacks a field is refused, and says which", () => {
  const good = bencode.decode(Buffer.from(encodeMetainfo(parts).info));
  for (const field of Object.keys(good)) {
    const { [field]: _, ...rest } = good;
    const info = bencode.encode(rest);
    assert.throws(
      () => decodeMetainfo(info),
      { code: "MALFORMED_MESSAGE", message: new RegExp(field) },
      field,
    );
  }
  assert.throws(() => decodeMetainfo(bencode.encode({ ...good, length: 2 ** 41 + 1 })), {
    message: /its length of 2199023255553 bytes/,
  });
});

test("a refused name or text keeps what was wrong with it", () => {
  const good = bencode.decode(Buffer.from(encodeMetainfo(parts).info));
  for (const [change, cause] of [
    [{ name: "../x" }, /path separator/],
    [{ "ssl-cert": Buffer.of(0xff, 0xfe) }, /valid|encoded/],
  ] as const) {
    assert.throws(
      () => decodeMetainfo(bencode.encode({ ...good, ...change })),
      (error) => error instanceof MiniTorrentError && cause.test(String(error.cause)),
    );
  }
});

test("the hash of each piece is its own twenty bytes", () => {
  const read = decodeMetainfo(encodeMetainfo(parts).info);
  assert.deepEqual([...pieceHash(read, 0)], [...parts.pieceHashes.subarray(0, 20)]);
  assert.equal(pieceHash(read, 2).length, 0);
  assert.deepEqual([read.geometry.pieceLengthBytes, read.geometry.pieceCount], [2 ** 18, 2]);
});

test("the same content under another name, or in another group, has another info-hash", () => {
  const hashOf = (change: Partial<typeof parts>): string => encodeMetainfo({ ...parts, ...change }).infoHash;
  assert.equal(hashOf({}), hashOf({}));
  assert.equal(
    new Set([hashOf({}), hashOf({ fileName: "film 2" }), hashOf({ authorityPem: "other" })]).size,
    3,
  );
});
