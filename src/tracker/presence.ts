// Who is online, at which address, with which torrents. Soft: never stored. Each tracker answers for the clients that are
// connected to it, tells the others as that changes, and believes another tracker for as long as the link to it lasts,
// and a grace. Who may know what of it is decided where it is asked (peer-exchange.ts).
import { MiniTorrentError } from "../api/errors.ts";
import type { AnnouncedTorrent } from "../api/schemas.ts";
import {
  type ClientMessage,
  clientMessages,
  type PresenceMessage,
  parsePresence,
} from "./presence-messages.ts";
import type { SoftState } from "./registry/replication.ts";

/** How long a tracker that is gone is believed: its clients need that long to be at the next one. */
export const LOST_LINK_GRACE_MS = 5_000;
/** Torrents that one client may have a part in at a time. */
const MAX_TORRENTS_PER_CLIENT = 100_000;

/** Torrents in a snapshot; the clients whose torrents are past it follow one by one. */
const TORRENTS_PER_SNAPSHOT = 50_000;

interface PresentClient {
  /** Connected to this tracker. */
  readonly isLocal: boolean;
  readonly connectionId: string;
  readonly accountId: string;
  readonly deviceId: string;
  readonly host: string;
  port: number | undefined;
  readonly torrents: Map<string, { readonly isSeed: boolean }>;
  /** When it came, counted: of one device, the connection that came last is the one that lives. */
  readonly arrival: number;
}

/** A device that has (some of) a torrent. */
export interface PresentPeer {
  readonly accountId: string;
  readonly deviceId: string;
  readonly host: string;
  readonly port: number;
  readonly isSeed: boolean;
}

export interface PresenceOptions {
  /** Tells the other trackers. */
  readonly publish: (messages: readonly PresenceMessage[]) => void;
  /** `isNew`: nobody has heard of that device in that torrent. */
  readonly onPeerOnline: (infoHash: string, peer: PresentPeer, isNew: boolean) => void;
  readonly onPeerOffline: (infoHash: string, deviceId: string) => void;
  readonly setTimer: (delayMs: number, callback: () => void) => () => void;
}

export class Presence implements SoftState {
  readonly #options: PresenceOptions;
  readonly #local = new Map<string, PresentClient>();
  readonly #remote = new Map<string, Map<string, PresentClient>>();
  readonly #byTorrent = new Map<string, Set<PresentClient>>();
  readonly #connectionsOfAccount = new Map<string, number>();
  readonly #lostLinks = new Map<string, () => void>();
  #arrivals = 0;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** A client of this tracker has a session. */
  arrive(connectionId: string, accountId: string, deviceId: string, host: string): void {
    const before = this.#local.get(connectionId);
    if (before?.accountId === accountId) return;
    if (before !== undefined) this.depart(connectionId);
    const client = this.#add(this.#local, true, { connectionId, accountId, deviceId, host });
    this.#publishClient(client, [], [], false);
  }

  depart(connectionId: string): void {
    const client = this.#local.get(connectionId);
    if (client === undefined) return;
    this.#remove(this.#local, client);
    this.#options.publish([{ type: "gone", connectionId }]);
  }

  /**
   * The client's whole list: what is not on it is over.
   *
   * @throws MiniTorrentError LIMIT_REACHED
   */
  announce(connectionId: string, port: number, torrents: readonly AnnouncedTorrent[]): void {
    const client = this.#requireLocal(connectionId);
    checkCount(torrents.length);
    this.#change(client, port, torrents, unlisted(client, torrents));
    this.#publishClient(client, torrents, [], true);
  }

  /** @throws MiniTorrentError LIMIT_REACHED */
  update(connectionId: string, add: readonly AnnouncedTorrent[], remove: readonly string[]): void {
    const client = this.#requireLocal(connectionId);
    checkCount(client.torrents.size + add.length);
    this.#change(client, client.port, add, remove);
    this.#publishClient(client, add, remove, false);
  }

  /** The client has all of that torrent. Returns false if that was not noted: it is gone, or has too many. */
  addSeed(connectionId: string, infoHash: string): boolean {
    const client = this.#local.get(connectionId);
    if (client === undefined || client.torrents.size >= MAX_TORRENTS_PER_CLIENT) return false;
    this.update(connectionId, [{ infoHash, isSeed: true }], []);
    return true;
  }

  isOnline(accountId: string): boolean {
    return this.#connectionsOfAccount.has(accountId);
  }

  hasAnnounced(connectionId: string, infoHash: string): boolean {
    return this.#local.get(connectionId)?.torrents.has(infoHash) ?? false;
  }

  /** The client says that it has all of that torrent. */
  isSeed(connectionId: string, infoHash: string): boolean {
    return this.#local.get(connectionId)?.torrents.get(infoHash)?.isSeed ?? false;
  }

