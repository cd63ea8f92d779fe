// Decides which TLS handshake begins next when more connections arrive than can be served: a few in each turn of the event loop,
// the newest of each network, one network after the other. Pure: it opens and closes nothing.
import { networkOf } from "../../api/addresses.ts";

export interface HandshakeQueueOptions<C> {
  readonly most: number;
  readonly mostOfNetwork: number;
  readonly longestWaitMs: number;
  readonly beginsPerTurn: number;
  readonly nowMs: () => number;
  /** Runs it in the next turn of the event loop. */
  readonly nextTurn: (run: () => void) => void;
  readonly begin: (connection: C) => void;
  /** Closes a connection that waits. */
  readonly drop: (connection: C) => void;
}

interface Place {
  readonly network: string;
  readonly sinceMs: number;
}

export class HandshakeQueue<C> {
  readonly #options: HandshakeQueueOptions<C>;
  /** All waiting connections, longest wait first. */
  readonly #places = new Map<C, Place>();
  /** The same by network. */
  readonly #networks = new Map<string, C[]>();
  /** A network for each connection that arrived; the last is next. Skipped if it was served in this round or has no connection left. */
  #order: string[] = [];
  /** Every network is served once before any of them is again. */
  readonly #servedInRound = new Set<string>();
  #begunInTurn = 0;
  #isTurnAsked = false;

  constructor(options: HandshakeQueueOptions<C>) {
    this.#options = options;
  }

  get size(): number {
    return this.#places.size;
  }

  /**
   * Begins its handshake at once if no connection waits.
   *
   * @param host where the connection comes from, an IP address
   */
  enter(connection: C, host: string): void {
    const { most, mostOfNetwork, beginsPerTurn, nowMs } = this.#options;
    this.#askForTurn();
    if (this.size === 0 && this.#begunInTurn < beginsPerTurn) {
      this.#begunInTurn++;
      this.#options.begin(connection);
      return;
    }
    const network = networkOf(host);
    const own = this.#networks.get(network)?.length ?? 0;
    if (own >= mostOfNetwork) this.#dropLongest(network);
    else if (this.size >= most) this.#dropLongest(this.#largest());
    const waiting = this.#networks.get(network) ?? [];
    this.#networks.set(network, waiting);
    waiting.push(connection);
    this.#places.set(connection, { network, sinceMs: nowMs() });
    this.#order.push(network);
    if (this.#order.length > 2 * most) this.#compactOrder();
  }

  /** The connection is gone. */
  leave(connection: C): void {
    const place = this.#places.get(connection);
    if (place === undefined) return;
    this.#places.delete(connection);
    const waiting = this.#networks.get(place.network);
    waiting?.splice(waiting.lastIndexOf(connection), 1);
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
    for (const [connection, { sinceMs }] of this.#places) {
      if (sinceMs > oldestMs) break;
      this.leave(connection);
      this.#options.drop(connection);
    }
    while (this.#begunInTurn < beginsPerTurn) {
      const connection = this.#next();
      if (connection === undefined) break;
      this.#begunInTurn++;
      this.leave(connection);
      this.#options.begin(connection);
    }
    if (this.#begunInTurn > 0) this.#askForTurn();
  }

  /** The newest of the network that is next. */
  #next(): C | undefined {
    if (this.size === 0) {
      this.#order = [];
      this.#servedInRound.clear();
      return undefined;
    }
    for (;;) {
      const network = this.#order.pop();
      if (network === undefined) {
        // A connection waits, so at least one network has one; otherwise this loop would not end.
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

  #compactOrder(): void {
    const last = new Set(this.#order.reverse().filter((network) => this.#networks.has(network)));
    this.#order = [...last].reverse();
    for (const network of this.#servedInRound) {
      if (!this.#networks.has(network)) this.#servedInRound.delete(network);
    }
  }

  #dropLongest(network: string): void {
    const [longest] = this.#networks.get(network) ?? [];
    if (longest === undefined) return;
    this.leave(longest);
    this.#options.drop(longest);
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
