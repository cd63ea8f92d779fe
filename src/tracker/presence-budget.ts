// How much of what clients announce one tracker keeps in memory: for a client, an account, and in total, so that no product
// of limits fills it. A part in a torrent is about 200 bytes, one that waits about 250.
import type { PresentClient } from "./swarm-peers.ts";

export interface PresenceBudget {
  /** Torrents that one client may have a part in at a time. */
  readonly perClient: number;
  /** Of all clients of an account that are connected to this tracker together: two that have all of a large group. */
  readonly perAccount: number;
  /** From that many in total on, an account may have `perAccountWhenCrowded`: nobody is kept out by a few. */
  readonly crowded: number;
  readonly perAccountWhenCrowded: number;
  /** In total, those that other trackers tell of included: 10,000 clients with 100 each, twice, as in a failover. */
  readonly total: number;
  /** Clients that one other tracker may tell of; it serves 15,000 (server.ts). */
  readonly clientsPerTracker: number;
  /** Announced torrents that a client may have waiting until their row, or its membership, is heard of. */
  readonly waitingPerClient: number;
  readonly waitingPerAccount: number;
  readonly waitingTotal: number;
}

export const DEFAULT_PRESENCE_BUDGET: PresenceBudget = {
  perClient: 100_000,
  perAccount: 200_000,
  crowded: 1_000_000,
  perAccountWhenCrowded: 1_000,
  total: 2_000_000,
  clientsPerTracker: 20_000,
  waitingPerClient: 1_000,
  waitingPerAccount: 2_000,
  waitingTotal: 50_000,
};

/** What an account has of it. */
export interface AccountShare {
  readonly clients: Set<PresentClient>;
  /** Parts of its clients at this tracker; another tracker counts its own. */
  localParts: number;
  waiting: number;
}

/** Undefined if the client may have a part more; otherwise why not, for a person. */
export function refusalOf(
  budget: PresenceBudget,
  client: PresentClient,
  account: AccountShare,
  total: number,
): string | undefined {
  const { perClient, perAccount, perAccountWhenCrowded } = budget;
  if (client.partCount >= perClient) {
    return `A client can take part in ${perClient} torrents at a time; stop sharing some files.`;
  }
  if (total >= budget.total) {
    return `This tracker is at its limit of ${budget.total} announced torrents; try again later.`;
  }
  if (!client.isLocal || account.localParts < perAccountWhenCrowded) return undefined;
  if (account.localParts >= perAccount) {
    return `The clients of an account can take part in ${perAccount} torrents in total; stop sharing some files.`;
  }
  if (total < budget.crowded) return undefined;
  return `The tracker is crowded, so an account can take part in ${perAccountWhenCrowded} torrents; the others are not announced until it is less busy.`;
}
