// One client's WebSocket at a tracker: what comes over it and goes out, how much of both waits, and what happens when it is
// too much. Past a low mark nothing more is read from the client until it has read; what it holds of memory is counted
// (byte-budget.ts), and past its bound it is closed. What is asked and answered is api-calls.ts's.
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import type { WebSocket } from "ws";
import { networkOf } from "../api/addresses.ts";
import { deviceIdOfKey } from "../identity/certificates.ts";
import { type Guard, guardOf } from "../net/connection-guard.ts";
import { accountOfDevice } from "./accounts.ts";
import { ApiCalls } from "./api-calls.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { Connection } from "./connection.ts";
import type { RouterServices } from "./procedures.ts";
import type { SleepClock } from "./sleep-clock.ts";
import type { TurnWrites } from "./turn-writes.ts";

/** Past so many bytes that wait, to be sent or as calls, nothing is read from the client. */
const LOW_MARK_BYTES = 256 * 1024;
/** Less than that is not counted: it would be for each message. */
const LEAST_COUNTED_BYTES = 4 * 1024;
/** What a piece of an unfinished message takes beside its bytes: a message may come byte by byte. */
const CHUNK_BYTES = 256;
/** A client's frame: 2 bytes, 4 of the mask, and 0, 2 or 8 of the length (RFC 6455, 5.2). */
const FRAME_HEAD_BYTES = 6;
/** A client of which nothing is read, and that has taken nothing for so long, is closed. */
const STALLED_MS = 30_000;
/** RFC 6455 registry: "try again later". */
const CLOSE_TRY_AGAIN_LATER = 1013;
/** RFC 6455: "message too big". */
const CLOSE_TOO_BIG = 1009;

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

/** What all clients' sockets have together. */
export interface ClientSurroundings {
  readonly services: RouterServices;
  readonly log: Logger;
  readonly writes: TurnWrites;
  readonly budget: ByteBudget<ClientSocket>;
  readonly onEventPushed: () => void;
  /** False while clients are better served by another tracker. */
  readonly isServing: () => boolean;
  readonly sleepClock: SleepClock;
  /** Whether what has come on a connection that was opened then, by that clock, may be out of date. */
  readonly mayHaveHeldUp: (openedMs: number) => boolean;
  /** The client is there: it has said something. */
  readonly onHeard: (client: ClientSocket) => void;
  /** A handler of the connection from that host has failed, and the connection is closed. */
  readonly onFault: (error: unknown, where: string, host: string) => void;
}

export class ClientSocket {
  readonly #socket: WebSocket;
  readonly #arrival: Arrival;
  readonly #around: ClientSurroundings;
  readonly #guard: Guard;
  readonly #connection: Connection;
  readonly #calls: ApiCalls;
  readonly #network: string;
  readonly #openedMs: number;
  /** Called when something was sent: one for all messages. */
  readonly #onWritten: () => void;
  /** Of messages that are not whole yet, heads and all. */
  #unfinishedBytes = 0;
  #unfinishedChunks = 0;
  /** A message has become whole with the piece that is being read. */
  #hasFinished = false;
  #countedBytes = 0;
  /** Nothing is read from it; since when it has taken nothing of what waits for it. */
  #pausedSinceMs: number | undefined;

  /** @throws what the first look at the client throws; the socket is closed by `guard` then */
  constructor(socket: WebSocket, arrival: Arrival, around: ClientSurroundings) {
    this.#socket = socket;
    this.#arrival = arrival;
    this.#around = around;
    const { publicKeySpki, host, tls, onLogIn } = arrival;
    const { services, log, budget, onEventPushed } = around;
    const guard = guardOf((error, where) => {
      socket.terminate();
      around.onFault(error, where, host);
    });
    this.#guard = guard;
    this.#network = networkOf(host);
    this.#openedMs = around.sleepClock.nowMs();
    this.#onWritten = guard("written", () => this.#written());
    const facts = { id: randomUUID(), host, deviceId: deviceIdOfKey(publicKeySpki), publicKeySpki };
    this.#connection = new Connection(facts, { guard, onTell: onEventPushed, onLogIn });
    this.#calls = new ApiCalls({
      context: { tracker: services, connection: this.#connection },
      say: (text) => this.#say(text),
      onRefused: (error, path) => log.debug({ err: error, path }, "call refused"),
      mayBegin: () => socket.readyState === socket.OPEN && socket.bufferedAmount <= LOW_MARK_BYTES,
      later: (run) => void setImmediate(guard("calls", run)),
    });
    const { deviceId } = this.#connection;
    // Each by itself: whatever fails of it, the rest of the connection is cleared away.
    socket.once("close", () => budget.release(this));
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
    // Before ws takes a piece, and behind that, when what was whole in it is gone.
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

