// Gives pieces away: what peers ask for, who of them is unchoked, and what they are told when a request is not served.
import type { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import { Choker } from "./choker.ts";
import type { Peer } from "./peer.ts";
import type { PieceStorage } from "./piece-storage.ts";
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
  readonly have: Bitfield;
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
  /** True while nobody else has everything, as far as is known. */
  readonly isOnlySeed: () => boolean;
  readonly onSent: (peer: Peer, bytes: number) => void;
  readonly onReadFailed: (pieceIndex: number, error: MiniTorrentError) => void;
}

export class Uploader {
  readonly #options: UploaderOptions;
  readonly #choker: Choker<Peer>;
  readonly #superSeeding: SuperSeeding;
  /** How many peers want something of us. */
  #takerCount = 0;
  /** Somebody was put off for the sake of somebody with a newer piece. */
  #isSomebodyPutOff = false;

  constructor(options: UploaderOptions) {
    this.#options = options;
    const { pieceCount, pieceLengthBytes } = options.geometry;
    this.#superSeeding = new SuperSeeding({
      pieceCount,
      runPieces: Math.max(1, RUN_LENGTH_BYTES / pieceLengthBytes),
      isNowhereElse: options.isNowhereElse,
      isOnlySeed: options.isOnlySeed,
      random: options.random,
    });
    this.#choker = new Choker({
      slotCount: options.uploadSlots,
      geometry: options.geometry,
      nowMs: options.nowMs(),
      random: options.random,
    });
  }

  makeQueue(peer: Peer): UploadQueue {
    const { geometry, storage, defer, requestsFromPeer, bucket, onSent, onReadFailed } = this.#options;
    return new UploadQueue({
      geometry,
      bucket,
      link: peer.link,
      storage,
      defer,
      limit: requestsFromPeer,
      mayServe: (pieceIndex) => this.#mayServe(peer, pieceIndex),
      onSent: (pieceIndex, bytes) => {
        this.#superSeeding.sent(peer.slot, pieceIndex, bytes);
        onSent(peer, bytes);
        if (this.#isSomebodyPutOff && !this.#isNewPieceWaiting()) this.#pumpAllSoon();
      },
      bytesPerSecond: () => peer.uploaded.bytesPerSecond,
      onReadFailed: (pieceIndex, dropped, error) => {
        onReadFailed(pieceIndex, error);
        for (const request of dropped) this.#refuse(peer, request, "a piece of ours cannot be read");
      },
    });
  }

  interestChanged(peer: Peer, isInterested: boolean): void {
    peer.interestChanged(isInterested);
    this.#fillFreeSlots();
  }

  requested(peer: Peer, request: UploadRequest): void {
    const { pieceIndex, offsetBytes, lengthBytes } = request;
    if (!this.#options.geometry.isRequestable(pieceIndex, offsetBytes, lengthBytes)) {
      peer.link.close(`it asked for ${lengthBytes} bytes at ${offsetBytes} of piece ${pieceIndex}`);
    } else if (!peer.isUnchoked) {
      // Without the fast extension a request that crossed our choke is dropped without a word (BEP 3).
      if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    } else if (!this.#options.have.has(pieceIndex)) {
      this.#refuse(peer, request, "it asked for a piece that we lack");
    } else if (!peer.uploads.push(pieceIndex, offsetBytes, lengthBytes, this.#isUrgent(peer, pieceIndex))) {
      const reason = "it asked for more at once than was agreed";
      if (peer.excessRequest() > MAX_EXCESS_REQUESTS) peer.link.close(reason);
      else this.#refuse(peer, request, reason);
    } else {
      peer.uploads.pumpSoon();
    }
  }

  /** A seeder sends what nobody has before what others have too. */
  #isUrgent(peer: Peer, pieceIndex: number): boolean {
    if (!this.#options.have.isComplete) return false;
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

  /** The choker choked the peer. BEP 6: what waited is rejected. */
  choked(peer: Peer): void {
    this.#superSeeding.takeBack(peer.slot);
    for (const { pieceIndex, offsetBytes, lengthBytes } of peer.uploads.clear()) {
      if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    }
  }

  /** The choker unchokes the peer: it is to know what to ask for before it may ask. */
  unchoked(peer: Peer): void {
    this.#suggest(peer);
  }

  peerLeft(peer: Peer): void {
    peer.uploads.close();
    this.#choker.peerLeft(peer);
    this.#superSeeding.peerLeft(peer.slot);
    this.#fillFreeSlots();
  }

  tick(elapsedMs: number): void {
    this.#superSeeding.tick(elapsedMs);
    // Who was promised a new piece is to get it.
    const isSettled = this.#options.have.isComplete && this.#superSeeding.isSpreading;
    this.#choker.tick(this.#options.nowMs(), this.#options.peers(), isSettled);
    this.#fillFreeSlots();
    for (const peer of this.#options.peers()) peer.uploads.tick();
    if (this.#isSomebodyPutOff) this.#pumpAllSoon();
  }

  #mayServe(peer: Peer, pieceIndex: number): boolean {
    // Who is no seeder has too small a view of what is new.
    if (!this.#options.have.isComplete || this.#superSeeding.isNewFor(peer.slot, pieceIndex)) return true;
    if (!this.#isNewPieceWaiting()) return true;
    if (!this.#superSeeding.mustWait(peer.slot, this.#options.nowMs())) return true;
    this.#isSomebodyPutOff = true;
    return false;
  }

  /** While we are alone in having all, different leechers are to ask for different pieces. */
  #suggest(peer: Peer): void {
    if (!this.#options.have.isComplete || !peer.supportsFast || !peer.isUnchoked || !peer.isInterestedInUs)
      return;
    if (this.#takerCount < 2) return;
    for (const pieceIndex of this.#superSeeding.promises(peer.slot, this.#takerCount, this.#options.nowMs()))
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
    if (!this.#options.have.isComplete) {
      this.#choker.fillFreeSlots(peers);
      return;
    }
    this.#takerCount = 0;
    for (const peer of peers) if (peer.isInterestedInUs) this.#takerCount++;
    this.#choker.fillFreeSlots(peers);
    for (const peer of peers) this.#suggest(peer);
  }

  #refuse(peer: Peer, { pieceIndex, offsetBytes, lengthBytes }: UploadRequest, reason: string): void {
    if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    else peer.link.close(reason);
  }
}
