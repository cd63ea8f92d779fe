// The program ./tracker: from its arguments to a tracker that runs, with a console on stdin. Decides nothing else.
import { createInterface, type Interface } from "node:readline";
import { asMiniTorrentError } from "../api/errors.ts";
import { parseTrackerNumber } from "../api/tracker-list.ts";
import type { Tracker, TrackerOptions } from "../tracker/tracker.ts";
import { parseTrackerArguments, type TrackerArguments, trackerUsage, versionText } from "./arguments.ts";
import { defaultDataDir } from "./data-dir.ts";
import { harmless } from "./display-text.ts";
import { onEndSignals, programEnd } from "./end-signals.ts";
import { readableLog, readableLogLine } from "./log-line.ts";
import { LogStream } from "./log-stream.ts";
import { programLog } from "./program-log.ts";
import type { ProgramConsole, ProgramProcess } from "./program-process.ts";
import { Screen } from "./screen.ts";
import { isInteractive, wantsColor } from "./terminal.ts";
import { runTrackerConsole, TRACKER_COMMANDS, type TrackerConsoleOptions } from "./tracker-console.ts";
import { readTrackerInfo } from "./tracker-info.ts";
import { TrackerTerminal, writtenInBackground } from "./tracker-terminal.ts";

const STDOUT = 1;
const STDERR = 2;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

export interface TrackerProgram {
  readonly process: ProgramProcess;
  readonly console: ProgramConsole;
  /** `Tracker.open`. */
  readonly openTracker: (options: TrackerOptions) => Promise<RunningTracker>;
}

type RunningTracker = TrackerConsoleOptions["tracker"] &
  Pick<Tracker, "address" | "fingerprint" | "damaged" | "close">;

/** Runs the program. @returns its exit code */
export async function runTracker(program: TrackerProgram, argv: readonly string[]): Promise<number> {
  const { process, console } = program;
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
    await run(program, given);
    return 0;
  } catch (error) {
    const { code, message } = asMiniTorrentError(error);
    console.error(`error ${code}: ${harmless(message)}`);
    return EXIT_FAILED;
  }
}

async function run(program: TrackerProgram, given: TrackerArguments): Promise<void> {
  const { process, openTracker } = program;
  const trackers = readTrackerInfo(given.trackerInfoPath);
  const trackerNumber = parseTrackerNumber(given.trackerNumber, trackers, given.trackerInfoPath);
  const own = trackers[trackerNumber - 1];
  if (own === undefined) throw new RangeError(`no tracker ${trackerNumber}`);
  // If the terminal is lost, the tracker runs on without its console.
  process.stdin.on("error", () => undefined);
  process.stdout.on("error", () => undefined);
  const screen = isInteractive(process) ? openScreen(process) : undefined;
  const options = {
    trackers,
    trackerNumber,
    dataDir: given.dataDir ?? defaultDataDir(`tracker-${own.host.toLowerCase()}_${own.port}`),
    limits: given.limits,
    log: programLog({ level: given.logLevel ?? "info", to: logOutput(process, screen) }),
  };
  let isStarting = true;
  const ending = new AbortController();
  const end = programEnd({
    ending,
    exit: (code) => process.exit(code),
    // A starting tracker may wait for another one for long.
    hasNothingToLose: () => isStarting,
  });
  onEndSignals(process, end);
  // A tracker that finds damage in its registry is reopened: opening sets the registry aside or fails with the reason.
  for (let isDamaged = true; isDamaged && !ending.signal.aborted; ) {
    isStarting = true;
    const tracker = await openTracker(options);
    isStarting = false;
    await serve(program, tracker, given, { screen, end, signal: ending.signal });
    isDamaged = tracker.damaged.aborted;
  }
  process.stdin.destroy();
}

interface ClientContext {
  /** Undefined where no person types. */
  readonly screen: Screen | undefined;
  readonly end: () => void;
  readonly signal: AbortSignal;
}

/** Serves until it is told to end or finds damage in its registry. */
async function serve(
  { process, console }: TrackerProgram,
  tracker: RunningTracker,
  given: TrackerArguments,
  { screen, end, signal }: ClientContext,
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
      lines:
        screen === undefined ? plainLines(process) : editedLines(process, screen, given.trackerNumber, end),
      write,
      now: Date.now,
      columns: () => screen?.columns,
      signal: AbortSignal.any([signal, tracker.damaged]),
    });
  } finally {
    await tracker.close();
  }
}

function plainLines({ stdin }: ProgramProcess): Interface {
  const lines = createInterface({ input: stdin, terminal: false });
  // It repeats the errors of its input, which has a listener of its own; without one here they would end the process.
  lines.on("error", () => undefined);
  return lines;
}

function editedLines(
  { stdin }: ProgramProcess,
  screen: Screen,
  trackerNumber: string,
  end: () => void,
): TrackerTerminal {
  return new TrackerTerminal({
    input: stdin,
    screen,
    prompt: `tracker ${trackerNumber}> `,
    commandNames: Object.keys(TRACKER_COMMANDS),
    onInterrupt: end,
    onInputEnd: () => screen.print(["The console is closed; the tracker runs on, and Ctrl-C ends it."]),
  });
}

function openScreen({ stdout }: ProgramProcess): Screen {
  const view = { columns: undefined, isColored: wantsColor(stdout) };
  return new Screen(writtenInBackground(stdout, STDOUT, (json) => readableLogLine(json, view)));
}

/** Lines for a person where one reads them, above what is typed if they type; JSON elsewhere. */
function logOutput({ stderr }: ProgramProcess, screen: Screen | undefined): { write(line: string): void } {
  if (stderr.isTTY !== true) return new LogStream(STDERR);
  const view = { columns: undefined, isColored: wantsColor(stderr) };
  if (screen === undefined) return readableLog(STDERR, view);
  return { write: (json) => screen.print([readableLogLine(json, view)]) };
}
