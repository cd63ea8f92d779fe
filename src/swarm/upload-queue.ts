// One peer's requests in order, and the blocks on their way to it. Consecutive blocks of a piece leave as one run of the piece's
// frames, without a copy; what is requested next is read ahead. Sending
// stops when the connection has enough, until it is writable. Whom to upload to is the choker's decision.

import type { MiniTorrentError } from "../api/errors.ts";
import { BLOCK_LENGTH_BYTES, type Geometry } from "../metainfo/geometry.ts";
import { FRAME_LENGTH_BYTES, PIECE_HEADER_BYTES, writePieceHeader } from "../metainfo/piece-header.ts";
import type { PieceRange } from "../metainfo/piece-types.ts";
import type { PeerLink } from "../wire/messages.ts";
import type { Rate } from "./rate.ts";
import type { PieceStorage } from "./storage-interface.ts";
import type { TokenBucket, TokenWaiter } from "./token-bucket.ts";
import { isWithin, UploadParts, type UploadRequest } from "./upload-parts.ts";

/** One run goes out as one write, which node:tls encrypts as a whole: with 1 MiB instead of 256 KiB, sender and receiver
 * take a twentieth less processor time. To a slow peer it is shorter: `UNSENT_SECONDS`. */
const MAX_RUN_BLOCKS = 64;
/** What is handed to the connection can no longer be cancelled, nor choked: no more than goes out in that time... */
const UNSENT_SECONDS = 0.2;
/** ...but enough to keep it busy, and as long as its speed is not known as much again as it has taken, up to plenty. */
const MIN_UNSENT_BYTES = 32 * 1024;
const UNSENT_AT_START_BYTES = 64 * 1024;
const MOST_UNSENT_AT_START_BYTES = 512 * 1024;
/** A connection that takes nothing for so many ticks (100 ms each) keeps only what is in flight from other peers. */
const STALLED_TICKS = 20;

export interface UploadQueueOptions {
  readonly geometry: Geometry;
  readonly link: PeerLink;
  readonly storage: Pick<PieceStorage, "read">;
  /** Most requests that wait. */
  readonly limit: number;
  /** False: others go first; `pump` is called again when that may have changed. */
  readonly mayServe: (pieceIndex: number) => boolean;
  /** What may be sent a second; undefined: anything. */
  readonly bucket: TokenBucket | undefined;
  /** Runs work after what is running now. */
  readonly defer: (work: () => void) => void;
  /** How fast the connection takes blocks; counts what is handed to it. */
  readonly rate: Pick<Rate, "add" | "bytesPerSecond">;
  /** Blocks, without their headers, that were handed to the connection. */
  readonly onSent: (pieceIndex: number, bytes: number) => void;
  /** The piece cannot be read; its requests are no longer in the queue. */
  readonly onReadFailed: (
    pieceIndex: number,
    dropped: readonly UploadRequest[],
    error: MiniTorrentError,
  ) => void;
}

export class UploadQueue {
  readonly #options: UploadQueueOptions;
  /** Cut by `#head`: what is before it is served. */
  #requests: UploadRequest[] = [];
  #head = 0;
  /** Requests from `#head` up to here go before the others. */
  #urgentEnd = 0;
  readonly #parts: UploadParts;
  #isHeld = false;
  #unsentBytes = 0;
  /** By the connection. */
  #takenBytes = 0;
  #isPumping = false;
  #isPumpDue = false;
  #mustPumpAgain = false;
  #isIdle = false;
  /** Ticks since the connection took something, while it has enough. */
  #heldTicks = 0;
  #isClosed = false;
  readonly #turn: TokenWaiter = { resume: () => this.pump() };

