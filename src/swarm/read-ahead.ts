// Readers of a torrent that is still downloading, such as a player: each has a position, and the pieces ahead of it have
// deadlines. The picker fetches these soonest first and everything else as before. It also tells a reader when bytes are there.
import type { Geometry } from "../metainfo/geometry.ts";
import type { OwnPieces } from "./own-pieces.ts";

/** Ahead of a reader that does not say how much it wants. */
const DEFAULT_WINDOW_BYTES = 8 * 1024 * 1024;
/** A reader that does not say how fast it reads is taken to read its window in this time. */
const WINDOW_SECONDS = 10;
/** Most pieces of a window: each move of a reader, and each pick while none of them is free, looks at all of them. */
const MAX_WINDOW_PIECES = 256;

export interface ReadAheadOptions {
  /** Where it reads, in the torrent: for a file of a folder `FileLayout.offsetOf` and more. */
  readonly positionBytes: number;
  /** How much to fetch ahead of the position; 8 MiB if it is left out. At most 256 pieces, and at least two, are fetched. */
  readonly windowBytes?: number;
  /** How fast it reads; the window in 10 s if it is left out. */
  readonly bytesPerSecond?: number;
  /** Nothing is fetched ahead from here on: the end of the file that it reads. The torrent's end if it is left out. */
  readonly endBytes?: number;
}

/** A reader of the torrent. Positions are in the torrent. Only wanted pieces are fetched: the owner wants what it reads (`Torrent.want`). */
export interface PieceReader {
  /** It reads on from there: called as it goes on, and when it jumps. */
  moveTo(positionBytes: number): void;
  /** How many bytes from there on are verified without a gap, at most `mostBytes`. */
  readableBytes(positionBytes: number, mostBytes: number): number;
  /**
   * Calls back once those bytes are verified: at once if they are. It calls with false when they do not come: they are not
   * wanted, the reader is closed, or the torrent is.
   *
   * @returns call it to wait no longer
   */
  whenReadable(positionBytes: number, lengthBytes: number, done: (isReadable: boolean) => void): () => void;
  /** It reads no more: its deadlines end. */
  close(): void;
}

interface Reader {
  readonly windowBytes: number;
  readonly bytesPerSecond: number;
  readonly endBytes: number;
  positionBytes: number;
  movedAtMs: number;
}

interface Wait {
  readonly reader: Reader;
  /** All before it are verified. */
  nextPiece: number;
  readonly endPiece: number;
  readonly done: (isReadable: boolean) => void;
}

export interface ReadAheadParts {
  readonly geometry: Geometry;
  readonly pieces: OwnPieces;
  readonly nowMs: () => number;
  /** Other pieces have deadlines now, or others than before. */
  readonly onDeadlines: (deadlines: Map<number, number>) => void;
  /** There is a reader now, or none any longer. */
  readonly onReading: (isReading: boolean) => void;
}

export class ReadAhead {
  readonly #parts: ReadAheadParts;
  readonly #readers = new Set<Reader>();
  readonly #waits = new Set<Wait>();
  #isClosed = false;

  constructor(parts: ReadAheadParts) {
    this.#parts = parts;
  }

