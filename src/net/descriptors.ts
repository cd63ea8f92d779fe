// How many files and sockets the system lets this process have open at once, and how they are divided.

import { MiniTorrentError } from "../api/errors.ts";
import { errnoOf } from "./errno.ts";

/** Descriptors that are always open: 38 measured in a running client, 37 in a tracker; 12 more for dialling trackers, name look-ups and the log. */
const RESERVED = 52;
/** Most descriptors of one file: its folder is opened as well when it gets its name. */
const PER_FILE = 2;
/** Files' share of the unreserved descriptors. It is small, since a closed file is quickly opened again, and a connection is not. */
const SHARE_OF_FILES = 1 / 3;
const MOST_FILES = 512;
const LEAST_FILES = 4;
const LEAST_CONNECTIONS = 8;
/** The least with which a client, or a tracker, can do its work. */
const LEAST_DESCRIPTORS = RESERVED + PER_FILE * LEAST_FILES + LEAST_CONNECTIONS;
/** Assumed where the system has no limit, or does not report it. */
const UNKNOWN_LIMIT = 8_192;
const RECOMMENDED = 4_096;

export interface Descriptors {
  /** All that the process may have open. */
  readonly limit: number;
  /** Most files of shares and downloads that are open at once. */
  readonly files: number;
  /** Most connections to peers, in both directions together. */
  readonly connections: number;
}

/** What `ulimit -n` is for this process: Node raises the soft limit to the hard one when it starts. */
export function descriptorLimit(): number {
  const report: { userLimits?: { open_files?: { soft?: unknown } } } = process.report.getReport();
  const soft = report.userLimits?.open_files?.soft;
  return typeof soft === "number" ? soft : UNKNOWN_LIMIT;
}

/** @throws MiniTorrentError LIMIT_REACHED for fewer than a client needs */
export function divideDescriptors(limit: number): Descriptors {
  if (limit < LEAST_DESCRIPTORS) {
    throw new MiniTorrentError(
      "LIMIT_REACHED",
      `The system lets this program open ${limit} files and connections, and it needs ${LEAST_DESCRIPTORS}: ${remedy()}.`,
    );
  }
  const free = limit - RESERVED;
  const files = Math.min(MOST_FILES, Math.max(LEAST_FILES, Math.floor((free * SHARE_OF_FILES) / PER_FILE)));
  return { limit, files, connections: free - PER_FILE * files };
}

/** Most connections of a tracker, which has no files to share. @throws MiniTorrentError LIMIT_REACHED for too few */
export function connectionsOfTracker(limit: number): number {
  const { connections, files } = divideDescriptors(limit);
  return connections + PER_FILE * files;
}

/** For an operator's log. */
export function connectionsRefused(limit: number): string {
  return `connections are refused: the system lets this tracker open ${limit} files and connections, all of which are taken; ${remedy()}`;
}

/** For a notice to the user. */
export function connectionsTaken({ limit, connections }: Descriptors): string {
  return `All ${connections} connections to peers that the system's limit of ${limit} open files allows are in use, so other peers wait: ${remedy()}.`;
}

/** Why a file or connection cannot be opened, with the remedy, as the end of a sentence; undefined for other errors. */
export function descriptorProblem(error: unknown): string | undefined {
  switch (errnoOf(error)) {
    case "EMFILE":
      return `this program has as many files and connections open as the system allows: ${remedy()}`;
    case "ENFILE":
      return "the machine has as many files and connections open as it allows: close programs, then try again";
    default:
      return undefined;
  }
}

function remedy(): string {
  return `raise it with \`ulimit -n ${RECOMMENDED}\`, then start the program again`;
}