  /** Ends the connection at once; nothing that waits is sent. */
  terminate(): void {
    this.#guard("end", () => this.#socket.terminate())();
  }

  /** Asks whether the client is there. */
  ask(): void {
    this.#guard("heartbeat", () => this.#socket.send("PING"))();
  }

  /** A client of which nothing is read cannot show that it is there, other than by taking what waits for it. */
  beat(): void {
    if (this.#pausedSinceMs === undefined) return;
    const isBusy = this.#socket.bufferedAmount <= LOW_MARK_BYTES;
    if (isBusy || performance.now() - this.#pausedSinceMs < STALLED_MS) this.#around.onHeard(this);
    else this.terminate();
  }

  /** It holds more than it may: an unfinished message before login, or answers that it does not read. */
  letGo(): void {
    const { host, tls } = this.#arrival;
    this.#around.log.debug({ host }, "a client that holds too much memory is closed");
    if (this.#socket.bufferedAmount > LOW_MARK_BYTES) {
      this.terminate();
      return;
    }
    // The reason goes out if it can at once; what still comes is not waited for.
    this.#socket.close(CLOSE_TOO_BIG);
    tls.destroySoon();
  }

  #say(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#around.writes.hold(this.#arrival.tls);
    this.#socket.send(text, this.#onWritten);
    this.#count();
  }

  #take(data: { readonly length: number }, isBinary: boolean): void {
    this.#finished(data.length);
    this.#around.onHeard(this);
    const text = isBinary ? undefined : String(data);
    if (!this.#around.isServing())
      this.#socket.close(CLOSE_TRY_AGAIN_LATER); // it asks again at another tracker
    else if (text === "PING") this.#socket.send("PONG");
    else if (text === "PONG") return;
    else if (this.#around.mayHaveHeldUp(this.#openedMs)) {
      this.#around.log.debug({ host: this.#arrival.host }, "a call that may be out of date is not answered");
      this.#socket.terminate();
    } else {
      this.#calls.take(text);
      this.#count();
    }
  }

  /** A frame is whole. A message of several is taken for a longer one: the heads between them stay counted until it ends. */
  #finished(payloadBytes: number): void {
    const lengthBytes = payloadBytes < 126 ? 0 : payloadBytes < 65_536 ? 2 : 8;
    this.#unfinishedBytes = Math.max(
      0,
      this.#unfinishedBytes - payloadBytes - lengthBytes - FRAME_HEAD_BYTES,
    );
    this.#hasFinished = true;
  }

  /** ws has taken a piece of so many bytes. */
  #taken(chunkBytes: number): void {
    if (this.#hasFinished) {
      this.#hasFinished = false;
      this.#unfinishedBytes = Math.min(this.#unfinishedBytes, chunkBytes);
      this.#unfinishedChunks = this.#unfinishedBytes === 0 ? 0 : 1;
    }
    this.#count();
  }

  /** Something that waited has gone out: the client reads. */
  #written(): void {
    if (this.#pausedSinceMs !== undefined) this.#pausedSinceMs = performance.now();
    this.#count();
  }

  #count(): void {
    const queuedBytes = this.#socket.bufferedAmount;
    const { waitingBytes } = this.#calls;
    this.#readOrNot(Math.max(queuedBytes, waitingBytes));
    const partBytes = this.#unfinishedBytes + this.#unfinishedChunks * CHUNK_BYTES;
    const heldBytes = queuedBytes + waitingBytes + partBytes;
    const bytes = heldBytes < LEAST_COUNTED_BYTES ? 0 : Math.ceil(heldBytes);
    if (bytes === this.#countedBytes) return;
    this.#countedBytes = bytes;
    const accountId = bytes === 0 ? undefined : this.#accountId();
    this.#around.budget.hold(this, { network: this.#network, accountId, bytes });
  }

  #readOrNot(waitingBytes: number): void {
    if (this.#pausedSinceMs === undefined && waitingBytes > LOW_MARK_BYTES) {
      this.#pausedSinceMs = performance.now();
      this.#socket.pause();
    } else if (this.#pausedSinceMs !== undefined && waitingBytes <= LOW_MARK_BYTES / 2) {
      this.#pausedSinceMs = undefined;
      this.#socket.resume();
      this.#calls.goOn();
    }
  }

  /** Whose session the connection has, also before the first call shows it. */
  #accountId(): string | undefined {
    const { account, deviceId } = this.#connection;
    return (account ?? accountOfDevice(this.#around.services.registry, deviceId))?.accountId;
  }
}
