// From a name that is no command to the commands that may be meant: by meaning first, then by spelling. A suggestion by spelling
// keeps the verb, since the nearest name may do the opposite (delete_group and create_group differ by four letters). Pure.
import { distance } from "fastest-levenshtein";

/** A word further away than this share of its letters is another word. */
const MAX_TYPO_SHARE = 1 / 3;
/** Of what was typed no more is looked at than this many characters. */
const MAX_CHARACTERS = 40;

/** What people do, in their words. */
const VERBS: Readonly<Record<string, readonly string[]>> = {
  end: [
    "delete",
    "del",
    "remove",
    "rm",
    "erase",
    "drop",
    "destroy",
    "unshare",
    "end",
    "stop",
    "cancel",
    "abort",
  ],
  make: [
    "add",
    "new",
    "make",
    "create",
    "register",
    "signup",
    "start",
    "begin",
    "share",
    "put",
    "send",
    "post",
    "import",
  ],
  show: ["ls", "dir", "list", "show", "view", "display", "print", "get"],
  take: ["get", "fetch", "pull", "take", "download", "start", "begin"],
  halt: ["pause", "stop", "halt", "suspend", "hold"],
  goOn: ["resume", "continue", "unpause", "restart", "retry"],
  admit: ["accept", "approve", "allow", "admit", "invite", "add", "confirm"],
  refuse: ["reject", "deny", "refuse", "decline"],
  expel: ["kick", "ban", "expel", "remove", "delete"],
  enter: ["join", "enter"],
  renew: ["update", "publish", "renew", "refresh", "replace"],
  choose: ["select", "choose", "pick"],
  watch: ["follow", "watch", "subscribe"],
  unwatch: ["unfollow", "unwatch", "unsubscribe"],
  quitGroup: ["leave", "exit", "delete", "remove"],
};
/** What they do it to, and the command that does it here. */
const MEANINGS: readonly (readonly [verb: string, noun: string, command: string])[] = [
  ["end", "file", "stop_share"],
  ["end", "share", "stop_share"],
  ["end", "folder", "stop_share"],
  ["renew", "share", "update_share"],
  ["renew", "file", "update_share"],
  ["renew", "folder", "update_share"],
  ["choose", "file", "select"],
  ["watch", "share", "follow"],
  ["watch", "file", "follow"],
  ["watch", "folder", "follow"],
  ["unwatch", "share", "unfollow"],
  ["unwatch", "file", "unfollow"],
  ["unwatch", "folder", "unfollow"],
  ["end", "upload", "stop_share"],
  ["end", "request", "reject_request"],
  ["halt", "download", "pause"],
  ["end", "download", "cancel"],
  ["make", "user", "create_user"],
  ["make", "account", "create_user"],
  ["make", "group", "create_group"],
  ["make", "file", "upload_file"],
  ["make", "folder", "upload_file"],
  ["make", "share", "upload_file"],
  ["make", "upload", "upload_file"],
  ["show", "file", "list_files"],
  ["show", "folder", "list_files"],
  ["show", "share", "list_shares"],
  ["show", "upload", "list_shares"],
  ["show", "member", "list_members"],
  ["show", "user", "list_members"],
  ["show", "group", "list_groups"],
  ["show", "request", "list_requests"],
  ["show", "download", "show_downloads"],
  ["show", "peer", "peers"],
  ["show", "status", "whoami"],
  ["show", "limit", "limit"],
  ["take", "download", "download_file"],
  ["take", "file", "download_file"],
  ["take", "folder", "download_file"],
  ["take", "share", "download_file"],
  ["goOn", "download", "resume"],
  ["admit", "request", "accept_request"],
  ["admit", "member", "accept_request"],
  ["admit", "user", "accept_request"],
  ["refuse", "request", "reject_request"],
  ["refuse", "member", "reject_request"],
  ["refuse", "user", "reject_request"],
  ["expel", "member", "remove_member"],
  ["expel", "user", "remove_member"],
  ["enter", "group", "join_group"],
  ["quitGroup", "group", "leave_group"],
];
/** Words that stand alone. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  accounts: ["whoami"],
  approve: ["accept_request"],
  bye: ["quit"],
  choose: ["select"],
  delete: ["stop_share", "cancel", "remove_member"],
  del: ["stop_share", "cancel", "remove_member"],
  dir: ["list_files"],
  download: ["download_file"],
  downloads: ["show_downloads"],
  files: ["list_files"],
  get: ["download_file"],
  groups: ["list_groups"],
  info: ["whoami", "why"],
  invite: ["accept_request"],
  kick: ["remove_member"],
  ls: ["list_files"],
  members: ["list_members"],
  pick: ["select"],
  progress: ["show_downloads"],
  publish: ["update_share", "upload_file"],
  put: ["upload_file"],
  register: ["create_user"],
  remove: ["stop_share", "cancel", "remove_member"],
  requests: ["list_requests"],
  restart: ["resume"],
  rm: ["stop_share", "cancel"],
  seed: ["upload_file"],
  share: ["upload_file"],
  shares: ["list_shares"],
  signin: ["login"],
  signout: ["logout"],
  signup: ["create_user"],
  start: ["download_file", "resume"],
  status: ["show_downloads", "whoami"],
  stop: ["pause", "stop_share"],
  subscribe: ["follow"],
  unpause: ["resume"],
  unshare: ["stop_share"],
  unsubscribe: ["unfollow"],
  update: ["update_share"],
  upload: ["upload_file"],
  users: ["list_members"],
  watch: ["follow"],
};

/** Words that are meant as they are: import is not export mistyped. */
const KNOWN_WORDS = new Set([...Object.values(VERBS).flat(), ...Object.keys(WORDS)]);

