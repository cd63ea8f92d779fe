// Gives pieces away: what peers ask for, who of them is unchoked, and what they are told when a request is not served.
import type { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import type { Geometry } from "../metainfo/geometry.ts";
import { Choker } from "./choker.ts";
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
  readonly onSent: (peer: Peer, bytes: number) => void;
  readonly onReadFailed: (pieceIndex: number, error: MiniTorrentError) => void;
}

export class Uploader {
  readonly #options: UploaderOptions;
  readonly #choker: Choker<Peer>;
  #isActive = true;

  constructor(options: UploaderOptions) {
    this.#options = options;
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
      onSent: (bytes) => onSent(peer, bytes),
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
    this.#fillFreeSlots();
  }

  tick(): void {
    if (this.#isActive) this.#choker.tick(this.#options.nowMs(), this.#options.peers());
    this.#fillFreeSlots();
    for (const peer of this.#options.peers()) peer.uploads.tick();
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

  #fillFreeSlots(): void {
    if (this.#isActive) this.#choker.fillFreeSlots(this.#options.peers());
  }

  #refuse(peer: Peer, { pieceIndex, offsetBytes, lengthBytes }: UploadRequest, reason: string): void {
    if (peer.supportsFast) peer.link.reject(pieceIndex, offsetBytes, lengthBytes);
    else peer.link.close(reason);
  }
}
