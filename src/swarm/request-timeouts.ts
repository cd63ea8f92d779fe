// How long we bear it when nothing comes: of a silent peer, which is asked for less and then rests without any request
// until it shows that it gives; of one that stops in the middle of a block; of begun pieces that nobody gives.
import type { Bitfield } from "../metainfo/bitfield.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { OpenPiece } from "./open-piece.ts";
import type { Peer } from "./peer.ts";
import type { Picker } from "./picker.ts";
import type { PieceStorage } from "./piece-storage.ts";
import type { RequestTracker } from "./request-tracker.ts";

/** A peer that stops in the middle of a block holds its place in memory; after so many timeouts it is closed... */
const MID_BLOCK_TIMEOUTS = 2;
/** ...and after this time when that block is one of the last, and somebody else could give it: 5 KB/s is no help then. */
const LAST_BLOCKS_MS = 3000;
/** A begun piece that nobody gives keeps its memory for so long while others want it: who choked may unchoke. */
const STUCK_PIECE_MS = 10_000;

export interface RequestTimeoutsOptions {
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly storage: PieceStorage;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly picker: Picker;
  readonly requests: RequestTracker;
  /** By slot. */
  readonly peers: readonly (Peer | undefined)[];
  /** The peer gives, and is not at rest. */
  readonly mayAsk: (peer: Peer) => boolean;
}

export class RequestTimeouts {
  readonly #options: RequestTimeoutsOptions;
  /** Begun pieces that nobody gives, and since when; kept while memory is scarce. */
  #stuckSinceMs = new Map<OpenPiece, number>();

  constructor(options: RequestTimeoutsOptions) {
    this.#options = options;
  }

  /** Something is asked of the peer: sees whether it takes too long. */
  lookAfter(peer: Peer, nowMs: number): void {
    if (peer.requests.arriving !== undefined) {
      const patienceMs = this.#isMissedElsewhere(peer)
        ? LAST_BLOCKS_MS
        : peer.window.timeoutMs * MID_BLOCK_TIMEOUTS;
      if (peer.window.silentForMs(nowMs) > patienceMs) {
        peer.requests.stalled("stops in the middle of a block");
        peer.link.close("it stopped in the middle of a block");
      }
    } else if (peer.window.isOverdue(nowMs)) {
      this.#overdue(peer, nowMs);
    }
  }

  /** What is arriving from the peer is one of the last blocks, and somebody who has nothing else to do has it too. */
  #isMissedElsewhere(peer: Peer): boolean {
    const piece = peer.requests.arriving?.piece;
    if (piece === undefined || !this.#options.picker.isEndgame) return false;
    return this.#options.peers.some(
      (other) =>
        other !== undefined &&
        other !== peer &&
        other.has.has(piece.pieceIndex) &&
        this.#options.mayAsk(other) &&
        !other.window.isSnubbed &&
        other.isHungry,
    );
  }

  /** A silent peer: snubbed, and all but its oldest request is free for others; if that is not answered either, it rests. */
  #overdue(peer: Peer, nowMs: number): void {
    const isStillAsked = !peer.isChokingUs;
    if (isStillAsked && peer.window.isSnubbed) {
      this.rest(peer);
      return;
    }
    peer.window.snub(nowMs);
    this.#askLess(peer, isStillAsked ? 1 : 0);
  }

  /** Nothing more is asked of the peer that would hold memory, until it shows that it gives. */
  rest(peer: Peer): void {
    peer.requests.stalled(peer.requests.hasRejected ? "rejects what it says it has" : "does not answer");
    peer.window.rest(this.#options.nowMs());
    this.#askLess(peer, 0);
  }

  /** All but so many of its requests are free for others, and what belonged to it too. */
  #askLess(peer: Peer, keep: number): void {
    const { picker, requests } = this.#options;
    requests.cancelAll(peer, keep);
    picker.disown(peer);
    requests.resetExclusive(peer);
  }

  /** Asks a resting peer for a block that has no place, and is thrown away when it comes: it costs no memory to wait for. */
  tryAgain(peer: Peer, nowMs: number): void {
    peer.window.tried(nowMs);
    const { geometry, have, random } = this.#options;
    const start = Math.floor(random() * geometry.pieceCount);
    for (let step = 0; step < geometry.pieceCount; step++) {
      const pieceIndex = (start + step) % geometry.pieceCount;
      if (have.has(pieceIndex) || !peer.has.has(pieceIndex)) continue;
      const blockIndex = Math.floor(random() * geometry.blockCount(pieceIndex));
      if (!peer.requests.probe(pieceIndex, blockIndex)) return;
      const lengthBytes = geometry.lengthOfBlockBytes(pieceIndex, blockIndex);
      peer.link.request(pieceIndex, blockIndex * BLOCK_LENGTH_BYTES, lengthBytes);
      return;
    }
  }

  /** While memory is scarce, pieces that no peer gives would keep it from whoever has a peer that gives. */
  giveUpStuckPieces(nowMs: number): void {
    const { storage, picker, requests, peers } = this.#options;
    const before = this.#stuckSinceMs;
    if (before.size > 0) this.#stuckSinceMs = new Map();
    for (const piece of [...picker.orphans()]) {
      if (piece.status !== "filling" || this.#isGiven(piece)) continue;
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

  /** Somebody could give what is missing of the piece now. */
  #isGiven(piece: OpenPiece): boolean {
    return this.#options.peers.some(
      (peer) =>
        peer !== undefined && !peer.isChokingUs && !peer.window.isSnubbed && peer.has.has(piece.pieceIndex),
    );
  }
}
