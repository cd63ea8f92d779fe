// Limits for one account, so that one bad client cannot fill the trackers' disks or use all their connections. attempt-limits.ts
// limits rates; api/schemas.ts and server.ts limit the size of messages.
import { MiniTorrentError } from "../../api/errors.ts";
import type { Command } from "./rule-command.ts";
import { accountTotals } from "./totals.ts";

export interface AccountLimits {
  /** Groups that an account owns at a time. */
  readonly groupsPerUser: number;
  /** Files that an account was the first to share and that are still offered. */
  readonly filesPerUser: number;
  /** Requests to join that wait for an owner. */
  readonly requestsPerUser: number;
  /** Invites that an account made and that are not over, in all groups; a group has at most 100. */
  readonly invitesPerUser: number;
  /** Metainfo that an account has written, in MiB of base64. */
  readonly metainfoMebibytesPerUser: number;
  /** Clients of an account that are connected to one tracker at a time. */
  readonly connectionsPerUser: number;
  /** Keys for which an account has valid certificates at a time, at one tracker. */
  readonly keysPerUser: number;
}

/** Far above normal use. A file of 1 GB has 110 KB of metainfo. quotas.ts bounds the total on disk. */
export const DEFAULT_ACCOUNT_LIMITS: AccountLimits = {
  groupsPerUser: 1_000,
  filesPerUser: 10_000,
  requestsPerUser: 100,
  invitesPerUser: 1_000,
  metainfoMebibytesPerUser: 384,
  connectionsPerUser: 1_000,
  keysPerUser: 100,
};

const MIB = 1024 * 1024;

/**
 * Runs a rule, and fails its transaction if the account then exceeds a limit and has more than before. What other accounts do
 * to it, such as handing it a group, is not refused.
 *
 * @throws MiniTorrentError LIMIT_REACHED
 * @throws what `rule` throws
 */
export function withinLimits<T>(limits: AccountLimits, command: Command, rule: (command: Command) => T): T {
  const { writer, account } = command;
  const checks = checksOf(limits, account.accountId).map((check) => ({
    ...check,
    before: writer.total(check.total),
  }));
  const result = rule(command);
  for (const { total, most, before, sentence } of checks) {
    const now = writer.total(total);
    if (now > before && now > most) throw new MiniTorrentError("LIMIT_REACHED", sentence);
  }
  return result;
}

/** @throws MiniTorrentError LIMIT_REACHED */
export function checkConnections({ connectionsPerUser }: AccountLimits, present: number): void {
  if (present < connectionsPerUser) return;
  const sentence = `${connectionsPerUser} clients are logged in to this account, the most that this tracker allows; end one of them.`;
  throw new MiniTorrentError("LIMIT_REACHED", sentence);
}

function checksOf(limits: AccountLimits, accountId: string) {
  const { groupsPerUser, filesPerUser, requestsPerUser, invitesPerUser, metainfoMebibytesPerUser } = limits;
  return [
    {
      total: accountTotals.groups(accountId),
      most: groupsPerUser,
      sentence: `You own ${groupsPerUser} groups, the most that this tracker allows; leave_group gives one up.`,
    },
    {
      total: accountTotals.files(accountId),
      most: filesPerUser,
      sentence: `You share ${filesPerUser} files, the most that this tracker allows; stop_share gives one up.`,
    },
    {
      total: accountTotals.requests(accountId),
      most: requestsPerUser,
      sentence: `You have asked to join ${requestsPerUser} groups, the most that may wait; ask again when an owner has answered.`,
    },
    {
      total: accountTotals.invites(accountId),
      most: invitesPerUser,
      sentence: `You have made ${invitesPerUser} invites, the most that this tracker keeps; they are forgotten an hour after they end, and revoke_invite ends one.`,
    },
    {
      total: accountTotals.metainfo(accountId),
      most: metainfoMebibytesPerUser * MIB,
      sentence:
        "You have shared as much as this tracker keeps metainfo for; " +
        "ask the tracker's operator to raise the limit metainfoMebibytesPerUser.",
    },
  ];
}