  /** Clients of this tracker that have a part in that torrent. */
  localAnnouncers(infoHash: string): string[] {
    const clients = [...(this.#byTorrent.get(infoHash) ?? [])];
    return clients.filter(({ isLocal }) => isLocal).map(({ connectionId }) => connectionId);
  }

  /** Devices that have (some of) a torrent, each once, where it was heard of last. */
  peersOf(infoHash: string): PresentPeer[] {
    const latest = new Map<string, PresentClient>();
    for (const client of this.#byTorrent.get(infoHash) ?? []) {
      if (client.port === undefined) continue;
      const other = latest.get(client.deviceId);
      if (other === undefined || other.arrival < client.arrival) latest.set(client.deviceId, client);
    }
    return [...latest.values()]
      .map((client) => asPeer(client, infoHash))
      .filter((peer) => peer !== undefined);
  }

  /** All that another tracker has to know of this one's clients; past a message's size, the rest is told after it. */
  snapshot(): PresenceMessage[] {
    const messages: PresenceMessage[] = [];
    const later: string[] = [];
    let torrentCount = 0;
    for (const client of this.#local.values()) {
      torrentCount += client.torrents.size;
      const fits = torrentCount <= TORRENTS_PER_SNAPSHOT;
      messages.push(...clientMessages(client, fits ? announced(client) : [], [], true));
      if (!fits) later.push(client.connectionId);
    }
    if (later.length > 0) this.#options.setTimer(0, () => this.#publishWhole(later));
    return messages;
  }

  /**
   * What another tracker says of its clients. `isWhole`: who is not in it is gone.
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE
   */
  apply(trackerId: string, data: unknown, isWhole: boolean): void {
    const messages = parsePresence(data);
    const clients = this.#remote.get(trackerId) ?? new Map<string, PresentClient>();
    this.#remote.set(trackerId, clients);
    for (const said of messages) {
      const known = clients.get(said.connectionId);
      if (said.type === "client") this.#applyClient(clients, known, said);
      else if (known !== undefined) this.#remove(clients, known);
    }
    if (!isWhole) return;
    const named = new Set(messages.map(({ connectionId }) => connectionId));
    for (const client of [...clients.values()]) {
      if (!named.has(client.connectionId)) this.#remove(clients, client);
    }
  }

  /** The tracker is back: what is known of its clients holds until it says otherwise. */
  linkUp(trackerId: string): void {
    this.#lostLinks.get(trackerId)?.();
    this.#lostLinks.delete(trackerId);
  }

  /** The tracker is believed for a grace, then its clients are gone. */
  linkLost(trackerId: string): void {
    this.linkUp(trackerId);
    const cancel = this.#options.setTimer(LOST_LINK_GRACE_MS, () => {
      this.#lostLinks.delete(trackerId);
      const clients = this.#remote.get(trackerId) ?? new Map<string, PresentClient>();
      for (const client of [...clients.values()]) this.#remove(clients, client);
      this.#remote.delete(trackerId);
    });
    this.#lostLinks.set(trackerId, cancel);
  }

  close(): void {
    for (const cancel of this.#lostLinks.values()) cancel();
    this.#lostLinks.clear();
  }

  #applyClient(
    clients: Map<string, PresentClient>,
    known: PresentClient | undefined,
    said: ClientMessage,
  ): void {
    let client = known;
    const isSame = client?.accountId === said.accountId && client.deviceId === said.deviceId;
    if (client !== undefined && !isSame) this.#remove(clients, client);
    if (client === undefined || !isSame) client = this.#add(clients, false, said);
    const over = said.isWhole ? unlisted(client, said.add) : said.remove;
    this.#change(client, said.port, said.add, over);
  }

