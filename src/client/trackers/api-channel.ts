// The calls that a client makes over one WebSocket to a tracker, in tRPC's messages (JSON-RPC 2.0 in form). What is asked
// in one turn of the event loop goes out as one frame at its end, unless it is long. It does not connect: tracker-socket.ts does.
import { z } from "zod";
import { isErrorCode, MiniTorrentError } from "../../api/errors.ts";
import { MAX_SHARED_MESSAGE_LENGTH } from "../../api/file-limits.ts";
import type { Guard } from "../../net/connection-guard.ts";
import type { ApiOf, EventListener } from "../../tracker/server/procedure-builder.ts";
import type { AppRouter } from "../../tracker/server/router.ts";
import { LEAST_TOLD_WAIT_MS, LONGEST_TOLD_WAIT_MS, LONGEST_WAIT_IN_ALL_MS } from "./retry-policy.ts";

/** A tracker's messages: answers, never a request of its own. */
const idSchema = z.union([z.number(), z.string(), z.null()]).optional();
const answerSchema = z.union([
  z.object({
    id: idSchema,
    method: z.undefined().optional(),
    error: z.undefined().optional(),
    result: z.object({
      type: z.enum(["started", "stopped", "data"]).optional(),
      data: z.unknown().optional(),
    }),
  }),
  z.object({
    id: idSchema,
    method: z.undefined().optional(),
    error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }),
  }),
]);
type Answer = z.infer<typeof answerSchema>;
type Refusal = Extract<Answer, { error: object }>;
/** Data of a refusal by a tracker that is overloaded or limits this account. */
const waitSchema = z.object({ retryAfterMs: z.int().min(0).max(LONGEST_TOLD_WAIT_MS) });
/** Random extra share of the waiting time, so that calls refused together are not all retried at once. */
const WAIT_SPREAD = 0.2;

/** What a tracker's answers to one call are given to. */
interface Call {
  readonly isSubscription: boolean;
  /** The message as it was sent. */
  readonly message: object;
  /** Total time that the tracker has made it wait. */
  waitedMs: number;
  next(result: { type?: "started" | "stopped" | "data" | undefined; data?: unknown }): void;
  fail(error: Error): void;
}

export type TrackerApi = ApiOf<AppRouter>;

const KINDS = { query: "query", mutate: "mutation", subscribe: "subscription" } as const;
type Kind = (typeof KINDS)[keyof typeof KINDS];

/** A call was not answered, since the connection to the tracker is gone. */
export class ConnectionLost extends Error {}

export class ApiChannel {
  readonly #send: (text: string) => void;
  readonly #guard: Guard;
  readonly #calls = new Map<number, Call>();
  /** Calls that the tracker has asked to repeat later, by id. */
  readonly #waiting = new Map<number, NodeJS.Timeout>();
  /** To be sent at the end of this turn. */
  #outgoing: string[] = [];
  #outgoingLength = 0;
  #flushing: NodeJS.Immediate | undefined;
  #lastId = 0;
  #isClosed = false;

  /** @param guard the connection's error guard; deferred work runs through it */
  constructor(send: (text: string) => void, guard: Guard) {
    this.#send = send;
    this.#guard = guard;
  }

  /** The tracker's procedures. A call fails with the tracker's refusal (MiniTorrentError) or ConnectionLost. */
  readonly api = apiOf((kind, path, input, listener) =>
    kind === "subscription" ? this.#listen(path, input, listener) : this.#ask(kind, path, input),
  );

