// One torrent's swarm: connects downloader and uploader, knows its peers, and reports to its owner. Messages of peers arrive in
// peer-message-handler.ts. It touches no socket, file, timer or clock: connections are PeerLinks (wire), the disk is a
// PieceStorage, and time passes with `tick`.
import type { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import {
  EXTENSION_HANDSHAKE_ID,
  type ExtensionHandshake,
  encodeExtensionHandshake,
} from "../wire/extensions.ts";
import type { Farewell } from "../wire/farewell.ts";
import type { PeerLink, PeerListener } from "../wire/messages.ts";
import { Contributors } from "./contributors.ts";
import { DepartedPeers } from "./departed-peers.ts";
import { Downloader, type VerifiedPiece } from "./downloader.ts";
import { OwnPieces } from "./own-pieces.ts";
import { Peer } from "./peer.ts";
import {
  closeIfNeitherNeedsAnything,
  PeerMessageHandler,
  type TorrentContext,
} from "./peer-message-handler.ts";
import type { PieceSet } from "./piece-set.ts";
import { Rate } from "./rate.ts";
import { type PieceReader, ReadAhead, type ReadAheadOptions } from "./read-ahead.ts";
import { SmartBan } from "./smart-ban.ts";
import type { PieceStorage } from "./storage-interface.ts";
import type { TokenBucket } from "./token-bucket.ts";
import {
  type PeerIdentity,
  type PeerSnapshot,
  type PieceHolder,
  type TorrentEvent,
  type TorrentLimits,
  type TorrentState,
  type TorrentStatus,
  waitingFor,
} from "./torrent-status.ts";
import { Uploader } from "./uploader.ts";

const DEFAULT_LIMITS: TorrentLimits = {
  // 32 MB of blocks: a window of 2 s at 16 MB/s, or a round trip of 100 ms at 320 MB/s. libtorrent announces 2,000 too.
  requestsFromPeer: 2000,
  // 16 MiB: 1 Gbit/s at a round trip of 100 ms needs 12.5 MB; each of these has memory reserved.
  requestsToPeer: 1024,
  // All peers, in a group of that size; more as long as the uplink is free (choker.ts).
  uploadSlots: 32,
};

/** Once we are complete, we leave it to other complete peers for so long to close the connection: a message that is sent just
 * before closing may not arrive, and a peer that does not know that we have everything would dial us again. */
const LAST_WORD_MS = 1000;

/** The owner is told after this time that nothing arrives, if no peer has a missing piece... */
const STARVED_MS = 2_000;
/** ...and after this time if a peer has one: in a crowd a peer is choked for some rounds of 10 s. */
const WAITING_MS = 30_000;

export interface TorrentOptions {
  readonly geometry: Geometry;
  /** Verified so far; copied. */
  readonly have: Bitfield;
  /** The pieces to fetch; all if it is left out. See `want`. */
  readonly wanted?: Bitfield | undefined;
  readonly storage: PieceStorage;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly onEvent: (event: TorrentEvent) => void;
  readonly limits?: Partial<TorrentLimits>;
  /** Limits of what is sent and requested; without it there are none. */
  readonly bandwidth?: { readonly up: TokenBucket; readonly down: TokenBucket };
  /** How many other members have everything, as far as the owner knows; unknown if it is missing. */
  readonly otherSeedCount?: () => number;
  readonly clientName?: string;
  /** Where this client listens for peers; told to them. */
  readonly listenPort?: number;
  /** Runs work after what is running now; `queueMicrotask` if nothing else is given. */
  readonly defer?: (work: () => void) => void;
}

export class Torrent {
  readonly #options: TorrentOptions;
  readonly #limits: TorrentLimits;
  readonly #pieces: OwnPieces;
  readonly #smartBan = new SmartBan();
  readonly #contributors = new Contributors();
  readonly #departedPeers = new DepartedPeers();
  readonly #downloader: Downloader;
  readonly #uploader: Uploader;
  readonly #readAhead: ReadAhead;
  readonly #context: TorrentContext;
  readonly #downloaded = new Rate();
  readonly #uploaded = new Rate();
  #peers: readonly Peer[] = [];
  readonly #freeSlots: number[] = [];
  #slotCount = 0;
  #state: TorrentState;
  #lastTickMs: number;
  #isHeldByOthers = false;
  /** When a block arrived last, or the torrent was made. */
  #movedAtMs: number;
  #isWaitingTold = false;
  /** When the last piece was verified; undefined: not yet, or longer than `LAST_WORD_MS` ago. */
  #completedAtMs: number | undefined;

  constructor(options: TorrentOptions) {
    const { geometry, storage, nowMs, random } = options;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const pieces = new OwnPieces({ geometry, have: options.have.clone(), wanted: options.wanted });
    this.#pieces = pieces;
    this.#lastTickMs = nowMs();
    this.#movedAtMs = this.#lastTickMs;
    this.#state = { status: pieces.isSatisfied ? "seeding" : "downloading" };
    this.#downloader = new Downloader({
      geometry,
      pieces,
      storage,
      nowMs,
      random,
      bucket: options.bandwidth?.down,
      onPieceVerified: (verified) => this.#pieceVerified(verified),
      onPieceCorrupt: (pieceIndex, contributors) => this.#pieceCorrupt(pieceIndex, contributors),
      onStorageFailed: (error) => this.#storageFailed(error),
      onBlock: (peer, bytes) => {
        peer.received(bytes);
        this.#downloaded.add(bytes);
        this.#contributors.receivedBlock(peer.sourceIndex, bytes);
      },
    });
    this.#uploader = new Uploader({
      geometry,
      pieces,
      storage,
      nowMs,
      random,
      defer: options.defer ?? queueMicrotask,
      uploadSlots: this.#limits.uploadSlots,
      requestsFromPeer: this.#limits.requestsFromPeer,
      bucket: options.bandwidth?.up,
      peers: () => this.#peers,
      isNowhereElse: (pieceIndex) => this.#downloader.picker.availability.rarity(pieceIndex) === 0,
      isOnlySeed: () => options.otherSeedCount?.() === 0,
      onSent: (bytes) => this.#uploaded.add(bytes),
      onReadFailed: (pieceIndex, error) => this.#emit({ type: "read-failed", pieceIndex, error }),
    });
    this.#readAhead = new ReadAhead({
      geometry,
      pieces,
      nowMs,
      onDeadlines: (deadlines) => this.#downloader.setDeadlines(deadlines),
      onReading: (isReading) => this.#sayAgain({ isReading }),
    });
    this.#context = {
      pieces,
      downloader: this.#downloader,
      uploader: this.#uploader,
      departedPeers: this.#departedPeers,
      isDownloading: () => this.#state.status === "downloading",
      onGained: () => this.#noteIfHeldByOthers(),
      onLeft: (peer) => this.#peerLeft(peer),
      onFarewell: (peer, farewell) => this.#saidFarewell(peer, farewell),
    };
  }

  /** The verified pieces. It is the torrent's own, and grows: only read it. */
  get have(): Bitfield {
    return this.#pieces.have;
  }

  /** Every wanted piece is verified. */
  get hasAllWanted(): boolean {
    return this.#pieces.isSatisfied;
  }

  /** The wanted pieces that are not verified. Only read it; it is another set after `want`. */
  get missing(): PieceSet {
    return this.#pieces.missing;
  }

  get state(): TorrentState {
    return this.#state;
  }

  get peerCount(): number {
    return this.#peers.length;
  }

  /** A tick would find nothing to do: no peer is connected, no piece is missing, and the rates are 0. */
  get isIdle(): boolean {
    return (
      this.#peers.length === 0 &&
      this.#state.status !== "downloading" &&
      this.#downloaded.bytesPerSecond === 0 &&
      this.#uploaded.bytesPerSecond === 0
    );
  }

  // The owner's side

  /**
   * Adds a connection whose handshake is done: sends what we have and the extension handshake at once. The caller passes the
   * connection's messages to the returned listener. The connection of a banned user is closed at once.
   */
  connect(link: PeerLink, identity: PeerIdentity, supportsFast: boolean): PeerListener {
    const sourceIndex = this.#contributors.indexOf(identity.userId);
    const { nowMs } = this.#options;
    const slot = this.#freeSlots.pop() ?? this.#slotCount++;
    const uploaded = new Rate();
    const peer = new Peer({
      slot,
      sourceIndex,
      identity,
      link,
      supportsFast,
      pieceCount: this.have.pieceCount,
      requestsToPeer: this.#limits.requestsToPeer,
      smartBan: this.#smartBan,
      nowMs: nowMs(),
      clock: nowMs,
      uploads: this.#uploader.makeQueue({ slot, link, supportsFast, uploaded }),
      uploaded,
    });
    if (this.isIdle) this.#lastTickMs = nowMs();
    this.#peers = [...this.#peers, peer];
    this.#contributors.connected(sourceIndex);
    const stall = this.#contributors.stallOf(sourceIndex);
    if (stall !== undefined) {
      // A new connection does not make a new peer: it is probed before memory is reserved for its blocks.
      peer.requests.stalled(stall);
      peer.window.rest(nowMs(), 0);
    }
    const handler = new PeerMessageHandler(peer, this.#context);
    if (this.#state.status === "closed") {
      link.close("that file is not shared any longer");
    } else if (this.#smartBan.isBanned(sourceIndex)) {
      link.close(
        `${identity.userId} is banned: sent data that is not in the file`,
        this.#banFarewell(sourceIndex),
      );
    } else {
      handler.introduceOurselves({
        clientName: this.#options.clientName,
        listenPort: this.#options.listenPort,
        requestLimit: this.#limits.requestsFromPeer,
        isReading: this.#readAhead.isReading,
      });
    }
    return handler;
  }

  /** What all peers together get from here. */
  get uploadBytesPerSecond(): number {
    return this.#uploaded.bytesPerSecond;
  }

  /** Called by the owner about every 100 ms: timeouts, choker rounds, rates. */
  tick(): void {
    if (this.#state.status === "closed") return;
    const nowMs = this.#options.nowMs();
    const elapsedMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    this.#downloaded.advance(elapsedMs);
    this.#uploaded.advance(elapsedMs);
    for (const peer of this.#peers) peer.advance(elapsedMs);
    this.#downloader.tick();
    this.#uploader.tick(elapsedMs);
    this.#noteIfWaiting(nowMs);
    if (this.#completedAtMs === undefined || nowMs - this.#completedAtMs < LAST_WORD_MS) return;
    this.#completedAtMs = undefined;
    for (const peer of this.#peers) closeIfNeitherNeedsAnything(peer, this.#pieces);
  }

  /** Closes the connections to that device, or those for which the predicate holds. */
  disconnect(which: string | ((peer: PeerSnapshot) => boolean), reason: string): void {
    for (const peer of this.#peers) {
      const isMeant = typeof which === "string" ? peer.identity.deviceId === which : which(peer.snapshot());
      if (isMeant) peer.link.close(reason);
    }
  }

  status(): TorrentStatus {
    const pieces = this.#pieces;
    const peers = this.#peers.map((peer) => peer.snapshot());
    const { duplicateBytes } = this.#downloader;
    return {
      piecesVerified: pieces.wantedCount - pieces.missing.count,
      piecesWanted: pieces.wantedCount,
      pieceCount: pieces.have.pieceCount,
      bytesVerified: pieces.verifiedBytes,
      bytesWanted: pieces.wantedBytes,
      downloadBytesPerSecond: this.#downloaded.bytesPerSecond,
      uploadBytesPerSecond: this.uploadBytesPerSecond,
      downloadedBytes: this.#downloaded.totalBytes,
      uploadedBytes: this.#uploaded.totalBytes,
      wastedBytes: duplicateBytes + this.#downloader.discardedBytes,
      duplicateBytes,
      waitingFor: waitingFor({
        isDownloading: this.#state.status === "downloading",
        silentForMs: this.#options.nowMs() - this.#downloader.lastArrivalMs,
        isOutOfMemory: this.#downloader.picker.isOutOfMemory,
        isCommitting: this.#downloader.picker.isCommitting,
        peers,
      }),
      peers,
      sources: this.#contributors.snapshot(
        (sourceIndex) => this.#rateOf(sourceIndex),
        (sourceIndex) => this.#smartBan.isBanned(sourceIndex),
      ),
    };
  }

  /** Bytes of blocks since the torrent was made. */
  get traffic(): { readonly downloadedBytes: number; readonly uploadedBytes: number } {
    return { downloadedBytes: this.#downloaded.totalBytes, uploadedBytes: this.#uploaded.totalBytes };
  }

  /** How many connected peers have the piece. */
  copiesOf(pieceIndex: number): number {
    return this.#downloader.picker.availability.copies(pieceIndex);
  }

  /** Some of the piece has been requested, and it is not verified yet. */
  isComing(pieceIndex: number): boolean {
    return this.#downloader.picker.openPiece(pieceIndex) !== undefined;
  }

  /** Peers and their pieces, including those that departed peers had. */
  holders(): PieceHolder[] {
    const nowMs = this.#options.nowMs();
    const here = this.#peers.map((peer) => {
      const { userId, deviceId, remarks } = peer.snapshot();
      const isTried = peer.window.isResting;
      const facts = { isConnected: true, lastSeenAgoMs: 0, isTried, remarks, farewell: undefined };
      return { userId, deviceId, has: peer.has, ...facts };
    });
    const gone = [...this.#departedPeers.gone()].map(({ userId, deviceId, has, leftAtMs }) => {
      const facts = { isConnected: false, lastSeenAgoMs: nowMs - leftAtMs, isTried: false, remarks: [] };
      return { userId, deviceId, has, ...facts, farewell: this.farewellOf(deviceId) };
    });
    return [...here, ...gone];
  }

  /** How long our requests to that device have been unanswered, and its timeout; undefined if none is unanswered. */
  debtOf(deviceId: string): { readonly unansweredMs: number; readonly patienceMs: number } | undefined {
    const peer = this.#peers.find(({ identity }) => identity.deviceId === deviceId);
    const unansweredMs = peer?.requests.unansweredMs ?? 0;
    if (peer === undefined || unansweredMs === 0) return undefined;
    return { unansweredMs, patienceMs: peer.window.timeoutMs };
  }

  /** That device had all it wanted when it was last connected: two such peers need not dial each other. */
  neededNothing(deviceId: string): boolean {
    return this.#departedPeers.neededNothing(deviceId);
  }

  /** The piece for which that user is banned; undefined if they are not. */
  bannedFor(userId: string): number | undefined {
    const sourceIndex = this.#contributors.knownIndexOf(userId);
    return sourceIndex === undefined ? undefined : this.#smartBan.bannedFor(sourceIndex);
  }

  /** Why that device left, as it said; undefined if it did not, or is back. */
  farewellOf(deviceId: string): Farewell | undefined {
    return this.#departedPeers.farewellOf(deviceId);
  }

  /**
   * From now on these pieces are fetched, and no others. What is under way of pieces that are not wanted any longer is cancelled;
   * what is verified stays and is offered to others. Reports `all-verified` when nothing is missing any longer.
   * downloading <-> seeding.
   */
  want(wanted: Bitfield): void {
    if (this.#state.status === "closed") return;
    const wasSatisfied = this.#pieces.isSatisfied;
    const change = this.#pieces.want(wanted);
    if (change.added.count + change.dropped.count === 0) return;
    if (this.#state.status === "seeding") this.#resumes();
    this.#downloader.wantedChanged(change);
    for (const peer of this.#peers) {
      peer.missingChanged(this.#pieces.missing);
      this.#updateInterest(peer);
    }
    this.#downloader.pumpAll();
    this.#readAhead.wantedChanged();
    if (this.#pieces.isSatisfied) this.#allVerified();
    else if (wasSatisfied) this.#sayIfUploadOnly();
  }

  /**
   * Somebody reads the torrent from a position on while it downloads: what is ahead of it is fetched soonest first, the rest
   * as before. There may be several.
   */
  readAhead(options: ReadAheadOptions): PieceReader {
    return this.#readAhead.open(options);
  }

  /** Seeding -> downloading. */
  #resumes(): void {
    this.#state = { status: "downloading" };
    this.#lastTickMs = this.#options.nowMs();
    this.#movedAtMs = this.#lastTickMs;
    this.#isWaitingTold = false;
  }

  /** Storage has memory again. */
  roomAvailable(): void {
    this.#downloader.roomAvailable();
  }

  /**
   * Any state -> closed: closes every connection, frees memory, and reports nothing from now on.
   *
   * @param farewell what peers are told
   */
  close(reason: string, farewell?: Farewell): void {
    if (this.#state.status === "closed") return;
    this.#state = { status: "closed", reason };
    this.#readAhead.close();
    this.#downloader.stop();
    for (const peer of this.#peers) peer.link.close(reason, farewell);
  }

  /** No peer has a piece that is missing. */
  get isStarved(): boolean {
    return this.#state.status === "downloading" && !this.#peers.some((peer) => peer.weAreInterested);
  }

  // What peers do

  #noteIfWaiting(nowMs: number): void {
    if (this.#state.status !== "downloading") return;
    if (this.#downloader.lastArrivalMs > this.#movedAtMs) {
      this.#movedAtMs = this.#downloader.lastArrivalMs;
      this.#isWaitingTold = false;
    }
    const silentMs = nowMs - this.#movedAtMs;
    if (this.#isWaitingTold || silentMs < STARVED_MS) return;
    if (silentMs < WAITING_MS && !this.isStarved) return;
    this.#isWaitingTold = true;
    this.#emit({ type: "waiting" });
  }

  #noteIfHeldByOthers(): void {
    if (this.#isHeldByOthers || !this.have.isComplete) return;
    if (!this.#downloader.picker.availability.isWholeElsewhere()) return;
    this.#isHeldByOthers = true;
    this.#emit({ type: "held-by-others", uploadedBytes: this.#uploaded.totalBytes });
  }

  #peerLeft(peer: Peer): void {
    if (!peer.isConnected) return;
    peer.left();
    if (peer.hasSaidWhatItHas) {
      const { identity, has, needsNothing: neededNothing } = peer;
      const { userId, deviceId } = identity;
      this.#departedPeers.left({ userId, deviceId, has, neededNothing, leftAtMs: this.#options.nowMs() });
    }
    this.#peers = this.#peers.filter((other) => other !== peer);
    this.#downloader.peerLeft(peer);
    this.#uploader.peerLeft(peer);
    this.#contributors.disconnected(peer.sourceIndex, peer.requests.stall);
    this.#freeSlots.push(peer.slot);
  }

  #saidFarewell(peer: Peer, farewell: Farewell): void {
    if (!peer.isConnected) return;
    this.#departedPeers.saidFarewell(peer.identity.deviceId, farewell);
    peer.link.close(`the peer said: ${farewell.reason}`);
    this.#peerLeft(peer);
    this.#emit({ type: "peer-left", userId: peer.userId, farewell });
  }

  #banFarewell(sourceIndex: number): Farewell {
    const pieceIndex = this.#smartBan.bannedFor(sourceIndex);
    return { reason: "bad-data", ...(pieceIndex !== undefined && { pieceIndex }) };
  }

  // What happens to pieces

  #pieceVerified({ pieceIndex, wasMissing, contributors, lastSender }: VerifiedPiece): void {
    this.#smartBan.pieceVerified(contributors);
    this.#contributors.finishedPiece(lastSender);
    for (const peer of this.#peers) {
      if (wasMissing) peer.weGained(pieceIndex);
      this.#updateInterest(peer);
      peer.link.have(pieceIndex);
    }
    const lastFirst = [lastSender, ...contributors.filter((sourceIndex) => sourceIndex !== lastSender)];
    this.#emit({ type: "piece-verified", pieceIndex, userIds: this.#userIds(lastFirst) });
    this.#readAhead.pieceVerified();
    if (wasMissing && this.#pieces.isSatisfied) this.#allVerified();
  }

  #allVerified(): void {
    if (this.#state.status === "downloading") this.#state = { status: "seeding" };
    this.#sayIfUploadOnly();
    this.#emit({ type: "all-verified" });
    this.#completedAtMs = this.#options.nowMs();
  }

  /** BEP 21: that everything is here is known from our `have`s; that we want no more than a part is said. */
  #sayIfUploadOnly(): void {
    if (this.have.isComplete) return;
    this.#sayAgain({ isUploadOnly: this.#pieces.isSatisfied });
  }

  /** Another extension handshake, with what has changed (BEP 10). */
  #sayAgain(changes: Pick<ExtensionHandshake, "isUploadOnly" | "isReading">): void {
    const unchanged = { listenPort: undefined, requestLimit: undefined, clientName: undefined };
    const payload = encodeExtensionHandshake({ extensionIds: new Map(), ...unchanged, ...changes });
    for (const peer of this.#peers) peer.link.extended(EXTENSION_HANDSHAKE_ID, payload);
  }

  #pieceCorrupt(pieceIndex: number, contributors: readonly number[]): void {
    const banned = this.#smartBan.pieceFailed(pieceIndex, contributors);
    const bannedUserIds = this.#userIds(banned);
    this.#emit({
      type: "piece-corrupt",
      pieceIndex,
      userIds: this.#userIds(contributors),
      bannedUserIds,
    });
    const reason = `piece ${pieceIndex}, all of it from this user, is not what it should be`;
    for (const userId of bannedUserIds) this.#emit({ type: "peer-banned", userId, reason });
    for (const peer of this.#peers) {
      if (banned.includes(peer.sourceIndex))
        peer.link.close(`banned: ${reason}`, this.#banFarewell(peer.sourceIndex));
    }
  }

  #storageFailed(error: MiniTorrentError): void {
    if (this.#state.status !== "downloading") return;
    this.#state = { status: "failed", error };
    this.#downloader.stop();
    for (const peer of this.#peers) this.#updateInterest(peer);
    this.#emit({ type: "storage-failed", error });
  }

  #updateInterest(peer: Peer): void {
    peer.updateInterest(this.#state.status === "downloading");
  }

  #rateOf(sourceIndex: number): number {
    let bytesPerSecond = 0;
    for (const peer of this.#peers) {
      if (peer.sourceIndex === sourceIndex) bytesPerSecond += peer.downloadBytesPerSecond;
    }
    return bytesPerSecond;
  }

  #userIds(sourceIndexes: readonly number[]): string[] {
    return sourceIndexes.map((sourceIndex) => this.#contributors.userId(sourceIndex));
  }

  #emit(event: TorrentEvent): void {
    if (this.#state.status !== "closed") this.#options.onEvent(event);
  }
}

export type { PieceReader, ReadAheadOptions } from "./read-ahead.ts";
export type { PieceStorage } from "./storage-interface.ts";
export type {
  PeerIdentity,
  PeerSnapshot,
  TorrentEvent,
  TorrentState,
  TorrentStatus,
} from "./torrent-status.ts";
