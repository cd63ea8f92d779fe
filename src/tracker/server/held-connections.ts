// Holds TCP connections until their TLS handshake may begin (handshake-queue.ts says when), and buffers what they send meanwhile.
// A connection that closes while it waits costs no signature.
import type { Server } from "node:https";
import type { Socket } from "node:net";
import { type Guard, guardOf } from "../../net/connection-guard.ts";
import { HandshakeQueue } from "./handshake-queue.ts";

/** Each costs some 10 KB. It is more than the places for clients, since a client that is dropped dials again. */
const MAX_HELD = 16_384;
const MAX_HELD_OF_NETWORK = 1_024;
/** Every client has given up by then (retry-policy.ts of the client). */
const LONGEST_WAIT_MS = 60_000;
/** A handshake costs 1 to 2 ms; established connections are served between two turns. */
const BEGINS_PER_TURN = 4;
/** A ClientHello has some 300 bytes, 1.5 KB with a post-quantum key share. */
const MAX_HELD_BYTES = 4 * 1024;

export interface HeldConnections {
  /** Closes all waiting connections. */
  close(): void;
}

/**
 * Puts a queue in front of the server's TLS handshakes.
 *
 * @param mayBegin called when it is a connection's turn; if it returns false, it has closed the connection
 * @param onFault called when a handler of the connection has failed and the connection was closed
 */
export function holdConnections(
  server: Server,
  mayBegin: (socket: Socket) => boolean,
  onFault: (error: unknown, where: string, socket: Socket) => void,
  nextTurn: (run: () => void) => void = setImmediate,
): HeldConnections {
  const releases = new Map<Socket, () => void>();
  const beginTls = server.listeners("connection");
  server.removeAllListeners("connection");
  const guardFor = (socket: Socket): Guard =>
    guardOf((error, where) => {
      releases.delete(socket);
      queue.leave(socket);
      socket.destroy();
      onFault(error, where, socket);
    });
  const queue = new HandshakeQueue<Socket>({
    most: MAX_HELD,
    mostOfNetwork: MAX_HELD_OF_NETWORK,
    longestWaitMs: LONGEST_WAIT_MS,
    beginsPerTurn: BEGINS_PER_TURN,
    nowMs: () => performance.now(),
    nextTurn,
    begin: (socket) => {
      guardFor(socket)("beginning of TLS", () => {
        releases.get(socket)?.();
        releases.delete(socket);
        if (socket.destroyed || !mayBegin(socket)) return;
        for (const listener of beginTls) Reflect.apply(listener, server, [socket]);
      })();
    },
    drop: (socket) => {
      releases.delete(socket);
      socket.destroy();
    },
  });
  server.on("connection", (socket: Socket) => {
    const gone = () => {
      releases.delete(socket);
      queue.leave(socket);
      socket.destroy();
    };
    guardFor(socket)("arrival", () => {
      releases.set(socket, hold(socket, gone));
      queue.enter(socket, socket.remoteAddress ?? "");
    })();
  });
  return {
    close: () => {
      for (const socket of [...releases.keys()]) {
        releases.delete(socket);
        queue.leave(socket);
        socket.destroy();
      }
    },
  };
}

/** @returns gives the received bytes back to the socket, so that TLS reads them first */
function hold(socket: Socket, gone: () => void): () => void {
  // One buffer: as chunks of one byte, each byte would take a hundred.
  let received: Buffer = Buffer.alloc(0);
  const keep = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    if (received.length > MAX_HELD_BYTES) gone();
  };
  socket.on("data", keep).on("end", gone).on("error", gone).on("close", gone);
  return () => {
    socket.off("data", keep).off("end", gone).off("error", gone).off("close", gone);
    socket.pause();
    if (received.length > 0) socket.unshift(received);
  };
}
