// Until the swarm has a whole copy, its speed is that of the seeder's uplink, spent on what nobody has yet. So a seeder
// promises each piece to one peer and suggests it there (BEP 6), as super-seeding does (BEP 16) without hiding what it
// has; and serves such pieces first: a peer whose turn it is with a piece that others have, or are promised, waits as
// long as another peer waits for a new one. It waits a bounded time only: the new piece's connection may be the slow one.
import { Rate } from "./rate.ts";

/** So many new pieces are suggested to a peer ahead of its requests... */
const FIRST_AHEAD_PIECES = 2;
/** ...and twice as many each time that it has asked for all of them before the next suggestion reached it, */
const MAX_AHEAD_PIECES = 32;
/** one less when a suggestion lay there for so long: others would have had the piece sooner, and who has much ahead at
 * the end keeps the first whole copy waiting. */
const LONG_AHEAD_MS = 300;
const LEAST_AHEAD_PIECES = 1;
/** A peer waits this long; then it gets one run of blocks... */
const MAX_WAIT_MS = 1000;
/** ...and this long while new pieces leave about as fast as anything ever did: the uplink has nothing to spare. */
const MAX_WAIT_BUSY_MS = 8000;
const BUSY_SHARE = 0.5;
/** ...and this long if it reads while it downloads (a crowd of eight, one of them playing: 1.05 times as long for all; with no
 * wait 1.15 times). */
const MAX_WAIT_READING_MS = 200;
/** What the uplink carried at best is forgotten by half in 10 s (ticks of 100 ms). */
const BEST_DECAY = 0.5 ** 0.01;

export interface SuperSeedingOptions {
  readonly pieceCount: number;
  /** Pieces that are promised one after the other are next to each other for so long, for the disks' sake. */
  readonly runPieces: number;
  /** True if no other peer has that piece. */
  readonly isNowhereElse: (pieceIndex: number) => boolean;
  /** True while nobody else has everything, as far as is known. */
  readonly isOnlySeed: () => boolean;
  readonly random: () => number;
}

export class SuperSeeding {
  readonly #pieceCount: number;
  readonly #runPieces: number;
  readonly #isNowhereElse: (pieceIndex: number) => boolean;
  readonly #isOnlySeed: () => boolean;
  readonly #random: () => number;
  /** By piece: slot + 1 of the peer that gets its first copy; 0: none. */
  readonly #promisedTo: Uint16Array;
  /** By piece: 1 if it was suggested to that peer, which has not asked for it yet. */
  readonly #isAhead: Uint8Array;
  /** By piece: 1 if it is promised and not out yet. */
  readonly #isOpen: Uint8Array;
  #openCount = 0;
  /** Pieces that were suggested and not asked for, and since when. */
  readonly #aheadSinceMs = new Map<number, number>();
  /** By slot: how many pieces were suggested and not asked for. */
  readonly #aheadCounts: number[] = [];
  /** By slot: how many there are to be. */
  readonly #wantedAhead: number[] = [];
  /** Runs in the order in which they are promised, made when it is first needed; cut by `#nextRun`. */
  #runs: Uint32Array | undefined;
  #nextRun = 0;
  #nextInRun = 0;
  /** Pieces whose promise broke. */
  readonly #givenBack: number[] = [];
  #mayHaveNew = true;
  /** By slot: since when the peer waits; 0: it does not. */
  readonly #putOffSinceMs: number[] = [];
  readonly #sent = new Rate();
  readonly #sentNew = new Rate();
  #bestBytesPerSecond = 0;

  constructor({ pieceCount, runPieces, isNowhereElse, isOnlySeed, random }: SuperSeedingOptions) {
    this.#pieceCount = pieceCount;
    this.#runPieces = runPieces;
    this.#isNowhereElse = isNowhereElse;
    this.#isOnlySeed = isOnlySeed;
    this.#random = random;
    this.#promisedTo = new Uint16Array(pieceCount);
    this.#isAhead = new Uint8Array(pieceCount);
    this.#isOpen = new Uint8Array(pieceCount);
  }

