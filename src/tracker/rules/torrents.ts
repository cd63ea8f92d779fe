// The metainfo of torrents. Sharing a file that nobody shares writes its metainfo anew, under a key of its own. So removing a
// row that has long been unused at one tracker cannot break a share that begins at another one at the same moment (see
// collector.ts).

import type { TorrentValue } from "../registry/record-values.ts";
import { type RegistryReader, type RegistryWriter, recordKey } from "../registry/registry.ts";

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

/** The group of a torrent, whether or not its claim stands; undefined for an unknown torrent. */
export function groupOfTorrent(reader: RegistryReader, infoHash: string): string | undefined {
  const [key] = reader.keys("torrent", recordKey(infoHash, ""), { limit: 1 });
  return key === undefined ? undefined : readTorrentKey(key).groupClaimId;
}

/** The info dictionary, base64. */
export function infoOfTorrent(reader: RegistryReader, infoHash: string): string | undefined {
  const [key] = reader.keys("torrent", recordKey(infoHash, ""), { limit: 1 });
  return key === undefined ? undefined : reader.get("torrent", key)?.info;
}

/**
 * Writes a torrent's row, and removes its earlier ones. Another group's row of the same torrent stays: it goes when nobody
 * shares the file there.
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

/** Most rows of one torrent to remove; only partitioned trackers produce several. The collector removes the rest. */
const MOST_PLACES = 10;
