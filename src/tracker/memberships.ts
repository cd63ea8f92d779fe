// Who stands how to a group: what can be read of memberships. The rules that change them are in groups.ts.
import { MiniTorrentError } from "../api/errors.ts";
import { type Claim, type RegistryReader, recordKey } from "./registry/registry.ts";
import type { GroupValue, MembershipValue, RevocationValue, UserValue } from "./values.ts";

export interface CurrentMember {
  readonly accountId: string;
  readonly userId: string;
  readonly sinceMs: number;
  readonly membershipId: string;
}

/** A group that stands, with who owns it now. */
export interface Group {
  readonly groupId: string;
  readonly claimId: string;
  readonly value: GroupValue;
  readonly ownerAccountId: string;
}

/** @throws MiniTorrentError UNKNOWN_GROUP */
export function requireGroup(reader: RegistryReader, groupId: string): Group {
  const group = findGroup(reader, groupId);
  if (group !== undefined) return group;
  throw new MiniTorrentError(
    "UNKNOWN_GROUP",
    `There is no group '${groupId}'; list_groups shows those there are.`,
  );
}

/** The group of that name; undefined if there is none, or if nobody is in it any more. */
export function findGroup(reader: RegistryReader, groupId: string): Group | undefined {
  return withOwner(reader, reader.claim<GroupValue>("group", groupId));
}

export function groupByClaim(reader: RegistryReader, groupClaimId: string): Group | undefined {
  return withOwner(reader, reader.claimById<GroupValue>("group", groupClaimId));
}

function withOwner(reader: RegistryReader, claim: Claim<GroupValue> | undefined): Group | undefined {
  if (claim === undefined) return undefined;
  const { name: groupId, claimId, value } = claim;
  // Only where trackers were apart can the one who is named have left: then it falls as if he had handed it over.
  const ownerAccountId =
    currentMember(reader, claimId, value.ownerAccountId)?.accountId ??
    currentMembers(reader, claimId)[0]?.accountId;
  return ownerAccountId === undefined ? undefined : { groupId, claimId, value, ownerAccountId };
}

/** True if that membership is over, whatever its own row says. */
export function isRevoked(reader: RegistryReader, groupClaimId: string, membershipId: string): boolean {
  return reader.get<RevocationValue>("revocation", recordKey(groupClaimId, membershipId)) !== undefined;
}

/** Where the owner's answer to a request stands. */
export function answerKey(groupClaimId: string, accountId: string, membershipId: string): string {
  return recordKey(groupClaimId, accountId, membershipId, "answer");
}

/** What stands of each membership with keys like that: the answer, or else the request, or what needed none. */
function standingBelow(
  reader: RegistryReader,
  groupClaimId: string,
  prefix: string,
): readonly { accountId: string; value: MembershipValue }[] {
  const standing = new Map<string, { accountId: string; value: MembershipValue }>();
  // An answer's key comes right after its request's.
  for (const { key, value } of reader.list<MembershipValue>("membership", prefix)) {
    if (isRevoked(reader, groupClaimId, value.membershipId)) continue;
    const [, accountId = "", membershipId = ""] = key.split("\u001f");
    standing.set(recordKey(accountId, membershipId), { accountId, value });
  }
  return [...standing.values()];
}

/**
 * All that stands between an account and a group: what counts first. Only where trackers were apart can there be a
 * request beside a membership, or two of either.
 */
export function membershipsOf(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
): readonly MembershipValue[] {
  return standingBelow(reader, groupClaimId, recordKey(groupClaimId, accountId, ""))
    .map(({ value }) => value)
    .sort(byRank);
}

/** How the account stands to the group: as a member, else as one who asked, else as one who was rejected. */
export function membershipOf(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
): MembershipValue | undefined {
  return membershipsOf(reader, groupClaimId, accountId)[0];
}

/** True if the account is in the group by that membership. */
export function isMemberBy(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
  membershipId: string,
): boolean {
  const membership =
    reader.get<MembershipValue>("membership", answerKey(groupClaimId, accountId, membershipId)) ??
    reader.get<MembershipValue>("membership", recordKey(groupClaimId, accountId, membershipId));
  return (
    membership?.state === "member" &&
    !isRevoked(reader, groupClaimId, membershipId) &&
    userIdOf(reader, accountId) !== undefined
  );
}

/** The account as a member of that group; undefined if it is none. */
export function currentMember(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
): CurrentMember | undefined {
  const membership = membershipOf(reader, groupClaimId, accountId);
  if (membership?.state !== "member") return undefined;
  return withUserId(reader, accountId, membership);
}

/** Those in the group, of longest standing first. */
export function currentMembers(reader: RegistryReader, groupClaimId: string): readonly CurrentMember[] {
  return inState(reader, groupClaimId, "member");
}

/** Those who wait for the owner, longest first. */
export function waitingRequests(reader: RegistryReader, groupClaimId: string): readonly CurrentMember[] {
  return inState(reader, groupClaimId, "requested");
}

/** @throws MiniTorrentError NOT_A_MEMBER */
export function requireMember(reader: RegistryReader, group: Group, accountId: string): CurrentMember {
  const member = currentMember(reader, group.claimId, accountId);
  if (member !== undefined) return member;
  const waits = membershipOf(reader, group.claimId, accountId)?.state === "requested";
  throw new MiniTorrentError(
    "NOT_A_MEMBER",
    waits
      ? `You are not in group '${group.groupId}' yet: your request waits for its owner.`
      : `You are not in group '${group.groupId}'; join_group ${group.groupId} asks its owner to let you in.`,
  );
}

/** @throws MiniTorrentError NOT_THE_OWNER */
export function requireOwner(reader: RegistryReader, group: Group, accountId: string): void {
  if (group.ownerAccountId === accountId) return;
  const ownerId = userIdOf(reader, group.ownerAccountId) ?? "nobody";
  throw new MiniTorrentError(
    "NOT_THE_OWNER",
    `Only the owner of group '${group.groupId}' may do that; ask ${ownerId}.`,
  );
}

/** The name of an account; undefined if its claim on the name lost. */
export function userIdOf(reader: RegistryReader, accountId: string): string | undefined {
  return reader.claimById<UserValue>("user", accountId)?.name;
}

function inState(
  reader: RegistryReader,
  groupClaimId: string,
  state: MembershipValue["state"],
): readonly CurrentMember[] {
  const standing = new Map<string, MembershipValue>();
  for (const { accountId, value } of standingBelow(reader, groupClaimId, recordKey(groupClaimId, ""))) {
    const other = standing.get(accountId);
    if (other === undefined || byRank(value, other) < 0) standing.set(accountId, value);
  }
  return [...standing]
    .filter(([, value]) => value.state === state)
    .map(([accountId, value]) => withUserId(reader, accountId, value))
    .filter((member) => member !== undefined)
    .sort((a, b) => a.sinceMs - b.sinceMs || (a.accountId < b.accountId ? -1 : 1));
}

const RANK = { member: 0, requested: 1, rejected: 2, replaced: 3 } as const;

function byRank(one: MembershipValue, other: MembershipValue): number {
  return (
    RANK[one.state] - RANK[other.state] ||
    one.sinceMs - other.sinceMs ||
    (one.membershipId < other.membershipId ? -1 : 1)
  );
}

function withUserId(
  reader: RegistryReader,
  accountId: string,
  { sinceMs, membershipId }: MembershipValue,
): CurrentMember | undefined {
  const userId = userIdOf(reader, accountId);
  return userId === undefined ? undefined : { accountId, userId, sinceMs, membershipId };
}
