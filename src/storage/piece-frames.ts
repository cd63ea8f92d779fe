// A part of a piece in wire form: for each block its piece-message header, then the block, one after the other, so that any run
// of blocks is sent as it lies.
import { readv } from "node:fs";
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../metainfo/piece-header.ts";
import type { PieceRange } from "../metainfo/piece-types.ts";
import { SHORT_READ } from "./disk-errors.ts";

/** Length in wire form of so many bytes from the beginning of a block on. */
export function framesLengthBytes(lengthBytes: number): number {
  return lengthBytes + Math.ceil(lengthBytes / BLOCK_LENGTH_BYTES) * PIECE_HEADER_BYTES;
}

/** Writes the header of every block. */
function writeFrameHeaders(frames: Uint8Array, { pieceIndex, offsetBytes, lengthBytes }: PieceRange): void {
  let position = 0;
  for (let offset = 0; offset < lengthBytes; offset += BLOCK_LENGTH_BYTES) {
    const blockLength = Math.min(BLOCK_LENGTH_BYTES, lengthBytes - offset);
    position =
      writePieceHeader(frames, position, pieceIndex, offsetBytes + offset, blockLength) + blockLength;
  }
}

/** The places of the blocks between the headers, in order: where `readv` puts them. */
function blockViews(frames: Uint8Array, lengthBytes: number): Uint8Array[] {
  const views: Uint8Array[] = [];
  let position = 0;
  for (let offset = 0; offset < lengthBytes; offset += BLOCK_LENGTH_BYTES) {
    const blockLength = Math.min(BLOCK_LENGTH_BYTES, lengthBytes - offset);
    views.push(frames.subarray(position + PIECE_HEADER_BYTES, position + PIECE_HEADER_BYTES + blockLength));
    position += PIECE_HEADER_BYTES + blockLength;
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

/** Puts bytes that were read into wire form. @param bytes of `range.lengthBytes` */
export function frameBytes(bytes: Uint8Array, frames: Uint8Array, range: PieceRange): void {
  writeFrameHeaders(frames, range);
  let position = 0;
  for (const view of blockViews(frames, range.lengthBytes)) {
    view.set(bytes.subarray(position, position + view.length));
    position += view.length;
  }
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
