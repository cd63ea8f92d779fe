// Buffers the first bytes of a connection: the handshake, and what the peer sends right after it. Pauses reading once the
// handshake is complete, so that it keeps only bytes that were already on their way.
import { HANDSHAKE_BYTES } from "../wire/handshake.ts";

/** Receives bytes in a buffer that is reused after the call. */
export type Consumer = (chunk: Uint8Array, lengthBytes: number) => void;

export class HandshakeBuffer {
  #early = new Uint8Array(HANDSHAKE_BYTES);
  #earlyLength = 0;
  #onHandshake: ((handshake: Uint8Array) => void) | undefined;
  #consumer: Consumer | undefined;

  /** @param onHandshake called once, with the first 68 bytes */
  constructor(onHandshake: (handshake: Uint8Array) => void) {
    this.#onHandshake = onHandshake;
  }

  /** Takes the first `lengthBytes` of `chunk`. Returns false if reading must pause. */
  take(chunk: Uint8Array, lengthBytes: number): boolean {
    if (this.#consumer !== undefined) {
      this.#consumer(chunk, lengthBytes);
      return true;
    }
    this.#keep(chunk.subarray(0, lengthBytes));
    if (this.#earlyLength < HANDSHAKE_BYTES) return true;
    const onHandshake = this.#onHandshake;
    this.#onHandshake = undefined;
    onHandshake?.(this.#early.slice(0, HANDSHAKE_BYTES));
    return this.#consumer !== undefined;
  }

  /** Passes the bytes after the handshake to `consumer`, and all that follow. */
  release(consumer: Consumer): void {
    this.#consumer = consumer;
    const early = this.#early.subarray(HANDSHAKE_BYTES, this.#earlyLength);
    this.#early = new Uint8Array(0);
    if (early.length > 0) consumer(early, early.length);
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#earlyLength + bytes.length;
    if (needed > this.#early.length) {
      const larger = new Uint8Array(Math.max(needed, this.#early.length * 2));
      larger.set(this.#early);
      this.#early = larger;
    }
    this.#early.set(bytes, this.#earlyLength);
    this.#earlyLength = needed;
  }
}
