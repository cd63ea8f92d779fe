// What of a share can be looked at in the page, by its ending, and how: the same short list as the daemon's types of content.

export type PreviewKind = "video" | "audio" | "image" | "pdf" | "text";

const ENDINGS: Readonly<Record<PreviewKind, readonly string[]>> = {
  video: ["mp4", "m4v", "webm", "ogv", "mov", "mkv"],
  audio: ["mp3", "m4a", "aac", "ogg", "oga", "opus", "flac", "wav"],
  image: ["png", "jpg", "jpeg", "gif", "webp", "avif", "bmp", "ico"],
  pdf: ["pdf"],
  text: (
    "txt text md log csv tsv json jsonl xml yaml yml toml ini conf cfg srt vtt nfo diff patch html htm css js ts tsx jsx py sh rb " +
    "go rs c h cpp hpp java kt sql tex"
  ).split(" "),
};
const KINDS = new Map(
  (Object.entries(ENDINGS) as [PreviewKind, readonly string[]][]).flatMap(([kind, endings]) =>
    endings.map((ending) => [ending, kind] as const),
  ),
);

/** undefined: it cannot be looked at. @param path a file's name, or its path in a folder */
export function previewKind(path: string): PreviewKind | undefined {
  return KINDS.get(endingOf(path));
}

/** Without the point and in lower case; empty if there is none. */
export function endingOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const point = name.lastIndexOf(".");
  return point <= 0 ? "" : name.slice(point + 1).toLowerCase();
}

/** `3:23`, `1:02:09` */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60), whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
