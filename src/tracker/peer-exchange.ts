// Who may know of which peer: a member of the torrent's group who announced that torrent hears of the other members who
// did, and of nobody else. Membership is looked up when it is asked, so that it ends everywhere at once.
import type { PeerAddress } from "../api/schemas.ts";
import { groupOfTorrentFor } from "./catalogue.ts";
import type { Connection, Connections } from "./connection.ts";
import { currentMember } from "./memberships.ts";
import type { Presence, PresentPeer } from "./presence.ts";
import type { RegistryReader } from "./registry/registry.ts";

export class PeerExchange {
  readonly #reader: RegistryReader;
  readonly #presence: Pick<Presence, "peersOf" | "hasAnnounced" | "localAnnouncers">;
  readonly #connections: Connections;

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
    const groupClaimId = this.#groupFor(connection, infoHash);
    if (groupClaimId === undefined || !this.#presence.hasAnnounced(connection.id, infoHash)) return [];
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
    for (const { connection, groupClaimId } of this.#interested(infoHash, peer.deviceId)) {
      const address = this.#address(groupClaimId, peer);
      if (address !== undefined) connection.tell({ type: "peer-online", infoHash, peer: address });
    }
  }

  peerOffline(infoHash: string, deviceId: string): void {
    for (const { connection } of this.#interested(infoHash, deviceId)) {
      connection.tell({ type: "peer-offline", infoHash, deviceId });
    }
  }

  #interested(infoHash: string, exceptDeviceId: string): { connection: Connection; groupClaimId: string }[] {
    return this.#presence.localAnnouncers(infoHash).flatMap((connectionId) => {
      const connection = this.#connections.byId(connectionId);
      if (connection === undefined || connection.deviceId === exceptDeviceId) return [];
      const groupClaimId = this.#groupFor(connection, infoHash);
      return groupClaimId === undefined ? [] : [{ connection, groupClaimId }];
    });
  }

  #groupFor(connection: Connection, infoHash: string): string | undefined {
    const account = this.#connections.accountOf(connection);
    return account === undefined ? undefined : groupOfTorrentFor(this.#reader, infoHash, account.accountId);
  }

  #address(groupClaimId: string, peer: PresentPeer): PeerAddress | undefined {
    const member = currentMember(this.#reader, groupClaimId, peer.accountId);
    if (member === undefined) return undefined;
    const { deviceId, host, port, isSeed } = peer;
    return { userId: member.userId, deviceId, host, port, isSeed };
  }
}
