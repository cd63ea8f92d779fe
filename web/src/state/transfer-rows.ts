// The rows of the transfers: each download, and each share of this machine, as one entry with one state; which filter shows it,
// in which order they stand, and what can be done with several. Pure.
import type { DownloadStatus, ShareStatus } from "../../../src/client/status.ts";

export type TransferState =
  /** Something arrives. */
  | "moving"
  /** Peers are looked for, or are about to send. */
  | "starting"
  /** Nothing arrives, and the daemon says why. */
  | "stuck"
  | "checking"
  | "paused"
  | "failed"
  /** Downloaded. */
  | "complete"
  /** Shared from this machine. */
  | "shared"
  /** A share that waits for a tracker. */
  | "share-waits"
  /** A share that is not as it was shared. */
  | "share-unusable";

export interface TransferRow {
  readonly key: string;
  readonly groupId: string;
  readonly fileName: string;
  /** Of its name, to sort by. */
  readonly sortKey: string;
  readonly state: TransferState;
  readonly isFolder: boolean;
  readonly fileCount: number | undefined;
  readonly lengthBytes: number;
  readonly bytesVerified: number;
  readonly downRate: number;
  readonly upRate: number;
  /** The estimate of the daemon; undefined while nothing moves. */
  readonly secondsLeft: number | undefined;
  /** Why it stands still, as the daemon says it; undefined if it does not. */
  readonly reason: string | undefined;
  /** Members' devices connected for it. */
  readonly peerCount: number;
  readonly download: DownloadStatus | undefined;
  readonly share: ShareStatus | undefined;
}

/** A download, a share, or both under one name: what was downloaded here is shared from here. */
export function transferRow(
  key: string,
  download: DownloadStatus | undefined,
  share: ShareStatus | undefined,
): TransferRow | undefined {
  if (download !== undefined) return downloadRow(key, download, share);
  if (share === undefined) return undefined;
  const states = { served: "shared", waiting: "share-waits", unusable: "share-unusable" } as const;
  return {
    key,
    groupId: share.groupId,
    fileName: share.fileName,
    sortKey: sortKey(share.fileName),
    state: states[share.state],
    isFolder: share.fileCount !== undefined,
    fileCount: share.fileCount,
    lengthBytes: share.lengthBytes,
    bytesVerified: share.lengthBytes,
    downRate: 0,
    upRate: share.uploadBytesPerSecond ?? 0,
    secondsLeft: undefined,
    reason: share.reason,
    peerCount: share.peerCount,
    download: undefined,
    share,
  };
}

function downloadRow(key: string, download: DownloadStatus, share: ShareStatus | undefined): TransferRow {
  const isRunning = download.state === "downloading";
  const upOfDownload = isRunning ? (download.uploadBytesPerSecond ?? 0) : 0;
  return {
    key,
    groupId: download.groupId,
    fileName: download.fileName,
    sortKey: sortKey(download.fileName),
    state: stateOf(download),
    isFolder: download.folder !== undefined,
    fileCount: download.folder?.fileCount,
    lengthBytes: download.lengthBytes,
    bytesVerified: download.bytesVerified,
    downRate: isRunning ? download.rateBytesPerSecond : 0,
    upRate: upOfDownload + (share?.uploadBytesPerSecond ?? 0),
    secondsLeft: isRunning ? download.secondsLeft : undefined,
    reason: reasonOf(download),
    peerCount: isRunning ? download.peerCount : (share?.peerCount ?? 0),
    download,
    share,
  };
}

function stateOf(download: DownloadStatus): TransferState {
  switch (download.state) {
    case "downloading":
      if (download.waitingFor !== undefined) return "stuck";
      return download.rateBytesPerSecond > 0 ? "moving" : "starting";
    case "verifying":
      return "checking";
    default:
      return download.state;
  }
}

function reasonOf(download: DownloadStatus): string | undefined {
  if (download.state === "downloading") return download.waitingFor;
  return download.state === "paused" || download.state === "failed" ? download.reason : undefined;
}

/** It stands still against the person's will, and its row says why. */
export function isStuck({ state, reason }: Pick<TransferRow, "state" | "reason">): boolean {
  if (state === "paused") return reason !== undefined;
  return state === "stuck" || state === "failed" || state === "share-unusable" || state === "share-waits";
}

export const FILTERS = ["all", "active", "stuck", "paused", "complete", "shared"] as const;
export type TransferFilter = (typeof FILTERS)[number];

export function isIn(row: TransferRow, filter: TransferFilter): boolean {
  switch (filter) {
    case "all":
      return true;
    case "active":
      return isActive(row);
    case "stuck":
      return isStuck(row);
    case "paused":
      return row.state === "paused";
    case "complete":
      return row.state === "complete";
    case "shared":
      return row.share !== undefined;
  }
}

function isActive({ state, upRate }: TransferRow): boolean {
  return state === "moving" || state === "starting" || state === "checking" || upRate > 0;
}

