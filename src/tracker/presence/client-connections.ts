// The clients that are connected to this tracker: who each one is, and how to tell it something unasked.
import { MiniTorrentError } from "../../api/errors.ts";
import type { Account, TrackerEvent } from "../../api/schemas.ts";
import type { Guard } from "../../net/connection-guard.ts";

/** A client needs one; a few more may be about to end. */
const MAX_LISTENERS = 4;
/** Most events of one turn; a client with more is told to fetch the current state instead. */
const MAX_TOLD_IN_TURN = 2_000;
/** In one message: at some 250 bytes each, 128 KB. */
const MAX_EVENTS_TOGETHER = 500;

const LOOK_AGAIN: TrackerEvent = { type: "look-again" };

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

/** Callbacks for the owner of the connection. */
export interface ConnectionListeners {
  /** Wraps its handlers, so that a failure here does not affect the sender of an event. */
  readonly guard?: Guard;
  /** For each event that somebody hears. */
  readonly onTell?: () => void;
  /** It speaks for an account from now on. */
  readonly onLogIn?: () => void;
}

export class Connection implements ConnectionFacts {
  readonly id: string;
  readonly host: string;
  readonly deviceId: string;
  readonly publicKeySpki: Uint8Array;
  #listeners: ((events: readonly TrackerEvent[]) => void)[] = [];
  /** In this turn. */
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

  /** Whom it speaks for. */
  get account(): Account | undefined {
    return this.#account;
  }

  /** Whom it speaks for, if that was so when what sessions hang on stood at this revision. */
  accountAt(revision: number): Account | undefined {
    return this.#accountRevision === revision ? this.#account : undefined;
  }

  /** The account was found to be that one at this revision. */
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
   * What is told from now on; what is told in one turn, together. No generator: it and what waits for it are some
   * kilobytes for each client.
   *
   * @returns ends the listening
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

  /** False once it is closed; work begun for it is then useless. */
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

  /** The connection speaks for that account from now on. */
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

  /** Connections of that device, should it have several (one may be dying). */
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
