// Detects dead clients: a silent client is pinged, and dropped if it does not answer. One timer serves all, since a timer for
// each client would be reset with each of its messages. It counts beats, not time: a tracker that was blocked itself has
// counted one beat, however long that took, and reads waiting messages before the next one.

export interface HeartbeatOptions<S> {
  /** Beats of silence after which it is asked. */
  readonly askAfter: number;
  /** Beats that it has to answer. */
  readonly answerWithin: number;
  readonly ask: (socket: S) => void;
  readonly letGo: (socket: S) => void;
}

export class Heartbeat<S> {
  readonly #options: HeartbeatOptions<S>;
  readonly #silentBeats = new Map<S, number>();

  constructor(options: HeartbeatOptions<S>) {
    this.#options = options;
  }

  /** It is there: it came, or said something. */
  heard(socket: S): void {
    this.#silentBeats.set(socket, 0);
  }

  gone(socket: S): void {
    this.#silentBeats.delete(socket);
  }

  beat(): void {
    const { askAfter, answerWithin, ask, letGo } = this.#options;
    for (const [socket, beats] of this.#silentBeats) {
      const silent = beats + 1;
      this.#silentBeats.set(socket, silent);
      if (silent === askAfter) ask(socket);
      else if (silent > askAfter + answerWithin) letGo(socket);
    }
  }
}
