// One client's WebSocket at a tracker, with flow control: past a low mark the tracker stops reading from a client until it
// reads. The memory that it holds is counted (byte-budget.ts), and a client past its bound is closed. api-calls.ts handles
// the calls.
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import type { WebSocket } from "ws";
import { networkOf } from "../../api/addresses.ts";
import { deviceIdOfKey } from "../../identity/certificates.ts";
import { type Guard, guardOf } from "../../net/connection-guard.ts";
import { Connection } from "../presence/client-connections.ts";
import { accountOfDevice } from "../rules/accounts.ts";
import { ApiCalls } from "./api-calls.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { RouterServices } from "./procedures.ts";
import type { SleepClock } from "./sleep-clock.ts";
import type { WriteCoalescer } from "./write-coalescing.ts";

/** Past so many waiting bytes, in calls or to be sent, the tracker stops reading from the client. */
const LOW_MARK_BYTES = 64 * 1024;
/** Smaller changes are not counted, since that would cost work for each message. */
const LEAST_COUNTED_BYTES = 4 * 1024;
/** Overhead of each chunk of an unfinished message, which may arrive byte by byte. */
const CHUNK_BYTES = 256;
/** A client's frame: 2 bytes, 4 of the mask, and 0, 2 or 8 of the length (RFC 6455, 5.2). */
const FRAME_HEAD_BYTES = 6;
/** A client that the tracker does not read from is closed after so long without progress. */
const STALLED_MS = 30_000;
/** RFC 6455 registry: "try again later". */
const CLOSE_TRY_AGAIN_LATER = 1013;
/** RFC 6455: "message too big". */
const CLOSE_TOO_BIG = 1009;

/** A client that has passed the server's checks. */
export interface AcceptedClient {
  /** The key that it has proved to hold, DER. */
  readonly publicKeySpki: Uint8Array;
  /** Its IP address. */
  readonly host: string;
  readonly tls: Socket;
  /** Called when a user logs in on the connection. */
  readonly onLogIn: () => void;
}

/** State shared by all clients' sockets. */
export interface ClientSocketContext {
  readonly services: RouterServices;
  readonly log: Logger;
  readonly writes: WriteCoalescer;
  readonly budget: ByteBudget<ClientSocket>;
  readonly onEventPushed: () => void;
  /** False while clients should use another tracker. */
  readonly isServing: () => boolean;
  readonly sleepClock: SleepClock;
  /** True if messages of a connection opened at that time may be out of date. */
  readonly mayBeStale: (openedMs: number) => boolean;
  /** The client has sent something, so it is alive. */
  readonly onHeard: (client: ClientSocket) => void;
  /** A handler of the connection from that host has failed, and the connection is closed. */
  readonly onFault: (error: unknown, where: string, host: string) => void;
}

export class ClientSocket {
  readonly #socket: WebSocket;
  readonly #accepted: AcceptedClient;
  readonly #context: ClientSocketContext;
  readonly #guard: Guard;
  readonly #connection: Connection;
  readonly #calls: ApiCalls;
  readonly #network: string;
  readonly #openedMs: number;
  /** Callback of every send; shared, so that none is allocated per message. */
  readonly #onWritten: () => void;
  /** Bytes of unfinished messages, frame headers included. */
  #unfinishedBytes = 0;
  #unfinishedChunks = 0;
  /** True if the chunk being read completed a message. */
  #hasFinished = false;
  #countedBytes = 0;
  #isGone = false;
  /** While reading is paused: since when the client has taken nothing. */
  #pausedSinceMs: number | undefined;

