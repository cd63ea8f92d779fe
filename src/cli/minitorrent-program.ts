// The program ./minitorrent: the daemon, and every command of the one table as a one-shot call to it.
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import type { DownloadStatus } from "../client/status.ts";
import { versionText } from "./arguments.ts";
import { quoteText } from "./command-line.ts";
import { harmless, type View } from "./display-text.ts";
import { onEndSignals, programEnd } from "./end-signals.ts";
import { execute } from "./execute.ts";
import { oneShotCommands, SHORT_NAMES } from "./one-shots.ts";
import { readPasswordFile } from "./password-file.ts";
import {
  apiOf,
  type MinitorrentProgram,
  programCommandOf,
  runProgramCommand,
  viewOf,
} from "./program-commands.ts";
import { help, helpOf, oneShotOf, shortHelp } from "./program-help.ts";
import type { ProgramConsole, ProgramProcess } from "./program-process.ts";
import { partsReadBy, RemoteClient } from "./remote-client.ts";
import { renderDownload, renderHashing } from "./render.ts";
import { toJsonLine } from "./script.ts";
import { readSecret } from "./terminal.ts";
import { commandOf } from "./usage.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_NO_DAEMON = 3;
/** As a shell reports a process that Ctrl-C ended: 128 + SIGINT. */
const EXIT_DETACHED = 130;
/** Runs the program. @returns its exit code: 0, 1 refused or failed, 2 usage, 3 no daemon */
export async function runMinitorrent(program: MinitorrentProgram, argv: readonly string[]): Promise<number> {
  const { process, console } = program;
  try {
    const [name, ...words] = argv;
    if (name === undefined) {
      console.log(shortHelp(process.stdout.columns));
      return 0;
    }
    if (name === "help" || name === "--help" || name === "-h") {
      const [about] = words;
      console.log(about === undefined ? help(process.stdout.columns) : helpOf(about, process.stdout.columns));
      return 0;
    }
    if (name === "--version" || name === "-V") {
      console.log(versionText());
      return 0;
    }
    const own = programCommandOf(name);
    if (own === undefined) return await oneShot(program, name, words);
    const end = words.indexOf("--");
    const options = end === -1 ? words : words.slice(0, end);
    if (options.includes("--help") || options.includes("-h")) {
      console.log(helpOf(name, process.stdout.columns));
      return 0;
    }
    return await runProgramCommand(program, own, words);
  } catch (error) {
    const known = asMiniTorrentError(error);
    const end = argv.indexOf("--");
    sayFailure(console, known, (end === -1 ? argv : argv.slice(0, end)).includes("--json"));
    const { code } = known;
    return code === "USAGE" ? EXIT_USAGE : code === "DAEMON_UNREACHABLE" ? EXIT_NO_DAEMON : EXIT_FAILED;
  }
}

/** What every one-shot takes, beside the command's own words. */
interface OneShotOptions {
  readonly words: readonly string[];
  readonly dataDir: string | undefined;
  readonly passwordFile: string | undefined;
  readonly isJson: boolean;
  readonly isWaiting: boolean;
  readonly wantsHelp: boolean;
}

