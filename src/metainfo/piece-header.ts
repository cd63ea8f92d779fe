// The 13 bytes before a block in a piece message (BEP 3). Storage reads pieces into this form, header and block alternating, so
// that any run of blocks is sent as it lies; that is why the header is not in `wire`.
import { BLOCK_LENGTH_BYTES } from "./geometry.ts";

export const PIECE_MESSAGE_ID = 7;
const LENGTH_PREFIX_BYTES = 4;
/** Length prefix (4), id (1), piece index (4), offset (4). */
export const PIECE_HEADER_BYTES = 13;
/** What the length prefix of a piece message counts beside the block: id, piece index, offset. */
export const COUNTED_PIECE_HEADER_BYTES = PIECE_HEADER_BYTES - LENGTH_PREFIX_BYTES;
/** Header and a whole block. Block n of a piece begins at n times this; only the last block may be shorter. */
export const FRAME_LENGTH_BYTES = PIECE_HEADER_BYTES + BLOCK_LENGTH_BYTES;

/**
 * Writes the `PIECE_HEADER_BYTES` of a block's header into `target` at `at`; the block's bytes belong right behind.
 *
 * @returns the place where the block's bytes begin
 */
export function writePieceHeader(
  target: Uint8Array,
  at: number,
  pieceIndex: number,
  offsetBytes: number,
  lengthBytes: number,
): number {
  const header = new DataView(target.buffer, target.byteOffset + at, PIECE_HEADER_BYTES);
  header.setUint32(0, COUNTED_PIECE_HEADER_BYTES + lengthBytes);
  header.setUint8(4, PIECE_MESSAGE_ID);
  header.setUint32(5, pieceIndex);
  header.setUint32(9, offsetBytes);
  return at + PIECE_HEADER_BYTES;
}
