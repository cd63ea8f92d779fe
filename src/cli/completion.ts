// What Tab offers: commands, groups, people, files, downloads and paths, by the kind of the argument that is being typed.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { later } from "../net/timers.ts";
import { expandHome, quoteText, splitLine } from "./command-line.ts";
import { type CommandOption, splitOptions } from "./command-options.ts";
import type { ArgumentKind, ClientCommands, Command } from "./command-types.ts";
import { harmless } from "./display-text.ts";
import { commandOf } from "./usage.ts";

/** A person who pressed Tab looks at the screen: past this, nothing is offered rather than something late. */
const COMPLETION_TIMEOUT_MS = 1000;

/** `[what the word may become, the word as it is typed]`: what node:readline asks of a completer. */
export type Completion = [string[], string];

interface Candidate {
  readonly value: string;
  /** False for a folder: its contents may follow. */
  readonly isWhole: boolean;
}

/** Candidates for the end of `line`. Never fails: if a list does not come in time, nothing is offered. */
export async function completeLine(
  table: readonly Command[],
  client: ClientCommands,
  line: string,
): Promise<Completion> {
  const { words, openQuote, endsInWord } = splitLine(line);
  const last = endsInWord ? words.at(-1) : undefined;
  const typed = last?.value ?? "";
  const raw = last === undefined ? "" : line.slice(last.start);
  const before = words.slice(0, endsInWord ? -1 : undefined).map((word) => word.value);
  const candidates = await inTime(candidatesFor(table, client, before, typed));
  const offers = candidates
    .filter(({ value }) => value.startsWith(typed) && harmless(value) === value)
    .map(({ value, isWhole }) => {
      const rest = quoteText(value.slice(typed.length), openQuote);
      return raw + rest + (isWhole ? `${openQuote ?? ""} ` : "");
    });
  return [[...new Set(offers)].sort(), raw];
}

export async function inTime<T>(candidates: Promise<readonly T[]>): Promise<readonly T[]> {
  const timeout = new AbortController();
  const late = new Promise<readonly T[]>((resolve) => {
    const timer = later("completion", COMPLETION_TIMEOUT_MS, () => resolve([]));
    timeout.signal.addEventListener("abort", () => clearTimeout(timer));
  });
  try {
    return await Promise.race([candidates, late]);
  } catch {
    // Not logged in, no such group, no tracker: there is nothing to offer, and Tab is no place to say why.
    return [];
  } finally {
    timeout.abort();
  }
}

async function candidatesFor(
  table: readonly Command[],
  client: ClientCommands,
  before: readonly string[],
  typed: string,
): Promise<readonly Candidate[]> {
  const [name, ...words] = before;
  if (name === undefined) return whole(table.map((command) => command.name));
  const command = commandOf(table, name);
  const known = command?.options ?? [];
  if (typed.startsWith("-") && known.length > 0 && !needsValue(known, words)) {
    return whole(known.map((option) => option.name));
  }
  const next = nextArgument(command, words);
  if (next === undefined) return [];
  if (next.kind === "path") return paths(typed);
  if (next.kind === "command") return whole(table.map((command) => command.name));
  return whole(await namesOfKind(client, next.kind, next.groupId, typed));
}

/** The last word is an option whose value comes next, which is anything. */
export function needsValue(known: readonly CommandOption[], words: readonly string[]): boolean {
  return known.some((option) => option.value !== undefined && option.name === words.at(-1));
}

/** What the argument behind those words is, and the group that it may be of. */
export function nextArgument(
  command: Command | undefined,
  words: readonly string[],
): { readonly kind: ArgumentKind; readonly groupId: string } | undefined {
  const known = command?.options ?? [];
  if (needsValue(known, words)) return undefined;
  const { values } = splitOptions(known, words);
  const kind = command?.arguments[values.length]?.kind;
  // In every command that names a group and something in it, the group comes right before.
  return kind && { kind, groupId: values.at(-1) ?? "" };
}

export async function namesOfKind(
  client: ClientCommands,
  kind: ArgumentKind,
  groupId: string,
  typed: string,
): Promise<readonly string[]> {
  switch (kind) {
    case "any-group":
      return client.namesOf({ kind: "groups" }, typed);
    case "my-group":
      return client.status().groupIds;
    case "requester":
      return client.namesOf({ kind: "requests", groupId }, typed);
    case "invite":
      return (await client.listInvites(groupId)).map(({ inviteId }) => inviteId);
    case "member":
      return client.namesOf({ kind: "members", groupId }, typed);
    case "group-file":
      return client.namesOf({ kind: "files", groupId }, typed);
    case "download-group":
      return client.downloads().map((download) => download.groupId);
    case "download-file":
      return client
        .downloads()
        .filter((download) => download.groupId === groupId)
        .map((download) => download.fileName);
    case "direction":
      return ["up", "down"];
    case "all":
    case "everywhere":
      return [kind];
    case "rate":
      return ["off", "500kB/s", "1MB/s", "5MB/s"];
    default:
      return [];
  }
}

function whole(values: readonly string[]): readonly Candidate[] {
  return values.map((value) => ({ value, isWhole: true }));
}

async function paths(typed: string): Promise<readonly Candidate[]> {
  if (typed === "~") return [{ value: "~/", isWhole: false }];
  const slash = typed.lastIndexOf("/");
  const folderTyped = typed.slice(0, slash + 1);
  const namePart = typed.slice(slash + 1);
  const folder = folderTyped === "" ? "." : expandHome(folderTyped);
  const entries = await readdir(folder, { withFileTypes: true });
  return Promise.all(
    entries
      .filter((entry) => entry.name.startsWith(namePart) && (namePart !== "" || !entry.name.startsWith(".")))
      .map(async (entry) => {
        const isFolder =
          entry.isDirectory() || (entry.isSymbolicLink() && (await leadsToFolder(join(folder, entry.name))));
        return { value: folderTyped + entry.name + (isFolder ? "/" : ""), isWhole: !isFolder };
      }),
  );
}

async function leadsToFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (target) => target.isDirectory(),
    () => false,
  );
}
