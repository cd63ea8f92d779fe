// The bytes that come in on a connection before anybody listens: first the handshake, then what a hasty peer sends
// behind it. Says to stop reading as soon as the handshake is there, so that only what was under way already is kept.
import { HANDSHAKE_BYTES } from "../wire/handshake.ts";

/** Takes bytes that may change after the call. */
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

  /** Takes the first bytes of `chunk`. Returns false when the socket is to be read no further for now. */
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

  /** What came behind the handshake goes to `consumer` now, and whatever follows. */
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
