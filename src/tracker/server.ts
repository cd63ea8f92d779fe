// The tracker's one address: HTTPS (TLS 1.3) with the clients' API and the link to other trackers as WebSockets on it,
// /health and /metrics beside them. Certificates are asked for and pinned, not chained: a key is who somebody is.
import { constants, randomUUID, type X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Server } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import Fastify from "fastify";
import type { Logger } from "pino";
import { type WebSocket, WebSocketServer } from "ws";
import { type Address, formatAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_API_MESSAGE_BYTES } from "../api/schemas.ts";
import { type DeviceIdentity, deviceIdOfKey, publicKeySpkiOf } from "../identity/certificates.ts";
import { WaitingRoom } from "../identity/waiting-room.ts";
import { ApiCalls } from "./api-calls.ts";
import { Connection } from "./connection.ts";
import { Heartbeat } from "./heartbeat.ts";
import { holdConnections } from "./held-connections.ts";
import type { RouterServices } from "./procedures.ts";
import { MAX_REPLICA_MESSAGE_BYTES } from "./registry/replica-messages.ts";
import { SleepClock } from "./sleep-clock.ts";
import { Standstill } from "./standstill.ts";
import { TurnWrites } from "./turn-writes.ts";

const BEAT_MS = 500;
/** A client that is silent that long is asked whether it is there, and has as long again to answer. */
const PING_AFTER_MS = 4_000;
const PONG_WAIT_MS = 4_000;
/**
 * Who has waited that long for an answer may be at another tracker with his command, and have done more since: it must not
 * be done here as well. Clients give a silent tracker up after 3 s (tracker-pace.ts).
 */
const STANDSTILL_MS = 2_500;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** What may wait to be sent to a client: one that does not read is closed, and reads how things stand when it is back. */
const MAX_BACKLOG_BYTES = 8 * 1024 * 1024;
/** A message up to this is read, and refused with a sentence; a longer one closes the connection with 1009 (RFC 6455). */
const MAX_READ_BYTES = 2 * MAX_API_MESSAGE_BYTES;
/** Clients at once: each costs a TLS session, some 50 KB. */
const MAX_CONNECTIONS = 15_000;
/**
 * Connections that the kernel keeps until they are taken. Past that it says nothing, and who dialled tries again after 1, 2,
 * 4 … 32 s: of 10,000 who came at once a thousand stood idle for a minute with Node's 511. What Linux gives at most if
 * not told otherwise (net.core.somaxconn).
 */
const LISTEN_BACKLOG = 4_096;
/** Connections on which nobody is logged in, that are no tracker's, or ask for /health and /metrics: each costs some 60 KB. */
const MAX_WAITING = 2_048;
const MAX_WAITING_OF_NETWORK = 1_024;
/** When a tracker has died its clients come all at once: who is being served is not turned away for who comes later. */
const LEAST_WAIT_MS = 3_000;
/** From the first byte of a request's headers to the last; looked at every so often. */
const REQUEST_TIMEOUT_MS = 10_000;
const TIMEOUTS_CHECKED_EVERY_MS = 2_000;
/** How long a connection that asked for /health or /metrics is kept for the next time. */
const KEEP_ALIVE_TIMEOUT_MS = 20_000;
/** RFC 6455 registry: "try again later". */
const CLOSE_TRY_AGAIN_LATER = 1013;
/** How long a client may take to answer the close frame. */
const CLOSE_TIMEOUT_MS = 500;

export interface ServerOptions {
  readonly address: Address;
  readonly identity: DeviceIdentity;
  readonly log: Logger;
  readonly services: RouterServices;
  readonly onEventPushed: () => void;
  /** False while clients are better served by another tracker. */
  readonly isServing: () => boolean;
  /** Takes a link from another tracker, or says that it is none. */
  readonly onSync: (socket: WebSocket, certificate: Uint8Array) => void;
  readonly maySync: (certificate: Uint8Array) => Promise<boolean>;
  readonly health: () => unknown;
  readonly metrics: { readonly contentType: string; expose(): Promise<string> };
}

export interface TrackerServer {
  /** Closes every client's connection: it goes on at the next tracker. */
  turnClientsAway(reason: string): void;
  close(): Promise<void>;
}

