// Entry point of ./tracker: from its arguments to a tracker that runs, with a console on stdin. Decides nothing else.
import { createInterface, type Interface } from "node:readline";
import { asMiniTorrentError } from "../api/errors.ts";
import { Tracker } from "../tracker/tracker.ts";
import { parseTrackerArguments, type TrackerArguments, trackerUsage, versionText } from "./arguments.ts";
import { defaultDataDir } from "./data-dir.ts";
import { harmless } from "./display-text.ts";
import { readableLog, readableLogLine } from "./log-line.ts";
import { LogStream } from "./log-stream.ts";
import { programLog } from "./program-log.ts";
import { Screen } from "./screen.ts";
import { isInteractive, wantsColor } from "./terminal.ts";
import { runTrackerConsole, TRACKER_COMMANDS } from "./tracker-console.ts";
import { parseTrackerNumber, readTrackerInfo } from "./tracker-info.ts";
import { TrackerTerminal, writtenInBackground } from "./tracker-terminal.ts";

const STDOUT = 1;
const STDERR = 2;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** As a shell reports a process that Ctrl-C ended: 128 + SIGINT. */
const EXIT_FORCED = 130;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  let given: ReturnType<typeof parseTrackerArguments>;
  try {
    given = parseTrackerArguments(argv);
  } catch (error) {
    console.error(
      `tracker: ${harmless(asMiniTorrentError(error).message)}\n\n${trackerUsage(process.stderr.columns)}`,
    );
    return EXIT_USAGE;
  }
  if (given.kind !== "run") {
    console.log(given.kind === "help" ? trackerUsage(process.stdout.columns) : versionText());
    return 0;
  }
  try {
    await run(given);
    return 0;
  } catch (error) {
    const { code, message } = asMiniTorrentError(error);
    console.error(`error ${code}: ${harmless(message)}`);
    return EXIT_FAILED;
  }
}

async function run(given: TrackerArguments): Promise<void> {
  const trackers = readTrackerInfo(given.trackerInfoPath);
  const trackerNumber = parseTrackerNumber(given.trackerNumber, trackers, given.trackerInfoPath);
  const own = trackers[trackerNumber - 1];
  if (own === undefined) throw new RangeError(`no tracker ${trackerNumber}`);
  // If the terminal is lost, the tracker runs on without its console.
  process.stdin.on("error", () => undefined);
  process.stdout.on("error", () => undefined);
  const screen = isInteractive() ? openScreen() : undefined;
  const options = {
    trackers,
    trackerNumber,
    dataDir: given.dataDir ?? defaultDataDir(`tracker-${own.host.toLowerCase()}_${own.port}`),
    limits: given.limits,
    log: programLog({ level: given.logLevel ?? "info", to: logOutput(screen) }),
  };
  let isStarting = true;
  const ending = new AbortController();
  const end = (): void => {
    if (ending.signal.aborted) process.exit(EXIT_FORCED);
    // A starting tracker may wait for another one for long, and has nothing to lose.
    if (isStarting) process.exit(0);
    ending.abort();
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, end);
  // A tracker that finds damage in its registry is reopened: opening sets the registry aside or fails with the reason.
  for (let isDamaged = true; isDamaged && !ending.signal.aborted; ) {
    isStarting = true;
    const tracker = await Tracker.open(options);
    isStarting = false;
    await serve(tracker, given, { screen, end, signal: ending.signal });
    isDamaged = tracker.damaged.aborted;
  }
  process.stdin.destroy();
}

interface Surroundings {
  /** Undefined where no person types. */
  readonly screen: Screen | undefined;
  readonly end: () => void;
  readonly signal: AbortSignal;
}

/** Serves until it is told to end or finds damage in its registry. */
async function serve(
  tracker: Tracker,
  given: TrackerArguments,
  { screen, end, signal }: Surroundings,
): Promise<void> {
  try {
    const write = (line: string): void => {
      if (screen === undefined) console.log(line);
      else screen.print([line]);
    };
    write(
      `Tracker ${given.trackerNumber} listens at ${tracker.address}; its key is sha256:${tracker.fingerprint}`,
    );
    await runTrackerConsole({
      tracker,
      lines: screen === undefined ? plainLines() : editedLines(screen, given.trackerNumber, end),
      write,
      now: Date.now,
      columns: () => screen?.columns,
      signal: AbortSignal.any([signal, tracker.damaged]),
    });
  } finally {
    await tracker.close();
  }
}

function plainLines(): Interface {
  return createInterface({ input: process.stdin, terminal: false });
}

function editedLines(screen: Screen, trackerNumber: string, end: () => void): TrackerTerminal {
  return new TrackerTerminal({
    input: process.stdin,
    screen,
    prompt: `tracker ${trackerNumber}> `,
    commandNames: Object.keys(TRACKER_COMMANDS),
    onInterrupt: end,
    onInputEnd: () => screen.print(["The console is closed; the tracker runs on, and Ctrl-C ends it."]),
  });
}

function openScreen(): Screen {
  const view = { columns: undefined, isColored: wantsColor(process.stdout) };
  return new Screen(writtenInBackground(process.stdout, STDOUT, (json) => readableLogLine(json, view)));
}

/** Lines for a person where one reads them, above what is typed if they type; JSON elsewhere. */
function logOutput(screen: Screen | undefined): { write(line: string): void } {
  if (!process.stderr.isTTY) return new LogStream(STDERR);
  const view = { columns: undefined, isColored: wantsColor(process.stderr) };
  if (screen === undefined) return readableLog(STDERR, view);
  return { write: (json) => screen.print([readableLogLine(json, view)]) };
}
