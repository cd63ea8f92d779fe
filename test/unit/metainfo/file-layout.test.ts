import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Bitfield } from "../../../src/metainfo/bitfield.ts";
import { type FolderEntry, PADDING } from "../../../src/metainfo/file-layout.ts";
import { Geometry } from "../../../src/metainfo/geometry.ts";
import { fileEntry, layoutOf, linkEntry, PIECE_BYTES } from "./folders.ts";

/** A folder of files with those lengths. */
const ofLengths = (lengths: readonly number[]) =>
  layoutOf(lengths.map((lengthBytes, index) => fileEntry(`f${String(index).padStart(6, "0")}`, lengthBytes)));

const lengths = fc.array(
  fc.oneof(
    fc.nat(100),
    fc.nat(5 * PIECE_BYTES),
    fc.constantFrom(0, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES),
  ),
  { maxLength: 30 },
);

test("the spans of any range of any folder cover it exactly once, in order", () => {
  const cases = fc.tuple(lengths, fc.nat(40 * PIECE_BYTES), fc.nat(10 * PIECE_BYTES));
  fc.assert(
    fc.property(cases, ([all, positionBytes, lengthBytes]) => {
      const layout = ofLengths(all);
      const end = Math.max(positionBytes, Math.min(positionBytes + lengthBytes, layout.lengthBytes));
      let position = positionBytes;
      let before = -1;
      for (const span of layout.spansOf(positionBytes, lengthBytes)) {
        assert.ok(span.lengthBytes > 0, "no span is empty");
        if (span.fileIndex === PADDING) {
          const next = all.findIndex((_, index) => layout.offsetOf(index) > position);
          const fileBefore = next - 1;
          const paddingBegin = layout.offsetOf(fileBefore) + layout.lengthOf(fileBefore);
          assert.equal(paddingBegin + span.offsetBytes, position);
          assert.ok(position + span.lengthBytes <= layout.offsetOf(next));
        } else {
          assert.ok(span.fileIndex > before, "files in order");
          before = span.fileIndex;
          assert.equal(layout.offsetOf(span.fileIndex) + span.offsetBytes, position);
          assert.ok(
            span.offsetBytes + span.lengthBytes <= layout.lengthOf(span.fileIndex),
            "inside the file",
          );
        }
        position += span.lengthBytes;
      }
      assert.equal(position, end);
    }),
  );
});

test("a file of at least a piece begins on a piece boundary, a smaller one right behind the one before it", () => {
  fc.assert(
    fc.property(lengths, (all) => {
      const layout = ofLengths(all);
      let end = 0;
      let content = 0;
      for (const [index, lengthBytes] of all.entries()) {
        const offset = layout.offsetOf(index);
        if (lengthBytes >= PIECE_BYTES) {
          assert.equal(offset % PIECE_BYTES, 0);
          assert.ok(offset - end < PIECE_BYTES);
        } else assert.equal(offset, end);
        assert.equal(layout.paddingBefore(index), offset - end);
        end = offset + lengthBytes;
        content += lengthBytes;
      }
      assert.deepEqual([layout.lengthBytes, layout.contentBytes], [end, content]);
    }),
  );
});

test("at most 4,096 files begin in a piece, however small they are", () => {
  const entries = Array.from({ length: 10_000 }, (_, index) =>
    fileEntry(String(index).padStart(5, "0"), index % 3 === 0 ? 0 : 1),
  );
  const layout = layoutOf(entries);
  const filesIn = Array.from({ length: Math.ceil(layout.lengthBytes / PIECE_BYTES) }, (_, piece) =>
    layout.filesIn(piece).filter((fileIndex) => layout.lengthOf(fileIndex) > 0),
  );
  assert.deepEqual(
    filesIn.map((files) => files.length),
    [4_096, 6_666 - 4_096],
  );
  // A file that reaches in from the piece before, and is read with those that begin here, does not begin here.
  const reaching = layoutOf([
    fileEntry("a", 1),
    fileEntry("b", PIECE_BYTES - 1 + 100),
    ...Array.from({ length: 4_097 }, (_, index) => fileEntry(`c${String(index).padStart(5, "0")}`)),
  ]);
  assert.deepEqual([reaching.offsetOf(1), reaching.offsetOf(2)], [PIECE_BYTES, 2 * PIECE_BYTES + 99]);
  assert.equal(reaching.offsetOf(2 + 4_096), 3 * PIECE_BYTES);
});

