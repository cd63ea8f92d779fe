// The state of one connection: whose it is, what the peer has, choking and interest in both directions. Our requests to it are
// in peer-requests.ts. Each transition is a method; the decisions are elsewhere (downloader.ts, choker.ts, torrent.ts).
import type { PeerLink } from "../wire/messages.ts";
import type { ChokablePeer } from "./choker.ts";
import { PeerRequests } from "./peer-requests.ts";
import type { PickingPeer } from "./piece-choice.ts";
import { PieceSet } from "./piece-set.ts";
import { Rate } from "./rate.ts";
import { RequestWindow } from "./request-window.ts";
import type { SmartBan } from "./smart-ban.ts";
import type { PeerIdentity, PeerSnapshot } from "./torrent-status.ts";
import type { UploadQueue } from "./upload-queue.ts";

/** Suggestions that are kept; of more, the oldest are forgotten. */
const MAX_SUGGESTIONS = 64;
/** A seeder that has new pieces for us suggests again within that time. */
const SUGGESTING_MS = 1000;

/** A peer whose speed is not known is taken to need this long for a block. */
const UNKNOWN_BLOCK_MS = 50;

export interface PeerOptions {
  readonly slot: number;
  readonly sourceIndex: number;
  readonly identity: PeerIdentity;
  readonly link: PeerLink;
  readonly supportsFast: boolean;
  readonly pieceCount: number;
  readonly requestsToPeer: number;
  readonly smartBan: SmartBan;
  readonly nowMs: number;
  readonly uploads: UploadQueue;
  /** What `uploads` sends. */
  readonly uploaded: Rate;
  readonly clock: () => number;
}

export class Peer implements PickingPeer, ChokablePeer {
  readonly slot: number;
  readonly sourceIndex: number;
  readonly identity: PeerIdentity;
  readonly link: PeerLink;
  readonly supportsFast: boolean;
  readonly downloaded = new Rate();
  readonly uploaded: Rate;
  readonly window: RequestWindow;
  readonly requests: PeerRequests;
  readonly uploads: UploadQueue;
  readonly #smartBan: SmartBan;
  readonly #clock: () => number;
  #has: PieceSet;
  #hasSaidWhatItHas = false;
  #isSeed = false;
  #isConnected = true;
  /** BEP 3: both sides begin choked. */
  #peerChoking = true;
  #amChoking = true;
  #chokedOrUnchokedAtMs: number;
  #isInterestedInUs = false;
  #excessRequests = 0;
  /** Pieces that the peer has and that are missing here. */
  #wantedCount = 0;
  #isUploadOnly = false;
  #weAreInterested = false;
  readonly #suggestions: number[] = [];
  #suggestedAtMs = Number.NEGATIVE_INFINITY;
  #clientName: string | undefined;
  #listenPort: number | undefined;

  constructor(options: PeerOptions) {
    this.slot = options.slot;
    this.sourceIndex = options.sourceIndex;
    this.identity = options.identity;
    this.link = options.link;
    this.supportsFast = options.supportsFast;
    this.#smartBan = options.smartBan;
    this.#clock = options.clock;
    this.#has = new PieceSet(options.pieceCount);
    this.#chokedOrUnchokedAtMs = options.nowMs;
    this.#listenPort = options.identity.listenPort;
    this.window = new RequestWindow(options.requestsToPeer, options.nowMs);
    const { window, supportsFast } = this;
    this.requests = new PeerRequests({ window, supportsFast, clock: options.clock });
    this.uploads = options.uploads;
    this.uploaded = options.uploaded;
  }

  /** Returns how many requests beyond the agreed number have come on this connection. */
  excessRequest(): number {
    return ++this.#excessRequests;
  }

  get userId(): string {
    return this.identity.userId;
  }

  // What it has

  get has(): PieceSet {
    return this.#has;
  }

  /** The peer has sent its bitfield, or have-all, have-none, or a have. */
  get hasSaidWhatItHas(): boolean {
    return this.#hasSaidWhatItHas;
  }

  /** Counted as a seed by the picker. */
  get isSeed(): boolean {
    return this.#isSeed;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  left(): void {
    this.#isConnected = false;
  }

  /** The peer's bitfield, have-all or have-none. `missing`: what we want and lack. */
  saysItHas(pieces: PieceSet, missing: PieceSet): void {
    this.#has = pieces;
    this.#hasSaidWhatItHas = true;
    this.#isSeed = pieces.isFull;
    this.#wantedCount = pieces.countInBoth(missing);
  }

