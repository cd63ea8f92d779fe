// The metainfo of torrents. Sharing a file that nobody shares writes its metainfo anew, under a key of its own. So removing a
// row that has long been unused at one tracker cannot break a share that begins at another one at the same moment (see
// garbage-collector.ts).

import type { TorrentValue } from "../registry/record-values.ts";
import { type RegistryReader, type RegistryWriter, recordKey } from "../registry/registry.ts";

/** Most rows of one torrent to look at; only partitioned trackers produce several. */
const MOST_PLACES = 10;

/** Identifies an upload: only parts of the same account, dictionary and upload belong together. */
export interface InfoUpload {
  readonly accountId: string;
  /** SHA-1 of the whole dictionary, as the sender says. */
  readonly infoHash: string;
  /** Chosen by the sender. */
  readonly uploadId: string;
}

/** The parts of a torrent row's key. */
export interface TorrentPlace {
  readonly infoHash: string;
  readonly groupClaimId: string;
  readonly fileName: string;
}

export function readTorrentKey(key: string): TorrentPlace {
  const [infoHash = "", groupClaimId = "", fileName = ""] = key.split("\u001f");
  return { infoHash, groupClaimId, fileName };
}

/** The group and name of a torrent, whether or not the claims on them stand; undefined for an unknown torrent. */
export function placeOfTorrent(reader: RegistryReader, infoHash: string): TorrentPlace | undefined {
  const [key] = reader.keys("torrent", recordKey(infoHash, ""), { limit: 1 });
  return key === undefined ? undefined : readTorrentKey(key);
}

/** The group of a torrent, whether or not its claim stands; undefined for an unknown torrent. */
export function groupOfTorrent(reader: RegistryReader, infoHash: string): string | undefined {
  return placeOfTorrent(reader, infoHash)?.groupClaimId;
}

/** Where a torrent's info dictionary is: in its row, or in parts. */
export type StoredInfo =
  | { readonly info: string }
  | { readonly partsOf: InfoUpload; readonly partCount: number };

/** Undefined for an unknown torrent. */
export function infoOfTorrent(reader: RegistryReader, infoHash: string): StoredInfo | undefined {
  const [key] = reader.keys("torrent", recordKey(infoHash, ""), { limit: 1 });
  const torrent = key === undefined ? undefined : reader.get("torrent", key);
  if (torrent === undefined) return undefined;
  const { info = "", parts, broughtByAccountId: accountId } = torrent;
  if (parts === undefined) return { info };
  return { partsOf: { infoHash, accountId, uploadId: parts.uploadId }, partCount: parts.partCount };
}

/** True if a torrent's info dictionary is in those parts. */
export function needsParts(reader: RegistryReader, { infoHash, accountId, uploadId }: InfoUpload): boolean {
  return reader
    .list("torrent", recordKey(infoHash, ""), { limit: MOST_PLACES })
    .some(({ value }) => value.broughtByAccountId === accountId && value.parts?.uploadId === uploadId);
}

/**
 * Writes a torrent's row, and removes its earlier ones. Another group's row of the same torrent stays: it goes when nobody
 * shares the file there. The collector removes what this does not.
 *
 * @param writeId of the command: a retry at another tracker writes the same key
 */
export function putTorrent(
  writer: RegistryWriter,
  { infoHash, groupClaimId, fileName }: TorrentPlace,
  writeId: string,
  torrent: TorrentValue,
): void {
  const place = recordKey(infoHash, groupClaimId, fileName, writeId);
  const others = writer.keys("torrent", recordKey(infoHash, groupClaimId, ""), { limit: MOST_PLACES });
  writer.put("torrent", place, torrent);
  for (const key of others) if (key !== place) writer.remove("torrent", key);
}
