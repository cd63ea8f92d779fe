// The torrents that run now, joined to the network: one listener for all of them, a connection manager each, and the tick that
// drives them. It knows sockets and swarms, not trackers or disks.
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { type Address, formatAddress } from "../api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import type { PeerAddress } from "../api/schemas.ts";
import type { DeviceIdentity } from "../identity/certificates.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Metainfo } from "../metainfo/metainfo.ts";
import { ConnectionPlaces, type Direction } from "../net/connection-places.ts";
import { every, forEachGuarded, reportFault } from "../net/timers.ts";
import { type PieceStorage, type ReadAheadOptions, Torrent, type TorrentEvent } from "../swarm/torrent.ts";
import { dial } from "../transport/dialer.ts";
import { type GroupCredentials, secureContextOf } from "../transport/group-credentials.ts";
import { Listener } from "../transport/listener.ts";
import type { PeerSocket } from "../transport/peer-socket.ts";
import type { Farewell } from "../wire/farewell.ts";
import { makePeerId, PEER_ID_RANDOM_BYTES } from "../wire/handshake.ts";
import type { Bandwidth } from "./bandwidth.ts";
import { ConnectionManager, type DialObstacle } from "./connection-manager.ts";
import type { AddressChange } from "./own-addresses.ts";
import { TorrentReader } from "./torrent-reader.ts";

/** How often torrents look at timeouts, rates and rounds of choking; the finest of these is a tenth of a second. */
const TICK_MS = 100;
/** Idle torrents are visited once in this time: a user may share thousands of files that nobody requests. */
const ROUND_MS = 1_000;
/** Ticks in a row that may fail before a torrent is given up: a second. */
const MOST_FAILED_TICKS = 10;
/**
 * When all places for connections are taken, idle connections are closed for waiting ones: files whose peers have nothing to send
 * must not block the others for good. A connection counts as idle after this time; the pauses of an active one are shorter.
 */
const USELESS_AFTER_MS = 10_000;
const LOOK_FOR_USELESS_MS = 3_000;
/** The share of places for incoming connections that is freed at once. */
const FREED_FOR_INCOMING = 1 / 4;

export interface ActiveTorrent {
  readonly groupId: string;
  readonly metainfo: Metainfo;
  readonly torrent: Torrent;
  readonly connections: ConnectionManager<PeerSocket>;
}

interface Running extends ActiveTorrent {
  readonly onEvent: (event: TorrentEvent) => void;
  failedTicks: number;
}

export interface SessionOptions {
  readonly listen: Address;
  readonly identity: DeviceIdentity;
  readonly bandwidth: Bandwidth;
  readonly log: Logger;
  /** Most connections to peers, in both directions together. */
  readonly connections: number;
  /** Somebody waits for a connection because all of these are taken. */
  readonly onConnectionsTaken: () => void;
  /** This device's credentials for a group; undefined while it has none. */
  readonly credentials: (groupId: string) => GroupCredentials | undefined;
  /** Called before dialling without credentials, to fetch them in the background. */
  readonly credentialsMissing: (groupId: string) => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #active = new Map<string, Running>();
  /** Torrents that are active. */
  readonly #awake = new Set<Running>();
  /** Position in the round of idle torrents. */
  #round = this.#active.values();
  readonly #peerId: Uint8Array;
  readonly #listener: Listener;
  #ticking: NodeJS.Timeout;
  /** TICK_MS, or ROUND_MS while all torrents are idle: a process that wakes ten times a second is not at rest. */
  #tickMs = ROUND_MS;
  readonly #places: ConnectionPlaces;
  /** Connections that were dialled, or are being, by info-hash. */
  readonly #dialled = new Map<string, number>();
  readonly #connectedAtMs = new WeakMap<PeerSocket, number>();
  #lookedForUselessMs = Number.NEGATIVE_INFINITY;

  private constructor(
    options: SessionOptions,
    peerId: Uint8Array,
    listener: Listener,
    places: ConnectionPlaces,
  ) {
    this.#places = places;
    this.#peerId = peerId;
    this.#options = options;
    this.#listener = listener;
    this.#ticking = this.#startTicking();
  }

  /** @throws MiniTorrentError ADDRESS_IN_USE, ADDRESS_UNUSABLE */
  static async open(options: SessionOptions): Promise<Session> {
    let session: Session | undefined;
    const peerId = makePeerId(randomBytes(PEER_ID_RANDOM_BYTES));
    const places = new ConnectionPlaces(options.connections, () => performance.now());
    const listener = await Listener.open({
      places,
      onNoPlace: () => session?.noPlace("in"),
      host: options.listen.host,
      port: options.listen.port,
      peerId,
      credentialsFor: (infoHash) => session?.credentialsFor(infoHash),
      onConnection: (socket) => session?.connected(socket),
      log: options.log,
    });
    session = new Session(options, peerId, listener, places);
    return session;
  }

