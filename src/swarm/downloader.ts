// Downloads: keeps requests outstanding at every peer that serves us, takes the arriving blocks, and commits whole pieces. There
// is one guarded pump per peer, whatever triggers it. The picker decides which piece, request-window.ts how many requests at
// once, request-timeouts.ts how long to wait for them.
import { MiniTorrentError } from "../api/errors.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { CommitOutcome } from "../metainfo/piece-types.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { OwnPieces, WantedChange } from "./own-pieces.ts";
import type { Peer } from "./peer.ts";
import type { ArrivingBlock } from "./peer-requests.ts";
import { Picker } from "./picker.ts";
import { RequestStealing } from "./request-stealing.ts";
import { RequestTimeouts } from "./request-timeouts.ts";
import { RequestTracker } from "./request-tracker.ts";
import type { PieceStorage } from "./storage-interface.ts";
import type { TokenBucket } from "./token-bucket.ts";

/** A peer that rejects this many consecutive requests while it does not choke us lacks pieces that it advertised. */
const MAX_REJECTS_IN_A_ROW = 16;
/** A peer that sends more blocks than this that were never requested is hostile or broken. */
const MAX_STRAY_BLOCKS = 32;
/** When a reader jumps, requests make way that are due later than this. */
const SOON_MS = 1000;
/** Where the blocks of probes go: nobody reads them, so all peers of a process share it. */
const PROBE_BLOCK = new Uint8Array(BLOCK_LENGTH_BYTES);

/** Users are known by their source index (contributors.ts). */
export interface VerifiedPiece {
  readonly pieceIndex: number;
  /** It was missing: not so when it was dropped while it was on its way to the disk. */
  readonly wasMissing: boolean;
  readonly contributors: readonly number[];
  /** Who sent the block that arrived last. */
  readonly lastSender: number;
}

export interface DownloaderOptions {
  readonly geometry: Geometry;
  readonly pieces: OwnPieces;
  readonly storage: PieceStorage;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** How much may be requested; undefined: anything. */
  readonly bucket: TokenBucket | undefined;
  readonly onPieceVerified: (verified: VerifiedPiece) => void;
  readonly onPieceCorrupt: (pieceIndex: number, contributors: readonly number[]) => void;
  readonly onStorageFailed: (error: MiniTorrentError) => void;
  /** A block was put in its place. */
  readonly onBlock: (peer: Peer, bytes: number) => void;
}

export class Downloader {
  readonly picker: Picker;
  readonly #options: DownloaderOptions;
  readonly #requests: RequestTracker;
  readonly #stealing: RequestStealing;
  readonly #timeouts: RequestTimeouts;
  /** By slot. */
  readonly #peers: (Peer | undefined)[] = [];
  #isActive = true;
  #isPumping = false;
  #mustPumpAll = false;
  #lastArrivalMs = Number.NEGATIVE_INFINITY;
  #duplicateBytes = 0;
  /** Of pieces that did not have their hash. */
  #corruptBytes = 0;

