// Why a member could not be dialled, as half a sentence about the other end. Errors of TLS, and the advice that differs for a
// member's client; net/address-errors.ts has the other errors of the system. Pure.
import type { ErrorCode } from "../api/errors.ts";
import { dialProblem, tellingError } from "../net/address-errors.ts";

export interface DialFailure {
  readonly code: ErrorCode;
  /** Follows the address: `192.0.2.1:6881: nothing listens there …`. */
  readonly reason: string;
}

export const CLOSED_IN_HANDSHAKE =
  "it closed the connection during the handshake: it does not accept this account as a member, its clock is wrong, or it is overloaded.";
export const NO_ANSWER_IN_TIME =
  "it did not answer in time: a firewall drops the connection, or the address is old.";

/** Codes of Node and OpenSSL. */
const REASONS: readonly (readonly [codes: RegExp, reason: string])[] = [
  [/^ECONNREFUSED$/, "nothing listens there: the client has ended, or listens on another address or port."],
  [/^ETIMEDOUT$/, NO_ANSWER_IN_TIME],
  [/^(ECONNRESET|EPIPE)$/, "the connection was reset: by the other end, or by a firewall between."],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH|HTTP_REQUEST/, "another program listens there: the address is old."],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE/,
    "it speaks another version of TLS: the other program is too old, or not a miniTorrent client.",
  ],
  [/ALERT_HANDSHAKE_FAILURE|UNRECOGNIZED_NAME/, "it does not have that file, or has no certificate now."],
  [
    /UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|CERT_/,
    "the program that answers there is not a member of this group: the address is old, or the group was created again.",
  ],
];

/** Codes for a certificate refused as expired or not yet valid, here or by the peer (from its TLS alert). */
const TIME_REASONS: readonly (readonly [codes: RegExp, reason: string])[] = [
  [
    /^CERT_NOT_YET_VALID$/,
    "by this machine's clock the peer's certificate is not valid yet: one of the two clocks is wrong.",
  ],
  [
    /^CERT_HAS_EXPIRED$/,
    "by this machine's clock the peer's certificate has expired: one of the two clocks is wrong.",
  ],
  [
    /ALERT_CERTIFICATE_EXPIRED/,
    "by the peer's clock this machine's certificate has expired: one of the two clocks is wrong.",
  ],
];

/** @param failure of one address, or of several (AggregateError) */
export function dialFailureOf(failure: Error): DialFailure {
  const error = tellingError(failure);
  const text = "code" in error ? String(error.code) : "";
  const ofTime = TIME_REASONS.find(([codes]) => codes.test(text));
  if (ofTime !== undefined) return { code: "CLOCK_WRONG", reason: ofTime[1] };
  const known = REASONS.find(([codes]) => codes.test(text));
  if (known === undefined) {
    const problem = dialProblem(error);
    return { code: "PEER_REFUSED", reason: problem ? `${problem.reason}.` : error.message.trim() };
  }
  const isOfSystem = /^E[A-Z]+$/.test(text);
  return { code: "PEER_REFUSED", reason: isOfSystem ? known[1].replace(/\.$/, ` (${text}).`) : known[1] };
}
