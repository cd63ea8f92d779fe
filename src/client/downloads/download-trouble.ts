// Errors of a download that may pass: which ones are retried, after how long, and what the user is told.
import { dirname } from "node:path";
import type { ErrorCode, MiniTorrentError } from "../../api/errors.ts";
import { freeBytes } from "../../net/free-space.ts";
import { noRoom } from "../../storage/disk-errors.ts";

/** A look at whether there is room, or a folder, costs nothing. */
const CHEAP_RETRY_MS = 2_000;
/** Other errors are retried after the first of these times, doubled each time up to the last. */
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 60_000;
const CHEAP_TO_RETRY: ReadonlySet<ErrorCode> = new Set([
  "DISK_FULL",
  "DESTINATION_UNUSABLE",
  "TRACKERS_UNREACHABLE",
  "TRACKERS_UNKNOWN",
]);
/** A failing disk, a part file that somebody removed, moved or cut short: it may be otherwise the next time. */
const DEAR_TO_RETRY: ReadonlySet<ErrorCode> = new Set(["DISK_FAILED", "FILE_CHANGED", "FILE_NOT_FOUND"]);

export class DownloadTrouble {
  #attempts = 0;
  #told: string | undefined;

  /** When to retry, in ms from now; undefined if the user has to act. */
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

  /** The download makes progress again. */
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
  const room = await freeBytes(dirname(path)).catch(() => Number.POSITIVE_INFINITY);
  // With room enough it is a quota that is met, or somebody has freed some meanwhile.
  return room < missingBytes ? noRoom(path, room, missingBytes) : error;
}