  get port(): number {
    return this.#listener.port;
  }

  /** The IP addresses that it listens on; `0.0.0.0` and `::` for all of a family's. */
  get hosts(): readonly string[] {
    return this.#listener.hosts;
  }

  get(infoHash: string): ActiveTorrent | undefined {
    return this.#active.get(infoHash);
  }

  /** Joins a swarm: from now on its peers are dialled and accepted. */
  add(parts: {
    groupId: string;
    metainfo: Metainfo;
    have: Bitfield;
    /** The pieces to fetch; all if it is left out. See `Torrent.want`. */
    wanted?: Bitfield;
    storage: PieceStorage;
    onEvent: (event: TorrentEvent) => void;
  }): ActiveTorrent {
    const { groupId, metainfo } = parts;
    if (this.#active.has(metainfo.infoHash)) {
      throw new MiniTorrentError("INTERNAL", `The torrent of ${metainfo.fileName} runs already.`);
    }
    const torrent = new Torrent({
      geometry: metainfo.geometry,
      have: parts.have,
      wanted: parts.wanted,
      storage: parts.storage,
      nowMs: () => performance.now(),
      random: Math.random,
      onEvent: parts.onEvent,
      clientName: "miniTorrent",
      listenPort: this.port,
      otherSeedCount: () => connections.seedCount,
      bandwidth: this.#options.bandwidth.begun({ groupId, fileName: metainfo.fileName }),
    });
    const connections: ConnectionManager<PeerSocket> = new ConnectionManager<PeerSocket>({
      ownDeviceId: this.#options.identity.deviceId,
      nowMs: () => performance.now(),
      log: this.#options.log,
      isComplete: () => torrent.have.isComplete,
      wants: (peer) => this.#isUseful(active, peer) && this.#hasPlace(active, peer),
      obstacleTo: (peer) => {
        const isWaiting = connections.connectedCount === 0 && this.#places.isWaiting(metainfo.infoHash);
        return this.#obstacleTo(active, peer) ?? (isWaiting ? "no-descriptors" : undefined);
      },
      debtOf: (deviceId) => torrent.debtOf(deviceId),
      dial: (peer, signal) => this.#dial(active, peer, signal),
      onDialled: (socket) => this.connected(socket),
    });
    const active: Running = {
      onEvent: parts.onEvent,
      failedTicks: 0,
      groupId,
      metainfo,
      torrent,
      connections,
    };
    this.#active.set(metainfo.infoHash, active);
    this.#wake(active);
    return active;
  }

  /** Leaves a swarm: its connections are closed. @param farewell what peers are told */
  remove(infoHash: string, reason: string, farewell?: Farewell): void {
    const active = this.#active.get(infoHash);
    if (active === undefined) return;
    this.#active.delete(infoHash);
    this.#awake.delete(active);
    this.#places.forget(infoHash);
    active.connections.close(reason, farewell);
    active.torrent.close(reason, farewell);
    const { groupId, metainfo } = active;
    this.#options.bandwidth.ended({ groupId, fileName: metainfo.fileName });
  }

  all(): Iterable<ActiveTorrent> {
    return this.#active.values();
  }

  /** The running torrent of that file, shared or downloading. */
  find(groupId: string, fileName: string): ActiveTorrent | undefined {
    for (const active of this.#active.values()) {
      if (active.groupId === groupId && active.metainfo.fileName === fileName) return active;
    }
    return undefined;
  }

  /** Fetches those pieces of a running torrent from now on, and no others: see `Torrent.want`. */
  want(infoHash: string, wanted: Bitfield): void {
    const active = this.#active.get(infoHash);
    if (active === undefined) return;
    active.torrent.want(wanted);
    this.#wake(active);
    active.connections.tick();
  }

  /** Somebody reads a running torrent from a position on while it downloads; undefined if it does not run. */
  read(infoHash: string, options: ReadAheadOptions): TorrentReader | undefined {
    const active = this.#active.get(infoHash);
    return active && new TorrentReader(active.torrent, options);
  }

