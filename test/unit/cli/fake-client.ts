// A client that remembers what it was told and answers what a test has laid out.

import { MiniTorrentError } from "../../../src/api/errors.ts";
import { encodeInvite } from "../../../src/api/invite.ts";
import type {
  FileSummary,
  GroupSummary,
  InsideFile,
  InviteSummary,
  JoinedGroup,
  JoinRequest,
  ListPage,
  Member,
} from "../../../src/api/schemas.ts";
import type { ClientCommands } from "../../../src/cli/command-types.ts";
import type { WhyReport } from "../../../src/client/downloads/why.ts";
import type {
  ClientStatus,
  DownloadStatus,
  FileChoice,
  HashProgress,
  InviteWish,
  LimitsStatus,
  NameList,
  NewInvite,
  ShareOptions,
  ShareResult,
  ShareStatus,
} from "../../../src/client/status.ts";
import type { PeerStatus } from "../../../src/engine/peer-status.ts";

export const SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/** An invite to films, whose tracker is at an address of this machine alone. */
export const INVITE = encodeInvite({
  trackers: [{ host: "127.0.0.1", port: 9000, fingerprint: "ab".repeat(32) }],
  ...{ groupId: "films", groupClaimId: "0199a1b2c3d4-000001-k3", secret: "AAECAwQFBgcICQoLDA0ODw" },
});

export class FakeClient implements ClientCommands {
  /** `method argument argument`, in the order of the calls; passwords as they came. */
  readonly calls: string[] = [];
  userId: string | undefined;
  tracker: string | undefined = "127.0.0.1:9001";
  trackerProblem: string | undefined;
  groups: GroupSummary[] = [];
  members: Member[] = [];
  requests: JoinRequest[] = [];
  files: FileSummary[] = [];
  inside: ListPage<InsideFile> = { items: [] };
  unconfirmedTrackers: string[] = [];
  invites: InviteSummary[] = [];
  newInvite: NewInvite = { invite: INVITE, inviteId: "0123456789abcdef", expiresAtMs: 1_000_000 };
  current: DownloadStatus[] = [];
  completed: DownloadStatus[] = [];
  shareList: ShareStatus[] = [];
  peerList: PeerStatus[] = [];
  limited: LimitsStatus = { all: { up: undefined, down: undefined }, files: [] };
  whyReport: Omit<WhyReport, "groupId" | "fileName"> = {
    state: "complete",
    reason: "It is complete.",
    pieceCount: 280,
    missing: { pieces: 0, ranges: [], rangeCount: 0 },
    nobodyHas: { pieces: 0, ranges: [], rangeCount: 0 },
    holders: [],
    notUsed: [],
    next: [],
    tracker: null,
  };
  left: { newOwnerId: string | undefined; groupEnded: boolean } = { newOwnerId: "bob", groupEnded: false };
  /** Members who had not all of a share that is stopped. */
  interrupted: readonly string[] = [];
  /** Where a cancelled download's whole file is kept. */
  keptPath: string | undefined;
  shareChanges: Partial<ShareResult> = {};
  /** Method → what it throws. */
  readonly failures = new Map<string, Error>();
  /** Method → what it waits for before it answers. */
  readonly delays = new Map<string, Promise<unknown>>();
  onDownload: (groupId: string, fileName: string, destinationPath: string) => DownloadStatus = (
    groupId,
    fileName,
    destinationPath,
  ) => downloading({ groupId, fileName, destinationPath });
  onUpload: (report: (progress: HashProgress) => void, signal: AbortSignal | undefined) => Promise<void> =
    async () => {};

