// The program ./minitorrent: the daemon, and every command of the one table as a one-shot call to it.
import { parseArgs } from "node:util";
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import { formatTrackerInfo } from "../api/tracker-list.ts";
import type { DownloadStatus } from "../client/status.ts";
import { ApiClient } from "../daemon/api-client.ts";
import { socketPathOf } from "../daemon/socket-path.ts";
import { understood, versionText } from "./arguments.ts";
import { quoteText } from "./command-line.ts";
import type { Command } from "./command-types.ts";
import { commands } from "./commands.ts";
import { DAEMON_SETTINGS, dataDirFrom, type GivenSettings, type SettingName } from "./daemon-settings.ts";
import { DEFAULT_COLUMNS, formatTime, harmless, type View, wrapWords } from "./display-text.ts";
import { onEndSignals, programEnd } from "./end-signals.ts";
import { execute } from "./execute.ts";
import { readPasswordFile } from "./password-file.ts";
import type { ProgramConsole, ProgramProcess } from "./program-process.ts";
import { RemoteClient } from "./remote-client.ts";
import { renderDownload, renderHashing, renderTrackers } from "./render.ts";
import { toJsonLine } from "./script.ts";
import { readSecret, wantsColor } from "./terminal.ts";
import { readTrackerInfo } from "./tracker-info.ts";
import { commandOf, findCommand, usageOf } from "./usage.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_NO_DAEMON = 3;
/** As a shell reports a process that Ctrl-C ended: 128 + SIGINT. */
const EXIT_DETACHED = 130;
/** Commands of the table that make no sense as a one-shot. */
const NOT_ONE_SHOT: ReadonlySet<string> = new Set(["quit", "help"]);
/** Shorter names of commands that are typed most. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  download: "download_file",
  share: "upload_file",
  downloads: "show_downloads",
  shares: "list_shares",
  groups: "list_groups",
  files: "list_files",
  status: "whoami",
};

export interface MinitorrentProgram {
  readonly process: ProgramProcess;
  readonly console: ProgramConsole;
  /** Loaded only for the daemon: commands start faster without the code of a client. */
  readonly daemon: () => Promise<
    Pick<typeof import("./daemon-program.ts"), "runDaemon" | "startInBackground">
  >;
  /** How this program is started again, for a daemon in the background. */
  readonly self: readonly [string, ...string[]];
}

/** Runs the program. @returns its exit code: 0, 1 refused or failed, 2 usage, 3 no daemon */
export async function runMinitorrent(program: MinitorrentProgram, argv: readonly string[]): Promise<number> {
  const { process, console } = program;
  try {
    const [name = "help", ...words] = argv;
    switch (name) {
      case "help":
      case "--help":
      case "-h":
        console.log(helpText(words[0], process.stdout.columns));
        return 0;
      case "--version":
      case "-V":
        console.log(versionText());
        return 0;
      case "daemon":
        return await daemonCommand(program, words);
      case "token":
        return await tokenCommand(program, words);
      case "trackers":
        return await trackersCommand(program, words);
      case "stop":
        return await stopCommand(program, words);
      default:
        return await oneShot(program, SHORT_NAMES[name] ?? name, words);
    }
  } catch (error) {
    const { code, message } = asMiniTorrentError(error);
    console.error(`error ${code}: ${harmless(message)}`);
    return code === "USAGE" ? EXIT_USAGE : code === "DAEMON_UNREACHABLE" ? EXIT_NO_DAEMON : EXIT_FAILED;
  }
}

async function daemonCommand(
  { process, console, daemon, self }: MinitorrentProgram,
  words: readonly string[],
): Promise<number> {
  const settingOptions = Object.fromEntries(
    Object.keys(DAEMON_SETTINGS).map((name) => [name, { type: "string" } as const]),
  ) as Record<SettingName, { type: "string" }>;
  const { values } = understood(() =>
    parseArgs({
      args: [...words],
      options: { ...settingOptions, foreground: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    }),
  );
  if (values.help === true) {
    console.log(helpText("daemon", process.stdout.columns));
    return 0;
  }
  const flags: GivenSettings = {};
  for (const name of Object.keys(DAEMON_SETTINGS) as SettingName[]) {
    const value = values[name];
    if (typeof value === "string") flags[name] = value;
  }
  const { runDaemon, startInBackground } = await daemon();
  if (values.foreground === true) return await runDaemon(process, console, flags);
  return await startInBackground(process, console, flags, [...self, "daemon", "--foreground"]);
}

async function stopCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
): Promise<number> {
  const { values } = understood(() =>
    parseArgs({ args: [...words], options: { "data-dir": { type: "string" } } }),
  );
  const api = apiOf(process, values["data-dir"]);
  await api.call("stop", {});
  console.log("The daemon ends; its session, shares and downloads continue when it is started again.");
  return 0;
}

const TOKEN_USAGE = "token list, token create <name> [--read], or token revoke <name>";

async function tokenCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
): Promise<number> {
  const options = { "data-dir": { type: "string" }, read: { type: "boolean" } } as const;
  const { values, positionals } = understood(() =>
    parseArgs({ args: [...words], allowPositionals: true, options }),
  );
  const api = apiOf(process, values["data-dir"]);
  const [action, name, ...others] = positionals;
  if (action === "list" && name === undefined) {
    for (const { name, scope, createdAtMs } of await api.call("tokens", {})) {
      console.log(
        `${harmless(name)}  ${scope}  since ${formatTime(createdAtMs, { columns: undefined, isColored: false })}`,
      );
    }
  } else if (action === "create" && name !== undefined && others.length === 0) {
    const { token } = await api.call("createToken", {
      name,
      scope: values.read === true ? "read" : "control",
    });
    console.error("Keep it secret; it is shown only now, and minitorrent token revoke ends it:");
    console.log(token);
  } else if (action === "revoke" && name !== undefined && others.length === 0) {
    await api.call("revokeToken", { name });
    console.log(`The token '${harmless(name)}' is revoked.`);
  } else throw new MiniTorrentError("USAGE", `Usage: minitorrent ${TOKEN_USAGE}`);
  return 0;
}

