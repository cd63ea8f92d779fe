// The commands of ./minitorrent that are not in the table of commands (commands.ts): those about the daemon itself.
import { parseArgs } from "node:util";
import { MiniTorrentError } from "../api/errors.ts";
import { isInviteText } from "../api/invite.ts";
import { formatTrackerInfo } from "../api/tracker-list.ts";
import { ApiClient } from "../daemon/api-client.ts";
import type { ScheduleRule } from "../daemon/schedule.ts";
import { socketPathOf } from "../daemon/socket-path.ts";
import { understood } from "./arguments.ts";
import { DAEMON_SETTINGS, dataDirFrom, type GivenSettings, type SettingName } from "./daemon-settings.ts";
import { renderSummary, summaryOf } from "./daemon-status.ts";
import { formatTime, harmless, type View } from "./display-text.ts";
import { DATA_DIR_OPTION, JSON_OPTION, oneShotCommands } from "./one-shots.ts";
import type { ProgramConsole, ProgramProcess } from "./program-process.ts";
import { RemoteClient } from "./remote-client.ts";
import { renderTrackers } from "./render.ts";
import { parseRule, renderSchedule } from "./schedule-text.ts";
import { toJsonLine } from "./script.ts";
import {
  type CompletedCommand,
  completeForShell,
  completionScript,
  isShell,
  SHELLS,
} from "./shell-completion.ts";
import { wantsColor } from "./terminal.ts";
import { readTrackerInfo } from "./tracker-info.ts";
import { openPage } from "./web-command.ts";

export interface MinitorrentProgram {
  readonly process: ProgramProcess;
  readonly console: ProgramConsole;
  /** Loaded only for the daemon: commands start faster without the code of a client. */
  readonly daemon: () => Promise<
    Pick<typeof import("./daemon-program.ts"), "runDaemon" | "startInBackground">
  >;
  /** Opens a file with the program that the system has for it. @returns false if there is none */
  readonly openFile: (path: string) => Promise<boolean>;
  /** How this program is started again, for a daemon in the background. */
  readonly self: readonly [string, ...string[]];
}

/** What is typed, and what it does. */
export type Example = readonly [typed: string, meaning: string];

export interface ProgramCommand extends CompletedCommand {
  /** Its forms, without the program's name and the options. */
  readonly forms: readonly string[];
  readonly examples: readonly Example[];
  /** @param words those that are no options @returns the exit code */
  readonly run: (
    program: MinitorrentProgram,
    words: readonly string[],
    given: GivenValues,
  ) => Promise<number>;
}

/** Option, without its dashes → its value; true for one without a value. */
export type GivenValues = Readonly<Record<string, string | boolean | undefined>>;

/** What the values of the daemon's settings are called. */
const SETTING_VALUES: Readonly<Record<SettingName, string>> = {
  listen: "address",
  trackers: "file",
  "data-dir": "folder",
  web: "address",
  "web-hosts": "names",
  roots: "folders",
  folder: "folder",
  user: "user_id",
  "password-file": "file",
  memory: "size",
  "limit-up": "rate",
  "limit-down": "rate",
  "log-level": "level",
  "log-file": "file",
};

