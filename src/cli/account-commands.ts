// Commands about the user: account, login, logout and status. The whole table is commands.ts.
import { MiniTorrentError } from "../api/errors.ts";
import { LEAST_PASSWORD_CHARACTERS, passwordCharacters } from "../api/new-password.ts";
import { userArgument } from "./command-arguments.ts";
import { type Argument, type Command, type CommandContext, said } from "./command-types.ts";
import { countOf } from "./display-text.ts";
import { renderStatus } from "./render.ts";

const passwordArgument: Argument = { name: "passwd", kind: "password" };

export const accountCommands: readonly Command[] = [
  {
    name: "create_user",
    arguments: [userArgument("user-id"), passwordArgument],
    arity: [1, 2],
    help: "Create an account. Asks for the password if it is not given.",
    needsNoLogin: true,
    run: async (context, userId: string, given?: string) => {
      const password = given ?? (await askNewPassword(context, "create_user"));
      await context.client.createUser(userId, password);
      const problem = given === undefined ? undefined : shortPassword(given);
      if (problem !== undefined) context.warn?.(problem);
      return said(`User ${userId} was created; log in with: login ${userId}`, { userId });
    },
  },
  {
    name: "login",
    arguments: [userArgument("user-id"), passwordArgument],
    arity: [1, 2],
    help: "Log in. Asks for the password if it is not given.",
    needsNoLogin: true,
    run: async (context, userId: string, given?: string) => {
      const password = given ?? (await askerOf(context, "login")("Password: "));
      const account = await context.client.login(userId, password);
      return said(`Logged in as ${account.userId}.`, account);
    },
  },
  {
    name: "logout",
    arguments: [],
    arity: [0],
    help: "Log out: nothing is shared or downloaded until the next login.",
    run: async ({ client }) => {
      const running = client.status().runningDownloads;
      await client.logout();
      const paused = running === 0 ? "" : ` ${countOf(running, "download")} paused until the next login.`;
      return said(`Logged out.${paused}`, { pausedDownloads: running });
    },
  },
  {
    name: "whoami",
    arguments: [],
    arity: [0],
    help: "Show who is logged in, at which tracker and in which groups.",
    needsNoLogin: true,
    run: async ({ client }) => {
      // Right after the start, the first tracker may still be dialled.
      await client.trackerKnown();
      const status = client.status();
      const { account = null, tracker = null, trackerProblem = null } = status;
      return {
        result: { ...status, account, tracker, trackerProblem },
        lines: () => renderStatus(status),
      };
    },
  },
];

function askerOf(context: CommandContext, name: string): (question: string) => Promise<string> {
  if (context.askPassword !== undefined) return context.askPassword;
  throw new MiniTorrentError(
    "USAGE",
    `${name} needs the password in its line here: ${name} <user_id> <passwd>. Or start the client with --password-file; only a prompt at a terminal asks for it.`,
  );
}

async function askNewPassword(context: CommandContext, name: string): Promise<string> {
  const ask = askerOf(context, name);
  const password = await ask("Password: ");
  const problem = shortPassword(password);
  if (problem !== undefined) {
    throw new MiniTorrentError("INVALID_ARGUMENT", `${problem} Nothing was done; choose a longer one.`);
  }
  if ((await ask("Once more: ")) !== password) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "The two passwords differ; nothing was done.");
  }
  return password;
}

/** What is wrong with a new password that is short; undefined if nothing is. */
function shortPassword(password: string): string | undefined {
  const count = passwordCharacters(password);
  if (count >= LEAST_PASSWORD_CHARACTERS) return undefined;
  return `The password has ${countOf(count, "character")}, which is easy to guess: use at least ${LEAST_PASSWORD_CHARACTERS}, better 15 or several words.`;
}
