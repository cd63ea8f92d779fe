import assert from "node:assert/strict";
import { test } from "node:test";
import { shownTypeOf } from "../../../src/daemon/content-type.ts";
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

test("what the page shows is what the daemon lets a browser show, and in the same way", () => {
  const kindOf = (type: string | undefined) =>
    type === "application/pdf" ? "pdf" : type?.slice(0, type.indexOf("/"));
  const endings = (
    "mp4 m4v mov webm mkv ogv mp3 m4a aac flac ogg oga opus wav png jpg jpeg gif webp avif bmp ico pdf txt text md log csv tsv " +
    "json jsonl xml yaml yml toml ini conf cfg srt vtt nfo diff patch html htm css js ts tsx jsx py sh rb go rs c h cpp hpp java kt " +
    "sql tex svg exe zip bin avi"
  ).split(" ");
  for (const ending of endings)
    assert.equal(previewKind(`a.${ending}`), kindOf(shownTypeOf(`a.${ending}`)), ending);
});
