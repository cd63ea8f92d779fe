// The help of ./minitorrent: examples first, then the commands by subject; and the help of one command. Pure.
import { MiniTorrentError } from "../api/errors.ts";
import type { Command } from "./command-types.ts";
import { subjects } from "./commands.ts";
import { DEFAULT_COLUMNS, harmless, wrapWords } from "./display-text.ts";
import { meantCommands } from "./meant-commands.ts";
import {
  DATA_DIR_OPTION,
  JSON_OPTION,
  oneShotCommands,
  PASSWORD_OPTION,
  type ProgramOption,
  programOptionsOf,
  SHORT_NAMES,
  shortNameOf,
  WAIT_OPTION,
} from "./one-shots.ts";
import { type Example, type ProgramCommand, programCommandOf, programCommands } from "./program-commands.ts";
import { commandOf, exampleOf, findCommand, usageOf } from "./usage.ts";

const NAME_COLUMNS = 26;
const EXAMPLES: readonly Example[] = [
  ["minitorrent daemon --trackers tracker_info.txt", "start the daemon in the background"],
  ["minitorrent web", "open the page in a browser"],
  ["minitorrent login ann", "log in once; a restart of the daemon needs no password"],
  [
    "minitorrent join minitorrent:AUzQ...",
    "join a group by an invite; a new daemon learns its trackers from it",
  ],
  ["minitorrent share ./build studio", "share a folder in a group, in place"],
  [
    "minitorrent download studio build ./ --wait",
    "fetch it; exits with 0 when it is complete, 1 if it fails",
  ],
  ["minitorrent status", "what the daemon does now"],
  ["minitorrent downloads --json", "all downloads, for a program"],
];
const EXIT_CODES =
  "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon, 130 detached with Ctrl-C.";

/** What a person sees who typed the program's name alone. */
export function shortHelp(columns = DEFAULT_COLUMNS): string {
  return [
    "Usage: minitorrent <command> [argument]...",
    "",
    "Examples",
    ...exampleRows(EXAMPLES, columns),
    "",
    ...wrapWords(
      "minitorrent help lists all commands, minitorrent help <command> explains one.",
      columns,
      "",
    ),
  ].join("\n");
}

/** All commands, a line each. */
export function help(columns = DEFAULT_COLUMNS): string {
  const own = programCommands.map(({ name, help }) => commandRow(name, help, columns));
  const ofSubjects = subjects.flatMap(({ title, commands }) => {
    const offered = commands.filter((command) => oneShotCommands.includes(command));
    const rows = offered.flatMap(({ name, help }) => commandRow(namesOf(name), help, columns));
    return rows.length === 0 ? [] : ["", title, ...rows];
  });
  return [
    "Usage: minitorrent <command> [argument]... [option]...",
    "",
    "Examples",
    ...exampleRows(EXAMPLES, columns),
    "",
    "The daemon",
    ...own.flat(),
    ...ofSubjects,
    "",
    "Options of most commands",
    ...optionRows([JSON_OPTION, WAIT_OPTION, PASSWORD_OPTION, DATA_DIR_OPTION], columns),
    "",
    ...wrapWords("minitorrent help <command> explains one command.", columns, ""),
    ...wrapWords(EXIT_CODES, columns, ""),
  ].join("\n");
}

/**
 * One command: its forms, what it does, examples, options.
 *
 * @throws MiniTorrentError USAGE if there is none of that name
 */
export function helpOf(name: string, columns = DEFAULT_COLUMNS): string {
  const own = programCommandOf(name);
  return own === undefined ? helpOfOneShot(name, columns) : helpOfOwn(own, columns);
}

function helpOfOwn({ forms, help, examples, options }: ProgramCommand, columns: number): string {
  const [first = "", ...others] = forms;
  const suffix = others.length === 0 && options.length > 0 ? " [option]..." : "";
  return [
    `Usage: minitorrent ${first}${suffix}`,
    ...others.map((form) => `       minitorrent ${form}`),
    "",
    "Examples",
    ...exampleRows(examples, columns),
    "",
    ...wrapWords(help, columns, ""),
    "",
    "Options",
    ...optionRows(options, columns),
  ].join("\n");
}

/**
 * The command of the table.
 *
 * @throws MiniTorrentError USAGE for any other name, with the one that may be meant
 */
export function oneShotOf(name: string): Command {
  const command = commandOf(oneShotCommands, SHORT_NAMES[name] ?? name);
  if (command !== undefined) return command;
  const ownNames = [...programCommands.map((own) => own.name), ...Object.keys(SHORT_NAMES)];
  const [meant] = meantCommands(name, ownNames);
  if (meant === undefined) return findCommand(oneShotCommands, name);
  const sentence = `There is no command '${harmless(name)}'. Nearest: ${meant}  (minitorrent help lists all)`;
  throw new MiniTorrentError("USAGE", sentence);
}

function helpOfOneShot(name: string, columns: number): string {
  const command = oneShotOf(name);
  const typed = shortNameOf(command.name) ?? command.name;
  const also = [shortNameOf(command.name), ...(command.aliases ?? [])].filter((one) => one !== undefined);
  return [
    ...wrapWords(`Usage: minitorrent ${usageOf(command)}`, columns, "", "       "),
    "",
    "Example",
    ...wrapWords(`minitorrent ${shellExample(command, typed)}`, columns, "  ", "      "),
    "",
    ...wrapWords(command.help, columns, ""),
    ...(also.length === 0 ? [] : wrapWords(`Also called ${also.join(", ")}.`, columns, "")),
    "",
    "Options",
    ...optionRows(programOptionsOf(command), columns),
  ].join("\n");
}

/** As a person types it, who is asked for the password. */
function shellExample(command: Command, typed: string): string {
  const secret = command.arguments.findIndex(({ kind }) => kind === "password");
  const example = exampleOf(command, typed);
  return secret === -1
    ? example
    : example
        .split(" ")
        .slice(0, secret + 1)
        .join(" ");
}

/** `download, download_file` */
function namesOf(name: string): string {
  const short = shortNameOf(name);
  return short === undefined ? name : `${short}, ${name}`;
}

function commandRow(names: string, help: string, columns: number): string[] {
  const [sentence = help] = /^.*?[.;](?= |$)/s.exec(help) ?? [];
  const text = `${sentence.replace(/[.;]$/, "")}.`;
  const indent = " ".repeat(NAME_COLUMNS + 2);
  return wrapWords(text, columns, `  ${names.padEnd(NAME_COLUMNS - 1)} `, indent);
}

function exampleRows(examples: readonly Example[], columns: number): string[] {
  return examples.flatMap(([typed, meaning]) => [
    `  ${typed}`,
    ...(meaning === "" ? [] : wrapWords(meaning, columns, "      ")),
  ]);
}

function optionRows(options: readonly ProgramOption[], columns: number): string[] {
  return options.flatMap(({ name, value, help }) => [
    `  ${name}${value === undefined ? "" : ` <${value}>`}`,
    ...wrapWords(help, columns, "      "),
  ]);
}
