// The states of a download, and the status that each one shows. Pure: download.ts makes the transitions.
import type { ErrorCode } from "../../api/errors.ts";
import { Bitfield } from "../../metainfo/bitfield.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import type { TorrentStatus } from "../../swarm/torrent-status.ts";
import type { RunningTorrent } from "../client-context.ts";
import type { DownloadSource, DownloadStatus } from "../status.ts";
import { countComplete, sizeOf, type Wanted, wantedAmong } from "./chosen-files.ts";
import type { PeerSearch } from "./download-swarm.ts";

type Progress = Pick<DownloadStatus, "piecesVerified" | "bytesVerified" | "duplicateBytes" | "sources">;
type Downloading = Omit<
  Extract<DownloadStatus, { state: "downloading" }>,
  keyof Progress | "groupId" | "fileName" | "destinationPath" | "lengthBytes" | "pieceCount"
>;

/** Which members the bytes came from, and how many of those bytes were duplicates. */
export type Arrived = Pick<DownloadStatus, "duplicateBytes" | "sources">;

/** States in which nothing more happens by itself. */
export const SETTLED: ReadonlySet<DownloadState["status"]> = new Set([
  "complete",
  "paused",
  "failed",
  "ended",
]);

interface Running {
  readonly active: RunningTorrent;
  readonly store: PieceStore;
}

interface Retry {
  readonly timer: NodeJS.Timeout;
  readonly atMs: number;
}

export type DownloadState =
  | { readonly status: "opening" }
  | ({ readonly status: "running"; readonly search: PeerSearch } & Running)
  | ({ readonly status: "verifying" } & Running)
  | {
      readonly status: "complete";
      readonly arrived: Arrived;
      readonly finishedAtMs: number;
      readonly averageBytesPerSecond: number | undefined;
      /** Some files of a folder are complete, and are offered to others from here; more can be chosen. */
      readonly held: (Running & { readonly search: PeerSearch }) | undefined;
    }
  | {
      readonly status: "paused";
      readonly reason: string | undefined;
      readonly retry: Retry | undefined;
      /** It continues when downloads are no longer held. */
      readonly isHeld?: true;
    }
  | { readonly status: "failed"; readonly code: ErrorCode; readonly reason: string }
  /** The user logged out, or cancelled it. */
  | { readonly status: "ended" };

/** What stays the same in every state. */
interface DownloadFacts {
  readonly groupId: string;
  readonly wanted: Wanted;
  readonly destinationPath: string;
  /** New versions are fetched without being asked for. */
  readonly isFollowed: boolean;
}

/**
 * The verified pieces.
 *
 * @param noted the pieces that were verified when it last ran
 */
export function haveIn(
  state: DownloadState,
  { pieceCount }: Metainfo["geometry"],
  noted: Bitfield,
): Bitfield {
  if (state.status === "running" || state.status === "verifying") return state.active.torrent.have;
  if (state.status !== "complete") return noted;
  return state.held === undefined ? Bitfield.full(pieceCount) : state.held.active.torrent.have;
}

/**
 * @param noted the pieces that were verified when it last ran
 * @param before what each member had sent until then
 */
export function statusOf(
  state: DownloadState,
  { groupId, wanted, destinationPath, isFollowed }: DownloadFacts,
  noted: Bitfield,
  before: readonly DownloadSource[],
): DownloadStatus {
  const { metainfo } = wanted;
  const facts = {
    ...{ groupId, fileName: metainfo.fileName, destinationPath, ...sizeOf(wanted) },
    ...folderProgress(wanted, haveIn(state, metainfo.geometry, noted), isFollowed),
  };
  switch (state.status) {
    case "opening":
      return {
        ...facts,
        ...progress(noted, wanted, before),
        ...waiting("the check of what is on disk already"),
      };
    case "running":
      return {
        ...facts,
        ...running(state.active.torrent.status(), wanted, state.active.connections.connectedCount, before),
      };
    case "verifying":
      return {
        ...facts,
        ...complete(together(before, arrivedIn(state.active.torrent.status())), wanted),
        state: "verifying",
      };
    case "complete": {
      const { finishedAtMs, averageBytesPerSecond } = state;
      const times = { finishedAtMs, averageBytesPerSecond };
      const sha1 = metainfo.kind === "file" ? { sha1: metainfo.sha1 } : {};
      return { ...facts, ...complete(state.arrived, wanted), state: "complete", ...sha1, ...times };
    }
    case "failed":
      return {
        ...facts,
        ...progress(noted, wanted, before),
        state: "failed",
        code: state.code,
        reason: state.reason,
      };
    case "paused":
    case "ended": {
      const reason = state.status === "paused" ? state.reason : "logged out";
      return { ...facts, ...progress(noted, wanted, before), state: "paused", reason };
    }
  }
}

function folderProgress(
  wanted: Wanted,
  have: Bitfield,
  isFollowed: boolean,
): Pick<DownloadStatus, "folder" | "isFollowed"> {
  if (wanted.kind === "file") return isFollowed ? { isFollowed } : {};
  const { metainfo, chosen } = wanted;
  return {
    folder: {
      fileCount: metainfo.layout.fileCount,
      chosenFiles: chosen.files.count,
      completeFiles: countComplete(metainfo, chosen, have),
      choice: chosen.choice,
      isFollowed,
    },
  };
}

/** Adds what came since to what came before, member by member. */
export function together(before: readonly DownloadSource[], since: Arrived): Arrived {
  const sources = new Map(before.map((source) => [source.userId, source]));
  for (const source of since.sources) {
    const { pieces = 0, bytes = 0 } = sources.get(source.userId) ?? {};
    sources.set(source.userId, { ...source, pieces: source.pieces + pieces, bytes: source.bytes + bytes });
  }
  return { duplicateBytes: since.duplicateBytes, sources: [...sources.values()] };
}

/** The numbers of a download that does not run. */
export function progress(have: Bitfield, wanted: Wanted, sources: readonly DownloadSource[] = []): Progress {
  const there = wantedAmong(wanted, have);
  const { geometry } = wanted.metainfo;
  return {
    piecesVerified: there.count,
    bytesVerified: geometry.contentBytesOf(there),
    duplicateBytes: 0,
    sources,
  };
}

/** The numbers of a download that has every piece that it needs. */
export function complete(arrived: Arrived, wanted: Wanted): Progress {
  const { pieceCount, lengthBytes } = sizeOf(wanted);
  return { piecesVerified: pieceCount, bytesVerified: lengthBytes, ...arrived };
}

export function waiting(waitingFor: string): Downloading {
  return { state: "downloading", rateBytesPerSecond: 0, peerCount: 0, secondsLeft: undefined, waitingFor };
}

export function running(
  swarm: TorrentStatus,
  wanted: Wanted,
  peerCount: number,
  before: readonly DownloadSource[],
): Progress & Downloading {
  const { downloadBytesPerSecond: rateBytesPerSecond, uploadBytesPerSecond } = swarm;
  const missingBytes = sizeOf(wanted).lengthBytes - swarm.bytesVerified;
  return {
    state: "downloading",
    piecesVerified: swarm.piecesVerified,
    bytesVerified: swarm.bytesVerified,
    ...together(before, arrivedIn(swarm)),
    rateBytesPerSecond,
    ...(uploadBytesPerSecond > 0 && { uploadBytesPerSecond }),
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
