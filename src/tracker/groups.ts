// The rules of groups: who may found, ask, let in, refuse, remove, leave. Each mutation runs in one transaction.
import { createHash } from "node:crypto";
import { MiniTorrentError } from "../api/errors.ts";
import type { GroupSummary, JoinRequest, Member } from "../api/schemas.ts";
import { REVOCATION_LISTED_MS } from "../identity/certificate-lifetimes.ts";
import type { GroupAuthority } from "../identity/certificates.ts";
import type { Command } from "./command.ts";
import { takenSentence } from "./look-alikes.ts";
import {
  answerKey,
  currentMember,
  currentMembers,
  findGroup,
  type Group,
  groupByClaim,
  isRevoked,
  membershipOf,
  membershipsOf,
  requireGroup,
  requireMember,
  requireOwner,
  userIdOf,
  waitingRequests,
} from "./memberships.ts";
import { type RegistryReader, type RegistryWriter, recordKey } from "./registry/registry.ts";
import type { GroupValue, MembershipValue, RevocationValue } from "./values.ts";

/** @throws MiniTorrentError GROUP_EXISTS */
export function requireFreeGroupId(reader: RegistryReader, groupId: string): void {
  const claimId = reader.rival("group", groupId)?.claimId;
  const holder = claimId === undefined ? undefined : groupByClaim(reader, claimId);
  if (holder === undefined) return;
  throw new MiniTorrentError("GROUP_EXISTS", takenSentence("group id", groupId, holder.groupId));
}

/**
 * The id of the membership that a command begins: the same when it is tried again at a tracker that has not heard of it.
 * The account is in it, so that nobody can choose the id of somebody else's.
 */
export function membershipIdOf({ account, writeId }: Command): string {
  return createHash("sha256").update(recordKey(account.accountId, writeId)).digest("hex").slice(0, 32);
}

/**
 * Founds a group that the account owns.
 *
 * @throws MiniTorrentError GROUP_EXISTS
 */
export function createGroup(
  command: Command,
  groupId: string,
  authority: GroupAuthority,
  membershipId: string,
): void {
  const { writer, account, nowMs } = command;
  const standing = writer.claim<GroupValue>("group", groupId);
  // The write may be here and its claim lost: then the name is somebody else's.
  const isOwn = standing?.writeId === command.writeId || standing?.value.ownerAccountId === account.accountId;
  if (writer.hasWrite(command.writeId) && isOwn) return;
  requireFreeGroupId(writer, groupId);
  const abandoned = writer.rival("group", groupId);
  if (abandoned !== undefined) writer.endClaim("group", abandoned.claimId);
  const group: GroupValue = {
    ownerAccountId: account.accountId,
    authorityCertificatePem: authority.certificatePem,
    authorityPrivateKeyPem: authority.privateKeyPem,
  };
  const claimId = writer.makeClaim("group", groupId, group);
  putMembership(command, claimId, account.accountId, { state: "member", sinceMs: nowMs, membershipId });
}

/**
 * Asks the owner to be let in. Who was refused, removed or left may ask again.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, ALREADY_A_MEMBER, ALREADY_REQUESTED
 */
export function requestToJoin(command: Command, groupId: string, membershipId: string): void {
  const { writer, account, nowMs } = command;
  if (writer.hasWrite(command.writeId)) return;
  const group = requireGroup(writer, groupId);
  const before = membershipOf(writer, group.claimId, account.accountId);
  if (before?.state === "member") {
    throw new MiniTorrentError("ALREADY_A_MEMBER", `You are in group '${groupId}' already.`);
  }
  if (before?.state === "requested") {
    throw new MiniTorrentError(
      "ALREADY_REQUESTED",
      `You have asked to join group '${groupId}' already; its owner has to accept you.`,
    );
  }
  putMembership(command, group.claimId, account.accountId, {
    state: "requested",
    sinceMs: nowMs,
    membershipId,
  });
}

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NO_SUCH_REQUEST, ALREADY_A_MEMBER */
export function acceptRequest(command: Command, groupId: string, userId: string): void {
  if (command.writer.hasWrite(command.writeId)) return;
  answerRequest(command, groupId, userId, "member");
}

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, NO_SUCH_REQUEST, ALREADY_A_MEMBER */
export function rejectRequest(command: Command, groupId: string, userId: string): void {
  if (command.writer.hasWrite(command.writeId)) return;
  answerRequest(command, groupId, userId, "rejected");
}

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, UNKNOWN_USER, INVALID_ARGUMENT when it is the owner himself */
export function removeMember(command: Command, groupId: string, userId: string): void {
  const { writer, account, nowMs } = command;
  if (writer.hasWrite(command.writeId)) return;
  const group = requireGroup(writer, groupId);
  requireOwner(writer, group, account.accountId);
  if (userId === account.userId) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      `You own group '${groupId}' and cannot remove yourself; leave_group ${groupId} hands it over.`,
    );
  }
  const accountId = writer.claim("user", userId)?.claimId ?? "";
  if (membershipOf(writer, group.claimId, accountId)?.state !== "member") {
    throw new MiniTorrentError(
      "UNKNOWN_USER",
      `'${userId}' is not in group '${groupId}'; list_members ${groupId} shows who is.`,
    );
  }
  revoke(command, group.claimId, { accountId, how: "removed", endedAtMs: nowMs });
}

