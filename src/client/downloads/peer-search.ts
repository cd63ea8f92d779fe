// Asks the tracker who has a file: when a download begins, when a tracker is found again, and from time to time, as a
// BitTorrent client announces again (BEP 3, `interval`). What trackers tell unasked comes first; this makes up for what
// was never told, such as peers of a file that the tracker itself had not heard of yet.

import type { Logger } from "pino";
import { z } from "zod";
import { type PeerAddress, peerAddressSchema } from "../../api/schemas.ts";
import { later } from "../../net/timers.ts";
import type { ClientContext } from "../client-context.ts";

/** First pause before asking again with no connection, or few in a large swarm; each later pause is twice as long. */
const FIRST_PAUSE_MS = 2_000;
/** And that often at least. */
const LONGEST_PAUSE_MS = 60_000;
/** A tracker names another sample of a large swarm each time; with fewer connections than this, the client asks again soon. */
const FEW_CONNECTIONS = 20;

/** What it needs of `ConnectionManager`. */
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

export class PeerSearch {
  readonly #options: PeerSearchOptions;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #nextAtMs: number | undefined;

  constructor(options: PeerSearchOptions) {
    this.#options = options;
  }

  /** Until it asks again; 0 while it asks. */
  get nextInMs(): number {
    return Math.max(0, (this.#nextAtMs ?? 0) - this.#options.nowMs());
  }

  /** Takes what the tracker has said already to the announcement, or asks; from then on by itself, until `close`. */
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

  /** Asks now; from then on by itself, until `close`. Never rejects. */
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
