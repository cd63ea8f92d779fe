// The metainfo of a shared file or folder: a standard private v1 `info` dictionary (BEP 3, BEP 27) with the group's CA in
// `ssl-cert` (libtorrent's SSL torrents), and `sha1` with the SHA-1 of each whole file; a folder's list of files has padding,
// executable bits and symbolic links as BEP 47 says. The info-hash is the SHA-1 of its bytes.
import { createHash } from "node:crypto";
import bencode from "bencode";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FILE_LENGTH_BYTES, MAX_INFO_BYTES } from "../api/file-limits.ts";
import { decodeDictionary } from "./bencoding.ts";
import { type FileLayout, FileLayoutBuilder } from "./file-layout.ts";
import { checkFileName } from "./file-name.ts";
import { CanonicalReader, CanonicalWriter, FILES_BEGIN } from "./folder-entries.ts";
import { Geometry } from "./geometry.ts";
import { isFolderInfo } from "./info-parts.ts";

const SHA1_BYTES = 20;
/** 1 to 3 ms. */
const ENTRIES_PER_SLICE = 500;
/** 1 to 2 ms. */
const HASHED_PER_SLICE_BYTES = 2 * 1024 * 1024;

/** Lets others have their turn, as `setImmediate` of `node:timers/promises` does. */
export type YieldTurn = () => Promise<unknown>;

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

export interface FolderParts {
  readonly fileName: string;
  readonly layout: FileLayout;
  readonly pieceHashes: Uint8Array;
  readonly authorityPem: string;
}

/**
 * Makes the dictionary of a file. The same content under the same name in the same group always gives the same info-hash.
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
 * Makes the dictionary of a folder.
 *
 * @param yieldTurn called every few milliseconds
 * @throws MiniTorrentError INVALID_ARGUMENT for a name that is refused; LIMIT_REACHED if the dictionary is too long
 */
export function encodeFolderMetainfo(parts: FolderParts, yieldTurn: YieldTurn): Promise<FolderMetainfo> {
  return inSlices(encodeFolder(parts), yieldTurn);
}

/**
 * Reads a dictionary that came from elsewhere, and checks all of it. A large folder takes long: use `decodeMetainfoInSlices`.
 *
 * @throws MiniTorrentError MALFORMED_MESSAGE, with what is wrong
 */
export function decodeMetainfo(info: Uint8Array): Metainfo {
  const decoding = decode(info);
  for (;;) {
    const step = decoding.next();
    if (step.done) return step.value;
  }
}

/**
 * As `decodeMetainfo`, but others get their turn meanwhile.
 *
 * @param yieldTurn called every few milliseconds
 */
