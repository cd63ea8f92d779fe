// Uploads: takes peers' requests, chokes and unchokes them, and answers the requests that are not served.
import type { MiniTorrentError } from "../api/errors.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import type { PeerLink } from "../wire/messages.ts";
import { Choker } from "./choker.ts";
import type { OwnPieces } from "./own-pieces.ts";
import type { Peer } from "./peer.ts";
import type { Rate } from "./rate.ts";
import type { PieceStorage } from "./storage-interface.ts";
import { SuperSeeding } from "./super-seeding.ts";
import type { TokenBucket } from "./token-bucket.ts";
import type { UploadRequest } from "./upload-parts.ts";
import { UploadQueue } from "./upload-queue.ts";

/** Contiguous pieces that are suggested one after the other (seeks of a disk, read-ahead). */
const RUN_LENGTH_BYTES = 1024 * 1024;

/**
 * Requests beyond the agreed number (`reqq`) that are rejected one by one; a connection with more is closed. A peer that keeps
 * to the agreement sends none, and one that sends them without end takes the time of all others.
 */
const MAX_EXCESS_REQUESTS = 10_000;

export interface UploaderOptions {
  readonly geometry: Geometry;
  readonly pieces: OwnPieces;
  readonly storage: Pick<PieceStorage, "read">;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly defer: (work: () => void) => void;
  readonly uploadSlots: number;
  readonly requestsFromPeer: number;
  /** What may be sent a second; undefined: anything. */
  readonly bucket: TokenBucket | undefined;
  readonly peers: () => readonly Peer[];
  /** True if no other peer has that piece. */
  readonly isNowhereElse: (pieceIndex: number) => boolean;
  /** True while no other peer has everything, as far as is known. */
  readonly isOnlySeed: () => boolean;
  /** Bytes of blocks, without their headers, were handed to a connection. */
  readonly onSent: (bytes: number) => void;
  readonly onReadFailed: (pieceIndex: number, error: MiniTorrentError) => void;
}

/** The connection that a queue of blocks belongs to. */
export interface UploadTarget {
  readonly slot: number;
  readonly link: PeerLink;
  readonly supportsFast: boolean;
  /** Counts what is sent. */
  readonly uploaded: Rate;
}

export class Uploader {
  readonly #options: UploaderOptions;
  readonly #choker: Choker<Peer>;
  readonly #superSeeding: SuperSeeding;
  /** Slots of peers that read while they download. */
  readonly #reading = new Set<number>();
  /** Peers that want something of us, while we are a seeder. */
  #interestedCount = 0;
  /** Some peer has to wait because a piece that is newer to the swarm goes to another first. */
  #isSomebodyPutOff = false;

