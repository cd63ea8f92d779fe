// Words, quotes, the home folder; and from words to commands: arity, nearest command, usage.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { absolutePath, parseWords, quoteText, saysNothing } from "../../../src/cli/command-line.ts";
import { commands } from "../../../src/cli/commands.ts";
import { parseCommand, usageOf, withoutPassword } from "../../../src/cli/usage.ts";
import { FakeClient } from "./fake-client.ts";

describe("parseWords", () => {
  const lines: [string, string[]][] = [
    ["a  b\tc", ["a", "b", "c"]],
    ['a "two words" b', ["a", "two words", "b"]],
    ["a 'two words' b", ["a", "two words", "b"]],
    ['a"b c"d', ["ab cd"]],
    [String.raw`"say \"hi\""`, ['say "hi"']],
    [String.raw`'it'\''s'`, ["it's"]],
    [String.raw`it\'s two\ words`, ["it's", "two words"]],
    ["a '' \"\"", ["a", "", ""]],
    [String.raw`C:\files p\w "a\b" '\'`, ["C:\\files", "p\\w", "a\\b", "\\"]],
    [String.raw`a\\b`, [String.raw`a\b`]],
    ["trailing\\", ["trailing\\"]],
  ];
  for (const [line, words] of lines) {
    it(`reads ${line}`, () => assert.deepEqual(parseWords(line), words));
  }

  it("says which quote is open, and repeats nothing of the line", () => {
    assert.throws(() => parseWords("login alice pass'word"), {
      code: "USAGE",
      message: "A quote ' is opened and not closed: close it, or write \\' for the character itself.",
    });
  });

  it("reads back whatever is quoted for it", () => {
    const word = fc.string({ minLength: 1, unit: fc.constantFrom(..."ab \"'\\~#") });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (words) => {
        assert.deepEqual(parseWords(words.map((text) => quoteText(text, undefined)).join(" ")), words);
        assert.deepEqual(parseWords(words.map((text) => `"${quoteText(text, '"')}"`).join(" ")), words);
        assert.deepEqual(parseWords(words.map((text) => `'${quoteText(text, "'")}'`).join(" ")), words);
      }),
    );
  });
});

describe("absolutePath", () => {
  it("puts the home folder for ~, and only there", () => {
    assert.equal(absolutePath("~", "/home/a"), "/home/a");
    assert.equal(absolutePath("~/My Films/x", "/home/a"), "/home/a/My Films/x");
    assert.equal(absolutePath("/x/~/y", "/home/a"), "/x/~/y");
    assert.equal(absolutePath("x~", "/home/a"), `${process.cwd()}/x~`);
  });

  it("keeps the slash that says that a folder is meant", () => {
    assert.equal(absolutePath("/x/y/"), "/x/y/");
    assert.equal(absolutePath("/"), "/");
  });
});

describe("saysNothing", () => {
  it("is true for blank lines and comments", () => {
    assert.deepEqual(
      ["", "  ", "# x", "  # x", "x # y"].map((line) => saysNothing(line)),
      [true, true, true, true, false],
    );
  });
});

describe("parseCommand", () => {
  const parse = (line: string) => parseCommand(commands, line);
  const usage = (message: string) => ({ code: "USAGE", message });

  it("finds the command and its values", () => {
    const { command, values } = parse('download_file films "a b.mkv" ~/x');
    assert.equal(command.name, "download_file");
    assert.deepEqual(values, ["films", "a b.mkv", "~/x"]);
  });

  it("answers wrong arity with the usage of that command", () => {
    assert.throws(
      () => parse("download_file films"),
      usage(
        "download_file takes 3 arguments, but got 1. Usage: download_file <group_id> <file_name> <destination_path> [--only <glob>]... [--except <glob>]...",
      ),
    );
    assert.throws(
      () => parse("create_group"),
      usage("create_group takes 1 argument, but got none. Usage: create_group <group_id>"),
    );
    assert.throws(
      () => parse("wait films"),
      usage("wait takes no or 2 arguments, but got 1. Usage: wait [<group_id> <file_name>]"),
    );
  });

  const nearest: [string, string][] = [
    ["lst_groups", "list_groups"],
    ["uplod_file x y", "upload_file <file_path> <group_id>"],
    ["LOGIN a b", "login <user_id> [<passwd>]"],
    ["list-files films", "list_files <group_id> [<share>] [--after <place>]"],
    ["delete_file films a.mkv", "stop_share <group_id> <file_name> [<everywhere>]"],
    ["ls", "list_files <group_id> [<share>] [--after <place>]"],
  ];
  for (const [line, shown] of nearest) {
    it(`answers '${line}' with the usage of the nearest command`, () => {
      const name = line.split(" ")[0] ?? "";
      assert.throws(
        () => parse(line),
        usage(`There is no command '${name}'. Nearest: ${shown}  (help lists all)`),
      );
    });
  }

  it("takes options from anywhere behind the name, and only where a command has them", () => {
    const words = (line: string) => {
      const { values, options } = parse(line);
      return [values, Object.fromEntries(options)];
    };
    const choice = { "--only": ["*.jpg", "a b/**"], "--except": ["raw/*"] };
    assert.deepEqual(words("download_file --only *.jpg films 'x y' --except=raw/* . --only 'a b/**'"), [
      ["films", "x y", "."],
      choice,
    ]);
    assert.deepEqual(words("select films x --all"), [["films", "x"], { "--all": [""] }]);
    assert.deepEqual(words("download_file -- films --only -"), [["films", "--only", "-"], {}]);
    assert.deepEqual(words("download_file films --onlyx --x"), [["films", "--onlyx", "--x"], {}]);
    assert.deepEqual(words("pause films --only"), [["films", "--only"], {}]);
    assert.deepEqual(words("upload_file -- films"), [["--", "films"], {}]);
  });

  it("says what is wrong with an option", () => {
    const wrong: [string, RegExp][] = [
      ["download_file a b c --only", /^--only needs a <glob>: write it behind --only\.$/],
      ["download_file a b c --only=", /^--only needs a <glob>/],
      ["select a b --all --all", /^--all is given twice\.$/],
      ["select a b --all=yes", /^--all takes no value: write it alone\.$/],
      [
        "download_file a b c --onyl *.jpg",
        /^download_file takes 3 arguments, but got 5, and has no option '--onyl'\. Usage: /,
      ],
      ["create_group --a --b", /^create_group takes 1 argument, but got 2\. Usage: /],
    ];
    for (const [line, message] of wrong) assert.throws(() => parse(line), { code: "USAGE", message }, line);
  });

  it("knows exit and ? by their other names", () => {
    assert.equal(parse("exit").command.name, "quit");
    assert.equal(parse("? login").command.name, "help");
    assert.equal(parse("upload_folder pictures films").command.name, "upload_file");
  });

  it("runs no line that was not UTF-8", () => {
    assert.throws(() => parse("login bj\ufffdrn"), { code: "USAGE", message: /not UTF-8/ });
  });

  it("takes no empty path", () => {
    assert.throws(() => absolutePath(""), {
      code: "INVALID_ARGUMENT",
      message: "The path is empty; write ./ for the current folder.",
    });
  });

  it("offers nothing when nothing is near", () => {
    assert.throws(
      () => parse("xyzzyxyzzy"),
      usage("There is no command 'xyzzyxyzzy'. help lists the commands."),
    );
  });

  it("makes harmless what it repeats", () => {
    assert.throws(() => parse("\u001b[2Jquit"), /There is no command '\\u\{1b\}\[2Jquit'/);
  });
});