/** Names of `commands` that may be meant, the likeliest first; none if nothing is near. */
export function meantCommands(typed: string, commands: readonly string[]): readonly string[] {
  const name = normalized(typed);
  const byWord = Object.hasOwn(WORDS, name) ? (WORDS[name] ?? []) : [];
  const found = (byWord.length > 0 ? byWord : byMeaning(name)).filter((command) =>
    commands.includes(command),
  );
  return found.length > 0 ? found : bySpelling(name, commands);
}

/** Names that are near in spelling and have the same verb. */
export function bySpelling(typed: string, commands: readonly string[]): readonly string[] {
  const name = normalized(typed);
  if (name.length < 2) return [];
  const begun = commands.filter((command) => command.startsWith(name));
  if (begun.length > 0) return begun;
  const near = commands
    .map((command) => ({ command, away: wordsAway(name, command) }))
    .filter(({ away }) => away !== undefined)
    .toSorted((a, b) => (a.away ?? 0) - (b.away ?? 0));
  return near.slice(0, 1).map(({ command }) => command);
}

function normalized(typed: string): string {
  return typed
    .slice(0, MAX_CHARACTERS)
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .replace(/[- ]+/g, "_");
}

function byMeaning(name: string): readonly string[] {
  const [first = "", second = "", ...rest] = name.split("_");
  if (second === "" || rest.length > 0) return [];
  const meant = (verb: string, noun: string): string | undefined =>
    MEANINGS.find(([verbs, thing]) => thing === singular(noun) && VERBS[verbs]?.includes(verb))?.[2];
  const command = meant(first, second) ?? meant(second, first);
  return command === undefined ? [] : [command];
}

function singular(noun: string): string {
  return noun.endsWith("s") && noun !== "status" ? noun.slice(0, -1) : noun;
}

/** Letters that differ; undefined if a word is another one. A name that is typed in one word is compared as one. */
function wordsAway(typed: string, command: string): number | undefined {
  const words = command.split("_");
  const typedWords = typed.split("_");
  if (typedWords.length !== words.length) {
    const joined = words.join("");
    const away = distance(typedWords.join(""), joined);
    // Without the underscore only a slip is one: startshare is not stopshare.
    return away <= Math.max(1, Math.floor(joined.length / 6)) ? away : undefined;
  }
  let sum = 0;
  for (const [index, word] of words.entries()) {
    const typedWord = typedWords[index] ?? "";
    if (index === 0 && typedWord !== word && KNOWN_WORDS.has(typedWord)) return undefined;
    const away = hasSameLetters(typedWord, word)
      ? Math.min(1, distance(typedWord, word))
      : distance(typedWord, word);
    if (away > Math.max(1, Math.floor(word.length * MAX_TYPO_SHARE))) return undefined;
    sum += away;
  }
  return sum;
}

/** As with two letters that have changed places. */
function hasSameLetters(one: string, other: string): boolean {
  return [...one].sort().join("") === [...other].sort().join("");
}
