// Who pays for a row: the account that brought it, and the network that account came from. Stands in the row itself, so
// that every tracker counts the same rows for the same ones, tombstones too. The quotas are in quotas.ts.
import { createHash } from "node:crypto";
import { networkOf } from "../api/addresses.ts";
import { type RegistryRecord, recordKey } from "./registry/registry.ts";

/**
 * A network is kept as 24 bits of its digest: enough to tell networks apart, while each value stands for some 256 of all
 * IPv4 addresses, so that a registry does not say where its users were.
 */
const NETWORK_DIGITS = 6;

export interface Payer {
  /** Empty while the account is being made: its first row is the one that names it. */
  readonly accountId: string;
  /** From `networkIdOf`; empty for what a tracker writes by itself. */
  readonly networkId: string;
}

/** @param host an IP address, as node:net says it */
export function networkIdOf(host: string): string {
  return createHash("sha256").update(networkOf(host)).digest("hex").slice(0, NETWORK_DIGITS);
}

/** As it stands in a row's `paidBy`. */
export function paidBy({ accountId, networkId }: Payer): string {
  return accountId === "" && networkId === "" ? "" : recordKey(accountId, networkId);
}

export function payerOf(row: Pick<RegistryRecord, "kind" | "claimId" | "paidBy">): Payer {
  const [accountId = "", networkId = ""] = (row.paidBy ?? "").split("\u001f");
  return { accountId: accountId === "" && row.kind === "user" ? row.claimId : accountId, networkId };
}
