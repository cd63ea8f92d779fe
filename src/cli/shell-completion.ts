// Completion of `minitorrent` in shells. A script for each shell asks this program what the word at the cursor may become: one
// line says whether it is a file of this machine, which the shell knows best; the others are words, each with its meaning behind a tab.
import { LOG_LEVELS } from "./arguments.ts";
import type { CommandOption } from "./command-options.ts";
import type { ClientCommands, Command } from "./command-types.ts";
import { inTime, namesOfKind, needsValue, nextArgument } from "./completion.ts";
import { harmless } from "./display-text.ts";
import { type ProgramOption, programOptionsOf, SHORT_NAMES, shortNameOf } from "./one-shots.ts";
import { commandOf } from "./usage.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export function isShell(name: string): name is Shell {
  return (SHELLS as readonly string[]).includes(name);
}

/** What completion knows of a command about the daemon itself. */
export interface CompletedCommand {
  readonly name: string;
  readonly help: string;
  readonly options: readonly ProgramOption[];
  /** What the word behind those may be. */
  readonly nextWord?: (before: readonly string[]) => readonly string[] | "path";
}

export interface CommandTables {
  readonly own: readonly CompletedCommand[];
  readonly oneShots: readonly Command[];
}

/** What a word may become: words with their meanings, or a path of this machine. */
type Offer = readonly (readonly [word: string, meaning: string])[] | "files";

/** Values of options that are paths. */
const PATH_VALUES: ReadonlySet<string> = new Set(["file", "folder", "folders"]);
const HELP_OPTION: CommandOption & { readonly help: string } = {
  name: "--help",
  help: "explain the command",
};

/**
 * @param connect called only if a name is asked for that the daemon knows
 * @param words those behind the program's name; the last one is being typed, and may be empty
 * @returns `files`, or `words` and a line for each of them. Never fails: nothing is offered instead
 */
export async function completeForShell(
  tables: CommandTables,
  connect: () => Promise<ClientCommands>,
  words: readonly string[],
): Promise<readonly string[]> {
  const typed = words.at(-1) ?? "";
  const offer = await offerFor(tables, connect, words.slice(0, -1), typed).catch((): Offer => []);
  if (offer === "files") return ["files"];
  const fitting = offer.filter(
    ([word]) => word.startsWith(typed) && harmless(word) === word && !/[\t\n]/.test(word),
  );
  const lines = fitting.map(([word, meaning]) => (meaning === "" ? word : `${word}\t${meaning}`));
  return ["words", ...new Set(lines)];
}

async function offerFor(
  tables: CommandTables,
  connect: () => Promise<ClientCommands>,
  before: readonly string[],
  typed: string,
): Promise<Offer> {
  const [name, ...words] = before;
  if (name === undefined) return typed.startsWith("-") ? globalOptions : commandNames(tables);
  if (name === "help") return words.length === 0 ? commandNames(tables) : [];
  const own = tables.own.find((command) => command.name === name);
  if (own !== undefined) return offerOfOwn(own, words, typed);
  const command = commandOf(tables.oneShots, SHORT_NAMES[name] ?? name);
  return command === undefined ? [] : await offerOfOneShot(command, connect, words, typed);
}

const globalOptions: Offer = [
  ["--help", "list all commands"],
  ["--version", "say the version"],
];

function commandNames({ own, oneShots }: CommandTables): Offer {
  return [
    ...own.map(({ name, help }) => [name, sentence(help)] as const),
    ...oneShots.map(({ name, help }) => [shortNameOf(name) ?? name, sentence(help)] as const),
    ["help", "Explain a command"],
  ];
}

function offerOfOwn({ options, nextWord }: CompletedCommand, words: readonly string[], typed: string): Offer {
  const ofValue = offerOfValue(options, words);
  if (ofValue !== undefined) return ofValue;
  if (typed.startsWith("-")) return optionNames(options);
  const next = nextWord?.(withoutOptions(options, words)) ?? [];
  return next === "path" ? "files" : next.map((word) => [word, ""]);
}

async function offerOfOneShot(
  command: Command,
  connect: () => Promise<ClientCommands>,
  words: readonly string[],
  typed: string,
): Promise<Offer> {
  const ofProgram = programOptionsOf(command);
  const ofValue = offerOfValue(ofProgram, words);
  if (ofValue !== undefined) return ofValue;
  const own = command.options ?? [];
  if (typed.startsWith("-") && !needsValue(own, words)) return optionNames([...own, ...ofProgram]);
  const next = nextArgument(command, withoutOptions(ofProgram, words));
  if (next === undefined) return [];
  if (next.kind === "path") return "files";
  const names = inTime(connect().then((client) => namesOfKind(client, next.kind, next.groupId, typed)));
  return (await names).map((name) => [name, ""]);
}

