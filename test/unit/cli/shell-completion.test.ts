// Completion in shells: what this program answers, and what each shell makes of it. The shells are real; the program that their
// scripts ask is a stand-in, which writes down what it was asked.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { withoutShell } from "../../../harness/requirements.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { ClientCommands } from "../../../src/cli/command-types.ts";
import { oneShotCommands } from "../../../src/cli/one-shots.ts";
import { programCommands } from "../../../src/cli/program-commands.ts";
import { completeForShell, completionScript, type Shell } from "../../../src/cli/shell-completion.ts";
import { temporaryFolder } from "../daemon/fixture.ts";

const tables = { own: programCommands, oneShots: oneShotCommands };
const noDaemon = (): Promise<ClientCommands> => assert.fail("nobody asks the daemon");
const withNames = async (): Promise<ClientCommands> =>
  ({
    namesOf: async (list: unknown, prefix: string) => [
      `${prefix}${JSON.stringify(list)}`,
      `${prefix}\nnot a name`,
    ],
    status: () => ({ groupIds: ["studio", "films"] }),
    downloads: () => [{ groupId: "films", fileName: "dune" }],
  }) as never;

async function offered(words: readonly string[], connect = noDaemon): Promise<readonly string[]> {
  const [kind, ...lines] = await completeForShell(tables, connect, words);
  return kind === "files" ? ["files"] : lines.map((line) => line.split("\t")[0] ?? "");
}

test("commands are offered with what they do, the daemon's own, those of the table and short names", async () => {
  const lines = await completeForShell(tables, noDaemon, [""]);
  assert.equal(lines[0], "words");
  for (const line of ["stop\tEnd the daemon", "download\tDownload a file or a folder"])
    assert.ok(
      lines.some((one) => one.startsWith(line)),
      line,
    );
  const names = await offered([""]);
  assert.ok(names.includes("whoami") && names.includes("help"));
  assert.ok(!names.includes("quit") && !names.includes("download_file"));
  assert.deepEqual(await offered(["downl"]), ["download", "downloads"]);
  assert.deepEqual(await offered(["help", "downlo"]), ["download", "downloads"]);
  assert.deepEqual(await offered(["--v"]), ["--version"]);
});

test("options are those of the command and of the program, and their values are files, levels or nothing", async () => {
  const ofDownload = ["--only", "--except", "--json", "--wait", "--data-dir", "--help"];
  assert.deepEqual(await offered(["download", "--"]), ofDownload);
  assert.deepEqual(await offered(["login", "--pass"]), ["--password-file"]);
  assert.deepEqual(await offered(["login", "--password-file", ""]), ["files"]);
  assert.deepEqual(await offered(["daemon", "--trackers", ""]), ["files"]);
  assert.deepEqual(await offered(["daemon", "--log-level", "in"]), ["info"]);
  assert.deepEqual(await offered(["daemon", "--listen", ""]), []);
  assert.deepEqual(await offered(["download", "--only", ""]), []);
  assert.deepEqual(await offered(["daemon", "--foreg"]), ["--foreground"]);
});

test("words of the daemon's commands, and paths", async () => {
  assert.deepEqual(await offered(["token", ""]), ["list", "create", "revoke"]);
  assert.deepEqual(await offered(["token", "--read", "c"]), ["create"]);
  assert.deepEqual(await offered(["trackers", "set", ""]), ["files"]);
  assert.deepEqual(await offered(["completion", ""]), ["bash", "zsh", "fish"]);
  assert.deepEqual(await offered(["share", "./b"]), ["files"]);
  assert.deepEqual(await offered(["nonsense", ""]), []);
});

test("names are asked of the daemon, past the options; what would not stand in one line is left out", async () => {
  const files = { kind: "files", groupId: "studio" };
  assert.deepEqual(await offered(["download", "studio", "a"], withNames), [`a${JSON.stringify(files)}`]);
  assert.deepEqual(await offered(["download", "--wait", "studio", "--only", "*.c", "a"], withNames), [
    `a${JSON.stringify(files)}`,
  ]);
  assert.deepEqual(await offered(["download", "studio", "build", ""], withNames), ["files"]);
  assert.deepEqual(await offered(["pause", "films", ""], withNames), ["dune"]);
  assert.deepEqual(await offered(["share", "./build", "s"], withNames), ["studio"]);
});

test("without a daemon nothing is offered, and nothing is said", async () => {
  const refused = async (): Promise<ClientCommands> => {
    throw new MiniTorrentError("DAEMON_UNREACHABLE", "No daemon runs.");
  };
  assert.deepEqual(await completeForShell(tables, refused, ["files", "s"]), ["words"]);
});

const NAMES = ["studio", "two words.mkv", "two worlds.mkv", "it's here", "a:b:one", "a:b:two", "$dollar"];

