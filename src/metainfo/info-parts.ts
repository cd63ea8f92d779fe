// Cuts an `info` dictionary into the parts that it travels and is stored in. The list of a folder's files is cut between its
// entries alone, so that each part can be read alone.
import { INFO_PART_BYTES } from "../api/file-limits.ts";
import type { FolderEntry } from "./file-layout.ts";
import { CanonicalReader, FILES_BEGIN } from "./folder-entries.ts";

/**
 * Parts of at most INFO_PART_BYTES (64 KiB) that are the dictionary one after the other.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE for a folder's list that cannot be read
 */
export function cutInfo(info: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let begin = 0;
  const cutAt = (end: number): void => {
    parts.push(info.subarray(begin, end));
    begin = end;
  };
  if (isFolderInfo(info)) {
    const reader = new CanonicalReader(info, FILES_BEGIN.length);
    for (let end = reader.at; reader.skipEntry(); end = reader.at) {
      if (reader.at - begin > INFO_PART_BYTES) cutAt(end);
    }
  }
  while (info.length - begin > INFO_PART_BYTES) cutAt(begin + INFO_PART_BYTES);
  if (begin < info.length) cutAt(info.length);
  return parts;
}

/** @param info the dictionary, or its first part */
export function isFolderInfo(info: Uint8Array): boolean {
  return Buffer.compare(info.subarray(0, FILES_BEGIN.length), FILES_BEGIN) === 0;
}

/**
 * The files and links in one part of a folder's `info` dictionary, without padding.
 *
 * @param part one that `cutInfo` has made
 * @returns also whether the list of files ends in this part: none is to be read from those behind it
 * @throws MiniTorrentError MALFORMED_MESSAGE
 */
export function readPartEntries(
  part: Uint8Array,
  isFirstPart: boolean,
): { entries: FolderEntry[]; isListEnd: boolean } {
  const entries: FolderEntry[] = [];
  const reader = new CanonicalReader(part);
  if (isFirstPart) reader.require(FILES_BEGIN.toString());
  while (!reader.isAtEnd) {
    const entry = reader.entry();
    if (entry === undefined) return { entries, isListEnd: true };
    if ("path" in entry) entries.push(entry);
  }
  return { entries, isListEnd: false };
}
