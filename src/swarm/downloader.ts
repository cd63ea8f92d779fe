// Gets the pieces: keeps requests outstanding with every peer that gives, hands whole pieces to storage. One guarded pump
// per peer, whoever triggers it. Which piece of whom is the picker's decision, how many at once the request window's,
// where blocks go arrivals', how long to wait for them patience's, whom to believe trust's.

import type { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { CommitOutcome } from "../metainfo/piece-types.ts";
import { BlockReceiver } from "./block-receiver.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { Peer } from "./peer.ts";
import { Picker } from "./picker.ts";
import type { PieceStorage } from "./piece-storage.ts";
import { RequestStealing } from "./request-stealing.ts";
import { RequestTimeouts } from "./request-timeouts.ts";
import { RequestTracker } from "./request-tracker.ts";
import type { TokenBucket, TokenWaiter } from "./token-bucket.ts";

/** Who rejects so many requests in a row without having choked has not got what it says. */
const MAX_REJECTS_IN_A_ROW = 16;

export interface DownloaderOptions {
  readonly geometry: Geometry;
  /** Grows as pieces are verified. */
  readonly have: Bitfield;
  readonly storage: PieceStorage;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** What may be asked for a second; undefined: anything. */
  readonly bucket: TokenBucket | undefined;
  readonly onPieceVerified: (pieceIndex: number, contributors: readonly number[], lastGiver: number) => void;
  readonly onPieceCorrupt: (pieceIndex: number, contributors: readonly number[]) => void;
  readonly onStorageFailed: (error: MiniTorrentError) => void;
  /** A block was put in its place. */
  readonly onBlock: (peer: Peer, bytes: number) => void;
}

export class Downloader {
  readonly picker: Picker;
  readonly #options: DownloaderOptions;
  readonly #requests: RequestTracker;
  readonly #requestStealing: RequestStealing;
  readonly #arrivals: BlockReceiver;
  readonly #patience: RequestTimeouts;
  /** By slot. */
  readonly #peers: (Peer | undefined)[] = [];
  /** By slot: each peer's turn to be asked, while what may be asked for is limited. */
  readonly #turns: (TokenWaiter | undefined)[] = [];
  #isActive = true;
  #isPumping = false;
  #mustPumpAll = false;
  /** Of pieces that did not have their hash. */
  #corruptBytes = 0;

  constructor(options: DownloaderOptions) {
    this.#options = options;
    const { geometry, have, storage, bucket, nowMs, random, onBlock } = options;
    const picker = new Picker({
      geometry,
      have,
      reserve: (pieceIndex) => storage.reserve(pieceIndex),
      random,
    });
    const requests = new RequestTracker({ picker, storage, bucket });
    const peers = this.#peers;
    this.picker = picker;
    this.#requests = requests;
    this.#requestStealing = new RequestStealing({
      picker,
      requests,
      peers,
      nowMs,
      mayAsk: (peer) => this.#isAllowed(peer),
    });
    const onWhole = (piece: OpenPiece): void => this.#commit(piece);
    this.#arrivals = new BlockReceiver({ geometry, picker, requests, nowMs, bucket, onBlock, onWhole });
    const mayAsk = (peer: Peer): boolean => this.#mayAsk(peer);
    this.#patience = new RequestTimeouts({
      geometry,
      have,
      storage,
      nowMs,
      random,
      picker,
      requests,
      peers,
      mayAsk,
    });
  }

  /** Bytes of blocks that were skipped when they arrived. */
  get duplicateBytes(): number {
    return this.#arrivals.duplicateBytes;
  }

  /** Bytes that had been put in their place for nothing: the piece did not have its hash, or was given up. */
  get discardedBytes(): number {
    return this.#corruptBytes + this.#requests.discardedBytes + this.picker.discardedBytes;
  }

  /** When the last block came. */
  get lastArrivalMs(): number {
    return this.#arrivals.lastArrivalMs;
  }

  // Peers

  /** A peer has said what it has. */
  peerCame(peer: Peer): void {
    this.#peers[peer.slot] = peer;
    this.#turns[peer.slot] = { resume: () => this.pump(peer) };
    this.picker.peerCame(peer);
  }

  /** The connection is gone: nothing more is written into its places. */
  peerLeft(peer: Peer): void {
    this.#requests.forgetAll(peer, { mayStillCome: false, includingArriving: true });
    if (this.#peers[peer.slot] === peer) {
      this.picker.peerLeft(peer);
      this.#peers[peer.slot] = undefined;
      const turn = this.#turns[peer.slot];
      if (turn !== undefined) this.#options.bucket?.forget(turn);
      this.#turns[peer.slot] = undefined;
    }
    this.#requests.resetExclusive(peer);
    this.pumpAll();
  }

  peerChoked(peer: Peer): void {
    // BEP 6: with the fast extension each request is rejected or served; without, they are all forgotten.
    if (!peer.supportsFast) this.#requests.forgetAll(peer, { mayStillCome: true, includingArriving: false });
    this.picker.disown(peer);
    this.#requests.resetExclusive(peer);
    this.pumpAll();
  }

  rejected(peer: Peer, pieceIndex: number, offsetBytes: number): void {
    const piece = this.picker.openPiece(pieceIndex);
    const blockIndex = offsetBytes / BLOCK_LENGTH_BYTES;
    // The answer to a cancelled request first: the same block may be asked for again by now.
    if (peer.requests.answeredCancelled(pieceIndex, blockIndex)) return;
    if (piece === undefined || !piece.isAskedOf(blockIndex, peer.slot)) return;
    this.#requests.forget(peer, piece, blockIndex, false);
    if (piece.ownerSlot === peer.slot && piece.isExclusive) this.#requests.resetExclusive(peer);
    // Who rejects without having choked would be asked the same again at once: one at a time until it delivers.
    if (!peer.isChokingUs) {
      peer.window.snub(this.#options.nowMs());
      if (peer.requests.rejected() >= MAX_REJECTS_IN_A_ROW) this.#patience.rest(peer);
    }
    for (const other of this.#peers) if (other !== undefined && other !== peer) this.pump(other);
  }

  /** The peer hints at a piece. */
  suggested(peer: Peer): void {
    this.picker.suggested(peer);
    this.pump(peer);
  }

  // Asking

  /** Sends the requests that there is room for. */
  pump(peer: Peer): void {
    if (!this.#mayAsk(peer) || peer.requests.outstanding > peer.window.refillAtBlocks) return;
    if (this.#isPumping) {
      this.#mustPumpAll = true;
      return;
    }
    this.#isPumping = true;
    try {
      this.#askFreeBlocks(peer);
    } finally {
      this.#isPumping = false;
    }
    if (this.#mustPumpAll) {
      this.#mustPumpAll = false;
      this.pumpAll();
    }
  }

  pumpAll(): void {
    for (const peer of this.#peers) {
      if (peer !== undefined) this.pump(peer);
    }
  }

  /** Blocks, memory, or peers became usable. */
  roomAvailable(): void {
    this.picker.somethingFreed();
    this.pumpAll();
  }

  #mayAsk(peer: Peer): boolean {
    return this.#mayTry(peer) && !peer.window.isResting;
  }

  #mayTry(peer: Peer): boolean {
    return this.#isActive && peer.isConnected && peer.weAreInterested && !peer.isChokingUs;
  }

  #askFreeBlocks(peer: Peer): void {
    while (peer.requests.outstanding < peer.window.sizeBlocks) {
      if (!this.#isAllowed(peer)) return;
      const piece = this.picker.pieceFor(peer);
      if (piece === undefined) {
        this.#requestStealing.nothingFree(peer);
        return;
      }
      this.#requests.askFree(peer, piece);
    }
  }

  /** False: the limit is reached, and the peer is asked when it is its turn. */
  #isAllowed(peer: Peer): boolean {
    const { bucket } = this.#options;
    const turn = this.#turns[peer.slot];
    return bucket === undefined || turn === undefined || bucket.allowance(turn) > 0;
  }

  // Blocks coming in

  /**
   * @returns where the block goes; undefined for one that is not waited for (any more)
   * @throws MiniTorrentError MALFORMED_MESSAGE for a block that cannot be, or too many that nobody asked for
   */
  blockBegins(
    peer: Peer,
    pieceIndex: number,
    offsetBytes: number,
    lengthBytes: number,
  ): Uint8Array | undefined {
    return this.#arrivals.blockBegins(peer, pieceIndex, offsetBytes, lengthBytes);
  }

  blockEnds(peer: Peer): void {
    this.#arrivals.blockEnds(peer);
    this.pump(peer);
  }

  #commit(piece: OpenPiece): void {
    piece.commits();
    const { pieceIndex } = piece;
    this.#options.storage.commit(pieceIndex, (outcome) => this.#committed(piece, outcome));
  }

  #committed(piece: OpenPiece, outcome: CommitOutcome): void {
    const { pieceIndex } = piece;
    if (outcome === "verified") {
      this.#options.have.set(pieceIndex);
      this.picker.closed(pieceIndex);
      this.#options.onPieceVerified(pieceIndex, piece.contributors(), piece.lastGiver);
    } else {
      this.picker.closed(pieceIndex);
      if (outcome === "mismatch") {
        this.#corruptBytes += this.#options.geometry.lengthOfPieceBytes(pieceIndex);
        this.#options.onPieceCorrupt(pieceIndex, piece.contributors());
      } else {
        this.#options.onStorageFailed(outcome);
      }
    }
    this.pumpAll();
  }

  // Silence, the end

  tick(): void {
    const nowMs = this.#options.nowMs();
    for (const peer of this.#peers) {
      if (peer === undefined) continue;
      peer.window.adjust(nowMs, peer.requests.bytesPerSecond);
      if (peer.requests.outstanding > 0) this.#patience.lookAfter(peer, nowMs);
      else if (peer.window.isTryDue(nowMs) && this.#mayTry(peer)) this.#patience.tryAgain(peer, nowMs);
    }
    this.#patience.giveUpStuckPieces(nowMs);
    // Memory may have come back without a word.
    if (this.picker.isOutOfMemory) this.picker.somethingFreed();
    this.pumpAll();
    for (const peer of this.#peers) {
      if (peer === undefined || !this.#mayAsk(peer) || this.picker.pieceFor(peer) !== undefined) continue;
      this.#requestStealing.stillNothingFree(peer);
    }
  }

  /** Gives up what is asked for and begun, and asks for nothing any more. */
  stop(): void {
    this.#isActive = false;
    for (const peer of this.#peers) if (peer !== undefined) this.#requests.cancelAll(peer, 0);
    for (const piece of [...this.picker.openPieces()]) this.#requests.abandon(piece);
  }
}
