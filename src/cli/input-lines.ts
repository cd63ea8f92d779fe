// Reads the lines of a script: each must be UTF-8 and ends only at a line feed. node:readline is unsuitable. It replaces
// bytes that are not UTF-8 by U+FFFD, which makes different passwords equal. It also ends lines at U+2028, so the rest of a
// file name would run as a command.
import { MiniTorrentError } from "../api/errors.ts";

/** Far longer than any command: longer input is not a script. */
const MAX_LINE_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

export type InputLine =
  | { readonly kind: "line"; readonly text: string }
  /** A line that is not UTF-8; it is not run. */
  | { readonly kind: "refused"; readonly error: MiniTorrentError };

/**
 * @param input bytes, or text that needs no decoding
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
 * Decodes UTF-8 text from a file, without the byte order mark that some editors add.
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
