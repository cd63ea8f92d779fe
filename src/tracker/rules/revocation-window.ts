// The time since which ended memberships are listed to members. A partitioned tracker may not know of an end and continues to
// issue certificates of that membership. So the membership must be listed here throughout the partition, and after it until
// the last of these certificates has expired.
import { z } from "zod";
import { ALLOWED_CLOCK_SKEW_MS, REVOCATION_LISTED_MS } from "../../identity/certificate-lifetimes.ts";

/** Bounds the list if a tracker never comes back; its line should then be removed from tracker_info.txt. */
const LONGEST_APART_MS = 7 * 24 * 60 * 60 * 1000;

const notesSchema = z.record(z.string(), z.number());

interface Other {
  /** When the two were last known to be connected, by the wall clock; undefined: they have been connected for long enough. */
  apartSinceMs: number | undefined;
  /** How long they have been connected since. */
  togetherMs: number;
}

export interface RevocationWindowOptions {
  /** Addresses of the other trackers. */
  readonly others: readonly string[];
  /** The last text given to `save` in an earlier run; undefined if none. */
  readonly saved: string | undefined;
  /** When this tracker last ran, by the wall clock; it has received nothing from other trackers since. */
  readonly lastRanMs: number;
  /** Stores a text over a restart. */
  readonly save: (notes: string) => void;
}

export class RevocationWindow {
  readonly #others: ReadonlyMap<string, Other>;
  readonly #save: (notes: string) => void;
  #sampledMs: number | undefined;
  #sampledAtMs: number;

  constructor({ others, saved, lastRanMs, save }: RevocationWindowOptions) {
    this.#save = save;
    const notes = readNotes(saved);
    // The clock that stamped the last row may have been ahead of this one.
    this.#sampledAtMs = lastRanMs - 2 * ALLOWED_CLOCK_SKEW_MS;
    this.#others = new Map(
      others.map((address) => [
        address,
        { apartSinceMs: Math.min(notes[address] ?? this.#sampledAtMs, this.#sampledAtMs), togetherMs: 0 },
      ]),
    );
  }

  /**
   * Called every second.
   *
   * @param links the other trackers, and whether each and this one have all of each other's rows
   * @param nowMs the wall clock
   * @param clockMs a clock that only goes forward
   */
  sample(
    links: readonly { readonly address: string; readonly isConnected: boolean }[],
    nowMs: number,
    clockMs: number,
  ): void {
    const elapsedMs = clockMs - (this.#sampledMs ?? clockMs);
    let hasChanged = false;
    for (const { address, isConnected } of links) {
      const other = this.#others.get(address);
      if (other === undefined) continue;
      if (!isConnected) {
        other.togetherMs = 0;
        if (other.apartSinceMs !== undefined) continue;
        other.apartSinceMs = this.#sampledAtMs;
        hasChanged = true;
      } else if (other.apartSinceMs !== undefined) {
        other.togetherMs += elapsedMs;
        if (other.togetherMs < REVOCATION_LISTED_MS) continue;
        other.apartSinceMs = undefined;
        hasChanged = true;
      }
    }
    this.#sampledMs = clockMs;
    this.#sampledAtMs = nowMs;
    if (hasChanged) this.#save(JSON.stringify(this.#notes()));
  }

  /** Memberships that ended after this time are listed: one of their certificates may be valid, or yet be issued. */
  sinceMs(nowMs: number): number {
    const apart = [...this.#others.values()].map(({ apartSinceMs }) => apartSinceMs ?? nowMs);
    const oldest = Math.max(Math.min(nowMs, ...apart), nowMs - LONGEST_APART_MS);
    return oldest - REVOCATION_LISTED_MS;
  }

  #notes(): Record<string, number> {
    const notes: Record<string, number> = {};
    for (const [address, { apartSinceMs }] of this.#others) {
      if (apartSinceMs !== undefined) notes[address] = apartSinceMs;
    }
    return notes;
  }
}

function readNotes(saved: string | undefined): Record<string, number> {
  try {
    return saved === undefined ? {} : notesSchema.parse(JSON.parse(saved));
  } catch {
    return {}; // as if nothing had been stored: then the time of the last write counts
  }
}
