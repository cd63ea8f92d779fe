// One typed line from its words to its outcome, for the terminal and the pipe alike. Prints nothing.
import { asMiniTorrentError, type MiniTorrentError } from "../api/errors.ts";
import type { Answer, Command, CommandContext } from "./command.ts";
import { commandNameOf, parseCommand } from "./usage.ts";

export type Outcome =
  | {
      readonly kind: "answered";
      readonly command: Command;
      readonly values: readonly string[];
      readonly answer: Answer;
    }
  | {
      readonly kind: "failed";
      readonly commandName: string;
      /** Its arguments; undefined if the line could not be read. */
      readonly values: readonly string[] | undefined;
      readonly error: MiniTorrentError;
    }
  /** The person gave up waiting; what the command set going may still take effect. */
  | { readonly kind: "abandoned"; readonly commandName: string };

/** Runs the line. Never fails; returns as soon as `context.signal` is aborted. */
export async function execute(
  table: readonly Command[],
  line: string,
  context: CommandContext,
): Promise<Outcome> {
  const { signal } = context;
  const commandName = commandNameOf(line);
  const { promise: abandoned, reject: abandon } = Promise.withResolvers<never>();
  const onAbort = (): void => abandon(signal.reason);
  let typed: readonly string[] | undefined;
  try {
    signal.throwIfAborted();
    signal.addEventListener("abort", onAbort);
    const { command, values } = parseCommand(table, line, context.client);
    typed = values;
    const answer = await Promise.race([command.run(context, ...values), abandoned]);
    return { kind: "answered", command, values, answer };
  } catch (error) {
    if (signal.aborted) return { kind: "abandoned", commandName };
    return { kind: "failed", commandName, values: typed, error: asMiniTorrentError(error) };
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
