// The logged-in user's state: the profile, the groups, shares and downloads, and events from trackers. A login outlives its
// tracker: it continues at the next one.

import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { type ZodType, z } from "zod";
import { BoundedMap } from "../api/bounded-map.ts";
import { MiniTorrentError } from "../api/errors.ts";
import {
  type Account,
  type GroupSummary,
  type ListPage,
  ownGroupSchema,
  type TrackerEvent,
  trackerEventSchema,
  type WriteAttempt,
} from "../api/schemas.ts";
import type { Session } from "../engine/session.ts";
import { runInBackground } from "../net/run-in-background.ts";
import { later } from "../net/timers.ts";
import type { StorageResources } from "../storage/storage-resources.ts";
import { Announcer, type ListenPlace } from "./announcer.ts";
import type { ClientContext } from "./client-context.ts";
import { Downloads } from "./downloads/downloads.ts";
import { FormerVersions } from "./downloads/former-versions.ts";
import { fileKey } from "./file-key.ts";
import { GroupAuthorities } from "./group-authorities.ts";
import type { Memberships } from "./memberships.ts";
import { Profile } from "./profile.ts";
import { type NewVersion, Shares } from "./shares.ts";
import type { ClientEvent, MembershipEnd } from "./status.ts";
import type { TrackerApi } from "./trackers/api-channel.ts";
import { listenClaim } from "./trackers/reachability.ts";
import { asRefusal, type TrackerLink } from "./trackers/tracker-link.ts";
import { type AskForPage, firstPage, nextPage, wholeList } from "./trackers/whole-lists.ts";

/** Shares whose newest version is remembered, so that the user is told of it once. */
const MAX_VERSIONS_TOLD = 1_000;
/** Short, since revocations may be among the missed events. */
const LOOK_AGAIN_WITHIN_MS = 3_000;

type LoginState =
  | { readonly status: "logged-out" }
  | { readonly status: "logged-in"; readonly account: Account; readonly profile: Profile };

/** What the login needs of the link to the trackers. */
export type LoginLink = Pick<
  TrackerLink,
  "ask" | "clockAheadMs" | "clockWarning" | "prepareAgain" | "problem" | "tracker"
>;

export interface LoginOptions {
  readonly session: Session;
  readonly storage: StorageResources;
  readonly dataDir: string;
  readonly log: Logger;
  readonly onEvent: (event: ClientEvent) => void;
  /** This machine's addresses, without loopback and link-local ones. */
  readonly ownHosts: () => Iterable<string>;
  /** The account's profile is open, and nothing of it runs yet. */
  readonly onProfile: (profile: Profile) => void;
  readonly link: LoginLink;
  readonly memberships: Memberships;
}

export class Login {
  readonly #options: LoginOptions;
  readonly memberships: Memberships;
  readonly shares: Shares;
  readonly downloads: Downloads;
  readonly formerVersions: FormerVersions;
  readonly #announcer: Announcer;
  readonly #groupIds = new Set<string>();
  /** For each list of groups being read, the groups that changed since reading began. */
  readonly #changedWhileRead = new Set<Set<string>>();
  #state: LoginState = { status: "logged-out" };
  /** The address of this machine that the connection to the tracker uses. */
  #localHost = "";
  #announced: ListenPlace | undefined;
  #events: { unsubscribe(): void } | undefined;
  #lookingAgain: NodeJS.Timeout | undefined;
  /** Share → info-hash of the newest version that was noticed. */
  readonly #versionsTold = new BoundedMap<string, string>(MAX_VERSIONS_TOLD);

  constructor(options: LoginOptions) {
    this.#options = options;
    const { session, storage, log, onEvent, link, memberships } = options;
    this.memberships = memberships;
    this.#announcer = new Announcer(link, log);
    const context: ClientContext = {
      session,
      memberships,
      announcer: this.#announcer,
      storage,
      log,
      profile: () => this.require().profile,
      onEvent,
      tracker: () => ({ address: link.tracker, problem: link.problem }),
      clockWarning: () => link.clockWarning,
      ask: this.ask.bind(this),
    };
    this.shares = new Shares(context);
    this.formerVersions = new FormerVersions(context);
    this.downloads = new Downloads(context, this.shares, this.formerVersions);
  }

  get account(): Account | undefined {
    return this.#state.status === "logged-in" ? this.#state.account : undefined;
  }

  /** Groups that the member is in, as far as the trackers have said. */
  get groupIds(): ReadonlySet<string> {
    return this.#groupIds;
  }

