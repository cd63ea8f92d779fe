// The program ./client: from its arguments to a client that runs, at a terminal or in a script. Decides nothing else.
import { fstatSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import { type Address, formatAddress } from "../api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import type { Client, ClientOptions } from "../client/client.ts";
import { isLoopback } from "../client/trackers/reachability.ts";
import { soon } from "../net/timers.ts";
import {
  type ClientArguments,
  clientUsage,
  type LogLevel,
  parseClientArguments,
  trackerAt,
  versionText,
} from "./arguments.ts";
import type { ClientCommands } from "./command-types.ts";
import { defaultDataDir } from "./data-dir.ts";
import { harmless } from "./display-text.ts";
import { EXIT_FORCED, onEndSignals, programEnd } from "./end-signals.ts";
import { EventFeed } from "./event-feed.ts";
import { readableLog } from "./log-line.ts";
import { LogStream } from "./log-stream.ts";
import { readPasswordFile } from "./password-file.ts";
import { programLog } from "./program-log.ts";
import type { ProgramConsole, ProgramProcess } from "./program-process.ts";
import { Repl } from "./repl.ts";
import { runScript } from "./script.ts";
import { isInteractive, wantsColor } from "./terminal.ts";
import { readTrackerInfo } from "./tracker-info.ts";

const STDERR = 2;
/** Lines per message and minute: more than a tracker's, since a client logs only on request and its file is bounded. */
const MOST_LINES_IN_INTERVAL = 100;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

export interface ClientProgram {
  readonly process: ProgramProcess;
  readonly console: ProgramConsole;
  /** `Client.open`. */
  readonly openClient: (options: ClientOptions) => Promise<ClosableClient>;
}

type ClosableClient = ClientCommands & Pick<Client, "close">;

/** Runs the program. @returns its exit code */
export async function runClient(program: ClientProgram, argv: readonly string[]): Promise<number> {
  const { process, console } = program;
  let given: ReturnType<typeof parseClientArguments>;
  try {
    given = parseClientArguments(argv);
  } catch (error) {
    console.error(
      `client: ${harmless(asMiniTorrentError(error).message)}\n\n${clientUsage(process.stderr.columns)}`,
    );
    return EXIT_USAGE;
  }
  if (given.kind !== "run") {
    console.log(given.kind === "help" ? clientUsage(process.stdout.columns) : versionText());
    return 0;
  }
  try {
    return await run(program, given);
  } catch (error) {
    const { code, message } = asMiniTorrentError(error);
    console.error(`error ${code}: ${harmless(message)}`);
    return EXIT_FAILED;
  }
}

async function run(program: ClientProgram, given: ClientArguments): Promise<number> {
  const { process, console, openClient } = program;
  const trackers = readTrackerInfo(given.trackerInfoPath);
  const firstTracker = trackerAt(given.listen, trackers);
  const dataDir = given.dataDir ?? defaultDataDir("client");
  const hasPrompt = !given.isJson && isInteractive(process);
  const feed = new EventFeed();
  const ending = new AbortController();
  const exit = (code: number): void => process.exit(code);
  onEndSignals(process, programEnd({ ending, exit }));
  // Losing the terminal ends the client; failing to write an answer or a log line does not. A script says what it cannot read.
  if (hasPrompt) process.stdin.on("error", () => ending.abort());
  else refuseFolder(process.stdin.fd);
  process.stderr.on("error", () => undefined);
  if (hasPrompt) process.stdout.on("error", () => ending.abort());
  const listen = firstTracker === undefined ? given.listen : freePortNear(given.listen);
  const client = await openClient({
    listen,
    trackers,
    ...(firstTracker === undefined ? {} : { firstTracker }),
    dataDir,
    limits: given.limits,
    ...(given.memoryBytes === undefined ? {} : { memoryBytes: given.memoryBytes }),
    log: logFor(process, given.logLevel, hasPrompt ? join(dataDir, "client.log") : undefined),
    onEvent: feed.push,
  });
  try {
    if (firstTracker !== undefined) {
      const { listeningOn } = client.status();
      console.error(
        `${formatAddress(given.listen)} is a tracker: it is used first, and peers reach this client at ${listeningOn}.`,
      );
    }
    const farTracker = trackers.find(({ host }) => !isLoopback(host));
    if (isLoopback(listen.host) && farTracker !== undefined) {
      console.error(
        `warning: this client listens on ${listen.host}, which only this machine can reach, but the tracker ${formatAddress(farTracker)} is elsewhere: peers on other machines cannot connect to it. Give an address of this machine, or 0.0.0.0:PORT for all of them.`,
      );
    }
    if (!hasPrompt) return await script(process, client, given, feed, ending);
    const repl = new Repl({
      client,
      feed,
      input: process.stdin,
      terminal: process.stdout,
      isColored: wantsColor(process.stdout),
      signal: ending.signal,
      onForce: () => exit(EXIT_FORCED),
      askPassword: passwordFrom(given),
    });
    await repl.run();
    return 0;
  } finally {
    await client.close();
    // Unread input must not keep a finished client alive.
    process.stdin.destroy();
  }
}

/**
 * Node gives a folder's descriptor as an empty input, so a script would end as if all of it had been done.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT
 */
function refuseFolder(descriptor: number | undefined): void {
  if (descriptor !== undefined && fstatSync(descriptor).isDirectory()) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      "The input cannot be read: it is a folder; give a script.",
    );
  }
}

