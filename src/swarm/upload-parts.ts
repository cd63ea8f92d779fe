// What is read for one peer: parts of pieces in wire form, the one that is being sent and the next. Pieces are cut at the
// same places for all peers, so that these share reads. It does not send (upload-queue.ts).

import type { MiniTorrentError } from "../api/errors.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import type { PieceFrames, PieceRange } from "../metainfo/piece-types.ts";
import type { PieceStorage } from "./storage-interface.ts";

/** What is read at once, and so what a peer that stops reading keeps from others. */
const PART_BYTES = 1024 * 1024;
/** The part that is being sent, and the next. */
const MAX_LOADED_PARTS = 2;

export interface UploadRequest {
  readonly pieceIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A part for one peer: reading -> readable; its frames are released when it is unwanted and nothing is in flight. */
export class LoadedPart {
  readonly range: PieceRange;
  #frames: PieceFrames | undefined;
  #runsInFlight = 0;
  #isWanted = true;

  constructor(range: PieceRange) {
    this.range = range;
  }

  /** In wire form; undefined while it is being read. */
  get bytes(): Uint8Array | undefined {
    return this.#frames?.bytes;
  }

  get isWanted(): boolean {
    return this.#isWanted;
  }

  get isInFlight(): boolean {
    return this.#runsInFlight > 0;
  }

  wasRead(frames: PieceFrames): void {
    this.#frames = frames;
    this.#releaseIfDone();
  }

  /** A run of its blocks is handed to the connection. */
  runBegins(): void {
    this.#runsInFlight++;
  }

  /** The connection needs the run's bytes no longer. */
  runEnds(): void {
    this.#runsInFlight--;
    this.#releaseIfDone();
  }

  unwanted(): void {
    this.#isWanted = false;
    this.#releaseIfDone();
  }

  #releaseIfDone(): void {
    if (this.#isWanted || this.isInFlight) return;
    this.#frames?.release();
    this.#frames = undefined;
  }
}

export interface UploadPartsOptions {
  readonly geometry: Geometry;
  readonly storage: Pick<PieceStorage, "read">;
  /** A part that is wanted can be sent. */
  readonly onReadable: () => void;
  readonly onReadFailed: (pieceIndex: number, error: MiniTorrentError) => void;
}

export class UploadParts {
  readonly #options: UploadPartsOptions;
  readonly #loaded: LoadedPart[] = [];

  constructor(options: UploadPartsOptions) {
    this.#options = options;
  }

  /** The part that contains the request; undefined: it is neither in memory nor being read. */
  find(request: UploadRequest): LoadedPart | undefined {
    return this.#loaded.find(({ range }) => isWithin(request, range));
  }

  /** Frees the parts of which nothing is in flight. */
  keepInFlight(): void {
    this.#unloadAllBut((part) => part.isInFlight);
  }

  clear(): void {
    this.#unloadAllBut(() => false);
  }

  /** Reads the part of the first request and the next requested part, unless they are in memory. */
  readAhead(requests: readonly UploadRequest[], head: number): void {
    const wanted: PieceRange[] = [];
    for (let at = head; at < requests.length && wanted.length < MAX_LOADED_PARTS; at++) {
      const request = requests[at];
      if (request === undefined || wanted.some((range) => isWithin(request, range))) continue;
      wanted.push(this.#partOf(request));
    }
    if (wanted.length === 0) return;
    this.#unloadAllBut((part) => wanted.some((range) => isSameRange(range, part.range)));
    for (const range of wanted) {
      if (this.#loaded.every((part) => !isSameRange(part.range, range))) this.#load(range);
    }
  }

  /** What is read for that request: pieces are cut at the same places for all peers, so that they share reads. */
  #partOf({ pieceIndex, offsetBytes, lengthBytes }: UploadRequest): PieceRange {
    const pieceBytes = this.#options.geometry.lengthOfPieceBytes(pieceIndex);
    const end = offsetBytes + lengthBytes;
    let from = offsetBytes - (offsetBytes % PART_BYTES);
    let to = from + PART_BYTES;
    if (end > to) {
      // An unusual request, unaligned and on both sides of a cut: just the blocks it touches.
      from = offsetBytes - (offsetBytes % BLOCK_LENGTH_BYTES);
      to = from + 2 * BLOCK_LENGTH_BYTES;
    }
    return { pieceIndex, offsetBytes: from, lengthBytes: Math.min(to, pieceBytes) - from };
  }

  #load(range: PieceRange): void {
    const part = new LoadedPart(range);
    this.#loaded.push(part);
    this.#options.storage.read(range, (result) => {
      if (result instanceof Error) {
        if (!part.isWanted) return;
        this.#unload(part);
        this.#options.onReadFailed(range.pieceIndex, result);
        return;
      }
      part.wasRead(result);
      if (part.isWanted) this.#options.onReadable();
    });
  }

  #unloadAllBut(isWanted: (part: LoadedPart) => boolean): void {
    for (let at = this.#loaded.length - 1; at >= 0; at--) {
      const part = this.#loaded[at];
      if (part !== undefined && !isWanted(part)) this.#unload(part);
    }
  }

  #unload(part: LoadedPart): void {
    this.#loaded.splice(this.#loaded.indexOf(part), 1);
    part.unwanted();
  }
}

export function isWithin(
  { pieceIndex, offsetBytes, lengthBytes }: UploadRequest,
  range: PieceRange,
): boolean {
  return (
    pieceIndex === range.pieceIndex &&
    offsetBytes >= range.offsetBytes &&
    offsetBytes + lengthBytes <= range.offsetBytes + range.lengthBytes
  );
}

function isSameRange(one: PieceRange, other: PieceRange): boolean {
  return (
    one.pieceIndex === other.pieceIndex &&
    one.offsetBytes === other.offsetBytes &&
    one.lengthBytes === other.lengthBytes
  );
}
