// What a browser may show of a share's file, by the end of its name. What is not listed is offered as a download: a file comes from
// somebody else, and must not run as a page here. So text of all kinds, HTML too, is plain text, and SVG, which has scripts, is not shown.

const TEXT = "text/plain; charset=utf-8";
const TYPES: Readonly<Record<string, string>> = {
  mp4: "video/mp4",
  m4v: "video/mp4",
  mov: "video/quicktime",
  webm: "video/webm",
  mkv: "video/x-matroska",
  ogv: "video/ogg",
  mp3: "audio/mpeg",
  m4a: "audio/mp4",
  aac: "audio/aac",
  flac: "audio/flac",
  ogg: "audio/ogg",
  oga: "audio/ogg",
  opus: "audio/ogg",
  wav: "audio/wav",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
  pdf: "application/pdf",
};
const TEXT_ENDS = new Set(
  (
    "txt text md log csv tsv json jsonl xml yaml yml toml ini conf cfg srt vtt nfo diff patch html htm css js ts tsx jsx py sh rb " +
    "go rs c h cpp hpp java kt sql tex"
  ).split(" "),
);

/** @returns undefined if a browser is not to show it */
export function shownTypeOf(fileName: string): string | undefined {
  const end = /\.([^./]+)$/.exec(fileName)?.[1]?.toLowerCase() ?? "";
  if (TEXT_ENDS.has(end)) return TEXT;
  return Object.hasOwn(TYPES, end) ? TYPES[end] : undefined;
}