  /** @throws MiniTorrentError NOT_LOGGED_IN */
  require(): Extract<LoginState, { status: "logged-in" }> {
    if (this.#state.status === "logged-in") return this.#state;
    throw new MiniTorrentError(
      "NOT_LOGGED_IN",
      "Nobody is logged in here; login <user_id> asks for the password and logs in.",
    );
  }

  /** Calls a tracker; a command that is repeated at another one has the same write id. See `TrackerLink.ask`. */
  ask<T>(
    answer: ZodType<T>,
    question: (api: TrackerApi, write: WriteAttempt) => Promise<unknown>,
  ): Promise<T> {
    const writeId = randomUUID();
    let attempts = 0;
    return this.#options.link.ask(answer, (api) =>
      question(api, { writeId, ...(attempts++ === 0 ? {} : { isRetry: true }) }),
    );
  }

  /** Reads a whole list, which trackers answer page by page. */
  askForAll<T>(item: ZodType<T>, askForPage: AskForPage): Promise<T[]> {
    return wholeList(item, (answer, question) => this.ask(answer, question), askForPage);
  }

  /** Reads the page of such a list after that place, or the first one. */
  askForPage<T>(item: ZodType<T>, askForPage: AskForPage, after: string | undefined): Promise<ListPage<T>> {
    return nextPage(item, (answer, question) => this.ask(answer, question), askForPage, after);
  }

  /** Reads the first page of such a list. */
  askForFirst<T>(item: ZodType<T>, question: (api: TrackerApi) => Promise<unknown>): Promise<readonly T[]> {
    return firstPage(item, (answer, asked) => this.ask(answer, asked), question);
  }

