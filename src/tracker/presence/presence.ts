// Presence: which clients are online, at which addresses, with which torrents. It is never stored. Each tracker reports its own
// clients to the others, and trusts another tracker's report while the link to it lasts, plus a grace period. Only torrents
// that the registry knows, in the client's own groups, count. peer-directory.ts decides which clients learn of them.
import { MiniTorrentError } from "../../api/errors.ts";
import { type AnnouncedTorrent, MOST_NAMED_PEERS } from "../../api/schemas.ts";
import type { Clock } from "../../net/timers.ts";
import type { PresenceStore } from "../replication/replica-channel.ts";
import {
  type AccountShare,
  DEFAULT_PRESENCE_BUDGET,
  type PresenceBudget,
  refusalOf,
} from "./presence-budget.ts";
import {
  type ClientMessage,
  clientMessage,
  type PresenceMessage,
  parsePresence,
  TORRENTS_PER_MESSAGE,
} from "./presence-messages.ts";
import { type Part, type PresentClient, SwarmPeers } from "./swarm-peers.ts";
import { STEPS_AT_A_TIME, TurnSlices } from "./turn-slices.ts";

/** Grace period after a link was lost: its clients need that long to reach another tracker. */
const LOST_LINK_GRACE_MS = 5_000;
/** Most unanswered announcements of one client; ours sends the next one only after the answer. */
const MAX_UNDER_WAY = 8;
/** Cost in steps (turn-slices.ts) of reading a torrent's group from the registry. */
const LOOKUP_STEPS = 10;
/** Torrents that are compared with a list in a step. */
const LOOKS_PER_STEP = 20;
/** Clients in the first message of a snapshot; the others follow over several turns. */
const CLIENTS_PER_SNAPSHOT = 500;
/** Delay between a changed membership and a look at pending torrents, so that several changes need one look. */
const RECHECK_MS = 250;
/** Shortest time between requests to a client with dropped pending torrents to announce all again. */
const ANNOUNCE_AGAIN_MS = 10_000;

/** A device that has a torrent or a part of it. */
export interface PresentPeer {
  readonly accountId: string;
  readonly deviceId: string;
  readonly host: string;
  readonly otherHosts: readonly string[];
  readonly port: number;
  readonly isSeed: boolean;
}

/** Where a client listens. */
type Whereabouts = Pick<PresentClient, "hosts" | "port">;

export interface PresenceOptions {
  /** Sends messages to the other trackers. */
  readonly publish: (messages: readonly PresenceMessage[]) => void;
  /** The claim of the group that the torrent belongs to; undefined if this tracker does not know the torrent. */
  readonly groupOf: (infoHash: string) => string | undefined;
  readonly isMember: (groupClaimId: string, accountId: string) => boolean;
  /**
   * `isNew`: no client has been told of that device in that torrent.
   *
   * @returns how many clients were told
   */
  readonly onPeerOnline: (infoHash: string, peer: PresentPeer, isNew: boolean) => number;
  readonly onPeerOffline: (infoHash: string, deviceId: string) => void;
  /** A pending announcement took effect; the client has not been told of any peer yet. */
  readonly onPromoted?: (connectionId: string, infoHash: string) => void;
  /** These clients announced more torrents than may be pending; the dropped ones may be known by now. */
  readonly onAnnounceAgain?: (connectionIds: readonly string[]) => void;
  readonly setTimer: Clock["setTimer"];
  /** Where it differs from the default. */
  readonly budget?: Partial<PresenceBudget>;
  /** From 0 to 1, as Math.random. */
  readonly random?: () => number;
}

/** Outcome of an announced torrent. */
type Outcome = { readonly is: "changed" | "same" | "waiting" } | { readonly is: "refused"; reason: string };

interface RemoteTracker {
  readonly clients: Map<string, PresentClient>;
  /** By client: torrents from before its complete list began that the list has not named yet. */
  readonly unconfirmed: Map<PresentClient, Set<string>>;
}

