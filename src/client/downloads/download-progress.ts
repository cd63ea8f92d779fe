// How far a download is, in the numbers that DownloadStatus shows. Pure.
import type { Bitfield } from "../../metainfo/bitfield.ts";
import type { Geometry } from "../../metainfo/geometry.ts";
import type { TorrentStatus } from "../../swarm/torrent-status.ts";
import type { DownloadSource, DownloadStatus } from "../status.ts";

type Progress = Pick<DownloadStatus, "piecesVerified" | "bytesVerified" | "duplicateBytes" | "sources">;
type Downloading = Omit<
  Extract<DownloadStatus, { state: "downloading" }>,
  keyof Progress | "groupId" | "fileName" | "destinationPath" | "lengthBytes" | "pieceCount"
>;

/** From whom the bytes came, and how many of them for nothing. */
export type Arrived = Pick<DownloadStatus, "duplicateBytes" | "sources">;

/** What came before, and what came since: a member who gave in both is counted in both. */
export function together(before: readonly DownloadSource[], since: Arrived): Arrived {
  const sources = new Map(before.map((source) => [source.userId, source]));
  for (const source of since.sources) {
    const { pieces = 0, bytes = 0 } = sources.get(source.userId) ?? {};
    sources.set(source.userId, { ...source, pieces: source.pieces + pieces, bytes: source.bytes + bytes });
  }
  return { duplicateBytes: since.duplicateBytes, sources: [...sources.values()] };
}

/** Of a download that does not run: what is verified, and from whom it came. */
export function progress(
  have: Bitfield,
  geometry: Geometry,
  sources: readonly DownloadSource[] = [],
): Progress {
  const lastPiece = geometry.pieceCount - 1;
  const missingOfLastPiece = have.has(lastPiece)
    ? geometry.pieceLengthBytes - geometry.lengthOfPieceBytes(lastPiece)
    : 0;
  return {
    piecesVerified: have.count,
    bytesVerified: have.count * geometry.pieceLengthBytes - missingOfLastPiece,
    duplicateBytes: 0,
    sources,
  };
}

/** Of a download that has every piece. */
export function complete(arrived: Arrived, geometry: Geometry): Progress {
  return { piecesVerified: geometry.pieceCount, bytesVerified: geometry.lengthBytes, ...arrived };
}

export function waiting(waitingFor: string): Downloading {
  return { state: "downloading", rateBytesPerSecond: 0, peerCount: 0, secondsLeft: undefined, waitingFor };
}

export function running(
  swarm: TorrentStatus,
  geometry: Geometry,
  peerCount: number,
  before: readonly DownloadSource[],
): Progress & Downloading {
  const rateBytesPerSecond = swarm.downloadBytesPerSecond;
  const missingBytes = geometry.lengthBytes - swarm.bytesVerified;
  return {
    state: "downloading",
    piecesVerified: swarm.piecesVerified,
    bytesVerified: swarm.bytesVerified,
    ...together(before, arrivedIn(swarm)),
    rateBytesPerSecond,
    peerCount,
    secondsLeft: rateBytesPerSecond > 0 ? missingBytes / rateBytesPerSecond : undefined,
    waitingFor: swarm.waitingFor,
  };
}

export function arrivedIn(swarm: TorrentStatus): Arrived {
  const givers = swarm.sources.filter(({ bytes }) => bytes > 0);
  const sources = givers.map(({ userId, isConnected, pieces, bytes, bytesPerSecond }) => ({
    userId,
    isConnected,
    pieces,
    bytes,
    rateBytesPerSecond: bytesPerSecond,
  }));
  return { duplicateBytes: swarm.duplicateBytes, sources };
}
