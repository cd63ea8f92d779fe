// Connections to members that this client opens: TLS 1.3 with certificates on both sides, the info-hash in SNI
// (libtorrent's SSL torrents), then the BitTorrent handshake.

import { isIP, type SocketConstructorOpts, type TcpNetConnectOpts } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import type { Logger } from "pino";
import { type Address, formatAddress, plainHost } from "../api/addresses.ts";
import { type ErrorCode, MiniTorrentError } from "../api/errors.ts";
import type { MemberIdentity } from "../identity/certificates.ts";
import { later } from "../net/timers.ts";
import { encodeHandshake } from "../wire/handshake.ts";
import { CLOSED_IN_HANDSHAKE, dialFailureOf, NO_ANSWER_IN_TIME } from "./dial-failures.ts";
import { type GroupCredentials, secureContextOf } from "./group-credentials.ts";
import { HandshakeBuffer } from "./handshake-buffer.ts";
import { authenticateMember, checkHandshake, HANDSHAKE_TIMEOUT_MS } from "./peer-authentication.ts";
import { PeerSocket } from "./peer-socket.ts";
import { readOptions } from "./read-buffer.ts";

/** After this time the peer's next address is tried. TCP has sent its SYN twice by then (RFC 6298: again after 1 s). */
const NEXT_ADDRESS_AFTER_MS = 2_000;

export interface DialOptions extends Address {
  /** Further addresses of the same peer, tried in turn. */
  readonly otherHosts?: readonly string[] | undefined;
  /** 40 hex digits. */
  readonly infoHash: string;
  readonly credentials: GroupCredentials;
  /** This client's, 20 bytes. */
  readonly peerId: Uint8Array;
  readonly signal: AbortSignal;
  /** Called once, when the socket is closed, whether it became a connection or not. */
  readonly onClosed?: () => void;
  readonly log: Logger;
}

/** Connection options with which node:net tries the addresses one after the other (RFC 8305, without overlap), as for a name. */
export function placeOf(hosts: readonly string[]): Partial<TcpNetConnectOpts> {
  const [host = ""] = hosts;
  if (hosts.length === 1) return { host };
  return {
    // Never looked up: a name is what makes node:net ask for addresses.
    host: "peer.invalid",
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
    lookup: (_name, _options, found) =>
      found(
        null,
        hosts.map((address) => ({ address, family: isIP(address) })),
      ),
  };
}

/**
 * Connects to a member.
 *
 * @throws MiniTorrentError PEER_REFUSED with the reason, also when `signal` aborts, and after 10 s
 */
export function dial(options: DialOptions): Promise<PeerSocket> {
  const { host, otherHosts = [], port, infoHash, credentials, peerId, signal, log } = options;
  const { onClosed = () => undefined } = options;
  const address = { host, port };
  return new Promise((resolve, reject) => {
    const refuse = (reason: string, cause?: unknown, code: ErrorCode = "PEER_REFUSED"): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      reject(new MiniTorrentError(code, `${formatAddress(address)}: ${reason}`, { cause }));
    };
    const onAbort = (): void => refuse("it is no longer wanted.", signal.reason);
    const onError = (error: Error): void => {
      const { code, reason } = dialFailureOf(error);
      refuse(reason, error, code);
    };
    const onClose = (): void => refuse(CLOSED_IN_HANDSHAKE);
    /** Any error of a step refuses the peer. */
    const attempt = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        refuse(error instanceof Error ? error.message : String(error), error);
      }
    };

    let member: MemberIdentity | undefined;
    const handshakeBuffer = new HandshakeBuffer((bytes) =>
      attempt(() => {
        if (member === undefined) throw new MiniTorrentError("INTERNAL", "A handshake before TLS is set up.");
        const handshake = checkHandshake(bytes, infoHash, peerId);
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        socket.off("error", onError).off("close", onClose).off("end", onClose);
        const reached = { host: plainHost(socket.remoteAddress ?? host), port };
        resolve(
          new PeerSocket({
            socket,
            handshakeBuffer,
            member,
            handshake,
            address: reached,
            isDialled: true,
            log,
          }),
        );
      }),
    );
    const connection: ConnectionOptions & SocketConstructorOpts = {
      ...placeOf([host, ...otherHosts]),
      port,
      servername: infoHash,
      secureContext: secureContextOf(credentials),
      // Every member's certificate is for DNS:*, and TLS verifies its CA; authenticateMember reads who the peer is.
      checkServerIdentity: () => undefined,
      rejectUnauthorized: true,
      noDelay: true,
      onread: readOptions(handshakeBuffer),
    };
    const socket = connect(connection);
    socket.once("close", onClosed);
    // node:tls would parse the certificate for checkServerIdentity, which ignores it: a tenth of a handshake.
    Reflect.set(socket, "getPeerCertificate", () => undefined);
    const timer = later("ending a dial", HANDSHAKE_TIMEOUT_MS, () => refuse(NO_ANSWER_IN_TIME));
    socket.on("error", onError).on("close", onClose).on("end", onClose);
    socket.once("secureConnect", () =>
      attempt(() => {
        member = authenticateMember(socket, credentials);
        socket.write(encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true }));
      }),
    );
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
  });
}
