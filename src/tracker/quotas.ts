// Disk quotas for an account, a network and the whole registry; every row counts, tombstones included. Checked where a write
// begins, never for rows from another tracker, since those were acknowledged there.
import { MiniTorrentError } from "../api/errors.ts";
import type { Payer } from "./payers.ts";
import type { RegistryReader } from "./registry/registry.ts";
import { accountTotals, networkTotals, registryTotals } from "./totals.ts";
import type { UserValue } from "./values.ts";

export interface QuotaLimits {
  /** All rows of a registry, in MiB on disk. */
  readonly registryMebibytes: number;
  /** Of that, rows from one network (an IPv4 address, an IPv6 /64), in MiB. */
  readonly mebibytesPerNetwork: number;
  /** Of that, rows of one account, in MiB. */
  readonly mebibytesPerUser: number;
  /** The same for a new account. */
  readonly mebibytesPerNewUser: number;
  /** For how many days an account is new. */
  readonly newUserDays: number;
}

/**
 * A million shared files take 0.8 GB, and a file of 1 GB has 110 KB of metainfo. Four networks fill a registry, and sixteen new
 * accounts fill a network's quota.
 */
export const DEFAULT_QUOTA_LIMITS: QuotaLimits = {
  registryMebibytes: 4_096,
  mebibytesPerNetwork: 1_024,
  mebibytesPerUser: 512,
  mebibytesPerNewUser: 64,
  newUserDays: 7,
};

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
/** New accounts leave a quarter of the shared quotas to older ones, so that a crowd of strangers does not block members. */
const NEW_USERS_PART = 0.75;
/** A login writes a row, and a user at the limit must log in to remove something. */
const LOGIN_PART = 1.1;

/** `growth` adds something. `login` does too, but may exceed the quota by a tenth. Writes that only end things are not checked. */
export type WriteKind = "growth" | "login";

/**
 * Runs `work`, and fails its transaction if it used more space and a quota is then exceeded.
 *
 * @throws MiniTorrentError LIMIT_REACHED
 * @throws what `work` throws
 */
export function withinQuotas<T>(
  limits: QuotaLimits,
  { reader, payer, nowMs, kind }: { reader: RegistryReader; payer: Payer; nowMs: number; kind: WriteKind },
  work: () => T,
): T {
  const part = kind === "login" ? LOGIN_PART : 1;
  const quotas = quotasOf(limits, payer, isNew(limits, reader, payer, nowMs));
  const before = quotas.map(({ total }) => reader.total(total));
  const result = work();
  for (const [index, { total, mostBytes, sentence }] of quotas.entries()) {
    const now = reader.total(total);
    if (now > (before[index] ?? 0) && now > mostBytes * part) {
      throw new MiniTorrentError("LIMIT_REACHED", sentence);
    }
  }
  return result;
}

function isNew(
  { newUserDays }: QuotaLimits,
  reader: RegistryReader,
  { accountId }: Payer,
  nowMs: number,
): boolean {
  const user = accountId === "" ? undefined : reader.claimById<UserValue>("user", accountId);
  return user === undefined ? newUserDays > 0 : user.value.createdAtMs > nowMs - newUserDays * DAY_MS;
}

function quotasOf(limits: QuotaLimits, { accountId, networkId }: Payer, isNewAccount: boolean) {
  const { registryMebibytes, mebibytesPerNetwork, newUserDays } = limits;
  const part = isNewAccount ? NEW_USERS_PART : 1;
  const limitName = isNewAccount ? "mebibytesPerNewUser" : "mebibytesPerUser";
  const ownMebibytes = isNewAccount
    ? Math.min(limits.mebibytesPerNewUser, limits.mebibytesPerUser)
    : limits.mebibytesPerUser;
  const forNew = isNewAccount ? ` (accounts older than ${newUserDays} days have a higher limit)` : "";
  return [
    {
      total: accountTotals.bytes(accountId),
      mostBytes: ownMebibytes * MIB,
      sentence:
        `Your account uses ${ownMebibytes} MiB of the tracker's disk, its limit${forNew}; ` +
        `stop_share files that nobody needs and try again in some hours, or ask the tracker's operator to raise the limit ${limitName}.`,
    },
    {
      total: networkTotals.bytes(networkId),
      mostBytes: mebibytesPerNetwork * MIB * part,
      sentence:
        `The accounts of your network use ${mebibytesPerNetwork * part} MiB of the tracker's disk, their limit${forNew}; ` +
        "stop_share files that nobody needs and try again in some hours, or ask the tracker's operator to raise the limit mebibytesPerNetwork.",
    },
    {
      total: registryTotals.bytes,
      mostBytes: registryMebibytes * MIB * part,
      sentence:
        `The tracker's registry holds ${registryMebibytes * part} MiB, its limit${forNew}; ` +
        "ask the tracker's operator to remove unused accounts, or to raise the limit registryMebibytes.",
    },
  ].filter(({ total }) => total !== accountTotals.bytes("") && total !== networkTotals.bytes(""));
}
