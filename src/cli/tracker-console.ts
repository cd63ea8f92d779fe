// What the person who runs a tracker may ask of it: status, help, quit. The end of input ends nothing.
import { closest } from "fastest-levenshtein";
import { asMiniTorrentError } from "../api/errors.ts";
import type { Tracker, TrackerStatus } from "../tracker/tracker.ts";
import { countOf, formatDuration, formatTime, harmless, type View } from "./display-text.ts";
import { formatTable } from "./table.ts";

export interface TrackerConsoleOptions {
  readonly tracker: Pick<Tracker, "status" | "backUp" | "acceptClock">;
  /** A node:readline interface over stdin. */
  readonly lines: {
    on(event: "line", listener: (line: string) => void): unknown;
    close(): void;
  };
  readonly write: (line: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** The start of a digest says as much as the whole: it is compared by eye. */
const DIGEST_DIGITS_SHOWN = 16;
const HELP = {
  status: "How this tracker stands: users, groups, files, clients, links to the other trackers.",
  backup: "backup <folder>: copies the registry and this tracker's key to a new folder, while it serves.",
  accept_clock: "Say that this machine's clock is right, after it was set by hours or was wrong before.",
  help: "This list.",
  quit: "Close this tracker. Clients go on at another one.",
};
const VIEW: View = { columns: undefined, isColored: false };

/** Resolves when `quit` was typed or the signal came. */
export async function runTrackerConsole(options: TrackerConsoleOptions): Promise<void> {
  const { tracker, lines, write, now, signal } = options;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const onAbort = (): void => end();
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) end();
  lines.on("line", (line) => {
    const [word = "", ...rest] = line.trim().split(/\s+/);
    switch (word) {
      case "":
        return;
      case "status":
        for (const text of renderTrackerStatus(tracker.status(), now(), VIEW)) write(text);
        return;
      case "backup":
        if (rest.length === 0) write("backup takes the path of a folder that does not exist yet.");
        else void backUp(options, line.trim().slice(word.length).trim());
        return;
      case "accept_clock":
        tracker.acceptClock();
        write("The clock is taken to be right as it is now.");
        return;
      case "help":
        for (const [name, help] of Object.entries(HELP)) write(`${name.padEnd(12)}  ${help}`);
        return;
      case "quit":
        end();
        return;
      default:
        write(
          `There is no command '${harmless(word.slice(0, 40))}'. Nearest: ${closest(word.slice(0, 40), Object.keys(HELP))}  (help lists all)`,
        );
    }
  });
  try {
    await ended;
  } finally {
    signal.removeEventListener("abort", onAbort);
    lines.close();
  }
}

async function backUp({ tracker, write }: TrackerConsoleOptions, folder: string): Promise<void> {
  try {
    await tracker.backUp(folder);
    write(`Backed up to ${harmless(folder)}; it holds this tracker's key and everybody's password hashes.`);
  } catch (error) {
    const { code, message } = asMiniTorrentError(error);
    write(`error ${code}: ${harmless(message)}`);
  }
}

/** The lines of `status`. */
export function renderTrackerStatus(status: TrackerStatus, nowMs: number, view: View): readonly string[] {
  const facts: [string, string][] = [
    ["address", status.address],
    ["fingerprint", `sha256:${status.fingerprint}`],
    ["tracker id", status.trackerId],
    [
      "up",
      `${formatDuration((nowMs - status.startedAtMs) / 1000)} since ${formatTime(status.startedAtMs, view)}`,
    ],
    ["clients", `${status.clientsOnline} online`],
    [
      "holds",
      [countOf(status.users, "user"), countOf(status.groups, "group"), countOf(status.files, "file")].join(
        ", ",
      ),
    ],
    ...(status.cannotWrite === undefined
      ? []
      : ([
          [
            "cannot write",
            `since ${formatTime(status.cannotWrite.sinceMs, view)}: ${status.cannotWrite.sentence}`,
          ],
        ] as [string, string][])),
    ["digest", status.digest.slice(0, DIGEST_DIGITS_SHOWN)],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(11)}  ${harmless(value)}`);
  if (status.links.length === 0) return [...lines, "links        none: this is the only tracker"];
  return [
    ...lines,
    "",
    ...formatTable(
      [
        { title: "LINK TO" },
        { title: "STATE" },
        { title: "LACKS", isNumber: true },
        { title: "BEHIND FOR", isNumber: true },
        { title: "SINCE" },
      ],
      status.links.map((link) => [
        link.address,
        link.state,
        link.lagRecords === undefined ? "" : countOf(link.lagRecords, "record"),
        link.lagSeconds === 0 ? "" : formatDuration(link.lagSeconds),
        formatTime(link.sinceMs, view),
      ]),
      view,
    ),
  ];
}
