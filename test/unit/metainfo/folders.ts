// Entries and metainfo of folders for tests.
import { createHash } from "node:crypto";
import { type FileLayout, FileLayoutBuilder, type FolderEntry } from "../../../src/metainfo/file-layout.ts";
import { encodeFolderMetainfo, type FolderMetainfo } from "../../../src/metainfo/metainfo.ts";

export const PIECE_BYTES = 16 * 1024;

/** The hash is one of the path, since no content is read. */
export function fileEntry(path: string, lengthBytes = 1): FolderEntry {
  const sha1 = createHash("sha1")
    .update(lengthBytes === 0 ? "" : path)
    .digest();
  return { path, lengthBytes, sha1, isExecutable: false };
}

export function linkEntry(path: string, linkTarget: string): FolderEntry {
  return { path, lengthBytes: 0, sha1: undefined, isExecutable: false, linkTarget };
}

export function layoutOf(entries: readonly FolderEntry[], pieceLengthBytes = PIECE_BYTES): FileLayout {
  const builder = new FileLayoutBuilder();
  for (const entry of entries) builder.add(entry);
  return builder.finish(pieceLengthBytes);
}

/** Its piece hashes count up. */
export function folderOf(
  entries: readonly FolderEntry[],
  pieceLengthBytes = PIECE_BYTES,
): Promise<FolderMetainfo> {
  const layout = layoutOf(entries, pieceLengthBytes);
  const pieceCount = Math.ceil(layout.lengthBytes / pieceLengthBytes);
  const pieceHashes = Uint8Array.from({ length: pieceCount * 20 }, (_, index) => index);
  const authorityPem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  return encodeFolderMetainfo(
    { fileName: "folder", layout, pieceHashes, authorityPem },
    async () => undefined,
  );
}