export interface LeaveResult {
  /** Who owns the group now, if it was the owner who left. */
  readonly newOwnerId?: string;
  /** True if nobody is left: the group is over, its name free. */
  readonly groupEnded: boolean;
}

/**
 * Ends the account's membership. The owner hands the group to its member of longest standing.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER
 */
export function leaveGroup(command: Command, groupId: string): LeaveResult {
  const { writer, account, nowMs } = command;
  if (writer.hasWrite(command.writeId)) return howItWasLeft(writer, groupId, account.accountId);
  const group = requireGroup(writer, groupId);
  const { accountId } = requireMember(writer, group, account.accountId);
  const others = currentMembers(writer, group.claimId).filter((member) => member.accountId !== accountId);
  const successor = group.ownerAccountId === accountId ? others[0] : undefined;
  revoke(command, group.claimId, {
    accountId,
    how: "left",
    endedAtMs: nowMs,
    ...(successor === undefined ? {} : { successorAccountId: successor.accountId }),
  });
  if (others.length === 0) {
    writer.endClaim("group", group.claimId);
    return { groupEnded: true };
  }
  if (successor === undefined) return { groupEnded: false };
  const value: GroupValue = { ...group.value, ownerAccountId: successor.accountId };
  writer.updateClaim("group", group.claimId, value);
  return { newOwnerId: successor.userId, groupEnded: false };
}

/**
 * The command's account is being removed by whoever runs the tracker: ends all that stands between it and the group, which
 * falls to the next member, or is over.
 */
export function expelAccount(command: Command, groupClaimId: string): void {
  const { writer, account, nowMs } = command;
  const { accountId } = account;
  const isOwner = groupByClaim(writer, groupClaimId)?.ownerAccountId === accountId;
  revoke(command, groupClaimId, { accountId, how: "removed", endedAtMs: nowMs });
  const claim = writer.claimById<GroupValue>("group", groupClaimId);
  if (claim === undefined) return;
  const next = groupByClaim(writer, groupClaimId)?.ownerAccountId;
  if (next === undefined) writer.endClaim("group", groupClaimId);
  else if (isOwner) writer.updateClaim("group", groupClaimId, { ...claim.value, ownerAccountId: next });
}

/**
 * One command founded the group twice, at trackers that did not hear of each other: who asked, or was let in, at the one
 * that is ended stands so to the one that is kept. Files do not: their metainfo names the CA of the one that is ended.
 */
export function adoptMembers(writer: RegistryWriter, endedClaimId: string, keptClaimId: string): void {
  if (writer.claimById("group", keptClaimId) === undefined) return;
  for (const kind of ["revocation", "membership"] as const) {
    const prefix = recordKey(endedClaimId, "");
    for (const { key, value } of writer.list<MembershipValue | RevocationValue>(kind, prefix)) {
      const place = recordKey(keptClaimId, key.slice(prefix.length));
      const isOver = "membershipId" in value && isRevoked(writer, keptClaimId, value.membershipId);
      if (isOver || writer.get(kind, place) !== undefined) continue;
      writer.put(kind, place, value, writer.payerOf(kind, key));
    }
  }
}

/** All groups, and how the account stands to each. */
export function listGroups(reader: RegistryReader, accountId: string): GroupSummary[] {
  const summaries: GroupSummary[] = [];
  for (const { claimId } of reader.claims<GroupValue>("group", "")) {
    const group = groupByClaim(reader, claimId);
    if (group === undefined) continue;
    const standing = standingIn(reader, group, accountId);
    summaries.push({
      groupId: group.groupId,
      ownerId: userIdOf(reader, group.ownerAccountId) ?? "",
      memberCount: currentMembers(reader, claimId).length,
      ...(standing === undefined ? {} : { standing }),
    });
  }
  return summaries;
}

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER */
export function listRequests(reader: RegistryReader, accountId: string, groupId: string): JoinRequest[] {
  const group = requireGroup(reader, groupId);
  requireOwner(reader, group, accountId);
  return waitingRequests(reader, group.claimId).map(({ userId, sinceMs }) => ({ userId, sinceMs }));
}

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER */
export function listMembers(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  isOnline: (accountId: string) => boolean,
): Member[] {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  return currentMembers(reader, group.claimId).map((member) => ({
    userId: member.userId,
    isOwner: member.accountId === group.ownerAccountId,
    isOnline: isOnline(member.accountId),
    sinceMs: member.sinceMs,
  }));
}

/** Memberships of the group that are over, while a certificate of theirs may still be valid. */
export function revokedMembershipIds(reader: RegistryReader, groupClaimId: string, nowMs: number): string[] {
  const prefix = recordKey(groupClaimId, "");
  return reader
    .list<RevocationValue>("revocation", prefix)
    .filter(({ value }) => value.endedAtMs > nowMs - REVOCATION_LISTED_MS)
    .map(({ key }) => key.slice(prefix.length));
}

