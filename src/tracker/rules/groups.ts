// The rules of groups: who may create, join, accept, reject, remove and leave. Each mutation runs in one transaction.
import { createHash } from "node:crypto";
import { MiniTorrentError } from "../../api/errors.ts";
import type { GroupSummary, JoinRequest, ListPage, Member, OwnGroup, Revocation } from "../../api/schemas.ts";
import type { GroupAuthority } from "../../identity/certificates.ts";
import type { GroupValue, MembershipValue, RevocationValue } from "../registry/record-values.ts";
import { type Page, type RegistryReader, type RegistryWriter, recordKey } from "../registry/registry.ts";
import { takenSentence } from "./look-alikes.ts";
import {
  answerKey,
  type EndedMembership,
  endedTotal,
  isRevoked,
  lastPart,
  membershipsOf,
  type Standing,
  standingLists,
  timeKey,
} from "./membership-index.ts";
import {
  countMembers,
  currentMember,
  findGroup,
  type Group,
  groupByClaim,
  membershipOf,
  membersPage,
  nextOf,
  requestsPage,
  requireGroup,
  requireMember,
  requireOwner,
  userIdOf,
} from "./membership-rows.ts";
import type { Command } from "./rule-command.ts";

/** Rows moved in one transaction; ten times as many would block others for some 50 ms. */
const ADOPTED_TOGETHER = 100;

/** @throws MiniTorrentError GROUP_EXISTS */
export function requireFreeGroupId(reader: RegistryReader, groupId: string): void {
  const claimId = reader.rival("group", groupId)?.claimId;
  const holder = claimId === undefined ? undefined : groupByClaim(reader, claimId);
  if (holder === undefined) return;
  throw new MiniTorrentError("GROUP_EXISTS", takenSentence("group id", groupId, holder.groupId));
}

/**
 * The id of the membership or request that a command creates: a retry at a tracker that does not know the first attempt gets the
 * same id. It contains the account, so that no account can choose another account's id.
 */
export function idOfCommand({ account, writeId }: Command): string {
  return idOf(account.accountId, writeId);
}

/**
 * The membership id of the account's next request to the group. It changes only when a membership ends: a request that is
 * repeated, or made at two partitioned trackers, uses the rows of the first one. So the number of rows does not grow with the
 * number of requests.
 */
function requestedMembershipId(reader: RegistryReader, groupClaimId: string, accountId: string): string {
  let ended = reader.total(endedTotal(groupClaimId, accountId));
  for (;;) {
    const membershipId = idOf(groupClaimId, accountId, String(ended));
    if (!isRevoked(reader, groupClaimId, membershipId)) return membershipId;
    ended++; // the end of an earlier membership has yet to arrive from another tracker
  }
}

function idOf(...parts: readonly string[]): string {
  return createHash("sha256")
    .update(recordKey(...parts))
    .digest("hex")
    .slice(0, 32);
}

/**
 * Creates a group, owned by the account.
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
  const standing = writer.claim("group", groupId);
  // The write may have been applied and its claim lost since: then the name belongs to another group.
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
 * Asks the owner for membership. A user who was rejected, removed or left may ask again.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, ALREADY_A_MEMBER, ALREADY_REQUESTED
 */
export function requestToJoin(command: Command, groupId: string): void {
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
    membershipId: requestedMembershipId(writer, group.claimId, account.accountId),
    requestId: idOfCommand(command),
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

/**
 * Makes the account a member as if the owner had accepted its request; a pending one is answered by this. It is written as the
 * owner's answer, which a request made at a tracker apart does not undo.
 *
 * @returns the membership's id
 */
export function admitMember(command: Command, groupClaimId: string, inviteId: string): string {
  const { writer, account, nowMs } = command;
  const { accountId } = account;
  const membershipId = requestedMembershipId(writer, groupClaimId, accountId);
  putAnswer(command, groupClaimId, accountId, { state: "member", sinceMs: nowMs, membershipId, inviteId });
  return membershipId;
}

/** @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, UNKNOWN_USER, INVALID_ARGUMENT if the user is the owner */
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
  /** The new owner, if the owner left. */
  readonly newOwnerId?: string;
  /** True if no member is left: the group has ended, and its name is free. */
  readonly groupEnded: boolean;
}

/**
 * Ends the account's membership. An owner hands the group to its longest-standing member.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER
 */
