// Reads one file of a share while it downloads, from any position: what is not there yet is waited for, and fetched before the
// rest. Of what is complete it reads at once.
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { MiniTorrentError } from "../../api/errors.ts";
import { BLOCK_LENGTH_BYTES } from "../../metainfo/geometry.ts";
import type { Metainfo } from "../../metainfo/metainfo.ts";
import { PIECE_HEADER_BYTES } from "../../metainfo/piece-header.ts";
import type { PieceFrames, PieceRange } from "../../metainfo/piece-types.ts";
import { errnoOf } from "../../net/errno.ts";
import { fileChanged, readError } from "../../storage/disk-errors.ts";
import type { PieceStore } from "../../storage/piece-store.ts";
import type { PieceReader } from "../../swarm/read-ahead.ts";
import type { RunningTorrent } from "../client-context.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Most bytes that one call reads: a caller that asks for more gets the first of them. */
const MOST_READ_BYTES = 1024 * 1024;

/** Reads one file of a share. */
export interface FileReader {
  readonly lengthBytes: number;
  /** Differs for other files, and for other versions of this one. */
  readonly contentId: string;
  /**
   * The bytes from there on: as many as were asked for, at most 1 MiB, and fewer only at the file's end. Waits until they are here.
   *
   * @throws MiniTorrentError DOWNLOAD_PAUSED when they do not come: the download was paused, or has failed; FILE_CHANGED,
   * FILE_NOT_FOUND, DISK_FAILED; the signal's reason when it is aborted
   */
  read(positionBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Where a file is in its torrent. */
export interface FilePlaceInTorrent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Of a file of a folder. */
  readonly fileIndex: number | undefined;
  readonly contentId: string;
}

/**
 * @param path of a file in a folder; undefined for a single file
 * @throws MiniTorrentError UNKNOWN_FILE, INVALID_ARGUMENT
 */
export function placeOf(metainfo: Metainfo, path: string | undefined): FilePlaceInTorrent {
  if (metainfo.kind === "file") {
    if (path !== undefined)
      throw new MiniTorrentError(
        "INVALID_ARGUMENT",
        `${metainfo.fileName} is a single file: name no path in it.`,
      );
    const { geometry, infoHash: contentId } = metainfo;
    return { offsetBytes: 0, lengthBytes: geometry.lengthBytes, fileIndex: undefined, contentId };
  }
  const { layout } = metainfo;
  const fileIndex = path === undefined ? undefined : layout.indexOf(path);
  if (fileIndex === undefined || layout.linkTargetOf(fileIndex) !== undefined) {
    throw new MiniTorrentError(
      "UNKNOWN_FILE",
      `${metainfo.fileName} has no file ${path ?? ""}: list_files shows what it has.`,
    );
  }
  return {
    offsetBytes: layout.offsetOf(fileIndex),
    lengthBytes: layout.lengthOf(fileIndex),
    fileIndex,
    contentId: `${metainfo.infoHash}-${fileIndex}`,
  };
}

/** Reads a file whose download runs, or is finished in part. */
export class DownloadReader implements FileReader {
  readonly lengthBytes: number;
  readonly contentId: string;
  readonly #place: FilePlaceInTorrent;
  readonly #metainfo: Metainfo;
  readonly #store: Pick<PieceStore, "read">;
  readonly #ahead: PieceReader;

  constructor(
    { torrent }: Pick<RunningTorrent, "torrent">,
    store: Pick<PieceStore, "read">,
    metainfo: Metainfo,
    place: FilePlaceInTorrent,
  ) {
    this.lengthBytes = place.lengthBytes;
    this.contentId = place.contentId;
    this.#place = place;
    this.#metainfo = metainfo;
    this.#store = store;
    const { offsetBytes: positionBytes, lengthBytes } = place;
    this.#ahead = torrent.readAhead({ positionBytes, endBytes: positionBytes + lengthBytes });
  }

