// A group file's metainfo: a standard private v1 `info` dictionary (BEP 3, BEP 27) with the group's CA in `ssl-cert`
// (libtorrent's SSL torrents), and `sha1` with the SHA-1 of the whole file. The info-hash is the SHA-1 of its bytes.
import { createHash } from "node:crypto";
import bencode from "bencode";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FILE_LENGTH_BYTES, MAX_INFO_BYTES } from "../api/file-limits.ts";
import { decodeDictionary } from "./bencoding.ts";
import type { FileLayout } from "./file-layout.ts";
import { checkFileName } from "./file-name.ts";
import { Geometry } from "./geometry.ts";

const SHA1_BYTES = 20;

export type Metainfo = FileMetainfo | FolderMetainfo;

interface CommonMetainfo {
  /** Name of the file or folder. */
  readonly fileName: string;
  readonly geometry: Geometry;
  /** SHA-1 of every piece, 20 bytes each, one after the other. */
  readonly pieceHashes: Uint8Array;
  /** The CA of the group that the file belongs to, PEM. */
  readonly authorityPem: string;
  /** The bencoded dictionary itself. */
  readonly info: Uint8Array;
  /** SHA-1 of `info`, 40 hex digits. */
  readonly infoHash: string;
}

export interface FileMetainfo extends CommonMetainfo {
  readonly kind: "file";
  /** SHA-1 of the whole file, 40 hex digits. */
  readonly sha1: string;
}

export interface FolderMetainfo extends CommonMetainfo {
  readonly kind: "folder";
  readonly layout: FileLayout;
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
 * Makes the dictionary. The same content under the same name in the same group always gives the same info-hash.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT for a name that is refused
 */
export function encodeMetainfo(parts: MetainfoParts): FileMetainfo {
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
  return decodeFile(info);
}

/**
 * Reads a dictionary that came from elsewhere, and checks all of it.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE, with what is wrong
 */
export function decodeMetainfo(info: Uint8Array): Metainfo {
  return decodeFile(info);
}

/**
 * For what works with single files alone.
 *
 * @throws MiniTorrentError NOT_A_FILE
 */
export function requireSingleFile(metainfo: Metainfo): FileMetainfo {
  if (metainfo.kind === "file") return metainfo;
  throw new MiniTorrentError(
    "NOT_A_FILE",
    `${metainfo.fileName} is a folder: this works with single files alone.`,
  );
}

function decodeFile(info: Uint8Array): FileMetainfo {
  if (info.length > MAX_INFO_BYTES) refuse(`it is longer than ${MAX_INFO_BYTES} bytes`);
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
    kind: "file",
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