export function leaveGroup(command: Command, groupId: string): LeaveResult {
  const { writer, account, nowMs } = command;
  if (writer.hasWrite(command.writeId)) return earlierLeaveResult(writer, groupId, account.accountId);
  const group = requireGroup(writer, groupId);
  const { accountId } = requireMember(writer, group, account.accountId);
  // Two are enough to find the longest-standing other member.
  const { items } = membersPage(writer, group.claimId, { limit: 2 });
  const other = items.find((member) => member.accountId !== accountId);
  const successor = group.ownerAccountId === accountId ? other : undefined;
  revoke(command, group.claimId, {
    accountId,
    how: "left",
    endedAtMs: nowMs,
    ...(successor === undefined ? {} : { successorAccountId: successor.accountId }),
  });
  if (other === undefined) {
    writer.endClaim("group", group.claimId);
    return { groupEnded: true };
  }
  if (successor === undefined) return { groupEnded: false };
  const value: GroupValue = { ...group.value, ownerAccountId: successor.accountId };
  writer.updateClaim("group", group.claimId, value);
  return { newOwnerId: successor.userId, groupEnded: false };
}

/** Position at the end of a page of `adoptMembers`. */
export interface AdoptedUpTo {
  readonly kind: "revocation" | "membership";
  readonly key: string;
}

/**
 * Ends everything between the group and an account that the operator removes. A group that it owned
 * passes to the next member, or ends.
 */
export function expelAccount(command: Command, groupClaimId: string): void {
  const { writer, account, nowMs } = command;
  const { accountId } = account;
  const isOwner = groupByClaim(writer, groupClaimId)?.ownerAccountId === accountId;
  revoke(command, groupClaimId, { accountId, how: "removed", endedAtMs: nowMs });
  const claim = writer.claimById("group", groupClaimId);
  if (claim === undefined) return;
  const next = groupByClaim(writer, groupClaimId)?.ownerAccountId;
  if (next === undefined) writer.endClaim("group", groupClaimId);
  else if (isOwner) writer.updateClaim("group", groupClaimId, { ...claim.value, ownerAccountId: next });
}

/**
 * One command created the group twice, at partitioned trackers: moves members and requests of the losing group to the one that
 * stands, some in each call. Files are not moved, since their metainfo contains the CA of the losing group. Ended memberships go
 * first, so that no removed member is a member again in between.
 *
 * @returns where to continue, in a transaction of its own; undefined at the end
 */
export function adoptMembers(
  writer: RegistryWriter,
  endedClaimId: string,
  keptClaimId: string,
  after?: AdoptedUpTo,
): AdoptedUpTo | undefined {
  if (writer.claimById("group", keptClaimId) === undefined) return undefined;
  const { kind, key: afterKey } = after ?? { kind: "revocation", key: undefined };
  const prefix = recordKey(endedClaimId, "");
  const page = { after: afterKey, limit: ADOPTED_TOGETHER };
  const rows = writer.list(kind, prefix, page);
  for (const { key, value } of rows) {
    const place = recordKey(keptClaimId, key.slice(prefix.length));
    const isOver = "membershipId" in value && isRevoked(writer, keptClaimId, value.membershipId);
    if (isOver || writer.get(kind, place) !== undefined) continue;
    writer.put(kind, place, value, writer.payerOf(kind, key));
  }
  const last = rows.at(-1);
  if (last !== undefined && rows.length === ADOPTED_TOGETHER) return { kind, key: last.key };
  return kind === "revocation" ? { kind: "membership", key: prefix } : undefined;
}

/** A slice of all groups whose names begin with the prefix, by name, with the account's standing in each. */
export function listGroups(
  reader: RegistryReader,
  accountId: string,
  page: Page,
  namePrefix = "",
): ListPage<GroupSummary> {
  const claims = reader.claims("group", namePrefix, page);
  const items = claims
    .map(({ claimId }) => groupByClaim(reader, claimId))
    .filter((group) => group !== undefined)
    .map((group) => {
      const standing = standingIn(reader, group, accountId);
      return {
        groupId: group.groupId,
        ownerId: userIdOf(reader, group.ownerAccountId) ?? "",
        memberCount: countMembers(reader, group.claimId),
        ...(standing === undefined ? {} : { standing }),
      };
    });
  return {
    items,
    ...nextOf(
      claims.map(({ name }) => ({ sort: name })),
      page.limit,
    ),
  };
}

/** A slice of the groups that the account is in or asked to join, in arbitrary order. */
export function listOwnGroups(reader: RegistryReader, accountId: string, page: Page): ListPage<OwnGroup> {
  const entries = reader.listed<Standing>(standingLists.groupsOf(accountId), page);
  const items: OwnGroup[] = [];
  for (const { sort: claimId, value } of entries) {
    const group = groupByClaim(reader, claimId);
    const standing = group && standingIn(reader, group, accountId);
    if (group === undefined || standing === undefined) continue; // it has ended
    items.push({ groupId: group.groupId, standing, membershipId: value.membershipId });
  }
  return { items, ...nextOf(entries, page.limit) };
}

/**
 * A slice of the pending requests, oldest first.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER
 */
export function listRequests(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  page: Page,
): ListPage<JoinRequest> {
  const group = requireGroup(reader, groupId);
  requireOwner(reader, group, accountId);
  const { items, ...next } = requestsPage(reader, group.claimId, page);
  return { items: items.map(({ userId, sinceMs }) => ({ userId, sinceMs })), ...next };
}

