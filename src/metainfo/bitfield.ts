// A set of pieces, as a peer announces it: one bit a piece; the high bit of the first byte is piece 0 (BEP 3).
// Keeps its count as it changes, so that asking how many is free.
import { MiniTorrentError } from "../api/errors.ts";

export class Bitfield {
  readonly pieceCount: number;
  readonly #bytes: Uint8Array;
  #count = 0;

  constructor(pieceCount: number) {
    this.pieceCount = pieceCount;
    this.#bytes = new Uint8Array(Math.ceil(pieceCount / 8));
  }

  static full(pieceCount: number): Bitfield {
    const bitfield = new Bitfield(pieceCount);
    bitfield.setAll();
    return bitfield;
  }

  /**
   * From the payload of a bitfield message. The bytes are copied.
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE for a wrong size, or a spare bit that is set (BEP 3: "Clients should
   * drop the connection if they receive bitfields that are not of the correct size, or if the bitfield has any of
   * the spare bits set")
   */
  static fromBytes(pieceCount: number, bytes: Uint8Array): Bitfield {
    const bitfield = new Bitfield(pieceCount);
    if (bytes.length !== bitfield.#bytes.length) {
      throw new MiniTorrentError(
        "MALFORMED_MESSAGE",
        `A bitfield of ${bytes.length} bytes does not fit ${pieceCount} pieces.`,
      );
    }
    const spareBits = bytes.length * 8 - pieceCount;
    if (spareBits > 0 && ((bytes.at(-1) ?? 0) & ((1 << spareBits) - 1)) !== 0) {
      throw new MiniTorrentError("MALFORMED_MESSAGE", "A bitfield has spare bits set.");
    }
    bitfield.#bytes.set(bytes);
    for (let byte of bytes) {
      for (; byte !== 0; byte &= byte - 1) bitfield.#count++;
    }
    return bitfield;
  }

  /** How many pieces are there. */
  get count(): number {
    return this.#count;
  }

  get isComplete(): boolean {
    return this.#count === this.pieceCount;
  }

  has(pieceIndex: number): boolean {
    return ((this.#bytes[pieceIndex >> 3] ?? 0) & (0x80 >> (pieceIndex & 7))) !== 0;
  }

  /** Returns false if the piece was there already, or if there is no such piece. */
  set(pieceIndex: number): boolean {
    if (pieceIndex < 0 || pieceIndex >= this.pieceCount || this.has(pieceIndex)) return false;
    this.#bytes[pieceIndex >> 3] = (this.#bytes[pieceIndex >> 3] ?? 0) | (0x80 >> (pieceIndex & 7));
    this.#count++;
    return true;
  }

  /** Returns false if the piece was not there. */
  clear(pieceIndex: number): boolean {
    if (!this.has(pieceIndex)) return false;
    this.#bytes[pieceIndex >> 3] = (this.#bytes[pieceIndex >> 3] ?? 0) & ~(0x80 >> (pieceIndex & 7));
    this.#count--;
    return true;
  }

  setAll(): void {
    this.#bytes.fill(0xff);
    const spareBits = this.#bytes.length * 8 - this.pieceCount;
    if (spareBits > 0) this.#bytes[this.#bytes.length - 1] = (0xff << spareBits) & 0xff;
    this.#count = this.pieceCount;
  }

  /** A copy of the bytes, as they stand in a bitfield message. */
  toBytes(): Uint8Array {
    return this.#bytes.slice();
  }

  clone(): Bitfield {
    return Bitfield.fromBytes(this.pieceCount, this.#bytes);
  }
}
