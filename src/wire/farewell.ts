// Why a peer ends a connection, said as the last message: an extension handshake (BEP 10, which may be sent again at any time)
// with the key `bye`. Programs that do not know the key ignore it. It is a claim of the other end, not a fact.
import bencode from "bencode";

const FAREWELL_REASONS = [
  /** The receiver sent a piece whose hash is wrong; nothing more is taken from it. */
  "bad-data",
  /** The sender's user stopped sharing the file. */
  "not-shared",
  /** The sender's file is not as it was when it was shared. */
  "changed",
  /** The sender's own download was paused or cancelled. */
  "paused",
  /** The sender logged out or quits. */
  "offline",
  /** The sender has no room for another connection. */
  "full",
  /** The sender has enough connections of the receiver's user. */
  "user-full",
] as const;
export type FarewellReason = (typeof FAREWELL_REASONS)[number];

export interface Farewell {
  readonly reason: FarewellReason;
  /** The piece that was wrong, of `bad-data`. */
  readonly pieceIndex?: number;
}

/** The payload of an extension handshake. */
export function encodeFarewell({ reason, pieceIndex }: Farewell): Uint8Array {
  return bencode.encode({ bye: { reason, ...(pieceIndex !== undefined && { piece: pieceIndex }) }, m: {} });
}

/** @param value of the key `bye`; undefined for a reason that this version does not know */
export function readFarewell(value: unknown): Farewell | undefined {
  if (typeof value !== "object" || value === null || !("reason" in value)) return undefined;
  const { reason: bytes } = value;
  if (!(bytes instanceof Uint8Array)) return undefined;
  const text = new TextDecoder().decode(bytes.subarray(0, 32));
  const reason = FAREWELL_REASONS.find((known) => known === text);
  if (reason === undefined) return undefined;
  const piece = "piece" in value ? value.piece : undefined;
  const isPiece = typeof piece === "number" && Number.isSafeInteger(piece) && piece >= 0;
  return isPiece ? { reason, pieceIndex: piece } : { reason };
}
