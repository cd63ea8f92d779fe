// Bounds the announced torrents that one tracker keeps in memory: for each client, each account, and in total. One announced
// torrent of a client takes about 200 bytes, a pending one about 250.
import type { PresentClient } from "./swarm-peers.ts";

export interface PresenceBudget {
  /** Most torrents of one client at a time. */
  readonly perClient: number;
  /** Most torrents of all clients of an account at this tracker: enough for two that share a whole large group. */
  readonly perAccount: number;
  /** From this total on, an account may have only `perAccountWhenCrowded`, so that a few accounts do not use up the total. */
  readonly crowded: number;
  readonly perAccountWhenCrowded: number;
  /** Most in total, including those at other trackers: 10,000 clients with 100 each, twice, as in a failover. */
  readonly total: number;
  /** Most clients of one other tracker; it serves 15,000 (server.ts). */
  readonly clientsPerTracker: number;
  /** Most announced torrents of a client that wait for their row or for its membership to replicate. */
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

/** An account's usage. */
export interface AccountShare {
  readonly clients: Set<PresentClient>;
  /** Torrents of its clients at this tracker; each tracker counts its own. */
  localParts: number;
  waiting: number;
}

/** Why the client may not announce another torrent, as a sentence; undefined if it may. */
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
