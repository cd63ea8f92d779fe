// Accounts' standings in groups and ended memberships, derived from the rows (see `Derivation` in registry/registry.ts): one
// entry for each pair of account and group, in lists by account, by group and by time, and a member count for each group.
// So a query about one of them does not read the others. The rules are in groups.ts.

import type { MembershipValue, RevocationValue } from "../registry/record-values.ts";
import {
  type Derivation,
  type DerivationReader,
  type DerivedEntry,
  type RegistryReader,
  type RegistryRecord,
  recordKey,
} from "../registry/registry.ts";

/** Increase it when entries are derived differently. */
const DERIVATION_VERSION = 2;
/** Digits of a time in milliseconds; padded, so that texts sort like times. */
const TIME_DIGITS = 16;

/** An account's standing in a group: the highest-ranking of its memberships. */
export type Standing = MembershipValue;

/** An ended membership. */
export type EndedMembership = RevocationValue;

/** Names of lists. */
export const standingLists = {
  /** Groups that the account is in or asked to join. */
  groupsOf: (accountId: string) => `groups of ${accountId}`,
  /** All groups with an entry of the account: derived again when the account wins or loses its user id. */
  pairsOf: (accountId: string) => `pairs of ${accountId}`,
  /** Members, of longest standing first. */
  membersOf: (groupClaimId: string) => `members of ${groupClaimId}`,
  /** Pending requests, oldest first. */
  requestsTo: (groupClaimId: string) => `requests to ${groupClaimId}`,
  /** Ended memberships, by time of their end. */
  endedIn: (groupClaimId: string) => `ended in ${groupClaimId}`,
  /** The same of one account. */
  endedOf: (groupClaimId: string, accountId: string) => `ended in ${groupClaimId} of ${accountId}`,
} as const;

/** The total that counts a group's members. */
export function membersTotal(groupClaimId: string): string {
  return `members of ${groupClaimId}`;
}

/** The total that counts the ended memberships of an account in a group. */
export function endedTotal(groupClaimId: string, accountId: string): string {
  return `ended in ${groupClaimId} of ${accountId}`;
}

export function standingPlace(groupClaimId: string, accountId: string): string {
  return recordKey("standing", groupClaimId, accountId);
}

function membershipPlace(groupClaimId: string, accountId: string, membershipId: string): string {
  return recordKey("membership", groupClaimId, accountId, membershipId);
}

/** An account's memberships of a group, highest rank first: `byRank`. */
function membershipsList(groupClaimId: string, accountId: string): string {
  return `memberships of ${accountId} in ${groupClaimId}`;
}

/** Lower bound of a time in lists by time: sorts before every entry of that time or later. */
export function timeKey(timeMs: number): string {
  const isTime = Number.isSafeInteger(timeMs) && timeMs >= 0;
  return String(isTime ? timeMs : 0).padStart(TIME_DIGITS, "0");
}

/** The last part of a place or of a sort key: the account or the membership. */
export function lastPart(key: string): string {
  return key.slice(key.lastIndexOf("\u001f") + 1);
}

/** The key of the owner's answer to a request. */
export function answerKey(groupClaimId: string, accountId: string, membershipId: string): string {
  return recordKey(groupClaimId, accountId, membershipId, "answer");
}

/** True if that membership has ended, whatever its own row says. */
export function isRevoked(reader: RegistryReader, groupClaimId: string, membershipId: string): boolean {
  return reader.get("revocation", recordKey(groupClaimId, membershipId)) !== undefined;
}

/**
 * The membership with that id; undefined if there is none or it has ended. The owner's answer wins over the request, so that a
 * repeated request at a tracker that does not know the answer yet does not undo it. A rejection answers one request only: a later
 * request stands.
 */
export function membershipBy(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
  membershipId: string,
): MembershipValue | undefined {
  if (isRevoked(reader, groupClaimId, membershipId)) return undefined;
  const request: unknown = reader.get("membership", recordKey(groupClaimId, accountId, membershipId));
  const answer: unknown = reader.get("membership", answerKey(groupClaimId, accountId, membershipId));
  if (!isMembership(answer)) return isMembership(request) ? request : undefined;
  const isOfEarlier =
    answer.state === "rejected" && isMembership(request) && request.requestId !== answer.requestId;
  return isOfEarlier ? request : answer;
}

/**
 * All memberships of an account in a group, highest rank first. Only partitioned trackers can produce a request beside a
 * membership, or two of a kind.
 */
export function membershipsOf(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
): readonly MembershipValue[] {
  return reader
    .listed<MembershipValue>(membershipsList(groupClaimId, accountId), { limit: Number.POSITIVE_INFINITY })
    .map(({ value }) => value);
}

