// Gives pieces away: what peers ask for, who of them is unchoked, and what they are told when a request is not served.
import type { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import { Choker } from "./choker.ts";
import { FirstCopies } from "./first-copies.ts";
import type { Peer } from "./peer.ts";
import type { PieceStorage } from "./piece-storage.ts";
import { UploadQueue, type UploadRequest } from "./upload-queue.ts";

export interface UploaderOptions {
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly storage: Pick<PieceStorage, "read">;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly defer: (work: () => void) => void;
  readonly uploadSlots: number;
  readonly requestsFromPeer: number;
  readonly peers: () => readonly Peer[];
  /** True if no other peer has that piece. */
  readonly isNowhereElse: (pieceIndex: number) => boolean;
  readonly onSent: (peer: Peer, bytes: number) => void;
  readonly onReadFailed: (pieceIndex: number, error: MiniTorrentError) => void;
}

export class Uploader {
  readonly #options: UploaderOptions;
  readonly #choker: Choker<Peer>;
  readonly #firstCopies: FirstCopies;
  #isActive = true;
  /** Somebody was put off for the sake of somebody with a newer piece. */
  #isSomebodyPutOff = false;

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#firstCopies = new FirstCopies(options.geometry.pieceCount, options.isNowhereElse);
    this.#choker = new Choker(options.uploadSlots, options.nowMs(), options.random);
  }

  makeQueue(peer: Peer): UploadQueue {
    const { geometry, storage, defer, requestsFromPeer, onSent, onReadFailed } = this.#options;
    return new UploadQueue({
      geometry,
      link: peer.link,
      storage,
      defer,
      limit: requestsFromPeer,
      mayServe: (pieceIndex) => this.#mayServe(peer, pieceIndex),
      onSent: (pieceIndex, bytes) => {
        this.#firstCopies.sent(peer.slot, pieceIndex);
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
    } else if (!peer.uploads.push(pieceIndex, offsetBytes, lengthBytes)) {
      this.#refuse(peer, request, "it asked for more at once than was agreed");
    } else {
      peer.uploads.pumpSoon();
    }
  }

  cancelled(peer: Peer, { pieceIndex, offsetBytes, lengthBytes }: UploadRequest): void {
    const wasWaiting = peer.uploads.cancel(pieceIndex, offsetBytes, lengthBytes);
    // BEP 6: a cancelled request is answered too, by the block or by a reject.
    if (wasWaiting && peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
  }

  /** The choker choked the peer. BEP 6: what waited is rejected. */
  choked(peer: Peer): void {
    for (const { pieceIndex, offsetBytes, lengthBytes } of peer.uploads.clear()) {
      if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    }
  }

  peerLeft(peer: Peer): void {
    peer.uploads.close();
    this.#choker.peerLeft(peer);
    this.#firstCopies.peerLeft(peer.slot);
    this.#fillFreeSlots();
  }

  tick(): void {
    if (this.#isActive) this.#choker.tick(this.#options.nowMs(), this.#options.peers());
    this.#fillFreeSlots();
    for (const peer of this.#options.peers()) peer.uploads.tick();
    if (this.#isSomebodyPutOff) this.#pumpAllSoon();
  }

  /** Chokes everybody until `start`. */
  stop(): void {
    this.#isActive = false;
    for (const peer of [...this.#options.peers()]) peer.choke();
  }

  start(): void {
    this.#isActive = true;
    this.#fillFreeSlots();
  }

  #mayServe(peer: Peer, pieceIndex: number): boolean {
    // Who is no seeder has too small a view of what is new.
    if (!this.#options.have.isComplete || this.#firstCopies.isNewFor(peer.slot, pieceIndex)) return true;
    if (!this.#isNewPieceWaiting()) return true;
    if (!this.#firstCopies.mustWait(peer.slot, this.#options.nowMs())) return true;
    this.#isSomebodyPutOff = true;
    return false;
  }

  #isNewPieceWaiting(): boolean {
    return this.#options.peers().some(({ slot, uploads: { nextPiece } }) => {
      return nextPiece !== undefined && this.#firstCopies.isNewFor(slot, nextPiece);
    });
  }

  #pumpAllSoon(): void {
    this.#isSomebodyPutOff = false;
    for (const peer of this.#options.peers()) if (peer.uploads.length > 0) peer.uploads.pumpSoon();
  }

  #fillFreeSlots(): void {
    if (this.#isActive) this.#choker.fillFreeSlots(this.#options.peers());
  }

  #refuse(peer: Peer, { pieceIndex, offsetBytes, lengthBytes }: UploadRequest, reason: string): void {
    if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    else peer.link.close(reason);
  }
}
