// Detects dead clients: pings a silent client, and drops it if it does not answer. One timer serves all clients, since a timer
// for each would be reset by each of its messages. It counts ticks, not time: a tracker that was blocked counts one tick,
// however long that took, and reads waiting messages before the next one.

export interface HeartbeatOptions<S> {
  /** Ticks of silence after which a client is pinged. */
  readonly pingAfterTicks: number;
  /** Further ticks of silence after which it is dropped. */
  readonly pongWithinTicks: number;
  readonly ping: (socket: S) => void;
  readonly drop: (socket: S) => void;
}

export class Heartbeat<S> {
  readonly #options: HeartbeatOptions<S>;
  readonly #silentTicks = new Map<S, number>();

  constructor(options: HeartbeatOptions<S>) {
    this.#options = options;
  }

  /** The client has connected, or sent something. */
  heard(socket: S): void {
    this.#silentTicks.set(socket, 0);
  }

  remove(socket: S): void {
    this.#silentTicks.delete(socket);
  }

  tick(): void {
    const { pingAfterTicks, pongWithinTicks, ping, drop } = this.#options;
    for (const [socket, ticks] of this.#silentTicks) {
      const silent = ticks + 1;
      this.#silentTicks.set(socket, silent);
      if (silent === pingAfterTicks) ping(socket);
      else if (silent > pingAfterTicks + pongWithinTicks) drop(socket);
    }
  }
}
