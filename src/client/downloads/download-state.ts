// The states of a download, and how each looks from outside. Pure: download.ts makes the transitions.
import type { ErrorCode } from "../../api/errors.ts";
import { Bitfield } from "../../metainfo/bitfield.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import type { RunningTorrent } from "../client-context.ts";
import type { DownloadSource, DownloadStatus } from "../status.ts";
import {
  type Arrived,
  arrivedIn,
  complete,
  progress,
  running,
  together,
  waiting,
} from "./download-progress.ts";
import type { PeerSearch } from "./peer-search.ts";

/** Nothing more happens by itself. */
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
    }
  | {
      readonly status: "paused";
      readonly reason: string | undefined;
      readonly retry: Retry | undefined;
    }
  | { readonly status: "failed"; readonly code: ErrorCode; readonly reason: string }
  /** Let go of: logged out, or cancelled. */
  | { readonly status: "ended" };

/** What does not change of a download. */
interface DownloadFacts {
  readonly groupId: string;
  readonly metainfo: Metainfo;
  readonly destinationPath: string;
}

/**
 * Pieces that are verified.
 *
 * @param noted those that were when it ran last
 */
export function haveIn(
  state: DownloadState,
  { pieceCount }: Metainfo["geometry"],
  noted: Bitfield,
): Bitfield {
  if (state.status === "running" || state.status === "verifying") return state.active.torrent.have;
  return state.status === "complete" ? Bitfield.full(pieceCount) : noted;
}

/**
 * @param noted pieces that were verified when it ran last
 * @param before who gave what until then
 */
export function statusOf(
  state: DownloadState,
  { groupId, metainfo, destinationPath }: DownloadFacts,
  noted: Bitfield,
  before: readonly DownloadSource[],
): DownloadStatus {
  const { geometry, sha1, fileName } = metainfo;
  const { lengthBytes, pieceCount } = geometry;
  const facts = { groupId, fileName, destinationPath, lengthBytes, pieceCount };
  switch (state.status) {
    case "opening":
      return {
        ...facts,
        ...progress(noted, geometry, before),
        ...waiting("the check of what is on disk already"),
      };
    case "running":
      return {
        ...facts,
        ...running(state.active.torrent.status(), geometry, state.active.connector.connectedCount, before),
      };
    case "verifying":
      return {
        ...facts,
        ...complete(together(before, arrivedIn(state.active.torrent.status())), geometry),
        state: "verifying",
      };
    case "complete": {
      const { finishedAtMs, averageBytesPerSecond } = state;
      const times = { finishedAtMs, averageBytesPerSecond };
      return { ...facts, ...complete(state.arrived, geometry), state: "complete", sha1, ...times };
    }
    case "failed":
      return {
        ...facts,
        ...progress(noted, geometry, before),
        state: "failed",
        code: state.code,
        reason: state.reason,
      };
    case "paused":
    case "ended": {
      const reason = state.status === "paused" ? state.reason : "logged out";
      return { ...facts, ...progress(noted, geometry, before), state: "paused", reason };
    }
  }
}