export const programCommands: readonly ProgramCommand[] = [
  {
    name: "daemon",
    forms: ["daemon"],
    help: "Start the daemon in the background. Each option can also be a variable (MINITORRENT_LISTEN) or a line of ~/.config/minitorrent/daemon.conf (listen = 0.0.0.0:6881).",
    examples: [
      [
        "minitorrent daemon --trackers tracker_info.txt",
        "start it; it logs to daemon.log in its data folder",
      ],
      ["minitorrent daemon --listen 0.0.0.0:6881", "peers of other machines reach it at a known port"],
      ["minitorrent daemon --foreground", "stay in this terminal, as service managers want"],
    ],
    options: [
      { name: "--foreground", help: "keep it in this terminal" },
      ...Object.entries(DAEMON_SETTINGS).map(([name, help]) => ({
        name: `--${name}`,
        value: SETTING_VALUES[name as SettingName],
        help,
      })),
    ],
    run: runDaemonCommand,
  },
  {
    name: "status",
    forms: ["status"],
    help: "Show who is logged in, the trackers, the daemon's process and its memory, and what moves now.",
    examples: [
      ["minitorrent status", ""],
      ["minitorrent status --json", "the same for a program"],
    ],
    options: [JSON_OPTION, DATA_DIR_OPTION],
    run: statusCommand,
  },
  {
    name: "web",
    forms: ["web"],
    help: "Open the daemon's page in a browser. The link works once, within two minutes, and lets the browser in for 90 days after its last use.",
    examples: [
      ["minitorrent web", ""],
      ["minitorrent web --no-open", "show the link, to open it elsewhere"],
    ],
    options: [{ name: "--no-open", help: "show the link, and open nothing" }, JSON_OPTION, DATA_DIR_OPTION],
    run: webCommand,
  },
  {
    name: "stop",
    forms: ["stop"],
    help: "End the daemon. Its session stays, and the next start continues its shares and downloads.",
    examples: [["minitorrent stop", ""]],
    options: [DATA_DIR_OPTION],
    run: stopCommand,
  },
  {
    name: "trackers",
    forms: ["trackers", "trackers set <tracker_info.txt>", "trackers set <invite>"],
    help: "Show the daemon's trackers, or tell it of others.",
    examples: [
      ["minitorrent trackers", "which one is connected, and why others are not"],
      ["minitorrent trackers set tracker_info.txt", "use these; nobody may be logged in meanwhile"],
      ["minitorrent trackers set minitorrent:AUzQ...", "use those of an invite"],
    ],
    options: [JSON_OPTION, DATA_DIR_OPTION],
    nextWord: ([action]) => (action === undefined ? ["set"] : "path"),
    run: trackersCommand,
  },
  {
    name: "schedule",
    forms: [
      "schedule",
      "schedule add <days> <from>-<to> [--up <rate>] [--down <rate>] [--pause]",
      "schedule remove <number>",
      "schedule clear",
    ],
    help: "Limit rates by hour and weekday. Outside of the rules the limits of minitorrent limit apply; of rules that overlap, the first.",
    examples: [
      ["minitorrent schedule", "the rules, and which one holds now"],
      ["minitorrent schedule add mon-fri 08:00-18:00 --up 500kB/s --down 2MB/s", "slower in office hours"],
      ["minitorrent schedule add all 22:00-06:00 --pause", "downloads are paused at night"],
      ["minitorrent schedule remove 1", ""],
    ],
    options: [
      { name: "--up", value: "rate", help: "with add: maximum upload rate meanwhile" },
      { name: "--down", value: "rate", help: "with add: maximum download rate meanwhile" },
      { name: "--pause", help: "with add: downloads are paused meanwhile" },
      JSON_OPTION,
      DATA_DIR_OPTION,
    ],
    nextWord: ([action]) => (action === undefined ? ["add", "remove", "clear"] : []),
    run: scheduleCommand,
  },
  {
    name: "token",
    forms: ["token list", "token create <name> [--read]", "token revoke <name>"],
    help: "Manage the tokens that calls of the API over TCP need, and the browsers that the page was opened in. A token is shown once, when it is created.",
    examples: [
      ["minitorrent token create backup", "a token for a script"],
      ["minitorrent token create monitor --read", "one that changes nothing"],
      ["minitorrent token revoke backup", "the next call with it is refused"],
    ],
    options: [{ name: "--read", help: "with create: a token that changes nothing" }, DATA_DIR_OPTION],
    nextWord: ([action]) => (action === undefined ? ["list", "create", "revoke"] : []),
    run: tokenCommand,
  },
  {
    name: "completion",
    forms: ["completion bash", "completion zsh", "completion fish"],
    help: "Print what completes commands, options, and the names of groups, shares and members in that shell.",
    examples: [
      ["source <(minitorrent completion bash)", "in ~/.bashrc"],
      ["source <(minitorrent completion zsh)", "in ~/.zshrc, after compinit"],
      ["minitorrent completion fish | source", "in ~/.config/fish/config.fish"],
    ],
    options: [DATA_DIR_OPTION],
    nextWord: ([shell]) => (shell === undefined ? SHELLS : []),
    run: completionCommand,
  },
];