/** @throws MiniTorrentError ADDRESS_IN_USE */
export async function listen(options: ServerOptions): Promise<TrackerServer> {
  const { identity, log } = options;
  const app = Fastify<Server>({
    https: {
      key: identity.privateKeyPem,
      cert: identity.certificatePem,
      minVersion: "TLSv1.3",
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUTS_CHECKED_EVERY_MS,
      // Nobody resumes a TLS session: tickets would be made for nothing.
      secureOptions: constants.SSL_OP_NO_TICKET,
    },
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  });
  const arrivals = new Map<string, Socket>();
  const waiting = new WaitingRoom<string>({
    most: MAX_WAITING,
    mostOfNetwork: MAX_WAITING_OF_NETWORK,
    leastWaitMs: LEAST_WAIT_MS,
    nowMs: () => performance.now(),
    turnAway: (place) => arrivals.get(place)?.destroy(),
  });
  const settle = (place: string): void => {
    waiting.leave(place);
    arrivals.delete(place);
  };
  // The TCP connection, when TLS begins on it.
  const held = holdConnections(app.server, (socket) => {
    const place = placeOf(socket);
    arrivals.set(place, socket);
    socket.once("close", () => {
      if (arrivals.get(place) === socket) settle(place);
    });
    return waiting.enter(place, socket.remoteAddress ?? "");
  });
  app.get("/health", async () => options.health());
  app.get("/metrics", async (_request, reply) => {
    return reply.type(options.metrics.contentType).send(await options.metrics.expose());
  });
  const api = apiSockets(options, settle);
  // A client whose clock is wrong learns so before anything else.
  api.on("headers", (headers) => headers.push(`Date: ${new Date(options.services.nowMs()).toUTCString()}`));
  const sync = new WebSocketServer({ noServer: true, maxPayload: MAX_REPLICA_MESSAGE_BYTES });
  app.server.on("tlsClientError", (error) => log.debug({ err: error }, "TLS handshake failed"));
  // Made here, not in the listener below: there it would keep each client's request for as long as he is connected.
  const socketFailed = (error: Error): void => log.debug({ err: error }, "socket failed");
  app.server.on("upgrade", (request, socket, head) => {
    socket.on("error", socketFailed);
    const certificate = certificateOf(request);
    if (certificate === undefined) return refuse(socket, "401 Unauthorized");
    const path = request.url?.split("?")[0];
    if (path === "/api") {
      const mayEnter = options.isServing() && api.clients.size < MAX_CONNECTIONS;
      if (!mayEnter) return refuse(socket, "503 Service Unavailable");
      api.handleUpgrade(request, socket, head, (client) => api.emit("connection", client, request));
    } else if (path === "/sync") {
      options
        .maySync(certificate.raw)
        .then((may) => {
          if (!may) return refuse(socket, "403 Forbidden");
          settle(placeOf(request.socket));
          sync.handleUpgrade(request, socket, head, (peer) => options.onSync(peer, certificate.raw));
        })
        .catch((error: unknown) => {
          log.error({ err: error }, "a link from another tracker could not be taken");
          refuse(socket, "500 Internal Server Error");
        });
    } else refuse(socket, "404 Not Found");
  });
  try {
    // By its number: for `localhost` Fastify would open a second server, with none of the bounds above.
    const { address: host } = await lookup(options.address.host, { order: "ipv4first" });
    await app.listen({ host, port: options.address.port, backlog: LISTEN_BACKLOG });
  } catch (error) {
    await app.close();
    throw asListenError(error, options.address);
  }
  return {
    turnClientsAway: (reason) => {
      for (const client of api.clients) {
        client.close(CLOSE_TRY_AGAIN_LATER, reason);
        setTimeout(() => client.terminate(), CLOSE_TIMEOUT_MS).unref();
      }
    },
    close: async () => {
      // What a client's end sets going reads the registry: it must be over before that is closed.
      const gone = [...api.clients, ...sync.clients].map((socket) => {
        const closed = once(socket, "close");
        socket.terminate();
        return closed;
      });
      await Promise.all(gone);
      api.close();
      held.close();
      await app.close();
    },
  };
}

/**
 * The clients' WebSockets: each is a Connection for as long as it lasts.
 *
 * @param onLogIn somebody has a session on the connection at that place
 */
