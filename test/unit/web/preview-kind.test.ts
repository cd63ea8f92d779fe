import assert from "node:assert/strict";
import { test } from "node:test";
import { clockText, endingOf, previewKind } from "../../../web/src/state/preview-kind.ts";

test("an ending says how a file is shown, in any case; others are not shown", () => {
  assert.deepEqual(
    ["a/b/Film.MP4", "song.flac", "x.jpeg", "paper.pdf", "README.md", "tool.exe", "noending"].map(
      previewKind,
    ),
    ["video", "audio", "image", "pdf", "text", undefined, undefined],
  );
});

test("a folder with a point, or a hidden file, has no ending", () => {
  assert.deepEqual([endingOf("v1.2/readme"), endingOf("a/.mp4"), endingOf("a.tar.GZ")], ["", "", "gz"]);
});

test("a player's times are short", () => {
  assert.deepEqual([203, 3_729, -1, Number.NaN].map(clockText), ["3:23", "1:02:09", "0:00", "0:00"]);
});
