// What the daemon tells those who watch it, as server-sent events (HTML Standard, 9.2): first a snapshot, then what changed, once a
// second, and what happened, at once; of a flood only how much there was. What happened is kept for a while, so that a watcher that
// reconnects with `Last-Event-ID` misses nothing. A watcher that does not read is disconnected.
import { randomBytes } from "node:crypto";
import type { DownloadStatus, ShareStatus } from "../client/status.ts";
import { every } from "../net/timers.ts";
import { LIST_NAMES, type ListName } from "./event-lists.ts";
import { ListChanges } from "./list-changes.ts";
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
/** Of one type, in a second. Of more than these, the number is told. */
const MOST_OF_TYPE = 10;
/** Groups that the sum of what was not told names; of more, none is named. */
const MOST_GROUPS_NAMED = 50;
/** Things whose progress is told; of more, at the next change of one. */
const MOST_PROGRESSING = 100;

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

export interface WatchOptions {
  /** What the watcher wants to know beside the status and what happens. */
  readonly lists: readonly ListName[];
  /** As the watcher got it; anything else counts as none. */
  readonly lastEventId?: string | undefined;
  /** False once its token was revoked: it is disconnected. */
  readonly isGood?: () => boolean;
}

/** Where an event stream learns the state, which it asks for once a second while somebody watches. */
export interface WatchedState {
  status(): DaemonStatus;
  downloads(): readonly DownloadStatus[];
  shares(): readonly ShareStatus[];
}

interface Watch {
  readonly lists: readonly ListName[];
  readonly isGood: () => boolean;
  /** Unread bytes that it may have: a long snapshot alone must not disconnect it. */
  readonly mostUnreadBytes: number;
}

/** What is not told one by one, by type. */
interface Untold {
  count: number;
  readonly groupIds: Set<string>;
}

