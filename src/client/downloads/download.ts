// One download from its first request to its last check: opens or resumes the part file, joins the swarm, saves what
// is verified, checks the whole and gives the file its name. Its states are a union (download-state.ts); each transition
// is a method here.

import { dirname } from "node:path";
import type { Logger } from "pino";
import { asMiniTorrentError, type ErrorCode, MiniTorrentError } from "../../api/errors.ts";
import {
  type FileStanding,
  fileStandingSchema,
  type ListPage,
  MAX_STANDING_USERS,
} from "../../api/schemas.ts";
import type { Bitfield } from "../../metainfo/bitfield.ts";
import { EVERY_FILE } from "../../metainfo/file-selection.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import { freeBytes } from "../../net/free-space.ts";
import { runInBackground } from "../../net/run-in-background.ts";
import { later } from "../../net/timers.ts";
import { fileChanged, noRoom } from "../../storage/disk-errors.ts";
import type { FileFacts } from "../../storage/file-facts.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import type { TorrentEvent } from "../../swarm/torrent.ts";
import type { Farewell } from "../../wire/farewell.ts";
import type { ClientContext } from "../client-context.ts";
import type { FormerVersion, StoredDownload } from "../profile.ts";
import type { Shares } from "../shares.ts";
import type { DownloadStatus, FileChoice, FileProgress, MembershipEnd, PieceMap } from "../status.ts";
import {
  chooseFiles,
  hasAll,
  isPartial,
  notMissing,
  sizeOf,
  type Wanted,
  wantedAmong,
} from "./chosen-files.ts";
import { type Opened, openDownload } from "./download-opening.ts";
import { DownloadRecord } from "./download-record.ts";
import {
  type Arrived,
  arrivedIn,
  type DownloadState,
  haveIn,
  SETTLED,
  statusOf,
  together,
} from "./download-state.ts";
import { DownloadSwarm } from "./download-swarm.ts";
import { DownloadTrouble, explained } from "./download-trouble.ts";
import { fileProgressPage } from "./file-progress.ts";
import { DownloadReader, type FileReader, placeOf } from "./file-reader.ts";
import { pieceMap } from "./piece-map.ts";
import type { PresentVersion, VersionUpdate } from "./version-update.ts";
import { type WhyReport, whyReport } from "./why.ts";

/** Paths named in one event; further ones are counted. */
const MAX_PATHS_TOLD = 10;
/** Users whose claims of bad data are checked. */
const MAX_REFUSALS = 100;
/** `why` waits this long for the tracker to say who is online; after that it answers from memory. */
const STANDING_TIMEOUT_MS = 1_500;

export interface DownloadOptions {
  readonly groupId: string;
  readonly wanted: Wanted;
  readonly destinationPath: string;
  /** The version of the share that this one replaces. */
  readonly replaces?: VersionUpdate | undefined;
  /** New versions are fetched without being asked for. */
  readonly isFollowed: () => boolean;
  /** A version was replaced, and is where it was moved aside to. */
  readonly onReplaced: (version: FormerVersion) => void;
  /** What the profile knows of it from before. */
  readonly stored?: StoredDownload;
  /** Called whenever the state changes. */
  readonly onChange: () => void;
  /** Nothing arrives, or the cause has changed. */
  readonly onWaiting: (reason: string) => void;
  /** What other downloads are still to write to the disk of that path. */
  readonly promisedBytes: (path: string) => Promise<number>;
}

export class Download {
  readonly groupId: string;
  readonly fileName: string;
  #destinationPath: string;
  readonly #metainfo: Metainfo;
  #wanted: Wanted;
  readonly #replaces: VersionUpdate | undefined;
  readonly #isFollowed: () => boolean;
  readonly #onReplaced: (version: FormerVersion) => void;
  readonly #context: ClientContext;
  readonly #shares: Shares;
  readonly #log: Logger;
  readonly #onChange: () => void;
  #state: DownloadState;
  /** The opening that is under way, or was last. */
  #opening: Promise<void> = Promise.resolve();
  readonly #record: DownloadRecord;
  /** Pieces of the old version are taken over. */
  #reusing: AbortController | undefined;
  /** When it last joined the swarm, on the clock of `performance`. */
  #ranSinceMs = 0;
  readonly #trouble = new DownloadTrouble();
  readonly #promisedBytes: (path: string) => Promise<number>;
  readonly #swarm: DownloadSwarm;
  /** Users who refused a piece from here as bad. */
  readonly #refusedBy = new Set<string>();
  /** Nothing arrives; see the torrent's event `waiting`. */
  #isWaiting = false;
  #isAskingWhy = false;
  /** Why, as the user was told. */
  #waitingReason: string | undefined;
  readonly #onWaiting: (reason: string) => void;

