// One typed line from its words to its outcome, for the terminal and the pipe alike. Prints nothing.
import { asMiniTorrentError, MiniTorrentError } from "../api/errors.ts";
import type { Answer, Command, CommandContext } from "./command-types.ts";
import { otherOrder } from "./typed-arguments.ts";
import { commandNameOf, type ParsedCommand, parseCommand } from "./usage.ts";

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
  let parsed: ParsedCommand | undefined;
  try {
    signal.throwIfAborted();
    signal.addEventListener("abort", onAbort);
    parsed = parseCommand(table, line, context.client);
    const { command, values, options } = parsed;
    const answer = await Promise.race([command.run({ ...context, options }, ...values), abandoned]);
    return { kind: "answered", command, values, answer };
  } catch (error) {
    if (signal.aborted) return { kind: "abandoned", commandName };
    const hint = parsed && otherOrder(parsed.command, parsed.values, context.client, parsed.options);
    return {
      kind: "failed",
      commandName,
      values: parsed?.values,
      error: withHint(asMiniTorrentError(error), hint),
    };
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function withHint(error: MiniTorrentError, hint: string | undefined): MiniTorrentError {
  if (hint === undefined) return error;
  const { code, message, cause, retryAfterMs } = error;
  return new MiniTorrentError(code, `${message} ${hint}`, {
    cause,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
