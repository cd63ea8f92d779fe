// Requests to one peer that were taken back: asked and then cancelled, or forgotten when the peer choked us. Each may still
// be answered, by its block or a reject, although nobody waits for it; and it may have been asked for again since.

/** A peer without the fast extension does not answer what was cancelled in time: these are not kept for ever. */
const MAX_KEPT = 4096;
/** More than a piece has blocks. */
const PIECE_KEY_STEP = 65_536;

export class CancelledRequests {
  readonly #keys = new Set<number>();

  /** What is kept too long is forgotten, the oldest first. */
  add(pieceIndex: number, blockIndex: number): void {
    this.#keys.add(keyOf(pieceIndex, blockIndex));
    if (this.#keys.size <= MAX_KEPT) return;
    for (const oldest of this.#keys) {
      this.#keys.delete(oldest);
      break;
    }
  }

  /** Returns false if none of that block is open. */
  answered(pieceIndex: number, blockIndex: number): boolean {
    return this.#keys.delete(keyOf(pieceIndex, blockIndex));
  }

  has(pieceIndex: number, blockIndex: number): boolean {
    return this.#keys.has(keyOf(pieceIndex, blockIndex));
  }
}

function keyOf(pieceIndex: number, blockIndex: number): number {
  return pieceIndex * PIECE_KEY_STEP + blockIndex;
}
