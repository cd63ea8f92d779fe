// The one table of commands: name, arguments, help line, action. The terminal, the pipe and tab completion all read it.
// An action calls the client and returns the answer twice: as data for --json and as lines for a person.
import { accountCommands } from "./account-commands.ts";
import type { Command } from "./command-types.ts";
import { downloadCommands } from "./download-commands.ts";
import { fileCommands } from "./file-commands.ts";
import { groupCommands } from "./group-commands.ts";
import { findCommand, renderCommandHelp, renderHelp, type Subject, usageOf } from "./usage.ts";

const clientCommands: readonly Command[] = [
  {
    name: "help",
    aliases: ["?"],
    arguments: [{ name: "command", kind: "command" }],
    arity: [0, 1],
    help: "List the commands, or explain one of them.",
    needsNoLogin: true,
    run: async (_context, name?: string) => {
      const shown = name === undefined ? commands : [findCommand(commands, name)];
      return {
        result: shown.map((command) => ({ name: command.name, usage: usageOf(command), help: command.help })),
        lines: (view) =>
          name === undefined
            ? renderHelp(subjects, view)
            : shown.flatMap((command) => renderCommandHelp(command, view)),
      };
    },
  },
  {
    name: "quit",
    aliases: ["exit"],
    arguments: [],
    arity: [0],
    help: "Log out and quit; in a script, once the running downloads have ended.",
    needsNoLogin: true,
    run: async () => ({ result: {}, lines: () => [] }),
  },
];

export const subjects: readonly Subject[] = [
  { title: "Account", commands: accountCommands },
  { title: "Groups", commands: groupCommands },
  { title: "Files", commands: fileCommands },
  { title: "Downloads", commands: downloadCommands },
  { title: "This client", commands: clientCommands },
];

export const commands: readonly Command[] = subjects.flatMap((subject) => subject.commands);
