// Who may know of which peer: a member of the torrent's group who announced that torrent hears of the other members who
// did, and of nobody else. Membership is looked up when it is asked, so that it ends everywhere at once.
import type { PeerAddress } from "../api/schemas.ts";
import type { Connection, Connections } from "./connection.ts";
import { currentMember } from "./memberships.ts";
import type { Presence, PresentPeer } from "./presence.ts";
import type { RegistryReader } from "./registry/registry.ts";
import type { TorrentValue } from "./values.ts";

/** A torrent's row has its metainfo in it, 100 KB to be parsed for its group's id, which never changes. */
const MAX_REMEMBERED_GROUPS = 10_000;

export class PeerExchange {
  readonly #reader: RegistryReader;
  readonly #presence: Pick<Presence, "peersOf" | "hasAnnounced" | "localAnnouncers">;
  readonly #connections: Connections;
  /** Info-hash → group claim. */
  readonly #groups = new Map<string, string>();

  constructor(
    reader: RegistryReader,
    presence: Pick<Presence, "peersOf" | "hasAnnounced" | "localAnnouncers">,
    connections: Connections,
  ) {
    this.#reader = reader;
    this.#presence = presence;
    this.#connections = connections;
  }

  /** The other peers of a torrent; none for somebody who is not in its group, or did not announce it. */
  peersFor(connection: Connection, infoHash: string): PeerAddress[] {
    const groupClaimId = this.#groupOf(infoHash);
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
      .filter(({ accountId }) => currentMember(this.#reader, groupClaimId, accountId) !== undefined);
    return { seeders: peers.filter(({ isSeed }) => isSeed).length, peers: peers.length };
  }

  peerOnline(infoHash: string, peer: PresentPeer): void {
    const announcers = this.#announcers(infoHash, peer.deviceId);
    // Who shares a file is mostly the only one: then nothing is looked up.
    const groupClaimId = announcers.length === 0 ? undefined : this.#groupOf(infoHash);
    const address = groupClaimId === undefined ? undefined : this.#address(groupClaimId, peer);
    if (groupClaimId === undefined || address === undefined) return;
    for (const connection of announcers) {
      if (this.#isMember(connection, groupClaimId))
        connection.tell({ type: "peer-online", infoHash, peer: address });
    }
  }

  /** A torrent is heard of here, from another tracker, after clients had announced it: they had been told of nobody. */
  torrentKnown(infoHash: string): void {
    for (const peer of this.#presence.peersOf(infoHash)) this.peerOnline(infoHash, peer);
  }

  peerOffline(infoHash: string, deviceId: string): void {
    const announcers = this.#announcers(infoHash, deviceId);
    const groupClaimId = announcers.length === 0 ? undefined : this.#groupOf(infoHash);
    if (groupClaimId === undefined) return;
    for (const connection of announcers) {
      if (this.#isMember(connection, groupClaimId))
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
    const account = this.#connections.accountOf(connection);
    return (
      account !== undefined && currentMember(this.#reader, groupClaimId, account.accountId) !== undefined
    );
  }

  /** The group that a torrent belongs to, while that stands. */
  #groupOf(infoHash: string): string | undefined {
    let groupClaimId = this.#groups.get(infoHash);
    if (groupClaimId === undefined) {
      groupClaimId = this.#reader.get<TorrentValue>("torrent", infoHash)?.groupClaimId;
      if (groupClaimId === undefined) return undefined;
      if (this.#groups.size >= MAX_REMEMBERED_GROUPS) this.#groups.clear();
      this.#groups.set(infoHash, groupClaimId);
    }
    return this.#reader.claimById("group", groupClaimId) === undefined ? undefined : groupClaimId;
  }

  #address(groupClaimId: string, peer: PresentPeer): PeerAddress | undefined {
    const member = currentMember(this.#reader, groupClaimId, peer.accountId);
    if (member === undefined) return undefined;
    const { deviceId, host, port, isSeed } = peer;
    return { userId: member.userId, deviceId, host, port, isSeed };
  }
}
