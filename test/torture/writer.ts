// A client that writes and keeps account of what it was told is done: connected to any tracker that answers, at the next
// one when that is gone, with the command that was in flight asked once more under the same write id.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient, Refusal } from "../../harness/api-client.ts";
import { type TrackerEvent, trackerEventSchema } from "../../src/api/schemas.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import type { Cluster } from "./cluster.ts";

const TRIES = 3;
/** An answer is waited for so long, as clients wait for a tracker that is silent; others wait for each other 2 s at most. */
export const GIVE_UP_MS = 3_000;

export type Answer =
  | { readonly status: "done" }
  | { readonly status: "refused"; readonly code: string; readonly wasRetry: boolean }
  | { readonly status: "unknown" };

export class Writer {
  readonly userId: string;
  readonly identity: DeviceIdentity;
  readonly #cluster: Cluster;
  readonly #random: () => number;
  #client: ApiClient | undefined;
  #connecting: Promise<ApiClient> | undefined;
  #at: number;
  /** Commands that were asked more than once. */
  retries = 0;
  /** What it was told, and when, on performance.now()'s clock. */
  readonly events: { readonly event: TrackerEvent; readonly atMs: number }[] = [];
  /** Goes up with each connection that ends. */
  connectionNumber = 0;

  private constructor(userId: string, identity: DeviceIdentity, cluster: Cluster, random: () => number) {
    this.userId = userId;
    this.identity = identity;
    this.#cluster = cluster;
    this.#random = random;
    this.#at = Math.floor(random() * cluster.size);
  }

  static async signUp(userId: string, cluster: Cluster, random: () => number): Promise<Writer> {
    const writer = new Writer(userId, await createDeviceIdentity(), cluster, random);
    await (await writer.#connection()).signUp(userId);
    return writer;
  }

  /** Another tracker from now on: that one, or any. */
  move(index = Math.floor(this.#random() * this.#cluster.size)): void {
    this.#leave();
    this.#at = index;
  }

  /** Connected, and told of events. Returns at which tracker. */
  async settle(): Promise<number> {
    await this.#connection();
    return this.#at % this.#cluster.size;
  }

  async command(path: string, input: Readonly<Record<string, string>>): Promise<Answer> {
    const writeId = randomUUID();
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries > 0) this.retries++;
      try {
        const retry = tries === 0 ? {} : { isRetry: true };
        const answer = (await this.#connection()).mutate(path, { ...input, writeId, ...retry });
        await Promise.race([answer, failAfter(GIVE_UP_MS, answer)]);
        return { status: "done" };
      } catch (error) {
        if (error instanceof Refusal) return { status: "refused", code: error.code, wasRetry: tries > 0 };
        this.#leave();
        this.#at++;
      }
    }
    return { status: "unknown" };
  }

  close(): void {
    this.#leave();
  }

  #leave(): void {
    if (this.#client !== undefined) this.connectionNumber++;
    this.#client?.terminate();
    this.#client = undefined;
  }

  async #connection(): Promise<ApiClient> {
    if (this.#client !== undefined) return this.#client;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<ApiClient> {
    const { identity } = this;
    for (let tries = 0; ; tries++) {
      const host = this.#cluster.host(this.#at % this.#cluster.size);
      try {
        const client = await ApiClient.connect({
          ...{ host, port: this.#cluster.port, identity },
          onEvent: (event, atMs) => this.events.push({ event: trackerEventSchema.parse(event), atMs }),
        });
        this.#client = client;
        void client.closed.then(() => {
          if (this.#client === client) this.#leave();
        });
        await client.listen();
        return client;
      } catch (error) {
        if (tries >= this.#cluster.size) throw error;
        this.#at++;
      }
    }
  }
}

/** Rejects then, unless `answer` is there before. */
async function failAfter(durationMs: number, answer: Promise<unknown>): Promise<never> {
  const answered = new AbortController();
  answer.then(
    () => answered.abort(),
    () => answered.abort(),
  );
  await sleep(durationMs, undefined, { signal: answered.signal });
  throw new Error("No answer in time.");
}

/** Asks one tracker, as that device, what it has. */
export async function ask<T>(
  cluster: Cluster,
  index: number,
  identity: DeviceIdentity,
  work: (client: ApiClient) => Promise<T>,
): Promise<T> {
  const client = await ApiClient.connect({ host: cluster.host(index), port: cluster.port, identity });
  try {
    return await work(client);
  } finally {
    client.terminate();
  }
}
