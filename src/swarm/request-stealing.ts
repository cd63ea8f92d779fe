// Blocks that wait long at one peer are asked of another that has nothing else to do: in endgame soon, before it when the
// wait is long. A block is asked of one peer at a time; it moves, and whom it was asked of is told.
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
/** Who says nothing for so long may have gone: an idle peer need not wait for the timeout to take over. */
const SILENCE_MS = 1000;

export interface RequestStealingOptions {
  readonly picker: Picker;
  readonly requests: RequestTracker;
  /** By slot. */
  readonly peers: readonly (Peer | undefined)[];
  readonly nowMs: () => number;
  /** False: a limit is reached. */
  readonly mayAsk: (peer: Peer) => boolean;
}

export class RequestStealing {
  readonly #options: RequestStealingOptions;

  constructor(options: RequestStealingOptions) {
    this.#options = options;
  }

  /** There is no free block that the peer could give. In endgame it helps out at once. */
  nothingFree(peer: Peer): void {
    if (this.#options.picker.isEndgame) this.#relieve(peer, ENDGAME_MIN_WAIT_MS, 0);
  }

  /** As `nothingFree`, now and then: it helps out where blocks wait long. */
  stillNothingFree(peer: Peer): void {
    // Who suggests has better things to send than what is on its way from others.
    if (!peer.isSuggesting) this.#relieve(peer, TAKE_OVER_MIN_WAIT_MS, TAKE_OVER_MIN_BLOCKS);
  }

  /**
   * A peer with nothing to do relieves those on whom more waits than they deliver soon: everybody asks whoever has a
   * piece first, and those who have it later stand idle. The block moves: whom it was asked of is told at once.
   */
  #relieve(peer: Peer, leastWaitMs: number, leastBlocks: number): void {
    if (peer.window.isSnubbed) return;
    const { picker, requests, peers, mayAsk } = this.#options;
    while (peer.requests.outstanding < peer.window.sizeBlocks) {
      if (!mayAsk(peer)) return;
      const minWaitMs = Math.max(leastWaitMs, this.#nextBlockMs(peer) * TAKE_OVER_SPEEDUP);
      const busy = picker.busiestBlock(peer, (slot) => this.#waitMs(slot, minWaitMs, leastBlocks));
      const slower = busy && peers[busy.askedSlot];
      if (busy === undefined || slower === undefined) return;
      requests.move(slower, peer, busy.piece, busy.blockIndex);
    }
  }

  /** When a block asked of the peer now would be here; 0 for an idle peer whose speed is not known. */
  #nextBlockMs(peer: Peer): number {
    const bytesPerSecond = peer.requests.bytesPerSecond;
    if (bytesPerSecond === 0) return peer.requests.outstanding === 0 ? 0 : Number.POSITIVE_INFINITY;
    return ((peer.requests.outstanding + 1) * BLOCK_LENGTH_BYTES * 1000) / bytesPerSecond;
  }

  /** How long what is asked of the peer takes, or it has been silent; 0 if that is not long enough to help. */
  #waitMs(slot: number, minWaitMs: number, minBlocks: number): number {
    const peer = this.#options.peers[slot];
    if (peer === undefined || peer.requests.outstanding === 0) return 0;
    // BEP 6: who chokes us says of each request at once that it is dropped, or has sent the block.
    if (peer.isChokingUs && peer.supportsFast) return 0;
    const silentMs = peer.window.silentForMs(this.#options.nowMs());
    if (silentMs > Math.max(SILENCE_MS, minWaitMs)) return Math.max(silentMs, peer.requests.queueMs);
    return peer.requests.outstanding >= minBlocks && peer.requests.queueMs > minWaitMs
      ? peer.requests.queueMs
      : 0;
  }
}