  async #call(name: string, ...args: readonly string[]): Promise<void> {
    this.calls.push([name, ...args].join(" "));
    await this.delays.get(name);
    const failure = this.failures.get(name);
    if (failure !== undefined) throw failure;
  }

  status(): ClientStatus {
    return {
      account: this.userId === undefined ? undefined : { userId: this.userId, accountId: "1" },
      listeningOn: "127.0.0.1:5000",
      tracker: this.tracker,
      trackersKnown: true,
      trackerProblem: this.trackerProblem,
      groupIds: this.groups
        .filter(({ standing }) => standing === "member" || standing === "owner")
        .map(({ groupId }) => groupId),
      sharedFiles: 0,
      runningDownloads: this.current.filter(({ state }) => state === "downloading").length,
    };
  }
  async trackerKnown(): Promise<void> {
    await this.#call("trackerKnown");
  }
  async namesOf(list: NameList, prefix: string): Promise<readonly string[]> {
    await this.#call("namesOf", list.kind, prefix);
    switch (list.kind) {
      case "groups":
        return this.groups.filter(({ standing }) => standing === undefined).map(({ groupId }) => groupId);
      case "files":
        return this.files.map(({ fileName }) => fileName);
      case "requests":
        return this.requests.map(({ userId }) => userId);
      case "members":
        return this.members.filter(({ isOwner }) => !isOwner).map(({ userId }) => userId);
    }
  }
  createUser(userId: string, password: string): Promise<void> {
    return this.#call("createUser", userId, password);
  }
  async login(userId: string, password: string) {
    await this.#call("login", userId, password);
    this.userId = userId;
    return { userId, accountId: "1" };
  }
  async logout(): Promise<void> {
    await this.#call("logout");
    this.userId = undefined;
  }
  createGroup(groupId: string): Promise<void> {
    return this.#call("createGroup", groupId);
  }
  joinGroup(groupId: string): Promise<void> {
    return this.#call("joinGroup", groupId);
  }
  async createInvite(groupId: string, wish: InviteWish = {}): Promise<NewInvite> {
    await this.#call("createInvite", groupId, JSON.stringify(wish));
    return this.newInvite;
  }

  async listInvites(groupId: string): Promise<readonly InviteSummary[]> {
    await this.#call("listInvites", groupId);
    return this.invites;
  }

  async revokeInvite(groupId: string, inviteId: string): Promise<void> {
    await this.#call("revokeInvite", groupId, inviteId);
  }

  async joinByInvite(invite: string): Promise<JoinedGroup> {
    await this.#call("joinByInvite", invite);
    return { groupId: "films" };
  }

  async leaveGroup(groupId: string) {
    await this.#call("leaveGroup", groupId);
    return this.left;
  }
  async listRequests(groupId: string) {
    await this.#call("listRequests", groupId);
    return this.requests;
  }
  acceptRequest(groupId: string, userId: string): Promise<void> {
    return this.#call("acceptRequest", groupId, userId);
  }
  rejectRequest(groupId: string, userId: string): Promise<void> {
    return this.#call("rejectRequest", groupId, userId);
  }
  async removeMember(groupId: string, userId: string) {
    await this.#call("removeMember", groupId, userId);
    return { unconfirmedTrackers: this.unconfirmedTrackers };
  }
  async listMembers(groupId: string) {
    await this.#call("listMembers", groupId);
    return this.members;
  }
  async listGroups() {
    await this.#call("listGroups");
    return this.groups;
  }
  async listFiles(groupId: string) {
    await this.#call("listFiles", groupId);
    return this.files;
  }
  async listInside(groupId: string, fileName: string, after?: string): Promise<ListPage<InsideFile>> {
    await this.#call("listInside", groupId, fileName, ...(after === undefined ? [] : [after]));
    return this.inside;
  }
  async uploadFile(path: string, groupId: string, options: ShareOptions = {}): Promise<ShareResult> {
    await this.#call("uploadFile", path, groupId);
    await this.onUpload(options.onProgress ?? (() => {}), options.signal);
    return {
      groupId,
      fileName: path.slice(path.lastIndexOf("/") + 1),
      lengthBytes: 1_000_000,
      pieceCount: 4,
      sha1: SHA1,
      joinedSwarm: false,
      replacesEarlier: false,
      ...this.shareChanges,
    };
  }
  async updateShare(
    groupId: string,
    fileName: string,
    path?: string,
    options: ShareOptions = {},
  ): Promise<ShareResult> {
    await this.#call("updateShare", groupId, fileName, ...(path === undefined ? [] : [path]));
    await this.onUpload(options.onProgress ?? (() => {}), options.signal);
    return {
      ...{ groupId, fileName, lengthBytes: 1_000_000, pieceCount: 4 },
      ...{ joinedSwarm: false, replacesEarlier: true },
      ...this.shareChanges,
    };
  }
  async stopShare(groupId: string, fileName: string, everywhere = false): Promise<readonly string[]> {
    await this.#call("stopShare", groupId, fileName, ...(everywhere ? ["everywhere"] : []));
    return this.interrupted;
  }
  async downloadFile(groupId: string, fileName: string, destinationPath: string, choice: FileChoice = {}) {
    await this.#call("downloadFile", groupId, fileName, destinationPath, ...inWords(choice));
    const status = this.onDownload(groupId, fileName, destinationPath);
    this.current.push(status);
    return status;
  }
  async select(groupId: string, fileName: string, choice: FileChoice) {
    await this.#call("select", groupId, fileName, ...inWords(choice));
    return downloading({ groupId, fileName });
  }
  follow(groupId: string, fileName: string): Promise<void> {
    return this.#call("follow", groupId, fileName);
  }
  unfollow(groupId: string, fileName: string): Promise<void> {
    return this.#call("unfollow", groupId, fileName);
  }
  shares(): readonly ShareStatus[] {
    return this.shareList;
  }
  downloadHistory(): readonly DownloadStatus[] {
    return [...this.completed, ...this.current];
  }
  downloads(): readonly DownloadStatus[] {
    return this.current;
  }
  pauseDownload(groupId: string, fileName: string): Promise<void> {
    return this.#call("pauseDownload", groupId, fileName);
  }
  resumeDownload(groupId: string, fileName: string): Promise<void> {
    return this.#call("resumeDownload", groupId, fileName);
  }
  async cancelDownload(groupId: string, fileName: string): Promise<string | undefined> {
    await this.#call("cancelDownload", groupId, fileName);
    return this.keptPath;
  }
  async waitForDownloads(
    which?: { groupId: string; fileName: string },
    signal?: AbortSignal,
  ): Promise<readonly DownloadStatus[]> {
    await this.#call("waitForDownloads", ...(which === undefined ? [] : [which.groupId, which.fileName]));
    signal?.throwIfAborted();
    return this.current;
  }
  async why(groupId: string, fileName: string): Promise<WhyReport> {
    return { ...this.whyReport, groupId, fileName };
  }
  async exportTorrent(groupId: string, fileName: string, path: string): Promise<void> {
    return this.#call("exportTorrent", groupId, fileName, path);
  }
  async exportCertificate(groupId: string, path: string): Promise<void> {
    return this.#call("exportCertificate", groupId, path);
  }
  peers(groupId: string, fileName: string): readonly PeerStatus[] {
    if (this.peerList.length === 0) {
      throw new MiniTorrentError(
        "UNKNOWN_DOWNLOAD",
        `[${groupId}] ${fileName} is neither shared nor downloaded here.`,
      );
    }
    return this.peerList;
  }
  limits(): LimitsStatus {
    return this.limited;
  }
  limit(
    direction: "up" | "down",
    bytesPerSecond: number | undefined,
    which?: { groupId: string; fileName: string },
  ): void {
    this.calls.push(`limit ${direction} ${bytesPerSecond} ${which?.groupId} ${which?.fileName}`);
    if (which === undefined)
      this.limited = { ...this.limited, all: { ...this.limited.all, [direction]: bytesPerSecond } };
    else
      this.limited = {
        ...this.limited,
        files: [{ ...which, up: undefined, down: undefined, [direction]: bytesPerSecond }],
      };
  }
}

