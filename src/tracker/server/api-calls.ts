// Runs the calls of one client's WebSocket: tRPC's messages (in the form of JSON-RPC 2.0), executed by the router's procedures,
// each in its caller's turn and within bounds of number and memory. client-socket.ts owns the socket.
import { MiniTorrentError } from "../../api/errors.ts";
import { MAX_SHARED_MESSAGE_LENGTH } from "../../api/file-limits.ts";
import { later } from "../../net/timers.ts";
import { type Call, type CallId, type Message, readCalls } from "./call-messages.ts";
import { refusalOf, UnknownProcedure } from "./call-refusals.ts";
import { eventText } from "./event-text.ts";
import { proceduresOf, type Subscribe } from "./procedure-builder.ts";
import { callerOf, type RouterContext } from "./procedures.ts";
import { appRouter } from "./router.ts";

/** Most calls of a connection that run at a time: their answers are buffered until the client reads them. */
const MAX_UNDER_WAY = 8;
/** Most calls of a connection that start in one turn of the event loop, so that other connections get their turn. */
const MAX_BEGUN_IN_TURN = 16;
/** Memory of a waiting call per character of its text: small JSON objects in V8. */
const BYTES_BY_CHARACTER = 4;
/** Memory of a message that is not parsed yet, also of an empty one. */
const UNREAD_BYTES = 64;
/** The same per character: V8 keeps two bytes unless all of them are Latin-1. */
const BYTES_BY_UNREAD_CHARACTER = 2;
/** Memory of a running call per character of its text: 120 bytes for each of an announcement's torrents, of 75 characters. */
const BYTES_BY_RUNNING_CHARACTER = 2;
/** It is parsed only in its caller's turn, since that takes tens of milliseconds, and some megabytes until it is answered. */
const LONG_MESSAGE_CHARACTERS = MAX_SHARED_MESSAGE_LENGTH;
/** Longest time that a long message keeps its slot: enough for some writes at trackers under load. */
const LONGEST_PLACE_MS = 2_000;

const procedures = proceduresOf(appRouter);

export interface ApiCallsOptions {
  readonly context: RouterContext;
  /** Sends one message; drops it if the connection is closed. */
  readonly send: (text: string) => void;
  readonly onRefused: (error: unknown, path: string | undefined) => void;
  /** False while too many answers are unread to start another call; `resume` is called when that is over. */
  readonly mayBegin: () => boolean;
  /** A call has ended: `heldBytes` is less. */
  readonly onEnded: () => void;
  /** Runs it in a later turn of the event loop. */
  readonly later: (run: () => void) => void;
}

/** A waiting call. */
interface Waiting {
  readonly message: Message;
  readonly bytes: number;
  /** Called when it was answered, or never will be. */
  readonly onEnded?: () => void;
}

export class ApiCalls {
  readonly #options: ApiCallsOptions;
  /** Running subscriptions; a client has one or two. */
  #subscriptions: { readonly id: CallId; end(): void }[] = [];
  /** Messages that are not parsed yet: a long one that waits for its turn, and those after it. */
  readonly #unread: (string | undefined)[] = [];
  #unreadBytes = 0;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #underWay = 0;
  #underWayBytes = 0;
  #begunInTurn = 0;
  #isClosed = false;

  constructor(options: ApiCallsOptions) {
    this.#options = options;
  }

  /** Memory held by unanswered calls. */
  get heldBytes(): number {
    return this.#unreadBytes + this.#waitingBytes + this.#underWayBytes;
  }

  /** Takes a message; undefined if it is not text. */
  take(text: string | undefined): void {
    const length = text?.length ?? 0;
    if (this.#unread.length === 0 && length <= LONG_MESSAGE_CHARACTERS) {
      this.#read(text);
      return;
    }
    this.#unreadBytes += unreadBytes(text);
    if (this.#unread.push(text) > 1) return;
    this.#readInTurn().catch((error: unknown) => this.#options.later(() => fail(error)));
  }

  async #readInTurn(): Promise<void> {
    while (this.#unread.length > 0) {
      const bytes = unreadBytes(this.#unread[0]);
      let busy: unknown;
      await this.#readWhenAllowed().catch((error: unknown) => {
        busy = error;
      });
      if (this.#isClosed) return;
      if (busy !== undefined) this.#refuse(null, busy);
      this.#unreadBytes -= bytes;
      this.#unread.shift();
    }
  }

  /**
   * Resolves when the first unread message has been parsed. The waiting closure does not hold its text, which is freed with the
   * connection.
   *
   * @throws MiniTorrentError TRACKER_BUSY
   */
  async #readWhenAllowed(): Promise<void> {
    const { tracker, connection } = this.#options.context;
    const key = callerOf(connection);
    const takeTurn = async (onEnded?: () => void): Promise<void> => {
      await tracker.turns.take(key);
      if (this.#isClosed) onEnded?.();
      else this.#read(this.#unread[0], onEnded);
    };
    if ((this.#unread[0]?.length ?? 0) <= LONG_MESSAGE_CHARACTERS) {
      await takeTurn();
      return;
    }
    const parsed = Promise.withResolvers<void>();
    const answered = tracker.longMessages.run(key, async () => {
      const ended = Promise.withResolvers<void>();
      await takeTurn(ended.resolve);
      parsed.resolve();
      // A client that does not read its answers must not keep the slot.
      const timer = later("giving a long message's slot to others", LONGEST_PLACE_MS, ended.resolve);
      await ended.promise;
      clearTimeout(timer);
    });
    answered.catch(parsed.reject);
    await parsed.promise;
  }

  /** @param onEnded called when its call was answered, or will never be */
  #read(text: string | undefined, onEnded?: () => void): void {
    let calls: readonly Message[];
    try {
      calls = readCalls(text);
      if (onEnded !== undefined && calls.length > 1) throw tooManyCalls();
    } catch (error) {
      this.#refuse(null, error, { isRead: false });
      onEnded?.();
      return;
    }
    const bytes = ((text?.length ?? 0) * BYTES_BY_CHARACTER) / Math.max(calls.length, 1);
    for (const message of calls) this.#waiting.push({ message, bytes, ...(onEnded && { onEnded }) });
    if (calls.length === 0) onEnded?.();
    this.#waitingBytes += bytes * calls.length;
    this.resume();
  }

