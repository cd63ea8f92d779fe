// The client's link to the trackers: connected to one of them, and to the next one as soon as that one is lost. A command
// that was in flight is repeated there once. The link does not know what is sent over it.

import type { Logger } from "pino";
import type { ZodType } from "zod";
import { formatAddress, type TrackerAddress } from "../../api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../../api/errors.ts";
import { trackerKeysSchema } from "../../api/schemas.ts";
import type { AddressChange } from "../../engine/own-addresses.ts";
import type { DeviceIdentity } from "../../identity/certificates.ts";
import type { PinStore } from "../../identity/pins.ts";
import { dialProblem } from "../../net/address-errors.ts";
import { runInBackground } from "../../net/run-in-background.ts";
import { later } from "../../net/timers.ts";
import { ConnectionLost, type TrackerApi } from "./api-channel.ts";
import type { DialPlan } from "./reachability.ts";
import { findTracker } from "./tracker-search.ts";
import { connectError, openTrackerSocket, type TrackerSocket } from "./tracker-socket.ts";
import { aheadOfTrackerMs, clockWarning, type TrackerTime } from "./tracker-time.ts";
import { TrackerTrust } from "./tracker-trust.ts";

/** Preparation takes a few small calls; a tracker that needs longer than this is given up. */
const PREPARATION_TIMEOUT_MS = 5_000;
/** How long a command waits for a connection before it fails; a failover takes less. */
const CONNECTION_WAIT_MS = 3_000;
/** Pause before asking again, until the tracker vouches for every tracker's key: one may not have been up yet. */
const FIRST_KEYS_PAUSE_MS = 250;
const LONGEST_KEYS_PAUSE_MS = 30_000;

/** What to do if no tracker answers for longer than a failover takes. */
const LASTING_SILENCE =
  "If that lasts, look at the network, and compare tracker_info.txt with the operator's: a tracker may have moved.";

export interface TrackerLinkOptions {
  readonly trackers: readonly TrackerAddress[];
  /** Index of the tracker to try first. */
  readonly firstTracker: number;
  readonly identity: DeviceIdentity;
  readonly pins: PinStore;
  /** Connects to one tracker; by a WebSocket unless a test says otherwise. */
  readonly openSocket?: typeof openTrackerSocket;
  readonly log: Logger;
  readonly onUnreachable: (reason: string) => void;
  /** This machine's clock differs too much from that tracker's. */
  readonly onClockWrong: (sentence: string) => void;
  /** A tracker's key was trusted on first contact. */
  readonly onFirstTrust: (tracker: string, fingerprint: string) => void;
}

/** What the link needs of the client in order to connect; it is made after the link, and handed over by `start`. */
export interface LinkUser {
  /** The addresses to dial a tracker at, and the local address to dial each from. */
  readonly planDial: (host: string) => Promise<readonly DialPlan[]>;
  /**
   * Brings a fresh connection up to date (session, presence, events) before commands may use it.
   *
   * @param lost to be called if the connection turns out to be useless later
   */
  readonly prepare: (api: TrackerApi, lost: () => void, localHost: string) => Promise<void>;
  readonly onConnected: (tracker: string, isFailover: boolean) => void;
}

/** A tracker of the list. */
export interface TrackerState {
  /** host:port */
  readonly address: string;
  /** SHA-256 of its certificate, 64 hex digits; undefined if it has never been seen. */
  readonly fingerprint: string | undefined;
  readonly isConnected: boolean;
  /** Why it could not be used when it was dialled last; undefined if it could, or was not dialled. */
  readonly problem: string | undefined;
}

interface Connection {
  readonly user: LinkUser;
  readonly tracker: string;
  readonly socket: TrackerSocket;
}

type LinkState =
  /** No tracker is known, so none is looked for. */
  | { readonly status: "idle" }
  | { readonly status: "searching"; readonly problem: MiniTorrentError | undefined }
  | { readonly status: "connected"; readonly connection: Connection }
  | { readonly status: "closed" };

