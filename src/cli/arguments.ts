// What ./client and ./tracker are started with: options, positions, usage. Reads no file and starts nothing.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Address, formatAddress, parseAddress, type TrackerAddress } from "../api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import { DEFAULT_TRACKER_LIMITS, type TrackerLimits } from "../tracker/tracker-limits.ts";
import { parseRate, parseSize } from "./byte-amounts.ts";
import { expandHome } from "./command-line.ts";
import { DEFAULT_COLUMNS, wrapWords } from "./display-text.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
const TRACKER_LIMIT_NAMES = Object.keys(DEFAULT_TRACKER_LIMITS) as (keyof TrackerLimits)[];
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Lines of a usage: what is typed, and what it does. */
type UsageRows = readonly (readonly [typed: string, meaning: string])[];

const TRACKER_INFO_ROW = [
  "<tracker_info.txt>",
  "the trackers, one a line: IP:PORT, or IP PORT; the port may be on the next line",
] as const;
const CLIENT_USAGE: readonly (string | UsageRows)[] = [
  "Usage: ./client <IP>:<PORT> <tracker_info.txt> [options]",
  [
    [
      "<IP>:<PORT>",
      "where to listen for peers; port 0: any free one. If it is the address of a tracker in the file, that tracker is used first and a free port chosen.",
    ],
    TRACKER_INFO_ROW,
  ],
  "Options",
  [
    ["--data-dir <folder>", "folder for trackers' keys, shares and downloads"],
    [
      "--password-file <f>",
      "a file whose first line is the password for create_user and login without one; it must be readable by you alone",
    ],
    ["--json", "one JSON object a line for each answer and each event; no prompt"],
    ["--timeout <seconds>", "in a script: how long `wait`, and the wait at the end of input, may last"],
    ["--stay", "keep sharing after the end of piped input, until SIGINT or SIGTERM"],
    [
      "--limit-up <rate>, --limit-down <rate>",
      "maximum upload or download rate, such as 500kB/s or 5MB/s; the command limit changes it while the client runs",
    ],
    ["--memory <size>", "maximum memory for pieces in transit, such as 64MiB (default 96MiB)"],
    [
      "--log-level <level>",
      `${LOG_LEVELS.join(", ")}; to stderr, or with a prompt to client.log in the data folder. Without it nothing is logged.`,
    ],
    ["--help, --version", ""],
  ],
];
const TRACKER_USAGE: readonly (string | UsageRows)[] = [
  "Usage: ./tracker <tracker_info.txt> <tracker_no> [options]",
  [TRACKER_INFO_ROW, ["<tracker_no>", "this tracker's number in the file, counted from 1"]],
  "Options",
  [
    ["--data-dir <folder>", "folder for users, groups, files and this tracker's key"],
    [
      "--limit <name>=<n>",
      "what one account, or one address, may have or do; may be given several times. docs/operations.md lists names and defaults.",
    ],
    ["--log-level <level>", `${LOG_LEVELS.join(", ")}; to stderr (default info)`],
    ["--help, --version", ""],
  ],
];
/** Width of the column of what is typed: the longest option. */
const TYPED_COLUMNS = 23;
const MOST_COLUMNS = 100;

/** @param columns width of the terminal; undefined: it is no terminal */
export function clientUsage(columns?: number): string {
  return usageText(CLIENT_USAGE, columns);
}

/** @param columns width of the terminal; undefined: it is no terminal */
export function trackerUsage(columns?: number): string {
  return usageText(TRACKER_USAGE, columns);
}

function usageText(parts: readonly (string | UsageRows)[], columns = DEFAULT_COLUMNS): string {
  const width = Math.min(columns, MOST_COLUMNS);
  const text = (part: string | UsageRows): string =>
    typeof part === "string"
      ? wrapWords(part, width, "", "  ").join("\n")
      : part.flatMap(([typed, meaning]) => usageRow(typed, meaning, width)).join("\n");
  const [usage = "", positions = "", heading = "", options = ""] = parts.map(text);
  return `${usage}\n\n${positions}\n\n${heading}\n${options}`;
}

/** What is typed stands beside its meaning, or above it where there is no room. */
function usageRow(typed: string, meaning: string, width: number): readonly string[] {
  const name = `  ${typed}`;
  if (meaning === "") return [name];
  const indent = " ".repeat(width < DEFAULT_COLUMNS ? 6 : TYPED_COLUMNS);
  if (name.length + 1 >= indent.length) return [name, ...wrapWords(meaning, width, indent)];
  return wrapWords(meaning, width, name.padEnd(indent.length), indent);
}

export interface ClientArguments {
  readonly kind: "run";
  readonly listen: Address;
  readonly trackerInfoPath: string;
  readonly dataDir: string | undefined;
  readonly passwordFile: string | undefined;
  readonly isJson: boolean;
  readonly isStaying: boolean;
  /** Longest wait of `wait` and of the end of a script; undefined: no limit. */
  readonly waitTimeoutMs?: number;
  /** Bytes a second; undefined: no limit. */
  readonly limits: { readonly up: number | undefined; readonly down: number | undefined };
  readonly memoryBytes: number | undefined;
  readonly logLevel: LogLevel | undefined;
}

export interface TrackerArguments {
  readonly kind: "run";
  readonly trackerInfoPath: string;
  readonly trackerNumber: string;
  readonly dataDir: string | undefined;
  readonly limits: Partial<TrackerLimits>;
  readonly logLevel: LogLevel | undefined;
}