const RANK = { member: 0, requested: 1, rejected: 2, replaced: 3 } as const;

export const standingsDerivation: Derivation = {
  version: DERIVATION_VERSION,
  kinds: ["membership", "revocation", "user"],
  placesOf,
  entryOf: (reader, place) => {
    const [what, groupClaimId = "", id = "", membershipId = ""] = place.split("\u001f");
    if (what === "ended") return endedEntry(reader, groupClaimId, id);
    if (what === "membership") return membershipEntry(reader, groupClaimId, id, membershipId);
    return standingEntry(reader, groupClaimId, id);
  },
};

function placesOf(
  reader: DerivationReader,
  { kind, key, claimId, value }: RegistryRecord,
): readonly string[] {
  const [groupClaimId = "", id = "", membershipId = ""] = key.split("\u001f");
  if (kind === "membership") {
    return [membershipPlace(groupClaimId, id, membershipId), standingPlace(groupClaimId, id)];
  }
  if (kind === "user") {
    const accounts = new Set([...reader.liveClaims("user", key), claimId]);
    return [...accounts].flatMap((accountId) =>
      reader
        .listed(standingLists.pairsOf(accountId), { limit: Number.POSITIVE_INFINITY })
        .map(({ place }) => place),
    );
  }
  const ended = recordKey("ended", groupClaimId, id);
  if (!isRevocation(value)) return [ended];
  const { accountId } = value;
  return [ended, membershipPlace(groupClaimId, accountId, id), standingPlace(groupClaimId, accountId)];
}

/** One live membership; the first in the list is the account's standing. */
function membershipEntry(
  reader: DerivationReader,
  groupClaimId: string,
  accountId: string,
  membershipId: string,
): DerivedEntry | undefined {
  const membership = membershipBy(reader, groupClaimId, accountId, membershipId);
  if (membership === undefined) return undefined;
  const { state, sinceMs, requestId } = membership;
  const value: Standing = {
    ...{ state, sinceMs, membershipId },
    ...(requestId === undefined ? {} : { requestId }),
  };
  const byRank = recordKey(String(RANK[state]), timeKey(sinceMs), membershipId);
  return { value, lists: { [membershipsList(groupClaimId, accountId)]: byRank }, totals: {} };
}

function standingEntry(
  reader: DerivationReader,
  groupClaimId: string,
  accountId: string,
): DerivedEntry | undefined {
  const [first] = reader.listed<Standing>(membershipsList(groupClaimId, accountId), { limit: 1 });
  if (first === undefined) return undefined;
  const { value } = first;
  const { state, sinceMs } = value;
  const lists: Record<string, string> = { [standingLists.pairsOf(accountId)]: groupClaimId };
  const totals: Record<string, number> = {};
  // An account that lost its user id is a member of no group.
  if (reader.claimById("user", accountId) !== undefined) {
    const byTime = recordKey(timeKey(sinceMs), accountId);
    if (state === "member" || state === "requested") lists[standingLists.groupsOf(accountId)] = groupClaimId;
    if (state === "requested") lists[standingLists.requestsTo(groupClaimId)] = byTime;
    if (state === "member") {
      lists[standingLists.membersOf(groupClaimId)] = byTime;
      totals[membersTotal(groupClaimId)] = 1;
    }
  }
  return { value, lists, totals };
}

function endedEntry(
  reader: DerivationReader,
  groupClaimId: string,
  membershipId: string,
): DerivedEntry | undefined {
  const value: unknown = reader.get("revocation", recordKey(groupClaimId, membershipId));
  if (!isRevocation(value)) return undefined;
  const byTime = recordKey(timeKey(value.endedAtMs), membershipId);
  const lists = {
    [standingLists.endedIn(groupClaimId)]: byTime,
    [standingLists.endedOf(groupClaimId, value.accountId)]: byTime,
  };
  return { value, lists, totals: { [endedTotal(groupClaimId, value.accountId)]: 1 } };
}

/** Rows may come from other trackers; malformed ones are ignored. */
function isMembership(value: unknown): value is MembershipValue {
  if (typeof value !== "object" || value === null) return false;
  const { state, sinceMs, membershipId, requestId = "" } = value as Partial<MembershipValue>;
  const isState = typeof state === "string" && Object.hasOwn(RANK, state);
  const areIds = typeof membershipId === "string" && typeof requestId === "string";
  return isState && typeof sinceMs === "number" && areIds;
}

function isRevocation(value: unknown): value is RevocationValue {
  return (
    typeof value === "object" && value !== null && "accountId" in value && typeof value.accountId === "string"
  );
}
