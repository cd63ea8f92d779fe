// What this user shares from this machine, files and folders: hashed in place, announced to the swarm, resumed after the next
// login, withdrawn when it changes on disk, replaced by new versions. How one of them is served: serving.ts.
import { realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "pino";
import { z } from "zod";
import { asMiniTorrentError, type ErrorCode, MiniTorrentError } from "../api/errors.ts";
import { MAX_SHARES_CHECKED, metainfoAnswerSchema, shareDoubtsSchema } from "../api/schemas.ts";
import { checkFileName } from "../metainfo/file-name.ts";
import {
  decodeMetainfo,
  decodeMetainfoInSlices,
  encodeFolderMetainfo,
  encodeMetainfo,
  type Metainfo,
} from "../metainfo/metainfo.ts";
import { runInBackground } from "../net/run-in-background.ts";
import type { FileFacts } from "../storage/file-facts.ts";
import { hashFile } from "../storage/hash-file.ts";
import { hashFolder } from "../storage/hash-folder.ts";
import type { PieceStore } from "../storage/piece-store.ts";
import type { TorrentEvent } from "../swarm/torrent.ts";
import type { Farewell } from "../wire/farewell.ts";
import type { ClientContext } from "./client-context.ts";
import { EarlierVersions } from "./earlier-versions.ts";
import { type FileId, fileKey } from "./file-key.ts";
import { type Listed, type Listing, listShare } from "./list-share.ts";
import type { StoredShare } from "./profile.ts";
import { type ServedContent, Serving, whyNotAsShared } from "./serving.ts";
import { SlowRound } from "./slow-round.ts";
import type { ShareOptions, ShareResult, ShareStatus, SkippedFiles } from "./status.ts";

/** Paths named in one event; further ones are counted. */
const MAX_PATHS_TOLD = 10;
/** Users whose claims of bad data are checked, for each share. */
const MAX_REFUSALS = 100;

/** A tracker's refusals to end a share that mean it has ended already. */
const OVER_ALREADY: ReadonlySet<ErrorCode> = new Set([
  "NOT_SHARED",
  "UNKNOWN_FILE",
  "UNKNOWN_GROUP",
  "NOT_A_MEMBER",
]);

/**
 * Shared files are checked one by one, so that a missing file is noticed even if nobody requests it: four a second at first, then
 * one in two seconds. Four a second took 0.18 % of a core for ever.
 */
const LOOK_PAUSE_MS = 250;
const CALM_LOOK_PAUSE_MS = 2_000;
/** Least time between two checks of the same file: with few files, more would be pointless. */
const LEAST_ROUND_MS = 5_000;
/** Longer metainfo, of a folder with thousands of files, is decoded in slices, and its files are looked at after all others. */
const MAX_DECODED_AT_ONCE_BYTES = 64 * 1024;
/** Problems that of a folder may concern some files only. */
const OF_SOME_FILES: ReadonlySet<ErrorCode> = new Set([
  "FILE_CHANGED",
  "FILE_NOT_FOUND",
  "FILE_UNREADABLE",
  "NOT_A_FILE",
]);
/** Problems that may pass: the file is missing or changed, or no further file could be opened. */
const MAY_RETURN: ReadonlySet<ErrorCode> = new Set(["FILE_NOT_FOUND", "FILE_CHANGED", "LIMIT_REACHED"]);

/** Looks that find other files of a folder changed, or back, are acted upon and told at most once in this time. */
const FOLDER_QUIET_MS = 60_000;

/** A share is served, or known but not served: its group cannot be reached yet, or its file is not as it was. */
type ShareState =
  | { readonly status: "served"; readonly serving: Serving }
  | { readonly status: "waiting" }
  /** `mayReturn`: it is served again once the file is as it was. */
  | { readonly status: "unusable"; readonly reason: string; readonly mayReturn: boolean };

interface Share {
  stored: StoredShare;
  readonly metainfo: Metainfo;
  state: ShareState;
  /** Users who refused a piece that is right here. */
  readonly refusedBy: Set<string>;
  /** On performance.now()'s clock: see FOLDER_QUIET_MS. */
  quietUntilMs: number;
}

/** Content with what is known of it where it lies. */
type Found = Pick<StoredShare, "facts" | "folderTimesMs">;

/** What is to be shared, hashed. */
interface Hashed {
  readonly path: string;
  readonly metainfo: Metainfo;
  readonly found: Found;
  /** Of a folder. */
  readonly skipped?: SkippedFiles;
}

/** What the trackers are told of a share that is offered. */
interface Offer {
  /** The share of other content that it takes the place of. */
  readonly replaced?: Share | undefined;
  /** It is a new version of the content with that info-hash. */
  readonly updates?: string | undefined;
}

/** What is shared under a name, and where it lies. */
export interface PresentShare {
  readonly path: string;
  readonly metainfo: Metainfo;
  /** When the file was changed last, or each file of the folder. */
  readonly mtimesMs: Float64Array;
}

/** A version that is newer than the one that is shared or downloaded here. */
export interface NewVersion extends FileId {
  readonly infoHash: string;
  /** Who published it; undefined if they are not in the group any more. */
  readonly userId?: string | undefined;
}

export class Shares {
  readonly #context: ClientContext;
  readonly #log: Logger;
  readonly #shares = new Map<string, Share>();
  /** Shares that are about to be served. */
  readonly #beingServed = new Set<string>();
  readonly #earlier: EarlierVersions;
  /** Counts logins: work begun in one is not continued in the next. */
  #logins = 0;
  #looking: SlowRound<() => Promise<void>> | undefined;

  constructor(context: ClientContext) {
    this.#context = context;
    this.#log = context.log;
    this.#earlier = new EarlierVersions(context);
  }

  get count(): number {
    return this.#shares.size;
  }

  /**
   * Hashes a file and offers it to the group. Nothing is copied.
   *
   * @throws MiniTorrentError FILE_NOT_FOUND, NOT_A_FILE, FILE_CHANGED, INVALID_ARGUMENT (the name), FILE_EXISTS,
   * NOT_A_MEMBER, UNKNOWN_GROUP, TRACKERS_UNREACHABLE
   */
  async share(path: string, groupId: string, options: ShareOptions = {}): Promise<ShareResult> {
    const absolutePath = resolve(path);
    const fileName = basename(absolutePath).normalize();
    const hashed = await this.#hash(absolutePath, { groupId, fileName }, options);
    const { metainfo } = hashed;
    const replaced = await this.#replacedBy(metainfo, groupId, hashed.path);
    const joinedSwarm = await this.#offer(
      groupId,
      metainfo,
      hashed.path,
      hashed.found,
      { replaced },
      options,
    );
    return resultOf(groupId, hashed, { joinedSwarm, replacesEarlier: replaced !== undefined });
  }

  /**
   * Publishes a new version of a share: what lies at its path now, or at another one. Members who have an earlier version are
   * told. The earlier one is served on while somebody is in the middle of it, as far as it is still there.
   *
   * @param path undefined: where the share of this machine lies
   * @throws MiniTorrentError NOT_SHARED (without a path), UNKNOWN_FILE, NOT_THE_SHARER, NEWER_VERSION; see `share`
   */
  async update(file: FileId, path: string | undefined, options: ShareOptions = {}): Promise<ShareResult> {
    const { groupId, fileName } = file;
    const present = this.#shares.get(fileKey(file));
    const sharedPath = path ?? present?.stored.path;
    if (sharedPath === undefined) {
      throw new MiniTorrentError(
        "NOT_SHARED",
        `You do not share ${fileName} in ${groupId} from this machine, so say where its new version lies: update_share ${groupId} ${fileName} <path>.`,
      );
    }
    const absolutePath = resolve(sharedPath);
    const hashed = await this.#hash(absolutePath, file, options);
    const { metainfo } = hashed;
    const updates = present?.metainfo.infoHash ?? (await this.#newestVersion(file));
    const joinedSwarm = await this.#offer(groupId, metainfo, hashed.path, hashed.found, { updates }, options);
    return resultOf(groupId, hashed, { joinedSwarm, replacesEarlier: metainfo.infoHash !== updates });
  }

  /** Info-hash of the version that the name stands for now. */
  async #newestVersion(file: FileId): Promise<string> {
    const answer = await this.#context.ask(metainfoAnswerSchema, (api) => api.files.metainfo.query(file));
    if ("infoHash" in answer) return answer.infoHash;
    return decodeMetainfo(Buffer.from(answer.info, "base64")).infoHash;
  }

  /** Hashes a file or folder, as content of that name in the group. */
  async #hash(path: string, { groupId, fileName }: FileId, options: ShareOptions): Promise<Hashed> {
    const { memberships, storage } = this.#context;
    checkFileName(fileName);
    // Before hashing: a user who may not share there learns so at once.
    const { authorityPem } = await memberships.obtain(groupId);
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isDirectory()) {
      // No link is followed inside a folder, nor to it: what lies behind the path is what is shared.
      const folderPath = await realpath(path);
      const { facts, leftOut, ...hashes } = await hashFolder(folderPath, { ...storage, ...options });
      const metainfo = await encodeFolderMetainfo({ fileName, authorityPem, ...hashes }, turn);
      const { contentBytes } = metainfo.layout;
      const found = { facts: { lengthBytes: contentBytes, mtimeMs: 0 }, folderTimesMs: facts.mtimesMs };
      return { path: folderPath, metainfo, found, skipped: leftOut };
    }
    const hashed = await hashFile(path, { ...storage, ...options });
    const { lengthBytes, mtimeMs } = hashed;
    const metainfo = encodeMetainfo({ fileName, authorityPem, ...hashed });
    return { path, metainfo, found: { facts: { lengthBytes, mtimeMs } } };
  }

  /**
   * The share under that name, if its content no longer exists: the file at that path has changed, or the one that was shared
   * is gone. A share whose file is still intact is not replaced by another file of the same name.
   */
  async #replacedBy(
    { fileName, infoHash }: Metainfo,
    groupId: string,
    path: string,
  ): Promise<Share | undefined> {
    const share = this.#shares.get(fileKey({ groupId, fileName }));
    if (share === undefined || share.metainfo.infoHash === infoHash) return undefined;
    const sharedPath = share.stored.path;
    const isOver = sharedPath === path || (await whyNotAsShared(contentOf(share))) !== undefined;
    if (isOver) return share;
    throw new MiniTorrentError(
      "FILE_EXISTS",
      `You share other content under that name, from ${sharedPath}: stop_share ${groupId} ${fileName}, then upload_file ${path} ${groupId}; or rename the file.`,
    );
  }

  /** Content that is known to be that of the metainfo, wherever it lies and whatever it is called there. */
  async shareAs(path: string, groupId: string, metainfo: Metainfo, found: FileFacts | Found): Promise<void> {
    await this.#offer(groupId, metainfo, path, "facts" in found ? found : { facts: found });
  }

  /** Returns whether the group had it already. */
  async #offer(
    groupId: string,
    metainfo: Metainfo,
    path: string,
    { facts, folderTimesMs }: Found,
    { replaced, updates }: Offer = {},
    options: ShareOptions = {},
  ): Promise<boolean> {
    const { fileName, info, infoHash } = metainfo;
    const present = this.#shares.get(fileKey({ groupId, fileName }));
    const isShared = present?.state.status === "served" && present.metainfo.infoHash === infoHash;
    // An earlier version is the newest one again.
    if (!isShared) await this.#earlier.end(infoHash, "shared anew");
    if (!isShared && this.#context.session.get(infoHash) !== undefined) {
      throw new MiniTorrentError(
        "DOWNLOAD_EXISTS",
        `${fileName} is being downloaded here, and is shared when it is complete; or cancel that first.`,
      );
    }
    const kept = { lengthBytes: facts.lengthBytes, mtimeMs: facts.mtimeMs };
    const stored: StoredShare = {
      ...{ groupId, fileName, path, info, facts: kept, isRegistered: true },
      ...(folderTimesMs === undefined ? {} : { folderTimesMs }),
    };
    if (isShared) {
      const { joinedSwarm } = await this.#register(stored, metainfo, { isServed: false }, options);
      await this.#serve(stored, metainfo);
      return joinedSwarm;
    }
    const login = this.#logins;
    // The earlier content no longer exists, whatever the tracker answers: its connected peers are told first.
    if (replaced?.state.status === "served") {
      const { serving } = replaced.state;
      replaced.state = { status: "unusable", reason: `${path} changed`, mayReturn: false };
      await serving.end("its content was replaced", { reason: "changed" });
    }
    // Served first, so that the tracker can name this client among the peers in the same step.
    const serving = await this.#begin(stored, metainfo);
    try {
      const how =
        updates === undefined
          ? { replaces: replaced?.metainfo.infoHash }
          : { replaces: updates, isUpdate: updates !== infoHash };
      const { joinedSwarm } = await this.#register(stored, metainfo, { isServed: true, ...how }, options);
      this.#refuseAfterLogout(login);
      this.#served(stored, metainfo, serving);
      return joinedSwarm;
    } catch (error) {
      await serving.end("it could not be shared");
      throw error;
    }
  }

  /** A peer of a shared file said why it closed the connection. */
  peerLeft(file: FileId, { userId, farewell }: Extract<TorrentEvent, { type: "peer-left" }>): void {
    if (farewell.reason !== "bad-data" || farewell.pieceIndex === undefined) return;
    this.#runInBackground("checking a piece", this.dataRefused(file, userId, farewell.pieceIndex));
  }

  /** A download is complete, and its torrent runs already: from now on it is a share. */
  adopt(stored: StoredShare, metainfo: Metainfo, store: PieceStore): void {
    const content = contentOf({ stored, metainfo });
    const serving = Serving.adopted(this.#context, content, this.#listener(stored, metainfo), store);
    this.#put(stored, metainfo, serving);
    this.#context.profile().completeDownload(stored);
    if (!stored.isRegistered && serving.isComplete)
      this.#runInBackground("listing a share", this.#registerLater(stored, metainfo));
  }

  /**
   * After a login: everything that was shared is shared again, unless it changed meanwhile. Large folders are taken up behind the
   * others, and not waited for.
   */
  async resumeAll(): Promise<readonly NewVersion[]> {
    const login = this.#logins;
    const largeFolders: StoredShare[] = [];
    for (const stored of this.#context.profile().shares()) {
      if (this.#shares.has(fileKey(stored))) continue;
      if (stored.info.length > MAX_DECODED_AT_ONCE_BYTES) largeFolders.push(stored);
      else this.#wait(stored, decode(stored.info));
    }
    this.#looking ??= new SlowRound({
      all: () => this.#looks(),
      look: (look) => look(),
      pauseMs: LOOK_PAUSE_MS,
      calmPauseMs: CALM_LOOK_PAUSE_MS,
      leastRoundMs: LEAST_ROUND_MS,
    });
    const newer = await this.retryWaiting();
    const folders: Share[] = [];
    for (const stored of largeFolders) {
      const metainfo = await decodeMetainfoInSlices(stored.info, turn).catch(asMiniTorrentError);
      if (login !== this.#logins) return [];
      const share = this.#shares.has(fileKey(stored)) ? undefined : this.#wait(stored, metainfo);
      if (share !== undefined) folders.push(share);
    }
    this.#runInBackground("sharing folders", this.#retryAll(folders));
    return newer;
  }

  async #retryAll(shares: readonly Share[]): Promise<void> {
    const login = this.#logins;
    for (const share of shares) {
      // Logged out meanwhile: the next login does the rest.
      if (login !== this.#logins) return;
      await this.#retry(share);
    }
  }

  /** A share of the profile waits to be served; if its metainfo is damaged, it is set aside. */
  #wait(stored: StoredShare, metainfo: Metainfo | MiniTorrentError): Share | undefined {
    const { profile, onEvent } = this.#context;
    const { groupId, fileName } = stored;
    if (metainfo instanceof MiniTorrentError) {
      const reason = metainfo.message;
      profile().setAside("share", stored, reason);
      onEvent({ type: "profile-entry-set-aside", kind: "share", groupId, fileName, reason });
      return undefined;
    }
    const share: Share = {
      ...{ stored, metainfo, state: { status: "waiting" }, refusedBy: new Set(), quietUntilMs: 0 },
    };
    this.#shares.set(fileKey(stored), share);
    return share;
  }

  /** What there is to look at, one after the other. */
  *#looks(): Iterable<() => Promise<void>> {
    for (const share of this.#shares.values()) yield () => this.#look(share);
    for (const infoHash of this.#earlier.all()) yield () => this.#earlier.look(infoHash);
  }

  /** Withdraws a share whose file has changed, and resumes it when the file is as it was. */
  async #look(share: Share): Promise<void> {
    const { stored, metainfo, state } = share;
    const isIdle = state.status === "waiting" || (state.status === "unusable" && !state.mayReturn);
    if (isIdle) return;
    const login = this.#logins;
    const problem = await whyNotAsShared(contentOf(share));
    if (!this.#isStill(share, state, login)) return;
    try {
      // Other errors, such as EIO of a network file system, may pass; if they do not, a failing read ends the share.
      const isToEnd = problem !== undefined && MAY_RETURN.has(problem.code);
      if (state.status === "served" && isToEnd) await this.failed(stored, problem);
      else if (state.status === "served" && problem === undefined)
        await this.#lookInside(share, state.serving);
      if (state.status !== "unusable" || problem !== undefined) return;
      if (metainfo.kind === "folder" && performance.now() < share.quietUntilMs) return;
      share.quietUntilMs = performance.now() + FOLDER_QUIET_MS;
      share.state = { status: "waiting" };
      await this.#serve(stored, metainfo);
      this.#log.info({ groupId: stored.groupId, fileName: stored.fileName }, "a shared file is back");
    } catch (error) {
      if (login === this.#logins) this.#couldNotServe(share, asMiniTorrentError(error), state);
    }
  }

  /** Nothing happened to the share meanwhile, and nobody logged out. */
  #isStill(share: Share, state: ShareState, login: number): boolean {
    return (
      login === this.#logins && share.state === state && this.#shares.get(fileKey(share.stored)) === share
    );
  }

  /** Compares some files of a folder with how they were shared. */
  async #lookInside(share: Share, serving: Serving): Promise<void> {
    if (performance.now() < share.quietUntilMs) return;
    if (await serving.lookInside()) await this.#serveRest(share, serving);
  }

  /** Other files of a folder have changed, or are back: what is as it was is served from now on, and the user is told. */
  async #serveRest(share: Share, serving: Serving): Promise<void> {
    const { state } = share;
    if (state.status !== "served" || state.serving !== serving || !this.#isStill(share, state, this.#logins))
      return;
    share.quietUntilMs = performance.now() + FOLDER_QUIET_MS;
    const login = this.#logins;
    try {
      await serving.again();
    } catch (error) {
      if (!this.#isStill(share, state, login)) return;
      this.#couldNotServe(share, asMiniTorrentError(error));
      await serving.end("its files changed", { reason: "changed" });
      return;
    }
    if (this.#isStill(share, state, login)) this.#tellOfFiles(share, serving);
  }

  #tellOfFiles({ stored: { groupId, fileName } }: Share, serving: Serving): void {
    const count = serving.changedCount;
    this.#log.info({ groupId, fileName, changedFiles: count }, "other files of a shared folder have changed");
    const paths = serving.changedPaths(MAX_PATHS_TOLD);
    if (count === 0) this.#context.onEvent({ type: "shared-files-back", groupId, fileName });
    else this.#context.onEvent({ type: "shared-files-changed", groupId, fileName, count, paths });
  }

  /**
   * A tracker is connected again: announces the shares that wait for one.
   *
   * @returns shares that have newer versions than those that are served here
   */
  async retryWaiting(): Promise<readonly NewVersion[]> {
    const login = this.#logins;
    // Large folders come last: what is found out about their files takes seconds.
    const isLarge = ({ metainfo: { info } }: Share): number =>
      info.length > MAX_DECODED_AT_ONCE_BYTES ? 1 : 0;
    await this.#retryAll([...this.#shares.values()].sort((a, b) => isLarge(a) - isLarge(b)));
    return login === this.#logins ? await this.#compareWithTrackers() : [];
  }

  async #retry(share: Share): Promise<void> {
    const login = this.#logins;
    if (share.state.status === "served") await this.#listLater(share, share.state.serving);
    if (share.state.status !== "waiting") return;
    try {
      await this.#serve(share.stored, share.metainfo);
      const now = this.#shares.get(fileKey(share.stored));
      if (now?.state.status === "served") await this.#listLater(now, now.state.serving);
    } catch (error) {
      if (login === this.#logins) this.#couldNotServe(share, asMiniTorrentError(error));
    }
  }

  /** Whoever has all of it is listed as a sharer. */
  async #listLater({ stored, metainfo }: Share, serving: Serving): Promise<void> {
    if (!stored.isRegistered && serving.isComplete) await this.#registerLater(stored, metainfo);
  }

  /** All current shares, and those that wait. */
  statuses(): ShareStatus[] {
    return [...this.#shares.values()].map(({ stored, metainfo, state }) => {
      const active = this.#context.session.get(metainfo.infoHash);
      const uploadBytesPerSecond = active?.torrent.uploadBytesPerSecond ?? 0;
      return {
        groupId: stored.groupId,
        fileName: stored.fileName,
        path: stored.path,
        ...factsOfContent(metainfo),
        ...changedIn(state),
        state: state.status,
        reason: state.status === "unusable" ? state.reason : undefined,
        peerCount: active?.connections.connectedCount ?? 0,
        ...(uploadBytesPerSecond > 0 && { uploadBytesPerSecond }),
      };
    });
  }

  /** The share of that name, as stored in the profile. */
  find(file: FileId): PresentShare | undefined {
    const share = this.#shares.get(fileKey(file));
    if (share === undefined) return undefined;
    const { path, facts, folderTimesMs } = share.stored;
    return { path, metainfo: share.metainfo, mtimesMs: folderTimesMs ?? Float64Array.of(facts.mtimeMs) };
  }

  /** A new version is about to take the place of the share: it is no longer served from there. The profile is the caller's. */
  async release(file: FileId): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    if (share === undefined) return;
    this.#shares.delete(fileKey(file));
    if (share.state.status === "served") await share.state.serving.end("a newer version is here");
  }

  /**
   * Checks a shared file: one that was moved, removed or changed is no longer shared, and may be
   * downloaded again.
   */
  async endIfGone(file: FileId): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    if (share === undefined) return;
    const problem = await whyNotAsShared(contentOf(share));
    if (problem === undefined) return;
    await this.#end(share, problem.message);
  }

  /**
   * Ends the share of this machine, or those of all of the account's machines.
   *
   * @throws MiniTorrentError NOT_SHARED, TRACKERS_UNREACHABLE
   */
  async stop(file: FileId, everywhere = false): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    const { groupId, fileName } = file;
    if (share === undefined && !everywhere) {
      throw new MiniTorrentError(
        "NOT_SHARED",
        `You do not share ${fileName} in ${groupId} from this machine; stop_share ${groupId} ${fileName} everywhere ends it at your other machines.`,
      );
    }
    const { holderId } = this.#context.profile();
    try {
      await this.#context.ask(z.unknown(), (api, write) =>
        api.files.stopShare.mutate({ groupId, fileName, holderId, everywhere, ...write }),
      );
    } catch (error) {
      // The trackers no longer list it, so serving it here ends too.
      if (share === undefined || !OVER_ALREADY.has(asMiniTorrentError(error).code)) throw error;
    }
    const farewell = { reason: "not-shared" } as const;
    await this.#earlier.endAll(file, "no longer shared", farewell);
    if (share !== undefined) await this.#forget(share, "no longer shared", farewell);
  }

  /** Another machine of the account ended the share of the holder with that id. */
  async withdrawn(file: FileId, holderId: string): Promise<void> {
    if (holderId === this.#context.profile().holderId) await this.#endWithdrawn(file);
  }

  async #endWithdrawn(file: FileId): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    if (share === undefined) return;
    const { groupId, fileName } = file;
    await this.#forget(share, "no longer shared", { reason: "not-shared" });
    const reason = `another machine of yours ended it (stop_share ${groupId} ${fileName} everywhere); upload_file ${share.stored.path} ${groupId} shares it again.`;
    this.#context.onEvent({ type: "share-ended", groupId, fileName, reason });
  }

  /**
   * Asks the trackers whether they list the shares of this client: one may have been ended elsewhere while this client was
   * offline, or be unknown because a tracker lost rows; the latter is registered again.
   *
   * @returns shares that have newer versions
   */
  async #compareWithTrackers(): Promise<readonly NewVersion[]> {
    const login = this.#logins;
    const newer: NewVersion[] = [];
    const listed = [...this.#shares.values()].filter(
      ({ stored, state }) => stored.isRegistered && state.status === "served",
    );
    for (const [groupId, shares] of Map.groupBy(listed, ({ stored }) => stored.groupId)) {
      for (let at = 0; at < shares.length; at += MAX_SHARES_CHECKED) {
        if (login !== this.#logins) return [];
        try {
          newer.push(...(await this.#compareSome(groupId, shares.slice(at, at + MAX_SHARES_CHECKED))));
        } catch (error) {
          this.#log.info({ err: error, groupId }, "shares not compared; the next connection tries again");
          break;
        }
      }
    }
    return newer;
  }

  async #compareSome(groupId: string, shares: readonly Share[]): Promise<readonly NewVersion[]> {
    const { holderId } = this.#context.profile();
    const files = shares.map(({ metainfo: { fileName, infoHash } }) => ({ fileName, infoHash }));
    const { withdrawn, unknown, updated } = await this.#context.ask(shareDoubtsSchema, (api) =>
      api.files.checkShares.query({ groupId, holderId, files }),
    );
    for (const share of shares) {
      const { fileName } = share.stored;
      if (this.#shares.get(fileKey(share.stored)) !== share) continue;
      if (withdrawn.includes(fileName)) await this.#endWithdrawn({ groupId, fileName });
      if (!unknown.includes(fileName)) continue;
      const refusal = await this.#registerLater(share.stored, share.metainfo);
      // The trackers would not name this machine to anybody.
      if (refusal?.code === "FILE_EXISTS") await this.#end(share, refusal.message);
    }
    return updated.map((version) => ({ groupId, ...version }));
  }

  async #end(share: Share, reason: string): Promise<void> {
    const { groupId, fileName } = share.stored;
    await this.#forget(share, reason, { reason: "changed" });
    this.#context.onEvent({ type: "share-ended", groupId, fileName, reason });
  }

  /** The user is no longer in that group: nothing of it is shared any more. */
  async groupEnded(groupId: string): Promise<void> {
    for (const share of [...this.#shares.values()]) {
      if (share.stored.groupId !== groupId) continue;
      const { metainfo, stored } = share;
      // A folder's path is told apart by its end.
      this.#context
        .profile()
        .saveFormerShare(groupId, metainfo.kind === "folder" ? `${stored.path}/` : stored.path);
      await this.#forget(share, "no longer in the group");
    }
    await this.#earlier.endAll({ groupId }, "no longer in the group");
  }

  /** The user is a member again: reports files that they shared in the group before, and still have. */
  async acceptedAgain(groupId: string): Promise<void> {
    const former = this.#context.profile().takeFormerShares(groupId);
    const paths: string[] = [];
    for (const path of former) {
      const stats = await stat(path).catch(() => undefined);
      if (path.endsWith("/") ? stats?.isDirectory() : stats?.isFile()) paths.push(path);
    }
    if (paths.length === 0) return;
    this.#context.onEvent({
      type: "may-share-again",
      groupId,
      count: paths.length,
      paths: paths.slice(0, MAX_PATHS_TOLD),
    });
  }

  /**
   * The name belongs to that content, claimed earlier at a partitioned tracker: a share of other content ends.
   *
   * @returns whether there was one
   */
  async nameLost(file: FileId, infoHash: string): Promise<boolean> {
    await this.#earlier.endAll(file, "the name is taken by other content", { reason: "not-shared" });
    const share = this.#shares.get(fileKey(file));
    if (share === undefined || share.metainfo.infoHash === infoHash) return false;
    await this.#forget(share, "the name is taken by other content", { reason: "not-shared" });
    return true;
  }

  /**
   * Reading what is shared failed: it is no longer what was shared. Of a folder that may concern some files only.
   *
   * @param where the piece, and the version if it need not be the newest
   */
  async failed(
    file: FileId,
    error: MiniTorrentError,
    where: { readonly pieceIndex?: number | undefined; readonly infoHash?: string } = {},
  ): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    const infoHash = where.infoHash ?? share?.metainfo.infoHash;
    if (infoHash !== undefined && share?.metainfo.infoHash !== infoHash)
      await this.#earlier.compare(infoHash);
    else if (share?.state.status === "served") {
      const { serving } = share.state;
      const isOfFolder = share.metainfo.kind === "folder" && OF_SOME_FILES.has(error.code);
      if (isOfFolder && (await this.#concernsSomeFiles(share, serving, where.pieceIndex))) return;
      if (share.state.status !== "served" || share.state.serving !== serving) return;
      this.#couldNotServe(share, error);
      await serving.end(error.message, { reason: "changed" });
    }
  }

  /** A folder that is there goes on being served, without the files that are not as they were. */
  async #concernsSomeFiles(share: Share, serving: Serving, pieceIndex: number | undefined): Promise<boolean> {
    if ((await serving.whyNotAsShared()) !== undefined) return false;
    const isQuiet = performance.now() < share.quietUntilMs;
    const hasChanged = pieceIndex === undefined || (await serving.lookAtPiece(pieceIndex));
    if (hasChanged && !isQuiet) await this.#serveRest(share, serving);
    return true;
  }

  /**
   * A peer says that a piece from here was bad. Only this machine's disk can tell: a wrong piece ends the share, a right one is
   * reported once for each user, so that a lying peer costs one read of a piece.
   */
  async dataRefused(file: FileId, userId: string, pieceIndex: number): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    if (share?.state.status !== "served" || share.refusedBy.has(userId)) return;
    if (pieceIndex >= share.metainfo.geometry.pieceCount || share.refusedBy.size >= MAX_REFUSALS) return;
    share.refusedBy.add(userId);
    const { serving } = share.state;
    const isRight = await serving.store.isRightOnDisk(pieceIndex);
    if (this.#shares.get(fileKey(file)) !== share || share.state.status !== "served") return;
    const { groupId, fileName } = file;
    const { path, facts } = share.stored;
    if (isRight) {
      this.#context.onEvent({ type: "data-refused", groupId, fileName, userId, pieceIndex });
      return;
    }
    const reason = `${userId} received bad data from here, and piece ${pieceIndex} of ${path} is not what was shared: check the disk and restore the file; upload_file ${path} ${groupId} then shares it again.`;
    this.#log.warn({ groupId, fileName, pieceIndex, user: userId }, "a shared file's bytes changed");
    if (share.metainfo.kind === "folder") {
      await this.#distrustFiles(share, share.metainfo.layout.filesIn(pieceIndex));
      return;
    }
    share.state = { status: "unusable", reason, mayReturn: false };
    // Size and time are unchanged: without this, the next login would share it again.
    share.stored = { ...share.stored, facts: { ...facts, mtimeMs: 0 } };
    this.#context.profile().updateShare(share.stored);
    await serving.end(reason, { reason: "changed" });
    this.#context.onEvent({ type: "share-ended", groupId, fileName, reason });
  }

  /** Those files are not served any more although they look as they were, also after the next login. */
  async #distrustFiles(share: Share, files: readonly number[]): Promise<void> {
    const folderTimesMs = share.stored.folderTimesMs?.slice();
    for (const fileIndex of files) if (folderTimesMs !== undefined) folderTimesMs[fileIndex] = Number.NaN;
    share.stored = { ...share.stored, folderTimesMs };
    this.#context.profile().updateShare(share.stored);
    const { stored, metainfo } = share;
    try {
      await this.#serve(stored, metainfo);
    } catch (error) {
      this.#couldNotServe(share, asMiniTorrentError(error));
    }
  }

  /** Logout: nothing is shared until the next login; the profile keeps the list. */
  async suspendAll(): Promise<void> {
    this.#logins++;
    this.#looking?.close();
    this.#looking = undefined;
    const shares = [...this.#shares.values()];
    this.#shares.clear();
    for (const { state, stored } of shares) {
      if (state.status !== "served") continue;
      try {
        await state.serving.end("sharing is paused", { reason: "offline" });
      } catch (error) {
        // The others end too.
        this.#log.warn({ err: error, file: stored.fileName }, "a shared file was not closed");
      }
    }
    await this.#earlier.endAll({}, "sharing is paused", { reason: "offline" });
  }

  /** One attempt at a time; given up if the share is stopped meanwhile. */
  async #serve(stored: StoredShare, metainfo: Metainfo): Promise<void> {
    const key = fileKey(stored);
    if (this.#beingServed.has(key)) return;
    this.#beingServed.add(key);
    try {
      await this.#serveNow(stored, metainfo);
    } finally {
      this.#beingServed.delete(key);
    }
  }

  async #serveNow(stored: StoredShare, metainfo: Metainfo): Promise<void> {
    const { memberships } = this.#context;
    const key = fileKey(stored);
    const before = this.#shares.get(key);
    const { authorityPem } = await memberships.obtain(stored.groupId);
    if (this.#shares.get(key) !== before) return;
    if (authorityPem.trim() !== metainfo.authorityPem.trim()) {
      // The name belongs to another group now, or one command had founded the group twice: nobody looks for this torrent.
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `it was shared in an earlier group ${stored.groupId}; upload_file ${stored.path} ${stored.groupId} shares it in the present group.`,
      );
    }
    const isSame = before?.metainfo.infoHash === metainfo.infoHash;
    if (before?.state.status === "served" && isSame) await before.state.serving.end("shared anew");
    const known = this.#shares.get(key);
    const serving = await this.#begin(stored, metainfo);
    if (this.#shares.get(key) !== known) {
      await serving.end("no longer shared");
      return;
    }
    this.#served(stored, metainfo, serving);
    serving.announce();
  }

  /** Serves it to peers from now on, but announces nothing yet. */
  #begin(stored: StoredShare, metainfo: Metainfo): Promise<Serving> {
    const login = this.#logins;
    const content = contentOf({ stored, metainfo });
    return Serving.begin(this.#context, content, this.#listener(stored, metainfo), () =>
      this.#refuseAfterLogout(login),
    );
  }

  #listener(file: FileId, { infoHash }: Metainfo): (event: TorrentEvent) => void {
    const { groupId, fileName } = file;
    return (event) => {
      if (event.type === "read-failed" || event.type === "tick-failed") {
        const pieceIndex = event.type === "read-failed" ? event.pieceIndex : undefined;
        const where = { infoHash, pieceIndex };
        this.#runInBackground("ending a share", this.failed({ groupId, fileName }, event.error, where));
      }
      if (event.type === "peer-left") this.peerLeft({ groupId, fileName }, event);
      if (event.type !== "held-by-others") return;
      this.#context.onEvent({ type: event.type, groupId, fileName, uploadedBytes: event.uploadedBytes });
    };
  }

  #served(stored: StoredShare, metainfo: Metainfo, serving: Serving): void {
    const before = this.#shares.get(fileKey(stored));
    const isKept = before?.stored.info === stored.info;
    this.#put(stored, metainfo, serving);
    this.#context.profile()[isKept ? "updateShare" : "saveShare"](stored);
  }

  /** It is what is shared under that name from now on. */
  #put(stored: StoredShare, metainfo: Metainfo, serving: Serving): void {
    const key = fileKey(stored);
    const before = this.#shares.get(key);
    const share: Share = {
      ...{ stored, metainfo, state: { status: "served", serving }, refusedBy: new Set(), quietUntilMs: 0 },
    };
    this.#shares.set(key, share);
    if (before?.state.status === "served" && before.metainfo.infoHash !== metainfo.infoHash)
      this.#runInBackground("serving an earlier version", this.#earlier.keep(before.state.serving));
    if (serving.changedCount > 0) {
      share.quietUntilMs = performance.now() + FOLDER_QUIET_MS;
      this.#tellOfFiles(share, serving);
    }
  }

  #refuseAfterLogout(login: number): void {
    if (login === this.#logins) return;
    throw new MiniTorrentError("NOT_LOGGED_IN", "You logged out meanwhile; it was not shared.");
  }

  /** Lists it at the trackers. @param how see `Listing` */
  async #register(
    { groupId }: StoredShare,
    metainfo: Metainfo,
    how: Pick<Listing, "isServed" | "replaces" | "isUpdate">,
    options?: ShareOptions,
  ): Promise<Listed> {
    const { ask, announcer, profile } = this.#context;
    const listing = { groupId, holderId: profile().holderId, ...how };
    const listed = await listShare(ask, metainfo, listing, options);
    if (listed.isAnnounced) announcer.told(metainfo.infoHash);
    if (how.isServed) this.#announce(metainfo.infoHash, listed.isAnnounced);
    return listed;
  }

  /** Announces to the tracker whether the file is served here now. */
  #announce(infoHash: string, isKnown: boolean): void {
    const { announcer, session } = this.#context;
    if (session.get(infoHash) === undefined)
      this.#runInBackground("telling the tracker", announcer.remove(infoHash));
    else if (!isKnown)
      this.#runInBackground("telling the tracker", announcer.add({ infoHash, isSeed: true }));
  }

  /** Returns why it could not be registered. */
  async #registerLater(stored: StoredShare, metainfo: Metainfo): Promise<MiniTorrentError | undefined> {
    const login = this.#logins;
    try {
      await this.#register(stored, metainfo, { isServed: true });
    } catch (error) {
      this.#announce(metainfo.infoHash, false);
      this.#log.info(
        { err: error, file: stored.fileName },
        "share not listed yet; the next connection tries again",
      );
      return asMiniTorrentError(error);
    }
    const share = this.#shares.get(fileKey(stored));
    if (share === undefined || login !== this.#logins) return undefined;
    share.stored = { ...share.stored, isRegistered: true };
    this.#context.profile().updateShare(share.stored);
    return undefined;
  }

  /** @param before the state in which it was looked at: what is known of it is not told again */
  #couldNotServe(share: Share, error: MiniTorrentError, before?: ShareState): void {
    const { groupId, fileName } = share.stored;
    if (error.code === "TRACKERS_UNREACHABLE" || error.code === "TRACKERS_UNKNOWN") return;
    if (error.code === "NOT_A_MEMBER" || error.code === "UNKNOWN_GROUP") {
      this.#shares.delete(fileKey(share.stored));
      this.#context.profile().removeShare(groupId, fileName);
    } else {
      share.state = { status: "unusable", reason: error.message, mayReturn: MAY_RETURN.has(error.code) };
    }
    if (before?.status === "unusable" && before.reason === error.message) return;
    this.#log.warn({ err: error, groupId, fileName }, "share not served");
    const reason =
      error.code === "FILE_CHANGED" && share.metainfo.kind === "folder"
        ? `${share.stored.path} is not what it was when it was shared; update_share ${groupId} ${fileName} shares it as it is now, or stop_share ${groupId} ${fileName} gives it up.`
        : error.code === "FILE_CHANGED"
          ? `${share.stored.path} changed; upload_file ${share.stored.path} ${groupId} shares it as it is now, or stop_share ${groupId} ${fileName} gives it up.`
          : error.code === "FILE_NOT_FOUND"
            ? `${error.message} It is shared again when it is back there.`
            : error.message;
    this.#context.onEvent({ type: "share-ended", groupId, fileName, reason });
  }

  async #forget(share: Share, reason: string, farewell?: Farewell): Promise<void> {
    this.#shares.delete(fileKey(share.stored));
    this.#context.profile().removeShare(share.stored.groupId, share.stored.fileName);
    if (share.state.status === "served") await share.state.serving.end(reason, farewell);
  }

  #runInBackground(what: string, work: Promise<unknown>): void {
    runInBackground(this.#log, what, work);
  }
}

