// Checks the form of untrusted bencoding (BEP 3), without recursion, before the library reads it.
// The library alone would run in circles on a string of negative length, and overflow the stack on deep nesting.
import bencode from "bencode";
import { MiniTorrentError } from "../api/errors.ts";

/** No message that this program reads nests deeper than 3. */
const MAX_DEPTH = 16;
/** Digits of 2^53 and a sign. */
const MAX_NUMBER_CHARACTERS = 17;

const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const COLON = 0x3a;
const DICTIONARY = 0x64;
const END = 0x65;
const INTEGER = 0x69;
const LIST = 0x6c;

/**
 * Reads exactly one dictionary. Look fields up with `Object.hasOwn`: the keys are a stranger's.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE
 */
export function decodeDictionary(bytes: Uint8Array): Record<string, unknown> {
  if (bytes[0] !== DICTIONARY) refuse("it is no dictionary");
  checkForm(bytes);
  const decoded: unknown = bencode.decode(bytes);
  if (!isDictionary(decoded)) return refuse("it is no dictionary");
  return decoded;
}

export function isDictionary(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** One pass over the bytes; `open` holds, for each list or dictionary around, whether a key comes next. */
function checkForm(bytes: Uint8Array): void {
  const open: ("item" | "key" | "value")[] = [];
  let at = 0;
  do {
    const byte = bytes[at];
    const place = open.at(-1);
    if (byte === END && (place === "item" || place === "key")) {
      open.pop();
      at++;
      continue;
    }
    if (place === "key" && !isDigit(byte)) refuse("a key is no string");
    if (place === "key") open[open.length - 1] = "value";
    if (place === "value") open[open.length - 1] = "key";
    if (byte === LIST || byte === DICTIONARY) {
      if (open.length === MAX_DEPTH) refuse("it nests too deep");
      open.push(byte === LIST ? "item" : "key");
      at++;
    } else if (byte === INTEGER) {
      at = endOfNumber(bytes, bytes[at + 1] === MINUS ? at + 2 : at + 1, END) + 1;
    } else {
      const colonAt = endOfNumber(bytes, at, COLON);
      at = colonAt + 1 + Number(String.fromCharCode(...bytes.subarray(at, colonAt)));
      if (at > bytes.length) refuse("a string is cut off");
    }
  } while (open.length > 0);
  if (at !== bytes.length) refuse("something follows it");
}

/** The place of `delimiter` behind one or more digits that begin at `begin`. */
function endOfNumber(bytes: Uint8Array, begin: number, delimiter: number): number {
  let at = begin;
  while (isDigit(bytes[at])) at++;
  if (at === begin || at - begin >= MAX_NUMBER_CHARACTERS || bytes[at] !== delimiter) {
    refuse("a number is not of its form");
  }
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function refuse(reason: string): never {
  throw new MiniTorrentError("MALFORMED_MESSAGE", `Bencoded data is refused: ${reason}.`);
}
