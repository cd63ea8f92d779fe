// The client's line to the trackers: connected to one of them, at the next one as soon as that one is gone, and a
// command that was in flight is tried again there once. It knows nothing of what is said over it.
import { setTimeout as sleep } from "node:timers/promises";
import { TRPCClientError } from "@trpc/client";
import type { Logger } from "pino";
import type { ZodType } from "zod";
import { formatAddress, type TrackerAddress } from "../api/addresses.ts";
import { isErrorCode, MiniTorrentError } from "../api/errors.ts";
import type { DeviceIdentity } from "../identity/certificates.ts";
import type { PinStore } from "../identity/pins.ts";
import type { TrackerApi } from "./api-channel.ts";
import { FIRST_CONNECT_TIMEOUT_MS, MAX_CONNECT_TIMEOUT_MS, ROUND_PAUSE_MS } from "./tracker-pace.ts";
import { openTrackerSocket, type TrackerSocket } from "./tracker-socket.ts";

/** A few small calls; a tracker that takes longer is as good as none. */
const PREPARATION_TIMEOUT_MS = 5_000;
/** How long a command waits for a connection before it says that there is none: a failover takes less. */
const CONNECTION_WAIT_MS = 3_000;

export interface TrackerLinkOptions {
  readonly trackers: readonly TrackerAddress[];
  /** Index of the tracker to try first. */
  readonly firstTracker: number;
  readonly identity: DeviceIdentity;
  readonly pins: PinStore;
  readonly localAddress: string | undefined;
  readonly log: Logger;
  /**
   * Brings a fresh connection up to date (session, presence, events) before commands may use it. `lost`: it turned out
   * later that the connection is of no use any more.
   */
  readonly prepare: (api: TrackerApi, lost: () => void) => Promise<void>;
  readonly onConnected: (tracker: string, isFailover: boolean) => void;
  readonly onUnreachable: (reason: string) => void;
}

interface Connection {
  readonly tracker: string;
  readonly socket: TrackerSocket;
}

type LinkState =
  | { readonly status: "searching"; readonly problem: MiniTorrentError | undefined }
  | { readonly status: "connected"; readonly connection: Connection }
  | { readonly status: "closed" };

export class TrackerLink {
  readonly #options: TrackerLinkOptions;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #state: LinkState = { status: "searching", problem: undefined };
  #next: number;
  #hasBeenConnected = false;
  readonly #startedMs = performance.now();
  #stateChanged = Promise.withResolvers<void>();
  #search: Promise<void>;

  constructor(options: TrackerLinkOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#next = options.firstTracker;
    this.#search = this.#findTracker();
  }

  /** host:port of the tracker that is connected now. */
  get tracker(): string | undefined {
    return this.#state.status === "connected" ? this.#state.connection.tracker : undefined;
  }

  /**
   * Asks the tracker something, and checks the form of its answer. If the connection goes while it is asked, it is
   * asked once more at the next tracker: whatever writes must carry a write id.
   *
   * @throws MiniTorrentError the tracker's refusal; TRACKERS_UNREACHABLE; TRACKER_KEY_CHANGED; MALFORMED_MESSAGE
   */
  async ask<T>(answer: ZodType<T>, question: (api: TrackerApi) => Promise<unknown>): Promise<T> {
    const first = await this.#connection();
    let given: unknown;
    try {
      given = await question(first.socket.api);
    } catch (error) {
      if (!isLostConnection(error)) throw asRefusal(error);
      this.#lose(first);
      const second = await this.#connection();
      this.#log.info({ from: first.tracker, to: second.tracker }, "asking again at another tracker");
      try {
        given = await question(second.socket.api);
      } catch (again) {
        throw asRefusal(again);
      }
    }
    const parsed = answer.safeParse(given);
    if (parsed.success) return parsed.data;
    throw new MiniTorrentError("MALFORMED_MESSAGE", "The tracker's answer is not of the form it must have.", {
      cause: parsed.error,
    });
  }

  /**
   * What a connection is prepared with has changed: prepares the one that stands anew, or else the next.
   *
   * @throws MiniTorrentError TRACKERS_UNREACHABLE; the next connection will be prepared all the same
   */
  async prepareAgain(): Promise<void> {
    const connection = await this.#connection();
    try {
      await this.#prepare(connection);
    } catch (error) {
      this.#log.info({ err: error, tracker: connection.tracker }, "tracker not prepared; the next one");
      this.#lose(connection);
      await this.#connection();
    }
  }

  async close(): Promise<void> {
    const state = this.#state;
    this.#become({ status: "closed" });
    this.#stop.abort();
    if (state.status === "connected") state.connection.socket.close();
    await this.#search;
  }