export class EventStream {
  readonly #state: WatchedState;
  readonly #nowMs: () => number;
  /** Differs after a restart, so that ids of an earlier process are recognised. */
  readonly #epoch = randomBytes(4).toString("hex");
  readonly #kept: { readonly id: number; readonly text: string }[] = [];
  readonly #watchers = new Map<Watcher, Watch>();
  #lastId = 0;
  #status = "";
  readonly #changes = { downloads: new ListChanges(), shares: new ListChanges() };
  /** What has happened since that time. */
  #second = {
    sinceMs: Number.NEGATIVE_INFINITY,
    told: new Map<string, number>(),
    untold: new Map<string, Untold>(),
  };
  /** The progress that was not told in this second; undefined: there was none since it was told. */
  readonly #progress = new Map<string, string | undefined>();
  #timers: NodeJS.Timeout[] = [];

  /** @param nowMs milliseconds on a monotonic clock */
  constructor(state: WatchedState, nowMs: () => number = () => performance.now()) {
    this.#state = state;
    this.#nowMs = nowMs;
  }

  get isFull(): boolean {
    return this.#watchers.size >= MOST_WATCHERS;
  }

  /** Something happened. @param type becomes the event's name */
  happened(type: string, data: object): void {
    if (this.#nowMs() - this.#second.sinceMs >= CHANGES_PERIOD_MS) this.#beginSecond();
    const { told, untold } = this.#second;
    const count = told.get(type) ?? 0;
    told.set(type, count + 1);
    if (count < MOST_OF_TYPE) {
      this.#tell(type, data);
      return;
    }
    const sum = untold.get(type) ?? { count: 0, groupIds: new Set() };
    untold.set(type, sum);
    sum.count++;
    if ("groupId" in data && typeof data.groupId === "string" && sum.groupIds.size <= MOST_GROUPS_NAMED)
      sum.groupIds.add(data.groupId);
  }

  /**
   * Progress of work that is under way: the next one replaces it, so it is not kept, and told at most twice a second.
   *
   * @param what identifies the work
   */
  progressed(type: string, what: string, data: object): void {
    const key = `${type} ${what}`;
    const text = eventText(type, data);
    if (this.#progress.has(key)) this.#progress.set(key, text);
    else if (this.#progress.size < MOST_PROGRESSING && this.#watchers.size > 0) {
      this.#progress.set(key, undefined);
      this.#send(text);
    }
  }

  /** Sends what happened since the last event that the watcher has, then a snapshot, then everything that follows, until `leave`. */
  join(watcher: Watcher, { lists, lastEventId, isGood = () => true }: WatchOptions): void {
    if (this.#nowMs() - this.#second.sinceMs >= CHANGES_PERIOD_MS) this.#beginSecond();
    const [epoch, id] = (lastEventId ?? "").split("-");
    if (epoch === this.#epoch) {
      for (const kept of this.#kept) if (kept.id > Number(id)) watcher.write(kept.text);
    }
    // What the others know is what this one gets: changes are found once for all.
    this.#sayChanges();
    const status = this.#state.status();
    if (this.#watchers.size === 0) this.#status = JSON.stringify(status);
    const snapshot: Record<string, unknown> = { status };
    for (const list of lists) {
      snapshot[list] = this.#isWatched(list)
        ? this.#changes[list].entries
        : this.#changes[list].begin(this.#state[list]());
    }
    watcher.write(eventText("snapshot", snapshot, `${this.#epoch}-${this.#lastId}`));
    this.#watchers.set(watcher, {
      lists,
      isGood,
      mostUnreadBytes: watcher.writableLength + MOST_UNREAD_BYTES,
    });
    if (this.#timers.length > 0) return;
    this.#timers = [
      every("daemon events", CHANGES_PERIOD_MS, () => this.#tick()),
      every("daemon heartbeat", HEARTBEAT_PERIOD_MS, () => this.#send(":\n\n")),
    ];
  }

  leave(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    for (const list of LIST_NAMES) if (!this.#isWatched(list)) this.#changes[list].forget();
    if (this.#watchers.size > 0) return;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#progress.clear();
  }

  /** Disconnects all watchers. */
  close(): void {
    for (const watcher of [...this.#watchers.keys()]) {
      this.leave(watcher);
      watcher.end();
    }
  }

  #isWatched(list: ListName): boolean {
    return this.#watchers.values().some(({ lists }) => lists.includes(list));
  }

  #tick(): void {
    for (const [watcher, { isGood }] of [...this.#watchers]) if (!isGood()) this.#disconnect(watcher);
    if (this.#watchers.size === 0) return;
    this.#beginSecond();
    for (const [key, text] of [...this.#progress]) {
      if (text !== undefined) this.#send(text);
      this.#progress.delete(key);
    }
    this.#sayChanges();
  }

  /** Tells how much of the last second was not told. */
  #beginSecond(): void {
    const { untold } = this.#second;
    this.#second = { sinceMs: this.#nowMs(), told: new Map(), untold: new Map() };
    for (const [type, { count, groupIds }] of untold) {
      const named = groupIds.size > MOST_GROUPS_NAMED ? {} : { groupIds: [...groupIds] };
      this.#tell("more-happened", { happened: type, count, ...named });
    }
  }

  #tell(type: string, data: object): void {
    this.#lastId++;
    const text = eventText(type, data, `${this.#epoch}-${this.#lastId}`);
    this.#kept.push({ id: this.#lastId, text });
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
    this.#send(text);
  }

  #sayChanges(): void {
    if (this.#watchers.size === 0) return;
    const status = this.#state.status();
    const statusText = JSON.stringify(status);
    const ofStatus = statusText === this.#status ? {} : { status };
    this.#status = statusText;
    const ofLists: Record<ListName, object> = { downloads: {}, shares: {} };
    for (const list of LIST_NAMES) {
      if (!this.#isWatched(list)) continue;
      const { changed, ended } = this.#changes[list].next(this.#state[list]());
      if (changed.length > 0) ofLists[list] = { [list]: changed };
      if (ended.length > 0) ofLists[list] = { ...ofLists[list], [`${list}Ended`]: ended };
    }
    // Most watchers want the same lists: each text is made once.
    const texts = new Map<string, string>();
    for (const { lists } of this.#watchers.values()) {
      const key = lists.join();
      if (texts.has(key)) continue;
      const changes = Object.assign({ ...ofStatus }, ...lists.map((list) => ofLists[list])) as object;
      texts.set(key, Object.keys(changes).length === 0 ? "" : eventText("changed", changes));
    }
    for (const [watcher, { lists }] of [...this.#watchers])
      this.#sendTo(watcher, texts.get(lists.join()) ?? "");
  }

  #send(text: string): void {
    for (const watcher of [...this.#watchers.keys()]) this.#sendTo(watcher, text);
  }

  #sendTo(watcher: Watcher, text: string): void {
    const watch = this.#watchers.get(watcher);
    if (watch === undefined || text === "") return;
    if (watcher.writableLength <= watch.mostUnreadBytes) watcher.write(text);
    else this.#disconnect(watcher);
  }

  #disconnect(watcher: Watcher): void {
    this.leave(watcher);
    watcher.destroy();
  }
}

/** JSON has no line breaks, so one data line holds it. */
function eventText(type: string, data: object, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
