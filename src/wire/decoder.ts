// Bytes to peer messages (BEP 3, 6, 10), however the stream was cut. Checks form and bounds of every message, and calls
// the listener; whether a message makes sense at that moment is the listener's to judge. A block's bytes go straight
// from the chunk to the place that the listener named; nothing is allocated on that way.

import { MiniTorrentError } from "../api/errors.ts";
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";
import { COUNTED_PIECE_HEADER_BYTES, PIECE_HEADER_BYTES } from "../metainfo/piece-header.ts";
import { readUint32 } from "./integers.ts";
import { messageIds, type PeerListener } from "./messages.ts";

/** Longest body of an extended message: libtorrent's extension messages stay far under it (BEP 9 has 16 KiB pieces). */
const MAX_EXTENDED_BYTES = 64 * 1024;
/** Messages of other extensions are skipped; one longer than this is taken for garbage. */
const MAX_UNKNOWN_BYTES = 64 * 1024;
/** Length prefix and id. */
const PREFIX_BYTES = 5;
/** The longest head: a request's length prefix, id and three numbers. */
const MAX_HEAD_BYTES = 17;

const copyBytes: (this: Uint8Array, into: Uint8Array, intoAt: number, from: number, to: number) => number =
  Buffer.prototype.copy;

/** What the length prefix must say, for messages that have one length only. */
const EXACT_LENGTHS = new Map<number, number>([
  [messageIds.choke, 1],
  [messageIds.unchoke, 1],
  [messageIds.interested, 1],
  [messageIds.notInterested, 1],
  [messageIds.have, 5],
  [messageIds.request, 13],
  [messageIds.cancel, 13],
  [messageIds.suggest, 5],
  [messageIds.haveAll, 1],
  [messageIds.haveNone, 1],
  [messageIds.reject, 13],
  [messageIds.allowedFast, 5],
]);

export interface DecoderOptions {
  readonly listener: PeerListener;
  /** How many pieces the torrent has: bounds indices, and gives the one length that a bitfield may have. */
  readonly pieceCount: number;
  /** Both ends set the bit of BEP 6 in their handshakes. */
  readonly supportsFast: boolean;
}

/**
 * @example
 * const decoder = new MessageDecoder({ listener, pieceCount, supportsFast });
 * socket.on("data", (chunk) => decoder.push(chunk));
 */
export class MessageDecoder {
  readonly #listener: PeerListener;
  readonly #pieceCount: number;
  readonly #bitfieldBytes: number;
  readonly #supportsFast: boolean;
  /** No message may be longer than this, whatever its id. */
  readonly #maxLength: number;
  /** The head of a message that the chunk's end cut. */
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  #headLength = 0;
  #skipLeft = 0;
  #block: Uint8Array | undefined;
  #blockAt = 0;
  #pieceIndex = 0;
  #offsetBytes = 0;
  /** Length of the bitfield or extended body that follows; 0: none. */
  #bodyLength = 0;
  #bodyId = 0;
  #body: Uint8Array | undefined;
  #bodyAt = 0;
  /** BEP 3: the bitfield "may only be sent immediately after the handshaking sequence"; the same for BEP 6's two. */
  #mayTellPieces = true;
  #isStopped = false;

  constructor({ listener, pieceCount, supportsFast }: DecoderOptions) {
    this.#listener = listener;
    this.#pieceCount = pieceCount;
    this.#bitfieldBytes = Math.ceil(pieceCount / 8);
    this.#supportsFast = supportsFast;
    this.#maxLength = 1 + Math.max(this.#bitfieldBytes, MAX_EXTENDED_BYTES + 1, MAX_UNKNOWN_BYTES);
  }

