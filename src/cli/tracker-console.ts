// The operator's console of a tracker: status, backup, accounts and groups, quit. The tracker keeps running at the end of
// input.
import { setImmediate as nextTurn } from "node:timers/promises";
import { formatBytes } from "../api/byte-units.ts";
import { asMiniTorrentError } from "../api/errors.ts";
import type { AccountUsage, GroupUsage, Operator } from "../tracker/operator.ts";
import type { Tracker, TrackerStatus } from "../tracker/tracker.ts";
import { absolutePath, parseWords } from "./command-line.ts";
import { countOf, formatDuration, formatTime, harmless, type View, wrapWords } from "./display-text.ts";
import { bySpelling } from "./meant-commands.ts";
import { formatTable } from "./table.ts";

export interface TrackerConsoleOptions {
  readonly tracker: Pick<Tracker, "status" | "backUp" | "acceptClock"> & {
    readonly operator: Pick<
      Operator,
      "accounts" | "groups" | "account" | "group" | "removeAccount" | "removeGroup"
    >;
  };
  /** A node:readline interface over stdin. */
  readonly lines: {
    on(event: "line", listener: (line: string) => void): unknown;
    close(): void;
  };
  readonly write: (line: string) => void;
  /** Width of the terminal; undefined: nothing is wrapped or cut. */
  readonly columns?: () => number | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** The start of a digest says as much as the whole: it is compared by eye. */
const DIGEST_DIGITS_SHOWN = 16;
/** Each command and its line of help. */
export const TRACKER_COMMANDS = {
  status: "How this tracker stands: users, groups, files, clients, links to the other trackers.",
  accounts:
    "accounts [<prefix>]: list accounts, or those whose user id starts with the prefix; more continues the list.",
  groups:
    "groups [<prefix>]: list groups, or those whose group id starts with the prefix; more continues the list.",
  more: "Show the next part of the last list of accounts or groups.",
  remove_account: "remove_account <user_id>: remove an account permanently, after confirmation.",
  remove_group: "remove_group <group_id>: remove a group permanently, after confirmation.",
  backup: "backup <folder>: copies the registry and this tracker's key to a new folder, while it serves.",
  accept_clock: "Accept this machine's clock as right, after it was set by hours or was wrong before.",
  help: "This list.",
  quit: "Close this tracker. Clients go on at another one.",
};
/** Width of the name column: the longest name. */
const NAME_COLUMNS = Math.max(...Object.keys(TRACKER_COMMANDS).map((name) => name.length));
/** Rows of a list before `more`: a screenful. */
const LIST_ROWS = 40;
/** Follows the name in a removal, so that nothing is removed by accident; a script can give it too. */
const CONFIRMATION = "yes";

/** Names are never cut: they are typed again, to remove an account or a group. */
const VIEW: View = { columns: undefined, isColored: false };

/** Resolves when `quit` was typed or the signal came. */
export async function runTrackerConsole(options: TrackerConsoleOptions): Promise<void> {
  const { tracker, lines, write, now, signal } = options;
  const view = (): View => ({ columns: options.columns?.(), isColored: false });
  const lists = new Lists(options);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const onAbort = (): void => end();
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) end();
  lines.on("line", (line) => {
    const [word = "", ...rest] = line.trim().split(/\s+/);
    switch (word) {
      case "":
        return;
      case "status":
        for (const text of renderTrackerStatus(tracker.status(), now(), view())) write(text);
        return;
      case "backup":
        if (rest.length === 0) write("backup takes the path of a folder that does not exist yet.");
        else void backUp(options, line.trim().slice(word.length).trim());
        return;
      case "accept_clock":
        tracker.acceptClock();
        write("The clock is accepted as it is now.");
        return;
      case "accounts":
      case "groups":
        void answered(write, () => lists.begin(word, nameOf(rest[0])));
        return;
      case "more":
        void answered(write, () => lists.more());
        return;
      case "remove_account":
      case "remove_group":
        void answered(write, () => remove(options, word, rest));
        return;
      case "help":
      case "?":
        for (const text of renderTrackerHelp(view())) write(text);
        return;
      case "quit":
      case "exit":
        end();
        return;
      default:
        write(unknownCommand(word));
    }
  });
  try {
    await ended;
  } finally {
    signal.removeEventListener("abort", onAbort);
    lines.close();
  }
}

