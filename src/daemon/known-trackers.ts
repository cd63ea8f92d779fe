// The trackers of the daemon's client: those of the setting, or else the list that was used last. It is kept in the data directory,
// in the form of tracker_info.txt, so that the next start needs no setting.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TrackerAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { formatTrackerInfo, parseTrackerInfo } from "../api/tracker-list.ts";
import type { Client } from "../client/client.ts";
import { writePrivate } from "../identity/private-files.ts";
import { errnoOf } from "../net/errno.ts";

const LIST_FILE = "tracker_info.txt";

export class KnownTrackers {
  readonly #path: string;
  readonly #isGiven: boolean;
  #list: readonly TrackerAddress[];

  /**
   * @param given the list of the setting; undefined: there is no such setting
   * @throws MiniTorrentError INVALID_TRACKER_INFO if the kept list is damaged; DISK_FAILED
   */
  constructor(dataDir: string, given: readonly TrackerAddress[] | undefined) {
    this.#path = join(dataDir, LIST_FILE);
    this.#isGiven = given !== undefined;
    this.#list = given ?? readKept(this.#path);
    if (given !== undefined) this.#keep(formatTrackerInfo(given));
  }

  /** Empty until the daemon is told. */
  get list(): readonly TrackerAddress[] {
    return this.#list;
  }

  /**
   * Uses that list from now on, also after a restart.
   *
   * @throws MiniTorrentError INVALID_ARGUMENT if a setting has the list; ALREADY_LOGGED_IN; DISK_FAILED
   */
  change(client: Pick<Client, "useTrackers">, trackers: readonly TrackerAddress[]): void {
    if (this.#isGiven) {
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        "The daemon has its trackers from the setting 'trackers' (--trackers, MINITORRENT_TRACKERS or daemon.conf): change them there, or start it without that setting.",
      );
    }
    const text = formatTrackerInfo(trackers);
    if (text === formatTrackerInfo(this.#list)) return;
    client.useTrackers(trackers);
    this.#list = trackers;
    this.#keep(text);
  }

  #keep(text: string): void {
    try {
      writePrivate(this.#path, text);
    } catch (error) {
      throw unusable(this.#path, error);
    }
  }
}

function readKept(path: string): readonly TrackerAddress[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw unusable(path, error);
  }
  return parseTrackerInfo(text, path);
}

function unusable(path: string, error: unknown): MiniTorrentError {
  return new MiniTorrentError("DISK_FAILED", `The trackers cannot be kept in ${path}: ${String(error)}.`, {
    cause: error,
  });
}
