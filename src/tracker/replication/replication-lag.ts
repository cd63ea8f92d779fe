// Measures how long each other tracker has lacked rows, by a sample every second. Only rows that were here at the sample before
// count, so that a write in transit is no lag, however often a sample meets one.

/** The heartbeat interval of a link (replica-link.ts): more often there is no news of what the other tracker has. */
export const LAG_SAMPLE_MS = 1_000;

export interface LinkSample {
  readonly address: string;
  readonly isConnected: boolean;
  /** How many rows it lacks, if it is connected. */
  readonly lagRecords: number;
}

export class ReplicationLag {
  /** Address of a tracker that is behind → since when, by the caller's clock. */
  readonly #behindSince = new Map<string, number>();
  /** The sample before: when it was taken, and how many rows there were. */
  #last = { atMs: 0, rows: 0 };

  /**
   * @param rows how many rows were ever written or merged here
   * @param nowMs on a monotonic clock
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

  /** 0 for a tracker that at the last sample had all rows of the sample before it. */
  secondsOf(address: string, nowMs: number): number {
    const since = this.#behindSince.get(address);
    return since === undefined ? 0 : Math.max(0, nowMs - since) / 1000;
  }
}
