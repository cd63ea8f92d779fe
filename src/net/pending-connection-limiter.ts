// Bounds the connections that are not authenticated yet, in total and for each network. When it is full, it drops the connection
// that has waited longest, in the network that has most: an honest client authenticates within milliseconds, while an
// attacker's connection stays. Pure: it opens and closes nothing.
import { networkOf } from "../api/addresses.ts";

export interface PendingConnectionLimiterOptions<C> {
  readonly most: number;
  readonly mostOfNetwork: number;
  /** A connection that has waited less is not dropped for a newer one of a network that has as many; the newer one is dropped. */
  readonly leastWaitMs: number;
  readonly nowMs: () => number;
  /** Closes a connection: one that waited, or the new one. */
  readonly drop: (connection: C) => void;
}

export class PendingConnectionLimiter<C> {
  readonly #options: PendingConnectionLimiterOptions<C>;
  readonly #networkOf = new Map<C, string>();
  /** By network: its connections and since when each waits, longest wait first. */
  readonly #networks = new Map<string, Map<C, number>>();

  constructor(options: PendingConnectionLimiterOptions<C>) {
    this.#options = options;
  }

  get size(): number {
    return this.#networkOf.size;
  }

  /**
   * @param host where the connection comes from, an IP address
   * @returns false if there is no place; the connection was dropped
   */
  enter(connection: C, host: string): boolean {
    const { most, mostOfNetwork, leastWaitMs } = this.#options;
    const network = networkOf(host);
    const own = this.#networks.get(network);
    let isFree = true;
    if (own !== undefined && own.size >= mostOfNetwork) isFree = this.#makeRoom(own, leastWaitMs);
    else if (this.size >= most) {
      const largest = this.#largest();
      const isOfFewer = (own?.size ?? 0) + 1 < largest.size;
      isFree = this.#makeRoom(largest, isOfFewer ? 0 : leastWaitMs);
    }
    if (!isFree) {
      this.#options.drop(connection);
      return false;
    }
    const waiting = this.#networks.get(network) ?? new Map<C, number>();
    this.#networks.set(network, waiting);
    waiting.set(connection, this.#options.nowMs());
    this.#networkOf.set(connection, network);
    return true;
  }

  /** The connection has authenticated or disconnected. */
  leave(connection: C): void {
    const network = this.#networkOf.get(connection);
    if (network === undefined) return;
    this.#networkOf.delete(connection);
    const waiting = this.#networks.get(network);
    waiting?.delete(connection);
    if (waiting?.size === 0) this.#networks.delete(network);
  }

  /** Networks with a connection that waits. */
  get networkCount(): number {
    return this.#networks.size;
  }

  #makeRoom(waiting: ReadonlyMap<C, number>, leastWaitMs: number): boolean {
    const [longest] = waiting;
    if (longest === undefined) return false;
    const [connection, sinceMs] = longest;
    if (this.#options.nowMs() - sinceMs < leastWaitMs) return false;
    this.leave(connection);
    this.#options.drop(connection);
    return true;
  }

  #largest(): ReadonlyMap<C, number> {
    let largest: ReadonlyMap<C, number> = new Map();
    for (const waiting of this.#networks.values()) if (waiting.size > largest.size) largest = waiting;
    return largest;
  }
}
