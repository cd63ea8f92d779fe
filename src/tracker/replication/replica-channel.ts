// What replication needs from outside: a channel to another tracker, and the store of presence. Only interfaces: the tracker
// provides real ones, the tests virtual ones.

/** Ordered and reliable; messages are JSON text. */
export interface ReplicaChannel {
  send(message: string): void;
  close(reason: string): void;
}

/** The transport of a channel calls it, and never after `closed`. */
export interface ReplicaReceiver {
  message(text: string): void;
  closed(reason: string): void;
}

/** Presence; its data is opaque to replication. */
export interface PresenceStore {
  snapshot(): unknown;
  apply(trackerId: string, data: unknown, isWhole: boolean): void;
  linkUp(trackerId: string): void;
  linkLost(trackerId: string): void;
}
