// The peers of a torrent, as `peers` shows them: those that are connected, and those that left after they had sent bad
// data or not answered requests. Pure.
import type { TorrentStatus } from "../swarm/torrent-status.ts";

/** One peer of one torrent, as `peers` shows it. */
export interface PeerStatus {
  readonly userId: string;
  readonly address: string;
  readonly piecesHad: number;
  readonly pieceCount: number;
  readonly downloadBytesPerSecond: number;
  readonly uploadBytesPerSecond: number;
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  /** `choked`, `snubbed`, `on parole`, `banned: …`: why this peer sends nothing, if it does not. */
  readonly remarks: readonly string[];
}

export function peerStatuses(swarm: TorrentStatus): PeerStatus[] {
  const connected = swarm.peers.map(
    (peer): PeerStatus => ({
      userId: peer.userId,
      address: peer.address,
      piecesHad: peer.piecesHad,
      pieceCount: peer.pieceCount,
      downloadBytesPerSecond: peer.downloadBytesPerSecond,
      uploadBytesPerSecond: peer.uploadBytesPerSecond,
      downloadedBytes: peer.downloadedBytes,
      uploadedBytes: peer.uploadedBytes,
      remarks: peer.remarks,
    }),
  );
  const gone = swarm.sources
    .filter((source) => source.isBanned || (source.stall !== undefined && !source.isConnected))
    .map(
      (source): PeerStatus => ({
        userId: source.userId,
        address: "",
        piecesHad: 0,
        pieceCount: swarm.pieceCount,
        downloadBytesPerSecond: 0,
        uploadBytesPerSecond: 0,
        downloadedBytes: source.bytes,
        uploadedBytes: 0,
        remarks: [source.isBanned ? "banned: sent bad data" : `gone: ${source.stall}`],
      }),
    );
  return [...connected, ...gone];
}
