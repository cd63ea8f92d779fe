// What this machine has of a share of a group, from the lists that the daemon keeps up to date.
import type { FileSummary } from "../../../../src/api/schemas.ts";
import { type DownloadStatus, downloads, key, type ShareStatus, shares } from "../../api/live.ts";
import type { IconName } from "../../ui/icon.tsx";

export interface ShareFacts {
  readonly download: DownloadStatus | undefined;
  /** This machine shares it. */
  readonly own: ShareStatus | undefined;
}

/** Renders again when one of them changes. */
export function factsOf(groupId: string, fileName: string): ShareFacts {
  const name = key(groupId, fileName);
  return { download: downloads.value.get(name)?.value, own: shares.value.get(name)?.value };
}

/** The same, once. */
export function peekFacts(groupId: string, fileName: string): ShareFacts {
  const name = key(groupId, fileName);
  return { download: downloads.peek().get(name)?.peek(), own: shares.peek().get(name)?.peek() };
}

/** All of it is here, or comes. */
export function isHere({ download, own }: ShareFacts): boolean {
  return own !== undefined || download !== undefined;
}

const ICONS: readonly (readonly [RegExp, IconName])[] = [
  [/\.(mp4|mkv|mov|avi|webm|mxf|m4v|mpe?g)$/i, "video"],
  [/\.(wav|flac|mp3|ogg|opus|m4a|aiff?)$/i, "audio"],
  [/\.(png|jpe?g|gif|webp|avif|tiff?|svg|heic|psd|exr)$/i, "image"],
  [/\.(zip|7z|rar|tar|t?gz|bz2|xz|zst|deb|rpm|dmg|pkg|apk|whl)$/i, "archive"],
  [/\.(iso|img|vhdx?|vmdk|qcow2|raw)$/i, "disk-image"],
  [/\.(txt|md|pdf|docx?|odt|csv|json|ya?ml|html?)$/i, "text"],
];

export function iconOf(name: string, isFolder: boolean): IconName {
  if (isFolder) return "folder";
  return ICONS.find(([pattern]) => pattern.test(name))?.[1] ?? "file";
}

/** A name and its ending, of which the ending is always shown: `build-4821.tar` `.zst`. */
export function splitName(name: string): readonly [string, string] {
  const at = name.search(/(\.tar)?\.[\p{L}\p{N}]{1,8}$/u);
  return at <= 0 ? [name, ""] : [name.slice(0, at), name.slice(at)];
}

export function isFolder({ fileCount }: Pick<FileSummary, "fileCount">): boolean {
  return fileCount !== undefined;
}
