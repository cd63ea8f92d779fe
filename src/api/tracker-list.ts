// The text of tracker_info.txt: one tracker a line, `ip:port` or `ip port`, optionally followed by the fingerprint that pins it. The
// port may also stand in the line below its ip, as other programs that read such a file write it.
// Every wrong form is answered with the line it stands in, what was found there and what is expected.

import { isIPv6 } from "node:net";
import {
  type Address,
  canonicalHost,
  checkHost,
  formatAddress,
  ifPortIsMissing,
  parseAddress,
  parsePort,
  type TrackerAddress,
} from "./addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "./errors.ts";

/** What a line looks like, for error messages. */
export const EXPECTED_LINE = "expected is IP:PORT or 'IP PORT', then nothing or sha256:<64 hex digits>";
/** Every write waits for all of them, and every answer about them has room for so many. */
const MAX_TRACKERS = 100;
/** Longest piece of a wrong line that an error repeats, in characters. */
const MAX_QUOTED_CHARACTERS = 60;

/**
 * @param fileName how errors call the text
 * @throws MiniTorrentError INVALID_TRACKER_INFO
 */
export function parseTrackerInfo(text: string, fileName: string): readonly TrackerAddress[] {
  const trackers: TrackerAddress[] = [];
  const lineOfAddress = new Map<string, number>();
  for (const { number, line } of entriesOf(text)) {
    const place = `${fileName}, line ${number}`;
    const tracker = parseLine(line, place);
    const name = formatAddress({ host: canonicalHost(tracker.host), port: tracker.port });
    const earlierLine = lineOfAddress.get(name);
    if (earlierLine !== undefined) {
      throw wrongTrackerInfo(
        `${place}: ${name} stands in line ${earlierLine} already; each tracker is listed once.`,
      );
    }
    if (trackers.length === MAX_TRACKERS) {
      throw wrongTrackerInfo(
        `${place}: the file lists more than ${MAX_TRACKERS} trackers, and each of them connects to all others; keep at most ${MAX_TRACKERS}.`,
      );
    }
    lineOfAddress.set(name, number);
    trackers.push(tracker);
  }
  if (trackers.length === 0)
    throw wrongTrackerInfo(`${fileName} lists no tracker; ${EXPECTED_LINE}, one tracker a line.`);
  return trackers;
}

interface Entry {
  /** Of its first line, from 1. */
  readonly number: number;
  readonly line: string;
}

/** What stands in the lines, without comments; a host and the port in the line below it are one entry. */
function entriesOf(text: string): Entry[] {
  const lines = text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\n|\r/)
    .map((line, index) => ({ number: index + 1, line: line.replace(/(^|\s)#.*$/, "").trim() }))
    .filter(({ line }) => line !== "");
  const entries: Entry[] = [];
  for (const entry of lines) {
    const before = entries.at(-1);
    if (before !== undefined && isHostAlone(before.line) && /^\d+(\s|$)/.test(entry.line)) {
      entries[entries.length - 1] = { number: before.number, line: `${before.line} ${entry.line}` };
    } else entries.push(entry);
  }
  return entries;
}

function isHostAlone(line: string): boolean {
  return !/\s/.test(line) && !hasPort(line) && !/^\d+$/.test(line);
}

/**
 * The number of a tracker in the file; the first has number 1.
 *
 * @throws MiniTorrentError INVALID_TRACKER_INFO
 */
export function parseTrackerNumber(
  text: string,
  trackers: readonly TrackerAddress[],
  fileName: string,
): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > trackers.length) {
    const range =
      trackers.length === 1
        ? "one tracker, so tracker_no is 1"
        : `${trackers.length} trackers, so tracker_no is 1 to ${trackers.length}`;
    throw wrongTrackerInfo(`'${quoted(text)}' is not the number of a tracker: ${fileName} lists ${range}.`);
  }
  return number;
}

function parseLine(line: string, place: string): TrackerAddress {
  const words = line.split(/\s+/);
  const first = words[0] ?? "";
  const isApart = words.length > 1 && !isPin(words[1]) && !hasPort(first);
  const rest = words.slice(isApart ? 2 : 1);
  try {
    const address = isApart ? parseApart(first, words[1] ?? "") : parseAddress(first);
    checkIsOneMachine(address);
    if (rest.length === 0) return address;
    return { ...address, fingerprint: parsePin(rest) };
  } catch (error) {
    const { message } = asMiniTorrentError(error);
    const withPort = words.length === 1 ? ifPortIsMissing(first) : undefined;
    if (withPort !== undefined)
      throw wrongTrackerInfo(`${place}: the port is missing; write ${withPort}.`, error);
    throw wrongTrackerInfo(
      `${place}: '${quoted(line)}' is not understood: ${message} In each line, ${EXPECTED_LINE}.`,
      error,
    );
  }
}

/** Addresses that can be written, but that no tracker has. @throws MiniTorrentError INVALID_TRACKER_INFO */
function checkIsOneMachine({ host, port }: Address): void {
  const address = canonicalHost(host);
  if (address === "0.0.0.0" || address === "::") {
    throw wrongTrackerInfo(
      `${host} stands for all addresses of a machine, and clients cannot tell of which one: write the tracker's own address, such as 192.168.1.5:${port}, or 127.0.0.1:${port} if all run on one machine.`,
    );
  }
  if (/^(22[4-9]|23\d)\.|^255\.255\.255\.255$/.test(address) || /^ff[0-9a-f]{2}:/.test(address)) {
    throw wrongTrackerInfo(
      `${host} is a multicast or broadcast address, which no single machine has: write the tracker's own.`,
    );
  }
}

function hasPort(word: string): boolean {
  return /^\[.*\]:/.test(word) || (!isIPv6(word) && !word.startsWith("[") && word.includes(":"));
}

function isPin(word: string | undefined): boolean {
  return word !== undefined && /^sha-?256\b/i.test(word);
}

function parseApart(hostText: string, portText: string): { host: string; port: number } {
  const bracketed = /^\[(.*)\]$/.exec(hostText);
  const host = bracketed?.[1] ?? hostText;
  checkHost(host, bracketed !== null);
  return { host, port: parsePort(portText) };
}

function parsePin(words: readonly string[]): string {
  const [pin = "", surplus] = words;
  const digits = /^sha256:([0-9a-f]{64})$/i.exec(pin)?.[1];
  if (digits === undefined) {
    throw wrongTrackerInfo(
      `'${quoted(pin)}' is not a fingerprint: sha256: and 64 hex digits, as the tracker prints it.`,
    );
  }
  if (surplus !== undefined)
    throw wrongTrackerInfo(`nothing may follow the fingerprint, but '${quoted(surplus)}' does.`);
  return digits.toLowerCase();
}

function quoted(text: string): string {
  return text.length <= MAX_QUOTED_CHARACTERS ? text : `${text.slice(0, MAX_QUOTED_CHARACTERS)}…`;
}

/** @returns the error for a list that cannot be used */
export function wrongTrackerInfo(sentence: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("INVALID_TRACKER_INFO", sentence, { cause });
}

/** The text that lists these trackers, a line each. `parseTrackerInfo` reads it back. */
export function formatTrackerInfo(trackers: readonly TrackerAddress[]): string {
  return trackers
    .map((tracker) => {
      const pin = tracker.fingerprint === undefined ? "" : ` sha256:${tracker.fingerprint}`;
      return `${formatAddress(tracker)}${pin}\n`;
    })
    .join("");
}
