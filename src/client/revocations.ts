// Ended memberships, kept for as long as one of their certificates can be valid. Trackers report them and list them
// again on request.
import { REVOCATION_LISTED_MS } from "../identity/certificate-lifetimes.ts";

/**
 * As long as a tracker lists a membership that has just ended. Counted from the last report, on a monotonic clock:
 * a tracker that hears of an end late lists it for longer than others.
 */
const KEPT_MS = REVOCATION_LISTED_MS;
/** Some 150 bytes each. Far more than end in a real group; past it the oldest is dropped. */
const MOST_KEPT = 100_000;

export class Revocations {
  readonly #nowMs: () => number;
  /** Membership → time of the last report, oldest first. */
  readonly #heardMs = new Map<string, number>();

  /** @param nowMs a monotonic clock */
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
