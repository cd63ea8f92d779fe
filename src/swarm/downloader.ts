// Gets the pieces: keeps requests outstanding with every peer that gives, puts blocks where they belong, hands whole
// pieces to storage, takes from the silent. One guarded pump per peer, whoever triggers it.
// Which piece of whom is the picker's decision, how many at once the request window's, whom to believe trust's.
import { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { Peer } from "./peer.ts";
import { Picker } from "./picker.ts";
import type { CommitOutcome, PieceStorage } from "./piece-storage.ts";
import { Requests } from "./requests.ts";
import { TakeOver } from "./take-over.ts";
import type { TokenBucket, TokenWaiter } from "./token-bucket.ts";

/** A peer may send so many blocks that were never asked for before it is taken for hostile or broken. */
const MAX_STRAY_BLOCKS = 32;
/** A peer that stops in the middle of a block holds its place in memory; after so many timeouts it is closed... */
const MID_BLOCK_TIMEOUTS = 2;
/** ...and after this time when that block is one of the last, and somebody else could give it: 5 KB/s is no help then. */
const LAST_BLOCKS_MS = 3000;
/** Who rejects so many requests in a row without having choked has not got what it says. */
const MAX_REJECTS_IN_A_ROW = 16;
/** A begun piece that nobody gives keeps its memory for so long while others want it: who choked may unchoke. */
const STUCK_PIECE_MS = 10_000;

/** Where blocks go that only show that a peer gives: nobody reads what is in it, so all peers of a process share it. */
const TRIAL_BLOCK = new Uint8Array(BLOCK_LENGTH_BYTES);

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
  readonly #requests: Requests;
  readonly #takeOver: TakeOver;
  /** By slot. */
  readonly #peers: (Peer | undefined)[] = [];
  /** By slot: each peer's turn to be asked, while what may be asked for is limited. */
  readonly #turns: (TokenWaiter | undefined)[] = [];
  #isActive = true;
  #isPumping = false;
  #mustPumpAll = false;
  /** Begun pieces that nobody gives, and since when; kept while memory is scarce. */
  #stuckSinceMs = new Map<OpenPiece, number>();
  #lastArrivalMs = Number.NEGATIVE_INFINITY;
  #duplicateBytes = 0;
  /** Of pieces that did not have their hash. */
  #corruptBytes = 0;

  constructor(options: DownloaderOptions) {
    this.#options = options;
    this.picker = new Picker({
      geometry: options.geometry,
      have: options.have,
      reserve: (pieceIndex) => options.storage.reserve(pieceIndex),
      random: options.random,
    });
    const { picker } = this;
    const { storage, bucket, nowMs } = options;
    this.#requests = new Requests({ picker, storage, bucket });
    this.#takeOver = new TakeOver({
      picker,
      requests: this.#requests,
      peers: this.#peers,
      nowMs,
      mayAsk: (peer) => this.#isAllowed(peer),
    });
  }

  /** Bytes of blocks that were skipped when they arrived. */
  get duplicateBytes(): number {
    return this.#duplicateBytes;
  }

  /** Bytes that had been put in their place for nothing: the piece did not have its hash, or was given up. */
  get discardedBytes(): number {
    return this.#corruptBytes + this.#requests.discardedBytes + this.picker.discardedBytes;
  }

  /** When the last block came. */
  get lastArrivalMs(): number {
    return this.#lastArrivalMs;
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
    if (peer.answeredWhatWasTakenBack(pieceIndex, blockIndex)) return;
    if (piece === undefined || !piece.isAskedOf(blockIndex, peer.slot)) return;
    this.#requests.forget(peer, piece, blockIndex, false);
    if (piece.ownerSlot === peer.slot && piece.isExclusive) this.#requests.resetExclusive(peer);
    // Who rejects without having choked would be asked the same again at once: one at a time until it delivers.
    if (peer.giving.status === "giving") {
      peer.window.snub(this.#options.nowMs());
      if (peer.answering.refused() >= MAX_REJECTS_IN_A_ROW) this.#rest(peer);
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
    if (!this.#mayAsk(peer) || peer.outstanding > peer.window.refillAtBlocks) return;
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
    return this.#isActive && peer.isConnected && peer.weAreInterested && peer.giving.status === "giving";
  }

  #askFreeBlocks(peer: Peer): void {
    while (peer.outstanding < peer.window.sizeBlocks) {
      if (!this.#isAllowed(peer)) return;
      const piece = this.picker.pieceFor(peer);
      if (piece === undefined) {
        this.#takeOver.nothingFree(peer);
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
      !piece.isAskedOf(blockIndex, peer.slot) ||
      lengthBytes !== piece.lengthOfBlockBytes(blockIndex)
    ) {
      this.#duplicateBytes += lengthBytes;
      this.#options.bucket?.spend(lengthBytes);
      const wasTakenBack = peer.answeredWhatWasTakenBack(pieceIndex, blockIndex);
      // Late, or the answer to a try: once it is whole, the peer gives again.
      if (wasTakenBack && peer.window.isSnubbed) {
        peer.trialBytes = lengthBytes;
        return TRIAL_BLOCK.subarray(0, lengthBytes);
      }
      if (!wasTakenBack && peer.strayBlock() > MAX_STRAY_BLOCKS) {
        throw new MiniTorrentError("MALFORMED_MESSAGE", "The peer sends blocks that it was not asked for.");
      }
      return undefined;
    }
    piece.begins(blockIndex);
    peer.blockBegins(piece, blockIndex);
    return piece.place(blockIndex);
  }

  blockEnds(peer: Peer): void {
    const { arriving, trialBytes } = peer;
    if (trialBytes > 0) {
      peer.trialBytes = 0;
      this.#gives(peer, trialBytes);
      this.pump(peer);
      return;
    }
    if (arriving === undefined) return;
    const { piece, blockIndex } = arriving;
    const lengthBytes = piece.lengthOfBlockBytes(blockIndex);
    const nowMs = this.#options.nowMs();
    this.#lastArrivalMs = nowMs;
    peer.blockIsOver();
    peer.answered();
    this.#gives(peer, lengthBytes);
    piece.ends(blockIndex, peer.sourceIndex);
    if (piece.status === "abandoned") {
      this.#duplicateBytes += lengthBytes;
      this.#requests.giveBack(piece);
    } else {
      this.#options.onBlock(peer, lengthBytes);
      if (piece.isWhole) this.#commit(piece);
    }
    this.pump(peer);
  }

  #gives(peer: Peer, lengthBytes: number): void {
    peer.answering.gave();
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
      peer.window.adjust(nowMs, peer.paceBytesPerSecond);
      if (peer.outstanding > 0) this.#lookAfter(peer, nowMs);
      else if (peer.window.isTryDue(nowMs) && this.#mayTry(peer)) this.#tryAgain(peer, nowMs);
    }
    this.#giveUpStuckPieces(nowMs);
    // Memory may have come back without a word.
    if (this.picker.isOutOfMemory) this.picker.somethingFreed();
    this.pumpAll();
    for (const peer of this.#peers) {
      if (peer === undefined || !this.#mayAsk(peer) || this.picker.pieceFor(peer) !== undefined) continue;
      this.#takeOver.stillNothingFree(peer);
    }
  }

  /** Gives up what is asked for and begun, and asks for nothing any more. */
  stop(): void {
    this.#isActive = false;
    for (const peer of this.#peers) if (peer !== undefined) this.#requests.cancelAll(peer, 0);
    for (const piece of [...this.picker.openPieces()]) this.#requests.abandon(piece);
  }

  #lookAfter(peer: Peer, nowMs: number): void {
    if (peer.arriving !== undefined) {
      const patienceMs = this.#isMissedElsewhere(peer)
        ? LAST_BLOCKS_MS
        : peer.window.timeoutMs * MID_BLOCK_TIMEOUTS;
      if (peer.window.silentForMs(nowMs) > patienceMs) {
        peer.answering.stalled("stops in the middle of a block");
        peer.link.close("it stopped in the middle of a block");
      }
    } else if (peer.window.isOverdue(nowMs)) {
      this.#overdue(peer, nowMs);
    }
  }

  /** What is arriving from the peer is one of the last blocks, and somebody who has nothing else to do has it too. */
  #isMissedElsewhere(peer: Peer): boolean {
    const piece = peer.arriving?.piece;
    if (piece === undefined || !this.picker.isEndgame) return false;
    return this.#peers.some(
      (other) =>
        other !== undefined &&
        other !== peer &&
        other.has.has(piece.pieceIndex) &&
        this.#mayAsk(other) &&
        !other.window.isSnubbed &&
        other.isHungry,
    );
  }

  /** A silent peer: snubbed, and all but its oldest request is free for others; if that is not answered either, it rests. */
  #overdue(peer: Peer, nowMs: number): void {
    const isStillAsked = peer.giving.status === "giving";
    if (isStillAsked && peer.window.isSnubbed) {
      this.#rest(peer);
      return;
    }
    peer.window.snub(nowMs);
    this.#requests.cancelAll(peer, isStillAsked ? 1 : 0);
    this.picker.disown(peer);
    this.#requests.resetExclusive(peer);
  }

  /** Nothing more is asked of the peer that would hold memory, until it shows that it gives. */
  #rest(peer: Peer): void {
    peer.answering.stalled(peer.answering.hasRefused ? "rejects what it says it has" : "does not answer");
    peer.window.rest(this.#options.nowMs());
    this.#requests.cancelAll(peer, 0);
    this.picker.disown(peer);
    this.#requests.resetExclusive(peer);
  }

  /** Asks a resting peer for a block that has no place, and is thrown away when it comes: it costs no memory to wait for. */
  #tryAgain(peer: Peer, nowMs: number): void {
    peer.window.tried(nowMs);
    const { geometry, have, random } = this.#options;
    const start = Math.floor(random() * geometry.pieceCount);
    for (let step = 0; step < geometry.pieceCount; step++) {
      const pieceIndex = (start + step) % geometry.pieceCount;
      if (have.has(pieceIndex) || !peer.has.has(pieceIndex)) continue;
      const blockIndex = Math.floor(random() * geometry.blockCount(pieceIndex));
      if (!peer.tries(pieceIndex, blockIndex)) return;
      const lengthBytes = geometry.lengthOfBlockBytes(pieceIndex, blockIndex);
      peer.link.request(pieceIndex, blockIndex * BLOCK_LENGTH_BYTES, lengthBytes);
      return;
    }
  }

  /** While memory is scarce, pieces that no peer gives would keep it from whoever has a peer that gives. */
  #giveUpStuckPieces(nowMs: number): void {
    const { storage } = this.#options;
    const before = this.#stuckSinceMs;
    if (before.size > 0) this.#stuckSinceMs = new Map();
    for (const piece of [...this.picker.orphans()]) {
      if (piece.status !== "filling" || this.#isGiven(piece)) continue;
      // With nothing in it there is nothing to keep.
      if (piece.isQuiet && piece.arrivedCount === 0) this.#requests.abandon(piece);
      if (piece.status !== "filling" || storage.isMemoryScarce !== true) continue;
      const sinceMs = before.get(piece) ?? nowMs;
      if (nowMs - sinceMs < STUCK_PIECE_MS || !storage.isMemoryScarce) {
        this.#stuckSinceMs.set(piece, sinceMs);
        continue;
      }
      this.#requests.takeBack(piece, this.#peers);
      this.#requests.abandon(piece);
    }
  }

  /** Somebody could give what is missing of the piece now. */
  #isGiven(piece: OpenPiece): boolean {
    return this.#peers.some(
      (peer) =>
        peer !== undefined &&
        peer.giving.status === "giving" &&
        !peer.window.isSnubbed &&
        peer.has.has(piece.pieceIndex),
    );
  }
}
