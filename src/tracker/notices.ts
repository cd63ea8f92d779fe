// What changed in the registry, told to whom it concerns among the clients of this tracker. The same rows reach every
// tracker, written there or merged, so a notice reaches a client wherever he is connected. Nothing is kept for those
// who are not: they read how things stand when they come.
import type { TrackerEvent } from "../api/schemas.ts";
import type { Connections } from "./connection.ts";
import {
  answerKey,
  currentMember,
  currentMembers,
  groupByClaim,
  isRevoked,
  userIdOf,
} from "./memberships.ts";
import type { LostClaim, RegistryReader, RegistryRecord } from "./registry/registry.ts";
import type { FileValue, GroupValue, MembershipValue, RevocationValue } from "./values.ts";

export class Notices {
  readonly #reader: RegistryReader;
  readonly #connections: Connections;

  constructor(reader: RegistryReader, connections: Connections) {
    this.#reader = reader;
    this.#connections = connections;
  }

  changed(records: readonly RegistryRecord[], lostClaims: readonly LostClaim[]): void {
    // A group that ended is named by its row alone.
    const groupNames = new Map<string, string>();
    for (const { kind, key, claimId } of records) if (kind === "group") groupNames.set(claimId, key);
    for (const record of records) {
      if (record.kind === "membership") this.#membershipChanged(record);
      else if (record.kind === "revocation") this.#membershipEnded(record, groupNames);
      else if (record.kind === "group") this.#groupChanged(record);
      else if (record.kind === "file") this.#fileChanged(record);
    }
    for (const claim of lostClaims) this.#claimLost(claim);
  }

  #membershipChanged({ key, value }: RegistryRecord): void {
    const [groupClaimId = "", accountId = "", membershipId = "", answer] = key.split("\u001f");
    const membership = value as MembershipValue | undefined;
    const group = groupByClaim(this.#reader, groupClaimId);
    const userId = userIdOf(this.#reader, accountId);
    if (membership === undefined || group === undefined || userId === undefined) return;
    if (isRevoked(this.#reader, groupClaimId, membership.membershipId)) return;
    const isAnswered = this.#reader.get("membership", answerKey(groupClaimId, accountId, membershipId));
    if (answer === undefined && isAnswered !== undefined) return;
    const { groupId } = group;
    switch (membership.state) {
      case "requested":
        this.#connections.tell(group.ownerAccountId, { type: "join-requested", groupId, userId });
        return;
      case "member":
        // Who founds a group was accepted by nobody.
        if (group.ownerAccountId === accountId) return;
        this.#connections.tell(accountId, { type: "request-accepted", groupId });
        return;
      case "rejected":
        this.#connections.tell(accountId, { type: "request-rejected", groupId });
        return;
    }
  }

  #membershipEnded({ key, value }: RegistryRecord, groupNames: ReadonlyMap<string, string>): void {
    const [groupClaimId = "", membershipId = ""] = key.split("\u001f");
    const revocation = value as RevocationValue | undefined;
    if (revocation === undefined) return;
    const { accountId, how } = revocation;
    const groupId = groupByClaim(this.#reader, groupClaimId)?.groupId ?? groupNames.get(groupClaimId);
    const userId = userIdOf(this.#reader, accountId);
    if (groupId === undefined || userId === undefined) return;
    // Heard of late, it may be that he was let in again since.
    if (currentMember(this.#reader, groupClaimId, accountId) === undefined) {
      this.#connections.tell(accountId, { type: "membership-ended", groupId, how });
    }
    this.#tellMembers(groupClaimId, { type: "revoked", groupId, userId, membershipId });
  }

  #groupChanged({ key, claimId, stamp, value }: RegistryRecord): void {
    const isNew = stamp === claimId;
    if (isNew || value === undefined) return;
    const { ownerAccountId } = value as GroupValue;
    this.#connections.tell(ownerAccountId, { type: "became-owner", groupId: key });
  }

  #fileChanged({ key, claimId, value }: RegistryRecord): void {
    const [groupClaimId = "", fileName = ""] = key.split("\u001f");
    const group = groupByClaim(this.#reader, groupClaimId);
    if (value === undefined || group === undefined) return;
    if (this.#reader.claimById("file", claimId) === undefined) return;
    const { sharedByAccountId } = value as FileValue;
    const userId = userIdOf(this.#reader, sharedByAccountId);
    if (userId === undefined) return;
    const event = { type: "file-shared", groupId: group.groupId, fileName, userId } as const;
    this.#tellMembers(groupClaimId, event, sharedByAccountId);
  }

  #claimLost({ kind, name, claimId, value }: LostClaim): void {
    switch (kind) {
      case "user":
        this.#connections.tell(claimId, { type: "name-taken-elsewhere", kind, name });
        return;
      case "group": {
        const owner = (value as GroupValue).ownerAccountId;
        this.#connections.tell(owner, { type: "name-taken-elsewhere", kind, name });
        for (const { accountId } of currentMembers(this.#reader, claimId)) {
          if (accountId === owner) continue;
          this.#connections.tell(accountId, { type: "membership-ended", groupId: name, how: "group-ended" });
        }
        return;
      }
      case "file": {
        const file = value as FileValue;
        const [groupClaimId = "", fileName = ""] = name.split("\u001f");
        const standing = this.#reader.claim<FileValue>("file", name);
        // The same content, shared at both sides: nobody lost anything (see adoptShares in catalogue.ts).
        if (standing?.value.infoHash === file.infoHash) return;
        this.#connections.tell(file.sharedByAccountId, {
          type: "name-taken-elsewhere",
          kind,
          name: fileName,
          groupId: groupByClaim(this.#reader, groupClaimId)?.groupId,
        });
        return;
      }
    }
  }

  /** @param whoKnows the account that did it, and has its answer */
  #tellMembers(groupClaimId: string, event: TrackerEvent, whoKnows?: string): void {
    for (const accountId of [...this.#connections.accountIds()]) {
      if (accountId === whoKnows) continue;
      if (currentMember(this.#reader, groupClaimId, accountId) !== undefined) {
        this.#connections.tell(accountId, event);
      }
    }
  }
}
