// What is asked of one peer, and how it comes: the requests that are open or were taken back, the block that is arriving,
// and the pace. Who asks, and for what, is elsewhere (request-tracker.ts, downloader.ts).
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";
import { CancelledRequests } from "./cancelled-requests.ts";
import type { OpenPiece } from "./open-piece.ts";
import { Rate } from "./rate.ts";
import type { RequestWindow } from "./request-window.ts";
import type { StallDetector } from "./stall-detector.ts";

/** A peer with less than this and a round trip's worth asked of it runs dry before the next request reaches it. */
const HUNGRY_SECONDS = 0.02;
const HUNGRY_BLOCKS = 4;

export interface PeerRequestsOptions {
  readonly window: RequestWindow;
  readonly answering: StallDetector;
  /** BEP 6: every request is answered, by its block or a reject. */
  readonly supportsFast: boolean;
  readonly clock: () => number;
}

export class PeerRequests {
  readonly #window: RequestWindow;
  readonly #answering: StallDetector;
  readonly #supportsFast: boolean;
  readonly #clock: () => number;
  readonly #pace = new Rate();
  readonly #cancelledRequests = new CancelledRequests();
  #outstanding = 0;
  #arriving: { readonly piece: OpenPiece; readonly blockIndex: number } | undefined;
  /** Length of the block that is arriving to show that the peer gives; 0: none is. */
  #trialBytes = 0;
  #strayBlocks = 0;

  constructor(options: PeerRequestsOptions) {
    this.#window = options.window;
    this.#answering = options.answering;
    this.#supportsFast = options.supportsFast;
    this.#clock = options.clock;
  }

  /** Blocks that are asked for and have not come. */
  get outstanding(): number {
    return this.#outstanding;
  }

  get arriving(): { readonly piece: OpenPiece; readonly blockIndex: number } | undefined {
    return this.#arriving;
  }

  /** How fast it gives while something is asked of it; 0: not known. */
  get paceBytesPerSecond(): number {
    return this.#pace.bytesPerSecond;
  }

  asked(): void {
    this.#window.asked(++this.#outstanding, this.#clock());
    this.#answering.asked();
  }

  /** A request is answered. */
  answered(): void {
    this.#outstanding--;
    this.#answering.heard(this.#outstanding > 0);
  }

  /** A request is cancelled or forgotten; the block may be on its way. */
  tookBack(pieceIndex: number, blockIndex: number): void {
    this.#outstanding--;
    // Without the fast extension it needs no answer any longer.
    if (this.#outstanding === 0 && !this.#supportsFast) this.#answering.nothingIsAsked();
    this.#window.lostCount();
    this.#cancelledRequests.add(pieceIndex, blockIndex);
  }

  /** The peer answers a request that had been taken back. Returns false if there was none for that block. */
  answeredWhatWasTakenBack(pieceIndex: number, blockIndex: number): boolean {
    const wasTakenBack = this.#cancelledRequests.answered(pieceIndex, blockIndex);
    if (wasTakenBack) this.#answering.heard(this.#outstanding > 0);
    return wasTakenBack;
  }

  /**
   * A block is asked for that nobody waits for, to see whether the peer answers. Returns false if an earlier one is
   * still open: what is on its way says the same.
   */
  tries(pieceIndex: number, blockIndex: number): boolean {
    if (this.#cancelledRequests.has(pieceIndex, blockIndex)) return false;
    this.#cancelledRequests.add(pieceIndex, blockIndex);
    return true;
  }

  /** What nobody waits for is arriving: once it is whole, the peer gives. */
  trialBegins(lengthBytes: number): void {
    this.#trialBytes = lengthBytes;
  }

  /** Returns the length of what was arriving for nobody; 0 if nothing was. */
  trialEnds(): number {
    const lengthBytes = this.#trialBytes;
    this.#trialBytes = 0;
    return lengthBytes;
  }

  blockBegins(piece: OpenPiece, blockIndex: number): void {
    this.#arriving = { piece, blockIndex };
  }

  blockIsOver(): void {
    this.#arriving = undefined;
  }

  /** A block came that was never asked for. Returns how many of these there were. */
  strayBlock(): number {
    return ++this.#strayBlocks;
  }

  /** A block of it was put in its place. */
  gave(bytes: number): void {
    this.#pace.add(bytes);
  }

  /** `elapsedMs` have gone by since the last call. */
  advance(elapsedMs: number): void {
    if (this.#outstanding > 0) this.#pace.advance(elapsedMs);
  }

  /** Little is asked of it: soon it would have nothing to send. */
  get isHungry(): boolean {
    const seconds = HUNGRY_SECONDS + this.#window.roundTripMs / 1000;
    const blocks = (this.#pace.bytesPerSecond * seconds) / BLOCK_LENGTH_BYTES;
    return this.#outstanding < Math.max(HUNGRY_BLOCKS, blocks);
  }

  /** How long the peer needs for what is asked of it; Infinity for one that gives nothing. */
  get queueMs(): number {
    if (this.#outstanding === 0) return 0;
    const { bytesPerSecond } = this.#pace;
    if (bytesPerSecond === 0 || this.#window.isSnubbed) return Number.POSITIVE_INFINITY;
    return (this.#outstanding * BLOCK_LENGTH_BYTES * 1000) / bytesPerSecond;
  }
}
