// How much room a disk has for a file, and the sentence for a file that needs more.
import { dirname } from "node:path";
import { MiniTorrentError } from "../api/errors.ts";
import { freeBytes } from "../net/free-space.ts";

const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"] as const;

/** Free space on the disk of that path, in bytes. A quota is not included: the system reports it only once it is reached. */
export function roomBytes(path: string): Promise<number> {
  return freeBytes(dirname(path));
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

/** Rounded up, so that freeing this much is enough. */
function amount(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const scaled = bytes / 1000 ** power;
  return `${power === 0 || scaled >= 100 ? Math.ceil(scaled) : Math.ceil(scaled * 10) / 10} ${UNITS[power]}`;
}
