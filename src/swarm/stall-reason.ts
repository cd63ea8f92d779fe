// Why nothing arrives, in words for a person.
import type { PeerSnapshot } from "./torrent-status.ts";

/** Blocks come more often than this while a download moves at all. */
const NOTHING_ARRIVES_MS = 2000;

/** Peers are connected, and none of them is of use. */
export const NOBODY_HAS_IT = "no peer has the missing pieces";

export interface StallFacts {
  readonly isDownloading: boolean;
  /** Since the last block came. */
  readonly silentForMs: number;
  /** A piece could not be begun for want of memory. */
  readonly isOutOfMemory: boolean;
  /** Whole pieces are on their way to the disk. */
  readonly isCommitting: boolean;
  readonly peers: readonly PeerSnapshot[];
}

/** undefined while something arrives, or nothing is wanted. */
export function waitingFor({
  isDownloading,
  silentForMs,
  isOutOfMemory,
  isCommitting,
  peers,
}: StallFacts): string | undefined {
  if (!isDownloading || silentForMs < NOTHING_ARRIVES_MS) return undefined;
  if (peers.length === 0) return "waiting for a peer";
  const useful = peers.filter((peer) => peer.weAreInterested);
  if (useful.length === 0) return NOBODY_HAS_IT;
  if (isOutOfMemory && isCommitting) return "waiting for the disk";
  const giving = useful.filter((peer) => !peer.isChokingUs);
  if (giving.length === 0)
    return useful.length === 1 ? "the only useful peer chokes us" : "all peers choke us";
  if (giving.every((peer) => peer.remarks.includes("snubbed"))) return "no peer answers";
  if (isOutOfMemory) return "waiting for memory that other downloads use";
  return "waiting for the first blocks";
}
