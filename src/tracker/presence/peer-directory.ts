// Decides which peers a client learns of: a client that announced a torrent learns only of other members' clients that announced
// it too. Membership is looked up for each query, so a removal takes effect at once. In a small swarm every client learns of every
// other; in a large one each learns of a sample, as with BitTorrent's trackers (BEP 3).

import { MOST_HOLDERS_NAMED, MOST_NAMED_PEERS, type PeerAddress } from "../../api/schemas.ts";
import { type Clock, forEachGuarded } from "../../net/timers.ts";
import type { CountPeers } from "../rules/catalogue.ts";
import type { Connection, Connections } from "./client-connections.ts";
import type { KnownMembers } from "./known-members.ts";
import type { Presence, PresentPeer } from "./presence.ts";

/**
 * Seeds are told of a new peer after this delay. A peer that wants pieces dials them at once, while they would wait
 * longer before dialling. A peer that has completed a small file by then need not be announced to them at all.
 */
const SEEDS_TOLD_AFTER_MS = 500;
/**
 * Most clients of this tracker that are told of one peer. Every client queries again within a minute, so this only speeds up
 * first contacts; telling all clients would cost n² events for a swarm of n.
 */
const MOST_TOLD = 50;
/** Most peers queued to be announced to seeds, some 300 bytes each; past that they are announced at once. */
const MOST_UNTOLD = 10_000;
/** Queued peers announced in a turn of the event loop. */
const UNTOLD_PER_TURN = 200;

/** A new peer of a torrent, and the seeds that have not been told of it yet. */
interface Untold {
  readonly infoHash: string;
  readonly deviceId: string;
  readonly connectionIds: Set<string>;
}

type PresenceReader = Pick<
  Presence,
  | "peersOf"
  | "peerOf"
  | "counts"
  | "seedAccounts"
  | "hasAnnounced"
  | "isSeed"
  | "localAnnouncers"
  | "localCount"
>;

type MembersReader = Pick<KnownMembers, "member" | "groupOf">;

export class PeerDirectory {
  readonly #members: MembersReader;
  readonly #presence: PresenceReader;
  readonly #connections: Connections;
  readonly #setTimer: Clock["setTimer"];
  readonly #untold = new Map<string, Untold>();
  #cancelTelling: (() => void) | undefined;

  constructor(
    members: MembersReader,
    presence: PresenceReader,
    connections: Connections,
    setTimer: Clock["setTimer"],
  ) {
    this.#setTimer = setTimer;
    this.#members = members;
    this.#presence = presence;
    this.#connections = connections;
  }