export interface AskedForText {
  readonly kind: "help" | "version";
}

const commonOptions = {
  "data-dir": { type: "string" },
  "log-level": { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const;

/** @throws MiniTorrentError USAGE or INVALID_ADDRESS, with what is wrong */
export function parseClientArguments(argv: readonly string[]): ClientArguments | AskedForText {
  const { values, positionals } = understood(() =>
    parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...commonOptions,
        json: { type: "boolean" },
        stay: { type: "boolean" },
        timeout: { type: "string" },
        "password-file": { type: "string" },
        "limit-up": { type: "string" },
        "limit-down": { type: "string" },
        memory: { type: "string" },
      },
    }),
  );
  if (values.help === true) return { kind: "help" };
  if (values.version === true) return { kind: "version" };
  const [address, trackerInfoPath] = exactlyTwo(positionals, "<IP>:<PORT> and <tracker_info.txt>");
  return {
    kind: "run",
    listen: parseAddress(address, true),
    trackerInfoPath: pathGiven("<tracker_info.txt>", trackerInfoPath),
    dataDir: given((path) => pathGiven("--data-dir", path), values["data-dir"]),
    passwordFile: given((path) => pathGiven("--password-file", path), values["password-file"]),
    isJson: values.json === true,
    isStaying: values.stay === true,
    ...(values.timeout === undefined ? {} : { waitTimeoutMs: timeoutMsOf(values.timeout) }),
    limits: { up: given(parseRate, values["limit-up"]), down: given(parseRate, values["limit-down"]) },
    memoryBytes: given(parseSize, values.memory),
    logLevel: given(logLevelOf, values["log-level"]),
  };
}

/** @throws MiniTorrentError USAGE, with what is wrong */
export function parseTrackerArguments(argv: readonly string[]): TrackerArguments | AskedForText {
  const { values, positionals } = understood(() =>
    parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { ...commonOptions, limit: { type: "string", multiple: true } },
    }),
  );
  if (values.help === true) return { kind: "help" };
  if (values.version === true) return { kind: "version" };
  const [trackerInfoPath, trackerNumber] = exactlyTwo(positionals, "<tracker_info.txt> and <tracker_no>");
  return {
    kind: "run",
    trackerInfoPath: pathGiven("<tracker_info.txt>", trackerInfoPath),
    trackerNumber,
    dataDir: given((path) => pathGiven("--data-dir", path), values["data-dir"]),
    limits: limitsOf(values.limit ?? []),
    logLevel: given(logLevelOf, values["log-level"]),
  };
}

/** Index of the tracker that has this address; undefined: none. */
export function trackerAt(address: Address, trackers: readonly TrackerAddress[]): number | undefined {
  const name = formatAddress(address).toLowerCase();
  const index = trackers.findIndex((tracker) => formatAddress(tracker).toLowerCase() === name);
  return index === -1 ? undefined : index;
}

export function versionText(): string {
  const file: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const hasVersion = typeof file === "object" && file !== null && "version" in file;
  return `miniTorrent ${hasVersion ? String(file.version) : "unknown"}`;
}

/** What `parseArgs` gives. @throws MiniTorrentError USAGE, with what it says is wrong */
export function understood<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new MiniTorrentError("USAGE", asMiniTorrentError(error).message.replace(/^.*?inside: /, ""), {
      cause: error,
    });
  }
}

function given<T>(parse: (text: string) => T, text: string | undefined): T | undefined {
  return text === undefined ? undefined : parse(text);
}

/** @throws MiniTorrentError USAGE if it is empty */
function pathGiven(name: string, path: string): string {
  if (path === "") throw new MiniTorrentError("USAGE", `The path of ${name} is empty; give a path.`);
  return expandHome(path);
}

function exactlyTwo(positionals: readonly string[], expected: string): [string, string] {
  const [first, second] = positionals;
  if (first === undefined || second === undefined || positionals.length > 2) {
    throw new MiniTorrentError(
      "USAGE",
      `Two arguments are expected, ${expected}; given: ${positionals.length === 0 ? "none" : positionals.join(" ")}.`,
    );
  }
  return [first, second];
}

/** @throws MiniTorrentError USAGE */
function timeoutMsOf(text: string): number {
  const seconds = /^\d{1,7}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return Math.ceil(seconds * 1000);
  throw new MiniTorrentError("USAGE", `'${text}' is not a duration; give --timeout in seconds, such as 30.`);
}

/** @throws MiniTorrentError USAGE */
function limitsOf(texts: readonly string[]): Partial<TrackerLimits> {
  const limits: Partial<Record<keyof TrackerLimits, number>> = {};
  for (const text of texts) {
    const [, word, digits] = /^([A-Za-z]+)=(\d{1,9})$/.exec(text) ?? [];
    const name = TRACKER_LIMIT_NAMES.find((candidate) => candidate === word);
    if (name === undefined) {
      throw new MiniTorrentError(
        "USAGE",
        `'${text}' is not a limit: NAME=NUMBER is expected, NAME one of ${TRACKER_LIMIT_NAMES.join(", ")}.`,
      );
    }
    limits[name] = Number(digits);
  }
  return limits;
}

/** @throws MiniTorrentError USAGE */
export function logLevelOf(text: string): LogLevel {
  const level = LOG_LEVELS.find((candidate) => candidate === text);
  if (level === undefined) {
    throw new MiniTorrentError("USAGE", `'${text}' is not a log level: ${LOG_LEVELS.join(", ")}.`);
  }
  return level;
}