export class TrackerLink {
  readonly #options: TrackerLinkOptions;
  readonly #log: Logger;
  #trackers: readonly TrackerAddress[];
  #trust: TrackerTrust;
  #user: LinkUser | undefined;
  #state: LinkState;
  #next: number;
  #hasBeenConnected = false;
  readonly #startedMs = performance.now();
  /** Address → why it could not be used when it was dialled last. */
  readonly #problems = new Map<string, MiniTorrentError>();
  /** The clock of the last connected tracker. */
  #time: TrackerTime | undefined;
  /** Lines that name the same tracker as an earlier line. */
  readonly #aliases = new Set<string>();
  #stateChanged = Promise.withResolvers<void>();
  #search: Promise<unknown> = Promise.resolve();
  /** Ends the search, and those before it. */
  #stop = new AbortController();

  constructor(options: TrackerLinkOptions) {
    this.#options = options;
    this.#log = options.log;
    const { trackers, pins, onFirstTrust, firstTracker } = options;
    this.#trackers = trackers;
    this.#trust = new TrackerTrust({ trackers, pins, onFirstTrust });
    this.#state = stateToBegin(trackers);
    this.#next = firstTracker;
  }

  /** Begins to look for a tracker. Commands wait for it from the beginning. */
  start(user: LinkUser): void {
    this.#user = user;
    if (this.#state.status !== "idle") this.#search = this.#findTracker(user);
  }

  /** Replaces the list of trackers: the present one is left, and one of these is looked for. */
  useTrackers(trackers: readonly TrackerAddress[]): void {
    const before = this.#state;
    if (before.status === "closed") return;
    const { pins, onFirstTrust } = this.#options;
    this.#trackers = trackers;
    this.#trust = new TrackerTrust({ trackers, pins, onFirstTrust });
    this.#aliases.clear();
    this.#problems.clear();
    this.#next = 0;
    this.#hasBeenConnected = false;
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#become(stateToBegin(trackers));
    if (before.status === "connected") before.connection.socket.close();
    if (this.#user !== undefined && trackers.length > 0) {
      this.#search = Promise.all([this.#search, this.#findTracker(this.#user)]);
    }
  }

  get knowsTrackers(): boolean {
    return this.#trackers.length > 0;
  }

  /** The list of trackers, and what is known of each. */
  get trackers(): readonly TrackerState[] {
    return this.#trackers.map((tracker) => {
      const address = formatAddress(tracker);
      const fingerprint = tracker.fingerprint?.toLowerCase() ?? this.#options.pins.get(address);
      return {
        address,
        fingerprint,
        isConnected: address === this.tracker,
        problem: this.#problems.get(address)?.message,
      };
    });
  }

  /** host:port of the tracker that is connected now. */
  get tracker(): string | undefined {
    return this.#state.status === "connected" ? this.#state.connection.tracker : undefined;
  }

  /**
   * The trackers as somebody else is told of them, those with a key first: keys that this client has not seen itself are those
   * that the connected tracker has seen.
   *
   * @throws MiniTorrentError TRACKERS_UNREACHABLE, _UNKNOWN
   */
  async introductions(): Promise<readonly TrackerAddress[]> {
    const { places = [] } = await this.ask(trackerKeysSchema, (api) => api.trackers.keys.query());
    const keys = new Map(places.map(({ address, fingerprint }) => [address, fingerprint]));
    const introduced = this.#trackers.map(({ host, port, fingerprint }): TrackerAddress => {
      const address = formatAddress({ host, port });
      const seen = fingerprint?.toLowerCase() ?? this.#options.pins.get(address) ?? keys.get(address);
      return seen === undefined ? { host, port } : { host, port, fingerprint: seen };
    });
    const hasKey = ({ fingerprint }: TrackerAddress) => fingerprint !== undefined;
    return [...introduced.filter(hasKey), ...introduced.filter((tracker) => !hasKey(tracker))];
  }

  /**
   * Takes an introduction from somebody else, such as an invite's.
   *
   * @throws MiniTorrentError OTHER_TRACKERS, TRACKER_KEY_CHANGED
   */
  introduce(trackers: readonly TrackerAddress[]): void {
    if (this.#state.status === "idle") throw noTrackers();
    this.#trust.introduce(trackers);
  }

  /** Why no tracker is connected, as a sentence; undefined while one is, or while the first search runs. */
  get problem(): string | undefined {
    if (this.#state.status === "idle") return noTrackers().message;
    const problem = this.#state.status === "searching" ? this.#state.problem : undefined;
    return problem?.code === "TRACKERS_UNREACHABLE" ? LASTING_SILENCE : problem?.message;
  }

  /** Resolves once a tracker is connected, or it is known why none is; within the time that a command waits. */
  async known(): Promise<void> {
    await this.#connection().catch((error: unknown) =>
      this.#log.debug({ err: error }, "no tracker is known"),
    );
  }

  /** How far this machine's clock is ahead of the last connected tracker's; undefined if not known. */
  get clockAheadMs(): number | undefined {
    return this.#time && aheadOfTrackerMs(this.#time);
  }

  /** The warning about this machine's clock, by the last connected tracker's time; undefined if there is none. */
  get clockWarning(): string | undefined {
    return clockWarning(this.clockAheadMs ?? 0);
  }

  /**
   * Calls the tracker, and checks the form of its answer. If the connection is lost meanwhile, the call is repeated once at
   * the next tracker, so a call that writes must carry a write id.
   *
   * @throws MiniTorrentError the tracker's refusal; TRACKERS_UNREACHABLE, _UNKNOWN; TRACKER_KEY_CHANGED, _UNKNOWN; MALFORMED_MESSAGE
   */
  async ask<T>(answer: ZodType<T>, question: (api: TrackerApi) => Promise<unknown>): Promise<T> {
    const first = await this.#connection();
    let given: unknown;
    try {
      given = await question(first.socket.api);
    } catch (error) {
      if (!(error instanceof ConnectionLost) && !isForAnotherTracker(error)) throw asRefusal(error);
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
   * The state that connections are prepared with has changed: prepares the present connection again, or else the next.
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

  /** This machine's addresses have changed: a connection from a lost address is dead. */
  ownAddressesChanged({ lost }: AddressChange): void {
    const state = this.#state;
    if (state.status === "connected" && lost.has(state.connection.socket.localHost)) {
      this.#lose(state.connection);
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
    const { promise: late, resolve } = Promise.withResolvers<"late">();
    const deadline = later("waiting for a tracker", CONNECTION_WAIT_MS, () => resolve("late")).unref();
    try {
      for (;;) {
        const state = this.#state;
        if (state.status === "connected") return state.connection;
        if (state.status === "idle") throw noTrackers();
        if (state.status === "closed")
          throw new MiniTorrentError("TRACKERS_UNREACHABLE", "The client is closing.");
        if (state.problem !== undefined && !this.#mayJustBeStarting(state.problem)) throw state.problem;
        if ((await Promise.race([this.#stateChanged.promise, late])) !== "late") continue;
        throw state.problem ?? unreachable(undefined);
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  /**
   * Once every tracker has been dialled without success, commands fail at once. Only right after the client's start do they
   * wait, since the trackers may be starting too.
   */
  #mayJustBeStarting(problem: MiniTorrentError): boolean {
    const isAtStart = !this.#hasBeenConnected && performance.now() - this.#startedMs < CONNECTION_WAIT_MS;
    return isAtStart && problem.code !== "TRACKER_KEY_CHANGED";
  }

  /** searching -> connected, however long it takes; ends only when the link is closed. */
  async #findTracker(user: LinkUser): Promise<void> {
    const { identity, openSocket = openTrackerSocket } = this.#options;
    const trackers = this.#distinctTrackers();
    const trust = this.#trust;
    const { signal } = this.#stop;
    const problems = new Map<number, MiniTorrentError>();
    const found = await findTracker<Connection>({
      count: trackers.length,
      first: this.#next % trackers.length,
      signal,
      open: async (index, dialling) => {
        const tracker = trackers[index];
        if (tracker === undefined) throw new RangeError(`there is no tracker ${index}`);
        let connection: Connection | undefined;
        const onClose = () => {
          if (connection !== undefined) this.#lose(connection);
        };
        const parts = { tracker, identity, trust, signal: dialling, onClose, log: this.#log };
        const socket = await firstOf(await planned(user.planDial, tracker), (plan) =>
          openSocket({ ...parts, plan }),
        );
        connection = { user, tracker: formatAddress(tracker), socket };
        this.#time = socket.time ?? this.#time; // the preparation below may ask for certificates
        return connection;
      },
      prepare: async (connection, index) => {
        try {
          await this.#prepare(connection);
          const tracker = trackers[index];
          if (tracker !== undefined) trust.accept(tracker, connection.socket.fingerprint);
        } catch (error) {
          connection.socket.close();
          throw error;
        }
      },
      close: ({ socket }) => socket.close(),
      onFailure: (index, error) => {
        const tracker = trackers[index];
        this.#log.info({ err: error, tracker: tracker && formatAddress(tracker) }, "tracker not reached");
        const problem = error instanceof MiniTorrentError ? error : unreachable(error);
        problems.set(index, problem);
        if (tracker !== undefined) this.#problems.set(formatAddress(tracker), problem);
        // Commands have failed because no tracker answers: if a refused key is the reason, later ones report that.
        if (this.#state.status === "searching" && this.#state.problem !== undefined)
          this.#become({ status: "searching", problem: problemOf(problems) });
      },
      onNobody: () => {
        const problem = problemOf(problems);
        this.#become({ status: "searching", problem });
        this.#options.onUnreachable(problem.message);
      },
    });
    if (found === undefined) return;
    const { socket: connection, index } = found;
    if (signal.aborted || this.#state.status !== "searching") {
      connection.socket.close();
      return;
    }
    this.#next = index;
    this.#problems.delete(connection.tracker);
    this.#become({ status: "connected", connection });
    user.onConnected(connection.tracker, this.#hasBeenConnected);
    this.#hasBeenConnected = true;
    this.#time = connection.socket.time;
    this.#sayClock(connection.tracker);
    runInBackground(this.#log, "asking for the trackers' keys", this.#learnKeys(connection));
    if (connection.socket.isClosed) this.#lose(connection);
  }

  /** Lines whose trackers present the same key are one tracker, such as `localhost` and `127.0.0.1`: the first counts. */
  #distinctTrackers(): readonly TrackerAddress[] {
    const trackers = this.#trackers;
    const { pins } = this.#options;
    const nameOfKey = new Map<string, string>();
    return trackers.filter((tracker) => {
      const name = formatAddress(tracker);
      const key = tracker.fingerprint?.toLowerCase() ?? pins.get(name);
      const sameAs = key === undefined ? undefined : nameOfKey.get(key);
      if (key !== undefined && sameAs === undefined) nameOfKey.set(key, name);
      if (sameAs === undefined) return true;
      if (!this.#aliases.has(name)) {
        this.#log.warn(
          { tracker: name, sameAs },
          "two lines of tracker_info.txt are one tracker; it counts once",
        );
      }
      this.#aliases.add(name);
      return false;
    });
  }

  #sayClock(tracker: string): void {
    const sentence = this.clockWarning;
    if (sentence === undefined) return;
    this.#log.warn({ tracker }, sentence);
    this.#options.onClockWrong(sentence);
  }

  /** Asks the tracker which keys it vouches for, until it knows all of them: the next failover needs them. */
  async #learnKeys(connection: Connection): Promise<void> {
    const isCurrent = () => this.#state.status === "connected" && this.#state.connection === connection;
    const { api, fingerprint } = connection.socket;
    for (let pauseMs = FIRST_KEYS_PAUSE_MS; isCurrent(); pauseMs *= 2) {
      const given = await api.trackers.keys.query().catch(asRefusal);
      if (!isCurrent()) return;
      const keys = trackerKeysSchema.safeParse(given);
      if (keys.success) {
        this.#trust.vouchedFor(fingerprint, keys.data.fingerprints);
        if (new Set(keys.data.fingerprints).size >= this.#distinctTrackers().length) return;
      }
      const { promise: over, resolve } = Promise.withResolvers<void>();
      later("asking for the trackers' keys", Math.min(pauseMs, LONGEST_KEYS_PAUSE_MS), resolve).unref();
      await over;
    }
  }

  async #prepare(connection: Connection): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = later("preparing a connection", PREPARATION_TIMEOUT_MS, () =>
      reject(unreachable("not prepared in time")),
    );
    try {
      const { api, localHost } = connection.socket;
      await Promise.race([connection.user.prepare(api, () => this.#lose(connection), localHost), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** connected -> searching */
  #lose(connection: Connection): void {
    if (this.#state.status !== "connected" || this.#state.connection !== connection) return;
    this.#log.info({ tracker: connection.tracker }, "tracker lost");
    // Before closing, since a closing socket reports a loss, which would start a second search.
    this.#become({ status: "searching", problem: undefined });
    connection.socket.close();
    this.#next++;
    this.#search = this.#findTracker(connection.user);
  }

  #become(state: LinkState): void {
    this.#state = state;
    this.#stateChanged.resolve();
    this.#stateChanged = Promise.withResolvers();
  }
}

function stateToBegin(trackers: readonly TrackerAddress[]): LinkState {
  return trackers.length === 0 ? { status: "idle" } : { status: "searching", problem: undefined };
}

function noTrackers(): MiniTorrentError {
  return new MiniTorrentError(
    "TRACKERS_UNKNOWN",
    "No tracker is known yet: give an invite (minitorrent join <invite>), or the list of trackers (minitorrent trackers set tracker_info.txt).",
  );
}

/** Prefers a refused key as the error to report, since a person has to act on it. */
function problemOf(problems: ReadonlyMap<number, MiniTorrentError>): MiniTorrentError {
  const said = [...problems.values()];
  const refusedKey =
    said.find(({ code }) => code === "TRACKER_KEY_CHANGED") ??
    said.find(({ code }) => code === "TRACKER_KEY_UNKNOWN");
  return refusedKey ?? unreachableFromHere(said) ?? unreachable(said[0]);
}

function unreachable(cause: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "TRACKERS_UNREACHABLE",
    "None of the trackers answers; running downloads go on, try the command again in a moment.",
    { cause },
  );
}

/**
 * Dials by the first plan that works. The next plan is tried only if this one could not be carried out from here, or nothing
 * listens there: with a tracker that is merely slow, this client keeps its place in the queue.
 */
async function firstOf<S>(plans: readonly DialPlan[], dial: (plan: DialPlan) => Promise<S>): Promise<S> {
  const [plan, ...others] = plans;
  if (plan === undefined) throw unreachable(undefined);
  try {
    return await dial(plan);
  } catch (error) {
    const { cause } = asMiniTorrentError(error);
    const isOver = others.length === 0 || dialProblem(cause) === undefined;
    if (isOver) throw error;
    return await firstOf(others, dial);
  }
}

/** Looks the tracker's name up if need be. */
async function planned(
  planDial: LinkUser["planDial"],
  tracker: TrackerAddress,
): Promise<readonly DialPlan[]> {
  try {
    return await planDial(tracker.host);
  } catch (error) {
    throw connectError(formatAddress(tracker), error);
  }
}

/** If this machine could not dial any of them, for example for lack of a network, that is the error to report. */
function unreachableFromHere(said: readonly MiniTorrentError[]): MiniTorrentError | undefined {
  const reasons = said
    .map(({ cause }) => dialProblem(cause))
    .map((problem) => problem?.isLocal && problem.reason);
  const [reason] = reasons;
  if (typeof reason !== "string" || reasons.some((other) => typeof other !== "string")) return undefined;
  return new MiniTorrentError(
    "TRACKERS_UNREACHABLE",
    `None of the trackers can be reached from this machine: ${reason}. Running downloads go on.`,
    { cause: said[0] },
  );
}

/** True if the tracker cannot write; another one may be able to. */
function isForAnotherTracker(error: unknown): boolean {
  return asRefusal(error).code === "TRACKER_CANNOT_WRITE";
}

/** The error for a tracker's refusal, or for a lost connection. */
export function asRefusal(error: unknown): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  if (error instanceof ConnectionLost) return unreachable(error);
  return new MiniTorrentError("INTERNAL", `The tracker could not be asked: ${String(error)}`, {
    cause: error,
  });
}
