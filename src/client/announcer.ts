// Announces this client's torrents to the tracker: all of them on a fresh connection, then changes, one message per turn
// of the event loop.
import type { Logger } from "pino";
import { z } from "zod";
import { packHashes, packTorrents } from "../api/packed-torrents.ts";
import { type AnnouncedTorrent, type PeerAddress, torrentPeersSchema } from "../api/schemas.ts";
import type { TrackerApi } from "./trackers/api-channel.ts";
import type { ListenClaim } from "./trackers/reachability.ts";
import { asRefusal, type TrackerLink } from "./trackers/tracker-link.ts";

/** Most torrents in one message: at 40 bytes each, far below MAX_API_MESSAGE_BYTES. */
const MAX_PER_MESSAGE = 5_000;

/** Where this client listens. */
export interface ListenPlace extends ListenClaim {
  readonly listenPort: number;
}

export class Announcer {
  readonly #link: Pick<TrackerLink, "ask">;
  readonly #log: Logger;
  readonly #announced = new Map<string, AnnouncedTorrent>();
  /** Changes that are not announced yet, with the promises of their callers. */
  readonly #changed = new Map<string, PromiseWithResolvers<readonly PeerAddress[] | undefined>>();
  #isSending = false;

  constructor(link: Pick<TrackerLink, "ask">, log: Logger) {
    this.#link = link;
    this.#log = log;
  }

  /** Part of bringing a fresh connection up to date: the whole list. */
  async announceAll(api: TrackerApi, where: ListenPlace): Promise<void> {
    for (const { resolve } of this.#changed.values()) resolve(undefined);
    this.#changed.clear();
    const all = [...this.#announced.values()];
    try {
      const { listenPort, listensHere } = where;
      const otherHosts = [...where.otherHosts];
      const torrents = packTorrents(all.slice(0, MAX_PER_MESSAGE));
      await api.presence.announce.mutate({ listenPort, listensHere, otherHosts, ...torrents });
      for (let at = MAX_PER_MESSAGE; at < all.length; at += MAX_PER_MESSAGE) {
        const more = packTorrents(all.slice(at, at + MAX_PER_MESSAGE));
        await api.presence.update.mutate({ ...more, over: "" });
      }
    } catch (error) {
      if (asRefusal(error).code !== "LIMIT_REACHED") throw error;
      // To share with some files unannounced is better than to have no tracker.
      this.#log.warn({ err: error }, "the tracker does not take note of all that is shared here");
    }
  }

  /** The tracker asks for a new announcement: it may know torrents that it did not know before. */
  async announceAgain(where: ListenPlace): Promise<void> {
    await this.#link.ask(z.undefined(), (api) => this.announceAll(api, where));
  }

  /**
   * Resolves when the tracker knows, or could not be reached: a fresh connection announces everything again.
   *
   * @returns the other peers, unless a seed was announced; undefined if the tracker did not name them: it can be asked
   */
  add(torrent: AnnouncedTorrent): Promise<readonly PeerAddress[] | undefined> {
    this.#announced.set(torrent.infoHash, torrent);
    return this.#change(torrent.infoHash);
  }

  /** The tracker knows already that this client has all of it. */
  told(infoHash: string): void {
    this.#announced.set(infoHash, { infoHash, isSeed: true });
  }

  async remove(infoHash: string): Promise<void> {
    if (this.#announced.delete(infoHash)) await this.#change(infoHash);
  }

  #change(infoHash: string): Promise<readonly PeerAddress[] | undefined> {
    const told = this.#changed.get(infoHash) ?? Promise.withResolvers();
    this.#changed.set(infoHash, told);
    if (!this.#isSending) void this.#send();
    return told.promise;
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    await Promise.resolve();
    while (this.#changed.size > 0) {
      const batch = [...this.#changed].slice(0, MAX_PER_MESSAGE);
      for (const [infoHash] of batch) this.#changed.delete(infoHash);
      const peers = await this.#tell(batch.map(([infoHash]) => infoHash));
      for (const [infoHash, { resolve }] of batch) resolve(peers.get(infoHash));
    }
    this.#isSending = false;
  }

  async #tell(infoHashes: readonly string[]): Promise<Map<string, readonly PeerAddress[]>> {
    const add = infoHashes
      .map((infoHash) => this.#announced.get(infoHash))
      .filter((torrent) => torrent !== undefined);
    const remove = infoHashes.filter((infoHash) => !this.#announced.has(infoHash));
    try {
      const answer = await this.#link.ask(z.array(torrentPeersSchema), (api) =>
        api.presence.update.mutate({ ...packTorrents(add), over: packHashes(remove) }),
      );
      return new Map(answer.map(({ infoHash, peers }) => [infoHash, peers]));
    } catch (error) {
      this.#log.info({ err: error }, "presence not told; the next connection tells all of it");
      return new Map();
    }
  }
}
