// Reacts to new rows in the registry, written at this tracker or at another: ends sessions, publishes events, updates presence,
// and joins what two trackers that were partitioned did twice.
import type { Logger } from "pino";
import { isOperatorWrite } from "../registry/record-values.ts";
import {
  keptTwinOf,
  type LostClaim,
  type RegistryReader,
  type RegistryRecord,
  type RegistryWriter,
  valueOfKind,
} from "../registry/registry.ts";
import { accountOfDevice } from "../rules/accounts.ts";
import { adoptShares } from "../rules/catalogue.ts";
import { type AdoptedUpTo, adoptMembers } from "../rules/groups.ts";
import { readTorrentKey } from "../rules/torrents.ts";
import type { Connections } from "./client-connections.ts";
import type { EventPublisher } from "./event-publisher.ts";
import type { KnownMembers } from "./known-members.ts";
import type { Presence } from "./presence.ts";

export interface RegistryReactionsOptions {
  readonly registry: RegistryReader;
  readonly connections: Connections;
  readonly presence: Presence;
  readonly members: KnownMembers;
  readonly events: EventPublisher;
  /** A write of the tracker's own. */
  readonly write: <T>(work: (writer: RegistryWriter) => T) => Promise<T>;
  readonly log: Logger;
}

export class RegistryReactions {
  readonly #options: RegistryReactionsOptions;

  constructor(options: RegistryReactionsOptions) {
    this.#options = options;
  }

  /**
   * Must not throw: a failing event must not undo a write.
   *
   * @param isLocal written here, not received from another tracker
   */
  happened(records: readonly RegistryRecord[], lostClaims: readonly LostClaim[], isLocal: boolean): void {
    const { connections, events, log } = this.#options;
    try {
      for (const record of records) this.#presenceFollows(record);
      // Without clients nothing is looked up, which saves a third of the work of catching up.
      if (connections.hasAccounts) events.changed(records, lostClaims, isLocal);
    } catch (error) {
      log.error({ err: error }, "clients could not be told of a change");
    }
    for (const record of records) {
      const keptClaimId = record.kind === "group" ? keptTwinOf(record) : undefined;
      if (keptClaimId === undefined) continue;
      this.#adopt<AdoptedUpTo>((writer, after) =>
        adoptMembers(writer, record.claimId, keptClaimId, after),
      ).catch((error: unknown) =>
        log.error({ err: error, name: record.key }, "members of a group founded twice are not joined"),
      );
    }
    for (const lost of lostClaims) {
      if (lost.kind !== "file") continue;
      this.#adopt<string>((writer, after) => adoptShares(writer, lost, after)).catch((error: unknown) =>
        log.error({ err: error, name: lost.name }, "shares of a name given away twice are not joined"),
      );
    }
  }

  /** Presence has only known torrents, announced by members. */
  #presenceFollows(record: RegistryRecord): void {
    const { kind, key, value } = record;
    const revocation = valueOfKind("revocation", record);
    const { presence, members } = this.#options;
    const [groupClaimId = "", accountId = ""] = key.split("\u001f");
    if (kind === "device") this.#deviceChanged(key);
    else if (kind === "user" && value === undefined) this.#accountEnded(record);
    else if (kind === "torrent" && value !== undefined) {
      presence.torrentKnown(readTorrentKey(key).infoHash);
    } else if (kind === "membership") presence.membershipChanged(accountId);
    else if (revocation !== undefined) {
      const { accountId: whose } = revocation;
      if (members.member(groupClaimId, whose) === undefined) presence.membershipEnded(groupClaimId, whose);
    }
  }

  /** The account was removed by an operator. event-publisher.ts tells an account that lost its name. */
  #accountEnded({ claimId: accountId, writeId }: RegistryRecord): void {
    if (!isOperatorWrite(writeId)) return;
    const { connections, presence } = this.#options;
    connections.tell(accountId, { type: "account-removed" });
    for (const connection of connections.ofAccount(accountId)) {
      connections.logOut(connection);
      presence.depart(connection.id);
    }
  }

  /** Several transactions, since there may be any number of rows: other writes do not wait for all of them. */
  async #adopt<P>(adoptSome: (writer: RegistryWriter, after: P | undefined) => P | undefined): Promise<void> {
    let after: P | undefined;
    do after = await this.#options.write((writer) => adoptSome(writer, after));
    while (after !== undefined);
  }

  /** A device was logged out, or logged in to another account, perhaps at another tracker. */
  #deviceChanged(deviceId: string): void {
    const { registry, connections, presence } = this.#options;
    const account = accountOfDevice(registry, deviceId);
    for (const connection of connections.ofDevice(deviceId)) {
      if (connection.account?.accountId === account?.accountId) continue;
      connections.logOut(connection);
      presence.depart(connection.id);
    }
  }
}
