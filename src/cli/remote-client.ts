// The daemon's client as the commands see one: each method is a call of the local API. What a command reads without waiting (the
// status, downloads, shares, limits) is fetched once, before it runs: lists have thousands of entries, and most commands need none.
import { z } from "zod";
import { MiniTorrentError } from "../api/errors.ts";
import type {
  DownloadStatus,
  FileChoice,
  InviteWish,
  LimitsStatus,
  NameList,
  ShareOptions,
} from "../client/status.ts";
import type { ApiClient } from "../daemon/api-client.ts";
import type { AnswerOf } from "../daemon/endpoints.ts";
import { downloadSchema } from "../daemon/status-schemas.ts";
import type { Direction } from "../engine/bandwidth.ts";
import type { ClientCommands, Command, FileOfGroup } from "./command-types.ts";
import { isRunning } from "./download-commands.ts";

/** What commands read without waiting, beside the status. */
const PARTS = ["downloads", "history", "shares", "limits"] as const;
export type ClientPart = (typeof PARTS)[number];

/** What was so when the command began; what it does not read is missing. */
interface Fetched {
  readonly status: AnswerOf<"status">;
  readonly downloads?: AnswerOf<"downloads">;
  readonly history?: AnswerOf<"downloads">;
  readonly shares?: AnswerOf<"shares">;
  readonly limits?: AnswerOf<"limits">;
}

/** What the command reads without waiting when it is given those words. */
export function partsReadBy(
  { name, candidates, arity, options }: Command,
  words: readonly string[],
): readonly ClientPart[] {
  // Names that are left out are found among what is here. Words of options may be among those that are counted.
  const isShort = words.length < Math.max(...arity) || options !== undefined;
  const forNames: readonly ClientPart[] = candidates !== undefined && isShort ? ["downloads", "shares"] : [];
  switch (name) {
    case "show_downloads":
      return [words.length === 0 ? "downloads" : "history"];
    case "list_shares":
      return ["shares"];
    case "limit":
      return ["limits", ...forNames];
    default:
      return forNames;
  }
}

export class RemoteClient implements ClientCommands {
  readonly #api: ApiClient;
  readonly #fetched: Fetched;
  #limits: LimitsStatus | undefined;

  /** @throws MiniTorrentError DAEMON_UNREACHABLE */
  static async connect(api: ApiClient, parts: readonly ClientPart[] = PARTS): Promise<RemoteClient> {
    const fetches = {
      downloads: async () => ({ downloads: await api.call("downloads", {}) }),
      history: async () => ({ history: await api.call("downloads", { history: true }) }),
      shares: async () => ({ shares: await api.call("shares", {}) }),
      limits: async () => ({ limits: await api.call("limits", {}) }),
    } as const;
    const [status, ...fetched] = await Promise.all([
      api.call("status", {}),
      ...parts.map((part) => fetches[part]().catch(withoutLogin)),
    ]);
    return new RemoteClient(api, Object.assign({ status }, ...fetched) as Fetched);
  }

  private constructor(api: ApiClient, fetched: Fetched) {
    this.#api = api;
    this.#fetched = fetched;
    this.#limits = fetched.limits;
  }

  trackerKnown(): Promise<void> {
    // The daemon has waited for it before it said its status.
    return Promise.resolve();
  }

  status(): AnswerOf<"status"> {
    return this.#fetched.status;
  }

  shares(): AnswerOf<"shares"> {
    return this.#fetched.shares ?? [];
  }