function inWords({ only = [], except = [] }: FileChoice): readonly string[] {
  return [...only.map((glob) => `only:${glob}`), ...except.map((glob) => `except:${glob}`)];
}

type Downloading = Extract<DownloadStatus, { state: "downloading" }>;

const facts = {
  groupId: "films",
  fileName: "a.mkv",
  destinationPath: "/tmp/a.mkv",
  lengthBytes: 280_000_000,
  pieceCount: 280,
  piecesVerified: 118,
  bytesVerified: 118_000_000,
  duplicateBytes: 0,
  sources: [],
};

export function downloading(changes: Partial<Downloading> = {}): Downloading {
  return {
    ...facts,
    state: "downloading",
    rateBytesPerSecond: 96_000_000,
    peerCount: 3,
    secondsLeft: 12,
    waitingFor: undefined,
    ...changes,
  };
}

export function complete(groupId = "films", fileName = "a.mkv"): DownloadStatus {
  const { lengthBytes, pieceCount } = facts;
  return {
    ...facts,
    groupId,
    fileName,
    piecesVerified: pieceCount,
    bytesVerified: lengthBytes,
    state: "complete",
    sha1: SHA1,
  };
}

export function failed(groupId = "films", fileName = "a.mkv"): DownloadStatus {
  return { ...facts, groupId, fileName, state: "failed", code: "CORRUPT_FILE", reason: "its SHA-1 is wrong" };
}

export function paused(reason: string | undefined): DownloadStatus {
  return { ...facts, state: "paused", reason };
}
