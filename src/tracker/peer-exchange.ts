// Who may know of which peer: a member of the torrent's group who announced that torrent hears of the other members who
// did, and of nobody else. Membership is looked up when it is asked, so that it ends everywhere at once.
import type { PeerAddress } from "../api/schemas.ts";
import type { Connection, Connections } from "./connection.ts";
import type { KnownMembers } from "./known-members.ts";
import type { Presence, PresentPeer } from "./presence.ts";

/**
 * Who has all of a torrent is told that late of somebody new, who dials him at once if he wants pieces: he would wait
 * longer before he dialled himself. Of who has all of a small file by then he need not hear at all.
 */
const SEEDS_TOLD_AFTER_MS = 500;

/** Somebody new in a torrent, and the clients with all of it that have not been told of him yet. */
interface Untold {
  readonly infoHash: string;
  readonly deviceId: string;
  readonly connectionIds: Set<string>;
}

type PresenceReader = Pick<Presence, "peersOf" | "hasAnnounced" | "isSeed" | "localAnnouncers">;

export class PeerExchange {
  readonly #members: KnownMembers;
  readonly #presence: PresenceReader;
  readonly #connections: Connections;
  readonly #setTimer: (delayMs: number, callback: () => void) => () => void;
  readonly #untold = new Map<string, Untold>();
  #cancelTelling: (() => void) | undefined;

  constructor(
    members: KnownMembers,
    presence: PresenceReader,
    connections: Connections,
    setTimer: (delayMs: number, callback: () => void) => () => void,
  ) {
    this.#setTimer = setTimer;
    this.#members = members;
    this.#presence = presence;
    this.#connections = connections;
  }

  /** The other peers of a torrent; none for somebody who is not in its group, or did not announce it. */
  peersFor(connection: Connection, infoHash: string): PeerAddress[] {
    const groupClaimId = this.#members.groupOf(infoHash);
    if (groupClaimId === undefined || !this.#isMember(connection, groupClaimId)) return [];
    if (!this.#presence.hasAnnounced(connection.id, infoHash)) return [];
    return this.#presence
      .peersOf(infoHash)
      .filter(({ deviceId }) => deviceId !== connection.deviceId)
      .map((peer) => this.#address(groupClaimId, peer))
      .filter((address) => address !== undefined);
  }

  /** How many devices of current members have (some of) the torrent of that group. */
  count(groupClaimId: string, infoHash: string): { seeders: number; peers: number } {
    const peers = this.#presence
      .peersOf(infoHash)
      .filter(({ accountId }) => this.#members.member(groupClaimId, accountId) !== undefined);
    return { seeders: peers.filter(({ isSeed }) => isSeed).length, peers: peers.length };
  }

  /** @param isNew nobody has been told of that device in that torrent */
  peerOnline(infoHash: string, peer: PresentPeer, isNew = false): void {
    const announcers = this.#announcers(infoHash, peer.deviceId);
    const key = `${infoHash} ${peer.deviceId}`;
    const toTell: Connection[] = [];
    for (const connection of announcers) {
      const isUntold = isNew || (this.#untold.get(key)?.connectionIds.delete(connection.id) ?? false);
      if (!isUntold || !this.#presence.isSeed(connection.id, infoHash)) toTell.push(connection);
      // Neither of two seeds has a use for the other.
      else if (!peer.isSeed) this.#tellLater(key, infoHash, peer.deviceId, connection.id);
    }
    // Who shares a file is mostly the only one: then nothing is looked up.
    const groupClaimId = toTell.length === 0 ? undefined : this.#members.groupOf(infoHash);
    const address = groupClaimId === undefined ? undefined : this.#address(groupClaimId, peer);
    if (groupClaimId === undefined || address === undefined) return;
    for (const connection of toTell) {
      if (this.#isMember(connection, groupClaimId))
        connection.tell({ type: "peer-online", infoHash, peer: address });
    }
  }

  #tellLater(key: string, infoHash: string, deviceId: string, connectionId: string): void {
    const untold = this.#untold.get(key) ?? { infoHash, deviceId, connectionIds: new Set() };
    untold.connectionIds.add(connectionId);
    this.#untold.set(key, untold);
    this.#cancelTelling ??= this.#setTimer(SEEDS_TOLD_AFTER_MS, () => this.#tellSeeds());
  }

  #tellSeeds(): void {
    this.#cancelTelling = undefined;
    const all = [...this.#untold.values()];
    this.#untold.clear();
    for (const { infoHash, deviceId, connectionIds } of all) {
      const peer = this.#presence.peersOf(infoHash).find((present) => present.deviceId === deviceId);
      const groupClaimId = this.#members.groupOf(infoHash);
      if (peer === undefined || groupClaimId === undefined) continue;
      for (const connectionId of connectionIds) {
        const connection = this.#connections.byId(connectionId);
        if (connection === undefined || !this.#presence.hasAnnounced(connectionId, infoHash)) continue;
        // Neither has a use for the other.
        if (peer.isSeed && this.#presence.isSeed(connectionId, infoHash)) continue;
        const address = this.#address(groupClaimId, peer);
        if (address === undefined || !this.#isMember(connection, groupClaimId)) continue;
        connection.tell({ type: "peer-online", infoHash, peer: address });
      }
    }
  }

  close(): void {
    this.#cancelTelling?.();
  }

  /** A torrent is heard of here, from another tracker, after clients had announced it: they had been told of nobody. */
  torrentKnown(infoHash: string): void {
    for (const peer of this.#presence.peersOf(infoHash)) this.peerOnline(infoHash, peer);
  }

  peerOffline(infoHash: string, deviceId: string): void {
    const announcers = this.#announcers(infoHash, deviceId);
    const groupClaimId = announcers.length === 0 ? undefined : this.#members.groupOf(infoHash);
    if (groupClaimId === undefined) return;
    const key = `${infoHash} ${deviceId}`;
    const untold = this.#untold.get(key)?.connectionIds;
    this.#untold.delete(key);
    for (const connection of announcers) {
      if (!untold?.has(connection.id) && this.#isMember(connection, groupClaimId))
        connection.tell({ type: "peer-offline", infoHash, deviceId });
    }
  }

  /** Clients of this tracker that announced that torrent, but for that device. */
  #announcers(infoHash: string, exceptDeviceId: string): Connection[] {
    return this.#presence
      .localAnnouncers(infoHash)
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
    const { deviceId, host, port, isSeed } = peer;
    return { userId: member.userId, deviceId, host, port, isSeed };
  }
}
