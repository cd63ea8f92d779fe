// The client as a library: a method for each command, and a callback for events. It wires up the link to the trackers, the
// session of running torrents and the login. It prints nothing and reads no command line.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { type ZodType, z } from "zod";
import { type Address, formatAddress, type TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import {
  decodeInvite,
  encodeInvite,
  hashOfInviteSecret,
  inviteIdOf,
  MAX_INVITE_TRACKERS,
  newInviteSecret,
} from "../api/invite.ts";
import {
  type Account,
  accountSchema,
  type FileSummary,
  fileSummarySchema,
  type GroupSummary,
  groupCertificateSchema,
  groupSummarySchema,
  type InsideFile,
  type InviteSummary,
  insideFileSchema,
  inviteSummarySchema,
  type JoinedGroup,
  type JoinRequest,
  joinedGroupSchema,
  joinRequestSchema,
  type ListPage,
  type Member,
  madeInviteSchema,
  memberSchema,
  type Removal,
  removalSchema,
  type WriteAttempt,
} from "../api/schemas.ts";
import { Bandwidth, type BandwidthLimits, type Direction, isLimited } from "../engine/bandwidth.ts";
import {
  readAddresses as addressesOfSystem,
  OwnAddresses,
  outsideAddresses,
} from "../engine/own-addresses.ts";
import type { PeerStatus } from "../engine/peer-status.ts";
import { peerStatuses } from "../engine/peer-status.ts";
import { type ActiveTorrent, Session } from "../engine/session.ts";
import { createCertificateRequest } from "../identity/certificate-requests.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../identity/certificates.ts";
import { PinStore } from "../identity/pins.ts";
import {
  connectionsTaken,
  type Descriptors,
  descriptorLimit,
  divideDescriptors,
} from "../net/descriptors.ts";
import { onTimerFault } from "../net/timers.ts";
import { IdleMemory } from "../storage/idle-memory.ts";
import { createStorageResources, type StorageResources } from "../storage/storage-resources.ts";
import { fetchMetainfo } from "./downloads/fetch-metainfo.ts";
import type { FileReader } from "./downloads/file-reader.ts";
import type { WhyReport } from "./downloads/why.ts";
import { encodeCertificateFile, encodeTorrentFile, writeNewFile } from "./export.ts";
import { type FileId, fileKey } from "./file-key.ts";
import { Login } from "./login.ts";
import { Memberships } from "./memberships.ts";
import type { Profile } from "./profile.ts";
import type {
  ClientEvent,
  ClientStatus,
  DownloadStatus,
  FileChoice,
  FileProgress,
  InviteWish,
  LimitsStatus,
  NameList,
  NewInvite,
  PieceMap,
  ShareOptions,
  ShareResult,
  ShareStatus,
  TorrentTraffic,
} from "./status.ts";
import type { TrackerApi } from "./trackers/api-channel.ts";
import { dialPlans } from "./trackers/reachability.ts";
import { TrackerLink, type TrackerState } from "./trackers/tracker-link.ts";
import type { AskForPage } from "./trackers/whole-lists.ts";

const leftSchema = z.object({ newOwnerId: z.string().optional(), groupEnded: z.boolean() });
const nothing = z.unknown();
/** The system's limit is reached again and again; the user is told at most once in this time. */
const CONNECTIONS_TAKEN_TOLD_EVERY_MS = 3_600_000;

export interface ClientOptions {
  /** Where to listen for peers; port 0: any. */
  readonly listen: Address;
  /** None: commands are refused until `useTrackers` names some. */
  readonly trackers: readonly TrackerAddress[];
  /** Index into `trackers` of the one to try first; a random one otherwise, so that clients spread. */
  readonly firstTracker?: number;
  readonly dataDir: string;
  readonly log: Logger;
  /** Most memory for pieces on their way, in and out; 96 MiB if it is left out. */
  readonly memoryBytes?: number;
  /** Bytes a second; no limit where it is left out. */
  readonly limits?: { readonly up?: number | undefined; readonly down?: number | undefined };
  /** The device's key; a new one otherwise. With a kept one, `resume` continues the session of an earlier process. */
  readonly identity?: DeviceIdentity;
  /** Called when nothing has moved for a minute, and what was kept for speed has been released. Nothing otherwise. */
  readonly collectGarbage?: () => void;
  /** This machine's addresses now; those of node:os unless a test says otherwise. */
  readonly readAddresses?: () => ReadonlySet<string>;
  /** Called for everything that happens unasked. */
  readonly onEvent: (event: ClientEvent) => void;
}

interface ClientParts {
  readonly session: Session;
  readonly pins: PinStore;
  readonly bandwidth: Bandwidth;
  readonly storage: StorageResources;
  readonly link: TrackerLink;
  readonly memberships: Memberships;
}

export class Client {
  readonly #options: ClientOptions;
  readonly #pins: PinStore;
  readonly #storage: StorageResources;
  readonly #session: Session;
  readonly #bandwidth: Bandwidth;
  readonly #login: Login;
  readonly #link: TrackerLink;
  readonly #endFaults: () => void;
  readonly #idleMemory: IdleMemory;
  readonly #ownAddresses: OwnAddresses;

  /**
   * Listens for peers, and begins to look for a tracker in the background.
   *
   * @throws MiniTorrentError ADDRESS_IN_USE, ADDRESS_UNUSABLE, DISK_FAILED, INVALID_ARGUMENT (memory or limits too small), LIMIT_REACHED (too few
   * files may be open)
   */
  static async open(options: ClientOptions): Promise<Client> {
    const bandwidth = new Bandwidth(() => performance.now());
    for (const direction of ["up", "down"] as const) bandwidth.limit(direction, options.limits?.[direction]);
    const descriptors = divideDescriptors(descriptorLimit());
    const storage = createStorageResources(options.memoryBytes, descriptors.files);
    mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
    // First, so that a failure leaves nothing running.
    const pins = new PinStore(join(options.dataDir, "trackers.sqlite"));
    try {
      return await Client.#start(options, pins, bandwidth, storage, descriptors);
    } catch (error) {
      pins.close();
      throw error;
    }
  }

  static async #start(
    options: ClientOptions,
    pins: PinStore,
    bandwidth: Bandwidth,
    storage: StorageResources,
    descriptors: Descriptors,
  ): Promise<Client> {
    const { log, onEvent, trackers } = options;
    const { identity = createDeviceIdentity() } = options;
    const link = new TrackerLink({
      ...{ trackers, identity, pins, log: log.child({ part: "tracker-link" }) },
      firstTracker: options.firstTracker ?? Math.floor(Math.random() * trackers.length),
      onFirstTrust: (tracker, fingerprint) => onEvent({ type: "tracker-trusted", tracker, fingerprint }),
      onUnreachable: (reason) => onEvent({ type: "trackers-unreachable", reason }),
      onClockWrong: (reason) => onEvent({ type: "clock-wrong", reason }),
    });
    const memberships = new Memberships(identity, link, log);
    let toldMs = Number.NEGATIVE_INFINITY;
    const session = await Session.open({
      listen: options.listen,
      identity,
      bandwidth,
      connections: descriptors.connections,
      onConnectionsTaken: () => {
        if (performance.now() - toldMs < CONNECTIONS_TAKEN_TOLD_EVERY_MS) return;
        toldMs = performance.now();
        onEvent({ type: "connections-taken", reason: connectionsTaken(descriptors) });
      },
      log: log.child({ part: "session" }),
      credentials: (groupId) => memberships.credentials(groupId),
      credentialsMissing: (groupId) => memberships.obtainInBackground(groupId),
    });
    return new Client(options, { session, pins, bandwidth, storage, link, memberships });
  }

  private constructor(options: ClientOptions, parts: ClientParts) {
    const { log, onEvent, dataDir, readAddresses = addressesOfSystem } = options;
    const { session, storage, link, memberships } = parts;
    this.#endFaults = onTimerFault((error, where) =>
      log.error({ err: error, where }, "work by the clock failed"),
    );
    this.#options = options;
    this.#session = session;
    this.#bandwidth = parts.bandwidth;
    this.#pins = parts.pins;
    this.#storage = storage;
    this.#link = link;
    storage.memory.onRoom(() => session.roomAvailable());
    const { collectGarbage = () => undefined } = options;
    this.#idleMemory = new IdleMemory({ storage, collectGarbage });
    const login = new Login({
      ...{ session, storage, memberships, link, dataDir, log, onEvent, ownHosts: outsideAddresses },
      onProfile: (profile) => this.#restoreLimits(profile),
    });
    this.#login = login;
    link.start({
      planDial: (host) => dialPlans(host, session.hosts, readAddresses()),
      prepare: (api, lost, localHost) => login.prepare(api, lost, localHost),
      onConnected: (tracker, isFailover) => {
        onEvent({ type: "tracker-connected", tracker, isFailover });
        login.connected();
      },
    });
    this.#ownAddresses = new OwnAddresses({
      read: readAddresses,
      onChange: (change) => {
        log.info({ lost: [...change.lost], gained: [...change.gained] }, "this machine's addresses changed");
        session.ownAddressesChanged(change);
        link.ownAddressesChanged(change);
        login.ownAddressesChanged();
      },
    });
  }

  /** Resolves once a tracker is connected, or it is known that none answers; within seconds. */
  async trackerKnown(): Promise<void> {
    await this.#link.known();
  }

  /** The trackers of the list, and which of them is connected. */
  trackers(): readonly TrackerState[] {
    return this.#link.trackers;
  }

  /**
   * Replaces the list of trackers, and looks for one of them at once.
   *
   * @throws MiniTorrentError ALREADY_LOGGED_IN: a session is one of the trackers that it began at
   */
  useTrackers(trackers: readonly TrackerAddress[]): void {
    if (this.#link.knowsTrackers) this.#requireLoggedOut();
    this.#link.useTrackers(trackers);
  }

  /** Answers at once, from memory. */
  status(): ClientStatus {
    return {
      account: this.#login.account,
      listeningOn: formatAddress({ host: this.#options.listen.host, port: this.#session.port }),
      tracker: this.#link.tracker,
      trackersKnown: this.#link.knowsTrackers,
      trackerProblem: this.#link.problem,
      groupIds: [...this.#login.groupIds].sort(),
      sharedFiles: this.#login.shares.count,
      runningDownloads: this.#login.downloads.runningCount,
    };
  }

  /** @throws MiniTorrentError USER_EXISTS, INVALID_ARGUMENT, TOO_MANY_ATTEMPTS, TRACKERS_UNREACHABLE */
  async createUser(userId: string, password: string): Promise<void> {
    await this.#login.ask(nothing, (api, write) =>
      api.session.createUser.mutate({ ...write, userId, password }),
    );
  }

  /**
   * Logs in, and resumes what this account shared and downloaded.
   *
   * @throws MiniTorrentError ALREADY_LOGGED_IN, BAD_CREDENTIALS, TOO_MANY_ATTEMPTS, TRACKERS_UNREACHABLE
   */
  async login(userId: string, password: string): Promise<Account> {
    this.#requireLoggedOut();
    const account = await this.#login.ask(accountSchema, (api, write) =>
      api.session.login.mutate({ ...write, userId, password }),
    );
    try {
      await this.#login.begin(account);
    } catch (error) {
      // The login failed here, so it is undone at the trackers.
      await this.#login
        .ask(nothing, (api, write) => api.session.logout.mutate(write))
        .catch((failure: unknown) =>
          this.#options.log.warn({ err: failure }, "logout not told to a tracker"),
        );
      throw error;
    }
    // Repeats the warning from the connection, which may have been overlooked: from now on it matters.
    const reason = this.#link.clockWarning;
    if (reason !== undefined) this.#options.onEvent({ type: "clock-wrong", reason });
    return account;
  }

  /**
   * Continues a session that this device's key has at the trackers, without a password, also while no tracker answers. If the
   * trackers have ended the session, the event "session-ended" says so.
   *
   * @throws MiniTorrentError ALREADY_LOGGED_IN, DATA_DIR_IN_USE, DISK_FAILED
   */
  async resume(account: Account): Promise<void> {
    this.#requireLoggedOut();
    await this.#login.begin(account);
  }

  /** Stops sharing and pauses downloads; the next login resumes both. */
  async logout(): Promise<void> {
    const { account } = this.#login.require();
    await this.#login.end();
    try {
      await this.#login.ask(nothing, (api, write) => api.session.logout.mutate(write));
    } catch (error) {
      // Done on this side; the trackers forget the device when they learn of it, or when the connection ends.
      this.#options.log.warn({ err: error, user: account.userId }, "logout not told to a tracker");
    }
  }

  /** @throws MiniTorrentError GROUP_EXISTS, INVALID_ARGUMENT, NOT_LOGGED_IN */
  async createGroup(groupId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, write) => api.groups.create.mutate({ ...write, groupId }));
    this.#login.joined(groupId);
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, ALREADY_A_MEMBER, ALREADY_REQUESTED, NOT_LOGGED_IN */
  async joinGroup(groupId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, write) => api.groups.join.mutate({ ...write, groupId }));
  }

  /**
   * Makes an invite: whoever has its text may join the group, at most `uses` users, until it expires. The secret in it is made
   * here, and no tracker has it before it is used.
   *
   * @param wish without `uses`: any number of users; without `expiresMs`: for seven days
   * @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, LIMIT_REACHED, INVALID_ARGUMENT, NOT_LOGGED_IN
   */
  async createInvite(groupId: string, wish: InviteWish = {}): Promise<NewInvite> {
    this.#login.require();
    const { uses, expiresMs: lastsMs } = wish;
    const trackers = await this.#link.introductions();
    const secret = newInviteSecret();
    const secretHash = hashOfInviteSecret(secret);
    const { groupClaimId, expiresAtMs } = await this.#askLoggedIn(madeInviteSchema, (api, write) =>
      api.groups.createInvite.mutate({ ...write, groupId, secretHash, uses, lastsMs }),
    );
    const invite = encodeInvite({
      ...{ groupId, groupClaimId, secret },
      trackers: trackers.slice(0, MAX_INVITE_TRACKERS),
    });
    return { invite, inviteId: inviteIdOf(secretHash), expiresAtMs, uses };
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NOT_LOGGED_IN */
  listInvites(groupId: string): Promise<readonly InviteSummary[]> {
    return this.#listLoggedIn(inviteSummarySchema, (api, from) =>
      api.groups.invites.query({ groupId, ...from }),
    );
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, UNKNOWN_INVITE, NOT_LOGGED_IN */
  async revokeInvite(groupId: string, inviteId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, write) =>
      api.groups.revokeInvite.mutate({ ...write, groupId, inviteId }),
    );
  }

  /**
   * Joins the group of an invite. The keys that it has for this client's trackers are trusted if none has been yet.
   *
   * @throws MiniTorrentError INVALID_INVITE, OTHER_TRACKERS, TRACKER_KEY_CHANGED, INVITE_REFUSED, ALREADY_A_MEMBER,
   * TOO_MANY_ATTEMPTS, NOT_LOGGED_IN
   */
  async joinByInvite(text: string): Promise<JoinedGroup> {
    const { trackers, groupClaimId, secret } = decodeInvite(text);
    this.#link.introduce(trackers);
    const joined = await this.#askLoggedIn(joinedGroupSchema, (api, write) =>
      api.groups.useInvite.mutate({ ...write, groupClaimId, secret }),
    );
    this.#login.joined(joined.groupId);
    return joined;
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, NOT_LOGGED_IN */
  async leaveGroup(groupId: string): Promise<{ newOwnerId: string | undefined; groupEnded: boolean }> {
    const { newOwnerId, groupEnded } = await this.#askLoggedIn(leftSchema, (api, write) =>
      api.groups.leave.mutate({ ...write, groupId }),
    );
    await this.#login.dropGroup(groupId, "left");
    return { newOwnerId, groupEnded };
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NOT_LOGGED_IN */
  listRequests(groupId: string): Promise<readonly JoinRequest[]> {
    return this.#listLoggedIn(joinRequestSchema, (api, from) =>
      api.groups.requests.query({ groupId, ...from }),
    );
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NO_SUCH_REQUEST, NOT_LOGGED_IN */
  async acceptRequest(groupId: string, userId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, write) => api.groups.accept.mutate({ ...write, groupId, userId }));
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NO_SUCH_REQUEST, NOT_LOGGED_IN */
  async rejectRequest(groupId: string, userId: string): Promise<void> {
    await this.#askLoggedIn(nothing, (api, write) => api.groups.reject.mutate({ ...write, groupId, userId }));
  }

  /**
   * @returns the addresses of trackers that have not confirmed it; for clients there the user is still a member
   * @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, UNKNOWN_USER, NOT_LOGGED_IN
   */
  removeMember(groupId: string, userId: string): Promise<Removal> {
    return this.#askLoggedIn(removalSchema, (api, write) =>
      api.groups.remove.mutate({ ...write, groupId, userId }),
    );
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, NOT_LOGGED_IN */
  listMembers(groupId: string): Promise<readonly Member[]> {
    return this.#listLoggedIn(memberSchema, (api, from) => api.groups.members.query({ groupId, ...from }));
  }

  /**
   * Names for completion, at most a page of each list: of groups and of a group's files that begin with `prefix`, of a group's
   * requests and members the oldest.
   *
   * @throws MiniTorrentError as the list itself
   */
  async namesOf(list: NameList, prefix: string): Promise<readonly string[]> {
    this.#login.require();
    const login = this.#login;
    switch (list.kind) {
      case "groups": {
        const groups = await login.askForFirst(groupSummarySchema, (api) =>
          api.groups.list.query({ prefix }),
        );
        return groups.filter(({ standing }) => standing === undefined).map(({ groupId }) => groupId);
      }
      case "files": {
        const { groupId } = list;
        const files = await login.askForFirst(fileSummarySchema, (api) =>
          api.files.list.query({ groupId, prefix }),
        );
        return files.map(({ fileName }) => fileName);
      }
      case "requests": {
        const { groupId } = list;
        const requests = await login.askForFirst(joinRequestSchema, (api) =>
          api.groups.requests.query({ groupId }),
        );
        return requests.map(({ userId }) => userId);
      }
      case "members": {
        const { groupId } = list;
        const members = await login.askForFirst(memberSchema, (api) => api.groups.members.query({ groupId }));
        return members.filter(({ isOwner }) => !isOwner).map(({ userId }) => userId);
      }
    }
  }

  /** @throws MiniTorrentError NOT_LOGGED_IN */
  async listGroups(): Promise<readonly GroupSummary[]> {
    this.#login.require();
    return await this.#login.syncGroups(() =>
      this.#login.askForAll(groupSummarySchema, (api, from) => api.groups.list.query(from)),
    );
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, NOT_LOGGED_IN */
  listFiles(groupId: string): Promise<readonly FileSummary[]> {
    return this.#listLoggedIn(fileSummarySchema, (api, from) => api.files.list.query({ groupId, ...from }));
  }

  /**
   * A page of the files in a shared folder, by path.
   *
   * @param after `next` of the page before
   * @throws MiniTorrentError UNKNOWN_GROUP, UNKNOWN_FILE, NOT_A_MEMBER, NOT_LOGGED_IN
   */
  async listInside(groupId: string, fileName: string, after?: string): Promise<ListPage<InsideFile>> {
    this.#login.require();
    return this.#login.askForPage(
      insideFileSchema,
      (api, from) => api.files.listInside.query({ groupId, fileName, ...from }),
      after,
    );
  }

  /** Shares a file or a folder in place. @throws MiniTorrentError see `Shares.share`; NOT_LOGGED_IN; DOWNLOAD_EXISTS */
  async uploadFile(path: string, groupId: string, options: ShareOptions = {}): Promise<ShareResult> {
    this.#login.require();
    return this.#login.shares.share(path, groupId, options);
  }

  /**
   * Publishes a new version of a share: what is at its path now, or at another one. See `Shares.update`.
   *
   * @throws MiniTorrentError NOT_SHARED (without a path), NOT_THE_SHARER, UNKNOWN_FILE; see `uploadFile`
   */
  async updateShare(
    groupId: string,
    fileName: string,
    path?: string,
    options: ShareOptions = {},
  ): Promise<ShareResult> {
    this.#login.require();
    return this.#login.shares.update({ groupId, fileName }, path, options);
  }

  /**
   * @param everywhere also from the account's other machines
   * @returns members who are downloading it from here at the moment, and have not all they want of it
   * @throws MiniTorrentError NOT_SHARED, NOT_LOGGED_IN
   */
  async stopShare(groupId: string, fileName: string, everywhere = false): Promise<readonly string[]> {
    this.#login.require();
    const peers = this.#running(groupId, fileName)?.torrent.status().peers ?? [];
    const interrupted = peers.filter(({ needsNothing }) => !needsNothing);
    await this.#login.shares.stop({ groupId, fileName }, everywhere);
    return [...new Set(interrupted.map(({ userId }) => userId))].sort();
  }

  /**
   * Resolves when the download has begun, or the file was there already; it continues in the background. See `Downloads.start`.
   *
   * @param choice which files of a folder; all of them if it is left out
   */
  async downloadFile(
    groupId: string,
    fileName: string,
    destinationPath: string,
    choice: FileChoice = {},
  ): Promise<DownloadStatus> {
    this.#login.require();
    return this.#login.downloads.start({ groupId, fileName }, destinationPath, choice);
  }

  /**
   * Chooses other files of a folder that is downloaded, or was: what is missing of them is fetched in place.
   *
   * @param choice empty: all files
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, INVALID_ARGUMENT (no file fits, or it is a single file), NOT_LOGGED_IN
   */
  async select(groupId: string, fileName: string, choice: FileChoice): Promise<DownloadStatus> {
    this.#login.require();
    return this.#login.downloads.select({ groupId, fileName }, choice);
  }

  /** Fetches new versions of a share that was downloaded here, now and from now on. @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN */
  async follow(groupId: string, fileName: string): Promise<void> {
    this.#login.require();
    await this.#login.downloads.follow({ groupId, fileName });
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN */
  async unfollow(groupId: string, fileName: string): Promise<void> {
    this.#login.require();
    await this.#login.downloads.unfollow({ groupId, fileName });
  }

  /**
   * Reads a file of a share from any position, also while it downloads: what is ahead of the reader is fetched before the rest.
   *
   * @param path of a file in a folder; undefined for a single file
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, UNKNOWN_FILE, INVALID_ARGUMENT (the file is not chosen), DOWNLOAD_PAUSED,
   * NOT_LOGGED_IN
   */
  async openReader(groupId: string, fileName: string, path?: string): Promise<FileReader> {
    this.#login.require();
    return this.#login.downloads.openReader({ groupId, fileName }, path);
  }

  /** What is shared from here. @throws MiniTorrentError NOT_LOGGED_IN */
  shares(): readonly ShareStatus[] {
    this.#login.require();
    return this.#login.shares.statuses();
  }

  /** All downloads of this account on this machine, also those completed before. @throws MiniTorrentError NOT_LOGGED_IN */
  downloadHistory(): readonly DownloadStatus[] {
    this.#login.require();
    return this.#login.downloads.history();
  }

  /** The status of all downloads, or of the one named. */
  downloads(which?: { groupId: string; fileName: string }): readonly DownloadStatus[] {
    return this.#login.downloads.statuses(which);
  }

  /** Explains why a download is stalled, or that it is not. @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN */
  async why(groupId: string, fileName: string): Promise<WhyReport> {
    this.#login.require();
    return await this.#login.downloads.get({ groupId, fileName }).why();
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN */
  async pauseDownload(groupId: string, fileName: string): Promise<void> {
    this.#login.require();
    await this.#login.downloads.get({ groupId, fileName }).pause();
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN, or why it still cannot go on */
  async resumeDownload(groupId: string, fileName: string): Promise<void> {
    this.#login.require();
    await this.#login.downloads.get({ groupId, fileName }).begin(true);
  }

  /**
   * Forgets the download and removes its part file, unless that holds the whole file.
   *
   * @returns the path of the part file if it was kept
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN
   */
  async cancelDownload(groupId: string, fileName: string): Promise<string | undefined> {
    this.#login.require();
    return await this.#login.downloads.cancel({ groupId, fileName });
  }

  /** Resolves when that download, or every running one, is complete, failed or paused. */
  waitForDownloads(
    which?: { groupId: string; fileName: string },
    signal?: AbortSignal,
  ): Promise<readonly DownloadStatus[]> {
    return this.#login.downloads.settled(which, signal);
  }

  /** @throws MiniTorrentError NOT_SHARED when this client neither shares nor downloads it, NOT_LOGGED_IN */
  peers(groupId: string, fileName: string): readonly PeerStatus[] {
    return peerStatuses(this.#active(groupId, fileName).torrent.status());
  }

  /**
   * Which member each piece came from, and how many connected members have it.
   *
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, NOT_LOGGED_IN
   */
  pieces(groupId: string, fileName: string): PieceMap {
    this.#login.require();
    return this.#login.downloads.pieceMap({ groupId, fileName });
  }

  /**
   * A page of the files of a download, with how far each is.
   *
   * @param after `next` of the page before
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, INVALID_ARGUMENT, NOT_LOGGED_IN
   */
  downloadFiles(groupId: string, fileName: string, after?: string): ListPage<FileProgress> {
    this.#login.require();
    return this.#login.downloads.filesAfter({ groupId, fileName }, after);
  }

  /** What each running torrent has moved. */
  traffic(): readonly TorrentTraffic[] {
    return [...this.#session.all()].map(({ groupId, metainfo: { fileName }, torrent }) => ({
      ...{ groupId, fileName, run: torrent },
      ...torrent.traffic,
    }));
  }

  /** The upload and download limits. */
  limits(): LimitsStatus {
    // Versions of one share run beside each other.
    const running = new Map<string, FileId>();
    for (const { groupId, metainfo } of this.#session.all()) {
      const file = { groupId, fileName: metainfo.fileName };
      running.set(fileKey(file), file);
    }
    const files = [...running.values()].map((file) => ({ ...file, ...this.#bandwidth.limitsOf(file) }));
    const { limits: all, overridden: outsideSchedule } = this.#bandwidth;
    return { all, files: files.filter(isLimited), ...(outsideSchedule && { outsideSchedule }) };
  }

  /**
   * Other limits in total apply in place of those of `limit`, until this is called again. They are not saved.
   *
   * @param limits undefined: those of `limit` apply again
   * @throws MiniTorrentError INVALID_ARGUMENT for less than 16 KiB/s
   */
  overrideLimits(limits: BandwidthLimits | undefined): void {
    this.#bandwidth.override(limits);
  }

  /**
   * Pauses the downloads that run, and those that the next login would resume, until `releaseDownloads`. What is started or resumed by
   * hand meanwhile runs.
   *
   * @param reason a sentence that their status shows
   */
  async holdDownloads(reason: string): Promise<void> {
    await this.#login.downloads.hold(reason);
  }

  /** The downloads that `holdDownloads` paused continue, unless they were paused by hand since. */
  async releaseDownloads(): Promise<void> {
    await this.#login.downloads.release();
  }

  /**
   * Limits the upload or download rate, of one file or in total, from now on and after the next login of
   * this account too.
   *
   * @param bytesPerSecond undefined: no limit any more
   * @throws MiniTorrentError INVALID_ARGUMENT for less than 16 KiB/s; NOT_SHARED, NOT_LOGGED_IN for a file
   */
  limit(
    direction: Direction,
    bytesPerSecond: number | undefined,
    which?: { groupId: string; fileName: string },
  ): void {
    if (which !== undefined) this.#active(which.groupId, which.fileName);
    this.#bandwidth.limit(direction, bytesPerSecond, which);
    if (this.#login.account !== undefined)
      this.#login.require().profile.saveLimit(which, direction, bytesPerSecond);
  }

  /**
   * Writes a .torrent file for other BitTorrent clients (libtorrent's SSL torrents).
   *
   * @throws MiniTorrentError UNKNOWN_GROUP, UNKNOWN_FILE, NOT_A_MEMBER, FILE_EXISTS, DESTINATION_UNUSABLE
   */
  async exportTorrent(groupId: string, fileName: string, path: string): Promise<void> {
    this.#login.require();
    const metainfo = await fetchMetainfo(this.#login.ask.bind(this.#login), { groupId, fileName });
    await writeNewFile(path, encodeTorrentFile(metainfo));
  }

  /**
   * Writes a certificate of the group with a key of its own, for other BitTorrent clients: with it they act as this
   * member towards peers until it runs out, or the membership ends; towards trackers it is worth nothing.
   *
   * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, FILE_EXISTS, DESTINATION_UNUSABLE
   */
  async exportCertificate(groupId: string, path: string): Promise<void> {
    const { requestPem, privateKeyPem } = createCertificateRequest();
    const given = await this.#askLoggedIn(groupCertificateSchema, (api) =>
      api.groups.certificate.query({ groupId, requestPem }),
    );
    this.#login.memberships.admit(groupId, given);
    const { certificatePem, authorityPem } = given;
    await writeNewFile(path, encodeCertificateFile({ certificatePem, privateKeyPem, authorityPem }));
  }

  /** Saves what a restart needs and closes everything. The trackers' session ends only with `logout`. */
  async close(): Promise<void> {
    this.#endFaults();
    this.#ownAddresses.close();
    this.#idleMemory.close();
    if (this.#login.account !== undefined) await this.#login.end();
    await this.#link.close();
    await this.#session.close();
    await this.#storage.disk.close();
    this.#pins.close();
  }

  #requireLoggedOut(): void {
    const present = this.#login.account;
    if (present === undefined) return;
    throw new MiniTorrentError("ALREADY_LOGGED_IN", `You are logged in as ${present.userId}; logout first.`);
  }

  /** The account's stored limits, except those given at the client's start. */
  #restoreLimits(profile: Profile): void {
    for (const { share, direction, bytesPerSecond } of profile.limits()) {
      if (share === undefined && this.#options.limits?.[direction] !== undefined) continue;
      try {
        this.#bandwidth.limit(direction, bytesPerSecond, share);
      } catch (error) {
        this.#options.log.warn({ err: error, direction }, "a limit in the profile cannot be used");
      }
    }
  }

  #active(groupId: string, fileName: string): ActiveTorrent {
    this.#login.require();
    const active = this.#running(groupId, fileName);
    if (active !== undefined) return active;
    throw new MiniTorrentError("NOT_SHARED", `You neither share nor download ${fileName} in ${groupId}.`);
  }

  /** The torrent that is downloaded or shared under that name: earlier versions of it may run too. */
  #running(groupId: string, fileName: string): ActiveTorrent | undefined {
    const { downloads, shares } = this.#login;
    const file = { groupId, fileName };
    for (const infoHash of [downloads.infoHashOf(file), shares.find(file)?.metainfo.infoHash]) {
      const active = infoHash === undefined ? undefined : this.#session.get(infoHash);
      if (active !== undefined) return active;
    }
    return undefined;
  }

  async #listLoggedIn<T>(item: ZodType<T>, askForPage: AskForPage): Promise<T[]> {
    this.#login.require();
    return this.#login.askForAll(item, askForPage);
  }

  async #askLoggedIn<T>(
    answer: ZodType<T>,
    question: (api: TrackerApi, write: WriteAttempt) => Promise<unknown>,
  ): Promise<T> {
    this.#login.require();
    return this.#login.ask(answer, question);
  }
}
