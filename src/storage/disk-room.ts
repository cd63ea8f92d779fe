// How much room a disk has, and the sentence for who needs more of it.
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";

const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"] as const;

/**
 * What the disk of that path takes from this user, in bytes; Infinity where the file system does not say (some network
 * and user-space ones have no size). A quota is not known of before it is met.
 */
export async function roomBytes(path: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(dirname(path));
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}

/** DISK_FULL, with how much is missing. @param otherBytes what other downloads to that disk still need */
export function noRoom(path: string, room: number, neededBytes: number, otherBytes = 0): MiniTorrentError {
  const forOthers = otherBytes === 0 ? "" : `, besides ${amount(otherBytes)} for other downloads`;
  return new MiniTorrentError(
    "DISK_FULL",
    `The disk of ${path} has ${amount(room)} left, and ${amount(neededBytes)} are needed${forOthers}: ` +
      `free ${amount(neededBytes + otherBytes - room)}.`,
  );
}

/** Rounded up, so that who frees as much as it says has freed enough. */
function amount(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const scaled = bytes / 1000 ** power;
  return `${power === 0 || scaled >= 100 ? Math.ceil(scaled) : Math.ceil(scaled * 10) / 10} ${UNITS[power]}`;
}
