// What changed in the registry, told to whom it concerns among the clients of this tracker. The same rows reach every
// tracker, written there or merged, so a notice reaches a client wherever he is connected. Nothing is kept for those
// who are not: they read how things stand when they come.
import type { Connections } from "./connection.ts";
import type { KnownMembers } from "./known-members.ts";
import {
  answerKey,
  currentMember,
  currentMembers,
  groupByClaim,
  isRevoked,
  userIdOf,
} from "./memberships.ts";
import {
  type LostClaim,
  lostWriteId,
  type RegistryReader,
  type RegistryRecord,
} from "./registry/registry.ts";
import type { FileValue, GroupValue, MembershipValue, RevocationValue } from "./values.ts";

/** By the claim of the group: the accounts that hear of what changes in it. */
type Listeners = Map<string, readonly string[]>;

export class Notices {
  readonly #reader: RegistryReader;
  readonly #members: KnownMembers;
  readonly #connections: Connections;

  constructor(reader: RegistryReader, members: KnownMembers, connections: Connections) {
    this.#reader = reader;
    this.#members = members;
    this.#connections = connections;
  }

  changed(records: readonly RegistryRecord[], lostClaims: readonly LostClaim[]): void {
    // Nothing is written meanwhile, so who hears of a group is looked up once, not for each of its files: a tracker
    // that catches up gets thousands of them at once.
    const listeners: Listeners = new Map();
    // A group that ended is named by its row alone.
    const groupNames = new Map<string, string>();
    for (const { kind, key, claimId } of records) if (kind === "group") groupNames.set(claimId, key);
    for (const record of records) {
      if (record.kind === "membership") this.#membershipChanged(record);
      else if (record.kind === "revocation") this.#membershipEnded(record, groupNames, listeners);
      else if (record.kind === "group") this.#groupChanged(record);
      else if (record.kind === "file") this.#fileChanged(record, listeners);
    }
    for (const claim of lostClaims) this.#claimLost(claim, listeners);
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

  #membershipEnded(
    { key, value }: RegistryRecord,
    groupNames: ReadonlyMap<string, string>,
    listeners: Listeners,
  ): void {
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
    const event = { type: "revoked", groupId, userId, membershipId } as const;
    for (const member of this.#listeners(groupClaimId, listeners)) this.#connections.tell(member, event);
  }

  #groupChanged({ key, claimId, stamp, value }: RegistryRecord): void {
    const isNew = stamp === claimId;
    if (isNew || value === undefined) return;
    const { ownerAccountId } = value as GroupValue;
    this.#connections.tell(ownerAccountId, { type: "became-owner", groupId: key });
  }

  #fileChanged({ key, claimId, value, writeId }: RegistryRecord, listeners: Listeners): void {
    const [groupClaimId = "", fileName = ""] = key.split("\u001f");
    const isBeaten = value !== undefined && this.#reader.claimById("file", claimId) === undefined;
    // It may never have stood here: those who have its content came here from the tracker where it did.
    if (isBeaten || (value === undefined && writeId === lostWriteId(claimId))) {
      this.#contentLost(key, listeners);
      return;
    }
    if (value === undefined) return;
    const { sharedByAccountId } = value as FileValue;
    // Who shared it has the answer to that.
    const told = this.#listeners(groupClaimId, listeners).filter((member) => member !== sharedByAccountId);
    if (told.length === 0) return;
    const group = groupByClaim(this.#reader, groupClaimId);
    if (group === undefined) return;
    const userId = userIdOf(this.#reader, sharedByAccountId);
    if (userId === undefined) return;
    const event = { type: "file-shared", groupId: group.groupId, fileName, userId } as const;
    for (const member of told) this.#connections.tell(member, event);
  }

  /**
   * A claim on a file's name lost to one of other content: all in the group who are here hear which content has the name,
   * as who shares the other one, or fetches it, only they know.
   */
  #contentLost(name: string, listeners: Listeners): void {
    const [groupClaimId = "", fileName = ""] = name.split("\u001f");
    const group = groupByClaim(this.#reader, groupClaimId);
    const standing = this.#reader.claim<FileValue>("file", name);
    if (group === undefined || standing === undefined) return;
    const { groupId } = group;
    const { infoHash } = standing.value;
    const event = { type: "name-taken-elsewhere", kind: "file", name: fileName, groupId, infoHash } as const;
    for (const member of this.#listeners(groupClaimId, listeners)) this.#connections.tell(member, event);
  }

  #claimLost({ kind, name, claimId, value }: LostClaim, listeners: Listeners): void {
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
        const standing = this.#reader.claim<FileValue>("file", name);
        // The same content, shared at both sides: nobody lost anything (see adoptShares in catalogue.ts).
        if (standing?.value.infoHash === (value as FileValue).infoHash) return;
        this.#contentLost(name, listeners);
        return;
      }
    }
  }

  /** The group's members among those who are connected. @param known what was looked up for this change already */
  #listeners(groupClaimId: string, known: Listeners): readonly string[] {
    const before = known.get(groupClaimId);
    if (before !== undefined) return before;
    const found = this.#members
      .accountsIn(groupClaimId)
      .filter((accountId) => this.#connections.countOf(accountId) > 0);
    known.set(groupClaimId, found);
    return found;
  }
}
