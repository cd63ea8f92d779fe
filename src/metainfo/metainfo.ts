// A group file's metainfo: a standard private v1 `info` dictionary (BEP 3, BEP 27) with the group's CA in `ssl-cert`
// (libtorrent's SSL torrents), and `sha1` with the SHA-1 of the whole file. The info-hash is the SHA-1 of its bytes.
import { createHash } from "node:crypto";
import bencode from "bencode";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FILE_LENGTH_BYTES } from "../api/file-limits.ts";
import { decodeDictionary } from "./bencoding.ts";
import { Geometry } from "./geometry.ts";

const SHA1_BYTES = 20;
const MAX_FILE_NAME_BYTES = 255;
const RESERVED_ON_WINDOWS = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;

export interface Metainfo {
  readonly fileName: string;
  readonly geometry: Geometry;
  /** SHA-1 of every piece, 20 bytes each, one after the other. */
  readonly pieceHashes: Uint8Array;
  /** SHA-1 of the whole file, 40 hex digits. */
  readonly sha1: string;
  /** The CA of the group that the file belongs to, PEM. */
  readonly authorityPem: string;
  /** The bencoded dictionary itself. */
  readonly info: Uint8Array;
  /** SHA-1 of `info`, 40 hex digits. */
  readonly infoHash: string;
}

export interface MetainfoParts {
  readonly fileName: string;
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly pieceHashes: Uint8Array;
  readonly sha1: string;
  readonly authorityPem: string;
}

/**
 * Says whether a file may carry that name in a group: it must not be able to leave the folder it is saved to,
 * whatever the system (separators, `..`, NUL, control characters, names reserved on Windows).
 *
 * @throws MiniTorrentError INVALID_ARGUMENT with the reason
 */
export function checkFileName(fileName: string): void {
  const refuse = (reason: string): never => {
    throw new MiniTorrentError("INVALID_ARGUMENT", `A file cannot be shared under that name: it ${reason}.`);
  };
  // Windows takes dots and spaces off a name's end: of these nothing, or a folder, would be left.
  if (/^[. ]*$/.test(fileName)) refuse("is no file name");
  if (Buffer.byteLength(fileName) > MAX_FILE_NAME_BYTES)
    refuse(`is longer than ${MAX_FILE_NAME_BYTES} bytes`);
  if (/[/\\]/.test(fileName)) refuse("has a path separator");
  // Programs that read lines may end them at U+2028 and U+2029: a name in a script must not become a second command.
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(fileName)) refuse("has a control character, or a line's end");
  if (RESERVED_ON_WINDOWS.test(fileName)) refuse("is reserved on Windows");
  if (!fileName.isWellFormed()) refuse("is not well-formed Unicode");
  // Otherwise two names could look the same, and be one on some file systems.
  if (fileName.normalize() !== fileName) refuse("is not in Unicode normal form C");
}

/**
 * Makes the dictionary. The same content under the same name in the same group always gives the same info-hash.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT for a name that is refused
 */
export function encodeMetainfo(parts: MetainfoParts): Metainfo {
  checkFileName(parts.fileName);
  // bencode sorts the keys, as BEP 3 asks.
  const info = bencode.encode({
    length: parts.lengthBytes,
    name: parts.fileName,
    "piece length": parts.pieceLengthBytes,
    pieces: parts.pieceHashes,
    private: 1,
    sha1: Buffer.from(parts.sha1, "hex"),
    "ssl-cert": parts.authorityPem,
  });
  return decodeMetainfo(info);
}

/**
 * Reads a dictionary that came from elsewhere, and checks all of it.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE, with what is wrong
 */
export function decodeMetainfo(info: Uint8Array): Metainfo {
  const dictionary = decodeDictionary(info);
  const lengthBytes = wholeNumber(dictionary, "length");
  if (lengthBytes > MAX_FILE_LENGTH_BYTES)
    refuse(`its length of ${lengthBytes} bytes is more than a file may have`);
  const geometry = new Geometry(lengthBytes, wholeNumber(dictionary, "piece length"));
  const pieceHashes = bytes(dictionary, "pieces");
  if (pieceHashes.length !== geometry.pieceCount * SHA1_BYTES) {
    refuse(`it has ${pieceHashes.length} bytes of hashes for ${geometry.pieceCount} pieces`);
  }
  const sha1 = bytes(dictionary, "sha1");
  if (sha1.length !== SHA1_BYTES) refuse("its sha1 has not 20 bytes");
  if (dictionary.private !== 1) refuse("it is not private");
  const fileName = text(dictionary, "name");
  try {
    checkFileName(fileName);
  } catch (error) {
    refuse("its name is not a file name", error);
  }
  return {
    fileName,
    geometry,
    pieceHashes,
    sha1: Buffer.from(sha1).toString("hex"),
    authorityPem: text(dictionary, "ssl-cert"),
    info,
    infoHash: createHash("sha1").update(info).digest("hex"),
  };
}

/** The 20 bytes that the piece must hash to. */
export function pieceHash(metainfo: Metainfo, pieceIndex: number): Uint8Array {
  return metainfo.pieceHashes.subarray(pieceIndex * SHA1_BYTES, (pieceIndex + 1) * SHA1_BYTES);
}

function refuse(reason: string, cause?: unknown): never {
  throw new MiniTorrentError("MALFORMED_MESSAGE", `The metainfo is refused: ${reason}.`, { cause });
}

function wholeNumber(dictionary: Record<string, unknown>, key: string): number {
  const value = Object.hasOwn(dictionary, key) ? dictionary[key] : undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    return refuse(`its ${key} is not a whole number`);
  }
  return value;
}

function bytes(dictionary: Record<string, unknown>, key: string): Uint8Array {
  const value = Object.hasOwn(dictionary, key) ? dictionary[key] : undefined;
  return value instanceof Uint8Array ? value : refuse(`its ${key} is not a string of bytes`);
}

function text(dictionary: Record<string, unknown>, key: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes(dictionary, key));
  } catch (error) {
    return refuse(`its ${key} is not UTF-8`, error);
  }
}
