// How far a download is, in the numbers that DownloadStatus shows. Pure.
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import type { TorrentStatus } from "../swarm/torrent-status.ts";
import type { DownloadSource, DownloadStatus } from "./status.ts";

type Progress = Pick<DownloadStatus, "piecesVerified" | "bytesVerified" | "sources">;
type Downloading = Omit<
  Extract<DownloadStatus, { state: "downloading" }>,
  keyof Progress | "groupId" | "fileName" | "destinationPath" | "lengthBytes" | "pieceCount"
>;

/** Of a download that does not run: what is verified, and nothing from anybody. */
export function progress(have: Bitfield, geometry: Geometry): Progress {
  const lastPiece = geometry.pieceCount - 1;
  const missingOfLastPiece = have.has(lastPiece)
    ? geometry.pieceLengthBytes - geometry.lengthOfPieceBytes(lastPiece)
    : 0;
  return {
    piecesVerified: have.count,
    bytesVerified: have.count * geometry.pieceLengthBytes - missingOfLastPiece,
    sources: [],
  };
}

/** Of a download that has every piece. */
export function complete(sources: readonly DownloadSource[], geometry: Geometry): Progress {
  return { piecesVerified: geometry.pieceCount, bytesVerified: geometry.lengthBytes, sources };
}

export function waiting(waitingFor: string): Downloading {
  return { state: "downloading", rateBytesPerSecond: 0, peerCount: 0, secondsLeft: undefined, waitingFor };
}

export function running(swarm: TorrentStatus, geometry: Geometry, peerCount: number): Progress & Downloading {
  const rateBytesPerSecond = swarm.downloadBytesPerSecond;
  const missingBytes = geometry.lengthBytes - swarm.bytesVerified;
  return {
    state: "downloading",
    piecesVerified: swarm.piecesVerified,
    bytesVerified: swarm.bytesVerified,
    sources: sourcesOf(swarm),
    rateBytesPerSecond,
    peerCount,
    secondsLeft: rateBytesPerSecond > 0 ? missingBytes / rateBytesPerSecond : undefined,
    waitingFor: swarm.waitingFor,
  };
}

export function sourcesOf(swarm: TorrentStatus): DownloadSource[] {
  return swarm.sources.map(({ userId, isConnected, pieces, bytes, bytesPerSecond }) => ({
    userId,
    isConnected,
    pieces,
    bytes,
    rateBytesPerSecond: bytesPerSecond,
  }));
}
