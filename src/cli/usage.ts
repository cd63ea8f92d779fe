// From a typed line to a command of the table: arity, the nearest command for a wrong one, usage and help texts. Pure.
import { distance } from "fastest-levenshtein";
import { MiniTorrentError } from "../api/errors.ts";
import { parseWords, splitLine } from "./command-line.ts";
import { type GivenOptions, optionUsage, splitOptions, unknownOption } from "./command-options.ts";
import type { ArgumentKind, ClientCommands, Command } from "./command-types.ts";
import { DEFAULT_COLUMNS, harmless, paint, type View, wrapWords } from "./display-text.ts";
import { meantCommands } from "./meant-commands.ts";
import { withOmitted } from "./typed-arguments.ts";

export interface ParsedCommand {
  readonly command: Command;
  readonly values: readonly string[];
  readonly options: GivenOptions;
}

/** A heading of the help, and its commands. */
export interface Subject {
  readonly title: string;
  readonly commands: readonly Command[];
}

const HELP_INDENT = "  ";
const OMITTED_HELP =
  "A <group_id> is the name of a group (see list_groups), a <user_id> the name of a user. If you are in only one group, " +
  "<group_id> may be left out; if only one download fits, so may <group_id> <file_name>. A command that ends something " +
  "needs its <file_name> or <user_id>. A <file_name> or <share> is the name of a file or folder in a group. A <glob> is a " +
  "pattern of paths in a folder, such as *.jpg, raw/** or **/*.txt.";
/** Example values for arguments. */
const EXAMPLES: Readonly<Record<ArgumentKind, string>> = {
  "user-id": "alice",
  password: "correct-horse",
  "new-group": "films",
  "any-group": "films",
  "my-group": "films",
  requester: "bob",
  member: "bob",
  invite: "3f9a0c1d2e4b5a67",
  "group-file": "holiday.mkv",
  "download-group": "films",
  "download-file": "holiday.mkv",
  path: "~/Videos/holiday.mkv",
  direction: "up",
  rate: "5MB/s",
  all: "all",
  everywhere: "everywhere",
  command: "upload_file",
};
/** A name that differs from a command with a password by no more than this share of its letters may be followed by one. */
const MAX_SECRET_TYPO_SHARE = 1 / 2;
/** Of what was typed for a command's name, an error repeats no more than this many characters. */
const MAX_NAME_CHARACTERS = 40;

/**
 * Reads a line that is neither empty nor a comment.
 *
 * @param client what it knows fills in what was left out; without it, nothing may be
 * @throws MiniTorrentError USAGE, with the usage of the command, or of what may be meant
 */
export function parseCommand(
  table: readonly Command[],
  line: string,
  client?: ClientCommands,
): ParsedCommand {
  const [name = "", ...words] = parseWords(line);
  const command = findCommand(table, name);
  const known = command.options ?? [];
  const { values, options } = splitOptions(known, words);
  if (command.arity.includes(values.length)) return { command, values, options };
  const filled = client === undefined ? undefined : withOmitted(command, values, client);
  if (filled?.kind === "filled") return { command, values: filled.values, options };
  const found = values.length === 0 ? "none" : String(values.length);
  const unknown = unknownOption(known, values);
  const why =
    filled !== undefined
      ? `, and ${filled.why}`
      : unknown === undefined
        ? ""
        : `, and has no option '${harmless(nameShown(unknown))}'`;
  throw new MiniTorrentError(
    "USAGE",
    `${command.name} takes ${countsOf(command.arity)}, but got ${found}${why}. Usage: ${usageOf(command)}`,
  );
}

/** @throws MiniTorrentError USAGE, with the usage of the command that may be meant */
export function findCommand(table: readonly Command[], name: string): Command {
  const command = commandOf(table, name);
  if (command !== undefined) return command;
  const [meant, ...others] = meantCommands(
    name,
    table.map((candidate) => candidate.name),
  ).flatMap((meantName) => commandOf(table, meantName) ?? []);
  const remedy =
    meant === undefined
      ? "help lists the commands."
      : others.length === 0
        ? `Nearest: ${usageOf(meant)}  (help lists all)`
        : `Perhaps one of these: ${[meant, ...others].map((one) => one.name).join(", ")}  (help lists all)`;
  throw new MiniTorrentError("USAGE", `There is no command '${harmless(nameShown(name))}'. ${remedy}`);
}

