// Picks the piece to request next from a peer: a begun one, or a new one (piece-choice.ts). Begun pieces go first when too many
// are open. It decides only: downloader.ts sends the requests.
//
// A piece belongs to the peer it was opened for; its blocks are requested from others only when nothing else is left for them.
import type { Geometry } from "../metainfo/geometry.ts";
import { Availability } from "./availability.ts";
import { OpenPiece } from "./open-piece.ts";
import type { OwnPieces, WantedChange } from "./own-pieces.ts";
import { HELD_BACK, type PickingPeer, PieceChoice } from "./piece-choice.ts";

/** The first pieces are chosen without regard to rarity: the sooner there is something to upload, the better (BitTorrent
 * Economics Paper, 2003: "random first piece"). */
const RANDOM_FIRST_PIECES = 4;
/** With more open pieces than this a peer, begun ones go first (libtorrent: 1.5 times the peers; here a peer has a whole
 * window of pieces open). */
const OPEN_BYTES_PER_PEER = 32 * 1024 * 1024;

/** A block comes in time if it is due after so many times what it would take, and this: its piece is hashed and written then. */
const SAFETY_FACTOR = 2;
const SAFETY_MS = 250;

/** A block that is requested from some peer already. */
export interface BusyBlock {
  readonly piece: OpenPiece;
  readonly blockIndex: number;
  readonly askedSlot: number;
}

export interface PickerOptions {
  readonly geometry: Geometry;
  readonly pieces: OwnPieces;
  /** Memory to put the piece together in; undefined: there is none now. */
  readonly reserve: (pieceIndex: number) => Uint8Array | undefined;
  readonly random: () => number;
  readonly nowMs: () => number;
}

export class Picker {
  readonly availability: Availability;
  readonly #geometry: Geometry;
  readonly #pieces: OwnPieces;
  readonly #reserve: (pieceIndex: number) => Uint8Array | undefined;
  readonly #choice: PieceChoice;
  /** In the order in which they were opened. */
  readonly #open = new Map<number, OpenPiece>();
  /** Open pieces that belong to no peer. */
  readonly #orphans = new Set<OpenPiece>();
  /** Open pieces with blocks that are not requested; the pieces add and remove themselves. */
  readonly #withFree = new Set<OpenPiece>();
  /** By slot: the piece whose blocks are being requested. */
  readonly #current: (OpenPiece | undefined)[] = [];
  /** By slot: the value of `#changes` at which nothing was found for the peer. */
  readonly #dryAt: number[] = [];
  /** Counts changes that could make a block available to some peer. */
  #changes = 1;
  /**
   * Missing pieces that are needed soon, soonest first, and when. They are not free for the ordinary choice, so that a peer that
   * would be late gets others.
   */
  #deadlines: Map<number, number> = new Map();
  readonly #nowMs: () => number;
  /** By slot. */
  readonly #peers: (PickingPeer | undefined)[] = [];
  /** By slot: the value of `#changes` at which no piece with a deadline was found for the peer. */
  readonly #noUrgentAt: number[] = [];
  #leecherCount = 0;
  #isOutOfMemory = false;
  #discardedBytes = 0;
  #stepCount = 0;
  /** The peer suggests what to request, and its next suggestion is awaited. */
  #isHeldBack = false;

