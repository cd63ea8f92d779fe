// Queries for members, requests and owners of groups, over the entries that membership-index.ts derives. groups.ts has the rules
// that change them.
import { MiniTorrentError } from "../../api/errors.ts";
import type { ListPage } from "../../api/schemas.ts";
import type { GroupValue } from "../registry/record-values.ts";
import type { Claim, Page, RegistryReader } from "../registry/registry.ts";
import {
  lastPart,
  membershipBy,
  membersTotal,
  type Standing,
  standingLists,
  standingPlace,
} from "./membership-index.ts";

export { answerKey, membershipBy } from "./membership-index.ts";

export interface CurrentMember {
  readonly accountId: string;
  readonly userId: string;
  readonly sinceMs: number;
  readonly membershipId: string;
}

/** A group that stands, with its current owner. */
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

/** The group of that name; undefined if there is none, or if it has no members. */
export function findGroup(reader: RegistryReader, groupId: string): Group | undefined {
  return withOwner(reader, reader.claim("group", groupId));
}

export function groupByClaim(reader: RegistryReader, groupClaimId: string): Group | undefined {
  return withOwner(reader, reader.claimById("group", groupClaimId));
}

function withOwner(reader: RegistryReader, claim: Claim<GroupValue> | undefined): Group | undefined {
  if (claim === undefined) return undefined;
  const { name: groupId, claimId, value } = claim;
  // Only partitioned trackers can name a member who has left; the group then passes to the next, as if that member had handed it over.
  const ownerAccountId =
    currentMember(reader, claimId, value.ownerAccountId)?.accountId ??
    membersPage(reader, claimId, { limit: 1 }).items[0]?.accountId;
  return ownerAccountId === undefined ? undefined : { groupId, claimId, value, ownerAccountId };
}

/** The account's standing in the group: a membership, else a pending request, else a rejected one. */
export function membershipOf(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
): Standing | undefined {
  return reader.derived<Standing>(standingPlace(groupClaimId, accountId));
}

/** True if the account is in the group by that membership. */
export function isMemberBy(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
  membershipId: string,
): boolean {
  const standing = membershipOf(reader, groupClaimId, accountId);
  if (standing?.state === "member" && standing.membershipId === membershipId) {
    return userIdOf(reader, accountId) !== undefined;
  }
  // Partitioned trackers may have produced two.
  return (
    membershipBy(reader, groupClaimId, accountId, membershipId)?.state === "member" &&
    userIdOf(reader, accountId) !== undefined
  );
}

/** The account as a member of that group; undefined if it is not one. */
export function currentMember(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
): CurrentMember | undefined {
  const membership = membershipOf(reader, groupClaimId, accountId);
  if (membership?.state !== "member") return undefined;
  return withUserId(reader, accountId, membership);
}

/** All members, of longest standing first. Reads the whole group: do not use it to look up one member. */
export function currentMembers(reader: RegistryReader, groupClaimId: string): readonly CurrentMember[] {
  return membersPage(reader, groupClaimId, { limit: Number.POSITIVE_INFINITY }).items;
}

/** Number of members, read from a maintained total. */
export function countMembers(reader: RegistryReader, groupClaimId: string): number {
  return reader.total(membersTotal(groupClaimId));
}

/** A slice of the members, of longest standing first. */
export function membersPage(
  reader: RegistryReader,
  groupClaimId: string,
  page: Page,
): ListPage<CurrentMember> {
  return peoplePage(reader, standingLists.membersOf(groupClaimId), page);
}

/** A slice of the pending requests, oldest first. */
export function requestsPage(
  reader: RegistryReader,
  groupClaimId: string,
  page: Page,
): ListPage<CurrentMember> {
  return peoplePage(reader, standingLists.requestsTo(groupClaimId), page);
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
  return reader.claimById("user", accountId)?.name;
}

function peoplePage(reader: RegistryReader, list: string, page: Page): ListPage<CurrentMember> {
  const entries = reader.listed<Standing>(list, page);
  const items = entries
    .map(({ place, value }) => withUserId(reader, lastPart(place), value))
    .filter((person) => person !== undefined);
  return { items, ...nextOf(entries, page.limit) };
}

/** Cursor after those entries; undefined if there were fewer than asked for. */
export function nextOf(entries: readonly { sort: string }[], limit: number): { next?: string } {
  const last = entries.at(-1);
  return last === undefined || entries.length < limit ? {} : { next: last.sort };
}

function withUserId(
  reader: RegistryReader,
  accountId: string,
  { sinceMs, membershipId }: Standing,
): CurrentMember | undefined {
  const userId = userIdOf(reader, accountId);
  return userId === undefined ? undefined : { accountId, userId, sinceMs, membershipId };
}
