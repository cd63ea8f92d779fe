// Authenticates a peer after the TLS handshake, which has verified that the group's CA issued its certificate, and before the
// first byte of BitTorrent. Both ends of a connection make the same checks.
import type { TLSSocket } from "node:tls";
import { MiniTorrentError } from "../api/errors.ts";
import { type MemberIdentity, readMemberCertificate } from "../identity/certificates.ts";
import { decodeHandshake, type Handshake } from "../wire/handshake.ts";
import type { GroupCredentials } from "./group-credentials.ts";

/** From the first packet to the end of the BitTorrent handshake. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** @throws MiniTorrentError PEER_REFUSED for a certificate that is missing, revoked, expired, or of another form */
export function authenticateMember(
  socket: Pick<TLSSocket, "authorized" | "getPeerX509Certificate">,
  credentials: GroupCredentials,
): MemberIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (!socket.authorized || certificate === undefined) {
    throw new MiniTorrentError("PEER_REFUSED", "The peer has no certificate of the group.");
  }
  const member = readMemberCertificate(certificate.raw, credentials.namesKey);
  if (credentials.isRevoked(member.membershipId)) {
    throw new MiniTorrentError("PEER_REFUSED", `${member.userId} is no longer a member of the group.`);
  }
  if (member.validUntilMs <= Date.now()) {
    throw new MiniTorrentError("PEER_REFUSED", `The certificate of ${member.userId} has run out.`);
  }
  return member;
}

/**
 * @param bytes the peer's first 68 bytes
 * @throws MiniTorrentError PEER_REFUSED for another torrent, or when the peer is this client itself; MALFORMED_MESSAGE
 */
export function checkHandshake(bytes: Uint8Array, infoHash: string, ownPeerId: Uint8Array): Handshake {
  const handshake = decodeHandshake(bytes);
  if (handshake.infoHash !== infoHash) {
    throw new MiniTorrentError("PEER_REFUSED", "The peer speaks of another torrent than TLS was set up for.");
  }
  if (handshake.peerId.every((byte, at) => byte === ownPeerId[at])) {
    throw new MiniTorrentError("PEER_REFUSED", "The peer is this client itself.");
  }
  return handshake;
}