/** A folder with the shell's script and a program for it to ask. */
function stage(t: TestContext, shell: Shell) {
  const folder = temporaryFolder(t);
  const [script, program, asked] = [
    join(folder, "script"),
    join(folder, "minitorrent"),
    join(folder, "asked"),
  ];
  writeFileSync(script, `${completionScript(shell)}\n`);
  writeFileSync(join(folder, "names"), `${NAMES.join("\n")}\n`);
  writeFileSync(
    program,
    `#!/bin/sh
cd '${folder}'
shift 3
for typed in "$@"; do printf '<%s>' "$typed" >> asked; done
case "$typed" in ./*) echo files; exit;; esac
echo words
while IFS= read -r name; do
  case "$name" in "$typed"*) printf '%s\\tmeaning\\n' "$name";; esac
done < names
`,
  );
  chmodSync(program, 0o755);
  mkdirSync(join(folder, "home"));
  const env = {
    PATH: `${folder}:${process.env.PATH}`,
    HOME: join(folder, "home"),
    LC_ALL: "C.UTF-8",
    script,
  };
  const run = (command: string, ...args: readonly string[]): string[] => {
    const said = execFileSync(command, args, { env, cwd: folder, encoding: "utf8", timeout: 20_000 });
    return said.split("\n").filter((line) => line !== "");
  };
  return { run, asked: () => readFileSync(asked, "utf8") };
}

test("bash: words are read with their quotes, and what is offered is quoted as the word is", {
  skip: withoutShell("bash"),
}, (t) => {
  const { run, asked } = stage(t, "bash");
  const complete = (line: string): string[] =>
    run(
      "bash",
      "--norc",
      "-c",
      `source "$script"; COMP_LINE="$1"; COMP_POINT=\${#1}; _minitorrent minitorrent "\${1##* }" files
       for word in "\${COMPREPLY[@]}"; do printf '%s\\n' "$word"; done`,
      "bash",
      line,
    );
  assert.deepEqual(complete("minitorrent files stu"), ["studio"]);
  assert.deepEqual(complete("minitorrent files two\\ wor"), ["two\\ words.mkv", "two\\ worlds.mkv"]);
  assert.deepEqual(complete('minitorrent files "two worl'), ["two worlds.mkv"]);
  assert.deepEqual(complete("minitorrent files it"), ["it\\'s\\ here"]);
  assert.deepEqual(complete("minitorrent files 'it"), ["it'\\''s here"]);
  assert.deepEqual(complete("minitorrent files a:b:t"), ["two"]);
  assert.deepEqual(complete("minitorrent files \\$"), ["\\$dollar"]);
  assert.deepEqual(complete('minitorrent files "$'), ["\\$dollar"]);
  assert.deepEqual(complete("minitorrent files ./scr"), ["./script"]);
  assert.deepEqual(complete("minitorrent files x"), []);
  assert.ok(asked().startsWith("<files><stu><files><two wor><files><two worl>"), asked());
});

test("zsh: words are read with their quotes, and names and meanings are given apart", {
  skip: withoutShell("zsh"),
}, (t) => {
  const { run, asked } = stage(t, "zsh");
  // The completion system runs only at a terminal: what it is given is printed.
  const complete = (...words: readonly string[]): string[] =>
    run(
      "zsh",
      "-f",
      "-c",
      `compdef() {}; _files() { print files }; compadd() { for n in $names; do print -r -- $n; done; print -r -- "$shown[1]" }
       source "$script"; words=("$@"); CURRENT=$#; _minitorrent`,
      "zsh",
      ...words,
    );
  assert.deepEqual(complete("minitorrent", "files", "stu"), ["studio", "studio  -- meaning"]);
  assert.deepEqual(complete("minitorrent", "files", "two\\ worl").slice(0, 1), ["two worlds.mkv"]);
  assert.deepEqual(complete("minitorrent", "files", '"two worl').slice(0, 1), ["two worlds.mkv"]);
  assert.deepEqual(complete("minitorrent", "files", "./scr"), ["files"]);
  assert.deepEqual(complete("minitorrent", "'my group'", ""), [...NAMES, "studio  -- meaning"]);
  assert.match(asked(), /<my group><>$/);
});

test("fish: names come with their meanings, and files from fish", { skip: withoutShell("fish") }, (t) => {
  const { run, asked } = stage(t, "fish");
  const complete = (line: string): string[] =>
    run("fish", "--no-config", "-c", `source $script; complete -C ${JSON.stringify(line)}`);
  assert.deepEqual(complete("minitorrent files stu"), ["studio\tmeaning"]);
  assert.deepEqual(complete("minitorrent files two\\ worl"), ["two worlds.mkv\tmeaning"]);
  assert.deepEqual(complete("minitorrent 'my group' a:b:o"), ["a:b:one\tmeaning"]);
  assert.deepEqual(complete("minitorrent files ./scr"), ["./script"]);
  assert.match(asked(), /<files><stu><files><two worl><my group><a:b:o>/);
});
