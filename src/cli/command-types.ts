// What a command is: its arguments, its action, and what an action gets and gives. The table of them is commands.ts.
import type { Client } from "../client/client.ts";
import type { DownloadStatus, HashProgress } from "../client/status.ts";
import type { PeerStatus } from "../engine/peer-status.ts";
import type { CommandOption, GivenOptions } from "./command-options.ts";
import { harmless, type View } from "./display-text.ts";

/** What a client does for the daemon and its page, and for no command. */
type NoCommand =
  | "close"
  | "downloadFiles"
  | "holdDownloads"
  | "openReader"
  | "overrideLimits"
  | "pieces"
  | "releaseDownloads"
  | "resume"
  | "trackers"
  | "traffic"
  | "useTrackers";

/** What the commands need of a client: one in this process, or the daemon's. */
export type ClientCommands = Omit<Client, NoCommand | "limit" | "peers"> & {
  limit(...given: Parameters<Client["limit"]>): void | Promise<void>;
  peers(...given: Parameters<Client["peers"]>): readonly PeerStatus[] | Promise<readonly PeerStatus[]>;
};

/** What an argument is: tab completion offers accordingly. */
export type ArgumentKind =
  | "user-id"
  | "password"
  | "new-group"
  | "any-group"
  | "my-group"
  | "requester"
  | "invite"
  | "member"
  | "group-file"
  | "download-group"
  | "download-file"
  | "path"
  | "direction"
  | "rate"
  | "all"
  | "everywhere"
  | "command";

export interface Argument {
  readonly name: string;
  readonly kind: ArgumentKind;
}

export interface CommandContext {
  readonly client: ClientCommands;
  /** Aborted when the person gives up waiting. */
  readonly signal: AbortSignal;
  /** The options typed with the command. */
  readonly options?: GivenOptions | undefined;
  /** Asks at the terminal, without echo; undefined where nobody can be asked. */
  readonly askPassword: ((question: string) => Promise<string>) | undefined;
  /** Longest time that `wait` waits; undefined: no limit. */
  readonly waitTimeoutMs?: number | undefined;
  /** Tells a person what they should know although the command was done; undefined where a program reads. */
  readonly warn?: ((sentence: string) => void) | undefined;
  readonly onHashing: (path: string, progress: HashProgress) => void;
  /** The command fails, and its error names that download and why it is not complete. */
  readonly onUnfinishedNamed?: (download: DownloadStatus) => void;
}

export interface FileOfGroup {
  readonly groupId: string;
  readonly fileName: string;
}

export interface Answer {
  /** What `--json` shows. */
  readonly result: unknown;
  /** The same for a person. */
  readonly lines: (view: View) => readonly string[];
}

/** An answer of one sentence. */
export function said(sentence: string, result: unknown): Answer {
  return { result, lines: () => [harmless(sentence)] };
}

export interface Command {
  readonly name: string;
  /** Further names of the command, not listed in help. */
  readonly aliases?: readonly string[];
  readonly arguments: readonly Argument[];
  /** How many arguments there may be: each of these counts is a form of the command. */
  readonly arity: readonly number[];
  readonly options?: readonly CommandOption[];
  readonly help: string;
  /** What help shows as an example, without the command's name; undefined: an example value for each argument. */
  readonly example?: string;
  /** It ends or removes something, so its argument must be given even if only one thing fits. */
  readonly isEnding?: true;
  /** The files it may refer to when the group, and perhaps the file, is left out. */
  readonly candidates?: (client: ClientCommands, isFileTyped: boolean) => readonly FileOfGroup[];
  /** It also works while nobody is logged in. */
  readonly needsNoLogin?: true;
  /** Gets as many values as one of `arity` says. */
  readonly run: (context: CommandContext, ...values: string[]) => Promise<Answer>;
}
