// All clients' WebSockets at a tracker (client-socket.ts), with their shared heartbeat, memory budget and shutdown.

import { type WebSocket, WebSocketServer } from "ws";
import { MAX_API_MESSAGE_BYTES } from "../../api/file-limits.ts";
import { Heartbeat } from "../../net/heartbeat.ts";
import { every, later } from "../../net/timers.ts";
import { ByteBudget, type ByteBudgetLimits } from "./byte-budget.ts";
import { type AcceptedClient, ClientSocket, type ClientSocketContext } from "./client-socket.ts";
import { SleepClock } from "./sleep-clock.ts";
import { SuspendDetector } from "./suspend-detector.ts";
import { WriteCoalescer } from "./write-coalescing.ts";

const TICK_MS = 500;
/** A client that is silent for this long is pinged, and must answer within the next 4 s. */
const PING_AFTER_MS = 4_000;
const PONG_WAIT_MS = 4_000;
/**
 * A client that has waited this long may have retried its command at another tracker and gone on since, so the command must not
 * be executed here as well. Clients give up on a silent tracker after 3 s (retry-policy.ts).
 */
const SUSPENDED_MS = 2_500;
const KIB = 1024;
const MIB = 1024 * KIB;
/**
 * Memory that clients may hold: unfinished messages, unanswered calls, unsent data. Before login
 * everything fits into a few KB, so a connection gets little; a member may be slow to read some MB of events. The totals
 * fit twice into a tracker with 400 MB, 250 of them its own, since node:tls keeps a copy of the data being sent.
 */
const BUDGET: ByteBudgetLimits = {
  stranger: { connection: 32 * KIB, network: 2 * MIB, total: 8 * MIB },
  member: { connection: 10 * MIB, account: 12 * MIB, network: 16 * MIB, total: 20 * MIB },
};
/** A message up to this size is read and refused with an error; a longer one closes the connection with 1009 (RFC 6455). */
const MAX_READ_BYTES = MAX_API_MESSAGE_BYTES + MIB;
/** Most chunks and frames of an unfinished message; our clients send one frame, in chunks of 16 KiB. */
const MAX_PIECES = 4_096;
const MAX_FRAMES = 64;
/** RFC 6455 registry: "try again later". */
const CLOSE_TRY_AGAIN_LATER = 1013;
/** How long a client may take to answer the close frame. */
const CLOSE_TIMEOUT_MS = 500;

export type ClientSocketsOptions = Pick<
  ClientSocketContext,
  "services" | "log" | "onEventPushed" | "isServing" | "onFault"
>;

export class ClientSockets {
  /** Upgrades accepted connections to WebSockets and passes them to `welcome`. */
  readonly webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_READ_BYTES,
    maxBufferedChunks: MAX_PIECES,
    maxFragments: MAX_FRAMES,
  });
  readonly #options: ClientSocketsOptions;
  readonly #context: ClientSocketContext;
  readonly #clients = new Set<ClientSocket>();
  readonly #clock = new SleepClock();
  readonly #suspendDetector = new SuspendDetector(SUSPENDED_MS, () => this.#clock.nowMs());
  readonly #heartbeat = new Heartbeat<ClientSocket>({
    // One tick more, since the first may come at once: a client that is about to ping is not pinged (retry-policy.ts).
    pingAfterTicks: PING_AFTER_MS / TICK_MS + 1,
    pongWithinTicks: PONG_WAIT_MS / TICK_MS,
    ping: (client) => client.ping(),
    drop: (client) => client.terminate(),
  });
  readonly #ticker: NodeJS.Timeout;

  constructor(options: ClientSocketsOptions) {
    this.#options = options;
    const writes = new WriteCoalescer();
    options.services.turns.onSliceEnd(() => writes.release());
    this.#context = {
      ...options,
      writes,
      budget: new ByteBudget<ClientSocket>({ limits: BUDGET, evict: (client) => client.evict() }),
      sleepClock: this.#clock,
      mayBeStale: (openedMs) => this.#suspendDetector.mayBeStale(openedMs),
      onHeard: (client) => this.#heartbeat.heard(client),
    };
    this.#ticker = every("the heartbeat of clients", TICK_MS, () => this.#tick()).unref();
  }

  get count(): number {
    return this.webSockets.clients.size;
  }

  /** Takes a client whose WebSocket is open. */
  welcome(socket: WebSocket, accepted: AcceptedClient): void {
    socket.on("error", (error) =>
      this.#options.log.debug({ err: error, host: accepted.host }, "client's socket failed"),
    );
    let client: ClientSocket;
    try {
      client = new ClientSocket(socket, accepted, this.#context);
    } catch (error) {
      socket.terminate();
      this.#options.onFault(error, "arrival", accepted.host);
      return;
    }
    this.#clients.add(client);
    socket.once("close", () => {
      this.#clients.delete(client);
      this.#heartbeat.remove(client);
    });
    this.#heartbeat.heard(client);
  }

  /** Closes every client's connection, so that the clients move to the next tracker. */
  turnAway(reason: string): void {
    for (const client of this.webSockets.clients) {
      client.close(CLOSE_TRY_AGAIN_LATER, reason);
      later("ending a connection", CLOSE_TIMEOUT_MS, () => client.terminate()).unref();
    }
  }

  close(): void {
    clearInterval(this.#ticker);
    this.webSockets.close();
  }

  #tick(): void {
    const stoodStillMs = this.#suspendDetector.tick();
    if (stoodStillMs !== undefined) this.#options.log.warn({ stoodStillMs }, "this tracker stood still");
    for (const client of this.#clients) client.checkProgress();
    this.#heartbeat.tick();
  }
}
