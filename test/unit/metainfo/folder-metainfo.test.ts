import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import bencode from "bencode";
import fc from "fast-check";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { INFO_PART_BYTES, MAX_INFO_BYTES } from "../../../src/api/file-limits.ts";
import type { FolderEntry } from "../../../src/metainfo/file-layout.ts";
import { cutInfo, readPartEntries } from "../../../src/metainfo/info-parts.ts";
import {
  decodeMetainfo,
  decodeMetainfoInSlices,
  encodeFolderMetainfo,
  encodeMetainfo,
  type FolderMetainfo,
  requireSingleFile,
} from "../../../src/metainfo/metainfo.ts";
import { fileEntry, folderOf, layoutOf, linkEntry, PIECE_BYTES } from "./folders.ts";

const ENTRIES = [
  { ...fileEntry("bin/run", 10), isExecutable: true },
  linkEntry("bin/same", "bin/run"),
  fileEntry("empty", 0),
  fileEntry("film.mkv", 3 * PIECE_BYTES + 5),
  fileEntry("größe", PIECE_BYTES),
  fileEntry("small", 7),
];

const EMPTY_SHA1 = createHash("sha1").digest();

const shown = ({ sha1, ...entry }: FolderEntry) => ({
  linkTarget: undefined,
  ...entry,
  sha1: sha1 && Buffer.from(sha1).toString("hex"),
});

function readFolder(info: Uint8Array): FolderMetainfo {
  const metainfo = decodeMetainfo(info);
  assert.ok(metainfo.kind === "folder");
  return metainfo;
}

const entriesOf = ({ layout }: FolderMetainfo) =>
  Array.from({ length: layout.fileCount }, (_, fileIndex) => layout.entryOf(fileIndex));

/** The entries as the library reads them, to be changed and written again. */
type RawEntry = Record<string, unknown>;
const { info: GOOD } = await folderOf(ENTRIES);

function rewritten(change: (files: RawEntry[], info: RawEntry) => void): Uint8Array {
  const info = bencode.decode(Buffer.from(GOOD)) as RawEntry;
  change(info.files as RawEntry[], info);
  return bencode.encode(info);
}

test("a folder's metainfo comes back as it was made, and its info-hash is the SHA-1 of its bytes", () => {
  const read = readFolder(GOOD);
  assert.deepEqual(entriesOf(read).map(shown), ENTRIES.map(shown));
  assert.equal(read.infoHash, createHash("sha1").update(GOOD).digest("hex"));
  assert.deepEqual([read.fileName, read.geometry.pieceLengthBytes], ["folder", PIECE_BYTES]);
  assert.equal(read.geometry.contentBytes, 10 + 3 * PIECE_BYTES + 5 + PIECE_BYTES + 7);
  assert.equal(read.geometry.neededLengthOfPieceBytes(0), 10);
  assert.deepEqual([read.pieceHashes[0], read.pieceHashes.length / 20], [0, read.geometry.pieceCount]);
  assert.match(read.authorityPem, /^-----BEGIN/);
  assert.throws(() => requireSingleFile(read), { code: "NOT_A_FILE", message: /folder/ });
});

test("it is bencoded as BEP 3 and BEP 47 say: what a library writes of the same content is the same", () => {
  const sha1 = (index: number) => Buffer.from(ENTRIES[index]?.sha1 ?? []);
  const padding = (length: number) => ({ attr: "p", length, path: [".pad", String(length)] });
  const expected = bencode.encode({
    files: [
      { attr: "x", length: 10, path: ["bin", "run"], sha1: sha1(0) },
      { attr: "l", length: 0, path: ["bin", "same"], "symlink path": ["bin", "run"] },
      { length: 0, path: ["empty"], sha1: sha1(2) },
      padding(PIECE_BYTES - 10),
      { length: 3 * PIECE_BYTES + 5, path: ["film.mkv"], sha1: sha1(3) },
      padding(PIECE_BYTES - 5),
      { length: PIECE_BYTES, path: ["größe"], sha1: sha1(4) },
      { length: 7, path: ["small"], sha1: sha1(5) },
    ],
    name: "folder",
    "piece length": PIECE_BYTES,
    pieces: Uint8Array.from({ length: 7 * 20 }, (_, index) => index),
    private: 1,
    "ssl-cert": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
  });
  assert.equal(Buffer.from(GOOD).toString("latin1"), Buffer.from(expected).toString("latin1"));
});

