// What the profile knows of one download: which pieces are verified, and how the part file was when that was noted.
// While the torrent runs it is noted in strides; the part file's facts say at the next start whether it still holds.

import { randomBytes } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { asMiniTorrentError, type MiniTorrentError } from "../../api/errors.ts";
import { Bitfield } from "../../metainfo/bitfield.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import { later } from "../../net/timers.ts";
import { partLost } from "../../storage/disk-errors.ts";
import { type FileFacts, factsOf } from "../../storage/file-facts.ts";
import { FolderFacts } from "../../storage/folder-facts.ts";
import { movePart } from "../../storage/part-file.ts";
import { movePartFolder, removePartFolder, removeRest, restPathOf } from "../../storage/part-folder.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import type { Profile, StoredDownload } from "../profile.ts";
import type { DownloadSource } from "../status.ts";
import { hasAll, type Wanted } from "./chosen-files.ts";
import { type KnownPart, partIdOf, partPathOf } from "./download-opening.ts";
import { type Arrived, together } from "./download-state.ts";
import { PieceSenders } from "./piece-map.ts";

/** Verified pieces are noted this long after the first that is not: a crash costs a look at the part file, no more. */
const SAVE_DELAY_MS = 500;
/** Prefix in place of a part file's id while the file is being created; a token follows. */
const BEING_MADE = "new:";
const TOKEN_BYTES = 8;
/** Prefix of the id of a folder that has its final name, and may get more of its files there. */
const FINISHED = "done:";
/** The facts of a folder's files are saved at most once in this time for each 10,000 of them: 80 KB are written. */
const FOLDER_FACTS_MS = 500;
const FILES_PER_SAVE = 10_000;

export class DownloadRecord {
  readonly #profile: () => Profile;
  readonly #download: { readonly groupId: string; readonly metainfo: Metainfo };
  #wanted: Wanted;
  /** The folder has its final name. */
  #isFinished: boolean;
  #folderFacts: FolderFacts | undefined;
  #folderFactsSavedMs = Number.NEGATIVE_INFINITY;
  #destinationPath: string;
  #have: Bitfield;
  #isPausedByUser: boolean;
  #facts: FileFacts | undefined;
  #partId: string | undefined;
  #isDoubted = false;
  #sources: readonly DownloadSource[];
  /** Which member each piece came from. */
  readonly senders: PieceSenders;
  #saving: NodeJS.Timeout | undefined;

  constructor(
    profile: () => Profile,
    download: { groupId: string; wanted: Wanted; destinationPath: string },
    stored: StoredDownload | undefined,
  ) {
    this.#profile = profile;
    const { groupId, wanted } = download;
    const { metainfo } = wanted;
    this.#download = { groupId, metainfo };
    this.#wanted = wanted;
    this.#destinationPath = download.destinationPath;
    const { pieceCount } = metainfo.geometry;
    this.#have =
      stored === undefined ? new Bitfield(pieceCount) : Bitfield.fromBytes(pieceCount, stored.have);
    this.#facts = stored?.facts;
    this.#isPausedByUser = stored?.isPaused ?? false;
    this.#isFinished = stored?.partId?.startsWith(FINISHED) === true;
    this.#partId = this.#isFinished ? stored?.partId?.slice(FINISHED.length) : stored?.partId;
    if (stored?.folderFacts !== undefined && metainfo.kind === "folder")
      this.#folderFacts = FolderFacts.fromBytes(stored.folderFacts, metainfo.layout.fileCount);
    this.#sources = stored === undefined ? [] : profile().sources(groupId, metainfo.fileName);
    this.senders = new PieceSenders(pieceCount, stored && profile().senders(stored));
  }

  /** What each member sent in earlier runs, without the present one. */
  get sources(): readonly DownloadSource[] {
    return this.#sources;
  }

