// The tracker's one port: HTTPS (TLS 1.3) with the clients' API and the links of other trackers as WebSockets, /health and
// /metrics. Certificates are requested but not verified against a CA: the key identifies the client or tracker.

import { constants, type X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { type WebSocket, WebSocketServer } from "ws";
import { type Address, plainHost } from "../../api/addresses.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import { type DeviceIdentity, publicKeySpkiOf, TLS_SIGNATURES } from "../../identity/certificates.ts";
import { listenError } from "../../net/address-errors.ts";
import { guardOf } from "../../net/connection-guard.ts";
import { connectionsOfTracker, connectionsRefused, descriptorLimit } from "../../net/descriptors.ts";
import { PendingConnectionLimiter } from "../../net/pending-connection-limiter.ts";
import { every, later } from "../../net/timers.ts";
import { MAX_REPLICA_MESSAGE_BYTES } from "../replication/replica-messages.ts";
import { ClientSockets } from "./client-sockets.ts";
import { holdConnections } from "./held-connections.ts";
import type { RouterServices } from "./procedures.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Clients at once: each costs a TLS session, some 50 KB. */
const MAX_CONNECTIONS = 15_000;
/**
 * Connections that the kernel queues until they are accepted; it drops further ones, whose diallers retry after 1, 2, 4 … 32 s.
 * With Node's default of 511, a thousand of 10,000 clients that connected at once waited for a minute. 4,096 is Linux's default
 * maximum (net.core.somaxconn).
 */
const LISTEN_BACKLOG = 4_096;
/** Most connections without a login that are no other tracker's, such as requests for /health: each costs some 60 KB. */
const MAX_WAITING = 2_048;
const MAX_WAITING_OF_NETWORK = 1_024;
/** A connection is not closed for a newer one before this time: when a tracker dies, all its clients connect here at once. */
const LEAST_WAIT_MS = 3_000;
/**
 * Most bytes of a connection until its TLS handshake is complete, and how often that is checked: OpenSSL buffers a handshake
 * message of up to 100 KB until it is complete. Ours have 2 KB.
 */
const MAX_HANDSHAKE_BYTES = 32 * 1024;
const HANDSHAKES_CHECKED_EVERY_MS = 250;
/** Bound for a request's headers. Bodies are not read. */
const MAX_HEADER_BYTES = 8 * 1024;
/** Longest time from the first to the last byte of a request's headers, and how often it is checked. */
const REQUEST_TIMEOUT_MS = 10_000;
const TIMEOUTS_CHECKED_EVERY_MS = 2_000;
/**
 * A connection may request /health or /metrics once. Several requests in one TLS record would all start in one turn of the event
 * loop: 40,000 over 20 connections held it for 8 s.
 */
const MAX_REQUESTS_PER_CONNECTION = 1;
/** How long a refused connection has to read the refusal. */
const REFUSAL_TIMEOUT_MS = 2_000;
export interface ServerOptions {
  readonly address: Address;
  readonly identity: DeviceIdentity;
  readonly log: Logger;
  readonly services: RouterServices;
  readonly onEventPushed: () => void;
  /** False while clients should use another tracker. */
  readonly isServing: () => boolean;
  /** Takes a link from another tracker. */
  readonly onSync: (socket: WebSocket, certificate: Uint8Array) => void;
  readonly maySync: (certificate: Uint8Array) => Promise<boolean>;
  readonly health: () => unknown;
  readonly metrics: { readonly contentType: string; expose(): Promise<string> };
}

export interface TrackerServer {
  /** Closes every client's connection, so that the clients move to the next tracker. */
  turnClientsAway(reason: string): void;
  close(): Promise<void>;
}

/** @throws MiniTorrentError ADDRESS_IN_USE, ADDRESS_UNUSABLE */
export async function listen(options: ServerOptions): Promise<TrackerServer> {
  const { identity, log } = options;
  const server = createServer({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    minVersion: "TLSv1.3",
    sigalgs: TLS_SIGNATURES,
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    connectionsCheckingInterval: TIMEOUTS_CHECKED_EVERY_MS,
    // No client resumes TLS sessions, so tickets would be wasted work.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
  const limit = descriptorLimit();
  const mostConnections = Math.min(MAX_CONNECTIONS, connectionsOfTracker(limit));
  // Further TCP connections are closed at once.
  server.maxConnections = connectionsOfTracker(limit);
  server.on("drop", () => log.warn(connectionsRefused(limit)));
  const pending = new Map<string, Socket>();
  const waiting = new PendingConnectionLimiter<string>({
    most: MAX_WAITING,
    mostOfNetwork: MAX_WAITING_OF_NETWORK,
    leastWaitMs: LEAST_WAIT_MS,
    nowMs: () => performance.now(),
    drop: (place) => pending.get(place)?.destroy(),
  });
  /** The pending connections that are in the TLS handshake. */
  const shakingHands = new Map<string, Socket>();
  const checking = every("checking handshakes", HANDSHAKES_CHECKED_EVERY_MS, () => {
    for (const socket of shakingHands.values()) if (socket.bytesRead > MAX_HANDSHAKE_BYTES) socket.destroy();
  }).unref();
  const settle = (place: string): void => {
    waiting.leave(place);
    pending.delete(place);
  };
  const faultFrom = (error: unknown, where: string, host: string | undefined): void => {
    options.services.counters.handlerFailed();
    log.error({ err: error, where, host }, "a connection was closed: one of its handlers failed");
  };
  const held = holdConnections(
    server,
    (socket) => {
      const place = placeOf(socket);
      pending.set(place, socket);
      shakingHands.set(place, socket);
      socket.once("close", () => {
        if (shakingHands.get(place) === socket) shakingHands.delete(place);
        if (pending.get(place) === socket) settle(place);
      });
      return waiting.enter(place, socket.remoteAddress ?? "");
    },
    (error, where, socket) => faultFrom(error, where, socket.remoteAddress),
  );
  server.on("secureConnection", (socket) => shakingHands.delete(placeOf(socket)));
  server.on("dropRequest", (_request, socket) => socket.destroy());
  server.on("request", (request, response) => {
    guardOf((error) => {
      faultFrom(error, "request", request.socket.remoteAddress);
      answer(response, 500);
    })("request", answerRequest)(options, request, response);
  });
  server.on("checkExpectation", (_request, response) => answer(response, 417));
  const clients = new ClientSockets({
    ...{ services: options.services, log, onEventPushed: options.onEventPushed },
    isServing: options.isServing,
    onFault: faultFrom,
  });
  // In the response to the upgrade, so that a client learns first whether its clock is wrong.
  clients.webSockets.on("headers", (headers) => {
    headers.push(`Date: ${new Date(options.services.nowMs()).toUTCString()}`);
  });
  const sync = new WebSocketServer({ noServer: true, maxPayload: MAX_REPLICA_MESSAGE_BYTES });
  server.on("tlsClientError", (error) => log.debug({ err: error }, "TLS handshake failed"));
  // Created here, since in the listener below it would keep each client's request for as long as the client is connected.
  const socketFailed = (error: Error): void => log.debug({ err: error }, "socket failed");
  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const certificate = certificateOf(request);
    if (certificate === undefined) return refuse(socket, "401 Unauthorized");
    const publicKeySpki = usableKeyOf(certificate);
    if (publicKeySpki === undefined) return refuse(socket, "403 Forbidden");
    const place = placeOf(request.socket);
    switch (request.url?.split("?")[0]) {
      case "/api": {
        const mayEnter = options.isServing() && clients.count < mostConnections;
        if (!mayEnter) return refuse(socket, "503 Service Unavailable");
        // The request is not kept, since its headers alone take kilobytes.
        const tls = request.socket;
        const accepted = {
          publicKeySpki,
          host: plainHost(tls.remoteAddress ?? ""),
          tls,
          onLogIn: () => settle(place),
        };
        clients.webSockets.handleUpgrade(request, socket, head, (client) =>
          clients.welcome(client, accepted),
        );
        return;
      }
      case "/sync": {
        const may = await options.maySync(certificate.raw);
        if (socket.destroyed) return;
        if (!may) return refuse(socket, "403 Forbidden");
        settle(place);
        sync.handleUpgrade(request, socket, head, (peer) => options.onSync(peer, certificate.raw));
        return;
      }
      default:
        refuse(socket, "404 Not Found");
    }
  };
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", socketFailed);
    const guard = guardOf((error, where) => {
      socket.destroy();
      faultFrom(error, where, request.socket.remoteAddress);
    });
    guard("upgrade", upgrade)(request, socket, head);
  });
  try {
    const { address: host } = await lookup(options.address.host, { order: "ipv4first" });
    server.listen({ host, port: options.address.port, backlog: LISTEN_BACKLOG });
    await once(server, "listening");
  } catch (error) {
    server.close();
    throw listenError(error, options.address, {
      taken: "stop it, or give this tracker another port in its line of tracker_info.txt",
      notOwn: "check the tracker's number, and that its line of tracker_info.txt has this machine's address",
    });
  }
  return {
    turnClientsAway: (reason) => clients.turnAway(reason),
    close: async () => {
      // Closing a client's socket runs code that reads the registry, so it must be over before the registry is closed.
      const gone = [...clients.webSockets.clients, ...sync.clients].map((socket) => {
        const closed = once(socket, "close");
        socket.terminate();
        return closed;
      });
      await Promise.all(gone);
      clients.close();
      clearInterval(checking);
      held.close();
      // Node does not close connections that have sent nothing since the TLS handshake.
      for (const socket of [...pending.values()]) socket.destroy();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Answers a request for /health or /metrics. */
async function answerRequest(
  { health, metrics }: ServerOptions,
  { method, url = "" }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = url.replace(/^https?:\/\/[^/]+/, "").split("?")[0];
  if (method !== "GET" && method !== "HEAD") answer(response, 404);
  else if (path === "/health") answer(response, 200, JSON.stringify(health()), "application/json");
  else if (path === "/metrics") answer(response, 200, await metrics.expose(), metrics.contentType);
  else answer(response, 404);
}

/** Closes the connection too: Node would only say that it does so. */
function answer(response: ServerResponse, status: number, text = "", contentType = "text/plain"): void {
  const headers = { "Content-Type": contentType, "Content-Length": Buffer.byteLength(text) };
  response.writeHead(status, { ...headers, Connection: "close" }).end(text);
}

/** The certificate whose key the other side has proved to hold. */
function certificateOf({ socket }: IncomingMessage): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/** The client's key, if it is a P-256 key. */
function usableKeyOf(certificate: X509Certificate): Uint8Array | undefined {
  try {
    return publicKeySpkiOf(certificate);
  } catch (error) {
    if (error instanceof MiniTorrentError) return undefined;
    throw error;
  }
}

/** Identifies a connection while it lasts. */
function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Destroys the socket: further input is not read, so it would not end by itself. */
function refuse(socket: Duplex, status: string): void {
  const timer = later("ending a refused connection", REFUSAL_TIMEOUT_MS, () => socket.destroy());
  socket.once("close", () => clearTimeout(timer));
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
}
