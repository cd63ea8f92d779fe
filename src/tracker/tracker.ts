// A tracker: creates and connects its registry, links to the other trackers, presence and server, starts and stops them, and
// decides when it may serve and write.

import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { uptime } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import { formatAddress, type TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { type DeviceIdentity, fingerprintOfPem } from "../identity/certificates.ts";
import { PinStore } from "../identity/pins.ts";
import { makePrivateFolder, renameDurably, syncFolder, writePrivate } from "../identity/private-files.ts";
import { CERTIFICATE_FILE, KEY_FILE, openIdentity } from "../identity/stored-identity.ts";
import { freeBytes } from "../net/free-space.ts";
import { type Clock, later, onTimerFault, soon } from "../net/timers.ts";
import { ATTEMPTS_FILE, makePrivateFiles, PINS_FILE, REGISTRY_FILE } from "./data-directory.ts";
import { Operator } from "./operator.ts";
import { Connections } from "./presence/client-connections.ts";
import { EventPublisher } from "./presence/event-publisher.ts";
import { KnownMembers } from "./presence/known-members.ts";
import { PeerDirectory } from "./presence/peer-directory.ts";
import { Presence } from "./presence/presence.ts";
import { RegistryReactions } from "./presence/registry-reactions.ts";
import { type ClockDoubt, ClockGuard } from "./registry/clock-guard.ts";
import { ClockWatch } from "./registry/clock-watch.ts";
import { openRegistry, reportLoss, suspect } from "./registry/damaged-registry.ts";
import { type DiskTrouble, diskTroubleOf } from "./registry/disk-trouble.ts";
import type { RegistryWriter, VersionVector } from "./registry/registry.ts";
import type { SqliteRegistry } from "./registry/sqlite-registry.ts";
import { stampMs } from "./registry/stamp.ts";
import type { LinkState } from "./replication/replica-link.ts";
import { Replication } from "./replication/replication.ts";
import { LAG_SAMPLE_MS, ReplicationLag } from "./replication/replication-lag.ts";
import { SyncLinks } from "./replication/sync-links.ts";
import { Collector } from "./rules/garbage-collector.ts";
import { alikeOf } from "./rules/look-alikes.ts";
import { MemberCertificates } from "./rules/member-certificates.ts";
import { standingsDerivation } from "./rules/membership-index.ts";
import { RevocationWindow } from "./rules/revocation-window.ts";
import { shareAnchors } from "./rules/share-anchors.ts";
import { claimTotals, totalsOf } from "./rules/totals.ts";
import { AttemptLimits } from "./server/attempt-limits.ts";
import { AttemptStore } from "./server/attempt-store.ts";
import { CallTurns } from "./server/call-turns.ts";
import { FairSlots } from "./server/fair-slots.ts";
import { Metrics } from "./server/metrics.ts";
import { PasswordHasher, type PasswordHasherOptions } from "./server/password-hasher.ts";
import type { ConfirmedWrite } from "./server/procedures.ts";
import { listen, type TrackerServer } from "./server/server.ts";
import { type WriteBlock, WriteBlocks } from "./server/write-block.ts";
import { DEFAULT_TRACKER_LIMITS, type TrackerLimits } from "./tracker-limits.ts";

/** How often a tracker that cannot write tries again. */
const RETRY_WRITE_MS = 2_000;
/** With less free space, a disk that was full still counts as full: the next writes would fill it again. */
const LEAST_ROOM_BYTES = 1024 * 1024;
/** Reasons caused by the registry's disk; cleared by a successful test write. */
const DISK_REASONS = ["disk-full", "disk-read-only", "disk-failed"] as const satisfies readonly DiskTrouble[];
/** How often to check whether the missing rows have arrived. */
const MISSING_LOOK_MS = 200;
/**
 * The background check for damage examines 500 rows a second, a million in 33 minutes. After a full round it
 * rests.
 */
const CHECK_INTERVAL_MS = 100;
const CHECKED_ROWS = 50;
const CHECK_REST_MS = 10 * 60 * 1000;
/** Shares of former members that are removed from the index of shares at a time, in some 5 ms. */
const ANCHORED_DROPPED = 500;
const DROP_INTERVAL_MS = 100;

/**
 * Messages of more than 16 KiB that are processed at a time, from parsing to the answer. Each may take some megabytes: an
 * announcement's torrents, or a file's metainfo on its way to the disk and to the other trackers.
 */
const LONG_MESSAGES_AT_ONCE = 8;

const KEY_OWNER = {
  name: "This tracker",
  newKey: ", and give everybody a tracker_info.txt with its fingerprint.",
};

/** Info dictionaries sent in parts that are read at a time: each may take 32 MiB, and as much for the list of files. */
const INFO_CHECKS_AT_ONCE = 1;

/** Name of the registry's note about partitioned trackers. */
const APART_NOTE = "apart";

export interface TrackerOptions {
  /** The lines of tracker_info.txt. */
  readonly trackers: readonly TrackerAddress[];
  /** This tracker's line, counted from 1. */
  readonly trackerNumber: number;
  readonly dataDir: string;
  readonly log: Logger;
  /** Where they differ from the defaults (tracker-limits.ts). */
  readonly limits?: Partial<TrackerLimits>;
  /** The wall clock, milliseconds since 1970. */
  readonly nowMs?: () => number;
  /** @default argon2id in threads */
  readonly passwords?: PasswordHasherOptions;
}

export interface TrackerLinkStatus {
  /** host:port of the other tracker. */
  readonly address: string;
  readonly state: "disconnected" | LinkState;
  /** About how many rows the other lacks; undefined while it is not connected. */
  readonly lagRecords: number | undefined;
  /** For how long it has lacked rows, or been out of reach; 0 while it has all. */
  readonly lagSeconds: number;
  /** Since when it is in that state. */
  readonly sinceMs: number;
}

/** A link in the operator's status. `/health`, which is public, leaves the trouble out. */
export interface TrackerLinkReport extends TrackerLinkStatus {
  /** Why it is disconnected and what to do about it; undefined otherwise. */
  readonly trouble: string | undefined;
}

export interface TrackerStatus {
  readonly address: string;
  readonly fingerprint: string;
  readonly startedAtMs: number;
  /** Identifies this incarnation of its registry. */
  readonly trackerId: string;
  readonly clientsOnline: number;
  readonly users: number;
  readonly groups: number;
  readonly files: number;
  /** Equal at two trackers that have the same rows. */
  readonly digest: string;
  readonly isServing: boolean;
  readonly cannotWrite: WriteBlock | undefined;
  readonly links: readonly TrackerLinkReport[];
}

export class Tracker {
  /** host:port that it listens on. */
  readonly address: string;
  /** SHA-256 of its certificate, 64 hex digits. */
  readonly fingerprint: string;
  /** The operator's commands for accounts and groups. */
  readonly operator: Operator;
  readonly #dataDir: string;
  readonly #clock: Clock = { nowMs: () => performance.now(), setTimer };
  readonly #clockGuard: ClockGuard;
  #clockWatch: ClockWatch | undefined;
  readonly #startedAtMs: number;
  readonly #registry: SqliteRegistry;
  readonly #pins: PinStore;
  readonly #connections = new Connections();
  readonly #presence: Presence;
  readonly #peers: PeerDirectory;
  readonly #eventPublisher: EventPublisher;
  readonly #registryReactions: RegistryReactions;
  readonly #replication: Replication;
  readonly #metrics: Metrics;
  readonly #lag = new ReplicationLag();
  readonly #passwords: PasswordHasher;
  readonly #attemptStore: AttemptStore;
  readonly #attemptLimits: AttemptLimits;
  readonly #collector: Collector;
  readonly #revocationWindow: RevocationWindow;
  #links: SyncLinks | undefined;
  #server: TrackerServer | undefined;
  #hasCaughtUp = false;
  #isClosed = false;
  /** The other trackers' vectors when this one could write again. */
  #missed: VersionVector = {};
  readonly #writeBlocks: WriteBlocks;
  #cancelRetry: () => void = () => {};
  #cancelCheck: () => void = () => {};
  #cancelDrop: () => void = () => {};
  readonly #damaged = new AbortController();
  #cancelSample: () => void = () => {};
  readonly #endFaults: () => void;

  private constructor(
    { log, dataDir, limits, trackers, passwords }: TrackerOptions,
    own: TrackerAddress,
    registry: SqliteRegistry,
    pins: PinStore,
    identity: DeviceIdentity,
    writeBlocks: WriteBlocks,
    clockGuard: ClockGuard,
  ) {
    this.#dataDir = dataDir;
    this.#clockGuard = clockGuard;
    this.#startedAtMs = clockGuard.nowMs();
    this.#registry = registry;
    this.#pins = pins;
    this.#writeBlocks = writeBlocks;
    this.#passwords = new PasswordHasher(passwords);
    const nowMs = () => clockGuard.nowMs();
    this.#attemptStore = new AttemptStore(join(dataDir, ATTEMPTS_FILE), log, nowMs);
    this.#attemptLimits = new AttemptLimits(limits, this.#attemptStore);
    this.#revocationWindow = new RevocationWindow({
      others: trackers.filter((tracker) => tracker !== own).map(formatAddress),
      saved: registry.note(APART_NOTE),
      lastRanMs: stampMs(registry.latestStamp),
      save: (notes) =>
        void registry.keepNote(APART_NOTE, notes).catch((error: unknown) => {
          log.error({ err: error }, "since when other trackers are apart is not kept over a restart");
        }),
    });
    this.#endFaults = onTimerFault((error, where) => {
      this.#metrics.timerFailed();
      log.error({ err: error, where }, "work by the clock failed");
    });
    this.address = formatAddress(own);
    this.fingerprint = fingerprintOfPem(identity.certificatePem);
    const members = new KnownMembers(registry);
    this.#presence = new Presence({
      publish: (messages) => this.#replication.publish(messages),
      groupOf: (infoHash) => members.groupOf(infoHash),
      isMember: (groupClaimId, accountId) => members.member(groupClaimId, accountId) !== undefined,
      onPeerOnline: (infoHash, peer, isNew) => this.#peers.peerOnline(infoHash, peer, isNew),
      onPeerOffline: (infoHash, deviceId) => this.#peers.peerOffline(infoHash, deviceId),
      onPromoted: (connectionId, infoHash) => this.#peers.tellPeers(connectionId, infoHash),
      onAnnounceAgain: (connectionIds) => {
        for (const id of connectionIds) this.#connections.byId(id)?.tell({ type: "look-again" });
      },
      setTimer,
    });
    this.#peers = new PeerDirectory(members, this.#presence, this.#connections, setTimer);
    const announcersOf = (infoHash: string) =>
      this.#presence.localAnnouncers(infoHash, Number.POSITIVE_INFINITY);
    this.#eventPublisher = new EventPublisher(registry, members, this.#connections, announcersOf, setTimer);
    this.#registryReactions = new RegistryReactions({
      ...{ registry, log, members },
      connections: this.#connections,
      presence: this.#presence,
      events: this.#eventPublisher,
      write: (work) => this.#writeInside(randomUUID(), work),
    });
    this.#replication = new Replication({
      registry,
      clock: this.#clock,
      clockGuard,
      log,
      presence: this.#presence,
      onChanged: (records, lostClaims, isLocal) => {
        if (!isLocal) this.#metrics.merged(records.length);
        this.#registryReactions.happened(records, lostClaims, isLocal);
      },
    });
    this.operator = new Operator({
      ...{ registry, nowMs },
      write: async (writeId, work) => (await this.#writeAndConfirm(writeId, work)).unconfirmedAt,
    });
    this.#collector = new Collector({
      ...{ registry, log, nowMs, setTimer },
      write: (work) => this.#write(randomUUID(), work),
      connectedEra: () => this.#connectedEra(),
      isAnnounced: (infoHash) => this.#presence.peersOf(infoHash, 1).length > 0,
      connectedDevices: () => this.#connections.devices(),
      uptimeMs: () => performance.now(),
    });
    this.#metrics = new Metrics({
      clientsConnected: () => this.#connections.count,
      lagRecords: () => Math.max(0, ...this.#linkStatus().map(({ lagRecords }) => lagRecords ?? 0)),
      lagSeconds: () => Math.max(0, ...this.#linkStatus().map(({ lagSeconds }) => lagSeconds)),
      linksConnected: () => this.#linkStatus().filter(({ state }) => state === "connected").length,
      cannotWrite: () => (this.#writeBlocks.current === undefined ? 0 : 1),
    });
  }

  /**
   * Opens its data directory (made at the first start, with a key), listens, catches up with the other trackers that are
   * there, and then serves clients.
   *
   * @throws MiniTorrentError INVALID_TRACKER_INFO, ADDRESS_IN_USE, DATA_DIR_IN_USE, DISK_FAILED, DISK_FULL,
   * REGISTRY_DAMAGED if no other tracker serves
   */
  static async open(options: TrackerOptions): Promise<Tracker> {
    const { trackers, trackerNumber, dataDir } = options;
    const own = trackers[trackerNumber - 1];
    if (own === undefined) {
      throw new MiniTorrentError(
        "INVALID_TRACKER_INFO",
        `There is no tracker ${trackerNumber}: the file has ${trackers.length}, counted from 1.`,
      );
    }
    makePrivateFolder(dataDir);
    makePrivateFiles(dataDir, options.log);
    const clockGuard = new ClockGuard({
      wallMs: options.nowMs ?? Date.now,
      monotonicMs: () => performance.now(),
      bootMs: () => uptime() * 1000,
    });
    const nowMs = () => clockGuard.nowMs();
    let tracker: Tracker | undefined;
    const writeBlocks = new WriteBlocks({
      nowMs,
      onBegan: (block) => {
        if (tracker !== undefined) tracker.#writeBlockBegan(block, options.log);
      },
      onEnded: () => {
        if (tracker !== undefined) tracker.#writeBlockEnded(options.log);
      },
    });
    // First, since it takes the lock on the directory.
    const others = trackers.filter((tracker) => tracker !== own);
    const registry = await openRegistry(
      { dataDir, others, log: options.log },
      {
        ...{ nowMs, totalsOf, alikeOf, derivation: standingsDerivation, anchors: shareAnchors },
        onTrouble: (trouble) => writeBlocks.begin(trouble),
      },
    );
    let pins: PinStore | undefined;
    try {
      const identity = openIdentity(dataDir, KEY_OWNER);
      pins = new PinStore(join(dataDir, PINS_FILE));
      tracker = new Tracker(options, own, registry, pins, identity, writeBlocks, clockGuard);
      await tracker.#start(options, own, identity);
      return tracker;
    } catch (error) {
      if (tracker !== undefined) await tracker.close();
      else {
        pins?.close();
        registry.close();
      }
      throw error;
    }
  }

  /** Aborted when damage is found in its registry; the owner then closes and reopens the tracker. */
  get damaged(): AbortSignal {
    return this.#damaged.signal;
  }

  status(): TrackerStatus {
    return {
      address: this.address,
      fingerprint: this.fingerprint,
      startedAtMs: this.#startedAtMs,
      trackerId: this.#registry.origin,
      clientsOnline: this.#connections.count,
      users: this.#registry.total(claimTotals.user),
      groups: this.#registry.total(claimTotals.group),
      files: this.#registry.total(claimTotals.file),
      digest: this.#registry.digest(),
      isServing: this.#isServing,
      cannotWrite: this.#writeBlocks.current,
      links: this.#linkReport(),
    };
  }

  /**
   * Writes a backup while the tracker serves: a data directory with copies of the registry and of this tracker's key. The folder
   * appears only once it is complete.
   *
   * @throws MiniTorrentError DESTINATION_UNUSABLE if there is such a folder or file, or it cannot be made
   * @throws MiniTorrentError DISK_FAILED, DISK_FULL
   */
  async backUp(folder: string): Promise<void> {
    const unfinished = `${folder}.unfinished`;
    try {
      if (existsSync(folder)) throw new Error("it exists already");
      mkdirSync(unfinished, { mode: 0o700 });
    } catch (error) {
      const sentence = `The backup cannot be made at ${folder}: ${error instanceof Error ? error.message : String(error)}.`;
      throw new MiniTorrentError("DESTINATION_UNUSABLE", sentence, { cause: error });
    }
    try {
      for (const name of [KEY_FILE, CERTIFICATE_FILE]) {
        writePrivate(join(unfinished, name), readFileSync(join(this.#dataDir, name), "utf8"));
      }
      await this.#registry.backUp(join(unfinished, REGISTRY_FILE));
      syncFolder(unfinished);
      renameDurably(unfinished, folder);
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      throw error;
    }
  }

  /** The operator confirms that the machine's clock is right now. */
  acceptClock(): void {
    this.#clockWatch?.accept();
  }

  /** Closes clients, links and the data directory. All acknowledged writes are on disk before. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endFaults();
    this.#collector.close();
    this.#cancelSample();
    this.#cancelRetry();
    this.#clockWatch?.close();
    this.#cancelCheck();
    this.#cancelDrop();
    this.#links?.close();
    await this.#server?.close();
    await this.#passwords.close();
    this.#attemptLimits.store();
    this.#attemptStore.close();
    this.#replication.close();
    await this.#replication.settled();
    this.#presence.close();
    this.#peers.close();
    this.#eventPublisher.close();
    this.#registry.close();
    this.#pins.close();
  }

  async #start(options: TrackerOptions, own: TrackerAddress, identity: DeviceIdentity): Promise<void> {
    const { trackers, trackerNumber, log } = options;
    const links = () => this.#links;
    const limits = { ...DEFAULT_TRACKER_LIMITS, ...options.limits };
    const turns = new CallTurns({ nowMs: threadTimeMs, nextTurn: (run) => soon("a turn of calls", run) });
    turns.onSliceEnd(() => this.#registry.commitQueued());
    this.#server = await listen({
      address: own,
      identity,
      log,
      services: {
        registry: this.#registry,
        write: (writeId, work, isRetry) => this.#write(writeId, work, isRetry),
        writeAndConfirm: (writeId, work, isRetry) => this.#writeAndConfirm(writeId, work, isRetry),
        connections: this.#connections,
        presence: this.#presence,
        peers: this.#peers,
        limits: this.#attemptLimits,
        passwords: this.#passwords,
        turns,
        longMessages: new FairSlots(LONG_MESSAGES_AT_ONCE),
        infoChecks: new FairSlots(INFO_CHECKS_AT_ONCE),
        accountLimits: limits,
        certificates: new MemberCertificates(limits.keysPerUser),
        revocationsSinceMs: () => this.#revocationWindow.sinceMs(this.#clockGuard.nowMs()),
        trackerKeys: () => [this.fingerprint, ...(links()?.keys() ?? [])],
        nowMs: () => this.#clockGuard.nowMs(),
        counters: this.#metrics,
        reportFault: (error, path) => log.error({ err: error, path }, "a call failed inside"),
      },
      onEventPushed: () => this.#metrics.eventPushed(),
      isServing: () => this.#isServing,
      maySync: async (certificate) => (await links()?.maySync(certificate)) ?? false,
      onSync: (socket, certificate) => {
        if (this.#links === undefined) socket.terminate();
        else this.#links.accept(socket, certificate);
      },
      health: () => this.#health(),
      metrics: this.#metrics,
    });
    this.#clockWatch = new ClockWatch({
      ...{ guard: this.#clockGuard, registry: this.#registry, clock: this.#clock, log },
      onChanged: (doubt) => this.#clockChanged(doubt),
    });
    this.#links = new SyncLinks({
      trackers,
      ownIndex: trackerNumber - 1,
      identity,
      pins: this.#pins,
      clock: this.#clock,
      log,
      onFault: (error, where, host) => {
        this.#metrics.handlerFailed();
        log.error({ err: error, where, host }, "a connection was closed: one of its handlers failed");
      },
      attach: (channel, name) => this.#replication.attach(channel, name),
    });
    this.#sampleLag();
    this.#checkRows();
    this.#dropAnchored();
    await this.#catchUp(this.#links, log);
    this.#clockWatch.check(); // compares with the other trackers' time
    this.#collector.start();
    log.info({ address: this.address, fingerprint: this.fingerprint }, "tracker listens");
  }

  /**
   * While this tracker cannot write, another one serves its clients. If none is reachable, this one answers reads from its
   * registry, unless it knows that it lacks rows, since one may be a removal.
   */
  get #isServing(): boolean {
    if (!this.#hasCaughtUp) return false;
    if (this.#writeBlocks.current === undefined) return true;
    const replication = this.#replication;
    return this.#writeBlocks.mayAnswer && !replication.isAnotherStoring && replication.has(replication.heard);
  }

  /**
   * Gets all rows that reachable trackers have acknowledged before this one serves clients. All rows announced while nothing could
   * be stored must arrive too, since one may be a removal.
   */
  async #catchUp(links: SyncLinks, log: Logger): Promise<void> {
    const hasCaughtUp = (name: string): boolean =>
      this.#replication.status().some((link) => link.name === name && link.hasCaughtUpHere);
    await links.met(hasCaughtUp);
    const isLacking = () => !this.#isOver && !this.#replication.has(this.#missed);
    if (isLacking()) log.error("rows that other trackers have are missing here; clients wait for them");
    while (isLacking()) await pause(MISSING_LOOK_MS, undefined, { ref: false });
    await this.#completeRegistry(log);
    this.#hasCaughtUp = !this.#isOver;
  }

  /** Nothing is waited for any more. */
  get #isOver(): boolean {
    return this.#isClosed || this.#damaged.signal.aborted;
  }

  /** A registry that replaces a lost one is complete only once a tracker that lost none has sent all its rows. */
  async #completeRegistry(log: Logger): Promise<void> {
    const { incomplete } = this.#registry;
    if (incomplete === undefined) return;
    const hasCome = () => this.#replication.status().some(({ hasCaughtUpWholly }) => hasCaughtUpWholly);
    if (!hasCome()) log.error("the registry is incomplete; clients wait for a tracker that has all");
    while (!this.#isOver && !hasCome()) await pause(MISSING_LOOK_MS);
    if (this.#isOver) return;
    await this.#registry.complete();
    reportLoss(incomplete, this.#registry.vector, log);
  }

  /** Checks rows for damage in the background, also those that are never read; the registry reports what it finds. */
  #checkRows(): void {
    let delayMs = CHECK_INTERVAL_MS;
    try {
      if (this.#registry.checkRows(CHECKED_ROWS)) delayMs = CHECK_REST_MS;
    } catch {
      return;
    }
    this.#cancelCheck = this.#clock.setTimer(delayMs, () => this.#checkRows());
  }

  #dropAnchored(): void {
    this.#cancelDrop = this.#clock.setTimer(DROP_INTERVAL_MS, () => this.#dropAnchored());
    if (this.#registry.hasAnchoredLeft && this.#writeBlocks.current === undefined) {
      this.#registry.dropAnchored(ANCHORED_DROPPED).catch(() => {}); // the registry reports trouble with the disk
    }
  }

  async #write<T>(writeId: string, work: (writer: RegistryWriter) => T, isRetry = false): Promise<T> {
    return (await this.#writeAndConfirm(writeId, work, isRetry)).result;
  }

  /** @throws MiniTorrentError TRACKER_CANNOT_WRITE; whatever else Replication.write throws */
  async #writeAndConfirm<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry = false,
  ): Promise<ConfirmedWrite<T>> {
    this.#clockWatch?.check();
    this.#requireWritable();
    this.#metrics.write();
    try {
      const { result, storedAt } = await this.#replication.writeAndConfirm(writeId, work, isRetry);
      const others = this.#links?.peers() ?? [];
      return { result, unconfirmedAt: others.map(({ name }) => name).filter((name) => !storedAt.has(name)) };
    } catch (error) {
      if (diskTroubleOf(error) !== undefined) this.#requireWritable(error);
      throw error;
    }
  }

  /** A write that follows from other rows. Allowed while the clock is wrong, since it gets a corrected time. */
  #writeInside<T>(writeId: string, work: (writer: RegistryWriter) => T): Promise<T> {
    const isClockAlone = this.#writeBlocks.current?.reason === "clock";
    return isClockAlone ? this.#replication.write(writeId, work) : this.#write(writeId, work);
  }

  /** @throws MiniTorrentError TRACKER_CANNOT_WRITE */
  #requireWritable(cause?: unknown): void {
    const block = this.#writeBlocks.current;
    if (block === undefined) return;
    const sentence = `This tracker cannot write: ${block.sentence}.`;
    throw new MiniTorrentError("TRACKER_CANNOT_WRITE", sentence, { cause });
  }

  #writeBlockBegan({ reason, sentence }: WriteBlock, log: Logger): void {
    log.error({ reason }, `this tracker cannot write: ${sentence}`);
    if (reason === "registry-damaged") this.#metDamage(log);
    if (DISK_REASONS.some((disk) => disk === reason)) {
      this.#replication.stopStoring();
      this.#retryLater();
    }
    this.#turnAwayUnlessServing();
  }

  #metDamage(log: Logger): void {
    this.#replication.stopStoring();
    try {
      suspect(this.#dataDir);
    } catch (error) {
      log.error({ err: error }, "the next start cannot be told of the damage");
    }
    this.#damaged.abort();
  }

  #writeBlockEnded(log: Logger): void {
    if (this.#writeBlocks.current !== undefined || this.#links === undefined) return;
    log.warn("this tracker can write again");
    this.#missed = this.#replication.heard;
    const { isStoring, isAnotherStoring } = this.#replication;
    const hasMissedNothing = isStoring || (this.#replication.has(this.#missed) && !isAnotherStoring);
    this.#replication.resumeStoring();
    if (hasMissedNothing || !this.#hasCaughtUp) return; // or it is catching up already
    this.#hasCaughtUp = false;
    this.#turnAwayUnlessServing();
    this.#catchUp(this.#links, log).catch((error: unknown) =>
      log.error({ err: error }, "catching up failed"),
    );
  }

  #turnAwayUnlessServing(): void {
    if (!this.#isServing) this.#server?.turnClientsAway(this.#writeBlocks.current?.reason ?? "catching up");
  }

  #retryLater(): void {
    this.#cancelRetry();
    this.#cancelRetry = this.#clock.setTimer(RETRY_WRITE_MS, () => void this.#retryWrite());
  }

  /** Whether the disk accepts writes again; never rejects. */
  async #retryWrite(): Promise<void> {
    if (!DISK_REASONS.some((reason) => this.#writeBlocks.has(reason))) return;
    try {
      const hasRoom =
        !this.#writeBlocks.has("disk-full") || (await freeBytes(this.#dataDir)) >= LEAST_ROOM_BYTES;
      if (hasRoom) {
        await this.#registry.probe();
        for (const reason of DISK_REASONS) this.#writeBlocks.end(reason);
        return;
      }
    } catch {
      // Reported already; the next attempt follows.
    }
    this.#retryLater();
  }

  #clockChanged(doubt: ClockDoubt | undefined): void {
    if (doubt === undefined) this.#writeBlocks.end("clock");
    else this.#writeBlocks.begin("clock", doubt.sentence);
  }

  /** The time of a past event, in milliseconds since 1970, by the current wall clock. */
  #wallMs(clockMs: number): number {
    return Math.round(this.#clockGuard.nowMs() - (this.#clock.nowMs() - clockMs));
  }

  #sampleLag(): void {
    this.#cancelSample = this.#clock.setTimer(LAG_SAMPLE_MS, () => this.#sampleLag());
    const links = this.#linkStatus().map(({ address, state, lagRecords = 0 }) => ({
      ...{ address, lagRecords, isConnected: state === "connected" },
    }));
    const rows = Object.values(this.#registry.vector).reduce((sum, seq) => sum + seq, 0);
    this.#lag.sample(links, rows, this.#clock.nowMs());
    this.#revocationWindow.sample(links, this.#clockGuard.nowMs(), this.#clock.nowMs());
    this.#turnAwayUnlessServing(); // another tracker may be reachable by now
  }

  /** Names the period since the last lost link (see the collector); undefined while a tracker is not connected. */
  #connectedEra(): string | undefined {
    const links = this.#linkStatus();
    if (!this.#isServing || links.some(({ state }) => state !== "connected")) return undefined;
    return links.map(({ address, sinceMs }) => `${address} ${sinceMs}`).join();
  }

  #linkStatus(): TrackerLinkStatus[] {
    const status = this.#replication.status();
    const nowMs = this.#clock.nowMs();
    return (this.#links?.peers() ?? []).map(({ name, downSinceMs }) => {
      const lagSeconds = this.#lag.secondsOf(name, nowMs);
      const link = status.find((replica) => replica.name === name);
      return link === undefined
        ? {
            address: name,
            state: "disconnected",
            lagRecords: undefined,
            lagSeconds,
            sinceMs: this.#wallMs(downSinceMs),
          }
        : {
            ...{ address: name, state: link.state, lagRecords: link.lagRecords, lagSeconds },
            sinceMs: this.#wallMs(link.since),
          };
    });
  }

  #linkReport(): TrackerLinkReport[] {
    const peers = this.#links?.peers() ?? [];
    return this.#linkStatus().map((link) => ({
      ...link,
      trouble:
        link.state === "disconnected" ? peers.find(({ name }) => name === link.address)?.trouble : undefined,
    }));
  }

  #health(): unknown {
    return {
      address: this.address,
      trackerId: this.#registry.origin,
      startedAtMs: this.#startedAtMs,
      digest: this.#registry.digest(),
      isServing: this.#isServing,
      cannotWrite: this.#writeBlocks.current ?? null,
      clientsOnline: this.#connections.count,
      links: this.#linkStatus(),
    };
  }
}

/** Processor time of the event loop's thread; a busy machine does not make it faster. */
function threadTimeMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function setTimer(delayMs: number, callback: () => void): () => void {
  const timer = later("a timer of the tracker", delayMs, callback);
  return () => clearTimeout(timer);
}