  constructor(options: UploadQueueOptions) {
    this.#options = options;
    this.#parts = new UploadParts({
      geometry: options.geometry,
      storage: options.storage,
      onReadable: () => this.pump(),
      onReadFailed: (pieceIndex, error) => this.#readFailed(pieceIndex, error),
    });
  }

  get length(): number {
    return this.#requests.length - this.#head;
  }

  /** The piece whose turn it is; undefined: nothing is requested. */
  get nextPiece(): number | undefined {
    return this.#requests[this.#head]?.pieceIndex;
  }

  /** There is something to send that the connection does not take yet. */
  get isHeld(): boolean {
    return this.#mustHold && this.length > 0;
  }

  get #unsentLimitBytes(): number {
    const { bytesPerSecond } = this.#options.rate;
    if (bytesPerSecond === 0)
      return Math.min(MOST_UNSENT_AT_START_BYTES, UNSENT_AT_START_BYTES + this.#takenBytes);
    return Math.max(MIN_UNSENT_BYTES, bytesPerSecond * UNSENT_SECONDS);
  }

  get #mustHold(): boolean {
    return this.#isHeld || this.#unsentBytes >= this.#unsentLimitBytes;
  }

  /** The connection takes nothing for a while. */
  get isStalled(): boolean {
    return this.#heldTicks >= STALLED_TICKS;
  }

  /** An urgent request goes before those that are not. Returns false if the queue is full. */
  push(pieceIndex: number, offsetBytes: number, lengthBytes: number, isUrgent = false): boolean {
    if (this.length >= this.#options.limit) return false;
    this.#isIdle = false;
    const request = { pieceIndex, offsetBytes, lengthBytes };
    if (!isUrgent) {
      this.#requests.push(request);
      return true;
    }
    const place = Math.max(this.#head, this.#urgentEnd);
    if (place === this.#requests.length) this.#requests.push(request);
    else this.#requests.splice(place, 0, request);
    this.#urgentEnd = place + 1;
    return true;
  }

  /** Returns false if that request does not wait (any more). */
  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): boolean {
    for (let at = this.#head; at < this.#requests.length; at++) {
      const request = this.#requests[at];
      if (
        request?.pieceIndex === pieceIndex &&
        request.offsetBytes === offsetBytes &&
        request.lengthBytes === lengthBytes
      ) {
        this.#requests.splice(at, 1);
        if (at < this.#urgentEnd) this.#urgentEnd--;
        return true;
      }
    }
    return false;
  }

  /** Empties the queue and returns what waited in it. What was handed to the connection still goes out. */
  clear(): readonly UploadRequest[] {
    const waiting = this.#requests.slice(this.#head);
    this.#requests = [];
    this.#head = 0;
    this.#urgentEnd = 0;
    this.#parts.clear();
    this.#options.bucket?.forget(this.#turn);
    return waiting;
  }

  writable(): void {
    this.#isHeld = false;
    this.pump();
  }

  /** Called about every 100 ms: frees parts of which nothing was requested since the last call. */
  tick(): void {
    this.#heldTicks = this.#mustHold ? this.#heldTicks + 1 : 0;
    if (this.isStalled) this.#parts.keepInFlight();
    if (this.length > 0) return;
    if (this.#isIdle) this.#parts.clear();
    this.#isIdle = true;
  }

  close(): void {
    this.#isClosed = true;
    this.clear();
  }

  /** Sends what it can once all requests that arrived together are in the queue, so that they leave as one run. */
  pumpSoon(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    this.#options.defer(() => {
      this.#isPumpDue = false;
      this.pump();
    });
  }

  /** Sends what it can; may be called from anywhere, also while it runs. */
  pump(): void {
    this.#mustPumpAgain = true;
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#mustPumpAgain) {
        this.#mustPumpAgain = false;
        while (!this.#mustHold && !this.#isClosed && this.length > 0) {
          this.#readAhead();
          if (!this.#sendRun()) break;
        }
        this.#readAhead();
      }
    } finally {
      this.#isPumping = false;
    }
  }

  #readAhead(): void {
    if (!this.isStalled) this.#parts.readAhead(this.#requests, this.#head);
  }

  #readFailed(pieceIndex: number, error: MiniTorrentError): void {
    const waiting = this.#requests.slice(this.#head);
    this.#requests = waiting.filter((request) => request.pieceIndex !== pieceIndex);
    this.#head = 0;
    this.#urgentEnd = 0;
    const dropped = waiting.filter((request) => request.pieceIndex === pieceIndex);
    this.#options.onReadFailed(pieceIndex, dropped, error);
    this.pump();
  }

  /** Hands the longest run at the head of the queue to the connection. False if it cannot go yet. */
  #sendRun(): boolean {
    const first = this.#requests[this.#head];
    if (first === undefined) return false;
    const part = this.#parts.find(first);
    if (part?.bytes === undefined) return false;
    if (!this.#options.mayServe(first.pieceIndex)) return false;
    const allowedBytes = this.#options.bucket?.allowance(this.#turn) ?? Number.POSITIVE_INFINITY;
    if (allowedBytes === 0) return false;
    let runEnd = this.#head + 1;
    let runBytes = first.lengthBytes;
    let frames: Uint8Array;
    if (this.#isWholeBlock(first)) {
      const mostBlocks = Math.min(
        MAX_RUN_BLOCKS,
        Math.min(this.#unsentLimitBytes, allowedBytes) / BLOCK_LENGTH_BYTES,
      );
      while (runEnd - this.#head < mostBlocks && this.#continues(runEnd, part.range)) {
        runBytes += this.#requests[runEnd]?.lengthBytes ?? 0;
        runEnd++;
      }
      const start = ((first.offsetBytes - part.range.offsetBytes) / BLOCK_LENGTH_BYTES) * FRAME_LENGTH_BYTES;
      const framesBytes = runBytes + (runEnd - this.#head) * PIECE_HEADER_BYTES;
      frames = part.bytes.subarray(start, start + framesBytes);
    } else {
      frames = cutFrame(part.bytes, part.range.offsetBytes, first);
    }
    this.#head = runEnd;
    // The served part is cut off when it is the larger one: each request is moved at most once on average.
    if (this.#head > 64 && this.#head * 2 > this.#requests.length) {
      this.#requests = this.#requests.slice(this.#head);
      this.#urgentEnd -= this.#head;
      this.#head = 0;
    }
    part.runBegins();
    this.#unsentBytes += runBytes;
    this.#options.bucket?.spend(runBytes);
    this.#options.rate.add(runBytes);
    this.#options.onSent(first.pieceIndex, runBytes);
    const hasRoom = this.#options.link.sendBlocks(frames, () => {
      this.#heldTicks = 0;
      part.runEnds();
      this.#unsentBytes -= runBytes;
      this.#takenBytes += runBytes;
      if (this.length > 0 && !this.#mustHold) this.pumpSoon();
    });
    if (!hasRoom) this.#isHeld = true;
    return true;
  }

  /** Whole as it is read, with padding: of a padded block peers like us request less. */
  #isWholeBlock({ pieceIndex, offsetBytes, lengthBytes }: UploadRequest): boolean {
    if (offsetBytes % BLOCK_LENGTH_BYTES !== 0) return false;
    const restBytes = this.#options.geometry.lengthOfPieceBytes(pieceIndex) - offsetBytes;
    return lengthBytes === Math.min(BLOCK_LENGTH_BYTES, restBytes);
  }

  /** True if the request at that place is the whole block after the one before it, and in the range too. */
  #continues(at: number, range: PieceRange): boolean {
    const previous = this.#requests[at - 1];
    const request = this.#requests[at];
    return (
      previous !== undefined &&
      request !== undefined &&
      isWithin(request, range) &&
      request.offsetBytes === previous.offsetBytes + BLOCK_LENGTH_BYTES &&
      this.#isWholeBlock(request)
    );
  }
}

/** A piece message for a range that is not a whole block: copied together from the blocks that it touches. */
function cutFrame(framesOfPart: Uint8Array, partOffsetBytes: number, request: UploadRequest): Uint8Array {
  const { pieceIndex, offsetBytes, lengthBytes } = request;
  const frame = new Uint8Array(PIECE_HEADER_BYTES + lengthBytes);
  let to = writePieceHeader(frame, 0, pieceIndex, offsetBytes, lengthBytes);
  for (let from = offsetBytes; from < offsetBytes + lengthBytes; ) {
    const blockIndex = Math.floor(from / BLOCK_LENGTH_BYTES);
    const inBlock = from - blockIndex * BLOCK_LENGTH_BYTES;
    const take = Math.min(BLOCK_LENGTH_BYTES - inBlock, offsetBytes + lengthBytes - from);
    const firstBlock = partOffsetBytes / BLOCK_LENGTH_BYTES;
    const start = (blockIndex - firstBlock) * FRAME_LENGTH_BYTES + PIECE_HEADER_BYTES + inBlock;
    frame.set(framesOfPart.subarray(start, start + take), to);
    to += take;
    from += take;
  }
  return frame;
}