async function script(
  process: ProgramProcess,
  client: ClientCommands,
  given: ClientArguments,
  feed: EventFeed,
  ending: AbortController,
): Promise<number> {
  let isReaderGone = false;
  process.stdout.on("error", () => {
    // The reader of our output is gone (EPIPE): there is nobody to answer any more.
    isReaderGone = true;
    ending.abort();
  });
  const write = (text: string): boolean => process.stdout.write(text);
  const exitCode = await runScript({
    client,
    feed,
    input: process.stdin,
    writeOut: given.isJson ? writerByTurn(write) : (line) => write(`${line}\n`),
    writeError: (line) => process.stderr.write(`${line}\n`),
    view: {
      columns: process.stdout.isTTY ? process.stdout.columns : undefined,
      isColored: wantsColor(process.stdout),
    },
    isJson: given.isJson,
    askPassword: passwordFrom(given),
    isStaying: given.isStaying,
    waitTimeoutMs: given.waitTimeoutMs,
    showsProgress: process.stderr.isTTY === true && !given.isJson,
    signal: ending.signal,
  });
  return isReaderGone ? EXIT_FAILED : exitCode;
}

/** Lines for a program; those of one turn of the event loop go out in one write, since each write wakes the reader. */
function writerByTurn(write: (text: string) => void): (line: string) => void {
  let lines: string[] = [];
  return (line) => {
    lines.push(line, "\n");
    if (lines.length > 2) return;
    soon("writing lines", () => {
      const text = lines.join("");
      lines = [];
      write(text);
    });
  };
}

function passwordFrom({ passwordFile }: ClientArguments): (() => Promise<string>) | undefined {
  return passwordFile === undefined ? undefined : async () => readPasswordFile(passwordFile);
}

/** Any port at the tracker's host if that is this machine, otherwise at all of this machine's addresses. */
function freePortNear({ host }: Address): Address {
  const isOwn = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address.toLowerCase() === host.toLowerCase()),
  );
  if (isLoopback(host) || isOwn) return { host, port: 0 };
  return { host: host.includes(":") ? "::" : "0.0.0.0", port: 0 };
}

/** Silent unless a level is asked for: as JSON to the file where there is a prompt on the screen, otherwise to stderr. */
function logFor(process: ProgramProcess, level: LogLevel | undefined, file: string | undefined): Logger {
  if (level === undefined) return pino({ enabled: false });
  return programLog({ level, to: logOutput(process, file), mostInInterval: MOST_LINES_IN_INTERVAL });
}

/** Lines for a person where stderr is a terminal. */
function logOutput({ stderr }: ProgramProcess, file: string | undefined): { write(line: string): void } {
  if (file !== undefined || stderr.isTTY !== true) return new LogStream(file ?? STDERR);
  const view = { columns: undefined, isColored: wantsColor(stderr) };
  return readableLog(STDERR, view);
}