/** Of several requests that were made at trackers apart the first is answered, and the others are over. */
function answerRequest(
  command: Command,
  groupId: string,
  userId: string,
  state: "member" | "rejected",
): void {
  const { group, accountId, membership } = requireRequest(command, groupId, userId);
  const { membershipId } = membership;
  const answer = { state, sinceMs: command.nowMs, membershipId };
  replaceOthers(command, group.claimId, accountId, membershipId);
  const { writer } = command;
  const payer = payerOfMembership(writer, group.claimId, accountId, membershipId);
  writer.remove("membership", recordKey(group.claimId, accountId, membershipId));
  writer.put("membership", answerKey(group.claimId, accountId, membershipId), answer, payer);
}

/** Who asked pays for what follows from it, so that nobody can fill an owner's quota by asking. */
function payerOfMembership(
  writer: RegistryWriter,
  groupClaimId: string,
  accountId: string,
  membershipId: string,
): string {
  return (
    writer.payerOf("membership", recordKey(groupClaimId, accountId, membershipId)) ||
    writer.payerOf("membership", answerKey(groupClaimId, accountId, membershipId))
  );
}

/**
 * Ends all that stands or stood between the account and the group, for good: also requests that were rejected or replaced
 * here, which a tracker apart may have accepted.
 */
function revoke({ writer }: Command, groupClaimId: string, revocation: RevocationValue): void {
  const { accountId } = revocation;
  for (const { membershipId } of membershipsOf(writer, groupClaimId, accountId)) {
    const payer = payerOfMembership(writer, groupClaimId, accountId, membershipId);
    writer.put("revocation", recordKey(groupClaimId, membershipId), revocation, payer);
    forget(writer, groupClaimId, accountId, membershipId);
  }
}

function requireRequest(
  { writer, account }: Command,
  groupId: string,
  userId: string,
): { group: Group; accountId: string; membership: MembershipValue } {
  const group = requireGroup(writer, groupId);
  requireOwner(writer, group, account.accountId);
  const accountId = writer.claim("user", userId)?.claimId ?? "";
  const membership = membershipOf(writer, group.claimId, accountId);
  if (membership?.state === "requested") return { group, accountId, membership };
  if (membership?.state === "member") {
    throw new MiniTorrentError("ALREADY_A_MEMBER", `'${userId}' is in group '${groupId}' already.`);
  }
  throw new MiniTorrentError(
    "NO_SUCH_REQUEST",
    `'${userId}' has not asked to join group '${groupId}'; list_requests ${groupId} shows who has.`,
  );
}

/** What needs no answer: a request, or the founder's own membership. */
function putMembership(
  command: Command,
  groupClaimId: string,
  accountId: string,
  membership: MembershipValue,
): void {
  const { membershipId } = membership;
  replaceOthers(command, groupClaimId, accountId, membershipId);
  command.writer.put("membership", recordKey(groupClaimId, accountId, membershipId), membership);
}

/** Requests that this one takes the place of wait no longer; a membership is ended only by `revoke`. */
function replaceOthers(command: Command, groupClaimId: string, accountId: string, keptId: string): void {
  const { writer, nowMs } = command;
  for (const { state, membershipId } of membershipsOf(writer, groupClaimId, accountId)) {
    if (state !== "requested" || membershipId === keptId) continue;
    const replaced: MembershipValue = { state: "replaced", sinceMs: nowMs, membershipId };
    writer.put("membership", recordKey(groupClaimId, accountId, membershipId), replaced);
  }
}

function forget(writer: RegistryWriter, groupClaimId: string, accountId: string, membershipId: string): void {
  writer.remove("membership", recordKey(groupClaimId, accountId, membershipId));
  writer.remove("membership", answerKey(groupClaimId, accountId, membershipId));
}

function standingIn(reader: RegistryReader, group: Group, accountId: string): GroupSummary["standing"] {
  if (group.ownerAccountId === accountId) return "owner";
  if (currentMember(reader, group.claimId, accountId) !== undefined) return "member";
  return membershipOf(reader, group.claimId, accountId)?.state === "requested" ? "requested" : undefined;
}

/** What `leaveGroup` answered when it was done. */
function howItWasLeft(reader: RegistryReader, groupId: string, accountId: string): LeaveResult {
  const group = findGroup(reader, groupId);
  if (group === undefined) return { groupEnded: true };
  const [revocation] = reader
    .list<RevocationValue>("revocation", recordKey(group.claimId, ""))
    .map(({ value }) => value)
    .filter((value) => value.accountId === accountId)
    .sort((a, b) => b.endedAtMs - a.endedAtMs);
  const successor = revocation?.successorAccountId;
  const newOwnerId = successor === undefined ? undefined : userIdOf(reader, successor);
  return { groupEnded: false, ...(newOwnerId === undefined ? {} : { newOwnerId }) };
}