function unknownCommand(word: string): string {
  const [nearest] = bySpelling(word, Object.keys(TRACKER_COMMANDS));
  const remedy = nearest === undefined ? "help lists all." : `Nearest: ${nearest}  (help lists all)`;
  return `There is no command '${harmless(word.slice(0, 40))}'. ${remedy}`;
}

/** @param typed one path, quoted or not: also one with spaces, which stands as it is */
async function backUp({ tracker, write }: TrackerConsoleOptions, typed: string): Promise<void> {
  await answered(write, async () => {
    const words = parseWords(typed);
    const folder = absolutePath(words.length === 1 ? (words[0] ?? "") : typed).replace(/(?!^)\/+$/, "");
    await tracker.backUp(folder);
    write(`Backed up to ${harmless(folder)}; it holds this tracker's key and everybody's password hashes.`);
  });
}

/** Runs a command and writes its failure as a line. */
async function answered(write: (line: string) => void, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const { code, message } = asMiniTorrentError(error);
    write(`error ${code}: ${harmless(message)}`);
  }
}

/** The name in the normal form in which names are stored. */
function nameOf(typed: string | undefined): string {
  return (typed ?? "").normalize();
}

/** `accounts` and `groups`, a part at a time. */
class Lists {
  readonly #options: TrackerConsoleOptions;
  #next:
    | { readonly what: "accounts" | "groups"; readonly prefix: string; readonly after: string }
    | undefined;
  /** Settles when the parts asked for so far are shown. */
  #shown: Promise<unknown> = Promise.resolve();

  constructor(options: TrackerConsoleOptions) {
    this.#options = options;
  }

  begin(what: "accounts" | "groups", prefix: string): Promise<void> {
    return this.#inTurn(() => this.#show(what, prefix, undefined));
  }

  more(): Promise<void> {
    return this.#inTurn(async () => {
      const next = this.#next;
      if (next === undefined)
        this.#options.write("The list is at its end; accounts or groups starts a new one.");
      else await this.#show(next.what, next.prefix, next.after);
    });
  }

  /** Commands that come at once, as from a file, each continue where the one before ended. */
  #inTurn(show: () => Promise<void>): Promise<void> {
    const shown = this.#shown.then(show);
    this.#shown = shown.catch(() => {});
    return shown;
  }

  async #show(what: "accounts" | "groups", prefix: string, after: string | undefined): Promise<void> {
    const { tracker, write } = this.#options;
    const { operator } = tracker;
    let from = after;
    let part: {
      readonly lines: readonly string[];
      readonly isEmpty: boolean;
      readonly next: string | undefined;
    };
    do {
      part =
        what === "accounts"
          ? accountLines(operator.accounts(prefix, from, LIST_ROWS))
          : groupLines(await operator.groups(prefix, from, LIST_ROWS));
      from = part.next;
      await nextTurn();
    } while (part.isEmpty && part.next !== undefined); // of names that were lost to others nothing is shown
    const { lines, next } = part;
    this.#next = next === undefined ? undefined : { what, prefix, after: next };
    for (const line of lines) write(line);
    if (next !== undefined) write("The list continues; type more.");
  }
}

function accountLines({ items, next }: { items: readonly AccountUsage[]; next: string | undefined }) {
  if (items.length === 0) return { lines: ["No account matches."], isEmpty: true, next };
  const columns = [
    { title: "USER" },
    { title: "OWNS", isNumber: true },
    { title: "SHARES", isNumber: true },
    { title: "ROWS", isNumber: true },
    { title: "TAKE", isNumber: true },
    { title: "SINCE" },
  ];
  const rows = items.map(({ userId, groups, files, rows, bytes, createdAtMs }) => [
    userId,
    countOf(groups, "group"),
    countOf(files, "file"),
    String(rows),
    formatBytes(bytes),
    formatTime(createdAtMs, VIEW),
  ]);
  return { lines: formatTable(columns, rows, VIEW), isEmpty: false, next };
}

function groupLines({ items, next }: { items: readonly GroupUsage[]; next: string | undefined }) {
  if (items.length === 0) return { lines: ["No group matches."], isEmpty: true, next };
  const columns = [{ title: "GROUP" }, { title: "OWNER" }, { title: "MEMBERS", isNumber: true }];
  const rows = items.map(({ groupId, ownerId, members }) => [groupId, ownerId ?? "", String(members)]);
  return { lines: formatTable(columns, rows, VIEW), isEmpty: false, next };
}

