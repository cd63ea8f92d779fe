// The complete files that this user shares from this machine: hashed in place, announced to the swarm, resumed after the
// next login, withdrawn when they change on disk.
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import { asMiniTorrentError, type ErrorCode, MiniTorrentError } from "../api/errors.ts";
import { MAX_SHARES_CHECKED, shareDoubtsSchema } from "../api/schemas.ts";
import { Bitfield } from "../metainfo/bitfield.ts";
import { checkFileName } from "../metainfo/file-name.ts";
import { decodeMetainfo, encodeMetainfo, type Metainfo, requireSingleFile } from "../metainfo/metainfo.ts";
import { runInBackground } from "../net/run-in-background.ts";
import { readError } from "../storage/disk-errors.ts";
import { type FileFacts, factsOf, isSameFacts } from "../storage/file-facts.ts";
import { hashFile } from "../storage/hash-file.ts";
import { PieceStore } from "../storage/piece-store.ts";
import type { TorrentEvent } from "../swarm/torrent.ts";
import type { Farewell } from "../wire/farewell.ts";
import type { ClientContext } from "./client-context.ts";
import { type FileId, fileKey } from "./file-key.ts";
import { type Listed, type Listing, listShare } from "./list-share.ts";
import type { StoredShare } from "./profile.ts";
import { SlowRound } from "./slow-round.ts";
import type { ShareOptions, ShareResult, ShareStatus } from "./status.ts";

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

/** Shared files are checked one by one, at most four a second, so that a missing file is noticed even if nobody requests it. */
const LOOK_PAUSE_MS = 250;
/** Least time between two checks of the same file: with few files, more would be pointless. */
const LEAST_ROUND_MS = 5_000;
/** Problems that may pass: the file is missing or changed, or no further file could be opened. */
const MAY_RETURN: ReadonlySet<ErrorCode> = new Set(["FILE_NOT_FOUND", "FILE_CHANGED", "LIMIT_REACHED"]);

/** A share is served, or known but not served: its group cannot be reached yet, or its file is not as it was. */
type ShareState =
  | { readonly status: "served"; readonly store: PieceStore }
  | { readonly status: "waiting" }
  /** `mayReturn`: it is served again once the file is as it was. */
  | { readonly status: "unusable"; readonly reason: string; readonly mayReturn: boolean };

interface Share {
  stored: StoredShare;
  readonly metainfo: Metainfo;
  state: ShareState;
  /** Users who refused a piece that is right here. */
  readonly refusedBy: Set<string>;
}

export class Shares {
  readonly #context: ClientContext;
  readonly #log: Logger;
  readonly #shares = new Map<string, Share>();
  /** Shares that are about to be served. */
  readonly #beingServed = new Set<string>();
  /** Counts logins: work begun in one is not continued in the next. */
  #logins = 0;
  #looking: SlowRound<Share> | undefined;

  constructor(context: ClientContext) {
    this.#context = context;
    this.#log = context.log;
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
    const { memberships, storage } = this.#context;
    const absolutePath = resolve(path);
    const fileName = basename(absolutePath).normalize();
    checkFileName(fileName);
    // Before hashing: a user who may not share there learns so at once.
    const { authorityPem } = await memberships.obtain(groupId);
    const hashed = await hashFile(absolutePath, { ...storage, ...options });
    const metainfo = encodeMetainfo({ fileName, authorityPem, ...hashed });
    const replaced = await this.#replacedBy(metainfo, groupId, absolutePath);
    const joinedSwarm = await this.#offer(groupId, metainfo, absolutePath, hashed, replaced);
    const { lengthBytes, pieceCount } = metainfo.geometry;
    return {
      groupId,
      fileName,
      lengthBytes,
      pieceCount,
      sha1: metainfo.sha1,
      joinedSwarm,
      replacesEarlier: replaced !== undefined,
    };
  }

  async update(file: FileId, path: string | undefined, _options: ShareOptions): Promise<ShareResult> {
    throw new MiniTorrentError("NOT_SHARED", `${file.fileName} cannot be updated yet (${path ?? "here"}).`);
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
    const { path: sharedPath, facts } = share.stored;
    const isOver = sharedPath === path || (await whyNotAsShared(sharedPath, facts)) !== undefined;
    if (isOver) return share;
    throw new MiniTorrentError(
      "FILE_EXISTS",
      `You share other content under that name, from ${sharedPath}: stop_share ${groupId} ${fileName}, then upload_file ${path} ${groupId}; or rename the file.`,
    );
  }

  /** A file whose content is known to be that of the metainfo, wherever it lies and whatever it is called there. */
  async shareAs(path: string, groupId: string, metainfo: Metainfo, found: FileFacts): Promise<void> {
    await this.#offer(groupId, metainfo, path, found);
  }

