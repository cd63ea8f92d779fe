// A part of a piece in wire form: for each block the 13 bytes that BEP 3 puts before it in a piece message, then the block, one
// after the other, so that any run of blocks is sent as it lies. The header is written here and not by `wire`, which is
// on the same floor; a test holds this and the wire's decoder together.
import { readv } from "node:fs";
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";
import { SHORT_READ } from "./disk-errors.ts";

/** Length prefix (4), id (1), piece index (4), offset (4). */
const HEADER_BYTES = 13;
const PIECE_MESSAGE_ID = 7;
/** Header and a whole block. Block n of a piece begins at n times this; only the last block may be shorter. */
export const FRAME_LENGTH_BYTES = HEADER_BYTES + BLOCK_LENGTH_BYTES;

/** A part of a piece, from the beginning of a block to the end of one. */
export interface PieceRange {
  readonly pieceIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Length in wire form of so many bytes from the beginning of a block on. */
export function framesLengthBytes(lengthBytes: number): number {
  return lengthBytes + Math.ceil(lengthBytes / BLOCK_LENGTH_BYTES) * HEADER_BYTES;
}

/** Writes the header of every block. */
function writeFrameHeaders(frames: Uint8Array, { pieceIndex, offsetBytes, lengthBytes }: PieceRange): void {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  let position = 0;
  for (let offset = 0; offset < lengthBytes; offset += BLOCK_LENGTH_BYTES) {
    const blockLength = Math.min(BLOCK_LENGTH_BYTES, lengthBytes - offset);
    view.setUint32(position, HEADER_BYTES - 4 + blockLength);
    view.setUint8(position + 4, PIECE_MESSAGE_ID);
    view.setUint32(position + 5, pieceIndex);
    view.setUint32(position + 9, offsetBytes + offset);
    position += HEADER_BYTES + blockLength;
  }
}

/** The places of the blocks between the headers, in order: where `readv` puts them. */
function blockViews(frames: Uint8Array, lengthBytes: number): Uint8Array[] {
  const views: Uint8Array[] = [];
  let position = 0;
  for (let offset = 0; offset < lengthBytes; offset += BLOCK_LENGTH_BYTES) {
    const blockLength = Math.min(BLOCK_LENGTH_BYTES, lengthBytes - offset);
    views.push(frames.subarray(position + HEADER_BYTES, position + HEADER_BYTES + blockLength));
    position += HEADER_BYTES + blockLength;
  }
  return views;
}

/**
 * Reads from the file straight into wire form.
 *
 * @param positionBytes where the range begins in the file
 * @param frames of exactly `framesLengthBytes(range.lengthBytes)` bytes
 * @throws errors of the system; a file that ends too early has the code `SHORT_READ`
 */
export function readFrames(
  fd: number,
  positionBytes: number,
  frames: Uint8Array,
  range: PieceRange,
): Promise<void> {
  writeFrameHeaders(frames, range);
  return new Promise((resolve, reject) => {
    const readOn = (views: readonly Uint8Array[], positionBytes: number): void => {
      readv(fd, views, positionBytes, (error, count) => {
        if (error !== null) return reject(error);
        const rest = viewsAfter(views, count);
        if (rest.length === 0) return resolve();
        if (count === 0) {
          return reject(Object.assign(new Error("the file ended too early"), { code: SHORT_READ }));
        }
        // Some network file systems give less than was asked for.
        readOn(rest, positionBytes + count);
      });
    };
    readOn(blockViews(frames, range.lengthBytes), positionBytes);
  });
}

/** What is left of the views once their first `lengthBytes` are full. */
function viewsAfter(views: readonly Uint8Array[], lengthBytes: number): Uint8Array[] {
  let skip = lengthBytes;
  const rest: Uint8Array[] = [];
  for (const view of views) {
    if (skip < view.length) rest.push(skip === 0 ? view : view.subarray(skip));
    skip = Math.max(0, skip - view.length);
  }
  return rest;
}