export function filterCounts(rows: Iterable<TransferRow>): Record<TransferFilter, number> {
  const counts = { all: 0, active: 0, stuck: 0, paused: 0, complete: 0, shared: 0 };
  for (const row of rows) for (const filter of FILTERS) if (isIn(row, filter)) counts[filter]++;
  return counts;
}

export const ORDERS = ["state", "left", "name", "size", "group"] as const;
export type TransferOrder = (typeof ORDERS)[number];

/** What moves first, then what needs a person, then the rest; what is done last. */
const RANKS: Readonly<Record<TransferState, number>> = {
  moving: 0,
  starting: 0,
  checking: 0,
  failed: 1,
  stuck: 1,
  "share-unusable": 1,
  paused: 2,
  "share-waits": 3,
  complete: 4,
  shared: 5,
};

/** For comparing code unit by code unit, which is ten times as fast as a collator: numbers by their value, letters by their base. */
function sortKey(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/\d+/g, (digits) => digits.padStart(12, "0"));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const byName = (a: TransferRow, b: TransferRow) => compare(a.sortKey, b.sortKey) || compare(a.key, b.key);

/**
 * Orders by facts that change rarely, so that rows do not change places while they move.
 *
 * @param leftOf the time left that is shown, in seconds
 */
export function ordered(
  rows: readonly TransferRow[],
  order: TransferOrder,
  leftOf: (row: TransferRow) => number | undefined,
): TransferRow[] {
  const finished = ({ download }: TransferRow) =>
    download?.state === "complete" ? (download.finishedAtMs ?? 0) : 0;
  const left = (row: TransferRow) => leftOf(row) ?? Number.POSITIVE_INFINITY;
  const difference = (a: number, b: number) => (a === b ? 0 : a - b);
  switch (order) {
    case "state":
      return rows.toSorted(
        (a, b) => RANKS[a.state] - RANKS[b.state] || finished(b) - finished(a) || byName(a, b),
      );
    case "left":
      return rows.toSorted(
        (a, b) => difference(left(a), left(b)) || RANKS[a.state] - RANKS[b.state] || byName(a, b),
      );
    case "name":
      return rows.toSorted(byName);
    case "size":
      return rows.toSorted((a, b) => b.lengthBytes - a.lengthBytes || byName(a, b));
    case "group":
      return rows.toSorted((a, b) => compare(a.groupId, b.groupId) || byName(a, b));
  }
}

/** The rows of now in the places that they had, and new ones behind: nothing moves under the pointer. */
export function inPlace(rows: readonly TransferRow[], places: readonly string[]): TransferRow[] {
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const kept = places.flatMap((key) => byKey.get(key) ?? []);
  const known = new Set(places);
  return [...kept, ...rows.filter(({ key }) => !known.has(key))];
}

/** By any part of the name or the group, whatever the case. */
export function found(rows: readonly TransferRow[], text: string): readonly TransferRow[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return rows;
  return rows.filter(
    ({ fileName, groupId }) =>
      fileName.toLowerCase().includes(wanted) || groupId.toLowerCase().includes(wanted),
  );
}

export type BulkAction = "pause" | "resume" | "remove" | "limit" | "stop";

/** What may be done with one row. */
export function canDo({ state, download, share }: TransferRow, action: BulkAction): boolean {
  switch (action) {
    case "pause":
      return state === "moving" || state === "starting" || state === "stuck";
    case "resume":
      return state === "paused" || state === "failed";
    case "remove":
      return download !== undefined && download.state !== "verifying";
    case "limit":
      return isConnected({ state, share });
    case "stop":
      return share !== undefined;
  }
}

/** Its new versions are fetched by themselves. */
export function isFollowed({ download }: Pick<TransferRow, "download">): boolean {
  return download?.folder?.isFollowed ?? download?.isFollowed ?? false;
}

/** It takes part in its swarm: what is paused or failed has no peers, and no limits. */
export function isConnected({ state, share }: Pick<TransferRow, "state" | "share">): boolean {
  return state === "moving" || state === "starting" || state === "stuck" || share?.state === "served";
}

export interface Totals {
  readonly count: number;
  readonly active: number;
  readonly down: number;
  readonly up: number;
  readonly lengthBytes: number;
}

export function totalsOf(rows: Iterable<TransferRow>): Totals {
  let [count, active, down, up, lengthBytes] = [0, 0, 0, 0, 0];
  for (const row of rows) {
    count++;
    if (row.state === "moving" || row.state === "starting" || row.state === "checking") active++;
    down += row.downRate;
    up += row.upRate;
    lengthBytes += row.lengthBytes;
  }
  return { count, active, down, up, lengthBytes };
}

/** A name in two parts, of which the first may be shortened: a name never loses its ending. */
export function nameParts(name: string): readonly [begin: string, ending: string] {
  const match = /(\.tar)?\.[^.\s/]{1,8}$/i.exec(name);
  return match === null || match.index === 0 ? [name, ""] : [name.slice(0, match.index), match[0]];
}
