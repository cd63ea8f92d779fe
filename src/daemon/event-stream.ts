// What the daemon tells those who watch it, as server-sent events (HTML Standard, 9.2): first a snapshot, then what changed, once a
// second, and what happened, at once. What happened is kept for a while, so that a watcher that reconnects with `Last-Event-ID`
// misses nothing. A watcher that does not read is disconnected.
import { randomBytes } from "node:crypto";
import type { DownloadStatus, ShareStatus } from "../client/status.ts";
import { every } from "../net/timers.ts";
import type { DaemonStatus } from "./status-schemas.ts";

/** Events that are kept for watchers that reconnect. */
const MOST_KEPT = 1_000;
const CHANGES_PERIOD_MS = 1_000;
/** A comment, so that a connection that is gone is noticed. */
const HEARTBEAT_PERIOD_MS = 15_000;
/** Unread bytes, beside its snapshot, at which a watcher is disconnected; it returns and gets a snapshot. */
const MOST_UNREAD_BYTES = 4 * 1024 * 1024;
/** Watchers at a time: each costs its unread bytes. */
const MOST_WATCHERS = 32;

/** Where a watcher's events go. */
export interface Watcher {
  write(text: string): void;
  /** Bytes that it has not read. */
  readonly writableLength: number;
  /** After what it has not read. */
  end(): void;
  /** At once: what it has not read is dropped. */
  destroy(): void;
}

export interface Snapshot {
  readonly status: DaemonStatus;
  readonly downloads: readonly DownloadStatus[];
  readonly shares: readonly ShareStatus[];
}

/** The lists of a snapshot, by a name that identifies each entry. */
type Known = {
  readonly status: string;
  readonly lists: Readonly<Record<"downloads" | "shares", Map<string, string>>>;
};

export class EventStream {
  readonly #takeSnapshot: () => Snapshot;
  /** Differs after a restart, so that ids of an earlier process are recognised. */
  readonly #epoch = randomBytes(4).toString("hex");
  readonly #kept: { readonly id: number; readonly text: string }[] = [];
  /** Each with the unread bytes that it may have: a long snapshot alone must not disconnect it. */
  readonly #watchers = new Map<Watcher, number>();
  #lastId = 0;
  #known: Known | undefined;
  #timers: NodeJS.Timeout[] = [];

  /** @param takeSnapshot the state now; called once a second while somebody watches */
  constructor(takeSnapshot: () => Snapshot) {
    this.#takeSnapshot = takeSnapshot;
  }

  get isFull(): boolean {
    return this.#watchers.size >= MOST_WATCHERS;
  }

  /** Something happened. @param type becomes the event's name */
  happened(type: string, data: object): void {
    this.#lastId++;
    const text = eventText(type, data, `${this.#epoch}-${this.#lastId}`);
    this.#kept.push({ id: this.#lastId, text });
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
    this.#send(text);
  }

  /** Progress of work that is under way: the next one replaces it, so it is not kept. */
  progressed(type: string, data: object): void {
    this.#send(eventText(type, data));
  }

  /**
   * Sends what happened since `lastEventId`, then a snapshot, then everything that follows, until `leave`.
   *
   * @param lastEventId as the watcher got it; anything else counts as none
   */
  join(watcher: Watcher, lastEventId: string | undefined): void {
    const [epoch, id] = (lastEventId ?? "").split("-");
    if (epoch === this.#epoch) {
      for (const kept of this.#kept) if (kept.id > Number(id)) watcher.write(kept.text);
    }
    // What the others know is what this one gets: changes are found once for all.
    this.#sayChanges();
    const snapshot = this.#takeSnapshot();
    this.#known ??= knownFrom(snapshot);
    watcher.write(eventText("snapshot", snapshot, `${this.#epoch}-${this.#lastId}`));
    this.#watchers.set(watcher, watcher.writableLength + MOST_UNREAD_BYTES);
    if (this.#timers.length > 0) return;
    this.#timers = [
      every("daemon events", CHANGES_PERIOD_MS, () => this.#sayChanges()),
      every("daemon heartbeat", HEARTBEAT_PERIOD_MS, () => this.#send(":\n\n")),
    ];
  }

  leave(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#known = undefined;
  }

  /** Disconnects all watchers. */
  close(): void {
    for (const watcher of [...this.#watchers.keys()]) {
      this.leave(watcher);
      watcher.end();
    }
  }

  #sayChanges(): void {
    const before = this.#known;
    if (before === undefined) return;
    const snapshot = this.#takeSnapshot();
    const now = knownFrom(snapshot);
    this.#known = now;
    const changes: Record<string, unknown> = {};
    if (now.status !== before.status) changes.status = snapshot.status;
    for (const list of ["downloads", "shares"] as const) {
      const [old, current] = [before.lists[list], now.lists[list]];
      const changed = snapshot[list].filter((entry) => old.get(nameOf(entry)) !== current.get(nameOf(entry)));
      const ended = old
        .keys()
        .filter((name) => !current.has(name))
        .toArray();
      if (changed.length > 0) changes[list] = changed;
      if (ended.length > 0) changes[`${list}Ended`] = ended.map((name) => JSON.parse(name) as unknown);
    }
    if (Object.keys(changes).length > 0) this.#send(eventText("changed", changes));
  }

  #send(text: string): void {
    for (const [watcher, mostUnreadBytes] of [...this.#watchers]) {
      if (watcher.writableLength <= mostUnreadBytes) {
        watcher.write(text);
        continue;
      }
      this.leave(watcher);
      watcher.destroy();
    }
  }
}

function nameOf({ groupId, fileName }: DownloadStatus | ShareStatus): string {
  return JSON.stringify({ groupId, fileName });
}

function knownFrom({ status, downloads, shares }: Snapshot): Known {
  const textsOf = (list: readonly (DownloadStatus | ShareStatus)[]) =>
    new Map(list.map((entry) => [nameOf(entry), JSON.stringify(entry)]));
  return {
    status: JSON.stringify(status),
    lists: { downloads: textsOf(downloads), shares: textsOf(shares) },
  };
}

/** JSON has no line breaks, so one data line holds it. */
function eventText(type: string, data: object, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
