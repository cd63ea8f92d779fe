// The clients that are connected to this tracker: who each one is, and how to tell it something unasked.
import { EventEmitter, on } from "node:events";
import type { Account, TrackerEvent } from "../api/schemas.ts";

/** What TLS and TCP say of a client, not what it says of itself. */
export interface ConnectionFacts {
  readonly id: string;
  /** The address that the connection comes from. */
  readonly host: string;
  /** SHA-256 of its public key, 64 hex digits. */
  readonly deviceId: string;
  /** Its public key, DER. */
  readonly publicKeySpki: Uint8Array;
}

export class Connection implements ConnectionFacts {
  readonly id: string;
  readonly host: string;
  readonly deviceId: string;
  readonly publicKeySpki: Uint8Array;
  readonly #emitter = new EventEmitter();
  readonly #onTell: () => void;

  /** @param onTell called for each event that somebody hears */
  constructor(facts: ConnectionFacts, onTell: () => void = () => {}) {
    this.id = facts.id;
    this.host = facts.host;
    this.deviceId = facts.deviceId;
    this.publicKeySpki = facts.publicKeySpki;
    this.#onTell = onTell;
  }

  /** Reaches whoever is subscribed now; nobody keeps it for later. */
  tell(event: TrackerEvent): void {
    if (this.#emitter.emit("event", event)) this.#onTell();
  }

  /** What is told from now on, until the signal. */
  async *events(signal: AbortSignal | undefined): AsyncGenerator<TrackerEvent, void, undefined> {
    const source = on(this.#emitter, "event", signal === undefined ? {} : { signal });
    for await (const [event] of source) yield event as TrackerEvent;
  }
}

export class Connections {
  readonly #all = new Map<string, Connection>();
  readonly #accounts = new Map<Connection, Account>();
  readonly #ofAccount = new Map<string, Set<Connection>>();

  get count(): number {
    return this.#all.size;
  }

  add(connection: Connection): void {
    this.#all.set(connection.id, connection);
  }

  remove(connection: Connection): void {
    this.logOut(connection);
    this.#all.delete(connection.id);
  }

  byId(id: string): Connection | undefined {
    return this.#all.get(id);
  }

  /** The connection speaks for that account from now on. */
  logIn(connection: Connection, account: Account): void {
    this.logOut(connection);
    this.#accounts.set(connection, account);
    const connections = this.#ofAccount.get(account.accountId) ?? new Set();
    connections.add(connection);
    this.#ofAccount.set(account.accountId, connections);
  }

  logOut(connection: Connection): void {
    const account = this.#accounts.get(connection);
    if (account === undefined) return;
    this.#accounts.delete(connection);
    const connections = this.#ofAccount.get(account.accountId);
    connections?.delete(connection);
    if (connections?.size === 0) this.#ofAccount.delete(account.accountId);
  }

  accountOf(connection: Connection): Account | undefined {
    return this.#accounts.get(connection);
  }

  /** Connections of that device, should it have several (one may be dying). */
  ofDevice(deviceId: string): readonly Connection[] {
    return [...this.#all.values()].filter((connection) => connection.deviceId === deviceId);
  }

  /** Accounts that are connected here. */
  accountIds(): IterableIterator<string> {
    return this.#ofAccount.keys();
  }

  tell(accountId: string, event: TrackerEvent): void {
    for (const connection of this.#ofAccount.get(accountId) ?? []) connection.tell(event);
  }
}