  open(options: ReadAheadOptions): PieceReader {
    const { windowBytes = DEFAULT_WINDOW_BYTES } = options;
    const { lengthBytes } = this.#parts.geometry;
    const reader: Reader = {
      windowBytes,
      bytesPerSecond: options.bytesPerSecond ?? windowBytes / WINDOW_SECONDS,
      endBytes: Math.min(options.endBytes ?? lengthBytes, lengthBytes),
      positionBytes: options.positionBytes,
      movedAtMs: this.#parts.nowMs(),
    };
    if (!this.#isClosed) this.#readers.add(reader);
    if (this.#readers.size === 1) this.#parts.onReading(true);
    this.update();
    return {
      moveTo: (positionBytes) => {
        const before = this.#pieceAt(reader.positionBytes);
        const isAhead = positionBytes >= reader.positionBytes && this.#pieceAt(positionBytes) === before;
        reader.positionBytes = positionBytes;
        reader.movedAtMs = this.#parts.nowMs();
        // Within a piece the window stays the same, and deadlines are late by less than that piece.
        if (!isAhead) this.update();
      },
      readableBytes: (positionBytes, mostBytes) => this.#readableBytes(positionBytes, mostBytes),
      whenReadable: (positionBytes, bytes, done) => this.#wait(reader, positionBytes, bytes, done),
      close: () => {
        if (!this.#readers.delete(reader)) return;
        if (!this.isReading) this.#parts.onReading(false);
        for (const wait of [...this.#waits]) if (wait.reader === reader) this.#settle(wait, false);
        this.update();
      },
    };
  }

  /** There is a reader. */
  get isReading(): boolean {
    return this.#readers.size > 0;
  }

  /** Computes deadlines anew: a reader came, moved or went, or other pieces are missing. */
  update(): void {
    const { pieces, onDeadlines } = this.#parts;
    const deadlines: [pieceIndex: number, dueMs: number][] = [];
    for (const reader of this.#readers) {
      const [first, end] = this.#windowOf(reader);
      for (let piece = pieces.missing.next(first); piece !== -1 && piece < end; ) {
        deadlines.push([piece, this.#dueMs(reader, piece)]);
        piece = pieces.missing.next(piece + 1);
      }
    }
    // Of a piece with several deadlines the first one counts.
    deadlines.sort((a, b) => b[1] - a[1]);
    const soonest = new Map(deadlines);
    onDeadlines(new Map([...soonest].sort((a, b) => a[1] - b[1] || a[0] - b[0])));
  }

  /** Other pieces are wanted than before. */
  wantedChanged(): void {
    if (this.isReading) this.update();
    for (const wait of [...this.#waits]) this.#look(wait);
  }

  pieceVerified(): void {
    for (const wait of [...this.#waits]) this.#look(wait);
  }

  /** Nothing comes any more. */
  close(): void {
    this.#isClosed = true;
    this.#readers.clear();
    for (const wait of [...this.#waits]) this.#settle(wait, false);
  }

  #pieceAt(positionBytes: number): number {
    return Math.floor(positionBytes / this.#parts.geometry.pieceLengthBytes);
  }

  /** The piece that is read, the next one, and all that the window touches. */
  #windowOf({ positionBytes, windowBytes, endBytes }: Reader): [first: number, end: number] {
    const first = this.#pieceAt(positionBytes);
    const windowEnd = this.#pieceAt(positionBytes + windowBytes - 1) + 1;
    const end = Math.min(Math.max(windowEnd, first + 2), first + MAX_WINDOW_PIECES);
    return [first, Math.min(end, this.#pieceAt(endBytes - 1) + 1)];
  }

  #dueMs({ positionBytes, bytesPerSecond, movedAtMs }: Reader, pieceIndex: number): number {
    const aheadBytes = Math.max(0, this.#parts.geometry.pieceOffsetBytes(pieceIndex) - positionBytes);
    return movedAtMs + (aheadBytes * 1000) / bytesPerSecond;
  }

  #readableBytes(positionBytes: number, mostBytes: number): number {
    const { geometry, pieces } = this.#parts;
    const endBytes = Math.min(positionBytes + mostBytes, geometry.lengthBytes);
    let readableEnd = positionBytes;
    while (readableEnd < endBytes) {
      const pieceIndex = this.#pieceAt(readableEnd);
      if (!pieces.have.has(pieceIndex)) break;
      readableEnd = Math.min(endBytes, geometry.pieceOffsetBytes(pieceIndex + 1));
    }
    return readableEnd - positionBytes;
  }

  #wait(
    reader: Reader,
    positionBytes: number,
    lengthBytes: number,
    done: (isReadable: boolean) => void,
  ): () => void {
    const nextPiece = this.#pieceAt(positionBytes);
    const wait = { reader, nextPiece, endPiece: this.#pieceAt(positionBytes + lengthBytes - 1) + 1, done };
    this.#waits.add(wait);
    if (this.#readers.has(reader)) this.#look(wait);
    else this.#settle(wait, false);
    return () => void this.#waits.delete(wait);
  }

  #look(wait: Wait): void {
    const { have, missing } = this.#parts.pieces;
    while (wait.nextPiece < wait.endPiece && have.has(wait.nextPiece)) wait.nextPiece++;
    if (wait.nextPiece >= wait.endPiece) this.#settle(wait, true);
    else if (!missing.has(wait.nextPiece)) this.#settle(wait, false);
  }

  #settle(wait: Wait, isReadable: boolean): void {
    if (this.#waits.delete(wait)) wait.done(isReadable);
  }
}
