// The rules of invites: the owner of a group makes, sees and revokes them, and whoever has the secret of one is a member at once.
//
// A tracker has the hash of a secret alone. The use of an invite is a row for the account that used it, so that a repeated command
// counts once, and trackers that were apart count each account's use when they meet: until then an invite may be used more often
// than it says. A revocation is a row of its own, which a command tried again at a tracker whose clock is ahead cannot undo.
//
// Whoever may not join gets one and the same answer, after the same look-ups: it does not say whether an invite was ever made.
import { MiniTorrentError } from "../../api/errors.ts";
import { inviteIdOf } from "../../api/invite.ts";
import type { InviteSummary, ListPage, MadeInvite } from "../../api/schemas.ts";
import type { InviteValue, RevocationValue } from "../registry/record-values.ts";
import { type Page, type RegistryReader, recordKey } from "../registry/registry.ts";
import { admitMember } from "./groups.ts";
import { lastPart, standingLists, timeKey } from "./membership-index.ts";
import { currentMember, groupByClaim, requireGroup, requireOwner, userIdOf } from "./membership-rows.ts";
import type { Command } from "./rule-command.ts";
import { inviteUses } from "./totals.ts";

/** Invites of a group that hold at a time. */
const MOST_IN_GROUP = 100;
/** Ends of an account's memberships that are looked through for a removal; nobody leaves a group as often in good faith. */
const MOST_ENDS = 100;
/** Users named beside an invite that they used. */
const MOST_NAMED = 20;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Unless its maker says otherwise. */
const LASTS_MS = 7 * DAY_MS;
/** Last part of the key of a revocation: not a stamp, so it is no key of a use either. */
const REVOKED = "revoked";

export interface InviteWish {
  readonly groupId: string;
  /** SHA-256 of the secret, 64 hex digits. */
  readonly secretHash: string;
  /** How many users may join with it; undefined: any number. */
  readonly uses?: number | undefined;
  /** For how long it holds; undefined: seven days. */
  readonly lastsMs?: number | undefined;
}

/**
 * Makes an invite to the group.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, LIMIT_REACHED, INVALID_ARGUMENT if another invite has that id
 */
export function createInvite(command: Command, wish: InviteWish): MadeInvite {
  const { writer, account, nowMs } = command;
  const { groupId, secretHash, uses, lastsMs = LASTS_MS } = wish;
  const group = requireGroup(writer, groupId);
  requireOwner(writer, group, account.accountId);
  const inviteId = inviteIdOf(secretHash);
  const key = recordKey(group.claimId, inviteId);
  const before = writer.get("invite", key);
  if (before?.secretHash === secretHash && writer.hasWrite(command.writeId)) {
    return madeInvite(group.claimId, before);
  }
  // Also one that was revoked, and collected since: it must not hold again.
  if (before !== undefined || writer.get("inviteRevocation", revocationKey(key)) !== undefined) throw taken();
  makeRoom(command, group.claimId);
  const invite: InviteValue = {
    ...{ secretHash, createdByAccountId: account.accountId },
    ...{ createdAtMs: nowMs, expiresAtMs: nowMs + lastsMs },
    ...(uses === undefined ? {} : { uses }),
  };
  writer.put("invite", key, invite);
  return madeInvite(group.claimId, invite);
}

/**
 * Ends an invite. It stays listed until it is collected.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER, UNKNOWN_INVITE
 */
export function revokeInvite(command: Command, groupId: string, inviteId: string): void {
  const { writer, account, nowMs } = command;
  const group = requireGroup(writer, groupId);
  requireOwner(writer, group, account.accountId);
  const key = recordKey(group.claimId, inviteId);
  if (writer.get("invite", key) === undefined) {
    throw new MiniTorrentError(
      "UNKNOWN_INVITE",
      `Group '${groupId}' has no invite '${inviteId}'; list_invites ${groupId} shows those it has.`,
    );
  }
  if (writer.get("inviteRevocation", revocationKey(key)) !== undefined) return;
  writer.put("inviteRevocation", revocationKey(key), { revokedAtMs: nowMs }, writer.payerOf("invite", key));
}

/**
 * Makes the account a member of the invite's group.
 *
 * @param secretHash of the secret that the account shows
 * @returns the group's id
 * @throws MiniTorrentError ALREADY_A_MEMBER; INVITE_REFUSED for whatever else keeps the account from joining
 */
export function useInvite(command: Command, groupClaimId: string, secretHash: string): string {
  const { writer, account, nowMs } = command;
  const { accountId } = account;
  const group = groupByClaim(writer, groupClaimId);
  if (group !== undefined && currentMember(writer, groupClaimId, accountId) !== undefined) {
    if (writer.hasWrite(command.writeId)) return group.groupId;
    throw new MiniTorrentError("ALREADY_A_MEMBER", `You are in group '${group.groupId}' already.`);
  }
  const inviteId = inviteIdOf(secretHash);
  const invite = writer.get("invite", recordKey(groupClaimId, inviteId));
  // All of them are looked up, whichever decides.
  const reasons = [
    invite?.secretHash !== secretHash,
    stateOf(writer, groupClaimId, inviteId, invite, nowMs) !== "active",
    wasRemovedSince(writer, groupClaimId, accountId, invite?.createdAtMs ?? nowMs),
    wasRemovedAfterUse(writer, groupClaimId, accountId, inviteId),
  ];
  if (group === undefined || reasons.includes(true)) {
    throw new MiniTorrentError(
      "INVITE_REFUSED",
      "This invite does not hold, or no longer: ask the owner of the group for another one.",
    );
  }
  const membershipId = admitMember(command, groupClaimId, inviteId);
  writer.put("inviteUse", recordKey(groupClaimId, inviteId, accountId), { usedAtMs: nowMs, membershipId });
  return group.groupId;
}

