// What happens when nothing arrives: a silent peer keeps one request, and then rests without any until it delivers; a peer that
// stops in the middle of a block is closed; begun pieces that no peer delivers are given up.
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { OwnPieces } from "./own-pieces.ts";
import type { Peer } from "./peer.ts";
import type { Picker } from "./picker.ts";
import type { RequestTracker } from "./request-tracker.ts";
import type { PieceStorage } from "./storage-interface.ts";

/** A peer that stops in the middle of a block holds its place in memory; after so many timeouts it is closed... */
const MID_BLOCK_TIMEOUTS = 2;
/** ...and after this time when that block is one of the last, and another peer could deliver it: 5 KB/s is no help then. */
const LAST_BLOCKS_MS = 3000;
/** A begun piece that no peer delivers keeps its memory for so long while others want it: a peer may unchoke us. */
const STUCK_PIECE_MS = 10_000;

export interface RequestTimeoutsOptions {
  readonly geometry: Geometry;
  readonly pieces: OwnPieces;
  readonly storage: PieceStorage;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly picker: Picker;
  readonly requests: RequestTracker;
  /** By slot. */
  readonly peers: readonly (Peer | undefined)[];
}

export class RequestTimeouts {
  readonly #options: RequestTimeoutsOptions;
  /** Begun pieces that no peer delivers, and since when; kept while memory is scarce. */
  #stuckSinceMs = new Map<OpenPiece, number>();

  constructor(options: RequestTimeoutsOptions) {
    this.#options = options;
  }

  /** The peer has open requests: acts if it takes too long. */
  check(peer: Peer, nowMs: number): void {
    if (peer.requests.arriving !== undefined) {
      const timeoutMs = this.#isMissedElsewhere(peer)
        ? LAST_BLOCKS_MS
        : peer.window.timeoutMs * MID_BLOCK_TIMEOUTS;
      if (peer.window.silentForMs(nowMs) > timeoutMs) {
        peer.requests.stalled("stops in the middle of a block");
        peer.link.close("it stopped in the middle of a block");
      }
    } else if (peer.window.isOverdue(nowMs)) {
      this.#overdue(peer, nowMs);
    }
  }

  /** The arriving block is one of the last, and another peer that has nothing else to do has it too. */
  #isMissedElsewhere(peer: Peer): boolean {
    const piece = peer.requests.arriving?.piece;
    if (piece === undefined || !this.#options.picker.isEndgame) return false;
    return this.#options.peers.some(
      (other) =>
        other !== undefined &&
        other !== peer &&
        other.has.has(piece.pieceIndex) &&
        other.isOpenToRequests &&
        !other.window.isSnubbed &&
        other.isHungry,
    );
  }

  /** Snubs a silent peer: all but its oldest request are free for others. If that is not answered either, it rests. */
  #overdue(peer: Peer, nowMs: number): void {
    const mayStillRequest = !peer.isChokingUs;
    if (mayStillRequest && peer.window.isSnubbed) {
      this.rest(peer);
      return;
    }
    peer.window.snub(nowMs);
    this.#askLess(peer, mayStillRequest ? 1 : 0);
  }

  /** Requests nothing of the peer that would hold memory, until it delivers. */
  rest(peer: Peer): void {
    peer.requests.stalled(peer.requests.hasRejected ? "rejects what it says it has" : "does not answer");
    peer.window.rest(this.#options.nowMs());
    this.#askLess(peer, 0);
  }

  /** Frees all but so many of its requests for others, and the pieces that belonged to it. */
  #askLess(peer: Peer, keep: number): void {
    const { picker, requests } = this.#options;
    requests.cancelAll(peer, keep);
    picker.disown(peer);
    requests.resetExclusive(peer);
  }

  /** Requests a block of a resting peer that is thrown away when it arrives: waiting for it costs no memory. */
  probe(peer: Peer, nowMs: number): void {
    peer.window.probed(nowMs);
    const { geometry, pieces, random } = this.#options;
    const start = Math.floor(random() * geometry.pieceCount);
    let pieceIndex = pieces.missing.nextInBoth(peer.has, start);
    if (pieceIndex === -1) pieceIndex = pieces.missing.nextInBoth(peer.has, 0);
    if (pieceIndex === -1) return;
    const blockIndex = Math.floor(random() * geometry.blockCount(pieceIndex));
    if (!peer.requests.probe(pieceIndex, blockIndex)) return;
    const lengthBytes = geometry.lengthOfBlockBytes(pieceIndex, blockIndex);
    peer.link.request(pieceIndex, blockIndex * BLOCK_LENGTH_BYTES, lengthBytes);
  }

  /** While memory is scarce, pieces that no peer delivers would keep it from torrents whose peers deliver. */
  giveUpStuckPieces(nowMs: number): void {
    const { storage, picker, requests, peers } = this.#options;
    const before = this.#stuckSinceMs;
    if (before.size > 0) this.#stuckSinceMs = new Map();
    for (const piece of [...picker.orphans()]) {
      if (piece.status !== "filling" || this.#isDeliverable(piece)) continue;
      // With nothing in it there is nothing to keep.
      if (piece.isQuiet && piece.arrivedCount === 0) requests.abandon(piece);
      if (piece.status !== "filling" || storage.isMemoryScarce !== true) continue;
      const sinceMs = before.get(piece) ?? nowMs;
      if (nowMs - sinceMs < STUCK_PIECE_MS || !storage.isMemoryScarce) {
        this.#stuckSinceMs.set(piece, sinceMs);
        continue;
      }
      requests.cancelPiece(piece, peers);
      requests.abandon(piece);
    }
  }

  /** A peer could deliver the rest of the piece now. */
  #isDeliverable(piece: OpenPiece): boolean {
    return this.#options.peers.some(
      (peer) =>
        peer !== undefined && !peer.isChokingUs && !peer.window.isSnubbed && peer.has.has(piece.pieceIndex),
    );
  }
}
