// What happened in the groups, for people who come back: taken from the client's events, kept over restarts, bounded. A burst of events
// is written in one step.
import type { Logger } from "pino";
import { MiniTorrentError } from "../api/errors.ts";
import type { ListPage } from "../api/schemas.ts";
import type { ClientEvent } from "../client/status.ts";
import { later } from "../net/timers.ts";
import type { ActivityEntry, DaemonStore } from "./daemon-store.ts";
import type { Activity } from "./status-schemas.ts";

/** Entries in a page. */
const PAGE_ITEMS = 100;
/** Events wait so long for others to be written with. */
const WRITE_DELAY_MS = 1_000;
/** Events that wait at most: in a longer burst the oldest of them are dropped, which the bound of a group would forget soon. */
const MOST_WAITING = 5_000;

/** The events of a group that people want to read later. */
const RECORDED: ReadonlySet<ClientEvent["type"]> = new Set([
  "join-requested",
  "request-accepted",
  "request-rejected",
  "member-joined",
  "membership-ended",
  "group-founded-anew",
  "became-owner",
  "name-taken-elsewhere",
  "file-shared",
  "files-shared",
  "share-updated",
  "changed-files-kept",
  "shared-files-changed",
  "download-complete",
  "download-failed",
  "share-ended",
  "peer-sent-bad-data",
]);

export interface ActivityLogOptions {
  readonly store: Pick<DaemonStore, "activity" | "addActivity">;
  /** Whose client it is; undefined while nobody is logged in. */
  readonly accountId: () => string | undefined;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

export class ActivityLog {
  readonly #options: ActivityLogOptions;
  #waiting: ActivityEntry[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ActivityLogOptions) {
    this.#options = options;
  }

  happened(event: ClientEvent): void {
    const accountId = this.#options.accountId();
    if (accountId === undefined || !RECORDED.has(event.type)) return;
    const { type, ...facts } = event;
    const groupId = "groupId" in facts ? facts.groupId : undefined;
    if (groupId === undefined) return;
    this.#waiting.push({ accountId, groupId, atMs: this.#options.nowMs(), type, facts });
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
    this.#timer ??= later("writing what happened", WRITE_DELAY_MS, () => this.#write());
  }

  /**
   * A page of what happened in a group, newest first.
   *
   * @param after `next` of the page before
   * @throws MiniTorrentError NOT_LOGGED_IN; INVALID_ARGUMENT for an `after` of another form
   */
  page(groupId: string, after: string | undefined): ListPage<Activity> {
    const accountId = this.#options.accountId();
    if (accountId === undefined)
      throw new MiniTorrentError("NOT_LOGGED_IN", "Log in first: what happened is kept for each account.");
    const beforeId = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
    if (!Number.isSafeInteger(beforeId))
      throw new MiniTorrentError("INVALID_ARGUMENT", "after: give next of the page before.");
    this.#write();
    const found = this.#options.store.activity({ accountId, groupId }, beforeId, PAGE_ITEMS + 1);
    const items = found.slice(0, PAGE_ITEMS).map(({ atMs, type, facts }) => {
      const { groupId: _known, ...others } = facts;
      return { ...others, atMs, type };
    });
    const last = found.length > PAGE_ITEMS ? found[PAGE_ITEMS - 1] : undefined;
    return last === undefined ? { items } : { items, next: String(last.id) };
  }

  /** Writes what waits. */
  close(): void {
    this.#write();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    try {
      this.#options.store.addActivity(this.#waiting);
    } catch (error) {
      // It is for reading later: a full disk must not stop anything else.
      this.#options.log.warn({ err: error }, "what happened could not be written");
    }
    this.#waiting = [];
  }
}
