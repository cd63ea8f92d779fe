// What a tracker's registry keeps count of: for status, and for the limits of accounts (account-limits.ts). The kinds
// of rows and their values are in registry/record-values.ts.

import type {
  FileValue,
  GroupValue,
  InfoPartValue,
  InviteValue,
  MembershipValue,
  TorrentValue,
} from "../registry/record-values.ts";
import type { RecordKind, TotalsOf } from "../registry/registry.ts";
import { payerOf } from "./quota-payers.ts";

/** Claims that are live. One that lost its name counts until the tracker that made it has ended it. */
export const claimTotals = { user: "users", group: "groups", file: "files" } as const;

/** Totals of one account. */
export const accountTotals = {
  /** Groups that it owns. */
  groups: (accountId: string) => `groups of ${accountId}`,
  /** Files that it was the first to share and that are still offered. */
  files: (accountId: string) => `files of ${accountId}`,
  /** Requests to join that wait for an owner. */
  requests: (accountId: string) => `requests of ${accountId}`,
  /** Invites that it made, while their rows are kept. */
  invites: (accountId: string) => `invites of ${accountId}`,
  /** Characters of the info dictionaries and their parts that it wrote, while their rows are kept. */
  metainfo: (accountId: string) => `metainfo of ${accountId}`,
  /** Bytes of its rows on disk, tombstones included. */
  bytes: (accountId: string) => `bytes of ${accountId}`,
  rows: (accountId: string) => `rows of ${accountId}`,
} as const;

/** The total that counts the accounts that used an invite. */
export function inviteUses(groupClaimId: string, inviteId: string): string {
  return `uses of ${inviteId} in ${groupClaimId}`;
}

/** Totals of one network (quota-payers.ts). */
export const networkTotals = {
  /** Bytes on disk of the rows from that network, tombstones included. */
  bytes: (networkId: string) => `bytes from ${networkId}`,
} as const;

/** Bytes of all rows, tombstones included. */
export const registryTotals = { bytes: "bytes", rows: "rows" } as const;

export const totalsOf: TotalsOf = (row, sizeBytes) => {
  const { kind, key, value } = row;
  const { accountId, networkId } = payerOf(row);
  const totals: Record<string, number> = { [registryTotals.bytes]: sizeBytes, [registryTotals.rows]: 1 };
  if (accountId !== "") {
    totals[accountTotals.bytes(accountId)] = sizeBytes;
    totals[accountTotals.rows(accountId)] = 1;
  }
  if (networkId !== "") totals[networkTotals.bytes(networkId)] = sizeBytes;
  // A row may come from another tracker: a malformed one counts only by its size, and breaks nothing.
  if (typeof value !== "object" || value === null) return totals;
  return Object.assign(totals, byKind[kind]?.(value, key));
};

const byKind: Partial<Record<RecordKind, (value: object, key: string) => Record<string, number>>> = {
  user: () => ({ [claimTotals.user]: 1 }),
  group: ({ ownerAccountId }: Partial<GroupValue>) => ({
    [claimTotals.group]: 1,
    [accountTotals.groups(ownerAccountId ?? "")]: 1,
  }),
  file: ({ sharedByAccountId }: Partial<FileValue>) =>
    // Nobody's: its last sharer stopped.
    sharedByAccountId === "" ? {} : fileTotals(sharedByAccountId ?? ""),
  membership: ({ state }: Partial<MembershipValue>, key) =>
    state === "requested" ? { [accountTotals.requests(key.split("\u001f")[1] ?? "")]: 1 } : {},
  invite: ({ createdByAccountId }: Partial<InviteValue>) => ({
    [accountTotals.invites(createdByAccountId ?? "")]: 1,
  }),
  inviteUse: (_, key) => {
    const [groupClaimId = "", inviteId = ""] = key.split("\u001f");
    return { [inviteUses(groupClaimId, inviteId)]: 1 };
  },
  torrent: ({ info, broughtByAccountId }: Partial<TorrentValue>) => ({
    [accountTotals.metainfo(broughtByAccountId ?? "")]: typeof info === "string" ? info.length : 0,
  }),
  infoPart: ({ part }: Partial<InfoPartValue>, key) => ({
    [accountTotals.metainfo(key.split("\u001f")[1] ?? "")]: typeof part === "string" ? part.length : 0,
  }),
};

function fileTotals(accountId: string): Record<string, number> {
  return { [claimTotals.file]: 1, [accountTotals.files(accountId)]: 1 };
}
