// Gets the pieces: keeps requests outstanding with every peer that gives, puts blocks where they belong, hands whole
// pieces to storage, takes from the silent and the slow. One guarded pump per peer, whoever triggers it.
// Which piece of whom is the picker's decision, how many at once the request window's, whom to believe trust's.
import { MiniTorrentError } from "../api/errors.ts";
import type { Bitfield } from "../metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { Peer } from "./peer.ts";
import { Picker } from "./picker.ts";
import type { CommitOutcome, PieceStorage } from "./piece-storage.ts";
import type { TokenBucket, TokenWaiter } from "./token-bucket.ts";

/** A peer may send so many blocks that were never asked for before it is taken for hostile or broken. */
const MAX_STRAY_BLOCKS = 32;
/** In endgame blocks are moved when what waits takes longer than this: less is on its way already, or in its sender's
 * buffers (upload-queue.ts: 0.2 s), and would come twice. */
const ENDGAME_MIN_WAIT_MS = 400;
/** Blocks are moved from a peer that needs so many times longer for them... */
const TAKE_OVER_SPEEDUP = 2;
/** ...when what waits there takes longer than this. What was asked for less long ago lies in its sender's kernel, where no
 * cancel reaches it: with 0.5 s, 6 % of all bytes came twice. */
const TAKE_OVER_MIN_WAIT_MS = 2000;
/** The first of what is asked of a peer is in its connection's buffers already and comes anyway. */
const TAKE_OVER_MIN_BLOCKS = 24;
/** Who says nothing for so long may have gone: an idle peer need not wait for the timeout to take over. */
const SILENCE_MS = 1000;
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
  /** By slot. */
  readonly #peers: (Peer | undefined)[] = [];
  /** By slot: each peer's turn to be asked, while what may be asked for is limited. */
  readonly #turns: (TokenWaiter | undefined)[] = [];
  #isActive = true;
  #isPumping = false;
  #mustPumpAll = false;
  #requestCount = 0;
  /** Begun pieces that nobody gives, and since when; kept while memory is scarce. */
  #stuckSinceMs = new Map<OpenPiece, number>();
  #lastArrivalMs = Number.NEGATIVE_INFINITY;
  #duplicateBytes = 0;
  #discardedBytes = 0;

  constructor(options: DownloaderOptions) {
    this.#options = options;
    this.picker = new Picker({
      geometry: options.geometry,
      have: options.have,
      reserve: (pieceIndex) => options.storage.reserve(pieceIndex),
      random: options.random,
    });
  }

  /** Bytes of blocks that were skipped when they arrived. */
  get duplicateBytes(): number {
    return this.#duplicateBytes;
  }

  /** Bytes that had been put in their place for nothing: the piece did not have its hash, or was given up. */
  get discardedBytes(): number {
    return this.#discardedBytes + this.picker.discardedBytes;
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
    this.#forgetAll(peer, { mayStillCome: false, includingArriving: true });
    if (this.#peers[peer.slot] === peer) {
      this.picker.peerLeft(peer);
      this.#peers[peer.slot] = undefined;
      const turn = this.#turns[peer.slot];
      if (turn !== undefined) this.#options.bucket?.forget(turn);
      this.#turns[peer.slot] = undefined;
    }
    this.#resetExclusive(peer);
    this.pumpAll();
  }

  peerChoked(peer: Peer): void {
    // BEP 6: with the fast extension each request is rejected or served; without, they are all forgotten.
    if (!peer.supportsFast) this.#forgetAll(peer, { mayStillCome: true, includingArriving: false });
    this.picker.disown(peer);
    this.#resetExclusive(peer);
    this.pumpAll();
  }

  rejected(peer: Peer, pieceIndex: number, offsetBytes: number): void {
    const piece = this.picker.openPiece(pieceIndex);
    const blockIndex = offsetBytes / BLOCK_LENGTH_BYTES;
    // The answer to a cancelled request first: the same block may be asked for again by now.
    if (peer.answeredWhatWasTakenBack(pieceIndex, blockIndex)) return;
    if (piece === undefined || !piece.isAskedOf(blockIndex, peer.slot)) return;
    this.#forget(peer, piece, blockIndex, false);
    if (piece.ownerSlot === peer.slot && piece.isExclusive) this.#resetExclusive(peer);
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
        this.#helpOut(peer);
        return;
      }
      this.#ask(peer, piece, piece.takeFree(peer.slot, ++this.#requestCount));
    }
  }

  /** False: the limit is reached, and the peer is asked when it is its turn. */
  #isAllowed(peer: Peer): boolean {
    const { bucket } = this.#options;
    const turn = this.#turns[peer.slot];
    return bucket === undefined || turn === undefined || bucket.allowance(turn) > 0;
  }

  #ask(peer: Peer, piece: OpenPiece, blockIndex: number): void {
    peer.asked();
    const lengthBytes = piece.lengthOfBlockBytes(blockIndex);
    this.#options.bucket?.spend(lengthBytes);
    peer.link.request(piece.pieceIndex, blockIndex * BLOCK_LENGTH_BYTES, lengthBytes);
  }

  /** Endgame: blocks that wait long at others are asked of a peer that has nothing else to do. */
  #helpOut(peer: Peer): void {
    if (this.picker.isEndgame) this.#relieve(peer, ENDGAME_MIN_WAIT_MS, 0);
  }

  /**
   * A peer with nothing to do relieves those on whom more waits than they deliver soon: everybody asks whoever has a
   * piece first, and those who have it later stand idle. The block moves: whom it was asked of is told at once.
   */
  #relieve(peer: Peer, leastWaitMs: number, leastBlocks: number): void {
    if (peer.window.isSnubbed) return;
    while (peer.outstanding < peer.window.sizeBlocks) {
      if (!this.#isAllowed(peer)) return;
      const minWaitMs = Math.max(leastWaitMs, this.#nextBlockMs(peer) * TAKE_OVER_SPEEDUP);
      const busy = this.picker.busiestBlock(peer, (slot) => this.#waitMs(slot, minWaitMs, leastBlocks));
      const slower = busy && this.#peers[busy.askedSlot];
      if (busy === undefined || slower === undefined) return;
      this.#cancel(slower, busy.piece, busy.blockIndex);
      busy.piece.move(busy.blockIndex, peer.slot, ++this.#requestCount);
      this.#ask(peer, busy.piece, busy.blockIndex);
    }
  }

  /** When a block asked of the peer now would be here; 0 for an idle peer whose speed is not known. */
  #nextBlockMs(peer: Peer): number {
    const bytesPerSecond = peer.paceBytesPerSecond;
    if (bytesPerSecond === 0) return peer.outstanding === 0 ? 0 : Number.POSITIVE_INFINITY;
    return ((peer.outstanding + 1) * BLOCK_LENGTH_BYTES * 1000) / bytesPerSecond;
  }

  /** How long what is asked of the peer takes, or it has been silent; 0 if that is not long enough to help. */
  #waitMs(slot: number, minWaitMs: number, minBlocks: number): number {
    const peer = this.#peers[slot];
    if (peer === undefined || peer.outstanding === 0) return 0;
    // BEP 6: who chokes us says of each request at once that it is dropped, or has sent the block.
    if (peer.giving.status === "choking" && peer.supportsFast) return 0;
    const silentMs = peer.window.silentForMs(this.#options.nowMs());
    if (silentMs > Math.max(SILENCE_MS, minWaitMs)) return Math.max(silentMs, peer.queueMs);
    return peer.outstanding >= minBlocks && peer.queueMs > minWaitMs ? peer.queueMs : 0;
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
      this.#giveBack(piece);
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
        this.#discardedBytes += this.#options.geometry.lengthOfPieceBytes(pieceIndex);
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
      // Who suggests has better things to send than what is on its way from others.
      if (peer.isSuggesting) continue;
      this.#relieve(peer, TAKE_OVER_MIN_WAIT_MS, TAKE_OVER_MIN_BLOCKS);
    }
  }

  /** Gives up what is asked for and begun, and asks for nothing any more. */
  stop(): void {
    this.#isActive = false;
    for (const peer of this.#peers) if (peer !== undefined) this.#cancelAll(peer, 0);
    for (const piece of [...this.picker.openPieces()]) this.#abandon(piece);
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
    this.#cancelAll(peer, isStillAsked ? 1 : 0);
    this.picker.disown(peer);
    this.#resetExclusive(peer);
  }

  /** Nothing more is asked of the peer that would hold memory, until it shows that it gives. */
  #rest(peer: Peer): void {
    peer.answering.stalled(peer.answering.hasRefused ? "rejects what it says it has" : "does not answer");
    peer.window.rest(this.#options.nowMs());
    this.#cancelAll(peer, 0);
    this.picker.disown(peer);
    this.#resetExclusive(peer);
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
      if (piece.isQuiet && piece.arrivedCount === 0) this.#abandon(piece);
      if (piece.status !== "filling" || storage.isMemoryScarce !== true) continue;
      const sinceMs = before.get(piece) ?? nowMs;
      if (nowMs - sinceMs < STUCK_PIECE_MS || !storage.isMemoryScarce) {
        this.#stuckSinceMs.set(piece, sinceMs);
        continue;
      }
      this.#takeBackRequests(piece);
      this.#abandon(piece);
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

  #takeBackRequests(piece: OpenPiece): void {
    for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
      const peer = piece.isMovable(blockIndex) ? this.#peers[piece.askedSlot(blockIndex)] : undefined;
      if (peer === undefined) continue;
      this.#cancel(peer, piece, blockIndex);
      piece.forget(blockIndex);
    }
  }

  #cancel(peer: Peer, piece: OpenPiece, blockIndex: number): void {
    const lengthBytes = piece.lengthOfBlockBytes(blockIndex);
    peer.tookBack(piece.pieceIndex, blockIndex);
    this.#options.bucket?.giveBack(lengthBytes);
    peer.link.cancel(piece.pieceIndex, blockIndex * BLOCK_LENGTH_BYTES, lengthBytes);
  }

  /** Takes back what is asked of the peer, but for so many of the oldest requests and what is arriving. */
  #cancelAll(peer: Peer, keep: number): void {
    let kept = 0;
    this.#eachRequest(peer, (piece, blockIndex, isArriving) => {
      if (isArriving || kept++ < keep) return;
      this.#cancel(peer, piece, blockIndex);
      piece.forget(blockIndex);
    });
    this.picker.somethingFreed();
  }

  #forgetAll(peer: Peer, how: { mayStillCome: boolean; includingArriving: boolean }): void {
    this.#eachRequest(peer, (piece, blockIndex, isArriving) => {
      if (isArriving && !how.includingArriving) return;
      this.#forget(peer, piece, blockIndex, how.mayStillCome);
      if (isArriving) peer.blockIsOver();
      if (piece.status === "abandoned") this.#giveBack(piece);
    });
  }

  #forget(peer: Peer, piece: OpenPiece, blockIndex: number, mayStillCome: boolean): void {
    piece.forget(blockIndex);
    this.#options.bucket?.giveBack(piece.lengthOfBlockBytes(blockIndex));
    if (mayStillCome) peer.tookBack(piece.pieceIndex, blockIndex);
    else peer.answered();
    this.picker.somethingFreed();
  }

  #eachRequest(peer: Peer, visit: (piece: OpenPiece, blockIndex: number, isArriving: boolean) => void): void {
    if (peer.outstanding === 0) return;
    for (const piece of [...this.picker.openPieces()]) {
      for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
        if (!piece.isAskedOf(blockIndex, peer.slot)) continue;
        const { arriving } = peer;
        visit(piece, blockIndex, arriving?.piece === piece && arriving.blockIndex === blockIndex);
      }
    }
  }

  /** A peer on parole gives whole pieces: what it began and does not finish is worth nothing. */
  #resetExclusive(peer: Peer): void {
    for (const piece of [...this.picker.openPieces()]) {
      if (!piece.isExclusive || piece.status !== "filling") continue;
      if (piece.ownerSlot !== -1 && piece.ownerSlot !== peer.slot) continue;
      this.#eachRequest(peer, (asked, blockIndex, isArriving) => {
        if (asked !== piece || isArriving) return;
        this.#cancel(peer, piece, blockIndex);
        piece.forget(blockIndex);
      });
      this.#abandon(piece);
    }
  }

  /** What has come of the piece is given up. */
  #abandon(piece: OpenPiece): void {
    if (piece.status !== "filling") return;
    for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
      if (piece.isArrived(blockIndex)) this.#discardedBytes += piece.lengthOfBlockBytes(blockIndex);
    }
    piece.abandon();
    this.#giveBack(piece);
  }

  #giveBack(piece: OpenPiece): void {
    if (piece.isBeingWritten) return;
    this.#options.storage.release(piece.pieceIndex);
    this.picker.closed(piece.pieceIndex);
  }
}