/** If the last word is an option that needs a value: what that may be. */
function offerOfValue(options: readonly CommandOption[], words: readonly string[]): Offer | undefined {
  const option = options.find(({ name, value }) => value !== undefined && name === words.at(-1));
  if (option?.value === undefined) return undefined;
  if (PATH_VALUES.has(option.value)) return "files";
  return option.value === "level" ? LOG_LEVELS.map((level) => [level, ""]) : [];
}

function withoutOptions(options: readonly CommandOption[], words: readonly string[]): readonly string[] {
  const isOption = (word: string | undefined) => options.find(({ name }) => name === word);
  return words.filter(
    (word, index) => isOption(word) === undefined && isOption(words[index - 1])?.value === undefined,
  );
}

function optionNames(options: readonly (CommandOption & { readonly help?: string })[]): Offer {
  return [...options, HELP_OPTION].map(({ name, help, value }) => [
    name,
    sentence(help ?? (value === undefined ? "" : `<${value}>`)),
  ]);
}

/** The first sentence, without its full stop. */
function sentence(help: string): string {
  return (/^.*?(?=[.;:](?: |$)|$)/s.exec(help)?.[0] ?? help).replaceAll(/\s+/g, " ");
}

export function completionScript(shell: Shell): string {
  return SCRIPTS[shell].trim();
}

const BASH = `
# Completion of minitorrent for bash: source <(minitorrent completion bash)
_minitorrent() {
  local program="$1" line="\${COMP_LINE:0:COMP_POINT}" word="" quote="" started="" char next known i
  local -a words=() answer=()
  COMPREPLY=()
  # The words as they are meant: bash also cuts at colons, and leaves quotes in.
  for ((i = 0; i < \${#line}; i++)); do
    char="\${line:i:1}"
    next="\${line:i+1:1}"
    if [[ -z $quote && $char == [[:space:]] ]]; then
      [[ -n $started ]] && words+=("$word")
      word="" started=""
      continue
    fi
    started=1
    if [[ -n $quote && $char == "$quote" ]]; then
      quote=""
    elif [[ -z $quote && ($char == '"' || $char == "'") ]]; then
      quote="$char"
    elif [[ $char == '\\' && -z $quote ]] || [[ $char == '\\' && $quote == '"' && $next == ['"\\$\`'] ]]; then
      word+="$next"
      ((i++))
    else
      word+="$char"
    fi
  done
  words+=("$word")
  [[ $program == "~/"* ]] && program="$HOME/\${program:2}"
  while IFS= read -r line; do answer+=("$line"); done \\
    < <("$program" completion query -- "\${words[@]:1}" 2>/dev/null)
  if [[ \${answer[0]} == files ]]; then
    compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "$2"))
    return
  fi
  # What stands before the last colon or equals sign stays as it is.
  known=""
  [[ -z $quote && $word == *[:=]* ]] && known="\${word%"\${word##*[:=]}"}"
  for line in "\${answer[@]:1}"; do
    line="\${line%%$'\\t'*}"
    line="\${line#"$known"}"
    case $quote in
      "'") line="\${line//\\'/\\'\\\\\\'\\'}" ;;
      '"') line="\${line//\\\\/\\\\\\\\}" line="\${line//\\"/\\\\\\"}" line="\${line//\\$/\\\\\\$}" line="\${line//\\\`/\\\\\\\`}" ;;
      *) printf -v line '%q' "$line" ;;
    esac
    COMPREPLY+=("$line")
  done
}
complete -F _minitorrent minitorrent
`;

const ZSH = `
#compdef minitorrent
# Completion of minitorrent for zsh: source <(minitorrent completion zsh), after compinit
_minitorrent() {
  local program="\${words[1]/#\\~\\//$HOME/}" typed="\${(Q)words[CURRENT]}" line
  local -a answer names shown
  # A quote that is still open stays.
  [[ "$typed" == "$words[CURRENT]" ]] && typed="\${typed#[\\"\\']}"
  answer=("\${(@f)$("$program" completion query -- "\${(@Q)words[2,CURRENT-1]}" "$typed" 2>/dev/null)}")
  if [[ "$answer[1]" == files ]]; then
    _files
    return
  fi
  for line in "\${(@)answer[2,-1]}"; do
    names+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  -- }")
  done
  (( \${#names} > 0 )) && compadd -l -d shown -a names
}
if [[ "$funcstack[1]" == _minitorrent ]]; then
  _minitorrent "$@"
else
  compdef _minitorrent minitorrent
fi
`;

const FISH = `
# Completion of minitorrent for fish: minitorrent completion fish | source
function __minitorrent_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '^~/' $HOME/ -- $words[1])
    set -l answer ($program completion query -- $words[2..-1] (string unescape -- $typed; or echo $typed) 2>/dev/null)
    if test "$answer[1]" = files
        __fish_complete_path $typed
    else if set -q answer[2]
        printf '%s\\n' $answer[2..-1]
    end
end
complete -c minitorrent -f -a '(__minitorrent_complete)'
`;

const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