test("the info-hash of a single file stays what it always was", () => {
  const { infoHash } = encodeMetainfo({
    ...{ fileName: "film.mkv", lengthBytes: 300_000, pieceLengthBytes: 2 ** 18, authorityPem: "PEM\n" },
    ...{ pieceHashes: Uint8Array.from({ length: 40 }, (_, index) => index), sha1: "01".repeat(20) },
  });
  assert.equal(infoHash, "230570f89fe33ac0a34de18ea0c6fc761e44697c");
});

test("any folder comes back from its metainfo, at once and in slices", async () => {
  const name = fc.string({ minLength: 1, maxLength: 8, unit: "grapheme" });
  const lengths = fc.oneof(fc.nat(50), fc.nat(3 * PIECE_BYTES), fc.constant(PIECE_BYTES));
  const files = fc.array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 3 }), lengths, fc.boolean()), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(files, async (all) => {
      const entries = all
        .map(([names, lengthBytes, isExecutable]) => ({
          ...fileEntry(names.join("/"), lengthBytes),
          isExecutable,
        }))
        .toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
      try {
        layoutOf(entries);
      } catch {
        // The paths are not such that a folder may have them; other tests say which.
        fc.pre(false);
      }
      const { info, infoHash } = await folderOf(entries);
      assert.deepEqual(entriesOf(readFolder(info)).map(shown), entries.map(shown));
      const inSlices = await decodeMetainfoInSlices(info, async () => undefined);
      assert.equal(inSlices.infoHash, infoHash);
    }),
  );
});