  /** Returns whether the group had it already. */
  async #offer(
    groupId: string,
    metainfo: Metainfo,
    path: string,
    found: FileFacts,
    replaced?: Share,
  ): Promise<boolean> {
    const present = this.#shares.get(fileKey({ groupId, fileName: metainfo.fileName }));
    const isShared = present?.state.status === "served" && replaced === undefined;
    if (!isShared && this.#context.session.get(metainfo.infoHash) !== undefined) {
      throw new MiniTorrentError(
        "DOWNLOAD_EXISTS",
        `${metainfo.fileName} is being downloaded here, and is shared when it is complete; or cancel that first.`,
      );
    }
    const facts = { lengthBytes: found.lengthBytes, mtimeMs: found.mtimeMs };
    const { fileName, info } = metainfo;
    const stored = { groupId, fileName, path, info, facts, isRegistered: true };
    if (isShared) {
      const { joinedSwarm } = await this.#register(stored, metainfo, { isServed: false });
      await this.#serve(stored, metainfo);
      return joinedSwarm;
    }
    const login = this.#logins;
    // The earlier content no longer exists, whatever the tracker answers: its connected peers are told first.
    if (replaced?.state.status === "served") {
      const { store } = replaced.state;
      replaced.state = { status: "unusable", reason: `${path} changed`, mayReturn: false };
      await this.#withdraw(replaced, store, "its content was replaced", { reason: "changed" });
    }
    // Served first, so that the tracker can name this client among the peers in the same step.
    const store = await this.#join(stored, metainfo);
    try {
      const { joinedSwarm } = await this.#register(stored, metainfo, {
        isServed: true,
        replaces: replaced?.metainfo.infoHash,
      });
      this.#refuseAfterLogout(login);
      this.#served(stored, metainfo, store);
      return joinedSwarm;
    } catch (error) {
      this.#context.session.remove(metainfo.infoHash, "it could not be shared");
      this.#announce(metainfo.infoHash, false);
      await store.close();
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
    this.#shares.set(fileKey(stored), {
      stored,
      metainfo,
      state: { status: "served", store },
      refusedBy: new Set(),
    });
    this.#context.profile().completeDownload(stored);
    if (!stored.isRegistered) this.#runInBackground("listing a share", this.#registerLater(stored, metainfo));
  }

  /** After a login: everything that was shared is shared again, unless it changed meanwhile. */
  async resumeAll(): Promise<void> {
    const { profile, onEvent } = this.#context;
    for (const stored of profile().shares()) {
      if (this.#shares.has(fileKey(stored))) continue;
      const { groupId, fileName } = stored;
      try {
        const metainfo = decodeMetainfo(stored.info);
        this.#shares.set(fileKey(stored), {
          stored,
          metainfo,
          state: { status: "waiting" },
          refusedBy: new Set(),
        });
      } catch (error) {
        const reason = asMiniTorrentError(error).message;
        profile().setAside("share", stored, reason);
        onEvent({ type: "profile-entry-set-aside", kind: "share", groupId, fileName, reason });
      }
    }
    this.#looking ??= new SlowRound({
      all: () => this.#shares.values(),
      look: (share) => this.#look(share),
      pauseMs: LOOK_PAUSE_MS,
      leastRoundMs: LEAST_ROUND_MS,
    });
    await this.retryWaiting();
  }

  /** Withdraws a share whose file has changed, and resumes it when the file is as it was. */
  async #look(share: Share): Promise<void> {
    const { stored, metainfo } = share;
    const { state } = share;
    const isIdle = state.status === "waiting" || (state.status === "unusable" && !state.mayReturn);
    if (isIdle) return;
    const login = this.#logins;
    const problem = await whyNotAsShared(stored.path, stored.facts);
    const isStill = share.state === state && this.#shares.get(fileKey(stored)) === share;
    if (login !== this.#logins || !isStill) return;
    try {
      // Other errors, such as EIO of a network file system, may pass; if they do not, a failing read ends the share.
      const isToEnd = problem !== undefined && MAY_RETURN.has(problem.code);
      if (state.status === "served" && isToEnd) await this.failed(stored, problem);
      if (state.status !== "unusable" || problem !== undefined) return;
      share.state = { status: "waiting" };
      await this.#serve(stored, metainfo);
      this.#log.info({ groupId: stored.groupId, fileName: stored.fileName }, "a shared file is back");
    } catch (error) {
      if (login === this.#logins) this.#couldNotServe(share, asMiniTorrentError(error));
    }
  }

  /** A tracker is connected again: announces the shares that wait for one. */
  async retryWaiting(): Promise<void> {
    const login = this.#logins;
    for (const share of [...this.#shares.values()]) {
      // Logged out meanwhile: the next login does the rest.
      if (login !== this.#logins) return;
      if (share.state.status === "served" && !share.stored.isRegistered) {
        await this.#registerLater(share.stored, share.metainfo);
      }
      if (share.state.status !== "waiting") continue;
      try {
        await this.#serve(share.stored, share.metainfo);
        if (!share.stored.isRegistered) await this.#registerLater(share.stored, share.metainfo);
      } catch (error) {
        if (login === this.#logins) this.#couldNotServe(share, asMiniTorrentError(error));
      }
    }
    await this.#compareWithTrackers();
  }

  /** All current shares, and those that wait. */
  statuses(): ShareStatus[] {
    return [...this.#shares.values()].map(({ stored, metainfo, state }) => ({
      groupId: stored.groupId,
      fileName: stored.fileName,
      path: stored.path,
      lengthBytes: metainfo.geometry.lengthBytes,
      sha1: requireSingleFile(metainfo).sha1,
      state: state.status,
      reason: state.status === "unusable" ? state.reason : undefined,
      peerCount: this.#context.session.get(metainfo.infoHash)?.connections.connectedCount ?? 0,
    }));
  }

  /** The share of that name, as stored in the profile. */
  find(file: FileId): { path: string; metainfo: Metainfo } | undefined {
    const share = this.#shares.get(fileKey(file));
    return share && { path: share.stored.path, metainfo: share.metainfo };
  }

  /**
   * Checks a shared file: one that was moved, removed or changed is no longer shared, and may be
   * downloaded again.
   */
  async endIfGone(file: FileId): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    if (share === undefined) return;
    const { path, facts } = share.stored;
    const problem = await whyNotAsShared(path, facts);
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
    if (share !== undefined) await this.#forget(share, "no longer shared", { reason: "not-shared" });
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
   */
  async #compareWithTrackers(): Promise<void> {
    const login = this.#logins;
    const listed = [...this.#shares.values()].filter(
      ({ stored, state }) => stored.isRegistered && state.status === "served",
    );
    for (const [groupId, shares] of Map.groupBy(listed, ({ stored }) => stored.groupId)) {
      for (let at = 0; at < shares.length; at += MAX_SHARES_CHECKED) {
        if (login !== this.#logins) return;
        try {
          await this.#compareSome(groupId, shares.slice(at, at + MAX_SHARES_CHECKED));
        } catch (error) {
          this.#log.info({ err: error, groupId }, "shares not compared; the next connection tries again");
          break;
        }
      }
    }
  }

  async #compareSome(groupId: string, shares: readonly Share[]): Promise<void> {
    const { holderId } = this.#context.profile();
    const files = shares.map(({ metainfo: { fileName, infoHash } }) => ({ fileName, infoHash }));
    const { withdrawn, unknown } = await this.#context.ask(shareDoubtsSchema, (api) =>
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
      this.#context.profile().saveFormerShare(groupId, share.stored.path);
      await this.#forget(share, "no longer in the group");
    }
  }

  /** The user is a member again: reports files that they shared in the group before, and still have. */
  async acceptedAgain(groupId: string): Promise<void> {
    const former = this.#context.profile().takeFormerShares(groupId);
    const paths: string[] = [];
    for (const path of former) if ((await stat(path).catch(() => undefined))?.isFile()) paths.push(path);
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
    const share = this.#shares.get(fileKey(file));
    if (share === undefined || share.metainfo.infoHash === infoHash) return false;
    await this.#forget(share, "the name is taken by other content", { reason: "not-shared" });
    return true;
  }

  /** Reading a shared file failed: it is no longer what was shared. */
  async failed(file: FileId, error: MiniTorrentError): Promise<void> {
    const share = this.#shares.get(fileKey(file));
    if (share?.state.status === "served") {
      const { store } = share.state;
      this.#couldNotServe(share, error);
      await this.#withdraw(share, store, error.message, { reason: "changed" });
    }
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
    const { store } = share.state;
    const isRight = await store.isRightOnDisk(pieceIndex);
    if (this.#shares.get(fileKey(file)) !== share || share.state.status !== "served") return;
    const { groupId, fileName } = file;
    const { path, facts } = share.stored;
    if (isRight) {
      this.#context.onEvent({ type: "data-refused", groupId, fileName, userId, pieceIndex });
      return;
    }
    const reason = `${userId} received bad data from here, and piece ${pieceIndex} of ${path} is not what was shared: check the disk and restore the file; upload_file ${path} ${groupId} then shares it again.`;
    this.#log.warn({ groupId, fileName, pieceIndex, user: userId }, "a shared file's bytes changed");
    share.state = { status: "unusable", reason, mayReturn: false };
    // Size and time are unchanged: without this, the next login would share it again.
    share.stored = { ...share.stored, facts: { ...facts, mtimeMs: 0 } };
    this.#context.profile().saveShare(share.stored);
    await this.#withdraw(share, store, reason, { reason: "changed" });
    this.#context.onEvent({ type: "share-ended", groupId, fileName, reason });
  }

  /** Logout: nothing is shared until the next login; the profile keeps the list. */
  async suspendAll(): Promise<void> {
    this.#logins++;
    this.#looking?.close();
    this.#looking = undefined;
    const shares = [...this.#shares.values()];
    this.#shares.clear();
    for (const share of shares) {
      if (share.state.status === "served")
        await this.#withdraw(share, share.state.store, "sharing is paused", { reason: "offline" });
    }
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
    const { memberships, session } = this.#context;
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
    if (before?.state.status === "served") await this.#withdraw(before, before.state.store, "shared anew");
    const known = this.#shares.get(key);
    const store = await this.#join(stored, metainfo);
    if (this.#shares.get(key) !== known) {
      session.remove(metainfo.infoHash, "no longer shared");
      await store.close();
      return;
    }
    this.#served(stored, metainfo, store);
    this.#announce(metainfo.infoHash, false);
  }

  /** Serves the file to peers from now on. `#withdraw` closes the store. */
  async #join(stored: StoredShare, metainfo: Metainfo): Promise<PieceStore> {
    const { session, storage, onEvent } = this.#context;
    const { groupId, fileName, path, facts } = stored;
    const login = this.#logins;
    const store = await PieceStore.openForSeeding({ metainfo, path, expected: facts, ...storage });
    try {
      this.#refuseAfterLogout(login);
      session.add({
        groupId,
        metainfo,
        have: Bitfield.full(metainfo.geometry.pieceCount),
        storage: store,
        onEvent: (event) => {
          if (event.type === "read-failed" || event.type === "tick-failed")
            this.#runInBackground("ending a share", this.failed(stored, event.error));
          if (event.type === "peer-left") this.peerLeft(stored, event);
          if (event.type !== "held-by-others") return;
          onEvent({ type: event.type, groupId, fileName, uploadedBytes: event.uploadedBytes });
        },
      });
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  #served(stored: StoredShare, metainfo: Metainfo, store: PieceStore): void {
    this.#shares.set(fileKey(stored), {
      stored,
      metainfo,
      state: { status: "served", store },
      refusedBy: new Set(),
    });
    this.#context.profile().saveShare(stored);
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
    this.#context.profile().saveShare(share.stored);
    return undefined;
  }

  #couldNotServe(share: Share, error: MiniTorrentError): void {
    const { groupId, fileName } = share.stored;
    if (error.code === "TRACKERS_UNREACHABLE") return;
    if (error.code === "NOT_A_MEMBER" || error.code === "UNKNOWN_GROUP") {
      this.#shares.delete(fileKey(share.stored));
      this.#context.profile().removeShare(groupId, fileName);
    } else {
      share.state = { status: "unusable", reason: error.message, mayReturn: MAY_RETURN.has(error.code) };
    }
    this.#log.warn({ err: error, groupId, fileName }, "share not served");
    const reason =
      error.code === "FILE_CHANGED"
        ? `${share.stored.path} changed; upload_file ${share.stored.path} ${groupId} shares it as it is now, or stop_share ${groupId} ${fileName} gives it up.`
        : error.code === "FILE_NOT_FOUND"
          ? `${error.message} It is shared again when it is back there.`
          : error.message;
    this.#context.onEvent({ type: "share-ended", groupId, fileName, reason });
  }

  async #forget(share: Share, reason: string, farewell?: Farewell): Promise<void> {
    this.#shares.delete(fileKey(share.stored));
    this.#context.profile().removeShare(share.stored.groupId, share.stored.fileName);
    if (share.state.status === "served") await this.#withdraw(share, share.state.store, reason, farewell);
  }

  #runInBackground(what: string, work: Promise<unknown>): void {
    runInBackground(this.#log, what, work);
  }

  /** @param farewell what connected peers are told */
  async #withdraw(share: Share, store: PieceStore, reason: string, farewell?: Farewell): Promise<void> {
    const { infoHash } = share.metainfo;
    this.#context.session.remove(infoHash, reason, farewell);
    this.#announce(infoHash, false);
    await store.close();
  }
}

/** Why the file is no longer as it was shared; undefined while it is. */
async function whyNotAsShared(path: string, facts: FileFacts): Promise<MiniTorrentError | undefined> {
  try {
    const stats = await stat(path);
    if (stats.isFile() && isSameFacts(factsOf(stats), facts)) return undefined;
    return new MiniTorrentError("FILE_CHANGED", `${path} changed since it was shared.`);
  } catch (error) {
    return readError(error, path);
  }
}
