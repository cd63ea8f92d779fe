// A download's place in its swarm: runs the torrent and looks for peers while it is there, and remembers from the last time
// who was. When it is to be there is download.ts's.
import type { Logger } from "pino";
import type { Bitfield } from "../../metainfo/bitfield.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import { runInBackground } from "../../net/run-in-background.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import type { TorrentEvent } from "../../swarm/torrent.ts";
import type { PieceHolder } from "../../swarm/torrent-status.ts";
import type { Farewell } from "../../wire/farewell.ts";
import type { ClientContext, RunningTorrent } from "../client-context.ts";
import { PeerSearch } from "./peer-search.ts";

export interface DownloadSwarmOptions {
  readonly groupId: string;
  readonly metainfo: Metainfo;
  readonly log: Logger;
  readonly onEvent: (event: TorrentEvent) => void;
  /** The tracker was asked again who has the file. */
  readonly onAsked: () => void;
}

/** While the download is there. */
export interface Joined {
  readonly active: RunningTorrent;
  readonly search: PeerSearch;
}

export class DownloadSwarm {
  readonly #surroundings: ClientContext;
  readonly #options: DownloadSwarmOptions;
  /** When it was left last, by performance.now()'s clock. */
  #left: { readonly holders: readonly PieceHolder[]; readonly atMs: number } | undefined;

  constructor(surroundings: ClientContext, options: DownloadSwarmOptions) {
    this.#surroundings = surroundings;
    this.#options = options;
  }

  /** Runs the torrent. Nobody is looked for yet. */
  join(store: PieceStore, have: Bitfield): Joined {
    const { groupId, metainfo, log, onEvent, onAsked } = this.#options;
    const active = this.#surroundings.session.add({ groupId, metainfo, have, storage: store, onEvent });
    const search = new PeerSearch({
      infoHash: metainfo.infoHash,
      contacts: active.connector,
      ask: this.#surroundings.ask,
      onAsked,
      nowMs: () => performance.now(),
      log,
    });
    return { active, search };
  }

  /** Tells the tracker that the download is there; the answer names those who have the file. */
  lookForPeers({ search }: Joined): void {
    const { metainfo, log } = this.#options;
    const announced = this.#surroundings.announcer.add({ infoHash: metainfo.infoHash, isSeed: false });
    runInBackground(log, "looking for peers", search.begin(announced));
  }

  /** Ends the torrent. The search is closed by whoever has it. */
  leave(active: RunningTorrent, reason: string, farewell?: Farewell): void {
    const { metainfo, log } = this.#options;
    this.#left = { holders: active.torrent.holders(), atMs: performance.now() };
    this.#surroundings.session.remove(metainfo.infoHash, reason, farewell);
    runInBackground(log, "telling the tracker", this.#surroundings.announcer.remove(metainfo.infoHash));
  }

  /** Who was there when it was left: they may come back, or may not have gone. */
  holdersBefore(): PieceHolder[] {
    if (this.#left === undefined) return [];
    const { holders, atMs } = this.#left;
    const agoMs = performance.now() - atMs;
    return holders.map((holder) => ({
      ...holder,
      isConnected: false,
      isTried: false,
      lastSeenAgoMs: holder.lastSeenAgoMs + agoMs,
    }));
  }
}
