// From a typed line to a command of the table: arity, the nearest command for a wrong one, usage and help texts. Pure.
import { closest, distance } from "fastest-levenshtein";
import { MiniTorrentError } from "../api/errors.ts";
import type { ArgumentKind, Command } from "./command.ts";
import { parseWords, splitLine } from "./command-line.ts";
import { harmless, paint, type View, wrapWords } from "./display-text.ts";

export interface ParsedCommand {
  readonly command: Command;
  readonly values: readonly string[];
}

/** A name further away than this share of its letters is not what was meant. */
const MAX_TYPO_SHARE = 1 / 3;
/** Habitual names and the commands they mean here; the nearest name by spelling may do the opposite. */
const MEANT: Readonly<Record<string, string>> = {
  add_file: "upload_file",
  delete_file: "stop_share",
  dir: "list_files",
  download: "download_file",
  downloads: "show_downloads",
  get: "download_file",
  invite: "accept_request",
  kick: "remove_member",
  ls: "list_files",
  put: "upload_file",
  register: "create_user",
  remove_file: "stop_share",
  rm: "stop_share",
  share: "upload_file",
  signup: "create_user",
  status: "show_downloads",
  unshare: "stop_share",
  upload: "upload_file",
};
/** A heading of the help, and its commands. */
export interface Subject {
  readonly title: string;
  readonly commands: readonly Command[];
}

const HELP_INDENT = "  ";
/** Width of a terminal that does not say its own (VT100). */
const DEFAULT_COLUMNS = 80;
/** Example values for arguments. */
const EXAMPLES: Readonly<Record<ArgumentKind, string>> = {
  "user-id": "alice",
  password: "correct-horse",
  "new-group": "films",
  "any-group": "films",
  "my-group": "films",
  requester: "bob",
  member: "bob",
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
/** Of what was typed for a command's name, an error repeats no more than this many characters. */
const MAX_NAME_CHARACTERS = 40;

/**
 * Reads a line that is neither empty nor a comment.
 *
 * @throws MiniTorrentError USAGE, with the usage of the command, or of the nearest one
 */
export function parseCommand(table: readonly Command[], line: string): ParsedCommand {
  const [name = "", ...values] = parseWords(line);
  const command = findCommand(table, name);
  if (!command.arity.includes(values.length)) {
    const found = values.length === 0 ? "none" : String(values.length);
    throw new MiniTorrentError(
      "USAGE",
      `${command.name} takes ${countsOf(command.arity)}, but got ${found}. Usage: ${usageOf(command)}`,
    );
  }
  return { command, values };
}

/** @throws MiniTorrentError USAGE, with the usage of the nearest command */
export function findCommand(table: readonly Command[], name: string): Command {
  const command = table.find((candidate) => candidate.name === name || candidate.aliases?.includes(name));
  if (command !== undefined) return command;
  const nearest = nearestCommand(table, name);
  const remedy =
    nearest === undefined ? "help lists the commands." : `Nearest: ${usageOf(nearest)}  (help lists all)`;
  throw new MiniTorrentError("USAGE", `There is no command '${harmless(nameShown(name))}'. ${remedy}`);
}

/** The command whose name is typed like that; undefined if nothing is near. */
function nearestCommand(table: readonly Command[], name: string): Command | undefined {
  const typed = name.toLowerCase().replaceAll("-", "_").slice(0, MAX_NAME_CHARACTERS);
  const meant = table.find((candidate) => candidate.name === MEANT[typed]);
  if (meant !== undefined) return meant;
  const names = table.map((candidate) => candidate.name);
  const prefixed = typed.length < 2 ? [] : names.filter((candidate) => candidate.startsWith(typed));
  const nearest = prefixed.length > 0 ? prefixed[0] : closest(typed, names);
  if (nearest === undefined) return undefined;
  const isNear = prefixed.length > 0 || distance(typed, nearest) <= nearest.length * MAX_TYPO_SHARE;
  return isNear ? table.find((candidate) => candidate.name === nearest) : undefined;
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
  return [command.name, ...required, ...(optional === "" ? [] : [optional])].join(" ");
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
  const command = nearestCommand(table, words[0]?.value ?? "");
  const secret = command?.arguments.findIndex((argument) => argument.kind === "password") ?? -1;
  const firstHidden = secret === -1 ? undefined : words[secret + 1];
  return firstHidden === undefined ? line : line.slice(0, firstHidden.start).trimEnd();
}

/** All commands by subject, wrapped at words. */
export function renderHelp(subjects: readonly Subject[], view: View): readonly string[] {
  const lines: string[] = [];
  for (const { title, commands } of subjects) {
    lines.push(...(lines.length === 0 ? [] : [""]), title);
    for (const command of commands) lines.push(...renderCommand(command, view, HELP_INDENT));
  }
  return lines;
}

/** One command, with an example. */
export function renderCommandHelp(command: Command, view: View): readonly string[] {
  const words = command.arguments.slice(0, command.arity.at(-1) ?? 0).map(({ kind }) => EXAMPLES[kind]);
  return [...renderCommand(command, view, ""), `Example: ${[command.name, ...words].join(" ")}`];
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
