// Chooses the peers that we upload to. Group members are friends, so nobody has to give in order to get: the peer with the
// fewest pieces goes first, so that the last does not finish long after the others. With a free uplink nobody is choked: slots
// are added as long as the connections take all that is offered. A full uplink is shared by so few that each soon has a whole
// piece to pass on: served all at once, they would all have it at the end. It decides only: the uploader chokes and unchokes.
import type { Geometry } from "../metainfo/geometry.ts";

/** How often the slots are assigned anew. */
const ROUND_MS = 1000;
/** How often the slot of the peer that has waited longest moves. */
const OPTIMISTIC_MS = 10_000;
/** Slots that a round adds while the uplink is free. */
const SLOTS_ADDED = 8;
/** An uplink is full when it was so for so many rounds: at the start rates are still growing. */
const FULL_ROUNDS = 3;
/** A peer on a full uplink gets a piece in that time: with so few, the peer with the fewest pieces gets several times what it
 * would if all were served (half a second: 200 leechers at 1.18 to 1.28 times the bound instead of 1.09 to 1.17)... */
const PIECE_SECONDS = 0.25;
/** ...but in this time from the seeder that spreads new pieces: a peer that is choked there gets none (20 leechers: 1.24
 * instead of 1.12). */
const SPREADING_PIECE_SECONDS = 0.5;
/** BEP 3's four. */
const FEWEST_SLOTS = 4;
/** A served peer keeps its slot until others lack so many pieces more: each change costs the requests under way. */
const KEPT_SHARE = 1 / 16;
const KEPT_PIECES = 2;

/** What the choker must know of a peer. */
export interface ChokablePeer {
  /** Whose connection it is: one member may have several. */
  readonly userId: string;
  readonly isInterestedInUs: boolean;
  readonly isUnchoked: boolean;
  /** When we last choked or unchoked it, or it connected. */
  readonly chokedOrUnchokedAtMs: number;
  readonly uploadBytesPerSecond: number;
  /** How many pieces it has. */
  readonly piecesHad: number;
  /** There are blocks to send that the connection does not take yet. */
  readonly isHeldByConnection: boolean;
}

/** The peers whose state is to change. */
export interface Choices<Peer> {
  readonly choke: readonly Peer[];
  readonly unchoke: readonly Peer[];
}

const NO_CHOICES = { choke: [], unchoke: [] };

export interface ChokerOptions {
  readonly slotCount: number;
  readonly geometry: Pick<Geometry, "pieceCount" | "pieceLengthBytes">;
  readonly nowMs: number;
  readonly random: () => number;
}

export class Choker<Peer extends ChokablePeer> {
  readonly #random: () => number;
  readonly #fewestSlots: number;
  readonly #pieceLengthBytes: number;
  readonly #keptPieces: number;
  #slotCount: number;
  /** In a row. */
  #fullRounds = 0;
  #nextRoundMs: number;
  #nextOptimisticMs: number;
  #optimistic: Peer | undefined;

  /** @param slotCount to begin with */
  constructor({ slotCount, geometry, nowMs, random }: ChokerOptions) {
    this.#slotCount = slotCount;
    this.#fewestSlots = Math.min(slotCount, FEWEST_SLOTS);
    this.#pieceLengthBytes = geometry.pieceLengthBytes;
    this.#keptPieces = Math.max(KEPT_PIECES, geometry.pieceCount * KEPT_SHARE);
    this.#random = random;
    this.#nextRoundMs = nowMs + ROUND_MS;
    this.#nextOptimisticMs = nowMs + OPTIMISTIC_MS;
  }

  get slotCount(): number {
    return this.#slotCount;
  }

