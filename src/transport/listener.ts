// Where members connect to: one port for every torrent of every group, at each of the addresses that the user's stands for. The dialler's SNI names the torrent, and with it
// the group whose certificates count (libtorrent's SSL torrents). Nobody else gets a byte of BitTorrent.

import { lookup } from "node:dns/promises";
import { createServer as createTcpServer, isIP, type Server, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type SecureContext,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import type { Logger } from "pino";
import { type Address, formatAddress, plainHost } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { type ListenRemedies, listenError } from "../net/address-errors.ts";
import { type Guard, guardOf } from "../net/connection-guard.ts";
import type { ConnectionPlaces } from "../net/connection-places.ts";
import { errnoOf } from "../net/errno.ts";
import { PendingConnectionLimiter } from "../net/pending-connection-limiter.ts";
import { later } from "../net/timers.ts";
import { encodeHandshake } from "../wire/handshake.ts";
import { type GroupCredentials, secureContextOf, TLS_OPTIONS } from "./group-credentials.ts";
import { HandshakeBuffer } from "./handshake-buffer.ts";
import { authenticateMember, checkHandshake, HANDSHAKE_TIMEOUT_MS } from "./peer-authentication.ts";
import { PeerSocket } from "./peer-socket.ts";
import { readAccepted } from "./read-buffer.ts";

/** Connections whose handshakes are under way: a stranger costs a socket and one signature, no more of them than this. */
const MAX_PENDING = 512;
const MAX_PENDING_OF_NETWORK = 64;
const INFO_HASH = /^[0-9a-f]{40}$/;
/** Where any port will do, and has to be free at two addresses. */
const MAX_PORTS_TRIED = 5;
const LISTEN_REMEDIES: ListenRemedies = {
  taken: "stop it, or give another port; port 0 takes any that is free",
  notOwn: "give one that it has, or 0.0.0.0 for all of them",
};

export interface ListenerOptions extends Address {
  /** This client's, 20 bytes. */
  readonly peerId: Uint8Array;
  /** The credentials for the group of that torrent (40 hex digits); undefined for one that this client has no part in. */
  readonly credentialsFor: (infoHash: string) => GroupCredentials | undefined;
  readonly places: ConnectionPlaces;
  /** A connection was refused for want of a place. */
  readonly onNoPlace: () => void;
  /** A member has connected. The socket waits for `start`. */
  readonly onConnection: (socket: PeerSocket) => void;
  readonly log: Logger;
}

/** A connection that is not a member's yet. */
interface PendingConnection {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

export class Listener {
  readonly #options: ListenerOptions;
  #tcpServers: readonly Server[] = [];
  readonly #tlsServer: TlsServer;
  readonly #sockets = new Set<Socket>();
  readonly #peers = new Set<PeerSocket>();
  /** Whose handshakes are under way. */
  readonly #pending: PendingConnectionLimiter<PendingConnection>;
  /** The same, by the other end's address and port. */
  readonly #pendingByAddress = new Map<string, PendingConnection>();

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#pending = new PendingConnectionLimiter<PendingConnection>({
      // Strangers leave half of the places to members.
      most: Math.min(MAX_PENDING, Math.ceil(options.places.mostOfDirection / 2)),
      mostOfNetwork: MAX_PENDING_OF_NETWORK,
      leastWaitMs: 0,
      nowMs: () => performance.now(),
      drop: ({ socket }) => {
        options.log.debug({ address: formatAddress(addressOf(socket)) }, "too many handshakes: one is ended");
        socket.destroy();
      },
    });
    // This server does not listen: it is given the connections that passed the limits. Its own context has no
    // certificate, so without SNI the handshake fails.
    this.#tlsServer = createTlsServer({
      ...TLS_OPTIONS,
      ca: [],
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      SNICallback: (name, done) => this.#chooseContext(name, done),
    });
    this.#tlsServer.on("secureConnection", (socket) =>
      this.#guardOf(socket)("greeting", () => this.#greet(socket))(),
    );
    this.#tlsServer.on("tlsClientError", (error, socket) =>
      this.#guardOf(socket)("failed handshake", () => this.#refuse(socket, error))(),
    );
  }

  /**
   * Listens at all addresses that the host stands for: an unspecified one for both families, a name for all that it has. Of these
   * only the unspecified one itself, and one of a name's, must be there.
   *
   * @throws MiniTorrentError ADDRESS_IN_USE, ADDRESS_UNUSABLE
   */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    try {
      await listener.#listen();
    } catch (error) {
      await listener.close();
      throw listenError(error, options, LISTEN_REMEDIES);
    }
    return listener;
  }

  get port(): number {
    return this.#tcpServers.map(portOf)[0] ?? 0;
  }

  /** The IP addresses that are listened on; `0.0.0.0` and `::` for all of a family's. */
  get hosts(): string[] {
    return this.#tcpServers.map((server) => {
      const address = server.address();
      return typeof address === "object" && address !== null ? address.address : "";
    });
  }

  /** Stops to listen and closes every connection that came in here. */
  async close(): Promise<void> {
    const closing = this.#tcpServers.map(closed);
    for (const peer of this.#peers) peer.close("this client stops listening");
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closing);
  }

  async #listen(): Promise<void> {
    const { host, port, log } = this.#options;
    const places = await placesOf(host);
    for (let attempt = 1; ; attempt++) {
      let failure: unknown;
      let isPortElsewhereTaken = false;
      for (const place of places) {
        try {
          this.#tcpServers = [...this.#tcpServers, await this.#listenAt(place.host, this.port || port)];
        } catch (error) {
          if (place.isRequired) throw error;
          failure ??= error;
          isPortElsewhereTaken ||= port === 0 && isTaken(error);
          log.info({ err: error, host: place.host }, "this address is not listened on");
        }
      }
      if (this.#tcpServers.length === 0) throw failure;
      // Any port was asked for, and the one that the first address got is another program's at the second.
      if (!isPortElsewhereTaken || attempt === MAX_PORTS_TRIED) return;
      await Promise.all(this.#tcpServers.map(closed));
      this.#tcpServers = [];
    }
  }

  async #listenAt(host: string, port: number): Promise<Server> {
    const server = createTcpServer({ noDelay: true }, (socket) =>
      this.#guardOf(socket)("arrival", () => this.#accept(socket))(),
    );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    // Each family has a socket of its own: whether one for IPv6 takes IPv4 too depends on the system's settings.
    server.listen({ host, port, ipv6Only: true }, resolve);
    await promise;
    server.off("error", reject);
    server.on("error", (error) => this.#options.log.warn({ err: error }, "the listener has trouble"));
    return server;
  }

  #guardOf(socket: Socket): Guard {
    return guardOf((error, where) => {
      socket.destroy();
      this.#options.log.error({ err: error, where }, "a connection was closed: one of its handlers failed");
    });
  }

  #accept(socket: Socket): void {
    // Each error is answered where the TLS socket above it reports it; here it must only not be fatal.
    socket.on("error", (error) => this.#options.log.debug({ err: error }, "connection failed"));
    const address = addressOf(socket);
    // Gone already.
    if (address.port === 0) {
      socket.destroy();
      return;
    }
    const { places, onNoPlace, log } = this.#options;
    if (!places.take("in")) {
      log.debug({ address: formatAddress(address) }, "no place for a connection");
      socket.destroy();
      onNoPlace();
      return;
    }
    socket.once("close", () => places.give("in"));
    const timer = later("ending a handshake", HANDSHAKE_TIMEOUT_MS, () => socket.destroy()).unref();
    const key = formatAddress(address);
    const pending = { socket, timer };
    this.#sockets.add(socket);
    this.#pendingByAddress.set(key, pending);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("close", () => this.#settle(key, pending));
    // As node:tls documents it for connections that come from elsewhere.
    if (this.#pending.enter(pending, address.host)) this.#tlsServer.emit("connection", socket);
  }

  /** The handshake is over, one way or the other. */
  #settle(key: string, pending: PendingConnection | undefined): void {
    if (pending === undefined || this.#pendingByAddress.get(key) !== pending) return;
    clearTimeout(pending.timer);
    this.#pendingByAddress.delete(key);
    this.#pending.leave(pending);
  }

  /** An unknown torrent gets the server's own context, without a certificate, so that TLS fails. */
  #chooseContext(name: string, done: (error: Error | null, context?: SecureContext) => void): void {
    try {
      const credentials = INFO_HASH.test(name) ? this.#options.credentialsFor(name) : undefined;
      if (credentials === undefined) done(null);
      else done(null, secureContextOf(credentials));
    } catch (error) {
      this.#options.log.error({ err: error }, "no certificate for a connection");
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** @throws MiniTorrentError PEER_REFUSED */
  #credentialsFor(infoHash: string): GroupCredentials {
    const credentials = INFO_HASH.test(infoHash) ? this.#options.credentialsFor(infoHash) : undefined;
    if (credentials === undefined) {
      throw new MiniTorrentError("PEER_REFUSED", "The peer asks for a torrent that is not here.");
    }
    return credentials;
  }

  /** TLS is set up; the peer is to say the BitTorrent handshake now. */
  #greet(socket: TLSSocket): void {
    const guard = guardOf((error) => this.#refuse(socket, error));
    const onError = guard("error", (error: Error) => this.#refuse(socket, error));
    socket.on("error", onError);
    const infoHash = typeof socket.servername === "string" ? socket.servername : "";
    guard("admission", () => {
      const member = authenticateMember(socket, this.#credentialsFor(infoHash));
      const takeHandshake = (bytes: Uint8Array): void => {
        const { peerId, log } = this.#options;
        const handshake = checkHandshake(bytes, infoHash, peerId);
        const address = addressOf(socket);
        const key = formatAddress(address);
        this.#settle(key, this.#pendingByAddress.get(key));
        socket.off("error", onError);
        socket.write(encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: true }));
        this.#deliver(
          new PeerSocket({ socket, handshakeBuffer, member, handshake, address, isDialled: false, log }),
          socket,
        );
      };
      const handshakeBuffer = new HandshakeBuffer(guard("handshake", takeHandshake));
      readAccepted(socket, handshakeBuffer);
    })();
  }

  #deliver(peer: PeerSocket, socket: TLSSocket): void {
    this.#peers.add(peer);
    socket.on("close", () => this.#peers.delete(peer));
    this.#options.onConnection(peer);
  }

  #refuse(socket: TLSSocket, error: unknown): void {
    this.#options.log.info({ address: formatAddress(addressOf(socket)), err: error }, "peer refused");
    socket.destroy();
  }
}

interface Place {
  readonly host: string;
  /** Without it nothing is listened on. */
  readonly isRequired: boolean;
}

/** The IP addresses that a host stands for. @throws what node:dns throws for a name */
async function placesOf(host: string): Promise<readonly Place[]> {
  if (host === "0.0.0.0" || host === "::") {
    return [
      { host, isRequired: true },
      { host: host === "::" ? "0.0.0.0" : "::", isRequired: false },
    ];
  }
  if (isIP(host) !== 0) return [{ host, isRequired: true }];
  const found = new Set((await lookup(host, { all: true })).map(({ address }) => address));
  return [...found].map((address) => ({ host: address, isRequired: false }));
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function isTaken(error: unknown): boolean {
  return errnoOf(error) === "EADDRINUSE";
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Port 0 and no host when the connection is gone already. */
function addressOf({ remoteAddress, remotePort }: Socket): Address {
  return { host: plainHost(remoteAddress ?? ""), port: remotePort ?? 0 };
}