test("what is not the one form of a folder is refused, whatever is wrong with it", () => {
  const file = (files: RawEntry[], index: number): RawEntry => files[index] ?? {};
  const path =
    (...names: (string | Uint8Array)[]) =>
    (files: RawEntry[]) => {
      file(files, 2).path = names;
    };
  for (const [change, reason] of [
    [path("..", "x"), /"\.\.", which is no file name/],
    [path(), /no file name/],
    [path(""), /no file name/],
    [path("", "etc"), /absolute/],
    [path("a", "", "b"), /no file name/],
    [path("a/b"), /path separator/],
    [path("x".repeat(256)), /longer than 255 bytes/],
    [path("nul"), /reserved on Windows/],
    [path("docs", ".minitorrentignore"), /rules of what is not shared/],
    [path(Buffer.of(0x65, 0xff)), /not UTF-8/],
    [path(Buffer.of(0x65, 0xc3), Buffer.of(0xa9)), /not UTF-8/],
    [path("Empty", "x"), /order of bytes/],
    [path("bin"), /order of bytes/],
    [(files) => files.splice(3, 0, { ...file(files, 2) }), /two entries/],
    [(files) => files.reverse(), /order of bytes/],
    [(files) => (file(files, 7).path = ["Größe"]), /order of bytes/],
    [(files) => (file(files, 7).path = ["GRößE"]), /order of bytes/],
    [(files) => (file(files, 2).path = ["film.mkV"]), /"film.mkv" .* same as that of "film.mkV"/],
    [(files) => (file(files, 7).path = ["größe", "x"]), /"größe" .* both a file and a folder/],
    [
      (files) => (file(files, 1)["symlink path"] = ["", "etc"]),
      /link to "\/etc", and that is an absolute path/,
    ],
    [(files) => (file(files, 1)["symlink path"] = ["..", "x"]), /no file name/],
    [(files) => (file(files, 1)["symlink path"] = []), /no file name/],
    [(files) => (file(files, 1).length = 5), /no content/],
    [(files) => (file(files, 1).sha1 = Buffer.alloc(20)), /symlink path/],
    [(files) => delete file(files, 1)["symlink path"], /symlink path/],
    [(files) => (file(files, 0).attr = "h"), /attribute "h"/],
    [(files) => (file(files, 0).attr = "px"), /attribute "px"/],
    [(files) => (file(files, 0).sha1 = Buffer.alloc(19)), /sha1/],
    [(files) => delete file(files, 0).sha1, /sha1/],
    [(files) => (file(files, 2).sha1 = Buffer.alloc(20)), /empty file/],
    [(files) => (file(files, 0).md5sum = "x"), /"4:path"|"4:sha1/],
    [(files) => (file(files, 0).length = -1), /number/],
    [(files) => (file(files, 0).length = 2 ** 42), /2 TiB|bytes of padding/],
    [
      (files) => (file(files, 0).length = 11),
      /16374 bytes of padding before "film.mkv" instead of 16373|padding/,
    ],
    [(files) => (file(files, 3).length = 5), /path of its length/],
    [(files) => (file(files, 3).path = [".pad", "5"]), /path of its length/],
    [
      (files) => Object.assign(file(files, 3), { length: 5, path: [".pad", "5"] }),
      /5 bytes of padding .* instead of 16374/,
    ],
    [(files) => files.splice(3, 1), /0 bytes of padding .* instead of 16374/],
    [(files) => files.splice(3, 0, { ...file(files, 3) }), /in a row/],
    [
      (files) => files.splice(0, 0, { attr: "p", length: 5, path: [".pad", "5"] }),
      /5 bytes of padding before "bin\/run" instead of 0/,
    ],
    [
      (files) => files.splice(0, 0, { attr: "p", length: 0, path: [".pad", "0"] }),
      /padding where none belongs/,
    ],
    [(files) => files.push({ attr: "p", length: 5, path: [".pad", "5"] }), /padding where none belongs/],
    [(files) => (file(files, 3).sha1 = Buffer.alloc(20)), /"e"/],
    [(files) => files.splice(0), /no files/],
    [(_, info) => (info.name = "../x"), /name/],
    [(_, info) => (info.name = Buffer.of(0xff)), /UTF-8/],
    [(_, info) => (info["piece length"] = 1000), /power of two/],
    [(_, info) => (info["piece length"] = 0), /power of two/],
    [(_, info) => (info["piece length"] = 32 * 1024), /padding/],
    [(_, info) => (info.pieces = Buffer.alloc(20)), /20 bytes of hashes for 7 pieces/],
    [(_, info) => (info.private = 0), /7:private/],
    [(_, info) => delete info.private, /7:private/],
    [(_, info) => delete info["ssl-cert"], /ssl-cert/],
    [(_, info) => (info.length = 5), /"4:name"/],
    [(_, info) => (info.zzz = 5), /"e"/],
    [(_, info) => (info.attr = "x"), /of a folder's form/],
  ] as const satisfies [(files: RawEntry[], info: RawEntry) => unknown, RegExp][]) {
    const info = rewritten(change);
    assert.throws(() => decodeMetainfo(info), { code: "MALFORMED_MESSAGE", message: reason }, String(change));
  }
  const text = Buffer.from(GOOD).toString("latin1");
  for (const changed of [
    text.replace("i10e", "i010e"),
    text.replace("3:run", "03:run"),
    text.replace("i10e", "i-0e"),
    `${text}e`,
    text.replace("d4:attr1:x6:lengthi10e", "d6:lengthi10e4:attr1:x"),
    text.replace("3:run", "9999999:run"),
  ]) {
    assert.notEqual(changed, text);
    assert.throws(() => decodeMetainfo(Buffer.from(changed, "latin1")), { code: "MALFORMED_MESSAGE" });
  }
});

test("whatever bytes come, the answer is a folder or one clear error", () => {
  const whole = Buffer.from(GOOD);
  const cut = fc.tuple(fc.nat(whole.length), fc.uint8Array({ maxLength: 20 }), fc.nat(whole.length));
  fc.assert(
    fc.property(cut, ([at, bytes, to]) => {
      const mutated = Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(to)]);
      try {
        decodeMetainfo(mutated);
      } catch (error) {
        assert.ok(error instanceof MiniTorrentError && error.code === "MALFORMED_MESSAGE", String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("a folder of a million paths is refused once there are too many, not at their end", () => {
  const entry = Buffer.concat([
    Buffer.from("d6:lengthi0e4:pathl7:0000000e4:sha120:"),
    EMPTY_SHA1,
    Buffer.from("e"),
  ]);
  const count = 200_001;
  const list = Buffer.alloc(count * entry.length, entry);
  for (let index = 0; index < count; index++) {
    list.write(String(index).padStart(7, "0"), index * entry.length + entry.indexOf("0000000"));
  }
  assert.throws(() => decodeMetainfo(Buffer.concat([Buffer.from("d5:filesl"), list, Buffer.from("more")])), {
    code: "MALFORMED_MESSAGE",
    message: /at most 200000 files/,
  });
  assert.throws(() => decodeMetainfo(Buffer.alloc(MAX_INFO_BYTES + 1)), {
    message: /longer than 33554432 bytes/,
  });
});

test("a list of files that is too long is refused when it is made", async () => {
  const folders = `${"x".repeat(240)}/`.repeat(16);
  const entries = Array.from({ length: 8600 }, (_, index) => fileEntry(`${folders}${index + 10_000}`, 0));
  await assert.rejects(folderOf(entries), {
    code: "LIMIT_REACHED",
    message: /8600 files of folder has 3\d{7} bytes/,
  });
  const layout = layoutOf([fileEntry("a")]);
  const parts = { fileName: "a/b", layout, pieceHashes: new Uint8Array(20), authorityPem: "" };
  await assert.rejects(
    encodeFolderMetainfo(parts, async () => undefined),
    { code: "INVALID_ARGUMENT" },
  );
});

test("a large folder yields its turn all the while it is made and read", async () => {
  const entries = Array.from({ length: 20_000 }, (_, index) => fileEntry(`d${index + 100_000}/${index}`, 1));
  let turns = 0;
  const yieldTurn = async () => void turns++;
  const layout = layoutOf(entries);
  const parts = { fileName: "many", layout, pieceHashes: new Uint8Array(5 * 20), authorityPem: "PEM" };
  const { info, infoHash } = await encodeFolderMetainfo(parts, yieldTurn);
  assert.ok(turns >= 40, `${turns} turns to make it`);
  turns = 0;
  assert.equal((await decodeMetainfoInSlices(info, yieldTurn)).infoHash, infoHash);
  assert.ok(turns >= 40, `${turns} turns to read it`);
});

test("parts are at most 64 KiB, are the whole one after the other, and each is read alone", async () => {
  const entries = Array.from({ length: 3000 }, (_, index) =>
    fileEntry(
      `folder ${Math.floor(index / 10) + 1000}/file ${index + 1000}`,
      index % 40 === 0 ? PIECE_BYTES : 100,
    ),
  );
  const { info } = await folderOf(entries);
  const parts = cutInfo(info);
  assert.ok(parts.every(({ length }) => length <= INFO_PART_BYTES));
  assert.ok(parts.length <= Math.ceil(info.length / INFO_PART_BYTES) + 1, "and nearly full");
  assert.deepEqual(Buffer.concat(parts), Buffer.from(info));
  const read: FolderEntry[] = [];
  let partCount = 0;
  for (const part of parts) {
    const { entries: some, isListEnd } = readPartEntries(part, partCount++ === 0);
    read.push(...some);
    if (isListEnd) break;
  }
  assert.ok(partCount > 3);
  assert.deepEqual(read.map(shown), entries.map(shown));
});

test("a single file's dictionary, and what follows a folder's list, is cut anywhere", () => {
  const { info } = encodeMetainfo({
    ...{
      fileName: "film",
      lengthBytes: 10_000 * PIECE_BYTES,
      pieceLengthBytes: PIECE_BYTES,
      authorityPem: "PEM",
    },
    ...{ pieceHashes: new Uint8Array(200_000), sha1: "01".repeat(20) },
  });
  assert.deepEqual(
    cutInfo(info).map(({ length }) => length),
    [65536, 65536, 65536, info.length - 3 * 65536],
  );
  assert.deepEqual(cutInfo(GOOD).map(Buffer.from), [Buffer.from(GOOD)]);
  assert.deepEqual(readPartEntries(GOOD, true).entries.map(shown), ENTRIES.map(shown));
  assert.throws(() => readPartEntries(GOOD, false), { code: "MALFORMED_MESSAGE" });
});