  async read(positionBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
    const bytes = new Uint8Array(lengthToRead(this.lengthBytes, positionBytes, lengthBytes));
    const begin = this.#place.offsetBytes + positionBytes;
    this.#ahead.moveTo(begin);
    await this.#readable(begin, bytes.length, signal);
    const { pieceLengthBytes } = this.#metainfo.geometry;
    for (let at = 0; at < bytes.length; ) {
      const inPiece = (begin + at) % pieceLengthBytes;
      const partBytes = Math.min(bytes.length - at, pieceLengthBytes - inPiece);
      const pieceIndex = Math.floor((begin + at) / pieceLengthBytes);
      bytes.set(await this.#readPart(pieceIndex, inPiece, partBytes), at);
      at += partBytes;
    }
    return bytes;
  }

  async close(): Promise<void> {
    this.#ahead.close();
  }

  async #readable(begin: number, lengthBytes: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (lengthBytes === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const stopWaiting = this.#ahead.whenReadable(begin, lengthBytes, resolve);
    const onAbort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    try {
      if (await promise) return;
    } finally {
      stopWaiting();
      signal?.removeEventListener("abort", onAbort);
    }
    throw new MiniTorrentError(
      "DOWNLOAD_PAUSED",
      `${this.#metainfo.fileName} is not being downloaded any more: resume it.`,
    );
  }

  /** What the store reads begins and ends with a block. */
  async #readPart(pieceIndex: number, inPiece: number, lengthBytes: number): Promise<Uint8Array> {
    const offsetBytes = inPiece - (inPiece % BLOCK_LENGTH_BYTES);
    const pieceBytes = this.#metainfo.geometry.lengthOfPieceBytes(pieceIndex);
    const endBytes = Math.ceil((inPiece + lengthBytes) / BLOCK_LENGTH_BYTES) * BLOCK_LENGTH_BYTES;
    const range = { pieceIndex, offsetBytes, lengthBytes: Math.min(endBytes, pieceBytes) - offsetBytes };
    const frames = await this.#framesOf(range);
    try {
      return withoutHeaders(frames.bytes, range.lengthBytes)
        .subarray(inPiece - offsetBytes)
        .subarray(0, lengthBytes);
    } finally {
      frames.release();
    }
  }

  #framesOf(range: PieceRange): Promise<PieceFrames> {
    return new Promise((resolve, reject) => {
      this.#store.read(range, (frames) =>
        frames instanceof MiniTorrentError ? reject(frames) : resolve(frames),
      );
    });
  }
}

/** Reads a file that is complete. */
export class DiskReader implements FileReader {
  readonly lengthBytes: number;
  readonly contentId: string;
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle, { lengthBytes, contentId }: FilePlaceInTorrent) {
    this.#path = path;
    this.#file = file;
    this.lengthBytes = lengthBytes;
    this.contentId = contentId;
  }

  /** @throws MiniTorrentError FILE_NOT_FOUND, FILE_UNREADABLE, FILE_CHANGED, DISK_FAILED */
  static async open(
    sharePath: string,
    inside: string | undefined,
    place: FilePlaceInTorrent,
  ): Promise<DiskReader> {
    const path = inside === undefined ? sharePath : join(sharePath, inside);
    try {
      // Somebody may have put a pipe, which would block, or a link that leads out of the folder in the file's place.
      const noFollow = inside === undefined ? 0 : (O_NOFOLLOW ?? 0);
      const file = await open(path, O_RDONLY | noFollow | (O_NONBLOCK ?? 0));
      if ((await file.stat()).isFile()) return new DiskReader(path, file, place);
      await file.close();
    } catch (error) {
      if (inside === undefined || errnoOf(error) !== "ELOOP") throw readError(error, path);
    }
    throw fileChanged(path);
  }

  async read(positionBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const bytes = new Uint8Array(lengthToRead(this.lengthBytes, positionBytes, lengthBytes));
    try {
      const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, positionBytes);
      return bytes.subarray(0, bytesRead);
    } catch (error) {
      throw readError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** @throws MiniTorrentError INVALID_ARGUMENT */
function lengthToRead(fileBytes: number, positionBytes: number, lengthBytes: number): number {
  if (![positionBytes, lengthBytes].every((number) => Number.isSafeInteger(number) && number >= 0))
    throw new MiniTorrentError("INVALID_ARGUMENT", "A position and a length are whole numbers.");
  return Math.max(0, Math.min(lengthBytes, fileBytes - positionBytes, MOST_READ_BYTES));
}

function withoutHeaders(frames: Uint8Array, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  let at = 0;
  for (let done = 0; done < lengthBytes; done += BLOCK_LENGTH_BYTES) {
    const blockBytes = Math.min(BLOCK_LENGTH_BYTES, lengthBytes - done);
    bytes.set(frames.subarray(at + PIECE_HEADER_BYTES, at + PIECE_HEADER_BYTES + blockBytes), done);
    at += PIECE_HEADER_BYTES + blockBytes;
  }
  return bytes;
}
