// Who is given to. Group members are friends, so what a peer gave and what it takes both count for it. With a free uplink
// nobody is choked: slots are added as long as the connections take all that is offered (libtorrent's rate based
// choker has the same aim); when they do not, the slots thin out to a few, so that each still moves (BEP 3: 4).
// Rounds every 10 s, one optimistic slot moved every 30 s (BEP 3), a slot that falls free is filled at once.

const ROUND_MS = 10_000;
const OPTIMISTIC_MS = 30_000;
/** Slots that a round adds while the uplink is free. */
const SLOTS_ADDED = 8;
/** Fewer than this a second for each peer on a full uplink: too many share it. */
const MIN_USEFUL_BYTES_PER_SECOND = 16 * 1024;
/** BEP 3's four. */
const FEWEST_SLOTS = 4;

/** What the choker must know of a peer, and the two things it can do to it. */
export interface ChokablePeer {
  readonly isInterestedInUs: boolean;
  readonly isUnchoked: boolean;
  /** When it was last choked or unchoked, or came. */
  readonly chokedOrUnchokedAtMs: number;
  readonly downloadBytesPerSecond: number;
  readonly uploadBytesPerSecond: number;
  /** There are blocks to send that the connection does not take yet. */
  readonly isHeldByConnection: boolean;
  choke(): void;
  unchoke(): void;
}

export class Choker<Peer extends ChokablePeer> {
  readonly #random: () => number;
  #slotCount: number;
  #nextRoundMs: number;
  #nextOptimisticMs: number;
  #optimistic: Peer | undefined;

  constructor(slotCount: number, nowMs: number, random: () => number) {
    this.#slotCount = slotCount;
    this.#random = random;
    this.#nextRoundMs = nowMs + ROUND_MS;
    this.#nextOptimisticMs = nowMs + OPTIMISTIC_MS;
  }

  get slotCount(): number {
    return this.#slotCount;
  }

  /** Does a round if it is time for one. */
  tick(nowMs: number, peers: readonly Peer[]): void {
    if (nowMs < this.#nextRoundMs) return;
    this.#nextRoundMs = nowMs + ROUND_MS;
    this.#adaptSlots(peers);
    const interested = peers.filter((peer) => peer.isInterestedInUs);
    if (nowMs >= this.#nextOptimisticMs) {
      this.#nextOptimisticMs = nowMs + OPTIMISTIC_MS;
      this.#optimistic = this.#longestWaiting(interested);
    }
    const optimistic = this.#optimistic;
    const ranked = interested
      .filter((peer) => peer !== optimistic)
      .sort((a, b) => score(b) - score(a) || a.chokedOrUnchokedAtMs - b.chokedOrUnchokedAtMs);
    const isOptimisticTaken = optimistic !== undefined && interested.includes(optimistic);
    const regularSlots = this.#slotCount - (isOptimisticTaken ? 1 : 0);
    const chosen = new Set(ranked.slice(0, regularSlots));
    if (isOptimisticTaken) chosen.add(optimistic);
    for (const peer of peers) {
      // Who is not interested keeps what it has: it takes no slot, and is served at once when it wants something.
      if (peer.isUnchoked && peer.isInterestedInUs && !chosen.has(peer)) peer.choke();
    }
    for (const peer of chosen) {
      if (!peer.isUnchoked) peer.unchoke();
    }
  }

  /** Gives slots that are free to whoever waits, the longest first. */
  fillFreeSlots(peers: readonly Peer[]): void {
    let freeSlots = this.#slotCount;
    const waiting: Peer[] = [];
    for (const peer of peers) {
      if (!peer.isInterestedInUs) continue;
      if (peer.isUnchoked) freeSlots--;
      else waiting.push(peer);
    }
    if (freeSlots <= 0 || waiting.length === 0) return;
    waiting.sort((a, b) => a.chokedOrUnchokedAtMs - b.chokedOrUnchokedAtMs);
    for (const peer of waiting.slice(0, freeSlots)) peer.unchoke();
  }

  peerLeft(peer: Peer): void {
    if (this.#optimistic === peer) this.#optimistic = undefined;
  }

  #adaptSlots(peers: readonly Peer[]): void {
    const served = peers.filter((peer) => peer.isUnchoked && peer.isInterestedInUs);
    const held = served.filter((peer) => peer.isHeldByConnection).length;
    const isUplinkFree = held * 2 < served.length || served.length === 0;
    if (isUplinkFree) {
      if (served.length >= this.#slotCount) this.#slotCount += SLOTS_ADDED;
      return;
    }
    const totalBytesPerSecond = served.reduce((sum, peer) => sum + peer.uploadBytesPerSecond, 0);
    if (totalBytesPerSecond < MIN_USEFUL_BYTES_PER_SECOND * served.length) {
      this.#slotCount = Math.max(FEWEST_SLOTS, this.#slotCount - 1);
    }
  }

  /** The choked peer that waits longest; among equals a random one. */
  #longestWaiting(interested: readonly Peer[]): Peer | undefined {
    const choked = interested.filter((peer) => !peer.isUnchoked);
    const earliestMs = Math.min(...choked.map((peer) => peer.chokedOrUnchokedAtMs));
    const longest = choked.filter((peer) => peer.chokedOrUnchokedAtMs === earliestMs);
    return longest[Math.floor(this.#random() * longest.length)] ?? this.#optimistic;
  }
}

function score(peer: ChokablePeer): number {
  return peer.downloadBytesPerSecond + peer.uploadBytesPerSecond;
}