/** The command of that name, or of that other name. */
export function commandOf(table: readonly Command[], name: string): Command | undefined {
  return table.find((candidate) => candidate.name === name || candidate.aliases?.includes(name));
}

/** `wait [<group_id> <file_name>]`: what may be left out in brackets, and what may be left out of that in its own. */
export function usageOf(command: Command): string {
  const names = command.arguments.map((argument) => `<${argument.name}>`);
  let optional = "";
  for (const [step, count] of command.arity.entries().toArray().reverse()) {
    const upTo = command.arity[step + 1] ?? count;
    const part = [...names.slice(count, upTo), ...(optional === "" ? [] : [optional])].join(" ");
    optional = part === "" ? "" : `[${part}]`;
  }
  const required = names.slice(0, command.arity[0]);
  const options = (command.options ?? []).map(optionUsage);
  return [command.name, ...required, ...(optional === "" ? [] : [optional]), ...options].join(" ");
}

/** Name of the command that a line gives, as far as it may be repeated; empty if there is none. */
export function commandNameOf(line: string): string {
  return nameShown(splitLine(line).words[0]?.value ?? "");
}

/**
 * The line without a password that stands in it, or may: for history and echo. A mistyped `login` counts as one.
 */
export function withoutPassword(table: readonly Command[], line: string): string {
  const { words } = splitLine(line);
  const name = words[0]?.value ?? "";
  const command = commandOf(table, name) ?? mistypedSecret(table, name);
  const secret = command?.arguments.findIndex((argument) => argument.kind === "password") ?? -1;
  const firstHidden = secret === -1 ? undefined : words[secret + 1];
  return firstHidden === undefined ? line : line.slice(0, firstHidden.start).trimEnd();
}

/** Of a name that is no command, a command with a password that it may be meant for: more are taken for one than are suggested. */
function mistypedSecret(table: readonly Command[], name: string): Command | undefined {
  const names = table.map((candidate) => candidate.name);
  const meant = meantCommands(name, names);
  const typed = nameShown(name).toLowerCase();
  return table
    .filter((command) => command.arguments.some((argument) => argument.kind === "password"))
    .find(
      (command) =>
        meant.includes(command.name) ||
        distance(typed, command.name) <= command.name.length * MAX_SECRET_TYPO_SHARE,
    );
}

/** All commands by subject, wrapped at words. */
export function renderHelp(subjects: readonly Subject[], view: View): readonly string[] {
  const lines: string[] = [];
  for (const { title, commands } of subjects) {
    lines.push(...(lines.length === 0 ? [] : [""]), title);
    for (const command of commands) lines.push(...renderCommand(command, view, HELP_INDENT));
  }
  return [...lines, "", ...wrapWords(OMITTED_HELP, view.columns ?? DEFAULT_COLUMNS, HELP_INDENT)];
}

/** One command, with an example. */
export function renderCommandHelp(command: Command, view: View): readonly string[] {
  const example = `Example: ${exampleOf(command)}`;
  const columns = view.columns ?? DEFAULT_COLUMNS;
  return [...renderCommand(command, view, ""), ...wrapWords(example, columns, "", "    ")];
}

/** @param name what to call it, if it has a shorter name */
export function exampleOf(command: Command, name: string = command.name): string {
  const ofArguments = command.arguments.slice(0, command.arity.at(-1) ?? 0).map(({ kind }) => EXAMPLES[kind]);
  return `${name} ${command.example ?? ofArguments.join(" ")}`.trimEnd();
}

function renderCommand(command: Command, view: View, indent: string): readonly string[] {
  const columns = view.columns ?? DEFAULT_COLUMNS;
  return [
    ...wrapWords(usageOf(command), columns, indent, `${indent}    `).map((line) => paint(line, "bold", view)),
    ...wrapWords(command.help, columns, `${indent}    `, `${indent}    `),
  ];
}

function countsOf(arity: readonly number[]): string {
  const last = arity.at(-1) ?? 0;
  const texts = arity.map((count) => (count === 0 ? "no" : String(count)));
  return `${texts.join(" or ")} argument${last === 1 ? "" : "s"}`;
}

function nameShown(name: string): string {
  return name.length <= MAX_NAME_CHARACTERS ? name : `${name.slice(0, MAX_NAME_CHARACTERS)}…`;
}
