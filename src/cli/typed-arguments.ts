// Arguments as people type them: what need not be typed because one value alone fits, and what is typed in another order. Looks
// at what the client knows, and asks no tracker.

import { quoteText } from "./command-line.ts";
import { type GivenOptions, optionWords } from "./command-options.ts";
import type { ArgumentKind, ClientCommands, Command, FileOfGroup } from "./command-types.ts";
import { countOf, harmless } from "./display-text.ts";

/** Most candidates that an error names. */
const MAX_NAMED = 5;

export type Filled =
  | { readonly kind: "filled"; readonly values: readonly string[] }
  /** Nothing, or more than one thing, fits: `why` follows "but got none" in the error. */
  | { readonly kind: "unclear"; readonly why: string };

/**
 * The values with those that were left out: the group, if the user is in one alone; group and file, or the group of a file that
 * is named, if one file alone fits the command. What a command ends has to be named.
 *
 * @returns undefined if it is something else that is missing
 */
export function withOmitted(
  command: Command,
  values: readonly string[],
  client: ClientCommands,
): Filled | undefined {
  const groupAt = command.arguments.findIndex(({ kind }) => isGroup(kind));
  const fullCount = command.arity.find((count) => count > groupAt);
  if (groupAt === -1 || fullCount === undefined || client.status().account === undefined) return undefined;
  const missing = fullCount - values.length;
  if (missing < 1 || (command.isEnding === true && values.length === groupAt)) return undefined;
  const fileAt = command.arguments.findIndex(({ kind }) => isFile(kind));
  if (command.candidates === undefined || fileAt === -1)
    return missing === 1 ? withGroup(values, groupAt, client) : undefined;
  const candidates = command.candidates(client, missing === 1);
  const before = values.slice(0, groupAt);
  const after = values.slice(groupAt + 1);
  if (missing === 2) return withFile(before, candidates, values.slice(groupAt));
  if (missing !== 1) return undefined;
  const typed = values[groupAt] ?? "";
  const named = candidates.filter(({ fileName }) => isSame(fileName, typed));
  const ofGroup = candidates.filter(({ groupId }) => isSame(groupId, typed));
  if (named.length > 0) return withFile(before, named, after);
  if (ofGroup.length > 0 && command.isEnding !== true) return withFile(before, ofGroup, after);
  return withGroup(values, groupAt, client);
}

function withFile(
  before: readonly string[],
  candidates: readonly FileOfGroup[],
  after: readonly string[],
): Filled {
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0)
    return { kind: "filled", values: [...before, only.groupId, only.fileName, ...after] };
  const named = candidates.map(({ groupId, fileName }) => `[${groupId}] ${fileName}`);
  const why =
    only === undefined ? "no file fits" : `${countOf(candidates.length, "file")} fit: ${listed(named)}`;
  return { kind: "unclear", why };
}

function withGroup(values: readonly string[], groupAt: number, client: ClientCommands): Filled | undefined {
  const { groupIds } = client.status();
  // It is not the group that is missing.
  if (values.some((value) => groupIds.some((groupId) => isSame(groupId, value)))) return undefined;
  const [only, ...others] = groupIds;
  if (only !== undefined && others.length === 0)
    return { kind: "filled", values: values.toSpliced(groupAt, 0, only) };
  const why =
    only === undefined ? "you are in no group" : `you are in ${groupIds.length} groups: ${listed(groupIds)}`;
  return { kind: "unclear", why };
}

function listed(names: readonly string[]): string {
  const others = names.length - MAX_NAMED;
  return harmless(names.slice(0, MAX_NAMED).join(", ")) + (others > 0 ? ` and ${others} more` : "");
}

/**
 * For a command that failed with a group, path, direction or rate in the place of another argument: how it is typed. Not asked
 * before, since another tracker may know groups that this client has not heard of.
 */
export function otherOrder(
  command: Command,
  values: readonly string[],
  client: ClientCommands,
  options: GivenOptions = new Map(),
): string | undefined {
  const kinds = command.arguments.slice(0, values.length).map(({ kind }) => kind);
  const ordered = withPathLast(withGroupInPlace(withLimitFirst(values, kinds), kinds, client), kinds);
  if (ordered.every((value, index) => value === values[index])) return undefined;
  const typed = [...ordered, ...optionWords(options)].map((word) => quoteText(word, undefined));
  const line = [command.name, ...typed].join(" ");
  const names = kinds.map((_, index) => `<${command.arguments[index]?.name}>`).join(" ");
  return `The arguments of ${command.name} are ${names}, in this order. Type: ${harmless(line)}`;
}

function withLimitFirst(values: readonly string[], kinds: readonly ArgumentKind[]): readonly string[] {
  const isDirection = (value = ""): boolean => value === "up" || value === "down";
  const isRate = (value = ""): boolean => /^(off|\d+(\.\d+)?\s*[kMG]?i?B?(\/s)?)$/i.test(value);
  return withInPlace(
    withInPlace(values, kinds.indexOf("direction"), isDirection),
    kinds.indexOf("rate"),
    isRate,
  );
}

/** Moves the first value of that form to its place, unless one stands there. */
function withInPlace(
  values: readonly string[],
  at: number,
  isRight: (value: string | undefined) => boolean,
): readonly string[] {
  return at === -1 || isRight(values[at]) ? values : moved(values, values.findIndex(isRight), at);
}

function withGroupInPlace(
  values: readonly string[],
  kinds: readonly ArgumentKind[],
  client: ClientCommands,
): readonly string[] {
  const at = kinds.findIndex(isGroup);
  if (at === -1 || client.status().account === undefined) return values;
  const known = [
    ...client.status().groupIds,
    ...client.downloads().map(({ groupId }) => groupId),
    ...client.shares().map(({ groupId }) => groupId),
  ];
  const isKnown = (value: string | undefined): boolean =>
    value !== undefined && known.some((groupId) => isSame(groupId, value));
  return withInPlace(values, at, isKnown);
}

/** A file's name has no slash. */
function withPathLast(values: readonly string[], kinds: readonly ArgumentKind[]): readonly string[] {
  const fileAt = kinds.indexOf("group-file");
  const pathAt = kinds.indexOf("path");
  const isPath = (value = ""): boolean => /^(\.{1,2}|~)$|\//.test(value);
  if (fileAt === -1 || pathAt === -1 || !isPath(values[fileAt]) || isPath(values[pathAt])) return values;
  return moved(values, pathAt, fileAt);
}

function moved(values: readonly string[], from: number, to: number): readonly string[] {
  const value = values[from]; // none if `from` is -1
  return value === undefined ? values : values.toSpliced(from, 1).toSpliced(to, 0, value);
}

function isGroup(kind: ArgumentKind): boolean {
  return kind === "my-group" || kind === "download-group";
}

function isFile(kind: ArgumentKind): boolean {
  return kind === "group-file" || kind === "download-file";
}

/** Names are compared in the normal form that the trackers keep them in. */
function isSame(one: string, other: string): boolean {
  return one.normalize() === other.normalize();
}