export function programCommandOf(name: string): ProgramCommand | undefined {
  return programCommands.find((command) => command.name === name);
}

/** @throws MiniTorrentError USAGE */
export async function runProgramCommand(
  program: MinitorrentProgram,
  command: ProgramCommand,
  args: readonly string[],
): Promise<number> {
  const options = Object.fromEntries(
    command.options.map(({ name, value }) => [
      name.slice(2),
      { type: value === undefined ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  const { values, positionals } = understood(() =>
    parseArgs({ args: [...args], options, allowPositionals: true }),
  );
  return await command.run(program, positionals, values as GivenValues);
}

export function apiOf(process: ProgramProcess, dataDir: unknown): ApiClient {
  return new ApiClient({ socketPath: socketPathOf(dataDirOf(process, dataDir), process.env) });
}

function dataDirOf({ env }: ProgramProcess, given: unknown): string {
  return dataDirFrom(typeof given === "string" ? { "data-dir": given } : {}, env);
}

export function viewOf({ stdout }: ProgramProcess): View {
  return { columns: stdout.isTTY ? stdout.columns : undefined, isColored: wantsColor(stdout) };
}

function usageError({ forms }: Pick<ProgramCommand, "forms">): MiniTorrentError {
  return new MiniTorrentError("USAGE", `Usage: ${forms.map((form) => `minitorrent ${form}`).join(", or ")}`);
}

async function runDaemonCommand(
  { process, console, daemon, self }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  if (words.length > 0) throw usageError({ forms: ["daemon [option]..."] });
  const flags: GivenSettings = {};
  for (const name of Object.keys(DAEMON_SETTINGS) as SettingName[]) {
    const value = given[name];
    if (typeof value === "string") flags[name] = value;
  }
  const { runDaemon, startInBackground } = await daemon();
  if (given.foreground === true) return await runDaemon(process, console, flags);
  return await startInBackground(process, console, flags, [...self, "daemon", "--foreground"]);
}

async function statusCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  if (words.length > 0) throw usageError({ forms: ["status"] });
  const summary = await summaryOf(apiOf(process, given["data-dir"]));
  if (given.json === true) {
    const { status, ...others } = summary;
    console.log(toJsonLine({ command: "status", ok: true, result: { ...status, ...others } }));
  } else for (const line of renderSummary(summary, viewOf(process), Date.now())) console.log(line);
  return 0;
}

async function webCommand(
  { process, console, openFile }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  if (words.length > 0) throw usageError({ forms: ["web [--no-open]"] });
  const api = apiOf(process, given["data-dir"]);
  if (given.json === true) {
    console.log(toJsonLine({ command: "web", ok: true, result: await api.call("createLink", {}) }));
    return 0;
  }
  const dataDir = dataDirOf(process, given["data-dir"]);
  const log = (line: string): void => console.log(line);
  await openPage({ env: process.env, api, dataDir, log, openFile }, given["no-open"] === true);
  return 0;
}

async function stopCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  if (words.length > 0) throw usageError({ forms: ["stop"] });
  await apiOf(process, given["data-dir"]).call("stop", {});
  console.log("The daemon ends; its session, shares and downloads continue when it is started again.");
  return 0;
}

async function trackersCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  const api = apiOf(process, given["data-dir"]);
  const [action, path, ...others] = words;
  const isChange = action === "set" && path !== undefined && others.length === 0;
  if (action !== undefined && !isChange)
    throw usageError({ forms: ["trackers", "trackers set tracker_info.txt", "trackers set <invite>"] });
  const trackers = !isChange
    ? await api.call("trackers", {})
    : isInviteText(path)
      ? await api.call("setTrackers", { invite: path })
      : await api.call("setTrackers", { text: formatTrackerInfo(readTrackerInfo(path)) });
  if (given.json === true) console.log(toJsonLine({ command: "trackers", ok: true, result: trackers }));
  else for (const line of renderTrackers(trackers)) console.log(line);
  return 0;
}

async function scheduleCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  const api = apiOf(process, given["data-dir"]);
  const change = scheduleChange(words, given);
  let { rules } = await api.call("schedule", {});
  if (change !== undefined) ({ rules } = await api.call("setSchedule", { rules: change(rules) }));
  const { rule } = await api.call("limits", {});
  if (given.json === true) {
    console.log(toJsonLine({ command: "schedule", ok: true, result: { rules, ...(rule && { now: rule }) } }));
  } else for (const line of renderSchedule(rules, rule)) console.log(line);
  return 0;
}

