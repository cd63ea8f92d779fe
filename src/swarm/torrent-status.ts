// What a torrent tells its owner: the events it reports, how it stands, and why nothing arrives, in words.
import type { MiniTorrentError } from "../api/errors.ts";
import type { Farewell } from "../wire/farewell.ts";
import type { PieceSet } from "./piece-set.ts";

/** Blocks arrive more often than this while a download moves at all. */
const NOTHING_ARRIVES_MS = 2000;

/** Peers are connected, and none of them has anything that is missing here. */
export const NOBODY_HAS_IT = "no peer has the missing pieces";

/** Who is at the other end of a connection, as its certificate says. */
export interface PeerIdentity {
  readonly userId: string;
  readonly deviceId: string;
  /** host:port of the connection, for people to read. */
  readonly address: string;
  /** Where the peer listens, if that is known. */
  readonly listenPort?: number;
}

export type TorrentEvent =
  /** Verified and on disk. `userIds`: the users who sent blocks of it, the one who sent the last block first. */
  | { readonly type: "piece-verified"; readonly pieceIndex: number; readonly userIds: readonly string[] }
  /** Every wanted piece is verified; told again after more was wanted. */
  | { readonly type: "all-verified" }
  /** We have everything, and for the first time the peers together have too. `uploadedBytes`: what we sent until then. */
  | { readonly type: "held-by-others"; readonly uploadedBytes: number }
  /** A piece did not have its hash. `bannedUserIds`: the users whom it proves to have sent bad data. */
  | {
      readonly type: "piece-corrupt";
      readonly pieceIndex: number;
      readonly userIds: readonly string[];
      readonly bannedUserIds: readonly string[];
    }
  | { readonly type: "peer-banned"; readonly userId: string; readonly reason: string }
  /** Nothing has arrived for some time, see `WAITING_MS` and `STARVED_MS` in torrent.ts; told again after something did. */
  | { readonly type: "waiting" }
  /** A peer said why it closes the connection. */
  | { readonly type: "peer-left"; readonly userId: string; readonly farewell: Farewell }
  /** Storage could not keep a piece: nothing more is asked for. */
  | { readonly type: "storage-failed"; readonly error: MiniTorrentError }
  /** The torrent's tick keeps failing: a bug, and nothing more can be expected of it. */
  | { readonly type: "tick-failed"; readonly error: MiniTorrentError }
  /** A piece that a peer requested could not be read. */
  | { readonly type: "read-failed"; readonly pieceIndex: number; readonly error: MiniTorrentError };

export type TorrentState =
  | { readonly status: "downloading" }
  /** Every wanted piece is here. */
  | { readonly status: "seeding" }
  /** Storage failed: nothing is asked for, what is there is still served; another Torrent tries again. */
  | { readonly status: "failed"; readonly error: MiniTorrentError }
  | { readonly status: "closed"; readonly reason: string };

/** One connection. */
export interface PeerSnapshot {
  readonly userId: string;
  readonly deviceId: string;
  readonly address: string;
  /** Where the peer listens, from the caller or from its extension handshake. */
  readonly listenPort: number | undefined;
  /** What the peer calls its software (BEP 10 `v`). */
  readonly clientName: string | undefined;
  readonly piecesHad: number;
  readonly pieceCount: number;
  readonly isSeed: boolean;
  /** It has everything, or says that it has all it wants. */
  readonly needsNothing: boolean;
  readonly downloadBytesPerSecond: number;
  readonly uploadBytesPerSecond: number;
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  /** Blocks that are asked for and have not come. */
  readonly requestsOutstanding: number;
  /** Most blocks that may be asked for at once now. */
  readonly requestWindow: number;
  /** The peer has something that is missing here. */
  readonly weAreInterested: boolean;
  readonly isInterestedInUs: boolean;
  readonly isChokingUs: boolean;
  readonly weAreChoking: boolean;
  /** `choked`, `snubbed`, `does not answer`, `on parole`: why this peer does not deliver, if it does not. */
  readonly remarks: readonly string[];
}

/** A device that is in the swarm, or was: what it has, or had when it left. */
export interface PieceHolder {
  readonly userId: string;
  readonly deviceId: string;
  readonly has: PieceSet;
  readonly isConnected: boolean;
  /** 0 while it is connected. */
  readonly lastSeenAgoMs: number;
  /** It did not answer, and is asked for a block now and then to see whether it does. */
  readonly isTried: boolean;
  readonly remarks: readonly string[];
  /** Why it left, as it said; undefined while it is connected. */
  readonly farewell: Farewell | undefined;
}

/** One user's contribution over all connections to them; kept after they leave. */
export interface SourceSnapshot {
  readonly userId: string;
  /** Verified pieces of which this user sent the last block. */
  readonly pieces: number;
  /** Bytes of blocks accepted from them. */
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly isConnected: boolean;
  readonly isBanned: boolean;
  /** How the last connection that ended failed to deliver; undefined if it did not. */
  readonly stall: string | undefined;
}

export interface TorrentStatus {
  /** Of the wanted pieces. */
  readonly piecesVerified: number;
  readonly piecesWanted: number;
  readonly pieceCount: number;
  /** Of the wanted pieces, without padding. */
  readonly bytesVerified: number;
  readonly bytesWanted: number;
  readonly downloadBytesPerSecond: number;
  readonly uploadBytesPerSecond: number;
  /** Bytes of blocks that were put into pieces. */
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  /** Bytes that arrived for nothing: late, twice, or in a piece that was corrupt. Includes `duplicateBytes`. */
  readonly wastedBytes: number;
  /** Bytes of blocks that were skipped when they arrived, because nobody waited for them any longer. */
  readonly duplicateBytes: number;
  /** Why nothing arrives, in words for a person; undefined while something does, or when nothing is missing. */
  readonly waitingFor: string | undefined;
  readonly peers: readonly PeerSnapshot[];
  readonly sources: readonly SourceSnapshot[];
}

/** Numbers of a torrent that its owner may change; each default stands where it is used. */
export interface TorrentLimits {
  /** Most requests a peer may have waiting with us; announced as `reqq` (BEP 10). */
  readonly requestsFromPeer: number;
  /** Most blocks that are asked of one peer at once. */
  readonly requestsToPeer: number;
  /** Fewest interested peers that are unchoked. */
  readonly uploadSlots: number;
}

export interface StallFacts {
  readonly isDownloading: boolean;
  /** Since the last block arrived. */
  readonly silentForMs: number;
  /** There was no memory to begin another piece. */
  readonly isOutOfMemory: boolean;
  /** Whole pieces are on their way to the disk. */
  readonly isCommitting: boolean;
  readonly peers: readonly PeerSnapshot[];
}

/** Why nothing arrives, in words for a person; undefined while something does, or when nothing is missing. */
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
  const unchoking = useful.filter((peer) => !peer.isChokingUs);
  if (unchoking.length === 0)
    return useful.length === 1 ? "the only useful peer chokes us" : "all peers choke us";
  if (unchoking.every((peer) => peer.remarks.includes("snubbed"))) return "no peer answers";
  if (isOutOfMemory) return "waiting for memory that other downloads use";
  return "waiting for the first blocks";
}
