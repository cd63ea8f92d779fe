// Which commands of the table `minitorrent` offers as one-shots, their short names, and the options that it adds to them.
import type { CommandOption } from "./command-options.ts";
import type { Command } from "./command-types.ts";
import { commands } from "./commands.ts";

export interface ProgramOption extends CommandOption {
  readonly help: string;
}

/** Commands of the table that make no sense as a one-shot. */
const NOT_ONE_SHOT: ReadonlySet<string> = new Set(["quit", "help"]);
export const oneShotCommands: readonly Command[] = commands.filter(({ name }) => !NOT_ONE_SHOT.has(name));

/** Shorter names of commands that are typed most. */
export const SHORT_NAMES: Readonly<Record<string, string>> = {
  download: "download_file",
  share: "upload_file",
  downloads: "show_downloads",
  shares: "list_shares",
  groups: "list_groups",
  join: "join_group",
  invite: "create_invite",
  files: "list_files",
};

export const DATA_DIR_OPTION: ProgramOption = {
  name: "--data-dir",
  value: "folder",
  help: "the daemon of that folder",
};
export const JSON_OPTION: ProgramOption = { name: "--json", help: "one JSON object a line" };
export const WAIT_OPTION: ProgramOption = {
  name: "--wait",
  help: "show progress until the download has ended; Ctrl-C leaves it to the daemon",
};
export const PASSWORD_OPTION: ProgramOption = {
  name: "--password-file",
  value: "file",
  help: "a file whose first line is the password; it must be readable by you alone",
};

export function shortNameOf(name: string): string | undefined {
  return Object.entries(SHORT_NAMES).find(([, long]) => long === name)?.[0];
}

/** What a one-shot takes beside the command's own options. */
export function programOptionsOf({ name, arguments: given }: Command): readonly ProgramOption[] {
  return [
    JSON_OPTION,
    ...(name === "download_file" || name === "resume" ? [WAIT_OPTION] : []),
    ...(given.some(({ kind }) => kind === "password") ? [PASSWORD_OPTION] : []),
    DATA_DIR_OPTION,
  ];
}
