// Connections that have not yet shown who they are: so many at once, so many of one network. When it is full the one that
// has waited longest goes, of the network that has most of them: who comes to be let in takes milliseconds, who comes
// to keep others out stays. Pure: it opens and closes nothing.
import { networkOf } from "../api/addresses.ts";

export interface PendingConnectionLimiterOptions<V> {
  readonly most: number;
  readonly mostOfNetwork: number;
  /** Who has waited less is not turned away for one of a network that has as many; who comes then is. */
  readonly leastWaitMs: number;
  readonly nowMs: () => number;
  /** Somebody has to go, or is not let in at all. */
  readonly turnAway: (visitor: V) => void;
}

export class PendingConnectionLimiter<V> {
  readonly #options: PendingConnectionLimiterOptions<V>;
  readonly #networkOfVisitor = new Map<V, string>();
  /** By network, who waits and since when, the longest first. */
  readonly #networks = new Map<string, Map<V, number>>();

  constructor(options: PendingConnectionLimiterOptions<V>) {
    this.#options = options;
  }

  get size(): number {
    return this.#networkOfVisitor.size;
  }

  /**
   * @param host where the visitor comes from, an IP address
   * @returns false if there is no place, and the visitor was turned away
   */
  enter(visitor: V, host: string): boolean {
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
      this.#options.turnAway(visitor);
      return false;
    }
    const waiting = this.#networks.get(network) ?? new Map<V, number>();
    this.#networks.set(network, waiting);
    waiting.set(visitor, this.#options.nowMs());
    this.#networkOfVisitor.set(visitor, network);
    return true;
  }

  /** The visitor has authenticated or disconnected. */
  leave(visitor: V): void {
    const network = this.#networkOfVisitor.get(visitor);
    if (network === undefined) return;
    this.#networkOfVisitor.delete(visitor);
    const waiting = this.#networks.get(network);
    waiting?.delete(visitor);
    if (waiting?.size === 0) this.#networks.delete(network);
  }

  #makeRoom(waiting: ReadonlyMap<V, number>, leastWaitMs: number): boolean {
    const [longest] = waiting;
    if (longest === undefined) return false;
    const [visitor, sinceMs] = longest;
    if (this.#options.nowMs() - sinceMs < leastWaitMs) return false;
    this.leave(visitor);
    this.#options.turnAway(visitor);
    return true;
  }

  #largest(): ReadonlyMap<V, number> {
    let largest: ReadonlyMap<V, number> = new Map();
    for (const waiting of this.#networks.values()) if (waiting.size > largest.size) largest = waiting;
    return largest;
  }
}
