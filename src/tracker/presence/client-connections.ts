// The clients that are connected to this tracker: their devices and accounts, and how to push events to them.
import { MiniTorrentError } from "../../api/errors.ts";
import type { Account, TrackerEvent } from "../../api/schemas.ts";
import type { Guard } from "../../net/connection-guard.ts";

/** A client needs one listener; others may be about to end. */
const MAX_LISTENERS = 4;
/** Most events of one turn of the event loop; with more, the client is told to fetch the current state instead. */
const MAX_TOLD_IN_TURN = 2_000;
/** Events in one message: at some 250 bytes each, 128 KB. */
const MAX_EVENTS_TOGETHER = 500;

const LOOK_AGAIN: TrackerEvent = { type: "look-again" };

/** Facts about a client from TLS and TCP, which it cannot forge. */
export interface ConnectionFacts {
  readonly id: string;
  /** The address that the connection comes from. */
  readonly host: string;
  /** SHA-256 of its public key, 64 hex digits. */
  readonly deviceId: string;
  /** Its public key, DER. */
  readonly publicKeySpki: Uint8Array;
}

/** Callbacks for the owner of the connection. */
export interface ConnectionListeners {
  /** Wraps its handlers, so that a failure here does not affect the sender of an event. */
  readonly guard?: Guard;
  /** Called for each event that is sent. */
  readonly onTell?: () => void;
  /** An account has logged in on it. */
  readonly onLogIn?: () => void;
}

export class Connection implements ConnectionFacts {
  readonly id: string;
  readonly host: string;
  readonly deviceId: string;
  readonly publicKeySpki: Uint8Array;
  #listeners: ((events: readonly TrackerEvent[]) => void)[] = [];
  /** Events of this turn. */
  #told: TrackerEvent[] = [];
  readonly #holder: ConnectionListeners;
  #account: Account | undefined;
  #accountRevision = 0;

  constructor(facts: ConnectionFacts, holder: ConnectionListeners = {}) {
    this.id = facts.id;
    this.host = facts.host;
    this.deviceId = facts.deviceId;
    this.publicKeySpki = facts.publicKeySpki;
    this.#holder = holder;
  }

  /** The account that is logged in on it. */
  get account(): Account | undefined {
    return this.#account;
  }

  /** Its account, if that was confirmed at this revision of the rows that sessions depend on. */
  accountAt(revision: number): Account | undefined {
    return this.#accountRevision === revision ? this.#account : undefined;
  }

  /** The account was confirmed at this revision. */
  isStillOf(revision: number): void {
    this.#accountRevision = revision;
  }

  loggedIn(account: Account): void {
    this.#account = account;
    this.#holder.onLogIn?.();
  }

  loggedOut(): void {
    this.#account = undefined;
  }

  /** Delivered to the listener at the end of this turn; not stored. */
  tell(event: TrackerEvent): void {
    if (this.#listeners.length === 0) return;
    if (this.#told.length >= MAX_TOLD_IN_TURN) this.#told.splice(0, this.#told.length - 1, LOOK_AGAIN);
    const { guard, onTell } = this.#holder;
    if (this.#told.push(event) === 1) {
      const pass = () => this.#pass();
      queueMicrotask(guard === undefined ? pass : guard("events", pass));
    }
    onTell?.();
  }

  /**
   * Calls the listener with the events of each turn, from now on. It is not a generator, which would take some kilobytes for each
   * client.
   *
   * @returns removes the listener
   * @throws MiniTorrentError LIMIT_REACHED
   */
  listen(listener: (events: readonly TrackerEvent[]) => void): () => void {
    if (this.#listeners.length >= MAX_LISTENERS) {
      throw new MiniTorrentError(
        "LIMIT_REACHED",
        `A connection may listen to events ${MAX_LISTENERS} times.`,
      );
    }
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  #pass(): void {
    const told = this.#told;
    this.#told = [];
    for (let at = 0; at < told.length; at += MAX_EVENTS_TOGETHER) {
      const events = told.slice(at, at + MAX_EVENTS_TOGETHER);
      for (const listener of this.#listeners) listener(events);
    }
  }
}

export class Connections {
  readonly #all = new Map<string, Connection>();
  readonly #ofAccount = new Map<string, Set<Connection>>();
  readonly #ofDevice = new Map<string, Set<Connection>>();

  get count(): number {
    return this.#all.size;
  }

  /** True if somebody is logged in here. */
  get hasAccounts(): boolean {
    return this.#ofAccount.size > 0;
  }

  add(connection: Connection): void {
    this.#all.set(connection.id, connection);
    addTo(this.#ofDevice, connection.deviceId, connection);
  }

  remove(connection: Connection): void {
    this.logOut(connection);
    this.#all.delete(connection.id);
    takeFrom(this.#ofDevice, connection.deviceId, connection);
  }

  byId(id: string): Connection | undefined {
    return this.#all.get(id);
  }

  /** False once it is closed: work for it is then useless. */
  has(connection: Connection): boolean {
    return this.#all.has(connection.id);
  }

  countOf(accountId: string): number {
    return this.#ofAccount.get(accountId)?.size ?? 0;
  }

  /** Accounts that are logged in here. */
  accountIds(): readonly string[] {
    return [...this.#ofAccount.keys()];
  }

  /** Devices with a session. Those that connect or leave during the iteration may or may not be included. */
  *devices(): Generator<string> {
    for (const { account, deviceId } of this.#all.values()) if (account !== undefined) yield deviceId;
  }

  /** Logs the account in on the connection. */
  logIn(connection: Connection, account: Account): void {
    this.logOut(connection);
    addTo(this.#ofAccount, account.accountId, connection);
    connection.loggedIn(account);
  }

  logOut(connection: Connection): void {
    const { account } = connection;
    if (account === undefined) return;
    connection.loggedOut();
    takeFrom(this.#ofAccount, account.accountId, connection);
  }

  /** Connections of that device; one of several may be about to close. */
  ofDevice(deviceId: string): readonly Connection[] {
    return [...(this.#ofDevice.get(deviceId) ?? [])];
  }

  ofAccount(accountId: string): readonly Connection[] {
    return [...(this.#ofAccount.get(accountId) ?? [])];
  }

  tell(accountId: string, event: TrackerEvent): void {
    for (const connection of this.#ofAccount.get(accountId) ?? []) connection.tell(event);
  }
}

function addTo(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  const connections = index.get(key);
  if (connections === undefined) index.set(key, new Set([connection]));
  else connections.add(connection);
}

function takeFrom(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  const connections = index.get(key);
  connections?.delete(connection);
  if (connections?.size === 0) index.delete(key);
}