/** What is served of a share. */
function contentOf({ stored, metainfo }: Pick<Share, "stored" | "metainfo">): ServedContent {
  const { groupId, path, facts, folderTimesMs } = stored;
  return { groupId, metainfo, path, facts, folderTimesMs };
}

/** The metainfo in the profile; an error if it is damaged. */
function decode(info: Uint8Array): Metainfo | MiniTorrentError {
  try {
    return decodeMetainfo(info);
  } catch (error) {
    return asMiniTorrentError(error);
  }
}

/** What people are told of it. */
function factsOfContent(metainfo: Metainfo): Pick<ShareStatus, "lengthBytes" | "sha1" | "fileCount"> {
  if (metainfo.kind === "file") return { lengthBytes: metainfo.geometry.lengthBytes, sha1: metainfo.sha1 };
  const { contentBytes, fileCount } = metainfo.layout;
  return { lengthBytes: contentBytes, fileCount };
}

function changedIn(state: ShareState): Pick<ShareStatus, "changedFiles"> {
  const changedFiles = state.status === "served" ? state.serving.changedCount : 0;
  return changedFiles === 0 ? {} : { changedFiles };
}

function resultOf(
  groupId: string,
  { metainfo, skipped }: Hashed,
  outcome: Pick<ShareResult, "joinedSwarm" | "replacesEarlier">,
): ShareResult {
  const { fileName, geometry } = metainfo;
  const facts = { ...factsOfContent(metainfo), pieceCount: geometry.pieceCount };
  return { groupId, fileName, ...facts, ...(skipped && { skipped }), ...outcome };
}