  /** Whether something was asked that is not answered yet. */
  get isAsked(): boolean {
    for (const [id, { isSubscription }] of this.#calls) {
      if (!isSubscription && !this.#waiting.has(id)) return true;
    }
    return false;
  }

  /** A message has come. Returns false if it is none that a tracker says. */
  take(text: string): boolean {
    const answer = readAnswer(text);
    if (answer === undefined) return false;
    const id = typeof answer.id === "number" ? answer.id : undefined;
    const call = id === undefined ? undefined : this.#calls.get(id);
    if (id === undefined || call === undefined) return true;
    if ("result" in answer && call.isSubscription && answer.result.type !== "stopped") {
      call.next(answer.result);
      return true;
    }
    if (!("result" in answer)) {
      if (this.#waitsAsTold(id, call, answer)) return true;
      this.#calls.delete(id);
      call.fail(refusalOf(answer.error));
      return true;
    }
    this.#calls.delete(id);
    call.next(answer.result);
    return true;
  }

  /** The connection is gone: every pending call fails. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearImmediate(this.#flushing);
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    // One guard per call, so that a handler that throws does not keep the other calls from being failed.
    const end = this.#guard("end of calls", (call: Call) => {
      call.fail(new ConnectionLost("The connection to the tracker was closed."));
    });
    for (const call of calls) end(call);
  }

  /** Hides refusals that waiting resolves: sends the call again after the time that the tracker gave. */
  #waitsAsTold(id: number, call: Call, { error }: Refusal): boolean {
    const told = waitSchema.safeParse(error.data).data;
    if (told === undefined) return false;
    const waitMs = Math.max(LEAST_TOLD_WAIT_MS, told.retryAfterMs) * (1 + WAIT_SPREAD * Math.random());
    if (call.waitedMs + waitMs > LONGEST_WAIT_IN_ALL_MS) return false;
    call.waitedMs += waitMs;
    const sayAgain = (): void => {
      this.#waiting.delete(id);
      this.#say(call.message);
    };
    const timer = setTimeout(this.#guard("sending", sayAgain), waitMs);
    this.#waiting.set(id, timer);
    return true;
  }

  #ask(method: Exclude<Kind, "subscription">, path: string, input: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#begin(method, path, input, {
        isSubscription: false,
        next: ({ data }) => resolve(data),
        fail: reject,
      });
    });
  }

  #listen(path: string, input: unknown, listener: EventListener<unknown>): { unsubscribe(): void } {
    const id = this.#begin("subscription", path, input, {
      isSubscription: true,
      next: ({ type, data }) => {
        if (type === "started") listener.onStarted?.();
        else if (type === "stopped") listener.onComplete?.();
        else listener.onData?.(data);
      },
      fail: (error) => listener.onError?.(error),
    });
    return {
      unsubscribe: () => {
        if (!this.#calls.delete(id)) return;
        clearTimeout(this.#waiting.get(id));
        if (!this.#waiting.delete(id)) this.#say({ id, method: "subscription.stop" });
      },
    };
  }

  #begin(
    method: Kind,
    path: string,
    input: unknown,
    taken: Pick<Call, "isSubscription" | "next" | "fail">,
  ): number {
    const id = ++this.#lastId;
    const call = { ...taken, message: { id, method, params: { path, input } }, waitedMs: 0 };
    if (this.#isClosed) {
      call.fail(new ConnectionLost("The connection to the tracker is closed."));
      return id;
    }
    this.#calls.set(id, call);
    this.#say(call.message);
    return id;
  }

  #say(message: object): void {
    if (this.#isClosed) return;
    const text = JSON.stringify(message);
    // With the commas and brackets of the list.
    const lengthInList = text.length + 2;
    if (this.#outgoingLength + lengthInList > MAX_SHARED_MESSAGE_LENGTH) this.#flush();
    this.#outgoing.push(text);
    this.#outgoingLength += lengthInList;
    this.#flushing ??= setImmediate(this.#guard("sending", () => this.#flush()));
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    const [first, ...others] = this.#outgoing;
    this.#outgoing = [];
    this.#outgoingLength = 0;
    if (first !== undefined) this.#send(others.length === 0 ? first : `[${[first, ...others].join(",")}]`);
  }
}

/** The message as it came; undefined if it is none. */
function readAnswer(text: string): Answer | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // not JSON: said as such by who called
  }
}

/** The error for a tracker's refusal; INTERNAL for a code that this client does not know. */
export function refusalOf(error: Refusal["error"]): MiniTorrentError {
  const code = z.object({ minitorrentCode: z.unknown() }).safeParse(error.data).data?.minitorrentCode;
  return new MiniTorrentError(isErrorCode(code) ? code : "INTERNAL", error.message);
}

/** `api.groups.list.query(input)` calls `call("query", "groups.list", input)`. */
export function apiOf(
  call: (kind: Kind, path: string, input: unknown, listener: EventListener<unknown>) => unknown,
): TrackerApi {
  const at = (path: readonly string[]): unknown =>
    new Proxy(() => undefined, {
      // Of a promise's result `then` is read: the API is not one.
      get: (_, name) => (typeof name === "string" && name !== "then" ? at([...path, name]) : undefined),
      apply: (_, _this, [input, listener]) =>
        call(KINDS[path.at(-1) as keyof typeof KINDS], path.slice(0, -1).join("."), input, listener),
    });
  return at([]) as TrackerApi;
}