/** What the words do to the rules; undefined: they are shown. @throws MiniTorrentError USAGE, INVALID_ARGUMENT */
function scheduleChange(
  [action, ...words]: readonly string[],
  { up, down, pause }: GivenValues,
): ((rules: readonly ScheduleRule[]) => ScheduleRule[]) | undefined {
  const [first, second] = words;
  const isLimited = up !== undefined || down !== undefined || pause !== undefined;
  if (action === "add" && first !== undefined && second !== undefined && words.length === 2) {
    const rate = (value: GivenValues[string]) => (typeof value === "string" ? value : undefined);
    const rule = parseRule({
      ...{ days: first, times: second, up: rate(up), down: rate(down), isPaused: pause === true },
    });
    return (rules) => [...rules, rule];
  }
  if (!isLimited && action === undefined) return undefined;
  if (!isLimited && action === "clear" && words.length === 0) return () => [];
  if (!isLimited && action === "remove" && first !== undefined && words.length === 1) {
    return (rules) => {
      const index = Number(first) - 1;
      if (rules[index] !== undefined) return rules.filter((_, at) => at !== index);
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `There is no rule ${first}; minitorrent schedule shows those there are.`,
      );
    };
  }
  throw usageError({
    forms: ["schedule", "schedule add <days> <from>-<to> [option]...", "schedule remove <number>"],
  });
}

async function tokenCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  const api = apiOf(process, given["data-dir"]);
  const [action, name, ...others] = words;
  if (action === "list" && name === undefined) {
    const at = (timeMs: number): string => formatTime(timeMs, { columns: undefined, isColored: false });
    for (const { name, scope, createdAtMs, lastUsedAtMs } of await api.call("tokens", {})) {
      const used = lastUsedAtMs === undefined ? "" : `, last used ${at(lastUsedAtMs)}`;
      console.log(`${harmless(name)}  ${scope}  since ${at(createdAtMs)}${used}`);
    }
  } else if (action === "create" && name !== undefined && others.length === 0) {
    const scope = given.read === true ? "read" : "control";
    const { token } = await api.call("createToken", { name, scope });
    console.error("Keep it secret; it is shown only now, and minitorrent token revoke ends it:");
    console.log(token);
  } else if (action === "revoke" && name !== undefined && others.length === 0) {
    await api.call("revokeToken", { name });
    console.log(`The token '${harmless(name)}' is revoked.`);
  } else throw usageError({ forms: ["token list", "token create <name> [--read]", "token revoke <name>"] });
  return 0;
}

/** With `query`, what the scripts ask: the words behind the program's name, the last of which is being typed. */
async function completionCommand(
  { process, console }: MinitorrentProgram,
  words: readonly string[],
  given: GivenValues,
): Promise<number> {
  const [shell = "", ...others] = words;
  if (shell === "query") {
    const connect = () => RemoteClient.connect(apiOf(process, given["data-dir"]));
    const tables = { own: programCommands, oneShots: oneShotCommands };
    for (const line of await completeForShell(tables, connect, others)) console.log(line);
    return 0;
  }
  if (!isShell(shell) || others.length > 0) {
    throw usageError({ forms: SHELLS.map((name) => `completion ${name}`) });
  }
  console.log(completionScript(shell));
  return 0;
}
