// The clients' WebSockets at a tracker: each is a Connection for as long as it lasts, with its calls, its heartbeat and its
// guard. Whatever goes wrong with one of them ends that one. What is asked and answered is api-calls.ts's.
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import { type WebSocket, WebSocketServer } from "ws";
import { MAX_API_MESSAGE_BYTES } from "../api/schemas.ts";
import { deviceIdOfKey } from "../identity/certificates.ts";
import { type Guard, guardOf } from "../net/connection-guard.ts";
import { ApiCalls } from "./api-calls.ts";
import { Connection } from "./connection.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { RouterServices } from "./procedures.ts";
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
/** What may wait to be sent to a client: one that does not read is closed, and reads how things stand when it is back. */
const MAX_BACKLOG_BYTES = 8 * 1024 * 1024;
/** A message up to this is read, and refused with a sentence; a longer one closes the connection with 1009 (RFC 6455). */
const MAX_READ_BYTES = 2 * MAX_API_MESSAGE_BYTES;
/** RFC 6455 registry: "try again later". */
const CLOSE_TRY_AGAIN_LATER = 1013;
/** How long a client may take to answer the close frame. */
const CLOSE_TIMEOUT_MS = 500;

export interface ClientSocketsOptions {
  readonly services: RouterServices;
  readonly log: Logger;
  readonly onEventPushed: () => void;
  /** False while clients are better served by another tracker. */
  readonly isServing: () => boolean;
  /** A handler of the connection from that host has failed, and the connection is closed. */
  readonly onFault: (error: unknown, where: string, host: string) => void;
}

/** A client that the server has let in. */
export interface Arrival {
  /** The key that it has proved to hold, DER. */
  readonly publicKeySpki: Uint8Array;
  /** Where it comes from. */
  readonly host: string;
  readonly tls: Socket;
  /** Somebody has a session on the connection. */
  readonly onLogIn: () => void;
}

interface Client {
  readonly socket: WebSocket;
  readonly guard: Guard;
}

export class ClientSockets {
  /** Makes WebSockets of the connections that are let in; `welcome` takes them from there. */
  readonly webSockets = new WebSocketServer({ noServer: true, maxPayload: MAX_READ_BYTES });
  readonly #options: ClientSocketsOptions;
  readonly #writes = new TurnWrites();
  readonly #clock = new SleepClock();
  readonly #standstill = new Standstill(STANDSTILL_MS, () => this.#clock.nowMs());
  readonly #heartbeat = new Heartbeat<Client>({
    // The first beat comes at once or late: one more, or it would ask beside a client that is about to (tracker-pace.ts).
    askAfter: PING_AFTER_MS / BEAT_MS + 1,
    answerWithin: PONG_WAIT_MS / BEAT_MS,
    ask: ({ socket, guard }) => guard("heartbeat", () => socket.send("PING"))(),
    letGo: ({ socket, guard }) => guard("heartbeat", () => socket.terminate())(),
  });
  readonly #beating: NodeJS.Timeout;

  constructor(options: ClientSocketsOptions) {
    this.#options = options;
    this.#beating = setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  get count(): number {
    return this.webSockets.clients.size;
  }

  /** A client's WebSocket is open. */
  welcome(socket: WebSocket, { publicKeySpki, host, tls, onLogIn }: Arrival): void {
    const { services, log, onEventPushed, isServing, onFault } = this.#options;
    const guard = guardOf((error, where) => {
      socket.terminate();
      onFault(error, where, host);
    });
    const client = { socket, guard };
    socket.on("error", (error) => log.debug({ err: error, host }, "client's socket failed"));
    guard("arrival", () => {
      const openedMs = this.#clock.nowMs();
      const facts = { id: randomUUID(), host, deviceId: deviceIdOfKey(publicKeySpki), publicKeySpki };
      const connection = new Connection(facts, {
        guard,
        onTell: () => {
          onEventPushed();
          if (socket.bufferedAmount > MAX_BACKLOG_BYTES) socket.close(CLOSE_TRY_AGAIN_LATER);
        },
        onLogIn,
      });
      const calls = new ApiCalls({
        context: { tracker: services, connection },
        say: (text) => {
          if (socket.readyState !== socket.OPEN) return;
          this.#writes.hold(tls);
          socket.send(text);
        },
        onRefused: (error, path) => log.debug({ err: error, path }, "call refused"),
      });
      // Each by itself: whatever fails of it, the rest of the connection is cleared away.
      socket.once("close", () => this.#heartbeat.gone(client));
      socket.once(
        "close",
        guard("end of calls", () => calls.close()),
      );
      socket.once(
        "close",
        guard("departure", () => services.presence.depart(connection.id)),
      );
      socket.once(
        "close",
        guard("removal", () => services.connections.remove(connection)),
      );
      socket.once("close", () => log.debug({ host, deviceId: connection.deviceId }, "client gone"));
      services.connections.add(connection);
      this.#heartbeat.heard(client);
      log.debug({ host, deviceId: connection.deviceId }, "client connected");
      const take = (data: unknown, isBinary: boolean): void => {
        this.#heartbeat.heard(client);
        const text = isBinary ? undefined : String(data);
        if (!isServing())
          socket.close(CLOSE_TRY_AGAIN_LATER); // it asks again at another tracker
        else if (text === "PING") socket.send("PONG");
        else if (text === "PONG") return;
        else if (this.#standstill.mayHaveHeldUp(openedMs)) {
          log.debug({ host }, "a call that may be out of date is not answered");
          socket.terminate();
        } else calls.take(text);
      };
      socket.on("message", guard("message", take));
    })();
  }

  /** Closes every client's connection: it goes on at the next tracker. */
  turnAway(reason: string): void {
    for (const client of this.webSockets.clients) {
      client.close(CLOSE_TRY_AGAIN_LATER, reason);
      setTimeout(() => client.terminate(), CLOSE_TIMEOUT_MS).unref();
    }
  }

  close(): void {
    clearInterval(this.#beating);
    this.webSockets.close();
  }

  #beat(): void {
    const stoodStillMs = this.#standstill.beat();
    if (stoodStillMs !== undefined) this.#options.log.warn({ stoodStillMs }, "this tracker stood still");
    this.#heartbeat.beat();
  }
}