  /** The torrent has ended: adds what came in this run. */
  gave(arrived: Arrived): void {
    this.#sources = together(this.#sources, arrived).sources.map((source) => ({
      ...source,
      isConnected: false,
      rateBytesPerSecond: 0,
    }));
    const { groupId, metainfo } = this.#download;
    this.#profile().saveSources(groupId, metainfo.fileName, this.#sources);
    this.#saveSenders();
  }

  #saveSenders(): void {
    const { stored } = this.senders;
    if (stored !== undefined) this.#profile().saveSenders(this.#id, stored);
  }

  /** As far as it has been noted; while the torrent runs, the torrent knows more. */
  get have(): Bitfield {
    return this.#have;
  }

  /** The part file, or folder; the destination itself once it has its name. */
  get path(): string {
    return this.#isFinished ? this.#destinationPath : partPathOf(this.#destinationPath);
  }

  /** The folder has its final name, and may get more of its files there. */
  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Other files of the folder are wanted. */
  choose(wanted: Wanted): void {
    this.#wanted = wanted;
    if (wanted.kind === "folder") this.#profile().saveChoice(this.#id, wanted.chosen.choice);
  }

  /** What the user wants of it; noted with what is noted next. */
  wishedFor(state: "running" | "paused"): void {
    this.#isPausedByUser = state === "paused";
  }

  /** Another program has written to the part file: the next opening verifies all of it. */
  doubt(): void {
    this.#isDoubted = true;
  }

  /** What is known of the part file; undefined while a file of that name would be somebody else's. */
  get ofPart(): KnownPart | undefined {
    const partId = this.#partId;
    const facts = this.#isDoubted ? undefined : this.#facts;
    return partId === undefined || partId.startsWith(BEING_MADE)
      ? undefined
      : {
          ...{ have: this.#have, facts, partId, isFinished: this.#isFinished },
          folderFacts: this.#isDoubted ? undefined : this.#folderFacts,
        };
  }

  /**
   * Records that the part file is about to be created, so that the file is found again after a crash.
   *
   * @returns a secret token for its temporary name
   */
  making(): string {
    const token = this.#partId?.startsWith(BEING_MADE)
      ? this.#partId.slice(BEING_MADE.length)
      : randomBytes(TOKEN_BYTES).toString("hex");
    this.#partId = BEING_MADE + token;
    this.store();
    return token;
  }

  /** The part file has been created and is about to get its final name. */
  made({ facts, fileId }: { readonly facts: FileFacts; readonly fileId: string }): void {
    this.#partId = fileId;
    this.#facts = facts;
    this.#have = new Bitfield(this.#download.metainfo.geometry.pieceCount);
    this.#folderFacts = undefined;
    this.store();
    if (this.#wanted.kind === "folder") this.#profile().saveChoice(this.#id, this.#wanted.chosen.choice);
  }

  /** The part file is open, and those pieces of it are right. */
  opened(have: Bitfield, store: PieceStore): void {
    this.#partId = store.opened?.fileId;
    this.#have = have;
    if (have.count === 0) this.#sources = []; // nothing that they sent is left
    this.#isDoubted = false;
  }

  /**
   * Saves the state before the first piece arrives.
   *
   * @throws MiniTorrentError as `save`
   */
  async begin(store: PieceStore): Promise<void> {
    if (store.found !== undefined || this.#have.count > 0) return this.save(store);
    // It was made a moment ago, and nothing is written yet.
    this.#facts = store.opened?.facts;
    this.store();
  }

  /**
   * Saves within SAVE_DELAY_MS the pieces that the store has by then.
   *
   * @param onTrouble the part file is not what it was: what is written to it will never be seen again
   */
  saveSoon(store: PieceStore, onTrouble: (error: MiniTorrentError) => void): void {
    this.#saving ??= later("noting what was verified", SAVE_DELAY_MS, () => {
      this.#saving = undefined;
      this.save(store).catch((error: unknown) => onTrouble(asMiniTorrentError(error)));
    });
  }

  stopSaving(): void {
    clearTimeout(this.#saving);
    this.#saving = undefined;
  }

  /**
   * The facts first, then the pieces: what is written in between makes the facts differ, and a restart looks again.
   *
   * @throws MiniTorrentError FILE_CHANGED when the part file does not have its name any more; DISK_FAILED
   */
  async save(store: PieceStore): Promise<void> {
    if (store.status !== "downloading") return;
    const { path } = this;
    const [facts, partId] = await Promise.all([store.facts(), partIdOf(path)]);
    if (store.status !== "downloading") return;
    if (partId !== this.#partId) throw partLost(path);
    this.#facts = facts;
    // The files first, as with the facts: of what is written in between they differ.
    this.#saveFolder(store, false);
    this.#have = store.have;
    this.store();
  }

  /** A folder with some of its files has its final name: it is a share of what it has, and may get more. */
  finished(store: PieceStore): void {
    this.stopSaving();
    this.#isFinished = true;
    this.#saveFolder(store, true);
    this.#saveSenders();
    this.#have = store.have;
    this.store();
  }

  #saveFolder(store: PieceStore, isLast: boolean): void {
    if (this.#download.metainfo.kind === "file") return;
    const nowMs = performance.now();
    const pauseMs = (FOLDER_FACTS_MS * this.#download.metainfo.layout.fileCount) / FILES_PER_SAVE;
    if (!isLast && nowMs - this.#folderFactsSavedMs < pauseMs) return;
    const facts = store.folderFacts;
    if (facts === undefined) return;
    this.#folderFactsSavedMs = nowMs;
    this.#folderFacts = facts;
    this.#profile().saveFolderFacts(this.#id, facts.toBytes());
  }

  /** Closes the store, and notes all that it has written. */
  async close(store: PieceStore): Promise<void> {
    this.stopSaving();
    await store.close();
    this.#have = store.have;
    this.#saveFolder(store, true);
    // A finished file has its name by now: then there is no part file, and the next start finds the file itself.
    // What has the part file's name now may be somebody else's.
    const { path } = this;
    const isOwn = (await partIdOf(path)) === this.#partId;
    const found = isOwn ? await stat(path).catch(() => undefined) : undefined;
    this.#facts = found && factsOf(found);
    this.store();
  }

  /**
   * Forgets the download and removes its part file, or folder. One of another origin under that name stays, and so does one with
   * all that was wanted, which may be the only copy.
   *
   * @returns the path of the part file if it was kept
   */
  async discard(): Promise<string | undefined> {
    const { groupId, metainfo } = this.#download;
    const { fileName } = metainfo;
    this.#profile().removeDownload(groupId, fileName);
    const { path } = this;
    if (this.#partId === undefined || (await partIdOf(path)) !== this.#partId) return undefined;
    if (this.#isFinished) await removeRest(restPathOf(path, fileName, this.#partId));
    else if (metainfo.geometry.pieceCount > 0 && hasAll(this.#wanted, this.#have)) return path;
    else if (metainfo.kind === "folder") await removePartFolder(path, fileName, this.#partId);
    else await rm(path);
    return undefined;
  }

  /**
   * Renames the part file, or folder, for another destination.
   *
   * @throws MiniTorrentError FILE_EXISTS, DESTINATION_UNUSABLE, DISK_FULL, DISK_FAILED; it then stays where it is
   */
  async moveTo(destinationPath: string): Promise<void> {
    const { path: oldPath } = this;
    const newPath = partPathOf(destinationPath);
    const isThere = this.#partId !== undefined && (await partIdOf(oldPath)) === this.#partId;
    if (isThere && oldPath !== newPath) {
      const { metainfo } = this.#download;
      if (metainfo.kind === "folder") await movePartFolder(oldPath, newPath, metainfo.fileName);
      else await movePart(oldPath, newPath);
      // A move to another file system has made it a new file.
      this.#partId = await partIdOf(newPath);
      this.doubt();
    }
    this.#destinationPath = destinationPath;
    this.store();
  }

  get #id(): { groupId: string; fileName: string } {
    return { groupId: this.#download.groupId, fileName: this.#download.metainfo.fileName };
  }

  store(): void {
    const { groupId, metainfo } = this.#download;
    this.#profile().saveDownload({
      groupId,
      fileName: metainfo.fileName,
      destinationPath: this.#destinationPath,
      info: metainfo.info,
      have: this.#have.toBytes(),
      facts: this.#facts,
      partId: this.#isFinished && this.#partId !== undefined ? FINISHED + this.#partId : this.#partId,
      isPaused: this.#isPausedByUser,
    });
  }
}
