// For how long each other tracker has not had all that is here: looked at every second, as the links' heartbeats come.
// What is behind for less than that, such as a write on its way, does not count.

/** The heartbeat of a link (registry/replica-link.ts): the other says no more often what it has. */
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

  /** @param nowMs by a clock that nobody sets */
  sample(links: readonly LinkSample[], nowMs: number): void {
    for (const { address, isConnected, lagRecords } of links) {
      if (isConnected && lagRecords === 0) this.#behindSince.delete(address);
      else if (!this.#behindSince.has(address)) this.#behindSince.set(address, nowMs);
    }
  }

  /** 0 for a tracker that had all when it was looked at last. */
  secondsOf(address: string, nowMs: number): number {
    const since = this.#behindSince.get(address);
    return since === undefined ? 0 : Math.max(0, nowMs - since) / 1000;
  }
}