  #publishWhole(connectionIds: readonly string[]): void {
    for (const connectionId of connectionIds) {
      const client = this.#local.get(connectionId);
      if (client !== undefined) this.#publishClient(client, announced(client), [], true);
    }
  }

  #requireLocal(connectionId: string): PresentClient {
    const client = this.#local.get(connectionId);
    if (client !== undefined) return client;
    throw new MiniTorrentError("NOT_LOGGED_IN", "Nobody is logged in on this connection; login first.");
  }

  #add(
    clients: Map<string, PresentClient>,
    isLocal: boolean,
    facts: { connectionId: string; accountId: string; deviceId: string; host: string },
  ): PresentClient {
    const { connectionId, accountId, deviceId, host } = facts;
    const arrival = this.#arrivals++;
    const torrents: PresentClient["torrents"] = new Map();
    const client = { isLocal, connectionId, accountId, deviceId, host, port: undefined, torrents, arrival };
    clients.set(connectionId, client);
    this.#connectionsOfAccount.set(accountId, (this.#connectionsOfAccount.get(accountId) ?? 0) + 1);
    return client;
  }

  #remove(clients: Map<string, PresentClient>, client: PresentClient): void {
    clients.delete(client.connectionId);
    const connections = (this.#connectionsOfAccount.get(client.accountId) ?? 1) - 1;
    if (connections > 0) this.#connectionsOfAccount.set(client.accountId, connections);
    else this.#connectionsOfAccount.delete(client.accountId);
    for (const infoHash of client.torrents.keys()) this.#removeTorrent(client, infoHash);
  }

  #change(
    client: PresentClient,
    port: number | undefined,
    add: readonly AnnouncedTorrent[],
    remove: readonly string[],
  ): void {
    const moved = client.port !== port;
    const { deviceId } = client;
    const before = new Map<string, PresentPeer | undefined>();
    if (moved)
      for (const infoHash of client.torrents.keys()) before.set(infoHash, this.#peerOf(infoHash, deviceId));
    for (const { infoHash } of add) before.set(infoHash, this.#peerOf(infoHash, deviceId));
    client.port = port;
    for (const infoHash of remove) this.#removeTorrent(client, infoHash);
    const changed = new Set(moved ? client.torrents.keys() : []);
    for (const { infoHash, isSeed } of add) {
      if (client.torrents.get(infoHash)?.isSeed === isSeed) continue;
      client.torrents.set(infoHash, { isSeed });
      const clients = this.#byTorrent.get(infoHash) ?? new Set();
      clients.add(client);
      this.#byTorrent.set(infoHash, clients);
      changed.add(infoHash);
    }
    for (const infoHash of changed) {
      const peer = asPeer(client, infoHash);
      // Who came over from a tracker that died is known already, at the same address.
      const known = before.get(infoHash);
      if (peer === undefined || isSamePeer(peer, known)) continue;
      this.#options.onPeerOnline(infoHash, peer, known === undefined);
    }
  }

  /** The device as a peer of that torrent, where it was heard of last. */
  #peerOf(infoHash: string, deviceId: string): PresentPeer | undefined {
    let latest: PresentClient | undefined;
    for (const client of this.#byTorrent.get(infoHash) ?? []) {
      if (client.deviceId !== deviceId || client.port === undefined) continue;
      if (latest === undefined || latest.arrival < client.arrival) latest = client;
    }
    return latest && asPeer(latest, infoHash);
  }

  #removeTorrent(client: PresentClient, infoHash: string): void {
    const { deviceId } = client;
    const before = this.#peerOf(infoHash, deviceId);
    if (!client.torrents.delete(infoHash)) return;
    const clients = this.#byTorrent.get(infoHash);
    clients?.delete(client);
    if (clients?.size === 0) this.#byTorrent.delete(infoHash);
    const remains = this.#peerOf(infoHash, deviceId);
    if (remains === undefined) this.#options.onPeerOffline(infoHash, deviceId);
    else if (!isSamePeer(remains, before)) this.#options.onPeerOnline(infoHash, remains, false);
  }

  #publishClient(
    client: PresentClient,
    add: readonly AnnouncedTorrent[],
    remove: readonly string[],
    isWhole: boolean,
  ): void {
    for (const message of clientMessages(client, add, remove, isWhole)) this.#options.publish([message]);
  }
}

function announced({ torrents }: PresentClient): AnnouncedTorrent[] {
  return [...torrents].map(([infoHash, { isSeed }]) => ({ infoHash, isSeed }));
}

/** What the client takes part in that is not on that list. */
function unlisted(client: PresentClient, torrents: readonly AnnouncedTorrent[]): string[] {
  const listed = new Set(torrents.map(({ infoHash }) => infoHash));
  return [...client.torrents.keys()].filter((infoHash) => !listed.has(infoHash));
}

function checkCount(count: number): void {
  if (count <= MAX_TORRENTS_PER_CLIENT) return;
  throw new MiniTorrentError(
    "LIMIT_REACHED",
    `A client can take part in ${MAX_TORRENTS_PER_CLIENT} torrents at a time; stop sharing some.`,
  );
}

function asPeer(client: PresentClient, infoHash: string): PresentPeer | undefined {
  const { accountId, deviceId, host, port } = client;
  const torrent = client.torrents.get(infoHash);
  if (port === undefined || torrent === undefined) return undefined;
  return { accountId, deviceId, host, port, isSeed: torrent.isSeed };
}

function isSamePeer(one: PresentPeer, other: PresentPeer | undefined): boolean {
  const { accountId, host, port, isSeed } = one;
  return (
    other?.accountId === accountId && other.host === host && other.port === port && other.isSeed === isSeed
  );
}
