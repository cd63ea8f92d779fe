// The payer of a row: the account that wrote it, and that account's network. It is stored in the row, so every tracker counts
// a row for the same payer, tombstones included. quotas.ts has the quotas.
import { createHash } from "node:crypto";
import { networkOf } from "../../api/addresses.ts";
import { type RegistryRecord, recordKey } from "../registry/registry.ts";

/**
 * A network is stored as 24 bits of its digest: enough to tell networks apart, while some 256 IPv4 addresses share each
 * value, so that a registry does not reveal its users' addresses.
 */
const NETWORK_DIGITS = 6;

export interface Payer {
  /** Empty while the account is being created. */
  readonly accountId: string;
  /** From `networkIdOf`; empty for rows that a tracker writes by itself. */
  readonly networkId: string;
}

/** @param host an IP address, as node:net reports it */
export function networkIdOf(host: string): string {
  return createHash("sha256").update(networkOf(host)).digest("hex").slice(0, NETWORK_DIGITS);
}

/** The form stored in a row's `paidBy`. */
export function paidBy({ accountId, networkId }: Payer): string {
  return accountId === "" && networkId === "" ? "" : recordKey(accountId, networkId);
}

export function payerOf(row: Pick<RegistryRecord, "kind" | "claimId" | "paidBy">): Payer {
  const [accountId = "", networkId = ""] = (row.paidBy ?? "").split("\u001f");
  return { accountId: accountId === "" && row.kind === "user" ? row.claimId : accountId, networkId };
}