  /** No peer has the piece, and it is promised to no other peer. */
  isNewFor(slot: number, pieceIndex: number): boolean {
    const promisedTo = this.#promisedTo[pieceIndex] ?? 0;
    return (promisedTo === 0 || promisedTo === slot + 1) && this.#isNowhereElse(pieceIndex);
  }

  /** Pieces that were suggested to the peer and that it has not asked for yet. */
  aheadOf(slot: number): number {
    return this.#aheadCounts[slot] ?? 0;
  }

  /** Some piece is not out yet, as far as is known: it is not promised, or the peer it is promised to has not got it. */
  get isSpreading(): boolean {
    return this.#mayHaveNew || this.#openCount > 0;
  }

  /** Pieces that are not looked at yet; some of them may be elsewhere by now. */
  get #mostUnpromised(): number {
    const looked = this.#nextRun * this.#runPieces + this.#nextInRun;
    const runCount = Math.ceil(this.#pieceCount / this.#runPieces);
    return runCount * this.#runPieces - looked + this.#givenBack.length;
  }

  /** Promises the peer as many new pieces as it is to know ahead, to be suggested to it. */
  promises(slot: number, takerCount: number, nowMs: number): readonly number[] {
    const promised: number[] = [];
    const share = Math.ceil(this.#mostUnpromised / (2 * takerCount));
    const wanted = Math.min(share, this.#wantedAhead[slot] ?? FIRST_AHEAD_PIECES);
    while (this.aheadOf(slot) < wanted) {
      const pieceIndex = this.#takeNew();
      if (pieceIndex === undefined) break;
      this.#promise(slot, pieceIndex);
      this.#isAhead[pieceIndex] = 1;
      this.#aheadSinceMs.set(pieceIndex, nowMs);
      this.#aheadCounts[slot] = this.aheadOf(slot) + 1;
      promised.push(pieceIndex);
    }
    return promised;
  }

  /** The peer requests a block of that piece: a piece that is not promised, or not requested yet, is promised to it. */
  requested(slot: number, pieceIndex: number, nowMs: number): void {
    const sinceMs = this.#aheadSinceMs.get(pieceIndex) ?? nowMs;
    const isLate = nowMs - sinceMs > LONG_AHEAD_MS && this.#promisedTo[pieceIndex] === slot + 1;
    if (this.#isAhead[pieceIndex] === 1) this.#isAsked(pieceIndex);
    else if (this.#promisedTo[pieceIndex] !== 0) return;
    this.#promise(slot, pieceIndex);
    const wanted = this.#wantedAhead[slot] ?? FIRST_AHEAD_PIECES;
    if (isLate) this.#wantedAhead[slot] = Math.max(LEAST_AHEAD_PIECES, wanted - 1);
    else if (this.aheadOf(slot) === 0) this.#wantedAhead[slot] = Math.min(MAX_AHEAD_PIECES, wanted * 2);
  }

  /** Some peer has the piece now. */
  gained(pieceIndex: number): void {
    if (this.#isAhead[pieceIndex] === 1) this.#isAsked(pieceIndex);
    this.#isOut(pieceIndex);
  }

  /** The peer is being sent of that piece. */
  sent(slot: number, pieceIndex: number, bytes: number): void {
    this.#putOffSinceMs[slot] = 0;
    this.#sent.add(bytes);
    if (this.isNewFor(slot, pieceIndex)) this.#sentNew.add(bytes);
  }

  /** Called about every 100 ms. */
  tick(elapsedMs: number): void {
    this.#sent.advance(elapsedMs);
    this.#sentNew.advance(elapsedMs);
    this.#bestBytesPerSecond = Math.max(this.#bestBytesPerSecond * BEST_DECAY, this.#sent.bytesPerSecond);
  }

  /** True as long as the peer has to let others go first. @param isReading it reads while it downloads */
  mustWait(slot: number, nowMs: number, isReading = false): boolean {
    const sinceMs = this.#putOffSinceMs[slot] ?? 0;
    if (sinceMs === 0) {
      this.#putOffSinceMs[slot] = Math.max(nowMs, Number.MIN_VALUE);
      return true;
    }
    const isBusy = this.#sentNew.bytesPerSecond > this.#bestBytesPerSecond * BUSY_SHARE;
    const mostMs = isReading ? MAX_WAIT_READING_MS : isBusy ? MAX_WAIT_BUSY_MS : MAX_WAIT_MS;
    return nowMs - sinceMs < mostMs;
  }

  peerLeft(slot: number): void {
    this.#putOffSinceMs[slot] = 0;
    this.#wantedAhead[slot] = FIRST_AHEAD_PIECES;
    this.breakPromises(slot);
  }

  /** The peer left, or gets nothing now: what it was promised and no peer has is new again. */
  breakPromises(slot: number): void {
    this.#aheadCounts[slot] = 0;
    for (let pieceIndex = 0; pieceIndex < this.#pieceCount; pieceIndex++) {
      if (this.#promisedTo[pieceIndex] !== slot + 1) continue;
      this.#promisedTo[pieceIndex] = 0;
      this.#isAhead[pieceIndex] = 0;
      this.#aheadSinceMs.delete(pieceIndex);
      this.#isOut(pieceIndex);
      if (!this.#isNowhereElse(pieceIndex)) continue;
      this.#givenBack.push(pieceIndex);
      this.#mayHaveNew = true;
    }
  }

  #promise(slot: number, pieceIndex: number): void {
    this.#promisedTo[pieceIndex] = slot + 1;
    if (this.#isOpen[pieceIndex] === 1 || !this.#isNowhereElse(pieceIndex)) return;
    this.#isOpen[pieceIndex] = 1;
    this.#openCount++;
  }

  #isOut(pieceIndex: number): void {
    if (this.#isOpen[pieceIndex] === 0) return;
    this.#isOpen[pieceIndex] = 0;
    this.#openCount--;
  }

  #isAsked(pieceIndex: number): void {
    const slot = (this.#promisedTo[pieceIndex] ?? 0) - 1;
    this.#isAhead[pieceIndex] = 0;
    this.#aheadSinceMs.delete(pieceIndex);
    this.#aheadCounts[slot] = this.aheadOf(slot) - 1;
  }

  #takeNew(): number | undefined {
    for (;;) {
      const pieceIndex = this.#givenBack.pop() ?? this.#nextInOrder();
      if (pieceIndex === undefined) {
        this.#mayHaveNew = false;
        return undefined;
      }
      if (this.#promisedTo[pieceIndex] === 0 && this.#isNowhereElse(pieceIndex)) return pieceIndex;
    }
  }

  /** Each piece once. */
  #nextInOrder(): number | undefined {
    this.#runs ??= this.#orderedRuns();
    while (this.#nextRun < this.#runs.length) {
      const pieceIndex = (this.#runs[this.#nextRun] ?? 0) * this.#runPieces + this.#nextInRun;
      if (++this.#nextInRun === this.#runPieces) {
        this.#nextInRun = 0;
        this.#nextRun++;
      }
      if (pieceIndex < this.#pieceCount) return pieceIndex;
    }
    return undefined;
  }

  /**
   * The only seed goes through the file from its beginning: what leechers have is a whole file's beginning and little
   * more, so that they hash it as it comes, in memory, rather than all of it again at the end. Two seeds that did so
   * would send the same pieces: theirs are in random order.
   */
  #orderedRuns(): Uint32Array {
    const runs = Uint32Array.from({ length: Math.ceil(this.#pieceCount / this.#runPieces) }, (_, run) => run);
    if (this.#isOnlySeed()) return runs;
    for (let last = runs.length - 1; last > 0; last--) {
      const other = Math.floor(this.#random() * (last + 1));
      const run = runs[last] ?? 0;
      runs[last] = runs[other] ?? 0;
      runs[other] = run;
    }
    return runs;
  }
}