describe("the table of commands", () => {
  it("has the commands of the manual, with these arguments", () => {
    assert.deepEqual(commands.map(usageOf), [
      "create_user <user_id> [<passwd>]",
      "login <user_id> [<passwd>]",
      "logout",
      "whoami",
      "create_group <group_id>",
      "join_group <group_id>",
      "create_invite <group_id> [--uses <n>] [--expires <time>]",
      "list_invites <group_id>",
      "revoke_invite <group_id> <invite_id>",
      "leave_group <group_id>",
      "list_requests <group_id>",
      "accept_request <group_id> <user_id>",
      "reject_request <group_id> <user_id>",
      "remove_member <group_id> <user_id>",
      "list_members <group_id>",
      "list_groups",
      "list_files <group_id> [<share>] [--after <place>]",
      "upload_file <file_path> <group_id>",
      "update_share <group_id> <share> [<path>]",
      "list_shares",
      "stop_share <group_id> <file_name> [<everywhere>]",
      "export_torrent <group_id> <file_name> <out_path>",
      "export_certificate <group_id> <out_path>",
      "download_file <group_id> <file_name> <destination_path> [--only <glob>]... [--except <glob>]...",
      "select <group_id> <share> [--only <glob>]... [--except <glob>]... [--all]",
      "follow <group_id> <share>",
      "unfollow <group_id> <share>",
      "show_downloads [<all>]",
      "pause <group_id> <file_name>",
      "resume <group_id> <file_name>",
      "cancel <group_id> <file_name>",
      "wait [<group_id> <file_name>]",
      "peers <group_id> <file_name>",
      "limit [<up|down> <rate> [<group_id> <file_name>]]",
      "why <group_id> <file_name>",
      "help [<command>]",
      "quit",
    ]);
  });
});

describe("withoutPassword", () => {
  const lines: [string, string][] = [
    ["login alice secret", "login alice"],
    ["  create_user alice 'my secret'", "  create_user alice"],
    ["logn alice secret", "logn alice"],
    ["login alice 'secret", "login alice"],
    ["login alice secret and more", "login alice"],
    ["login alice", "login alice"],
    ["list_files films", "list_files films"],
  ];
  for (const [line, kept] of lines) {
    it(`keeps '${kept}' of '${line}'`, () => assert.equal(withoutPassword(commands, line), kept));
  }
});

describe("help", () => {
  const help = async (line: string, columns: number) => {
    const { command, values } = parseCommand(commands, line);
    const context = { client: new FakeClient(), signal: new AbortController().signal };
    const answer = await command.run(
      { ...context, askPassword: undefined, onHashing: () => undefined },
      ...values,
    );
    return answer.lines({ columns, isColored: false });
  };

  it("is grouped by subject, and no line of it is as wide as the terminal", async () => {
    for (const columns of [80, 100]) {
      const lines = await help("help", columns);
      assert.ok(lines.every((line) => line.length < columns));
      assert.deepEqual(
        lines.filter((line) => /^\S/.test(line)),
        ["Account", "Groups", "Files", "Downloads", "This client"],
      );
      const words = lines.join(" ").replace(/\s+/g, " ");
      for (const command of commands) assert.ok(words.includes(`${usageOf(command)} ${command.help}`));
    }
  });

  it("has an example of each command that can be typed as it stands", async () => {
    for (const { name } of commands) {
      const example = (await help(`help ${name}`, 80)).at(-1)?.replace("Example: ", "") ?? "";
      assert.equal(parseCommand(commands, example).command.name, name);
    }
  });
});
