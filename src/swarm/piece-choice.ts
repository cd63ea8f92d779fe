// Chooses the new piece to request from a peer: a suggested one, or rarest first, in random order within a rarity, yet in runs
// for the disks' sake. The cost of a choice does not grow with pieces or peers: a walk through the rarest pieces of bounded
// length, then a scan of the peer's bitfield that weighs a bounded number of candidates. It opens nothing (picker.ts).
import type { Geometry } from "../metainfo/geometry.ts";
import type { Availability } from "./availability.ts";
import type { PieceSet } from "./piece-set.ts";

/** Pieces looked at, from the rarest up, before the peer's own bitfield is scanned. */
const MAX_WALK_PIECES = 192;
/** Free pieces that a scan of the peer's bitfield weighs against each other. */
const MAX_SCAN_CANDIDATES = 192;
/** Pieces requested one after the other from a peer are contiguous for this length (seeks of a disk, read-ahead). */
const RUN_LENGTH_BYTES = 1024 * 1024;

/** What the picker must know of a peer. */
export interface PickingPeer {
  /** Small number that no other connected peer has. */
  readonly slot: number;
  readonly has: PieceSet;
  readonly isSeed: boolean;
  /** Whole pieces are requested from it alone. */
  readonly isOnParole: boolean;
  /** How long a block that is requested from it now would take; Infinity if it delivers nothing. */
  readonly nextBlockMs: number;
  /** Few requests are open: soon it would have nothing to send. */
  readonly isHungry: boolean;
  /** It suggests pieces, so that different peers request different ones (BEP 6). */
  readonly isSuggesting: boolean;
  /** The next piece that it suggested, once. */
  takeSuggestion(): number | undefined;
}

/** The peer suggests what to request, and its next suggestion is awaited. */
export const HELD_BACK = "held back";

/** undefined: no free piece is there. */
type NewPiece = number | typeof HELD_BACK | undefined;

export class PieceChoice {
  readonly #pieceCount: number;
  readonly #availability: Availability;
  readonly #random: () => number;
  readonly #runShift: number;
  /** By slot: the piece opened last, after which the run goes on. */
  readonly #lastOpened: number[] = [];
  #stepCount = 0;

  constructor(geometry: Geometry, availability: Availability, random: () => number) {
    this.#pieceCount = geometry.pieceCount;
    this.#availability = availability;
    this.#random = random;
    this.#runShift = Math.max(0, Math.floor(Math.log2(RUN_LENGTH_BYTES / geometry.pieceLengthBytes)));
  }

  /** Pieces, and summaries of 1,024 pieces, that were looked at. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /** That piece was opened for the peer: a run goes on after it. */
  opened(slot: number, pieceIndex: number): void {
    this.#lastOpened[slot] = pieceIndex;
  }

  runEnds(slot: number): void {
    this.#lastOpened[slot] = -2;
  }

  /**
   * A free piece that the peer has.
   *
   * @param isFirst we have next to nothing to upload yet
   * @param isAlone no peer needs anything of us
   */
  newPiece(peer: PickingPeer, isFirst: boolean, isAlone: boolean): NewPiece {
    const availability = this.#availability;
    if (availability.freeCount === 0) return undefined;
    const suggested = this.#suggested(peer);
    if (suggested !== undefined) return suggested;
    // Others get these pieces from there: sent twice, they delay the first whole copy.
    if (peer.isSuggesting && !peer.isHungry) return HELD_BACK;
    // File order is best for disk and hashing.
    if (isAlone && peer.isSeed && !isFirst) return availability.lowestFree();
    if (isFirst && !peer.isSeed) return this.#scan(peer, 1);
    const found = this.#walk(peer);
    return found ?? this.#scan(peer, MAX_SCAN_CANDIDATES);
  }

  #suggested(peer: PickingPeer): number | undefined {
    for (;;) {
      const pieceIndex = peer.takeSuggestion();
      if (pieceIndex === undefined) return undefined;
      if (this.#availability.isFree(pieceIndex) && peer.has.has(pieceIndex)) return pieceIndex;
    }
  }

  /** From the rarest bucket up: the run that is under way, then any. */
  #walk(peer: PickingPeer): number | undefined {
    const next = (this.#lastOpened[peer.slot] ?? -2) + 1;
    const isRunOn =
      next > 0 &&
      (next & ((1 << this.#runShift) - 1)) !== 0 &&
      this.#availability.isFree(next) &&
      peer.has.has(next);
    let stepsLeft = MAX_WALK_PIECES;
    const { buckets } = this.#availability;
    for (let rarity = 0; rarity < buckets.length && stepsLeft > 0; rarity++) {
      for (const pieceIndex of buckets[rarity] ?? []) {
        this.#stepCount++;
        if (--stepsLeft === 0) break;
        if (!peer.has.has(pieceIndex)) continue;
        return isRunOn && this.#availability.rarity(next) === rarity ? next : pieceIndex;
      }
    }
    return undefined;
  }

  /** The rarest of some free pieces that the peer has, from a random place in its bitfield on. */
  #scan(peer: PickingPeer, maxCandidates: number): number | undefined {
    const { freePieces } = this.#availability;
    const start = Math.floor(this.#random() * this.#pieceCount);
    let best: number | undefined;
    let candidatesLeft = maxCandidates;
    let hasWrapped = false;
    let pieceIndex = start - 1;
    while (candidatesLeft > 0) {
      const from = pieceIndex + 1;
      pieceIndex = freePieces.nextInBoth(peer.has, from);
      const reached = pieceIndex === -1 ? this.#pieceCount : pieceIndex;
      this.#stepCount += 1 + (reached >>> 10) - (from >>> 10);
      if (pieceIndex === -1 && !hasWrapped) {
        hasWrapped = true;
        continue;
      }
      if (pieceIndex === -1 || (hasWrapped && pieceIndex >= start)) break;
      candidatesLeft--;
      if (best === undefined || this.#availability.rarity(pieceIndex) < this.#availability.rarity(best)) {
        best = pieceIndex;
      }
    }
    return best;
  }
}