  constructor(options: UploaderOptions) {
    this.#options = options;
    const { pieceCount, pieceLengthBytes } = options.geometry;
    this.#superSeeding = new SuperSeeding({
      pieceCount,
      runPieces: Math.max(1, RUN_LENGTH_BYTES / pieceLengthBytes),
      // A member who has all it wants may lack some pieces.
      isNowhereElse: (pieceIndex) => options.pieces.have.has(pieceIndex) && options.isNowhereElse(pieceIndex),
      // The only one that has everything goes in file order; several with the same part must not.
      isOnlySeed: () => options.pieces.have.isComplete && options.isOnlySeed(),
      random: options.random,
    });
    this.#choker = new Choker({
      slotCount: options.uploadSlots,
      geometry: options.geometry,
      nowMs: options.nowMs(),
      random: options.random,
    });
  }

  makeQueue(target: UploadTarget): UploadQueue {
    const { geometry, storage, defer, requestsFromPeer, bucket, onSent, onReadFailed } = this.#options;
    const { slot, link, uploaded } = target;
    return new UploadQueue({
      geometry,
      bucket,
      link,
      rate: uploaded,
      storage,
      defer,
      limit: requestsFromPeer,
      mayServe: (pieceIndex) => this.#mayServe(slot, pieceIndex),
      onSent: (pieceIndex, bytes) => {
        this.#superSeeding.sent(slot, pieceIndex, bytes);
        onSent(bytes);
        if (this.#isSomebodyPutOff && !this.#isNewPieceWaiting()) this.#pumpAllSoon();
      },
      onReadFailed: (pieceIndex, dropped, error) => {
        onReadFailed(pieceIndex, error);
        for (const request of dropped) this.#refuse(target, request, "a piece of ours cannot be read");
      },
    });
  }

  interestChanged(peer: Peer, isInterested: boolean): void {
    peer.interestChanged(isInterested);
    this.#fillFreeSlots();
  }

  /** The peer says whether it reads while it downloads: its requests wait less for new pieces of others. */
  readingChanged({ slot }: Peer, isReading: boolean): void {
    if (isReading) this.#reading.add(slot);
    else this.#reading.delete(slot);
  }

  requested(peer: Peer, request: UploadRequest): void {
    const { pieceIndex, offsetBytes, lengthBytes } = request;
    if (!this.#options.geometry.isRequestable(pieceIndex, offsetBytes, lengthBytes)) {
      peer.link.close(`it asked for ${lengthBytes} bytes at ${offsetBytes} of piece ${pieceIndex}`);
    } else if (!peer.isUnchoked) {
      // Without the fast extension a request that crossed our choke is dropped without an answer (BEP 3).
      if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    } else if (!this.#options.pieces.have.has(pieceIndex)) {
      this.#refuse(peer, request, "it asked for a piece that we lack");
    } else if (!peer.uploads.push(pieceIndex, offsetBytes, lengthBytes, this.#isUrgent(peer, pieceIndex))) {
      const reason = "it asked for more at once than was agreed";
      if (peer.excessRequest() > MAX_EXCESS_REQUESTS) peer.link.close(reason);
      else this.#refuse(peer, request, reason);
    } else {
      peer.uploads.pumpSoon();
    }
  }

  /** Nothing is missing here: what we have is for others. */
  get #isSeeder(): boolean {
    return this.#options.pieces.isSatisfied;
  }

  /** A seeder sends what no peer has before what some have. */
  #isUrgent(peer: Peer, pieceIndex: number): boolean {
    if (!this.#isSeeder) return false;
    this.#superSeeding.requested(peer.slot, pieceIndex, this.#options.nowMs());
    this.#suggest(peer);
    return this.#superSeeding.isNewFor(peer.slot, pieceIndex);
  }

  /** Some peer has the piece now. */
  gained(pieceIndex: number): void {
    this.#superSeeding.gained(pieceIndex);
  }

  cancelled(peer: Peer, { pieceIndex, offsetBytes, lengthBytes }: UploadRequest): void {
    const wasWaiting = peer.uploads.cancel(pieceIndex, offsetBytes, lengthBytes);
    // BEP 6: a cancelled request is answered too, by the block or by a reject.
    if (wasWaiting && peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
  }

  #choke(peer: Peer): void {
    peer.choke();
    // BEP 6: what waited is rejected.
    this.#superSeeding.breakPromises(peer.slot);
    for (const { pieceIndex, offsetBytes, lengthBytes } of peer.uploads.clear()) {
      if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    }
  }

  /** The peer is told what to request before it may request anything. */
  #unchoke(peer: Peer): void {
    this.#suggestTo(peer);
    peer.unchoke();
  }

  peerLeft(peer: Peer): void {
    peer.uploads.close();
    this.#superSeeding.peerLeft(peer.slot);
    this.#reading.delete(peer.slot);
    this.#fillFreeSlots();
  }

  tick(elapsedMs: number): void {
    this.#superSeeding.tick(elapsedMs);
    // A peer that was promised a new piece gets it.
    const isSettled = this.#isSeeder && this.#superSeeding.isSpreading;
    const { choke, unchoke } = this.#choker.choose(this.#options.nowMs(), this.#options.peers(), isSettled);
    for (const peer of choke) this.#choke(peer);
    for (const peer of unchoke) this.#unchoke(peer);
    this.#fillFreeSlots();
    for (const peer of this.#options.peers()) peer.uploads.tick();
    if (this.#isSomebodyPutOff) this.#pumpAllSoon();
  }

  #mayServe(slot: number, pieceIndex: number): boolean {
    // A leecher knows too little of what is new to the swarm.
    if (!this.#isSeeder || this.#superSeeding.isNewFor(slot, pieceIndex)) return true;
    if (!this.#isNewPieceWaiting()) return true;
    const isReading = this.#reading.has(slot);
    // Of several seeds each gives a reader its share at once; the only one still has the swarm's first copy to give.
    if (isReading && !this.#options.isOnlySeed()) return true;
    if (!this.#superSeeding.mustWait(slot, this.#options.nowMs(), isReading)) return true;
    this.#isSomebodyPutOff = true;
    return false;
  }

  /** While we are the only seeder, different leechers are to request different pieces. */
  #suggest(peer: Peer): void {
    if (peer.isUnchoked) this.#suggestTo(peer);
  }

  #suggestTo(peer: Peer): void {
    if (!this.#isSeeder || !peer.supportsFast || !peer.isInterestedInUs) return;
    if (this.#interestedCount < 2) return;
    for (const pieceIndex of this.#superSeeding.promises(
      peer.slot,
      this.#interestedCount,
      this.#options.nowMs(),
    ))
      peer.link.suggest(pieceIndex);
  }

  #isNewPieceWaiting(): boolean {
    return this.#options.peers().some(({ slot, uploads: { nextPiece, isStalled } }) => {
      return nextPiece !== undefined && !isStalled && this.#superSeeding.isNewFor(slot, nextPiece);
    });
  }

  #pumpAllSoon(): void {
    this.#isSomebodyPutOff = false;
    for (const peer of this.#options.peers()) if (peer.uploads.length > 0) peer.uploads.pumpSoon();
  }

  #fillFreeSlots(): void {
    const peers = this.#options.peers();
    const isSeeder = this.#isSeeder;
    if (isSeeder) this.#interestedCount = peers.filter((peer) => peer.isInterestedInUs).length;
    for (const peer of this.#choker.chooseForFreeSlots(peers)) this.#unchoke(peer);
    if (isSeeder) for (const peer of peers) this.#suggest(peer);
  }

  #refuse(peer: UploadTarget, { pieceIndex, offsetBytes, lengthBytes }: UploadRequest, reason: string): void {
    if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    else peer.link.close(reason);
  }
}