  constructor(context: ClientContext, shares: Shares, options: DownloadOptions) {
    const { wanted, stored } = options;
    const { metainfo } = wanted;
    this.groupId = options.groupId;
    this.fileName = metainfo.fileName;
    this.#destinationPath = options.destinationPath;
    this.#metainfo = metainfo;
    this.#wanted = wanted;
    this.#replaces = options.replaces;
    this.#isFollowed = options.isFollowed;
    this.#onReplaced = options.onReplaced;
    this.#context = context;
    this.#shares = shares;
    this.#log = context.log.child({ group: this.groupId, file: this.fileName });
    this.#onChange = options.onChange;
    this.#promisedBytes = options.promisedBytes;
    this.#onWaiting = options.onWaiting;
    const { groupId, destinationPath } = options;
    this.#record = new DownloadRecord(context.profile, { groupId, wanted, destinationPath }, stored);
    this.#swarm = new DownloadSwarm(context, {
      groupId,
      metainfo,
      wantedPieces: () =>
        this.#wanted.kind === "folder" && isPartial(this.#wanted) ? this.#wanted.chosen.pieces : undefined,
      log: this.#log,
      onEvent: (event) => this.#onTorrentEvent(event),
      onAsked: () => this.#runInBackground("saying why a download waits", this.#sayWhyItWaits()),
    });
    this.#state = { status: "paused", reason: undefined, retry: undefined };
  }

  /** Destination path of the file. */
  get destinationPath(): string {
    return this.#destinationPath;
  }

  /** What it is still to write while it runs. */
  get promisedBytes(): number {
    if (this.#state.status !== "running") return 0;
    return sizeOf(this.#wanted).lengthBytes - this.#state.active.torrent.status().bytesVerified;
  }

  /** Some files of a folder are complete, and are offered from here; `select` fetches more of them. */
  get isHeld(): boolean {
    return this.#state.status === "complete" && this.#state.held !== undefined;
  }

  /** How the files are that are complete, as a version that a newer one replaces; undefined while there are none. */
  get held(): PresentVersion | undefined {
    if (this.#state.status !== "complete") return undefined;
    const mtimesMs = this.#state.held?.store.folderFacts?.mtimesMs;
    return mtimesMs && { path: this.destinationPath, metainfo: this.#metainfo, mtimesMs };
  }

  get infoHash(): string {
    return this.#metainfo.infoHash;
  }

  get status(): DownloadState["status"] {
    return this.#state.status;
  }

  /** True if nothing more happens by itself: complete, paused, failed or ended. */
  get isSettled(): boolean {
    return SETTLED.has(this.#state.status);
  }

  /**
   * paused | failed -> opening -> running. Trouble on the way leads to paused or failed, and is thrown too.
   *
   * @param isAnswered a caller waits for the outcome, and needs no event beside it
   * @param turn what it waits for before it opens its files
   * @throws MiniTorrentError NOT_A_MEMBER, TRACKERS_UNREACHABLE, DISK_FULL, DESTINATION_UNUSABLE, DISK_FAILED
   */
  async begin(isAnswered = false, turn: Promise<void> = Promise.resolve()): Promise<void> {
    if (this.#state.status !== "paused" && this.#state.status !== "failed") return;
    if (this.#state.status === "paused") clearTimeout(this.#state.retry?.timer);
    this.#record.wishedFor("running");
    const opening = { status: "opening" } as const;
    this.#become(opening);
    await this.#openInTurn(opening, isAnswered, turn);
  }

  /** An opening that was given up may still be at the part file: one after the other. */
  #openInTurn(
    opening: DownloadState,
    isAnswered: boolean,
    turn: Promise<void> = Promise.resolve(),
  ): Promise<void> {
    const work = Promise.all([this.#opening, turn]).then(() => this.#open(opening, isAnswered));
    this.#opening = work.catch(() => undefined);
    return work;
  }

  async #open(opening: DownloadState, isAnswered: boolean): Promise<void> {
    if (!this.#isStill(opening)) return;
    let opened: Opened;
    try {
      opened = await openDownload(this.#context, {
        groupId: this.groupId,
        wanted: this.#wanted,
        destinationPath: this.destinationPath,
        isUpdate: this.#replaces !== undefined && !(await this.#replaces.mayBeNamed()),
        known: this.#record.ofPart,
        promisedBytes: await this.#promisedBytes(this.destinationPath),
        making: () => this.#record.making(),
        made: (part) => this.#record.made(part),
      });
      if (opened.kind === "there-already" && this.#isStill(opening)) {
        await this.#mergeOld();
        const { facts, folderFacts } = opened;
        const found = folderFacts === undefined ? facts : { facts, folderTimesMs: folderFacts.mtimesMs };
        await this.#shares.shareAs(this.destinationPath, this.groupId, this.#metainfo, found);
      }
      if (opened.kind === "store") await this.#reuseOld(opened.store, opening);
    } catch (error) {
      if (!this.#isStill(opening)) return;
      this.#stopFor(asMiniTorrentError(error), isAnswered);
      throw error;
    }
    if (opened.kind === "there-already") {
      if (!this.#isStill(opening)) return;
      this.#context.profile().removeDownload(this.groupId, this.fileName);
      this.#complete({ duplicateBytes: 0, sources: [] }, isAnswered);
      return;
    }
    this.#record.opened(opened.store.have, opened.store);
    if (this.#isStill(opening)) await this.#run(opened.store);
    else await opened.store.close();
  }

  /** Copies what the version that is here has of this one. */
  async #reuseOld(store: PieceStore, opening: DownloadState): Promise<void> {
    if (this.#replaces === undefined || !this.#isStill(opening)) return;
    this.#reusing = new AbortController();
    try {
      const reused = await this.#replaces.reuse(store, this.#reusing.signal);
      this.#log.info({ reused }, "pieces of the old version were used");
    } catch (error) {
      // Paused or ended: what has come so far is kept.
      if (!this.#isStill(opening)) return;
      await store.close();
      throw error;
    } finally {
      this.#reusing = undefined;
    }
  }

  /** The new version has its name: files that were changed here are moved to it, and the user is told. */
  async #mergeOld(): Promise<void> {
    if (this.#replaces === undefined) return;
    const kept = await this.#replaces.merge();
    if (kept.length > 0) {
      const paths = kept.slice(0, MAX_PATHS_TOLD);
      this.#context.onEvent({ type: "changed-files-kept", ...this.#id(), count: kept.length, paths });
    }
    this.#onReplaced(this.#replaces.version);
  }

  /**
   * Chooses other files of the folder, in any state: what is missing of them is fetched in place, what is there stays.
   * complete -> running, if something is missing.
   *
   * @throws MiniTorrentError INVALID_ARGUMENT; DISK_FULL, FILE_EXISTS, DESTINATION_UNUSABLE, DISK_FAILED, and the choice is as it was
   */
  async select(choice: FileChoice): Promise<void> {
    const wanted = await chooseFiles(this.#metainfo, this.#id(), choice);
    if (wanted.kind === "file")
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `${this.fileName} is a single file: all of it is chosen.`,
      );
    const state = this.#state;
    if (state.status === "verifying" || state.status === "opening")
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `${this.fileName} is being checked: try again in a moment.`,
      );
    // All of it is here, and shared.
    if (state.status === "ended" || (state.status === "complete" && state.held === undefined)) return;
    const running = state.status === "complete" ? state.held : state;
    if (running !== undefined && "store" in running) {
      await this.#requireRoom(wanted, running.store.have);
      if (!this.#isStill(state)) return;
      await running.store.choose(wanted.chosen.files);
      if (!this.#isStill(state)) return;
    }
    this.#wanted = wanted;
    this.#record.choose(wanted);
    if (running === undefined || !("store" in running)) return;
    if (state.status === "complete") this.#resumeHeld(running);
    this.#swarm.want(wanted.chosen.pieces);
    // The swarm says nothing if the same pieces are wanted.
    if (hasAll(wanted, running.store.have)) this.#runInBackground("finishing a download", this.#finish());
    this.#onChange();
  }

  /** @throws MiniTorrentError DISK_FULL if what is missing of it does not fit beside what other downloads need */
  async #requireRoom(wanted: Wanted, have: Bitfield): Promise<void> {
    const thereBytes = this.#metainfo.geometry.contentBytesOf(wantedAmong(wanted, have));
    const neededBytes = sizeOf(wanted).lengthBytes - thereBytes;
    if (neededBytes === 0) return;
    const { destinationPath } = this;
    const room = await freeBytes(dirname(destinationPath)).catch(() => Number.POSITIVE_INFINITY);
    const otherBytes = await this.#promisedBytes(destinationPath);
    if (room < neededBytes + otherBytes) throw noRoom(destinationPath, room, neededBytes, otherBytes);
  }

  /**
   * Reads a file while it downloads.
   *
   * @param path of a file in a folder; undefined for a single file
   * @throws MiniTorrentError UNKNOWN_FILE; INVALID_ARGUMENT if the file is not chosen; DOWNLOAD_PAUSED if it does not run
   */
  openReader(path: string | undefined): FileReader {
    const place = placeOf(this.#metainfo, path);
    const { fileIndex } = place;
    if (
      fileIndex !== undefined &&
      this.#wanted.kind === "folder" &&
      !this.#wanted.chosen.files.has(fileIndex)
    ) {
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `${path} is not among the chosen files: select ${this.groupId} ${this.fileName} --only ${path}.`,
      );
    }
    const state = this.#state.status === "complete" ? this.#state.held : this.#state;
    if (state !== undefined && "store" in state)
      return new DownloadReader(state.active, state.store, this.#metainfo, place);
    throw new MiniTorrentError("DOWNLOAD_PAUSED", `${this.fileName} does not run: resume it, then read it.`);
  }

  /** Which member each piece came from, and how many have it. */
  pieceMap(): PieceMap {
    const torrent = this.#context.session.get(this.infoHash)?.torrent;
    const have = haveIn(this.#state, this.#metainfo.geometry, this.#record.have);
    const wanted = this.#wanted.kind === "folder" ? this.#wanted.chosen.pieces : undefined;
    return pieceMap({
      pieceCount: this.#metainfo.geometry.pieceCount,
      senders: this.#record.senders,
      has: (pieceIndex) => have.has(pieceIndex),
      isWanted: (pieceIndex) => wanted?.has(pieceIndex) ?? true,
      isComing: (pieceIndex) => torrent?.isComing(pieceIndex) ?? false,
      copiesOf: (pieceIndex) => torrent?.copiesOf(pieceIndex) ?? 0,
    });
  }

  /** How far its files are: see `fileProgressPage`. */
  filesAfter(after: string | undefined): ListPage<FileProgress> {
    const have = haveIn(this.#state, this.#metainfo.geometry, this.#record.have);
    const chosen = this.#wanted.kind === "folder" ? this.#wanted.chosen.files : EVERY_FILE;
    return fileProgressPage(this.#metainfo, have, chosen, after);
  }

  /** complete -> running: more files of the folder are wanted. */
  #resumeHeld({
    active,
    store,
  }: Pick<Extract<DownloadState, { status: "running" }>, "active" | "store">): void {
    const search = this.#swarm.searchFor(active);
    this.#ranSinceMs = performance.now();
    this.#become({ status: "running", active, store, search });
    this.#swarm.lookForPeers({ search });
  }

  /**
   * running | opening | paused -> paused, by the user's wish
   *
   * @throws MiniTorrentError INVALID_ARGUMENT when it is past being paused
   */
  async pause(): Promise<void> {
    const { status } = this.#state;
    if (status !== "running" && status !== "opening" && status !== "paused") {
      throw new MiniTorrentError("INVALID_ARGUMENT", `${this.fileName} is not running: it is ${status}.`);
    }
    this.#record.wishedFor("paused");
    await this.#leaveSwarm({ status: "paused", reason: undefined, retry: undefined }, "paused", {
      reason: "paused",
    });
  }

  /**
   * running | opening | paused with a retry -> paused, until `begin` or `release`; the user's wish is still that it runs.
   *
   * @param reason what its status says
   */
  async hold(reason: string): Promise<void> {
    const state = this.#state;
    const isToRun = state.status === "paused" ? state.retry !== undefined : false;
    if (state.status !== "running" && state.status !== "opening" && !isToRun) return;
    await this.#leaveSwarm({ status: "paused", reason, retry: undefined, isHeld: true }, "paused", {
      reason: "paused",
    });
  }

  /** paused by `hold` -> opening */
  async release(): Promise<void> {
    if (this.#state.status === "paused" && this.#state.isHeld === true) await this.begin();
  }

  /** A login finds it while downloads are held: it was to run. */
  holdFromStart(reason: string): void {
    this.#become({ status: "paused", reason, retry: undefined, isHeld: true });
  }

  /** any -> ended: the profile keeps it for the next login. */
  async suspend(): Promise<void> {
    await this.#leaveSwarm({ status: "ended" }, "logged out", { reason: "offline" });
    await this.#opening;
  }

  /**
   * paused | failed: changes the destination and moves the part file along.
   *
   * @throws MiniTorrentError FILE_EXISTS, DESTINATION_UNUSABLE, DISK_FULL, DISK_FAILED; it then stays where it is
   */
  async moveTo(destinationPath: string): Promise<void> {
    await this.#opening;
    await this.#record.moveTo(destinationPath);
    this.#destinationPath = destinationPath;
  }

  /**
   * any -> ended: forgets the download and removes its part file, unless that holds the whole file.
   *
   * @returns the path of the part file if it was kept
   */
  async cancel(): Promise<string | undefined> {
    const isComplete = this.#state.status === "complete" && !this.isHeld;
    await this.#leaveSwarm({ status: "ended" }, "cancelled", { reason: "paused" });
    await this.#opening;
    if (isComplete) return undefined;
    await this.#replaces?.moveBack();
    return await this.#record.discard();
  }

  /** any -> failed: the user is out of the group. */
  async groupEnded(how: MembershipEnd): Promise<void> {
    const { groupId } = this;
    const reasons: Record<MembershipEnd, string> = {
      removed: `The owner removed you from ${groupId}; join_group ${groupId} asks to be let in again, then resume continues.`,
      left: `You left ${groupId}; join_group ${groupId} asks to be let in again, then resume continues.`,
      "account-removed": "The operator of the trackers has removed this account; ask them why.",
      "group-ended": `The group ${groupId} has ended; cancel ${groupId} ${this.fileName}, and ask for the file to be shared in another group.`,
    };
    await this.#giveUp(how === "group-ended" ? "UNKNOWN_GROUP" : "NOT_A_MEMBER", reasons[how]);
  }

  /** any -> failed: the name belongs to other content. */
  async nameLost(): Promise<void> {
    await this.#giveUp(
      "NAME_TAKEN_ELSEWHERE",
      `The name belongs to other content, shared earlier at a tracker that was out of reach; cancel ${this.groupId} ${this.fileName}, then download that, or ask for this one under another name.`,
    );
  }

  /**
   * any -> failed: the member that shared it shares other content under the name now. As long as the connected peers have
   * every missing piece, the download continues.
   */
  async sourceChanged(infoHash: string): Promise<void> {
    if (infoHash === this.infoHash || this.#report(undefined).nobodyHas.pieces === 0) return;
    await this.#giveUp(
      "FILE_CHANGED",
      `The file was changed by the member who shares it, so the name belongs to other content now: cancel ${this.groupId} ${this.fileName}, then download_file gets the new content.`,
    );
  }

  /** any -> failed, unless it is over already */
  async #giveUp(code: ErrorCode, reason: string): Promise<void> {
    if (this.#state.status === "complete" || this.#state.status === "failed") return;
    const left = this.#leaveSwarm({ status: "failed", code, reason }, reason);
    // Before `settled` resolves.
    this.#context.onEvent({ type: "download-failed", ...this.#id(), code, reason });
    await left;
  }

  /** Asks the tracker again who has the file: peers may have come online while no tracker was connected. */
  async findPeers(): Promise<void> {
    if (this.#state.status === "running") await this.#state.search.look();
  }

  /** Explains why it is stalled, or that it is not; asks the tracker which earlier peers are online. */
  async why(): Promise<WhyReport> {
    return this.#report(await this.#standing());
  }

  /** Tells the user once for each cause. While a peer is about to be dialled, the cause is not known yet. */
  async #sayWhyItWaits(): Promise<void> {
    const state = this.#state;
    if (!this.#isWaiting || this.#isAskingWhy || state.status !== "running") return;
    this.#isAskingWhy = true;
    try {
      const { reason, notUsed } = await this.why();
      if (!this.#isWaiting || !this.#isStill(state) || reason === this.#waitingReason) return;
      if (notUsed.some(({ cause }) => cause === "being-called" || cause === "not-called-yet")) return;
      this.#waitingReason = reason;
      this.#onWaiting(reason);
    } finally {
      this.#isAskingWhy = false;
    }
  }

  /** The tracker's view of the file and its earlier peers; undefined if it does not answer soon. */
  async #standing(): Promise<FileStanding | undefined> {
    if (this.#state.status !== "running" || this.#context.tracker().address === undefined) return undefined;
    const gone = this.#state.active.torrent.holders().filter(({ isConnected }) => !isConnected);
    const latest = gone.toSorted((a, b) => a.lastSeenAgoMs - b.lastSeenAgoMs);
    const userIds = [...new Set(latest.map(({ userId }) => userId))].slice(0, MAX_STANDING_USERS);
    const { groupId, fileName, infoHash } = this;
    const asked = this.#context
      .ask(fileStandingSchema, (api) => api.files.standing.query({ groupId, fileName, infoHash, userIds }))
      .catch((error: unknown) => void this.#log.info({ err: error }, "the file's standing is not known"));
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = later("asking for a file's standing", STANDING_TIMEOUT_MS, () => resolve(undefined));
    timer.unref();
    try {
      return await Promise.race([asked, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #report(standing: FileStanding | undefined): WhyReport {
    const state = this.#state;
    const active = state.status === "running" ? state.active : undefined;
    const tracker = this.#context.tracker();
    return whyReport({
      status: this.#plainStatus(),
      have: notMissing(this.#wanted, haveIn(this.#state, this.#metainfo.geometry, this.#record.have)),
      holders: active?.torrent.holders() ?? this.#swarm.holdersBefore(),
      contacts: active?.connections.contacts() ?? [],
      bannedFor: (userId) => active?.torrent.bannedFor(userId),
      standing,
      askedAgainInMs: state.status === "running" ? state.search.nextInMs : undefined,
      retryAtMs: state.status === "paused" ? state.retry?.atMs : undefined,
      hasCertificate: this.#context.memberships.credentials(this.groupId) !== undefined,
      clockWarning: this.#context.clockWarning(),
      tracker: tracker.address,
      trackerProblem: tracker.problem,
      nowMs: Date.now(),
    });
  }

  snapshot(): DownloadStatus {
    const status = this.#plainStatus();
    const isStarved = this.#state.status === "running" && this.#state.active.torrent.isStarved;
    const reason = isStarved && this.#isWaiting ? this.#waitingReason : undefined;
    if (reason === undefined || status.state !== "downloading") return status;
    return { ...status, waitingFor: reason.replace(/\.$/, "") };
  }

  #plainStatus(): DownloadStatus {
    const { groupId, destinationPath } = this;
    return statusOf(
      this.#state,
      { groupId, destinationPath, wanted: this.#wanted, isFollowed: this.#isFollowed() },
      this.#record.have,
      this.#record.sources,
    );
  }

  /** opening -> running */
  async #run(store: PieceStore): Promise<void> {
    const joined = this.#swarm.join(store, this.#record.have);
    const { active } = joined;
    const running = { status: "running", store, ...joined } as const;
    this.#ranSinceMs = performance.now();
    this.#isWaiting = false;
    this.#waitingReason = undefined;
    this.#become(running);
    // While the beginning is noted.
    const hasAllWanted = hasAll(this.#wanted, active.torrent.have);
    if (!hasAllWanted || this.#record.isFinished) this.#swarm.lookForPeers(joined);
    try {
      await this.#record.begin(store);
    } catch (error) {
      await this.#pauseFor(asMiniTorrentError(error));
    }
    if (!this.#isStill(running)) return;
    if (hasAllWanted) await this.#finish();
  }

  #onTorrentEvent(event: TorrentEvent): void {
    switch (event.type) {
      case "piece-verified":
        this.#trouble.isOver();
        this.#isWaiting = false;
        this.#waitingReason = undefined;
        this.#record.senders.came(event.pieceIndex, event.userIds[0]);
        if (this.#state.status !== "running") return;
        this.#record.saveSoon(this.#state.store, (error) =>
          this.#runInBackground("pausing a download", this.#pauseFor(error)),
        );
        return;
      case "all-verified":
        this.#runInBackground("finishing a download", this.#finish());
        return;
      case "piece-corrupt":
        for (const userId of event.userIds) {
          this.#context.onEvent({
            type: "peer-sent-bad-data",
            ...this.#id(),
            userId,
            pieceIndex: event.pieceIndex,
            isBanned: event.bannedUserIds.includes(userId),
          });
        }
        return;
      case "tick-failed":
        if (this.#state.status === "running")
          this.#runInBackground("stopping a download", this.#pauseFor(event.error));
        else if (this.isHeld) this.#runInBackground("ending a share", this.#letGo(event.error));
        else this.#runInBackground("ending a share", this.#shares.failed(this.#id(), event.error));
        return;
      case "storage-failed":
        this.#runInBackground("pausing a download", this.#pauseFor(event.error));
        return;
      case "read-failed":
        this.#log.warn({ err: event.error }, "a verified piece could not be read");
        // After completion the same torrent continues as a share.
        if (this.#state.status === "running")
          this.#runInBackground("checking a download", this.#readFailed(event.error));
        else if (this.isHeld) this.#runInBackground("ending a share", this.#letGo(event.error));
        else this.#runInBackground("ending a share", this.#shares.failed(this.#id(), event.error));
        return;
      case "waiting":
        this.#isWaiting = true;
        this.#runInBackground("saying why a download waits", this.#sayWhyItWaits());
        return;
      case "peer-left":
        if (this.#state.status === "running" && this.#state.active.torrent.isStarved) {
          this.#isWaiting = true;
          this.#runInBackground("saying why a download waits", this.#sayWhyItWaits());
        }
        if (this.#state.status === "running")
          this.#runInBackground("checking a piece", this.#dataRefused(this.#state.store, event));
        else if (!this.isHeld) this.#shares.peerLeft(this.#id(), event);
        return;
      case "peer-banned":
        this.#log.warn({ user: event.userId, reason: event.reason }, "peer banned");
        return;
    }
  }

  /** running -> verifying -> complete | failed | paused */
  async #finish(): Promise<void> {
    if (this.#state.status !== "running") return;
    const { active, store, search } = this.#state;
    const verifying = { status: "verifying", active, store } as const;
    this.#become(verifying);
    let facts: FileFacts;
    try {
      facts = await store.finish(this.destinationPath, () => this.#makeWay());
      await this.#mergeOld();
    } catch (error) {
      const failure = asMiniTorrentError(error);
      // The store no longer counts the wrong pieces, so the file need not be hashed again.
      if (failure.code === "CORRUPT_FILE" && !hasAll(this.#wanted, store.have)) {
        this.#log.warn({ err: failure, right: store.have.count }, "pieces were not as they had been written");
        await this.#fetchAgain();
      } else await this.#pauseFor(failure);
      return;
    }
    if (!this.#isStill(verifying)) return;
    this.#record.stopSaving();
    const arrived = arrivedIn(active.torrent.status());
    // A part stays a download, also if all pieces came with it: its other files are not in the folder.
    if (store.have.isComplete && !isPartial(this.#wanted)) {
      const { info } = this.#metainfo;
      const folder = store.folderFacts;
      const folderTimes = folder === undefined ? {} : { folderTimesMs: folder.mtimesMs };
      const stored = { ...this.#id(), path: this.destinationPath, info, facts, ...folderTimes };
      this.#shares.adopt({ ...stored, isRegistered: false }, this.#metainfo, store);
      this.#complete(arrived);
    } else {
      const isNews = !this.#record.isFinished || arrived.sources.length > 0;
      this.#record.finished(store);
      this.#complete(arrived, !isNews, { active, store, search });
    }
  }

  /** The new version is about to get the name of the old one. */
  async #makeWay(): Promise<void> {
    if (this.#replaces === undefined) return;
    await this.#shares.release(this.#id());
    await this.#replaces.moveAside();
  }

  /** complete: files of the folder are not what they were, and are offered no longer; the next login looks again. */
  async #letGo(error: MiniTorrentError): Promise<void> {
    const state = this.#state;
    if (state.status !== "complete" || state.held === undefined) return;
    this.#log.warn({ err: error }, "a part of a folder is not offered any more");
    const { active, store } = state.held;
    this.#become({ ...state, held: undefined });
    this.#swarm.leave(active, error.message, { reason: "changed" });
    await store.close();
  }

  /** running -> opening | paused: pieces that changed on disk are fetched again; other disk trouble pauses the download. */
  async #readFailed(error: MiniTorrentError): Promise<void> {
    if (error.code !== "FILE_CHANGED") return this.#pauseFor(error);
    this.#record.doubt();
    await this.#fetchAgain();
  }

  /** A peer says that a piece from here was bad: if the disk agrees, all pieces are checked. Each user is believed once. */
  async #dataRefused(
    store: PieceStore,
    { userId, farewell: { reason, pieceIndex } }: Extract<TorrentEvent, { type: "peer-left" }>,
  ): Promise<void> {
    if (reason !== "bad-data" || pieceIndex === undefined || this.#refusedBy.has(userId)) return;
    if (this.#refusedBy.size >= MAX_REFUSALS) return;
    this.#refusedBy.add(userId);
    if (pieceIndex >= this.#metainfo.geometry.pieceCount || !store.have.has(pieceIndex)) return;
    const state = this.#state;
    const isRight = await store.isRightOnDisk(pieceIndex);
    if (!this.#isStill(state)) return;
    if (isRight) {
      this.#context.onEvent({ type: "data-refused", ...this.#id(), userId, pieceIndex });
      return;
    }
    this.#log.warn({ pieceIndex, user: userId }, "a piece is not as it had been written");
    await this.#readFailed(fileChanged(store.path));
  }

  /** running | verifying -> opening: keeps the right pieces and fetches the wrong ones again. */
  async #fetchAgain(): Promise<void> {
    const opening = { status: "opening" } as const;
    await this.#leaveSwarm(opening, "some pieces have to be fetched again");
    // Not awaited: this may itself be the end of an opening, whose turn it then still is.
    this.#runInBackground("fetching pieces again", this.#openInTurn(opening, false));
  }

  /** verifying | opening -> complete */
  #complete(
    arrived: Arrived,
    isAnswered = false,
    held: Extract<DownloadState, { status: "complete" }>["held"] = undefined,
  ): void {
    const finishedAtMs = Date.now();
    const fetchedBytes = arrived.sources.reduce((sum, { bytes }) => sum + bytes, 0);
    const seconds = (performance.now() - this.#ranSinceMs) / 1000;
    const averageBytesPerSecond =
      fetchedBytes > 0 && seconds > 0 ? Math.round(fetchedBytes / seconds) : undefined;
    const all = together(this.#record.sources, arrived);
    this.#become({ status: "complete", arrived: all, finishedAtMs, averageBytesPerSecond, held });
    if (held !== undefined && isAnswered) return;
    const finished = this.snapshot();
    if (finished.state === "complete") this.#context.profile().saveFinished({ ...finished, finishedAtMs });
    if (isAnswered) return;
    const { destinationPath } = this;
    const sha1 = this.#metainfo.kind === "file" ? { sha1: this.#metainfo.sha1 } : {};
    this.#context.onEvent({ type: "download-complete", ...this.#id(), destinationPath, ...sha1 });
  }

  /** running | verifying -> paused | failed, for a reason that is not the user's */
  async #pauseFor(error: MiniTorrentError): Promise<void> {
    if (this.#state.status !== "running" && this.#state.status !== "verifying") return;
    this.#log.warn({ err: error }, "download stopped");
    const paused = { status: "paused", reason: error.message, retry: undefined } as const;
    await this.#leaveSwarm(paused, error.message);
    const missingBytes = this.#missingBytes;
    const reason = await explained(error, this.destinationPath, missingBytes);
    if (this.#isStill(paused)) this.#stopFor(reason);
  }

  /** Bytes that are still to be written, as far as it has been noted. */
  get #missingBytes(): number {
    const { geometry } = this.#metainfo;
    const there = wantedAmong(this.#wanted, this.#record.have);
    return sizeOf(this.#wanted).lengthBytes - geometry.contentBytesOf(there);
  }

  /** opening | paused -> paused | failed: trouble that may pass is tried again by itself, the rest is for the user. */
  #stopFor(error: MiniTorrentError, isAnswered = false): void {
    const retryInMs = this.#trouble.retryInMs(error);
    if (retryInMs !== undefined) {
      const timer = later("trying a download again", retryInMs, () => this.#retry(error));
      const reason = `${error.message} It continues by itself when it can.`;
      this.#become({ status: "paused", reason, retry: { timer, atMs: Date.now() + retryInMs } });
      if (this.#trouble.isNews(error) && !isAnswered)
        this.#context.onEvent({ type: "download-paused", ...this.#id(), reason });
    } else {
      const reason = error.message;
      this.#become({ status: "failed", code: error.code, reason });
      if (isAnswered) return;
      this.#context.onEvent({ type: "download-failed", ...this.#id(), code: error.code, reason });
    }
  }

  /** If the cause persists, the download is paused again, without another event. */
  async #retry(error: MiniTorrentError): Promise<void> {
    const paused = this.#state;
    const still = await explained(error, this.destinationPath, this.#missingBytes);
    if (!this.#isStill(paused)) return;
    if (still !== error) {
      this.#stopFor(still);
      return;
    }
    try {
      await this.begin();
    } catch (error) {
      this.#log.info({ err: error }, "download tried again, in vain");
    }
  }

  /** Ends the torrent, whatever the next state, and saves which pieces are verified. */
  async #leaveSwarm(next: DownloadState, reason: string, farewell?: Farewell): Promise<void> {
    const state = this.#state;
    if (state.status === "paused") clearTimeout(state.retry?.timer);
    if (state.status === "running" || state.status === "verifying")
      this.#record.gave(arrivedIn(state.active.torrent.status()));
    this.#become(next);
    if (state.status === "running" || state.status === "verifying") {
      this.#swarm.leave(state.active, reason, farewell);
      await this.#record.close(state.store);
    } else if (state.status === "complete" && state.held !== undefined) {
      this.#swarm.leave(state.held.active, reason, farewell);
      await this.#record.close(state.held.store);
    } else if (state.status !== "complete" && state.status !== "ended") {
      this.#record.store();
    }
  }

  #runInBackground(what: string, work: Promise<unknown>): void {
    runInBackground(this.#log, what, work);
  }

  /** Whether the state is still that one: to be checked after every await. */
  #isStill(state: DownloadState): boolean {
    return this.#state === state;
  }

  #id(): { groupId: string; fileName: string } {
    return { groupId: this.groupId, fileName: this.fileName };
  }

  #become(state: DownloadState): void {
    const before = this.#state;
    this.#reusing?.abort();
    if (before.status === "running") before.search.close();
    if (before.status === "complete" && state.status !== "complete") before.held?.search.close();
    this.#state = state;
    this.#onChange();
  }
}
