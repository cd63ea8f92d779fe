// Which memberships are over, for as long as a certificate of theirs can be valid: heard from trackers, who name them
// again whenever they are asked.
import { REVOCATION_LISTED_MS } from "../identity/certificate-lifetimes.ts";

/**
 * As long as a tracker would list one that ended just now. It is counted from when it was heard of last, on a clock that
 * nobody sets: a tracker that hears of an end late names it later than others.
 */
const KEPT_MS = REVOCATION_LISTED_MS;
/** Of each some 150 bytes. More than that end in no group that people know each other in; the oldest goes first. */
const MOST_KEPT = 100_000;

export class Revocations {
  readonly #nowMs: () => number;
  /** By membership, when it was heard of last, oldest first. */
  readonly #heardMs = new Map<string, number>();

  /** @param nowMs a clock that only goes forward */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  add(membershipId: string): void {
    this.#heardMs.delete(membershipId);
    this.#heardMs.set(membershipId, this.#nowMs());
    this.#forgetOld();
  }

  has(membershipId: string): boolean {
    const heardMs = this.#heardMs.get(membershipId);
    return heardMs !== undefined && this.#nowMs() - heardMs < KEPT_MS;
  }

  get size(): number {
    return this.#heardMs.size;
  }

  #forgetOld(): void {
    for (const [membershipId, heardMs] of this.#heardMs) {
      if (this.#nowMs() - heardMs < KEPT_MS && this.#heardMs.size <= MOST_KEPT) return;
      this.#heardMs.delete(membershipId);
    }
  }
}
