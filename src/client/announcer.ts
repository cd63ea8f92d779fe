// Tells the tracker which torrents this client has a part in: all of them on a fresh connection, changes as they come,
// those of one turn in one message.
import type { Logger } from "pino";
import { z } from "zod";
import type { AnnouncedTorrent } from "../api/schemas.ts";
import type { TrackerApi } from "./api-channel.ts";
import type { TrackerLink } from "./tracker-link.ts";

/** Most torrents in one message: at some 70 bytes each, far below MAX_API_MESSAGE_BYTES. */
const MAX_PER_MESSAGE = 5_000;

export class Announcer {
  readonly #link: () => TrackerLink;
  readonly #log: Logger;
  readonly #announced = new Map<string, AnnouncedTorrent>();
  readonly #changed = new Set<string>();
  #sending: Promise<void> | undefined;

  constructor(link: () => TrackerLink, log: Logger) {
    this.#link = link;
    this.#log = log;
  }

  /** Part of bringing a fresh connection up to date: the whole list. */
  async announceAll(api: TrackerApi, listenPort: number): Promise<void> {
    this.#changed.clear();
    const all = [...this.#announced.values()];
    await api.presence.announce.mutate({ listenPort, torrents: all.slice(0, MAX_PER_MESSAGE) });
    for (let at = MAX_PER_MESSAGE; at < all.length; at += MAX_PER_MESSAGE) {
      await api.presence.update.mutate({ add: all.slice(at, at + MAX_PER_MESSAGE), remove: [] });
    }
  }

  /** Resolves when the tracker knows, or could not be told: a fresh connection tells it all. */
  add(torrent: AnnouncedTorrent): Promise<void> {
    this.#announced.set(torrent.infoHash, torrent);
    return this.#change(torrent.infoHash);
  }

  remove(infoHash: string): Promise<void> {
    return this.#announced.delete(infoHash) ? this.#change(infoHash) : Promise.resolve();
  }

  #change(infoHash: string): Promise<void> {
    this.#changed.add(infoHash);
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
      if (this.#changed.size > 0) void this.#change(this.#changed.values().next().value ?? "");
    });
    return this.#sending;
  }

  async #send(): Promise<void> {
    await Promise.resolve();
    while (this.#changed.size > 0) {
      const add: AnnouncedTorrent[] = [];
      const remove: string[] = [];
      for (const infoHash of [...this.#changed].slice(0, MAX_PER_MESSAGE)) {
        this.#changed.delete(infoHash);
        const torrent = this.#announced.get(infoHash);
        if (torrent === undefined) remove.push(infoHash);
        else add.push(torrent);
      }
      try {
        await this.#link().ask(z.unknown(), (api) => api.presence.update.mutate({ add, remove }));
      } catch (error) {
        this.#log.info({ err: error }, "presence not told; the next connection tells all of it");
      }
    }
  }
}
