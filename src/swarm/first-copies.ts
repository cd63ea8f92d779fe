// Until the swarm has a whole copy, its speed is that of the seeder's uplink, spent on what nobody has yet. So a seeder
// serves such pieces first: a peer whose turn it is with a piece that others have, or are getting, waits as long as
// somebody else waits for a new one. It waits a bounded time only: the new piece's connection may be the slow one.

/** So long a peer is put off; then it gets one run of blocks. */
const MAX_WAIT_MS = 1000;

export class FirstCopies {
  readonly #isNowhereElse: (pieceIndex: number) => boolean;
  /** By piece: slot + 1 of the first peer that was sent of it; 0: nobody. */
  readonly #firstReceiver: Uint16Array;
  /** By slot: since when the peer is put off; 0: it is not. */
  readonly #putOffSinceMs: number[] = [];

  /** @param isNowhereElse true if no other peer has that piece */
  constructor(pieceCount: number, isNowhereElse: (pieceIndex: number) => boolean) {
    this.#isNowhereElse = isNowhereElse;
    this.#firstReceiver = new Uint16Array(pieceCount);
  }

  /** Nobody has the piece, and nobody but that peer was sent of it. */
  isNewFor(slot: number, pieceIndex: number): boolean {
    const receiver = this.#firstReceiver[pieceIndex] ?? 0;
    return (receiver === 0 || receiver === slot + 1) && this.#isNowhereElse(pieceIndex);
  }

  /** The peer is being sent of that piece. */
  sent(slot: number, pieceIndex: number): void {
    this.#putOffSinceMs[slot] = 0;
    if (this.#firstReceiver[pieceIndex] === 0) this.#firstReceiver[pieceIndex] = slot + 1;
  }

  /** True as long as the peer has to let others go first. */
  mustWait(slot: number, nowMs: number): boolean {
    const sinceMs = this.#putOffSinceMs[slot] ?? 0;
    if (sinceMs === 0) {
      this.#putOffSinceMs[slot] = Math.max(nowMs, Number.MIN_VALUE);
      return true;
    }
    return nowMs - sinceMs < MAX_WAIT_MS;
  }

  /** What the peer was sent and nobody else has is new again. */
  peerLeft(slot: number): void {
    this.#putOffSinceMs[slot] = 0;
    for (let pieceIndex = 0; pieceIndex < this.#firstReceiver.length; pieceIndex++) {
      if (this.#firstReceiver[pieceIndex] === slot + 1) this.#firstReceiver[pieceIndex] = 0;
    }
  }
}
