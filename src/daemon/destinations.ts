// Folders that a download may go to, best first: where the group's earlier downloads are, then those of others, then the daemon's
// own folder. Each with the room that it has.
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { DownloadStatus } from "../client/status.ts";
import { freeBytes } from "../net/free-space.ts";
import type { Destination } from "./status-schemas.ts";

/** Folders that are suggested. */
const MOST_SUGGESTED = 8;

export interface DestinationOptions {
  readonly groupId: string;
  readonly lengthBytes: number;
  /** All downloads of the account, oldest first. */
  readonly downloads: readonly DownloadStatus[];
  /** The daemon's setting; it is made when it is used. */
  readonly folder: string;
  /** Whether the caller may have a path. */
  readonly isAllowed: (path: string) => boolean;
}

export async function destinationsFor(options: DestinationOptions): Promise<Destination[]> {
  const { groupId, lengthBytes, downloads, folder, isAllowed } = options;
  const latestFirst = downloads.toReversed();
  const ofGroup = latestFirst.filter((download) => download.groupId === groupId);
  const used = new Set([...ofGroup, ...latestFirst].map(({ destinationPath }) => dirname(destinationPath)));
  const suggested: Destination[] = [];
  for (const path of new Set([...used, folder])) {
    if (suggested.length === MOST_SUGGESTED) break;
    if (!isAllowed(path)) continue;
    const disk = await diskOf(path, path === folder);
    if (disk === undefined) continue;
    const promisedBytes = await promisedOn(disk.dev, downloads);
    suggested.push({
      path,
      freeBytes: disk.freeBytes,
      usedBefore: used.has(path),
      fits: disk.freeBytes - promisedBytes >= lengthBytes,
    });
  }
  return suggested;
}

/** Where downloads go if nothing else is said. */
export function defaultFolder(home = homedir()): string {
  return join(home, "miniTorrent");
}

/** @param isToBeMade a folder that is not there is on the disk of the one that it will be in */
async function diskOf(
  path: string,
  isToBeMade: boolean,
): Promise<{ dev: number; freeBytes: number } | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory() === true) {
    const room = await freeBytes(path).catch(() => undefined);
    return room === undefined ? undefined : { dev: stats.dev, freeBytes: room };
  }
  const parent = dirname(path);
  return isToBeMade && stats === undefined && parent !== path ? diskOf(parent, true) : undefined;
}

/** What running downloads are still to write to that disk. */
async function promisedOn(dev: number, downloads: readonly DownloadStatus[]): Promise<number> {
  let promisedBytes = 0;
  for (const { state, destinationPath, lengthBytes, bytesVerified } of downloads) {
    if (state !== "downloading") continue;
    const stats = await stat(dirname(destinationPath)).catch(() => undefined);
    if (stats?.dev === dev) promisedBytes += lengthBytes - bytesVerified;
  }
  return promisedBytes;
}
