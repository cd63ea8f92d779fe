// One download in its swarm: `DownloadSwarm` runs the torrent while the download is active and remembers the peers for
// when it is not; `PeerSearch` asks the tracker for peers meanwhile. download.ts decides when to join and leave.
import type { Logger } from "pino";
import { z } from "zod";
import { type PeerAddress, peerAddressSchema } from "../../api/schemas.ts";
import type { Bitfield } from "../../metainfo/bitfield.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import { runInBackground } from "../../net/run-in-background.ts";
import { later } from "../../net/timers.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import type { TorrentEvent } from "../../swarm/torrent.ts";
import type { PieceHolder } from "../../swarm/torrent-status.ts";
import type { Farewell } from "../../wire/farewell.ts";
import type { ClientContext, RunningTorrent } from "../client-context.ts";

/** First pause before asking again with no connection, or few in a large swarm; each later pause is twice as long. */
const FIRST_PAUSE_MS = 2_000;
/** The longest pause, and the pause while there are enough connections. */
const LONGEST_PAUSE_MS = 60_000;
/** A tracker names another sample of a large swarm each time; with fewer connections than this, the client asks again soon. */
const FEW_CONNECTIONS = 20;

/** The part of `ConnectionManager` that is used here. */
interface Contacts {
  readonly connectedCount: number;
  /** The tracker named only a sample of the peers. */
  readonly knowsSample?: boolean;
  peersOnline(addresses: readonly PeerAddress[], askedAtMs: number): void;
}

export interface PeerSearchOptions {
  readonly infoHash: string;
  readonly contacts: Contacts;
  readonly ask: ClientContext["ask"];
  /** Called after each answer, or attempt to get one. */
  readonly onAsked?: () => void;
  /** The clock of `contacts`. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

/**
 * Asks the tracker who has a file: when a download begins, when a tracker is found again, and from time to time, as a BitTorrent
 * client announces again (BEP 3, `interval`). Trackers also tell of peers unasked; asking finds those that were never told of,
 * such as peers of a file that the tracker itself had not heard of yet.
 */
export class PeerSearch {
  readonly #options: PeerSearchOptions;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #nextAtMs: number | undefined;

  constructor(options: PeerSearchOptions) {
    this.#options = options;
  }

  /** Time until the next query; 0 during one. */
  get nextInMs(): number {
    return Math.max(0, (this.#nextAtMs ?? 0) - this.#options.nowMs());
  }

  /** Uses the answer to the announcement if there is one, and asks otherwise; then repeats by itself until `close`. */
  async begin(announced: Promise<readonly PeerAddress[] | undefined>): Promise<void> {
    const askedAtMs = this.#options.nowMs();
    const peers = await announced;
    if (peers === undefined) {
      await this.look();
    } else if (!this.#isClosed) {
      this.#options.contacts.peersOnline(peers, askedAtMs);
      this.#lookLater();
    }
  }

  /** Asks now, then repeats by itself until `close`. Never rejects. */
  async look(): Promise<void> {
    const { infoHash, contacts, ask, nowMs, log } = this.#options;
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#nextAtMs = undefined;
    const askedAtMs = nowMs();
    try {
      const peers = await ask(z.array(peerAddressSchema), (api) => api.presence.peers.query({ infoHash }));
      if (!this.#isClosed) contacts.peersOnline(peers, askedAtMs);
    } catch (error) {
      log.info({ err: error }, "peers not asked for; asked again later");
    }
    this.#lookLater();
    if (!this.#isClosed) this.#options.onAsked?.();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    const { connectedCount, knowsSample = false } = this.#options.contacts;
    const hasFew = connectedCount === 0 || (knowsSample && connectedCount < FEW_CONNECTIONS);
    const pauseMs = hasFew ? this.#pauseMs : LONGEST_PAUSE_MS;
    this.#pauseMs = hasFew ? Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
    this.#nextAtMs = this.#options.nowMs() + pauseMs;
    this.#timer = later("looking for peers", pauseMs, () => this.look());
  }
}

export interface DownloadSwarmOptions {
  readonly groupId: string;
  readonly metainfo: Metainfo;
  /** The pieces to fetch; undefined: all. */
  readonly wantedPieces: () => Bitfield | undefined;
  readonly log: Logger;
  readonly onEvent: (event: TorrentEvent) => void;
  /** Called each time the tracker has been asked for peers. */
  readonly onAsked: () => void;
}

/** The parts that exist only while the download is in its swarm. */
export interface Joined {
  readonly active: RunningTorrent;
  readonly search: PeerSearch;
}

export class DownloadSwarm {
  readonly #context: ClientContext;
  readonly #options: DownloadSwarmOptions;
  /** The peers when the swarm was last left; `atMs` is by performance.now(). */
  #left: { readonly holders: readonly PieceHolder[]; readonly atMs: number } | undefined;

  constructor(context: ClientContext, options: DownloadSwarmOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Runs the torrent, without looking for peers yet. */
  join(store: PieceStore, have: Bitfield): Joined {
    const { groupId, metainfo, wantedPieces, onEvent } = this.#options;
    const wanted = wantedPieces();
    const active = this.#context.session.add({
      ...{ groupId, metainfo, have, storage: store, onEvent },
      ...(wanted === undefined ? {} : { wanted }),
    });
    return { active, search: this.searchFor(active) };
  }

  /** A search for peers of that torrent, which has not begun. */
  searchFor(active: RunningTorrent): PeerSearch {
    const { metainfo, log, onAsked } = this.#options;
    return new PeerSearch({
      infoHash: metainfo.infoHash,
      contacts: active.connections,
      ask: this.#context.ask,
      onAsked,
      nowMs: () => performance.now(),
      log,
    });
  }

  /** Other pieces are fetched from now on. */
  want(pieces: Bitfield): void {
    this.#context.session.want(this.#options.metainfo.infoHash, pieces);
  }

  /** Announces the download to the tracker, whose answer names peers. */
  lookForPeers({ search }: Pick<Joined, "search">): void {
    const { metainfo, log } = this.#options;
    const announced = this.#context.announcer.add({ infoHash: metainfo.infoHash, isSeed: false });
    runInBackground(log, "looking for peers", search.begin(announced));
  }

  /** Ends the torrent. The owner of the search closes it. */
  leave(active: RunningTorrent, reason: string, farewell?: Farewell): void {
    const { metainfo, log } = this.#options;
    this.#left = { holders: active.torrent.holders(), atMs: performance.now() };
    this.#context.session.remove(metainfo.infoHash, reason, farewell);
    runInBackground(log, "telling the tracker", this.#context.announcer.remove(metainfo.infoHash));
  }

  /** The peers when the swarm was last left: they may still be online, or come back. */
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
