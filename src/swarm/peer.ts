// The state of one connection: who is there, what it has, how it stands to us and we to it; what is asked of it is in
// peer-requests.ts. Each transition is a method; whoever decides on them is elsewhere (downloader.ts, choker.ts, torrent.ts).
import type { Bitfield } from "../metainfo/bitfield.ts";
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
/** A seeder that suggests says more of it sooner than that while it has new pieces. */
const SUGGESTING_MS = 1000;

/** How the peer stands to our wishes. */
export type Giving = { readonly status: "choking" } | { readonly status: "giving" };
/** How we stand to the peer's. */
export type Taking =
  | { readonly status: "choked"; readonly sinceMs: number }
  | { readonly status: "unchoked"; readonly sinceMs: number };

export interface PeerOptions {
  readonly slot: number;
  readonly sourceIndex: number;
  readonly identity: PeerIdentity;
  readonly link: PeerLink;
  readonly supportsFast: boolean;
  readonly pieceCount: number;
  readonly requestsToPeer: number;
  readonly trust: SmartBan;
  readonly nowMs: number;
  /** Made with the peer, since its events belong to the peer. */
  readonly makeUploads: (peer: Peer) => UploadQueue;
  /** Called when the choker chokes the peer: what waited is dropped. */
  readonly onChoke: (peer: Peer) => void;
  /** Called when the choker unchokes the peer, before it is told. */
  readonly onUnchoke: (peer: Peer) => void;
  readonly clock: () => number;
}

export class Peer implements PickingPeer, ChokablePeer {
  readonly slot: number;
  readonly sourceIndex: number;
  readonly identity: PeerIdentity;
  readonly link: PeerLink;
  readonly supportsFast: boolean;
  readonly downloaded = new Rate();
  readonly uploaded = new Rate();
  readonly window: RequestWindow;
  readonly requests: PeerRequests;
  readonly uploads: UploadQueue;
  readonly #trust: SmartBan;
  readonly #clock: () => number;
  readonly #onChoke: (peer: Peer) => void;
  readonly #onUnchoke: (peer: Peer) => void;
  #has: PieceSet;
  #hasSaidWhatItHas = false;
  #isSeed = false;
  #isConnected = true;
  #giving: Giving = { status: "choking" };
  #taking: Taking;
  #isInterestedInUs = false;
  #excessRequests = 0;
  /** Pieces that the peer has and we lack. */
  #wantedCount = 0;
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
    this.#trust = options.trust;
    this.#clock = options.clock;
    this.#onChoke = options.onChoke;
    this.#onUnchoke = options.onUnchoke;
    this.#has = new PieceSet(options.pieceCount);
    this.#taking = { status: "choked", sinceMs: options.nowMs };
    this.#listenPort = options.identity.listenPort;
    this.window = new RequestWindow(options.requestsToPeer, options.nowMs);
    const { window, supportsFast } = this;
    this.requests = new PeerRequests({ window, supportsFast, clock: options.clock });
    this.uploads = options.makeUploads(this);
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

  /** The first word on what it has. `have`: what we have. */
  saysItHas(pieces: PieceSet, have: Bitfield): void {
    this.#has = pieces;
    this.#hasSaidWhatItHas = true;
    this.#isSeed = pieces.isFull;
    this.#wantedCount = pieces.countMissingIn(have);
  }

  /** Returns false if it was known. */
  gained(pieceIndex: number, weLackIt: boolean): boolean {
    this.#hasSaidWhatItHas = true;
    if (!this.#has.add(pieceIndex)) return false;
    if (weLackIt) this.#wantedCount++;
    return true;
  }

  becameSeed(): void {
    this.#isSeed = true;
  }

  /** We have the piece now. */
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

  // What it gives

  get giving(): Giving {
    return this.#giving;
  }

  get isOnParole(): boolean {
    return this.#trust.isOnParole(this.sourceIndex);
  }

  get weAreInterested(): boolean {
    return this.#weAreInterested;
  }

  /** Says whether we want something of the peer, if that has changed. */
  updateInterest(isDownloading: boolean): void {
    const isWanted = isDownloading && this.#wantedCount > 0;
    if (isWanted === this.#weAreInterested) return;
    this.#weAreInterested = isWanted;
    if (isWanted) this.link.interested();
    else this.link.notInterested();
  }

  /** Giving -> choking. */
  chokedUs(): void {
    this.#giving = { status: "choking" };
    this.requests.choked();
  }

  /** Choking -> giving. */
  unchokedUs(): void {
    this.#giving = { status: "giving" };
    this.window.unchoked(this.#clock());
  }

  get isHungry(): boolean {
    return this.requests.isHungry;
  }

  /** A block of it was put in its place. */
  gave(bytes: number): void {
    this.downloaded.add(bytes);
    this.requests.received(bytes);
  }

  /** `elapsedMs` have gone by since the last call. */
  advance(elapsedMs: number): void {
    this.downloaded.advance(elapsedMs);
    this.uploaded.advance(elapsedMs);
    this.requests.advance(elapsedMs);
  }

  // What it takes

  get isInterestedInUs(): boolean {
    return this.#isInterestedInUs;
  }

  interestChanged(isInterested: boolean): void {
    this.#isInterestedInUs = isInterested;
  }

  get isUnchoked(): boolean {
    return this.#taking.status === "unchoked";
  }

  get chokedOrUnchokedAtMs(): number {
    return this.#taking.sinceMs;
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

  /** Unchoked -> choked. */
  choke(): void {
    if (this.#taking.status === "choked") return;
    this.#taking = { status: "choked", sinceMs: this.#clock() };
    this.link.choke();
    this.#onChoke(this);
  }

  /** Choked -> unchoked. */
  unchoke(): void {
    if (this.#taking.status === "unchoked") return;
    this.#taking = { status: "unchoked", sinceMs: this.#clock() };
    this.#onUnchoke(this);
    this.link.unchoke();
  }

  // What it says of itself

  introducedItself(clientName: string | undefined, listenPort: number | undefined): void {
    this.#clientName = clientName;
    this.#listenPort ??= listenPort;
  }

  snapshot(): PeerSnapshot {
    const remarks: string[] = [];
    if (this.#weAreInterested && this.#giving.status === "choking") remarks.push("choked");
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
      downloadBytesPerSecond: this.downloadBytesPerSecond,
      uploadBytesPerSecond: this.uploadBytesPerSecond,
      downloadedBytes: this.downloaded.totalBytes,
      uploadedBytes: this.uploaded.totalBytes,
      requestsOutstanding: this.requests.outstanding,
      requestWindow: this.window.sizeBlocks,
      weAreInterested: this.#weAreInterested,
      isInterestedInUs: this.#isInterestedInUs,
      isChokingUs: this.#giving.status === "choking",
      weAreChoking: this.#taking.status === "choked",
      remarks,
    };
  }
}