export class Presence implements PresenceStore {
  readonly #options: PresenceOptions;
  readonly #budget: PresenceBudget;
  readonly #random: () => number;
  readonly #slices: TurnSlices;
  readonly #local = new Map<string, PresentClient>();
  readonly #remote = new Map<string, RemoteTracker>();
  readonly #swarms = new Map<string, SwarmPeers>();
  readonly #devices = new Map<string, PresentClient[]>();
  readonly #accounts = new Map<string, AccountShare>();
  /** By info-hash: clients whose announcement waits for the torrent's row or their membership. */
  readonly #waitingFor = new Map<string, Set<PresentClient>>();
  readonly #lostLinks = new Map<string, () => void>();
  /** Clients of this tracker that have yet to be sent to the other trackers after a snapshot. */
  readonly #toPublish = new Set<string>();
  readonly #toRecheck = new Set<string>();
  readonly #withUnkept = new Set<PresentClient>();
  readonly #timers = new Map<"recheck" | "announce-again", () => void>();
  #partCount = 0;
  #waitingCount = 0;
  #connectionCount = 0;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#budget = { ...DEFAULT_PRESENCE_BUDGET, ...options.budget };
    this.#random = options.random ?? Math.random;
    this.#slices = new TurnSlices(options.setTimer);
  }

  /** Number of torrents kept, and of pending ones. */
  get size(): { readonly parts: number; readonly waiting: number } {
    return { parts: this.#partCount, waiting: this.#waitingCount };
  }

  /** A client of this tracker has a session. */
  arrive(connectionId: string, accountId: string, deviceId: string, host: string): void {
    const before = this.#local.get(connectionId);
    if (before?.accountId === accountId) return;
    if (before !== undefined) this.depart(connectionId);
    const client = this.#add(this.#local, true, { connectionId, accountId, deviceId, hosts: [host] });
    this.#publishChange(client, [], []);
  }

  depart(connectionId: string): void {
    const client = this.#local.get(connectionId);
    if (client === undefined) return;
    this.#toPublish.delete(connectionId);
    this.#options.publish([{ type: "gone", connectionId }]);
    this.#dismiss(this.#local, client, keyOf(client));
  }

  /**
   * Replaces the client's torrents by the list. Resolves when the whole list is applied.
   *
   * @param hosts addresses that it listens at, if they differ from the one that it connects from
   * @throws MiniTorrentError LIMIT_REACHED, NOT_LOGGED_IN
   */
  async announce(
    connectionId: string,
    port: number,
    torrents: Iterable<AnnouncedTorrent>,
    hosts?: readonly string[],
  ): Promise<void> {
    await this.#inTurn(connectionId, (client) =>
      this.#changeSteps(client, { hosts: hosts ?? client.hosts, port }, torrents, undefined),
    );
  }

  /** @throws MiniTorrentError LIMIT_REACHED, NOT_LOGGED_IN */
  async update(
    connectionId: string,
    add: Iterable<AnnouncedTorrent>,
    remove: Iterable<string>,
  ): Promise<void> {
    await this.#inTurn(connectionId, (client) => this.#changeSteps(client, undefined, add, remove));
  }

  /** The client has become a seed of that torrent. Resolves to false if it is gone or at its limit. */
  async addSeed(connectionId: string, infoHash: string): Promise<boolean> {
    if (!this.#local.has(connectionId)) return false;
    try {
      await this.update(connectionId, [{ infoHash, isSeed: true }], []);
      return this.isSeed(connectionId, infoHash);
    } catch (error) {
      if (error instanceof MiniTorrentError) return false;
      throw error;
    }
  }

  isOnline(accountId: string): boolean {
    return this.#accounts.has(accountId);
  }

  hasAnnounced(connectionId: string, infoHash: string): boolean {
    return this.#localPart(connectionId, infoHash) !== undefined;
  }

  /** The client says that it has all of that torrent. */
  isSeed(connectionId: string, infoHash: string): boolean {
    return this.#localPart(connectionId, infoHash)?.isSeed ?? false;
  }

  /** Clients of this tracker that announced the torrent: all, or if there are more than `most`, a sample of those that can use such a peer. */
  localAnnouncers(infoHash: string, most = MOST_NAMED_PEERS, isOfSeed = false): string[] {
    const parts = this.#swarms.get(infoHash)?.listeners(most, isOfSeed, this.#random) ?? [];
    return parts.map(({ client }) => client.connectionId);
  }

  localCount(infoHash: string): number {
    return this.#swarms.get(infoHash)?.localCount ?? 0;
  }

  /** Devices that announced the torrent, each once, at its latest connection: all, or if there are more than `most`, a random sample. */
  peersOf(infoHash: string, most = MOST_NAMED_PEERS, isForSeed = false): PresentPeer[] {
    const parts = this.#swarms.get(infoHash)?.sample(most, isForSeed, this.#random) ?? [];
    return parts.map((part) => asPeer(part)).filter((peer) => peer !== undefined);
  }

  /** The device as a peer of that torrent, at its latest connection. */
  peerOf(infoHash: string, deviceId: string): PresentPeer | undefined {
    const swarm = this.#swarms.get(infoHash);
    const part = swarm && this.#listed(swarm, deviceId);
    return part && asPeer(part);
  }

  /** Number of devices of that group's members that announced the torrent. */
  counts(groupClaimId: string, infoHash: string): { seeders: number; peers: number } {
    const swarm = this.#swarms.get(infoHash);
    return swarm?.groupClaimId === groupClaimId ? { ...swarm.counts } : { seeders: 0, peers: 0 };
  }

  /** Accounts of that group's members that have all of the torrent: at most so many. */
  seedAccounts(groupClaimId: string, infoHash: string, most: number): string[] {
    const swarm = this.#swarms.get(infoHash);
    return swarm?.groupClaimId === groupClaimId ? swarm.seedAccounts(most) : [];
  }

  /** The registry knows the torrent now, so pending announcements of it take effect. */
  torrentKnown(infoHash: string): void {
    this.#announceAgainLater();
    const waiting = this.#waitingFor.get(infoHash);
    if (waiting === undefined) return;
    const promote = this.#promoteSteps([...waiting].map((client) => ({ client, infoHash })));
    this.#slices.runBehind(`torrent ${infoHash}`, promote);
  }

  /** Memberships of these accounts may have begun. */
  membershipChanged(accountId: string): void {
    this.#announceAgainLater();
    if ((this.#accounts.get(accountId)?.waiting ?? 0) === 0) return;
    this.#toRecheck.add(accountId);
    this.#later("recheck", RECHECK_MS, () => {
      const accounts = [...this.#toRecheck];
      this.#toRecheck.clear();
      this.#slices.runBehind("recheck", this.#recheckSteps(accounts));
    });
  }

  /** The account has left that group: its torrents of the group become pending, in case it joins again. */
  membershipEnded(groupClaimId: string, accountId: string): void {
    for (const client of this.#accounts.get(accountId)?.clients ?? []) {
      if (!client.groups.has(groupClaimId)) continue;
      this.#slices.runBehind(keyOf(client), this.#leaveSteps(client, groupClaimId));
    }
  }

  /** The first part of a snapshot for another tracker: all clients of this one, and as many torrents as fit; the rest follows. */
  snapshot(): PresenceMessage[] {
    const connectionIds = [...this.#local.keys()];
    const messages: PresenceMessage[] = [{ type: "roll", connectionIds }];
    let torrentCount = 0;
    let isAnyLeft = false;
    for (const client of this.#local.values()) {
      torrentCount += client.partCount;
      if (torrentCount <= TORRENTS_PER_MESSAGE && messages.length <= CLIENTS_PER_SNAPSHOT) {
        messages.push(clientMessage(client, announced(client), [], { isWhole: true }));
      } else {
        this.#toPublish.add(client.connectionId);
        isAnyLeft = true;
      }
    }
    if (isAnyLeft && this.#slices.countOf("snapshot") === 0) {
      this.#slices.runBehind("snapshot", this.#publishSteps());
    }
    return messages;
  }

  /**
   * Applies another tracker's report of its clients. `isWhole`: clients not in it are gone.
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE
   */
  apply(trackerId: string, data: unknown, isWhole: boolean): void {
    const messages = parsePresence(data);
    this.#slices.runBehind(trackerKey(trackerId), this.#applySteps(trackerId, messages, isWhole));
  }

  /** The tracker is connected again: its clients are kept until it reports otherwise. */
  linkUp(trackerId: string): void {
    this.#lostLinks.get(trackerId)?.();
    this.#lostLinks.delete(trackerId);
  }

  /** The link was lost: the tracker's clients are removed after the grace period. */
  linkLost(trackerId: string): void {
    this.linkUp(trackerId);
    const cancel = this.#options.setTimer(LOST_LINK_GRACE_MS, () => {
      this.#lostLinks.delete(trackerId);
      this.#slices.runBehind(trackerKey(trackerId), this.#forgetSteps(trackerId));
    });
    this.#lostLinks.set(trackerId, cancel);
  }

  close(): void {
    for (const cancel of [...this.#lostLinks.values(), ...this.#timers.values()]) cancel();
    this.#lostLinks.clear();
    this.#timers.clear();
    this.#slices.close();
  }

  /** @throws MiniTorrentError LIMIT_REACHED, NOT_LOGGED_IN */
  async #inTurn(connectionId: string, steps: (client: PresentClient) => Iterator<unknown>): Promise<void> {
    const client = this.#local.get(connectionId);
    if (client === undefined) throw notLoggedIn();
    if (this.#slices.countOf(keyOf(client)) >= MAX_UNDER_WAY) {
      throw new MiniTorrentError(
        "LIMIT_REACHED",
        `${MAX_UNDER_WAY} announcements of this client are unanswered; wait for the answers.`,
      );
    }
    // The call has waited for its turn already: a short announcement does not wait for long ones of other clients.
    await this.#slices.run(keyOf(client), steps(client), STEPS_AT_A_TIME);
  }

  /** @param remove undefined: all that are not in `add` */
  *#changeSteps(
    client: PresentClient,
    where: Whereabouts | undefined,
    add: Iterable<AnnouncedTorrent>,
    remove: Iterable<string> | undefined,
  ): Generator<void> {
    if (client.isGone) throw notLoggedIn();
    const over = remove ?? (yield* unlistedSteps(client, add));
    const hasMoved = where !== undefined && !isSameWhereabouts(client, where);
    if (hasMoved) yield* this.#moveSteps(client, where);
    let removed: string[] = [];
    let added: AnnouncedTorrent[] = [];
    const publish = (least: number): void => {
      if (added.length + removed.length < least || client.isGone) return;
      this.#publishChange(client, added, removed);
      removed = [];
      added = [];
    };
    for (const infoHash of over) {
      if (client.isGone) throw notLoggedIn();
      this.#stopWaiting(client, infoHash);
      if (this.#drop(client, infoHash)) removed.push(infoHash);
      publish(TORRENTS_PER_MESSAGE);
      yield;
    }
    let refusal: string | undefined;
    for (const torrent of add) {
      if (client.isGone) throw notLoggedIn();
      const outcome = this.#put(client, torrent);
      if (outcome.is === "changed") added.push(torrent);
      if (outcome.is === "refused") refusal = outcome.reason;
      publish(TORRENTS_PER_MESSAGE);
      yield;
    }
    publish(hasMoved ? 0 : 1);
    if (refusal !== undefined) throw new MiniTorrentError("LIMIT_REACHED", refusal);
  }

  *#moveSteps(client: PresentClient, { hosts, port }: Whereabouts): Generator<void> {
    const left: Whereabouts = { hosts: client.hosts, port: client.port };
    client.hosts = hosts;
    client.port = port;
    for (const parts of client.groups.values()) {
      for (const part of parts.values()) {
        const listed = this.#listed(part.swarm, client.deviceId);
        const before = listed && (listed === part ? asPeer(listed, left) : asPeer(listed));
        this.#settle(part.swarm, client.deviceId, listed, before);
        yield;
      }
    }
  }

  *#promoteSteps(
    waiting: Iterable<{ readonly client: PresentClient; readonly infoHash: string }>,
  ): Generator<void> {
    for (const { client, infoHash } of waiting) {
      const pending = client.waiting.get(infoHash);
      if (pending !== undefined) {
        this.#stopWaiting(client, infoHash);
        const torrent = { infoHash, isSeed: pending.isSeed };
        const outcome = this.#put(client, torrent);
        if (client.isLocal && outcome.is === "changed") {
          this.#publishChange(client, [torrent], []);
          this.#options.onPromoted?.(client.connectionId, infoHash);
        }
      }
      yield;
    }
  }

  *#recheckSteps(accountIds: readonly string[]): Generator<void> {
    for (const accountId of accountIds) {
      for (const client of [...(this.#accounts.get(accountId)?.clients ?? [])]) {
        const infoHashes = [...client.waiting.keys()];
        yield* this.#promoteSteps(infoHashes.map((infoHash) => ({ client, infoHash })));
      }
    }
  }

  *#leaveSteps(client: PresentClient, groupClaimId: string): Generator<void> {
    for (const { swarm, isSeed } of [...(client.groups.get(groupClaimId)?.values() ?? [])]) {
      if (client.isGone) return;
      // Joined again meanwhile.
      if (this.#options.isMember(groupClaimId, client.accountId)) return;
      if (this.#drop(client, swarm.infoHash)) this.#wait(client, swarm.infoHash, isSeed);
      yield;
    }
  }

  *#publishSteps(): Generator<void> {
    for (const connectionId of this.#toPublish) {
      const client = this.#local.get(connectionId);
      if (client !== undefined) yield* this.#publishWholeSteps(client);
      this.#toPublish.delete(connectionId);
    }
  }

  /** Sends the client's list in parts, each in its state when sent; changes in between are sent too, in order. */
  *#publishWholeSteps(client: PresentClient): Generator<void> {
    let add: AnnouncedTorrent[] = [];
    let isWhole = true;
    for (const { swarm, isSeed } of partsOf(client)) {
      if (client.isGone) return;
      add.push({ infoHash: swarm.infoHash, isSeed });
      if (add.length === TORRENTS_PER_MESSAGE) {
        this.#options.publish([clientMessage(client, add, [], { isWhole, isEnd: false })]);
        isWhole = false;
        add = [];
      }
      yield;
    }
    if (!client.isGone) this.#options.publish([clientMessage(client, add, [], { isWhole, isEnd: true })]);
    yield;
  }

  *#applySteps(trackerId: string, messages: readonly PresenceMessage[], isWhole: boolean): Generator<void> {
    const tracker = this.#remote.get(trackerId) ?? { clients: new Map(), unconfirmed: new Map() };
    this.#remote.set(trackerId, tracker);
    const named = new Set<string>();
    for (const message of messages) {
      if (message.type === "client") {
        named.add(message.connectionId);
        yield* this.#applyClientSteps(tracker, message);
      } else if (message.type === "gone") {
        const client = tracker.clients.get(message.connectionId);
        if (client !== undefined) yield* this.#dismissSteps(tracker.clients, client);
      } else for (const connectionId of message.connectionIds) named.add(connectionId);
      yield;
    }
    if (!isWhole) return;
    for (const client of [...tracker.clients.values()]) {
      if (named.has(client.connectionId)) continue;
      tracker.unconfirmed.delete(client);
      yield* this.#dismissSteps(tracker.clients, client);
    }
  }

  *#applyClientSteps(tracker: RemoteTracker, message: ClientMessage): Generator<void> {
    const { clients, unconfirmed } = tracker;
    let client = clients.get(message.connectionId);
    const isSame = client?.accountId === message.accountId && client.deviceId === message.deviceId;
    if (client !== undefined && !isSame) {
      unconfirmed.delete(client);
      yield* this.#dismissSteps(clients, client);
      client = undefined;
    }
    if (client === undefined) {
      if (clients.size >= this.#budget.clientsPerTracker) return;
      client = this.#add(clients, false, message);
    }
    const where = { hosts: message.hosts, port: message.port };
    if (!isSameWhereabouts(client, where)) yield* this.#moveSteps(client, where);
    const left = message.isWhole ? new Set(infoHashesOf(client)) : unconfirmed.get(client);
    if (message.isWhole && left !== undefined) unconfirmed.set(client, left);
    for (const infoHash of message.remove) {
      this.#stopWaiting(client, infoHash);
      this.#drop(client, infoHash);
      yield;
    }
    for (const torrent of message.add) {
      left?.delete(torrent.infoHash);
      this.#put(client, torrent);
      yield;
    }
    if (left === undefined || message.isEnd === false) return;
    unconfirmed.delete(client);
    for (const infoHash of left) {
      this.#stopWaiting(client, infoHash);
      this.#drop(client, infoHash);
      yield;
    }
  }

  *#forgetSteps(trackerId: string): Generator<void> {
    const { clients } = this.#remote.get(trackerId) ?? {};
    // The tracker is connected again.
    if (clients === undefined) return;
    for (const client of [...clients.values()]) yield* this.#dismissSteps(clients, client);
    this.#remote.delete(trackerId);
  }

  #add(
    clients: Map<string, PresentClient>,
    isLocal: boolean,
    facts: Pick<PresentClient, "connectionId" | "accountId" | "deviceId" | "hosts">,
  ): PresentClient {
    const { connectionId, accountId, deviceId, hosts } = facts;
    const client: PresentClient = {
      ...{ isLocal, connectionId, accountId, deviceId, hosts, port: undefined },
      ...{ groups: new Map(), partCount: 0, waiting: new Map(), isGone: false },
      connectionNumber: this.#connectionCount++,
    };
    clients.set(connectionId, client);
    const account = this.#accounts.get(accountId) ?? { clients: new Set(), localParts: 0, waiting: 0 };
    account.clients.add(client);
    this.#accounts.set(accountId, account);
    const ofDevice = this.#devices.get(deviceId);
    if (ofDevice === undefined) this.#devices.set(deviceId, [client]);
    else ofDevice.push(client);
    return client;
  }

  #dismiss(clients: Map<string, PresentClient>, client: PresentClient, key: string): void {
    const steps = this.#dismissSteps(clients, client);
    // Removed at once, whatever job is running.
    steps.next();
    this.#slices.runBehind(key, steps);
  }

  *#dismissSteps(clients: Map<string, PresentClient>, client: PresentClient): Generator<void> {
    client.isGone = true;
    if (clients.get(client.connectionId) === client) clients.delete(client.connectionId);
    this.#withUnkept.delete(client);
    for (const infoHash of client.waiting.keys()) this.#stopWaiting(client, infoHash);
    const account = this.#accounts.get(client.accountId);
    account?.clients.delete(client);
    if (account !== undefined) account.localParts -= client.isLocal ? client.partCount : 0;
    if (account?.clients.size === 0) this.#accounts.delete(client.accountId);
    yield;
    for (const infoHash of infoHashesOf(client)) {
      this.#drop(client, infoHash);
      yield;
    }
    const others = (this.#devices.get(client.deviceId) ?? []).filter((other) => other !== client);
    if (others.length > 0) this.#devices.set(client.deviceId, others);
    else this.#devices.delete(client.deviceId);
  }

  #put(client: PresentClient, { infoHash, isSeed }: AnnouncedTorrent): Outcome {
    const { accountId, deviceId } = client;
    let swarm = this.#swarms.get(infoHash);
    const part = swarm?.partOf(client);
    if (swarm !== undefined && part !== undefined) {
      if (part.isSeed === isSeed) return { is: "same" };
      const listed = this.#listed(swarm, deviceId);
      const before = listed && asPeer(listed);
      swarm.setSeed(part, isSeed);
      this.#settle(swarm, deviceId, listed, before);
      return { is: "changed" };
    }
    if (swarm === undefined) this.#slices.spend(LOOKUP_STEPS);
    const groupClaimId = swarm?.groupClaimId ?? this.#options.groupOf(infoHash);
    const mayJoin =
      groupClaimId !== undefined &&
      (client.groups.has(groupClaimId) || this.#options.isMember(groupClaimId, accountId));
    if (!mayJoin) return this.#wait(client, infoHash, isSeed);
    const account = this.#accounts.get(accountId);
    const reason = account && refusalOf(this.#budget, client, account, this.#partCount);
    if (account === undefined || reason !== undefined) return { is: "refused", reason: reason ?? "" };
    this.#stopWaiting(client, infoHash);
    if (swarm === undefined) {
      swarm = new SwarmPeers(infoHash, groupClaimId);
      this.#swarms.set(infoHash, swarm);
    }
    const listed = this.#listed(swarm, deviceId);
    const before = listed && asPeer(listed);
    swarm.add(client, isSeed);
    this.#partCount++;
    if (client.isLocal) account.localParts++;
    this.#settle(swarm, deviceId, listed, before);
    return { is: "changed" };
  }

  /** False if the client did not have the torrent. */
  #drop(client: PresentClient, infoHash: string): boolean {
    const swarm = this.#swarms.get(infoHash);
    const part = swarm?.partOf(client);
    if (swarm === undefined || part === undefined) return false;
    const listed = this.#listed(swarm, client.deviceId);
    const before = listed && asPeer(listed);
    swarm.remove(part);
    this.#partCount--;
    const account = client.isGone ? undefined : this.#accounts.get(client.accountId);
    if (account !== undefined && client.isLocal) account.localParts--;
    if (swarm.isEmpty) this.#swarms.delete(infoHash);
    this.#settle(swarm, client.deviceId, listed === part ? undefined : listed, before);
    return true;
  }

  /** Keeps an announcement pending until this tracker may act on it. */
  #wait(client: PresentClient, infoHash: string, isSeed: boolean): Outcome {
    const account = this.#accounts.get(client.accountId);
    const isKept = client.waiting.has(infoHash);
    const { waitingPerClient, waitingPerAccount, waitingTotal } = this.#budget;
    const hasRoom =
      client.waiting.size < waitingPerClient &&
      (account?.waiting ?? waitingPerAccount) < waitingPerAccount &&
      this.#waitingCount < waitingTotal;
    if (!isKept && !hasRoom) {
      if (client.isLocal) this.#withUnkept.add(client);
      return { is: "waiting" };
    }
    client.waiting.set(infoHash, { isSeed });
    if (isKept) return { is: "waiting" };
    this.#waitingCount++;
    if (account !== undefined) account.waiting++;
    const clients = this.#waitingFor.get(infoHash) ?? new Set();
    clients.add(client);
    this.#waitingFor.set(infoHash, clients);
    return { is: "waiting" };
  }

  #stopWaiting(client: PresentClient, infoHash: string): void {
    if (!client.waiting.delete(infoHash)) return;
    this.#waitingCount--;
    const account = this.#accounts.get(client.accountId);
    if (account !== undefined) account.waiting--;
    const clients = this.#waitingFor.get(infoHash);
    clients?.delete(client);
    if (clients?.size === 0) this.#waitingFor.delete(infoHash);
  }

  /** Asks clients with dropped pending torrents to announce again, at a low rate, once more may be known. */
  #announceAgainLater(): void {
    if (this.#withUnkept.size === 0) return;
    this.#later("announce-again", ANNOUNCE_AGAIN_MS, () => {
      const clients = [...this.#withUnkept];
      this.#withUnkept.clear();
      this.#options.onAnnounceAgain?.(clients.map(({ connectionId }) => connectionId));
    });
  }

  #later(what: "recheck" | "announce-again", delayMs: number, work: () => void): void {
    if (this.#timers.has(what)) return;
    const cancel = this.#options.setTimer(delayMs, () => {
      this.#timers.delete(what);
      work();
    });
    this.#timers.set(what, cancel);
  }

  #localPart(connectionId: string, infoHash: string): Part | undefined {
    const client = this.#local.get(connectionId);
    return client && this.#swarms.get(infoHash)?.partOf(client);
  }

  /** The part that represents the device. */
  #listed(swarm: SwarmPeers, deviceId: string): Part | undefined {
    for (const client of this.#devices.get(deviceId) ?? []) {
      const part = swarm.partOf(client);
      if (part !== undefined && swarm.isListed(part)) return part;
    }
    return undefined;
  }

  /** Makes the device's latest connection represent it, and announces what changed. */
  #settle(
    swarm: SwarmPeers,
    deviceId: string,
    listed: Part | undefined,
    before: PresentPeer | undefined,
  ): void {
    let latest: Part | undefined;
    for (const client of this.#devices.get(deviceId) ?? []) {
      if (client.isGone || client.port === undefined) continue;
      const part = swarm.partOf(client);
      if (
        part !== undefined &&
        (latest === undefined || latest.client.connectionNumber < client.connectionNumber)
      )
        latest = part;
    }
    swarm.list(latest, listed);
    const after = latest && asPeer(latest);
    const { infoHash } = swarm;
    if (after === undefined) {
      if (before !== undefined) this.#options.onPeerOffline(infoHash, deviceId);
      return;
    }
    // After a failover the device is known already, at the same address.
    if (isSamePeer(after, before)) return;
    this.#slices.spend(this.#options.onPeerOnline(infoHash, after, before === undefined));
  }

  #publishChange(client: PresentClient, add: readonly AnnouncedTorrent[], remove: readonly string[]): void {
    this.#options.publish([clientMessage(client, add, remove, { isWhole: false })]);
  }
}