async function remove(
  { tracker, write }: TrackerConsoleOptions,
  word: "remove_account" | "remove_group",
  [typed, confirmation, ...rest]: readonly string[],
): Promise<void> {
  const { operator } = tracker;
  const isAccount = word === "remove_account";
  if (
    typed === undefined ||
    rest.length > 0 ||
    (confirmation !== undefined && confirmation !== CONFIRMATION)
  ) {
    write(`${word} takes one ${isAccount ? "user id" : "group id"}, followed by ${CONFIRMATION} to confirm.`);
    return;
  }
  const name = nameOf(typed);
  // Looked up before anything is removed: shows a mistyped name, and fails for an unknown one.
  const what = isAccount ? whatAccountHas(operator.account(name)) : whatGroupHas(operator.group(name));
  if (confirmation === undefined) {
    write(`${what} Removal cannot be undone; type ${word} ${name} ${CONFIRMATION} to confirm.`);
    return;
  }
  const unconfirmed = await (isAccount ? operator.removeAccount(name) : operator.removeGroup(name));
  write(`Removed ${isAccount ? "account" : "group"} ${name}; the name is free again.`);
  if (unconfirmed.length > 0) {
    write(
      `Not confirmed by ${unconfirmed.join(", ")}: it still exists there until the trackers are connected again.`,
    );
  }
}

function whatAccountHas({ userId, groups, files, rows, bytes }: AccountUsage): string {
  const has = [countOf(groups, "group"), countOf(files, "file"), countOf(rows, "row")].join(", ");
  return (
    `Account ${userId}: ${has}, ${formatBytes(bytes)}. Its groups pass to their longest-standing members, ` +
    "its files are no longer shared, and its sessions end."
  );
}

function whatGroupHas({ groupId, ownerId, members }: GroupUsage): string {
  return `Group ${groupId}: ${countOf(members, "member")}, owned by ${ownerId ?? "nobody"}. Its files are no longer shared.`;
}

function renderTrackerHelp({ columns = Number.POSITIVE_INFINITY }: View): readonly string[] {
  const indent = " ".repeat(NAME_COLUMNS + 2);
  return Object.entries(TRACKER_COMMANDS).flatMap(([name, help]) =>
    wrapWords(help, columns, `${name.padEnd(NAME_COLUMNS)}  `, indent),
  );
}

/** The lines of `status`. */
export function renderTrackerStatus(status: TrackerStatus, nowMs: number, view: View): readonly string[] {
  const facts: [string, string][] = [
    ["address", status.address],
    ["fingerprint", `sha256:${status.fingerprint}`],
    ["tracker id", status.trackerId],
    [
      "up",
      `${formatDuration((nowMs - status.startedAtMs) / 1000)} since ${formatTime(status.startedAtMs, view)}`,
    ],
    ["clients", `${status.clientsOnline} online`],
    [
      "holds",
      [countOf(status.users, "user"), countOf(status.groups, "group"), countOf(status.files, "file")].join(
        ", ",
      ),
    ],
    ...(status.cannotWrite === undefined
      ? []
      : ([
          [
            "blocked",
            `cannot write since ${formatTime(status.cannotWrite.sinceMs, view)}: ${status.cannotWrite.sentence}`,
          ],
        ] as [string, string][])),
    ["digest", status.digest.slice(0, DIGEST_DIGITS_SHOWN)],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(11)}  ${harmless(value)}`);
  if (status.links.length === 0) return [...lines, "links        none: this is the only tracker"];
  return [
    ...lines,
    "",
    ...formatTable(
      [
        { title: "LINK TO" },
        { title: "STATE" },
        { title: "LACKS", isNumber: true },
        { title: "BEHIND FOR", isNumber: true },
        { title: "SINCE" },
      ],
      status.links.map((link) => [
        link.address,
        link.state,
        link.lagRecords === undefined ? "" : countOf(link.lagRecords, "record"),
        link.lagSeconds === 0 ? "" : formatDuration(link.lagSeconds),
        formatTime(link.sinceMs, view),
      ]),
      { ...view, columns: undefined },
    ),
    ...troubleLines(status.links, view),
  ];
}

/** Why other trackers are not connected, and what to do. */
function troubleLines(links: TrackerStatus["links"], { columns = Number.POSITIVE_INFINITY }: View): string[] {
  return links
    .map(({ trouble }) => trouble)
    .filter((trouble) => trouble !== undefined)
    .flatMap((trouble) => ["", ...wrapWords(harmless(trouble), columns)]);
}
