// Peer messages to bytes (BEP 3, 6, 10): each method appends one message to a batch, which is taken as a whole.
// Blocks are not written here: they are sent as they lie in storage's frames (metainfo/piece-header.ts).
import { writeUint32 } from "./integers.ts";
import { messageIds, type PeerMessages } from "./messages.ts";

/** Room for 240 requests; a larger message makes it grow for that batch. */
const BATCH_BYTES = 4096;

/**
 * @example
 * encoder.interested();
 * encoder.request(0, 0, 16384);
 * socket.write(encoder.take());
 */
export class MessageEncoder implements PeerMessages {
  #batch = new Uint8Array(BATCH_BYTES);
  #length = 0;

  /** Bytes that wait to be taken. */
  get lengthBytes(): number {
    return this.#length;
  }

  /** The messages since the last call, as bytes that are the caller's to keep. */
  take(): Uint8Array {
    const bytes = this.#batch.slice(0, this.#length);
    this.#length = 0;
    if (this.#batch.length > BATCH_BYTES) this.#batch = new Uint8Array(BATCH_BYTES);
    return bytes;
  }

  keepAlive(): void {
    this.#reserve(4);
    this.#length = writeUint32(this.#batch, this.#length, 0);
  }

  choke(): void {
    this.#begin(messageIds.choke, 0);
  }

  unchoke(): void {
    this.#begin(messageIds.unchoke, 0);
  }

  interested(): void {
    this.#begin(messageIds.interested, 0);
  }

  notInterested(): void {
    this.#begin(messageIds.notInterested, 0);
  }

  have(pieceIndex: number): void {
    this.#begin(messageIds.have, 4);
    this.#length = writeUint32(this.#batch, this.#length, pieceIndex);
  }

  bitfield(bytes: Uint8Array): void {
    this.#begin(messageIds.bitfield, bytes.length);
    this.#append(bytes);
  }

  haveAll(): void {
    this.#begin(messageIds.haveAll, 0);
  }

  haveNone(): void {
    this.#begin(messageIds.haveNone, 0);
  }

  suggest(pieceIndex: number): void {
    this.#begin(messageIds.suggest, 4);
    this.#length = writeUint32(this.#batch, this.#length, pieceIndex);
  }

  request(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#block(messageIds.request, pieceIndex, offsetBytes, lengthBytes);
  }

  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#block(messageIds.cancel, pieceIndex, offsetBytes, lengthBytes);
  }

  reject(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#block(messageIds.reject, pieceIndex, offsetBytes, lengthBytes);
  }

  extended(extensionId: number, payload: Uint8Array): void {
    this.#begin(messageIds.extended, 1 + payload.length);
    this.#batch[this.#length++] = extensionId;
    this.#append(payload);
  }

  #block(id: number, pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.#begin(id, 12);
    this.#length = writeUint32(this.#batch, this.#length, pieceIndex);
    this.#length = writeUint32(this.#batch, this.#length, offsetBytes);
    this.#length = writeUint32(this.#batch, this.#length, lengthBytes);
  }

  #begin(id: number, bodyBytes: number): void {
    this.#reserve(5 + bodyBytes);
    this.#length = writeUint32(this.#batch, this.#length, 1 + bodyBytes);
    this.#batch[this.#length++] = id;
  }

  #append(bytes: Uint8Array): void {
    this.#batch.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#batch.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#batch.length * 2));
    larger.set(this.#batch.subarray(0, this.#length));
    this.#batch = larger;
  }
}