  /** Starts waiting calls, up to the bound of running ones. */
  resume(): void {
    const { mayBegin, later } = this.#options;
    while (this.#waiting.length > 0 && this.#underWay < MAX_UNDER_WAY && mayBegin()) {
      if (this.#begunInTurn === MAX_BEGUN_IN_TURN) return;
      if (this.#begunInTurn++ === 0) later(() => this.#turned());
      this.#beginNext();
    }
  }

  #turned(): void {
    this.#begunInTurn = 0;
    this.resume();
  }

  #beginNext(): void {
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#waitingBytes = this.#waiting.length === 0 ? 0 : this.#waitingBytes - next.bytes;
    const { message } = next;
    if (message.method === "subscription.stop") {
      this.#stop(message.id);
      next.onEnded?.();
      return;
    }
    this.#underWay++;
    const runningBytes = (next.bytes / BYTES_BY_CHARACTER) * BYTES_BY_RUNNING_CHARACTER;
    this.#underWayBytes += runningBytes;
    // `#run` answers or refuses the call; it rejects only if sending fails, which is a fault of the connection.
    const ended = this.#run(message).finally(() => {
      this.#underWay--;
      this.#underWayBytes = this.#underWay === 0 ? 0 : this.#underWayBytes - runningBytes;
      next.onEnded?.();
      this.#options.onEnded();
      this.resume();
    });
    ended.catch((error: unknown) => this.#options.later(() => fail(error)));
  }

  /** The connection is closed; ends subscriptions and sends nothing more. */
  close(): void {
    this.#isClosed = true;
    const ended = this.#subscriptions;
    this.#subscriptions = [];
    this.#unread.length = 0;
    this.#unreadBytes = 0;
    const neverRun = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    for (const { end } of ended) end();
    for (const { onEnded } of neverRun) onEnded?.();
  }

  async #run(call: Call): Promise<void> {
    const { id, method, params } = call;
    const { tracker, connection } = this.#options.context;
    try {
      // Before anything is made for the call: thousands may wait for their turn.
      await tracker.turns.take(callerOf(connection));
      if (this.#isClosed) return;
      const procedure = procedures.get(params.path);
      if (procedure?.kind !== method) {
        throw new UnknownProcedure(`No "${method}"-procedure on path "${params.path}"`);
      }
      const result = await procedure.run(this.#options.context, params.input);
      if (method === "subscription") this.#listen(id, result as Subscribe<unknown>);
      else this.#send({ id, result: { type: "data", data: result } });
    } catch (error) {
      this.#refuse(id, error, { path: params.path });
    }
  }

  /** @throws MiniTorrentError INVALID_ARGUMENT for an id that is listened under, or what the subscription throws */
  #listen(id: CallId, subscribe: Subscribe<unknown>): void {
    if (this.#isClosed) return;
    if (this.#subscriptions.some((listener) => listener.id === id)) {
      throw new MiniTorrentError("INVALID_ARGUMENT", `Something is listened to under the id ${id} already.`);
    }
    this.#send({ id, result: { type: "started" } });
    this.#subscriptions.push({ id, end: subscribe((data) => this.#push(id, data)) });
  }

  #stop(id: CallId): void {
    const listener = this.#subscriptions.find((one) => one.id === id);
    if (listener === undefined) return;
    this.#subscriptions = this.#subscriptions.filter((other) => other !== listener);
    listener.end();
    this.#send({ id, result: { type: "stopped" } });
  }

  /** @param isRead false if the message could not be read */
  #refuse(id: CallId | null, error: unknown, { path = "", isRead = true } = {}): void {
    const { context, onRefused } = this.#options;
    onRefused(error, path);
    const refusal = refusalOf(error, isRead);
    if (refusal.data.minitorrentCode === "INTERNAL") context.tracker.reportFault(error, path);
    this.#send({ id, error: refusal });
  }

  /** Sends events. Their JSON is shared by thousands of clients; only the envelope is made for this one. */
  #push(id: CallId, data: unknown): void {
    if (this.#isClosed) return;
    const events: readonly unknown[] = Array.isArray(data) ? data : [data];
    const texts = events.map((event) =>
      typeof event === "object" && event !== null ? eventText(event) : JSON.stringify(event),
    );
    this.#options.send(`{"id":${JSON.stringify(id)},"result":{"type":"data","data":[${texts.join(",")}]}}`);
  }

  #send(message: object): void {
    if (!this.#isClosed) this.#options.send(JSON.stringify(message));
  }
}

function unreadBytes(text: string | undefined): number {
  return UNREAD_BYTES + (text?.length ?? 0) * BYTES_BY_UNREAD_CHARACTER;
}

function tooManyCalls(): MiniTorrentError {
  const sentence = `A message of more than ${LONG_MESSAGE_CHARACTERS} characters may have one call; this one has more: send them one by one.`;
  return new MiniTorrentError("LIMIT_REACHED", sentence);
}

function fail(error: unknown): never {
  throw error;
}