/**
 * A slice of the group's invites, in the order of their ids; those that ended are among them until they are collected.
 *
 * @throws MiniTorrentError UNKNOWN_GROUP, NOT_THE_OWNER
 */
export function listInvites(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  nowMs: number,
  page: Page,
): ListPage<InviteSummary> {
  const group = requireGroup(reader, groupId);
  requireOwner(reader, group, accountId);
  const prefix = recordKey(group.claimId, "");
  const after = page.after === undefined ? undefined : prefix + page.after;
  const keys = reader.keys("invite", prefix, { after, limit: page.limit });
  const items = keys.map((key) => summaryOf(reader, group.claimId, lastPart(key), nowMs));
  const last = keys.at(-1);
  return {
    items: items.filter((item) => item !== undefined),
    ...(last === undefined || keys.length < page.limit ? {} : { next: lastPart(last) }),
  };
}

/** True if nobody can join with that invite any more, so that its row is of no use. */
export function isInviteOver(reader: RegistryReader, key: string, nowMs: number): boolean {
  const [groupClaimId = "", inviteId = ""] = key.split("\u001f");
  if (groupByClaim(reader, groupClaimId) === undefined) return true;
  return stateOf(reader, groupClaimId, inviteId, reader.get("invite", key), nowMs) !== "active";
}

/** True if the invite that a use or a revocation belongs to is no longer there. */
export function isInviteGone(reader: RegistryReader, key: string): boolean {
  const [groupClaimId = "", inviteId = ""] = key.split("\u001f");
  return reader.get("invite", recordKey(groupClaimId, inviteId)) === undefined;
}

/** Ended invites give way to a new one before the collector gets to them. */
function makeRoom({ writer, nowMs }: Command, groupClaimId: string): void {
  const keys = writer.keys("invite", recordKey(groupClaimId, ""), { limit: MOST_IN_GROUP });
  if (keys.length < MOST_IN_GROUP) return;
  const over = keys.find((key) => isInviteOver(writer, key, nowMs));
  if (over === undefined) {
    throw new MiniTorrentError(
      "LIMIT_REACHED",
      `The group has ${MOST_IN_GROUP} invites that hold, the most; revoke_invite ends one.`,
    );
  }
  writer.remove("invite", over);
}

function stateOf(
  reader: RegistryReader,
  groupClaimId: string,
  inviteId: string,
  invite: InviteValue | undefined,
  nowMs: number,
): InviteSummary["state"] {
  const key = recordKey(groupClaimId, inviteId);
  const isRevoked = reader.get("inviteRevocation", revocationKey(key)) !== undefined;
  const used = reader.total(inviteUses(groupClaimId, inviteId));
  if (isRevoked) return "revoked";
  if (invite === undefined || invite.expiresAtMs <= nowMs) return "expired";
  return invite.uses !== undefined && used >= invite.uses ? "exhausted" : "active";
}

/**
 * Whether the owner has removed the account since then, by the trackers' clocks: an invite from before may have reached it any way.
 * One who left by themselves may return.
 */
function wasRemovedSince(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
  sinceMs: number,
): boolean {
  const ends = reader.listed<RevocationValue>(standingLists.endedOf(groupClaimId, accountId), {
    ...{ after: timeKey(sinceMs), limit: MOST_ENDS },
  });
  return ends.length === MOST_ENDS || ends.some(({ value }) => value.how === "removed");
}

/** Whether the owner has ended the membership that the account got by this invite, whatever the clocks say. */
function wasRemovedAfterUse(
  reader: RegistryReader,
  groupClaimId: string,
  accountId: string,
  inviteId: string,
): boolean {
  const membershipId = reader.get("inviteUse", recordKey(groupClaimId, inviteId, accountId))?.membershipId;
  return reader.get("revocation", recordKey(groupClaimId, membershipId ?? ""))?.how === "removed";
}

function summaryOf(
  reader: RegistryReader,
  groupClaimId: string,
  inviteId: string,
  nowMs: number,
): InviteSummary | undefined {
  const invite = reader.get("invite", recordKey(groupClaimId, inviteId));
  if (invite === undefined) return undefined;
  const { createdByAccountId, createdAtMs, expiresAtMs, uses } = invite;
  const used = reader.total(inviteUses(groupClaimId, inviteId));
  const users = reader.keys("inviteUse", recordKey(groupClaimId, inviteId, ""), { limit: MOST_NAMED });
  return {
    ...{ inviteId, createdAtMs, expiresAtMs },
    createdBy: userIdOf(reader, createdByAccountId) ?? "",
    ...(uses === undefined ? {} : { usesLeft: Math.max(0, uses - used) }),
    useCount: used,
    usedBy: users.map((key) => userIdOf(reader, lastPart(key))).filter((userId) => userId !== undefined),
    state: stateOf(reader, groupClaimId, inviteId, invite, nowMs),
  };
}

function madeInvite(groupClaimId: string, { expiresAtMs, uses }: InviteValue): MadeInvite {
  return { groupClaimId, expiresAtMs, ...(uses === undefined ? {} : { uses }) };
}

function revocationKey(inviteKey: string): string {
  return recordKey(inviteKey, REVOKED);
}

function taken(): MiniTorrentError {
  return new MiniTorrentError(
    "INVALID_ARGUMENT",
    "The group had an invite with that secret; make another one.",
  );
}
