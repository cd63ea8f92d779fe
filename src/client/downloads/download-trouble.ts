// Trouble of a download that may pass: after which errors it is tried again by itself and when, and what the user is told.
import type { ErrorCode, MiniTorrentError } from "../../api/errors.ts";
import { noRoom, roomBytes } from "../../storage/disk-room.ts";

/** A look at whether there is room, or a folder, costs nothing. */
const CHEAP_RETRY_MS = 2_000;
/** The rest is tried after the first of these, then twice as late each time, up to the last. */
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 60_000;
const CHEAP_TO_RETRY: ReadonlySet<ErrorCode> = new Set([
  "DISK_FULL",
  "DESTINATION_UNUSABLE",
  "TRACKERS_UNREACHABLE",
]);
/** A failing disk, a part file that somebody removed, moved or cut short: it may be otherwise the next time. */
const DEAR_TO_RETRY: ReadonlySet<ErrorCode> = new Set(["DISK_FAILED", "FILE_CHANGED", "FILE_NOT_FOUND"]);

export class DownloadTrouble {
  #attempts = 0;
  #told: string | undefined;

  /** When to try again, in ms from now; undefined for what the user has to see to. */
  retryInMs({ code }: MiniTorrentError): number | undefined {
    if (CHEAP_TO_RETRY.has(code)) return CHEAP_RETRY_MS;
    if (!DEAR_TO_RETRY.has(code)) return undefined;
    return Math.min(FIRST_RETRY_MS * 2 ** this.#attempts++, LAST_RETRY_MS);
  }

  /** True if the user has not been told of it: a retry that meets the same trouble is no news. */
  isNews({ code }: MiniTorrentError): boolean {
    const wasTold = this.#told === code;
    this.#told = code;
    return !wasTold;
  }

  /** The download gets on again. */
  isOver(): void {
    this.#attempts = 0;
    this.#told = undefined;
  }
}

/** The error, and of a full disk how much is missing on it. */
export async function explained(
  error: MiniTorrentError,
  path: string,
  missingBytes: number,
): Promise<MiniTorrentError> {
  if (error.code !== "DISK_FULL") return error;
  const room = await roomBytes(path).catch(() => Number.POSITIVE_INFINITY);
  // With room enough it is a quota that is met, or somebody has freed some meanwhile.
  return room < missingBytes ? noRoom(path, room, missingBytes) : error;
}