test("the pieces of a file and the files of a piece say the same", () => {
  fc.assert(
    fc.property(lengths, (all) => {
      const layout = ofLengths(all);
      const pieceCount = Math.ceil(layout.lengthBytes / PIECE_BYTES);
      const fromPieces = Array.from({ length: pieceCount }, (_, pieceIndex) =>
        layout.filesIn(pieceIndex).map((fileIndex) => `${fileIndex} ${pieceIndex}`),
      ).flat();
      const fromFiles = all.flatMap((_, fileIndex) =>
        Array.from(
          { length: layout.endPieceOf(fileIndex) - layout.firstPieceOf(fileIndex) },
          (_, index) => `${fileIndex} ${layout.firstPieceOf(fileIndex) + index}`,
        ),
      );
      assert.deepEqual(fromPieces.toSorted(), fromFiles.toSorted());
    }),
  );
});

test("padding is the end of a piece, and is neither requested nor counted", () => {
  fc.assert(
    fc.property(lengths, (all) => {
      const layout = ofLengths(all);
      const geometry = new Geometry(layout.lengthBytes, PIECE_BYTES, layout.paddingOfPieces());
      assert.equal(geometry.contentBytes, layout.contentBytes);
      assert.equal(geometry.contentBytesOf(Bitfield.full(geometry.pieceCount)), layout.contentBytes);
      for (let pieceIndex = 0; pieceIndex < geometry.pieceCount; pieceIndex++) {
        const spans = layout.spansOf(pieceIndex * PIECE_BYTES, PIECE_BYTES);
        const paddingAt = spans.findIndex(({ fileIndex }) => fileIndex === PADDING);
        assert.ok(
          paddingAt === -1 || paddingAt === spans.length - 1,
          "padding is the last span of its piece",
        );
        const needed = spans.reduce(
          (sum, span) => sum + (span.fileIndex === PADDING ? 0 : span.lengthBytes),
          0,
        );
        assert.equal(geometry.neededLengthOfPieceBytes(pieceIndex), needed);
        assert.ok(needed > 0, "every piece has content");
        const only = new Bitfield(geometry.pieceCount);
        only.set(pieceIndex);
        assert.equal(geometry.contentBytesOf(only), needed);
      }
    }),
  );
});

test("each file comes back as it was added, and is found by its path", () => {
  const entries: FolderEntry[] = [
    { ...fileEntry("bin/run"), isExecutable: true },
    linkEntry("bin/same", "bin/run"),
    fileEntry("empty", 0),
    fileEntry("größe/ä", 5),
    fileEntry("größe/\u{1f600}", 5),
  ];
  const layout = layoutOf(entries);
  const shown = ({ sha1, ...rest }: FolderEntry) => ({
    ...rest,
    sha1: sha1 && Buffer.from(sha1).toString("hex"),
  });
  assert.deepEqual(
    entries.map((_, index) => shown(layout.entryOf(index))),
    entries.map((entry) => shown({ linkTarget: undefined, ...entry })),
  );
  assert.deepEqual(
    entries.map(({ path }) => layout.indexOf(path)),
    [0, 1, 2, 3, 4],
  );
  assert.equal(layout.indexOf("bin"), undefined);
  assert.deepEqual([...layout.sha1Of(1)], Array(20).fill(0));
  assert.throws(() => layout.pathOf(5), RangeError);
});