  /** Nothing is delivered any more, not even the rest of the chunk that is being pushed. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Takes the bytes of `chunk` from `begin` to `end`; they may change afterwards.
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE with the reason, and whatever the listener throws; nothing is delivered
   * after that
   */
  push(chunk: Uint8Array, begin = 0, end = chunk.length): void {
    let isDone = false;
    try {
      let at = begin;
      while (at < end && !this.#isStopped) {
        if (this.#block !== undefined) at = this.#takeBlock(this.#block, chunk, at, end);
        else if (this.#skipLeft > 0) at = this.#skip(at, end);
        else if (this.#bodyLength > 0) at = this.#takeBody(chunk, at, end);
        else at = this.#takeHead(chunk, at, end);
      }
      isDone = true;
    } finally {
      if (!isDone) this.stop();
    }
  }

  #skip(at: number, end: number): number {
    const bytes = Math.min(this.#skipLeft, end - at);
    this.#skipLeft -= bytes;
    return at + bytes;
  }

  #takeBlock(block: Uint8Array, chunk: Uint8Array, at: number, end: number): number {
    const bytes = Math.min(block.length - this.#blockAt, end - at);
    // Not `set`: into memory that threads share, V8 copies byte by byte unless both places are aligned alike.
    copyBytes.call(chunk, block, this.#blockAt, at, at + bytes);
    this.#blockAt += bytes;
    if (this.#blockAt === block.length) {
      this.#block = undefined;
      this.#listener.blockEnds(this.#pieceIndex, this.#offsetBytes, block.length);
    }
    return at + bytes;
  }

  #takeBody(chunk: Uint8Array, at: number, end: number): number {
    const bytes = Math.min(this.#bodyLength - this.#bodyAt, end - at);
    const part = chunk.subarray(at, at + bytes);
    if (bytes === this.#bodyLength) {
      this.#bodyEnds(part);
    } else {
      this.#body ??= new Uint8Array(this.#bodyLength);
      this.#body.set(part, this.#bodyAt);
      this.#bodyAt += bytes;
      if (this.#bodyAt === this.#bodyLength) this.#bodyEnds(this.#body);
    }
    return at + bytes;
  }

  #bodyEnds(body: Uint8Array): void {
    this.#body = undefined;
    this.#bodyLength = 0;
    this.#bodyAt = 0;
    if (this.#bodyId === messageIds.bitfield) this.#listener.bitfield(body);
    else this.#listener.extended(body[0] ?? 0, body.subarray(1));
  }

  #takeHead(chunk: Uint8Array, begin: number, end: number): number {
    if (this.#headLength === 0 && end - begin >= MAX_HEAD_BYTES) {
      return begin + this.#readHead(chunk, begin);
    }
    let at = begin;
    while (this.#headLength < this.#headNeeded()) {
      const byte = at < end ? chunk[at++] : undefined;
      if (byte === undefined) return at;
      this.#head[this.#headLength++] = byte;
    }
    this.#headLength = 0;
    this.#readHead(this.#head, 0);
    return at;
  }

  /** How many bytes of this head must be there before it can be read, as far as the bytes so far tell. */
  #headNeeded(): number {
    if (this.#headLength < 4) return 4;
    const length = readUint32(this.#head, 0);
    if (length === 0) return 4;
    this.#checkLength(length);
    if (this.#headLength < PREFIX_BYTES) return PREFIX_BYTES;
    return this.#headBytes(this.#head[4] ?? 0, length);
  }

  /** Bytes of a message of that id and length that are read at once; the rest is a block, a body, or skipped. */
  #headBytes(id: number, length: number): number {
    if (id === messageIds.piece) {
      this.#checkPieceLength(length);
      return PIECE_HEADER_BYTES;
    }
    const exactLength = EXACT_LENGTHS.get(id);
    if (exactLength === undefined) return PREFIX_BYTES;
    if (length !== exactLength) malformed(`a message ${id} has ${exactLength} bytes, not ${length}`);
    return 4 + exactLength;
  }

  /** Reads a head that is there in full, and delivers the message if that is all of it. Returns the head's length. */
  #readHead(bytes: Uint8Array, at: number): number {
    const length = readUint32(bytes, at);
    if (length === 0) return 4;
    this.#checkLength(length);
    const id = bytes[at + 4] ?? 0;
    const headBytes = this.#headBytes(id, length);
    this.#deliver(id, length, bytes, at + PREFIX_BYTES);
    return headBytes;
  }

  #deliver(id: number, length: number, bytes: Uint8Array, at: number): void {
    if (id >= messageIds.suggest && id <= messageIds.allowedFast && !this.#supportsFast) {
      malformed(`a message ${id} of the fast extension, which was not agreed on`);
    }
    const tellsPieces = id === messageIds.bitfield || id === messageIds.haveAll || id === messageIds.haveNone;
    if (tellsPieces && !this.#mayTellPieces) malformed(`a message ${id} that may only come first`);
    // Extended messages are let through before: several implementations send their extension handshake first.
    if (id <= messageIds.allowedFast) this.#mayTellPieces = false;
    switch (id) {
      case messageIds.choke:
        this.#listener.choke();
        break;
      case messageIds.unchoke:
        this.#listener.unchoke();
        break;
      case messageIds.interested:
        this.#listener.interested();
        break;
      case messageIds.notInterested:
        this.#listener.notInterested();
        break;
      case messageIds.haveAll:
        this.#listener.haveAll();
        break;
      case messageIds.haveNone:
        this.#listener.haveNone();
        break;
      case messageIds.have:
        this.#listener.have(this.#readPieceIndex(bytes, at));
        break;
      case messageIds.request:
      case messageIds.cancel:
      case messageIds.reject:
        this.#deliverRange(id, this.#readPieceIndex(bytes, at), bytes, at + 4);
        break;
      case messageIds.piece:
        this.#blockBegins(
          this.#readPieceIndex(bytes, at),
          readUint32(bytes, at + 4),
          length - COUNTED_PIECE_HEADER_BYTES,
        );
        break;
      case messageIds.bitfield:
      case messageIds.extended:
        this.#bodyBegins(id, length - 1);
        break;
      case messageIds.suggest:
        this.#listener.suggest(this.#readPieceIndex(bytes, at));
        break;
      case messageIds.allowedFast:
        break;
      default:
        if (length - 1 > MAX_UNKNOWN_BYTES) malformed(`an unknown message ${id} of ${length} bytes`);
        this.#skipLeft = length - 1;
    }
  }

  #deliverRange(id: number, pieceIndex: number, bytes: Uint8Array, at: number): void {
    const offsetBytes = readUint32(bytes, at);
    const lengthBytes = readUint32(bytes, at + 4);
    if (id === messageIds.request) this.#listener.request(pieceIndex, offsetBytes, lengthBytes);
    else if (id === messageIds.cancel) this.#listener.cancel(pieceIndex, offsetBytes, lengthBytes);
    else this.#listener.reject(pieceIndex, offsetBytes, lengthBytes);
  }

  #blockBegins(pieceIndex: number, offsetBytes: number, lengthBytes: number): void {
    const block = this.#listener.blockBegins(pieceIndex, offsetBytes, lengthBytes);
    if (block === undefined) {
      this.#skipLeft = lengthBytes;
      return;
    }
    if (block.length !== lengthBytes) {
      throw new MiniTorrentError(
        "INTERNAL",
        `A place of ${block.length} bytes for a block of ${lengthBytes}.`,
      );
    }
    this.#block = block;
    this.#blockAt = 0;
    this.#pieceIndex = pieceIndex;
    this.#offsetBytes = offsetBytes;
  }

  #bodyBegins(id: number, bodyBytes: number): void {
    if (id === messageIds.bitfield && bodyBytes !== this.#bitfieldBytes) {
      malformed(`a bitfield of ${bodyBytes} bytes for ${this.#pieceCount} pieces`);
    }
    if (id === messageIds.extended && (bodyBytes < 1 || bodyBytes > MAX_EXTENDED_BYTES + 1)) {
      malformed(`an extended message of ${bodyBytes} bytes`);
    }
    this.#bodyId = id;
    this.#bodyLength = bodyBytes;
    if (bodyBytes === 0) this.#bodyEnds(new Uint8Array(0));
  }

  #readPieceIndex(bytes: Uint8Array, at: number): number {
    const pieceIndex = readUint32(bytes, at);
    if (pieceIndex >= this.#pieceCount) malformed(`piece ${pieceIndex} of ${this.#pieceCount}`);
    return pieceIndex;
  }

  #checkLength(length: number): void {
    if (length > this.#maxLength) malformed(`a message of ${length} bytes`);
  }

  #checkPieceLength(length: number): void {
    const blockBytes = length - COUNTED_PIECE_HEADER_BYTES;
    if (blockBytes < 1 || blockBytes > BLOCK_LENGTH_BYTES) malformed(`a block of ${blockBytes} bytes`);
  }
}

function malformed(what: string): never {
  throw new MiniTorrentError("MALFORMED_MESSAGE", `The peer sent ${what}.`);
}
