// Moves requests that wait long at one peer to another that has nothing else to do: in endgame soon, before it when the wait is
// long. A block is requested of one peer at a time: the slower one gets a cancel.
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";
import type { Peer } from "./peer.ts";
import type { Picker } from "./picker.ts";
import type { RequestTracker } from "./request-tracker.ts";

/** In endgame blocks are moved when what waits takes longer than this: less is on its way already, or in its sender's
 * buffers (upload-queue.ts), and would come twice. */
const ENDGAME_MIN_WAIT_MS = 400;
/** Blocks are moved from a peer that needs so many times longer for them... */
const TAKE_OVER_SPEEDUP = 2;
/** ...when what waits there takes longer than this. What was asked for less long ago lies in its sender's kernel, where no
 * cancel reaches it: with 0.5 s, 6 % of all bytes came twice. */
const TAKE_OVER_MIN_WAIT_MS = 2000;
/** The first of what is asked of a peer is in its connection's buffers already and comes anyway. */
const TAKE_OVER_MIN_BLOCKS = 24;
/** A block with a deadline is late if it is not here so long after it was expected; it is moved if it is due before then. */
const LATE_MS = 400;
/** So many late blocks are moved to a peer on each tick, beyond its window. */
const LATE_BLOCKS = 8;
/** Blocks that are due later than this are left where they are. */
const SOON_MS = 500;
/** Requests that make way for urgent ones are those beyond what the peer delivers in this time, or beyond so many. */
const KEPT_MS = 400;
const KEPT_BLOCKS = 4;
/** A peer that is silent for so long may be gone: an idle peer takes over before the timeout. */
const SILENCE_MS = 1000;

export interface RequestStealingOptions {
  readonly picker: Picker;
  readonly requests: RequestTracker;
  /** By slot. */
  readonly peers: readonly (Peer | undefined)[];
  readonly nowMs: () => number;
}

export class RequestStealing {
  readonly #options: RequestStealingOptions;

  constructor(options: RequestStealingOptions) {
    this.#options = options;
  }

  /** There is no free block that the peer could give: in endgame it helps out at once. */
  stealInEndgame(peer: Peer): void {
    if (this.#options.picker.isEndgame) this.#relieve(peer, ENDGAME_MIN_WAIT_MS, 0);
  }

  /** There is still no free block that the peer could give: it helps out where blocks wait long. Called on each tick. */
  stealFromSlow(peer: Peer): void {
    // A peer that suggests pieces has better things to send than what is on its way from others.
    if (!peer.isSuggesting) this.#relieve(peer, TAKE_OVER_MIN_WAIT_MS, TAKE_OVER_MIN_BLOCKS);
  }

  /**
   * A peer with nothing to do relieves those that have more open requests than they deliver soon: everybody requests a piece of
   * the first peer that has it, and those that get it later stand idle.
   */
  #relieve(peer: Peer, leastWaitMs: number, leastBlocks: number): void {
    if (peer.window.isSnubbed) return;
    const { picker, requests, peers } = this.#options;
    while (peer.requests.outstanding < peer.window.sizeBlocks) {
      if (!requests.isAllowed(peer)) return;
      const minWaitMs = Math.max(leastWaitMs, peer.requests.nextBlockMs * TAKE_OVER_SPEEDUP);
      const busy = picker.busiestBlock(peer, (slot) => this.#waitMs(slot, minWaitMs, leastBlocks));
      const slower = busy && peers[busy.askedSlot];
      if (busy === undefined || slower === undefined) return;
      requests.move(slower, peer, busy.piece, busy.blockIndex);
    }
  }

  /** The peer is asked for blocks that other peers deliver too late. Called on each tick. */
  stealLate(peer: Peer): void {
    // It has shown how fast it is, or has nothing to do.
    const isProven = peer.requests.bytesPerSecond > 0 || peer.requests.outstanding === 0;
    if (peer.window.isSnubbed || !isProven) return;
    const { picker, requests, peers } = this.#options;
    let hasMadeWay = false;
    for (let stolen = 0; stolen < LATE_BLOCKS; stolen++) {
      if (!requests.isAllowed(peer)) return;
      // Less urgent requests make way for it.
      const nextMs = Math.min(peer.nextBlockMs, KEPT_MS + peer.window.roundTripMs);
      const late = picker.lateBlock(peer, (slot, expectedAtMs, dueMs) =>
        this.#isLate(nextMs, slot, expectedAtMs, dueMs),
      );
      const slower = late && peers[late.askedSlot];
      if (late === undefined || slower === undefined) return;
      if (!hasMadeWay) this.makeWay(peer, (picker.deadlines.get(late.piece.pieceIndex) ?? 0) + LATE_MS);
      hasMadeWay = true;
      requests.move(slower, peer, late.piece, late.blockIndex);
    }
  }

  /** The peer keeps what it delivers in a moment, and what is due before that time: what is requested next is not behind the rest. */
  makeWay(peer: Peer, untilMs: number): void {
    const { picker, requests } = this.#options;
    const { bytesPerSecond, outstanding } = peer.requests;
    const keep = Math.max(KEPT_BLOCKS, (bytesPerSecond * KEPT_MS) / 1000 / BLOCK_LENGTH_BYTES);
    if (bytesPerSecond === 0 || outstanding <= keep) return;
    peer.window.settle(keep);
    requests.trim(peer, keep, (pieceIndex) => {
      const dueMs = picker.deadlines.get(pieceIndex);
      return dueMs === undefined || dueMs > untilMs;
    });
  }

  /**
   * A block that is due soon is late at the peer with that slot, and would come sooner from another.
   *
   * @param nextMs how long it would take there
   */
  #isLate(nextMs: number, slot: number, expectedAtMs: number, dueMs: number): boolean {
    const slower = this.#options.peers[slot];
    if (slower === undefined || (slower.isChokingUs && slower.supportsFast)) return false;
    const nowMs = this.#options.nowMs();
    if (dueMs > nowMs + nextMs * TAKE_OVER_SPEEDUP + SOON_MS) return false;
    // What is late already will be late for as long again.
    const overdueMs = nowMs - expectedAtMs;
    if (overdueMs > LATE_MS && overdueMs > nextMs) return true;
    const { queueMs, bytesPerSecond } = slower.requests;
    if (bytesPerSecond === 0 && !slower.window.isSnubbed) return false;
    return nowMs + queueMs > dueMs + LATE_MS && queueMs > nextMs * TAKE_OVER_SPEEDUP + LATE_MS;
  }

  /** How long the peer needs for its open requests, or has been silent; 0 if that is not long enough to help. */
  #waitMs(slot: number, minWaitMs: number, minBlocks: number): number {
    const peer = this.#options.peers[slot];
    if (peer === undefined || peer.requests.outstanding === 0) return 0;
    // BEP 6: a peer that chokes us rejects each request at once, or has sent the block.
    if (peer.isChokingUs && peer.supportsFast) return 0;
    const silentMs = peer.window.silentForMs(this.#options.nowMs());
    if (silentMs > Math.max(SILENCE_MS, minWaitMs)) return Math.max(silentMs, peer.requests.queueMs);
    return peer.requests.outstanding >= minBlocks && peer.requests.queueMs > minWaitMs
      ? peer.requests.queueMs
      : 0;
  }
}
