// Our requests to one peer and its answers: requests that are open or were cancelled, the block that is arriving, the rate, and
// whether the peer answers at all. What is requested is decided elsewhere (downloader.ts), and how much at once in
// request-window.ts.
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";
import type { OpenPiece } from "./open-piece.ts";
import { Rate } from "./rate.ts";
import type { RequestWindow } from "./request-window.ts";

/** A peer whose open requests last for less than this and a round trip runs dry before the next request reaches it. */
const HUNGRY_SECONDS = 0.02;
const HUNGRY_BLOCKS = 4;
/** The least timeout of a request (request-window.ts): a peer that is silent for longer is reported as silent. */
const SILENT_MS = 3000;
/** A peer without the fast extension does not answer what was cancelled in time: the oldest are forgotten. */
const MAX_CANCELLED = 4096;
/** More than a piece has blocks. */
const PIECE_KEY_STEP = 65_536;

export interface ArrivingBlock {
  readonly piece: OpenPiece;
  readonly blockIndex: number;
}

export interface PeerRequestsOptions {
  readonly window: RequestWindow;
  /** BEP 6: every request is answered, by its block or a reject. */
  readonly supportsFast: boolean;
  readonly clock: () => number;
}

export class PeerRequests {
  readonly #window: RequestWindow;
  readonly #supportsFast: boolean;
  readonly #clock: () => number;
  readonly #rate = new Rate();
  #outstanding = 0;
  /**
   * By block, oldest first: how many cancelled requests for it may still be answered. The block may have been requested again since,
   * and that cancelled too.
   */
  readonly #cancelled = new Map<number, number>();
  #arriving: ArrivingBlock | undefined;
  /** Length of the probe's block that is arriving; 0: none is. */
  #probeBytes = 0;
  #strayBlocks = 0;
  /** Since when requests are open without any answer. */
  #unansweredSinceMs: number | undefined;
  #stall: string | undefined;
  #rejectsInARow = 0;

  constructor({ window, supportsFast, clock }: PeerRequestsOptions) {
    this.#window = window;
    this.#supportsFast = supportsFast;
    this.#clock = clock;
  }

  // Requests

  /** Requested blocks that have not arrived. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** A request is sent. */
  requested(): void {
    const nowMs = this.#clock();
    this.#window.asked(++this.#outstanding, nowMs);
    this.#unansweredSinceMs ??= nowMs;
  }

  /** A request that was cancelled counts as open again: its block begins to arrive. */
  reopened(): void {
    this.#outstanding++;
    this.#window.lostCount();
  }

  /** An open request is answered, by its block or a reject. */
  answered(): void {
    this.#outstanding--;
    this.#heard();
  }

  /** A request is cancelled or forgotten; its block may be on its way. */
  cancelled(pieceIndex: number, blockIndex: number): void {
    this.#outstanding--;
    // Without the fast extension it needs no answer any longer.
    if (this.#outstanding === 0 && !this.#supportsFast) this.#unansweredSinceMs = undefined;
    this.#window.lostCount();
    this.#expectLate(pieceIndex, blockIndex);
  }

  /** The peer answers a cancelled request, or a probe. Returns false if there was none for that block. */
  answeredCancelled(pieceIndex: number, blockIndex: number): boolean {
    const key = keyOf(pieceIndex, blockIndex);
    const count = this.#cancelled.get(key) ?? 0;
    if (count === 0) return false;
    if (count === 1) this.#cancelled.delete(key);
    else this.#cancelled.set(key, count - 1);
    this.#heard();
    return true;
  }

  /** The peer choked us: none of our requests needs an answer any longer. */
  choked(): void {
    this.#unansweredSinceMs = undefined;
  }

  #heard(): void {
    this.#unansweredSinceMs = this.#outstanding > 0 ? this.#clock() : undefined;
  }

  #expectLate(pieceIndex: number, blockIndex: number): void {
    const key = keyOf(pieceIndex, blockIndex);
    this.#cancelled.set(key, (this.#cancelled.get(key) ?? 0) + 1);
    if (this.#cancelled.size <= MAX_CANCELLED) return;
    for (const oldest of this.#cancelled.keys()) {
      this.#cancelled.delete(oldest);
      break;
    }
  }

  // Blocks

  get arriving(): ArrivingBlock | undefined {
    return this.#arriving;
  }