  downloads(which?: FileOfGroup): AnswerOf<"downloads"> {
    return (this.#fetched.downloads ?? []).filter((download) => which === undefined || isOf(download, which));
  }

  downloadHistory(): AnswerOf<"downloads"> {
    return this.#fetched.history ?? [];
  }

  limits(): LimitsStatus {
    return this.#limits ?? { all: { up: undefined, down: undefined }, files: [] };
  }

  async createUser(userId: string, password: string): Promise<void> {
    await this.#api.call("createUser", { userId, password });
  }

  login(userId: string, password: string): Promise<AnswerOf<"login">> {
    return this.#api.call("login", { userId, password });
  }

  async logout(): Promise<void> {
    await this.#api.call("logout", {});
  }

  async createGroup(groupId: string): Promise<void> {
    await this.#api.call("createGroup", { groupId });
  }

  async joinGroup(groupId: string): Promise<void> {
    await this.#api.call("joinGroup", { groupId });
  }

  createInvite(groupId: string, wish: InviteWish = {}): Promise<AnswerOf<"createInvite">> {
    return this.#api.call("createInvite", { groupId, ...wish });
  }

  listInvites(groupId: string): Promise<AnswerOf<"listInvites">> {
    return this.#api.call("listInvites", { groupId });
  }

  async revokeInvite(groupId: string, inviteId: string): Promise<void> {
    await this.#api.call("revokeInvite", { groupId, inviteId });
  }

  joinByInvite(invite: string): Promise<AnswerOf<"joinByInvite">> {
    return this.#api.call("joinByInvite", { invite });
  }

  async leaveGroup(groupId: string): Promise<{ newOwnerId: string | undefined; groupEnded: boolean }> {
    const { newOwnerId, groupEnded } = await this.#api.call("leaveGroup", { groupId });
    return { newOwnerId, groupEnded };
  }

  listGroups(): Promise<AnswerOf<"listGroups">> {
    return this.#api.call("listGroups", {});
  }

  listMembers(groupId: string): Promise<AnswerOf<"listMembers">> {
    return this.#api.call("listMembers", { groupId });
  }

  removeMember(groupId: string, userId: string): Promise<AnswerOf<"removeMember">> {
    return this.#api.call("removeMember", { groupId, userId });
  }

  listRequests(groupId: string): Promise<AnswerOf<"listRequests">> {
    return this.#api.call("listRequests", { groupId });
  }

  async acceptRequest(groupId: string, userId: string): Promise<void> {
    await this.#api.call("acceptRequest", { groupId, userId });
  }

  async rejectRequest(groupId: string, userId: string): Promise<void> {
    await this.#api.call("rejectRequest", { groupId, userId });
  }

  listFiles(groupId: string): Promise<AnswerOf<"listFiles">> {
    return this.#api.call("listFiles", { groupId });
  }

  listInside(groupId: string, fileName: string, after?: string): Promise<AnswerOf<"listInside">> {
    return this.#api.call("listInside", { groupId, fileName, ...(after === undefined ? {} : { after }) });
  }

  /** Progress is told by events, which are followed meanwhile. */
  uploadFile(path: string, groupId: string, options: ShareOptions = {}): Promise<AnswerOf<"uploadFile">> {
    return this.#hashing(options, path, (signal) =>
      this.#api.call("uploadFile", { path, groupId }, { signal }),
    );
  }

  updateShare(
    groupId: string,
    fileName: string,
    path?: string,
    options: ShareOptions = {},
  ): Promise<AnswerOf<"updateShare">> {
    const input = { groupId, fileName, ...(path === undefined ? {} : { path }) };
    return this.#hashing(options, path, (signal) => this.#api.call("updateShare", input, { signal }));
  }

  async stopShare(groupId: string, fileName: string, everywhere = false): Promise<readonly string[]> {
    return (await this.#api.call("stopShare", { groupId, fileName, everywhere })).interrupted;
  }

  downloadFile(
    groupId: string,
    fileName: string,
    destinationPath: string,
    choice: FileChoice = {},
  ): Promise<AnswerOf<"downloadFile">> {
    return this.#api.call("downloadFile", { groupId, fileName, destinationPath, ...listsOf(choice) });
  }

  select(groupId: string, fileName: string, choice: FileChoice): Promise<AnswerOf<"select">> {
    return this.#api.call("select", { groupId, fileName, ...listsOf(choice) });
  }

  async follow(groupId: string, fileName: string): Promise<void> {
    await this.#api.call("follow", { groupId, fileName });
  }

  async unfollow(groupId: string, fileName: string): Promise<void> {
    await this.#api.call("unfollow", { groupId, fileName });
  }

  async pauseDownload(groupId: string, fileName: string): Promise<void> {
    await this.#api.call("pauseDownload", { groupId, fileName });
  }

  async resumeDownload(groupId: string, fileName: string): Promise<void> {
    await this.#api.call("resumeDownload", { groupId, fileName });
  }

  async cancelDownload(groupId: string, fileName: string): Promise<string | undefined> {
    return (await this.#api.call("cancelDownload", { groupId, fileName })).keptPath;
  }

  why(groupId: string, fileName: string): Promise<AnswerOf<"why">> {
    return this.#api.call("why", { groupId, fileName });
  }

  peers(groupId: string, fileName: string): Promise<AnswerOf<"peers">> {
    return this.#api.call("peers", { groupId, fileName });
  }

  async limit(direction: Direction, bytesPerSecond: number | undefined, which?: FileOfGroup): Promise<void> {
    this.#limits = await this.#api.call("limit", {
      direction,
      bytesPerSecond: bytesPerSecond ?? null,
      ...which,
    });
  }

