// All downloads of the account that is logged in: starts them, finds them by name, takes them up after a login, and
// tells when they have settled. What happens inside one is download.ts's.
import { mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { asMiniTorrentError, MiniTorrentError } from "../../api/errors.ts";
import { decodeMetainfo, type Metainfo } from "../../metainfo/metainfo.ts";
import { writeError } from "../../storage/disk-errors.ts";
import type { ClientContext } from "../client-context.ts";
import { type FileId, fileKey } from "../file-key.ts";
import type { StoredDownload } from "../profile.ts";
import type { NewVersion, Shares } from "../shares.ts";
import type { ClientEvent, DownloadStatus, FileChoice, MembershipEnd } from "../status.ts";
import { Download, type DownloadOptions } from "./download.ts";
import { fetchMetainfo } from "./fetch-metainfo.ts";

const FINISHED: ReadonlySet<Download["status"]> = new Set(["complete", "failed", "ended"]);

/** Waiting downloads that are reported individually within the window. */
const WAITING_TOLD_SINGLY = 10;
const WAITING_WINDOW_MS = 60_000;

export class Downloads {
  readonly #context: ClientContext;
  readonly #shares: Shares;
  readonly #downloads = new Map<string, Download>();
  /** The downloads that are neither complete nor failed: a script may have thousands of finished ones. */
  readonly #unfinished = new Map<string, Download>();
  #changed = Promise.withResolvers<void>();
  #waitingSinceMs = Number.NEGATIVE_INFINITY;
  #waitingTold = 0;
  #suspendedFor = "";
  /** Counts logins: work begun in one is not continued in the next. */
  #logins = 0;

  constructor(context: ClientContext, shares: Shares) {
    this.#context = context;
    this.#shares = shares;
  }

  get runningCount(): number {
    return [...this.#unfinished.values()].filter((download) => !download.isSettled).length;
  }

  /** The status of all downloads, or of the one named; empty if there is none of that name. */
  statuses(file?: FileId): DownloadStatus[] {
    return this.#meant(file).map((download) => download.snapshot());
  }

  /** Completed downloads, oldest first, and the state of the others. */
  history(): DownloadStatus[] {
    const finished = this.#context.profile().finished();
    const unfinished = this.statuses().filter(({ state }) => state !== "complete");
    return [...finished, ...unfinished];
  }

  /**
   * Starts a download. A folder as destination keeps the file's name. Resolves when it has begun; if the content is at
   * the destination already, it is shared from there and the download is complete.
   *
   * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE, DOWNLOAD_EXISTS, FILE_EXISTS,
   * DESTINATION_UNUSABLE, DISK_FULL, TRACKERS_UNREACHABLE
   */
  async start(file: FileId, destination: string, _choice: FileChoice = {}): Promise<DownloadStatus> {
    this.#refuseRunning(file, undefined);
    const metainfo = await fetchMetainfo(this.#context.ask, file);
    const { path: destinationPath, madeFolder } = await destinationOf(destination, metainfo.fileName);
    if (madeFolder !== undefined) this.#context.onEvent({ type: "folder-made", path: madeFolder });
    this.#refuseRunning(file, destinationPath);
    const stopped = this.#downloads.get(fileKey(file));
    if (stopped?.status === "failed" || stopped?.status === "paused") {
      this.#refusePathInUse(destinationPath);
      return this.#goOn(stopped, metainfo, destinationPath);
    }
    // The record may be outdated: the file may have been moved or removed.
    await this.#shares.endIfGone(file);
    // Another command may have begun one meanwhile.
    this.#refuseRunning(file, destinationPath);
    this.#refusePathInUse(destinationPath);
    this.#refuseSharedElsewhere(file, destinationPath);
    const download = this.#put(file, metainfo, destinationPath);
    try {
      await download.begin(true);
    } catch (error) {
      // What could not even begin is not kept: the answer to the command is the place to read why.
      this.#downloads.delete(fileKey(file));
      await download.cancel();
      throw error;
    }
    return download.snapshot();
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD, INVALID_ARGUMENT */
  async select(file: FileId, _choice: FileChoice): Promise<DownloadStatus> {
    this.get(file);
    throw new MiniTorrentError("INVALID_ARGUMENT", `${file.fileName} is a single file: all of it is chosen.`);
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD */
  async follow(file: FileId): Promise<void> {
    this.get(file);
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD */
  async unfollow(file: FileId): Promise<void> {
    this.get(file);
  }

  /** Of a download that is neither complete nor failed. */
  infoHashOf(file: FileId): string | undefined {
    return this.#unfinished.get(fileKey(file))?.infoHash;
  }

  isFollowed(_file: FileId): boolean {
    return false;
  }

  /** A version was published of what is here, or is being downloaded: the user is told. */
  async versionPublished({ groupId, fileName, infoHash, userId }: NewVersion): Promise<void> {
    const present = this.#shares.find({ groupId, fileName });
    if (present === undefined || present.metainfo.infoHash === infoHash) return;
    this.#context.onEvent({ type: "share-updated", groupId, fileName, userId, isFollowed: false });
  }

  /** Resumes a stopped download with its pieces, also at another destination. */
  async #goOn(stopped: Download, { infoHash }: Metainfo, destinationPath: string): Promise<DownloadStatus> {
    if (stopped.infoHash !== infoHash) {
      throw new MiniTorrentError(
        "DOWNLOAD_EXISTS",
        `A stopped download of other content has the name ${stopped.fileName}; cancel it first.`,
      );
    }
    if (stopped.destinationPath !== destinationPath) await stopped.moveTo(destinationPath);
    await stopped.begin(true);
    return stopped.snapshot();
  }

  /** After a login: resumes what was running; what the user had paused stays paused. */
  async resumeAll(): Promise<void> {
    const login = this.#logins;
    for (const stored of this.#context.profile().downloads()) {
      // Logged out meanwhile: the rest is the next login's.
      if (login !== this.#logins) return;
      if (this.#downloads.has(fileKey(stored))) continue;
      const download = this.#restore(stored);
      if (download === undefined) continue;
      this.#keep(fileKey(stored), download);
      if (!stored.isPaused) await this.#beginQuietly(download);
    }
  }

  /** The download from the profile's entry; undefined if the entry is damaged. */
  #restore(stored: StoredDownload): Download | undefined {
    const { profile, onEvent } = this.#context;
    const { groupId, fileName, destinationPath } = stored;
    try {
      const metainfo = decodeMetainfo(stored.info);
      return new Download(this.#context, this.#shares, {
        ...{ groupId, metainfo, destinationPath, stored },
        ...this.#common(stored),
      });
    } catch (error) {
      const reason = asMiniTorrentError(error).message;
      profile().setAside("download", stored, reason);
      onEvent({ type: "profile-entry-set-aside", kind: "download", groupId, fileName, reason });
      return undefined;
    }
  }

  /** A tracker is connected again: running downloads ask it for peers. */
  async findPeers(): Promise<void> {
    await Promise.all([...this.#downloads.values()].map((download) => download.findPeers()));
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD */
  get(file: FileId): Download {
    const download = this.#downloads.get(fileKey(file));
    if (download === undefined) {
      throw new MiniTorrentError(
        "UNKNOWN_DOWNLOAD",
        `There is no download of ${file.fileName} in ${file.groupId}; show_downloads lists those there are.`,
      );
    }
    return download;
  }

  /** @returns the path of the part file if it was kept, because it holds the whole file */
  async cancel(file: FileId): Promise<string | undefined> {
    const download = this.get(file);
    const keptPath = await download.cancel();
    this.#downloads.delete(fileKey(file));
    this.#wake();
    return keptPath;
  }

  async groupEnded(groupId: string, how: MembershipEnd): Promise<void> {
    for (const download of this.#downloads.values())
      if (download.groupId === groupId) await download.groupEnded(how);
  }

  /** The name belongs to that content, claimed earlier at a partitioned tracker: other content is no longer offered. */
  async nameLost(file: FileId, infoHash: string): Promise<void> {
    const download = this.#downloads.get(fileKey(file));
    if (download !== undefined && download.infoHash !== infoHash) await download.nameLost();
  }

  /** A member shares those files: a download of one of them may now be of outdated content. */
  async filesShared(groupId: string, fileNames: readonly string[]): Promise<void> {
    for (const fileName of fileNames) {
      const download = this.#unfinished.get(fileKey({ groupId, fileName }));
      if (download === undefined) continue;
      try {
        const { infoHash } = await fetchMetainfo(this.#context.ask, { groupId, fileName });
        await download.sourceChanged(infoHash);
      } catch (error) {
        this.#context.log.info({ err: error, groupId, fileName }, "the shared content was not compared");
      }
    }
  }

  /** Logout: stops all downloads; the profile has their state. @param reason reported to callers of `settled` */
  async suspendAll(reason = "You logged out."): Promise<void> {
    this.#logins++;
    this.#suspendedFor = reason;
    const downloads = [...this.#downloads.values()];
    this.#downloads.clear();
    this.#unfinished.clear();
    await Promise.allSettled(downloads.map((download) => download.suspend()));
    this.#wake();
  }

  /**
   * Resolves when that download, or every one, is complete, paused or failed; or when `signal` aborts.
   *
   * @throws MiniTorrentError NOT_LOGGED_IN if the session ends meanwhile, UNKNOWN_DOWNLOAD
   */
  async settled(file: FileId | undefined, signal: AbortSignal | undefined): Promise<DownloadStatus[]> {
    if (file !== undefined) this.get(file);
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const onAbort = (): void => resolve();
    const login = this.#logins;
    signal?.addEventListener("abort", onAbort);
    try {
      while (!signal?.aborted && this.#isMoving(file)) await Promise.race([this.#changed.promise, aborted]);
      if (login !== this.#logins) {
        throw new MiniTorrentError(
          "NOT_LOGGED_IN",
          `Downloads were stopped before they were complete. ${this.#suspendedFor} They continue after the next login.`,
        );
      }
      return this.statuses(file);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #isMoving(file: FileId | undefined): boolean {
    const meant = file === undefined ? this.#unfinished.values() : this.#meant(file).values();
    return meant.some((download) => !download.isSettled);
  }

  #meant(file: FileId | undefined): Download[] {
    if (file === undefined) return [...this.#downloads.values()];
    const download = this.#downloads.get(fileKey(file));
    return download === undefined ? [] : [download];
  }

  /** @param destinationPath new destination of a paused download; undefined: not known yet */
  #refuseRunning(file: FileId, destinationPath: string | undefined): void {
    const present = this.#downloads.get(fileKey(file));
    if (present === undefined || present.status === "complete" || present.status === "failed") return;
    if (present.status === "paused" && present.destinationPath !== destinationPath) return;
    throw new MiniTorrentError(
      "DOWNLOAD_EXISTS",
      `${file.fileName} is being downloaded already, to ${present.destinationPath}; resume, wait or cancel it.`,
    );
  }

  #refusePathInUse(destinationPath: string): void {
    for (const { destinationPath: taken } of this.#unfinished.values()) {
      if (taken === destinationPath) {
        throw new MiniTorrentError("FILE_EXISTS", `Another download writes to ${destinationPath} already.`);
      }
    }
  }

  #refuseSharedElsewhere(file: FileId, destinationPath: string): void {
    const share = this.#shares.find(file);
    if (share === undefined || share.path === destinationPath) return;
    const { path } = share;
    throw new MiniTorrentError(
      "FILE_EXISTS",
      `${file.fileName} is on this machine already, at ${path}; copy it from there.`,
    );
  }

  #put(file: FileId, metainfo: Metainfo, destinationPath: string): Download {
    const download = new Download(this.#context, this.#shares, {
      groupId: file.groupId,
      metainfo,
      destinationPath,
      ...this.#common(file),
    });
    this.#keep(fileKey(file), download);
    return download;
  }

  #keep(key: string, download: Download): void {
    this.#downloads.set(key, download);
    this.#unfinished.set(key, download);
  }

  #changedAt(key: string): void {
    const download = this.#downloads.get(key);
    if (download === undefined || FINISHED.has(download.status)) this.#unfinished.delete(key);
    else this.#unfinished.set(key, download);
    this.#wake();
  }

  /** The callbacks that all downloads share. */
  #common({ groupId, fileName }: FileId): Pick<DownloadOptions, "onChange" | "onWaiting" | "promisedBytes"> {
    const key = fileKey({ groupId, fileName });
    return {
      onChange: () => this.#changedAt(key),
      onWaiting: (reason) => this.#tellWaiting({ type: "download-waiting", groupId, fileName, reason }),
      promisedBytes: (path) => this.#promisedBytes(key, path),
    };
  }

  /** Reports a few each minute individually: nobody reads thousands of lines about downloads that wait for the same member. */
  #tellWaiting(event: ClientEvent): void {
    const nowMs = performance.now();
    if (nowMs - this.#waitingSinceMs >= WAITING_WINDOW_MS) {
      this.#waitingSinceMs = nowMs;
      this.#waitingTold = 0;
    }
    this.#waitingTold++;
    const { onEvent } = this.#context;
    if (this.#waitingTold <= WAITING_TOLD_SINGLY) onEvent(event);
    else if (this.#waitingTold === WAITING_TOLD_SINGLY + 1) onEvent({ type: "downloads-waiting" });
  }

  /** What all running downloads but that one are still to write to the disk of that path. */
  async #promisedBytes(exceptKey: string, path: string): Promise<number> {
    if (this.#unfinished.size === 1 && this.#unfinished.has(exceptKey)) return 0;
    const disk = await diskOf(path);
    let promisedBytes = 0;
    for (const [key, download] of this.#unfinished) {
      if (key === exceptKey || download.promisedBytes === 0) continue;
      if ((await diskOf(download.destinationPath)) === disk) promisedBytes += download.promisedBytes;
    }
    return promisedBytes;
  }

  async #beginQuietly(download: Download): Promise<void> {
    try {
      await download.begin();
    } catch (error) {
      this.#context.log.warn({ err: error, file: download.fileName }, "download could not be taken up");
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Which file system the folder of that path is on; undefined if it is not there. */
async function diskOf(path: string): Promise<number | undefined> {
  return (await stat(dirname(path)).catch(() => undefined))?.dev;
}

/** The path the file will have. A folder, or what ends like one, keeps the file's name; missing folders are made. */
async function destinationOf(
  destination: string,
  fileName: string,
): Promise<{ path: string; madeFolder: string | undefined }> {
  const absolute = resolve(destination);
  const endsLikeFolder = /[/\\]$/.test(destination);
  const isFolder =
    endsLikeFolder ||
    ((await stat(absolute, { throwIfNoEntry: false }).catch(() => undefined))?.isDirectory() ?? false);
  const path = isFolder ? join(absolute, fileName) : absolute;
  try {
    const isMade = (await mkdir(dirname(path), { recursive: true })) !== undefined;
    return { path, madeFolder: isMade ? dirname(path) : undefined };
  } catch (error) {
    throw writeError(error, dirname(path));
  }
}
