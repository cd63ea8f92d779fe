// Parses a client's message into calls. Before JSON.parse it refuses messages that are more complex than any call, since 1 MB of
// brackets takes 300 ms of the event loop to parse, and 1 MB of field names 100 ms.
import { z } from "zod";
import { MiniTorrentError } from "../../api/errors.ts";
import { MAX_API_MESSAGE_BYTES } from "../../api/file-limits.ts";

/** Calls of one message; our clients send one. */
const MAX_CALLS = 1_000;
/** Depth of nested objects and lists; a call has five levels. */
const MAX_DEPTH = 32;
/** Fields of one object; a call has four. */
const MAX_FIELDS = 16;
/** Values in lists and fields together; a call for the revocations of 500 groups has 510. */
const MAX_VALUES = 10_000;
/** Length of a call's id, which is repeated in the answer. */
const MAX_ID_LENGTH = 64;

const id = z.union([z.number(), z.string().max(MAX_ID_LENGTH)]);
const params = z.object({ path: z.string(), input: z.unknown().optional() });
const callSchema = z.discriminatedUnion("method", [
  z.object({ id, method: z.enum(["query", "mutation", "subscription"]), params }),
  z.object({ id, method: z.literal("subscription.stop") }),
]);
export type Message = z.infer<typeof callSchema>;
export type Call = Extract<Message, { params: object }>;
export type CallId = Message["id"];

/**
 * @param text undefined for a message that is not text
 * @throws MiniTorrentError LIMIT_REACHED, before a byte of it is parsed
 * @throws MiniTorrentError INVALID_ARGUMENT, ZodError, SyntaxError
 */
export function readCalls(text: string | undefined): readonly Message[] {
  if (text === undefined) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "Calls are JSON in text frames; this one is binary.");
  }
  if (text.length > MAX_API_MESSAGE_BYTES) {
    const sentence = `A message may have ${MAX_API_MESSAGE_BYTES} bytes; this one has more: send less at a time.`;
    throw new MiniTorrentError("LIMIT_REACHED", sentence);
  }
  requireModest(text);
  const said: unknown = JSON.parse(text);
  const calls: readonly unknown[] = Array.isArray(said) ? said : [said];
  if (calls.length > MAX_CALLS) {
    const sentence = `A message may have ${MAX_CALLS} calls; this one has ${calls.length}: send less at a time.`;
    throw new MiniTorrentError("LIMIT_REACHED", sentence);
  }
  // One by one: for a list, zod would format an issue for each bad element.
  return calls.map((call) => callSchema.parse(call));
}

/** @throws MiniTorrentError LIMIT_REACHED for text more complex than any call; does not check that it is JSON */
function requireModest(text: string): void {
  let depth = 0;
  let values = 0;
  const fields: number[] = [0];
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        if (++depth > MAX_DEPTH) throw tooMuch("levels", MAX_DEPTH);
        fields[depth] = 0;
        if (++values > MAX_VALUES) throw tooMuch("values", MAX_VALUES);
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth = Math.max(0, depth - 1);
        break;
      case COMMA:
        if (++values > MAX_VALUES) throw tooMuch("values", MAX_VALUES);
        break;
      case COLON: {
        const count = (fields[depth] ?? 0) + 1;
        fields[depth] = count;
        if (count > MAX_FIELDS) throw tooMuch("fields of one object", MAX_FIELDS);
        break;
      }
    }
  }
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Position of the closing quote of the string that begins there; the end of the text if there is none. */
function endOfString(text: string, begin: number): number {
  for (let at = text.indexOf('"', begin + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}

function tooMuch(what: string, most: number): MiniTorrentError {
  return new MiniTorrentError("LIMIT_REACHED", `A message may have ${most} ${what}; this one has more.`);
}