/**
 * A slice of the members, of longest standing first.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_A_MEMBER
 */
export function listMembers(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  isOnline: (accountId: string) => boolean,
  page: Page,
): ListPage<Member> {
  const group = requireGroup(reader, groupId);
  requireMember(reader, group, accountId);
  const { items, ...next } = membersPage(reader, group.claimId, page);
  const members = items.map((member) => ({
    userId: member.userId,
    isOwner: member.accountId === group.ownerAccountId,
    isOnline: isOnline(member.accountId),
    sinceMs: member.sinceMs,
  }));
  return { items: members, ...next };
}

/** A slice of the memberships of the group that ended after that time, by time of their end. */
export function revokedMembershipIds(
  reader: RegistryReader,
  groupClaimId: string,
  endedAfterMs: number,
  page: Page,
): ListPage<string> {
  const oldest = timeKey(Math.max(0, endedAfterMs + 1));
  const after = page.after !== undefined && page.after > oldest ? page.after : oldest;
  const entries = reader.listed<EndedMembership>(standingLists.endedIn(groupClaimId), { ...page, after });
  return { items: entries.map(({ place }) => lastPart(place)), ...nextOf(entries, page.limit) };
}

/**
 * A slice of the memberships that ended after that time in those of the groups that the account is in, group by group. A group
 * counts as one examined entry, even if none of its memberships ended.
 */
export function listRevocations(
  reader: RegistryReader,
  accountId: string,
  groupIds: readonly string[],
  endedAfterMs: number,
  page: Page,
): ListPage<Revocation> {
  const items: Revocation[] = [];
  const [begun, ...rest] = page.after?.split("\u001f") ?? [];
  // The cursor comes from the client and may be forged; one that names no group of this call ends the list.
  const first = begun === undefined ? 0 : groupIds.indexOf(begun);
  let left = page.limit;
  for (let index = first; index >= 0 && index < groupIds.length; index++) {
    const groupId = groupIds[index] ?? "";
    if (left <= 0) return { items, next: recordKey(groupId) };
    left--;
    const group = findGroup(reader, groupId);
    if (group === undefined || currentMember(reader, group.claimId, accountId) === undefined) continue;
    const after = index === first && rest.length > 0 ? recordKey(...rest) : undefined;
    const { items: ids, next } = revokedMembershipIds(reader, group.claimId, endedAfterMs, {
      limit: Math.max(1, left),
      after,
    });
    items.push(...ids.map((membershipId) => ({ groupId, membershipId })));
    left -= ids.length;
    if (next !== undefined) return { items, next: recordKey(groupId, next) };
  }
  return { items };
}

/** Of several requests that partitioned trackers took, the first is answered; the others end. */
function answerRequest(
  command: Command,
  groupId: string,
  userId: string,
  state: "member" | "rejected",
): void {
  const { group, accountId, membership } = requireRequest(command, groupId, userId);
  const { membershipId, requestId } = membership;
  const answer: MembershipValue = {
    ...{ state, sinceMs: command.nowMs, membershipId },
    ...(requestId === undefined ? {} : { requestId }),
  };
  putAnswer(command, group.claimId, accountId, answer);
}

function putAnswer(command: Command, groupClaimId: string, accountId: string, answer: MembershipValue): void {
  const { membershipId } = answer;
  replaceOthers(command, groupClaimId, accountId, membershipId);
  const { writer } = command;
  const payer = payerOfMembership(writer, groupClaimId, accountId, membershipId);
  const requestKey = recordKey(groupClaimId, accountId, membershipId);
  if (writer.get("membership", requestKey) !== undefined) writer.remove("membership", requestKey);
  writer.put(
    "membership",
    answerKey(groupClaimId, accountId, membershipId),
    answer,
    payer === "" ? undefined : payer,
  );
}

/** The requester pays for all rows of a request, so that nobody can fill an owner's quota by asking. */
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
 * Ends everything between the account and the group permanently, including requests that were rejected or replaced here: a
 * partitioned tracker may have accepted them.
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
): { group: Group; accountId: string; membership: Standing } {
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

/** Marks the pending requests that this one replaces. Only `revoke` ends a membership. */
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

/** The answer of the `leaveGroup` that was applied already. */
function earlierLeaveResult(reader: RegistryReader, groupId: string, accountId: string): LeaveResult {
  const group = findGroup(reader, groupId);
  if (group === undefined) return { groupEnded: true };
  const ended = standingLists.endedOf(group.claimId, accountId);
  const [last] = reader.listed<EndedMembership>(ended, { limit: 1, isDescending: true });
  const successor = last?.value.successorAccountId;
  const newOwnerId = successor === undefined ? undefined : userIdOf(reader, successor);
  return { groupEnded: false, ...(newOwnerId === undefined ? {} : { newOwnerId }) };
}
