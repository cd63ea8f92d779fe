// Whose TLS handshake begins next, where more come than can be served at once: few in a turn of the event loop, the newest
// first, network after network. Pure: it opens and closes nothing.
import { networkOf } from "../../api/addresses.ts";

export interface HandshakeQueueOptions<V> {
  readonly most: number;
  readonly mostOfNetwork: number;
  readonly longestWaitMs: number;
  readonly beginsPerTurn: number;
  readonly nowMs: () => number;
  /** Runs it in the next turn of the event loop. */
  readonly nextTurn: (run: () => void) => void;
  readonly begin: (visitor: V) => void;
  /** Somebody has to go; nobody that has begun. */
  readonly turnAway: (visitor: V) => void;
}

interface Place {
  readonly network: string;
  readonly sinceMs: number;
}

export class HandshakeQueue<V> {
  readonly #options: HandshakeQueueOptions<V>;
  /** All who wait, the longest first. */
  readonly #places = new Map<V, Place>();
  /** The same by network. */
  readonly #networks = new Map<string, V[]>();
  /** A network for each that came; the last is next. Stands for nothing if the network was served in this round, or has left. */
  #order: string[] = [];
  /** Every network is served once before any of them is again. */
  readonly #servedInRound = new Set<string>();
  #begunInTurn = 0;
  #isTurnAsked = false;

  constructor(options: HandshakeQueueOptions<V>) {
    this.#options = options;
  }

  get size(): number {
    return this.#places.size;
  }

  /**
   * Begins with the visitor at once if nobody waits.
   *
   * @param host where the visitor comes from, an IP address
   */
  enter(visitor: V, host: string): void {
    const { most, mostOfNetwork, beginsPerTurn, nowMs } = this.#options;
    this.#askForTurn();
    if (this.size === 0 && this.#begunInTurn < beginsPerTurn) {
      this.#begunInTurn++;
      this.#options.begin(visitor);
      return;
    }
    const network = networkOf(host);
    const own = this.#networks.get(network)?.length ?? 0;
    if (own >= mostOfNetwork) this.#turnAwayLongest(network);
    else if (this.size >= most) this.#turnAwayLongest(this.#largest());
    const waiting = this.#networks.get(network) ?? [];
    this.#networks.set(network, waiting);
    waiting.push(visitor);
    this.#places.set(visitor, { network, sinceMs: nowMs() });
    this.#order.push(network);
    if (this.#order.length > 2 * most) this.#forgetWhoLeft();
  }

  /** The visitor is gone. */
  leave(visitor: V): void {
    const place = this.#places.get(visitor);
    if (place === undefined) return;
    this.#places.delete(visitor);
    const waiting = this.#networks.get(place.network);
    waiting?.splice(waiting.lastIndexOf(visitor), 1);
    if (waiting?.length === 0) this.#networks.delete(place.network);
  }

  #askForTurn(): void {
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    this.#options.nextTurn(() => this.#takeTurn());
  }

  #takeTurn(): void {
    const { beginsPerTurn, longestWaitMs, nowMs } = this.#options;
    this.#isTurnAsked = false;
    this.#begunInTurn = 0;
    const oldestMs = nowMs() - longestWaitMs;
    for (const [visitor, { sinceMs }] of this.#places) {
      if (sinceMs > oldestMs) break;
      this.leave(visitor);
      this.#options.turnAway(visitor);
    }
    while (this.#begunInTurn < beginsPerTurn) {
      const visitor = this.#next();
      if (visitor === undefined) break;
      this.#begunInTurn++;
      this.leave(visitor);
      this.#options.begin(visitor);
    }
    if (this.#begunInTurn > 0) this.#askForTurn();
  }

  /** The newest of the network that is next. */
  #next(): V | undefined {
    if (this.size === 0) {
      this.#order = [];
      this.#servedInRound.clear();
      return undefined;
    }
    for (;;) {
      const network = this.#order.pop();
      if (network === undefined) {
        // Somebody waits, so there is a network: a round without any would never end.
        const served = [...this.#servedInRound].reverse();
        this.#order = served.length > 0 ? served : [...this.#networks.keys()];
        this.#servedInRound.clear();
        continue;
      }
      const newest = this.#networks.get(network)?.at(-1);
      if (newest === undefined || this.#servedInRound.has(network)) continue;
      this.#servedInRound.add(network);
      return newest;
    }
  }

  #forgetWhoLeft(): void {
    const last = new Set(this.#order.reverse().filter((network) => this.#networks.has(network)));
    this.#order = [...last].reverse();
    for (const network of this.#servedInRound) {
      if (!this.#networks.has(network)) this.#servedInRound.delete(network);
    }
  }

  #turnAwayLongest(network: string): void {
    const [longest] = this.#networks.get(network) ?? [];
    if (longest === undefined) return;
    this.leave(longest);
    this.#options.turnAway(longest);
  }

  #largest(): string {
    let largest = "";
    let most = 0;
    for (const [network, waiting] of this.#networks) {
      if (waiting.length > most) [largest, most] = [network, waiting.length];
    }
    return largest;
  }
}
