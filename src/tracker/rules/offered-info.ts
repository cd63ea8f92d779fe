// What a share says of its content: the whole info dictionary, one that was checked part by part, or the info-hash of one that is
// shared already.
import { MiniTorrentError } from "../../api/errors.ts";
import { INFO_PART_BYTES } from "../../api/file-limits.ts";
import { isFolderInfo } from "../../metainfo/info-parts.ts";
import { decodeMetainfo, type Metainfo } from "../../metainfo/metainfo.ts";
import type { SharedContent, TorrentValue } from "../registry/record-values.ts";
import type { RegistryReader } from "../registry/registry.ts";
import { metainfoMissing, requireUpload } from "./info-uploads.ts";
import type { Group } from "./membership-rows.ts";
import { type InfoUpload, placeOfTorrent } from "./torrents.ts";

export interface WholeInfo {
  /** The bencoded dictionary. */
  readonly info: Uint8Array;
  /** SHA-1 of the whole file, 40 hex digits; undefined for a folder. */
  readonly sha1?: string | undefined;
}

/** A dictionary that was sent in parts, and read since (server/info-check.ts). */
export interface InfoInParts {
  readonly upload: InfoUpload;
  readonly partCount: number;
  readonly described: DescribedInfo;
  /** False if a part was written or removed since it was read. */
  readonly isUnchanged: () => boolean;
  readonly sha1?: string | undefined;
}

/** Only for content that a member shares in the group: no dictionary is sent. */
export interface KnownInfo {
  readonly infoHash: string;
}

export type OfferedInfo = WholeInfo | InfoInParts | KnownInfo;

/** What the rules need of a dictionary. */
export interface DescribedInfo {
  readonly fileName: string;
  readonly authorityPem: string;
  readonly content: SharedContent;
}

/** An offer that was checked. */
export interface Offer {
  readonly fileName: string;
  readonly infoHash: string;
  /** Undefined if only the info-hash is given. */
  readonly brought: Brought | undefined;
}

interface Brought {
  readonly content: SharedContent;
  /** For the row of its torrent. @throws MiniTorrentError METAINFO_MISSING if the parts are not there any more */
  readonly torrent: () => TorrentValue;
}

/**
 * Checks that it was made for the group.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE, INVALID_ARGUMENT, METAINFO_MISSING
 */
export function readOffer(
  reader: RegistryReader,
  group: Group,
  offered: OfferedInfo,
  accountId: string,
  nowMs: number,
): Offer {
  if (!("info" in offered) && !("upload" in offered)) {
    const place = placeOfTorrent(reader, offered.infoHash);
    if (place?.groupClaimId !== group.claimId) throw metainfoMissing();
    return { fileName: place.fileName, infoHash: offered.infoHash, brought: undefined };
  }
  const described = "info" in offered ? describeWhole(offered.info) : offered.described;
  const { fileName, authorityPem, content } = described;
  if (content.sha1 !== offered.sha1) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "The SHA-1 is not the one in the metainfo; share again.");
  }
  if (authorityPem !== group.value.authorityCertificatePem) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `The metainfo was not made for group '${group.groupId}' as it is now; share the file again.`,
    );
  }
  const torrent = (): TorrentValue => {
    if ("info" in offered) {
      return { info: Buffer.from(offered.info).toString("base64"), broughtByAccountId: accountId };
    }
    const { upload, partCount } = offered;
    requireUpload(reader, upload, group.claimId, nowMs);
    if (!offered.isUnchanged()) throw metainfoMissing();
    return { parts: { uploadId: upload.uploadId, partCount }, broughtByAccountId: accountId };
  };
  return { fileName, infoHash: content.infoHash, brought: { content, torrent } };
}

/** @throws MiniTorrentError METAINFO_MISSING */
export function requireBrought({ brought }: Offer): Brought {
  if (brought === undefined) throw metainfoMissing();
  return brought;
}

export function describeInfo(metainfo: Metainfo): DescribedInfo {
  const { fileName, authorityPem, infoHash, geometry } = metainfo;
  const content: SharedContent =
    metainfo.kind === "file"
      ? { infoHash, sha1: metainfo.sha1, lengthBytes: geometry.lengthBytes }
      : {
          ...{ infoHash, lengthBytes: metainfo.layout.contentBytes },
          fileCount: metainfo.layout.fileCount,
        };
  return { fileName, authorityPem, content };
}

/** @throws MiniTorrentError MALFORMED_MESSAGE, INVALID_ARGUMENT */
function describeWhole(info: Uint8Array): DescribedInfo {
  // One part is what a page of the folder's list is read from.
  if (isFolderInfo(info) && info.length > INFO_PART_BYTES) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `The metainfo of a folder travels whole up to ${INFO_PART_BYTES} bytes, and this one has ${info.length}: send it in parts.`,
    );
  }
  return describeInfo(decodeMetainfo(info));
}
