// CONTRACT ONLY FOR NOW: the signatures are final, the bodies are being written.
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import type { PeerLink, PeerListener } from "../wire/messages.ts";
import type { PieceStorage } from "./piece-storage.ts";
import type {
  PeerIdentity,
  PeerSnapshot,
  TorrentEvent,
  TorrentLimits,
  TorrentState,
  TorrentStatus,
} from "./torrent-status.ts";

export interface TorrentOptions {
  readonly geometry: Geometry;
  /** Verified so far; copied. */
  readonly have: Bitfield;
  readonly storage: PieceStorage;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly onEvent: (event: TorrentEvent) => void;
  readonly limits?: Partial<TorrentLimits>;
  readonly clientName?: string;
  /** Where this client listens for peers; told to them. */
  readonly listenPort?: number;
  /**
   * This device, as its peers know it. With it, leechers that know each other share out among themselves who asks the
   * seeder for which piece first; without it they choose at random.
   */
  readonly deviceId?: string;
}

const todo = (): never => {
  throw new Error("contract only");
};

export class Torrent {
  constructor(_options: TorrentOptions) {}
  /** What is verified; changes as pieces come. */
  get have(): Bitfield {
    return todo();
  }
  get state(): TorrentState {
    return todo();
  }
  get peerCount(): number {
    return todo();
  }
  /**
   * Takes up a conversation whose handshake is done: sends what we have and the extension handshake at once. The caller
   * wires the listener that is returned to the connection. Who is banned is closed at once.
   */
  connect(_link: PeerLink, _identity: PeerIdentity, _supportsFast: boolean): PeerListener {
    return todo();
  }
  /** Called by the owner about every 100 ms: timeouts, choker rounds, rates. */
  tick(): void {
    todo();
  }
  /** Downloading, seeding or failed -> paused: nothing more is asked for, everybody is choked; connections stay. */
  pause(): void {
    todo();
  }
  /** Paused or failed -> downloading or seeding. */
  resume(): void {
    todo();
  }
  /** Closes the connections to that device, or those for which the predicate holds. */
  disconnect(_which: string | ((peer: PeerSnapshot) => boolean), _reason: string): void {
    todo();
  }
  status(): TorrentStatus {
    return todo();
  }
  /** Storage has memory again. */
  roomAvailable(): void {
    todo();
  }
  /** Any state -> closed: every connection is closed, memory is given back, nothing is reported any longer. */
  close(_reason: string): void {
    todo();
  }
}
export type { PieceFrames, PieceStorage } from "./piece-storage.ts";
export type {
  PeerIdentity,
  PeerSnapshot,
  SourceSnapshot,
  TorrentEvent,
  TorrentState,
  TorrentStatus,
} from "./torrent-status.ts";
