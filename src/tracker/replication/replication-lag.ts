// For how long each other tracker has lacked rows: looked at every second, as the links' heartbeats come. Only rows that were here
// at the look before count, so that a write on its way is no lag, however often a look finds one.

/** The heartbeat of a link (replica-link.ts): the other says no more often what it has. */
export const LAG_SAMPLE_MS = 1_000;

export interface LinkSample {
  readonly address: string;
  readonly isConnected: boolean;
  /** How many rows it lacks, if it is connected. */
  readonly lagRecords: number;
}

export class ReplicationLag {
  /** Address of a tracker that is behind → since when, by the clock that is given. */
  readonly #behindSince = new Map<string, number>();
  /** The look before: when, and how many rows there were. */
  #last = { atMs: 0, rows: 0 };

  /**
   * @param rows how many rows were ever written or merged here
   * @param nowMs by a clock that nobody sets
   */
  sample(links: readonly LinkSample[], rows: number, nowMs: number): void {
    for (const { address, isConnected, lagRecords } of links) {
      const isBehind = !isConnected || rows - lagRecords < this.#last.rows;
      if (!isBehind) this.#behindSince.delete(address);
      else if (!this.#behindSince.has(address)) {
        this.#behindSince.set(address, isConnected ? this.#last.atMs : nowMs);
      }
    }
    this.#last = { atMs: nowMs, rows };
  }

  /** 0 for a tracker that, when it was looked at last, had all that was here a look before. */
  secondsOf(address: string, nowMs: number): number {
    const since = this.#behindSince.get(address);
    return since === undefined ? 0 : Math.max(0, nowMs - since) / 1000;
  }
}