  /** The connection, or the one that is found within the time that a failover may take. */
  async #connection(): Promise<Connection> {
    return this.#state.status === "connected" ? this.#state.connection : this.#nextConnection();
  }

  async #nextConnection(): Promise<Connection> {
    const deadline = AbortSignal.timeout(CONNECTION_WAIT_MS);
    const late = new Promise<"late">((resolve) => deadline.addEventListener("abort", () => resolve("late")));
    for (;;) {
      const state = this.#state;
      if (state.status === "connected") return state.connection;
      if (state.status === "closed")
        throw new MiniTorrentError("TRACKERS_UNREACHABLE", "The client is closing.");
      if (state.problem !== undefined && !this.#mayJustBeStarting(state.problem)) throw state.problem;
      if ((await Promise.race([this.#stateChanged.promise, late])) === "late") throw unreachable(undefined);
    }
  }

  /**
   * Once a whole round has failed, the answer is known, and no command waits for a second one. Only at the very start
   * the trackers are given the time that they take to start too.
   */
  #mayJustBeStarting(problem: MiniTorrentError): boolean {
    const isAtStart = !this.#hasBeenConnected && performance.now() - this.#startedMs < CONNECTION_WAIT_MS;
    return isAtStart && problem.code !== "TRACKER_KEY_CHANGED";
  }

  /** searching -> connected, however many rounds it takes; ends only when the link is closed. */
  async #findTracker(): Promise<void> {
    const { trackers } = this.#options;
    let connectTimeoutMs = FIRST_CONNECT_TIMEOUT_MS;
    while (this.#state.status === "searching") {
      let problem: MiniTorrentError | undefined;
      for (let tried = 0; tried < trackers.length && this.#state.status === "searching"; tried++) {
        const tracker = trackers[this.#next % trackers.length];
        if (tracker === undefined) return;
        try {
          await this.#connectTo(tracker, connectTimeoutMs);
          return;
        } catch (error) {
          this.#log.info({ err: error, tracker: formatAddress(tracker) }, "tracker not reached");
          const said = error instanceof MiniTorrentError ? error : unreachable(error);
          if (problem?.code !== "TRACKER_KEY_CHANGED") problem = said;
          this.#next++;
        }
      }
      if (this.#state.status !== "searching") return;
      const wasTold = this.#state.problem !== undefined;
      const reason = problem?.code === "TRACKER_KEY_CHANGED" ? problem : unreachable(problem);
      this.#become({ status: "searching", problem: reason });
      if (!wasTold) this.#options.onUnreachable(reason.message);
      connectTimeoutMs = Math.min(connectTimeoutMs * 2, MAX_CONNECT_TIMEOUT_MS);
      await sleep(ROUND_PAUSE_MS * (0.5 + Math.random()), undefined, { signal: this.#stop.signal }).catch(
        () => {
          // Closing cuts the pause short; the loop's condition ends it.
        },
      );
    }
  }

  async #connectTo(tracker: TrackerAddress, connectTimeoutMs: number): Promise<void> {
    const name = formatAddress(tracker);
    let connection: Connection | undefined;
    const socket = await openTrackerSocket({
      tracker,
      identity: this.#options.identity,
      pins: this.#options.pins,
      localAddress: this.#options.localAddress,
      connectTimeoutMs,
      onClose: () => {
        if (connection !== undefined) this.#lose(connection);
      },
    });
    const fresh = { tracker: name, socket };
    try {
      await this.#prepare(fresh);
    } catch (error) {
      socket.close();
      throw error;
    }
    if (this.#state.status !== "searching") {
      socket.close();
      return;
    }
    connection = fresh;
    this.#become({ status: "connected", connection });
    this.#options.onConnected(name, this.#hasBeenConnected);
    this.#hasBeenConnected = true;
  }

  async #prepare(connection: Connection): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(unreachable("not prepared in time")), PREPARATION_TIMEOUT_MS);
    try {
      await Promise.race([this.#options.prepare(connection.socket.api, () => this.#lose(connection)), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** connected -> searching */
  #lose(connection: Connection): void {
    if (this.#state.status !== "connected" || this.#state.connection !== connection) return;
    this.#log.info({ tracker: connection.tracker }, "tracker lost");
    connection.socket.close();
    this.#become({ status: "searching", problem: undefined });
    this.#next++;
    this.#search = this.#findTracker();
  }

  #become(state: LinkState): void {
    this.#state = state;
    this.#stateChanged.resolve();
    this.#stateChanged = Promise.withResolvers();
  }
}

function unreachable(cause: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "TRACKERS_UNREACHABLE",
    "None of the trackers answers; running downloads go on, try the command again in a moment.",
    { cause },
  );
}

/** A tracker that refuses says so with one of our codes; anything else means that it did not answer. */
function isLostConnection(error: unknown): boolean {
  return error instanceof TRPCClientError && error.data === undefined && error.shape === undefined;
}

/** What a tracker's refusal, or the loss of it, is to a person. */
export function asRefusal(error: unknown): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  if (isLostConnection(error)) return unreachable(error);
  if (error instanceof TRPCClientError) {
    const code: unknown = error.data?.minitorrentCode;
    return new MiniTorrentError(isErrorCode(code) ? code : "INTERNAL", error.message, { cause: error });
  }
  return new MiniTorrentError("INTERNAL", `The tracker could not be asked: ${String(error)}`, {
    cause: error,
  });
}
