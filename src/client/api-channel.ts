// The calls that a client makes over one WebSocket to a tracker, in tRPC's messages (JSON-RPC 2.0 in form). What is asked
// in one turn of the event loop goes out as one frame at its end; tRPC's own wsLink waits for a timer instead, a
// millisecond a call. It does not connect: tracker-socket.ts does.
import { type Operation, TRPCClientError, type TRPCLink } from "@trpc/client";
import { observable } from "@trpc/server/observable";
import { z } from "zod";
import type { AppRouter } from "../tracker/router.ts";

/** What a tracker says: answers, never a request of its own. */
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
/** Calls of one turn that are longer together go in frames of about this length: far below MAX_API_MESSAGE_BYTES. */
const MAX_FRAME_LENGTH = 256 * 1024;

interface Call {
  readonly isSubscription: boolean;
  next(result: { type?: "started" | "stopped" | "data" | undefined; data?: unknown }): void;
  fail(error: Error | Refusal): void;
  complete(): void;
}

export class ApiChannel {
  readonly #send: (text: string) => void;
  readonly #calls = new Map<number, Call>();
  /** To be sent at the end of this turn. */
  #outgoing: string[] = [];
  #outgoingLength = 0;
  #flushing: NodeJS.Immediate | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(send: (text: string) => void) {
    this.#send = send;
  }

  /** The last link of a tRPC client: whatever it is asked goes over this channel. */
  readonly link: TRPCLink<AppRouter> =
    () =>
    ({ op }) =>
      observable((observer) => {
        const id = this.#begin(op, {
          isSubscription: op.type === "subscription",
          next: ({ type, data }) =>
            observer.next({
              result: type === "started" || type === "stopped" ? { type } : { type: "data", data },
            }),
          fail: (error) => observer.error(TRPCClientError.from(error)),
          complete: () => observer.complete(),
        });
        return () => this.#leave(id);
      });

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
    this.#calls.delete(id);
    if (!("result" in answer)) {
      call.fail(answer);
      return true;
    }
    call.next(answer.result);
    call.complete();
    return true;
  }

  /** The connection is gone: whatever waits for an answer is told so. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearImmediate(this.#flushing);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.fail(new Error("The connection to the tracker was closed."));
  }

  #begin({ type, path, input }: Operation, call: Call): number {
    const id = ++this.#lastId;
    if (this.#isClosed) {
      call.fail(new Error("The connection to the tracker is closed."));
      return id;
    }
    this.#calls.set(id, call);
    this.#say({ id, method: type, params: { path, input } });
    return id;
  }

  /** Nobody waits for that answer any more. */
  #leave(id: number): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (call?.isSubscription) this.#say({ id, method: "subscription.stop" });
  }

  #say(message: object): void {
    if (this.#isClosed) return;
    const text = JSON.stringify(message);
    if (this.#outgoingLength + text.length > MAX_FRAME_LENGTH) this.#flush();
    this.#outgoing.push(text);
    this.#outgoingLength += text.length;
    this.#flushing ??= setImmediate(() => this.#flush());
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