function keyOf({ connectionId }: PresentClient): string {
  return `client ${connectionId}`;
}

function trackerKey(trackerId: string): string {
  return `tracker ${trackerId}`;
}

function notLoggedIn(): MiniTorrentError {
  return new MiniTorrentError("NOT_LOGGED_IN", "No user is logged in on this connection; log in first.");
}

function* partsOf({ groups }: PresentClient): Generator<Part> {
  for (const parts of groups.values()) yield* parts.values();
}

function* infoHashesOf({ groups }: PresentClient): Generator<string> {
  for (const parts of groups.values()) yield* parts.keys();
}

function announced(client: PresentClient): AnnouncedTorrent[] {
  return [...partsOf(client)].map(({ swarm, isSeed }) => ({ infoHash: swarm.infoHash, isSeed }));
}

/** Torrents and pending torrents of the client that are not on that list. */
function* unlistedSteps(
  client: PresentClient,
  torrents: Iterable<AnnouncedTorrent>,
): Generator<void, string[]> {
  let looked = 0;
  const listed = new Set<string>();
  for (const { infoHash } of torrents) {
    listed.add(infoHash);
    if (++looked % LOOKS_PER_STEP === 0) yield;
  }
  const unlisted: string[] = [];
  for (const infoHashes of [infoHashesOf(client), client.waiting.keys()]) {
    for (const infoHash of infoHashes) {
      if (!listed.has(infoHash)) unlisted.push(infoHash);
      if (++looked % LOOKS_PER_STEP === 0) yield;
    }
  }
  return unlisted;
}

/** @param where of the client, if not as it is now */
function asPeer({ client, isSeed }: Part, where: Whereabouts = client): PresentPeer | undefined {
  const { accountId, deviceId } = client;
  const { hosts, port } = where;
  const [host, ...otherHosts] = hosts;
  if (host === undefined || port === undefined) return undefined;
  return { accountId, deviceId, host, otherHosts, port, isSeed };
}

function isSameWhereabouts(one: Whereabouts, other: Whereabouts): boolean {
  return one.port === other.port && one.hosts.join() === other.hosts.join();
}

function isSamePeer(one: PresentPeer, other: PresentPeer | undefined): boolean {
  const { accountId, host, otherHosts, port, isSeed } = one;
  return (
    other?.accountId === accountId &&
    other.host === host &&
    other.otherHosts.join() === otherHosts.join() &&
    other.port === port &&
    other.isSeed === isSeed
  );
}
