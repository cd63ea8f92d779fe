// How much room a disk has for a file, and the sentence for a file that needs more.
import { dirname } from "node:path";
import { formatBytesRoundedUp } from "../api/byte-units.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { freeBytes } from "../net/free-space.ts";

/** Free space on the disk of that path, in bytes. A quota is not included: the system reports it only once it is reached. */
export function roomBytes(path: string): Promise<number> {
  return freeBytes(dirname(path));
}

/** DISK_FULL, with how much is missing. @param otherBytes what other downloads to that disk still need */
export function noRoom(path: string, room: number, neededBytes: number, otherBytes = 0): MiniTorrentError {
  const forOthers =
    otherBytes === 0 ? "" : `, besides ${formatBytesRoundedUp(otherBytes)} for other downloads`;
  return new MiniTorrentError(
    "DISK_FULL",
    `The disk of ${path} has ${formatBytesRoundedUp(room)} left, and ${formatBytesRoundedUp(neededBytes)} are needed${forOthers}: ` +
      `free ${formatBytesRoundedUp(neededBytes + otherBytes - room)}.`,
  );
}