  /** Storage has memory again: torrents that waited for it continue. */
  roomAvailable(): void {
    forEachGuarded("going on with memory", this.#active.values(), ({ torrent }) => torrent.roomAvailable());
  }

  peerOnline(infoHash: string, peer: PeerAddress): void {
    this.#active.get(infoHash)?.connections.peerOnline(peer);
  }

  peerOffline(infoHash: string, deviceId: string): void {
    this.#active.get(infoHash)?.connections.peerOffline(deviceId);
  }

  /** This machine's addresses have changed: connections from lost ones are dead. */
  ownAddressesChanged({ lost }: AddressChange): void {
    for (const { connections } of this.#active.values()) {
      connections.disconnect(
        ({ localHost }) => lost.has(localHost),
        "this machine has that address no longer",
      );
      connections.ownAddressChanged();
    }
  }

  /** A membership ended: peers connected by it are disconnected, in every torrent of the group. */
  revoke(groupId: string, membershipId: string): void {
    for (const active of this.#active.values()) {
      if (active.groupId !== groupId) continue;
      active.connections.disconnect(
        (socket) => socket.membershipId === membershipId,
        "no longer a member of the group",
      );
    }
  }

  /** Credentials for accepting a peer of that torrent. */
  credentialsFor(infoHash: string): GroupCredentials | undefined {
    const active = this.#active.get(infoHash);
    return active && this.#credentialsOf(active);
  }

  /** A torrent's metainfo names its group's CA, permanently: certificates of no other CA are accepted. */
  #credentialsOf({
    groupId,
    metainfo,
  }: Pick<ActiveTorrent, "groupId" | "metainfo">): GroupCredentials | undefined {
    const credentials = this.#options.credentials(groupId);
    const isOfGroup = credentials?.authorityPem.trim() === metainfo.authorityPem.trim();
    return isOfGroup ? credentials : undefined;
  }

  /** A connection is established, dialled or accepted: both handshakes are done. */
  connected(socket: PeerSocket): void {
    const active = this.#active.get(socket.infoHash);
    // A revocation may have come between TLS, where it was checked, and the end of the handshakes.
    const isRevoked = this.credentialsFor(socket.infoHash)?.isRevoked(socket.membershipId) ?? true;
    if (active === undefined || isRevoked || !active.connections.admit(socket)) {
      socket.close("not wanted", isRevoked ? undefined : active?.connections.farewellTo(socket));
      return;
    }
    this.#wake(active);
    this.#places.forget(socket.infoHash);
    this.#connectedAtMs.set(socket, performance.now());
    const { torrent, connections, metainfo } = active;
    const { userId, deviceId, address } = socket;
    const listener = torrent.connect(
      socket,
      { userId, deviceId, address: formatAddress(address) },
      socket.supportsFast,
    );
    socket.start(listener, metainfo.geometry.pieceCount, () => {
      connections.gone(socket, torrent.farewellOf(deviceId));
    });
  }

  /** All places for connections in that direction are taken. */
  noPlace(direction: Direction): void {
    this.#options.onConnectionsTaken();
    const nowMs = performance.now();
    if (nowMs - this.#lookedForUselessMs < LOOK_FOR_USELESS_MS) return;
    this.#lookedForUselessMs = nowMs;
    const { waitingCount, mostOfDirection } = this.#places;
    const count = direction === "out" ? waitingCount : Math.ceil(mostOfDirection * FREED_FOR_INCOMING);
    for (const socket of this.#uselessConnections(direction === "out", nowMs).slice(0, count)) {
      socket.close("nothing flows over it, and its place is needed");
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    for (const infoHash of [...this.#active.keys()]) this.remove(infoHash, "the client is closing");
    await this.#listener.close();
  }

  #dial(active: ActiveTorrent, peer: PeerAddress, signal: AbortSignal): Promise<PeerSocket> {
    const { infoHash } = active.metainfo;
    const credentials = this.#credentialsOf(active);
    if (credentials === undefined) {
      throw new MiniTorrentError("PEER_REFUSED", `There is no certificate for the group ${active.groupId}.`);
    }
    secureContextOf(credentials); // throws for an unusable certificate, before a place is taken
    if (!this.#places.take("out")) {
      throw new MiniTorrentError("PEER_REFUSED", "There is no place for one more connection.");
    }
    this.#dialled.set(infoHash, (this.#dialled.get(infoHash) ?? 0) + 1);
    const onClosed = (): void => {
      this.#places.give("out");
      const left = (this.#dialled.get(infoHash) ?? 0) - 1;
      if (left > 0) this.#dialled.set(infoHash, left);
      else this.#dialled.delete(infoHash);
    };
    return dial({
      onClosed,
      host: peer.host,
      otherHosts: peer.otherHosts,
      port: peer.port,
      infoHash,
      credentials,
      peerId: this.#peerId,
      signal,
      log: this.#options.log,
    });
  }

  #isUseful(active: ActiveTorrent, peer: PeerAddress): boolean {
    const obstacle = this.#obstacleTo(active, peer);
    if (obstacle === "no-certificate") this.#options.credentialsMissing(active.groupId);
    return obstacle === undefined;
  }

  #obstacleTo(active: ActiveTorrent, peer: PeerAddress): DialObstacle | undefined {
    const { torrent } = active;
    if (torrent.hasAllWanted && (peer.isSeed || torrent.neededNothing(peer.deviceId))) return "not-needed";
    if (torrent.bannedFor(peer.userId) !== undefined) return "banned";
    return this.#credentialsOf(active) === undefined ? "no-certificate" : undefined;
  }

  #hasPlace({ metainfo, connections }: ActiveTorrent, { isSeed }: PeerAddress): boolean {
    const { infoHash } = metainfo;
    if (connections.connectedCount > 0 || this.#dialled.has(infoHash)) return this.#places.hasForMore;
    const hasPlace = this.#places.hasForFirst(infoHash, isSeed);
    if (!hasPlace) this.noPlace("out");
    return hasPlace;
  }

  /** Idle connections, those of members with many of them first. */
  #uselessConnections(isDialled: boolean, nowMs: number): PeerSocket[] {
    const ofMembers = new Map<string, PeerSocket[]>();
    for (const { torrent, connections } of this.#active.values()) {
      if (connections.connectedCount === 0) continue;
      const useful = new Set<string>();
      for (const peer of torrent.status().peers) {
        const { deviceId, downloadBytesPerSecond, uploadBytesPerSecond, requestsOutstanding } = peer;
        if (downloadBytesPerSecond + uploadBytesPerSecond + requestsOutstanding > 0) useful.add(deviceId);
      }
      for (const socket of connections.connected()) {
        const isYoung = nowMs - (this.#connectedAtMs.get(socket) ?? nowMs) < USELESS_AFTER_MS;
        if (socket.isDialled !== isDialled || isYoung || useful.has(socket.deviceId)) continue;
        const ofMember = ofMembers.get(socket.userId) ?? [];
        ofMember.push(socket);
        ofMembers.set(socket.userId, ofMember);
      }
    }
    return [...ofMembers.values()].sort((a, b) => b.length - a.length).flat();
  }

  #startTicking(): NodeJS.Timeout {
    return every("the tick of torrents", this.#tickMs, () => this.#tick());
  }

  #wake(active: Running): void {
    this.#awake.add(active);
    this.#setPace();
  }

  #setPace(): void {
    const tickMs = this.#awake.size > 0 ? TICK_MS : ROUND_MS;
    if (tickMs === this.#tickMs) return;
    clearInterval(this.#ticking);
    this.#tickMs = tickMs;
    this.#ticking = this.#startTicking();
  }

  #tick(): void {
    forEachGuarded("the tick of limits", [this.#options.bandwidth], (bandwidth) => bandwidth.tick());
    for (const active of this.#awake) this.#tickOf(active);
    for (let left = Math.ceil((this.#active.size * this.#tickMs) / ROUND_MS); left > 0; left--) {
      const active = this.#nextOfRound();
      if (active !== undefined && !this.#awake.has(active)) this.#visit(active);
    }
    this.#setPace();
  }

  /** The torrent after the last one visited, from the first again; undefined if there is none. */
  #nextOfRound(): Running | undefined {
    const next = this.#round.next();
    if (!next.done) return next.value;
    this.#round = this.#active.values();
    return this.#round.next().value;
  }

  /** An idle torrent still dials who is due. */
  #visit(active: Running): void {
    try {
      active.connections.tick();
    } catch (error) {
      reportFault(error, "the tick of a connection manager");
    }
    if (!active.torrent.isIdle) this.#awake.add(active);
  }

  /** A torrent whose tick fails does not stop others; one whose tick keeps failing is dropped, and its owner notified. */
  #tickOf(active: Running): void {
    const { torrent, connections } = active;
    try {
      if (torrent.isIdle) this.#awake.delete(active);
      else torrent.tick();
      connections.tick();
      active.failedTicks = 0;
    } catch (error) {
      reportFault(error, "the tick of a torrent");
      if (++active.failedTicks !== MOST_FAILED_TICKS) return;
      forEachGuarded("giving up a torrent", [asMiniTorrentError(error)], (failure) =>
        active.onEvent({ type: "tick-failed", error: failure }),
      );
    }
  }
}