  namesOf(list: NameList, prefix: string): Promise<readonly string[]> {
    return this.#api.call("namesOf", { ...list, prefix });
  }

  async exportTorrent(groupId: string, fileName: string, path: string): Promise<void> {
    await this.#api.call("exportTorrent", { groupId, fileName, path });
  }

  async exportCertificate(groupId: string, path: string): Promise<void> {
    await this.#api.call("exportCertificate", { groupId, path });
  }

  /**
   * Follows the daemon's events until the downloads have ended.
   *
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD if there is no download of that share, or none any longer
   */
  async waitForDownloads(
    which?: FileOfGroup,
    signal: AbortSignal = new AbortController().signal,
    onProgress: (download: DownloadStatus) => void = () => undefined,
  ): Promise<readonly DownloadStatus[]> {
    const known = new Map<string, DownloadStatus>();
    const waitedFor = new Set<string>();
    const ended = new AbortController();
    for await (const { type, data } of this.#api.events(AbortSignal.any([signal, ended.signal]), undefined, [
      "downloads",
    ])) {
      if (type !== "snapshot" && type !== "changed") continue;
      const { downloads = [], downloadsEnded = [] } = downloadsSchema.parse(data);
      for (const cancelled of downloadsEnded) known.delete(nameOf(cancelled));
      for (const download of downloads) {
        const name = nameOf(download);
        if (which !== undefined && !isOf(download, which)) continue;
        known.set(name, download);
        if (type === "snapshot" && (which !== undefined || isRunning(download))) waitedFor.add(name);
        if (isRunning(download)) onProgress(download);
      }
      const isWaiting = known.entries().some(([name, one]) => waitedFor.has(name) && isRunning(one));
      if (!isWaiting) ended.abort();
    }
    const settled = [...waitedFor]
      .map((name) => known.get(name))
      .filter((download) => download !== undefined);
    if (which === undefined || settled.length > 0 || signal.aborted) return settled;
    throw new MiniTorrentError(
      "UNKNOWN_DOWNLOAD",
      `${which.fileName} in ${which.groupId} is not being downloaded any more: it was cancelled.`,
    );
  }

  async #hashing<T>(
    { onProgress, signal }: ShareOptions,
    path: string | undefined,
    share: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const ended = new AbortController();
    const whole = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
    const followed = onProgress === undefined ? undefined : this.#followHashing(whole, path, onProgress);
    try {
      return await share(signal ?? new AbortController().signal);
    } finally {
      ended.abort();
      await followed?.catch(() => undefined);
    }
  }

  async #followHashing(
    signal: AbortSignal,
    path: string | undefined,
    onProgress: NonNullable<ShareOptions["onProgress"]>,
  ): Promise<void> {
    for await (const { type, data } of this.#api.events(signal, undefined, [])) {
      if (type !== "hash-progress") continue;
      const progress = hashProgressSchema.safeParse(data).data;
      if (progress !== undefined && (path === undefined || progress.path === path)) onProgress(progress);
    }
  }
}

/** While nobody is logged in there is nothing. @throws any other error */
function withoutLogin(error: unknown): object {
  if (error instanceof MiniTorrentError && error.code === "NOT_LOGGED_IN") return {};
  throw error;
}

const hashProgressSchema = z.object({ path: z.string(), hashedBytes: z.number(), lengthBytes: z.number() });
const downloadsSchema = z.object({
  downloads: z.array(downloadSchema).optional(),
  downloadsEnded: z.array(z.object({ groupId: z.string(), fileName: z.string() })).optional(),
});

function nameOf({ groupId, fileName }: FileOfGroup): string {
  return JSON.stringify([groupId, fileName]);
}

function isOf({ groupId, fileName }: FileOfGroup, which: FileOfGroup): boolean {
  return groupId === which.groupId && fileName === which.fileName;
}

function listsOf({ only, except }: FileChoice): { only?: string[]; except?: string[] } {
  return { ...(only && { only: [...only] }), ...(except && { except: [...except] }) };
}