  /** @throws what the first look at the client throws; the socket is closed by `guard` then */
  constructor(socket: WebSocket, accepted: AcceptedClient, context: ClientSocketContext) {
    this.#socket = socket;
    this.#accepted = accepted;
    this.#context = context;
    const { publicKeySpki, host, tls, onLogIn } = accepted;
    const { services, log, budget, onEventPushed } = context;
    const guard = guardOf((error, where) => {
      socket.terminate();
      context.onFault(error, where, host);
    });
    this.#guard = guard;
    this.#network = networkOf(host);
    this.#openedMs = context.sleepClock.nowMs();
    this.#onWritten = guard("written", () => this.#written());
    const facts = { id: randomUUID(), host, deviceId: deviceIdOfKey(publicKeySpki), publicKeySpki };
    this.#connection = new Connection(facts, { guard, onTell: onEventPushed, onLogIn });
    this.#calls = new ApiCalls({
      context: { tracker: services, connection: this.#connection },
      send: (text) => this.#send(text),
      onRefused: (error, path) => log.debug({ err: error, path }, "call refused"),
      mayBegin: () => socket.readyState === socket.OPEN && socket.bufferedAmount <= LOW_MARK_BYTES,
      onEnded: () => this.#count(),
      later: (run) => void setImmediate(guard("calls", run)),
    });
    const { deviceId } = this.#connection;
    // One guard each, so that a failure does not keep the rest of the connection from being closed.
    socket.once("close", () => {
      this.#isGone = true;
      budget.release(this);
    });
    socket.once(
      "close",
      guard("end of calls", () => this.#calls.close()),
    );
    socket.once(
      "close",
      guard("departure", () => services.presence.depart(this.#connection.id)),
    );
    socket.once(
      "close",
      guard("removal", () => services.connections.remove(this.#connection)),
    );
    socket.once("close", () => log.debug({ host, deviceId }, "client gone"));
    services.connections.add(this.#connection);
    log.debug({ host, deviceId }, "client connected");
    const take = (data: { readonly length: number }, isBinary: boolean): void => this.#take(data, isBinary);
    socket.on("message", guard("message", take));
    const takeControl = (data: Buffer): void => this.#finished(data.length);
    socket.on("ping", guard("ping", takeControl)).on("pong", guard("pong", takeControl));
    // Before ws parses a chunk, and after it, when complete messages have been emitted.
    const counted = (chunk: Buffer): void => {
      this.#unfinishedBytes += chunk.length;
      this.#unfinishedChunks++;
    };
    tls.prependListener("data", guard("data", counted));
    tls.on(
      "data",
      guard("data", (chunk: Buffer) => this.#taken(chunk.length)),
    );
  }

  /** Ends the connection at once; waiting data is dropped. */
  terminate(): void {
    this.#guard("end", () => this.#socket.terminate())();
  }

  /** Pings the client. */
  ping(): void {
    this.#guard("heartbeat", () => this.#socket.send("PING"))();
  }

  /** Called at each tick: while reading is paused, only sent data shows that a client is alive. */
  checkProgress(): void {
    this.#guard("heartbeat", () => this.#checkProgress())();
  }

  #checkProgress(): void {
    if (this.#pausedSinceMs === undefined) return;
    const isBusy = this.#socket.bufferedAmount <= LOW_MARK_BYTES;
    if (isBusy || performance.now() - this.#pausedSinceMs < STALLED_MS) this.#context.onHeard(this);
    else this.terminate();
  }

  /** Closes it for exceeding its memory bound: an unfinished message before login, or unread answers. */
  evict(): void {
    const { host, tls } = this.#accepted;
    this.#context.log.debug({ host }, "a client that holds too much memory is closed");
    const isClosing = this.#socket.readyState !== this.#socket.OPEN;
    if (isClosing || this.#socket.bufferedAmount > LOW_MARK_BYTES) {
      this.terminate();
      return;
    }
    // The close reason is sent if the socket takes it at once; further input is not awaited.
    this.#socket.close(CLOSE_TOO_BIG);
    tls.destroySoon();
  }

  #send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#context.writes.hold(this.#accepted.tls);
    this.#socket.send(text, this.#onWritten);
    this.#count();
  }

  #take(data: { readonly length: number }, isBinary: boolean): void {
    this.#finished(data.length);
    this.#context.onHeard(this);
    const text = isBinary ? undefined : String(data);
    if (!this.#context.isServing())
      this.#socket.close(CLOSE_TRY_AGAIN_LATER); // the client retries at another tracker
    else if (text === "PING") this.#socket.send("PONG");
    else if (text === "PONG") return;
    else if (this.#context.mayBeStale(this.#openedMs)) {
      this.#context.log.debug(
        { host: this.#accepted.host },
        "a call that may be out of date is not answered",
      );
      this.#socket.terminate();
    } else {
      this.#calls.take(text);
      this.#count();
    }
  }

  /** A frame is complete. The headers of a fragmented message stay counted until it ends. */
  #finished(payloadBytes: number): void {
    const lengthBytes = payloadBytes < 126 ? 0 : payloadBytes < 65_536 ? 2 : 8;
    this.#unfinishedBytes = Math.max(
      0,
      this.#unfinishedBytes - payloadBytes - lengthBytes - FRAME_HEAD_BYTES,
    );
    this.#hasFinished = true;
  }

  /** ws has parsed a chunk of so many bytes. */
  #taken(chunkBytes: number): void {
    if (this.#hasFinished) {
      this.#hasFinished = false;
      this.#unfinishedBytes = Math.min(this.#unfinishedBytes, chunkBytes);
      this.#unfinishedChunks = this.#unfinishedBytes === 0 ? 0 : 1;
    }
    this.#count();
  }

  /** Waiting data was sent, so the client reads. */
  #written(): void {
    if (this.#pausedSinceMs !== undefined) this.#pausedSinceMs = performance.now();
    this.#count();
  }

  #count(): void {
    if (this.#isGone) return;
    const queuedBytes = this.#socket.bufferedAmount;
    const callBytes = this.#calls.heldBytes;
    this.#readOrNot(Math.max(queuedBytes, callBytes));
    const partBytes = this.#unfinishedBytes + this.#unfinishedChunks * CHUNK_BYTES;
    const heldBytes = queuedBytes + callBytes + partBytes;
    const bytes = heldBytes < LEAST_COUNTED_BYTES ? 0 : Math.ceil(heldBytes);
    if (bytes === this.#countedBytes) return;
    this.#countedBytes = bytes;
    const accountId = bytes === 0 ? undefined : this.#accountId();
    this.#context.budget.hold(this, { network: this.#network, accountId, bytes });
  }

  #readOrNot(waitingBytes: number): void {
    if (this.#pausedSinceMs === undefined && waitingBytes > LOW_MARK_BYTES) {
      this.#pausedSinceMs = performance.now();
      this.#socket.pause();
    } else if (this.#pausedSinceMs !== undefined && waitingBytes <= LOW_MARK_BYTES / 2) {
      this.#pausedSinceMs = undefined;
      this.#socket.resume();
      this.#calls.resume();
    }
  }

  /** Whose session the connection has, also before the first call shows it. */
  #accountId(): string | undefined {
    const { account, deviceId } = this.#connection;
    return (account ?? accountOfDevice(this.#context.services.registry, deviceId))?.accountId;
  }
}
