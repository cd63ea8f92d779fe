// A tracker: creates and connects its registry, links to the other trackers, presence and server, and starts and stops them.

import { randomUUID } from "node:crypto";
import { uptime } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { formatAddress, type TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { type DeviceIdentity, fingerprintOfPem } from "../identity/certificates.ts";
import { PinStore } from "../identity/pins.ts";
import { makePrivateFolder } from "../identity/private-files.ts";
import { openIdentity } from "../identity/stored-identity.ts";
import { freeBytes } from "../net/free-space.ts";
import { type Clock, later, onTimerFault, soon } from "../net/timers.ts";
import { backUp } from "./backup.ts";
import { ATTEMPTS_FILE, makePrivateFiles, PINS_FILE } from "./data-directory.ts";
import { GuardedWrites } from "./guarded-writes.ts";
import { Operator } from "./operator.ts";
import { Connections } from "./presence/client-connections.ts";
import { EventPublisher } from "./presence/event-publisher.ts";
import { KnownMembers } from "./presence/known-members.ts";
import { PeerDirectory } from "./presence/peer-directory.ts";
import { Presence } from "./presence/presence.ts";
import { RegistryReactions } from "./presence/registry-reactions.ts";
import { type ClockDoubt, ClockGuard } from "./registry/clock-guard.ts";
import { ClockWatch } from "./registry/clock-watch.ts";
import { openRegistry, suspect } from "./registry/damaged-registry.ts";
import type { SqliteRegistry } from "./registry/sqlite-registry.ts";
import { stampMs } from "./registry/stamp.ts";
import { RegistryUpkeep } from "./registry-upkeep.ts";
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
import { listen, type TrackerServer } from "./server/server.ts";
import { type WriteBlock, WriteBlocks } from "./server/write-block.ts";
import { ServiceState } from "./service-state.ts";
import { DEFAULT_TRACKER_LIMITS, type TrackerLimits } from "./tracker-limits.ts";

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
  readonly #writeBlocks: WriteBlocks;
  readonly #service: ServiceState;
  readonly #writes: GuardedWrites;
  readonly #upkeep: RegistryUpkeep;
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
      write: (work) => this.#writes.writeInside(randomUUID(), work),
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
    this.#service = new ServiceState({
      ...{ registry, replication: this.#replication, writeBlocks, clock: this.#clock, log },
      freeBytes: () => freeBytes(dataDir),
      suspect: () => suspect(dataDir),
      turnAway: (reason) => this.#server?.turnClientsAway(reason),
    });
    this.#writes = new GuardedWrites({
      ...{ replication: this.#replication, writeBlocks },
      checkClock: () => this.#clockWatch?.check(),
      others: () => (this.#links?.peers() ?? []).map(({ name }) => name),
      onWrite: () => this.#metrics.write(),
    });
    this.#upkeep = new RegistryUpkeep({
      ...{ registry, clock: this.#clock },
      mayWrite: () => writeBlocks.current === undefined,
    });
    this.operator = new Operator({
      ...{ registry, nowMs },
      write: async (writeId, work) => (await this.#writes.writeAndConfirm(writeId, work)).unconfirmedAt,
    });
    this.#collector = new Collector({
      ...{ registry, log, nowMs, setTimer },
      write: (work) => this.#writes.write(randomUUID(), work),
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
    const writeBlocks = new WriteBlocks(nowMs);
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
    let tracker: Tracker | undefined;
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
    return this.#service.damaged;
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
      isServing: this.#service.isServing,
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
    await backUp(this.#dataDir, this.#registry, folder);
  }

  /** The operator confirms that the machine's clock is right now. */
  acceptClock(): void {
    this.#clockWatch?.accept();
  }

  /** Closes clients, links and the data directory. All acknowledged writes are on disk before. */
  async close(): Promise<void> {
    this.#endFaults();
    this.#collector.close();
    this.#cancelSample();
    this.#service.close();
    this.#clockWatch?.close();
    this.#upkeep.close();
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
        write: (writeId, work, isRetry) => this.#writes.write(writeId, work, isRetry),
        writeAndConfirm: (writeId, work, isRetry) => this.#writes.writeAndConfirm(writeId, work, isRetry),
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
        trackerKeys: () => [
          { address: formatAddress(own), fingerprint: this.fingerprint },
          ...(links()?.keys() ?? []),
        ],
        nowMs: () => this.#clockGuard.nowMs(),
        counters: this.#metrics,
        reportFault: (error, path) => log.error({ err: error, path }, "a call failed inside"),
      },
      onEventPushed: () => this.#metrics.eventPushed(),
      isServing: () => this.#service.isServing,
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
    this.#upkeep.start();
    await this.#service.catchUp(this.#links);
    this.#clockWatch.check(); // compares with the other trackers' time
    this.#collector.start();
    log.info({ address: this.address, fingerprint: this.fingerprint }, "tracker listens");
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
    this.#service.turnAwayUnlessServing(); // another tracker may be reachable by now
  }

  /** Names the period since the last lost link (see the collector); undefined while a tracker is not connected. */
  #connectedEra(): string | undefined {
    const links = this.#linkStatus();
    if (!this.#service.isServing || links.some(({ state }) => state !== "connected")) return undefined;
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
      isServing: this.#service.isServing,
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
