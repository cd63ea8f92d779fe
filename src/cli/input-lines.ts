// The lines of a script as they were written: UTF-8 or refused, ended by a line feed and by nothing else. node:readline
// puts U+FFFD for bytes that are not UTF-8, so that two passwords become one, and ends lines at U+2028 too, so that the
// rest of a file's name would run as a command.
import { MiniTorrentError } from "../api/errors.ts";

/** No command is that long; what is, is no script. */
const MAX_LINE_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

export type InputLine =
  | { readonly kind: "line"; readonly text: string }
  /** A line that is not UTF-8: nothing of it is run. */
  | { readonly kind: "refused"; readonly error: MiniTorrentError };

/**
 * @param input bytes, or text that is taken as it is
 * @throws MiniTorrentError INVALID_ARGUMENT if the input cannot be read, or a line has more than 1 MiB
 */
export async function* readLines(input: AsyncIterable<Uint8Array | string>): AsyncGenerator<InputLine> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  let number = 0;
  const take = (last: Uint8Array): InputLine => {
    const bytes = Buffer.concat([...rest, last]);
    rest = [];
    restBytes = 0;
    return lineOf(bytes, ++number);
  };
  for await (const chunk of readable(input)) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      yield take(chunk.subarray(start, end));
      start = end + 1;
    }
    rest.push(chunk.subarray(start));
    restBytes += chunk.length - start;
    if (restBytes > MAX_LINE_BYTES) {
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `Line ${number + 1} of the input is longer than 1 MiB; check that the input is a script.`,
      );
    }
  }
  if (restBytes > 0) yield take(new Uint8Array(0));
}

/**
 * Text that somebody wrote into a file: UTF-8, without the byte order mark that some editors put before it.
 *
 * @returns undefined if it is not UTF-8
 */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function lineOf(bytes: Uint8Array, number: number): InputLine {
  const text = decodeText(bytes);
  if (text !== undefined) return { kind: "line", text: text.replace(/\r$/, "") };
  return {
    kind: "refused",
    error: new MiniTorrentError(
      "INVALID_ARGUMENT",
      `Line ${number} of the input is not UTF-8, so it was not run; save the script as UTF-8.`,
    ),
  };
}

async function* readable(input: AsyncIterable<Uint8Array | string>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of input) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MiniTorrentError("INVALID_ARGUMENT", `The input cannot be read: ${reason}.`, { cause: error });
  }
}