function apiSockets(
  { services, log, onEventPushed, isServing }: ServerOptions,
  onLogIn: (place: string) => void,
): WebSocketServer {
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_READ_BYTES });
  const writes = new TurnWrites();
  const heartbeat = new Heartbeat<WebSocket>({
    // The first beat comes at once or late: one more, or it would ask beside a client that is about to (tracker-pace.ts).
    askAfter: PING_AFTER_MS / BEAT_MS + 1,
    answerWithin: PONG_WAIT_MS / BEAT_MS,
    ask: (socket) => socket.send("PING"),
    letGo: (socket) => socket.terminate(),
  });
  const clock = new SleepClock();
  const standstill = new Standstill(STANDSTILL_MS, () => clock.nowMs());
  const beating = setInterval(() => {
    const stoodStillMs = standstill.beat();
    if (stoodStillMs !== undefined) log.warn({ stoodStillMs }, "this tracker stood still");
    heartbeat.beat();
  }, BEAT_MS).unref();
  server.once("close", () => clearInterval(beating));
  server.on("connection", (socket, request) => {
    const certificate = certificateOf(request);
    if (certificate === undefined) return socket.terminate();
    const openedMs = clock.nowMs();
    // Of the request nothing is kept: its headers alone are kilobytes.
    const tls = request.socket;
    const place = placeOf(tls);
    const publicKeySpki = publicKeySpkiOf(certificate);
    const connection = new Connection(
      {
        id: randomUUID(),
        host: hostOf(request),
        deviceId: deviceIdOfKey(publicKeySpki),
        publicKeySpki,
      },
      {
        onTell: () => {
          onEventPushed();
          if (socket.bufferedAmount > MAX_BACKLOG_BYTES) socket.close(CLOSE_TRY_AGAIN_LATER);
        },
        onLogIn: () => onLogIn(place),
      },
    );
    const calls = new ApiCalls({
      context: { tracker: services, connection },
      say: (text) => {
        if (socket.readyState !== socket.OPEN) return;
        writes.hold(tls);
        socket.send(text);
      },
      onRefused: (error, path) => log.debug({ err: error, path }, "call refused"),
    });
    services.connections.add(connection);
    heartbeat.heard(socket);
    log.debug({ host: connection.host, deviceId: connection.deviceId }, "client connected");
    socket.on("message", (data, isBinary) => {
      heartbeat.heard(socket);
      const text = isBinary ? undefined : String(data);
      if (!isServing()) return socket.close(CLOSE_TRY_AGAIN_LATER); // it asks again at another tracker
      if (text === "PING") socket.send("PONG");
      else if (text === "PONG") return;
      else if (standstill.mayHaveHeldUp(openedMs)) {
        log.debug({ host: connection.host }, "a call that may be out of date is not answered");
        socket.terminate();
      } else calls.take(text);
    });
    socket.on("error", (error) => log.debug({ err: error, host: connection.host }, "client's socket failed"));
    socket.once("close", () => {
      heartbeat.gone(socket);
      calls.close();
      services.presence.depart(connection.id);
      services.connections.remove(connection);
      log.debug({ host: connection.host, deviceId: connection.deviceId }, "client gone");
    });
  });
  return server;
}

/** The certificate whose key the other side has proved to hold. */
function certificateOf({ socket }: IncomingMessage): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/** Where the connection comes from; an IPv4 address that came in by an IPv6 socket as what it is. */
function hostOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
}

/** Names a connection while it lasts. */
function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
}

function asListenError(error: unknown, address: Address): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const where = formatAddress(address);
  switch (code) {
    case "EADDRINUSE":
      return new MiniTorrentError(
        "ADDRESS_IN_USE",
        `Another program listens on ${where} already; stop it, or give this tracker another port in its line.`,
        { cause: error },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new MiniTorrentError(
        "ADDRESS_IN_USE",
        `${where} is not an address of this machine; check the tracker's number and its line.`,
        { cause: error },
      );
    case "EACCES":
      return new MiniTorrentError(
        "ADDRESS_IN_USE",
        `This user may not listen on ${where}; take a port from 1024 up.`,
        { cause: error },
      );
    default:
      return error;
  }
}
