// What one replica still has to send another until that has all it has: a cursor that is read in chunks while both
// registries go on changing. It holds no rows, only how far it came.
import type { OriginId, Registry, RegistryRecord, VersionVector } from "../registry/registry.ts";

/** Rows in a chunk: one commit at the receiver, and some hundred kilobytes at most times. */
const CHUNK_ROWS = 1_000;

export interface Chunk {
  readonly records: readonly RegistryRecord[];
  /** With the last chunk: what the receiver has then. */
  readonly upTo?: VersionVector;
}

export class CatchUp {
  readonly #registry: Registry;
  readonly #sent: Record<OriginId, number>;

  /** @param vector what the other has */
  constructor(registry: Registry, vector: VersionVector) {
    this.#registry = registry;
    this.#sent = { ...vector };
  }

  /** The other asks again, from an earlier point. */
  goBackTo(vector: VersionVector): void {
    for (const [origin, seq] of Object.entries(this.#sent)) {
      this.#sent[origin] = Math.min(seq, vector[origin] ?? 0);
    }
  }

  /**
   * Rows that came in from a third replica meanwhile. They may stand before the cursor, and the last chunk's `upTo`
   * must not claim that the other has them unless it does.
   */
  owe(records: readonly RegistryRecord[]): void {
    for (const { origin, seq } of records) {
      const sent = this.#sent[origin];
      if (sent !== undefined && sent >= seq) this.#sent[origin] = seq - 1;
    }
  }

  next(): Chunk {
    const records = this.#registry.since(this.#sent, CHUNK_ROWS);
    for (const { origin, seq } of records) this.#sent[origin] = seq;
    const isLast = this.#registry.since(this.#sent, 1).length === 0;
    return isLast ? { records, upTo: this.#registry.vector } : { records };
  }
}