  /**
   * The other peers of a torrent: all, if there are fewer than MOST_NAMED_PEERS, otherwise a sample of that many. Empty for a
   * client that is not in the group or did not announce the torrent.
   */
  peersFor(connection: Connection, infoHash: string): PeerAddress[] {
    const groupClaimId = this.#members.groupOf(infoHash);
    if (groupClaimId === undefined || !this.#isMember(connection, groupClaimId)) return [];
    if (!this.#presence.hasAnnounced(connection.id, infoHash)) return [];
    const isForSeed = this.#presence.isSeed(connection.id, infoHash);
    return (
      this.#presence
        // One more, since the asking client may be among them.
        .peersOf(infoHash, MOST_NAMED_PEERS + 1, isForSeed)
        .filter(({ deviceId }) => deviceId !== connection.deviceId)
        .slice(0, MOST_NAMED_PEERS)
        .map((peer) => this.#address(groupClaimId, peer))
        .filter((address) => address !== undefined)
    );
  }

  /** The torrent became known after the client announced it: sends a client that lacks pieces the peers that it would get now. */
  tellPeers(connectionId: string, infoHash: string): void {
    const connection = this.#connections.byId(connectionId);
    if (connection === undefined || this.#presence.isSeed(connectionId, infoHash)) return;
    for (const peer of this.peersFor(connection, infoHash)) {
      connection.tell({ type: "peer-online", infoHash, peer });
    }
  }

  /** Number of members' devices that have the torrent or a part of it, and members that have all of it. */
  count(groupClaimId: string, infoHash: string): ReturnType<CountPeers> {
    const counts = this.#presence.counts(groupClaimId, infoHash);
    const seederAccounts = this.#presence.seedAccounts(groupClaimId, infoHash, MOST_HOLDERS_NAMED);
    return { ...counts, seederAccounts };
  }

  /**
   * @param isNew no client has been told of that device in that torrent
   * @returns how many clients were told, now or soon
   */
  peerOnline(infoHash: string, peer: PresentPeer, isNew = false): number {
    const announcers = this.#announcers(infoHash, peer);
    const key = `${infoHash} ${peer.deviceId}`;
    const toTell: Connection[] = [];
    for (const connection of announcers) {
      const isUntold = isNew || (this.#untold.get(key)?.connectionIds.delete(connection.id) ?? false);
      if (!isUntold || !this.#presence.isSeed(connection.id, infoHash)) toTell.push(connection);
      // Two seeds have no use for each other.
      else if (!peer.isSeed) this.#tellLater(key, infoHash, peer.deviceId, connection.id);
    }
    // Most shared files have no other peer: then nothing is looked up.
    const groupClaimId = toTell.length === 0 ? undefined : this.#members.groupOf(infoHash);
    const address = groupClaimId === undefined ? undefined : this.#address(groupClaimId, peer);
    if (groupClaimId === undefined || address === undefined) return announcers.length;
    const event = { type: "peer-online", infoHash, peer: address } as const;
    for (const connection of toTell) if (this.#isMember(connection, groupClaimId)) connection.tell(event);
    return announcers.length;
  }

  close(): void {
    this.#cancelTelling?.();
  }

  /** In a large swarm it is not known which clients were told of a device; they notice the closed connection, or forget it by age. */
  peerOffline(infoHash: string, deviceId: string): void {
    const key = `${infoHash} ${deviceId}`;
    const untold = this.#untold.get(key)?.connectionIds;
    this.#untold.delete(key);
    const localCount = this.#presence.localCount(infoHash);
    if (localCount === 0 || localCount > MOST_TOLD) return;
    const announcers = this.#connectionsOf(this.#presence.localAnnouncers(infoHash), deviceId);
    const groupClaimId = announcers.length === 0 ? undefined : this.#members.groupOf(infoHash);
    if (groupClaimId === undefined) return;
    const event = { type: "peer-offline", infoHash, deviceId } as const;
    for (const connection of announcers) {
      if (!untold?.has(connection.id) && this.#isMember(connection, groupClaimId)) connection.tell(event);
    }
  }

  #tellLater(key: string, infoHash: string, deviceId: string, connectionId: string): void {
    const untold = this.#untold.get(key) ?? { infoHash, deviceId, connectionIds: new Set() };
    untold.connectionIds.add(connectionId);
    this.#untold.set(key, untold);
    if (this.#untold.size > MOST_UNTOLD) this.#tellSeeds();
    else this.#cancelTelling ??= this.#setTimer(SEEDS_TOLD_AFTER_MS, () => this.#tellSeeds());
  }

  #tellSeeds(): void {
    this.#cancelTelling?.();
    this.#cancelTelling = undefined;
    const now = [...this.#untold].slice(0, UNTOLD_PER_TURN);
    for (const [key] of now) this.#untold.delete(key);
    forEachGuarded("telling seeds of a peer", now, ([, untold]) => this.#tellSeedsOf(untold));
    if (this.#untold.size > 0) this.#cancelTelling = this.#setTimer(0, () => this.#tellSeeds());
  }

  #tellSeedsOf({ infoHash, deviceId, connectionIds }: Untold): void {
    const peer = this.#presence.peerOf(infoHash, deviceId);
    const groupClaimId = this.#members.groupOf(infoHash);
    if (peer === undefined || groupClaimId === undefined) return;
    const address = this.#address(groupClaimId, peer);
    if (address === undefined) return;
    const event = { type: "peer-online", infoHash, peer: address } as const;
    for (const connectionId of connectionIds) {
      const connection = this.#connections.byId(connectionId);
      if (connection === undefined || !this.#presence.hasAnnounced(connectionId, infoHash)) continue;
      // Two seeds have no use for each other.
      if (peer.isSeed && this.#presence.isSeed(connectionId, infoHash)) continue;
      if (this.#isMember(connection, groupClaimId)) connection.tell(event);
    }
  }

  /** Clients of this tracker to be told of that peer: all that announced the torrent, or a sample of many. */
  #announcers(infoHash: string, { deviceId, isSeed }: PresentPeer): Connection[] {
    return this.#connectionsOf(this.#presence.localAnnouncers(infoHash, MOST_TOLD, isSeed), deviceId);
  }

  #connectionsOf(connectionIds: readonly string[], exceptDeviceId: string): Connection[] {
    return connectionIds
      .map((connectionId) => this.#connections.byId(connectionId))
      .filter((connection) => connection !== undefined)
      .filter(({ deviceId }) => deviceId !== exceptDeviceId);
  }

  #isMember(connection: Connection, groupClaimId: string): boolean {
    const account = connection.account;
    return account !== undefined && this.#members.member(groupClaimId, account.accountId) !== undefined;
  }

  #address(groupClaimId: string, peer: PresentPeer): PeerAddress | undefined {
    const member = this.#members.member(groupClaimId, peer.accountId);
    if (member === undefined) return undefined;
    const { deviceId, host, otherHosts, port, isSeed } = peer;
    const others = otherHosts.length === 0 ? {} : { otherHosts: [...otherHosts] };
    return { userId: member.userId, deviceId, host, ...others, port, isSeed };
  }
}