async function oneShot(
  program: MinitorrentProgram,
  typed: string,
  given: readonly string[],
): Promise<number> {
  const { process, console } = program;
  const name = SHORT_NAMES[typed] ?? typed;
  const { words, dataDir, passwordFile, isJson, isWaiting, wantsHelp } = oneShotOptions(name, given);
  if (name === "quit")
    throw new MiniTorrentError("USAGE", "quit is a command of ./client; minitorrent stop ends the daemon.");
  if (wantsHelp) {
    console.log(helpOf(name, process.stdout.columns));
    return 0;
  }
  // A mistyped command is one with and without a daemon.
  const command = oneShotOf(typed);
  const view = viewOf(process);
  const api = apiOf(process, dataDir);
  const client = await RemoteClient.connect(api, partsReadBy(command, words));
  const detaching = new AbortController();
  onEndSignals(process, programEnd({ ending: detaching, exit: (code) => process.exit(code) }));
  const progress = new ProgressLine(process, isJson);
  const outcome = await execute(
    oneShotCommands,
    [name, ...words].map((word) => quoteText(word, undefined)).join(" "),
    {
      client,
      signal: detaching.signal,
      askPassword: passwordFile === undefined ? asksAt(process) : async () => readPasswordFile(passwordFile),
      warn: (sentence) => console.error(sentence),
      onHashing: (path, hashing) => progress.show(renderHashing(path, hashing, view)),
    },
  );
  progress.clear();
  if (outcome.kind === "abandoned") {
    console.error("Detached: what the daemon has begun, it continues.");
    return EXIT_DETACHED;
  }
  if (outcome.kind === "failed") {
    sayFailure(console, outcome.error, isJson);
    return outcome.error.code === "USAGE" ? EXIT_USAGE : EXIT_FAILED;
  }
  const { answer, values } = outcome;
  const isDownload = command.name === "download_file" || command.name === "resume";
  if (!isDownload || !isWaiting) {
    if (isJson) console.log(toJsonLine({ command: command.name, ok: true, result: answer.result }));
    else for (const line of answer.lines(view)) console.log(line);
    return 0;
  }
  const [groupId = "", fileName = ""] = values;
  const ended = await client
    .waitForDownloads({ groupId, fileName }, detaching.signal, (download) =>
      progress.show(renderDownload(download, view)),
    )
    .finally(() => progress.clear());
  return detaching.signal.aborted ? sayDetached(console) : sayEnded(console, ended, view, isJson);
}

function sayDetached(console: ProgramConsole): number {
  console.error("Detached: the download continues in the daemon; minitorrent downloads shows it.");
  return EXIT_DETACHED;
}

function sayEnded(
  console: ProgramConsole,
  downloads: readonly DownloadStatus[],
  view: View,
  isJson: boolean,
): number {
  for (const download of downloads) {
    console.log(isJson ? toJsonLine(download) : renderDownload(download, view));
  }
  return downloads.every(({ state }) => state === "complete") ? 0 : EXIT_FAILED;
}

function sayFailure(console: ProgramConsole, { code, message }: MiniTorrentError, isJson: boolean): void {
  if (isJson) console.log(toJsonLine({ ok: false, code, error: message }));
  else console.error(`error ${code}: ${harmless(message)}`);
}

/** Takes the program's own options out of the words, wherever they stand before `--`; the others are the command's. */
function oneShotOptions(name: string, given: readonly string[]): OneShotOptions {
  const words: string[] = [];
  const found = { dataDir: undefined as string | undefined, passwordFile: undefined as string | undefined };
  const flags = new Set<string>();
  for (let at = 0; at < given.length; at++) {
    const word = given[at] ?? "";
    if (word === "--") {
      // Only a command with options of its own reads `--`; for another it would be an argument.
      const readsIt = commandOf(oneShotCommands, name)?.options !== undefined;
      words.push(...given.slice(readsIt ? at : at + 1));
      break;
    }
    const [, option, joined] = /^(--data-dir|--password-file)(?:=(.*))?$/s.exec(word) ?? [];
    if (option !== undefined) {
      const value = joined ?? given[++at];
      if (value === undefined || value === "")
        throw new MiniTorrentError("USAGE", `${option} needs a path behind it.`);
      found[option === "--data-dir" ? "dataDir" : "passwordFile"] = value;
    } else if (word === "--json" || word === "--wait" || word === "--help" || word === "-h") flags.add(word);
    else words.push(word);
  }
  return {
    ...found,
    words,
    isJson: flags.has("--json"),
    isWaiting: flags.has("--wait"),
    wantsHelp: flags.has("--help") || flags.has("-h"),
  };
}

function asksAt(process: ProgramProcess): ((question: string) => Promise<string>) | undefined {
  return process.stdin.isTTY === true ? (question) => readSecret(process, question) : undefined;
}

/** One line on the terminal that is written over; nothing where a program reads. */
class ProgressLine {
  readonly #stderr: ProgramProcess["stderr"];
  readonly #isShown: boolean;
  #isThere = false;

  constructor({ stderr }: ProgramProcess, isJson: boolean) {
    this.#stderr = stderr;
    this.#isShown = stderr.isTTY === true && !isJson;
  }

  show(line: string): void {
    if (!this.#isShown) return;
    this.#isThere = true;
    this.#stderr.write(`\r\u001b[K${line}`);
  }

  clear(): void {
    if (this.#isThere) this.#stderr.write("\r\u001b[K");
    this.#isThere = false;
  }
}