  /** Returns false if it was known. */
  gained(pieceIndex: number, isMissingHere: boolean): boolean {
    this.#hasSaidWhatItHas = true;
    if (!this.#has.add(pieceIndex)) return false;
    if (isMissingHere) this.#wantedCount++;
    return true;
  }

  becameSeed(): void {
    this.#isSeed = true;
  }

  /** Other pieces are missing here than before. */
  missingChanged(missing: PieceSet): void {
    this.#wantedCount = this.#has.countInBoth(missing);
  }

  /** It has everything, or says that it has all it wants (BEP 21). */
  get needsNothing(): boolean {
    return this.#hasSaidWhatItHas && (this.#isUploadOnly || this.#has.isFull);
  }

  /** BEP 21. */
  saysIfUploadOnly(isUploadOnly: boolean): void {
    this.#isUploadOnly = isUploadOnly;
  }

  /** We have a piece that was missing. */
  weGained(pieceIndex: number): void {
    if (this.#has.has(pieceIndex)) this.#wantedCount--;
  }

  /** BEP 6. The piece exists. */
  suggested(pieceIndex: number): void {
    this.#suggestions.push(pieceIndex);
    if (this.#suggestions.length > MAX_SUGGESTIONS) this.#suggestions.shift();
    this.#suggestedAtMs = this.#clock();
  }

  takeSuggestion(): number | undefined {
    return this.#suggestions.shift();
  }

  get isSuggesting(): boolean {
    return this.#clock() - this.#suggestedAtMs < SUGGESTING_MS;
  }

  // What we download from it

  get isChokingUs(): boolean {
    return this.#peerChoking;
  }

  get isOnParole(): boolean {
    return this.#smartBan.isOnParole(this.sourceIndex);
  }

  get weAreInterested(): boolean {
    return this.#weAreInterested;
  }

  /** It serves requests, and has something that is missing here. */
  get isOpenToRequests(): boolean {
    return this.#isConnected && this.#weAreInterested && !this.#peerChoking;
  }

  /** Says whether we want something of the peer, if that has changed. */
  updateInterest(isDownloading: boolean): void {
    const isWanted = isDownloading && this.#wantedCount > 0;
    if (isWanted === this.#weAreInterested) return;
    this.#weAreInterested = isWanted;
    if (isWanted) this.link.interested();
    else this.link.notInterested();
  }

  chokedUs(): void {
    this.#peerChoking = true;
    this.requests.choked();
  }

  unchokedUs(): void {
    this.#peerChoking = false;
    this.window.unchoked(this.#clock());
  }

  get nextBlockMs(): number {
    if (!this.isOpenToRequests || this.window.isSnubbed) return Number.POSITIVE_INFINITY;
    const { outstanding, bytesPerSecond, nextBlockMs } = this.requests;
    const queuedMs = bytesPerSecond > 0 ? nextBlockMs : outstanding * UNKNOWN_BLOCK_MS;
    return queuedMs + this.window.roundTripMs;
  }

  get isHungry(): boolean {
    return this.requests.isHungry;
  }

  /** Bytes of a block from it were put in their place. */
  received(bytes: number): void {
    this.downloaded.add(bytes);
    this.requests.received(bytes);
  }

  /** `elapsedMs` have gone by since the last call. */
  advance(elapsedMs: number): void {
    this.downloaded.advance(elapsedMs);
    this.uploaded.advance(elapsedMs);
    this.requests.advance(elapsedMs);
  }

  // What we upload to it

  get isInterestedInUs(): boolean {
    return this.#isInterestedInUs;
  }

  interestChanged(isInterested: boolean): void {
    this.#isInterestedInUs = isInterested;
  }

  get isUnchoked(): boolean {
    return !this.#amChoking;
  }

  get chokedOrUnchokedAtMs(): number {
    return this.#chokedOrUnchokedAtMs;
  }

  get downloadBytesPerSecond(): number {
    return this.downloaded.bytesPerSecond;
  }

  get uploadBytesPerSecond(): number {
    return this.uploaded.bytesPerSecond;
  }

  get piecesHad(): number {
    return this.#has.count;
  }

  get isHeldByConnection(): boolean {
    return this.uploads.isHeld;
  }

  /** We choke the peer, and tell it. */
  choke(): void {
    if (this.#amChoking) return;
    this.#amChoking = true;
    this.#chokedOrUnchokedAtMs = this.#clock();
    this.link.choke();
  }

  /** We unchoke the peer, and tell it. */
  unchoke(): void {
    if (!this.#amChoking) return;
    this.#amChoking = false;
    this.#chokedOrUnchokedAtMs = this.#clock();
    this.link.unchoke();
  }

  // What it says of itself

  introducedItself(clientName: string | undefined, listenPort: number | undefined): void {
    // A later handshake may say less than the first.
    this.#clientName = clientName ?? this.#clientName;
    this.#listenPort ??= listenPort;
  }

  snapshot(): PeerSnapshot {
    const remarks: string[] = [];
    if (this.#weAreInterested && this.#peerChoking) remarks.push("choked");
    if (this.window.isSnubbed) remarks.push("snubbed");
    if (this.requests.remark !== undefined) remarks.push(this.requests.remark);
    if (this.isOnParole) remarks.push("on parole");
    return {
      userId: this.identity.userId,
      deviceId: this.identity.deviceId,
      address: this.identity.address,
      listenPort: this.#listenPort,
      clientName: this.#clientName,
      piecesHad: this.#has.count,
      pieceCount: this.#has.pieceCount,
      isSeed: this.#isSeed,
      needsNothing: this.needsNothing,
      downloadBytesPerSecond: this.downloadBytesPerSecond,
      uploadBytesPerSecond: this.uploadBytesPerSecond,
      downloadedBytes: this.downloaded.totalBytes,
      uploadedBytes: this.uploaded.totalBytes,
      requestsOutstanding: this.requests.outstanding,
      requestWindow: this.window.sizeBlocks,
      weAreInterested: this.#weAreInterested,
      isInterestedInUs: this.#isInterestedInUs,
      isChokingUs: this.#peerChoking,
      weAreChoking: this.#amChoking,
      remarks,
    };
  }
}
