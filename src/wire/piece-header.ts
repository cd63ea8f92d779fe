// What goes before a block in a piece message (BEP 3). Storage lays out a run of blocks with it, header and block one
// after the other, so that the whole run can be sent as it lies.
import { writeUint32 } from "./integers.ts";
import { messageIds, PIECE_HEADER_BYTES } from "./messages.ts";

/** Bytes of a piece message that its length prefix counts beside the block: id, piece index, offset. */
const COUNTED_HEADER_BYTES = PIECE_HEADER_BYTES - 4;

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
  const idAt = writeUint32(target, at, COUNTED_HEADER_BYTES + lengthBytes);
  target[idAt] = messageIds.piece;
  return writeUint32(target, writeUint32(target, idAt + 1, pieceIndex), offsetBytes);
}
