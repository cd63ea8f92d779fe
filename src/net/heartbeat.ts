// Detects dead clients: a silent client is pinged, and dropped if it does not answer. One timer serves all, since a timer for
// each client would be reset with each of its messages. It counts beats, not time: a tracker that was blocked itself has
// counted one beat, however long that took, and reads waiting messages before the next one.

export interface HeartbeatOptions<S> {
  /** Beats of silence after which it is asked. */
  readonly pingAfterTicks: number;
  /** Beats that it has to answer. */
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

  /** It is there: it came, or said something. */
  heard(socket: S): void {
    this.#silentTicks.set(socket, 0);
  }

  remove(socket: S): void {
    this.#silentTicks.delete(socket);
  }

  tick(): void {
    const { pingAfterTicks, pongWithinTicks, ping, drop } = this.#options;
    for (const [socket, beats] of this.#silentTicks) {
      const silent = beats + 1;
      this.#silentTicks.set(socket, silent);
      if (silent === pingAfterTicks) ping(socket);
      else if (silent > pingAfterTicks + pongWithinTicks) drop(socket);
    }
  }
}
