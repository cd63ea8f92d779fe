// What replication needs of the world around it: a channel to another tracker, a clock, and whoever keeps presence.
// Interfaces alone: the server gives real ones, the tests virtual ones.

/** Ordered and reliable; messages are JSON text. */
export interface ReplicaChannel {
  send(message: string): void;
  close(reason: string): void;
}

/** What the carrier of a channel calls. After `closed`, nothing. */
export interface ReplicaReceiver {
  message(text: string): void;
  closed(reason: string): void;
}

export interface Clock {
  /** Milliseconds on a monotonic clock with an unspecified start, for durations only. */
  nowMs(): number;
  /** @returns takes the timer back */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/** Presence: opaque here, kept by whoever implements it. */
export interface PresenceStore {
  snapshot(): unknown;
  apply(trackerId: string, data: unknown, isWhole: boolean): void;
  linkUp(trackerId: string): void;
  linkLost(trackerId: string): void;
}
