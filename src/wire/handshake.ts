// The 68 bytes that open a connection (BEP 3), with the reserved bits of the fast extension (BEP 6) and of the
// extension protocol (BEP 10). Pure: the random part of a peer id comes in.
import { MiniTorrentError } from "../api/errors.ts";

/** BEP 3: 1 + 19 + 8 reserved + 20 info-hash + 20 peer id. */
export const HANDSHAKE_BYTES = 68;
const PEER_ID_BYTES = 20;
/** Bytes of a peer id that are random. */
export const PEER_ID_RANDOM_BYTES = 12;

const PROTOCOL = new TextEncoder().encode("\x13BitTorrent protocol");
/** BEP 20, Azureus style: client MT, version 0.1.0.0. */
const CLIENT_PREFIX = new TextEncoder().encode("-MT0100-");
const RESERVED_AT = 20;
const INFO_HASH_AT = 28;
const PEER_ID_AT = 48;
/** BEP 10: "20th bit from the right": reserved byte 5, 0x10. */
const EXTENSIONS_AT = RESERVED_AT + 5;
const EXTENSIONS_BIT = 0x10;
/** BEP 6: "the third least significant bit of the last reserved byte". */
const FAST_AT = RESERVED_AT + 7;
const FAST_BIT = 0x04;

export interface Handshake {
  /** 40 lower-case hex digits. */
  readonly infoHash: string;
  /** 20 bytes. */
  readonly peerId: Uint8Array;
  readonly supportsFast: boolean;
  readonly supportsExtensions: boolean;
}

/** @param random 12 random bytes */
export function makePeerId(random: Uint8Array): Uint8Array {
  if (random.length !== PEER_ID_RANDOM_BYTES) {
    throw new MiniTorrentError(
      "INTERNAL",
      `A peer id takes ${PEER_ID_RANDOM_BYTES} random bytes, not ${random.length}.`,
    );
  }
  const peerId = new Uint8Array(PEER_ID_BYTES);
  peerId.set(CLIENT_PREFIX);
  peerId.set(random, CLIENT_PREFIX.length);
  return peerId;
}

export function encodeHandshake(handshake: Handshake): Uint8Array {
  if (!/^[0-9a-f]{40}$/.test(handshake.infoHash) || handshake.peerId.length !== PEER_ID_BYTES) {
    throw new MiniTorrentError(
      "INTERNAL",
      "A handshake needs 40 hex digits of info-hash and a 20-byte peer id.",
    );
  }
  const bytes = new Uint8Array(HANDSHAKE_BYTES);
  bytes.set(PROTOCOL);
  if (handshake.supportsExtensions) bytes[EXTENSIONS_AT] = EXTENSIONS_BIT;
  if (handshake.supportsFast) bytes[FAST_AT] = FAST_BIT;
  bytes.set(Uint8Array.fromHex(handshake.infoHash), INFO_HASH_AT);
  bytes.set(handshake.peerId, PEER_ID_AT);
  return bytes;
}

/** @throws MiniTorrentError MALFORMED_MESSAGE when it is not 68 bytes that begin as BEP 3 says */
export function decodeHandshake(bytes: Uint8Array): Handshake {
  if (bytes.length !== HANDSHAKE_BYTES || !PROTOCOL.every((byte, at) => bytes[at] === byte)) {
    throw new MiniTorrentError("MALFORMED_MESSAGE", "What was received is not a BitTorrent handshake.");
  }
  return {
    infoHash: bytes.slice(INFO_HASH_AT, PEER_ID_AT).toHex(),
    peerId: bytes.slice(PEER_ID_AT),
    supportsFast: ((bytes[FAST_AT] ?? 0) & FAST_BIT) !== 0,
    supportsExtensions: ((bytes[EXTENSIONS_AT] ?? 0) & EXTENSIONS_BIT) !== 0,
  };
}