test("paths that could leave the folder, or that some system cannot hold, are refused", () => {
  for (const [path, reason] of [
    ["", /no file name/],
    ["/etc/passwd", /absolute/],
    ["../x", /component "\.\.", which is no file name/],
    ["a/../../x", /no file name/],
    ["a/./b", /no file name/],
    ["a//b", /no file name/],
    ["a/", /no file name/],
    ["a\\b", /path separator/],
    ["C:\\x", /path separator/],
    [`a/${"x".repeat(256)}`, /longer than 255 bytes/],
    [`a/${"é".repeat(128)}`, /longer than 255 bytes/],
    [Array(20).fill("x".repeat(250)).join("/"), /longer than 4096 bytes/],
    [`${"é/".repeat(1400)}x`, /longer than 4096 bytes/],
    [`${"a/".repeat(128)}b`, /more than 128 components/],
    ["a/nul.txt/b", /reserved on Windows/],
    ["a/.minitorrentignore", /rules of what is not shared/],
    ["a/CON", /reserved on Windows/],
    ["a/\0b", /control character/],
    ["a/b\nc", /control character/],
    ["a/Zoe\u0308", /normal form C/],
    ["a/\ud800", /well-formed/],
  ] as const) {
    assert.throws(
      () => layoutOf([fileEntry(path)]),
      { code: "INVALID_ARGUMENT", message: reason },
      path.slice(0, 40),
    );
  }
  layoutOf([fileEntry(`${"a/".repeat(127)}b`)]);
  layoutOf([fileEntry("x".repeat(255))]);
});

test("two paths that are one on some file system are refused with both named", () => {
  for (const [first, second, named] of [
    ["Makefile", "makefile", /"makefile" .* same as that of "Makefile"/],
    ["A/x", "a/y", /"a" .* same as that of "A"/],
    ["d/STRASSE", "d/straße", /"d\/straße" .* "d\/STRASSE"/],
    ["K", "\u212a", /Unicode normal form C/],
    ["a", "a.", /"a\." .* "a"/],
    ["Σ", "ς", /"ς" .* "Σ"/],
    ["a", "a/b", /"a" .* both a file and a folder/],
    ["a", "a", /"a" .* two entries/],
    ["b", "a", /"a" .* stands behind "b"/],
    ["\u{1f600}", "\uff5e", /order of bytes/],
  ] as const) {
    assert.throws(
      () => layoutOf([fileEntry(first), fileEntry(second)]),
      { code: "INVALID_ARGUMENT", message: named },
      second,
    );
  }
  // In the order of bytes "a-b" stands between "a" and "a/b".
  assert.throws(() => layoutOf([fileEntry("a"), fileEntry("a-b"), fileEntry("a/b")]), {
    message: /"a" .* both a file and a folder/,
  });
  layoutOf([fileEntry("A/x"), fileEntry("b/X"), fileEntry("b/y"), fileEntry("c/x")]);
  layoutOf([fileEntry("\uff5e"), fileEntry("\u{1f600}")]);
});

test("content that does not fit its kind is refused", () => {
  for (const [entry, reason] of [
    [{ ...fileEntry("a"), sha1: new Uint8Array(19) }, /20 bytes/],
    [{ ...fileEntry("a"), sha1: undefined }, /20 bytes/],
    [{ ...fileEntry("a", 0), sha1: new Uint8Array(20) }, /empty file/],
    [{ ...fileEntry("a"), lengthBytes: -1 }, /-1 bytes/],
    [{ ...fileEntry("a"), lengthBytes: 2 ** 60 }, /bytes/],
    [{ ...linkEntry("a", "b"), lengthBytes: 1 }, /no content/],
    [{ ...linkEntry("a", "b"), isExecutable: true }, /no content/],
    [{ ...linkEntry("a", "b"), sha1: new Uint8Array(20) }, /no content/],
    [linkEntry("a", "/etc"), /"a" .* link to "\/etc", and that is an absolute path/],
    [linkEntry("a", "../x"), /no file name/],
    [linkEntry("a", "b/../../x"), /no file name/],
    [linkEntry("a", ""), /no file name/],
  ] as const) {
    assert.throws(() => layoutOf([entry]), { code: "INVALID_ARGUMENT", message: reason }, String(reason));
  }
});

test("a folder has at most 2 TiB", () => {
  const last = fileEntry("b");
  assert.throws(() => layoutOf([fileEntry("a", 2 ** 41), last]), { code: "LIMIT_REACHED", message: /2 TiB/ });
  assert.equal(layoutOf([fileEntry("a", 2 ** 41 - 1), last]).lengthBytes, 2 ** 41);
});
