// Groups, members and a listener on loopback, for the tests of connections.
import { randomBytes } from "node:crypto";
import pino from "pino";
import { within } from "../../../harness/within.ts";
import {
  createDeviceIdentity,
  createGroupAuthority,
  type GroupAuthority,
  issueMemberCertificate,
} from "../../../src/identity/certificates.ts";
import { namesKeyOf } from "../../../src/identity/member-names.ts";
import { ConnectionPlaces } from "../../../src/net/connection-places.ts";
import { dial } from "../../../src/transport/dialer.ts";
import type { GroupCredentials } from "../../../src/transport/group-credentials.ts";
import { Listener, type ListenerOptions } from "../../../src/transport/listener.ts";
import type { PeerSocket } from "../../../src/transport/peer-socket.ts";
import { makePeerId } from "../../../src/wire/handshake.ts";

/** Far longer than a connection on loopback takes on a slow machine. */
const SOON_MS = 5_000;
export const INFO_HASH = "ab".repeat(20);
/** Places for more connections than a test makes. */
export function roomy(): Pick<ListenerOptions, "places" | "onNoPlace"> {
  return { places: new ConnectionPlaces(2_000, () => performance.now()), onNoPlace: () => undefined };
}
export const silent = pino({ level: "silent" });

export function newPeerId(): Uint8Array {
  return makePeerId(randomBytes(12));
}

/** Credentials of a member `userId`, whose membership is `m-<userId>`; `issuedMs` ago for one that has run out. */
export async function member(
  authority: GroupAuthority,
  userId: string,
  nowMs = Date.now(),
  revoked = new Set<string>(),
): Promise<GroupCredentials> {
  const device = await createDeviceIdentity();
  const { certificatePem } = await issueMemberCertificate({
    authority,
    userId,
    membershipId: `m-${userId}`,
    publicKeySpki: device.publicKeySpki,
    nowMs,
  });
  return {
    certificatePem,
    privateKeyPem: device.privateKeyPem,
    authorityPem: authority.certificatePem,
    namesKey: namesKeyOf(authority.privateKeyPem),
    isRevoked: (membershipId) => revoked.has(membershipId),
  };
}

/** A group with a listening member (alice), her revocations, and who connected to her. */
export class Alice implements AsyncDisposable {
  readonly authority: GroupAuthority;
  readonly listener: Listener;
  readonly peerId: Uint8Array;
  readonly revoked: Set<string>;
  readonly connected: PeerSocket[];
  readonly #arrivals: PromiseWithResolvers<PeerSocket>[];

  private constructor(
    parts: Pick<Alice, "authority" | "listener" | "peerId" | "revoked" | "connected">,
    arrivals: PromiseWithResolvers<PeerSocket>[],
  ) {
    this.authority = parts.authority;
    this.listener = parts.listener;
    this.peerId = parts.peerId;
    this.revoked = parts.revoked;
    this.connected = parts.connected;
    this.#arrivals = arrivals;
  }

  static async listen(changes: Partial<ListenerOptions> = {}): Promise<Alice> {
    const authority = await createGroupAuthority();
    const revoked = new Set<string>();
    const credentials = await member(authority, "alice", Date.now(), revoked);
    const connected: PeerSocket[] = [];
    const arrivals: PromiseWithResolvers<PeerSocket>[] = [];
    const peerId = newPeerId();
    const listener = await Listener.open({
      ...roomy(),
      host: "127.0.0.1",
      port: 0,
      peerId,
      credentialsFor: (infoHash) => (infoHash === INFO_HASH ? credentials : undefined),
      onConnection: (socket) => {
        connected.push(socket);
        arrivals.shift()?.resolve(socket);
      },
      log: silent,
      ...changes,
    });
    return new Alice({ authority, listener, peerId, revoked, connected }, arrivals);
  }

  /** The two ends of a connection that a member of that name dials. */
  async connect(userId = "bob"): Promise<{ accepted: PeerSocket; dialled: PeerSocket }> {
    const arrival = Promise.withResolvers<PeerSocket>();
    this.#arrivals.push(arrival);
    const dialled = await within(
      this.dial(await member(this.authority, userId)),
      `alice to answer ${userId}`,
      SOON_MS,
    );
    return { accepted: await within(arrival.promise, `${userId} to arrive at alice's`, SOON_MS), dialled };
  }

  dial(
    credentials: GroupCredentials,
    { infoHash = INFO_HASH, signal = new AbortController().signal, peerId = newPeerId() } = {},
  ): Promise<PeerSocket> {
    const { port } = this.listener;
    return dial({ host: "127.0.0.1", port, infoHash, credentials, peerId, signal, log: silent });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener.close();
  }
}