  constructor(options: DownloaderOptions) {
    this.#options = options;
    const { geometry, pieces, storage, bucket, nowMs, random } = options;
    const reserve = (pieceIndex: number): Uint8Array | undefined => storage.reserve(pieceIndex);
    const picker = new Picker({ geometry, pieces, reserve, random, nowMs });
    const requests = new RequestTracker({ picker, storage, bucket, nowMs });
    const peers = this.#peers;
    this.picker = picker;
    this.#requests = requests;
    this.#stealing = new RequestStealing({ picker, requests, peers, nowMs });
    this.#timeouts = new RequestTimeouts({
      geometry,
      pieces,
      storage,
      nowMs,
      random,
      picker,
      requests,
      peers,
    });
  }

  /** Bytes of blocks that were skipped when they arrived. */
  get duplicateBytes(): number {
    return this.#duplicateBytes;
  }

  /** Bytes that were put in their place for nothing: the piece did not have its hash, or was given up. */
  get discardedBytes(): number {
    return this.#corruptBytes + this.#requests.discardedBytes + this.picker.discardedBytes;
  }

  /** When the last block arrived. */
  get lastArrivalMs(): number {
    return this.#lastArrivalMs;
  }

  // Peers

  /** A peer has said what it has. */
  peerCame(peer: Peer): void {
    this.#peers[peer.slot] = peer;
    this.#requests.peerCame(peer, { resume: () => this.pump(peer) });
    this.picker.peerCame(peer);
  }

  /** The connection is gone: nothing more is written into its places. */
  peerLeft(peer: Peer): void {
    this.#requests.forgetAll(peer, { mayStillCome: false, includingArriving: true });
    if (this.#peers[peer.slot] === peer) {
      this.picker.peerLeft(peer);
      this.#peers[peer.slot] = undefined;
      this.#requests.peerLeft(peer);
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
    // A peer that rejects without choking us would be asked the same again at once: one at a time until it delivers.
    if (!peer.isChokingUs) {
      peer.window.snub(this.#options.nowMs());
      if (peer.requests.rejected() >= MAX_REJECTS_IN_A_ROW) this.#timeouts.rest(peer);
    }
    for (const other of this.#peers) if (other !== undefined && other !== peer) this.pump(other);
  }

  /** BEP 6: the peer suggests a piece. */
  suggested(peer: Peer): void {
    this.picker.suggested(peer);
    this.pump(peer);
  }

  // Requests

  /** Sends the requests that the peer's window has room for. */
  pump(peer: Peer): void {
    if (!this.#mayRequest(peer) || peer.requests.outstanding > peer.window.refillAtBlocks) return;
    if (this.#isPumping) {
      this.#mustPumpAll = true;
      return;
    }
    this.#isPumping = true;
    try {
      this.#requestBlocks(peer);
    } finally {
      this.#isPumping = false;
    }
    if (this.#mustPumpAll) {
      this.#mustPumpAll = false;
      this.pumpAll();
    }
  }

  /** The same for all peers. */
  pumpAll(): void {
    for (const peer of this.#peers) {
      if (peer !== undefined) this.pump(peer);
    }
  }

  /** Storage has memory again. */
  roomAvailable(): void {
    this.picker.somethingFreed();
    this.pumpAll();
  }

  #mayRequest(peer: Peer): boolean {
    return this.#isActive && peer.isOpenToRequests && !peer.window.isResting;
  }

  #requestBlocks(peer: Peer): void {
    while (peer.requests.outstanding < peer.window.sizeBlocks) {
      if (!this.#requests.isAllowed(peer)) return;
      const piece = this.picker.pieceFor(peer);
      if (piece === undefined) {
        this.#stealing.stealInEndgame(peer);
        return;
      }
      this.#requests.requestFree(peer, piece);
    }
  }

  // Arriving blocks

  /**
   * @returns where the block goes; undefined for a block that was not requested, or no longer is
   * @throws MiniTorrentError MALFORMED_MESSAGE for a block that cannot be, or too many that were never requested
   */
  blockBegins(
    peer: Peer,
    pieceIndex: number,
    offsetBytes: number,
    lengthBytes: number,
  ): Uint8Array | undefined {
    if (!this.#options.geometry.isRequestable(pieceIndex, offsetBytes, lengthBytes)) {
      throw new MiniTorrentError(
        "MALFORMED_MESSAGE",
        `A block of ${lengthBytes} bytes at ${offsetBytes} is not in piece ${pieceIndex}.`,
      );
    }
    const piece = this.picker.openPiece(pieceIndex);
    const blockIndex = offsetBytes / BLOCK_LENGTH_BYTES;
    if (
      piece === undefined ||
      lengthBytes !== piece.lengthOfBlockBytes(blockIndex) ||
      !(piece.isAskedOf(blockIndex, peer.slot) || this.#comesFirst(peer, piece, blockIndex))
    ) {
      return this.#unwantedBlockBegins(peer, pieceIndex, blockIndex, lengthBytes);
    }
    piece.begins(blockIndex);
    peer.requests.blockBegins(piece, blockIndex);
    return piece.place(blockIndex);
  }

  /**
   * The block's request was cancelled for the sake of a deadline, and it comes all the same before another peer begins to send it:
   * then it counts.
   */
  #comesFirst(peer: Peer, piece: OpenPiece, blockIndex: number): boolean {
    if (this.picker.deadlines.size === 0 || piece.isExclusive) return false;
    const other = this.#peers[piece.askedSlot(blockIndex)];
    if (other === undefined ? !piece.isFree(blockIndex) : !piece.isMovable(blockIndex)) return false;
    if (!peer.requests.answeredCancelled(piece.pieceIndex, blockIndex)) return false;
    this.#requests.reopen(peer, piece, blockIndex, other);
    return true;
  }

  #unwantedBlockBegins(
    peer: Peer,
    pieceIndex: number,
    blockIndex: number,
    lengthBytes: number,
  ): Uint8Array | undefined {
    this.#duplicateBytes += lengthBytes;
    this.#options.bucket?.spend(lengthBytes);
    const wasCancelled = peer.requests.answeredCancelled(pieceIndex, blockIndex);
    // Late, or the answer to a probe: once it is whole, the peer counts as delivering again.
    if (wasCancelled && peer.window.isSnubbed) {
      peer.requests.probeBegins(lengthBytes);
      return PROBE_BLOCK.subarray(0, lengthBytes);
    }
    if (!wasCancelled && peer.requests.strayBlock() > MAX_STRAY_BLOCKS) {
      throw new MiniTorrentError("MALFORMED_MESSAGE", "The peer sends blocks that it was not asked for.");
    }
    return undefined;
  }

  /** The block for which `blockBegins` returned a place is whole. */
  blockEnds(peer: Peer): void {
    const { requests } = peer;
    const probeBytes = requests.probeEnds();
    if (probeBytes > 0) this.#delivered(peer, probeBytes);
    else if (requests.arriving !== undefined) this.#blockArrived(peer, requests.arriving);
    this.pump(peer);
  }

  #blockArrived(peer: Peer, { piece, blockIndex }: ArrivingBlock): void {
    const lengthBytes = piece.lengthOfBlockBytes(blockIndex);
    this.#lastArrivalMs = this.#options.nowMs();
    peer.requests.blockEnds();
    peer.requests.answered();
    this.#delivered(peer, lengthBytes);
    piece.ends(blockIndex, peer.sourceIndex);
    if (piece.status === "abandoned") {
      this.#duplicateBytes += lengthBytes;
      this.#requests.release(piece);
    } else {
      this.#options.onBlock(peer, lengthBytes);
      if (piece.isWhole) this.#commit(piece);
    }
  }

  #delivered(peer: Peer, lengthBytes: number): void {
    peer.requests.delivered();
    peer.window.arrived(lengthBytes, this.#options.nowMs());
  }

  #commit(piece: OpenPiece): void {
    piece.commits();
    const { pieceIndex } = piece;
    this.#options.storage.commit(pieceIndex, (outcome) => this.#committed(piece, outcome));
  }

  #committed(piece: OpenPiece, outcome: CommitOutcome): void {
    const { pieceIndex } = piece;
    if (outcome === "verified") {
      const wasMissing = this.#options.pieces.verified(pieceIndex);
      this.picker.closed(pieceIndex);
      const { lastSender } = piece;
      this.#options.onPieceVerified({
        pieceIndex,
        wasMissing,
        contributors: piece.contributors(),
        lastSender,
      });
    } else {
      this.picker.closed(pieceIndex);
      if (outcome === "mismatch") {
        this.#corruptBytes += this.#options.geometry.neededLengthOfPieceBytes(pieceIndex);
        this.#options.onPieceCorrupt(pieceIndex, piece.contributors());
      } else {
        this.#options.onStorageFailed(outcome);
      }
    }
    this.pumpAll();
  }

  // What is wanted

  /** Other pieces are wanted: begun ones that no longer are get cancelled; those on their way to the disk still get there. */
  wantedChanged(change: WantedChange): void {
    for (const piece of [...this.picker.openPieces()]) {
      if (piece.status !== "filling" || !change.dropped.has(piece.pieceIndex)) continue;
      this.#requests.cancelPiece(piece, this.#peers);
      this.#requests.abandon(piece);
    }
    this.picker.wantedChanged(change);
  }

  /** Pieces that are needed soon, soonest first, and when each is due. */
  setDeadlines(deadlines: Map<number, number>): void {
    for (const pieceIndex of deadlines.keys()) {
      const piece = this.picker.openPiece(pieceIndex);
      if (piece?.status !== "filling" || !piece.isExclusive) continue;
      // One peer alone, which is on parole, was to give all of it.
      this.#requests.cancelPiece(piece, this.#peers);
      this.#requests.abandon(piece);
    }
    const [soonest] = deadlines.keys();
    const hasJumped = soonest !== undefined && !this.picker.deadlines.has(soonest);
    this.picker.setDeadlines(deadlines);
    const soonMs = this.#options.nowMs() + SOON_MS;
    if (hasJumped)
      for (const peer of this.#peers) if (peer !== undefined) this.#stealing.makeWay(peer, soonMs);
    this.pumpAll();
  }

  // Time, the end

  tick(): void {
    const nowMs = this.#options.nowMs();
    for (const peer of this.#peers) {
      if (peer === undefined) continue;
      peer.window.adjust(nowMs, peer.requests.bytesPerSecond, this.picker.deadlines.size > 0);
      if (peer.requests.outstanding > 0) this.#timeouts.check(peer, nowMs);
      else if (peer.window.isProbeDue(nowMs) && this.#isActive && peer.isOpenToRequests)
        this.#timeouts.probe(peer, nowMs);
    }
    this.#timeouts.giveUpStuckPieces(nowMs);
    // Memory may have been freed without a call of roomAvailable.
    if (this.picker.isOutOfMemory) this.picker.somethingFreed();
    this.pumpAll();
    if (this.picker.deadlines.size > 0) {
      for (const peer of this.#peers) {
        if (peer !== undefined && this.#mayRequest(peer)) this.#stealing.stealLate(peer);
      }
    }
    for (const peer of this.#peers) {
      if (peer === undefined || !this.#mayRequest(peer) || this.picker.pieceFor(peer) !== undefined) continue;
      this.#stealing.stealFromSlow(peer);
    }
  }

  /** Cancels all requests, gives up begun pieces, and requests nothing from now on. */
  stop(): void {
    this.#isActive = false;
    for (const peer of this.#peers) if (peer !== undefined) this.#requests.cancelAll(peer, 0);
    for (const piece of [...this.picker.openPieces()]) this.#requests.abandon(piece);
  }
}
