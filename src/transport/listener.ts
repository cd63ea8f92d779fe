// Accepts connections from members: one port for all torrents of all groups, at every address that the user's host stands for.
// The dialling peer's SNI names the torrent, and so the group whose certificates are accepted (libtorrent's SSL torrents).
// Only members get a byte of BitTorrent.

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

/** Most connections in their handshake: each costs a socket and one signature, also from a stranger. */
const MAX_PENDING = 512;
const MAX_PENDING_OF_NETWORK = 64;
const INFO_HASH = /^[0-9a-f]{40}$/;
/** Attempts to find a port that is free at both addresses, for port 0. */
const MAX_PORTS_TRIED = 5;
const LISTEN_REMEDIES: ListenRemedies = {
  taken: "stop it, or give another port; port 0 takes any that is free",
  notOwn: "give one that it has, or 0.0.0.0 for all of them",
};

export interface ListenerOptions extends Address {
  /** This client's, 20 bytes. */
  readonly peerId: Uint8Array;
  /** The credentials for the group of that torrent (40 hex digits); undefined if this client does not run it. */
  readonly credentialsFor: (infoHash: string) => GroupCredentials | undefined;
  readonly places: ConnectionPlaces;
  /** A connection was refused, since no place was free. */
  readonly onNoPlace: () => void;
  /** A member has connected. Its socket delivers nothing before `start`. */
  readonly onConnection: (socket: PeerSocket) => void;
  readonly log: Logger;
}

/** A connection in its handshake. */
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
  /** Connections in their handshake. */
  readonly #pending: PendingConnectionLimiter<PendingConnection>;
  /** The same, by the peer's address and port. */
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
    // This server does not listen: it gets the connections that passed the limits. Its own context has no certificate, so a
    // handshake without SNI fails.
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
   * Listens at all addresses that the host stands for: at both families for an unspecified address, at each address of a name.
   * The given unspecified address, or one address of the name, must succeed; the others may fail.
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

  /** Stops listening, and closes every connection that it accepted. */
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
      // With port 0, the port that the first address got may be taken at the second.
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
    // The TLS socket reports the error as well, and it is handled there; this listener only keeps it from being fatal.
    socket.on("error", (error) => this.#options.log.debug({ err: error }, "connection failed"));
    const address = addressOf(socket);
    // Closed already.
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
    // The documented way to give node:tls a connection that it did not accept itself.
    if (this.#pending.enter(pending, address.host)) this.#tlsServer.emit("connection", socket);
  }

  /** The handshake has succeeded or failed. */
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

  /** The TLS handshake is complete; the BitTorrent handshake follows. */
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
  /** If listening fails here, it fails as a whole. */
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

/** Port 0 and an empty host if the connection is closed already. */
function addressOf({ remoteAddress, remotePort }: Socket): Address {
  return { host: plainHost(remoteAddress ?? ""), port: remotePort ?? 0 };
}
