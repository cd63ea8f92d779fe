// The send queue of a connection: blocks straight from their frames, small messages in batches. A message overtakes waiting
// blocks, since a late request or `have` costs the peer time, unless its order matters. The socket gets one write at a time, as
// one buffer: node:tls encrypts a single buffer in place, and copies several into one first.
import type { Guard } from "../net/connection-guard.ts";
import { MessageEncoder } from "../wire/encoder.ts";

/** With more waiting bytes of blocks, `sendBlocks` returns false: a millisecond's worth at 1 GB/s. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** Most bytes of waiting messages: the answers to a peer that sends requests and never reads collect in memory. An honest
 * peer gets at most a tenth of this at once, in rejects and haves. */
const MAX_MESSAGE_BYTES = 1024 * 1024;

interface Waiting {
  readonly bytes: Uint8Array;
  /** For blocks. */
  readonly sent: (() => void) | undefined;
}

export interface SendQueueOptions {
  /** Writes one buffer; calls back when it may change again, also when the write failed. */
  readonly write: (bytes: Uint8Array, written: () => void) => void;
  /** The connection's guard, for deferred calls. */
  readonly guard: Guard;
  /** There is room for blocks again after `sendBlocks` returned false. */
  readonly onRoom: () => void;
  /** More messages wait than an honest peer leaves unread; the connection must be closed. */
  readonly onFlooded: () => void;
}

export class SendQueue {
  readonly #options: SendQueueOptions;
  /** Messages that go out before the waiting blocks... */
  readonly #urgent = new MessageEncoder();
  /** ...and after them. */
  readonly #ordered = new MessageEncoder();
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #blockBytes = 0;
  /** Bytes of messages that have left the encoder and are not written yet. */
  #messageBytes = 0;
  #isFull = false;
  #isClosed = false;
  #flush: NodeJS.Immediate | undefined;

  constructor(options: SendQueueOptions) {
    this.#options = options;
  }

  /** The encoder for the next message. All messages of one turn of the event loop go out together. */
  get messages(): MessageEncoder {
    this.#willSpeak();
    return this.#urgent;
  }

  /** As `messages`, for messages that must not overtake blocks handed over earlier. */
  get messagesInOrder(): MessageEncoder {
    this.#willSpeak();
    return this.#ordered;
  }

  get isIdle(): boolean {
    return this.#current === undefined && this.#encodedBytes === 0;
  }

  get #encodedBytes(): number {
    return this.#urgent.lengthBytes + this.#ordered.lengthBytes;
  }

  /** True while blocks wait or are being written. */
  get hasBlocks(): boolean {
    return this.#blockBytes > 0;
  }

  /** As `PeerLink.sendBlocks`. */
  sendBlocks(frames: Uint8Array, sent: () => void): boolean {
    if (this.#isClosed) {
      queueMicrotask(this.#options.guard("sent", sent));
      return false;
    }
    if (this.#ordered.lengthBytes > 0) this.#waiting.push(this.#take(this.#ordered));
    this.#waiting.push({ bytes: frames, sent });
    this.#blockBytes += frames.length;
    this.#isFull = this.#blockBytes > HIGH_WATER_BYTES;
    if (this.#current === undefined) this.#next();
    return !this.#isFull;
  }

  /** Writes nothing more, and calls `sent` of all waiting blocks. A write in progress continues, and keeps its buffer. */
  stop(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearImmediate(this.#flush);
    this.#drop(this.#waiting.splice(0));
  }

  /** As `stop`, once no write is in progress any more. */
  close(): void {
    this.stop();
    const current = this.#current;
    this.#current = undefined;
    if (current !== undefined) this.#drop([current]);
  }

  #drop(unsent: readonly Waiting[]): void {
    for (const { sent } of unsent) if (sent !== undefined) this.#options.guard("sent", sent)();
  }

  #willSpeak(): void {
    if (this.#current === undefined && !this.#isClosed)
      this.#flush ??= setImmediate(this.#options.guard("sending", this.#flushNow));
    if (this.#messageBytes + this.#encodedBytes > MAX_MESSAGE_BYTES) this.#options.onFlooded();
  }

  readonly #flushNow = (): void => {
    this.#flush = undefined;
    if (this.#current === undefined) this.#next();
  };

  #next(): void {
    if (this.#isClosed) return;
    this.#current = this.#urgent.lengthBytes > 0 ? this.#take(this.#urgent) : this.#waiting.shift();
    if (this.#current === undefined && this.#ordered.lengthBytes > 0)
      this.#current = this.#take(this.#ordered);
    if (this.#current !== undefined) this.#options.write(this.#current.bytes, this.#written);
  }

  #take(encoder: MessageEncoder): Waiting {
    const bytes = encoder.take();
    this.#messageBytes += bytes.length;
    return { bytes, sent: undefined };
  }

  readonly #written = (): void => {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    if (current.sent === undefined) this.#messageBytes -= current.bytes.length;
    this.#next();
    if (current.sent === undefined) return;
    this.#blockBytes -= current.bytes.length;
    current.sent();
    if (!this.#isFull || this.#isClosed || this.#blockBytes > HIGH_WATER_BYTES) return;
    this.#isFull = false;
    this.#options.onRoom();
  };
}