  constructor({ geometry, pieces, reserve, random, nowMs }: PickerOptions) {
    this.#nowMs = nowMs;

    this.#geometry = geometry;
    this.#pieces = pieces;
    this.#reserve = reserve;
    this.availability = new Availability(geometry.pieceCount, pieces.missing, random);
    this.#choice = new PieceChoice(geometry, this.availability, random);
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** There was no memory to open the last piece that was wanted. */
  get isOutOfMemory(): boolean {
    return this.#isOutOfMemory;
  }

  /** Bytes of blocks that had arrived for pieces that were started over. */
  get discardedBytes(): number {
    return this.#discardedBytes;
  }

  /** Pieces, and summaries of 1,024 pieces, that were looked at in all picks so far: their cost, whatever the machine. */
  get stepCount(): number {
    return this.#stepCount + this.#choice.stepCount;
  }

  /** No peer has a free piece: all that remains is requested already. */
  get isEndgame(): boolean {
    const { availability } = this;
    if (availability.freeCount > 0 && availability.seedCount > 0) return false;
    for (const pieceIndex of this.#deadlines.keys()) {
      if (!this.#open.has(pieceIndex) && availability.copies(pieceIndex) > 0) return false;
    }
    return availability.buckets.every((bucket, rarity) => rarity === 0 || bucket.length === 0);
  }

  /** In the order in which they were opened. */
  openPieces(): IterableIterator<OpenPiece> {
    return this.#open.values();
  }

  /** Open pieces that belong to no peer. */
  orphans(): IterableIterator<OpenPiece> {
    return this.#orphans.values();
  }

  /** Some piece is whole and on its way to the disk. */
  get isCommitting(): boolean {
    for (const piece of this.#open.values()) if (piece.status === "committing") return true;
    return false;
  }

  openPiece(pieceIndex: number): OpenPiece | undefined {
    return this.#open.get(pieceIndex);
  }

  peerCame(peer: PickingPeer): void {
    this.#looksAnew(peer);
    this.#choice.runEnds(peer.slot);
    this.#peers[peer.slot] = peer;
    if (peer.isSeed) {
      this.availability.seedCame();
      return;
    }
    this.#leecherCount++;
    this.#forEachPiece(peer, (pieceIndex) => this.availability.gained(pieceIndex));
  }

  /** The peer's requests have been forgotten before. */
  peerLeft(peer: PickingPeer): void {
    this.disown(peer);
    this.#peers[peer.slot] = undefined;
    if (peer.isSeed) {
      this.availability.seedLeft();
      return;
    }
    this.#leecherCount--;
    this.#forEachPiece(peer, (pieceIndex) => this.availability.lost(pieceIndex));
  }

  /** The peer, which is no seed, has that piece as well. */
  peerGained(peer: PickingPeer, pieceIndex: number): void {
    this.availability.gained(pieceIndex);
    this.#looksAnew(peer);
  }

  /** The peer has suggested a piece. */
  suggested(peer: PickingPeer): void {
    this.#looksAnew(peer);
  }

  /** With its last piece the peer is a seed from now on; until now it was counted piece by piece. */
  peerBecameSeed(peer: PickingPeer): void {
    this.#forEachPiece(peer, (pieceIndex) => this.availability.lost(pieceIndex));
    this.availability.seedCame();
    this.#leecherCount--;
    this.#looksAnew(peer);
  }

  /** What was not found for the peer may be there now. */
  #looksAnew({ slot }: PickingPeer): void {
    this.#dryAt[slot] = 0;
    this.#noUrgentAt[slot] = 0;
  }

  /** The peer does not deliver now: its pieces belong to no peer any longer. */
  disown(peer: PickingPeer): void {
    this.#current[peer.slot] = undefined;
    this.#choice.runEnds(peer.slot);
    for (const piece of this.#open.values()) {
      if (piece.ownerSlot !== peer.slot) continue;
      piece.ownerSlot = -1;
      this.#orphans.add(piece);
    }
    this.#changes++;
  }

  /** Other pieces are wanted from now on. The caller gives up open pieces that no longer are. */
  wantedChanged({ added, dropped }: WantedChange): void {
    for (let piece = dropped.next(0); piece !== -1; piece = dropped.next(piece + 1)) {
      this.availability.take(piece);
      this.#deadlines.delete(piece);
    }
    for (let piece = added.next(0); piece !== -1; piece = added.next(piece + 1)) {
      this.#freeUnlessTaken(piece);
    }
    this.somethingFreed();
  }

  /** Pieces with a deadline, soonest first, and when each is due. All of them are missing. The map is the picker's from now on. */
  setDeadlines(deadlines: Map<number, number>): void {
    const before = this.#deadlines;
    if (before.size === 0 && deadlines.size === 0) return;
    this.#deadlines = deadlines;
    for (const pieceIndex of before.keys()) this.#freeUnlessTaken(pieceIndex);
    for (const pieceIndex of deadlines.keys()) this.availability.take(pieceIndex);
    this.#changes++;
  }

  /** Pieces with a deadline, soonest first, and when each is due. */
  get deadlines(): ReadonlyMap<number, number> {
    return this.#deadlines;
  }

  #freeUnlessTaken(pieceIndex: number): void {
    if (this.#open.has(pieceIndex) || this.#deadlines.has(pieceIndex)) return;
    if (this.#pieces.isMissing(pieceIndex)) this.availability.free(pieceIndex);
  }

  /** Blocks or memory became free, or a peer may be asked for something that it could not be asked for before. */
  somethingFreed(): void {
    this.#isOutOfMemory = false;
    this.#changes++;
  }

  /**
   * The piece whose next free block to request from that peer; undefined if there is none now.
   * Its memory is reserved. The caller takes at least one block of it, or does not call again.
   */
  pieceFor(peer: PickingPeer): OpenPiece | undefined {
    const { slot } = peer;
    const urgent = this.#urgentPieceFor(peer);
    if (urgent !== undefined) return urgent;
    const current = this.#current[slot];
    if (current !== undefined && current.freeCount > 0 && this.#isOrdinary(current, peer)) return current;
    if (this.#dryAt[slot] === this.#changes) return undefined;
    this.#isHeldBack = false;
    const piece = peer.isOnParole ? this.#pieceForParole(peer) : this.#pieceForOthers(peer);
    this.#current[slot] = piece;
    if (piece === undefined && !this.#isHeldBack) this.#dryAt[slot] = this.#changes;
    return piece;
  }

  /**
   * The block that waits longest, by `waitMs` of the peer it is requested from, among those that `peer` has too; of the slower
   * peer's blocks the one requested last, which it has least likely begun to send. For request-stealing.ts.
   */
  busiestBlock(peer: PickingPeer, waitMs: (slot: number) => number): BusyBlock | undefined {
    if (peer.isOnParole) return undefined;
    let found: BusyBlock | undefined;
    let longestMs = 0;
    let latest = -1;
    for (const piece of this.#open.values()) {
      if (piece.status !== "filling" || piece.isExclusive || !peer.has.has(piece.pieceIndex)) continue;
      for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
        const askedSlot = piece.askedSlot(blockIndex);
        if (askedSlot === -1 || askedSlot === peer.slot || !piece.isMovable(blockIndex)) continue;
        const waitingMs = waitMs(askedSlot);
        if (waitingMs <= 0 || waitingMs < longestMs) continue;
        const order = piece.askedOrder(blockIndex);
        if (waitingMs === longestMs && order < latest) continue;
        longestMs = waitingMs;
        latest = order;
        found = { piece, blockIndex, askedSlot };
      }
    }
    return found;
  }

  /**
   * A block with a deadline that is requested from a peer that is too late with it, soonest deadline first. For
   * request-stealing.ts.
   *
   * @param isLate whether the peer with that slot is too late with what is expected of it at that time
   */
  lateBlock(
    peer: PickingPeer,
    isLate: (askedSlot: number, expectedAtMs: number, dueMs: number) => boolean,
  ): BusyBlock | undefined {
    if (peer.isOnParole) return undefined;
    for (const [pieceIndex, dueMs] of this.#deadlines) {
      const piece = this.#open.get(pieceIndex);
      if (piece === undefined || piece.isExclusive || !peer.has.has(pieceIndex)) continue;
      for (let blockIndex = 0; blockIndex < piece.blockCount; blockIndex++) {
        const askedSlot = piece.askedSlot(blockIndex);
        if (askedSlot === -1 || askedSlot === peer.slot || !piece.isMovable(blockIndex)) continue;
        if (isLate(askedSlot, piece.expectedAtMs(blockIndex), dueMs)) return { piece, blockIndex, askedSlot };
      }
    }
    return undefined;
  }

  /** The piece is verified, or its memory is given back: it is no longer open. */
  closed(pieceIndex: number): void {
    const piece = this.#open.get(pieceIndex);
    if (piece !== undefined) this.#orphans.delete(piece);
    this.#open.delete(pieceIndex);
    if (this.#pieces.have.has(pieceIndex)) this.#deadlines.delete(pieceIndex);
    this.#freeUnlessTaken(pieceIndex);
    this.somethingFreed();
  }

  /** A piece with a deadline may go to several peers at once; a peer on parole, of which whole pieces are requested, gets none. */
  #urgentPieceFor(peer: PickingPeer): OpenPiece | undefined {
    const { slot } = peer;
    if (this.#deadlines.size === 0 || peer.isOnParole || this.#noUrgentAt[slot] === this.#changes)
      return undefined;
    for (const [pieceIndex, dueMs] of this.#deadlines) {
      this.#stepCount++;
      const begun = this.#open.get(pieceIndex);
      if (begun !== undefined && (begun.freeCount === 0 || begun.isExclusive)) continue;
      if (!peer.has.has(pieceIndex) || !this.#isInTime(peer, pieceIndex, dueMs)) continue;
      const piece = begun ?? this.#begin(pieceIndex, peer, false);
      if (piece !== undefined) return piece;
      break;
    }
    this.#noUrgentAt[slot] = this.#changes;
    return undefined;
  }

  /** The peer would deliver a block of that piece in time, or no other peer would deliver it much sooner. */
  #isInTime(peer: PickingPeer, pieceIndex: number, dueMs: number): boolean {
    const nextMs = peer.nextBlockMs;
    if (this.#nowMs() + nextMs * SAFETY_FACTOR + SAFETY_MS <= dueMs) return true;
    return !this.#peers.some(
      (other) =>
        other !== undefined &&
        other !== peer &&
        !other.isOnParole &&
        other.nextBlockMs * SAFETY_FACTOR < nextMs &&
        other.has.has(pieceIndex),
    );
  }

  /** It has no deadline: pieces that have one go to peers that are in time. */
  #isOrdinary(piece: OpenPiece, peer: PickingPeer): boolean {
    return peer.isOnParole || !this.#deadlines.has(piece.pieceIndex);
  }

  #pieceForOthers(peer: PickingPeer): OpenPiece | undefined {
    for (const orphan of this.#orphans) {
      this.#stepCount++;
      if (orphan.freeCount === 0 || orphan.isExclusive || !this.#isOrdinary(orphan, peer)) continue;
      if (peer.has.has(orphan.pieceIndex)) {
        this.#adopt(orphan, peer);
        return orphan;
      }
    }
    const maxOpen = this.#maxOpenPieces();
    if (this.#open.size >= maxOpen) {
      const begun = this.#begunPiece(peer);
      if (begun !== undefined) return begun;
    }
    const fresh = this.#openNew(peer, false);
    return fresh !== undefined || this.#isHeldBack ? fresh : this.#begunPiece(peer);
  }

  #pieceForParole(peer: PickingPeer): OpenPiece | undefined {
    for (const piece of this.#open.values()) {
      if (piece.ownerSlot === peer.slot && piece.freeCount > 0) return piece;
    }
    const piece = this.#openNew(peer, true);
    if (piece !== undefined) return piece;
    // Pieces that others began and left may never be finished by them: they are started over rather than mixed.
    for (const orphan of this.#orphans) {
      if (!orphan.isQuiet || !peer.has.has(orphan.pieceIndex)) continue;
      if (this.#deadlines.has(orphan.pieceIndex)) continue;
      this.#discardedBytes += orphan.restart(peer.slot);
      this.#adopt(orphan, peer);
      return orphan;
    }
    return undefined;
  }

  #maxOpenPieces(): number {
    const peerCount = this.#leecherCount + this.availability.seedCount;
    return Math.max(8, (peerCount * OPEN_BYTES_PER_PEER) / this.#geometry.pieceLengthBytes);
  }

  #adopt(orphan: OpenPiece, peer: PickingPeer): void {
    orphan.ownerSlot = peer.slot;
    this.#orphans.delete(orphan);
  }

  /** The piece with the most free blocks among those that the peer has. */
  #begunPiece(peer: PickingPeer): OpenPiece | undefined {
    let best: OpenPiece | undefined;
    this.#stepCount += this.#withFree.size;
    for (const piece of this.#withFree) {
      if (piece.freeCount <= (best?.freeCount ?? 0) || piece.isExclusive) continue;
      if (!this.#isOrdinary(piece, peer)) continue;
      if (peer.has.has(piece.pieceIndex)) best = piece;
    }
    return best;
  }

  #openNew(peer: PickingPeer, isExclusive: boolean): OpenPiece | undefined {
    if (this.#isOutOfMemory) return undefined;
    const isFirst = this.#pieces.have.count + this.#open.size < RANDOM_FIRST_PIECES;
    const pieceIndex = this.#choice.newPiece(peer, isFirst, this.#leecherCount === 0);
    this.#isHeldBack = pieceIndex === HELD_BACK;
    if (pieceIndex === undefined || pieceIndex === HELD_BACK) return undefined;
    const piece = this.#begin(pieceIndex, peer, isExclusive);
    if (piece !== undefined) this.#choice.opened(peer.slot, pieceIndex);
    return piece;
  }

  #begin(pieceIndex: number, peer: PickingPeer, isExclusive: boolean): OpenPiece | undefined {
    if (this.#isOutOfMemory) return undefined;
    const bytes = this.#reserve(pieceIndex);
    if (bytes === undefined) {
      this.#isOutOfMemory = true;
      return undefined;
    }
    const piece = new OpenPiece(this.#geometry, pieceIndex, bytes, peer.slot, isExclusive, this.#withFree);
    this.#open.set(pieceIndex, piece);
    this.availability.take(pieceIndex);
    this.#changes++;
    return piece;
  }

  #forEachPiece(peer: PickingPeer, visit: (pieceIndex: number) => void): void {
    const { has } = peer;
    for (let piece = has.next(0); piece !== -1; piece = has.next(piece + 1)) visit(piece);
  }
}