const TRACKERS_USAGE = "trackers, or trackers set tracker_info.txt";

async function trackersCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
): Promise<number> {
  const options = { "data-dir": { type: "string" }, json: { type: "boolean" } } as const;
  const { values, positionals } = understood(() =>
    parseArgs({ args: [...words], allowPositionals: true, options }),
  );
  const api = apiOf(process, values["data-dir"]);
  const [action, given, ...others] = positionals;
  const isChange = action === "set" && given !== undefined && others.length === 0;
  if (action !== undefined && !isChange)
    throw new MiniTorrentError("USAGE", `Usage: minitorrent ${TRACKERS_USAGE}`);
  const trackers = isChange
    ? await api.call("setTrackers", { text: formatTrackerInfo(readTrackerInfo(given)) })
    : await api.call("trackers", {});
  if (values.json === true) console.log(toJsonLine({ command: "trackers", ok: true, result: trackers }));
  else for (const line of renderTrackers(trackers)) console.log(line);
  return 0;
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

async function oneShot(program: MinitorrentProgram, name: string, given: readonly string[]): Promise<number> {
  const { process, console } = program;
  const { words, dataDir, passwordFile, isJson, isWaiting, wantsHelp } = oneShotOptions(name, given);
  if (NOT_ONE_SHOT.has(name))
    throw new MiniTorrentError("USAGE", `${name} is a command of ./client; see minitorrent help.`);
  if (wantsHelp) {
    console.log(helpText(name, process.stdout.columns));
    return 0;
  }
  // A mistyped command is one with and without a daemon.
  findCommand(oneShotCommands, name);
  const view: View = {
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    isColored: wantsColor(process.stdout),
  };
  const api = apiOf(process, dataDir);
  const client = await RemoteClient.connect(api);
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
  const { answer, values, command } = outcome;
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

const oneShotCommands: readonly Command[] = commands.filter(({ name }) => !NOT_ONE_SHOT.has(name));

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
    if (word === "--data-dir" || word === "--password-file") {
      const value = given[++at];
      if (value === undefined) throw new MiniTorrentError("USAGE", `${word} needs a path behind it.`);
      found[word === "--data-dir" ? "dataDir" : "passwordFile"] = value;
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

function apiOf({ env }: ProgramProcess, dataDir: string | undefined): ApiClient {
  const flags: GivenSettings = dataDir === undefined ? {} : { "data-dir": dataDir };
  return new ApiClient({ socketPath: socketPathOf(dataDirFrom(flags, env), env) });
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

const EXAMPLES = [
  ["minitorrent daemon --trackers tracker_info.txt", "start the daemon in the background"],
  ["minitorrent login ann", "log in once; a restart of the daemon needs no password"],
  ["minitorrent share ./build studio", "share a folder in a group, in place"],
  [
    "minitorrent download studio build ./ --wait",
    "fetch it; exits with 0 when it is complete, 1 if it fails",
  ],
  ["minitorrent downloads --json", "what is under way, for a program"],
] as const;

function helpText(about: string | undefined, columns = DEFAULT_COLUMNS): string {
  if (about === "daemon") return daemonHelp(columns);
  const command = oneShotCommands.find(({ name }) => name === (SHORT_NAMES[about ?? ""] ?? about));
  if (command !== undefined) {
    return [`Usage: minitorrent ${usageOf(command)}`, "", ...wrapWords(command.help, columns, "")].join("\n");
  }
  const rows = (all: readonly (readonly [string, string])[]) =>
    all.flatMap(([typed, meaning]) => [`  ${typed}`, ...wrapWords(meaning, columns, "      ")]);
  return [
    "Usage: minitorrent <command> [argument]... [--json] [--wait] [--data-dir <folder>]",
    "",
    "Examples",
    ...rows(EXAMPLES),
    "",
    "Commands",
    "  daemon, stop",
    `  ${TOKEN_USAGE}`,
    `  ${TRACKERS_USAGE}`,
    ...wrapWords(oneShotCommands.map(({ name }) => name).join(", "), columns, "  "),
    ...wrapWords(
      `Short names: ${Object.entries(SHORT_NAMES)
        .map(([short, name]) => `${short} (${name})`)
        .join(", ")}`,
      columns,
      "  ",
    ),
    "",
    "Options",
    ...rows([
      ["--json", "one JSON object a line"],
      ["--wait", "with download: show progress until it has ended"],
      ["--password-file <f>", "with login and create_user: a file whose first line is the password"],
      ["--data-dir <folder>", "the daemon of that folder"],
    ]),
    "",
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon, 130 detached with Ctrl-C.",
  ].join("\n");
}

function daemonHelp(columns: number): string {
  const rows = Object.entries(DAEMON_SETTINGS).flatMap(([name, meaning]) => [
    `  --${name}`,
    ...wrapWords(meaning, columns, "      "),
  ]);
  return [
    "Usage: minitorrent daemon [--trackers tracker_info.txt] [option]...",
    "",
    ...wrapWords(
      "Runs in the background; --foreground keeps it in this terminal, as service managers want. Each option can also be a variable (MINITORRENT_LISTEN) or a line of ~/.config/minitorrent/daemon.conf (listen = 0.0.0.0:6881).",
      columns,
      "",
    ),
    "",
    ...rows,
  ].join("\n");
}
