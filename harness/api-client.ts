// A client of the tracker's API without a client around it: one WebSocket with a device's key, tRPC's messages as they
// go over it. Light enough for thousands in a process; for benchmarks and for tests of what a client never does.
import { randomUUID } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect, createSecureContext, type SecureContext } from "node:tls";
import { WebSocket } from "ws";
import { z } from "zod";
import { HEARTBEAT_IDLE_MS, HEARTBEAT_TIMEOUT_MS } from "../src/client/trackers/retry-policy.ts";
import type { DeviceIdentity } from "../src/identity/certificates.ts";

export type Procedure = "query" | "mutation" | "subscription";

const messageSchema = z.object({
  id: z.union([z.number(), z.null()]).optional(),
  result: z.object({ type: z.string().optional(), data: z.unknown().optional() }).optional(),
  error: z.object({ message: z.string(), data: z.object({ minitorrentCode: z.string() }) }).optional(),
});

const pageSchema = z.object({ items: z.array(z.unknown()), next: z.string().optional() });

/** A tracker's refusal. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string, sentence: string) {
    super(`${code}: ${sentence}`);
    this.code = code;
  }
}

export interface ApiClientOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: DeviceIdentity;
  readonly localAddress?: string;
  /** Told of events, if it subscribes to them; each with the moment it came, on performance.now()'s clock. */
  readonly onEvent?: (event: unknown, atMs: number) => void;
  readonly onClose?: (code: number) => void;
  /** Gives up connecting. */
  readonly signal?: AbortSignal;
}

interface Waiting {
  resolve(data: unknown): void;
  reject(error: Error): void;
}

const secureContexts = new WeakMap<DeviceIdentity, SecureContext>();

/** Made once for each device: parsing its key costs as much as a handshake. */
function secureContextOf(identity: DeviceIdentity): SecureContext {
  let context = secureContexts.get(identity);
  if (context === undefined) {
    const { privateKeyPem: key, certificatePem: cert } = identity;
    context = createSecureContext({ key, cert, minVersion: "TLSv1.3" });
    secureContexts.set(identity, context);
  }
  return context;
}

/** A connection without anything on it yet: of thousands who dial a tracker that is dead, none prepares TLS in vain. */
function dial({ host, port, localAddress, signal }: ApiClientOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const wire = connectTcp({ host, port, localAddress, noDelay: true });
    const giveUp = () => wire.destroy(new Error("given up"));
    signal?.addEventListener("abort", giveUp);
    const ended = () => signal?.removeEventListener("abort", giveUp);
    wire.once("error", (error) => {
      ended();
      reject(error);
    });
    wire.once("connect", () => {
      ended();
      wire.removeAllListeners("error");
      resolve(wire);
    });
    if (signal?.aborted) giveUp();
  });
}

export class ApiClient {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEvent: ApiClientOptions["onEvent"];
  readonly closed: Promise<number>;
  /** Rejects with the refusal when the tracker ends the telling of events. */
  readonly eventsEnded: Promise<never>;
  #endEvents: (refusal: Refusal) => void;
  #nextId = 1;
  #eventsId: number | undefined;

  private constructor(socket: WebSocket, { onEvent, onClose }: ApiClientOptions) {
    this.#socket = socket;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined); // heard by who waits for it
    this.eventsEnded = promise;
    this.#endEvents = reject;
    this.#onEvent = onEvent;
    socket.on("message", (data) => this.#take(String(data)));
    this.closed = new Promise((resolve) => {
      socket.once("close", (code) => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`closed with ${code}`));
        this.#waiting.clear();
        onClose?.(code);
        resolve(code);
      });
    });
  }

  static async connect(options: ApiClientOptions): Promise<ApiClient> {
    const { host, port, identity, signal } = options;
    const wire = await dial(options);
    return await new Promise((resolve, reject) => {
      const socket = new WebSocket(`wss://${host}:${port}/api`, {
        perMessageDeflate: false,
        createConnection: () =>
          connect({
            socket: wire,
            host,
            rejectUnauthorized: false,
            secureContext: secureContextOf(identity),
          }),
      });
      socket.once("error", reject);
      const giveUp = () => socket.terminate();
      signal?.addEventListener("abort", giveUp);
      socket.once("open", () => {
        signal?.removeEventListener("abort", giveUp);
        socket.on("error", () => undefined); // `closed` follows
        resolve(new ApiClient(socket, options));
      });
    });
  }

  get isClosed(): boolean {
    return this.#socket.readyState !== WebSocket.OPEN;
  }

  query(path: string, input?: unknown): Promise<unknown> {
    return this.#call("query", path, input);
  }

  /** All of a list that is answered page by page. */
  async queryAll(path: string, input: object = {}): Promise<unknown[]> {
    const all: unknown[] = [];
    let after: string | undefined;
    do {
      const page = pageSchema.parse(
        await this.query(path, after === undefined ? input : { ...input, after }),
      );
      all.push(...page.items);
      after = page.next;
    } while (after !== undefined);
    return all;
  }

  /** @throws Refusal */
  mutate(path: string, input?: unknown): Promise<unknown> {
    return this.#call("mutation", path, input);
  }

  /** Makes an account and logs in to it. */
  async signUp(userId: string): Promise<void> {
    const password = `password of ${userId}`;
    await this.mutate("session.createUser", { writeId: randomUUID(), userId, password });
    await this.mutate("session.login", { writeId: randomUUID(), userId, password });
  }

  /** Resolves when events are told from then on. */
  async listen(): Promise<void> {
    this.#eventsId = this.#nextId;
    await this.#call("subscription", "events", undefined);
  }

  /** Asks every so often whether the tracker is there, as a client does, and closes when it does not answer in time. */
  keepAlive(): void {
    let timer: NodeJS.Timeout;
    let messages = 0;
    const ask = () => {
      const before = messages;
      this.#socket.send("PING");
      timer = setTimeout(() => {
        setImmediate(() => {
          if (messages === before) this.terminate();
        });
      }, HEARTBEAT_TIMEOUT_MS);
    };
    const heard = () => {
      messages++;
      clearTimeout(timer);
      timer = setTimeout(ask, HEARTBEAT_IDLE_MS);
    };
    this.#socket.on("message", heard);
    this.#socket.once("close", () => clearTimeout(timer));
    heard();
  }

  /** Anything at all, as one message. */
  sendRaw(text: string): void {
    this.#socket.send(text);
  }

  close(): Promise<number> {
    this.#socket.close();
    return this.closed;
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #call(method: Procedure, path: string, input: unknown): Promise<unknown> {
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params: { path, input } }));
    return answer;
  }

  #take(text: string): void {
    if (text === "PING") {
      this.#socket.send("PONG");
      return;
    }
    if (text === "PONG") return;
    const { id, result, error } = messageSchema.parse(JSON.parse(text));
    if (id !== undefined && id === this.#eventsId && result?.type === "data") {
      for (const event of z.array(z.unknown()).parse(result.data)) this.#onEvent?.(event, performance.now());
      return;
    }
    if (id !== undefined && id === this.#eventsId && error !== undefined) {
      this.#endEvents(new Refusal(error.data.minitorrentCode, error.message));
    }
    // What answers no call in particular, such as a message too long to be read, is the oldest call's.
    const key = id ?? this.#waiting.keys().next().value;
    const waiting = key === undefined ? undefined : this.#waiting.get(key);
    if (key === undefined || waiting === undefined) return;
    this.#waiting.delete(key);
    if (error === undefined) waiting.resolve(result?.data);
    else waiting.reject(new Refusal(error.data.minitorrentCode, error.message));
  }
}
