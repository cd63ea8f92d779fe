// The calls that come over one client's WebSocket, in tRPC's messages (JSON-RPC 2.0 in form): each is run by the router's
// procedure, and answered. In place of tRPC's own adapter, which makes an AbortController and a dozen closures for each
// connection and each call, and a chain of promises for each listener. It knows nothing of sockets (server.ts).
import { callTRPCProcedure, getTRPCErrorFromUnknown, getTRPCErrorShape, TRPCError } from "@trpc/server";
import { isObservable } from "@trpc/server/observable";
import { z } from "zod";
import { MiniTorrentError } from "../api/errors.ts";
import { MAX_API_MESSAGE_BYTES } from "../api/schemas.ts";
import { eventText } from "./event-text.ts";
import type { RouterContext } from "./procedures.ts";
import { appRouter } from "./router.ts";

const id = z.union([z.number(), z.string()]);
const params = z.object({ path: z.string(), input: z.unknown().optional() });
const callSchema = z.discriminatedUnion("method", [
  z.object({ id, method: z.enum(["query", "mutation", "subscription"]), params }),
  z.object({ id, method: z.literal("subscription.stop") }),
]);
const messageSchema = z.union([callSchema.transform((call) => [call]), z.array(callSchema)]);
type Message = z.infer<typeof callSchema>;
type Call = Extract<Message, { params: object }>;
type CallId = Message["id"];

export interface ApiCallsOptions {
  readonly context: RouterContext;
  /** Sends one message; what nobody can hear any more is dropped. */
  readonly say: (text: string) => void;
  readonly onRefused: (error: TRPCError, path: string | undefined) => void;
}

export class ApiCalls {
  readonly #options: ApiCallsOptions;
  /** What is told for as long as it is listened to: one or two. */
  #listening: { readonly id: CallId; end(): void }[] = [];
  #isClosed = false;

  constructor(options: ApiCallsOptions) {
    this.#options = options;
  }

  /** A message has come; undefined if it is not text. */
  take(text: string | undefined): void {
    let calls: readonly Message[];
    try {
      calls = readCalls(text);
    } catch (error) {
      this.#refuse(null, new TRPCError({ code: "PARSE_ERROR", cause: error }));
      return;
    }
    for (const call of calls) {
      if (call.method === "subscription.stop") this.#stop(call.id);
      else void this.#run(call); // never rejects
    }
  }

  /** The connection is gone: nothing is told any more. */
  close(): void {
    this.#isClosed = true;
    const ended = this.#listening;
    this.#listening = [];
    for (const { end } of ended) end();
  }

  async #run(call: Call): Promise<void> {
    const { id, method, params } = call;
    try {
      const result: unknown = await callTRPCProcedure({
        router: appRouter,
        path: params.path,
        type: method,
        getRawInput: async () => params.input,
        ctx: this.#options.context,
        signal: undefined,
        batchIndex: 0,
      });
      if (method === "subscription") this.#listen(id, result);
      else this.#say({ id, result: { type: "data", data: result } });
    } catch (error) {
      this.#refuse(id, getTRPCErrorFromUnknown(error), call);
    }
  }

  /** @throws MiniTorrentError INVALID_ARGUMENT for an id that is listened under, or what the subscription throws */
  #listen(id: CallId, told: unknown): void {
    if (this.#isClosed) return;
    if (!isObservable(told)) throw new MiniTorrentError("INTERNAL", "The subscription tells nothing.");
    if (this.#listening.some((listener) => listener.id === id)) {
      throw new MiniTorrentError("INVALID_ARGUMENT", `Something is listened to under the id ${id} already.`);
    }
    this.#say({ id, result: { type: "started" } });
    const { unsubscribe } = told.subscribe({
      next: (data) => this.#tell(id, data),
    });
    this.#listening.push({ id, end: unsubscribe });
  }

  #stop(id: CallId): void {
    const listener = this.#listening.find((one) => one.id === id);
    if (listener === undefined) return;
    this.#listening = this.#listening.filter((other) => other !== listener);
    listener.end();
    this.#say({ id, result: { type: "stopped" } });
  }

  #refuse(id: CallId | null, error: TRPCError, call?: Call): void {
    const { context: ctx, onRefused } = this.#options;
    const path = call?.params.path;
    onRefused(error, path);
    const config = appRouter._def._config;
    const type = call?.method ?? "unknown";
    this.#say({
      id,
      error: getTRPCErrorShape({ config, error, type, path, input: call?.params.input, ctx }),
    });
  }

  /** Events, each of which may go to thousands of clients: only the frame around them is made for this one. */
  #tell(id: CallId, data: unknown): void {
    if (this.#isClosed) return;
    const events: readonly unknown[] = Array.isArray(data) ? data : [data];
    const texts = events.map((event) =>
      typeof event === "object" && event !== null ? eventText(event) : JSON.stringify(event),
    );
    this.#options.say(`{"id":${JSON.stringify(id)},"result":{"type":"data","data":[${texts.join(",")}]}}`);
  }

  #say(message: object): void {
    if (!this.#isClosed) this.#options.say(JSON.stringify(message));
  }
}

/**
 * @throws MiniTorrentError LIMIT_REACHED, before a byte of it is parsed
 * @throws ZodError, SyntaxError
 */
function readCalls(text: string | undefined): readonly Message[] {
  if (text === undefined) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "Calls are JSON in text frames; this one is binary.");
  }
  if (text.length > MAX_API_MESSAGE_BYTES) {
    const sentence = `A message may have ${MAX_API_MESSAGE_BYTES} bytes; this one has more: send less at a time.`;
    throw new MiniTorrentError("LIMIT_REACHED", sentence);
  }
  return messageSchema.parse(JSON.parse(text));
}
