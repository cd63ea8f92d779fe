// How a file, or a folder's files one after the other, is cut: pieces and blocks (BEP 3). Pure arithmetic, no bytes.
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_FILE_LENGTH_BYTES, MAX_PIECE_LENGTH_BYTES } from "../api/file-limits.ts";
import type { Bitfield } from "./bitfield.ts";

/** 16 KiB, what every BitTorrent implementation asks for at once (BEP 3: "all current implementations use 2^14"). */
export const BLOCK_LENGTH_BYTES = 16 * 1024;
/** Smallest piece length that miniTorrent makes. */
export const MIN_PIECE_LENGTH_BYTES = 256 * 1024;
/** Each piece costs its messages, thread hops and `have`s: up to 1 MiB they are made larger from so many pieces on, which
 * are still plenty for a swarm to pass around... */
const ENOUGH_PIECES = 1024;
const HANDY_PIECE_LENGTH_BYTES = 1024 * 1024;
/** ...and beyond that only from so many on: the metainfo stays under 100 KB up to
 * 64 GiB. Then pieces are as large as they may be, and their number grows. */
const MOST_PIECES = 4096;

/**
 * The power of two from 256 KiB up that gives at most 1,024 pieces; above 1 MiB at most 4,096 pieces, and no more than
 * 16 MiB.
 *
 * @param lengthBytes at most MAX_FILE_LENGTH_BYTES
 */
export function choosePieceLengthBytes(lengthBytes: number): number {
  let pieceLengthBytes = MIN_PIECE_LENGTH_BYTES;
  while (pieceLengthBytes < MAX_PIECE_LENGTH_BYTES) {
    const mostPieces = pieceLengthBytes < HANDY_PIECE_LENGTH_BYTES ? ENOUGH_PIECES : MOST_PIECES;
    if (lengthBytes <= pieceLengthBytes * mostPieces) break;
    pieceLengthBytes *= 2;
  }
  return pieceLengthBytes;
}

/**
 * The cut of a torrent into pieces, and of a piece into blocks. Only the last piece, and the last block of a piece,
 * may be shorter. An empty file has no pieces.
 *
 * A folder's pieces may end with padding (BEP 47). Padding is hashed, and a peer may request it; it is zeros, so that this
 * client neither requests nor counts it. A piece's blocks are those that it requests.
 */
export class Geometry {
  /** With padding. */
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly pieceCount: number;
  /** Without padding. */
  readonly contentBytes: number;
  readonly #paddingOfPieces: Uint32Array | undefined;
  /** Pieces that end with padding. */
  readonly #paddedPieces: Uint32Array = new Uint32Array(0);

  /**
   * @param paddingOfPieces bytes of padding at the end of each piece; undefined if there is none
   * @throws MiniTorrentError MALFORMED_MESSAGE when a length is not a whole number in range
   */
  constructor(lengthBytes: number, pieceLengthBytes: number, paddingOfPieces?: Uint32Array) {
    if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > MAX_FILE_LENGTH_BYTES) {
      throw new MiniTorrentError("MALFORMED_MESSAGE", `A file cannot have ${lengthBytes} bytes.`);
    }
    if (
      !Number.isSafeInteger(pieceLengthBytes) ||
      pieceLengthBytes < BLOCK_LENGTH_BYTES ||
      pieceLengthBytes > MAX_PIECE_LENGTH_BYTES ||
      (pieceLengthBytes & (pieceLengthBytes - 1)) !== 0
    ) {
      throw new MiniTorrentError(
        "MALFORMED_MESSAGE",
        `A piece length of ${pieceLengthBytes} bytes is not a power of two from 16 KiB to 16 MiB.`,
      );
    }
    this.lengthBytes = lengthBytes;
    this.pieceLengthBytes = pieceLengthBytes;
    this.pieceCount = Math.ceil(lengthBytes / pieceLengthBytes);
    this.contentBytes = lengthBytes;
    this.#paddingOfPieces = paddingOfPieces;
    if (paddingOfPieces === undefined) return;
    this.#paddedPieces = Uint32Array.from(piecesWithPadding(paddingOfPieces));
    for (const pieceIndex of this.#paddedPieces) this.contentBytes -= paddingOfPieces[pieceIndex] ?? 0;
  }

  /** Where the piece begins in the file. */
  pieceOffsetBytes(pieceIndex: number): number {
    return pieceIndex * this.pieceLengthBytes;
  }

  /** Length of that piece, with padding; 0 for an index that the file does not have. */
  lengthOfPieceBytes(pieceIndex: number): number {
    if (pieceIndex < 0 || pieceIndex >= this.pieceCount) return 0;
    return Math.min(this.pieceLengthBytes, this.lengthBytes - pieceIndex * this.pieceLengthBytes);
  }

  /** Length of that piece without the padding at its end: what is requested of it. */
  neededLengthOfPieceBytes(pieceIndex: number): number {
    return this.lengthOfPieceBytes(pieceIndex) - (this.#paddingOfPieces?.[pieceIndex] ?? 0);
  }

  /** Length of those pieces together without padding. */
  contentBytesOf(pieces: Bitfield): number {
    let paddingBytes = 0;
    for (const pieceIndex of this.#paddedPieces) {
      if (pieces.has(pieceIndex)) paddingBytes += this.#paddingOfPieces?.[pieceIndex] ?? 0;
    }
    return this.bytesOf(pieces) - paddingBytes;
  }

  /** Length of those pieces together, with padding; the last piece may be shorter. */
  bytesOf(pieces: Bitfield): number {
    const lastPiece = this.pieceCount - 1;
    const absentBytes = pieces.has(lastPiece)
      ? this.pieceLengthBytes - this.lengthOfPieceBytes(lastPiece)
      : 0;
    return pieces.count * this.pieceLengthBytes - absentBytes;
  }

  /** Blocks that are requested of that piece. */
  blockCount(pieceIndex: number): number {
    return Math.ceil(this.neededLengthOfPieceBytes(pieceIndex) / BLOCK_LENGTH_BYTES);
  }

  /** Length of the block with that number in that piece, as it is requested; 0 if there is no such block. */
  lengthOfBlockBytes(pieceIndex: number, blockIndex: number): number {
    const pieceLength = this.neededLengthOfPieceBytes(pieceIndex);
    const offset = blockIndex * BLOCK_LENGTH_BYTES;
    return blockIndex < 0 || offset >= pieceLength ? 0 : Math.min(BLOCK_LENGTH_BYTES, pieceLength - offset);
  }

  /**
   * True if a peer may ask for that range: inside one piece, not empty, and at most one block long. It may overlap padding:
   * other programs request that too.
   */
  isRequestable(pieceIndex: number, offsetBytes: number, lengthBytes: number): boolean {
    return (
      lengthBytes > 0 &&
      lengthBytes <= BLOCK_LENGTH_BYTES &&
      offsetBytes >= 0 &&
      offsetBytes + lengthBytes <= this.lengthOfPieceBytes(pieceIndex)
    );
  }
}

function* piecesWithPadding(paddingOfPieces: Uint32Array): Generator<number> {
  for (const [pieceIndex, paddingBytes] of paddingOfPieces.entries()) {
    if (paddingBytes > 0) yield pieceIndex;
  }
}
