// Reads tracker_info.txt. What its lines may be is in api/tracker-list.ts.

import { closeSync, openSync, readSync } from "node:fs";
import type { TrackerAddress } from "../api/addresses.ts";
import { asMiniTorrentError, type MiniTorrentError } from "../api/errors.ts";
import { EXPECTED_LINE, parseTrackerInfo, wrongTrackerInfo } from "../api/tracker-list.ts";
import { errnoOf } from "../net/errno.ts";
import { readProblem } from "../storage/disk-errors.ts";

/** What somebody would ever write by hand fits many times; a film given by mistake does not. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads the file with the trackers' addresses.
 *
 * @throws MiniTorrentError INVALID_TRACKER_INFO, which names the file, the line and the remedy
 */
export function readTrackerInfo(path: string): readonly TrackerAddress[] {
  let bytes: Buffer;
  try {
    bytes = readStart(path, MAX_FILE_BYTES + 1);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (bytes.length > MAX_FILE_BYTES) {
    throw wrongTrackerInfo(
      `${path} has more than ${MAX_FILE_BYTES} bytes: that is no list of trackers; ${EXPECTED_LINE}, one tracker a line.`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw wrongTrackerInfo(
      `${path} is not a text file in UTF-8; ${EXPECTED_LINE}, one tracker a line.`,
      error,
    );
  }
  return parseTrackerInfo(text, path);
}

/** The first bytes of a file, which may be a device or a film of any length. */
function readStart(path: string, mostBytes: number): Buffer {
  const bytes = Buffer.alloc(mostBytes);
  const file = openSync(path, "r");
  try {
    let filled = 0;
    for (let read = -1; read !== 0 && filled < mostBytes; filled += read) {
      read = readSync(file, bytes, filled, mostBytes - filled, null);
    }
    return bytes.subarray(0, filled);
  } finally {
    closeSync(file);
  }
}

function unreadable(path: string, error: unknown): MiniTorrentError {
  const code = errnoOf(error);
  switch (code) {
    case "ENOENT":
      return wrongTrackerInfo(
        `There is no file ${path}: make one with the address of a tracker in each line.`,
        error,
      );
    case "EISDIR":
      return wrongTrackerInfo(
        `${path} is a folder: a text file with the address of a tracker in each line is expected.`,
        error,
      );
    case "EACCES":
      return wrongTrackerInfo(`${path} may not be read: its permissions forbid it.`, error);
    default:
      return wrongTrackerInfo(
        `${path} cannot be read: ${readProblem(error) ?? asMiniTorrentError(error).message}.`,
        error,
      );
  }
}