  blockBegins(piece: OpenPiece, blockIndex: number): void {
    this.#arriving = { piece, blockIndex };
  }

  blockEnds(): void {
    this.#arriving = undefined;
  }

  /**
   * A block is requested that will be thrown away, to see whether the peer answers. Returns false if an earlier request for
   * it is still unanswered: that answer says the same.
   */
  probe(pieceIndex: number, blockIndex: number): boolean {
    if (this.#cancelled.has(keyOf(pieceIndex, blockIndex))) return false;
    this.#expectLate(pieceIndex, blockIndex);
    return true;
  }

  /** A block that will be thrown away is arriving: once it is whole, the peer has delivered. */
  probeBegins(lengthBytes: number): void {
    this.#probeBytes = lengthBytes;
  }

  /** Returns the length of the probe's block that was arriving; 0 if none was. */
  probeEnds(): number {
    const lengthBytes = this.#probeBytes;
    this.#probeBytes = 0;
    return lengthBytes;
  }

  /** A block arrived that was never requested. Returns how many have. */
  strayBlock(): number {
    return ++this.#strayBlocks;
  }

  // Rate

  /** Bytes of a block were put in their place. */
  received(bytes: number): void {
    this.#rate.add(bytes);
  }

  /** `elapsedMs` have gone by since the last call. */
  advance(elapsedMs: number): void {
    if (this.#outstanding > 0) this.#rate.advance(elapsedMs);
  }

  /** How fast blocks arrive while requests are open; 0: not known. */
  get bytesPerSecond(): number {
    return this.#rate.bytesPerSecond;
  }

  /** Few requests are open: soon the peer would have nothing to send. */
  get isHungry(): boolean {
    const seconds = HUNGRY_SECONDS + this.#window.roundTripMs / 1000;
    const blocks = (this.#rate.bytesPerSecond * seconds) / BLOCK_LENGTH_BYTES;
    return this.#outstanding < Math.max(HUNGRY_BLOCKS, blocks);
  }

  /** How long the peer needs for its open requests; Infinity for one that delivers nothing. */
  get queueMs(): number {
    if (this.#outstanding === 0) return 0;
    const { bytesPerSecond } = this.#rate;
    if (bytesPerSecond === 0 || this.#window.isSnubbed) return Number.POSITIVE_INFINITY;
    return (this.#outstanding * BLOCK_LENGTH_BYTES * 1000) / bytesPerSecond;
  }

  /** How long a block that is requested now would take; 0 for an idle peer whose speed is not known. */
  get nextBlockMs(): number {
    const { bytesPerSecond } = this.#rate;
    if (bytesPerSecond === 0) return this.#outstanding === 0 ? 0 : Number.POSITIVE_INFINITY;
    return ((this.#outstanding + 1) * BLOCK_LENGTH_BYTES * 1000) / bytesPerSecond;
  }

  // Whether it answers

  /** A whole block arrived. */
  delivered(): void {
    this.#stall = undefined;
    this.#rejectsInARow = 0;
  }

  /** The peer rejected a request although it does not choke us. Returns how many in a row. */
  rejected(): number {
    return ++this.#rejectsInARow;
  }

  get hasRejected(): boolean {
    return this.#rejectsInARow > 0;
  }

  /** The peer could deliver and does not. @param how in words, for the user and for its next connection */
  stalled(how: string): void {
    this.#stall = how;
  }

  /** How the peer fails to deliver; undefined while it delivers. */
  get stall(): string | undefined {
    return this.#stall ?? (this.#silentSeconds > 0 ? "does not answer" : undefined);
  }

  /** The same as it is shown: silence with its duration. */
  get remark(): string | undefined {
    return this.#silentSeconds > 0 ? `silent for ${this.#silentSeconds} s` : this.#stall;
  }

  /** How long requests have been open without any answer; 0 while none is. */
  get unansweredMs(): number {
    return this.#unansweredSinceMs === undefined ? 0 : this.#clock() - this.#unansweredSinceMs;
  }

  get #silentSeconds(): number {
    const silentMs = this.unansweredMs;
    return silentMs < SILENT_MS ? 0 : Math.floor(silentMs / 1000);
  }
}

function keyOf(pieceIndex: number, blockIndex: number): number {
  return pieceIndex * PIECE_KEY_STEP + blockIndex;
}
