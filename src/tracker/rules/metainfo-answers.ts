// What members may read of the metainfo of a group's shares: whole, part by part, or as a list of a folder's files. A list's page is
// read from one part, so that its cost does not depend on the size of the folder.
import { MiniTorrentError } from "../../api/errors.ts";
import type { InfoPartAnswer, InsideFile, ListPage, MetainfoAnswer } from "../../api/schemas.ts";
import type { FolderEntry } from "../../metainfo/file-layout.ts";
import { isFolderInfo, readPartEntries } from "../../metainfo/info-parts.ts";
import { type RegistryReader, recordKey } from "../registry/registry.ts";
import { requireFile } from "./catalogue.ts";
import { infoPart } from "./info-uploads.ts";
import { requireGroup, requireMember } from "./membership-rows.ts";
import { infoOfTorrent, placeOfTorrent, type StoredInfo } from "./torrents.ts";
import { newestVersion } from "./versions.ts";

/** Where a page of a folder's list begins: info-hash and part. */
const CURSOR = /^([0-9a-f]{40}) (\d{1,4})$/;

export interface FileRequest {
  readonly groupId: string;
  readonly fileName: string;
}

/** Whether an online member has parts of that torrent, so that it is available although nobody shares it. */
export type IsHeld = (groupClaimId: string, infoHash: string) => boolean;

/**
 * The info dictionary of the newest version, or the number of its parts.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE
 */
export function metainfoOf(
  reader: RegistryReader,
  accountId: string,
  request: FileRequest,
  isHeld: IsHeld = () => false,
): MetainfoAnswer {
  const infoHash = newestInfoHash(reader, accountId, request, isHeld);
  const stored = requireInfo(reader, infoHash);
  return "info" in stored ? { info: stored.info } : { infoHash, partCount: stored.partCount };
}

/**
 * One part of the info dictionary of a share, in its newest version or an earlier one.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE, INVALID_ARGUMENT
 */
export function infoPartOf(
  reader: RegistryReader,
  accountId: string,
  { groupId, infoHash, partIndex }: { groupId: string; infoHash: string; partIndex: number },
): InfoPartAnswer {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const place = placeOfTorrent(reader, infoHash);
  if (place?.groupClaimId !== group.claimId) {
    throw new MiniTorrentError(
      "UNKNOWN_FILE",
      `Group '${groupId}' has no share with that metainfo any more; list_files ${groupId} shows those it has.`,
    );
  }
  return { part: requirePart(reader, requireInfo(reader, infoHash), partIndex).toString("base64") };
}

/**
 * A page of a folder's files and links, in the order of their paths.
 *
 * @param after the cursor of the page before
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE, INVALID_ARGUMENT
 */
export function listInside(
  reader: RegistryReader,
  accountId: string,
  request: FileRequest,
  after: string | undefined,
  isHeld: IsHeld = () => false,
): ListPage<InsideFile> {
  const newest = newestInfoHash(reader, accountId, request, isHeld);
  const { infoHash, partIndex } =
    after === undefined ? { infoHash: newest, partIndex: 0 } : readCursor(after);
  // The list goes on with the version that it began with.
  const place = placeOfTorrent(reader, infoHash);
  const group = requireGroup(reader, request.groupId);
  if (place?.groupClaimId !== group.claimId || place.fileName !== request.fileName) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `'${request.fileName}' has changed since the list began; list it from the beginning.`,
    );
  }
  const stored = requireInfo(reader, infoHash);
  const part = requirePart(reader, stored, partIndex);
  if (partIndex === 0 && !isFolderInfo(part)) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `'${request.fileName}' is a single file; list_files ${request.groupId} shows its size.`,
    );
  }
  const { entries, isListEnd } = readPartEntries(part, partIndex === 0);
  const items = entries.map(asInsideFile);
  return isListEnd ? { items } : { items, next: `${infoHash} ${partIndex + 1}` };
}

function newestInfoHash(
  reader: RegistryReader,
  accountId: string,
  { groupId, fileName }: FileRequest,
  isHeld: IsHeld,
): string {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const claim = reader.claim("file", recordKey(group.claimId, fileName));
  if (claim !== undefined) {
    const { infoHash } = newestVersion(reader, claim);
    if (isHeld(group.claimId, infoHash)) return infoHash;
  }
  return newestVersion(reader, requireFile(reader, accountId, groupId, fileName)).infoHash;
}

function requireInfo(reader: RegistryReader, infoHash: string): StoredInfo {
  const stored = infoOfTorrent(reader, infoHash);
  if (stored !== undefined) return stored;
  throw notHereYet();
}

/** @throws MiniTorrentError INVALID_ARGUMENT */
function requirePart(reader: RegistryReader, stored: StoredInfo, partIndex: number): Buffer {
  const partCount = "info" in stored ? 1 : stored.partCount;
  if (partIndex >= partCount) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `The metainfo has ${partCount} parts; there is no part ${partIndex}.`,
    );
  }
  const part = "info" in stored ? stored.info : infoPart(reader, stored.partsOf, partIndex);
  if (part === undefined) throw notHereYet();
  return Buffer.from(part, "base64");
}

/** Rows come from other trackers one by one. */
function notHereYet(): MiniTorrentError {
  return new MiniTorrentError("INTERNAL", "The metainfo is not here yet; try again.");
}

/** @throws MiniTorrentError INVALID_ARGUMENT */
function readCursor(after: string): { infoHash: string; partIndex: number } {
  const [, infoHash, part] = CURSOR.exec(after) ?? [];
  if (infoHash !== undefined && part !== undefined) return { infoHash, partIndex: Number(part) };
  throw new MiniTorrentError("INVALID_ARGUMENT", "The list has no such page; list it from the beginning.");
}

function asInsideFile({ path, lengthBytes, sha1, isExecutable, linkTarget }: FolderEntry): InsideFile {
  return {
    ...{ path, lengthBytes, isExecutable },
    ...(sha1 === undefined ? {} : { sha1: Buffer.from(sha1).toString("hex") }),
    ...(linkTarget === undefined ? {} : { linkTarget }),
  };
}