  /**
   * logged-out -> logged-in: resumes what this account shared and downloaded. The login stands even if the tracker is lost
   * meanwhile, since the next connection catches up, or if a share or download cannot be resumed.
   *
   * @throws MiniTorrentError DATA_DIR_IN_USE, DISK_FAILED if the profile cannot be opened; the login is undone then
   */
  async begin(account: Account): Promise<void> {
    const { dataDir, log, link, session, onEvent } = this.#options;
    this.#state = { status: "logged-in", account, profile: Profile.open(dataDir, account, log) };
    const begun = this.#state;
    this.memberships.begin({
      authorities: new GroupAuthorities({
        store: begun.profile,
        onFoundedAnew: (groupId) => onEvent({ type: "group-founded-anew", groupId }),
        onRefused: (groupId, reason) => onEvent({ type: "group-key-refused", groupId, reason }),
      }),
      onEnded: (groupId) => runInBackground(log, "leaving a group", this.#groupLost(groupId)),
      onRevoked: (groupId, membershipId) => session.revoke(groupId, membershipId),
    });
    this.#options.onProfile(begun.profile);
    try {
      await link.prepareAgain();
      await this.#catchUp();
    } catch (error) {
      log.warn({ err: error }, "logged in, but no tracker answers now");
    }
    const failed = (error: unknown): void => log.error({ err: error }, "not all was taken up again");
    if (this.#state === begun) await this.#shareAgain(() => this.shares.resumeAll()).catch(failed);
    if (this.#state === begun) await this.formerVersions.resumeAll().catch(failed);
    if (this.#state !== begun) return;
    // What a crash left of a large file is hashed first: that is no reason to keep whoever logs in waiting.
    const resumed = await this.downloads.resumeAll().catch(failed);
    runInBackground(log, "resuming downloads", resumed?.begun ?? Promise.resolve());
  }

  /** logged-in -> logged-out, on this side: nothing is shared or downloaded between logout and login. */
  async end(reason?: string): Promise<void> {
    const { profile } = this.require();
    this.#replaceEvents(undefined);
    const ended = await Promise.allSettled([
      this.downloads.suspendAll(reason),
      this.shares.suspendAll(),
      this.formerVersions.suspendAll(),
    ]);
    for (const outcome of ended) {
      if (outcome.status === "rejected")
        this.#options.log.error({ err: outcome.reason }, "not all was ended well");
    }
    this.memberships.end();
    this.#groupIds.clear();
    profile.close();
    this.#state = { status: "logged-out" };
  }

  joined(groupId: string): void {
    this.#noteChange(groupId);
    this.#groupIds.add(groupId);
  }

  /**
   * Reads all groups that the user is in, and ends memberships that are not on the list. Groups joined
   * or left while the pages arrived are skipped, since the pages may be older.
   */
  async syncGroups<G extends Pick<GroupSummary, "groupId" | "standing">>(
    readAll: () => Promise<G[]>,
  ): Promise<G[]> {
    const changed = new Set<string>();
    this.#changedWhileRead.add(changed);
    let groups: G[];
    try {
      groups = await readAll();
    } finally {
      this.#changedWhileRead.delete(changed);
    }
    const own = groups.filter(({ standing }) => standing === "owner" || standing === "member");
    const isIn = new Set(own.map(({ groupId }) => groupId));
    const isStale = (groupId: string) => changed.has(groupId);
    for (const groupId of isIn) if (!isStale(groupId)) this.#groupIds.add(groupId);
    for (const groupId of [...this.#groupIds]) {
      if (!isIn.has(groupId) && !isStale(groupId)) await this.#groupLost(groupId);
    }
    return groups;
  }

  /** The user is no longer in that group: nothing of it is shared or downloaded any more. */
  async dropGroup(groupId: string, how: MembershipEnd): Promise<void> {
    this.#noteChange(groupId);
    this.#groupIds.delete(groupId);
    await this.downloads.groupEnded(groupId, how);
    await this.shares.groupEnded(groupId);
    await this.formerVersions.groupEnded(groupId);
    this.memberships.forget(groupId);
  }

  /**
   * Prepares a fresh connection to a tracker: resumes the session there by this device's key, then presence and events.
   *
   * @param localHost the address of this machine that the connection uses
   */
  async prepare(api: TrackerApi, lost: () => void, localHost: string): Promise<void> {
    this.#localHost = localHost;
    if (this.#state.status !== "logged-in") return;
    try {
      await api.session.resume.mutate();
    } catch (error) {
      if (asRefusal(error).code !== "NOT_LOGGED_IN") throw error;
      await this.#sessionEnded("The trackers ended the session; log in again.");
      return;
    }
    // Events first: later changes then arrive as events, and earlier ones are asked for.
    await this.#subscribe(api, lost);
    this.#announced = this.#listenPlace();
    await this.#announcer.announceAll(api, this.#announced);
  }

  /** This machine's addresses have changed: if the client is reachable elsewhere now, it announces again. */
  ownAddressesChanged(): void {
    if (this.#state.status !== "logged-in") return;
    const place = this.#listenPlace();
    if (JSON.stringify(place) === JSON.stringify(this.#announced)) return;
    this.#announced = place;
    runInBackground(this.#options.log, "announcing again", this.#announcer.announceAgain(place));
  }

  #listenPlace(): ListenPlace {
    const { session, ownHosts } = this.#options;
    return { listenPort: session.port, ...listenClaim(session.hosts, this.#localHost, ownHosts()) };
  }

  /** A connection is ready: catches up on what was missed without one. */
  connected(): void {
    if (this.#state.status !== "logged-in") return;
    const { log } = this.#options;
    runInBackground(log, "catching up", this.#catchUp());
    runInBackground(log, "looking for peers", this.downloads.findPeers());
    runInBackground(
      log,
      "sharing again",
      this.#shareAgain(() => this.shares.retryWaiting()),
    );
  }

  /** Learns of groups that ended and memberships that were revoked while no tracker was connected. */
  async #catchUp(): Promise<void> {
    const groups = await this.syncGroups(() =>
      this.askForAll(ownGroupSchema, (api, from) => api.groups.mine.query(from)),
    );
    await this.memberships.catchUp(groups);
  }

  #noteChange(groupId: string): void {
    for (const changed of this.#changedWhileRead) changed.add(groupId);
  }

  /** If the subscription ends by itself, the connection is dropped: without events, revocations would be missed. */
  #subscribe(api: TrackerApi, lost: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = (cause: unknown) => {
        reject(new MiniTorrentError("TRACKERS_UNREACHABLE", "The tracker sends no events.", { cause }));
        if (this.#events === subscription) lost();
      };
      const subscription: { unsubscribe(): void } = api.events.subscribe(undefined, {
        onStarted: () => resolve(),
        onData: (data) => this.#onTrackerEvents(data),
        onError: ended,
        onComplete: () => ended("completed"),
      });
      this.#replaceEvents(subscription);
    });
  }

  /** Unsubscribes the old one last: its end must see that it is no longer the current one. */
  #replaceEvents(subscription: { unsubscribe(): void } | undefined): void {
    const before = this.#events;
    this.#events = subscription;
    before?.unsubscribe();
  }

  /** Events come from the network: one of the wrong form is dropped and logged. */
  #onTrackerEvents(data: unknown): void {
    for (const event of Array.isArray(data) ? data : [data]) {
      const parsed = trackerEventSchema.safeParse(event);
      if (parsed.success) this.#onTrackerEvent(parsed.data);
      else {
        this.#options.log.warn({ err: parsed.error }, "a tracker's event is not of the form it must have");
      }
    }
  }

  #onTrackerEvent(event: TrackerEvent): void {
    switch (event.type) {
      case "peer-online":
        this.#options.session.peerOnline(event.infoHash, event.peer);
        return;
      case "peer-offline":
        this.#options.session.peerOffline(event.infoHash, event.deviceId);
        return;
      case "revoked":
        this.memberships.revoke(event.groupId, event.membershipId);
        return;
      case "membership-ended":
        runInBackground(this.#options.log, "leaving a group", this.#groupEnded(event.groupId, event.how));
        return;
      case "look-again":
        this.#lookAgainSoon();
        return;
      case "share-updated":
        this.#shareUpdated(event);
        return;
      case "share-withdrawn":
        runInBackground(this.#options.log, "ending a share", this.shares.withdrawn(event, event.holderId));
        return;
      case "name-taken-elsewhere":
        runInBackground(this.#options.log, "giving up a name", this.#nameLost(event));
        return;
      case "account-removed":
        runInBackground(
          this.#options.log,
          "ending a session",
          this.#sessionEnded("The operator of the trackers has removed this account; ask them why."),
        );
        return;
      case "file-shared":
      case "files-shared": {
        const { groupId } = event;
        const names = event.type === "file-shared" ? [event.fileName] : event.fileNames;
        runInBackground(
          this.#options.log,
          "looking at shared files",
          this.downloads.filesShared(groupId, names),
        );
        this.#options.onEvent(event);
        return;
      }
      case "request-accepted":
        this.joined(event.groupId);
        this.#options.onEvent(event);
        this.#lookAtFormerShares(event.groupId);
        return;
      case "member-joined":
        // The user's own joining has an answer, where they asked for it.
        if (event.userId !== this.account?.userId) this.#options.onEvent(event);
        else {
          this.joined(event.groupId);
          this.#lookAtFormerShares(event.groupId);
        }
        return;
      default:
        this.#options.onEvent(event);
    }
  }

  #lookAtFormerShares(groupId: string): void {
    runInBackground(this.#options.log, "looking at former shares", this.shares.acceptedAgain(groupId));
  }

  async #shareAgain(share: () => Promise<readonly NewVersion[]>): Promise<void> {
    for (const version of await share()) this.#shareUpdated(version);
  }

  /** There is a newer version of what is shared or downloaded here. Each connection may say so again. */
  #shareUpdated(version: NewVersion): void {
    const key = fileKey(version);
    const isTold = this.#versionsTold.get(key) === version.infoHash;
    if (isTold && !this.downloads.isFollowed(version)) return;
    this.#versionsTold.set(key, version.infoHash);
    const looking = this.downloads.versionPublished(version);
    runInBackground(this.#options.log, "looking at a new version", looking);
  }

  /** Thousands of clients may get this event at once: each asks after a random delay, once for all events until then. */
  #lookAgainSoon(): void {
    if (this.#lookingAgain !== undefined) return;
    this.#lookingAgain = later("looking again", Math.random() * LOOK_AGAIN_WITHIN_MS, () => {
      this.#lookingAgain = undefined;
      if (this.#state.status !== "logged-in") return;
      const { log } = this.#options;
      runInBackground(log, "announcing again", this.#announcer.announceAgain(this.#listenPlace()));
      this.connected();
    }).unref();
  }

  /** The user is no longer in the group, and no event said why: asks the tracker whether the group still exists. */
  async #groupLost(groupId: string): Promise<void> {
    const code = await this.ask(z.unknown(), (api) => api.groups.members.query({ groupId })).then(
      () => undefined,
      (error: unknown) => asRefusal(error).code,
    );
    await this.#groupEnded(groupId, code === "UNKNOWN_GROUP" ? "group-ended" : "removed");
  }

  async #groupEnded(groupId: string, how: MembershipEnd): Promise<void> {
    const isNews = this.#groupIds.has(groupId);
    await this.dropGroup(groupId, how);
    if (isNews) this.#options.onEvent({ type: "membership-ended", groupId, how });
  }

  /** Ends whatever depends on a name that another tracker had given away earlier. */
  async #nameLost(event: Extract<TrackerEvent, { type: "name-taken-elsewhere" }>): Promise<void> {
    const { kind, name, groupId, infoHash } = event;
    if (kind === "file") {
      // All members get this event; only this client knows whether it shares or downloads that file.
      if (groupId === undefined || infoHash === undefined) return;
      const file = { groupId, fileName: name };
      const wasShared = await this.shares.nameLost(file, infoHash);
      if (wasShared) this.#options.onEvent({ type: "name-taken-elsewhere", kind, name });
      await this.downloads.nameLost(file, infoHash);
      return;
    }
    this.#options.onEvent({ type: "name-taken-elsewhere", kind, name });
    if (kind === "group") await this.dropGroup(name, "group-ended");
    if (kind === "user") await this.#sessionEnded("The account is gone; create_user makes another.");
  }

  async #sessionEnded(reason: string): Promise<void> {
    if (this.#state.status !== "logged-in") return;
    await this.end(reason);
    this.#options.onEvent({ type: "session-ended", reason });
  }
}
