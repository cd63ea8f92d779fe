// A member's side, whole: a method for every command, and the events that nobody asked for. Joins the link to the
// trackers with the session of running torrents; holds who is logged in. It prints nothing and reads no command line.
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Logger } from "pino";
import { type ZodType, z } from "zod";
import { type Address, formatAddress, type TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import {
  type Account,
  accountSchema,
  type FileSummary,
  fileSummarySchema,
  type GroupSummary,
  groupSummarySchema,
  type JoinRequest,
  joinRequestSchema,
  type Member,
  memberSchema,
  type TrackerEvent,
  trackerEventSchema,
} from "../api/schemas.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../identity/certificates.ts";
import { PinStore } from "../identity/pins.ts";
import { DiskPool } from "../storage/disk-pool.ts";
import { FrameCache } from "../storage/frame-cache.ts";
import { PieceMemory } from "../storage/piece-memory.ts";
import type { StorageResources } from "../storage/piece-store.ts";
import { Announcer } from "./announcer.ts";
import { Downloads } from "./downloads.ts";
import { Memberships } from "./memberships.ts";
import { peerStatuses } from "./peer-status.ts";
import { Profile } from "./profile.ts";
import { Session } from "./session.ts";
import { Shares } from "./shares.ts";
import type {
  ClientEvent,
  ClientStatus,
  DownloadStatus,
  HashProgress,
  PeerStatus,
  ShareResult,
} from "./status.ts";
import type { Surroundings } from "./surroundings.ts";
import { asRefusal, TrackerLink } from "./tracker-link.ts";
import type { TrackerApi } from "./tracker-socket.ts";

const leftSchema = z.object({ newOwnerId: z.string().optional(), groupEnded: z.boolean() });
const nothing = z.unknown();

export interface ClientOptions {
  /** Where to listen for peers; port 0: any. */
  readonly listen: Address;
  readonly trackers: readonly TrackerAddress[];
  /** Index into `trackers` of the one to try first; a random one otherwise, so that clients spread. */
  readonly firstTracker?: number;
  readonly dataDir: string;
  readonly log: Logger;
  /** Called for everything that happens unasked. */
  readonly onEvent: (event: ClientEvent) => void;
}

type Login =
  | { readonly status: "logged-out" }
  | { readonly status: "logged-in"; readonly account: Account; readonly profile: Profile };

export class Client {
  readonly #options: ClientOptions;
  readonly #identity: DeviceIdentity;
  readonly #pins: PinStore;
  readonly #storage: StorageResources;
  readonly #link: TrackerLink;
  readonly #memberships: Memberships;
  readonly #announcer: Announcer;
  readonly #session: Session;
  readonly #shares: Shares;
  readonly #downloads: Downloads;
  readonly #groupIds = new Set<string>();
  #login: Login = { status: "logged-out" };
  #events: { unsubscribe(): void } | undefined;

  /**
   * Listens for peers, and starts to look for a tracker behind.
   *
   * @throws MiniTorrentError ADDRESS_IN_USE, DISK_FAILED
   */
  static async open(options: ClientOptions): Promise<Client> {
    mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
    const identity = await createDeviceIdentity();
    let client: Client | undefined;
    const session = await Session.open({
      listen: options.listen,
      deviceId: identity.deviceId,
      log: options.log.child({ part: "session" }),
      credentials: (groupId) => (client === undefined ? undefined : client.#memberships.credentials(groupId)),
      credentialsMissing: (groupId) => {
        if (client !== undefined) client.#obtainBehind(groupId);
      },
    });
    client = new Client(options, identity, session);
    return client;
  }

  private constructor(options: ClientOptions, identity: DeviceIdentity, session: Session) {
    this.#options = options;
    this.#identity = identity;
    this.#session = session;
    this.#pins = new PinStore(join(options.dataDir, "trackers.sqlite"));
    this.#storage = { disk: new DiskPool(), memory: new PieceMemory(), cache: new FrameCache() };
    this.#storage.memory.onRoom(() => session.roomAvailable());
    const link = () => this.#link;
    this.#memberships = new Memberships(
      identity,
      link,
      options.log,
      (groupId) => void this.#groupEnded(groupId, "removed"),
    );
    this.#announcer = new Announcer(link, options.log);
    const surroundings: Surroundings = {
      session,
      memberships: this.#memberships,
      announcer: this.#announcer,
      storage: this.#storage,
      log: options.log,
      profile: () => this.#profile(),
      onEvent: options.onEvent,
      ask: this.#ask.bind(this),
    };
    this.#shares = new Shares(surroundings);
    this.#downloads = new Downloads(surroundings, this.#shares);
    this.#link = new TrackerLink({
      trackers: options.trackers,
      firstTracker: options.firstTracker ?? Math.floor(Math.random() * options.trackers.length),
      identity: this.#identity,
      pins: this.#pins,
      localAddress: dialFrom(options.listen.host),
      log: options.log.child({ part: "tracker-link" }),
      prepare: (api) => this.#prepare(api),
      onConnected: (tracker, isFailover) => this.#trackerConnected(tracker, isFailover),
      onUnreachable: (reason) => options.onEvent({ type: "trackers-unreachable", reason }),
    });
  }

  /** Answers at once, from memory. */
  status(): ClientStatus {
    return {
      account: this.#login.status === "logged-in" ? this.#login.account : undefined,
      listeningOn: formatAddress({ host: this.#options.listen.host, port: this.#session.port }),
      tracker: this.#link.tracker,
      groupIds: [...this.#groupIds].sort(),
      sharedFiles: this.#shares.count,
      runningDownloads: this.#downloads.runningCount,
    };
  }

  /** @throws MiniTorrentError USER_EXISTS, INVALID_ARGUMENT, TOO_MANY_ATTEMPTS, TRACKERS_UNREACHABLE */
  async createUser(userId: string, password: string): Promise<void> {
    await this.#ask(nothing, (api, writeId) => api.session.createUser.mutate({ writeId, userId, password }));
  }

  /**
   * Logs in, and takes up again what this account shared and downloaded.
   *
   * @throws MiniTorrentError ALREADY_LOGGED_IN, BAD_CREDENTIALS, TOO_MANY_ATTEMPTS, TRACKERS_UNREACHABLE
   */
  async login(userId: string, password: string): Promise<Account> {
    if (this.#login.status === "logged-in") {
      const { account } = this.#login;
      throw new MiniTorrentError(
        "ALREADY_LOGGED_IN",
        `You are logged in as ${account.userId}; logout first.`,
      );
    }
    const account = await this.#ask(accountSchema, (api, writeId) =>
      api.session.login.mutate({ writeId, userId, password }),
    );
    this.#login = { status: "logged-in", account, profile: Profile.open(this.#options.dataDir, account) };
    await this.#link.ask(nothing, (api) => this.#attach(api));
    await this.listGroups();
    await this.#shares.resumeAll();
    await this.#downloads.resumeAll();
    return account;
  }

  /** Stops sharing, pauses downloads; the next login takes both up again. */
  async logout(): Promise<void> {
    const { account } = this.#loggedIn();
    await this.#endLogin();
    try {
      await this.#ask(nothing, (api, writeId) => api.session.logout.mutate({ writeId }));
    } catch (error) {
      // Here it is done; the trackers forget the device when they hear of it, or with the connection.
      this.#options.log.warn({ err: error, user: account.userId }, "logout not told to a tracker");
    }
  }

  /** @throws MiniTorrentError GROUP_EXISTS, INVALID_ARGUMENT, NOT_LOGGED_IN */
  async createGroup(groupId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, writeId) => api.groups.create.mutate({ writeId, groupId }));
    this.#groupIds.add(groupId);
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, ALREADY_A_MEMBER, ALREADY_REQUESTED, NOT_LOGGED_IN */
  async joinGroup(groupId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, writeId) => api.groups.join.mutate({ writeId, groupId }));
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, NOT_LOGGED_IN */
  async leaveGroup(groupId: string): Promise<{ newOwnerId: string | undefined; groupEnded: boolean }> {
    const { newOwnerId, groupEnded } = await this.#askLoggedIn(leftSchema, (api, writeId) =>
      api.groups.leave.mutate({ writeId, groupId }),
    );
    await this.#dropGroup(groupId);
    return { newOwnerId, groupEnded };
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NOT_LOGGED_IN */
  listRequests(groupId: string): Promise<readonly JoinRequest[]> {
    return this.#askLoggedIn(z.array(joinRequestSchema), (api) => api.groups.requests.query({ groupId }));
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NO_SUCH_REQUEST, NOT_LOGGED_IN */
  async acceptRequest(groupId: string, userId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, writeId) =>
      api.groups.accept.mutate({ writeId, groupId, userId }),
    );
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NO_SUCH_REQUEST, NOT_LOGGED_IN */
  async rejectRequest(groupId: string, userId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, writeId) =>
      api.groups.reject.mutate({ writeId, groupId, userId }),
    );
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, UNKNOWN_USER, NOT_LOGGED_IN */
  async removeMember(groupId: string, userId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, writeId) =>
      api.groups.remove.mutate({ writeId, groupId, userId }),
    );
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, NOT_LOGGED_IN */
  listMembers(groupId: string): Promise<readonly Member[]> {
    return this.#askLoggedIn(z.array(memberSchema), (api) => api.groups.members.query({ groupId }));
  }

  /** @throws MiniTorrentError NOT_LOGGED_IN */
  async listGroups(): Promise<readonly GroupSummary[]> {
    const groups = await this.#askLoggedIn(z.array(groupSummarySchema), (api) => api.groups.list.query());
    this.#groupIds.clear();
    for (const { groupId, standing } of groups) {
      if (standing === "owner" || standing === "member") this.#groupIds.add(groupId);
    }
    return groups;
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, NOT_LOGGED_IN */
  listFiles(groupId: string): Promise<readonly FileSummary[]> {
    return this.#askLoggedIn(z.array(fileSummarySchema), (api) => api.files.list.query({ groupId }));
  }

  /** Shares a file in place. @throws MiniTorrentError see `Shares.share`; NOT_LOGGED_IN; DOWNLOAD_EXISTS */
  async uploadFile(
    path: string,
    groupId: string,
    options: { onProgress?: (progress: HashProgress) => void; signal?: AbortSignal } = {},
  ): Promise<ShareResult> {
    this.#loggedIn();
    return this.#shares.share(path, groupId, options);
  }

  /** @throws MiniTorrentError NOT_SHARED, NOT_LOGGED_IN */
  async stopShare(groupId: string, fileName: string): Promise<void> {
    this.#loggedIn();
    await this.#shares.stop({ groupId, fileName });
  }

  /** Resolves when the download has begun, or the file was there already; it goes on behind. See `Downloads.start`. */
  async downloadFile(groupId: string, fileName: string, destinationPath: string): Promise<DownloadStatus> {
    this.#loggedIn();
    return this.#downloads.start({ groupId, fileName }, destinationPath);
  }

  downloads(): readonly DownloadStatus[] {
    return this.#downloads.statuses();
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN */
  async pauseDownload(groupId: string, fileName: string): Promise<void> {
    this.#loggedIn();
    await this.#downloads.get({ groupId, fileName }).pause();
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN, or why it still cannot go on */
  async resumeDownload(groupId: string, fileName: string): Promise<void> {
    this.#loggedIn();
    await this.#downloads.get({ groupId, fileName }).begin();
  }

  /** Forgets the download and removes its part file. @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN */
  async cancelDownload(groupId: string, fileName: string): Promise<void> {
    this.#loggedIn();
    await this.#downloads.cancel({ groupId, fileName });
  }

  /** Resolves when that download, or every running one, is complete, failed or paused. */
  waitForDownloads(
    which?: { groupId: string; fileName: string },
    signal?: AbortSignal,
  ): Promise<readonly DownloadStatus[]> {
    return this.#downloads.settled(which, signal);
  }

  /** @throws MiniTorrentError NOT_SHARED when this client neither shares nor downloads it, NOT_LOGGED_IN */
  peers(groupId: string, fileName: string): readonly PeerStatus[] {
    this.#loggedIn();
    const active = this.#session.find(groupId, fileName);
    if (active === undefined) {
      throw new MiniTorrentError("NOT_SHARED", `You neither share nor download ${fileName} in ${groupId}.`);
    }
    return peerStatuses(active.torrent.status());
  }

  /** Saves what a restart needs, closes everything. Who is logged in is logged out only by `logout`. */
  async close(): Promise<void> {
    if (this.#login.status === "logged-in") await this.#endLogin();
    await this.#link.close();
    await this.#session.close();
    await this.#storage.disk.close();
    this.#pins.close();
  }

  #loggedIn(): Extract<Login, { status: "logged-in" }> {
    if (this.#login.status === "logged-in") return this.#login;
    throw new MiniTorrentError("NOT_LOGGED_IN", "Log in first: login <user_id> <passwd>.");
  }

  #profile(): Profile {
    return this.#loggedIn().profile;
  }

  #ask<T>(answer: ZodType<T>, question: (api: TrackerApi, writeId: string) => Promise<unknown>): Promise<T> {
    const writeId = randomUUID();
    return this.#link.ask(answer, (api) => question(api, writeId));
  }

  async #askLoggedIn<T>(
    answer: ZodType<T>,
    question: (api: TrackerApi, writeId: string) => Promise<unknown>,
  ): Promise<T> {
    this.#loggedIn();
    return this.#ask(answer, question);
  }

  /** A fresh connection: the session is taken up by this device's key. */
  async #prepare(api: TrackerApi): Promise<void> {
    if (this.#login.status !== "logged-in") return;
    try {
      await api.session.resume.mutate();
    } catch (error) {
      if (asRefusal(error).code !== "NOT_LOGGED_IN") throw error;
      await this.#endLogin();
      this.#options.onEvent({
        type: "session-ended",
        reason: "The trackers ended the session; log in again.",
      });
      return;
    }
    await this.#attach(api);
  }

  /** Presence and events of who is logged in, on one connection. */
  async #attach(api: TrackerApi): Promise<void> {
    await this.#announcer.announceAll(api, this.#session.port);
    await new Promise<void>((resolve, reject) => {
      this.#events = api.events.subscribe(undefined, {
        onStarted: () => resolve(),
        onData: (data) => this.#onTrackerEvent(data),
        onError: reject,
      });
    });
  }

  #trackerConnected(tracker: string, isFailover: boolean): void {
    this.#options.onEvent({ type: "tracker-connected", tracker, isFailover });
    if (this.#login.status !== "logged-in") return;
    void this.#downloads.findPeers();
    void this.#shares.retryWaiting();
  }

  /** What a tracker says unasked comes from the network: what is not of the form is dropped, and logged. */
  #onTrackerEvent(data: unknown): void {
    const parsed = trackerEventSchema.safeParse(data);
    if (!parsed.success) {
      this.#options.log.warn({ err: parsed.error }, "a tracker's event is not of the form it must have");
      return;
    }
    const event = parsed.data;
    switch (event.type) {
      case "peer-online":
        this.#session.peerOnline(event.infoHash, event.peer);
        return;
      case "peer-offline":
        this.#session.peerOffline(event.infoHash, event.deviceId);
        return;
      case "revoked":
        this.#memberships.revoke(event.membershipId);
        this.#session.revoke(event.groupId, event.membershipId);
        return;
      case "membership-ended":
        void this.#groupEnded(event.groupId, event.how);
        return;
      case "name-taken-elsewhere":
        void this.#nameLost(event);
        return;
      case "request-accepted":
        this.#groupIds.add(event.groupId);
        this.#options.onEvent(event);
        return;
      default:
        this.#options.onEvent(event);
    }
  }

  async #groupEnded(groupId: string, how: "removed" | "left" | "group-ended"): Promise<void> {
    if (!this.#groupIds.has(groupId)) return;
    await this.#dropGroup(groupId);
    this.#options.onEvent({ type: "membership-ended", groupId, how });
  }

  /** What hangs on a name that was given away earlier elsewhere goes with it. */
  async #nameLost(event: Extract<TrackerEvent, { type: "name-taken-elsewhere" }>): Promise<void> {
    const { kind, name, groupId } = event;
    this.#options.onEvent({ type: "name-taken-elsewhere", kind, name });
    if (kind === "group") await this.#dropGroup(name);
    if (kind === "file" && groupId !== undefined) await this.#shares.nameLost({ groupId, fileName: name });
    if (kind === "user" && this.#login.status === "logged-in") {
      await this.#endLogin();
      this.#options.onEvent({
        type: "session-ended",
        reason: "The account is gone; create_user makes another.",
      });
    }
  }

  async #dropGroup(groupId: string): Promise<void> {
    this.#groupIds.delete(groupId);
    await this.#downloads.groupEnded(groupId);
    await this.#shares.groupEnded(groupId);
    this.#memberships.forget(groupId);
  }

  /** logged-in -> logged-out, on this side: nothing is shared or downloaded between logout and login. */
  async #endLogin(): Promise<void> {
    const { profile } = this.#loggedIn();
    this.#events?.unsubscribe();
    await this.#downloads.suspendAll();
    await this.#shares.suspendAll();
    this.#memberships.forgetAll();
    this.#groupIds.clear();
    profile.close();
    this.#login = { status: "logged-out" };
  }

  #obtainBehind(groupId: string): void {
    this.#memberships.obtain(groupId).catch((error: unknown) => {
      this.#options.log.info({ err: error, groupId }, "no certificate for the group yet");
    });
  }
}

/** Trackers see, and tell peers, the address that this client dials from: it is the one that it listens on, if that is one. */
function dialFrom(listenHost: string): string | undefined {
  const isOneAddress = isIP(listenHost) !== 0 && listenHost !== "0.0.0.0" && listenHost !== "::";
  return isOneAddress ? listenHost : undefined;
}