export function decodeMetainfoInSlices(info: Uint8Array, yieldTurn: YieldTurn): Promise<Metainfo> {
  return inSlices(decode(info), yieldTurn);
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

async function inSlices<Result>(slices: Generator<void, Result>, yieldTurn: YieldTurn): Promise<Result> {
  for (;;) {
    const step = slices.next();
    if (step.done) return step.value;
    await yieldTurn();
  }
}

function* decode(info: Uint8Array): Generator<void, Metainfo> {
  if (info.length > MAX_INFO_BYTES) refuse(`it is longer than ${MAX_INFO_BYTES} bytes`);
  return isFolderInfo(info) ? yield* decodeFolder(info) : decodeFile(info);
}

function decodeFile(info: Uint8Array): FileMetainfo {
  const dictionary = decodeDictionary(info);
  // Other programs would take it for a folder.
  if (Object.hasOwn(dictionary, "files")) refuse("it has files, and is not of a folder's form");
  const lengthBytes = wholeNumber(dictionary, "length");
  if (lengthBytes > MAX_FILE_LENGTH_BYTES)
    refuse(`its length of ${lengthBytes} bytes is more than a file may have`);
  const geometry = new Geometry(lengthBytes, wholeNumber(dictionary, "piece length"));
  const pieceHashes = bytes(dictionary, "pieces");
  checkPieceHashes(pieceHashes, geometry);
  const sha1 = bytes(dictionary, "sha1");
  if (sha1.length !== SHA1_BYTES) refuse("its sha1 has not 20 bytes");
  if (dictionary.private !== 1) refuse("it is not private");
  const fileName = text(dictionary, "name");
  requireName(fileName);
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

function requireName(fileName: string): void {
  try {
    checkFileName(fileName);
  } catch (error) {
    refuse("its name is not a file name", error);
  }
}

function* decodeFolder(info: Uint8Array): Generator<void, FolderMetainfo> {
  const reader = new CanonicalReader(info, FILES_BEGIN.length);
  const { builder, padding } = yield* readEntries(reader);
  if (builder.count === 0) refuse("it has no files");
  reader.require("4:name");
  const fileName = utf8(reader.string(), "name");
  requireName(fileName);
  reader.require("12:piece length");
  const pieceLengthBytes = reader.wholeNumber();
  // Checks the piece length, which the layout divides by.
  new Geometry(0, pieceLengthBytes);
  const layout = orRefuse(() => builder.finish(pieceLengthBytes));
  checkPadding(layout, padding);
  yield;
  const geometry = new Geometry(layout.lengthBytes, pieceLengthBytes, layout.paddingOfPieces());
  reader.require("6:pieces");
  const pieceHashes = reader.string();
  checkPieceHashes(pieceHashes, geometry);
  reader.require("7:privatei1e8:ssl-cert");
  const authorityPem = utf8(reader.string(), "ssl-cert");
  reader.require("e");
  if (!reader.isAtEnd) refuse("something follows it");
  const infoHash = yield* hashInfo(info);
  return { kind: "folder", fileName, layout, geometry, pieceHashes, authorityPem, info, infoHash };
}

/** @returns also the bytes of padding before files that have some, by the number of the file */
function* readEntries(
  reader: CanonicalReader,
): Generator<void, { builder: FileLayoutBuilder; padding: Map<number, number> }> {
  const builder = new FileLayoutBuilder();
  const padding = new Map<number, number>();
  for (let count = 1; ; count++) {
    const entry = reader.entry();
    if (entry === undefined) return { builder, padding };
    if ("path" in entry) {
      orRefuse(() => builder.add(entry));
    } else {
      if (padding.has(builder.count)) refuse("it has two entries of padding in a row");
      padding.set(builder.count, entry.paddingBytes);
    }
    if (count % ENTRIES_PER_SLICE === 0) yield;
  }
}

/** Padding stands exactly where the layout has it. */
function checkPadding(layout: FileLayout, padding: ReadonlyMap<number, number>): void {
  let paddedFiles = 0;
  for (let fileIndex = 0; fileIndex < layout.fileCount; fileIndex++) {
    const paddingBytes = layout.paddingBefore(fileIndex);
    if (paddingBytes > 0) paddedFiles++;
    if (paddingBytes === (padding.get(fileIndex) ?? 0)) continue;
    refuse(
      `it has ${padding.get(fileIndex) ?? 0} bytes of padding before ${JSON.stringify(layout.pathOf(fileIndex))} instead of ${paddingBytes}`,
    );
  }
  if (padding.size !== paddedFiles) refuse("it has padding where none belongs");
}

function checkPieceHashes(pieceHashes: Uint8Array, { pieceCount }: Geometry): void {
  if (pieceHashes.length === pieceCount * SHA1_BYTES) return;
  refuse(`it has ${pieceHashes.length} bytes of hashes for ${pieceCount} pieces`);
}

function* encodeFolder(parts: FolderParts): Generator<void, FolderMetainfo> {
  const { fileName, layout, pieceHashes, authorityPem } = parts;
  checkFileName(fileName);
  const { fileCount, pieceLengthBytes } = layout;
  const geometry = new Geometry(layout.lengthBytes, pieceLengthBytes, layout.paddingOfPieces());
  const writer = new CanonicalWriter();
  writer.raw(FILES_BEGIN.toString());
  for (let fileIndex = 0; fileIndex < fileCount; fileIndex++) {
    const paddingBytes = layout.paddingBefore(fileIndex);
    if (paddingBytes > 0) writer.padding(paddingBytes);
    writer.entry(layout.entryOf(fileIndex));
    if (fileIndex % ENTRIES_PER_SLICE === ENTRIES_PER_SLICE - 1) yield;
  }
  writer.raw("e4:name");
  writer.string(fileName);
  writer.raw(`12:piece lengthi${pieceLengthBytes}e6:pieces`);
  writer.string(pieceHashes);
  writer.raw("7:privatei1e8:ssl-cert");
  writer.string(authorityPem);
  writer.raw("e");
  if (writer.lengthBytes > MAX_INFO_BYTES) {
    throw new MiniTorrentError(
      "LIMIT_REACHED",
      `The list of the ${fileCount} files of ${fileName} has ${writer.lengthBytes} bytes, and that of a shared folder at most ${MAX_INFO_BYTES}: share its folders one by one.`,
    );
  }
  yield;
  const info = writer.toBytes();
  const infoHash = yield* hashInfo(info);
  return { kind: "folder", fileName, layout, geometry, pieceHashes, authorityPem, info, infoHash };
}

function* hashInfo(info: Uint8Array): Generator<void, string> {
  const hash = createHash("sha1");
  for (let position = 0; position < info.length; position += HASHED_PER_SLICE_BYTES) {
    hash.update(info.subarray(position, position + HASHED_PER_SLICE_BYTES));
    yield;
  }
  return hash.digest("hex");
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
  return utf8(bytes(dictionary, key), key);
}

function utf8(value: Uint8Array, key: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(value);
  } catch (error) {
    return refuse(`its ${key} is not UTF-8`, error);
  }
}

/** What the layout says of a person's folder is a stranger's fault here. */
function orRefuse<Result>(check: () => Result): Result {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof MiniTorrentError)) throw error;
    return refuse(error.message.replace(/\.$/, ""), error);
  }
}
