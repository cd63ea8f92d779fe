// The metainfo of torrents. A row of its own for each time that a file came to be shared: whoever shares a file that
// nobody shares writes its metainfo again, in a new place. So to remove a place that nobody has used for long, at one
// tracker, takes nothing from a share that begins at another one at that moment (see collector.ts).
import { type RegistryReader, type RegistryWriter, recordKey } from "./registry/registry.ts";
import type { TorrentValue } from "./values.ts";

/** What the key of a torrent's row says. */
export interface TorrentPlace {
  readonly infoHash: string;
  readonly groupClaimId: string;
  readonly fileName: string;
}

export function readTorrentKey(key: string): TorrentPlace {
  const [infoHash = "", groupClaimId = "", fileName = ""] = key.split("\u001f");
  return { infoHash, groupClaimId, fileName };
}

/** The group that a torrent belongs to, whether or not that stands; undefined if the torrent is not known. */
export function groupOfTorrent(reader: RegistryReader, infoHash: string): string | undefined {
  const [key] = reader.keys("torrent", recordKey(infoHash, ""), { limit: 1 });
  return key === undefined ? undefined : readTorrentKey(key).groupClaimId;
}

/** The info dictionary, base64. */
export function infoOfTorrent(reader: RegistryReader, infoHash: string): string | undefined {
  const [key] = reader.keys("torrent", recordKey(infoHash, ""), { limit: 1 });
  return key === undefined ? undefined : reader.get<TorrentValue>("torrent", key)?.info;
}

/**
 * Writes a torrent's row, and takes those before it away.
 *
 * @param writeId of the command: tried again at another tracker it writes the same place
 */
export function putTorrent(
  writer: RegistryWriter,
  { infoHash, groupClaimId, fileName }: TorrentPlace,
  writeId: string,
  torrent: TorrentValue,
): void {
  const place = recordKey(infoHash, groupClaimId, fileName, writeId);
  const others = writer.keys("torrent", recordKey(infoHash, ""), { limit: MOST_PLACES });
  writer.put("torrent", place, torrent);
  for (const key of others) if (key !== place) writer.remove("torrent", key);
}

/** Of one torrent; there are several only where trackers were apart. The collector takes the rest. */
const MOST_PLACES = 10;
