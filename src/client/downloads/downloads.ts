// All downloads of the account that is logged in: starts them, finds them by name, takes them up after a login, and
// tells when they have settled. What happens inside one is download.ts's.
import { mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { asMiniTorrentError, MiniTorrentError } from "../../api/errors.ts";
import type { ListPage } from "../../api/schemas.ts";
import { Bitfield } from "../../metainfo/bitfield.ts";
import { EVERY_FILE } from "../../metainfo/file-selection.ts";
import { decodeMetainfoInSlices, type Metainfo } from "../../metainfo/metainfo.ts";
import { runInBackground } from "../../net/run-in-background.ts";
import { writeError } from "../../storage/disk-errors.ts";
import type { ClientContext } from "../client-context.ts";
import { type FileId, fileKey } from "../file-key.ts";
import type { StoredDownload } from "../profile.ts";
import type { NewVersion, Shares } from "../shares.ts";
import type {
  ClientEvent,
  DownloadStatus,
  FileChoice,
  FileProgress,
  MembershipEnd,
  PieceMap,
} from "../status.ts";
import { allOf, chooseFiles, isOfAll, type Wanted } from "./chosen-files.ts";
import { Download, type DownloadOptions } from "./download.ts";
import { partPathOf } from "./download-opening.ts";
import { fetchMetainfo } from "./fetch-metainfo.ts";
import { fileProgressPage } from "./file-progress.ts";
import { DiskReader, type FileReader, placeOf } from "./file-reader.ts";
import type { FormerVersions } from "./former-versions.ts";
import { PieceSenders, pieceMap } from "./piece-map.ts";
import { type PresentVersion, VersionUpdate } from "./version-update.ts";

const FINISHED: ReadonlySet<Download["status"]> = new Set(["complete", "failed", "ended"]);

/** Waiting downloads that are reported individually within the window. */
const WAITING_TOLD_SINGLY = 10;
const WAITING_WINDOW_MS = 60_000;

export class Downloads {
  readonly #context: ClientContext;
  readonly #shares: Shares;
  readonly #formers: FormerVersions;
  /** Shares whose new versions are fetched without being asked for; undefined until they are read from the profile. */
  #followed: Set<string> | undefined;
  /** Followed shares of which a version was published while an earlier one was being fetched. */
  readonly #publishedMeanwhile = new Set<string>();
  readonly #downloads = new Map<string, Download>();
  /** The downloads that are neither complete nor failed: a script may have thousands of finished ones. */
  readonly #unfinished = new Map<string, Download>();
  #changed = Promise.withResolvers<void>();
  #waitingSinceMs = Number.NEGATIVE_INFINITY;
  #waitingTold = 0;
  #suspendedFor = "";
  /** Downloads do not run by themselves, and why; undefined: they do. */
  #heldFor: string | undefined;
  /** Counts logins: work begun in one is not continued in the next. */
  #logins = 0;

  constructor(context: ClientContext, shares: Shares, formers: FormerVersions) {
    this.#context = context;
    this.#shares = shares;
    this.#formers = formers;
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
   * Starts a download. A folder as destination keeps the share's name. Resolves when it has begun; if the content is at
   * the destination already, it is shared from there and the download is complete. An earlier version that is at the destination
   * is replaced once the new one is complete.
   *
   * @param choice which files of a folder; all of them if it is empty, or those of the version that is replaced
   * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER, UNKNOWN_FILE, DOWNLOAD_EXISTS, FILE_EXISTS, INVALID_ARGUMENT (no
   * file fits), DESTINATION_UNUSABLE, DISK_FULL, TRACKERS_UNREACHABLE
   */
  async start(file: FileId, destination: string, choice: FileChoice = {}): Promise<DownloadStatus> {
    this.#refuseRunning(file, undefined);
    const metainfo = await fetchMetainfo(this.#context.ask, file);
    const present = this.#presentOf(file);
    const { path: destinationPath, madeFolder } = await destinationOf(
      destination,
      metainfo.fileName,
      present?.path,
    );
    if (madeFolder !== undefined) this.#context.onEvent({ type: "folder-made", path: madeFolder });
    this.#refuseRunning(file, destinationPath);
    const stopped = this.#downloads.get(fileKey(file));
    if (stopped?.status === "failed" || stopped?.status === "paused") {
      this.#refusePathInUse(file, destinationPath);
      return this.#goOn(stopped, metainfo, destinationPath, choice);
    }
    const isReplaced = present?.path === destinationPath && present.metainfo.infoHash !== metainfo.infoHash;
    if (stopped?.isHeld === true && !isReplaced) return this.#selectHeld(stopped, destinationPath, choice);
    // The record may be outdated: the file may have been moved or removed.
    if (!isReplaced) await this.#shares.endIfGone(file);
    const wanted = await chooseFiles(metainfo, file, this.#choiceFor(stopped, choice));
    // Another command may have begun one meanwhile.
    this.#refuseRunning(file, destinationPath);
    this.#refusePathInUse(file, destinationPath);
    this.#refuseSharedElsewhere(file, destinationPath);
    if (isReplaced && stopped?.isHeld === true) {
      // Its row in the profile becomes that of the new version. Until then it has the name: nobody else begins this.
      await stopped.suspend().catch((error: unknown) => {
        this.#downloads.delete(fileKey(file));
        throw error;
      });
    }
    const replaces = isReplaced ? VersionUpdate.begin(this.#context, file.groupId, present) : undefined;
    const download = this.#put(file, wanted, destinationPath, replaces);
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

  /** What of that share is complete on this machine: shared, or some files of a folder that were downloaded. */
  #presentOf(file: FileId): PresentVersion | undefined {
    return this.#downloads.get(fileKey(file))?.held ?? this.#shares.find(file);
  }

  /** A new version gets the files that were chosen of the old one, unless others are chosen. */
  #choiceFor(held: Download | undefined, choice: FileChoice): FileChoice {
    return isOfAll(choice) && held?.isHeld === true ? (held.snapshot().folder?.choice ?? {}) : choice;
  }

  async #selectHeld(held: Download, destinationPath: string, choice: FileChoice): Promise<DownloadStatus> {
    if (held.destinationPath !== destinationPath) {
      throw new MiniTorrentError(
        "FILE_EXISTS",
        `A part of ${held.fileName} is on this machine already, at ${held.destinationPath}; select chooses more of it.`,
      );
    }
    await held.select(choice);
    return held.snapshot();
  }

  /**
   * Chooses other files of a folder: see `Download.select`.
   *
   * @param choice empty: all files
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, INVALID_ARGUMENT
   */
  async select(file: FileId, choice: FileChoice): Promise<DownloadStatus> {
    const download = this.get(file);
    await download.select(choice);
    return download.snapshot();
  }

  /**
   * Reads a file of a share that is here, or is being downloaded.
   *
   * @param path of a file in a folder; undefined for a single file
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, UNKNOWN_FILE, INVALID_ARGUMENT, DOWNLOAD_PAUSED, FILE_NOT_FOUND
   */
  async openReader(file: FileId, path: string | undefined): Promise<FileReader> {
    const share = this.#shares.find(file);
    const isUnderWay =
      this.#unfinished.has(fileKey(file)) || this.#downloads.get(fileKey(file))?.isHeld === true;
    if (share === undefined || isUnderWay) return this.get(file).openReader(path);
    return DiskReader.open(share.path, path, placeOf(share.metainfo, path));
  }

  /**
   * A download, or a share of this machine, piece by piece.
   *
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD
   */
  pieceMap(file: FileId): PieceMap {
    const share = this.#shares.find(file);
    if (share === undefined || this.#downloads.has(fileKey(file))) return this.get(file).pieceMap();
    const { geometry, infoHash } = share.metainfo;
    const torrent = this.#context.session.get(infoHash)?.torrent;
    return pieceMap({
      pieceCount: geometry.pieceCount,
      senders: new PieceSenders(geometry.pieceCount),
      has: () => true,
      isWanted: () => true,
      isComing: () => false,
      copiesOf: (pieceIndex) => torrent?.copiesOf(pieceIndex) ?? 0,
    });
  }

  /**
   * How far the files of a download are, a page of them; of a share of this machine they are complete.
   *
   * @param after `next` of the page before
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD, INVALID_ARGUMENT
   */
  filesAfter(file: FileId, after: string | undefined): ListPage<FileProgress> {
    const share = this.#shares.find(file);
    if (share === undefined || this.#downloads.has(fileKey(file))) return this.get(file).filesAfter(after);
    const { metainfo } = share;
    return fileProgressPage(metainfo, Bitfield.full(metainfo.geometry.pieceCount), EVERY_FILE, after);
  }

  /**
   * Fetches new versions of a share that is here, or is being downloaded, from now on; at once if there is one.
   *
   * @throws MiniTorrentError UNKNOWN_DOWNLOAD
   */
  async follow(file: FileId): Promise<void> {
    const present = this.#presentOf(file);
    if (present === undefined) this.get(file);
    this.#setFollowed(file, true);
    if (present === undefined) return;
    const { infoHash } = await fetchMetainfo(this.#context.ask, file);
    if (infoHash !== present.metainfo.infoHash) await this.#update(file, present);
  }

  /** @throws MiniTorrentError UNKNOWN_DOWNLOAD */
  async unfollow(file: FileId): Promise<void> {
    if (!this.isFollowed(file)) this.get(file);
    this.#setFollowed(file, false);
  }

  isFollowed(file: FileId): boolean {
    this.#followed ??= new Set(this.#context.profile().followed().map(fileKey));
    return this.#followed.has(fileKey(file));
  }

  #setFollowed(file: FileId, isFollowed: boolean): void {
    this.#context.profile().saveFollowed(file, isFollowed);
    if (this.isFollowed(file) === isFollowed) return;
    if (isFollowed) this.#followed?.add(fileKey(file));
    else this.#followed?.delete(fileKey(file));
  }

  /** A version was published of what is here, or is being downloaded: the user is told, and it is fetched if it is followed. */
  async versionPublished({ groupId, fileName, infoHash, userId }: NewVersion): Promise<void> {
    const file = { groupId, fileName };
    const present = this.#presentOf(file);
    const download = this.#downloads.get(fileKey(file));
    const isKnown = present?.metainfo.infoHash === infoHash || download?.infoHash === infoHash;
    if (isKnown || (present === undefined && download === undefined)) return;
    const isFollowed = this.isFollowed(file);
    this.#context.onEvent({ type: "share-updated", groupId, fileName, userId, isFollowed });
    if (!isFollowed) return;
    if (this.#unfinished.has(fileKey(file))) this.#publishedMeanwhile.add(fileKey(file));
    else if (present !== undefined) await this.#update(file, present);
  }

  async #update(file: FileId, present: PresentVersion): Promise<void> {
    try {
      await this.start(file, present.path);
      if (this.#heldFor !== undefined) await this.#downloads.get(fileKey(file))?.hold(this.#heldFor);
    } catch (error) {
      const { code, message: reason } = asMiniTorrentError(error);
      this.#context.log.warn({ err: error, ...file }, "a new version could not be fetched");
      this.#context.onEvent({ type: "download-failed", ...file, code, reason });
    }
  }

  /** Of a download that is neither complete nor failed. */
  infoHashOf(file: FileId): string | undefined {
    return this.#unfinished.get(fileKey(file))?.infoHash;
  }

  /** Resumes a stopped download with its pieces, also at another destination. */
  async #goOn(
    stopped: Download,
    { infoHash }: Metainfo,
    destinationPath: string,
    choice: FileChoice,
  ): Promise<DownloadStatus> {
    if (stopped.infoHash !== infoHash) {
      throw new MiniTorrentError(
        "DOWNLOAD_EXISTS",
        `A stopped download of other content has the name ${stopped.fileName}; cancel it first.`,
      );
    }
    if (stopped.destinationPath !== destinationPath) await stopped.moveTo(destinationPath);
    if (!isOfAll(choice)) await stopped.select(choice);
    await stopped.begin(true);
    return stopped.snapshot();
  }

  /**
   * After a login: resumes what was running; what the user had paused stays paused. Resolves when all are known again.
   *
   * @returns when they have begun, one after the other
   */
  async resumeAll(): Promise<{ readonly begun: Promise<void> }> {
    const login = this.#logins;
    let begun: Promise<void> = Promise.resolve();
    for (const stored of this.#context.profile().downloads()) {
      // Logged out meanwhile: the rest is the next login's.
      if (login !== this.#logins) break;
      if (this.#downloads.has(fileKey(stored))) continue;
      const download = await this.#restore(stored);
      if (login !== this.#logins) break;
      if (download === undefined || this.#downloads.has(fileKey(stored))) continue;
      this.#keep(fileKey(stored), download);
      if (stored.isPaused) continue;
      if (this.#heldFor === undefined) begun = this.#quietly(download, download.begin(false, begun));
      else download.holdFromStart(this.#heldFor);
    }
    return { begun };
  }

  /** Pauses what runs, and what the next login would resume: see `Client.holdDownloads`. */
  async hold(reason: string): Promise<void> {
    this.#heldFor = reason;
    await Promise.all([...this.#unfinished.values()].map((download) => download.hold(reason)));
  }

  async release(): Promise<void> {
    this.#heldFor = undefined;
    for (const download of [...this.#unfinished.values()]) await this.#quietly(download, download.release());
  }

  /** The download from the profile's entry; undefined if the entry is damaged. */
  async #restore(stored: StoredDownload): Promise<Download | undefined> {
    const { profile, onEvent } = this.#context;
    const { groupId, fileName, destinationPath } = stored;
    try {
      const metainfo = await decodeMetainfoInSlices(stored.info, turn);
      const wanted =
        stored.choice === undefined ? allOf(metainfo) : await chooseFiles(metainfo, stored, stored.choice);
      const replaced = profile().replacedBy(stored);
      const replaces = replaced && new VersionUpdate(this.#context, replaced);
      return new Download(this.#context, this.#shares, {
        ...{ groupId, wanted, destinationPath, stored, replaces },
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
    this.#followed = undefined;
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

  /** No two downloads write to one path, nor one inside the folder of another. */
  #refusePathInUse(file: FileId, destinationPath: string): void {
    for (const [key, { destinationPath: taken }] of this.#unfinished) {
      if (taken === destinationPath) {
        if (key === fileKey(file)) continue;
        throw new MiniTorrentError("FILE_EXISTS", `Another download writes to ${destinationPath} already.`);
      }
      const isInside = [taken, partPathOf(taken)].some((folder) => isBelow(destinationPath, folder));
      if (isInside || isBelow(taken, destinationPath) || isBelow(taken, partPathOf(destinationPath))) {
        throw new MiniTorrentError(
          "FILE_EXISTS",
          `Another download writes to ${taken}: choose a destination that is not inside it, and that it is not inside.`,
        );
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

  #put(file: FileId, wanted: Wanted, destinationPath: string, replaces: VersionUpdate | undefined): Download {
    const download = new Download(this.#context, this.#shares, {
      ...{ groupId: file.groupId, wanted, destinationPath, replaces },
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
    if (download?.status === "complete" && this.#publishedMeanwhile.delete(key)) {
      const { groupId, fileName } = download;
      runInBackground(this.#context.log, "fetching a new version", this.follow({ groupId, fileName }));
    }
    this.#wake();
  }

  /** The callbacks that all downloads share. */
  #common({
    groupId,
    fileName,
  }: FileId): Pick<
    DownloadOptions,
    "isFollowed" | "onChange" | "onReplaced" | "onWaiting" | "promisedBytes"
  > {
    const key = fileKey({ groupId, fileName });
    return {
      onChange: () => this.#changedAt(key),
      onWaiting: (reason) => this.#tellWaiting({ type: "download-waiting", groupId, fileName, reason }),
      promisedBytes: (path) => this.#promisedBytes(key, path),
      isFollowed: () => this.isFollowed({ groupId, fileName }),
      onReplaced: (version) =>
        runInBackground(this.#context.log, "serving a former version", this.#formers.serve(version)),
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

  async #quietly(download: Download, begun: Promise<void>): Promise<void> {
    try {
      await begun;
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

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder + sep);
}

/**
 * The path that the file or folder will have. A folder as destination, or what ends like one, keeps the share's name, unless it is
 * the place of an earlier version; missing folders are made.
 */
async function destinationOf(
  destination: string,
  fileName: string,
  presentPath: string | undefined,
): Promise<{ path: string; madeFolder: string | undefined }> {
  const absolute = resolve(destination);
  if (absolute === presentPath) return { path: absolute, madeFolder: undefined };
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