  /**
   * Assigns the slots anew if it is time for a round.
   *
   * @param isSettled what we have is new to all: a served peer keeps its slot, whichever has less
   */
  choose(nowMs: number, peers: readonly Peer[], isSettled = false): Choices<Peer> {
    if (nowMs < this.#nextRoundMs) return NO_CHOICES;
    this.#nextRoundMs = nowMs + ROUND_MS;
    this.#adaptSlots(peers, isSettled);
    const interested = peers.filter((peer) => peer.isInterestedInUs);
    if (nowMs >= this.#nextOptimisticMs) {
      this.#nextOptimisticMs = nowMs + OPTIMISTIC_MS;
      this.#optimistic = this.#longestWaiting(interested);
    }
    const optimistic = this.#optimistic;
    const ranked = interested
      .filter((peer) => peer !== optimistic)
      .sort(
        (a, b) =>
          this.#rank(a, isSettled) - this.#rank(b, isSettled) ||
          a.chokedOrUnchokedAtMs - b.chokedOrUnchokedAtMs,
      );
    const isOptimisticTaken = optimistic !== undefined && interested.includes(optimistic);
    const regularSlots = this.#slotCount - (isOptimisticTaken ? 1 : 0);
    const chosen = new Set(inTurn(ranked, isOptimisticTaken ? [optimistic] : []).slice(0, regularSlots));
    if (isOptimisticTaken) chosen.add(optimistic);
    return {
      // A peer without interest stays unchoked: it takes no slot, and is served at once when it wants something.
      choke: peers.filter((peer) => peer.isUnchoked && peer.isInterestedInUs && !chosen.has(peer)),
      unchoke: [...chosen].filter((peer) => !peer.isUnchoked),
    };
  }

  /** The choked peers to which free slots go: those that have waited longest. */
  chooseForFreeSlots(peers: readonly Peer[]): readonly Peer[] {
    const served: Peer[] = [];
    const waiting: Peer[] = [];
    for (const peer of peers) {
      if (!peer.isInterestedInUs) continue;
      (peer.isUnchoked ? served : waiting).push(peer);
    }
    const freeSlots = this.#slotCount - served.length;
    if (freeSlots <= 0 || waiting.length === 0) return [];
    waiting.sort((a, b) => a.chokedOrUnchokedAtMs - b.chokedOrUnchokedAtMs);
    return inTurn(waiting, served).slice(0, freeSlots);
  }

  #adaptSlots(peers: readonly Peer[], isSettled: boolean): void {
    const served = peers.filter((peer) => peer.isUnchoked && peer.isInterestedInUs);
    const held = served.filter((peer) => peer.isHeldByConnection).length;
    const isUplinkFree = held * 2 < served.length || served.length === 0;
    if (isUplinkFree) {
      this.#fullRounds = 0;
      if (served.length >= this.#slotCount) this.#slotCount += SLOTS_ADDED;
      return;
    }
    if (++this.#fullRounds < FULL_ROUNDS) return;
    const totalBytesPerSecond = peers.reduce((sum, peer) => sum + peer.uploadBytesPerSecond, 0);
    const seconds = isSettled ? SPREADING_PIECE_SECONDS : PIECE_SECONDS;
    const useful = Math.floor((totalBytesPerSecond * seconds) / this.#pieceLengthBytes);
    this.#slotCount = Math.max(this.#fewestSlots, useful);
  }

  /** Lower is served sooner. */
  #rank(peer: Peer, isSettled: boolean): number {
    if (!peer.isUnchoked) return peer.piecesHad;
    if (peer.isHeldByConnection && peer.uploadBytesPerSecond === 0) return Number.POSITIVE_INFINITY;
    return isSettled ? Number.NEGATIVE_INFINITY : peer.piecesHad - this.#keptPieces;
  }

  /** The choked peer that has waited longest; among equals a random one. */
  #longestWaiting(interested: readonly Peer[]): Peer | undefined {
    const served = new Set(interested.filter((peer) => peer.isUnchoked).map(({ userId }) => userId));
    const allChoked = interested.filter((peer) => !peer.isUnchoked);
    const chokedMembers = allChoked.filter(({ userId }) => !served.has(userId));
    const choked = chokedMembers.length > 0 ? chokedMembers : allChoked;
    const earliestMs = Math.min(...choked.map((peer) => peer.chokedOrUnchokedAtMs));
    const longest = choked.filter((peer) => peer.chokedOrUnchokedAtMs === earliestMs);
    return longest[Math.floor(this.#random() * longest.length)] ?? this.#optimistic;
  }
}

/**
 * One connection of each member before the second one of any, otherwise in the order given: a slot belongs to a member, and
 * many connections get no more than one.
 *
 * @param served connections that have a slot already
 */
function inTurn<Peer extends ChokablePeer>(ordered: readonly Peer[], served: readonly Peer[]): Peer[] {
  const slots = new Map<string, number>();
  const take = ({ userId }: Peer): number => {
    const turn = slots.get(userId) ?? 0;
    slots.set(userId, turn + 1);
    return turn;
  };
  for (const peer of served) take(peer);
  const placed = ordered.map((peer) => ({ peer, turn: take(peer) }));
  return placed.sort((a, b) => a.turn - b.turn).map(({ peer }) => peer);
}
