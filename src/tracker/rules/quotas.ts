// Disk quotas for an account, a network and the whole registry; every row counts, tombstones included. Checked where a write
// begins, never for rows from another tracker, since those were acknowledged there.
import { MiniTorrentError } from "../../api/errors.ts";
import type { RegistryReader } from "../registry/registry.ts";
import type { Payer } from "./quota-payers.ts";
import { accountTotals, networkTotals, registryTotals } from "./totals.ts";

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

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 24 * 60 * 60 * 1000;
/** New accounts leave a quarter of the shared quotas to older ones, so that a crowd of strangers does not block members. */
const NEW_USERS_PART = 0.75;
/**
 * Once less than a quarter of a shared quota is free, an account grows only while it has less than a sixty-fourth of what is free.
 * However many accounts fill a quota, that leaves room to those that have little: the sum of what they take nears the quota,
 * and never reaches it (dynamic thresholds, Choudhury and Hahne 1998).
 */
const SCARCE_PART = 0.25;
const PART_OF_FREE = 1 / 64;
/** An account with less, some hundred rows, may grow nevertheless. */
const LITTLE_BYTES = 64 * 1024;
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
  if (kind === "growth" && payer.accountId !== "") leaveRoom(reader, quotas, before);
  return result;
}

/** @throws MiniTorrentError LIMIT_REACHED if the account has grown past its part of what is free of a shared quota */
function leaveRoom(reader: RegistryReader, quotas: readonly Quota[], before: readonly number[]): void {
  const [own, ...shared] = quotas;
  if (own === undefined) return;
  const ownBytes = reader.total(own.total);
  if (ownBytes <= (before[0] ?? 0)) return;
  for (const { total, mostBytes, limitName } of shared) {
    const freeBytes = Math.max(0, mostBytes - reader.total(total));
    const partBytes = Math.max(LITTLE_BYTES, freeBytes * PART_OF_FREE);
    if (freeBytes >= mostBytes * SCARCE_PART || ownBytes <= partBytes) continue;
    const [hasKib, partKib] = [ownBytes, partBytes].map((bytes) => Math.floor(bytes / KIB));
    throw new MiniTorrentError(
      "LIMIT_REACHED",
      `The tracker's disk quota ${limitName} is nearly full; an account with more than ${partKib} KiB cannot add to it now, and yours has ${hasKib} KiB. ` +
        `Stop sharing files that nobody needs and try again in some hours, or ask the tracker's operator to raise the limit ${limitName}.`,
    );
  }
}

function isNew(
  { newUserDays }: QuotaLimits,
  reader: RegistryReader,
  { accountId }: Payer,
  nowMs: number,
): boolean {
  const user = accountId === "" ? undefined : reader.claimById("user", accountId);
  return user === undefined ? newUserDays > 0 : user.value.createdAtMs > nowMs - newUserDays * DAY_MS;
}

interface Quota {
  /** Name of the total that it bounds (totals.ts). */
  readonly total: string;
  readonly limitName: keyof QuotaLimits;
  readonly mostBytes: number;
  readonly sentence: string;
}

/** The account's own quota, if there is an account; then those that it shares with others. */
function quotasOf(
  limits: QuotaLimits,
  { accountId, networkId }: Payer,
  isNewAccount: boolean,
): readonly Quota[] {
  const { registryMebibytes, mebibytesPerNetwork, newUserDays } = limits;
  const part = isNewAccount ? NEW_USERS_PART : 1;
  const limitName = isNewAccount ? "mebibytesPerNewUser" : "mebibytesPerUser";
  const ownMebibytes = isNewAccount
    ? Math.min(limits.mebibytesPerNewUser, limits.mebibytesPerUser)
    : limits.mebibytesPerUser;
  const forNew = isNewAccount ? ` (accounts older than ${newUserDays} days have a higher limit)` : "";
  const quotas: readonly Quota[] = [
    {
      total: accountTotals.bytes(accountId),
      limitName,
      mostBytes: ownMebibytes * MIB,
      sentence:
        `Your account uses ${ownMebibytes} MiB of the tracker's disk, its limit${forNew}; ` +
        `stop_share files that nobody needs and try again in some hours, or ask the tracker's operator to raise the limit ${limitName}.`,
    },
    {
      total: networkTotals.bytes(networkId),
      limitName: "mebibytesPerNetwork",
      mostBytes: mebibytesPerNetwork * MIB * part,
      sentence:
        `The accounts of your network use ${mebibytesPerNetwork * part} MiB of the tracker's disk, their limit${forNew}; ` +
        "stop_share files that nobody needs and try again in some hours, or ask the tracker's operator to raise the limit mebibytesPerNetwork.",
    },
    {
      total: registryTotals.bytes,
      limitName: "registryMebibytes",
      mostBytes: registryMebibytes * MIB * part,
      sentence:
        `The tracker's registry holds ${registryMebibytes * part} MiB, its limit${forNew}; ` +
        "ask the tracker's operator to remove unused accounts, or to raise the limit registryMebibytes.",
    },
  ];
  return quotas.filter(({ total }) => total !== accountTotals.bytes("") && total !== networkTotals.bytes(""));
}
