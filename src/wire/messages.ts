// The peer wire protocol's messages (BEP 3, BEP 6, BEP 10) as one interface: a method a message. The decoder calls it
// on a listener; the encoder implements it for a sender. A simulated link joins the two without bytes.
import { PIECE_MESSAGE_ID } from "../metainfo/piece-header.ts";
import type { Farewell } from "./farewell.ts";

/** Message ids. BEP 3: 0 to 8; BEP 6 (fast extension): 13 to 17; BEP 10 (extension protocol): 20. */
export const messageIds = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: PIECE_MESSAGE_ID,
  cancel: 8,
  suggest: 13,
  haveAll: 14,
  haveNone: 15,
  reject: 16,
  allowedFast: 17,
  extended: 20,
} as const;

/** What one end of a connection says to the other, block payloads aside. Numbers are unsigned 32-bit. */
export interface PeerMessages {
  choke(): void;
  unchoke(): void;
  interested(): void;
  notInterested(): void;
  have(pieceIndex: number): void;
  /** The payload; a listener that keeps it copies it. */
  bitfield(bytes: Uint8Array): void;
  haveAll(): void;
  haveNone(): void;
  /** BEP 6: a hint which piece to request next; the receiver may do otherwise. */
  suggest(pieceIndex: number): void;
  request(pieceIndex: number, offsetBytes: number, lengthBytes: number): void;
  cancel(pieceIndex: number, offsetBytes: number, lengthBytes: number): void;
  /** BEP 6: that request will not be answered. */
  reject(pieceIndex: number, offsetBytes: number, lengthBytes: number): void;
  /** BEP 10: `extensionId` 0 is the extension handshake; the payload is bencoded. */
  extended(extensionId: number, payload: Uint8Array): void;
}

/** Receives a connection's messages, and the blocks as they arrive. */
export interface PeerListener extends PeerMessages {
  /**
   * A block begins. Returns where its bytes go: a view of exactly `lengthBytes`; or undefined for a block that was
   * not requested, or no longer is: its bytes are skipped.
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE for a block that cannot be, which closes the connection
   */
  blockBegins(pieceIndex: number, offsetBytes: number, lengthBytes: number): Uint8Array | undefined;
  /** The block whose place `blockBegins` gave is complete. Not called for a block that was skipped. */
  blockEnds(pieceIndex: number, offsetBytes: number, lengthBytes: number): void;
  /** Everything that had been written to the connection is on its way: there is room for more blocks. */
  writable(): void;
  /** The connection is gone; nothing follows. */
  closed(reason: string): void;
}

/** Sends messages and blocks on a connection. */
export interface PeerLink extends PeerMessages {
  /**
   * Sends bytes that are piece messages already, header and block one after the other (see `storage` for where they
   * come from). They must not change until `sent` is called, which happens once, also when the connection closes.
   *
   * @returns false when more than the connection's high-water mark waits to be sent: stop until `writable`
   */
  sendBlocks(frames: Uint8Array, sent: () => void): boolean;
  /**
   * Says why in the log, closes; `closed` follows at the listener.
   *
   * @param farewell what the other end is told before, if it can still be told
   */
  close(reason: string, farewell?: Farewell): void;
}
