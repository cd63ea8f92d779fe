// The `files` list of a folder's `info` dictionary (BEP 3, BEP 47), entry by entry: reader and writer. One form alone is read,
// the canonical one that is written: so no entry becomes an object tree, and the bytes follow from the content.
import { isUtf8 } from "node:buffer";
import { MiniTorrentError } from "../api/errors.ts";
import type { FolderEntry } from "./file-layout.ts";

/** How a folder's `info` dictionary begins: `files` is its first key. */
export const FILES_BEGIN = Buffer.from("d5:filesl");
const SHA1_BYTES = 20;
/** Digits of 2^53. */
const MAX_NUMBER_DIGITS = 16;
const PADDING_FOLDER = ".pad";

const ZERO = 0x30;
const NINE = 0x39;
const SLASH = 0x2f;
const DICTIONARY = 0x64;
const END = 0x65;
const LIST = 0x6c;

/** Padding before the next file. */
export interface PaddingEntry {
  readonly paddingBytes: number;
}

/** Reads canonical bencoding from a place on. */
export class CanonicalReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Takes those characters if they come next. */
  skips(characters: string): boolean {
    if (this.#bytes.length - this.#at < characters.length) return false;
    for (let index = 0; index < characters.length; index++) {
      if (this.#bytes[this.#at + index] !== characters.charCodeAt(index)) return false;
    }
    this.#at += characters.length;
    return true;
  }

  /** @throws MiniTorrentError MALFORMED_MESSAGE if other characters come next */
  require(characters: string): void {
    if (!this.skips(characters)) refuse(`it has no ${JSON.stringify(characters)} where that must stand`);
  }

  /** `i...e` */
  wholeNumber(): number {
    this.require("i");
    const value = this.#digits();
    this.require("e");
    return value;
  }

  string(): Buffer {
    const begin = this.#skipString();
    return this.#bytes.subarray(begin, this.#at);
  }

  /** A list of names as a path with "/" between them. */
  path(): string {
    this.require("l");
    const begin = this.#at;
    let path = "";
    while (this.#bytes[this.#at] !== END) {
      if (this.#at > begin) path += "/";
      const name = this.string();
      if (name.includes(SLASH)) refuse(`the name ${JSON.stringify(name.toString())} has a path separator`);
      path += name.toString();
    }
    // Lengths and colons are ASCII: the names are UTF-8 exactly if the list is.
    if (!isUtf8(this.#bytes.subarray(begin, this.#at))) refuse("a path is not UTF-8");
    this.#at++;
    return path;
  }

  /** The next entry of `files`; undefined at the end of the list. */
  entry(): FolderEntry | PaddingEntry | undefined {
    if (this.skips("e")) return undefined;
    this.require("d");
    const attribute = this.skips("4:attr") ? this.string().toString("latin1") : "";
    this.require("6:length");
    const lengthBytes = this.wholeNumber();
    this.require("4:path");
    const path = this.path();
    if (attribute === "p") {
      this.require("e");
      if (path !== `${PADDING_FOLDER}/${lengthBytes}`) refuse("padding does not have the path of its length");
      return { paddingBytes: lengthBytes };
    }
    if (attribute === "l") {
      this.require("12:symlink path");
      const linkTarget = this.path();
      this.require("e");
      return { path, lengthBytes, sha1: undefined, isExecutable: false, linkTarget };
    }
    if (attribute !== "" && attribute !== "x")
      refuse(`${JSON.stringify(path)} has the attribute ${JSON.stringify(attribute)}`);
    this.require(`4:sha1${SHA1_BYTES}:`);
    const sha1 = this.#bytes.subarray(this.#at, this.#at + SHA1_BYTES);
    if (sha1.length < SHA1_BYTES) refuse("a string is cut off");
    this.#at += SHA1_BYTES;
    this.require("e");
    return { path, lengthBytes, sha1, isExecutable: attribute === "x" };
  }

  /** Goes behind the next entry, whatever is in it; returns false, and stays, at the end of the list. */
  skipEntry(): boolean {
    if (this.#bytes[this.#at] === END) return false;
    this.require("d");
    for (let depth = 1; depth > 0; ) {
      const byte = this.#bytes[this.#at];
      if (byte === LIST || byte === DICTIONARY) depth++;
      if (byte === END) depth--;
      if (byte === LIST || byte === DICTIONARY || byte === END) this.#at++;
      else if (byte === 0x69) this.wholeNumber();
      else this.#skipString();
    }
    return true;
  }

  /** @returns where the string's bytes begin */
  #skipString(): number {
    const lengthBytes = this.#digits();
    this.require(":");
    const begin = this.#at;
    if (lengthBytes > this.#bytes.length - begin) refuse("a string is cut off");
    this.#at += lengthBytes;
    return begin;
  }

  /** Without a leading zero. */
  #digits(): number {
    const begin = this.#at;
    let value = 0;
    for (let byte = this.#bytes[this.#at]; byte !== undefined && byte >= ZERO && byte <= NINE; ) {
      value = value * 10 + byte - ZERO;
      byte = this.#bytes[++this.#at];
    }
    const digits = this.#at - begin;
    const hasLeadingZero = digits > 1 && this.#bytes[begin] === ZERO;
    if (digits === 0 || digits > MAX_NUMBER_DIGITS || hasLeadingZero || !Number.isSafeInteger(value)) {
      refuse("a number is not of its form");
    }
    return value;
  }
}

/** Writes canonical bencoding into memory that grows. */
export class CanonicalWriter {
  #bytes = Buffer.alloc(64 * 1024);
  #end = 0;

  get lengthBytes(): number {
    return this.#end;
  }

  /** ASCII, as it stands. */
  raw(characters: string): void {
    this.#reserve(characters.length);
    this.#end += this.#bytes.write(characters, this.#end, "latin1");
  }

  string(value: string | Uint8Array): void {
    const lengthBytes = typeof value === "string" ? Buffer.byteLength(value) : value.length;
    this.raw(`${lengthBytes}:`);
    this.#reserve(lengthBytes);
    if (typeof value === "string") this.#bytes.write(value, this.#end);
    else this.#bytes.set(value, this.#end);
    this.#end += lengthBytes;
  }

  entry({ path, lengthBytes, sha1, isExecutable, linkTarget }: FolderEntry): void {
    const attribute = linkTarget === undefined ? (isExecutable ? "x" : "") : "l";
    this.raw(
      attribute === ""
        ? `d6:lengthi${lengthBytes}e4:path`
        : `d4:attr1:${attribute}6:lengthi${lengthBytes}e4:path`,
    );
    this.#path(path);
    if (sha1 !== undefined) {
      this.raw("4:sha1");
      this.string(sha1);
    }
    if (linkTarget !== undefined) {
      this.raw("12:symlink path");
      this.#path(linkTarget);
    }
    this.raw("e");
  }

  padding(paddingBytes: number): void {
    this.raw(`d4:attr1:p6:lengthi${paddingBytes}e4:path`);
    this.#path(`${PADDING_FOLDER}/${paddingBytes}`);
    this.raw("e");
  }

  /** A copy of what was written. */
  toBytes(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#end));
  }

  #path(path: string): void {
    this.raw("l");
    for (const name of path.split("/")) this.string(name);
    this.raw("e");
  }

  #reserve(moreBytes: number): void {
    const neededBytes = this.#end + moreBytes;
    if (neededBytes <= this.#bytes.length) return;
    const bytes = Buffer.alloc(Math.max(neededBytes, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
  }
}

function refuse(reason: string): never {
  throw new MiniTorrentError("MALFORMED_MESSAGE", `The metainfo is refused: ${reason}.`);
}
